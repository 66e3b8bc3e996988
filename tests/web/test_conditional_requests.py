"""ETag, If-None-Match and If-Match: who has an answer gets 304, and gets the same bytes again."""

import asyncio

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.errors import Unavailable
from dicomweb_server.web.preconditions import check_preconditions
from tests.make import instance_with, small_image
from tests.running import RunningServer
from tests.web.asking import assert_problem, new_uid, path_of, store
from tests.web.test_damage import blob_of

DICOM = "application/dicom"
OCTETS = "application/octet-stream"
XML = 'multipart/related; type="application/dicom+xml"'
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture(scope="module")
def series(http: httpx.Client) -> list[Dataset]:
    """A native and two compressed images of two frames, and one more native."""
    study = new_uid()
    syntaxes = [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, ExplicitVRLittleEndian]
    files = [
        small_image(
            transfer_syntax=syntax,
            frames=2,
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1",
            SOPInstanceUID=f"{study}.1.{number}",
            InstanceNumber=str(number),
            ImageComments="Enough to be worth packing. " * 40,
        )
        for number, syntax in enumerate(syntaxes, 1)
    ]
    return store(http, *files)


ONE, RLE = 0, 1
# Which instance, what of it (level or what stands below it), and the form of it.
TAGGED = {
    "instance": (ONE, "", DICOM),
    "instance made anew": (RLE, "", DICOM),
    "instance as stored": (RLE, "", f"{DICOM}; transfer-syntax=*"),
    "instance in a part": (ONE, "", "*/*"),
    "study as stored": (ONE, "study", AS_STORED),
    "series metadata": (ONE, "series/metadata", "*/*"),
    "study metadata": (ONE, "study/metadata", "*/*"),
    "study metadata in XML": (ONE, "study/metadata", XML),
    "metadata": (ONE, "/metadata", "*/*"),
    "metadata in XML": (ONE, "/metadata", XML),
    "frame": (ONE, "/frames/1", OCTETS),
    "frame in a part": (ONE, "/frames/1", "*/*"),
    "frame decoded": (RLE, "/frames/2", OCTETS),
    "frame as stored": (RLE, "/frames/2", "image/dicom-rle"),
    "frames": (RLE, "/frames/2,1", "*/*"),
    "frames as stored": (RLE, "/frames/2,1", "multipart/related; type=image/dicom-rle"),
    "bulk data": (ONE, "/bulkdata/7FE00010", OCTETS),
    "bulk data in a part": (ONE, "/bulkdata/7FE00010", "*/*"),
    "bulk data in frames": (RLE, "/bulkdata/7FE00010", "*/*"),
}


def ask(
    http: httpx.Client, series: list[Dataset], what: str, method: str = "GET", **headers: str
) -> httpx.Response:
    number, place, accept = TAGGED[what]
    level = {"study": 1, "series": 2}.get(place.split("/")[0], 3)
    below = place.removeprefix("study").removeprefix("series")
    url = f"{path_of(series[number], level)}{below}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.request(method, url, headers={"Accept": accept, **named})


