"""A picture that is drawn on: grey until a colour is painted, then RGB."""

from typing import Any

import numpy as np

from dicomweb_server.dicom.cielab import Colour

Picture = np.ndarray[Any, np.dtype[np.uint8]]


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
        share = mask.astype(np.float32) * np.float32(min(1.0, max(0.0, opacity)) / 255)
        if part.ndim == 3:
            target = np.array(colour, np.float32)
            share = share[:, :, np.newaxis]
        else:
            target = np.array(colour[0], np.float32)
        part[...] = part + (target - part) * share + np.float32(0.5)

    def blend(self, colours: Picture, opacity: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Paint `colours` (rows, columns, 3), as large as the picture, each as opaque as `opacity`
        (rows, columns) says, 0 to 1."""
        self._take_colour()
        share = opacity[:, :, np.newaxis].astype(np.float32)
        part = self.picture
        part[...] = part + (colours.astype(np.float32) - part) * share + np.float32(0.5)

    def _take_colour(self) -> None:
        if self.picture.ndim == 2:
            self.picture = np.repeat(self.picture[:, :, np.newaxis], 3, axis=2)
