"""Attribute matching in Python (PS3.4 C.2.2.2, digest 4.5)."""

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.matching import (
    matches,
    matches_dataset,
    matches_query,
    normal_number,
    wildcard_matches,
)
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Equal,
    Every,
    Item,
    Level,
    Range,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.wire.match_keys import Key, Switches, conditions_of

STUDY_DATE, STUDY_TIME, MODALITY = 0x00080020, 0x00080030, 0x00080060
REQUESTS, STEP_ID, PROCEDURE_ID = 0x00400275, 0x00400009, 0x00401001


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def name(text: str, ideographic: str = "", phonetic: str = "") -> dict[str, Any]:
    parts = {"Alphabetic": text, "Ideographic": ideographic, "Phonetic": phonetic}
    return attribute("PN", {key: part for key, part in parts.items() if part})


@given(st.text(max_size=20))
def test_any_text_is_a_finite_number_or_none(text: str) -> None:
    number = normal_number(text)
    assert number is None or number.is_finite()


EMPTY = {"vr": "LO"}


@pytest.mark.parametrize(
    ("condition", "value", "vr", "found"),
    [
        # C.2.2.2.1 single value
        (Equal(("A1",)), attribute("LO", "A1"), "LO", True),
        (Equal(("A1",)), attribute("LO", "A1  "), "LO", True),
        (Equal(("A1  ",)), attribute("LO", "A1"), "LO", True),
        (Equal(("a1",)), attribute("LO", "A1"), "LO", False),  # MAT-04
        # PS3.5 §6.2: where spaces at the beginning mean nothing, and where they do
        *(
            (asked, attribute(vr, "B", " A1"), vr, True)
            for vr in ("AE", "CS", "LO", "SH")
            for asked in (Equal(("A1",)), Equal((" A1",)), Wildcard(("A?",)), Every(("A1", "B")))
        ),
        *(
            (asked, attribute(vr, " A1"), vr, found)
            for vr in ("LT", "ST", "UC", "UT")
            for asked, found in (
                (Equal(("A1",)), False),
                (Equal((" A1",)), True),
                (Wildcard(("A*",)), False),
                (Wildcard((" A*",)), True),
            )
        ),
        (Equal(("A1",)), attribute("LO", "A 1"), "LO", False),
        (Equal(("B",)), attribute("CS", "A", "B"), "CS", True),
        (Equal(("A", "B")), attribute("CS", "B"), "CS", True),
        (Equal(("A",)), attribute("CS", None), "CS", False),
        (Equal(("A",)), EMPTY, "LO", False),
        (Equal(("A",)), None, "LO", False),
        (Equal(("1",)), attribute("IS", 1), "IS", True),
        (Equal(("1",)), attribute("IS", "01 "), "IS", True),
        (Equal(("1.0",)), attribute("DS", "1e0"), "DS", True),
        (Equal(("9007199254740993",)), attribute("UV", "9007199254740992"), "UV", False),
        (Equal(("0.1",)), attribute("FL", 0.10000000149011612), "FL", True),
        (Equal(("0.10000000149011612",)), attribute("FL", 0.10000000149011612), "FL", True),
        (Equal(("0.10001",)), attribute("FL", 0.10000000149011612), "FL", False),
        (Equal(("1e39",)), attribute("FL", 0.1), "FL", False),
        (Equal(("0.1",)), attribute("FD", 0.10000000149011612), "FD", False),
        (Equal(("1",)), attribute("IS", "one"), "IS", False),
        (Equal(("one",)), attribute("IS", "one"), "IS", False),
        (Equal(("20060705",)), attribute("DA", "2006.07.05"), "DA", True),
        # C.2.2.2.3 universal
        (Universal(), None, "LO", True),
        (Universal(), EMPTY, "LO", True),
        # C.2.2.2.4 wild card
        (Wildcard(("CT*",)), attribute("LO", "CT HEAD"), "LO", True),
        (Wildcard(("ct*",)), attribute("LO", "CT HEAD"), "LO", False),
        (Wildcard(("C?",)), attribute("LO", "CT"), "LO", True),
        (Wildcard(("C?",)), attribute("LO", "C"), "LO", False),
        (Wildcard(("*",)), None, "LO", True),
        (Wildcard(("?*",)), EMPTY, "LO", False),
        (Wildcard(("X*", "*T")), attribute("CS", "MR", "CT"), "CS", True),
        (Wildcard(("50%*",)), attribute("LO", "50% dose"), "LO", True),
        (Wildcard(("5_*",)), attribute("LO", "50"), "LO", False),
        # C.2.2.2.5 range
        (Range("20060101", "20061231"), attribute("DA", "2006.12.31"), "DA", True),
        (Range("20060101", None), attribute("DA", "20051231"), "DA", False),
        (Range(None, "20060101"), attribute("DA", "20060101"), "DA", True),
        (Range(None, "20060101"), EMPTY, "DA", False),
        (Range("000000.000000", "105959.999999"), attribute("TM", "10"), "TM", True),
        (Range("100000.000000", "105959.999999"), attribute("TM", "10:59:59.9"), "TM", True),
        (Range("100000.000000", "105959.999999"), attribute("TM", "noon"), "TM", False),
        # C.2.2.2.2 list of UID
        (UidList(("1.2", "1.3")), attribute("UI", "1.3"), "UI", True),
        (UidList(("1.2", "1.3")), attribute("UI", "1.3\0"), "UI", True),
        (UidList(("1.2",)), attribute("UI", "1.20"), "UI", False),
        # MAT-02 person names
        (Equal(("doe^john",)), name("DOE^JOHN"), "PN", True),
        (Equal(("DOE",)), name("DOE^JOHN"), "PN", False),
        (Equal(("MULLER",)), name("Müller"), "PN", True),
        (Equal(("山田^太郎",)), name("Yamada^Tarou", "山田^太郎"), "PN", True),
        (Equal(("=山田^太郎",)), name("Yamada^Tarou", "山田^太郎"), "PN", True),
        (Equal(("山田^太郎=",)), name("Yamada^Tarou", "山田^太郎"), "PN", False),
        (Equal(("Yamada^Tarou=山田^次郎",)), name("Yamada^Tarou", "山田^太郎"), "PN", False),
        (Wildcard(("yama*",)), name("Yamada^Tarou"), "PN", True),
        (Wildcard(("*=*太*",)), name("Yamada^Tarou", "山田^太郎"), "PN", True),
        (Wildcard(("m?ller*",)), name("Müller^Jörg"), "PN", True),
        (Wildcard(("Doe^*",)), name("Doe"), "PN", True),
        (Wildcard(("Doe^*",)), name("Doe^"), "PN", True),
        (Wildcard(("Doe^*",)), name("Doer"), "PN", False),
        (Wildcard(("doe^john^*",)), name("DOE^JOHN^^^"), "PN", True),
        (Wildcard(("doe^john^*",)), name("DOE^JOHNNY"), "PN", False),
        (Wildcard(("doe^*^^*",)), name("DOE"), "PN", True),
        (Wildcard(("*^*",)), name("DOE"), "PN", True),
        (Wildcard(("^*",)), name("DOE"), "PN", False),
        (Wildcard(("=*",)), name("DOE"), "PN", True),
        (Wildcard(("=*",)), name("^"), "PN", False),  # has no group
        (Wildcard(("doe^*=山田^*",)), name("DOE", "山田"), "PN", True),
        (Wildcard(("doe^*=山^*",)), name("DOE", "山田"), "PN", False),
    ],
)
def test_conditions_on_one_attribute(
    condition: Condition, value: dict[str, Any] | None, vr: str, found: bool
) -> None:
    assert matches(condition, value, vr) is found


