"""``includefield`` of metadata: what is named and nothing else, in either form."""

from typing import Any

import httpx
import pytest
from defusedxml.ElementTree import fromstring
from pydicom import Dataset

from tests.make import instance_with
from tests.make.ct import ct_instance
from tests.web.asking import NATIVE, assert_problem, new_uid, parts_of, path_of, store

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture(scope="module")
def series(http: httpx.Client) -> list[Dataset]:
    uids = {"study_uid": new_uid(), "series_uid": new_uid()}
    made = [ct_instance(**uids, sop_uid=new_uid(), number=n, rows=8, columns=8) for n in (1, 2, 3)]
    return store(http, *made)


def projected(http: httpx.Client, path: str, *fields: str) -> list[dict[str, Any]]:
    answer = http.get(f"{path}/metadata", params={"includefield": fields})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


CASES: list[tuple[tuple[str, ...], set[str]]] = [
    (("00080018,StudyDate",), {"00080018", "00080020"}),
    (("00080018", "StudyDate"), {"00080018", "00080020"}),
    (("PixelData",), {"7FE00010"}),
    (("00083002",), {"00083002"}),  # Available Transfer Syntax UID
    (("PatientComments",), set()),  # of the standard, and not there
    (("00191020",), {"00190010", "00191020"}),
    (("ReferencedImageSequence",), {"00081140"}),
]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize(("fields", "keys"), CASES)
def test_what_is_named_comes_as_it_is_in_the_whole(
    http: httpx.Client, series: list[Dataset], level: int, fields: tuple[str, ...], keys: set[str]
) -> None:
    path = path_of(series[0], level)
    whole = http.get(f"{path}/metadata").json()
    assert projected(http, path, *fields) == [
        {key: attribute for key, attribute in one.items() if key in keys} for one in whole
    ]


def test_a_dotted_name_leads_into_items(http: httpx.Client, series: list[Dataset]) -> None:
    path = path_of(series[0])
    name = "ReferencedImageSequence.PurposeOfReferenceCodeSequence.CodeValue"
    [found] = projected(http, path, f"{name},ReferencedImageSequence.00081155")
    [whole] = http.get(f"{path}/metadata").json()
    items = whole["00081140"]["Value"]
    assert found["00081140"]["Value"] == [
        {
            "00081155": item["00081155"],
            "0040A170": {
                "vr": "SQ",
                "Value": [{"00080100": code["00080100"]} for code in item["0040A170"]["Value"]],
            },
        }
        for item in items
    ]


@pytest.mark.parametrize("fields", [("all",), ("StudyDate,all",), ("",), (",",)])
def test_all_is_all(http: httpx.Client, series: list[Dataset], fields: tuple[str, ...]) -> None:
    for level in (1, 2, 3):
        path = path_of(series[0], level)
        assert projected(http, path, *fields) == http.get(f"{path}/metadata").json()


@pytest.mark.parametrize("name", ["PatientNam", "StudyDate.PatientID", "0008001", "a" * 5000, "."])
def test_a_name_that_is_none_is_refused(
    http: httpx.Client, series: list[Dataset], name: str
) -> None:
    answer = http.get(f"{path_of(series[0])}/metadata", params={"includefield": name})
    assert "includefield" in assert_problem(answer, 400)["detail"]


def test_xml_has_the_same(http: httpx.Client, series: list[Dataset]) -> None:
    path = f"{path_of(series[0], 2)}/metadata"
    fields = {"includefield": "SOPInstanceUID,00191020"}
    answer = http.get(path, params=fields, headers={"Accept": XML})
    documents = [fromstring(document) for _, document in parts_of(answer)]
    assert len(documents) == 3
    for document, dataset in zip(documents, series, strict=True):
        found = {each.get("tag"): each for each in document.findall(f"{NATIVE}DicomAttribute")}
        assert set(found) == {"00080018", "00190020"}
        assert found["00080018"].findtext(f"{NATIVE}Value") == dataset.SOPInstanceUID
        assert found["00190020"].get("privateCreator") == "MAKER ACQU 01"


def test_jsn_31_text_that_is_not_ascii_tells_its_character_set(http: httpx.Client) -> None:
    [dataset] = store(
        http, instance_with(StudyInstanceUID=new_uid(), PatientName="Größe", PatientID="P")
    )
    path = path_of(dataset)
    assert [set(one) for one in projected(http, path, "PatientName")] == [{"00080005", "00100010"}]
    assert [set(one) for one in projected(http, path, "PatientID")] == [{"00100020"}]


def test_each_projection_has_a_tag_of_its_own(http: httpx.Client, series: list[Dataset]) -> None:
    path = f"{path_of(series[0], 2)}/metadata"

    def tag(*fields: str, accept: str = "*/*") -> str:
        answer = http.get(path, params={"includefield": fields}, headers={"Accept": accept})
        same = http.get(
            path,
            params={"includefield": fields},
            headers={"Accept": accept, "If-None-Match": answer.headers["etag"]},
        )
        assert same.status_code == 304
        return str(answer.headers["etag"])

    tags = [tag(), tag("StudyDate"), tag("StudyTime"), tag("StudyDate", "StudyTime")]
    tags += [tag(accept=XML), tag("StudyDate", accept=XML)]
    assert len(set(tags)) == 6
    assert tag("StudyTime,StudyDate") == tags[3]
