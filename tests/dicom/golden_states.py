"""Pictures kept as files in tests/golden/states: the pattern of golden_pictures as presentation
states show it, and under segments.

``python -m tests.dicom.golden_states`` writes them anew, and a sheet of all of them to the path
that it is given; look at it before the change is kept. Text is not among them: a font's next
version draws it a little otherwise.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.segmentation import overlaid
from tests.dicom.golden_pictures import COLUMNS, ROWS, pattern
from tests.dicom.shown import BLUE, image_of, json_of, shown
from tests.make.states import annotation, area, graphic, item, layer, overlay

FOLDER = Path(__file__).parents[1] / "golden" / "states"


def levels() -> NDArray[np.uint8]:
    return np.round(pattern() * 255).astype(np.uint8)


LAYERS = [
    layer("LOW", 1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8080),
    layer("TOP", 2, GraphicLayerRecommendedDisplayCIELabValue=BLUE),
]
GRAPHICS = [
    annotation(
        graphic("CIRCLE", 32, 24, 42, 24),
        graphic("ELLIPSE", 10, 40, 30, 34, 18, 33, 22, 41),
        graphic("INTERPOLATED", 4, 44, 20, 30, 40, 44, 60, 30),
        graphic("POINT", 50, 10),
        name="TOP",
    ),
    annotation(
        graphic("POLYLINE", 28, 20, 60, 20, 60, 30, 28, 20, GraphicFilled="Y"),
        graphic("POLYLINE", 0.02, 0.02, 0.98, 0.02, 0.98, 0.98, units="DISPLAY"),
        name="LOW",
    ),
]
SHUTTER = {
    "ShutterShape": ["CIRCULAR", "RECTANGULAR"],
    "CenterOfCircularShutter": [24, 32],
    "RadiusOfCircularShutter": "30",
    "ShutterUpperHorizontalEdge": "5",
    "ShutterPresentationValue": 0x4040,
}
DRAWN = {"GraphicLayerSequence": LAYERS, "GraphicAnnotationSequence": GRAPHICS}
WINDOW = {"SoftcopyVOILUTSequence": [item(WindowCenter="128", WindowWidth="128")]}


def _diagonal(state: Dataset, image: Dataset) -> None:
    overlay(state, np.eye(ROWS), layer="TOP", elements={0x0050: ("SS", [1, 9])})


def state(box: tuple[int, int] | None = None, **attributes: Any) -> NDArray[np.uint8]:
    return shown(levels(), attributes, box=box, edit=_diagonal)


def turned(rotation: int, flip: str) -> dict[str, Any]:
    return {"ImageRotation": rotation, "ImageHorizontalFlip": flip}


def displayed(*corners: int, **more: Any) -> dict[str, Any]:
    return {"DisplayedAreaSelectionSequence": [area(*corners, **more)]}


def segments() -> NDArray[np.uint8]:
    """A segment of three quarters of an ellipse, and one of fractions to the right."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    first = ((x - 24) ** 2 / 300 + (y - 24) ** 2 / 200 < 1).astype(np.uint8) * 255
    second = np.clip((x - 32) * 8, 0, 255).astype(np.uint8) * (y > 20)
    segmented = item(SegmentNumber=1, RecommendedDisplayCIELabValue=BLUE)
    dataset = image_of(first, SegmentationType="FRACTIONAL", SegmentSequence=[segmented])
    found = json_of(dataset)
    return overlaid(levels(), [(first, 1), (second, 2)], image_pixel(found), found)


CASES: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "plain": lambda: state(),
    "drawn": lambda: state((256, 192), **DRAWN, **WINDOW),
    "shuttered": lambda: state((256, 192), **SHUTTER, **DRAWN),
    "turned": lambda: state((192, 192), **DRAWN, **SHUTTER, **turned(90, "N")),
    "mirrored": lambda: state((256, 192), **DRAWN, **turned(180, "Y")),
    "beyond": lambda: state((192, 192), **DRAWN, **turned(270, "Y"), **displayed(-8, 5, 40, 60)),
    "tall": lambda: state(
        None, **DRAWN, **displayed(1, 1, COLUMNS, ROWS, PresentationPixelAspectRatio=[2, 1])
    ),
    "inverse": lambda: state(None, PresentationLUTShape="INVERSE", **WINDOW),
    "segments": segments,
}


def golden(name: str) -> NDArray[np.uint8]:
    """The picture kept under a name."""
    return np.asarray(Image.open(FOLDER / f"{name}.png"))


def main() -> None:
    """Write the pictures, and the sheet to the path of the first argument."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    sheet = Image.new("RGB", (3 * 262, 3 * 200), "navy")
    for place, (name, make) in enumerate(CASES.items()):
        picture = Image.fromarray(make())
        picture.save(FOLDER / f"{name}.png", optimize=True)
        row, column = divmod(place, 3)
        sheet.paste(picture.convert("RGB"), (column * 262, row * 200))
    if len(sys.argv) > 1:
        sheet.save(sys.argv[1])


if __name__ == "__main__":
    main()
