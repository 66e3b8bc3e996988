"""Seeds of what is decoded and of whole files: code streams, pictures, profiles, MP4, ZIP files."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from dicomweb_server.dicom.colour_profiles import standard_profile
from dicomweb_server.dicom.pixels import CODECS
from tests.make import small_image
from tests.make.coded import CODED
from tests.make.video import (
    H264_HIGH_41,
    annex_b,
    avc_entry,
    extends,
    fragment,
    h264_pictures,
    mp4,
    mpeg2,
    program,
    track,
    transport,
)


def _coded(*media_types: str) -> list[bytes]:
    return [each.stream for each in CODED.values() if each.media_type in media_types]


def _frames() -> list[bytes]:
    """A code stream behind the number of its transfer syntax, as the target counts them."""
    syntaxes = sorted(CODECS)
    streams = [(f"1.2.840.10008.1.2.4.{each.arc}", each.stream) for each in CODED.values()]
    return [bytes([syntaxes.index(uid)]) + stream for uid, stream in streams if uid in syntaxes]


def _saved(mode: str, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, (6, 5), 1).save(out, kind, **options)
    return out.getvalue()


def _pictures() -> list[bytes]:
    others = [Image.new("RGB", (6, 5), colour) for colour in ("red", "blue")]
    several: dict[str, Any] = {"save_all": True, "append_images": others, "duration": 40}
    return [
        *(_saved(mode, "PNG") for mode in ("1", "L", "I;16", "RGB", "RGBA", "P", "LA")),
        _saved("RGB", "PNG", **several),
        _saved("P", "GIF"),
        _saved("RGB", "GIF", **several),
    ]


def _profiles() -> list[bytes]:
    """A profile, or a JPEG stream with one, behind the number of the colours to convert to."""
    profiles = [standard_profile(name) for name in ("srgb", "adobergb", "rommrgb")]
    streams = [_saved("RGB", "JPEG", icc_profile=profiles[0])]
    return [bytes([number]) + each for number, each in enumerate([*profiles, *streams])]


def _zips() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a/IM1", small_image())
            archive.writestr("b", "no image")
        found.append(out.getvalue())
    return found


_ENTRY = avc_entry(H264_HIGH_41)

MAKERS: dict[str, Callable[[], list[bytes]]] = {
    "jpeg": lambda: _coded("image/jpeg", "image/jls"),
    "jpeg_2000": lambda: _coded("image/jp2", "image/jpx", "image/jphc", "image/jph"),
    "jpeg_xl": lambda: _coded("image/jxl"),
    "rle": lambda: [
        b"\1\0\0\0\x40" + bytes(59) + b"\x81\x07",
        b"\2\0\0\0\x40\0\0\0\x42" + bytes(55) + b"\xc1\x01\xc1\x02",
    ],
    "video": lambda: [
        mpeg2(frames=1),
        annex_b(H264_HIGH_41, *h264_pictures(2)),
        transport(mpeg2(frames=1)),
        program(mpeg2(frames=1)),
        mp4(track(_ENTRY)),
    ],
    "mp4": lambda: [
        mp4(track(_ENTRY)),
        mp4(track(_ENTRY, frames=0), extends=extends(1, 3), after=fragment(1, [3, 3, 4])),
    ],
    "coded_frame": _frames,
    "native_picture": _pictures,
    "icc_profile": _profiles,
    "zip_file": _zips,
}
