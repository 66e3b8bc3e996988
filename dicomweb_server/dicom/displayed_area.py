"""What part of an image is shown, how it is turned, and how large (PS3.3 C.10.4 and C.10.6).

Geometry takes positions in the image and in the displayed area to the picture, and planes of the
image's size to the picture's size: the two agree to within a pixel, whatever is asked.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_number, first_text, number, values

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Points = np.ndarray[Any, np.dtype[np.float64]]  # (n, 2): x to the right, y downward

MAX_SIDE = 8192  # pixels of a picture whose size a file tells
_FAR = 1 << 20  # pixels; what lies further from an image than that is not meant


@dataclass(frozen=True, slots=True)
class Geometry:
    """The way from an image to the picture.

    `left`, `top`, `right` and `bottom` bound the displayed area in pixels of the image, (0, 0)
    being the upper left corner of its first pixel; they may lie outside of it. Each pixel of it
    becomes `scale_x` by `scale_y` pixels, which are then turned clockwise by `rotation` degrees
    and, after that, mirrored left to right if `flipped`. `size` is that of the picture, columns
    and rows; its upper left corner lies at `offset` in what has become of the displayed area.
    """

    left: float
    top: float
    right: float
    bottom: float
    scale_x: float
    scale_y: float
    rotation: int
    flipped: bool
    size: tuple[int, int]
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def area(self) -> tuple[float, float]:
        """Width and height of the displayed area in the picture, once it is turned."""
        width = (self.right - self.left) * self.scale_x
        height = (self.bottom - self.top) * self.scale_y
        return (height, width) if self.rotation in (90, 270) else (width, height)

    def of_image(self, points: Points) -> Points:
        """Positions in the image (units PIXEL) in the picture."""
        x = (points[:, 0] - self.left) * self.scale_x
        y = (points[:, 1] - self.top) * self.scale_y
        width, height = self.area
        if self.rotation == 90:
            x, y = width - y, x
        elif self.rotation == 180:
            x, y = width - x, height - y
        elif self.rotation == 270:
            x, y = y, height - x
        if self.flipped:
            x = width - x
        return np.stack((x - self.offset[0], y - self.offset[1]), axis=1)

    def of_area(self, points: Points) -> Points:
        """Positions in the displayed area (units DISPLAY, 0 to 1) in the picture."""
        placed: Points = points * np.array(self.area) - np.array(self.offset)
        return placed

    def of_plane(self, plane: Picture, background: int = 0) -> Picture:
        """A plane of the image's size, (rows, columns) or (…, 3), as it is in the picture."""
        if self._is_plain(plane):
            return plane
        turns, mirrored = self.rotation // 90, self.flipped
        # What the picture shows before it is turned: (left, top, right, bottom) in the area
        shown = self._unturned()
        columns, rows = shown[2] - shown[0], shown[3] - shown[1]
        canvas = np.full((rows, columns, *plane.shape[2:]), background, np.uint8)
        self._place(plane, canvas, shown[0], shown[1])
        turned = np.rot90(canvas, -turns)
        return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)

    def _is_plain(self, plane: Picture) -> bool:
        rows, columns = plane.shape[:2]
        area = (self.left, self.top, self.right, self.bottom)
        whole = area == (0.0, 0.0, float(columns), float(rows))
        turned = self.rotation or self.flipped or self.offset != (0.0, 0.0)
        return whole and not turned and self.size == (columns, rows)

    def _unturned(self) -> tuple[int, int, int, int]:
        """The picture's bounds in the scaled area before it is turned, in whole pixels."""
        width, height = self.area
        columns, rows = self.size
        left, top = (round(value) for value in self.offset)
        right, bottom = left + columns, top + rows
        if self.flipped:
            left, right = round(width) - right, round(width) - left
        if self.rotation == 90:
            return top, round(width) - right, bottom, round(width) - left
        if self.rotation == 180:
            return (
                round(width) - right,
                round(height) - bottom,
                round(width) - left,
                round(height) - top,
            )
        if self.rotation == 270:
            return round(height) - bottom, left, round(height) - top, right
        return left, top, right, bottom

    def _place(self, plane: Picture, canvas: Picture, left: int, top: int) -> None:
        """Scale `plane` into `canvas`, whose first pixel is at (left, top) of the scaled area."""
        from PIL import Image

        across = _Span.of(
            plane.shape[1], canvas.shape[1], self.left, self.right, self.scale_x, left
        )
        down = _Span.of(plane.shape[0], canvas.shape[0], self.top, self.bottom, self.scale_y, top)
        if across is None or down is None:
            return
        # Cut to whole pixels first: the filter would look beyond the edge of its box
        x, y = floor(across.source_begin), floor(down.source_begin)
        cut = plane[y : ceil(down.source_end), x : ceil(across.source_end)]
        box = (
            across.source_begin - x,
            down.source_begin - y,
            across.source_end - x,
            down.source_end - y,
        )
        size = (across.end - across.begin, down.end - down.begin)
        if box == (0.0, 0.0, float(size[0]), float(size[1])) and cut.shape[:2] == size[::-1]:
            scaled = cut
        else:
            image = Image.fromarray(np.ascontiguousarray(cut))
            scaled = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))
        canvas[down.begin : down.end, across.begin : across.end] = scaled


