"""Names, modalities, time zones and private attributes as they are matched, through HTTP
(digest 4.5 and 4.6, MAT-02 to MAT-06)."""

from typing import Any
from urllib.parse import quote

import pytest
from pydicom import Dataset

from tests.web.asking import assert_problem, found_in
from tests.web.shelf import Private, Shelf

# ------------------------------------------------------------------------- MAT-02 to MAT-06, 4.6


@pytest.mark.parametrize("key", ["PatientName", "ReferringPhysicianName", "OperatorsName"])
def test_mat_02_names_without_case_and_accents_by_groups(shelf: Shelf, key: str) -> None:
    shelf.put("john", **{key: "Doe^John^^^"})
    shelf.put("jörg", **{key: "MÜLLER^JÖRG"})
    shelf.put("taro", **{key: "Yamada^Tarou=山田^太郎=やまだ^たろう"})

    for value, found in {
        "DOE%5EJOHN": ["john"],
        "doe%5Ejohn%5E": ["john"],
        "DOE": [],
        "doe*": ["john"],
        "muller%5Ejorg": ["jörg"],
        "M%C3%BCller*": ["jörg"],
        "山田%5E太郎": ["taro"],
        "YAMADA%5ETAROU": ["taro"],
        "=山田*": ["taro"],
        "=*=やまだ*": ["taro"],
        "山田=": [],
    }.items():
        assert shelf.find(f"{key}={value}") == found, value


@pytest.mark.parametrize("key", ["PatientName", "ReferringPhysicianName", "OperatorsName"])
def test_mat_02_carets_at_the_end_are_no_difference_to_wildcards(shelf: Shelf, key: str) -> None:
    """C.2.2.2.4: neither those of the name nor those of the pattern."""
    names = ["Doe", "Doe^", "DOE^JOHN^^^", "Doe^John^Q", "Doering^John", "X=\u5c71\u7530^"]
    for label in names:
        shelf.put(label, **{key: label})

    def find(value: str, more: str = "") -> set[str]:
        return set(shelf.find(f"{key}={quote(value)}{more}", "instances"))

    assert find("Doe^*") == {"Doe", "Doe^", "DOE^JOHN^^^", "Doe^John^Q"}
    assert find("doe^john^*") == find("doe^john^*^*") == {"DOE^JOHN^^^", "Doe^John^Q"}
    assert find("d?e^john^*") == find("*e^john^*") == {"DOE^JOHN^^^", "Doe^John^Q"}
    assert find("doe^john^*", "&limit=1") <= {"DOE^JOHN^^^", "Doe^John^Q"}
    assert find("d*^*") == {*names} - {names[-1]}
    assert find("\u5c71\u7530^*") == find("=\u5c71\u7530^*") == find("x^*=\u5c71*") == {names[-1]}
    assert find("Doe^*=x") == find("doe^?") == set()


def test_mat_03_fuzzy_words_are_beginnings_in_any_order_or_sounds(shelf: Shelf) -> None:
    shelf.put("meyer", PatientName="Meyer^Anna Maria", OperatorsName="Meyer^Anna Maria")
    shelf.put("other", PatientName="Huber^Josef", OperatorsName="Huber^Josef")

    for key in ("PatientName", "OperatorsName"):
        for words in ("anna+mey", "MARIA", "meier", "maier+anna", "*mey*", "mar%5Eann"):
            assert shelf.find(f"fuzzymatching=true&{key}={words}") == ["meyer"], words
        assert shelf.find(f"fuzzymatching=true&{key}=eyer") == []
        assert shelf.find(f"{key}=meier") == []


@pytest.mark.parametrize("key", ["AccessionNumber", "StationName", "PulseSequenceName"])
def test_mat_04_other_text_by_its_case(shelf: Shelf, key: str) -> None:
    shelf.put("upper", **{key: "ABC"})

    assert shelf.find(f"{key}=ABC") == ["upper"]
    assert shelf.find(f"{key}=Abc") == shelf.find(f"{key}=ab*") == []


