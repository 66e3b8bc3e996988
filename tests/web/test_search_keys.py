"""Match keys through HTTP: whose level, how they are written, those that are required
(digest 4.1 to 4.3)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydicom import Dataset

from tests.make import sr_document
from tests.web.asking import assert_problem, found_in, path_of, store
from tests.web.shelf import Shelf


def request(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    return item


KNOWN: dict[str, Any] = {
    "StudyDate": "20240105",
    "StudyTime": "081500",
    "AccessionNumber": "ACC/1",
    "ReferringPhysicianName": "ADDA^CARLO",
    "PatientName": "ROSSI^MARIO",
    "StudyID": "STUDY 1",
    "PerformedProcedureStepStartDate": "20240106",
    "PerformedProcedureStepStartTime": "0930",
}
OTHER: dict[str, Any] = {
    "StudyDate": "20230105",
    "StudyTime": "203000",
    "AccessionNumber": "BCC/2",
    "ReferringPhysicianName": "HOUSE^GREGORY",
    "PatientName": "BIANCHI^ANNA",
    "StudyID": "OTHER 2",
    "PerformedProcedureStepStartDate": "20230106",
    "PerformedProcedureStepStartTime": "2130",
}


@pytest.fixture(scope="module")
def both(http: httpx.Client) -> Iterator[Shelf]:
    """Two studies that differ in everything: of one all labels begin with k, of the other with o.
    Each has a CT and an SR series."""
    shelf = Shelf(http)
    for name, values, n in (("k", KNOWN, 1), ("o", OTHER, 2)):
        first = shelf.put(
            f"{name}-ct",
            Modality="CT",
            SeriesNumber=str(n),
            InstanceNumber=str(10 + n),
            RequestAttributesSequence=[request(f"S{n}", f"P{n}"), request("S9", "P9")],
            **values,
        )
        study = first.StudyInstanceUID
        shelf.put(
            f"{name}-sr",
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.2",
            SOPInstanceUID=f"{study}.2.1",
            Modality="SR" if n == 1 else "MR",
            SeriesNumber=str(20 + n),
            InstanceNumber=str(30 + n),
            PatientID=first.PatientID,
            **values,
        )
    yield shelf
    shelf.clear()


# --------------------------------------------------------------------- 4.3 required matching keys

REQUIRED = {
    "studies": [
        *("StudyDate=20240105", "StudyDate=20240101-20240201", "00080020=20240101-"),
        *("StudyTime=081500", "StudyTime=08-09", "StudyTime=-12"),
        "StudyDate=20240101-20240105&StudyTime=0100-0900",
        *("AccessionNumber=ACC/1", "AccessionNumber=A*1", "AccessionNumber=?CC/1"),
        *("ModalitiesInStudy=SR", "ModalitiesInStudy=S*", "ModalitiesInStudy=SR,XA"),
        "ModalitiesInStudy=XA%5CSR",
        *("ReferringPhysicianName=ADDA%5ECARLO", "ReferringPhysicianName=adda*"),
        *("PatientName=ROSSI%5EMARIO", "PatientName=ROSS?%5E*", "PatientName=*mario*"),
        *("fuzzymatching=true&PatientName=mario+ros", "fuzzymatching=true&PatientName=rosi"),
        "fuzzymatching=true&ReferringPhysicianName=carlo",
        *("StudyID=STUDY+1", "StudyID=STUDY*", "StudyID=?TUDY+1"),
    ],
    "series": [
        *("Modality=CT&SeriesNumber=1", "Modality=C*&StudyID=STUDY*"),
        *("SeriesNumber=1", "SeriesNumber=001", "SeriesNumber=%2B1"),
        *("PerformedProcedureStepStartDate=20240106&Modality=CT",),
        *("PerformedProcedureStepStartDate=20240101-20240201&Modality=CT",),
        *("PerformedProcedureStepStartTime=0930&Modality=CT",),
        *("PerformedProcedureStepStartTime=09-10&Modality=CT",),
        "PerformedProcedureStepStartDate=20240105-20240106&Modality=CT"
        "&PerformedProcedureStepStartTime=23-0940",
        "RequestAttributesSequence.ScheduledProcedureStepID=S1",
        "RequestAttributesSequence.ScheduledProcedureStepID=*1",
        "00400275.00401001=P1",
        "RequestAttributesSequence.00401001=?1",
        "00400275.ScheduledProcedureStepID=S1&RequestAttributesSequence.00401001=P1",
    ],
    "instances": [
        *("InstanceNumber=11", "InstanceNumber=0011"),
        "SOPClassUID=1.2.840.10008.5.1.4.1.1.66&InstanceNumber=11",
        "SOPClassUID=1.2.3,1.2.840.10008.5.1.4.1.1.66&InstanceNumber=11",
    ],
}


@pytest.mark.parametrize(
    ("resource", "query"),
    [(resource, query) for resource, queries in REQUIRED.items() for query in queries],
)
def test_4_3_required_keys(both: Shelf, resource: str, query: str) -> None:
    assert both.find(query, resource) == ["k-ct"]
    assert "warning" not in both.ask(query, resource).headers


@pytest.mark.parametrize(
    ("resource", "tag"),
    [("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018")],
)
def test_4_3_unique_keys_alone_and_in_lists(both: Shelf, resource: str, tag: str) -> None:
    first, *_, last = found_in(both.ask("", resource))
    uids = [each[tag]["Value"][0] for each in (first, last)]
    assert both.find(f"{tag}={uids[0]}", resource) == both.find(resource=resource)[:1]
    assert len(both.find(f"{tag}={uids[0]},{uids[1]},1.2.3", resource)) == 2
    assert both.find(f"{tag}=1.2.3", resource) == []


# ------------------------------------------------------------------------------- 4.1 levels


def test_4_1_keys_of_every_level_that_the_resource_has(both: Shelf) -> None:
    study = both.ask("StudyID=STUDY*").json()[0]["0020000D"]["Value"][0]
    series = f"studies/{study}/series"
    instances = f"studies/{study}/instances"
    of_series = f"studies/{study}/series/{study}.1/instances"
    for resource, query, found in (
        ("studies", "PatientName=ROSSI*&StudyDate=20240105", ["k-ct"]),
        (series, "Modality=SR", ["k-sr"]),
        (instances, "Modality=SR&InstanceNumber=31", ["k-sr"]),
        (instances, "Modality=SR&InstanceNumber=11", []),
        ("series", "PatientName=ROSSI*&StudyDate=20240105&Modality=SR", ["k-sr"]),
        (of_series, "InstanceNumber=11", ["k-ct"]),
        ("instances", "PatientName=ROSSI*&StudyTime=08&Modality=SR&InstanceNumber=31", ["k-sr"]),
    ):
        assert both.find(query, resource, mark="/" not in resource) == found


def test_qry_01_what_the_path_fixes_is_told_of_and_patient_keys_are_matched(both: Shelf) -> None:
    study = both.ask("StudyID=STUDY*").json()[0]["0020000D"]["Value"][0]
    path = f"studies/{study}/series"
    response = both.ask("StudyDate=19000101&PatientName=ROSSI*", path, mark=False)

    assert len(both.labels(response, path)) == 2
    [warning] = response.headers.get_list("warning")
    assert warning.endswith(
        "fixed by the path of the resource and have not been matched: StudyDate"
    )
    assert both.find("PatientName=BIANCHI*", path, mark=False) == []
    below = both.ask("Modality=XX", f"{path}/{study}.1/instances", mark=False)
    assert len(found_in(below)) == 1
    assert "have not been matched: Modality" in below.headers["warning"]
    same = both.ask(f"StudyInstanceUID={study}", path, mark=False)
    assert "warning" not in same.headers  # it says nothing else than the path


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Modality=SR", ["k-ct"]),
        ("Modality=CT&SeriesNumber=21", []),  # no one series has both
        ("Modality=SR&SeriesNumber=21", ["k-ct"]),
        ("InstanceNumber=31&Modality=SR", ["k-ct"]),
        ("InstanceNumber=31&Modality=CT", []),
        ("SOPClassUID=1.2.840.10008.5.1.4.1.1.66&StudyID=STUDY*", ["k-ct"]),
        ("CreatorVersionUID=1.2.3", []),  # of instances, and kept at no level
        ("ContentTime=101500&SeriesNumber=21", ["k-ct"]),
        ("SpecimenUID=&StudyID=STUDY*", ["k-ct"]),
    ],
)
def test_qry_02_keys_of_lower_levels_are_met_by_one_entity_beneath(
    both: Shelf, query: str, found: list[str]
) -> None:
    assert both.find(query) == found
    assert "warning" not in both.ask(query).headers


# ------------------------------------------------------------------------------- 4.2 the grammar


def test_qry_10_a_plus_is_a_space_but_in_date_times_and_zones(shelf: Shelf) -> None:
    shelf.put(
        "plus", AcquisitionDateTime="20240105120000+0100", StationName="A+B", PatientName="A B"
    )

    assert shelf.find("PatientName=A+B") == ["plus"]
    assert shelf.find("StationName=A%2BB", "series") == ["plus"]
    assert shelf.find("StationName=A+B", "series") == []
    for sign in ("+", "%2B"):
        query = f"AcquisitionDateTime=20240105130000{sign}0200"
        assert shelf.find(query, "instances") == ["plus"]
        assert shelf.find(f"StudyDate=&TimezoneOffsetFromUTC={sign}0200") == ["plus"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("PatientNme", 400),
        ("Patientname", 400),  # keywords are case-sensitive
        ("patientname", 200),  # and begin with a capital letter
        ("dBdt.Nonsense", 400),  # but for this one
        ("00100099", 400),
        ("RequestAttributesSequence.Nonsense", 400),
        ("PatientName.PatientID", 400),
        ("_", 200),
        ("x-anything", 200),
    ],
)
def test_qry_11_a_misspelt_attribute_is_refused_and_other_names_are_passed_over(
    both: Shelf, name: str, status: int
) -> None:
    response = both.ask(f"{name}=ROSSI*")
    if status == 400:
        assert name in assert_problem(response, 400)["detail"]
    else:
        assert len(found_in(response)) == 2


def test_qry_11_a_keyword_with_a_small_letter_in_front_is_a_key(shelf: Shelf) -> None:
    shelf.put("six", dBdt=6.0)
    shelf.put("seven", dBdt=7.0)

    assert shelf.find("dBdt=6", "instances") == ["six"]
    assert shelf.find("dBdt=8", "instances") == []
    assert_problem(shelf.ask("dBdt=six", "instances"), 400)


def test_qry_11_a_known_attribute_that_cannot_be_matched_is_told_of(both: Shelf) -> None:
    response = both.ask("EncapsulatedDocument=x&RetrieveURL=y")
    assert len(found_in(response)) == 2
    assert response.headers["warning"].endswith("matched: EncapsulatedDocument, RetrieveURL")


def test_qry_12_hexadecimal_digits_of_either_case(both: Shelf) -> None:
    study = both.ask("StudyID=STUDY*").json()[0]["0020000D"]["Value"][0]
    assert both.find(f"0020000d={study}") == both.find(f"0020000D={study}") == ["k-ct"]


@pytest.mark.parametrize("value", ["", "*", "***", "%20"])
def test_qry_13_no_value_finds_all_and_asks_for_the_attribute(both: Shelf, value: str) -> None:
    for key in ("IssuerOfPatientID", "StudyDate", "StudyTime", "PatientName", "PatientAge"):
        results = found_in(both.ask(f"{key}={value}"))
        assert len(results) == 2
    assert all(
        result["00100021"] == {"vr": "LO"}
        for result in found_in(both.ask(f"IssuerOfPatientID={value}"))
    )


@pytest.mark.parametrize(
    "query",
    [
        *("StudyDate=20240230", "StudyDate=2024", "StudyTime=2460", "PatientAge=30"),
        *("SeriesNumber=x", "SeriesNumber=1.5", "Rows=-1", "PatientWeight=heavy"),
        *("StudyInstanceUID=1.2.x", "StudyInstanceUID=1..*", "FrameIncrementPointer=00"),
        *("AcquisitionDateTime=noon", "PatientID=%00", "PatientID=A%00B", "PatientName=%FF"),
        "TimezoneOffsetFromUTC=1",
    ],
)
def test_qry_14_values_that_do_not_satisfy_their_vr(both: Shelf, query: str) -> None:
    assert_problem(both.ask(query), 400)


def test_qry_15_the_character_set_is_never_matched(both: Shelf) -> None:
    response = both.ask("SpecificCharacterSet=ISO_IR+100")
    assert len(found_in(response)) == 2
    assert "warning" not in response.headers


@pytest.mark.parametrize(
    "query",
    [
        *("PatientID=A&PatientID=A", "PatientID=A&00100020=B", "limit=1&limit=1"),
        *("00400275.00400009=A&RequestAttributesSequence.ScheduledProcedureStepID=B", "limit="),
        *("limit=-1", "limit=1.0", "offset=-1", "offset=x", "fuzzymatching=1"),
        *("emptyvaluematching=TRUE", "multiplevaluematching=", "RequestAttributesSequence=x"),
        "00231001=x",  # private, without its creator
        "00230010=&00231001=x",
    ],
)
def test_4_2_what_does_not_follow_the_grammar(both: Shelf, query: str) -> None:
    name = query.split("&")[-1].split("=")[0]
    assert name in assert_problem(both.ask(query), 400)["detail"]


def test_4_2_encoded_characters_are_part_of_the_value(shelf: Shelf) -> None:
    odd = "A#[1]&=,100%_"
    shelf.put("odd", AccessionNumber=odd)
    shelf.put("even", AccessionNumber="A#[1]&=,100xx")

    assert shelf.find("AccessionNumber=A%23%5B1%5D%26%3D%2C100%25_") == ["odd"]
    assert shelf.find("AccessionNumber=*100%25*") == ["odd"]


def test_4_2_dotted_paths_of_keywords_and_tags_lead_into_sequences(http: httpx.Client) -> None:
    report = store(http, sr_document(seed=4711))[0]
    deep = "ContentSequence.0040A300.MeasurementUnitsCodeSequence.00080100"
    for value, found in (("mm", 1), ("m*", 1), ("cm", 0)):
        answer = http.get(f"{path_of(report, 1)}/instances?{deep}={value}")
        assert len(found_in(answer)) == found
    title = f"ConceptNameCodeSequence.CodeValue=121070&{deep}=mm"
    [result] = found_in(http.get(f"{path_of(report, 1)}/instances?{title}"))
    assert result["0040A730"]["Value"][1]["0040A300"]["Value"] == [
        {"004008EA": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["mm"]}}]}}
    ]
    assert http.delete(path_of(report, 1)).status_code == 204
