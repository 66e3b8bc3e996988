"""What the header of a compressed frame says of it: its size, its depth, its colours.

Read before any codec sees the frame, so that a forged header is refused before memory is
taken for what it promises. Each function takes one frame's bytes, looks at the header alone
in linear time, and raises UndecodablePixels if there is no header to read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dicomweb_server.errors import UndecodablePixels

_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL "

# Start Of Frame markers of ISO/IEC 10918-1 Table B.1, and of JPEG-LS (ISO/IEC 14495-1)
_SOF = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_RGB_IDS = ([82, 71, 66], [114, 103, 98])  # "RGB", "rgb"


@dataclass(frozen=True, slots=True)
class CodeStream:
    """The header of one compressed frame.

    `precision` is the number of bits of a sample, 0 if the header was not read so far.
    `colours` is "RGB" or "YBR" where the stream itself tells, else empty. `tiles`: into how many
    the picture is cut, in JPEG 2000.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    colours: str = ""
    tiles: int = 1


def jpeg_header(data: bytes) -> CodeStream:
    """Read the header of a JPEG (ISO/IEC 10918-1) or JPEG-LS (ISO/IEC 14495-1) stream."""
    if data[:2] != b"\xff\xd8":
        raise UndecodablePixels("the frame is not a JPEG stream")
    jfif = False
    adobe: int | None = None  # the colour transform of the APP14 segment: 0 none, 1 YCbCr
    offset = 2
    while offset + 4 <= len(data):
        if data[offset] != 0xFF:
            break
        marker = data[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        if marker in _WITHOUT_LENGTH:
            offset += 2
            continue
        length = int.from_bytes(data[offset + 2 : offset + 4])
        segment = data[offset + 4 : offset + 2 + length]
        if marker in _SOF:
            return _start_of_frame(segment, jfif, adobe)
        if marker == 0xE0 and segment.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment[11]
        offset += 2 + length
    raise UndecodablePixels("the JPEG stream has no frame header")


def _start_of_frame(segment: bytes, jfif: bool, adobe: int | None) -> CodeStream:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise UndecodablePixels("the JPEG stream's frame header is cut off")
    samples = segment[5]
    ids = [segment[6 + 3 * n] for n in range(samples)]
    sampling = [segment[7 + 3 * n] for n in range(samples)]
    colours = ""
    if samples == 3:
        if ids in _RGB_IDS:
            colours = "RGB"
        elif jfif:
            colours = "YBR"
        elif adobe is not None:
            colours = "YBR" if adobe else "RGB"
        elif sampling[0] != sampling[1]:  # nobody halves the green
            colours = "YBR"
    return CodeStream(
        rows=int.from_bytes(segment[1:3]),
        columns=int.from_bytes(segment[3:5]),
        samples=samples,
        precision=segment[0],
        colours=colours,
    )


def jpeg2000_header(data: bytes) -> CodeStream:
    """Read the SIZ segment (ISO/IEC 15444-1 A.5.1) of a bare JPEG 2000 or HTJ2K stream."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 43:
        raise UndecodablePixels("the frame is not a JPEG 2000 stream")
    right, bottom, left, top, width, height, tile_left, tile_top = (
        int.from_bytes(data[n : n + 4]) for n in range(8, 40, 4)
    )
    samples = int.from_bytes(data[40:42])
    components = [data[42 + 3 * n : 45 + 3 * n] for n in range(min(samples, 4))]
    if any(component != components[0][:1] + b"\x01\x01" for component in components):
        raise UndecodablePixels("the JPEG 2000 stream has components of several depths or sizes")
    if not width or not height:
        raise UndecodablePixels("the JPEG 2000 stream has tiles without a size")
    if not (
        tile_left <= left < min(right, tile_left + width)
        and tile_top <= top < min(bottom, tile_top + height)
    ):
        raise UndecodablePixels("the JPEG 2000 stream has tiles that begin outside the image")
    depth = data[42]
    return CodeStream(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        tiles=-(-(right - tile_left) // width) * -(-(bottom - tile_top) // height),
    )


def bare_jpeg2000(data: bytes) -> bytes:
    """Take a JPEG 2000 stream out of the JP2 file that some put around it, against PS3.5 A.4.4."""
    if not data.startswith(_JP2_SIGNATURE):
        return data
    for _, content in _boxes(data, b"jp2c"):
        return content
    raise UndecodablePixels("the JP2 file holds no code stream")


# Aspect ratios of ISO/IEC 18181-1, SizeHeader
_JXL_HEADER = 32  # bytes that hold the signature, the longest sizes, and what is read after them
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jpeg_xl_header(data: bytes, samples: int) -> CodeStream:
    """Read the size and depth of a JPEG XL stream (ISO/IEC 18181-1), bare or in its container.

    The number of `samples` stands too deep in the stream to be read here; it is taken as told.
    Raises UndecodablePixels for streams of more than one picture, too: of animations, previews
    and further channels, which a decoder would take memory for.
    """
    start = data[:_JXL_HEADER] if data[:2] == b"\xff\x0a" else _jxl_start(data)
    if start[:2] != b"\xff\x0a":
        raise UndecodablePixels("the frame is not a JPEG XL stream")
    bits = _Bits(int.from_bytes(start[2:], "little"))
    rows, columns = _jxl_sizes(bits)
    return CodeStream(rows, columns, samples, _jxl_depth(bits))


def _jxl_sizes(bits: "_Bits") -> tuple[int, int]:
    """Rows and columns of a SizeHeader."""
    small = bool(bits.take(1))
    rows = _jxl_size(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return rows, _jxl_size(bits, small)
    numerator, denominator = _JXL_RATIOS[ratio - 1]
    return rows, rows * numerator // denominator


def _jxl_depth(bits: "_Bits") -> int:
    """Bits of a sample, from the beginning of the ImageMetadata; 0 for floating point."""
    if bits.take(1):  # all as it mostly is
        return 8
    several = False
    if bits.take(1):
        bits.take(3)  # orientation
        if bits.take(1):
            _jxl_sizes(bits)  # that it is to be shown in
        several = bool(bits.take(1) or bits.take(1))  # a preview, or an animation
    depth = 0
    if not several:
        floating = bits.take(1)
        choice = bits.take(2)
        depth = (8, 10, 12)[choice] if choice < 3 else 1 + bits.take(6)
        if floating:
            bits.take(4)  # of the exponent
            depth = 0
        bits.take(1)  # whether 16 bits are enough to calculate in
        several = bits.take(2) != 0  # further channels
    if several:
        raise UndecodablePixels("the JPEG XL stream holds more than one picture")
    return depth


def _jxl_start(data: bytes) -> bytes:
    """The first bytes of the stream in a container, where it is whole or in numbered parts."""
    start = b""
    if data.startswith(_JXL_SIGNATURE):
        for kind, content in _boxes(data, b"jxlc", b"jxlp"):
            start += content[4 if kind == b"jxlp" else 0 :][:_JXL_HEADER]
            if len(start) >= _JXL_HEADER:
                break
    return start


class _Bits:
    """Takes bits from the least significant end."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _jxl_size(bits: _Bits, small: bool) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _boxes(data: bytes, *kinds: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box of `kinds` in an ISO base media file, in their order."""
    offset = 0
    while offset + 8 <= len(data):
        length = int.from_bytes(data[offset : offset + 4])
        kind = data[offset + 4 : offset + 8]
        begin = offset + 8
        if length == 1:
            length = int.from_bytes(data[begin : begin + 8])
            begin += 8
        end = offset + length if length else len(data)  # 0: to the end of the file
        if end < begin:
            return
        if kind in kinds:
            yield kind, data[begin:end]
        offset = end
