"""Frame bytes to stored values (PS3.5 §8, PS3.3 C.7.6.3).

A frame comes as it was cut from the file: native and little endian, or one code stream. What
a file claims of its pixels is checked before memory is taken, and whatever a codec raises is
an UndecodablePixels. Codecs are loaded when first needed: importing this module is cheap.
Decoders of untrusted data may still crash or run long: call them in a process one can kill.
"""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.bombs import refuse_bombs
from dicomweb_server.dicom.codestream import (
    CodeStream,
    bare_jpeg2000,
    jpeg2000_header,
    jpeg_header,
    jpeg_xl_header,
)
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.media_jpeg2000 import read_jpeg2000
from dicomweb_server.dicom.rle import decode_rle
from dicomweb_server.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
)
from dicomweb_server.errors import MalformedMedia, UndecodablePixels, UnsupportedMedia

__all__ = ["DECODABLE", "Decoded", "ImagePixel", "decode_frame", "image_pixel"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame.

    `array`: stored values, (rows, columns) or (rows, columns, samples), dtype as
    ImagePixel.dtype; each value right aligned (High Bit = Bits Stored - 1) and sign extended;
    possibly read-only. `photometric_interpretation` tells the colour space of these samples:
    RGB or YBR_FULL after a codec that undoes the transform, never YBR_FULL_422, _RCT or _ICT.
    """

    array: Array
    photometric_interpretation: str


def decode_frame(data: bytes, image: ImagePixel, transfer_syntax_uid: str) -> Decoded:
    """Decode one frame, cut from the file as `data`: native little endian, or one code stream.

    Raises UndecodablePixels for damaged or forged data, for a code stream of another size than
    the image's, and for a transfer syntax that has no decoder (video among them).
    """
    if transfer_syntax_uid in NATIVE:
        return _native(data, image)
    if transfer_syntax_uid == DEFLATED_IMAGE_FRAME:
        return _native(_inflate(data, image), image)
    if image.kind != "integer":
        raise UndecodablePixels("floating point pixels are not compressed by this transfer syntax")
    if transfer_syntax_uid == RLE_LOSSLESS:
        return _rle(data, image)
    codec = CODECS.get(transfer_syntax_uid)
    if codec is None:
        raise UndecodablePixels(f"no decoder of still images for {transfer_syntax_uid!r}")
    if codec.family == "jpeg2000":
        data = bare_jpeg2000(data)
    stream = _header(codec.family, data, image)
    array = _first_that_decodes(codec.decoders, data, image)
    bits = _significant_bits(codec.family, stream, image)
    return Decoded(_stored_values(array, bits, image), _colour_space(codec, stream, image))


# --- native -----------------------------------------------------------------------------------


def _native(data: bytes, image: ImagePixel) -> Decoded:
    """Cells as PS3.5 §8.1.1 lays them out: one after the other, least significant byte first."""
    if image.bits_allocated == 1:
        return Decoded(_packed_bits(data, image), image.photometric_interpretation)
    cells = image.rows * image.columns * image.samples_per_pixel
    interpretation = image.photometric_interpretation
    length = cells * image.bits_allocated // 8
    # Two chroma samples for every two pixels: 2 samples a pixel. Files that carry the name but
    # hold all 3 are common (trap 37), so that the length decides.
    halved = interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422") and len(data) < length
    if halved:
        if image.columns % 2:
            raise UndecodablePixels("chroma shared by pairs of pixels, but Columns is odd")
        cells = image.rows * image.columns * 2
        length = cells * image.bits_allocated // 8
    if len(data) < length:
        raise UndecodablePixels("the frame is shorter than the image's size asks for")
    array = np.frombuffer(data, image.dtype, cells)
    if image.kind == "integer":
        array = _right_aligned(array, image)
    array = _upsampled(array, image) if halved else _shaped(array, image)
    return Decoded(array, _without_subsampling(interpretation))


def _packed_bits(data: bytes, image: ImagePixel) -> Array:
    pixels = image.rows * image.columns
    if len(data) * 8 < pixels:
        raise UndecodablePixels("the frame is shorter than the image's size asks for")
    packed = np.frombuffer(data, np.uint8, (pixels + 7) // 8)
    bits = np.unpackbits(packed, count=pixels, bitorder="little")
    return bits.reshape(image.rows, image.columns).view(image.dtype)


def _right_aligned(array: Array, image: ImagePixel) -> Array:
    """Take the bits from High Bit downward, extend the sign, drop what else is in the cell."""
    left = image.bits_allocated - 1 - image.high_bit
    right = image.bits_allocated - image.bits_stored
    if right == 0:
        return array
    return (array << left) >> right


def _shaped(array: Array, image: ImagePixel) -> Array:
    rows, columns, samples = image.rows, image.columns, image.samples_per_pixel
    if samples == 1:
        return array.reshape(rows, columns)
    if image.planar_configuration == 1:
        planes = array.reshape(samples, rows, columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return array.reshape(rows, columns, samples)


def _upsampled(array: Array, image: ImagePixel) -> Array:
    """Y1 Y2 Cb Cr of a pair of pixels to (Y1, Cb, Cr), (Y2, Cb, Cr) (PS3.3 C.7.6.3.1.2)."""
    pairs = array.reshape(image.rows, image.columns // 2, 4)
    full = np.empty((image.rows, image.columns // 2, 2, 3), array.dtype)
    full[..., 0] = pairs[..., :2]
    full[..., 1] = pairs[..., 2:3]
    full[..., 2] = pairs[..., 3:4]
    return full.reshape(image.rows, image.columns, 3)


def _without_subsampling(interpretation: str) -> str:
    return "YBR_FULL" if interpretation == "YBR_FULL_422" else interpretation


# --- encapsulated, without a code stream's header ---------------------------------------------


def _native_length(image: ImagePixel) -> int:
    bits = image.rows * image.columns * image.samples_per_pixel * image.bits_allocated
    return (bits + 7) // 8


_DEFLATE_RATIO = 1032  # the most that a byte of RFC 1951 makes


def _inflate(data: bytes, image: ImagePixel) -> bytes:
    """Undo Deflated Image Frame Compression (PS3.5 A.4.13), to the frame's length and no more."""
    length = _native_length(image)
    if len(data) * _DEFLATE_RATIO < length:
        raise UndecodablePixels(f"{len(data)} bytes do not inflate to a frame of {length}")
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length)
    except zlib.error as error:
        raise UndecodablePixels("the deflated frame is damaged") from error


