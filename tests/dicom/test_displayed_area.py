"""Where images and their overlays lie in the picture (PS3.3 C.9.2, C.10.4, C.10.6)."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.dicom.displayed_area import geometry
from tests.dicom.shown import image_of, json_of, levels, shown, square
from tests.make.states import area, layer, overlay, state_attributes

# --- geometry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rotation", "flip", "expected"),
    [
        (0, "N", [[1, 2, 3], [4, 5, 6]]),
        (90, "N", [[4, 1], [5, 2], [6, 3]]),
        (180, "N", [[6, 5, 4], [3, 2, 1]]),
        (270, "N", [[3, 6], [2, 5], [1, 4]]),
        (0, "Y", [[3, 2, 1], [6, 5, 4]]),
        (90, "Y", [[1, 4], [2, 5], [3, 6]]),
        (45, "N", [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_an_image_is_turned_clockwise_then_mirrored(rotation, flip, expected):
    array = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)

    assert levels(array, {"ImageRotation": rotation, "ImageHorizontalFlip": flip}) == expected


def test_the_displayed_area_may_reach_beyond_the_image():
    array = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)

    def displayed(*corners: int) -> Any:
        return levels(array, {"DisplayedAreaSelectionSequence": [area(*corners)]})

    assert displayed(2, 1, 3, 2) == [[2, 3], [5, 6]]
    assert displayed(3, 2, 2, 1) == [[2, 3], [5, 6]]  # as after a rotation of 180 degrees
    assert displayed(0, 2, 2, 3) == [[0, 4, 5], [0, 0, 0]]
    assert displayed(9, 9, 12, 12) == array.tolist()
    assert displayed(-(2**31), 1, 2**31 - 1, 2) == array.tolist()


@pytest.mark.parametrize(
    ("mode", "more", "box", "size"),
    [
        ("SCALE TO FIT", {}, None, (20, 10)),
        ("SCALE TO FIT", {}, (100, 100), (100, 50)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [2, 1]}, None, (20, 20)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [1, 2]}, None, (40, 10)),
        ("SCALE TO FIT", {"PresentationPixelSpacing": [0.2, 0.1]}, (50, 100), (50, 50)),
        ("TRUE SIZE", {"PresentationPixelSpacing": [0.1, 0.1]}, (100, 100), (100, 50)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3.0}, None, (60, 30)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3.0}, (50, 50), (50, 30)),
        ("MAGNIFY", {}, (100, 100), (100, 50)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [0, 0]}, None, (20, 10)),
    ],
)
def test_presentation_size_modes(mode, more, box, size):
    state = {"DisplayedAreaSelectionSequence": [area(1, 1, 20, 10, mode, **more)]}

    assert shown(np.zeros((10, 20), np.uint8), state, box=box).shape == size[::-1]


def test_magnified_images_are_cut_about_their_middle():
    array = square(20)
    array[8:12, 8:12] = 255
    mode = {"PresentationPixelMagnificationRatio": 10.0}
    state = {"DisplayedAreaSelectionSequence": [area(1, 1, 20, 20, "MAGNIFY", **mode)]}

    picture = shown(array, state, box=(40, 40))

    assert picture.shape == (40, 40)
    assert (picture[5:-5, 5:-5] == 255).all()


def test_a_forged_size_makes_no_forged_picture():
    mode = {"PresentationPixelMagnificationRatio": 1000.0}
    state = {"DisplayedAreaSelectionSequence": [area(-900, -900, 900, 900, "MAGNIFY", **mode)]}

    assert max(shown(square(20), state).shape) == 8192
    assert max(shown(square(20), state, box=(300, 200)).shape) == 300
    assert max(shown(square(20), state, longest=64).shape) == 64


# --- overlays ---------------------------------------------------------------------------------


def test_overlays_are_shown_if_the_state_says_so():
    bits = np.eye(40)
    layers = {"GraphicLayerSequence": [layer(GraphicLayerRecommendedDisplayGrayscaleValue=0xFFFF)]}

    def own(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, bits, layer="ONE")

    def of_image(attributes: Dataset, image: Dataset) -> None:
        overlay(image, bits)
        attributes.add_new(0x60001001, "CS", "ONE")

    def not_active(attributes: Dataset, image: Dataset) -> None:
        overlay(image, bits)
        overlay(attributes, bits, 0x6002)

    assert np.array_equal(shown(square(), layers, edit=own), bits * 255)
    assert np.array_equal(shown(square(), layers, edit=of_image), bits * 255)
    assert not shown(square(), layers, edit=not_active).any()
    assert not shown(square(), layers, edit=own, texts=False).any()  # THB-03


def test_overlays_lie_at_their_origin_and_turn_with_the_image():
    state = {"GraphicLayerSequence": [layer()], "ImageRotation": 90, "ImageHorizontalFlip": "N"}
    for origin, where in (([2, 3], np.s_[1:4, 2:5]), ([-1, 40], np.s_[0:1, 39:40])):

        def edit(attributes: Dataset, image: Dataset, origin: Any = origin) -> None:
            elements = {0x0050: ("SS", origin)}
            overlay(attributes, np.ones((3, 3)), layer="ONE", elements=elements)

        expected = square()
        expected[where] = 255
        assert np.array_equal(shown(square(), state, edit=edit), np.rot90(expected, -1))


def test_frames_of_an_overlay_belong_to_frames_of_the_image():
    bits = np.stack([np.full((40, 40), n == 1) for n in range(3)])

    def edit(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, bits, layer="ONE", elements={0x0051: ("US", 2)})

    assert [shown(square(), edit=edit, frame=n).any() for n in (1, 2, 3, 4, 5)] == [
        False, False, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "elements",
    [
        {0x0010: ("US", 0)},
        {0x0010: ("US", 65535)},
        {0x0050: ("SS", [300, 300])},
        {0x0050: ("SS", [-300, 1])},
        {0x0100: ("US", 16)},
        {0x0015: ("IS", 5), 0x0051: ("US", 3)},
    ],
)
def test_gry_11_an_overlay_that_makes_no_sense_is_left_out(elements):
    def edit(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, np.ones((40, 40)), layer="ONE", elements=elements)

    assert not shown(square(), edit=edit).any()


# --- planes and positions ---------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    rotation=st.sampled_from([0, 90, 180, 270]),
    flip=st.sampled_from("YN"),
    corners=st.tuples(
        st.integers(-30, 20), st.integers(-30, 20), st.integers(60, 130), st.integers(50, 120)
    ),
    aspect=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    box=st.none() | st.tuples(st.integers(60, 300), st.integers(60, 300)),
    magnified=st.none() | st.sampled_from([0.7, 1.0, 2.5]),
)
def test_what_is_drawn_lies_where_the_image_does(rotation, flip, corners, aspect, box, magnified):
    """The middle of a square of the image, once its pixels and once its position is moved."""
    mode = {"PresentationPixelMagnificationRatio": magnified} if magnified else {}
    displayed = area(
        *corners,
        "MAGNIFY" if magnified else "SCALE TO FIT",
        PresentationPixelAspectRatio=list(aspect),
        **mode,
    )
    image = image_of(np.zeros((80, 100), np.uint8))
    turned = {"ImageRotation": rotation, "ImageHorizontalFlip": flip}
    area_of = {"DisplayedAreaSelectionSequence": [displayed]}
    state = json_of(state_attributes(image, **turned, **area_of))
    way = geometry(80, 100, state["0070005A"]["Value"][0], state, box)
    plane = np.zeros((80, 100), np.uint8)
    plane[30:44, 40:54] = 255

    picture = way.of_plane(plane)
    [place] = way.of_image(np.array([[47.0, 37.0]]))

    assert picture.shape == way.size[::-1]
    rows, columns = np.nonzero(picture > 127)
    whole = len(rows) and columns.min() > 0 and columns.max() < picture.shape[1] - 1
    if whole and rows.min() > 0 and rows.max() < picture.shape[0] - 1:
        found = columns.mean() + 0.5, rows.mean() + 0.5
        assert found == pytest.approx(tuple(place), abs=1.25)
    else:
        assert min(*place, *(np.array(way.size) - place)) < 60
