"""Blending presentation states through HTTP: one series in colours on another one in grey (PS3.3
A.33.5 and C.11.14, PS3.4 N.2.4, digest 3.3.6: a part for each underlying frame)."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from tests.make import small_image
from tests.make.blending import blending_state
from tests.make.states import item
from tests.make.states import reference as image_reference
from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store

PNG = {"Accept": "image/png"}
AXIAL = [1, 0, 0, 0, 1, 0]


def series(
    study: str,
    heights: Sequence[float],
    side: int,
    spacing: float,
    first: float,
    reference: str,
    **more: Any,
) -> list[bytes]:
    """Axial images of a series at `heights`, `side` pixels wide and high, the middle of the first
    one at (`first`, `first`)."""
    uid = new_uid()
    return [
        small_image(
            **{"bits": 8, "rows": side, "columns": side, "seed": number + side},
            StudyInstanceUID=study,
            SeriesInstanceUID=uid,
            SOPInstanceUID=new_uid(),
            FrameOfReferenceUID=reference,
            PixelSpacing=[spacing, spacing],
            SliceThickness=1,
            **{"ImagePositionPatient": [first, first, height], "ImageOrientationPatient": AXIAL},
            **more,
        )
        for number, height in enumerate(heights)
    ]


def read(files: Sequence[bytes]) -> list[Dataset]:
    return [dcmread(BytesIO(file)) for file in files]


def picture(response: httpx.Response) -> np.ndarray[Any, Any]:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(BytesIO(response.content))).astype(float)


def shown(http: httpx.Client, state: Dataset, resource: str = "rendered") -> Any:
    return picture(http.get(f"{path_of(state)}/{resource}", headers=PNG))


def stored(http: httpx.Client, file: bytes) -> Dataset:
    [state] = store(http, file)
    return state


def state_of(below: Sequence[bytes], over: Sequence[bytes], *more: Any, **keywords: Any) -> bytes:
    uids = {"SOPInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    return blending_state(read(below), read(over), *more, **uids, **keywords)


def test_images_of_the_same_pixels_are_mixed_by_the_relative_opacity(http: httpx.Client) -> None:
    study, reference = new_uid(), new_uid()
    below, over = (series(study, (0, 2, 4), 12, 1, 0, reference) for _ in range(2))
    over = over[::-1]  # they are found by their places
    store(http, *below, *over)
    state = stored(http, state_of(below, over))

    for number, (grey, red) in enumerate(zip(read(below), read(over[::-1]), strict=True), 1):
        made = shown(http, state, f"frames/{number}/rendered")
        expected = np.repeat(grey.pixel_array[:, :, np.newaxis] * 0.75, 3, axis=2)
        expected[:, :, 0] += red.pixel_array * 0.25
        assert np.abs(made - expected).max() <= 1
    parts = parts_of(
        http.get(
            f"{path_of(state)}/rendered", headers={"Accept": 'multipart/related; type="image/png"'}
        )
    )
    assert len(parts) == 3
    assert shown(http, state, "thumbnail").shape == (12, 12, 3)


def test_coarser_pixels_lie_where_they_are_in_the_patient(http: httpx.Client) -> None:
    """4 × 4 pixels of 2 mm on 12 × 12 of 1 mm, from the third row and column on."""
    study, reference = new_uid(), new_uid()
    below = series(study, (0, 5), 12, 1, 0, reference)
    over = series(study, (0.3,), 4, 2, 2.5, reference)
    store(http, *below, *over)
    state = stored(http, state_of(below, over, 0.5))

    made = shown(http, state)

    [grey, other], [red] = (
        [each.pixel_array.astype(float) for each in read(files)] for files in (below, over)
    )
    beyond = np.ones((12, 12), bool)
    beyond[2:10, 2:10] = False
    assert np.array_equal(made[beyond], np.repeat(grey[beyond][:, np.newaxis], 3, axis=1))
    assert np.abs(made[2:10, 2:10, 1] - grey[2:10, 2:10] / 2).max() <= 1  # palettes have no green
    # Row 4 lies three quarters down between the coarse rows 0 (2.5 mm) and 1 (4.5 mm)
    expected = (red[0, 0] * 0.25 + red[1, 0] * 0.75) * 0.25 + (
        red[0, 1] * 0.25 + red[1, 1] * 0.75
    ) * 0.75
    assert abs(made[4, 4, 0] - (grey[4, 4] + expected) / 2) <= 1
    # Where no image of the other set lies: the underlying one alone
    assert np.array_equal(shown(http, state, "frames/2/rendered")[:, :, 0], other)


def test_padding_shows_what_is_below(http: httpx.Client) -> None:
    study, reference = new_uid(), new_uid()
    below = series(study, (0,), 8, 1, 0, reference)
    over = series(study, (0,), 8, 1, 0, reference, PixelPaddingValue=0, PixelPaddingRangeLimit=127)
    store(http, *below, *over)
    state = stored(http, state_of(below, over, 1.0))

    made = shown(http, state)

    [grey], [red] = ([each.pixel_array for each in read(files)] for files in (below, over))
    hidden = red <= 127
    assert hidden.any()
    assert not hidden.all()
    assert np.array_equal(made[hidden], np.repeat(grey[hidden][:, np.newaxis], 3, axis=1))
    assert np.array_equal(made[~hidden][:, 0], red[~hidden])


@pytest.mark.parametrize("kind", ["elsewhere", "turned", "unplaced", "registered"])
def test_what_cannot_be_laid_on_each_other_is_refused(http: httpx.Client, kind: str) -> None:
    study, reference = new_uid(), new_uid()
    below = series(study, (0,), 8, 1, 0, reference)
    over = series(study, (0,), 8, 1, 0, new_uid() if kind == "elsewhere" else reference)
    if kind in ("turned", "unplaced"):
        [dataset] = read(over)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, 1]
        if kind == "unplaced":
            del dataset.ImagePositionPatient
        out = BytesIO()
        dataset.save_as(out)
        over = [out.getvalue()]
    more = {}
    if kind == "registered":
        more = {"ReferencedSpatialRegistrationSequence": [item(ReferencedSOPInstanceUID="1.2")]}
    store(http, *below, *over)
    state = stored(http, state_of(below, over, **more))

    status = 404 if kind == "unplaced" else 406
    assert_problem(http.get(f"{path_of(state)}/rendered"), status)
    assert shown(http, state, "thumbnail").shape[:2] == (256, 256)  # an icon


def test_no_more_series_are_looked_up_than_a_few(http: httpx.Client) -> None:
    """[D] 16 of them: each is a look-up for every picture that is asked for."""
    study, reference = new_uid(), new_uid()
    below = series(study, (0,), 8, 1, 0, reference)
    over = [series(study, (height,), 8, 1, 0, reference)[0] for height in range(100, 85, -1)]
    [last] = series(study, (0,), 8, 1, 0, reference)
    store(http, *below, *over, last)
    for files, status in (([*over, last], 200), ([*over, last, *below], 413)):
        dataset = dcmread(BytesIO(state_of(below, [last])))
        [upper] = [each for each in dataset.BlendingSequence if each.BlendingPosition[0] == "S"]
        upper.ReferencedSeriesSequence = [
            item(
                SeriesInstanceUID=image.SeriesInstanceUID,
                ReferencedImageSequence=[image_reference(image)],
            )
            for image in read(files)
        ]
        out = BytesIO()
        dataset.save_as(out)
        state = stored(http, out.getvalue())
        answer = http.get(f"{path_of(state)}/rendered", headers=PNG)
        assert answer.status_code == status, answer.text
        if status == 413:
            assert "16 series" in assert_problem(answer, 413)["detail"]


def test_the_tag_changes_when_another_image_lies_on_it(http: httpx.Client) -> None:
    study, reference = new_uid(), new_uid()
    below, over = (series(study, (0, 2), 8, 1, 0, reference) for _ in range(2))
    state = stored(http, state_of(below, over))
    store(http, *below)
    path = f"{path_of(state)}/rendered"
    assert "laid on" in assert_problem(http.get(path), 404)["detail"]
    store(http, over[1])
    before = http.get(path, headers=PNG)
    store(http, over[0])
    after = http.get(path, headers={**PNG, "If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content
    assert (
        http.get(path, headers={**PNG, "If-None-Match": after.headers["etag"]}).status_code == 304
    )
