"""Pictures that DICOM does not encapsulate, PNG and GIF, as native Pixel Data (STOW-16).

Nothing of the picture is lost that DICOM can hold: palettes become RGB, alpha and transparency
are dropped (PS3.18 §10.5), animations become full frames.

The file's own headers tell the size and the number of frames, and both are held against a limit
before Pillow decodes anything. Call this in a process that one can kill.
"""

import struct
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import MAX_SIDE, integer, take
from dicomweb_server.errors import ContentTooLarge, MalformedMedia, UnsupportedMedia

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BLOCKS = 1 << 24  # of a file: chunks of PNG, sub-blocks of GIF, of 255 bytes and less

_PNG, _GIF = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
_GREY, _PALETTE, _GREY_ALPHA = 0, 3, 4  # colour types of PNG (RFC 2083 §4.1.1)
_OF_ALL_FRAMES = ("rows", "columns", "samples", "bits")  # of Header
_CONTROL, _EXTENSION, _IMAGE, _TRAILER = 0xF9, 0x21, 0x2C, 0x3B  # of GIF


@dataclass(frozen=True, slots=True)
class NativePixels:
    """A decoded picture: attributes of the Image Pixel Module (PS3.3 C.7.6.3), and its frames.

    `frames` gives each frame's bytes once, in order, of rows x columns x samples_per_pixel
    cells of bits_allocated, little endian, colour by pixel; there are `number_of_frames` of
    them. Giving them raises MalformedMedia where the file turns out to be damaged.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str  # MONOCHROME2 or RGB
    planar_configuration: int | None  # None where there is one sample
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    palette: bool  # whether RGB comes of a palette
    rescaled: bool  # whether grey of fewer bits was spread over 8
    number_of_frames: int
    frame_times: Sequence[float]  # milliseconds of each; empty if still, or if all are 0
    frames: Iterator[bytes]


@dataclass(slots=True)
class Cells:
    """What the cells of decoded frames hold, as far as it tells the bits that they need."""

    bits: int  # Bits Allocated: 8 or 16
    used: int = 0  # the bits that are 1 anywhere
    least: int = 0  # in two's complement
    greatest: int = 0

    def add(self, frame: bytes) -> None:
        """Take in one frame, little endian."""
        values = np.frombuffer(frame, f"<i{self.bits // 8}")
        self.used |= int(np.bitwise_or.reduce(values)) & (1 << self.bits) - 1
        self.least = min(self.least, int(values.min()))
        self.greatest = max(self.greatest, int(values.max()))

    def fit(self, stored: int, high: int, signed: bool) -> bool:
        """Whether `stored` bits with the highest at bit `high` hold every value (PS3.5 §8.1.1).

        The bits around them are 0, or those above them repeat the sign.
        """
        low = high + 1 - stored
        if stored < 1 or low < 0 or high >= self.bits:
            return False
        if not self.used & ~((1 << high + 1) - (1 << low)):
            return True
        extended = -(1 << high) <= self.least and self.greatest < 1 << high
        return signed and extended and not self.used & (1 << low) - 1


@dataclass(slots=True)
class Header:
    """What a file says of itself. `times`: how long each frame is shown, in milliseconds."""

    rows: int
    columns: int
    samples: int = 3
    bits: int = 8
    palette: bool = False
    rescaled: bool = False
    frames: int = 0
    times: "array[float]" = field(default_factory=lambda: array("d"))


def decode_to_native(
    media_type: str, sources: Sequence[Path | Bytes], pixel_limit: int
) -> NativePixels:
    """Decode PNG or GIF files, `sources` being their paths or their bytes.

    One file may be an animation; of several each is one frame, in their order (PS3.18 §10.5.1.2).
    Grey PNG of 16 bits keeps them, grey of fewer has 8, and everything else is RGB of 8 bits.
    All frames together may take `pixel_limit` bytes. Raises ContentTooLarge beyond that,
    UnsupportedMedia for another media type and for colours of 16 bits, MalformedMedia for a
    damaged file, and for several that are not frames of one image.
    """
    reader = _READERS.get(media_type)
    if reader is None:
        raise UnsupportedMedia("parts of this media type are not decoded to pixel data")
    header = _header(reader, sources[0])
    number_of_frames = header.frames if len(sources) == 1 else len(sources)
    frame_bytes = header.rows * header.columns * header.samples * header.bits // 8
    if frame_bytes * number_of_frames > pixel_limit:
        raise ContentTooLarge("the picture is larger, once decoded, than the server takes")
    if len(sources) > 1:
        _check_frames(header, (_header(reader, source) for source in sources))
    colour = header.samples == 3
    animated = header.frames > 1 and any(header.times)
    return NativePixels(
        rows=header.rows,
        columns=header.columns,
        samples_per_pixel=header.samples,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        planar_configuration=0 if colour else None,
        bits_allocated=header.bits,
        bits_stored=header.bits,
        high_bit=header.bits - 1,
        pixel_representation=0,
        palette=header.palette,
        rescaled=header.rescaled,
        number_of_frames=number_of_frames,
        frame_times=header.times if animated else (),
        # One file after the other is open, and so are their headers read: there may be many.
        frames=(
            frame for source in sources for frame in _decoded(_opened(source), media_type, header)
        ),
    )


def _check_frames(first: Header, headers: Iterable[Header]) -> None:
    """Raise MalformedMedia unless all can be frames of one image, `first` being one of them.

    Afterwards that says of its values what is true of all.
    """
    for header in headers:
        if header.frames > 1:
            raise MalformedMedia("an animation is one of several parts")
        if any(getattr(header, name) != getattr(first, name) for name in _OF_ALL_FRAMES):
            raise MalformedMedia("the frames of one instance differ in size, samples or bits")
        first.palette &= header.palette
        first.rescaled |= header.rescaled


def _header(reader: Callable[[Bytes], Header], source: Path | Bytes) -> Header:
    """What a file says of itself, with a size that DICOM can hold."""
    header = reader(_opened(source))
    if not (0 < header.rows <= MAX_SIDE and 0 < header.columns <= MAX_SIDE):
        raise UnsupportedMedia("the picture has a side of 0, or of more than 65535 pixels")
    if header.frames == 0:
        raise MalformedMedia("the file holds no picture")
    return header


def _opened(source: Path | Bytes) -> Bytes:
    if not isinstance(source, Path):
        return source
    with source.open("rb") as file:
        try:
            return mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError as error:  # nothing can be mapped of an empty file
            raise MalformedMedia("the file is empty") from error


# --- headers ----------------------------------------------------------------------------------


def _png_header(data: Bytes) -> Header:
    """The chunks of a PNG file (RFC 2083), those of animations among them."""
    if take(data, 0, min(8, len(data))) != _PNG:
        raise MalformedMedia("the part is not a PNG file")
    header: Header | None = None
    stated = 0
    for kind, start, length in _chunks(data):
        if kind == b"IHDR" and header is None:
            header = _image_header(take(data, start, 13))
        elif header is None:
            raise MalformedMedia("the PNG file does not begin with its header")
        elif kind == b"acTL":
            stated = integer(data, start, 4)
        elif kind == b"fcTL" and length >= 26:
            header.frames += 1
            over, under = struct.unpack(">HH", take(data, start + 20, 4))
            header.times.append(1000 * over / (under or 100))
    if header is None:
        raise MalformedMedia("the PNG file is cut off")
    if header.frames != stated:
        raise MalformedMedia("the PNG file has not the frames that it states")
    header.frames = stated or 1
    if header.bits > 8 and header.frames > 1:
        raise UnsupportedMedia("the animation has 16 bits per sample")
    return header


def _chunks(data: Bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, offset and length of each chunk. Raises MalformedMedia where one is cut off."""
    offset = len(_PNG)
    for _ in range(MAX_BLOCKS):
        length, kind = struct.unpack(">I4s", take(data, offset, 8))
        if offset + 12 + length > len(data):
            raise MalformedMedia("the PNG file is cut off")
        yield kind, offset + 8, length
        if kind == b"IEND":
            return
        offset += 12 + length
    raise MalformedMedia("the PNG file has too many chunks")


