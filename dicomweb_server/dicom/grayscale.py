"""Stored values of one sample to grey levels: the grayscale pipeline of PS3.3 C.7.6.16.2.10
and PS3.4 N.2, without a presentation state.

Modality transform, VOI transform, polarity, padding, in this order. Rule ids are those of
the digest, 3.3.3 and 3.3.4. Whatever makes no sense in a file counts as absent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import (
    first_item,
    first_number,
    first_text,
    functional_group,
)
from dicomweb_server.dicom.lookup_tables import LookupTable, by_value, lookup_table
from dicomweb_server.dicom.pixels import ImagePixel
from dicomweb_server.dicom.viewing import Window

Array = np.ndarray[Any, np.dtype[Any]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]
Transform = Callable[[Array], Array]  # flat values to flat float64 of the same length

_PIXEL_VALUE_TRANSFORMATION = "00289145"
_FRAME_VOI_LUT = "00289132"
_MODALITY_LUT = "00283000"
_VOI_LUT = "00283010"
_LUT_DESCRIPTOR = "00283002"
_LUT_DATA = "00283006"

# Pixel Padding Value and Range Limit, by kind of pixel data (GRY-08, GRY-09)
_PADDING = {
    "integer": ("00280120", "00280121"),
    "float": ("00280122", "00280124"),
    "double": ("00280123", "00280125"),
}
_FUNCTIONS = {"LINEAR": "linear", "LINEAR_EXACT": "linear-exact", "SIGMOID": "sigmoid"}

# The whole range of displayed values; PS3.3's ymax, its ymin being 0
_WHITE = 255.0


def grayscale(
    array: Array,
    image: ImagePixel,
    photometric_interpretation: str,
    dataset: JsonDataset,
    number: int,
    window: Window | None,
) -> Picture:
    """Grey levels of stored values `array` (rows, columns): uint8 of the same shape.

    `number` is the frame's, from 1; `window` is the request's, before those of the file.
    """
    padding = padding_of(image, dataset)
    modality = modality_of(image, dataset, number)
    inverted = _inverted(photometric_interpretation, dataset)
    with np.errstate(all="ignore"):
        voi = _voi(window, image, dataset, number, modality)
        if voi is None:
            low, high = _span(array, image, dataset, modality, padding)
            voi = Between(low, high)

        def shown(values: Array) -> Array:
            levels = voi(modality(values))
            limited = np.clip(levels + 0.5, 0, _WHITE)
            limited[np.isnan(limited)] = 0
            grey = limited.astype(np.uint8)
            if inverted:
                grey = 255 - grey
            grey[background_of(values, padding)] = 0
            return grey

        steps = (modality, voi, inverted, padding)
        alike = isinstance(modality, Rescale) and isinstance(voi, Windowed | Between)
        return by_value(array, shown, steps if alike else None)


# --- modality ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept."""

    slope: float
    intercept: float

    def __call__(self, values: Array) -> Array:
        scaled: Array = values.astype(np.float64) * self.slope + self.intercept
        return scaled


@dataclass(frozen=True, slots=True)
class Lookup:
    """A LUT as a step of the pipeline, its output times `scale`."""

    table: LookupTable
    scale: float = 1.0

    def __call__(self, values: Array) -> Array:
        looked_up: Array = self.table.apply(values).astype(np.float64) * self.scale
        return looked_up


_IDENTITY = Rescale(1.0, 0.0)


def modality_of(image: ImagePixel, dataset: JsonDataset, number: int) -> Rescale | Lookup:
    """Stored values to the units of the image (GRY-02)."""
    of_frame = functional_group(dataset, number, _PIXEL_VALUE_TRANSFORMATION)
    if of_frame:
        return rescale(of_frame)
    sequence_item = first_item(dataset, _MODALITY_LUT)
    if sequence_item:
        signed = image.pixel_representation == 1
        table = lookup_table(sequence_item, _LUT_DESCRIPTOR, _LUT_DATA, signed=signed)
        if table:
            return Lookup(table)
    return rescale(dataset)


def rescale(dataset: JsonDataset) -> Rescale:
    intercept = first_number(dataset, "00281052")
    slope = first_number(dataset, "00281053")
    if slope is None:
        slope = 1.0
    return Rescale(slope, intercept or 0.0) if slope else _IDENTITY


# --- VOI --------------------------------------------------------------------------------------


def _voi(
    window: Window | None,
    image: ImagePixel,
    dataset: JsonDataset,
    number: int,
    modality: Transform,
) -> Transform | None:
    """Modality values to 0…255, None if neither request nor file tells how (GRY-05)."""
    if window:
        return windowed(window)
    of_frame = functional_group(dataset, number, _FRAME_VOI_LUT)
    for source in (of_frame, dataset):
        stored = source and _stored_voi(source, image, modality)
        if stored:
            return stored
    return None


def _stored_voi(dataset: JsonDataset, image: ImagePixel, modality: Transform) -> Transform | None:
    """The first VOI LUT, else the first window; None if there is neither."""
    sequence_item = first_item(dataset, _VOI_LUT)
    if sequence_item:
        signed = bool(modality(ends_of(image)).min() < 0)
        table = lookup_table(sequence_item, _LUT_DESCRIPTOR, _LUT_DATA, signed=signed)
        if table:
            return Lookup(table, _WHITE / ((1 << table.bits) - 1))  # GRY-06
    window = stored_window(dataset)
    return windowed(window) if window else None