@given(st.text("ab*?", max_size=12), st.text("ab\n", max_size=12))
def test_wildcards_mean_what_fnmatch_means(pattern: str, text: str) -> None:
    assert wildcard_matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    "pattern", ["*" * 5000, "*a" * 500 + "*b", "?*" * 500 + "b", "a*" * 500 + "?b"]
)
def test_wildcards_never_backtrack_without_bound(pattern: str) -> None:
    assert wildcard_matches(pattern, "a" * 2000) is (not pattern.strip("*"))


def item(step: str, procedure: str) -> dict[str, Any]:
    return {"00400009": attribute("SH", step), "00401001": attribute("SH", procedure)}


def test_sequence_keys_must_match_within_one_item() -> None:
    dataset = {"00400275": attribute("SQ", item("S1", "P1"), item("S2", "P2"))}
    same = Item({(STEP_ID,): Equal(("S2",)), (PROCEDURE_ID,): Wildcard(("P2*",))})
    across = Item({(STEP_ID,): Equal(("S1",)), (PROCEDURE_ID,): Equal(("P2",))})

    assert matches(same, dataset["00400275"], "SQ")
    assert not matches(across, dataset["00400275"], "SQ")
    assert matches_dataset({(REQUESTS, STEP_ID): Equal(("S1",))}, dataset)
    assert not matches(same, None, "SQ")