@dataclass(frozen=True, slots=True)
class _Span:
    """One axis: from `source_begin` to `source_end` of a plane go to `begin` to `end`."""

    begin: int
    end: int
    source_begin: float
    source_end: float

    @classmethod
    def of(
        cls, length: int, room: int, near: float, far: float, scale: float, offset: int
    ) -> "_Span | None":
        """The part of a plane of `length` that lies from `near` to `far` and in the canvas of
        `room` pixels from `offset` on; None if nothing does."""
        lowest, highest = max(0.0, near), min(float(length), far)
        begin = max(0, round((lowest - near) * scale) - offset)
        end = min(room, round((highest - near) * scale) - offset)
        if lowest >= highest or begin >= end:
            return None
        source_begin = min(max((begin + offset) / scale + near, 0.0), length - 1e-3)
        source_end = min(max((end + offset) / scale + near, source_begin + 1e-3), float(length))
        return cls(begin, end, source_begin, source_end)


def geometry(
    rows: int,
    columns: int,
    area: JsonDataset | None,
    state: JsonDataset,
    box: tuple[int, int] | None,
    longest: int | None = None,
) -> Geometry:
    """How an image of `rows` and `columns` is placed.

    `area` is the item of the Displayed Area Selection Sequence that applies, if there is one,
    `state` has the Spatial Transformation. `box` is the size that is asked for, columns and rows:
    the displayed area fills it as far as its shape allows, but one to be magnified is magnified
    as it says and cut to the box about its middle. `longest`: the most that a side of the picture
    may have, for a thumbnail. What makes no sense counts as absent.
    """
    left, top, right, bottom = _bounds(rows, columns, area)
    scale_x, scale_y = _pixel_shape(area)
    width, height = (right - left) * scale_x, (bottom - top) * scale_y
    rotation, flipped = _turned(state)
    turned = rotation in (90, 270)
    if turned:
        width, height = height, width
    magnified = _magnification(area)
    if magnified and longest is None:
        factor = magnified
    elif box:
        factor = min(box[0] / width, box[1] / height)
    else:
        factor = 1.0
    most = longest if longest is not None and not box else MAX_SIDE
    if not (magnified and box):
        factor = min(factor, most / max(width, height))
    width, height = width * factor, height * factor
    size = max(1, round(width)), max(1, round(height))
    offset = (0.0, 0.0)
    if box:
        size = min(size[0], box[0]), min(size[1], box[1])
        offset = (
            float(max(0, round((width - size[0]) / 2))),
            float(max(0, round((height - size[1]) / 2))),
        )
    return Geometry(
        left,
        top,
        right,
        bottom,
        scale_x * factor,
        scale_y * factor,
        rotation,
        flipped,
        size,
        offset,
    )


def _bounds(rows: int, columns: int, area: JsonDataset | None) -> tuple[float, ...]:
    """Left, top, right, bottom of the displayed area; the whole image if it makes no sense."""
    whole = (0.0, 0.0, float(columns), float(rows))
    if area is None:
        return whole
    corners = [number(v) for tag in ("00700052", "00700053") for v in values(area, tag)[:2]]
    if len(corners) != 4 or any(v is None or abs(v) > _FAR for v in corners):
        return whole
    x1, y1, x2, y2 = (float(value or 0) for value in corners)
    # Both corners are pixels that are shown, the first of the image being 1\1; which one is
    # lower depends on the rotation
    left, right = min(x1, x2) - 1, max(x1, x2)
    top, bottom = min(y1, y2) - 1, max(y1, y2)
    if right <= 0 or bottom <= 0 or left >= columns or top >= rows:
        return whole
    return left, top, right, bottom


def _pixel_shape(area: JsonDataset | None) -> tuple[float, float]:
    """Width and height of a pixel, the smaller of them 1."""
    for tag in ("00700101", "00700102"):  # spacing, aspect ratio: vertical before horizontal
        found = [number(value) for value in values(area or {}, tag)[:2]]
        if len(found) == 2 and all(value is not None and value > 0 for value in found):
            ratio = float(found[0] or 1) / float(found[1] or 1)
            if 0.01 <= ratio <= 100:
                return (1.0, ratio) if ratio >= 1 else (1 / ratio, 1.0)
    return 1.0, 1.0


def _magnification(area: JsonDataset | None) -> float | None:
    if area is None or first_text(area, "00700100") != "MAGNIFY":
        return None
    ratio = first_number(area, "00700103")
    return ratio if ratio is not None and 0.001 <= ratio <= 1000 else None


def _turned(state: JsonDataset) -> tuple[int, bool]:
    """Image Rotation, clockwise, and Image Horizontal Flip, which comes after it."""
    rotation = first_number(state, "00700042") or 0
    known = int(rotation) % 360 if rotation % 90 == 0 else 0
    return known, first_text(state, "00700041") == "Y"
