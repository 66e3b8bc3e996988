"""Graphic objects of presentation states (PS3.3 C.10.5): points, lines, curves, areas.

Drawn in the picture, with the geometry that put the image there. Lines keep their width in the
picture however large the image is shown. What makes no sense is left out, and so is what goes
beyond the bounds below. Compound graphics are shown by the simple ones that they always come
with (C.10.5.1.3.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import hypot
from typing import Any

import numpy as np

from dicomweb_server.dicom.canvas import Canvas
from dicomweb_server.dicom.cielab import Colour, colour_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.displayed_area import Geometry, Points
from dicomweb_server.dicom.json_values import first_item, first_number, first_text, values

Array = np.ndarray[Any, np.dtype[Any]]

MAX_OBJECTS = 2000  # of one picture
MAX_POINTS = 200_000
_MOST_DRAWN = 1 << 31  # units of about a nanosecond for one picture: a pixel of a mask is one
_FINENESS = 4  # pixels of a mask for one of the picture, each way
_LARGE = 1 << 25  # pixels of a mask that is too large to be that fine
_OF_LENGTH, _OF_POINT = 256, 8000  # units for a pixel of a line, and for a point of it
_OF_DASH = 2000  # also for one that lies outside
_OF_EDGE, _OF_CROSSING = 2, 32  # for each row of an area: each edge, and each that crosses the row
_FAR = 1e5  # pixels of the picture; what lies further away is brought to there
_CURVE = 8  # lines between two points of a curve
_ROUND = 96  # lines of a circle or an ellipse

GRAPHICS = "00700009"
_TYPE, _DATA, _UNITS, _FILLED = "00700023", "00700022", "00700005", "00700024"


@dataclass(frozen=True, slots=True)
class Style:
    """How a graphic object is drawn; line widths in pixels of the picture."""

    colour: Colour
    width: float
    dashed: bool = False
    opacity: float = 1.0
    fill: Colour | None = None  # None for that of the line
    fill_opacity: float = 1.0


@dataclass(slots=True)
class Budget:
    """What may still be drawn in one picture."""

    objects: int = MAX_OBJECTS
    points: int = MAX_POINTS
    units: int = _MOST_DRAWN


@dataclass(frozen=True, slots=True)
class _Shape:
    points: Points  # in the picture
    filled: bool = False
    dot: bool = False


@dataclass(slots=True)
class _Layer:
    """Shapes of one colour, which are painted together."""

    shapes: list[_Shape] = field(default_factory=list)


def line_width(size: tuple[int, int]) -> float:
    """The width of ordinary lines in a picture of `size`, columns and rows."""
    return max(1.25, max(size) / 500)


def positions(data: list[Any], units: str, geometry: Geometry, limit: int) -> Points | None:
    """Graphic Data as positions in the picture, `limit` points at the most; None if damaged."""
    if len(data) < 2 or len(data) % 2 or len(data) > 2 * limit:
        return None
    try:
        points = np.array(data, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        return None
    if not np.isfinite(points).all():
        return None
    placed = geometry.of_area(points) if units == "DISPLAY" else geometry.of_image(points)
    return np.clip(placed, -_FAR, _FAR)


def draw_graphics(
    canvas: Canvas, item: JsonDataset, geometry: Geometry, colour: Colour, budget: Budget
) -> None:
    """Draw the graphic objects of an item of the Graphic Annotation Sequence, in their order."""
    plain = Style(colour, line_width(canvas.size))
    together: list[_Shape] = []
    style = plain
    for shape, own in _shapes(item, geometry, plain, budget):
        # What is of one style is painted at once, which is the same where nothing shines through
        if own != style or own.opacity < 1 or own.fill_opacity < 1:
            _paint(canvas, together, style, budget)
            together, style = [], own
        together.append(shape)
    _paint(canvas, together, style, budget)


def draw_line(canvas: Canvas, points: Points, colour: Colour, budget: Budget) -> None:
    """A line of ordinary width, with a dot at its first point."""
    style = Style(colour, line_width(canvas.size))
    shapes = [_Shape(points), _Shape(points[:1], dot=True)]
    _paint(canvas, shapes, style, budget)


def _shapes(
    item: JsonDataset, geometry: Geometry, plain: Style, budget: Budget
) -> Iterator[tuple[_Shape, Style]]:
    for graphic in values(item, GRAPHICS):
        if budget.objects <= 0:
            return
        budget.objects -= 1
        if not isinstance(graphic, dict):
            continue
        points = positions(values(graphic, _DATA), _units(graphic), geometry, budget.points)
        if points is None:
            continue
        budget.points -= len(points)
        shape = _shape(first_text(graphic, _TYPE), points)
        if shape is not None:
            closed = len(shape.points) > 2 and bool(np.allclose(shape.points[0], shape.points[-1]))
            filled = first_text(graphic, _FILLED) == "Y" and closed
            yield replace(shape, filled=filled), _style(graphic, plain)


def _units(graphic: JsonDataset) -> str:
    return first_text(graphic, _UNITS)


def _shape(kind: str, points: Points) -> _Shape | None:
    """The lines that show `points`, None if there are not as many as there should be."""
    if kind == "POINT" and len(points) == 1:
        return _Shape(points, dot=True)
    if kind == "POLYLINE" and len(points) >= 2:
        return _Shape(points)
    if kind == "INTERPOLATED" and len(points) >= 2:
        return _Shape(_curve(points))
    if kind == "CIRCLE" and len(points) == 2:
        (x, y), (other_x, other_y) = points
        radius = hypot(other_x - x, other_y - y)
        return _Shape(_ellipse(points[0], np.array([radius, 0]), np.array([0, radius])))
    if kind == "ELLIPSE" and len(points) == 4:
        major, minor = (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
        return _Shape(_ellipse(points.mean(axis=0), major, minor))
    return None


def _ellipse(centre: Points, major: Points, minor: Points) -> Points:
    angles = np.linspace(0, 2 * np.pi, _ROUND + 1)
    around: Points = centre + np.outer(np.cos(angles), major) + np.outer(np.sin(angles), minor)
    around[-1] = around[0]
    return around


def _curve(points: Points) -> Points:
    """A curve through `points` (Catmull-Rom), closed if they are."""
    if len(points) == 2:
        return points
    closed = bool((points[0] == points[-1]).all())
    before, after = (points[-2], points[1]) if closed else (points[0], points[-1])
    padded = np.vstack((before, points, after))
    t = np.linspace(0, 1, _CURVE, endpoint=False)[:, np.newaxis]
    p0, p1, p2, p3 = (padded[n : n + len(points) - 1, np.newaxis] for n in range(4))
    pieces = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.vstack((pieces.reshape(-1, 2), points[-1]))


def _style(graphic: JsonDataset, plain: Style) -> Style:
    """The Line Style and Fill Style of a graphic object, where it has them."""
    line, fill = first_item(graphic, "00700232"), first_item(graphic, "00700233")
    style = plain
    if line:
        thickness = first_number(line, "00700253")
        factor = min(16.0, max(0.5, thickness)) if thickness and thickness > 0 else 1.0
        style = replace(
            style,
            colour=colour_of(line, "00700251") or style.colour,
            width=style.width * factor,
            dashed=first_text(line, "00700254") == "DASHED",
            opacity=_opacity(line),
        )
    if fill:
        style = replace(style, fill=colour_of(fill, "00700251"), fill_opacity=_opacity(fill))
    return style


def _opacity(style: JsonDataset) -> float:
    told = first_number(style, "00700284")
    return 1.0 if told is None else min(1.0, max(0.0, told))


def _paint(canvas: Canvas, shapes: list[_Shape], style: Style, budget: Budget) -> None:
    filled = [shape for shape in shapes if shape.filled]
    if style.fill is None and style.fill_opacity == 1:
        _paint_mask(canvas, shapes, filled, style, style.colour, style.opacity, budget)
        return
    _paint_mask(canvas, [], filled, style, style.fill or style.colour, style.fill_opacity, budget)
    _paint_mask(canvas, shapes, [], style, style.colour, style.opacity, budget)


def _paint_mask(
    canvas: Canvas,
    lines: list[_Shape],
    areas: list[_Shape],
    style: Style,
    colour: Colour,
    opacity: float,
    budget: Budget,
) -> None:
    """Draw shapes into a mask of what they cover, finer than the picture, and paint it."""
    from PIL import Image, ImageDraw

    shapes = [*lines, *areas]
    bounds = _bounds(shapes, 3 * style.width + 2, canvas.size)
    if bounds is None:
        return
    left, top, right, bottom = bounds
    columns, rows = right - left, bottom - top
    fine = _FINENESS
    while fine > 1 and columns * rows * fine**2 > min(_LARGE, budget.units):
        fine //= 2
    budget.units -= columns * rows * fine**2
    if budget.units < 0:
        return
    mask = Image.new("L", (columns * fine, rows * fine), 0)
    draw = ImageDraw.Draw(mask)
    width = max(1, round(style.width * fine))
    for area in areas:
        budget.units -= _cost_of_area(area.points * fine, mask.size[1])
        if budget.units < 0:
            break
        draw.polygon(_scaled(area.points, left, top, fine), fill=255)
    for line in lines:
        points = _scaled(line.points, left, top, fine)
        if line.dot:
            draw.circle(points[0], 1.75 * width, fill=255)
            continue
        budget.units -= _cost(line.points * fine, width, max(mask.size), dashed=style.dashed)
        if budget.units < 0:
            break
        for part in _dashes(points, 5 * width) if style.dashed else [points]:
            draw.line(part, fill=255, width=width, joint="curve")
    covered = np.asarray(mask.reduce(fine) if fine > 1 else mask)
    canvas.paint(covered, colour, opacity, left, top)


def _cost(points: Points, width: int, side: int, *, dashed: bool) -> int:
    """What a line takes, in a mask whose longer side has `side` pixels, in units of the budget."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    length = float(np.minimum(steps, 1.5 * side).sum())
    cost = length * (width + _OF_LENGTH) + _OF_POINT * len(points)
    if dashed:
        cost += _OF_DASH * float(steps.sum()) / (10 * width)
    return int(cost)