def test_mat_06_patients_of_different_issuers_differ(shelf: Shelf) -> None:
    for issuer in ("A", "B"):
        shelf.put(issuer, PatientID=f"{shelf.mark}1", IssuerOfPatientID=issuer)

    assert shelf.find(f"PatientID={shelf.mark}1&IssuerOfPatientID=B", mark=False) == ["B"]
    assert len(shelf.find(f"PatientID={shelf.mark}1", mark=False)) == 2


def test_4_6_modalities_in_study(shelf: Shelf) -> None:
    ct = shelf.put("both", Modality="CT")
    study = ct.StudyInstanceUID
    shelf.put("pt", StudyInstanceUID=study, SeriesInstanceUID=f"{study}.2", Modality="PT")
    shelf.put("ct", Modality="CT")
    shelf.put("mr", Modality="MR")
    shelf.put("no", Modality="")

    def find(query: str) -> list[str]:
        return sorted(shelf.find(query))

    assert find("ModalitiesInStudy=CT") == ["both", "ct"]
    assert find("ModalitiesInStudy=CT,PT") == find("Modality=CT,PT") == ["both", "ct"]  # once
    assert sorted(shelf.find("Modality=CT,PT", "series")) == ["both", "ct", "pt"]
    assert find("ModalitiesInStudy=PT,MR") == find("ModalitiesInStudy=PT%5CMR") == ["both", "mr"]
    assert find("Modality=PT,MR") == find("Modality=PT%5CMR") == ["both", "mr"]
    assert find("multiplevaluematching=true&ModalitiesInStudy=CT%5CPT") == ["both"]
    assert find("emptyvaluematching=true&ModalitiesInStudy=%22%22") == ["no"]
    assert find("ModalitiesInStudy=?T") == ["both", "ct"]
    result = found_in(shelf.ask("ModalitiesInStudy=PT"))[0]
    assert result["00080061"]["Value"] == ["CT", "PT"]
    none = found_in(shelf.ask("emptyvaluematching=true&ModalitiesInStudy=%22%22"))[0]
    assert "00080061" not in none  # [D]: OHIF shows no list at all where one is empty


# --------------------------------------------------------------------------------- MAT-05 zones


@pytest.mark.parametrize(
    ("day", "time"),
    [("StudyDate", "StudyTime"), ("SeriesDate", "SeriesTime"), ("ReviewDate", "ReviewTime")],
)
def test_mat_05_days_and_times_are_those_of_the_querys_zone(
    shelf: Shelf, day: str, time: str
) -> None:
    """One moment in Rome, in New York and where no zone is told, which is the archive's (UTC)."""
    for label, zone, date, moment in (
        ("rome", "+0100", "20240106", "0030"),
        ("york", "-0500", "20240105", "1830"),
        ("here", None, "20240105", "2330"),
        ("later", "+0100", "20240106", "0200"),
    ):
        told = {} if zone is None else {"TimezoneOffsetFromUTC": zone}
        shelf.put(label, **{day: date, time: moment}, **told)

    def find(zone: str, days: str, times: str = "") -> list[str]:
        query = [f"{day}={days}"] + [f"{time}={times}"] * bool(times)
        query += [f"TimezoneOffsetFromUTC={zone}"] * bool(zone)
        return sorted(shelf.find("&".join(query), "instances"))

    moment = ["here", "rome", "york"]
    assert find("", "20240105") == ["here", "york"]  # without a zone as they stand
    assert find("+0000", "20240105") == moment
    assert find("%2B0100", "20240106") == ["here", "later", "rome", "york"]
    assert find("-0500", "20240105") == ["here", "later", "rome", "york"]
    assert find("+0100", "20240106-20240106", "0000-0100") == moment
    assert find("-0500", "20240105-20240105", "1830-1830") == moment
    assert find("+0000", "20240105", "2330") == moment  # a day and a time are a moment too
    assert find("+0000", "20240105", "23-") == moment
    assert find("+0000", "20240106", "-01") == ["later"]


