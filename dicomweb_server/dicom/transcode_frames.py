"""One stored frame made into a frame of another transfer syntax: native bytes or a code stream."""

from dataclasses import replace

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encodable import has_overlay_in_cells
from dicomweb_server.dicom.encode_frames import encode_frame
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.pixels import NATIVE, Decoded, decode_frame
from dicomweb_server.dicom.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    EXPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
)
from dicomweb_server.errors import UndecodablePixels

# Their frames are cells as native data has them: bits that Bits Stored leaves out, too.
_WHOLE_CELLS = NATIVE | {RLE_LOSSLESS, DEFLATED_IMAGE_FRAME}


def image_to_decode(image: ImagePixel, stored: str, target: str) -> ImagePixel:
    """The image as its frames are to be decoded on their way from one syntax to another.

    Where both keep whole cells, all bits of a cell are taken for its value, so that none is lost.
    """
    if target not in _WHOLE_CELLS or stored not in _WHOLE_CELLS or image.kind != "integer":
        return image
    return replace(image, bits_stored=image.bits_allocated, high_bit=image.bits_allocated - 1)


def has_values_right_aligned(stored: str, target: str) -> bool:
    """Whether frames on their way between these syntaxes get High Bit = Bits Stored - 1."""
    return target not in _WHOLE_CELLS or stored not in _WHOLE_CELLS


def refuse_to_lose_overlays(attributes: JsonDataset, stored: str, target: str) -> None:
    """Raises UndecodablePixels if an overlay within pixel cells would not be kept."""
    if stored in _WHOLE_CELLS and target not in _WHOLE_CELLS and has_overlay_in_cells(attributes):
        raise UndecodablePixels("an overlay in the unused bits of the pixels would be lost")


def transcode_frame(
    frame: bytes,
    attributes: JsonDataset,
    stored: str,
    target: str,
    *,
    quality: int | None = None,
) -> bytes:
    """One frame, cut from its file as `frame`, in the transfer syntax `target`.

    `attributes`: the instance's DICOM JSON object. For Explicit VR Little Endian the answer are
    its native bytes, else a code stream without padding; `quality` as for encode_frame.
    Raises UndecodablePixels.
    """
    if stored == target:
        return frame
    refuse_to_lose_overlays(attributes, stored, target)
    image = image_pixel(attributes)
    decoding = image_to_decode(image, stored, target)
    decoded = decode_frame(frame, decoding, stored)
    if target == EXPLICIT_VR_LITTLE_ENDIAN:
        return _native(decoded, image)
    return encode_frame(decoded, decoding, target, quality=quality)


def _native(decoded: Decoded, image: ImagePixel) -> bytes:
    """Cells in the order that the metadata tell, for the client knows nothing else (WADO-04);
    single bits from bit 0 of the first byte on, the last byte filled up with zeros (WADO-05)."""
    array = decoded.array
    if image.bits_allocated == 1:
        return np.packbits(array.reshape(-1) != 0, bitorder="little").tobytes()
    if array.ndim == 3 and image.planar_configuration == 1:
        array = array.transpose(2, 0, 1)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
