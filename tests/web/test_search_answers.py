"""The answers of searches through HTTP: attributes in JSON and XML, 204, warnings (digest 4)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from tests.make import instance_with
from tests.web.asking import (
    assert_problem,
    found_in,
    new_uid,
    path_of,
    store,
)

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
FORMS = [JSON, XML]

# Digest 4.4. R and U: always there, R empty if unknown. C: there if known, as it is here.
ALWAYS = {
    "studies": "00080020 00080030 00080050 00080061 00080090 00100010 00100020 00100030 00100040 "
    "0020000D 00200010 00201206 00201208",
    "series": "00080060 00081190 0020000E 00200011 00201209",
    "instances": "00080016 00080018 00081190 00200013",
}
IF_KNOWN = {
    "studies": "00080056 00080201 00081190",
    "series": "00080201 0008103E 00400244 00400245 00400275",
    "instances": "00080056 00080201 00280008 00280010 00280011 00280100",
}


def _request(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = step
    item.RequestedProcedureID = procedure
    item.RequestedProcedureDescription = "Testa <senza> & con"
    return item


@pytest.fixture(scope="module")
def prefix() -> str:
    """Marks the data of this module among that of others."""
    return "ANSWER" + new_uid()[-6:]


@pytest.fixture(scope="module")
def stored(http: httpx.Client, prefix: str) -> Iterator[list[Dataset]]:
    """Two studies of which all is known, and one of which little is; two series of two each."""
    known: dict[str, Any] = {
        "TimezoneOffsetFromUTC": "+0100",
        "ReferringPhysicianName": "ADDA^CARLO^^Dott.",
        "PatientBirthDate": "19700101",
        "PatientSex": "M",
        "SeriesDescription": 'Testa <senza> & con "mezzo"',
        "PerformedProcedureStepStartDate": "20240105",
        "PerformedProcedureStepStartTime": "0815",
        "RequestAttributesSequence": [_request("S1", "P1"), _request("S2", "P2")],
        "OtherPatientNames": ["Rossi^M", "Rossi^Mario^^^"],
        "PatientWeight": "70.5",
        "Rows": 4,
        "Columns": 6,
        "BitsAllocated": 16,
        "NumberOfFrames": "1",
    }
    studies: list[dict[str, Any]] = [
        {"PatientName": "山田^太郎=やまだ^たろう", "StudyDate": "20240310", **known},
        {"PatientName": "Müller^Jürgen", "StudyDate": "20240210", **known},
        {"PatientName": None, "StudyDate": None},
    ]
    files = []
    for number, values in enumerate(studies):
        study = new_uid()
        for place in range(4):
            series = f"{study}.{place // 2 + 1}"
            more = {
                "StudyInstanceUID": study,
                "SeriesInstanceUID": series,
                "SOPInstanceUID": f"{series}.{place % 2 + 1}",
                "PatientID": f"{prefix}-{number}",
                "StudyDescription": prefix,
                "Modality": ("CT", "SR")[place // 2],
                "SeriesNumber": str(place // 2 + 1),
                "InstanceNumber": str(place % 2 + 1),
            }
            files.append(instance_with(**{**values, **more}))
    datasets = store(http, *files)
    yield datasets
    for dataset in datasets[::4]:
        assert http.delete(path_of(dataset, 1)).status_code == 204


@pytest.fixture(scope="module")
def find(http: httpx.Client, prefix: str, stored: list[Dataset]):
    def ask(resource: str = "studies", accept: str = JSON, **parameters: str) -> httpx.Response:
        query = {"StudyDescription": prefix, **parameters}
        return http.get(resource, params=query, headers={"Accept": accept})

    return ask


def first_of(result: dict[str, Any], tag: str) -> Any:
    return result[tag]["Value"][0]


# ------------------------------------------------------------------- attributes, in either form


@pytest.mark.parametrize(
    ("resource", "query"),
    [
        ("studies", {}),
        ("studies", {"includefield": "all"}),
        ("studies", {"PatientWeight": "", "OtherPatientNames": "", "limit": "2"}),
        ("series", {}),
        ("series", {"includefield": "all", "offset": "1"}),
        ("series", {"includefield": "RequestAttributesSequence.RequestedProcedureDescription"}),
        ("instances", {}),
        ("instances", {"includefield": "all"}),
    ],
)
def test_4_4_xml_and_json_carry_the_same(find, resource: str, query: dict[str, str]) -> None:
    as_json, as_xml = (found_in(find(resource, form, **query)) for form in FORMS)

    assert as_json == as_xml
    assert [list(result) for result in as_xml] == [sorted(result) for result in as_json]  # JSN-02


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("resource", ["studies", "series", "instances"])
def test_qry_26_what_is_always_returned(find, form: str, resource: str) -> None:
    results = found_in(find(resource, form))

    levels = list(ALWAYS)[: list(ALWAYS).index(resource) + 1]  # 4.1: those above it too
    always = {tag for level in levels for tag in ALWAYS[level].split()}
    known = {tag for level in levels for tag in IF_KNOWN[level].split()}
    assert all(always <= set(result) for result in results)
    assert all(known <= set(result) for result in results[: len(results) * 2 // 3])
    assert "Value" not in results[-1]["00100010"]
    assert "00080201" not in results[-1]


@pytest.mark.parametrize("form", FORMS)
def test_qry_20_fields_of_lower_levels_are_passed_over(find, form: str) -> None:
    fields = "00080060,SOPInstanceUID,RequestAttributesSequence,Rows"
    results = found_in(find("studies", form, includefield=fields))

    assert len(results) == 3
    for result in results:
        assert not {"00080060", "00080018", "00400275", "00280010"} & set(result)


@pytest.mark.parametrize("form", FORMS)
def test_qry_20_fields_of_higher_levels_are_returned(
    http: httpx.Client, stored: list[Dataset], form: str
) -> None:
    def ask(path: str, fields: str) -> dict[str, Any]:
        answer = http.get(path, params={"includefield": fields}, headers={"Accept": form})
        return found_in(answer)[0]

    series = ask(f"{path_of(stored[0], 1)}/series", "PatientID")
    instance = ask(f"{path_of(stored[0], 2)}/instances", "PatientID,Modality")
    assert first_of(series, "00100020") == first_of(instance, "00100020") == stored[0].PatientID
    assert first_of(instance, "00080060") == "CT"


@pytest.mark.parametrize("form", FORMS)
def test_qry_21_all_is_all_of_the_level(find, prefix: str, form: str) -> None:
    [bare] = found_in(find("studies", form, PatientID=f"{prefix}-0"))
    [whole] = found_in(find("studies", form, PatientID=f"{prefix}-0", includefield="all"))

    assert set(bare) < set(whole)
    assert whole["00101030"] == {"vr": "DS", "Value": [70.5]}
    assert len(whole["00101001"]["Value"]) == 2


@pytest.mark.parametrize("form", FORMS)
def test_qry_22_what_is_stored_is_returned_whatever_was_matched(find, form: str) -> None:
    [result] = found_in(find("studies", form, PatientName="muller*", ModalitiesInStudy="SR"))

    assert result["00100010"]["Value"] == [{"Alphabetic": "Müller^Jürgen"}]
    assert result["00080061"]["Value"] == ["CT", "SR"]


@pytest.mark.parametrize("form", FORMS)
def test_qry_23_a_sequence_is_whole_and_a_path_is_the_path_alone(
    find, prefix: str, form: str
) -> None:
    def items(field: str) -> list[set[str]]:
        query = {"PatientID": f"{prefix}-0", "Modality": "CT", "includefield": field}
        [result] = found_in(find("series", form, **query))
        return [set(item) for item in result["00400275"]["Value"]]

    default = {"00400009", "00401001"}
    assert items("StudyID") == [default] * 2
    assert items("RequestAttributesSequence") == [default | {"00321060"}] * 2
    path = "RequestAttributesSequence.RequestedProcedureDescription"
    assert items(path) == [default | {"00321060"}] * 2


@pytest.mark.parametrize("form", FORMS)
def test_qry_24_and_25_uids_and_urls_are_there_unasked(
    http: httpx.Client, stored: list[Dataset], form: str
) -> None:
    first = stored[0]
    base = str(http.base_url).rstrip("/")
    for path, level in (
        (f"studies?PatientID={first.PatientID}", 1),
        (f"{path_of(first, 1)}/series", 2),
        (f"{path_of(first, 2)}/instances", 3),
    ):
        result = found_in(http.get(path, headers={"Accept": form}))[0]
        uids = [first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID]
        for tag, uid in list(zip(("0020000D", "0020000E", "00080018"), uids, strict=True))[:level]:
            assert result[tag] == {"vr": "UI", "Value": [uid]}
        assert result["00081190"]["Value"] == [f"{base}/{path_of(first, level)}"]  # trap 46
        retrieved = http.get(result["00081190"]["Value"][0] + "/metadata")
        assert retrieved.status_code == 200


@pytest.mark.parametrize("form", FORMS)
def test_4_6_and_4_8_modalities_and_counts_are_those_of_now(http: httpx.Client, form: str) -> None:
    study = new_uid()
    made = [
        instance_with(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{number}",
            SOPInstanceUID=f"{study}.{number}.1",
            Modality=modality,
        )
        for number, modality in enumerate(["US", "CT", "US", None], 1)
    ]

    def told() -> tuple[Any, ...]:
        [result] = found_in(
            http.get("studies", params={"StudyInstanceUID": study}, headers={"Accept": form})
        )
        return tuple(result[tag].get("Value") for tag in ("00080061", "00201206", "00201208"))

    datasets = store(http, *made)
    assert told() == (["CT", "US"], [4], [4])
    http.delete(path_of(datasets[1], 2))
    assert told() == (["US"], [3], [3])
    http.delete(path_of(datasets[0], 1))
    gone = http.get("studies", params={"StudyInstanceUID": study}, headers={"Accept": form})
    assert found_in(gone) == []


@pytest.mark.parametrize("form", FORMS)
def test_jsn_31_text_is_utf_8_and_says_so(find, form: str) -> None:
    first, *_, last = found_in(find("studies", form))

    name = {"Alphabetic": "山田^太郎", "Ideographic": "やまだ^たろう"}
    assert first["00100010"]["Value"] == [name]
    assert first["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert "00080005" not in last


# ----------------------------------------------------------------------- pages, 204, warnings


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "query", [{"PatientID": "nobody"}, {"limit": "0"}, {"offset": "3"}, {"offset": "9999"}]
)
def test_4_7_nothing_is_204_without_a_body(find, form: str, query: dict[str, str]) -> None:
    """Never 404, and never an empty list (trap 43)."""
    response = find("studies", form, **query)

    assert response.status_code == 204
    assert response.content == b""
    assert "content-type" not in response.headers
    assert "content-encoding" not in response.headers
    assert response.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("limit", "offset", "count", "remaining"),
    [(1, 0, 1, 11), (5, 0, 5, 7), (5, 5, 5, 2), (5, 10, 2, 0), (12, 0, 12, 0), (99, 11, 1, 0)],
)
def test_4_7_a_page_tells_just_how_many_remain(
    http: httpx.Client, find, form: str, limit: int, offset: int, count: int, remaining: int
) -> None:
    response = find("instances", form, limit=str(limit), offset=str(offset))

    assert len(found_in(response)) == count
    text = f"There are {remaining} additional results that can be requested"
    base = str(http.base_url).rstrip("/")
    expected = [f"299 {base}: {text}"] if remaining else []
    assert response.headers.get_list("warning") == expected  # WRN-01, trap 55


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("resource", ["studies", "series", "instances"])
def test_4_7_pages_are_the_whole_in_its_order(find, form: str, resource: str) -> None:
    whole = found_in(find(resource, form))
    pages: list[Any] = []
    while page := found_in(find(resource, form, limit="2", offset=str(len(pages)))):
        pages += page

    assert pages == whole
    dates = [result["00080020"].get("Value", [""])[0] for result in whole]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.parametrize("form", FORMS)
def test_wrn_01_each_warning_is_a_line_of_its_own(http: httpx.Client, find, form: str) -> None:
    """QRY-11: an attribute that cannot be matched is told of; so are the results that remain."""
    response = find("studies", form, PixelData="1", limit="1")

    told = response.headers.get_list("warning")
    base = str(http.base_url).rstrip("/")
    assert len(told) == 2
    assert all(text.startswith(f"299 {base}: ") and text.isascii() for text in told)
    assert any(text.endswith("cannot be matched: PixelData") for text in told)
    assert any("There are 2 additional results" in text for text in told)


def test_wrn_01_nothing_found_is_warned_of_too(find) -> None:
    response = find(PixelData="1", PatientID="nobody")

    assert response.status_code == 204
    assert len(response.headers.get_list("warning")) == 1


@pytest.mark.parametrize("name", ["fuzzymatching", "emptyvaluematching", "multiplevaluematching"])
def test_1_8_what_is_supported_is_not_warned_of(find, name: str) -> None:
    response = find(**{name: "true"})

    assert len(found_in(response)) == 3
    assert "warning" not in response.headers


@pytest.mark.parametrize("form", FORMS)
def test_qry_03_an_unknown_parent_is_404(
    http: httpx.Client, stored: list[Dataset], form: str
) -> None:
    headers = {"Accept": form}
    assert_problem(http.get(f"studies/{new_uid()}/series", headers=headers), 404)
    nothing = http.get(f"{path_of(stored[0], 1)}/series?Modality=XA", headers=headers)
    assert found_in(nothing) == []
