"""Displayed pictures as files of the rendered media types (PS3.18 Table 8.7.4-1), with the ICC
profile of their colours where the type has a place for one."""

from collections.abc import Callable
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np

from dicomweb_server.dicom.viewing import DEFAULT_QUALITY, RENDERED_TYPES
from dicomweb_server.errors import NotAcceptable, UndecodablePixels

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_JPEG_SIDE = 65500  # pixels; libjpeg's own limit


def encode(
    array: Picture, media_type: str, quality: int = DEFAULT_QUALITY, profile: bytes = b""
) -> bytes:
    """A picture, (rows, columns) or (rows, columns, 3) of uint8, as a file.

    `quality`, 1 to 100, is for JPEG (baseline, Huffman coded, YCbCr or one grey component), JP2
    and JPEG XL, which lose nothing at 100; the others never do. `profile`: the ICC profile of the
    colours, empty for none; left out where the type has no place for it.

    Raises NotAcceptable for a media type that is not of RENDERED_TYPES, and UndecodablePixels for
    a picture larger than the format can hold.
    """
    encoder = _ENCODERS.get(media_type)
    if encoder is None:
        raise NotAcceptable(RENDERED_TYPES)
    try:
        return encoder(np.ascontiguousarray(array), quality, profile)
    except Exception as error:  # encoders raise what they like
        raise UndecodablePixels(f"the picture cannot be made {media_type}") from error


def _jpeg(array: Picture, quality: int, profile: bytes) -> bytes:
    """Byte for byte what Pillow writes, in four fifths of the time."""
    import imagecodecs

    if max(array.shape[:2]) > _JPEG_SIDE:
        raise ValueError("too large")
    if profile:
        return _jpeg_with_profile(array, quality, profile)
    if array.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(array, level=quality))
    # Text burned into colour images frays where the chroma is halved
    subsampling = "444" if quality >= 90 else "422"
    return bytes(
        imagecodecs.jpeg8_encode(
            array, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling=subsampling
        )
    )


def _jpeg_with_profile(array: Picture, quality: int, profile: bytes) -> bytes:
    from PIL import Image

    file = BytesIO()
    more = {"subsampling": "4:4:4" if quality >= 90 else "4:2:2"} if array.ndim == 3 else {}
    Image.fromarray(array).save(file, "JPEG", quality=quality, icc_profile=profile, **more)
    return file.getvalue()


def _png(array: Picture, quality: int, profile: bytes) -> bytes:
    from PIL import Image

    file = BytesIO()
    # Level 1 takes a quarter of the time of the default for a tenth more bytes
    more: dict[str, Any] = {"icc_profile": profile} if profile else {}
    Image.fromarray(array).save(file, "PNG", compress_level=1, **more)
    return file.getvalue()


def _gif(array: Picture, quality: int, profile: bytes) -> bytes:
    from PIL import Image

    file = BytesIO()
    image = Image.fromarray(array)
    if array.ndim == 3 and image.width * image.height > _LARGE:
        image = image.quantize(palette=_palette(array), dither=Image.Dither.NONE)
    image.save(file, "GIF")
    return file.getvalue()


# Pixels of a picture of which not all are looked at to choose the 256 colours of a GIF: of
# 4,000,000 that takes 5 s. And those that are.
_LARGE, _SAMPLE = 1 << 20, 1 << 17
_FREQUENT = 224  # colours