def stored_window(dataset: JsonDataset) -> Window | None:
    """The first window of a file, None if there is none or it is too narrow."""
    center = first_number(dataset, "00281050")
    width = first_number(dataset, "00281051")
    function = _FUNCTIONS.get(first_text(dataset, "00281056").upper(), "linear")
    if center is None or width is None or width < (1 if function == "linear" else 0) or not width:
        return None
    return Window(center, width, function)


def windowed(window: Window) -> Transform:
    """The VOI LUT Function of a window (PS3.3 C.11.2.1.2 and C.11.2.1.3): 0.0…255.0."""
    return Windowed(window)


@dataclass(frozen=True, slots=True)
class Windowed:
    """A window as a step of the pipeline; equal for equal windows."""

    window: Window

    def __call__(self, x: Array) -> Array:
        center, width, shown = self.window.center, self.window.width, self.window.function
        if shown == "sigmoid":
            return np.asarray(_WHITE / (1 + np.exp(-4 * (x - center) / width)))
        if shown == "linear-exact":
            return np.clip(((x - center) / width + 0.5) * _WHITE, 0, _WHITE)
        if width == 1:  # a threshold: the formula's middle part is never reached
            return np.where(x > center - 0.5, _WHITE, 0.0)
        return np.clip(((x - (center - 0.5)) / (width - 1) + 0.5) * _WHITE, 0, _WHITE)


@dataclass(frozen=True, slots=True)
class Between:
    """The range from `low` to `high` as a step of the pipeline: 0.0…255.0."""

    low: float
    high: float

    def __call__(self, x: Array) -> Array:
        return np.clip((x - self.low) / (self.high - self.low) * _WHITE, 0, _WHITE)


def _span(
    array: Array,
    image: ImagePixel,
    dataset: JsonDataset,
    modality: Rescale | Lookup,
    padding: tuple[float, float] | None,
) -> tuple[float, float]:
    """The modality values to show as black and white where nothing tells them.

    The lowest and highest of the frame without padding; where all are the same, of Bits
    Stored. Of a fractional segmentation the range it declares, so that its frames compare.
    """
    if first_text(dataset, "00620001") == "FRACTIONAL":
        return 0.0, first_number(dataset, "0062000E") or 255.0
    shown = array
    background = background_of(array, padding)
    if background.any():
        shown = array[~background]
    if shown.size:
        # A line has its ends where its argument has; of a table every output must be seen
        ends = np.array([shown.min(), shown.max()]) if isinstance(modality, Rescale) else shown
        outputs = by_value(ends, modality)
        low, high = float(outputs.min()), float(outputs.max())
        if low < high:
            return low, high
        if image.kind != "integer":
            return low, low + 1
    outputs = modality(ends_of(image))
    low, high = float(outputs.min()), float(outputs.max())
    return (low, high) if low < high else (low, low + 1)


def ends_of(image: ImagePixel) -> Array:
    """The lowest and highest value that Bits Stored can hold; 0 and 1 of floating point."""
    if image.kind != "integer":
        return np.array([0.0, 1.0])
    if image.pixel_representation:
        half = 2.0 ** (image.bits_stored - 1)
        return np.array([-half, half - 1])
    return np.array([0.0, 2.0**image.bits_stored - 1])


# --- polarity and padding ---------------------------------------------------------------------


def _inverted(photometric_interpretation: str, dataset: JsonDataset) -> bool:
    """Whether low values are bright: Presentation LUT Shape tells, else MONOCHROME1 (GRY-07)."""
    shape = first_text(dataset, "20500020")
    if shape in ("IDENTITY", "INVERSE"):
        return shape == "INVERSE"
    return photometric_interpretation == "MONOCHROME1"


def padding_of(image: ImagePixel, dataset: JsonDataset) -> tuple[float, float] | None:
    """Lowest and highest stored value that means no pixel, None if there is none."""
    value_tag, limit_tag = _PADDING[image.kind]
    value = _stored(first_number(dataset, value_tag), image)
    if value is None:
        return None
    limit = _stored(first_number(dataset, limit_tag), image)
    if limit is None:
        limit = value
    return min(value, limit), max(value, limit)


def _stored(value: float | None, image: ImagePixel) -> float | None:
    """A padding value as the pixels have it: US and SS are mixed up often enough."""
    if value is None or image.kind != "integer":
        return value
    lowest, highest = ends_of(image)
    if value < lowest:
        value += 2.0**image.bits_allocated
    elif value > highest:
        value -= 2.0**image.bits_allocated
    return value if lowest <= value <= highest else None


def background_of(values: Array, padding: tuple[float, float] | None) -> Array:
    """Where `values` are padding, or no numbers at all: bool of the same shape."""
    none: Array = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(1, bool)
    if padding is None:
        return np.broadcast_to(none, values.shape)
    return none | ((values >= padding[0]) & (values <= padding[1]))
