"""Icons for what has no picture of its own: which kind of thing it is, never whose (THB-03,
THB-05). Drawn on a square of 128, for any size."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dicomweb_server.dicom.dictionary import uid_name
from dicomweb_server.dicom.frames import is_video

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_ROOT = "1.2.840.10008.5.1.4.1.1."

# SOP classes by the beginning of their UIDs, below 1.2.840.10008.5.1.4.1.1; the longest counts.
_KINDS = {
    "88.": "report",
    "88.59": "key objects",
    "79.": "report",
    "104.": "model",
    "104.1": "document",
    "104.2": "report",
    "9.": "waveform",
    "9.4.": "sound",
    "11.": "presentation",
    "77.1.1.1": "video",
    "77.1.2.1": "video",
    "77.1.4.1": "video",
    "481.": "plan",
    "66.5": "model",
    "68.": "model",
    "66.4": "image",
}
_SIDE, _SMOOTH = 128, 4
_GROUND, _PAPER, _INK, _DIM = "#232b34", "#dfe6ee", "#31404f", "#8fa0b2"
_ACCENTS = {
    "report": "#3d8bd4",
    "key objects": "#e0a526",
    "document": "#d5564a",
    "video": "#7d6bd6",
    "waveform": "#d9536f",
    "sound": "#2fa58a",
    "model": "#3aa6b9",
    "presentation": "#7f9c3d",
    "plan": "#c97b35",
}
KINDS = (*_ACCENTS, "data", "image")


def kind_of(sop_class_uid: str, transfer_syntax_uid: str = "") -> str:
    """Which of KINDS an instance of a SOP class is."""
    if is_video(transfer_syntax_uid):
        return "video"
    family = sop_class_uid.removeprefix(_ROOT)
    known = [one for one in _KINDS if family == one or (one[-1] == "." and family.startswith(one))]
    kind = _KINDS[max(known, key=len)] if known and family != sop_class_uid else "data"
    if kind != "video" and "Image Storage" in uid_name(sop_class_uid):
        return "image"
    return kind


def icon(kind: str, size: int = 256) -> Picture:
    """The icon of one of KINDS, (size, size, 3). Anything else is data."""
    from PIL import Image, ImageDraw

    side = _SIDE * _SMOOTH
    image = Image.new("RGB", (side, side), _GROUND)
    pen = _Pen(ImageDraw.Draw(image), _ACCENTS.get(kind, _DIM))
    _DRAWN.get(kind, _data)(pen)
    size = max(16, size)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


class _Pen:
    """Draws on a square of 128."""

    def __init__(self, draw: Any, accent: str) -> None:
        self._draw = draw
        self.accent = accent

    def box(self, *corners: float, fill: str, radius: float = 4) -> None:
        place = tuple(corner * _SMOOTH for corner in corners)
        self._draw.rounded_rectangle(place, radius * _SMOOTH, fill=fill)

    def shape(self, *numbers: float, fill: str) -> None:
        self._draw.polygon([number * _SMOOTH for number in numbers], fill=fill)

    def line(self, *numbers: float, fill: str, width: float = 3) -> None:
        points = [number * _SMOOTH for number in numbers]
        self._draw.line(points, fill=fill, width=round(width * _SMOOTH), joint="curve")
        reach = width * _SMOOTH / 2
        for x, y in (points[:2], points[-2:]):
            self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: str) -> None:
        edges = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(tuple(edge * _SMOOTH for edge in edges), fill=fill)

    def words(self, x: float, y: float, text: str, size: float, fill: str) -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(size * _SMOOTH)
        where = x * _SMOOTH, y * _SMOOTH
        self._draw.text(where, text, fill, font, "mm", stroke_width=2, stroke_fill=fill)


def _sheet(pen: _Pen) -> None:
    pen.box(30, 16, 98, 112, fill=_PAPER, radius=5)
    pen.shape(80, 15, 99, 34, 99, 15, fill=_GROUND)
    pen.shape(80, 16, 80, 34, 98, 34, fill=_DIM)


def _report(pen: _Pen) -> None:
    _sheet(pen)
    pen.box(39, 30, 68, 36, fill=pen.accent, radius=3)
    for y, right in ((50, 89), (62, 84), (74, 89), (86, 72)):
        pen.line(41, y, right - 2, y, fill=_INK, width=3.6)
    pen.line(41, 98, 60, 98, fill=_DIM, width=3.6)


def _document(pen: _Pen) -> None:
    _sheet(pen)
    for y, right in ((46, 89), (56, 80)):
        pen.line(41, y, right - 2, y, fill=_DIM, width=3)
    pen.box(22, 68, 88, 98, fill=pen.accent, radius=5)
    pen.words(55, 83, "PDF", 19, "#ffffff")


def _key_objects(pen: _Pen) -> None:
    pen.box(38, 20, 106, 76, fill=_DIM, radius=5)
    pen.box(30, 30, 98, 86, fill="#b7c3d0", radius=5)
    pen.box(22, 40, 90, 100, fill=_PAPER, radius=5)
    points = []
    for step in range(10):
        radius = 24 if step % 2 == 0 else 10
        angle = np.pi * (step / 5 - 0.5)
        points += [56 + radius * float(np.cos(angle)), 71 + radius * float(np.sin(angle))]
    pen.shape(*points, fill=pen.accent)


def _video(pen: _Pen) -> None:
    pen.box(16, 28, 112, 100, fill=_PAPER, radius=8)
    for y in (36, 53, 70, 87):
        for x in (23, 99):
            pen.box(x, y, x + 7, y + 8, fill=_GROUND, radius=2)
    pen.disc(64, 64, 25, pen.accent)
    pen.shape(56, 50, 56, 78, 80, 64, fill="#ffffff")


def _waveform(pen: _Pen) -> None:
    pen.box(12, 26, 116, 102, fill="#fdf3f3", radius=6)
    for at in range(24, 116, 12):
        pen.line(at, 27, at, 101, fill="#f1cdcf", width=1)
    for at in range(38, 102, 12):
        pen.line(13, at, 115, at, fill="#f1cdcf", width=1)
    trace = [18, 70, 32, 70, 38, 62, 44, 70, 51, 70, 55, 76, 61, 36, 67, 92, 72, 70, 82, 70]
    pen.line(*trace, 89, 58, 96, 70, 110, 70, fill=pen.accent, width=3.4)


def _sound(pen: _Pen) -> None:
    for place, height in enumerate((14, 30, 54, 74, 46, 66, 84, 52, 30, 16)):
        x = 19 + place * 10
        pen.line(x, 64 - height / 2, x, 64 + height / 2, fill=pen.accent, width=5.5)


def _model(pen: _Pen) -> None:
    pen.shape(64, 18, 106, 40, 64, 62, 22, 40, fill=_PAPER)
    pen.shape(22, 40, 64, 62, 64, 110, 22, 88, fill=pen.accent)
    pen.shape(106, 40, 64, 62, 64, 110, 106, 88, fill=_DIM)
    for edge in ((22, 40, 64, 62, 106, 40), (64, 62, 64, 110)):
        pen.line(*edge, fill=_GROUND, width=2)


def _presentation(pen: _Pen) -> None:
    pen.box(16, 22, 112, 90, fill=_PAPER, radius=6)
    pen.box(22, 28, 106, 84, fill=_INK, radius=3)
    for y, x in ((42, 50), (56, 82), (70, 66)):
        pen.line(32, y, 96, y, fill=_DIM, width=3)
        pen.disc(x, y, 6, pen.accent)
    pen.shape(58, 90, 70, 90, 74, 104, 54, 104, fill=_PAPER)
    pen.box(42, 103, 86, 109, fill=_PAPER, radius=3)


def _plan(pen: _Pen) -> None:
    pen.disc(64, 64, 44, _PAPER)
    pen.disc(64, 64, 37, _GROUND)
    pen.disc(64, 64, 24, _PAPER)
    pen.disc(64, 64, 17, _GROUND)
    for line in ((64, 10, 64, 44), (64, 84, 64, 118), (10, 64, 44, 64), (84, 64, 118, 64)):
        pen.line(*line, fill=_PAPER, width=4)
    pen.disc(64, 64, 8, pen.accent)


def _data(pen: _Pen) -> None:
    _sheet(pen)
    for y, bits in ((48, "10110"), (64, "01001"), (80, "11010"), (96, "00101")):
        for place, bit in enumerate(bits):
            pen.disc(42 + place * 11, y, 3.6, _INK if bit == "1" else "#b3bfcc")


def _image(pen: _Pen) -> None:
    pen.box(16, 26, 112, 102, fill=_PAPER, radius=6)
    pen.box(22, 32, 106, 96, fill=_INK, radius=3)
    pen.disc(42, 50, 8, _DIM)
    pen.shape(24, 94, 50, 62, 66, 80, 82, 58, 104, 88, 104, 94, fill=_DIM)
    pen.line(26, 106, 102, 22, fill=_GROUND, width=11)
    pen.line(26, 106, 102, 22, fill=_PAPER, width=4.5)


_DRAWN: dict[str, Callable[[_Pen], None]] = {
    "report": _report,
    "key objects": _key_objects,
    "document": _document,
    "video": _video,
    "waveform": _waveform,
    "sound": _sound,
    "model": _model,
    "presentation": _presentation,
    "plan": _plan,
    "data": _data,
    "image": _image,
}
