"""Video and documents are their own rendering (digest 3.3.6, trap 34): what players ask for."""

from io import BytesIO
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import HEVCMP51, MPEG4HP41

from tests.make import encapsulated_pdf, pdf, small_image
from tests.make.documents import clinical_document
from tests.web.asking import assert_problem, new_uid, path_of, store

STREAM = bytes(range(256)) * 40 + b"end"
LONG_PDF = pdf() + b"%" * 9_999  # more than metadata hold inline


def uids() -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names}


def document(data: bytes, **more: Any) -> bytes:
    padded = data + b"\0" * (len(data) % 2)
    values = {"EncapsulatedDocument": padded, "EncapsulatedDocumentLength": len(data)}
    return encapsulated_pdf(**values, **uids(), **more)


@pytest.fixture(scope="module")
def video(http: httpx.Client) -> Dataset:
    dataset = dcmread(BytesIO(small_image(**uids())))
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    dataset.PixelData = encapsulate([STREAM], fragments_per_frame=2)
    dataset.NumberOfFrames = 20
    out = BytesIO()
    dataset.save_as(out)
    [stored] = store(http, out.getvalue())
    return stored


@pytest.mark.parametrize("accept", [None, "*/*", "video/*", "video/mp4", "image/png, */*;q=0.1"])
def test_video_is_sent_as_it_is(http: httpx.Client, video: Dataset, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = http.get(f"{path_of(video)}/rendered", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "video/mp4"  # rendered types have no parameter
    assert answer.headers["vary"] == "Accept"
    assert answer.content.rstrip(b"\0") == STREAM


def test_video_by_the_accept_parameter(http: httpx.Client, video: Dataset) -> None:
    answer = http.get(f"{path_of(video)}/rendered?accept=video/mp4")
    assert answer.headers["content-type"] == "video/mp4"


def test_cch_06_players_seek_in_a_video(http: httpx.Client, video: Dataset) -> None:
    whole = http.get(f"{path_of(video)}/rendered")
    assert whole.headers["accept-ranges"] == "bytes"
    some = http.get(f"{path_of(video)}/rendered", headers={"Range": "bytes=300-309"})
    assert some.status_code == 206
    assert some.headers["content-range"] == f"bytes 300-309/{len(whole.content)}"
    assert some.content == STREAM[300:310]
    tag = {"If-None-Match": whole.headers["etag"]}
    assert http.get(f"{path_of(video)}/rendered", headers=tag).status_code == 304


def test_a_head_has_the_length(http: httpx.Client, video: Dataset) -> None:
    whole = http.get(f"{path_of(video)}/rendered")
    head = http.head(f"{path_of(video)}/rendered")
    assert head.headers["content-length"] == str(len(whole.content))
    assert not head.content


def test_what_a_video_is_not(http: httpx.Client, video: Dataset) -> None:
    problem = assert_problem(
        http.get(f"{path_of(video)}/rendered", headers={"Accept": "image/jpeg"}), 406
    )
    assert problem["available"] == ["video/mp4"]
    assert_problem(http.get(f"{path_of(video)}/frames/1/rendered"), 406)  # WADO-08
    assert_problem(http.get(f"{path_of(video)}/rendered?viewport=x"), 400)
    assert http.get(f"{path_of(video)}/thumbnail").headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("within", ["an elementary stream", "MP4"])
def test_hevc_within_mp4_is_had_as_what_players_know(http: httpx.Client, within: str) -> None:
    is_mp4 = within == "MP4"
    stream = (b"\0\0\0\x10ftyp" if is_mp4 else b"\0\0\0\1@\1\x0c\1") + STREAM
    dataset = dcmread(BytesIO(small_image(**uids())))
    dataset.file_meta.TransferSyntaxUID = HEVCMP51
    dataset.PixelData = encapsulate([stream])
    dataset.NumberOfFrames = 20
    out = BytesIO()
    dataset.save_as(out)
    [stored] = store(http, out.getvalue())
    path = f"{path_of(stored)}/rendered"
    answer = http.get(path)
    assert answer.headers["content-type"] == ("video/mp4" if is_mp4 else "video/H265")
    assert answer.content.rstrip(b"\0") == stream
    as_hevc = http.get(path, headers={"Accept": "video/H265", "Range": "bytes=4-7"})
    assert as_hevc.headers["content-type"] == "video/H265"
    assert as_hevc.content == stream[4:8]
    refused = http.get(path, headers={"Accept": "video/mp4"})
    assert refused.status_code == (200 if is_mp4 else 406)


@pytest.mark.parametrize("data", [pdf(), LONG_PDF], ids=["inline", "bulk data"])
@pytest.mark.parametrize("accept", ["*/*", "application/pdf"])
def test_a_pdf_is_sent_without_its_padding(http: httpx.Client, data: bytes, accept: str) -> None:
    [stored] = store(http, document(data))
    answer = http.get(f"{path_of(stored)}/rendered", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == data
    some = http.get(f"{path_of(stored)}/rendered", headers={"Range": "bytes=1-3"})
    assert some.content == b"PDF"


def test_no_other_document_is_shown_in_our_origin(http: httpx.Client) -> None:
    """A page with scripts would act as whoever looks at it."""
    [stored] = store(http, document(b"<html>", MIMETypeOfEncapsulatedDocument="text/html"))
    assert_problem(http.get(f"{path_of(stored)}/rendered"), 406)


@pytest.mark.parametrize("kind", ["stl", "obj", "mtl"])
def test_models_are_sent_as_they_are(http: httpx.Client, kind: str) -> None:
    data = b"solid of odd length\n" + b"x" * 9_001
    [stored] = store(http, document(data, MIMETypeOfEncapsulatedDocument=f"model/{kind}"))
    answer = http.get(f"{path_of(stored)}/rendered")
    assert answer.headers["content-type"] == f"model/{kind}"
    assert answer.headers["content-disposition"].endswith(f'.{kind}"')
    assert answer.content == data


@pytest.mark.parametrize("media_type", ["text/xml", "text/XML", "application/xml"])
def test_a_clinical_document_is_a_page_or_text_or_xml(http: httpx.Client, media_type: str) -> None:
    data = clinical_document()
    [stored] = store(http, document(data, MIMETypeOfEncapsulatedDocument=media_type))
    path = f"{path_of(stored)}/rendered"
    page = http.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in page.headers["content-security-policy"]
    assert "left upper" in page.text
    text = http.get(path, headers={"Accept": "text/plain"})
    assert "A nodule in the left upper lobe." in text.text
    whole = http.get(path, headers={"Accept": "text/xml"})
    assert whole.content == data
    # A browser would run scripts in it, and style sheets: it is kept, not shown.
    assert whole.headers["content-disposition"].startswith("attachment; ")
    assert whole.headers["content-security-policy"].endswith("; sandbox")
    problem = assert_problem(http.get(path, headers={"Accept": "image/png"}), 406)
    assert problem["available"] == ["text/html", "text/plain", "text/xml"]


def test_xml_that_is_no_clinical_document(http: httpx.Client) -> None:
    data = b"<a>" * 3
    [stored] = store(http, document(data, MIMETypeOfEncapsulatedDocument="text/xml"))
    path = f"{path_of(stored)}/rendered"
    assert assert_problem(http.get(path), 406)["available"] == ["text/xml"]
    assert http.get(path, headers={"Accept": "text/xml"}).content == data


def test_a_wrong_length_of_a_document_cuts_nothing(http: httpx.Client) -> None:
    for length in (3, 10**6):
        [stored] = store(
            http,
            encapsulated_pdf(**uids(), EncapsulatedDocumentLength=length),
        )
        answer = http.get(f"{path_of(stored)}/rendered")
        assert answer.content.rstrip(b"\0") == pdf()
