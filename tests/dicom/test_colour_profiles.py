"""ICC profiles of rendered pictures (PS3.18 §8.3.5.1.6, digest 3.3.5)."""

import base64
import pickle
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dicomweb_server.dicom.boxes import Box, first_box
from dicomweb_server.dicom.colour_profiles import (
    MAX_PROFILE,
    managed,
    source_profile,
    standard_profile,
)
from dicomweb_server.dicom.images import encode
from dicomweb_server.dicom.viewing import PROFILES
from dicomweb_server.errors import UndecodablePixels, ValueElsewhere

SPACES = ("srgb", "adobergb", "rommrgb")
LEVELS = np.array([0, 40, 128, 200, 255], np.uint8)
COLOURS = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), axis=-1).reshape(25, 5, 3)


def element(data):
    return {"vr": "OB", "InlineBinary": base64.b64encode(data).decode()}


def embedded(file):
    if file[4:8] == b"jP  ":
        whole = Box(b"", 0, len(file))
        colours = first_box(file, whole, b"jp2h", b"colr")
        stated = file[colours.start : colours.end]
        return stated[3:] if stated[0] == 2 else None
    return Image.open(BytesIO(file)).info.get("icc_profile")


@pytest.mark.parametrize(
    ("space", "primaries"),
    [
        ("srgb", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))),
        ("adobergb", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))),
        ("rommrgb", ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))),
    ],
)
def test_the_known_spaces_have_their_published_primaries(space, primaries):
    """By what LittleCMS reads of them, undone from the adaptation to D50."""
    profile = ImageCms.getOpenProfile(BytesIO(standard_profile(space))).profile
    white = (0.3457, 0.3585) if space == "rommrgb" else (0.3127, 0.3290)
    wanted = adapted(primaries, white)
    got = np.array(
        [p[0] for p in (profile.red_primary, profile.green_primary, profile.blue_primary)]
    )
    np.testing.assert_allclose(got, wanted, atol=5e-4)