def _rle(data: bytes, image: ImagePixel) -> Decoded:
    """Undo RLE Lossless (PS3.5 Annex G), whose colour is by plane whatever is told."""
    samples, size = image.samples_per_pixel, max(1, image.bits_allocated // 8)
    planes = decode_rle(data, samples, size, _native_length(image) // (samples * size))
    interpretation = _without_subsampling(image.photometric_interpretation)
    if image.bits_allocated == 1:
        return Decoded(_packed_bits(planes.tobytes(), image), interpretation)
    values = _right_aligned(planes.reshape(-1).view(image.dtype), image)
    shape = (samples, image.rows, image.columns)
    array = np.ascontiguousarray(values.reshape(shape).transpose(1, 2, 0))
    return Decoded(array[:, :, 0] if samples == 1 else array, interpretation)


# --- encapsulated code streams ----------------------------------------------------------------


def _header(family: str, data: bytes, image: ImagePixel) -> CodeStream:
    """Read the stream's header. Raises UndecodablePixels unless it is as large as the image."""
    if family == "jpeg2000":
        stream = jpeg2000_header(data)
    elif family == "jpegxl":
        stream = jpeg_xl_header(data, image.samples_per_pixel)
    else:
        stream = jpeg_header(data)
    if (stream.rows, stream.columns) != (image.rows, image.columns):
        raise UndecodablePixels(
            f"the code stream holds {stream.rows} x {stream.columns} pixels,"
            f" the image has {image.rows} x {image.columns}"
        )
    if stream.samples != image.samples_per_pixel:
        raise UndecodablePixels(
            f"the code stream has {stream.samples} samples a pixel,"
            f" the image {image.samples_per_pixel}"
        )
    if stream.precision > max(8, image.bits_allocated):
        raise UndecodablePixels("the code stream's samples have more bits than are allocated")
    refuse_bombs(family, stream, len(data), image)
    return stream


def _significant_bits(family: str, stream: CodeStream, image: ImagePixel) -> int:
    """Which bits of a decoded sample count; above them stands the sign, or nothing.

    JPEG 2000 and JPEG-LS keep whole samples of their own precision, whatever Bits Stored says;
    a JPEG stream's precision is often rounded up to 16 by its encoder.
    """
    if family in ("jpeg2000", "jpegls"):
        return stream.precision
    return image.bits_stored


def _stored_values(array: Array, bits: int, image: ImagePixel) -> Array:
    """Give decoded samples the image's dtype and sign.

    JPEG and JPEG-LS know no sign, and a JPEG 2000 stream may tell another one than Pixel
    Representation, which is right: so the sample's bits are taken as they are and the highest
    of them, if it is a sign, is extended over the cell.
    """
    shape: tuple[int, ...] = (image.rows, image.columns)
    if image.samples_per_pixel > 1:
        shape = (*shape, image.samples_per_pixel)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise UndecodablePixels("the code stream holds another image than its header tells")
    cells = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    values = cells.astype(f"u{image.dtype.itemsize}", copy=False).view(image.dtype)
    unused = 8 * image.dtype.itemsize - bits
    return (values << unused) >> unused if unused > 0 else values


def _colour_space(codec: "Codec", stream: CodeStream, image: ImagePixel) -> str:
    """The Photometric Interpretation of the decoded samples."""
    told = image.photometric_interpretation
    if image.samples_per_pixel == 1:
        return told
    # RCT and ICT are inverted by every codec that knows them
    if codec.gives_rgb or told in ("YBR_RCT", "YBR_ICT") or stream.colours == "RGB":
        return "RGB"
    if codec.family == "jpeg" and stream.colours == "YBR":
        return "YBR_FULL"
    return _without_subsampling(told)


Decoder = Callable[[bytes, ImagePixel], Any]


def _first_that_decodes(decoders: tuple[Decoder, ...], data: bytes, image: ImagePixel) -> Array:
    failure: Exception | None = None
    for decoder in decoders:
        try:
            return np.asarray(decoder(data, image))
        except UndecodablePixels:
            raise  # damaged, however lenient the next one may be
        except Exception as error:
            failure = error
    raise UndecodablePixels("the compressed frame is damaged") from failure


def _libjpeg(data: bytes, image: ImagePixel) -> Any:
    """JPEG of 8, 12 or 16 bits, lossy or lossless; samples as coded, without colour conversion."""
    import imagecodecs

    # libjpeg fills what is missing with grey and only warns, which nobody would see
    _require_end(data)
    if image.samples_per_pixel == 1:
        return imagecodecs.jpeg8_decode(data)
    return imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="YCBCR")


def _charls(data: bytes, image: ImagePixel) -> Any:
    import imagecodecs

    _require_end(data)  # CharLS reads zeros beyond the end of a cut stream, for half a minute
    return imagecodecs.jpegls_decode(data)


def _require_end(data: bytes) -> None:
    """Raises UndecodablePixels if the End Of Image marker is not near the end of the stream."""
    if b"\xff\xd9" not in data[-256:]:
        raise UndecodablePixels("the JPEG stream has no end")


def _imagecodecs_openjpeg(data: bytes, image: ImagePixel) -> Any:
    import imagecodecs

    return imagecodecs.jpeg2k_decode(data)


def _openjpeg(data: bytes, image: ImagePixel) -> Any:
    from openjpeg.utils import decode

    return decode(data)


def _openjph(data: bytes, image: ImagePixel) -> Any:
    import imagecodecs

    try:
        read_jpeg2000(data, None)  # OpenJPH makes up what is missing of a cut stream, and is silent
    except (MalformedMedia, UnsupportedMedia):
        raise UndecodablePixels("the HTJ2K stream is damaged or cut off") from None
    # imagecodecs cannot raise what OpenJPH says of damaged code blocks, and gives black for them
    failures: list[str] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda what: failures.append(str(what))
    try:
        decoded = imagecodecs.htj2k_decode(data, planar=False)
    finally:
        sys.unraisablehook = before
    if failures:
        raise UndecodablePixels("the HTJ2K stream is damaged")
    return decoded


def _libjxl(data: bytes, image: ImagePixel) -> Any:
    import imagecodecs

    return imagecodecs.jpegxl_decode(data)


@dataclass(frozen=True, slots=True)
class Codec:
    """What decodes a transfer syntax: functions tried in order, and how its header is read."""

    family: str  # jpeg, jpegls, jpeg2000 or jpegxl
    decoders: tuple[Decoder, ...]
    gives_rgb: bool = False  # the decoder undoes whatever colour transform the stream has


NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,  # frames are swapped when they are cut
        ENCAPSULATED_UNCOMPRESSED,
    }
)

