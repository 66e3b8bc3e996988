"""/rendered of SR documents: pages and text (PS3.18 Table 8.7.4-1), safe to be looked at."""

import base64
import hashlib
import re

import httpx
import pytest
from defusedxml import ElementTree
from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from tests.make import small_image, sr_document
from tests.make.reports import image, text
from tests.web.asking import assert_problem, new_uid, path_of, store


def uids(study: str | None = None) -> dict[str, str]:
    return {
        "StudyInstanceUID": study or new_uid(),
        "SeriesInstanceUID": new_uid(),
        "SOPInstanceUID": new_uid(),
    }


@pytest.fixture(scope="module")
def report(http: httpx.Client) -> Dataset:
    [stored] = store(http, sr_document(**uids(), PatientName="Müller^Änne"))
    return stored


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", "text/*", "image/png,*/*;q=0.1"])
def test_a_page_is_the_default(http: httpx.Client, report: Dataset, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = http.get(f"{path_of(report)}/rendered", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Nodule in the left upper lobe." in answer.text
    assert "Müller, Änne" in answer.text


def test_plain_text_for_who_asks(http: httpx.Client, report: Dataset) -> None:
    path = f"{path_of(report)}/rendered"
    answer = http.get(path, headers={"Accept": "text/plain, text/html;q=0.5"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "  Name: Müller, Änne" in answer.text
    assert http.get(path, params={"accept": "text/plain"}).text == answer.text  # ACC-03


def test_the_page_as_xml(http: httpx.Client, report: Dataset) -> None:
    """Required by PS3.18 Table 8.7.4-1: the page in XHTML, to be kept rather than to be shown."""
    answer = http.get(f"{path_of(report)}/rendered", headers={"Accept": "text/xml"})
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in answer.headers["content-security-policy"]
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "{http://www.w3.org/1999/xhtml}html"
    words = " ".join("".join(root.itertext()).split())
    assert "Nodule in the left upper lobe." in words
    assert "Müller, Änne" in words


def test_neg_11_what_a_report_can_be_had_as(http: httpx.Client, report: Dataset) -> None:
    for accept in ("image/jpeg", "application/pdf"):
        problem = assert_problem(
            http.get(f"{path_of(report)}/rendered", headers={"Accept": accept}), 406
        )
        assert problem["available"] == ["text/html", "text/plain", "text/xml"]
    assert_problem(http.get(f"{path_of(report)}/frames/1/rendered"), 404)


def test_a_page_can_do_nothing(http: httpx.Client, report: Dataset) -> None:
    """At our address it would act as whoever looks at it: no script, and only our style."""
    answer = http.get(f"{path_of(report)}/rendered")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    [style] = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert " style=" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    name = f"report-{report.SOPInstanceUID}.html"
    assert answer.headers["content-disposition"] == f'inline; filename="{name}"'


def test_pages_are_tagged_and_coded(http: httpx.Client, report: Dataset) -> None:
    path = f"{path_of(report)}/rendered"
    plain = http.get(path, headers={"Accept-Encoding": "identity"})
    coded = http.get(path, headers={"Accept-Encoding": "gzip"})
    assert coded.headers["content-encoding"] == "gzip"
    assert coded.text == plain.text
    assert plain.headers["vary"] == "Accept, Accept-Encoding"
    tag = {"If-None-Match": plain.headers["etag"]}
    assert http.get(path, headers=tag).status_code == 304
    as_text = http.get(path, headers={"Accept": "text/plain", **tag})
    assert as_text.status_code == 200
    head = http.head(path, headers={"Accept-Encoding": "identity"})
    assert head.headers["content-length"] == str(len(plain.content))
    assert head.headers["etag"] == plain.headers["etag"]
    assert not head.content


def test_images_that_are_stored_are_linked(http: httpx.Client) -> None:
    """Relative to the page, so that they lead there under any name and any base."""
    uid = new_uid()
    [stored] = store(http, small_image(**uids()))
    shown = image("Source", stored.SOPInstanceUID, frames=[1])
    [report] = store(http, sr_document(**uids(), ContentSequence=[shown, image("Other", uid)]))
    before = http.get(f"{path_of(report)}/rendered")
    [source] = re.findall('<img src="(.*?)"', before.text)
    assert source.startswith("../")
    assert before.url.join(source).path.endswith(f"{path_of(stored)}/frames/1/thumbnail")
    assert http.get(before.url.join(source)).headers["content-type"] == "image/jpeg"
    links = re.findall('<a href="(.*?)"', before.text)
    assert all(http.get(before.url.join(link)).status_code == 200 for link in links)
    assert f"{uid}, not here" in before.text

    store(http, small_image(**{**uids(), "SOPInstanceUID": uid}))
    after = http.get(f"{path_of(report)}/rendered")
    assert after.headers["etag"] != before.headers["etag"]
    assert f"{uid}, not here" not in after.text


def test_a_key_object_selection_is_a_report(http: httpx.Client) -> None:
    [stored] = store(http, small_image(**uids()))
    [selection] = store(
        http,
        sr_document(
            **uids(),
            SOPClassUID=KeyObjectSelectionDocumentStorage,
            Modality="KO",
            ContentSequence=[
                text("Description", "For the tumour board"),
                image("", stored.SOPInstanceUID),
            ],
        ),
    )
    page = http.get(f"{path_of(selection)}/rendered")
    assert "For the tumour board" in page.text
    assert "/thumbnail" in page.text
