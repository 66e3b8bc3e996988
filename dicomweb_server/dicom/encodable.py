"""Which images a transfer syntax may hold, by the tables of PS3.5 §8.2; nothing is decoded here.

For negotiation: whether an instance can be sent in a syntax is known from its metadata. What can
only be seen of the pixels themselves is checked again when they are encoded.
"""

from dataclasses import dataclass

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.json_values import number, values
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)
from dicomweb_server.errors import UndecodablePixels

_JPEG_2000 = (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL)
# What is encoded without loss, and what with loss: only for who asks for it (TS-06).
# The default of a media type stands before its others (PS3.18 §8.7.3, digest 1.5).
LOSSLESS_TARGETS = (
    JPEG_LS_LOSSLESS,
    JPEG_2000_LOSSLESS,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_LOSSLESS_SV1,
    RLE_LOSSLESS,
)
LOSSY_TARGETS = frozenset({JPEG_BASELINE})


@dataclass(frozen=True, slots=True)
class _Cells:
    """The pixel cells that one row of a table allows."""

    bits_allocated: tuple[int, ...]
    least_bits_stored: int = 1
    signed: bool = False


_GREY = ("MONOCHROME1", "MONOCHROME2")


def _table(least: int, ybr: _Cells, least_of_rgb: int) -> dict[str, _Cells]:
    """The rows of a lossless syntax; `least` and `least_of_rgb` are Bits Stored."""
    return {
        **dict.fromkeys(_GREY, _Cells((8, 16), least, signed=True)),
        "PALETTE COLOR": _Cells((8, 16), least),
        "RGB": _Cells((8, 16), least_of_rgb),
        "YBR_FULL": ybr,
    }


# Photometric Interpretations of the decoded samples and their cells, by target: PS3.5 Tables
# 8.2.1-1, 8.2.1-2, 8.2.2-1, 8.2.3-1, 8.2.4-1 and that of HTJ2K. JPEG 2000 may hold up to 38 bits
# by its table; beyond 16 the decoders at hand differ, so that such images go as Explicit VR LE.
_ALLOWED: dict[str, dict[str, _Cells]] = {
    RLE_LOSSLESS: _table(1, _Cells((8,)), 1),
    JPEG_LOSSLESS_SV1: _table(1, _Cells((8, 16)), 1),
    JPEG_LS_LOSSLESS: _table(2, _Cells((8,), 2), 2),
    # OpenJPEG fails on RGB of single bits, for which its buffer is too short.
    **dict.fromkeys(_JPEG_2000, _table(1, _Cells((8, 16)), 2)),
    JPEG_BASELINE: dict.fromkeys((*_GREY, "RGB", "YBR_FULL"), _Cells((8,), 8)),
}


def can_encode(
    attributes: JsonDataset, stored: str, target: str, *, lossy_allowed: bool = False
) -> bool:
    """Whether an instance stored in one transfer syntax can be sent in another.

    `attributes`: the instance's DICOM JSON object, of which the Image Pixel Module, the overlays
    and the tag of the pixel data are looked at. A target that loses something is only said to be
    possible where `lossy_allowed` says that it was asked for (TS-06).
    """
    if target == stored:
        return True
    if target in LOSSY_TARGETS and not lossy_allowed:
        return False
    try:
        if target == EXPLICIT_VR_LITTLE_ENDIAN:
            return stored in DECODABLE
        image = image_pixel(attributes)
    except UndecodablePixels:
        return False
    if "7FE00010" not in attributes or stored not in DECODABLE:
        return False
    told = _DECODED.get(image.photometric_interpretation, image.photometric_interpretation)
    if target != RLE_LOSSLESS and has_overlay_in_cells(attributes):
        return False
    return why_not(image, told, target) is None


# The samples of a frame after its decoder, which undoes the transforms of code streams.
_DECODED = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}


def why_not(image: ImagePixel, interpretation: str, target: str) -> str | None:
    """Why decoded samples cannot be encoded in a syntax, None if they can.

    `interpretation` is the Photometric Interpretation of the samples as decoded.
    """
    allowed = _ALLOWED.get(target)
    if allowed is None:
        return f"there is no encoder for the transfer syntax {target!r}"
    if image.kind != "integer":
        return "floating point pixels are not compressed by this transfer syntax"
    cells = allowed.get(interpretation)
    if cells is None:
        return f"the transfer syntax does not hold {interpretation} pixels"
    if image.samples_per_pixel != (3 if interpretation in ("RGB", "YBR_FULL") else 1):
        return f"{interpretation} pixels of {image.samples_per_pixel} samples"
    if image.bits_allocated not in cells.bits_allocated:
        return f"the transfer syntax does not hold cells of {image.bits_allocated} bits here"
    if image.bits_stored < cells.least_bits_stored:
        return f"the transfer syntax does not hold samples of {image.bits_stored} bits here"
    if image.pixel_representation and not cells.signed:
        return "the transfer syntax does not hold signed samples here"
    return None


def encoded_interpretation(interpretation: str, target: str) -> str:
    """The Photometric Interpretation of a code stream made of samples of this one."""
    if target in _JPEG_2000 and interpretation == "RGB":
        return "YBR_RCT"  # the reversible transform is applied (PS3.5 §8.2.4)
    if target == JPEG_BASELINE and interpretation in ("RGB", "YBR_FULL"):
        return "YBR_FULL_422"
    return interpretation


def has_overlay_in_cells(attributes: JsonDataset) -> bool:
    """Whether an overlay lies in bits of the pixel cells that Bits Stored leaves out.

    Retired, and met (PS3.5 §8.1.2): an encoder of stored values would lose it.
    """
    for group in range(0x6000, 0x6020, 2):
        position = number(next(iter(values(attributes, f"{group:04X}0102")), None))
        if position and f"{group:04X}3000" not in attributes:
            return True
    return False
