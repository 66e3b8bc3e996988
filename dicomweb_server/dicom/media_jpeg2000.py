"""What a JPEG 2000 or HTJ2K stream is in DICOM (PS3.5 8.2.4, 8.2.14; ISO/IEC 15444-1 Annex A).

The headers of every tile-part are read, for each may change the wavelet; coded data is skipped by
the lengths that the headers give. A JP2 or JPH file is taken off the stream (PS3.5 A.4.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dicomweb_server.dicom.boxes import Box, boxes
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import (
    ImageAttributes,
    Media,
    integer,
    media_of,
    take,
)
from dicomweb_server.errors import MalformedMedia, UnsupportedMedia

MAX_TILE_PARTS = 1 << 18
MAX_SEGMENTS = 1 << 20  # of all headers together

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_SIZ, _COD, _COC, _TLM = 0xFF51, 0xFF52, 0xFF53, 0xFF55
_SOT, _SOD, _EOC = 0xFF90, 0xFF93, 0xFFD9
_PART_2 = 0x8000  # of Rsiz: the stream needs extensions of ISO/IEC 15444-2
_HIGH_THROUGHPUT = 0x40  # of a code-block style (ISO/IEC 15444-15)
_RPCL = 2
_SRGB, _SYCC = 16, 18  # EnumCS (ISO/IEC 15444-1 Table I.10)


@dataclass(slots=True)
class Coding:
    """What the headers tell of how the samples are coded."""

    components: int
    reversible: bool = True
    high_throughput: bool = False
    multiple_components: bool = False  # transformed together: RCT or ICT
    progression: int = -1
    tile_part_lengths: bool = False  # listed in the main header


def read_jpeg2000(data: Bytes, claimed: str | None) -> Media:
    """Say what one stream is, bare or in a JP2 or JPH file: .90 to .93, .201 to .203.

    .202 is told from .201 only where it is claimed: each stream of the one is of the other. Raises
    UnsupportedMedia for palettes and for subsampled or unequal components, MalformedMedia for a
    stream that is cut off or damaged.
    """
    return _read(data, claimed, part_2=False)


def read_jpeg2000_part_2(data: Bytes, claimed: str | None) -> Media:
    """As `read_jpeg2000`, of a part sent as Part 2: .92 or .93, since all of Part 1 is Part 2."""
    return _read(data, claimed, part_2=True)


def _read(data: Bytes, claimed: str | None, part_2: bool) -> Media:
    start, end, colour_space = _unwrap(data)
    if take(data, start, min(4, end - start), end) != b"\xff\x4f\xff\x51":
        raise MalformedMedia("the part is not a JPEG 2000 stream")
    image = _image(data, start, end)
    coding = Coding(image.samples)
    end = _read_headers(data, start + 2, end, coding)
    part_2 = part_2 or bool(integer(data, start + 6, 2) & _PART_2)
    syntaxes = _syntaxes(coding, part_2)
    method = "ISO_15444_15" if coding.high_throughput else "ISO_15444_1"
    # A bare stream says that its components were transformed, and else nothing of its colours.
    told = coding.multiple_components or colour_space in (_SRGB, _SYCC)
    image = replace(image, colours=_colours(coding, colour_space), colours_told=told)
    return media_of(image, syntaxes, claimed, start, end, None if coding.reversible else method)


def _syntaxes(coding: Coding, part_2: bool) -> tuple[str, ...]:
    if coding.high_throughput:
        if not coding.reversible:
            return ("203",)
        # PS3.5 A.4.4 wants of .202 this order, and the lengths that let one find a resolution
        ordered = coding.progression == _RPCL and coding.tile_part_lengths
        return ("201", "203", "202") if ordered else ("201", "203")
    lossless, general = ("92", "93") if part_2 else ("90", "91")
    return (lossless, general) if coding.reversible else (general,)


def _colours(coding: Coding, colour_space: int | None) -> str:
    if coding.multiple_components:
        return "YBR_RCT" if coding.reversible else "YBR_ICT"
    return "YBR_FULL" if colour_space == _SYCC else "RGB"


# --- around the stream ------------------------------------------------------------------------


def _unwrap(data: Bytes) -> tuple[int, int, int | None]:
    """Where the stream lies, and the file's enumerated colour space (ISO/IEC 15444-1 Annex I)."""
    if take(data, 0, min(8, len(data))) != _SIGNATURE:
        return 0, len(data), None
    colour_space = None
    for box in boxes(data, 0, len(data)):
        if box.kind == b"jp2h":
            colour_space = _colour_space(data, box)
        elif box.kind == b"jp2c":
            return box.start, box.end, colour_space
    raise MalformedMedia("the JP2 file holds no code stream")