@pytest.mark.parametrize(
    ("asked", "stored", "zone", "found"),
    [
        ("20200101233000", "20200101233000", -300, True),
        ("20200101233000", "20200101233000+0100", -300, True),  # the archive's: +0100
        ("20200101233000", "20200101233000-0500", -300, False),
        ("20200101233000-0500", "20200101233000", -300, True),
        ("20200101233000-0500", "20200101233000", 0, False),
        ("20200102-", "20200101233000", -300, False),
        ("-20200101", "20200101233000", -300, True),
        ("20200101233000-20200102043000+0000", "20200101233000", -300, True),
        ("20200101233000-20200102043000+0000", "20200101233000", -360, False),
        ("99991231", "99991231", -720, True),
        ("0001", "0001", 840, True),
    ],
)
def test_mat_05_date_times_without_an_offset_are_compared_where_they_stand(
    asked: str, stored: str, zone: int, found: bool
) -> None:
    key = Key("DateTime", (0x0040A120,), "DT", asked)
    condition = conditions_of({key.path: key}, Switches(local_zone=60))[key.path]

    assert matches(condition, attribute("DT", stored), "DT", zone) is found


def test_mat_05_items_are_of_the_zone_of_what_they_stand_in() -> None:
    start = {"00404005": attribute("DT", "20240105120000")}
    dataset = {"00080201": attribute("SH", "+0200"), "00400100": attribute("SQ", start)}
    ten = Range("20240105100000.000000", "20240105100000.999999")

    assert matches_dataset({(0x00400100,): Item({(0x00404005,): ten})}, dataset)
    assert matches_dataset({(0x00400100, 0x00404005): ten}, dataset)
    start["00080201"] = attribute("SH", "+0000")  # its own goes first
    assert not matches_dataset({(0x00400100, 0x00404005): ten}, dataset)


@pytest.mark.parametrize(
    ("day", "time", "found"),
    [
        ("20060705", "0959", False),
        ("20060705", "1000", True),
        ("20060706", "0300", True),
        ("20060706", None, True),
        ("20060707", "1800", True),
        ("20060707", "1900", False),
        ("junk", "1200", False),
    ],
)
def test_a_combined_range_is_one_interval(day: str, time: str | None, found: bool) -> None:
    dataset = {"00080020": attribute("DA", day)}
    if time is not None:
        dataset["00080030"] = attribute("TM", time)
    condition = DateTimeRange((STUDY_TIME,), "20060705100000.000000", "20060707180059.999999")

    assert matches_dataset({(STUDY_DATE,): condition}, dataset) is found


def test_of_several_dates_and_times_any_pair_is_in_a_combined_range() -> None:
    condition = DateTimeRange((0x00181201,), "20060705100000.000000", "20060707180059.999999")
    days, times = attribute("DA", "20050101", "20060706"), attribute("TM", "10", "03")

    assert matches_dataset({(0x00181200,): condition}, {"00181200": days, "00181201": times})
    days = attribute("DA", "20060705", "20050101")
    times = attribute("TM", "09", "11")
    assert not matches_dataset({(0x00181200,): condition}, {"00181200": days, "00181201": times})


def test_a_combined_range_needs_its_date() -> None:
    condition = DateTimeRange((STUDY_TIME,), None, "20060707180059.999999")

    assert not matches_dataset({(STUDY_DATE,): condition}, {"00080030": attribute("TM", "10")})


def series(modality: str, number: int) -> dict[Level, dict[str, dict[str, Any]]]:
    return {
        Level.SERIES: {"00080060": attribute("CS", modality), "00200011": attribute("IS", number)}
    }


def test_qry_02_series_keys_on_studies_ask_for_one_series_that_meets_them_all() -> None:
    study = {Level.STUDY: {"00100020": attribute("LO", "P1")}}
    below = [series("CT", 1), series("MR", 2)]

    def found(modality: str, number: str) -> bool:
        conditions: dict[tuple[int, ...], Condition] = {
            (0x00100020,): Equal(("P1",)),
            (MODALITY,): Equal((modality,)),
            (0x00200011,): Equal((number,)),
        }
        return matches_query(SearchQuery(Level.STUDY, conditions), study, below)

    assert found("CT", "1")
    assert not found("CT", "2")


def test_a_universal_key_of_a_lower_level_finds_an_entity_with_nothing_below() -> None:
    query = SearchQuery(Level.STUDY, {(MODALITY,): Universal()})

    assert matches_query(query, {Level.STUDY: {}})


def test_the_path_of_the_resource_limits_what_is_found() -> None:
    entity = {Level.STUDY: {"0020000D": attribute("UI", "1.2")}, **series("CT", 1)}

    assert matches_query(SearchQuery(Level.SERIES, study_instance_uid="1.2"), entity)
    assert not matches_query(SearchQuery(Level.SERIES, study_instance_uid="1.3"), entity)


def test_a_universal_item_matches_with_and_without_a_sequence():
    """C.2.2.2.6: an item whose keys are all universal is universal matching."""
    condition = Item({(0x00400009,): Universal()})
    assert matches(condition, None, "SQ")
    assert matches(condition, {"vr": "SQ"}, "SQ")
