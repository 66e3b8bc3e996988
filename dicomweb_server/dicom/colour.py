"""Colour pixels to RGB of 8 bits a sample (PS3.3 C.7.6.3.1.2, PS3.18 digest 3.3.5).

No conversion between RGB spaces: that is done by ``colour_profiles``, for who asks for it.
"""

from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.lookup_tables import LookupTable, by_value, lookup_table
from dicomweb_server.dicom.pixels import Decoded, ImagePixel

Array = np.ndarray[Any, np.dtype[Any]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]

_PARTIAL = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")


def to_rgb(decoded: Decoded, image: ImagePixel) -> Picture:
    """RGB of decoded pixels with three samples: (rows, columns, 3) uint8.

    An unknown Photometric Interpretation is taken as RGB.
    """
    samples = _eight_bits(decoded.array, image)
    if decoded.photometric_interpretation == "YBR_FULL":
        return _ybr_to_rgb(samples, partial=False)
    if decoded.photometric_interpretation in _PARTIAL:
        return _ybr_to_rgb(samples, partial=True)
    return samples


def _eight_bits(array: Array, image: ImagePixel) -> Picture:
    if image.kind != "integer":
        return np.clip(np.nan_to_num(array) * 255 + 0.5, 0, 255).astype(np.uint8)
    if image.bits_stored == 8 and array.dtype == np.uint8:
        return array
    highest = (1 << image.bits_stored) - 1
    scaled = np.clip(array, 0, highest).astype(np.float64) * (255 / highest) + 0.5
    return scaled.astype(np.uint8)


# ITU-R BT.601: what Y, Cb, Cr add to red, green, blue
_BT601 = np.array([[1, 1, 1], [0, -0.344136, 1.772], [1.402, -0.714136, 0]])
_PIXELS_AT_ONCE = 1 << 16  # few enough to stay in the processor's cache


def _ybr_to_rgb(samples: Picture, partial: bool) -> Picture:
    """Full range, or luma of 16 to 235 and chroma of 16 to 240 (partial)."""
    black, luma, chroma = (16, 255 / 219, 255 / 224) if partial else (0, 1.0, 1.0)
    matrix = _BT601 * np.array([[luma], [chroma], [chroma]])
    offset = 0.5 - np.array([black, 128, 128]) @ matrix
    matrix, offset = matrix.astype(np.float32), offset.astype(np.float32)
    flat = samples.reshape(-1, 3)
    rgb = np.empty(flat.shape, np.uint8)
    for begin in range(0, len(flat), _PIXELS_AT_ONCE):
        part = slice(begin, begin + _PIXELS_AT_ONCE)
        rgb[part] = np.clip(flat[part].astype(np.float32) @ matrix + offset, 0, 255)
    return rgb.reshape(samples.shape)


# Red, green, blue: descriptor, data, segmented data
_PALETTE = (
    ("00281101", "00281201", "00281221"),
    ("00281102", "00281202", "00281222"),
    ("00281103", "00281203", "00281223"),
)


def palette(dataset: JsonDataset, image: ImagePixel) -> tuple[LookupTable, ...] | None:
    """The red, green and blue Palette Color Lookup Tables, None if one is missing or damaged."""
    signed = image.pixel_representation == 1
    tables = []
    for descriptor, plain, segmented in _PALETTE:
        table = lookup_table(dataset, descriptor, plain, signed=signed)
        if table is None:
            table = lookup_table(dataset, descriptor, segmented, signed=signed, segmented=True)
        if table is None:
            return None
        tables.append(table)
    return tuple(tables)


def through_palette(array: Array, tables: tuple[LookupTable, ...]) -> Picture:
    """RGB of palette indices `array` (rows, columns): (rows, columns, 3) uint8.

    Of entries of 16 bits the high byte counts. Some writers tell 16 bits of entries that have
    8; they are known by all of them being below 256.
    """
    eight_bits = all(int(table.entries.max()) < 256 for table in tables)

    def colours(values: Array) -> Array:
        rgb = np.empty((len(values), 3), np.uint8)
        for n, table in enumerate(tables):
            shift = 0 if eight_bits else max(0, table.bits - 8)
            rgb[:, n] = table.apply(values) >> shift
        return rgb

    return by_value(array, colours)
