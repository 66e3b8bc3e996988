"""Segmentations through HTTP: drawn over the images that they were made from (digest 3.3.6 [D])."""

import copy
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from dicomweb_server.dicom.segmentation import distinct
from tests.make import study_of
from tests.make.segmentations import file_of, segmentation
from tests.web.asking import assert_problem, new_uid, path_of, store

PNG = {"Accept": "image/png"}
GREEN = np.array(distinct(2))  # of segment 2, which tells none
RED = np.array([255, 0, 0])


@pytest.fixture(scope="module")
def slices() -> list[Dataset]:
    seen = {"WindowCenter": "-300", "WindowWidth": "2000"}
    study = study_of(1, 3, seed=77, rows=40, columns=30, **seen)
    files = [instance.file() for instance in study]
    return [dcmread(BytesIO(file)) for file in files]


@pytest.fixture(scope="module")
def images(http: httpx.Client, slices: list[Dataset]) -> list[Dataset]:
    """The slices, stored."""
    return store(http, *map(file_of, slices))


def two_segments() -> np.ndarray[Any, Any]:
    """Two that overlap, in all three slices."""
    made = np.zeros((3, 40, 30, 2), np.uint8)
    made[:, 5:15, 5:15, 0] = 1
    made[:, 10:20, 10:20, 1] = 1
    return made


def picture(response: httpx.Response) -> np.ndarray[Any, Any]:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(BytesIO(response.content))).astype(int)


def shown(http: httpx.Client, dataset: Dataset, resource: str = "") -> np.ndarray[Any, Any]:
    return picture(http.get(f"{path_of(dataset)}{resource}/rendered", headers=PNG))


def stored(http: httpx.Client, made: Dataset) -> Dataset:
    [dataset] = store(http, file_of(made))
    return dataset


def under(http: httpx.Client, image: Dataset) -> np.ndarray[Any, Any]:
    grey = shown(http, image)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def mixed(image: np.ndarray[Any, Any], colour: np.ndarray[Any, Any]) -> Any:
    return pytest.approx((image + colour) / 2, abs=1.5)


def test_all_segments_of_a_slice_lie_on_its_image(http: httpx.Client, images: Any) -> None:
    """The slice in the middle; segment 2 lies over segment 1."""
    made = stored(http, segmentation(images, two_segments(), seed=new_uid()))

    made_of = shown(http, made)

    image = under(http, images[1])
    assert np.array_equal(made_of[25:], image[25:])
    assert made_of[7, 7] == mixed(image[7, 7], RED)
    assert made_of[17, 17] == mixed(image[17, 17], GREEN)
    assert made_of[12, 12] == mixed((image[12, 12] + RED) / 2, GREEN)


def test_a_frame_is_one_segment(http: httpx.Client, images: Any) -> None:
    made = stored(http, segmentation(images, two_segments(), seed=new_uid()))

    groups = made.PerFrameFunctionalGroupsSequence
    for number, group in enumerate(groups, 1):
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        [image] = [i for i in images if i.SOPInstanceUID == source.ReferencedSOPInstanceUID]
        picture_of = shown(http, made, f"/frames/{number}")
        plain = under(http, image)
        place = (7, 7) if segment == 1 else (17, 17)
        other = (17, 17) if segment == 1 else (7, 7)
        assert picture_of[place] == mixed(plain[place], RED if segment == 1 else GREEN)
        assert (picture_of[other] == plain[other]).all()


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
def test_labels_and_fractions(http: httpx.Client, images: Any, kind: str) -> None:
    values = np.zeros((3, 40, 30), np.uint8 if kind == "LABELMAP" else np.float32)
    values[:, 5:15, 5:15], values[:, 20:25, 5:15] = (1, 2) if kind == "LABELMAP" else (1, 0.5)
    made = stored(http, segmentation(images, values, kind, seed=new_uid()))

    made_of, image = shown(http, made), under(http, images[1])

    assert made_of[7, 7] == mixed(image[7, 7], RED)
    if kind == "LABELMAP":
        assert made_of[22, 7] == mixed(image[22, 7], GREEN)
    else:
        assert made_of[22, 7] == pytest.approx(image[22, 7] * 0.75 + RED * 0.25, abs=1.5)
    assert (made_of[30, 7] == image[30, 7]).all()


