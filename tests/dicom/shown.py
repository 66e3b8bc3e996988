"""An image shown through a presentation state, both made here."""

from typing import Any

import numpy as np
import orjson
from pydicom import Dataset

from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.pixels import Decoded, image_pixel
from dicomweb_server.dicom.presentation_state import (
    present,
)
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.viewing import Viewport
from tests.make.files import dataset_with, part10
from tests.make.states import (
    annotation,
    layer,
    state_attributes,
)

BLUE = [21166, 53250, 0]  # CIELab of DICOM of about (0, 0, 255)


def json_of(dataset: Dataset) -> JsonDataset:
    found: JsonDataset = orjson.loads(describe(part10(dataset)).metadata.replace(BULK_BASE, b""))
    return found


def image_of(array: np.ndarray[Any, Any], **keywords: Any) -> Dataset:
    """The attributes of an image of these stored values."""
    values = {
        "Rows": array.shape[0],
        "Columns": array.shape[1],
        "SamplesPerPixel": array.shape[2] if array.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if array.ndim == 3 else "MONOCHROME2",
        "BitsAllocated": 8 * array.itemsize,
        "BitsStored": 8 * array.itemsize,
        "HighBit": 8 * array.itemsize - 1,
        "PixelRepresentation": int(array.dtype.kind == "i"),
    }
    return dataset_with(**(values | keywords))


def shown(
    array: Any,
    state: dict[str, Any] | None = None,
    *,
    image: dict[str, Any] | None = None,
    edit: Any = None,
    frame: int = 1,
    box: tuple[int, int] | None = None,
    masks: Any = (),
    **options: Any,
) -> np.ndarray[Any, Any]:
    """The picture of stored values through a state of these attributes; `edit` changes the data
    sets of the state and the image."""
    array = np.asarray(array)
    dataset = image_of(array, **(image or {}))
    attributes = state_attributes(dataset, **(state or {}))
    if edit:
        edit(attributes, dataset)
    found = json_of(dataset)
    pixel = image_pixel(found)
    decoded = Decoded(array, pixel.photometric_interpretation)
    viewport = Viewport(*box) if box else None
    state_found = json_of(attributes)
    wanted = RenderOptions(None, viewport)
    return present(decoded, pixel, found, frame, state_found, wanted, masks, **options)


def levels(*args: Any, **keywords: Any) -> Any:
    return shown(*args, **keywords).tolist()


def square(size: int = 40, level: int = 0) -> np.ndarray[Any, Any]:
    return np.full((size, size), level, np.uint8)


def drawn(*objects: Dataset, size: int = 200, **keywords: Any) -> np.ndarray[Any, Any]:
    state = {
        "GraphicLayerSequence": [layer()],
        "GraphicAnnotationSequence": [annotation(*objects)],
        **keywords,
    }
    return shown(square(size), state)


def middle(picture: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Centre of what is bright: x and y, the corner of the picture being (0, 0)."""
    places = np.arange(len(picture)) + 0.5
    weights = picture / picture.sum()
    return float(weights.sum(axis=0) @ places), float(weights.sum(axis=1) @ places)


def bright(picture: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(picture > 100)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
