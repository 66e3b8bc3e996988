"""What a JPEG XL stream is in DICOM (PS3.5 8.2.15; ISO/IEC 18181-1, 18181-2).

The image header is read, and the head of the first frame where it can be reached. Where the
stream ends is known to nobody who does not decode it: one that is cut off there goes unnoticed.

The container of ISO/IEC 18181-2 stays only where it cannot be spared: around a recompressed
JPEG, whose original bytes are made again from its ``jbrd`` box, and around a stream that it
holds in several pieces.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from dicomweb_server.dicom.boxes import boxes
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import ImageAttributes, Media, media_of, take
from dicomweb_server.errors import MalformedMedia, UnsupportedMedia

LOSSLESS = "1.2.840.10008.1.2.4.110"
MAX_PRECISION = 16  # bits; those of PS3.5 Table 8.2.15-1

_CONTAINER = b"\x00\x00\x00\x0cJXL "
_MAX_HEADER = 1 << 14  # bytes looked at: headers without an ICC profile are a few dozen
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_RGB, _GREY, _XYB = 0, 1, 2
_CUSTOM = 2  # of a white point or primaries: they follow
_SIZES = ((0, 9), (0, 13), (0, 18), (0, 30))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))


class Found(NamedTuple):
    """The beginning of the stream, the range to be stored, whether it remakes a JPEG."""

    header: bytes
    start: int
    end: int
    remakes_jpeg: bool


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the stream tells of its image; `modular` is None where it was not reached."""

    rows: int
    columns: int
    precision: int = 8
    colour_space: int = _RGB
    xyb: bool = True
    modular: bool | None = None  # the first frame's: predictions, not a cosine transform
    ycbcr: bool = False


def read_jpeg_xl(data: Bytes, claimed: str | None) -> Media:
    """Say what one JPEG XL stream is: .111 if it remakes a JPEG, else .112, or .110 if claimed.

    Nothing in a stream says that nothing was lost, but a cosine transform or XYB says that
    something was: .110 is taken where neither is found, and the image is lossy (.112) where
    neither can be ruled out. Raises UnsupportedMedia for
    animations, extra channels such as alpha, floating point and more than 16 bits;
    MalformedMedia for a damaged header or container.
    """
    header, start, end, remakes_jpeg = _find(data)
    try:
        image = _image_header(_Bits(header))
    except EOFError:
        raise MalformedMedia("the JPEG XL stream is cut off in its header") from None
    if image.precision > MAX_PRECISION:
        raise UnsupportedMedia(f"the image has samples of {image.precision} bits")
    attributes = ImageAttributes(
        image.rows,
        image.columns,
        1 if image.colour_space == _GREY else 3,
        image.precision,
        _colours(image),
    )
    if remakes_jpeg:
        return media_of(attributes, ("111", "112"), claimed, start, end, "ISO_10918_1")
    transformed = image.xyb or image.modular is False
    syntaxes = ("112",) if transformed else ("112", "110")
    told = claimed == LOSSLESS and not transformed
    method = None if told or (image.modular and not image.xyb) else "ISO_18181_1"
    return media_of(attributes, syntaxes, claimed, start, end, method)


def _colours(image: ImageHeader) -> str:
    """By PS3.5 Table 8.2.15-1, which has but one name for YCbCr, however its chroma is shared."""
    if image.xyb:
        return "XYB"
    return "YBR_FULL_422" if image.ycbcr else "RGB"


def _find(data: Bytes) -> Found:
    if take(data, 0, min(8, len(data))) != _CONTAINER:
        return Found(take(data, 0, min(_MAX_HEADER, len(data))), 0, len(data), False)
    header, pieces, remakes_jpeg = b"", [], False
    for box in boxes(data, 0, len(data)):
        remakes_jpeg |= box.kind == b"jbrd"
        if box.kind in (b"jxlc", b"jxlp"):
            start = box.start + (4 if box.kind == b"jxlp" else 0)  # the piece's number
            if start > box.end:
                raise MalformedMedia("a box of the JPEG XL file is damaged")
            pieces.append((start, box.end))
            header += take(data, start, min(_MAX_HEADER - len(header), box.end - start))
    if len(pieces) == 1 and not remakes_jpeg:
        return Found(header, *pieces[0], False)
    return Found(header, 0, len(data), remakes_jpeg)


# --- the header -------------------------------------------------------------------------------