def _colour_space(data: Bytes, header: Box) -> int | None:
    for box in boxes(data, header.start, header.end):
        if box.kind == b"pclr":
            raise UnsupportedMedia("the palette of a JP2 file has no place beside a bare stream")
        if box.kind == b"colr" and integer(data, box.start, 1, box.end) == 1:
            return integer(data, box.start + 3, 4, box.end)
    return None


def _image(data: Bytes, start: int, end: int) -> ImageAttributes:
    """The SIZ segment (A.5.1), which is the first after the Start Of Codestream."""
    right, bottom, left, top = (integer(data, start + n, 4, end) for n in (8, 12, 16, 20))
    samples = integer(data, start + 40, 2, end)
    depths = take(data, start + 42, 3 * samples, end)
    if samples == 0 or depths != depths[:1] + b"\x01\x01" + depths[:3] * (samples - 1):
        raise UnsupportedMedia("the image's components differ in depth, sign or sampling")
    return ImageAttributes(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        precision=(depths[0] & 0x7F) + 1,
        signed=bool(depths[0] & 0x80),
    )


# --- the headers ------------------------------------------------------------------------------


def _read_headers(data: Bytes, offset: int, end: int, coding: Coding) -> int:
    """Read the main header, from its first segment at `offset`, and those of all tile-parts.

    Returns the offset after the End Of Codestream. Raises MalformedMedia if it is not where the
    tile-parts end.
    """
    allowed = iter(range(MAX_SEGMENTS))
    offset = _read_header(data, offset, end, coding, allowed, main=True)
    for _ in range(MAX_TILE_PARTS):
        marker = integer(data, offset, 2, end)
        if marker == _EOC:
            return offset + 2
        if marker != _SOT:
            raise MalformedMedia("a tile-part of the JPEG 2000 stream does not end where it says")
        length = integer(data, offset + 6, 4, end)
        after = offset + length if length else _last_end(data, end)
        if not offset + 14 <= after <= end:
            raise MalformedMedia("a tile-part of the JPEG 2000 stream is cut off")
        _read_header(data, offset + 12, after, coding, allowed, main=False)
        offset = after
    raise MalformedMedia("the JPEG 2000 stream has too many tile-parts")


def _last_end(data: Bytes, end: int) -> int:
    """Where the End Of Codestream is that ends a tile-part of unstated length (A.4.2)."""
    tail = max(0, end - 256)
    found = take(data, tail, end - tail).rfind(b"\xff\xd9")
    if found < 0:
        raise MalformedMedia("the JPEG 2000 stream is cut off")
    return tail + found


def _read_header(
    data: Bytes, offset: int, end: int, coding: Coding, allowed: Iterator[int], main: bool
) -> int:
    """Read segments up to the first tile-part, or in one up to its data; returns where that is."""
    last = _SOT if main else _SOD
    for _ in allowed:
        marker = integer(data, offset, 2, end)
        if marker == last:
            return offset
        if marker < 0xFF00 or marker in (_SOT, _SOD, _EOC):
            raise MalformedMedia("a header of the JPEG 2000 stream is damaged")
        length = integer(data, offset + 2, 2, end)
        after = offset + 2 + length
        if length < 2 or after > end:
            raise MalformedMedia("a header of the JPEG 2000 stream is cut off")
        if marker == _COD:
            _read_coding_style(data, offset + 4, after, coding, main)
        elif marker == _COC:
            # Two bytes name a component where there are more than 256
            styles = offset + (6 if coding.components < 257 else 7)
            _read_coefficients(data, styles, after, coding)
        elif marker == _TLM and main:
            coding.tile_part_lengths = True
        offset = after
    raise MalformedMedia("the JPEG 2000 stream has too many header segments")


def _read_coding_style(data: Bytes, offset: int, end: int, coding: Coding, main: bool) -> None:
    """COD (A.6.1): Scod, progression order, layers, component transform, and coefficients."""
    if main:
        coding.progression = integer(data, offset + 1, 1, end)
    coding.multiple_components |= bool(integer(data, offset + 4, 1, end))
    _read_coefficients(data, offset + 5, end, coding)


def _read_coefficients(data: Bytes, offset: int, end: int, coding: Coding) -> None:
    """SPcod and SPcoc (A.6.1, A.6.2): levels, block sizes, block style, wavelet."""
    coding.high_throughput |= bool(integer(data, offset + 3, 1, end) & _HIGH_THROUGHPUT)
    coding.reversible &= integer(data, offset + 4, 1, end) == 1  # 1: the 5-3 wavelet
