"""Stored JPEG streams that are a rendering as they are (PS3.18 §8.3.5.1.2): baseline, of 8 bits,
in colours that a browser shows right, and with nothing to be done to their values."""

import numpy as np

from dicomweb_server.dicom.codestream import jpeg_header
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import grayscale
from dicomweb_server.dicom.json_values import first_item, first_number, functional_group
from dicomweb_server.dicom.pixels import ImagePixel
from dicomweb_server.dicom.transfer_syntaxes import JPEG_BASELINE

_VOI_LUT, _FRAME_VOI_LUT = "00283010", "00289132"


def is_rendering(
    data: bytes, image: ImagePixel, dataset: JsonDataset, number: int, transfer_syntax_uid: str
) -> bool:
    """Whether the stored frame `number`, as it was cut from its file, may be sent as it is.

    Raises UndecodablePixels for a stream without a frame header.
    """
    if transfer_syntax_uid != JPEG_BASELINE or image.bits_stored != 8:
        return False
    stream = jpeg_header(data)
    size = stream.rows, stream.columns, stream.samples, stream.precision
    if size != (image.rows, image.columns, image.samples_per_pixel, 8):
        return False
    if not _is_baseline(data) or b"\xff\xd9" not in data[-64:]:
        return False
    if image.samples_per_pixel == 3:
        # Without a sign of its colours in the stream everybody takes them for YCbCr
        return bool(stream.colours) or image.photometric_interpretation.startswith("YBR_FULL")
    return _shown_as_they_are(image, dataset, number)


def _is_baseline(data: bytes) -> bool:
    """Whether the first frame header is SOF0, before which there may be other segments but Exif:
    browsers turn a picture as that says, and DICOM does not."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker == 0xC0
        if marker == 0xE1 and data[at + 4 : at + 8] == b"Exif":
            return False
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def _shown_as_they_are(image: ImagePixel, dataset: JsonDataset, number: int) -> bool:
    """Whether each grey value is shown as itself. Where the file tells no window, the values of
    the frame decide of it: that takes decoding."""
    interpretation = image.photometric_interpretation
    frame_voi = functional_group(dataset, number, _FRAME_VOI_LUT) or {}
    told = first_item(dataset, _VOI_LUT) or any(
        first_number(source, "00281051") for source in (dataset, frame_voi)
    )
    if not told or interpretation not in ("MONOCHROME1", "MONOCHROME2"):
        return False
    values = np.arange(256, dtype=np.uint8).reshape(16, 16).astype(image.dtype)
    shown = grayscale(values, image, interpretation, dataset, number, None)
    return bool(np.array_equal(shown, values))
