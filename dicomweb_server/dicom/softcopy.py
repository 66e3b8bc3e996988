"""The grayscale steps of a softcopy presentation state (PS3.4 N.2.1): Modality LUT, mask, VOI
LUT, Presentation LUT or palette.

They take the place of those of the image; a step that the state lacks is none (RND-02).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.colour import palette, through_palette
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import (
    Lookup,
    Rescale,
    Transform,
    background_of,
    ends_of,
    modality_of,
    padding_of,
    stored_window,
    windowed,
)
from dicomweb_server.dicom.json_values import first_item, first_text, number, values
from dicomweb_server.dicom.lookup_tables import LookupTable, by_value, lookup_table
from dicomweb_server.dicom.pixels import ImagePixel

Array = np.ndarray[Any, np.dtype[Any]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]

_WHITE = 255.0
_FUNCTIONAL_GROUPS = ("52009229", "52009230")


@dataclass(frozen=True, slots=True)
class Mask:
    """What is subtracted from a frame: the mean of `frames`, moved by `shift`; the frame itself
    is averaged with others before.

    `frames` and `averaged`: stored values, (rows, columns) each. `shift`: rows and columns, in
    pixels (PS3.3 C.7.6.10.1.2).
    """

    frames: Sequence[Array]
    shift: tuple[float, float] = (0.0, 0.0)
    averaged: Sequence[Array] = ()


def softcopy(
    array: Array,
    image: ImagePixel,
    dataset: JsonDataset,
    state: JsonDataset,
    voi: JsonDataset | None,
    number: int,
    mask: Mask | None = None,
    *,
    modality_of_image: bool = False,
) -> Picture:
    """Levels of stored values `array`, (rows, columns), as `state` shows them: uint8, the same
    shape, or (rows, columns, 3) where the state has a palette.

    `dataset` is the image's, `voi` the item of the Softcopy VOI LUT Sequence that applies to its
    frame `number`. `modality_of_image`: the Modality LUT is that of the image, as in a Variable
    Modality LUT Softcopy Presentation State.
    """
    modality = (
        modality_of(image, dataset, number)
        if modality_of_image
        else modality_of(image, _plain(state), 1)
    )
    with np.errstate(all="ignore"):
        low, high = _range(image, modality)
        values: Array = array
        step: Transform = modality
        if mask is not None:
            still = _mean(mask.frames, modality, array.shape)
            values = _mean([array, *mask.averaged], modality, array.shape)
            values = values - (_moved(still, mask.shift) if any(mask.shift) else still)
            low, high = low - high, high - low
            step = _same
        levels = _voi(voi, low, high)
        tables = palette(state, image)
        shown = _displayed(state, tables)
        padding = padding_of(image, dataset)

        def picture(part: Array) -> Picture:
            made = shown(np.clip(np.nan_to_num(levels(step(part))), 0, _WHITE))
            if mask is None:
                made[background_of(part, padding)] = 0
            return made

        made = by_value(values, picture)
        if mask is not None:
            made[background_of(array, padding)] = 0
        return made


def _same(values: Array) -> Array:
    return values


def _plain(state: JsonDataset) -> JsonDataset:
    """`state` without what presentation states have no functional groups for."""
    return {tag: value for tag, value in state.items() if tag not in _FUNCTIONAL_GROUPS}


def _range(image: ImagePixel, modality: Rescale | Lookup) -> tuple[float, float]:
    """The lowest and highest value that can come out of the Modality LUT: what a VOI LUT that is
    missing shows as black and white."""
    if isinstance(modality, Lookup):
        return 0.0, float((1 << modality.table.bits) - 1)
    outputs = modality(ends_of(image))
    low, high = float(outputs.min()), float(outputs.max())
    return (low, high) if low < high else (low, low + 1)


def _mean(frames: Sequence[Array], modality: Transform, shape: tuple[int, ...]) -> Array:
    """The mean of frames after the Modality LUT."""
    total = np.zeros(shape, np.float64)
    for frame in frames:
        total += by_value(frame, modality)
    return total / max(1, len(frames))


def _moved(array: Array, shift: tuple[float, float]) -> Array:
    """`array` moved down and right by `shift`, fractions of a pixel included; edges go on."""
    for axis, by in enumerate(shift):
        size = array.shape[axis]
        by = min(max(by, -size), size)
        places = np.clip(np.arange(size) - by, 0, size - 1)
        low = np.floor(places).astype(int)
        share = places - low
        share = share[:, np.newaxis] if axis == 0 else share
        near = np.take(array, low, axis=axis)
        far = np.take(array, np.minimum(low + 1, size - 1), axis=axis)
        array = near + (far - near) * share
    return array


def _voi(voi: JsonDataset | None, low: float, high: float) -> Transform:
    """Modality values to 0…255; all of the range from `low` to `high` if there is no VOI LUT."""
    if voi is not None:
        sequence_item = first_item(voi, "00283010")
        if sequence_item:
            table = lookup_table(sequence_item, "00283002", "00283006", signed=low < 0)
            if table:
                return Lookup(table, _WHITE / ((1 << table.bits) - 1))
        window = stored_window(voi)
        if window:
            return windowed(window)
    return lambda x: np.clip((x - low) / (high - low) * _WHITE, 0, _WHITE)


def _displayed(state: JsonDataset, tables: tuple[LookupTable, ...] | None) -> Transform:
    """0.0…255.0 to levels or colours: by the palette, Presentation LUT Sequence or Shape."""
    if tables:
        return _coloured(tables)
    sequence_item = first_item(state, "20500010")
    if sequence_item:
        table = lookup_table(sequence_item, "00283002", "00283006", signed=False)
        if table:
            return _presented(table)
    if first_text(state, "20500020") == "INVERSE":
        return lambda levels: (_WHITE - levels + 0.5).astype(np.uint8)
    return lambda levels: (levels + 0.5).astype(np.uint8)


def _presented(table: LookupTable) -> Transform:
    """A Presentation LUT: its entries span what the VOI LUT gives (PS3.3 C.11.6.1.1)."""
    last = len(table.entries) - 1
    scale = _WHITE / ((1 << table.bits) - 1)

    def levels(inputs: Array) -> Array:
        index = (inputs * (last / _WHITE) + 0.5).astype(np.int64)
        looked_up: Array = np.take(table.entries, index).astype(np.float64) * scale + 0.5
        return looked_up.astype(np.uint8)

    return levels


def _coloured(tables: tuple[LookupTable, ...]) -> Transform:
    """A palette (Pseudo-Color): its entries span what the VOI LUT gives (PS3.4 N.2.3)."""
    first, last = tables[0].first, tables[0].first + len(tables[0].entries) - 1

    def colours(inputs: Array) -> Array:
        index = first + inputs * ((last - first) / _WHITE)
        coloured: Array = through_palette(np.floor(index + 0.5)[np.newaxis], tables)[0]
        return coloured

    return colours


def applies_to(
    found: JsonDataset, sop_instance_uid: str, frame: int, tag: str = "00081140"
) -> bool:
    """Whether an item of a state is for frame `frame` of an instance: its Referenced Image
    Sequence names it, or it has none and is for all."""
    references = values(found, tag)
    if not references:
        return True
    for reference in references:
        if not isinstance(reference, dict) or first_text(reference, "00081155") != sop_instance_uid:
            continue
        frames = [number(value) for value in values(reference, "00081160")]
        if not frames or frame in frames:
            return True
    return False
