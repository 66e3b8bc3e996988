"""QIDO-RS through HTTP: the seven resources, matching keys, returned attributes, paging."""

from collections.abc import Iterator

import httpx
import pytest
from pydicom import Dataset

from tests.make import instance_with
from tests.web.asking import assert_problem, new_uid, path_of, store

# Digest §4.4: what is always there, empty if unknown.
ALWAYS = {
    "studies": "00080020 00080030 00080050 00080061 00080090 00100010 00100020 00100030 00100040 "
    "0020000D 00200010 00201206 00201208",
    "series": "00080060 0020000E 00200011 00201209 00081190",
    "instances": "00080016 00080018 00200013 00081190",
}


@pytest.fixture(scope="module")
def prefix() -> str:
    """Marks the data of this module among that of others."""
    return "QIDO" + new_uid()[-6:]


@pytest.fixture(scope="module")
def stored(http: httpx.Client, prefix: str) -> Iterator[list[Dataset]]:
    studies = [
        ("ROSSI^MARIO", "20240105", "081500", "CT", "ADDA^CARLO"),
        ("Rossini^Luca", "20240210", "101500.5", "MR", "ADDA^CARLO"),
        ("Müller^Jürgen", "20240310", "235959", "CT", "HOUSE^GREGORY"),
        ("山田^太郎", "20231231", "", "US", ""),
    ]
    files = []
    for number, (name, date, time, modality, physician) in enumerate(studies):
        study = new_uid()
        for series in range(2):
            for instance in range(2):
                files.append(
                    instance_with(
                        SpecificCharacterSet="ISO_IR 192",
                        StudyInstanceUID=study,
                        SeriesInstanceUID=f"{study}.{series + 1}",
                        SOPInstanceUID=f"{study}.{series + 1}.{instance + 1}",
                        PatientName=name,
                        PatientID=f"{prefix}-{number}",
                        StudyDate=date,
                        StudyTime=time,
                        AccessionNumber=f"{prefix}A{number}",
                        StudyID=f"S{number}",
                        StudyDescription=prefix,
                        ReferringPhysicianName=physician,
                        Modality=modality if series == 0 else "SR",
                        SeriesNumber=str(series + 1),
                        SeriesDescription=f"{prefix} series {series + 1}",
                        InstanceNumber=str(instance + 1),
                    )
                )
    datasets = store(http, *files)
    yield datasets
    for dataset in datasets[::4]:
        assert http.delete(path_of(dataset, 1)).status_code == 204


def names(response: httpx.Response) -> list[str]:
    if response.status_code == 204:
        assert not response.content
        return []
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom+json"
    return [result["00100020"]["Value"][0][-1] for result in response.json()]


@pytest.fixture(scope="module")
def find(http: httpx.Client, prefix: str, stored: list[Dataset]):
    def ask(resource: str = "studies", **parameters: str) -> httpx.Response:
        return http.get(resource, params={"StudyDescription": prefix, **parameters})

    return ask


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("StudyDate", "20240105", "0"),
        ("StudyDate", "20240101-20240228", "10"),
        ("StudyDate", "-20231231", "3"),
        ("StudyDate", "20240210-", "21"),
        ("00080020", "20240310", "2"),
        ("StudyTime", "08-1100", "10"),
        ("StudyTime", "081500", "0"),
        ("PatientName", "rossi^mario", "0"),
        ("PatientName", "ROSS*", "10"),
        ("PatientName", "*MULLER*", "2"),
        ("PatientName", "müller^jürgen", "2"),
        ("PatientName", "山田*", "3"),
        ("PatientName", "ROSSI", ""),
        ("PatientName", "R?SSI*", "10"),
        ("ReferringPhysicianName", "ADDA^CARLO", "10"),
        ("ModalitiesInStudy", "CT", "20"),
        ("ModalitiesInStudy", "CT,MR", "210"),
        ("ModalitiesInStudy", "XA", ""),
        ("Modality", "US", "3"),
        ("StudyID", "S2", "2"),
        ("PatientName", "", "2103"),
        ("PatientName", "*", "2103"),
    ],
)
def test_study_keys(find, key: str, value: str, expected: str) -> None:
    """Newest first [D]: 2 (March), 1, 0, 3 (the year before)."""
    order = "2103"
    assert names(find(**{key: value})) == sorted(expected, key=order.index)


def test_wildcards_and_exact_keys_of_identifiers(find, prefix: str) -> None:
    assert names(find(PatientID=f"{prefix}-1")) == ["1"]
    assert names(find(PatientID=f"{prefix}-?")) == list("2103")
    assert names(find(PatientID=f"{prefix.lower()}-1")) == []  # MAT-04: case counts
    assert names(find(AccessionNumber=f"{prefix}A*")) == list("2103")
    assert names(find(PatientID="%")) == []
    assert names(find(PatientID=f"{prefix}_1")) == []


def test_uid_lists(find, stored: list[Dataset]) -> None:
    uids = [stored[0].StudyInstanceUID, stored[8].StudyInstanceUID]
    assert names(find(StudyInstanceUID=",".join(uids))) == ["2", "0"]
    assert names(find(StudyInstanceUID="\\".join(uids))) == ["2", "0"]


def test_combined_date_and_time_are_one_interval(find) -> None:
    """PS3.4 C.2.2.2.5.3: from 5 January 09:00 to 10 March 23:59:59."""
    assert names(find(StudyDate="20240105-20240310", StudyTime="0900-235959")) == ["2", "1"]


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_qry_26_required_attributes_are_there(
    find, http: httpx.Client, level: str, stored: list[Dataset]
) -> None:
    for result in find(level).json():
        assert set(ALWAYS[level].split()) <= set(result)
        assert list(result) == sorted(result)  # JSN-02
        assert result["0020000D"]["Value"]  # QRY-25


