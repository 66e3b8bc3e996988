"""Metadata as JSON and as Native DICOM Model documents: the same attributes, bulk data, order."""

from typing import Any

import httpx
import pytest
from defusedxml.ElementTree import fromstring
from pydicom import Dataset
from pydicom.sequence import Sequence

from tests.make import instance_with, small_image
from tests.web.asking import NATIVE, assert_problem, new_uid, parts_of, path_of, store

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'


def item(number: int) -> Dataset:
    dataset = Dataset()
    dataset.CodeValue = f"C{number}"
    dataset.CodeMeaning = "Größe & <Form>"
    return dataset


@pytest.fixture(scope="module")
def series(http: httpx.Client) -> list[Dataset]:
    """Two images and one instance whose metadata are long."""
    study, series = new_uid(), new_uid()
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    files = [
        small_image(**uids, SOPInstanceUID=f"{series}.{n}", InstanceNumber=str(n)) for n in (2, 1)
    ]
    long = instance_with(
        **uids,
        SOPInstanceUID=f"{series}.3",
        InstanceNumber="3",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="山田^太郎=Yamada^Tarou",
        ConceptNameCodeSequence=Sequence([item(number) for number in range(2000)]),
    )
    return store(http, *files, long)


def leaves(element: Any, path: str = "") -> list[tuple[str, str, str]]:
    """Path, VR and text of every value of a Native DICOM Model."""
    found = []
    for attribute in element.findall(f"{NATIVE}DicomAttribute"):
        here, vr = f"{path}{attribute.get('tag')}", attribute.get("vr")
        for child in attribute:
            if vr == "SQ":
                found += leaves(child, f"{here}/{child.get('number')}/")
            elif child.tag == f"{NATIVE}BulkData":
                found.append((here, vr, child.get("uri")))
            else:
                found.append((here, vr, "".join(child.itertext())))
    return found


def leaves_of_json(dataset: dict[str, Any], path: str = "") -> list[tuple[str, str, str]]:
    found = []
    for tag, attribute in dataset.items():
        here, vr = f"{path}{tag}", attribute["vr"]
        for number, value in enumerate(attribute.get("Value", ()), 1):
            if vr == "SQ":
                found += leaves_of_json(value, f"{here}/{number}/")
            elif vr == "PN":
                text = "".join(value.values()) if value else ""
                found.append((here, vr, text.replace("^", "")))
            else:
                found.append((here, vr, "" if value is None else str(value)))
        for name in ("BulkDataURI", "InlineBinary"):
            if name in attribute:
                found.append((here, vr, attribute[name]))
    return found


@pytest.mark.parametrize(("level", "count"), [(1, 3), (2, 3), (3, 1)])
def test_xml_metadata_are_those_of_json_one_document_a_part(
    http: httpx.Client, series: list[Dataset], level: int, count: int
) -> None:
    path = f"{path_of(series[1], level)}/metadata"
    response = http.get(path, headers={"Accept": XML})
    datasets = http.get(path, headers={"Accept": JSON}).json()

    assert response.status_code == 200
    assert response.headers["content-type"].startswith(f"{XML}; boundary=")
    parts = parts_of(response)
    assert len(parts) == len(datasets) == count
    for (fields, document), dataset in zip(parts, datasets, strict=True):
        assert fields["Content-Type"] == "application/dicom+xml"
        assert int(fields["Content-Length"]) == len(document)
        uids = [dataset[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        place = "studies/{}/series/{}/instances/{}/metadata".format(*uids)
        assert fields["Content-Location"] == f"{str(http.base_url).rstrip('/')}/{place}"
        assert leaves(fromstring(document)) == leaves_of_json(dataset)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),  # trap 11
        ("application/json", JSON),  # trap 12
        ("multipart/related", XML),
        ("multipart/related; type=application/dicom+xml", XML),
        (f"{JSON}, multipart/related; type=application/octet-stream; transfer-syntax=*", JSON),
        (f"{JSON};q=0.1, {XML}", XML),
    ],
)
def test_neg_metadata_come_in_the_form_asked_for(
    http: httpx.Client, series: list[Dataset], accept: str, kind: str
) -> None:
    response = http.get(f"{path_of(series[0])}/metadata", headers={"Accept": accept})
    assert response.headers["content-type"].partition("; boundary")[0] == kind


def test_neg_11_what_metadata_cannot_be(http: httpx.Client, series: list[Dataset]) -> None:
    path = f"{path_of(series[0])}/metadata"
    for accept in ("application/dicom+xml", f"multipart/related; type={JSON}", "text/html"):
        refusal = assert_problem(http.get(path, headers={"Accept": accept}), 406)
        assert refusal["available"] == [JSON, XML]


def test_documents_are_packed_for_who_asks(http: httpx.Client, series: list[Dataset]) -> None:
    path = f"{path_of(series[0], 2)}/metadata"
    answer = http.get(path, headers={"Accept": XML, "Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(parts_of(answer)) == 3
    assert http.head(path, headers={"Accept": XML}).status_code == 200
