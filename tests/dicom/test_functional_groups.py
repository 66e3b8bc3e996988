"""What frames of enhanced images are shown by (PS3.3 C.7.6.16), and grey images with colours."""

import base64
from typing import Any

import numpy as np
import pytest

from dicomweb_server.dicom.colour_ranges import pixel_presentation
from tests.dicom.test_rendering import ROW, attributes, element, levels, lut, palette, shown, words

VOI, RANGE, FRAME_TYPE = "00289132", "00281230", "00189329"
TABLES, DESCRIPTORS = palette([0xFF00, 0, 0, 1], [0, 0xFF00, 0, 2], [0, 0, 0xFF00, 3], first=200)


def group(tag: str, **values: Any) -> dict[str, Any]:
    return {tag: element(attributes(**values))}


def described(first: int = 200) -> dict[str, Any]:
    return {tag: element([4, first, 16]) for tag in DESCRIPTORS} | TABLES


def plain(dataset: dict[str, Any]) -> dict[str, Any]:
    """Attributes for ``shown``, which takes values: what is binary as words."""
    return {
        tag: value["Value"]
        if "Value" in value
        else np.frombuffer(base64.b64decode(value["InlineBinary"]), "<u2").tolist()
        for tag, value in dataset.items()
    }


def test_a_frame_has_its_own_voi_lut_or_the_shared_one():
    """Frame VOI LUT With LUT (C.7.6.16.2.10b); it goes before what stands outside the groups."""
    table = lut(2, 100, 8, words(10, 20))
    enhanced = {
        "shared": {VOI: element({"00283010": element(table)})},
        "per_frame": [group(VOI, center=150.5, width=101), {}],
        "voi_lut": lut(2, 100, 8, words(30, 40)),
        "center": 1,
        "width": 1,
    }

    assert levels(ROW, number=1, **enhanced) == [[0, 0, 255, 255]]
    assert levels(ROW, number=2, **enhanced) == [[10, 10, 20, 20]]


def test_a_frame_has_its_own_modality_lut_and_function():
    per_frame = [
        group("00289145", slope=2, intercept=-100)
        | group(VOI, center=200, width=200, function=name)
        for name in ("LINEAR_EXACT", "SIGMOID")
    ]

    assert levels(ROW, number=1, per_frame=per_frame) == [[0, 0, 255, 255]]
    assert levels(ROW, number=2, per_frame=per_frame)[0][1] == 30


def test_real_world_values_are_not_for_display():
    mapping = {"00409096": element({"00409225": element(5), "00409224": element(-1)})}

    assert levels(ROW, per_frame=[mapping]) == levels(ROW)


@pytest.mark.parametrize("told", [{"00089205": "COLOR"}, {"00089205": "MIXED"}])
def test_values_from_the_first_of_a_supplemental_palette_have_colour(told):
    frame = {"per_frame": [group(FRAME_TYPE, **{"00089205": "COLOR"})], "00089205": "MIXED"}
    window = {"center": 100.5, "width": 101}
    array = ROW.copy()
    array[0, 3] = 201

    for more in (told, frame):
        picture = shown(array, **more, **window, **plain(described()))
        assert picture.tolist() == [[[0] * 3, [128] * 3, [255, 0, 0], [0, 255, 0]]]


@pytest.mark.parametrize(
    "told", [{}, {"00089205": "MONOCHROME"}, {"00089205": "COLOR_RANGE"}, {"00089205": 5}]
)
def test_other_images_with_a_palette_are_grey(told):
    assert shown(ROW, **told, **plain(described())).ndim == 2


def test_a_supplemental_palette_beyond_all_values_leaves_a_frame_grey():
    assert shown(ROW, **{"00089205": "COLOR"}, **plain(described(999))).ndim == 2


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_range_of_values_spans_the_palette(dtype):
    """Parametric maps (C.7.6.16.2.26): beyond its ends are its ends, whatever the first value."""
    array = np.array([[-5 if dtype is np.float32 else 0, 10, 20, 40, 99]], dtype)
    colour_range = {RANGE: element({"00281231": element(10.0), "00281232": element(40.0)})}
    more = {"00089205": "COLOR_RANGE", "per_frame": [colour_range]}

    picture = shown(array, **more, **plain(described()))

    red, green, last = [255, 0, 0], [0, 255, 0], [0, 0, 0]
    assert picture.tolist() == [[red, red, green, last, last]]


@pytest.mark.parametrize("bounds", [(40, 10), (10, 10), ("x", 10)])
def test_a_range_that_makes_no_sense_leaves_an_image_grey(bounds):
    colour_range = {
        RANGE: element({"00281231": element(bounds[0]), "00281232": element(bounds[1])})
    }
    more = {"00089205": "COLOR_RANGE", "per_frame": [colour_range]}

    assert shown(ROW, **more, **plain(described())).ndim == 2


def test_pixel_presentation_is_that_of_the_frame():
    dataset = {"00089205": element("MIXED")} | attributes(
        per_frame=[group(FRAME_TYPE, **{"00089205": "MONOCHROME"}), {}]
    )

    assert pixel_presentation(dataset, 1) == "MONOCHROME"
    assert pixel_presentation(dataset, 2) == "MIXED"
    assert pixel_presentation({}, 1) == ""
