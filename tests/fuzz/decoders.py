"""Targets: what decodes code streams, pictures and colour profiles, libraries and all.

In the server these run in processes that may be killed; here whatever ends the process, hangs or
takes all memory is a finding, too.
"""

import contextlib
from collections.abc import Callable

import numpy as np

from dicomweb_server.dicom.codestream import (
    CodeStream,
    bare_jpeg2000,
    jpeg2000_header,
    jpeg_header,
    jpeg_xl_header,
)
from dicomweb_server.dicom.colour_profiles import is_rgb, managed, source_profile
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.native_pictures import decode_to_native
from dicomweb_server.dicom.pixels import CODECS, decode_frame
from dicomweb_server.errors import (
    ContentTooLarge,
    MalformedMedia,
    UndecodablePixels,
    UnsupportedMedia,
)

_MOST = 1 << 14  # samples of a frame
_SYNTAXES = sorted(CODECS)

_HEADERS: dict[str, Callable[[bytes], CodeStream]] = {
    "jpeg": jpeg_header,
    "jpegls": jpeg_header,
    "jpeg2000": lambda data: jpeg2000_header(bare_jpeg2000(data)),
    "jpegxl": lambda data: jpeg_xl_header(data, 3 if len(data) % 2 else 1),
}


def coded_frame(data: bytes) -> None:
    """A frame is decoded to the size that its header tells, or refused (PS3.5 §8.2)."""
    syntax, data = _SYNTAXES[data[0] % len(_SYNTAXES) if data else 0], data[1:]
    with contextlib.suppress(UndecodablePixels):
        stream = _HEADERS[CODECS[syntax].family](data)
        if stream.rows * stream.columns * stream.samples > _MOST:
            return
        bits = max(1, stream.precision)
        told = {
            "00280002": stream.samples,
            "00280010": stream.rows,
            "00280011": stream.columns,
            "00280100": 8 if bits <= 8 else 16 if bits <= 16 else 32,
            "00280101": bits,
            "00280102": bits - 1,
            "00280103": int(stream.signed),
            "00280006": 0,
        }
        colours = "MONOCHROME2" if stream.samples == 1 else "RGB"
        image = image_pixel(
            {tag: {"vr": "US", "Value": [value]} for tag, value in told.items()}
            | {"00280004": {"vr": "CS", "Value": [colours]}}
        )
        array = decode_frame(data, image, syntax).array
        assert array.shape[:2] == (stream.rows, stream.columns)
        assert array.dtype == image.dtype


_LIMIT = 1 << 18  # bytes of all frames of a picture


def native_picture(data: bytes) -> None:
    """PNG and GIF become frames of the size that they tell, or are refused (STOW-16)."""
    for media_type in ("image/png", "image/gif"):
        with contextlib.suppress(UnsupportedMedia, MalformedMedia, ContentTooLarge):
            made = decode_to_native(media_type, [data], _LIMIT)
            cells = made.rows * made.columns * made.samples_per_pixel
            assert cells * made.bits_allocated // 8 * made.number_of_frames <= _LIMIT
            sizes = [len(frame) for frame in made.frames]
            assert sizes == [cells * made.bits_allocated // 8] * made.number_of_frames


_PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def icc_profile(data: bytes) -> None:
    """A profile is of no use, or colours are converted by it (PS3.18 §8.3.5.1.6)."""
    wanted = ("yes", "srgb", "adobergb", "rommrgb")[data[0] % 4 if data else 0]
    profile = data[1:]
    source_profile({}, 1, 1, profile)  # as the stream of a frame
    if is_rgb(profile):
        picture, embedded = managed(_PICTURE, wanted, profile)
        assert picture.shape == _PICTURE.shape
        assert picture.dtype == np.uint8
        assert embedded
