"""The video track of an MP4 file (ISO/IEC 14496-12, 14496-15): its coding, frames and duration.

Boxes are walked by their lengths and tables counted, not read; fragments are counted where a
file has them.
"""

from dataclasses import dataclass, replace

import numpy as np

from dicomweb_server.dicom.boxes import Box, boxes, first_box
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import integer, take
from dicomweb_server.dicom.video_parameters import (
    MAX_PARAMETER_SET,
    VideoParameters,
    h264_parameters,
    hevc_parameters,
)
from dicomweb_server.errors import MalformedMedia, UnsupportedMedia

MAX_RUN = 1 << 20  # frames of one run in a fragment

_ENTRY = 78  # bytes of a VisualSampleEntry before its boxes
_H264 = frozenset({b"avc1", b"avc2", b"avc3", b"avc4", b"mvc1", b"mvc2"})
_HEVC = frozenset({b"hvc1", b"hev1"})
_HEVC_SPS = 33
# What each bit of the flags of a track fragment and of a run says is there, in bytes
_TFHD_BEFORE_DURATION = ((0x1, 8), (0x2, 4))
_TFHD_DURATION = 0x8
_TRUN_HEADER = ((0x1, 4), (0x4, 4))
_TRUN_SAMPLE = (0x100, 0x200, 0x400, 0x800)  # duration, size, flags, composition: 4 bytes each


@dataclass(frozen=True, slots=True)
class Track:
    """The video track: how it is coded, frames, and milliseconds a frame if known."""

    parameters: VideoParameters
    frames: int
    frame_time: float | None


def is_mp4(data: Bytes) -> bool:
    """Whether the data begin with a box that such files begin with."""
    return len(data) >= 8 and take(data, 4, 4) in (b"ftyp", b"styp", b"moov", b"free", b"skip")


def read_track(data: Bytes) -> Track:
    """Find the one video track of a file.

    Raises UnsupportedMedia for QuickTime files, for several video tracks, and for a coding
    other than H.264 and HEVC; MalformedMedia for files without a track or with a table that
    lists more than they hold.
    """
    whole = Box(b"", 0, len(data))
    brand = first_box(data, whole, b"ftyp")
    if brand and take(data, brand.start, 4, brand.end) == b"qt  ":
        raise UnsupportedMedia("the video is a QuickTime file, not MP4")
    movie = first_box(data, whole, b"moov")
    if movie is None:
        raise MalformedMedia("the MP4 file has no movie")
    tracks = [box for box in boxes(data, movie.start, movie.end) if box.kind == b"trak"]
    videos = [track for track in tracks if _handler(data, track) == b"vide"]
    if len(videos) != 1:
        raise UnsupportedMedia(f"the MP4 file has {len(videos)} video tracks, not one")
    track = videos[0]
    table = _need(data, track, b"mdia", b"minf", b"stbl")
    parameters = _sample_description(data, _need(data, table, b"stsd"))
    scale, duration = _media_header(data, _need(data, track, b"mdia", b"mdhd"))
    frames = _sample_count(data, table)
    more, longer = _fragments(data, whole, movie, _track_number(data, track))
    duration = (duration if frames else 0) + longer
    frames += more
    if not 0 < frames <= len(data):  # no frame is of no bytes
        raise MalformedMedia("the MP4 file has no frames, or more than it can hold")
    frame_time = 1000 * duration / scale / frames if scale and duration else None
    return Track(parameters, frames, frame_time)


def _need(data: Bytes, within: Box, *path: bytes) -> Box:
    box = first_box(data, within, *path)
    if box is None:
        raise MalformedMedia("the MP4 file lacks a box that every video track has")
    return box


def _handler(data: Bytes, track: Box) -> bytes:
    handler = first_box(data, track, b"mdia", b"hdlr")
    return take(data, handler.start + 8, 4, handler.end) if handler else b""


def _track_number(data: Bytes, track: Box) -> int:
    header = _need(data, track, b"tkhd")
    wide = integer(data, header.start, 1, header.end) == 1
    return integer(data, header.start + (20 if wide else 12), 4, header.end)


def _media_header(data: Bytes, header: Box) -> tuple[int, int]:
    """Units a second, and the duration in them, 0 if unknown (8.4.2)."""
    wide = integer(data, header.start, 1, header.end) == 1
    at, size = (20, 8) if wide else (12, 4)
    scale = integer(data, header.start + at, 4, header.end)
    duration = integer(data, header.start + at + 4, size, header.end)
    return scale, 0 if duration == (1 << 8 * size) - 1 else duration


# --- how it is coded --------------------------------------------------------------------------


def _sample_description(data: Bytes, table: Box) -> VideoParameters:
    if integer(data, table.start + 4, 4, table.end) != 1:
        raise UnsupportedMedia("the MP4 file changes its coding on the way")
    entry = next(boxes(data, table.start + 8, table.end), None)
    if entry is None:
        raise MalformedMedia("the MP4 file does not say how its video is coded")
    columns = integer(data, entry.start + 24, 2, entry.end)
    rows = integer(data, entry.start + 26, 2, entry.end)
    inner = Box(entry.kind, entry.start + _ENTRY, entry.end)
    if entry.kind in _H264:
        parameters = _avc(data, _need(data, inner, b"avcC"), rows, columns)
        return replace(parameters, stereo=first_box(data, inner, b"mvcC") is not None)
    if entry.kind in _HEVC:
        return _hevc(data, _need(data, inner, b"hvcC"), rows, columns)
    raise UnsupportedMedia("the MP4 file's video is neither H.264 nor HEVC")


