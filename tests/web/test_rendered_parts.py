"""Several pictures in one answer (PS3.18 §10.4.1.1.3, digest 3.3.6), and who has them already."""

from io import BytesIO

import httpx
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, JPEGBaseline8Bit

from tests.make import encapsulated_pdf, small_image
from tests.web.asking import assert_problem, new_uid, parts_of, path_of, store

PARTS = "multipart/related"
JPEGS = {"Accept": 'multipart/related; type="image/jpeg"'}
PNGS = {"Accept": 'multipart/related; type="image/png"'}


def made(study: str, series: str, *, frames: int = 1, number: int = 1, **more: object) -> Dataset:
    dataset = dcmread(BytesIO(small_image(rows=8, columns=10, frames=frames)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
    dataset.InstanceNumber = number
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def file_of(dataset: Dataset) -> bytes:
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.fixture(scope="module")
def study(http: httpx.Client) -> list[Dataset]:
    """Two series: images of one frame and of three, out of order; a document; a video."""
    uid, first, second = new_uid(), new_uid(), new_uid()
    images = [
        made(uid, first, number=2, SeriesNumber=1),
        made(uid, first, number=1, SeriesNumber=1, frames=3),
        made(uid, second, SeriesNumber=2),
    ]
    document = encapsulated_pdf(
        StudyInstanceUID=uid, SeriesInstanceUID=new_uid(), SOPInstanceUID=new_uid()
    )
    video = made(uid, second, number=2, frames=20, SeriesNumber=2)
    video.file_meta.TransferSyntaxUID = MPEG4HP41
    video.PixelData = encapsulate([bytes(range(256))])
    return store(http, *map(file_of, images), document, file_of(video))


def locations(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [fields["Content-Location"] for fields, _ in parts_of(answer)]


def test_a_part_for_each_frame_that_is_named(http: httpx.Client, study: list[Dataset]) -> None:
    path = f"{path_of(study[1])}/frames"
    answer = http.get(f"{path}/3,1/rendered", headers=PNGS)
    assert answer.headers["content-type"].startswith('multipart/related; type="image/png"; bound')
    assert [fields["Content-Type"] for fields, _ in parts_of(answer)] == ["image/png"] * 2
    base = str(http.base_url).rstrip("/")
    assert locations(answer) == [f"{base}/{path}/3", f"{base}/{path}/1"]
    alone = [http.get(f"{path}/{n}/rendered?accept=image/png").content for n in (3, 1)]
    assert [data for _, data in parts_of(answer)] == alone
    assert int(parts_of(answer)[0][0]["Content-Length"]) == len(alone[0])


def test_neg_03_several_frames_are_no_single_part(http: httpx.Client, study: list[Dataset]) -> None:
    path = f"{path_of(study[1])}/frames/1,2/rendered"
    problem = assert_problem(http.get(path, headers={"Accept": "image/jpeg"}), 406)
    assert 'multipart/related; type="image/jpeg"' in problem["available"]
    for accept in ("*/*", PARTS, "image/jpeg, */*;q=0.1"):
        answer = http.get(path, headers={"Accept": accept})
        assert answer.headers["content-type"].startswith('multipart/related; type="image/jpeg"')
        assert len(parts_of(answer)) == 2


def test_an_instance_has_a_part_for_each_frame(http: httpx.Client, study: list[Dataset]) -> None:
    base = str(http.base_url).rstrip("/")
    for dataset, names in ((study[0], [""]), (study[1], [f"/frames/{n}" for n in (1, 2, 3)])):
        answer = http.get(f"{path_of(dataset)}/rendered", headers=JPEGS)
        assert locations(answer) == [f"{base}/{path_of(dataset)}{name}" for name in names]
        assert all(opened(data).size == (10, 8) for _, data in parts_of(answer))


def test_wado_11_a_study_has_all_its_images_in_order(
    http: httpx.Client, study: list[Dataset]
) -> None:
    answer = http.get(f"{path_of(study[0], 1)}/rendered", headers=JPEGS)
    base = str(http.base_url).rstrip("/")
    single, multi, other = (f"{base}/{path_of(dataset)}" for dataset in study[:3])
    assert locations(answer) == [*(f"{multi}/frames/{n}" for n in (1, 2, 3)), single, other]
    answer = http.get(f"{path_of(study[2], 2)}/rendered", headers=JPEGS)
    assert locations(answer) == [other]  # not the video


def test_parameters_hold_for_every_part(http: httpx.Client, study: list[Dataset]) -> None:
    path = f"{path_of(study[0], 1)}/rendered?viewport=5,5"
    assert {opened(data).size for _, data in parts_of(http.get(path, headers=JPEGS))} == {(5, 4)}
    assert_problem(http.get(f"{path}&quality=0", headers=JPEGS), 400)
    outside = "viewport=5,5,99,0,1,1"
    assert_problem(
        http.get(f"{path_of(study[0], 1)}/rendered?{outside}", headers=JPEGS), 400
    )  # before anything is sent


def test_wado_10_too_many_frames_are_413(http: httpx.Client) -> None:
    long = made(new_uid(), new_uid(), frames=41)
    store(http, file_of(long))
    for level in (1, 2, 3):
        assert_problem(http.get(f"{path_of(long, level)}/rendered", headers=JPEGS), 413)
    assert http.get(f"{path_of(long)}/rendered").status_code == 200


def test_what_has_no_image_has_no_parts(http: httpx.Client, study: list[Dataset]) -> None:
    for dataset, level in ((study[3], 2), (study[3], 3), (study[4], 3)):
        assert_problem(http.get(f"{path_of(dataset, level)}/rendered", headers=JPEGS), 406)
    assert_problem(http.get(f"studies/{new_uid()}/rendered", headers=JPEGS), 404)
    assert_problem(http.get(f"{path_of(study[1])}/frames/1,4/rendered", headers=JPEGS), 404)


def test_a_frame_that_is_damaged_is_refused_or_cuts_the_answer(http: httpx.Client) -> None:
    """ERR-03: what looks complete is complete."""
    study, series = new_uid(), new_uid()
    damaged = made(study, series, number=2)
    damaged.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    damaged.PixelData = encapsulate([b"\xff\xd8 no picture at all"])
    store(http, file_of(damaged))
    assert_problem(http.get(f"{path_of(damaged, 2)}/rendered", headers=JPEGS), 406)
    store(http, file_of(made(study, series, number=1)))
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(f"{path_of(damaged, 2)}/rendered", headers=JPEGS)


def test_cch_01_who_has_it_gets_304(http: httpx.Client, study: list[Dataset]) -> None:
    tags = set()
    for path in (
        f"{path_of(study[1])}/rendered",
        f"{path_of(study[1])}/frames/2/rendered",
        f"{path_of(study[1])}/frames/2/rendered?window=1,2,linear",
        f"{path_of(study[0], 1)}/thumbnail",
        f"{path_of(study[3])}/thumbnail",
    ):
        answer = http.get(path)
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "Accept"
        again = http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        tags.add(answer.headers["etag"])
        assert http.get(path, params={"accept": "image/png"}).headers["etag"] not in tags
    assert len(tags) == 5


@pytest.mark.parametrize("level", [1, 2, 3])
def test_parts_have_a_tag_and_the_same_bytes_each_time(
    http: httpx.Client, study: list[Dataset], level: int
) -> None:
    path = f"{path_of(study[1], level)}/rendered"
    first, second = (http.get(path, headers=JPEGS) for _ in range(2))
    assert first.content == second.content
    tag = {"If-None-Match": first.headers["etag"]}
    assert http.get(path, headers={**JPEGS, **tag}).status_code == 304
    assert http.get(path, headers={**PNGS, **tag}).status_code == 200


def test_the_tag_of_a_series_changes_with_it(http: httpx.Client) -> None:
    one = made(new_uid(), new_uid())
    store(http, file_of(one))
    path = f"{path_of(one, 2)}/rendered"
    before = http.get(path, headers=JPEGS)
    store(http, file_of(made(one.StudyInstanceUID, one.SeriesInstanceUID, number=2)))
    after = http.get(path, headers={**JPEGS, "If-None-Match": before.headers["etag"]})
    assert len(parts_of(after)) == 2


@pytest.mark.parametrize("headers", [{}, JPEGS])
def test_res_06_head_has_the_same_headers(
    http: httpx.Client, study: list[Dataset], headers: dict[str, str]
) -> None:
    path = f"{path_of(study[1])}/rendered"
    got, head = http.get(path, headers=headers), http.head(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "etag", "vary", "cache-control"):
        assert head.headers[name] == got.headers[name]


def test_the_representative_frame_stands_for_a_series(http: httpx.Client) -> None:
    """THB-04: Representative Frame Number goes before the middle."""
    uid, series = new_uid(), new_uid()
    dataset = made(uid, series, frames=5)
    dataset.RepresentativeFrameNumber = 2
    store(http, file_of(dataset))
    path = path_of(dataset)
    second = http.get(f"{path}/frames/2/rendered").content
    assert second != http.get(f"{path}/frames/3/rendered").content
    assert http.get(f"{path_of(dataset, 2)}/rendered").content == second


@pytest.mark.parametrize("media_type", ["image/gif", 'multipart/related; type="image/png"'])
def test_res_06_head_is_refused_for_what_get_is(
    http: httpx.Client, study: list[Dataset], media_type: str
) -> None:
    """Too many frames, a region outside, a parameter that does not fit."""
    headers = {"Accept": media_type}
    long = made(new_uid(), new_uid(), frames=41)
    store(http, file_of(long))
    image = path_of(study[1])
    asked = [
        f"{path_of(long)}/rendered",
        f"{image}/rendered?viewport=5,5,99,99,3,3",
        f"{image}/rendered?window=1,0,linear",
    ]
    for path in asked:
        got, head = http.get(path, headers=headers), http.head(path, headers=headers)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.status_code in (400, 413)
        assert head.headers["content-type"] == "application/problem+json"


def test_vp_09_a_region_outside_a_later_image_is_refused_before_anything_is_sent(
    http: httpx.Client,
) -> None:
    one = made(new_uid(), new_uid(), number=1)
    small = made(one.StudyInstanceUID, one.SeriesInstanceUID, number=2)
    small.Rows, small.Columns = 4, 5
    small.PixelData = bytes(small.Rows * small.Columns * small.BitsAllocated // 8)
    other = made(one.StudyInstanceUID, new_uid())
    store(http, *map(file_of, (one, small, other)))
    for level, region, status in (
        (1, "6,1,2,2", 400),
        (2, "1,5,2,2", 400),
        (2, "4,3,2,2", 200),
        (2, "1,1,99,99", 200),
    ):
        path = f"{path_of(one, level)}/rendered?viewport=9,9,{region}"
        answer = http.get(path, headers=JPEGS)
        if status == 400:
            assert "5 x 4" in assert_problem(answer, 400)["detail"]
        else:
            assert len(parts_of(answer)) == 2
