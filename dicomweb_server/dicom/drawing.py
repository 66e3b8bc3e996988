"""A drawing in millimetres, as SVG and as pixels: both from the same shapes."""

from dataclasses import dataclass, field
from math import floor
from typing import Any

import numpy as np

from dicomweb_server.dicom.lettering import letters
from dicomweb_server.dicom.page import text as escaped

_Points = np.ndarray[Any, np.dtype[np.float64]]
_Colour = str  # #rrggbb

MAX_PIXELS = 24_000_000  # of a picture
_SMOOTH = 2  # times larger while it is drawn, for lines without steps


@dataclass(frozen=True, slots=True)
class Line:
    """A line through `points`, (count, 2) of x and y; broken where one is not a number."""

    points: _Points
    width: float
    colour: _Colour


@dataclass(frozen=True, slots=True)
class Paper:
    """Graph paper: a line each millimetre, and a stronger one each five."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text whose base line begins, has its middle, or ends at x, y. `size`: of the
    letters."""

    x: float
    y: float
    text: str
    size: float = 3.0
    colour: _Colour = "#222222"
    anchor: str = "start"  # or middle, end
    bold: bool = False


@dataclass(slots=True)
class Drawing:
    """What is drawn, in its order, on white of `width` by `height` mm."""

    width: float
    height: float
    title: str
    shapes: list[Line | Paper | Words] = field(default_factory=list)


_PAPER, _MINOR, _MAJOR = "#fffafa", "#f8d9d9", "#eeb1b1"


def to_svg(drawing: Drawing) -> str:
    """The drawing as an SVG document: no script, no style sheet, nothing from elsewhere."""
    width, height = f"{drawing.width:g}", f"{drawing.height:g}"
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}mm" height="{height}mm" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">'
        f"<title>{escaped(drawing.title)}</title>"
        '<defs><pattern id="mm" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<path d="M1 0V5M2 0V5M3 0V5M4 0V5M0 1H5M0 2H5M0 3H5M0 4H5" stroke="{_MINOR}" '
        'stroke-width="0.12" fill="none"/>'
        f'<path d="M0 0V5M0 0H5" stroke="{_MAJOR}" stroke-width="0.36" fill="none"/></pattern>'
        '</defs><rect width="100%" height="100%" fill="#ffffff"/>\n'
    ]
    for shape in drawing.shapes:
        if isinstance(shape, Line):
            parts += _svg_line(shape)
        elif isinstance(shape, Paper):
            parts.append(_svg_paper(shape))
        else:
            parts.append(_svg_words(shape))
    return "".join([*parts, "</svg>\n"])


def _svg_line(line: Line) -> list[str]:
    pieces = ["M" + " ".join(f"{x:.2f} {y:.2f}" for x, y in run) for run in _runs(line.points)]
    if not pieces:
        return []
    return [
        f'<path d="{"".join(pieces)}" fill="none" stroke="{line.colour}" '
        f'stroke-width="{line.width:g}" stroke-linejoin="round" stroke-linecap="round"/>\n'
    ]


def _svg_paper(paper: Paper) -> str:
    """The pattern begins where the paper does."""
    size = f'width="{paper.width:g}" height="{paper.height:g}"'
    return (
        f'<g transform="translate({paper.x:g} {paper.y:g})"><rect {size} fill="{_PAPER}"/>'
        f'<rect {size} fill="url(#mm)" stroke="{_MAJOR}" stroke-width="0.18"/></g>\n'
    )


def _svg_words(words: Words) -> str:
    weight = ' font-weight="bold"' if words.bold else ""
    return (
        f'<text x="{words.x:.2f}" y="{words.y:.2f}" font-size="{words.size:g}" '
        f'fill="{words.colour}" text-anchor="{words.anchor}"{weight}>{escaped(words.text)}</text>\n'
    )


def _runs(points: _Points) -> list[_Points]:
    """The pieces between points that are no numbers; of one point alone a dot."""
    good = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    runs = [points[a:b] for a, b in edges.reshape(-1, 2).tolist()]
    return [np.repeat(run, 2, axis=0) if len(run) == 1 else run for run in runs]


def to_pixels(drawing: Drawing, scale: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The drawing as (rows, columns, 3), `scale` pixels a millimetre, or fewer where that would
    make more than MAX_PIXELS."""
    from PIL import Image, ImageDraw

    most = (MAX_PIXELS / (drawing.width * drawing.height * _SMOOTH**2)) ** 0.5
    scale = min(scale, most)
    size = [max(1, round(side * scale)) for side in (drawing.width, drawing.height)]
    image = Image.new("RGB", (size[0] * _SMOOTH, size[1] * _SMOOTH), "#ffffff")
    draw = ImageDraw.Draw(image)
    pen = scale * _SMOOTH
    for shape in drawing.shapes:
        if isinstance(shape, Line):
            width = max(1, round(shape.width * pen))
            for run in _runs(shape.points):
                draw.line((run * pen).ravel().tolist(), shape.colour, width, joint="curve")
        elif isinstance(shape, Paper):
            _draw_paper(draw, shape, pen)
        else:
            _draw_words(draw, shape, pen)
    return np.asarray(image.reduce(_SMOOTH))


def _draw_paper(draw: Any, paper: Paper, pen: float) -> None:
    left, top = paper.x * pen, paper.y * pen
    right, bottom = (paper.x + paper.width) * pen, (paper.y + paper.height) * pen
    draw.rectangle((left, top, right, bottom), fill=_PAPER)
    steps = (1, 5) if pen >= 2 * _SMOOTH else (5,)  # finer ones would be a pink haze
    for step, colour in zip(steps, (_MINOR, _MAJOR)[-len(steps) :], strict=True):
        width = _SMOOTH if step == 5 else max(1, _SMOOTH // 2)
        for x in range(0, floor(paper.width) + 1, step):
            draw.line((left + x * pen, top, left + x * pen, bottom), colour, width)
        for y in range(0, floor(paper.height) + 1, step):
            draw.line((left, top + y * pen, right, top + y * pen), colour, width)


def _draw_words(draw: Any, words: Words, pen: float) -> None:
    shown, font = letters(words.text, max(4.0, words.size * pen))
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    stroke = round(words.size * pen / 40) if words.bold else 0
    where = words.x * pen, words.y * pen
    draw.text(
        where, shown, words.colour, font, anchor, stroke_width=stroke, stroke_fill=words.colour
    )
