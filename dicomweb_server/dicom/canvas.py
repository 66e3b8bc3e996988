"""A picture that is drawn on: grey until a colour is painted, then RGB."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dicomweb_server.dicom.cielab import Colour

Picture = np.ndarray[Any, np.dtype[np.uint8]]


_AT_ONCE = 1 << 18  # pixels, of which some copies are made as floating point numbers


def _in_strips(picture: Picture) -> Iterator[slice]:
    """The rows of a picture, so many at a time that they take little memory."""
    rows, columns = picture.shape[:2]
    step = max(1, _AT_ONCE // max(1, columns))
    for begin in range(0, rows, step):
        yield slice(begin, begin + step)


class Canvas:
    """`picture`: (rows, columns) or (rows, columns, 3) of uint8; the one it is made with stays
    as it is."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture.copy()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        rows, columns = self.picture.shape[:2]
        return columns, rows

    def paint(
        self, mask: Picture, colour: Colour, opacity: float = 1.0, left: int = 0, top: int = 0
    ) -> None:
        """Paint `colour` where `mask` (rows, columns) of uint8 is not 0, as opaque as it is there.

        `left` and `top` say where the mask lies; what of it lies outside is left out.
        """
        columns, rows = self.size
        first_row, first_column = max(0, -top), max(0, -left)
        mask = mask[first_row : max(0, rows - top), first_column : max(0, columns - left)]
        if not mask.any():
            return
        top, left = top + first_row, left + first_column
        if max(colour) != min(colour):
            self._take_colour()
        part = self.picture[top : top + mask.shape[0], left : left + mask.shape[1]]
        target = np.array(colour if part.ndim == 3 else colour[:1], np.float32)
        for at in _in_strips(part):
            share = mask[at].astype(np.float32) * np.float32(min(1.0, max(0.0, opacity)) / 255)
            self._mix(part[at], target, share)

    def blend(self, colours: Picture, opacity: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Paint `colours` (rows, columns, 3), as large as the picture, each as opaque as `opacity`
        (rows, columns) says, 0 to 1."""
        self._take_colour()
        for at in _in_strips(self.picture):
            self._mix(self.picture[at], colours[at].astype(np.float32), opacity[at])

    @staticmethod
    def _mix(part: Picture, target: np.ndarray[Any, Any], share: np.ndarray[Any, Any]) -> None:
        """Bring `part` nearer to `target`, by `share` (rows, columns)."""
        if part.ndim == 3:
            share = share[:, :, np.newaxis]
        part[...] = part + (target - part) * share.astype(np.float32) + np.float32(0.5)

    def _take_colour(self) -> None:
        if self.picture.ndim == 2:
            self.picture = np.repeat(self.picture[:, :, np.newaxis], 3, axis=2)
