"""Animated GIF from single pictures, and how long each frame is shown (PS3.3 C.7.6.5)."""

import contextlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from dicomweb_server.dicom.animation import (
    animation_begin,
    animation_end,
    animation_frame,
    frame_times,
)
from dicomweb_server.dicom.images import encode
from dicomweb_server.errors import UndecodablePixels

VECTOR, POINTER, TIME = "00181065", "00280009", "00181063"
DISPLAY_RATE, CINE_RATE = "00082144", "00180040"


def said(**attributes):
    return {tag.removeprefix("_"): {"Value": list(found)} for tag, found in attributes.items()}


def animated(pictures, times):
    files = [encode(picture, "image/gif") for picture in pictures]
    frames = [animation_frame(file, time) for file, time in zip(files, times, strict=True)]
    return b"".join([animation_begin(files[0]), *frames, animation_end()])


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3)])
def test_an_animation_has_its_frames_one_after_the_other(shape):
    random = np.random.default_rng(1)
    flat = (np.full(shape, level, np.uint8) for level in (3, 250))
    pictures = [*flat, random.integers(0, 2, shape, dtype=np.uint8) * 255]

    image = Image.open(BytesIO(animated(pictures, [3, 100, 7])))

    assert (image.size, image.n_frames, image.info["loop"]) == ((14, 9), 3, 0)
    shown = [
        (np.asarray(frame.convert("RGB")), frame.info["duration"])
        for frame in ImageSequence.Iterator(image)
    ]
    assert [duration for _, duration in shown] == [30, 1000, 70]
    for (seen, _), picture in zip(shown, pictures, strict=True):
        whole = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
        np.testing.assert_array_equal(seen, whole)


@settings(deadline=None)  # the first call loads codecs and fonts
@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_are_a_frame_or_refused(junk, cut):
    whole = encode(np.zeros((5, 5), np.uint8), "image/gif")
    for data in (junk, whole[:cut], whole[:13] + junk):
        with contextlib.suppress(UndecodablePixels):  # and no other exception
            animation_frame(data, 10)


@pytest.mark.parametrize(
    ("dataset", "times"),
    [
        (said(), [10, 10, 10]),
        (said(_00181063=[40]), [4, 4, 4]),
        (said(_00181063=["33.33"]), [3, 4, 3]),  # 100 ms in all
        (said(_00082144=[25]), [4, 4, 4]),
        (said(_00180040=["50"]), [2, 2, 2]),
        (said(_00082144=[10], _00180040=[50]), [10, 10, 10]),
        (said(_00181065=[0, 50, 90]), [5, 9, 9]),
        (said(_00181065=[0, 50, 90], _00181063=[40]), [4, 4, 4]),
        (said(_00181065=[0, 50, 90], _00181063=[40], _00280009=[VECTOR]), [5, 9, 9]),
        # What makes no sense counts as absent
        (said(_00181063=[0], _00180040=[-3]), [10, 10, 10]),
        (said(_00181063=["x"], _00082144=[20]), [5, 5, 5]),
        (said(_00181065=[0, 50]), [10, 10, 10]),
        (said(_00181065=[0, -50, 90]), [10, 10, 10]),
        # Nor is anything shown for too short or too long
        (said(_00181063=[1]), [2, 2, 2]),
        (said(_00181063=[1e9]), [6000, 6000, 6000]),
    ],
)
def test_frames_are_shown_as_long_as_the_file_tells(dataset, times):
    assert frame_times(dataset, 3) == times


def test_a_frame_alone_needs_no_vector():
    assert frame_times(said(_00181065=[0]), 1) == [10]
