"""Where images that are laid on each other lie in the patient (PS3.4 N.2.4)."""

from io import BytesIO
from math import cos, sin
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicomweb_server.dicom.blending import Plane, Superimposed, blended, nearest, plane_of
from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.pixels import Decoded
from dicomweb_server.errors import UndecodablePixels
from tests.make import small_image
from tests.make.blending import blending_state


def attributes(file: bytes) -> Any:
    return orjson.loads(describe(file).metadata.replace(BULK_BASE, b""))


def axial(side: int, spacing: float, **more: Any) -> bytes:
    placed = {
        "FrameOfReferenceUID": "1.2",
        "PixelSpacing": [spacing, spacing],
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    return small_image(bits=8, rows=side, columns=side, **{**placed, **more})


BELOW = axial(20, 1)
OVER = axial(30, 2)
STATE = attributes(blending_state([dcmread(BytesIO(BELOW))], [dcmread(BytesIO(OVER))], 1.0))
BELOW_PLACED, OVER_PLACED = attributes(BELOW), attributes(OVER)


@settings(max_examples=30)
@given(
    angle=st.floats(0, 6.3),
    mirrored=st.booleans(),
    spacing=st.tuples(st.floats(1.5, 3), st.floats(1.5, 3)),
    shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
)
def test_a_point_of_the_patient_is_the_same_in_both_images(
    angle: float, mirrored: bool, spacing: tuple[float, float], shift: tuple[float, float]
) -> None:
    """Of values that rise evenly through the patient, however the pixels lie."""
    row = np.array([cos(angle), sin(angle), 0])
    column = np.array([-sin(angle), cos(angle), 0]) * (-1 if mirrored else 1)
    middle = np.array([9.5 + shift[0], 9.5 + shift[1], 0])
    first = middle - 14.5 * (row * spacing[1] + column * spacing[0])
    grid = np.arange(30)
    x, y = (
        first[axis]
        + grid[np.newaxis, :] * row[axis] * spacing[1]
        + grid[:, np.newaxis] * column[axis] * spacing[0]
        for axis in (0, 1)
    )
    rising = 100 + x - 0.5 * y
    dataset = {
        **OVER_PLACED,
        "00280030": {"vr": "DS", "Value": list(spacing)},
        "00200032": {"vr": "DS", "Value": first.tolist()},
        "00200037": {"vr": "DS", "Value": [*row.tolist(), *column.tolist()]},
    }
    image = image_pixel(OVER_PLACED)
    stored = np.clip(np.rint(rising), 0, 255).astype(np.uint8)
    over = Superimposed(Decoded(stored, "MONOCHROME2"), image, dataset, 1)
    below = Decoded(np.zeros((20, 20), np.uint8), "MONOCHROME2")

    made = blended(below, image_pixel(BELOW_PLACED), BELOW_PLACED, 1, STATE, over)

    lines = np.arange(20)
    expected = 100 + lines[np.newaxis, :] - 0.5 * lines[:, np.newaxis]
    assert np.abs(made[:, :, 0] - expected).max() <= 1.5
    assert not made[:, :, 1:].any()


def plane(height: float, thickness: float = 0, **more: Any) -> Plane:
    values = {"frame_of_reference_uid": "1", "row": (1, 0, 0), "column": (0, 1, 0)} | more
    return Plane(position=(0, 0, height), spacing=(1, 1), thickness=thickness, **values)


@pytest.mark.parametrize(
    ("height", "others", "found"),
    [
        (0, [], None),
        (4.9, [plane(0), plane(3), plane(6)], 2),
        (7.4, [plane(0), plane(3), plane(6)], 2),
        (7.6, [plane(0), plane(3), plane(6)], None),
        (2.4, [plane(0, 5)], 0),
        (2.6, [plane(0, 5)], None),
        (0, [plane(0)], 0),
        (3, [plane(6), plane(3, column=(0, -1, 0))], 1),  # seen from the other side
    ],
)
def test_a_plane_reaches_half_way_to_the_next(
    height: float, others: list[Plane], found: int | None
) -> None:
    assert nearest(plane(height), others) == found


@pytest.mark.parametrize("more", [{"column": (0, 0, 1)}, {"frame_of_reference_uid": "2"}])
def test_planes_that_have_nothing_in_common_are_refused(more: Any) -> None:
    with pytest.raises(UndecodablePixels):
        nearest(plane(0), [plane(0), plane(0, **more)])


@given(
    st.dictionaries(
        st.sampled_from(["00280030", "00200032", "00200037", "00180050", "00200052"]),
        st.just(None)
        | st.lists(st.sampled_from([None, 0, 1, -1, 1e300, "x", {}, "1.2"]), max_size=7).map(
            lambda found: {"vr": "DS", "Value": found}
        ),
    )
)
def test_whatever_an_image_tells_of_its_place_is_a_place_or_none(told: Any) -> None:
    found = plane_of({**BELOW_PLACED, **told}, 1)
    assert found is None or nearest(found, [found]) == 0