def test_flat_and_hierarchical_resources_agree(
    http: httpx.Client, find, stored: list[Dataset]
) -> None:
    first = stored[0]
    study, series = path_of(first, 1), path_of(first, 2)
    assert len(find("series").json()) == 8
    assert len(find("instances").json()) == 16
    assert len(http.get(f"{study}/series").json()) == 2
    assert len(http.get(f"{study}/instances").json()) == 4
    found = http.get(f"{series}/instances").json()
    assert [one["00200013"]["Value"] for one in found] == [[1], [2]]
    assert [one["00081190"]["Value"][0].split("/")[-1] for one in found] == [
        stored[0].SOPInstanceUID,
        stored[1].SOPInstanceUID,
    ]


def test_series_and_instance_keys(http: httpx.Client, find, stored: list[Dataset]) -> None:
    study, series = path_of(stored[0], 1), path_of(stored[0], 2)
    assert len(http.get(f"{study}/series", params={"Modality": "SR"}).json()) == 1
    assert len(http.get(f"{study}/series", params={"SeriesNumber": "01"}).json()) == 1
    assert len(find("series", Modality="SR").json()) == 4
    assert len(http.get(f"{series}/instances", params={"InstanceNumber": "2"}).json()) == 1
    sop = stored[5].SOPInstanceUID
    [found] = http.get("instances", params={"SOPInstanceUID": sop}).json()
    assert found["00080018"]["Value"] == [sop]
    assert len(find("instances", PatientName="ROSSI*").json()) == 8


def test_computed_attributes(http: httpx.Client, find, stored: list[Dataset]) -> None:
    [study] = find(StudyID="S0").json()
    assert study["00080061"]["Value"] == ["CT", "SR"]
    assert study["00201206"]["Value"] == [2]
    assert study["00201208"]["Value"] == [4]
    assert study["00080056"]["Value"] == ["ONLINE"]
    assert study["00081190"]["Value"] == [
        f"{str(http.base_url).rstrip('/')}/{path_of(stored[0], 1)}"
    ]
    assert study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "ROSSI^MARIO"}]}
    series = http.get(f"{path_of(stored[0], 1)}/series").json()
    assert [one["00201209"]["Value"] for one in series] == [[2], [2]]


def test_includefield(find, prefix: str) -> None:
    bare = find("studies", StudyID="S0").json()[0]
    assert bare["00081030"]["Value"] == [prefix]  # a match key is returned
    [series] = find("series", StudyID="S0", Modality="CT", includefield="SeriesDescription").json()
    assert series["0008103E"]["Value"] == [f"{prefix} series 1"]
    both = find("studies", StudyID="S0", includefield="00081030,00080060,PatientAge")
    assert both.status_code == 200  # trap 48: a series attribute asked of studies is passed over
    assert "00100010" in find("studies", StudyID="S0", includefield="all").json()[0]


def test_pages_are_true(find) -> None:
    first = find(limit="3")
    assert names(first) == list("210")
    assert "There are 1 additional results that can be requested" in first.headers["warning"]
    assert first.headers["warning"].startswith("299 ")
    last = find(limit="3", offset="3")
    assert names(last) == ["3"]
    assert "warning" not in last.headers
    assert find(offset="4").status_code == 204
    assert find(limit="0").status_code == 204


def test_qry_03_an_unknown_parent_is_404_and_an_empty_one_204(
    http: httpx.Client, stored: list[Dataset]
) -> None:
    assert_problem(http.get(f"studies/{new_uid()}/series"), 404)
    assert_problem(http.get(f"{path_of(stored[0], 1)}/series/{new_uid()}/instances"), 404)
    nothing = http.get(f"{path_of(stored[0], 1)}/series", params={"Modality": "XA"})
    assert nothing.status_code == 204


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "offset=-1",
        "StudyDate=2024-01-05",
        "StudyDate=20240105-20230105",
        "StudyDate=-",
        "StudyDate=2024*",
        "StudyTime=99",
        "fuzzymatching=maybe",
        "PatientNme=X",
        "00980002=1",
        "PatientID=A&PatientID=B",
        "PatientID=A&00100020=B",
        "StudyInstanceUID=../x",
        "PatientID=%FF",
        "PatientID=a%00b",
        "SeriesNumber=abc",
        "&".join(f"x{n}=1" for n in range(5_000)),
    ],
    ids=lambda query: query[:30],
)
def test_bad_queries_name_what_is_wrong(http: httpx.Client, query: str) -> None:
    assert_problem(http.get(f"studies?{query}"), 400)


def test_unknown_parameters_are_passed_over(find) -> None:
    assert names(find(sort="x", _="123")) == list("2103")


@pytest.mark.parametrize("value", ["*" * 5000, "%_%_\\" * 100, "'; DROP TABLE studies; --"])
def test_hostile_values_find_nothing_and_break_nothing(find, value: str) -> None:
    response = find(PatientID=value)
    assert response.status_code in (200, 204, 400)
    assert names(find()) == list("2103")


def test_the_answer_to_what_ohif_asks(http: httpx.Client, stored: list[Dataset]) -> None:
    query = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090"
    accept = (
        "application/dicom+json, multipart/related; type=application/octet-stream; "
        "transfer-syntax=*"
    )
    response = http.get(f"studies?{query}", headers={"Accept": accept})
    assert response.status_code == 200
    fuzzy = http.get("studies?fuzzymatching=true&PatientName=*rosi+mar*")
    assert stored[0].StudyInstanceUID in [one["0020000D"]["Value"][0] for one in fuzzy.json()]
    assert "warning" not in fuzzy.headers
