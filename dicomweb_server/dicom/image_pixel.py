"""The Image Pixel Module of an instance (PS3.3 C.7.6.3), read from its metadata and checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_text, number, values
from dicomweb_server.errors import UndecodablePixels

MAX_FRAME_BYTES = 1 << 30  # of one decoded frame


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """The Image Pixel Module of an instance, checked.

    `kind` is "integer", "float" (Float Pixel Data) or "double" (Double Float Pixel Data).
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int  # 0 unsigned, 1 signed (two's complement)
    photometric_interpretation: str
    planar_configuration: int  # 0 colour by pixel, 1 colour by plane
    number_of_frames: int
    kind: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of decoded frames: by Bits Allocated and Pixel Representation."""
        size = max(1, self.bits_allocated // 8)
        letter = "f" if self.kind != "integer" else "i" if self.pixel_representation else "u"
        return np.dtype(f"<{letter}{size}")


def image_pixel(dataset: JsonDataset) -> ImagePixel:
    """Read the Image Pixel Module from an instance's DICOM JSON object.

    What is missing is taken as the standard's ordinary value. Raises UndecodablePixels if the
    size or depth is missing or impossible, or one frame would exceed MAX_FRAME_BYTES.
    """
    kind = "float" if "7FE00008" in dataset else "double" if "7FE00009" in dataset else "integer"
    rows = _integer(dataset, "00280010", "Rows", 1, 65535)
    columns = _integer(dataset, "00280011", "Columns", 1, 65535)
    samples = _integer(dataset, "00280002", "Samples per Pixel", 1, 4, default=1)
    if samples not in (1, 3):
        raise UndecodablePixels(f"Samples per Pixel is {samples}, neither 1 nor 3")
    if kind == "integer":
        allocated = _integer(dataset, "00280100", "Bits Allocated", 1, 64)
        if allocated not in (1, 8, 16, 32, 64) or (allocated == 1 and samples > 1):
            raise UndecodablePixels(f"Bits Allocated is {allocated}, for which there is no decoder")
    else:
        allocated = 32 if kind == "float" else 64
    stored = _integer(dataset, "00280101", "Bits Stored", 1, allocated, default=allocated)
    high_bit = _integer(dataset, "00280102", "High Bit", 0, 64, default=stored - 1)
    if kind != "integer" or not stored <= high_bit + 1 <= allocated:
        high_bit = stored - 1
    if rows * columns * samples * max(8, allocated) // 8 > MAX_FRAME_BYTES:
        raise UndecodablePixels("one frame of the image is larger than 1 GiB")
    return ImagePixel(
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        pixel_representation=_integer(dataset, "00280103", "Pixel Representation", 0, 1, default=0),
        photometric_interpretation=_photometric_interpretation(dataset, samples),
        planar_configuration=_integer(dataset, "00280006", "Planar Configuration", 0, 1, default=0),
        number_of_frames=_frames(dataset),
        kind=kind,
    )


def _frames(dataset: JsonDataset) -> int:
    """What is stated, 1 where that is nothing or nonsense: no frame is decoded by their number,
    and the frame table says how many there really are."""
    stated = number(next(iter(values(dataset, "00280008")), None))
    return int(stated) if stated is not None and 1 <= stated < 2**31 else 1


def _integer(
    dataset: JsonDataset, tag: str, name: str, least: int, most: int, default: int | None = None
) -> int:
    found = values(dataset, tag)
    if not found or found[0] in (None, ""):
        if default is None:
            raise UndecodablePixels(f"the image has no {name}")
        return default
    value = number(found[0])
    if value is None or value != int(value) or not least <= value <= most:
        raise UndecodablePixels(f"{name} is not a whole number from {least} to {most}")
    return int(value)


def _photometric_interpretation(dataset: JsonDataset, samples: int) -> str:
    ordinary = "MONOCHROME2" if samples == 1 else "RGB"
    return first_text(dataset, "00280004").upper() or ordinary
