"""Blending Softcopy Presentation States (PS3.3 A.33.5 and C.11.14, PS3.4 N.2.4): a set of images in
the colours of a palette over another one in grey, as PET lies on CT.

Which image lies on which is not told: they are in one Frame of Reference, and those that lie in the
same plane are blended, however their pixels differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import background_of, padding_of
from dicomweb_server.dicom.json_values import (
    first_number,
    first_text,
    functional_group,
    number,
    values,
)
from dicomweb_server.dicom.pixels import Decoded, ImagePixel
from dicomweb_server.dicom.segmentation import place_of
from dicomweb_server.dicom.softcopy import applies_to, softcopy
from dicomweb_server.errors import UndecodablePixels

Array = np.ndarray[Any, np.dtype[Any]]
Picture = np.ndarray[Any, np.dtype[np.uint8]]

BLENDING = "1.2.840.10008.5.1.4.1.1.11.4"

MAX_PLANES = 4000  # of images that are laid on others

_SEQUENCE, _OPACITY, _POSITION = "00700402", "00700403", "00700405"
_REGISTRATION = "00700404"
_PALETTE = ("002811", "002812")  # tags of the Palette Color Lookup Table Module
_PARALLEL = 1e-3  # how far the components of two orientations may be apart
_BLOCK = 128  # lines that are blended at a time: in fractions of pixels they are large
_MOST_APART = 50.0  # mm that a slice may be thick


class Plane(NamedTuple):
    """Where a frame lies, in mm: the middle of its first pixel, the ways along a row and down a
    column, the distances of pixels in these ways, and how thick it is."""

    frame_of_reference_uid: str
    position: tuple[float, ...]
    row: tuple[float, ...]
    column: tuple[float, ...]
    spacing: tuple[float, float]
    thickness: float


@dataclass(frozen=True, slots=True)
class Superimposed:
    """A frame of the images in colours, from 1, with all that says what it is."""

    decoded: Decoded
    image: ImagePixel
    dataset: JsonDataset
    frame: int


def blended_set(state: JsonDataset, position: str) -> JsonDataset:
    """The item of the Blending Sequence at UNDERLYING or SUPERIMPOSED.

    Raises UndecodablePixels where there is none, or where a registration would have to be applied.
    """
    if values(state, _REGISTRATION):
        raise UndecodablePixels("images that have to be registered with each other")
    for item in values(state, _SEQUENCE):
        if isinstance(item, dict) and first_text(item, _POSITION) == position:
            return item
    raise UndecodablePixels(f"a blending state without {position.lower()} images")


def plane_of(dataset: JsonDataset, frame: int) -> Plane | None:
    """The plane of a frame, from 1; None where it is not told."""
    place = place_of(dataset, frame)
    measures = functional_group(dataset, frame, "00289110") or dataset
    told = [number(value) for value in values(measures, "00280030")]
    spacing = tuple(value for value in told if value is not None and 0 < value < 1e3)
    if place is None or not place.frame_of_reference_uid or len(spacing) != 2:
        return None
    row, column = (np.array(place.orientation[at : at + 3]) for at in (0, 3))
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < _PARALLEL or abs(float(row @ column)) > _PARALLEL * float(np.prod(lengths)):
        return None
    thickness = first_number(measures, "00180088") or first_number(measures, "00180050") or 0.0
    return Plane(
        place.frame_of_reference_uid,
        place.position,
        tuple((row / lengths[0]).tolist()),
        tuple((column / lengths[1]).tolist()),
        (spacing[0], spacing[1]),
        min(max(thickness, 0.0), _MOST_APART),
    )


def nearest(plane: Plane, others: Sequence[Plane]) -> int | None:
    """Which of `others`, planes of one stack, `plane` lies in; None for none of them. A plane
    reaches half its thickness up and down, or half way to the next.

    Raises UndecodablePixels for planes that are not parallel, or of another Frame of Reference.
    """
    if not others:
        return None
    if {other.frame_of_reference_uid for other in others} != {plane.frame_of_reference_uid}:
        raise UndecodablePixels("images of different Frames of Reference")
    normal = np.cross(plane.row, plane.column)
    normals = np.cross([other.row for other in others], [other.column for other in others])
    if np.abs(normals @ normal).min() < 1 - _PARALLEL:  # either way round
        raise UndecodablePixels("images whose planes are not parallel")
    places = np.array([other.position for other in others]) @ normal
    distances = np.abs(places - float(np.array(plane.position) @ normal))
    chosen = int(np.argmin(distances))
    steps = np.diff(np.unique(places.round(3)))
    reach = max(others[chosen].thickness, float(np.median(steps)) if len(steps) else 0.0) / 2
    return chosen if distances[chosen] <= max(reach, 1e-2) else None


def blended(
    decoded: Decoded,
    image: ImagePixel,
    dataset: JsonDataset,
    frame: int,
    state: JsonDataset,
    over: Superimposed | None,
) -> Picture:
    """A frame of the underlying images in grey, and `over` it in colours where it reaches: uint8,
    (rows, columns, 3). Raises UndecodablePixels for what cannot be laid on each other."""
    if decoded.array.ndim != 2 or (over is not None and over.decoded.array.ndim != 2):
        raise UndecodablePixels("a blending state of images in colours")
    below = blended_set(state, "UNDERLYING")
    grey = _shown(decoded, image, dataset, frame, _without_palette(below))
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if over is None:
        return picture
    plane, others = plane_of(dataset, frame), plane_of(over.dataset, over.frame)
    if plane is None or others is None:
        raise UndecodablePixels("images whose place is not told")
    layers = _layers(state, over)
    told = first_number(state, _OPACITY)
    opacity = min(max(1.0 if told is None else told, 0.0), 1.0)
    for top in range(0, len(picture), _BLOCK):
        block = picture[top : top + _BLOCK]
        found = _sampled(
            layers, *_places(range(top, top + len(block)), block.shape[1], plane, others)
        )
        seen = found[:, :, 3:]
        share = opacity * seen
        colours = found[:, :, :3] / np.maximum(seen, 1e-6)
        block[:] = colours * share + block * (1 - share) + 0.5
    return picture


def _layers(state: JsonDataset, over: Superimposed) -> Array:
    """The colours of `over`, and where it has any (0 or 1): (rows, columns, 4)."""
    palette = {tag: value for tag, value in state.items() if tag.startswith(_PALETTE)}
    item = {**blended_set(state, "SUPERIMPOSED"), **palette}
    coloured = _shown(over.decoded, over.image, over.dataset, over.frame, item)
    if coloured.ndim != 3:
        raise UndecodablePixels("a blending state without a palette")
    padding = padding_of(over.image, over.dataset)
    visible = (~background_of(over.decoded.array, padding)).astype(np.float32)
    layers: Array = np.dstack([coloured * visible[:, :, np.newaxis], visible])
    return layers


def _places(lines: range, width: int, below: Plane, plane: Plane) -> tuple[Array, Array]:
    """Where pixels of some lines of `below` lie in `plane`: its rows and columns, fractions
    included. Both are parallel, so that each changes by the same from pixel to pixel."""
    across = np.array(below.row) * below.spacing[1]
    down = np.array(below.column) * below.spacing[0]
    start = np.array(below.position) - np.array(plane.position)
    found = []
    for way, size in ((plane.column, plane.spacing[0]), (plane.row, plane.spacing[1])):
        axis = np.array(way) / size
        found.append(
            (start @ axis)
            + np.array(lines)[:, np.newaxis] * (down @ axis)
            + np.arange(width)[np.newaxis, :] * (across @ axis)
        )
    return found[0], found[1]


def _sampled(layers: Array, rows: Array, columns: Array) -> Array:
    """`layers` at places between their pixels, linearly; 0 beyond the edges of the last ones."""
    height, width = layers.shape[:2]
    inside = (rows >= -0.5) & (rows <= height - 0.5) & (columns >= -0.5) & (columns <= width - 0.5)
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top)[:, :, np.newaxis], (columns - left)[:, :, np.newaxis]
    upper = layers[top, left] * (1 - across) + layers[top, right] * across
    lower = layers[bottom, left] * (1 - across) + layers[bottom, right] * across
    found: Array = (upper * (1 - down) + lower * down) * inside[:, :, np.newaxis]
    return found


def _shown(
    decoded: Decoded, image: ImagePixel, dataset: JsonDataset, frame: int, item: JsonDataset
) -> Picture:
    uid = first_text(dataset, "00080018")
    windows = (each for each in values(item, "00283110") if isinstance(each, dict))
    voi = next((each for each in windows if applies_to(each, uid, frame)), None)
    return softcopy(decoded.array, image, dataset, item, voi, frame)


def _without_palette(state: JsonDataset) -> JsonDataset:
    return {tag: value for tag, value in state.items() if not tag.startswith(_PALETTE)}
