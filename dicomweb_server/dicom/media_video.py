"""What a video is in DICOM, .100 to .108, by its headers (PS3.5 8.2.5, A.4.5, and those after).

The part is stored as it is, container and sound included. What it is, its bytes decide and not
its media type: H.264 in a transport stream, say, may come as video/mpeg.
"""

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import ImageAttributes, Media, media_of
from dicomweb_server.dicom.mp4 import is_mp4, read_track
from dicomweb_server.dicom.video_parameters import VideoParameters
from dicomweb_server.dicom.video_streams import (
    MAX_COUNTED,
    count_frames,
    elementary_stream,
    read_parameters,
)
from dicomweb_server.errors import MalformedMedia, UnsupportedMedia

_METHODS = {"mpeg2": "ISO_13818_2", "h264": "ISO_14496_10", "hevc": "ISO_23008_2"}

_SIMPLE, _MAIN = 5, 4  # MPEG-2 profiles (H.262 Table 8-2)
_LOW, _MAIN_LEVEL, _HIGH_1440, _HIGH_LEVEL = 10, 8, 6, 4  # and levels (Table 8-3)
_HIGH, _STEREO_HIGH = 100, 128  # H.264 profile_idc
_HEVC_MAIN, _HEVC_MAIN_10 = 1, 2  # general_profile_idc


def read_video(data: Bytes, claimed: str | None) -> Media:
    """Say what one video is: MP4, or MPEG-2, H.264 or HEVC in an MPEG or no container.

    The forms that may be fragmented (.100.1 ...), .103 (Blu-ray) and .105 (two views in one
    frame) are taken only where they are claimed: the first headers do not tell. Frames are None
    beyond MAX_COUNTED bytes, but for MP4, whose tables tell. Raises UnsupportedMedia for another
    profile, level, chroma or depth than a transfer syntax has, MalformedMedia for what is no
    video or is damaged.
    """
    frames: int | None
    if is_mp4(data):
        track = read_track(data)
        parameters, frames, frame_time = track.parameters, track.frames, track.frame_time
    else:
        parameters = read_parameters(elementary_stream(data))
        rate = parameters.frame_rate
        frame_time = 1000 / rate if rate else None
        counted = len(data) <= MAX_COUNTED
        frames = count_frames(parameters, elementary_stream(data)) if counted else None
        if frames == 0:
            raise MalformedMedia("the video has no frames")
    arcs = _arcs(parameters)
    image = ImageAttributes(
        parameters.rows, parameters.columns, 3, parameters.bits, "YBR_PARTIAL_420"
    )
    method = _METHODS[parameters.codec]
    return media_of(image, arcs, claimed, 0, len(data), method, frames, frame_time)


def _arcs(video: VideoParameters) -> tuple[str, ...]:
    """The transfer syntaxes that a video is of, each with its form that may be fragmented."""
    arcs = _syntaxes(video) if video.chroma == 1 else ()
    if not arcs:
        raise UnsupportedMedia("the video is of a profile or level that no transfer syntax has")
    return tuple(arc + form for arc in arcs for form in ("", ".1"))


def _syntaxes(video: VideoParameters) -> tuple[str, ...]:
    if video.codec == "mpeg2":
        return _mpeg2(video)
    if video.codec == "h264":
        return _h264(video) if video.bits == 8 else ()
    if video.level > 153:  # 5.1, in thirtieths
        return ()
    if video.profile == _HEVC_MAIN and video.bits == 8:
        return ("107",)
    return ("108",) if video.profile == _HEVC_MAIN_10 and video.bits <= 10 else ()


def _mpeg2(video: VideoParameters) -> tuple[str, ...]:
    """A decoder of a level takes all below it, and one of Main Profile takes Simple."""
    if video.profile not in (_SIMPLE, _MAIN):
        return ()
    if video.level in (_LOW, _MAIN_LEVEL):
        return ("100",)
    return ("101",) if video.level in (_HIGH_1440, _HIGH_LEVEL) else ()


def _h264(video: VideoParameters) -> tuple[str, ...]:
    if video.level > 42:
        return ()
    if video.stereo or video.profile == _STEREO_HIGH:
        return ("106",)
    if video.profile != _HIGH:
        return ()
    return ("102", "103", "104", "105") if video.level <= 41 else ("104", "105")
