"""Decoded frames to code streams (PS3.5 §8.2, Annexes A.4 and G), one frame at a time.

Lossless but for JPEG Baseline, which has to be asked for with a quality (TS-06). Every stream
tells the true depth of its samples, and their sign where the syntax knows one: JPEG and JPEG-LS
do not, there the bits of a negative value are coded as they are (PS3.5 §8.2.1 note 4).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dicomweb_server.dicom.encodable import LOSSY_TARGETS, why_not
from dicomweb_server.dicom.image_pixel import ImagePixel
from dicomweb_server.dicom.pixels import Decoded
from dicomweb_server.dicom.transfer_syntaxes import (
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)
from dicomweb_server.errors import UndecodablePixels

Array = np.ndarray[Any, np.dtype[Any]]

_THUMBNAIL = 64  # pixels: the longest side of the base resolution of HTJ2K RPCL (PS3.5 §10.18)
_DECOMPOSITIONS = 5  # what encoders of JPEG 2000 do unless asked otherwise


def encode_frame(
    frame: Decoded, image: ImagePixel, transfer_syntax_uid: str, *, quality: int | None = None
) -> bytes:
    """Encode one decoded frame as a code stream, or as a frame of RLE; never padded.

    For RLE, which keeps whole cells, `frame` is decoded with all bits of its cells. `quality`,
    1 to 100, is for the lossy target alone. `encoded_interpretation` tells the Photometric
    Interpretation that belongs to the stream.

    Raises UndecodablePixels for what the syntax does not hold (PS3.5 §8.2), for values that
    do not fit Bits Stored where they would be cut, and for a lossy target without a quality.
    """
    reason = why_not(image, frame.photometric_interpretation, transfer_syntax_uid)
    if reason is None and transfer_syntax_uid in LOSSY_TARGETS and quality is None:
        reason = "pixels are compressed with loss only where a quality is given"
    if reason is not None:
        raise UndecodablePixels(reason)
    array = np.ascontiguousarray(frame.array)
    colours = frame.photometric_interpretation
    if transfer_syntax_uid == JPEG_BASELINE:
        return _jpeg_baseline(array, colours, quality or 0)
    bits = _precision(array, image, transfer_syntax_uid)
    try:
        return bytes(_ENCODERS[transfer_syntax_uid](array, bits, colours))
    except Exception as error:  # encoders raise what they like; none of it is the caller's fault
        raise UndecodablePixels("the encoder refuses the frame") from error


def _precision(array: Array, image: ImagePixel, transfer_syntax_uid: str) -> int:
    """Bits of a sample in the code stream: Bits Stored, if every value fits into them.

    Some streams hold more than their Bits Stored tells; their values need the whole cell.
    """
    bits, most = image.bits_stored, 8 * image.dtype.itemsize
    if bits == most or transfer_syntax_uid == RLE_LOSSLESS:
        return bits
    least = -(1 << bits - 1) if image.pixel_representation else 0
    if least <= int(array.min()) and int(array.max()) < least + (1 << bits):
        return bits
    if transfer_syntax_uid == JPEG_LOSSLESS_SV1:  # decoders go by Bits Stored
        raise UndecodablePixels("the pixels have values beyond Bits Stored")
    return most


# --- encoders: contiguous array, bits of a sample, Photometric Interpretation -----------------


def _rle(array: Array, bits: int, colours: str) -> bytes:
    """RLE Lossless (PS3.5 Annex G): one segment a byte of a sample, row by row."""
    from rle.rle import encode_frame as encode

    rows, columns = array.shape[:2]
    samples = array.shape[2] if array.ndim == 3 else 1
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return bytes(encode(little.tobytes(), rows, columns, samples, 8 * array.itemsize, "<"))


def _as_unsigned(array: Array, bits: int) -> Array:
    """The bits of the samples, without the copies of the sign above them."""
    cells = array.view(f"u{array.itemsize}")
    if array.dtype.kind == "i" and bits < 8 * array.itemsize:
        cells = cells & np.array((1 << bits) - 1, cells.dtype)
    return cells


def _narrow(cells: Array, bits: int) -> Array:
    """Encoders take samples of up to 8 bits in bytes."""
    return cells.astype(np.uint8) if bits <= 8 and cells.itemsize > 1 else cells


def _jpeg_ls(array: Array, bits: int, colours: str) -> bytes:
    from jpeg_ls import encode_buffer

    depth = max(8, bits)  # DCMTK and GDCM fail on 6 and 7
    cells = _narrow(_as_unsigned(array, depth), depth)
    rows, columns = array.shape[:2]
    colour = array.ndim == 3
    if array.size < _TINY:
        return _jpeg_ls_tiny(array)
    stream = encode_buffer(
        cells.tobytes(),
        rows,
        columns,
        3 if colour else 1,
        depth,
        interleave_mode=2 if colour else 0,  # by sample: what most decoders know
    )
    return bytes(stream)


_TINY = 256  # samples


def _jpeg_ls_tiny(array: Array) -> bytes:
    """What the buffer of pyjpegls is too short for: of 8 or 16 bits, signs extended over them."""
    import imagecodecs

    return bytes(imagecodecs.jpegls_encode(array.view(f"u{array.itemsize}")))


def _jpeg_lossless(array: Array, bits: int, colours: str) -> bytes:
    """Process 14, selection value 1, which predicts from the left neighbour.

    Colour is always coded as if it were RGB, without a transform. For YBR libjpeg would make two
    Huffman tables, and code with the wrong one (seen with libjpeg-turbo 3.1.3).
    """
    import imagecodecs

    depth = max(2, bits)  # the least of ISO/IEC 10918-1 Table B.2
    cells = _narrow(_as_unsigned(array, bits), depth)
    space = "RGB" if array.ndim == 3 else None
    stream = bytes(
        imagecodecs.jpeg8_encode(
            cells,
            lossless=True,
            predictor=1,
            bitspersample=depth,
            colorspace=space,
            outcolorspace=space,
        )
    )
    return _without_colour_space(stream) if colours == "YBR_FULL" else _without_jfif(stream)


def _without_colour_space(stream: bytes) -> bytes:
    """Leave out the segment and the component identifiers that tell of RGB: in DICOM, the
    Photometric Interpretation tells what the components are."""
    assert stream[2:4] == b"\xff\xee"
    bare = bytearray(stream[:2] + stream[4 + int.from_bytes(stream[4:6]) :])
    frame, scan = bare.index(b"\xff\xc3"), bare.index(b"\xff\xda")
    for component in range(3):
        bare[frame + 10 + 3 * component] = component + 1
        bare[scan + 5 + 2 * component] = component + 1
    return bytes(bare)


def _jpeg_baseline(array: Array, colours: str, quality: int) -> bytes:
    """Process 1; colour as YBR_FULL_422."""
    import imagecodecs

    if not 1 <= quality <= 100:
        raise UndecodablePixels("the quality of JPEG is a number from 1 to 100")
    colour = array.ndim == 3
    try:
        stream = imagecodecs.jpeg8_encode(
            array,
            quality,
            colorspace=_jpeg_space(colours),
            outcolorspace="YCBCR" if colour else None,
            subsampling="422" if colour else None,
        )
    except Exception as error:
        raise UndecodablePixels("the encoder refuses the frame") from error
    return _without_jfif(bytes(stream))


def _jpeg_space(colours: str) -> str | None:
    return {"RGB": "RGB", "YBR_FULL": "YCBCR"}.get(colours)


def _without_jfif(stream: bytes) -> bytes:
    """Leave out the APP0 segment, which had better be absent (PS3.5 §8.2.1 note 3)."""
    if stream[2:4] != b"\xff\xe0":
        return stream
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6]) :]


def _jpeg_2000(array: Array, bits: int, colours: str) -> bytes:
    import imagecodecs

    return bytes(
        imagecodecs.jpeg2k_encode(
            array,
            codecformat="J2K",
            bitspersample=bits,
            reversible=True,
            mct=colours == "RGB",
        )
    )


def _htj2k_rpcl(array: Array, bits: int, colours: str) -> bytes:
    """In RPCL order with a thumbnail at its base, and a TLM segment that tells where each
    resolution begins: one tile part each (PS3.5 §10.18)."""
    import imagecodecs

    levels = max(_DECOMPOSITIONS, (max(array.shape[:2]) - 1).bit_length() - 6)
    assert -(-max(array.shape[:2]) >> levels) <= _THUMBNAIL
    parts = imagecodecs.HTJ2K.TILEPART.RESOLUTIONS
    return _openjph(array, bits, colours, resolutions=levels, tlm=True, tilepart=parts)


def _openjph(array: Array, bits: int, colours: str, **options: Any) -> bytes:
    """HTJ2K; OpenJPH encodes in RPCL order unless told otherwise.

    It knows depths of 8 and 16 bits alone. Samples of fewer bits are given to it with a sign,
    unsigned ones after the level shift (ISO/IEC 15444-1 G.1.2) that a decoder will undo by the
    true depth, which is then written into the header: nothing else of a reversible stream
    depends on it.
    """
    import imagecodecs

    whole = bits == 8 * array.itemsize
    if not whole and array.dtype.kind == "u":
        signed = array.view(f"i{array.itemsize}") - np.array(1 << bits - 1, f"i{array.itemsize}")
    else:
        signed = array
    stream = bytes(imagecodecs.htj2k_encode(signed, rgb=colours == "RGB", **options))
    return stream if whole else _with_depth(stream, bits, signed=array.dtype.kind == "i")


def _with_depth(stream: bytes, bits: int, *, signed: bool) -> bytes:
    """The stream with this depth and sign of all components (ISO/IEC 15444-1 A.5.1, Ssiz)."""
    patched = bytearray(stream)
    for component in range(int.from_bytes(stream[40:42])):
        patched[42 + 3 * component] = (bits - 1) | (0x80 if signed else 0)
    return bytes(patched)


_ENCODERS: dict[str, Callable[[Array, int, str], bytes]] = {
    RLE_LOSSLESS: _rle,
    JPEG_LOSSLESS_SV1: _jpeg_lossless,
    JPEG_LS_LOSSLESS: _jpeg_ls,
    JPEG_2000_LOSSLESS: _jpeg_2000,
    HTJ2K_LOSSLESS: _openjph,
    HTJ2K_LOSSLESS_RPCL: _htj2k_rpcl,
}