def _image_header(content: bytes) -> Header:
    columns, rows, depth, colour_type = struct.unpack(">IIBB", content[:10])
    grey = colour_type in (_GREY, _GREY_ALPHA)
    if depth == 16 and colour_type != _GREY:
        # Pillow would halve them without a word
        raise UnsupportedMedia("the picture has 16 bits per sample, and more than one sample")
    return Header(
        rows,
        columns,
        samples=1 if grey else 3,
        bits=16 if depth == 16 else 8,
        palette=colour_type == _PALETTE,
        rescaled=grey and depth < 8,
    )


def _gif_header(data: Bytes) -> Header:
    """The blocks of a GIF file (GIF89a §17 to §27): how many frames, and how long they show."""
    if take(data, 0, min(6, len(data))) not in _GIF:
        raise MalformedMedia("the part is not a GIF file")
    columns, rows, flags = struct.unpack("<HHB", take(data, 6, 5))
    header = Header(rows, columns, palette=True)
    offset = 13 + _table(flags)
    shown = 0  # milliseconds, of the frame that comes next
    blocks = iter(range(MAX_BLOCKS))
    for _ in blocks:
        kind = integer(data, offset, 1)
        if kind == _TRAILER:
            return header
        if kind == _EXTENSION:
            if integer(data, offset + 1, 1) == _CONTROL:
                shown = 10 * int.from_bytes(take(data, offset + 4, 2), "little")
            offset = _after_sub_blocks(data, offset + 2, blocks)
        elif kind == _IMAGE:
            left, top, width, height, flags = struct.unpack("<HHHHB", take(data, offset + 1, 9))
            if left + width > columns or top + height > rows:
                raise MalformedMedia("a frame of the GIF file is larger than its screen")
            header.frames += 1
            header.times.append(shown)
            shown = 0
            offset = _after_sub_blocks(data, offset + 11 + _table(flags), blocks)
        else:
            break
    raise MalformedMedia("the GIF file is damaged")


