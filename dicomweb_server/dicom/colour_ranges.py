"""Gray images of which some or all values have a colour (Pixel Presentation).

COLOR: values from the palette's first on are of the palette (Supplemental Palette Color Lookup
Table, PS3.3 C.7.6.19, C.8.16.2.1.1.1). COLOR_RANGE: a range of stored values spans the palette
(Stored Value Color Range, C.7.6.16.2.26). What makes no sense leaves an image grey.
"""

from typing import Any

import numpy as np

from dicomweb_server.dicom.colour import palette, through_palette
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import background_of, padding_of
from dicomweb_server.dicom.json_values import first_number, first_text, functional_group
from dicomweb_server.dicom.lookup_tables import LookupTable, by_value
from dicomweb_server.dicom.pixels import Array, ImagePixel

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_PIXEL_PRESENTATION = "00089205"
# Frame types of enhanced MR, CT, PET and MR spectroscopy, parametric maps, ophthalmic tomography
_FRAME_TYPES = ("00189226", "00189329", "00189751", "00409092", "00220035")
_COLOUR_RANGE, _MINIMUM, _MAXIMUM = "00281230", "00281231", "00281232"


def with_colours(
    grey: Picture, array: Array, image: ImagePixel, dataset: JsonDataset, frame: int
) -> Picture:
    """The grey levels of stored values `array`, both (rows, columns), with the colours that some
    values have: `grey` itself, or (rows, columns, 3)."""
    presentation = pixel_presentation(dataset, frame)
    if presentation not in ("COLOR", "COLOR_RANGE", "MIXED"):
        return grey
    tables = palette(dataset, image)
    if tables is None:
        return grey
    if presentation == "COLOR_RANGE":
        return _range(grey, array, image, dataset, frame, tables)
    coloured = array >= tables[0].first
    if not coloured.any():
        return grey
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    picture[coloured] = through_palette(array, tables)[coloured]
    return picture


def pixel_presentation(dataset: JsonDataset, frame: int) -> str:
    """Pixel Presentation of a frame, counted from 1, else of the image; empty if none is told."""
    for tag in _FRAME_TYPES:
        told = first_text(functional_group(dataset, frame, tag) or {}, _PIXEL_PRESENTATION)
        if told:
            return told
    return first_text(dataset, _PIXEL_PRESENTATION)


def _range(
    grey: Picture,
    array: Array,
    image: ImagePixel,
    dataset: JsonDataset,
    frame: int,
    tables: tuple[LookupTable, ...],
) -> Picture:
    group = functional_group(dataset, frame, _COLOUR_RANGE) or {}
    low, high = first_number(group, _MINIMUM), first_number(group, _MAXIMUM)
    if low is None or high is None or low >= high:
        return grey
    padding = padding_of(image, dataset)
    first, last = tables[0].first, len(tables[0].entries) - 1

    def colours(values: Array) -> Array:
        share = np.clip((np.nan_to_num(values).astype(np.float64) - low) / (high - low), 0, 1)
        coloured: Array = through_palette((first + share * last)[np.newaxis], tables)[0]
        coloured[background_of(values, padding)] = 0
        return coloured

    with np.errstate(all="ignore"):
        return by_value(array, colours)
