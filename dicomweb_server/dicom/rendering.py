"""Stored values to the displayed picture (PS3.18 §8.3.5.1, digest 3.3).

The image's own grey or colour transforms, then the region and the viewport (RND-01). No
overlays are drawn (GRY-11); ICC profiles and annotations come after this, in ``images``.
"""

from math import ceil, floor
from typing import Any

import numpy as np

from dicomweb_server.dicom import colour
from dicomweb_server.dicom.colour_ranges import with_colours
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.grayscale import grayscale
from dicomweb_server.dicom.json_values import functional_group, number, values
from dicomweb_server.dicom.pixels import Decoded, ImagePixel
from dicomweb_server.dicom.viewing import RenderOptions, Viewport, Window
from dicomweb_server.errors import InvalidParameter

__all__ = ["RenderOptions", "Viewport", "Window", "fit", "pixel_height", "render", "show"]

Picture = np.ndarray[Any, np.dtype[np.uint8]]


def render(
    decoded: Decoded,
    image: ImagePixel,
    dataset: JsonDataset,
    number: int,
    options: RenderOptions,
) -> Picture:
    """The picture of frame `number`, counted from 1: uint8, (rows, columns) or (…, 3) for RGB.

    `dataset` is the instance's DICOM JSON object. Only what the request asks for can be
    refused: InvalidParameter for a viewport whose region lies outside the image (VP-09).
    """
    picture = show(decoded, image, dataset, number, options.window)
    if options.viewport is None:
        return picture
    return fit(picture, options.viewport, pixel_height(dataset, number))


def show(
    decoded: Decoded, image: ImagePixel, dataset: JsonDataset, number: int, window: Window | None
) -> Picture:
    """The same before region and viewport."""
    if decoded.array.ndim == 3:
        return colour.to_rgb(decoded, image)
    if decoded.photometric_interpretation == "PALETTE COLOR" and image.kind == "integer":
        tables = colour.palette(dataset, image)
        if tables:
            return colour.through_palette(decoded.array, tables)
    interpretation = decoded.photometric_interpretation
    grey = grayscale(decoded.array, image, interpretation, dataset, number, window)
    return with_colours(grey, decoded.array, image, dataset, number)


_LEAST_SIDE = 1e-3  # pixels of a region: of less, nothing is left once numbers are rounded


def region_within(viewport: Viewport, rows: int, columns: int) -> tuple[float, float, float, float]:
    """The part of a region that lies within an image: x, y, width, height in its pixels (VP-08).

    Raises InvalidParameter for one outside.
    """
    x, y = viewport.x, viewport.y
    width = columns - x if viewport.region_width is None else viewport.region_width
    height = rows - y if viewport.region_height is None else viewport.region_height
    width, height = min(width, columns - x), min(height, rows - y)
    if not (x >= 0 and y >= 0 and width >= _LEAST_SIDE and height >= _LEAST_SIDE):
        raise InvalidParameter(
            "viewport",
            f"{viewport.width},{viewport.height},{x:g},{y:g},…",
            f"a region within the image's {columns} x {rows} pixels",
        )
    return x, y, width, height


def fit(picture: Picture, viewport: Viewport, tall: float) -> Picture:
    """Crop, scale until one side of the viewport is filled, flip (VP-02 to VP-07).

    `tall` is the height of a pixel whose width is 1 (VP-10).
    """
    from PIL import Image

    x, y, width, height = region_within(viewport, *picture.shape[:2])
    scale = min(viewport.width / width, viewport.height / (height * tall))
    size = (
        min(viewport.width, max(1, round(width * scale))),
        min(viewport.height, max(1, round(height * tall * scale))),
    )
    # Cut to whole pixels first: the filter would look beyond the edge of its box
    left, top = floor(x), floor(y)
    cut = picture[top : ceil(y + height), left : ceil(x + width)]
    scaled = Image.fromarray(np.ascontiguousarray(cut)).resize(
        size, Image.Resampling.BICUBIC, box=(x - left, y - top, x - left + width, y - top + height)
    )
    if viewport.flip_horizontally:
        scaled = scaled.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if viewport.flip_vertically:
        scaled = scaled.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return np.asarray(scaled)


# Vertical before horizontal, each: Pixel Aspect Ratio, Pixel Spacing, Imager Pixel Spacing,
# Nominal Scanned Pixel Spacing
_SHAPES = ("00280034", "00280030", "00181164", "00182010")
_PIXEL_MEASURES = "00289110"


def pixel_height(dataset: JsonDataset, frame: int) -> float:
    """Height of a pixel over its width; 1 where the file does not tell, or tells nonsense."""
    measures = functional_group(dataset, frame, _PIXEL_MEASURES) or {}
    for source, tags in ((measures, _SHAPES[1:2]), (dataset, _SHAPES)):
        for tag in tags:
            shape = [number(value) for value in values(source, tag)[:2]]
            if len(shape) < 2:
                continue
            vertical, horizontal = shape[0] or 0.0, shape[1] or 0.0
            if vertical > 0 and horizontal > 0 and 0.01 <= vertical / horizontal <= 100:
                return vertical / horizontal
    return 1.0