def test_without_its_image_it_is_coloured_on_black(http: httpx.Client, slices: Any) -> None:
    files = study_of(1, 3, seed=78, rows=40, columns=30)
    elsewhere = [dcmread(BytesIO(instance.file())) for instance in files]
    made = stored(http, segmentation(elsewhere, two_segments(), seed=new_uid()))

    made_of = shown(http, made)

    assert made_of[7, 7] == pytest.approx(RED, abs=3)
    assert (made_of[12, 12] == GREEN).all()
    assert not made_of[25:].any()
    assert picture(http.get(f"{path_of(made)}/thumbnail")).shape == (40, 30, 3)


def test_an_image_that_is_not_named_is_found_by_its_place(http: httpx.Client, images: Any) -> None:
    made = segmentation(images, two_segments(), seed=new_uid())
    for group in made.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    del made.SourceImageSequence
    made = stored(http, made)

    made_of = shown(http, made)

    assert np.array_equal(made_of[25:], under(http, images[1])[25:])


def test_an_image_of_a_series_that_is_not_named(http: httpx.Client, images: Any) -> None:
    made = segmentation(images, two_segments(), seed=new_uid())
    del made.ReferencedSeriesSequence
    made = stored(http, made)

    assert np.array_equal(shown(http, made)[25:], under(http, images[1])[25:])


@pytest.mark.parametrize("level", [1, 2, 3])
def test_parts_have_no_tag_that_stays_when_the_image_comes(
    http: httpx.Client, slices: Any, level: int
) -> None:
    """What they lie on is of another series, whose changes change them (RFC 9110 §8.8.3)."""
    here = {n: copy.deepcopy(each) for n, each in enumerate(slices)}
    study, series = new_uid(), new_uid()
    for each in here.values():
        each.StudyInstanceUID, each.SeriesInstanceUID = study, series
        each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = new_uid()
    made = segmentation(list(here.values()), two_segments())
    made.SOPInstanceUID, made.SeriesInstanceUID = new_uid(), new_uid()
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    path = f"{path_of(stored(http, made), level)}/rendered"
    parts = {"Accept": 'multipart/related; type="image/png"'}
    before = http.get(path, headers=parts)
    store(http, *map(file_of, here.values()))

    held = {"If-None-Match": before.headers.get("etag", '"none"')}
    after = http.get(path, headers={**parts, **held})

    assert after.status_code == 200
    assert after.content != before.content


def test_window_and_viewport(http: httpx.Client, images: Any) -> None:
    made = stored(http, segmentation(images, two_segments(), seed=new_uid()))
    path = f"{path_of(made)}/rendered"

    white = picture(http.get(f"{path}?window=-9999,2,linear", headers=PNG))
    assert (white[25:] == 255).all()
    assert picture(http.get(f"{path}?viewport=60,80", headers=PNG)).shape == (80, 60, 3)
    assert picture(http.get(f"{path}?viewport=9,9,20,20,9,9", headers=PNG)).shape == (9, 9, 3)
    assert http.get(f"{path}?viewport=9,9,99,99,9,9").status_code == 400


def test_a_series_is_shown_by_the_slice_in_the_middle(http: httpx.Client, images: Any) -> None:
    made = stored(http, segmentation(images, two_segments(), seed=new_uid()))

    of_series = picture(http.get(f"{path_of(made, 2)}/rendered", headers=PNG))

    assert np.array_equal(of_series, shown(http, made))


def test_of_more_segments_than_are_drawn_none_is_left_out_unsaid(
    http: httpx.Client, images: Any
) -> None:
    """PS3.3 C.8.20: each frame may lie on all others; a picture that lacks some would be wrong."""
    values = np.zeros((1, 40, 30, 257), np.uint8)
    for number in range(257):
        values[0, number // 30, number % 30, number] = 1
    made = stored(http, segmentation(images[:1], values, seed=new_uid()))
    path = path_of(made)

    problem = assert_problem(http.get(f"{path}/rendered"), 413)

    assert "257 frames" in problem["detail"]
    last = shown(http, made, "/frames/257")
    assert last[8, 16] == mixed(under(http, images[0])[8, 16], np.array(distinct(257)))
    assert picture(http.get(f"{path}/thumbnail")).shape[:2] == (256, 256)  # an icon