def test_mat_05_results_tell_their_zone_and_are_as_stored(shelf: Shelf) -> None:
    shelf.put("rome", TimezoneOffsetFromUTC="+0100", StudyDate="20240106", StudyTime="0030")

    for resource in ("studies", "series", "instances"):
        query = "TimezoneOffsetFromUTC=-0500&StudyDate=20240105"
        [result] = found_in(shelf.ask(query, resource))
        assert result["00080201"] == {"vr": "SH", "Value": ["+0100"]}
        assert result["00080020"]["Value"] == ["20240106"]
        assert result["00080030"]["Value"] == ["0030"]


# --------------------------------------------------------------------------- private attributes

# One creator's attributes, in another block of each data set; the other's in between.
BLOCKS: dict[str, list[tuple[int, str, Any]]] = {
    "first": [
        (0x00090010, "LO", "ACME"),
        (0x00091001, "LO", "VALUE"),
        (0x00091002, "DS", "1.50"),
        (0x00091003, "PN", "M\u00fcller^J"),
    ],
    "second": [
        (0x00090010, "LO", "OTHER"),
        (0x00090011, "LO", "ACME"),
        (0x00091001, "LO", "NOT THEIRS"),
        (0x00091101, "LO", "VALUE"),
    ],
    "foreign": [(0x00090010, "LO", "OTHER"), (0x00091001, "LO", "VALUE")],
}


@pytest.fixture
def private(shelf: Shelf) -> Shelf:
    for label, elements in BLOCKS.items():
        shelf.put(label, private=elements)
    return shelf


@pytest.mark.parametrize("block", ["10", "11", "77"])
def test_4_2_private_attributes_are_their_creators_wherever_they_stand(
    private: Shelf, block: str
) -> None:
    creator, key = f"000900{block}=ACME", f"0009{block}"

    def find(query: str) -> list[str]:
        return sorted(private.find(f"{creator}&{key}{query}", "instances"))

    assert find("01=VALUE") == ["first", "second"]
    assert find("01=value") == find("01=NOT+THEIRS") == []
    assert find("01=V*E") == find("01=?ALUE") == ["first", "second"]
    assert find("02=1.5") == ["first"]  # by the VR of the data set
    assert find("03=muller%5Ej") == ["first"]
    assert find("01=") == ["first", "foreign", "second"]
    assert find("02=%22%22&emptyvaluematching=true") == ["foreign", "second"]


def test_4_2_private_attributes_are_matched_by_the_vr_that_they_are_stored_with(
    shelf: Shelf,
) -> None:
    """As those of the standard are (C.2.2.2); what does not satisfy that VR finds nothing."""
    inner = Dataset()
    inner.add_new(0x00090010, "LO", "ACME")
    inner.add_new(0x00091001, "DA", "20200102")
    elements = [
        (0x00090010, "LO", "ACME"),
        (0x00091001, "DA", "20200101"),
        (0x00091002, "TM", "103000"),
        (0x00091003, "DT", "20200101103000"),
        (0x00091004, "UI", "1.2.3"),
        (0x00091005, "LO", ["A", "B"]),
        (0x00091006, "PN", "Meyer^J\u00f6rg"),
        (0x00091007, "SS", -3),
        (0x00091008, "AT", 0x0028001A),
        (0x00091009, "SQ", [inner]),
    ]
    shelf.put("one", private=elements)

    def is_found(query: str) -> bool:
        return bool(shelf.find(f"00090010=ACME&000910{query}", "instances"))

    for query in (
        *("01=20200101-20200102", "01=20191231-", "01=2020.01.01", "01=2020*"),
        *("02=10", "02=1030-11", "02=-1030", "03=2020", "03=20200101-20200102"),
        *("03=20200101113000%2B0100", "04=1.2.3,1.2.4", "04=1.2.4%5C1.2.3"),
        *("05=B%5CA&multiplevaluematching=true", "06=mayr&fuzzymatching=true", "06=meyer%5E*"),
        *("07=-3", "07=-03", "08=0028001a", "09.00091001=20200101-20200103"),
    ):
        assert is_found(query), query
    for query in (
        *("01=20200102-20200103", "01=20209999", "02=11", "02=1031-", "03=2021", "04=1.2,1.3"),
        *("05=B%5CC&multiplevaluematching=true", "05=A%5CB", "06=miller&fuzzymatching=true"),
        *("07=3", "08=00280010", "09=*0091001*", "09.00091001=20200103-"),
    ):
        assert not is_found(query), query


