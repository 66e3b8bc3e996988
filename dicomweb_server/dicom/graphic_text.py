"""Text objects of presentation states (PS3.3 C.10.5.1.1): in their bounding box, or at an anchor.

Text runs from the upper left to the lower right corner of its box as these lie in the picture,
and is as large as the box has room for, within what can be read. It has a thin outline, so that
it can be read on whatever it lies on.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.canvas import Canvas
from dicomweb_server.dicom.cielab import BLACK, WHITE, Colour, colour_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.displayed_area import Geometry, Points
from dicomweb_server.dicom.graphics import Budget, draw_line, positions
from dicomweb_server.dicom.json_values import first_item, first_text, values
from dicomweb_server.dicom.lettering import letters

TEXTS = "00700008"
MAX_LENGTH = 1024  # characters, which is what ST holds
MAX_LINES = 40

_SMALLEST, _LARGEST = 11.0, 40.0  # pixels of the height of letters, in a picture of 512
_OUTLINE_OPACITY = 0.7
_WIDEST = 8192  # pixels of a line
# Units of the budget for a text, a character and a pixel of it
_OF_TEXT, _OF_CHARACTER, _OF_PIXEL = 1_000_000, 25_000, 32


@dataclass(frozen=True, slots=True)
class _Box:
    """Where text stands in the picture: bounds, and how it is turned clockwise, in degrees."""

    left: float
    top: float
    right: float
    bottom: float
    rotation: int
    bounded: bool = True


def draw_texts(
    canvas: Canvas, item: JsonDataset, geometry: Geometry, colour: Colour, budget: Budget
) -> None:
    """Draw the text objects of an item of the Graphic Annotation Sequence."""
    for text in values(item, TEXTS):
        if budget.objects <= 0:
            return
        budget.objects -= 1
        if isinstance(text, dict):
            _draw_text(canvas, text, geometry, colour, budget)


def _draw_text(
    canvas: Canvas, text: JsonDataset, geometry: Geometry, colour: Colour, budget: Budget
) -> None:
    lines = _lines(text)
    anchor = _point(text, "00700014", "00700004", geometry)
    box = _box(text, geometry) or _beside(anchor, canvas)
    if not lines or box is None or not _is_seen(canvas, box, anchor):
        return
    style = first_item(text, "00700231")
    if style:
        colour = colour_of(style, "00700241") or colour
    if anchor is not None and box.bounded and first_text(text, "00700015") == "Y":
        draw_line(canvas, np.array([anchor, _nearest(anchor, box)]), colour, budget)
    justification = first_text(style or {}, "00700242") or first_text(text, "00700012")
    _write(canvas, lines, box, colour, justification.lower(), budget)


def _is_seen(canvas: Canvas, box: _Box, anchor: Points | None) -> bool:
    """Whether any of the box, or the anchor, is in the picture: else the text is not shown."""
    columns, rows = canvas.size
    if box.right >= 0 and box.bottom >= 0 and box.left <= columns and box.top <= rows:
        return True
    return anchor is not None and 0 <= anchor[0] <= columns and 0 <= anchor[1] <= rows


def _lines(text: JsonDataset) -> list[str]:
    """The lines of Unformatted Text Value, without what cannot be seen."""
    value = first_text(text, "00700006")[:MAX_LENGTH]
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:MAX_LINES]
    seen = ["".join(c for c in line.expandtabs(4) if c.isprintable()).rstrip() for line in lines]
    return seen if any(seen) else []


def _point(text: JsonDataset, tag: str, units: str, geometry: Geometry) -> Points | None:
    found = positions(values(text, tag)[:2], first_text(text, units), geometry, 1)
    return None if found is None else found[0]


def _box(text: JsonDataset, geometry: Geometry) -> _Box | None:
    first = _point(text, "00700010", "00700003", geometry)
    last = _point(text, "00700011", "00700003", geometry)
    if first is None or last is None:
        return None
    right, down = bool(last[0] >= first[0]), bool(last[1] >= first[1])
    rotation = {(True, True): 0, (False, True): 90, (False, False): 180, (True, False): 270}
    low, high = np.minimum(first, last), np.maximum(first, last)
    return _Box(low[0], low[1], high[0], high[1], rotation[right, down])


def _beside(anchor: Points | None, canvas: Canvas) -> _Box | None:
    """Where text without a box stands: to the right of its anchor."""
    if anchor is None:
        return None
    gap = max(canvas.size) / 100
    x, y = float(anchor[0]) + gap, float(anchor[1])
    return _Box(x, y, x, y, rotation=0, bounded=False)


def _nearest(point: Points, box: _Box) -> Points:
    low, high = np.array([box.left, box.top]), np.array([box.right, box.bottom])
    return np.clip(point, low, high)


@dataclass(frozen=True, slots=True)
class _Lettering:
    """Lines of text as they are drawn; `height` of letters, `pitch` of lines, in pixels."""

    lines: list[str]
    font: Any
    height: float
    width: float  # of the longest line

    @property
    def pitch(self) -> int:
        return round(self.height * 1.25)

    @property
    def outline(self) -> int:
        return max(1, round(self.height / 14))


def _write(
    canvas: Canvas, lines: list[str], box: _Box, colour: Colour, align: str, budget: Budget
) -> None:
    budget.units -= _OF_TEXT + _OF_CHARACTER * sum(map(len, lines))
    if budget.units < 0:
        return
    along, across = box.right - box.left, box.bottom - box.top
    if box.rotation in (90, 270):
        along, across = across, along
    text = _fitted(lines, along, across, box, canvas.size)
    edge = text.outline
    size = (
        min(int(text.width) + 2 * edge + 2, _WIDEST),
        text.pitch * len(text.lines) + 2 * edge,
    )
    budget.units -= _OF_PIXEL * size[0] * size[1]
    if budget.units < 0:
        return
    turns = -(box.rotation // 90)
    around, letter = (np.rot90(_mask(text, size, align, width), turns) for width in (edge, 0))
    rows, columns = letter.shape
    left, top = _corner(box, columns, rows, along, align)
    left, top = _within(left, columns, canvas.size[0]), _within(top, rows, canvas.size[1])
    outlined = BLACK if sum(colour) > 382 else WHITE
    canvas.paint(around, outlined, _OUTLINE_OPACITY, left, top)
    canvas.paint(letter, colour, 1.0, left, top)


def _fitted(
    lines: list[str], along: float, across: float, box: _Box, picture: tuple[int, int]
) -> _Lettering:
    """Lines as large as the box has room for, between what can be read and what looks well; those
    that are longer than the picture are broken."""
    unit = max(picture) / 512
    smallest, largest = max(9.0, _SMALLEST * unit), _LARGEST * unit
    height = min(max(across / len(lines) / 1.25, smallest), largest) if box.bounded else smallest
    whole, font = letters("\n".join(lines), height)
    lines = whole.split("\n")
    width = _width(lines, font)
    if box.bounded and width > along:
        height = max(smallest, height * along / width)
        font = letters(whole, height)[1]
        width = _width(lines, font)
    room = picture[0] if box.rotation in (0, 180) else picture[1]
    if width > room:
        lines = [part for line in lines for part in _broken(line, font, room)]
        width = min(_width(lines, font), float(_WIDEST))
    most = max(1, int(max(picture) / (height * 1.25)))
    return _Lettering(lines[: min(most, MAX_LINES)], font, height, width)


def _broken(line: str, font: Any, room: int) -> list[str]:
    """A line in parts that are about as long as there is room for."""
    length = float(font.getlength(line))
    if length <= room:
        return [line]
    return textwrap.wrap(line, max(1, int(len(line) * room / length * 0.95))) or [""]


def _mask(
    text: _Lettering, size: tuple[int, int], align: str, outline: int
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    from PIL import Image, ImageDraw

    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    for n, line in enumerate(text.lines):
        room = text.width - draw.textlength(line, text.font)
        indent = room if align == "right" else room / 2 if align == "center" else 0
        place = (text.outline + 1 + indent, text.outline + n * text.pitch)
        draw.text(place, line, fill=255, font=text.font, stroke_width=outline)
    return np.asarray(mask)


def _width(lines: list[str], font: Any) -> float:
    return max(float(font.getlength(line)) for line in lines)


def _corner(box: _Box, width: int, height: int, along: float, align: str) -> tuple[float, float]:
    """The upper left corner in the picture of text that is `width` by `height` once turned."""
    if not box.bounded:
        return box.left, box.top - height / 2
    share = {"right": 1.0, "center": 0.5}.get(align, 0.0)
    if box.rotation == 0:
        return box.left + (along - width) * share, box.top
    if box.rotation == 180:
        return box.right - width - (along - width) * share, box.bottom - height
    if box.rotation == 90:
        return box.right - width, box.top + (along - height) * share
    return box.left, box.bottom - height - (along - height) * share


def _within(place: float, length: int, room: int) -> int:
    """`place` moved so that what is `length` long is seen, as far as there is room."""
    return max(0, min(round(place), room - length))
