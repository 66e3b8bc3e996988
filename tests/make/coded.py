"""Images coded in every way that parts of a store request may be, and what their streams tell."""

from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

random = np.random.default_rng(3)
GREY8 = random.integers(0, 256, (24, 40), dtype=np.uint8)
GREY12 = random.integers(0, 4096, (24, 40), dtype=np.uint16)
GREY16 = random.integers(0, 65536, (24, 40), dtype=np.uint16)
SIGNED16 = random.integers(-(2**15), 2**15, (24, 40), dtype=np.int16)
RGB = random.integers(0, 256, (24, 40, 3), dtype=np.uint8)
SMOOTH = np.indices((24, 40)).sum(0).astype(np.uint8) * 3
SMOOTH_RGB = np.dstack([SMOOTH, SMOOTH[::-1], SMOOTH[:, ::-1]])


class Coded(NamedTuple):
    """One way to code `array`. `photometric` and `bits` are what the stream tells; `arc` is that
    of its transfer syntax below 1.2.840.10008.1.2.4, which holds if `claim` is claimed."""

    media_type: str
    arc: str
    array: NDArray[Any]
    stream: bytes
    photometric: str = "MONOCHROME2"
    bits: int = 8
    lossy: bool = False
    claim: str = ""


def j2k(array: NDArray[Any], **options: Any) -> bytes:
    options = {"level": 0, "reversible": True, "codecformat": "j2k"} | options
    return bytes(imagecodecs.jpeg2k_encode(array, **options))


def jpeg8(array: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(array, level=100, **options))


def ls(array: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpegls_encode(array, **options))


def xl(array: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(array, **options))


def ht(array: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.htj2k_encode(array, **({"reversible": False} | options)))


LOSSY_J2K = j2k(SMOOTH_RGB, level=50, reversible=False, mct=True)

CODED = {
    "baseline": Coded("image/jpeg", "50", SMOOTH, jpeg8(SMOOTH), lossy=True),
    "baseline colour": Coded(
        "image/jpeg", "50", SMOOTH_RGB, jpeg8(SMOOTH_RGB, subsampling="444"), "YBR_FULL", lossy=True
    ),
    "extended": Coded(
        "image/jpeg",
        "51",
        GREY12,
        bytes(imagecodecs.jpeg_encode(GREY12, bitspersample=12, level=100)),
        bits=12,
        lossy=True,
    ),
    "lossless": Coded(
        "image/jpeg",
        "70",
        GREY12,
        jpeg8(GREY12, lossless=True, predictor=1, bitspersample=12),
        bits=12,
    ),
    "lossless as 57": Coded(
        "image/jpeg", "57", GREY8, jpeg8(GREY8, lossless=True, predictor=1), claim="57"
    ),
    "jpeg-ls": Coded("image/jls", "80", GREY16, ls(GREY16), bits=16),
    "jpeg-ls colour": Coded("image/jls", "80", RGB, ls(RGB), "RGB"),
    "jpeg-ls near": Coded("image/jls", "81", SMOOTH, ls(SMOOTH, level=2), lossy=True),
    "jpeg 2000": Coded("image/jp2", "90", GREY12, j2k(GREY12, bitspersample=12), bits=12),
    "jpeg 2000 signed": Coded("image/jp2", "90", SIGNED16, j2k(SIGNED16), bits=16),
    "jpeg 2000 file": Coded("image/jp2", "90", GREY8, j2k(GREY8, codecformat="jp2")),
    "jpeg 2000 colour file": Coded(
        "image/jp2", "90", RGB, j2k(RGB, codecformat="jp2", mct=True), "YBR_RCT"
    ),
    "jpeg 2000 lossy": Coded(
        "image/jp2",
        "91",
        SMOOTH_RGB,
        LOSSY_J2K,
        "YBR_ICT",
        lossy=True,
    ),
    "jpx": Coded("image/jpx", "92", GREY8, j2k(GREY8)),
    "htj2k": Coded("image/jphc", "201", GREY16, ht(GREY16, reversible=True), bits=16),
    "htj2k lossy": Coded("image/jphc", "203", SMOOTH, ht(SMOOTH, level=0.001), lossy=True),
    "jph": Coded("image/jph", "201", GREY8, ht(GREY8, reversible=True)),
    "jpeg xl": Coded(
        "image/jxl",
        "110",
        GREY16,
        xl(GREY16, lossless=True),
        bits=16,
        claim="110",
    ),
    "jpeg xl lossy": Coded(
        "image/jxl",
        "112",
        SMOOTH_RGB,
        xl(SMOOTH_RGB, level=90, usecontainer=True),
        "XYB",
        lossy=True,
    ),
}
