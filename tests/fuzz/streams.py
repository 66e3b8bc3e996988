"""Targets: the readers of code streams, pictures and videos (PS3.5 §8.2, PS3.18 §10.5)."""

import contextlib
from collections.abc import Callable
from functools import partial

from dicomweb_server.dicom.codestream import (
    bare_jpeg2000,
    jpeg2000_header,
    jpeg_header,
    jpeg_xl_header,
)
from dicomweb_server.dicom.media import read_media
from dicomweb_server.dicom.mp4 import is_mp4, read_track
from dicomweb_server.dicom.rle import decode_rle
from dicomweb_server.errors import MalformedMedia, UndecodablePixels, UnsupportedMedia


def _media(media_type: str, data: bytes) -> None:
    with contextlib.suppress(UnsupportedMedia, MalformedMedia):
        media = read_media(media_type, data)
        assert 0 <= media.start < media.end <= len(data)
        assert media.rows and 0 < media.rows <= 0xFFFF
        assert media.columns and 0 < media.columns <= 0xFFFF
        assert media.samples_per_pixel in (1, 3)
        assert media.frame_time is None or 0 < media.frame_time < float("inf")
        assert media.cine_rate is None or media.cine_rate > 0


def _decodable(read: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(UndecodablePixels):
        read(data)


def jpeg(data: bytes) -> None:
    """JPEG and JPEG-LS."""
    _media("image/jpeg", data)
    _media("image/jls", data)
    _decodable(jpeg_header, data)


def jpeg_2000(data: bytes) -> None:
    """JPEG 2000, its second part, and HTJ2K; bare and in their files."""
    for media_type in ("image/jp2", "image/jpx", "image/jphc"):
        _media(media_type, data)
    _decodable(jpeg2000_header, data)
    _decodable(bare_jpeg2000, data)


def jpeg_xl(data: bytes) -> None:
    """JPEG XL, bare and in its container."""
    _media("image/jxl", data)
    for samples in (1, 3):
        _decodable(partial(jpeg_xl_header, samples=samples), data)


def rle(data: bytes) -> None:
    """RLE Lossless (PS3.5 Annex G)."""
    with contextlib.suppress(UnsupportedMedia, MalformedMedia):
        read_media("image/dicom-rle", data)
    segments = data[0] if data else 0
    for samples, size in ((1, 1), (1, 2), (3, 1)):
        if samples * size == segments:
            with contextlib.suppress(UndecodablePixels):
                planes = decode_rle(data, samples, size, 64)
                assert planes.shape == (samples, 64, size)


def video(data: bytes) -> None:
    """MPEG-2, H.264 and HEVC, in streams and files."""
    for media_type in ("video/mpeg", "video/mp4", "video/h265"):
        _media(media_type, data)


def mp4(data: bytes) -> None:
    """The boxes of MP4 (ISO/IEC 14496-12): a track has frames that the file has room for."""
    is_mp4(data)
    with contextlib.suppress(UnsupportedMedia, MalformedMedia):
        track = read_track(data)
        assert 0 < track.frames <= len(data)
        assert track.frame_time is None or track.frame_time > 0