def test_4_4_private_attributes_come_with_their_creator(private: Shelf) -> None:
    for query in ("00090077=ACME&00097701=VALUE", "00090077=ACME&includefield=00097701"):
        results = found_in(private.ask(query, "instances"))
        by_label = dict(zip(private.find(query, "instances"), results, strict=True))
        for label, block in (("first", "10"), ("second", "11")):
            assert by_label[label][f"0009{block}01"] == {"vr": "LO", "Value": ["VALUE"]}
            assert by_label[label][f"000900{block}"] == {"vr": "LO", "Value": ["ACME"]}
        assert "00091001" not in by_label["second"]


def test_4_4_private_attributes_in_items_come_with_their_creator_too(shelf: Shelf) -> None:
    """Of private sequences and those of the standard, in whatever block they have there."""

    def elements(block: int, inner_block: int) -> Private:
        inner = Dataset()
        inner.add_new(0x00290010, "LO", "OTHER")
        inner.add_new(0x00291002, "LO", "not theirs")
        inner.add_new(0x00290000 | inner_block, "LO", "MY CREATOR")
        inner.add_new(0x00290002 | inner_block << 8, "LO", "inner")
        inner.add_new(0x00290003 | inner_block << 8, "LO", "unasked")
        return [
            (0x00290000 | block, "LO", "MY CREATOR"),
            (0x00290003 | block << 8, "SQ", [inner]),
            (0x00081140, "SQ", [inner]),
            (0x00400275, "SQ", [inner]),
        ]

    shelf.put("same", private=elements(0x20, 0x20))
    shelf.put("other", private=elements(0x11, 0x12))
    mine, asked = "00290020=MY+CREATOR", "00292002"
    for sequence in ("00292003", "ReferencedImageSequence", "RequestAttributesSequence"):
        for key in (f"{sequence}.{asked}=inner", f"includefield={sequence}.{asked}"):
            query = f"{mine}&{key}"
            results = found_in(shelf.ask(query, "instances"))
            labels = shelf.find(query, "instances")
            assert sorted(labels) == ["other", "same"]
            for label, result in zip(labels, results, strict=True):
                outer, block = {"same": ("20", "20"), "other": ("11", "12")}[label]
                tag = {"R": "00081140", "0": f"0029{outer}03"}[sequence[0]]
                tag = "00400275" if sequence.startswith("Request") else tag
                [item] = result[tag]["Value"]
                assert {key: value for key, value in item.items() if key[:4] == "0029"} == {
                    f"002900{block}": {"vr": "LO", "Value": ["MY CREATOR"]},
                    f"0029{block}02": {"vr": "LO", "Value": ["inner"]},
                }


def test_4_2_a_private_attribute_without_its_creator(private: Shelf) -> None:
    problem = assert_problem(private.ask("00091001=VALUE", "instances"), 400)
    assert "creator" in problem["detail"]
    response = private.ask("includefield=00091001", "instances")
    assert len(found_in(response)) == 3
    assert response.headers["warning"].endswith("cannot be included: 00091001")
    assert private.find("00090010=OTHER", "instances", mark=True) != []


def test_4_2_private_attributes_within_sequences(shelf: Shelf) -> None:
    def elements(creator: str) -> Private:
        inner = Dataset()
        inner.add_new(0x00090010, "LO", creator)
        inner.add_new(0x00091001, "LO", "INNER")
        return [(0x00081140, "SQ", [inner])]

    for creator in ("ACME", "OTHER"):
        shelf.put(creator, private=elements(creator))

    query = "00081140.00090020=ACME&00081140.00092001=INNER"
    assert shelf.find(query, "instances") == ["ACME"]