def _table(flags: int) -> int:
    """Bytes of the colour table that such flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_sub_blocks(data: Bytes, offset: int, blocks: Iterator[int]) -> int:
    for _ in blocks:
        length = integer(data, offset, 1)
        offset += 1 + length
        if not length:
            return offset
    raise MalformedMedia("the GIF file has too many blocks")


_READERS: dict[str, Callable[[Bytes], Header]] = {
    "image/png": _png_header,
    "image/gif": _gif_header,
}
NATIVE_TYPES: tuple[str, ...] = tuple(_READERS)


# --- frames -----------------------------------------------------------------------------------


def _decoded(data: Bytes, media_type: str, header: Header) -> Iterator[bytes]:
    """Each frame of the file, as NativePixels has them."""
    with _pillow(header) as pillow:
        image = pillow.open(_file(data), formats=[media_type.removeprefix("image/").upper()])
    first = int(bool(image.info.get("default_image")))  # one that no animation shows
    for number in range(header.frames):
        with _pillow(header):
            frame = _pixels(image, first + number, header)
        yield frame


@contextmanager
def _pillow(header: Header) -> Iterator[Any]:
    """Pillow's Image module, its limit as the header tells, its exceptions ours."""
    from PIL import Image

    # Pixels of one frame. The header was held against our limit; Pillow reads it for itself,
    # and raises at twice that. Others in this process have limits of their own.
    others = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = header.rows * header.columns
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of transparency that is lost, as it should be
            yield Image
    except Exception as error:  # damaged files raise whatever they make go wrong
        raise MalformedMedia("the picture is damaged") from error
    finally:
        Image.MAX_IMAGE_PIXELS = others


def _file(data: Bytes) -> Any:
    if isinstance(data, mmap):
        data.seek(0)
        return data
    return BytesIO(data)


def _pixels(image: "Image", number: int, header: Header) -> bytes:
    image.seek(number)
    mode = "RGB" if header.samples == 3 else "I;16" if header.bits == 16 else "L"
    frame = image if image.mode == mode else image.convert(mode)
    if frame.size != (header.columns, header.rows):
        raise MalformedMedia("the picture is of another size than its header tells")
    return frame.tobytes()
