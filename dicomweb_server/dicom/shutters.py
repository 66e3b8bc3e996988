"""Display shutters: what of an image is covered (PS3.3 C.7.6.11, C.7.6.15 and C.11.12)."""

from math import ceil
from typing import Any

import numpy as np

from dicomweb_server.dicom.cielab import BLACK, Colour, colour_of, grey_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import number, values
from dicomweb_server.dicom.overlays import overlay_group, overlay_plane

Plane = np.ndarray[Any, np.dtype[np.uint8]]
Truth = np.ndarray[Any, np.dtype[np.bool_]]

MAX_VERTICES = 1000
_FAR = 1 << 17  # pixels, beyond any image

_SHAPE = "00181600"
_EDGES = ("00181602", "00181604", "00181606", "00181608")  # left, right, upper, lower
_CENTER, _RADIUS = "00181610", "00181612"
_VERTICES = "00181620"
_OVERLAY_GROUP = "00181623"


def shutter(
    state: JsonDataset, image: JsonDataset, rows: int, columns: int, frame: int, pixel_height: float
) -> Truth | None:
    """Where the shutters of a presentation state cover an image: (rows, columns) of bool.

    What any of them covers is covered; None if there is none. A shutter that makes no sense
    covers nothing. `image` may have the overlay that a bitmap shutter names, `frame` is counted
    from 1, `pixel_height` is that of a pixel whose width is 1.
    """
    shapes = [str(value).strip() for value in values(state, _SHAPE)[:8]]
    covered = np.zeros((rows, columns), bool)
    if "RECTANGULAR" in shapes:
        _cover_but_rectangle(covered, state)
    if "CIRCULAR" in shapes:
        _cover_but_circle(covered, state, pixel_height)
    if "POLYGONAL" in shapes:
        _cover_but_polygon(covered, state)
    if "BITMAP" in shapes:
        plane = _bitmap(state, image, rows, columns, frame)
        if plane is not None:
            covered |= plane > 0
    return covered if covered.any() else None


def shutter_colour(state: JsonDataset) -> Colour:
    """Shutter Presentation Color or Value; black where none is told."""
    return colour_of(state, "00181624") or grey_of(state, "00181622") or BLACK


def shutter_group(state: JsonDataset) -> int | None:
    """The group, 0x60xx, of the overlay that is a bitmap shutter; None if there is none."""
    if "BITMAP" not in [str(value).strip() for value in values(state, _SHAPE)[:8]]:
        return None
    return overlay_group(next(iter(values(state, _OVERLAY_GROUP)), None))


def _cover_but_rectangle(covered: Truth, state: JsonDataset) -> None:
    """Cover all but what lies within the edges, which are pixels counted from 1 and are seen."""
    rows, columns = covered.shape
    edges = [_number(state, tag) for tag in _EDGES]
    bounds = (1.0, float(columns), 1.0, float(rows))
    left, right, upper, lower = (
        bound if edge is None else edge for edge, bound in zip(edges, bounds, strict=True)
    )
    if left > right or upper > lower:
        return
    covered[: _index(upper - 1, rows)] = True
    covered[_index(lower, rows) :] = True
    covered[:, : _index(left - 1, columns)] = True
    covered[:, _index(right, columns) :] = True


def _index(value: float, length: int) -> int:
    return int(min(max(ceil(value), 0), length))


def _cover_but_circle(covered: Truth, state: JsonDataset, pixel_height: float) -> None:
    """Cover all but what lies within the radius, which is in pixels along a row."""
    found = [number(value) for value in values(state, _CENTER)[:2]]
    radius = _number(state, _RADIUS)
    if len(found) < 2 or None in found or radius is None or radius < 0:
        return
    middle, centre = (min(max(float(value or 0), -_FAR), _FAR) for value in found)
    radius = min(radius, 4 * _FAR)
    rows, columns = covered.shape
    down = (np.arange(1, rows + 1) - middle) * pixel_height
    with np.errstate(all="ignore"):
        half = np.sqrt(radius**2 - down**2)  # of what is seen of a row; no number for nothing
    first = np.clip(np.nan_to_num(np.ceil(centre - half), nan=columns + 1), 1, columns + 1)
    last = np.clip(np.nan_to_num(np.floor(centre + half), nan=0), 0, columns)
    x = np.arange(1, columns + 1, dtype=np.int32)
    covered |= x < first.astype(np.int32)[:, np.newaxis]
    covered |= x > last.astype(np.int32)[:, np.newaxis]


def _cover_but_polygon(covered: Truth, state: JsonDataset) -> None:
    """Cover all but what lies within the vertices, given as row and column, counted from 1."""
    from PIL import Image, ImageDraw

    found = [number(value) for value in values(state, _VERTICES)[: 2 * MAX_VERTICES]]
    if len(found) < 6 or None in found:
        return
    flat = [min(max(float(value or 0), -_FAR), _FAR) - 1 for value in found]
    vertices = list(zip(flat[1::2], flat[::2], strict=False))
    mask = Image.new("L", covered.shape[::-1], 1)
    ImageDraw.Draw(mask).polygon(vertices, fill=0, outline=0)
    covered |= np.asarray(mask).view(bool)


def _bitmap(
    state: JsonDataset, image: JsonDataset, rows: int, columns: int, frame: int
) -> Plane | None:
    group = shutter_group(state)
    if group is None:
        return None
    for dataset in (state, image):
        plane = overlay_plane(dataset, group, rows, columns, frame)
        if plane is not None:
            return plane
    return None


def _number(state: JsonDataset, tag: str) -> float | None:
    return number(next(iter(values(state, tag)), None))