def _palette(array: Picture) -> Any:
    """A picture with a palette for `array`: most of its colours by how often they are, of pixels
    taken evenly, the others so that whatever is small has one as well."""
    from PIL import Image

    step = ceil((array.shape[0] * array.shape[1] / _SAMPLE) ** 0.5)
    kinds = np.zeros((1 << 15, 3), np.uint8)  # one colour of each that is to be told from others
    seen = np.zeros(1 << 15, bool)
    for row in array:
        parts = (row >> 3).astype(np.int32)
        kind = parts[:, 0] << 10 | parts[:, 1] << 5 | parts[:, 2]
        kinds[kind] = row
        seen[kind] = True
    taken = Image.fromarray(np.ascontiguousarray(array[::step, ::step]))
    others = Image.fromarray(kinds[seen][:, np.newaxis])
    colours = [
        *(taken.quantize(_FREQUENT).getpalette() or [])[: 3 * _FREQUENT],
        *(others.quantize(256 - _FREQUENT, Image.Quantize.MAXCOVERAGE).getpalette() or []),
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours[: 3 * 256])
    return palette


def _jp2(array: Picture, quality: int, profile: bytes) -> bytes:
    """The codec's measure is the noise of all of a picture, which one that is mostly empty meets
    without the little there is in it: where too much of that is lost, nothing is."""
    stream = b"" if quality == 100 else _jpeg2000(array, 30 + quality // 5)
    if not stream or _has_lost(array, stream, 104 - quality):
        stream = _jpeg2000(array, None)
    return _in_boxes(stream, b"jp2 ", array, profile)


def _jpeg2000(array: Picture, level: int | None) -> bytes:
    """`level`: dB of the peak signal over the noise; None: reversible."""
    import imagecodecs

    reversible = level is None
    return bytes(
        imagecodecs.jpeg2k_encode(
            array, level=level, codecformat="J2K", reversible=reversible, mct=array.ndim == 3
        )
    )


def _has_lost(array: Picture, stream: bytes, limit: int) -> bool:
    """Whether a sample is off by more than `limit`, or the whole picture is lighter or darker."""
    import imagecodecs

    decoded = imagecodecs.jpeg2k_decode(stream).reshape(array.shape)
    difference = np.maximum(decoded, array) - np.minimum(decoded, array)
    return bool(difference.max() > limit or abs(decoded.mean() - array.mean()) > 1)


def _jph(array: Picture, quality: int, profile: bytes) -> bytes:
    """Reversible whatever the quality: of a lossy stream the values wrap around in OpenJPH."""
    import imagecodecs

    stream = imagecodecs.htj2k_encode(array, rgb=array.ndim == 3, reversible=True)
    return _in_boxes(bytes(stream), b"jph ", array, profile)


def _jxl(array: Picture, quality: int, profile: bytes) -> bytes:
    """The stream says that it is sRGB by itself; the encoder takes no other profile."""
    import imagecodecs

    lossless = quality == 100
    stream = imagecodecs.jpegxl_encode(
        array, level=None if lossless else quality, lossless=lossless, effort=3, numthreads=1
    )
    return bytes(stream)


_ENCODERS: dict[str, Callable[[Picture, int, bytes], bytes]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/jp2": _jp2,
    "image/jph": _jph,
    "image/jxl": _jxl,
}

# Colour spaces by number (ISO/IEC 15444-1 Table I.10)
_SRGB, _SGREY = 16, 17


def _in_boxes(stream: bytes, brand: bytes, array: Picture, profile: bytes) -> bytes:
    """A JPEG 2000 code stream in the boxes of JP2 (ISO/IEC 15444-1 Annex I) or JPH (15444-15)."""
    rows, columns = array.shape[:2]
    samples = 1 if array.ndim == 2 else array.shape[2]
    size = rows.to_bytes(4) + columns.to_bytes(4) + samples.to_bytes(2)
    header = _box(b"ihdr", size + bytes([7, 7, 0, 0]))  # 8 bits, JPEG 2000, no property rights
    if profile:
        header += _box(b"colr", bytes([2, 0, 0]) + profile)
    else:
        header += _box(b"colr", bytes([1, 0, 0]) + (_SRGB if samples == 3 else _SGREY).to_bytes(4))
    return (
        _box(b"jP  ", b"\r\n\x87\n")
        + _box(b"ftyp", brand + bytes(4) + brand)
        + _box(b"jp2h", header)
        + _box(b"jp2c", stream)
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content
