"""What a part of a store request becomes in DICOM, and how its bytes are read with care.

The readers of single formats (``media_jpeg``, ``media_video`` ...) take a buffer that may be a
mapped file larger than memory: they look at headers through `take`, search with regular
expressions, which run in C and in linear time, and copy nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.errors import MalformedContent, MalformedMedia, UnsupportedMedia

_ARC = "1.2.840.10008.1.2.4."
MAX_SIDE = 65535  # the greatest US: Rows, Columns

# The syntax that streams of the first are of too, by arcs: the more general one of a family.
_GENERAL = {
    "70": "57",
    "80": "81",
    "90": "91",
    "92": "93",
    "201": "203",
    "202": "201",
    "110": "112",
    "111": "112",
}
# What has to be the same in all frames, for the image has it once.
_OF_ALL_FRAMES = ("rows", "columns", "samples_per_pixel", "bits_stored", "pixel_representation")


@dataclass(frozen=True, slots=True)
class Media:
    """A code stream to be encapsulated, and what it tells of its image (STOW-16).

    The stream is at `start` up to, not including, `end` in the part: without the file format
    around it, where the transfer syntax wants it bare. The attributes are those of the Image
    Pixel Module (PS3.3 C.7.6.3); all are None for RLE, whose bytes tell nothing. Those that
    tell nothing of the sign of their values (JPEG, JPEG-LS, JPEG XL) give unsigned.
    """

    transfer_syntax_uid: str
    start: int
    end: int
    rows: int | None = None
    columns: int | None = None
    samples_per_pixel: int | None = None
    photometric_interpretation: str | None = None
    # False where it is what such streams mostly are, and this one may be otherwise
    colours_told: bool = True
    planar_configuration: int | None = (
        None  # None where there is one sample: the attribute is absent
    )
    bits_allocated: int | None = None
    bits_stored: int | None = None
    high_bit: int | None = None
    pixel_representation: int | None = None  # 0 unsigned, 1 signed
    lossy: bool = False  # whether this coding loses anything: Lossy Image Compression is "01"
    lossy_method: str | None = None  # Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1)
    number_of_frames: int | None = 1  # None for a video that does not tell
    frame_time: float | None = None  # milliseconds, mean; None if unknown or not a video

    @property
    def cine_rate(self) -> int | None:
        """Cine Rate (0018,0040): whole frames a second, None if unknown."""
        return max(1, round(1000 / self.frame_time)) if self.frame_time else None


@dataclass(frozen=True, slots=True)
class ImageAttributes:
    """The image of a code stream, as its header tells. `colours`: for three samples, and
    `colours_told` whether it is the stream that tells them."""

    rows: int
    columns: int
    samples: int
    precision: int  # bits of a sample
    colours: str = "RGB"  # a photometric interpretation
    colours_told: bool = True
    signed: bool = False


def media_of(
    image: ImageAttributes,
    syntaxes: Sequence[str],
    claimed: str | None,
    start: int,
    end: int,
    lossy_method: str | None,
    number_of_frames: int | None = 1,
    frame_time: float | None = None,
) -> Media:
    """The Media of an image whose stream is of each of `syntaxes`, the first if none is claimed.

    `syntaxes` are given by their arc below 1.2.840.10008.1.2.4. `lossy_method` is None for a
    coding that loses nothing. Raises UnsupportedMedia for an image that has no Image Pixel
    Module: sizes, samples or bits out of range.
    """
    if not (0 < image.rows <= MAX_SIDE and 0 < image.columns <= MAX_SIDE):
        raise UnsupportedMedia("the image has a side of 0, or of more than 65535 pixels")
    if image.samples not in (1, 3):
        raise UnsupportedMedia(f"the image has {image.samples} samples per pixel, not 1 or 3")
    allocated = next((bits for bits in (8, 16, 32) if image.precision <= bits), 0)
    if not allocated or image.precision < 1:
        raise UnsupportedMedia(f"the image has samples of {image.precision} bits")
    uids = [_ARC + arc for arc in syntaxes]
    colour = image.samples == 3
    return Media(
        transfer_syntax_uid=claimed if claimed in uids else uids[0],
        start=start,
        end=end,
        rows=image.rows,
        columns=image.columns,
        samples_per_pixel=image.samples,
        photometric_interpretation=image.colours if colour else "MONOCHROME2",
        colours_told=image.colours_told,
        planar_configuration=0 if colour else None,
        bits_allocated=allocated,
        bits_stored=image.precision,
        high_bit=image.precision - 1,
        pixel_representation=int(image.signed),
        lossy=lossy_method is not None,
        lossy_method=lossy_method,
        number_of_frames=number_of_frames,
        frame_time=frame_time,
    )


def one_image(frames: Iterable[Media]) -> Media:
    """The first of the frames of one image, at least one, with what is true of all of them.

    That is the syntax which all are of, and whether anything was lost in any. Raises
    MalformedContent if they differ in size, samples, bits or sign, or no syntax holds them all.
    """
    first, *others = frames
    together = first
    for frame in others:
        if any(getattr(frame, name) != getattr(first, name) for name in _OF_ALL_FRAMES):
            raise MalformedContent("the frames of one instance differ in size, samples or bits")
        syntax = _syntax_of_both(together.transfer_syntax_uid, frame.transfer_syntax_uid)
        if syntax is None:
            raise MalformedContent("the frames of one instance are of several syntaxes")
        together = replace(
            together,
            transfer_syntax_uid=syntax,
            lossy=together.lossy or frame.lossy,
            lossy_method=together.lossy_method or frame.lossy_method,
        )
    return together


def _syntax_of_both(one: str, other: str) -> str | None:
    """The narrowest that streams of both are of, None without one."""
    of_other = _more_general(other)
    return next((uid for uid in _more_general(one) if uid in of_other), None)


def _more_general(transfer_syntax_uid: str) -> list[str]:
    """A syntax, and those that take all of its streams, from narrow to wide."""
    found = [transfer_syntax_uid]
    while general := _GENERAL.get(found[-1].removeprefix(_ARC)):
        found.append(_ARC + general)
    return found


def take(data: Bytes, offset: int, length: int, end: int | None = None) -> bytes:
    """Copy `length` bytes at `offset`. Raises MalformedMedia if they reach past `end`."""
    limit = len(data) if end is None else min(end, len(data))
    if offset < 0 or length < 0 or offset + length > limit:
        raise MalformedMedia("the bytes end in the middle of a header")
    return bytes(data[offset : offset + length])


def integer(data: Bytes, offset: int, length: int, end: int | None = None) -> int:
    """The big endian number of `length` bytes at `offset`, as `take`."""
    return int.from_bytes(take(data, offset, length, end))