def _avc(data: Bytes, box: Box, rows: int, columns: int) -> VideoParameters:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1).

    `rows` and `columns` are those of the sample entry, for a file that has its parameter sets
    among its frames.
    """
    profile = integer(data, box.start + 1, 1, box.end)
    level = integer(data, box.start + 3, 1, box.end)
    if not integer(data, box.start + 5, 1, box.end) & 0x1F:
        return VideoParameters("h264", profile, level, rows, columns)
    return h264_parameters(_counted(data, box.start + 6, box.end))


def _hevc(data: Bytes, box: Box, rows: int, columns: int) -> VideoParameters:
    """HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1), else as `_avc`."""
    offset = box.start + 23
    for _ in range(integer(data, box.start + 22, 1, box.end)):
        kind = integer(data, offset, 1, box.end) & 0x3F
        count = integer(data, offset + 1, 2, box.end)
        offset += 3
        for _ in range(count):
            if kind == _HEVC_SPS:
                return hevc_parameters(_counted(data, offset, box.end))
            offset += 2 + integer(data, offset, 2, box.end)
    chroma = integer(data, box.start + 16, 1, box.end) & 0x3
    depths = [8 + (integer(data, box.start + n, 1, box.end) & 0x7) for n in (17, 18)]
    profile = integer(data, box.start + 1, 1, box.end) & 0x1F
    level = integer(data, box.start + 12, 1, box.end)
    return VideoParameters("hevc", profile, level, rows, columns, chroma, max(depths))


def _counted(data: Bytes, offset: int, end: int) -> bytes:
    """The bytes after a length of 16 bits, no more than a parameter set may have."""
    length = integer(data, offset, 2, end)
    if length > MAX_PARAMETER_SET:
        raise MalformedMedia("a header of the video is too long")
    return take(data, offset + 2, length, end)


# --- how many frames --------------------------------------------------------------------------


def _sample_count(data: Bytes, table: Box) -> int:
    """Frames by the table of their sizes (8.7.3), which has to be as long as it says."""
    sizes = first_box(data, table, b"stsz")
    if sizes is not None:
        same = integer(data, sizes.start + 4, 4, sizes.end)
        count = integer(data, sizes.start + 8, 4, sizes.end)
        bits = 0 if same else 32
    else:
        sizes = _need(data, table, b"stz2")
        bits = integer(data, sizes.start + 7, 1, sizes.end)
        count = integer(data, sizes.start + 8, 4, sizes.end)
    if sizes.start + 12 + (count * bits + 7) // 8 > sizes.end:
        raise MalformedMedia("the MP4 file's table of frames is cut off")
    return count


def _fragments(data: Bytes, whole: Box, movie: Box, track: int) -> tuple[int, int]:
    """Frames in the file's fragments, and their duration (8.8); 0 where one does not tell it."""
    frames = duration = 0
    default = _default_duration(data, movie, track)
    for moof in boxes(data, whole.start, whole.end):
        if moof.kind != b"moof":
            continue
        for traf in boxes(data, moof.start, moof.end):
            if traf.kind == b"traf":
                count, longer = _track_fragment(data, traf, track, default)
                frames += count
                duration += longer
    return frames, duration


def _default_duration(data: Bytes, movie: Box, track: int) -> int:
    extends = first_box(data, movie, b"mvex")
    for box in boxes(data, extends.start, extends.end) if extends else ():
        if box.kind == b"trex" and integer(data, box.start + 4, 4, box.end) == track:
            return integer(data, box.start + 12, 4, box.end)
    return 0


def _track_fragment(data: Bytes, traf: Box, track: int, default: int) -> tuple[int, int]:
    header = _need(data, traf, b"tfhd")
    if integer(data, header.start + 4, 4, header.end) != track:
        return 0, 0
    flags = integer(data, header.start + 1, 3, header.end)
    if flags & _TFHD_DURATION:
        before = sum(size for flag, size in _TFHD_BEFORE_DURATION if flags & flag)
        default = integer(data, header.start + 8 + before, 4, header.end)
    frames = duration = 0
    for box in boxes(data, traf.start, traf.end):
        if box.kind == b"trun":
            count, longer = _run(data, box, default)
            frames += count
            duration += longer
    return frames, duration


def _run(data: Bytes, box: Box, default: int) -> tuple[int, int]:
    """Frames of one run and their duration (8.8.8)."""
    flags = integer(data, box.start + 1, 3, box.end)
    count = integer(data, box.start + 4, 4, box.end)
    if count > MAX_RUN:
        raise MalformedMedia("a fragment of the MP4 file has more than a million frames")
    fields = sum(bool(flags & flag) for flag in _TRUN_SAMPLE)
    start = box.start + 8 + sum(size for flag, size in _TRUN_HEADER if flags & flag)
    table = take(data, start, 4 * fields * count, box.end)
    if not flags & _TRUN_SAMPLE[0]:
        return count, default * count
    durations = np.frombuffer(table, ">u4")[::fields]
    return count, int(durations.sum(dtype=np.uint64))
