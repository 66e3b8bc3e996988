"""Presentation states as highdicom makes them: another reading of PS3.3 than that of tests.make."""

from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomweb_server.dicom.pixels import Decoded, image_pixel
from dicomweb_server.dicom.presentation_state import present, references
from dicomweb_server.dicom.rendering import RenderOptions
from tests.dicom.shown import json_of
from tests.make import study_of
from tests.make.files import uid

PR = hd.pr
ABOUT = {
    "series_number": 1,
    "instance_number": 1,
    "manufacturer": "Test",
    "manufacturer_model_name": "Test",
    "software_versions": "1",
    "device_serial_number": "1",
    "content_label": "STATE",
}


@pytest.fixture(scope="module")
def image() -> Dataset:
    [instance] = study_of(1, 1, seed=5, rows=128, columns=128)
    return dcmread(BytesIO(instance.file()))


def annotations(image: Dataset) -> dict[str, Any]:
    layer = PR.GraphicLayer("ONE", 1, display_color=hd.color.CIELabColor(54.3, 80.8, 69.9))
    graphics = [
        PR.GraphicObject("CIRCLE", np.array([[64.0, 64.0], [84.0, 64.0]]), "PIXEL"),
        PR.GraphicObject("POLYLINE", np.array([[0.1, 0.9], [0.9, 0.9]]), "DISPLAY"),
    ]
    words = [PR.TextObject("WORDS", "PIXEL", bounding_box=(10, 10, 60, 30))]
    made = PR.GraphicAnnotation([image], layer, graphic_objects=graphics, text_objects=words)
    return {"graphic_layers": [layer], "graphic_annotations": [made]}


def shown(image: Dataset, state: Dataset) -> np.ndarray[Any, Any]:
    found, dataset = json_of(state), json_of(image)
    assert [each.sop_instance_uid for each in references(found)] == [image.SOPInstanceUID]
    decoded = Decoded(image.pixel_array, "MONOCHROME2")
    return present(decoded, image_pixel(dataset), dataset, 1, found, RenderOptions())


def test_a_grayscale_state_with_graphics(image: Dataset) -> None:
    state = PR.GrayscaleSoftcopyPresentationState(
        [image],
        uid("grayscale series"),
        sop_instance_uid=uid("grayscale"),
        modality_lut_transformation=hd.ModalityLUTTransformation(-24.0, 1.0, "HU"),
        voi_lut_transformations=[PR.SoftcopyVOILUTTransformation(40.0, 400.0)],
        presentation_lut_transformation=hd.PresentationLUTTransformation("INVERSE"),
        **annotations(image),
        **ABOUT,
    )

    picture = shown(image, state).astype(int)

    units = image.pixel_array.astype(float) - 24
    grey = 255 - np.clip((units - 39.5) / 399 * 255 + 127.5, 0, 255)
    red = (picture[..., 0] > 200) & (picture[..., 1] < 80)
    untouched = np.ptp(picture, axis=2) == 0
    assert (
        red[64, 83:85].any() and red[114:117, 20:110].any(axis=0).all() and red[10:30, 10:60].any()
    )
    assert untouched.mean() > 0.8
    outside = np.s_[40:60, 0:40]  # neither line nor letter
    assert abs(picture[outside][..., 0] - grey[outside]).max() <= 1


def test_a_pseudo_colour_state(image: Dataset) -> None:
    ramp = np.arange(256, dtype=np.uint8)
    tables = [
        hd.PaletteColorLUT(0, entries.astype(np.uint16) * 257, color=name)
        for name, entries in (("red", ramp), ("green", ramp[::-1].copy()), ("blue", ramp // 2))
    ]
    state = PR.PseudoColorSoftcopyPresentationState(
        [image],
        uid("pseudo series"),
        sop_instance_uid=uid("pseudo"),
        palette_color_lut_transformation=hd.PaletteColorLUTTransformation(*tables),
        **ABOUT,
    )

    picture = shown(image, state).astype(int)

    assert np.array_equal(picture[..., 1], 255 - picture[..., 0])
    assert np.array_equal(picture[..., 2], picture[..., 0] // 2)
    # What it is not told it takes from the image, whose first window is 40, 400
    expected = np.clip((image.pixel_array - 39.5) / 399 * 255 + 127.5, 0, 255)
    assert abs(picture[..., 0] - expected).max() <= 1