def adapted(primaries, white):
    """XYZ of primaries at D50, by Bradford's matrix."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries])
    x, y = white
    white_xyz = np.array([x / y, 1, (1 - x - y) / y])
    scaled = xyz * np.linalg.solve(xyz.T, white_xyz)[:, None]
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    d50 = np.array([0.9642, 1.0, 0.8249])
    gains = np.diag((bradford @ d50) / (bradford @ white_xyz))
    return scaled @ (np.linalg.inv(bradford) @ gains @ bradford).T


def test_profiles_are_the_same_each_time():
    before = standard_profile("rommrgb")
    standard_profile.cache_clear()
    assert standard_profile("rommrgb") == before


def test_adobe_rgb_is_what_its_formula_says():
    """sRGB green, (0, 255, 0), is less far out in a wider space; greys stay grey."""
    green = np.array([[[0, 255, 0]]], np.uint8)
    converted, profile = managed(green, "adobergb", b"")
    assert profile == standard_profile("adobergb")
    assert np.abs(converted[0, 0].astype(int) - [144, 255, 60]).max() <= 2
    grey = np.full((1, 1, 3), 128, np.uint8)
    assert np.ptp(managed(grey, "adobergb", b"")[0]) <= 1


@pytest.mark.parametrize("space", SPACES[1:])
def test_there_and_back_are_the_same_colours(space):
    there, profile = managed(COLOURS, space, b"")
    back, _ = managed(there, "srgb", profile)
    off = np.abs(back.astype(int) - COLOURS)
    assert off.max() <= (4 if space == "adobergb" else 24)  # dark ones are coarse in ROMM
    assert off.mean() < 1.5


def test_without_a_profile_the_colours_are_srgb():
    for wanted in ("yes", "srgb"):
        picture, profile = managed(COLOURS, wanted, b"")
        assert profile == standard_profile("srgb")
        np.testing.assert_array_equal(picture, COLOURS)


@pytest.mark.parametrize("wanted", ["", "no"])
def test_no_profile_is_none(wanted):
    picture, profile = managed(COLOURS, wanted, standard_profile("adobergb"))
    assert profile == b""
    np.testing.assert_array_equal(picture, COLOURS)


def test_yes_keeps_the_colours_and_their_profile():
    picture, profile = managed(COLOURS, "yes", standard_profile("adobergb"))
    assert profile == standard_profile("adobergb")
    np.testing.assert_array_equal(picture, COLOURS)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/jp2", "image/jph"])
@pytest.mark.parametrize("space", SPACES)
def test_the_profile_is_in_the_file(media_type, space):
    picture, profile = managed(COLOURS[..., 0], space, b"")
    assert "srgb" in PROFILES[media_type]
    assert embedded(encode(picture, media_type, 90, profile)) == profile
    assert embedded(encode(picture, media_type, 90)) is None


def test_the_profile_of_the_image_is_found_and_that_of_the_optical_path_before_it():
    adobe, romm, srgb = (standard_profile(s) for s in ("adobergb", "rommrgb", "srgb"))
    paths = [
        {"00480106": {"Value": ["A"]}, "00282000": element(romm)},
        {"00480106": {"Value": ["B"]}, "00282000": element(srgb)},
    ]
    image = {"00282000": element(adobe)}
    slide = image | {"00480105": {"Value": paths}}
    group = {"00480207": {"Value": [{"00480106": {"Value": ["B"]}}]}}

    assert source_profile(image, 1, 1) == adobe
    assert source_profile(slide, 1, 1) == romm
    assert [source_profile(slide, n, 4) for n in (1, 2, 3, 4)] == [romm, romm, srgb, srgb]
    assert source_profile(slide | {"52009229": {"Value": [group]}}, 1, 4) == srgb
    assert source_profile({}, 1, 1) == b""


def test_a_stream_may_have_the_profile():
    file = BytesIO()
    Image.fromarray(COLOURS).save(file, "JPEG", icc_profile=standard_profile("rommrgb"))
    assert source_profile({}, 1, 1, file.getvalue()) == standard_profile("rommrgb")
    assert source_profile({}, 1, 1, file.getvalue()[:30]) == b""


@settings(deadline=None)  # the first call loads codecs and fonts
@given(st.integers(0, 600), st.binary(max_size=40), st.sampled_from(SPACES))
def test_a_damaged_profile_is_none(at, junk, space):
    """ICC bombs and worse: whatever the bytes are, a picture comes out."""
    whole = standard_profile("adobergb")
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    source = source_profile({"00282000": element(damaged)}, 1, 1)
    picture, profile = managed(COLOURS, space, source)
    assert picture.shape == COLOURS.shape
    assert profile == standard_profile(space)


def test_profiles_of_other_spaces_count_as_absent():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert source_profile({"00282000": element(lab)}, 1, 1) == b""
    assert source_profile({"00282000": {"vr": "OB", "InlineBinary": "!"}}, 1, 1) == b""
    assert source_profile({"00282000": element(b"")}, 1, 1) == b""


def test_a_profile_that_is_not_at_hand_is_not_taken_for_another():
    with pytest.raises(ValueElsewhere) as missing:
        source_profile({"00282000": {"vr": "OB", "BulkDataURI": "/00282000"}}, 1, 1)
    assert missing.value.path == "00282000"
    assert pickle.loads(pickle.dumps(missing.value)).path == "00282000"
    with pytest.raises(UndecodablePixels):
        source_profile({"00282000": element(bytes(MAX_PROFILE + 1))}, 1, 1)


def test_a_profile_is_looked_for_only_where_none_before_it_makes_sense():
    elsewhere = {"00282000": {"vr": "OB", "BulkDataURI": "/00282000"}}

    def slide(profile):
        return elsewhere | {"00480105": {"vr": "SQ", "Value": [{"00282000": element(profile)}]}}

    romm = standard_profile("rommrgb")
    assert source_profile(slide(romm), 1, 1) == romm
    with pytest.raises(ValueElsewhere):
        source_profile(slide(b"damaged"), 1, 1)