def _cost_of_area(points: Points, rows: int) -> int:
    """What an area takes to be filled, in a mask of `rows`, in units of the budget: each edge is
    looked at for each row, and where edges cross the row is sorted."""
    crossings = float(np.minimum(np.abs(np.diff(points[:, 1])), rows).sum())
    return int(_OF_CROSSING * crossings) + _OF_EDGE * len(points) * rows


def _scaled(points: Points, left: int, top: int, fine: int) -> list[tuple[float, float]]:
    # Pillow has the middle of a pixel where positions in a picture have its corner
    scaled = (points - np.array([left, top])) * fine - 0.5
    return [(float(x), float(y)) for x, y in scaled]


def _bounds(
    shapes: list[_Shape], margin: float, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """What of the picture the shapes may touch: left, top, right, bottom; None for nothing."""
    if not shapes:
        return None
    points = np.vstack([shape.points for shape in shapes])
    left, top = (int(value) for value in np.floor(points.min(axis=0) - margin))
    right, bottom = (int(value) for value in np.ceil(points.max(axis=0) + margin))
    left, top = max(0, left), max(0, top)
    right, bottom = min(size[0], right), min(size[1], bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _dashes(points: list[tuple[float, float]], length: float) -> Iterator[list[Any]]:
    """The lines between `points` in pieces of `length` with as much between them."""
    drawn, left, piece = True, length, [points[0]]
    for (x, y), (to_x, to_y) in pairwise(points):
        whole = hypot(to_x - x, to_y - y)
        at = 0.0
        while whole - at > left and whole < 1e5:
            at += left
            here = (x + (to_x - x) * at / whole, y + (to_y - y) * at / whole)
            if drawn:
                yield [*piece, here]
            drawn, left, piece = not drawn, length, [here]
        left = max(left - (whole - at), 1.0)
        piece.append((to_x, to_y))
    if drawn and len(piece) > 1:
        yield piece
