"""/rendered and /thumbnail through HTTP. What the pictures look like is tested in tests/dicom."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from tests.make import encapsulated_pdf, small_image, sr_document, study_of
from tests.web.asking import assert_problem, new_uid, path_of, store


@pytest.fixture(scope="module")
def stored(http: httpx.Client) -> Dataset:
    dataset = dcmread(BytesIO(small_image(rows=40, columns=30, frames=3)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
    out = BytesIO()
    dataset.save_as(out)
    [dataset] = store(http, out.getvalue())
    return dataset


def picture(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200, response.text
    image = Image.open(BytesIO(response.content))
    image.load()
    return image


@pytest.mark.parametrize(
    "accept", [None, "*/*", "image/jpeg", "image/*,*/*;q=0.1", "text/html,*/*"]
)
def test_jpeg_is_the_default(http: httpx.Client, stored: Dataset, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    response = http.get(f"{path_of(stored)}/rendered", headers=headers)
    assert response.headers["content-type"] == "image/jpeg"
    assert picture(response).size == (30, 40)


def test_png_and_the_accept_parameter(http: httpx.Client, stored: Dataset) -> None:
    path = f"{path_of(stored)}/frames/2/rendered"
    assert picture(http.get(path, headers={"Accept": "image/png"})).format == "PNG"
    assert picture(http.get(path, params={"accept": "image/png"})).format == "PNG"  # ACC-03
    assert_problem(http.get(path, headers={"Accept": "application/dicom"}), 406)


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("viewport=15,20", (15, 20)),
        ("viewport=60,60", (45, 60)),
        ("viewport=10,10,0,0,10,10", (10, 10)),
    ],
)
def test_viewport(http: httpx.Client, stored: Dataset, query: str, size: tuple[int, int]) -> None:
    assert picture(http.get(f"{path_of(stored)}/rendered?{query}")).size == size


def test_pictures_made_side_by_side_are_those_made_alone(http: httpx.Client) -> None:
    """Also where the same slices and windows meet in what threads keep."""
    slices = study_of(1, 6, seed=61, rows=128, columns=128)
    store(http, *(each.file() for each in slices))
    windows = [f"{center},{width},linear" for center in (0, 40) for width in (80, 400, 1500)]
    urls = [
        f"/studies/{each.study_uid}/series/{each.series_uid}/instances/{each.sop_uid}"
        f"/rendered?window={window}"
        for window in windows
        for each in slices
    ]

    def get(url: str, quality: int) -> bytes:
        answer = http.get(f"{url}&quality={quality}")  # another each time: none is kept
        assert answer.status_code == 200
        return picture(answer).tobytes()

    with ThreadPoolExecutor(8) as clients:
        beside = [list(clients.map(get, urls, [quality] * len(urls))) for quality in (97, 96, 95)]
    for pictures in beside:
        assert all(map(alike, pictures, beside[0]))
    assert len(set(beside[0])) > len(urls) // 2
    for url, made in zip(urls, beside[-1], strict=True):  # and by themselves, made anew
        assert alike(get(url, 94), made)


def alike(one: bytes, other: bytes) -> bool:
    """Whether two codings of one picture differ by no more than coding does."""
    differences = np.abs(np.frombuffer(one, "u1").astype(int) - np.frombuffer(other, "u1"))
    return bool(differences.mean() < 2)


@pytest.mark.parametrize(
    "query",
    [
        "quality=0",
        "quality=101",
        "quality=x",
        "viewport=10",
        "viewport=1000000000,1000000000",
        "viewport=-1,10",
        "window=1,2",
        "window=1,0,linear",
        "window=nan,1,linear",
        "window=1,2,cubic",
    ],
)
def test_bad_parameters(http: httpx.Client, stored: Dataset, query: str) -> None:
    assert_problem(http.get(f"{path_of(stored)}/rendered?{query}"), 400)


def test_the_window_changes_the_picture(http: httpx.Client, stored: Dataset) -> None:
    path = f"{path_of(stored)}/rendered"
    dark = picture(http.get(path, params={"window": "60000,10,linear", "accept": "image/png"}))
    bright = picture(http.get(path, params={"window": "-60000,10,linear", "accept": "image/png"}))
    assert dark.getextrema()[0] < bright.getextrema()[0]


def test_frames_that_are_not_there(http: httpx.Client, stored: Dataset) -> None:
    assert_problem(http.get(f"{path_of(stored)}/frames/4/rendered"), 404)
    assert_problem(http.get(f"{path_of(stored)}/frames/0/rendered"), 400)
    assert_problem(http.get(f"studies/{new_uid()}/rendered"), 404)
    assert_problem(http.get(f"studies/{new_uid()}/thumbnail"), 404)


def test_thb_02_one_small_picture_at_every_level(http: httpx.Client, stored: Dataset) -> None:
    for path in (*(path_of(stored, level) for level in (1, 2, 3)), f"{path_of(stored)}/frames/2"):
        assert max(picture(http.get(f"{path}/thumbnail")).size) <= 256
        assert picture(http.get(f"{path}/rendered")).size == (30, 40)
    assert_problem(http.get(f"{path_of(stored)}/thumbnail?viewport=9,9,1,1,2,2"), 400)  # THB-01


def test_thb_05_an_icon_for_what_has_no_picture(http: httpx.Client) -> None:
    uids = {"StudyInstanceUID": new_uid(), "SOPInstanceUID": new_uid()}
    [document] = store(http, encapsulated_pdf(**uids))
    for level in (1, 2, 3):
        response = http.get(f"{path_of(document, level)}/thumbnail")
        assert picture(response).format == "JPEG"
        assert picture(response).size == (256, 256)
        smaller = http.get(f"{path_of(document, level)}/thumbnail?viewport=64,100")
        assert picture(smaller).size == (64, 64)


def test_thb_03_an_icon_says_what_it_stands_for(http: httpx.Client) -> None:
    """Of whatever patient: a report looks like any other report, and like no document."""
    files = [
        *(sr_document(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()) for _ in range(2)),
        encapsulated_pdf(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()),
    ]
    stored = store(http, *files)
    for level in (1, 2, 3):
        first, second, other = (
            http.get(f"{path_of(one, level)}/thumbnail").content for one in stored
        )
        assert first == second != other
