"""Rendering of one pattern as each kind of image: the pictures kept in tests/golden/rendering.

Beside them the pattern itself: what has no window of its own shows it from black to white.
"""

import numpy as np
import pytest

from tests.dicom.golden_pictures import (
    EXACT,
    FOLDER,
    FRAMES,
    LOSSY,
    golden,
    pattern,
    picture_of,
    rgb,
)

PLAIN = [name for name in EXACT if name.startswith("grey-") and name != "grey-1"]
COLOURS = ["rgb", "ybr-full"]


@pytest.mark.parametrize("name", EXACT)
def test_every_kind_of_image_is_shown_as_its_golden_picture(name: str) -> None:
    expected = golden(name)
    for file in EXACT[name]():
        np.testing.assert_array_equal(picture_of(file, FRAMES.get(name, 1)), expected)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_images_are_shown_as_their_golden_pictures(name: str) -> None:
    expected = golden(name).astype(int)
    for file in LOSSY[name]():
        assert np.abs(picture_of(file) - expected).max() <= 2


@pytest.mark.parametrize("name", PLAIN)
def test_whatever_the_depth_and_sign_the_pattern_is_seen(name: str) -> None:
    assert np.abs(golden(name) - pattern() * 255).max() <= 0.75  # stored in steps of 1/255


def test_monochrome1_is_seen_inverted() -> None:
    assert np.abs(golden("monochrome1") - (1 - pattern()) * 255).max() <= 0.6


@pytest.mark.parametrize("name", COLOURS)
def test_the_colours_are_seen(name: str) -> None:
    assert np.abs(golden(name) - rgb()[0].astype(int)).max() <= 2


@pytest.mark.parametrize("name", ["ybr-full-422", "ybr-partial-422", *LOSSY])
def test_colours_that_lost_something_are_seen_but_at_edges(name: str) -> None:
    expected = pattern() * 255 if name == "jpeg-12" else rgb()[0].astype(int)

    assert np.median(np.abs(golden(name) - expected)) <= 2


def test_a_table_of_bytes_has_8_bits_whatever_its_descriptor_tells() -> None:
    assert golden("voi-lut-shorter").max() == 254  # not black: 8 bits stretched as if 16 (GRY-04)


def test_every_golden_picture_is_of_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.png")} == EXACT.keys() | LOSSY.keys()