_JPEG_2000 = Codec("jpeg2000", (_imagecodecs_openjpeg, _openjpeg))
# OpenJPH first where all is lossless: twice as fast. Its values of a lossy stream wrap around
# instead of being held at the ends of their range (seen with HTJ2K_08_RGB of pydicom-data).
_HTJ2K_LOSSLESS = Codec("jpeg2000", (_openjph, _openjpeg))
_JPEG = Codec("jpeg", (_libjpeg,))
_JPEG_LS = Codec("jpegls", (_charls,))
_JPEG_XL = Codec("jpegxl", (_libjxl,), gives_rgb=True)

CODECS: dict[str, Codec] = {
    "1.2.840.10008.1.2.4.50": _JPEG,
    "1.2.840.10008.1.2.4.51": _JPEG,
    "1.2.840.10008.1.2.4.53": _JPEG,  # progressive: this and the next are retired
    "1.2.840.10008.1.2.4.55": _JPEG,
    "1.2.840.10008.1.2.4.57": _JPEG,
    "1.2.840.10008.1.2.4.70": _JPEG,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
    "1.2.840.10008.1.2.4.90": _JPEG_2000,
    "1.2.840.10008.1.2.4.91": _JPEG_2000,
    "1.2.840.10008.1.2.4.110": Codec("jpegxl", (_libjxl,)),
    "1.2.840.10008.1.2.4.111": _JPEG_XL,
    "1.2.840.10008.1.2.4.112": _JPEG_XL,
    "1.2.840.10008.1.2.4.201": _HTJ2K_LOSSLESS,
    "1.2.840.10008.1.2.4.202": _HTJ2K_LOSSLESS,
    "1.2.840.10008.1.2.4.203": Codec("jpeg2000", (_openjpeg,)),
}

# Every transfer syntax whose frames can be decoded
DECODABLE: frozenset[str] = NATIVE | {DEFLATED_IMAGE_FRAME, RLE_LOSSLESS} | CODECS.keys()