@pytest.mark.parametrize("what", TAGGED)
def test_cch_01_who_has_it_is_told_so(http: httpx.Client, series: list[Dataset], what: str) -> None:
    answer = ask(http, series, what)
    tag = answer.headers["etag"]
    assert answer.status_code == 200
    assert tag.startswith('"')  # strong
    assert answer.headers["cache-control"] == "private, no-cache"  # CCH-03

    again = ask(http, series, what)
    assert again.headers["etag"] == tag
    assert again.content == answer.content  # byte for byte, boundaries too
    assert again.headers["content-type"] == answer.headers["content-type"]
    for if_none_match in (tag, f'"x", W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            same = ask(http, series, what, method, If_None_Match=if_none_match)
            assert same.status_code == 304
            assert same.content == b""
            for name in ("etag", "cache-control", "vary", "content-location"):
                assert same.headers.get(name) == answer.headers.get(name), name
            assert "content-type" not in same.headers
            assert "content-length" not in same.headers
    other = ask(http, series, what, If_None_Match='"x"')
    assert other.status_code == 200
    assert other.content == answer.content


@pytest.mark.parametrize("what", TAGGED)
def test_if_match_holds_or_is_412(http: httpx.Client, series: list[Dataset], what: str) -> None:
    tag = ask(http, series, what).headers["etag"]
    assert ask(http, series, what, If_Match=tag).status_code == 200
    assert ask(http, series, what, If_Match="*").status_code == 200
    assert_problem(ask(http, series, what, If_Match=f'W/{tag}, "x"'), 412)
    assert ask(http, series, what, If_Match=tag, If_None_Match=tag).status_code == 304


def test_a_tag_stands_for_the_same_bytes(http: httpx.Client, series: list[Dataset]) -> None:
    answers = [ask(http, series, what) for what in TAGGED]
    tags = {answer.headers["etag"] for answer in answers}
    assert len(tags) == len({answer.content for answer in answers}) == len(answers) - 1
    # Of a study of one series the metadata are those of the series.


@pytest.mark.parametrize("what", ["series metadata", "metadata", "metadata in XML"])
def test_cch_04_what_is_packed_has_another_tag(
    http: httpx.Client, series: list[Dataset], what: str
) -> None:
    plain = ask(http, series, what, Accept_Encoding="identity")
    packed = ask(http, series, what, Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.headers["etag"] == f'{plain.headers["etag"][:-1]}-gzip"'
    for tag in (plain.headers["etag"], packed.headers["etag"]):
        same = ask(http, series, what, Accept_Encoding="gzip", If_None_Match=tag)
        assert same.status_code == 304
        assert same.headers["etag"] == tag
    tag = packed.headers["etag"]
    other = ask(http, series, what, Accept_Encoding="identity", If_None_Match=tag)
    assert other.status_code == 200


def test_metadata_change_with_what_is_stored(http: httpx.Client) -> None:
    study = new_uid()
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1"}
    [first] = store(http, instance_with(**uids, SOPInstanceUID=f"{study}.1.1"))
    paths = [path_of(first, 1), path_of(first, 2), path_of(first)]
    tags = [http.get(f"{path}/metadata").headers["etag"] for path in paths]
    [second] = store(http, instance_with(**uids, SOPInstanceUID=f"{study}.1.2"))

    def status(path: str, tag: str) -> int:
        return http.get(f"{path}/metadata", headers={"If-None-Match": tag}).status_code

    assert [status(*each) for each in zip(paths, tags, strict=True)] == [200, 200, 304]
    assert http.delete(path_of(second)).status_code == 204
    assert [status(*each) for each in zip(paths, tags, strict=True)] == [304, 304, 304]
    assert http.delete(path_of(first, 1)).status_code == 204
    assert [status(*each) for each in zip(paths, tags, strict=True)] == [404, 404, 404]


def test_files_made_anew_in_parts_have_no_tag(http: httpx.Client, series: list[Dataset]) -> None:
    """What cannot be decoded in time goes as stored: nobody can promise the same bytes."""
    for dataset, level in ((series[0], 1), (series[RLE], 3)):
        answer = http.get(path_of(dataset, level))
        assert answer.status_code == 200
        assert "etag" not in answer.headers
        same = http.get(path_of(dataset, level), headers={"If-None-Match": "*"})
        assert same.status_code == 304


def test_conditions_come_after_what_is_not_there(http: httpx.Client) -> None:
    for path in (f"studies/{new_uid()}/metadata", f"studies/{new_uid()}"):
        assert_problem(http.get(path, headers={"If-None-Match": "*"}), 404)
        assert_problem(http.get(path, headers={"If-Match": '"x"'}), 404)


def test_a_version_in_the_place_of_another_is_not_taken_for_it(tmp_path) -> None:
    """What may be replaced under its URL is never fresh without asking (CCH-03)."""
    uids = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2", "SOPInstanceUID": "2.25.3"}
    first, second = (
        small_image(**uids, ImageComments=text, PixelData=bytes([text == "b"]) * 512, bits=16)
        for text in ("a", "b")
    )
    with (
        RunningServer(tmp_path / "data") as server,
        httpx.Client(base_url=server.base, timeout=60) as http,
    ):
        assert server.command("institution", "policy", "default", "replace") == 0
        [dataset] = store(http, first)
        path = path_of(dataset)
        places = ["", "/metadata", "/frames/1", "/bulkdata/7FE00010"]
        tags = [http.get(path + place).headers["etag"] for place in places]
        store(http, second)
        for place, tag in zip(places, tags, strict=True):
            answer = http.get(path + place, headers={"If-None-Match": tag})
            assert answer.status_code == 200
            assert answer.headers["etag"] != tag


def stored_again(http: httpx.Client, study: str | None, **headers: str) -> httpx.Response:
    file = instance_with(StudyInstanceUID=study or new_uid(), SOPInstanceUID=new_uid())
    path = f"studies/{study}" if study else "studies"
    return http.post(path, content=file, headers={"Content-Type": DICOM, **headers})


def test_deletes_only_what_is_still_as_the_condition_says(http: httpx.Client) -> None:
    """RFC 9110 §13.2.1: what a condition that fails is sent with is not performed."""
    [kept] = store(http, instance_with(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()))
    path = path_of(kept)
    tag = http.get(path).headers["etag"]
    for headers in (
        {"If-Match": '"stale"'},
        {"If-Match": f"W/{tag}"},
        {"If-None-Match": "*"},
        {"If-None-Match": f'"other", {tag}'},
        {"If-Match": tag, "If-None-Match": tag},
    ):
        assert_problem(http.delete(path, headers=headers), 412)
    assert http.get(path).status_code == 200
    study = path_of(kept, 1)
    assert_problem(http.delete(study, headers={"If-Match": '"stale"'}), 412)
    assert_problem(http.delete(f"studies/{new_uid()}", headers={"If-Match": "*"}), 404)

    matching = {"If-Match": f'"other", {tag}', "If-None-Match": '"another"'}
    assert http.delete(path, headers=matching).status_code == 204
    assert_problem(http.delete(path, headers={"If-Match": "*"}), 404)


def test_what_cannot_be_asked_now_is_not_taken_for_an_answer() -> None:
    """A store that is away says nothing of the tag."""

    async def away(request: Request) -> Response:
        raise Unavailable("S3 is away")

    for name in (b"if-match", b"if-none-match"):
        scope = {"type": "http", "method": "DELETE", "headers": [(name, b'"tag"')]}
        with pytest.raises(Unavailable):
            asyncio.run(check_preconditions(Request(scope), away, creates=False))


def test_what_has_lost_its_file_is_there_all_the_same(
    server: RunningServer, http: httpx.Client
) -> None:
    [lost] = store(http, instance_with(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()))
    blob_of(server, lost.SOPInstanceUID).unlink()
    assert_problem(http.delete(path_of(lost), headers={"If-Match": '"tag"'}), 412)
    assert http.delete(path_of(lost), headers={"If-Match": "*"}).status_code == 204


def test_stores_only_where_the_condition_holds(http: httpx.Client) -> None:
    """The target is the study, or the search for all of them, which is always there."""
    study, none = new_uid(), new_uid()
    assert_problem(stored_again(http, study, **{"If-Match": "*"}), 412)
    assert stored_again(http, study, **{"If-None-Match": "*"}).status_code in (200, 202)
    assert_problem(stored_again(http, study, **{"If-None-Match": "*"}), 412)
    assert_problem(stored_again(http, study, **{"If-Match": '"stale"'}), 412)
    tag = http.get(f"studies/{study}").headers["etag"]
    assert stored_again(http, study, **{"If-Match": tag}).status_code in (200, 202)
    assert_problem(stored_again(http, study, **{"If-Match": tag}), 412)  # it has grown since
    assert len(http.get(f"studies/{study}/instances").json()) == 2
    assert stored_again(http, none, **{"If-None-Match": '"stale"'}).status_code in (200, 202)

    assert_problem(stored_again(http, None, **{"If-None-Match": "*"}), 412)
    assert stored_again(http, None, **{"If-Match": "*"}).status_code in (200, 202)


def test_conditions_of_searches(http: httpx.Client, series: list[Dataset]) -> None:
    """Results have no tag, so that nothing but ``*`` can be met."""
    assert_problem(http.get("studies?limit=1", headers={"If-Match": '"any"'}), 412)
    assert http.get("studies?limit=1", headers={"If-Match": "*"}).status_code == 200
    assert http.get("studies?limit=1", headers={"If-None-Match": '"any"'}).status_code == 200
    answer = http.get("studies?limit=1", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "etag" not in answer.headers
    assert_problem(http.get("studies?StudyDate=x", headers={"If-None-Match": "*"}), 400)