class _Bits:
    """Takes bits from the least significant end of each byte. Raises EOFError past the last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0  # in bits

    def take(self, count: int) -> int:
        first, self._at = self._at, self._at + count
        if self._at > 8 * len(self._data):
            raise EOFError
        word = int.from_bytes(self._data[first // 8 : (self._at + 7) // 8], "little")
        return (word >> first % 8) & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.take(1))

    def u32(self, *ways: tuple[int, int]) -> int:
        """One of four ways: an offset, and how many bits to add to it (ISO/IEC 18181-1 B.2.2)."""
        offset, bits = ways[self.take(2)]
        return offset + self.take(bits)

    def enum(self) -> int:
        return self.u32(*_ENUM)

    def u64(self) -> int:
        """B.2.3"""
        way = self.take(2)
        if way == 0:
            return 0
        if way < 3:
            return 1 + self.take(4) if way == 1 else 17 + self.take(8)
        value, shift = self.take(12), 12
        while shift < 64 and self.flag():
            value |= self.take(min(8, 64 - shift)) << shift
            shift += 8
        return value

    def align(self) -> None:
        self._at = -(-self._at // 8) * 8


def _image_header(bits: _Bits) -> ImageHeader:
    """The headers of the image (Annex D) and, where there is no ICC profile, of its first frame.

    A profile is compressed, and the frame behind it out of reach. Raises EOFError.
    """
    if bits.take(16) != 0x0AFF:
        raise MalformedMedia("the part is not a JPEG XL stream")
    rows, columns = _size(bits)
    if bits.flag():  # all by default: 8 bits, XYB
        image, frame = ImageHeader(rows, columns), True
    else:
        image, frame = _image_metadata(bits, rows, columns)
    if not bits.flag():  # the transform is not the default one
        frame = False
    return _first_frame(bits, image) if frame else image


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader: rows, columns."""
    small = bits.flag()
    rows = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return rows, _side(bits, small)
    numerator, denominator = _RATIOS[ratio - 1]
    return rows, rows * numerator // denominator


def _side(bits: _Bits, small: bool) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.u32(*_SIZES) + 1


def _image_metadata(bits: _Bits, rows: int, columns: int) -> tuple[ImageHeader, bool]:
    """ImageMetadata that is not all by default; and whether a frame header follows."""
    extra = bits.flag()
    if extra:
        if bits.take(3):
            raise UnsupportedMedia("the JPEG XL image is to be turned when shown")
        if bits.flag():
            _size(bits)  # intrinsic: what it is to be shown at
        if bits.flag():
            raise UnsupportedMedia("the JPEG XL stream has a preview")
        if bits.flag():
            raise UnsupportedMedia("the JPEG XL stream is an animation: frames go one by one")
    if bits.flag():
        raise UnsupportedMedia("the JPEG XL image has floating point samples")
    precision = bits.u32((8, 0), (10, 0), (12, 0), (1, 6))
    bits.flag()  # whether 16 bits are enough to decode with
    if bits.u32((0, 0), (1, 0), (2, 4), (1, 12)):
        raise UnsupportedMedia("the JPEG XL image has more channels than colours, as for alpha")
    xyb = bits.flag()
    colour_space, profile = _colour_encoding(bits)
    if extra and not bits.flag():  # tone mapping
        bits.take(16 + 16 + 1 + 16)
    extensions = bits.u64()
    return ImageHeader(rows, columns, precision, colour_space, xyb), not (profile or extensions)


def _colour_encoding(bits: _Bits) -> tuple[int, bool]:
    """ColourEncoding (D.4): the colour space, and whether an ICC profile follows the headers."""
    if bits.flag():
        return _RGB, False
    profile = bits.flag()
    colour_space = bits.enum()
    if profile or colour_space == _XYB:
        if not profile:
            bits.enum()  # rendering intent
        return colour_space, profile
    if bits.enum() == _CUSTOM:  # white point
        _custom(bits, 1)
    if colour_space != _GREY and bits.enum() == _CUSTOM:  # primaries
        _custom(bits, 3)
    if bits.flag():
        bits.take(24)  # gamma
    else:
        bits.enum()  # transfer function
    bits.enum()  # rendering intent
    return colour_space, False


def _custom(bits: _Bits, points: int) -> None:
    for _ in range(2 * points):
        bits.u32((0, 19), (524288, 19), (1048576, 20), (2097152, 21))


def _first_frame(bits: _Bits, image: ImageHeader) -> ImageHeader:
    """The beginning of FrameHeader (F.2): the encoding, and YCbCr."""
    bits.align()
    if bits.flag():  # all by default
        return replace(image, modular=False)
    bits.take(2)  # type
    modular = bits.flag()
    bits.u64()  # flags
    return replace(image, modular=modular, ycbcr=not image.xyb and bits.flag())
