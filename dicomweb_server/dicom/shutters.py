"""Display shutters: what of an image is covered (PS3.3 C.7.6.11, C.7.6.15 and C.11.12)."""

from typing import Any

import numpy as np

from dicomweb_server.dicom.cielab import BLACK, Colour, colour_of, grey_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import number, values
from dicomweb_server.dicom.overlays import overlay_group, overlay_plane

Plane = np.ndarray[Any, np.dtype[np.uint8]]
Truth = np.ndarray[Any, np.dtype[np.bool_]]

MAX_VERTICES = 1000

_SHAPE = "00181600"
_EDGES = ("00181602", "00181604", "00181606", "00181608")  # left, right, upper, lower
_CENTER, _RADIUS = "00181610", "00181612"
_VERTICES = "00181620"
_OVERLAY_GROUP = "00181623"


def shutter(
    state: JsonDataset, image: JsonDataset, rows: int, columns: int, frame: int, pixel_height: float
) -> Plane | None:
    """Where the shutters of a presentation state cover an image: (rows, columns) of 0 or 255.

    What any of them covers is covered; None if there is none. A shutter that makes no sense
    covers nothing. `image` may have the overlay that a bitmap shutter names, `frame` is counted
    from 1, `pixel_height` is that of a pixel whose width is 1.
    """
    shapes = [str(value).strip() for value in values(state, _SHAPE)[:8]]
    covered = np.zeros((rows, columns), bool)
    if "RECTANGULAR" in shapes:
        covered |= ~_rectangle(state, rows, columns)
    if "CIRCULAR" in shapes:
        covered |= ~_circle(state, rows, columns, pixel_height)
    if "POLYGONAL" in shapes:
        covered |= ~_polygon(state, rows, columns)
    if "BITMAP" in shapes:
        plane = _bitmap(state, image, rows, columns, frame)
        if plane is not None:
            covered |= plane > 0
    return np.where(covered, 255, 0).astype(np.uint8) if covered.any() else None


def shutter_colour(state: JsonDataset) -> Colour:
    """Shutter Presentation Color or Value; black where none is told."""
    return colour_of(state, "00181624") or grey_of(state, "00181622") or BLACK


def shutter_group(state: JsonDataset) -> int | None:
    """The group, 0x60xx, of the overlay that is a bitmap shutter; None if there is none."""
    if "BITMAP" not in [str(value).strip() for value in values(state, _SHAPE)[:8]]:
        return None
    return overlay_group(next(iter(values(state, _OVERLAY_GROUP)), None))


def _rectangle(state: JsonDataset, rows: int, columns: int) -> Truth:
    """What lies within the edges, which are pixels counted from 1 and are seen."""
    edges = [_number(state, tag) for tag in _EDGES]
    bounds = (1.0, float(columns), 1.0, float(rows))
    left, right, upper, lower = (
        bound if edge is None else edge for edge, bound in zip(edges, bounds, strict=True)
    )
    if left > right or upper > lower:
        return np.ones((rows, columns), bool)
    y, x = _positions(rows, columns)
    seen: Truth = (x >= left) & (x <= right) & (y >= upper) & (y <= lower)
    return seen


def _circle(state: JsonDataset, rows: int, columns: int, pixel_height: float) -> Truth:
    """What lies within the radius, which is in pixels along a row."""
    found = [number(value) for value in values(state, _CENTER)[:2]]
    radius = _number(state, _RADIUS)
    if len(found) < 2 or None in found or radius is None or radius < 0:
        return np.ones((rows, columns), bool)
    y, x = _positions(rows, columns)
    down, across = (y - float(found[0] or 0)) * pixel_height, x - float(found[1] or 0)
    within: Truth = down**2 + across**2 <= radius**2
    return within


def _polygon(state: JsonDataset, rows: int, columns: int) -> Truth:
    """What lies within the vertices, given as row and column, counted from 1."""
    from PIL import Image, ImageDraw

    found = [number(value) for value in values(state, _VERTICES)[: 2 * MAX_VERTICES]]
    if len(found) < 6 or None in found:
        return np.ones((rows, columns), bool)
    limit = 1 << 17
    flat = [min(max(float(value or 0), -limit), limit) - 1 for value in found]
    vertices = list(zip(flat[1::2], flat[::2], strict=False))
    mask = Image.new("L", (columns, rows), 0)
    ImageDraw.Draw(mask).polygon(vertices, fill=1, outline=1)
    within: Truth = np.asarray(mask) > 0
    return within


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


def _positions(rows: int, columns: int) -> tuple[Any, Any]:
    """Row and column of each pixel, from 1."""
    y, x = np.ogrid[1 : rows + 1, 1 : columns + 1]
    return y, x
