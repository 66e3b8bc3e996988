"""The query string of a search (digest 4.2 to 4.7, QRY-, traps 43 to 49, hostile 49 and 50)."""

import contextlib
from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.attributes import ATTRIBUTES
from dicomweb_server.dicom.matching import matches_dataset
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.query import (
    AsStored,
    Condition,
    DateTimeRange,
    Empty,
    Equal,
    Every,
    Fuzzy,
    Item,
    Level,
    Range,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.search import ParsedSearch, parse_search

PATIENT_NAME, PATIENT_ID, ACCESSION = (0x00100010,), (0x00100020,), (0x00080050,)
STUDY_DATE, STUDY_TIME, MODALITIES = (0x00080020,), (0x00080030,), (0x00080061,)
MODALITY, SERIES_NUMBER, ROWS = (0x00080060,), (0x00200011,), (0x00280010,)
STUDY_UID, SOP_CLASS = (0x0020000D,), (0x00080016,)
PPS_DATE, PPS_TIME = (0x00400244,), (0x00400245,)
REQUESTS, STEP_ID, PROCEDURE_ID = (0x00400275,), (0x00400009,), (0x00401001,)


# Attributes of the standard by their VRs
CODED_LIKE = {
    "AE": "RetrieveAETitle",
    "AS": "PatientAge",
    "AT": "FrameIncrementPointer",
    "CS": "PatientSex",
    "DA": "LastMenstrualDate",
    "DS": "PatientSize",
    "DT": "FrameReferenceDateTime",
    "FD": "ImagingFrequency",
    "LO": "PatientID",
    "LT": "PatientComments",
    "PN": "ReviewerName",
    "SH": "StationName",
    "ST": "InstitutionAddress",
    "TM": "TimeOfLastCalibration",
    "UC": "LongCodeValue",
    "UI": "DeviceUID",
    "UT": "TextValue",
}
VALUES_ASKED = st.sampled_from(
    [
        *("20200101-20200102", "20200101-", "10", "1030-11", "2020", "20200101103000+0100"),
        *("1.2,1.3", "1.2\\1.3", "030Y", "00280010", "0028001a", "007", "1.50", "-3", "Meyer"),
        *("m?ller^*", "A\\B", "A*\\B", "^", '""', "***", "20209999", "99"),
    ]
)


def studies(query_string: str | bytes, **options: int) -> ParsedSearch:
    return parse_search(Level.STUDY, query_string, **options)


def conditions(query_string: str) -> dict[tuple[int, ...], Condition]:
    return dict(studies(query_string).query.conditions)


def test_no_parameters_find_everything_within_the_limit() -> None:
    assert studies("", max_results=70) == ParsedSearch(SearchQuery(Level.STUDY, limit=70))


@pytest.mark.parametrize(
    ("query_string", "path", "condition"),
    [
        # names
        ("PatientID=1", PATIENT_ID, Equal(("1",))),
        ("00100020=1", PATIENT_ID, Equal(("1",))),
        ("0020000d=1.2", STUDY_UID, UidList(("1.2",))),  # QRY-12
        # QRY-13
        ("PatientID=", PATIENT_ID, Universal()),
        ("PatientID", PATIENT_ID, Universal()),
        ("PatientID=*", PATIENT_ID, Universal()),
        ("PatientName=**", PATIENT_NAME, Universal()),
        ("PatientName=%5E%5E", PATIENT_NAME, Universal()),
        ("StudyDate=", STUDY_DATE, Universal()),
        ("StudyDate=*", STUDY_DATE, Universal()),
        ("SeriesNumber=*", SERIES_NUMBER, Universal()),
        ("StudyInstanceUID=*", STUDY_UID, Universal()),
        ("RequestAttributesSequence=", REQUESTS, Universal()),
        ("RequestAttributesSequence.ScheduledProcedureStepID=", REQUESTS, Universal()),
        # decoding
        ("PatientName=M%C3%BCller", PATIENT_NAME, Equal(("Müller",))),
        ("PatientName=DOE+JOHN", PATIENT_NAME, Equal(("DOE JOHN",))),  # QRY-10
        ("PatientName=DOE%2BJOHN", PATIENT_NAME, Equal(("DOE+JOHN",))),
        ("PatientID=a%26b%3Dc%25", PATIENT_ID, Equal(("a&b=c%",))),
        ("PatientID=a=b", PATIENT_ID, Equal(("a=b",))),
        ("PatientID=%201%20", PATIENT_ID, Equal(("1",))),
        ("PatientComments=%201%20", (0x00104000,), Equal((" 1",))),  # PS3.5 §6.2: LT
        # wildcards
        ("PatientName=DOE*", PATIENT_NAME, Wildcard(("DOE*",))),
        ("PatientName=*" + "*" * 900 + "x", PATIENT_NAME, Wildcard(("*x",))),
        ("AccessionNumber=A?1", ACCESSION, Wildcard(("A?1",))),
        ("PatientID=50%25_*", PATIENT_ID, Wildcard(("50%_*",))),
        # UID lists, comma and backslash
        ("StudyInstanceUID=1.2,1.3", STUDY_UID, UidList(("1.2", "1.3"))),
        ("StudyInstanceUID=1.2%2C1.3%5C1.2", STUDY_UID, UidList(("1.2", "1.3"))),
        # digest 4.6
        ("ModalitiesInStudy=CT", MODALITIES, Equal(("CT",))),
        ("ModalitiesInStudy=CT,MR", MODALITIES, Equal(("CT", "MR"))),
        ("ModalitiesInStudy=CT%5CMR", MODALITIES, Equal(("CT", "MR"))),
        ("ModalitiesInStudy=C*,MR", MODALITIES, Wildcard(("C*", "MR"))),
        ("ModalitiesInStudy=CT,*", MODALITIES, Universal()),
        # QRY-02: a series or instance key at a higher level
        ("Modality=CT,MR", MODALITY, Equal(("CT", "MR"))),
        ("SOPClassUID=1.2", SOP_CLASS, UidList(("1.2",))),
        ("StudyInstanceUID=1.2&0020000D=1.3,1.2", STUDY_UID, UidList(("1.2", "1.3"))),
        # numbers
        ("SeriesNumber=007", SERIES_NUMBER, Equal(("7",))),
        ("SeriesNumber=-3", SERIES_NUMBER, Equal(("-3",))),
        ("Rows=512", ROWS, Equal(("512",))),
        # one form (PS3.5 §6.2)
        ("PatientAge=030Y", (0x00101010,), Equal(("030Y",))),
        ("FrameIncrementPointer=0018106a", (0x00280009,), Equal(("0018106A",))),
        # dates and times
        ("StudyDate=20060705", STUDY_DATE, Range("20060705", "20060705")),
        ("StudyDate=2006.07.05", STUDY_DATE, Range("20060705", "20060705")),
        ("StudyDate=20060705-", STUDY_DATE, Range("20060705", None)),
        ("StudyDate=-20060705", STUDY_DATE, Range(None, "20060705")),
        ("StudyDate=20060705-20060707", STUDY_DATE, Range("20060705", "20060707")),
        ("StudyTime=10", STUDY_TIME, Range("100000.000000", "105959.999999")),  # MAT-01
        ("StudyTime=08-10", STUDY_TIME, Range("080000.000000", "105959.999999")),
        ("StudyTime=10:30", STUDY_TIME, Range("103000.000000", "103059.999999")),
        # sequences
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=S*&00400275.00401001=P",
            REQUESTS,
            Item({STEP_ID: Wildcard(("S*",)), PROCEDURE_ID: Equal(("P",))}),
        ),
        (
            "00400275.ScheduledProcedureStepID=S&00400275.00401001=",
            REQUESTS,
            Item({STEP_ID: Equal(("S",))}),
        ),
    ],
)
def test_one_condition(query_string: str, path: tuple[int, ...], condition: Condition) -> None:
    assert conditions(query_string) == {path: condition}
    assert studies(query_string).warnings == ()


@pytest.mark.parametrize(
    "query_string",
    [
        "PatientID=1&PatientID=2",
        "PatientID=1&00100020=1",
        "StudyInstanceUID=1.2&StudyInstanceUID=",
        "StudyInstanceUID=&StudyInstanceUID=1.2",
        "StudyInstanceUID=1.2&StudyInstanceUID=1.x",
        "StudyDescriptionn=x",  # QRY-11
        "PatientId=1",
        "00100099=1",
        "PatientName.PatientID=1",
        "RequestAttributesSequence.Nonsense=1",
        "RequestAttributesSequence.=1",
        "PatientID.%0D%0AX:=1",
        "RequestAttributesSequence=1",
        ".".join(["RequestAttributesSequence"] * 50) + "=1",
        "StudyDate=yesterday",  # QRY-14
        "StudyDate=2006",
        "StudyDate=20061399",
        "StudyDate=00000000",
        "StudyDate=200607*",
        "StudyDate=2006-07-05",
        "StudyDate=-",
        "StudyDate=20060707-20060705",
        "StudyTime=25",
        "StudyTime=1?",
        "StudyTime=18-10",
        "StudyTime=-",
        "SeriesNumber=one",
        "SeriesNumber=1.5",
        "SeriesNumber=1*",
        "SeriesNumber=99999999999",
        "SeriesNumber=1e999",
        "SeriesNumber=1_0",
        "Rows=-1",
        "Rows=65536",
        "StudyInstanceUID=1.2*",
        "StudyInstanceUID=abc",
        "StudyInstanceUID=,",
        "StudyInstanceUID=1.2,../x",
        "ModalitiesInStudy=,",
        "PatientID=%00",
        "%00=1",
        "PatientID=%FF",
        "PatientID=%zz",
        "PatientID=50%",
        "PatientID=" + "x" * 1025,
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=%D9%A1",
        "limit=1&limit=1",
        "offset=-1",
        "offset=1&offset=2",
        "fuzzymatching=yes",
        "fuzzymatching=TRUE",
        "fuzzymatching=",
        "emptyvaluematching=1",
        "multiplevaluematching=true&multiplevaluematching=true",
        "&".join(f"a{n}=1" for n in range(1001)),
        "&" * 10_000,
    ],
)
def test_what_does_not_follow_the_grammar_is_refused(query_string: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        studies(query_string)

    assert len(str(refusal.value)) < 400
    assert str(refusal.value).isprintable()


def test_err_02_other_names_are_ignored() -> None:
    parsed = studies("accept=application/dicom%2Bjson&sort=x&_=1&X-Token=2&a.b=c&=d")

    assert parsed == ParsedSearch(SearchQuery(Level.STUDY, limit=1000))


def test_qry_11_attributes_that_cannot_be_matched_are_named() -> None:
    """Bytes, what is computed, and what is of the file and not of the data set."""
    parsed = studies("PixelData=x&RetrieveURL=y&00020010=z&InstanceAvailability=ONLINE&Rows=1")

    assert set(parsed.query.conditions) == {ROWS}
    assert parsed.warnings == (
        "The following attributes cannot be matched: "
        "PixelData, RetrieveURL, 00020010, InstanceAvailability",
    )


@pytest.mark.parametrize(
    ("value", "condition"),
    [("A", Equal(("A",))), ("A*", Wildcard(("A*",))), ("?", Wildcard(("?",))), ("*", Universal())],
)
def test_private_attributes_have_wildcards(value: str, condition: Condition) -> None:
    assert asked_of_private(value)["LO"] == condition


def asked_of_private(value: str, switch: str = "") -> Mapping[str, Condition]:
    query = studies(f"00090010=ACME&00091001={quote(value)}&{switch}").query

    assert query.conditions.keys() == {(0x00090010,), (0x00091001,)}
    assert query.reading.creators == {0x00091000: "ACME"}
    condition = query.conditions[(0x00091001,)]
    return condition.conditions if isinstance(condition, AsStored) else {"LO": condition}


@pytest.mark.parametrize("vr", sorted(CODED_LIKE))
@given(st.data())
def test_private_attributes_are_asked_for_by_each_vr_as_those_of_the_standard(
    vr: str, data: st.DataObject
) -> None:
    """Where the value satisfies the VR, and that of most of them."""
    keyword = CODED_LIKE[vr]
    value = data.draw(st.one_of(VALUES_ASKED, st.text("0123-.*? \\,ABCZ^", min_size=1)))
    switch = data.draw(st.sampled_from(["", "fuzzymatching=true", "multiplevaluematching=true"]))
    try:
        [public] = conditions(f"{keyword}={quote(value)}&{switch}").values()
        conditions(f"PatientID={quote(value)}&{switch}")
    except InvalidParameter:
        return
    if isinstance(public, Universal) and not value.rstrip(" ").strip("*"):
        return
    assert asked_of_private(value, switch)[vr] == public


def test_private_attributes_of_no_vr_that_a_value_satisfies_are_refused() -> None:
    """As text they would be, too: it is too long, or has wildcards among several values."""
    for value in ("A" * 1025, "A*\\B"):
        with pytest.raises(InvalidParameter):
            asked_of_private(value, "multiplevaluematching=true")
    uids = ",".join(["1." * 30 + "1"] * 30)
    assert asked_of_private(uids) == {"UI": UidList(("1." * 30 + "1",))}


def test_any_attribute_of_the_dictionary_is_a_match_key() -> None:
    parsed = studies("PatientComments=x&RequestAttributesSequence.00400007=z&PixelSpacing=0.50")

    assert parsed.warnings == ()
    assert parsed.query.conditions == {
        (0x00104000,): Equal(("x",)),
        (0x00280030,): Equal(("0.50",)),
        REQUESTS: Item({(0x00400007,): Equal(("z",))}),
    }


def test_qry_15_specific_character_set_is_never_matched() -> None:
    assert studies("SpecificCharacterSet=ISO_IR+192") == studies("")


# Switches (PS3.18 §8.3.4.2 to §8.3.4.4)


@pytest.mark.parametrize(
    ("query_string", "condition"),
    [
        ("PatientName=doe", Equal(("doe",))),
        ("fuzzymatching=false&PatientName=doe", Equal(("doe",))),
        ("fuzzymatching=true&PatientName=doe", Fuzzy(query_tokens("doe"))),
        ("fuzzymatching=true&PatientName=*do%3F*", Fuzzy(query_tokens("*do?*"), "*do?*")),
        ("fuzzymatching=true&PatientName=***", Universal()),
        ("fuzzymatching=true&PatientName=...", Equal(("...",))),  # without a word there is none
        ("emptyvaluematching=true&PatientName=%22%22", Empty()),
        ("emptyvaluematching=false&PatientName=%22%22", Equal(('""',))),
        ("emptyvaluematching=true&PatientName=", Universal()),
        ("multiplevaluematching=true&PatientName=a%5Cb%5C%5Ca", Every(("a", "b"))),
        ("multiplevaluematching=false&PatientName=a%5Cb", Equal(("a\\b",))),
        ("multiplevaluematching=true&PatientName=a", Equal(("a",))),
    ],
)
def test_switches_rule_how_values_are_taken(query_string: str, condition: Condition) -> None:
    assert studies(query_string).warnings == ()
    assert conditions(query_string) == {PATIENT_NAME: condition}


def test_switches_are_for_all_keys_wherever_they_stand() -> None:
    asked = "StudyDate=%22%22&00400275.00400009=%22%22&fuzzymatching=true&emptyvaluematching=true"

    assert conditions(asked) == {STUDY_DATE: Empty(), REQUESTS: Item({STEP_ID: Empty()})}


@pytest.mark.parametrize(
    "query_string",
    [
        "multiplevaluematching=true&PatientName=a*%5Cb",  # no wildcards (§8.3.4.4)
        "multiplevaluematching=true&PatientName=%5C",
        "multiplevaluematching=true&ModalitiesInStudy=CT%5C*",
        "multiplevaluematching=true&PatientAge=030Y%5Cx",
    ],
)
def test_multiple_values_are_whole_values_of_their_vr(query_string: str) -> None:
    with pytest.raises(InvalidParameter):
        studies(query_string)


def test_the_limit_is_at_most_the_servers() -> None:
    assert studies("limit=7&offset=3").query.limit == 7
    assert studies("limit=7&offset=3").query.offset == 3
    assert studies("limit=007").query.limit == 7
    assert studies("limit=0").query.limit == 0
    assert studies("limit=" + "9" * 5000, max_results=50).query.limit == 50
    assert studies("offset=1000000000000").query.offset == 10**12
    assert studies("offset=" + "9" * 5000).query.offset < 2**63


# Combined date-time matching (PS3.4 C.2.2.2.5.3)


@pytest.mark.parametrize(
    ("days", "times", "low", "high"),
    [
        ("20060705-20060707", "1000-1800", "20060705100000.000000", "20060707180059.999999"),
        ("20060705-20060707", "1800-1000", "20060705180000.000000", "20060707100059.999999"),
        ("20060705-", "1000-1800", "20060705100000.000000", None),
        ("-20060707", "1000-1800", None, "20060707180059.999999"),
        ("20060705-20060707", "-18", "20060705000000.000000", "20060707185959.999999"),
    ],
)
def test_two_ranges_are_one_interval(
    days: str, times: str, low: str | None, high: str | None
) -> None:
    assert conditions(f"StudyDate={days}&StudyTime={times}") == {
        STUDY_DATE: DateTimeRange(STUDY_TIME, low, high),
        STUDY_TIME: Universal(),  # to be returned
    }
    pps = f"PerformedProcedureStepStartTime={times}&PerformedProcedureStepStartDate={days}"
    assert conditions(pps) == {
        PPS_DATE: DateTimeRange(PPS_TIME, low, high),
        PPS_TIME: Universal(),
    }


@pytest.mark.parametrize(("days", "times"), [("20060705-", "-1000"), ("-20060707", "1000-")])
def test_ranges_that_are_open_at_opposite_ends_stay_two_conditions(days: str, times: str) -> None:
    """No time has a day that it could be of; to drop it would show others (QRY-02)."""
    found = conditions(f"StudyDate={days}&StudyTime={times}")
    assert found == conditions(f"StudyDate={days}") | conditions(f"StudyTime={times}")
    assert isinstance(found[STUDY_TIME], Range)


def test_a_date_and_a_range_of_times_stay_two_conditions() -> None:
    assert conditions("StudyDate=20060705&StudyTime=10-11") == {
        STUDY_DATE: Range("20060705", "20060705"),
        STUDY_TIME: Range("100000.000000", "115959.999999"),
    }
    assert conditions("StudyDate=*&StudyTime=10-11") == {
        STUDY_DATE: Universal(),
        STUDY_TIME: Range("100000.000000", "115959.999999"),
    }


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("StudyDate=20060705", "20060705000000.000000", "20060705235960.999999"),
        ("StudyDate=20060705-", "20060705000000.000000", None),
        ("StudyDate=20060705&StudyTime=10", "20060705100000.000000", "20060705105959.999999"),
        ("StudyDate=20060705&StudyTime=10-", "20060705100000.000000", "20060705235960.999999"),
        ("StudyDate=20060705&StudyTime=-10", "20060705000000.000000", "20060705105959.999999"),
    ],
)
def test_mat_05_days_of_a_zone_are_intervals(asked: str, low: str, high: str | None) -> None:
    found = conditions(f"{asked}&TimezoneOffsetFromUTC=-0330")

    assert found[STUDY_DATE] == DateTimeRange(STUDY_TIME, low, high, zone=-210)
    assert found.get(STUDY_TIME, Universal()) == Universal()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("StudyDate=20060705-&StudyTime=10-", ""),
        ("StudyTime=10-11", "StudyTime"),
        ("StudyDate=20060705-20060707&StudyTime=10", "StudyDate, StudyTime"),
        ("00400100.00400003=10", "00400100.00400003"),
        ("00400100.00400002=20060705", ""),
        ("AcquisitionDateTime=2006", ""),
        ("StudyTime=&StudyDate=*", ""),
    ],
)
def test_mat_05_what_is_not_converted_is_told_of(asked: str, told: str) -> None:
    """A time without one day may be of the day before or after in another zone."""
    assert studies(asked).warnings == ()
    warnings = studies(f"{asked}&TimezoneOffsetFromUTC=%2B0100").warnings

    assert len(warnings) == bool(told)
    assert all(warning.endswith(f"in whatever time zone: {told}") for warning in warnings)


@pytest.mark.parametrize(
    ("day", "time"),
    [
        ("ReviewDate", "ReviewTime"),
        ("DateOfLastCalibration", "TimeOfLastCalibration"),
        ("PatientBirthDate", "PatientBirthTime"),
        ("ScheduledProcedureStepEndDate", "ScheduledProcedureStepEndTime"),
    ],
)
def test_every_date_that_has_a_time_is_combined_with_it(day: str, time: str) -> None:
    kinds = map(type, conditions(f"{day}=20060101-&{time}=10-").values())

    assert list(kinds) == [DateTimeRange, Universal]


def test_a_combined_interval_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        studies("StudyDate=20060705-20060705&StudyTime=18-10")


# Levels


def test_qry_01_keys_that_the_path_fixes_are_ignored_with_a_warning() -> None:
    parsed = parse_search(
        Level.INSTANCE,
        "StudyDate=20060705&PatientID=1&StudyInstanceUID=1.2&SeriesInstanceUID=9&Modality=CT&Rows=1",
        study_instance_uid="1.2",
        series_instance_uid="1.3",
    )

    assert set(parsed.query.conditions) == {PATIENT_ID, ROWS}
    assert parsed.query.study_instance_uid == "1.2"
    assert parsed.query.series_instance_uid == "1.3"
    [warning] = parsed.warnings
    assert warning.endswith("StudyDate, SeriesInstanceUID, Modality")


def test_a_series_key_under_a_study_is_matched() -> None:
    parsed = parse_search(Level.SERIES, "Modality=CT", study_instance_uid="1.2")

    assert dict(parsed.query.conditions) == {MODALITY: Equal(("CT",))}


def test_qry_20_includefield_takes_attributes_of_the_level_and_above() -> None:
    # OHIF's worklist asks for Modality on /studies
    asked = "includefield=00081030,00080060,PatientComments&includefield=Rows&includefield=00081030"

    study, series = studies(asked), parse_search(Level.SERIES, asked)
    instance = parse_search(Level.INSTANCE, asked)

    assert study.query.include == {(0x00081030,), (0x00104000,)}
    assert series.query.include == study.query.include | {MODALITY}
    assert instance.query.include == series.query.include | {ROWS}
    assert (study.warnings, series.warnings, instance.warnings) == ((), (), ())


def test_qry_21_qry_23_all_and_dotted_includes() -> None:
    query = parse_search(
        Level.SERIES, "includefield=all&includefield=00400275.00400009,StudyDescription"
    ).query

    assert query.include_all
    assert query.include == {(0x00400275, 0x00400009), (0x00081030,)}


def test_includes_of_what_is_no_attribute_are_named_and_never_refused() -> None:
    names = ",".join(["nonsense", "00020002", "\r\nX: é", *(f"{n:08x}" for n in range(5000))])

    parsed = studies("includefield=" + quote(names))

    assert parsed.query.include == frozenset()
    [warning] = parsed.warnings
    assert warning.startswith("The following attributes cannot be included: nonsense, 00020002, ")
    assert warning.endswith(" and others")
    assert warning.isascii()
    assert warning.isprintable()


def test_any_attribute_is_included_in_instances() -> None:
    fields = "includefield=PixelSpacing,00081140.00081155,PatientComments"

    included = {(0x00280030,), (0x00081140, 0x00081155), (0x00104000,)}
    assert parse_search(Level.INSTANCE, fields).query.include == included
    assert studies(fields).query.include == {(0x00104000,)}  # QRY-20


# Properties

names = st.sampled_from(
    [a.keyword for table in ATTRIBUTES.values() for a in table.values()]
    + ["limit", "offset", "includefield", "orderby", "cursor", "x", "00090010", "00091001"]
    + ["00400275.00400009", "00081140.00091001", "PixelSpacing", "PixelData", "00081140.00404005"]
)
switches = st.sampled_from(["fuzzymatching", "emptyvaluematching", "multiplevaluematching"])
values = (
    st.text(max_size=12)
    | st.text(alphabet="0123456789.-+*?,\\:^=", max_size=14)
    | st.sampled_from(['""', "20240105-", "-0500", "2024-2025+0100", "1e9999", "StudyDate", "WyIi"])
)


@given(st.lists(st.tuples(names, values), max_size=4), st.sets(switches), st.sampled_from(Level))
def test_any_values_are_a_query_or_refused(
    pairs: list[tuple[str, str]], on: set[str], level: Level
) -> None:
    pieces = [f"{name}={quote(value)}" for name, value in pairs] + [f"{name}=true" for name in on]
    with contextlib.suppress(InvalidParameter):
        parsed = parse_search(level, "&".join(pieces))

        matches_dataset(parsed.query.conditions, {}, parsed.query.reading)
        for condition in parsed.query.conditions.values():
            if isinstance(condition, Range | DateTimeRange) and condition.low and condition.high:
                assert condition.low <= condition.high


# Bytes that are nearly a query string.
raw = st.one_of(
    st.binary(max_size=6),
    names.map(str.encode),
    values.map(lambda value: value.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"&", b"=", b"%", b"%00", b"%ED%A0%80", b"+", b",", b"true", b"."]),
)


@given(st.lists(raw, max_size=12).map(b"".join) | st.text(), st.sampled_from(Level))
def test_any_query_string_is_a_query_or_refused(query_string: bytes | str, level: Level) -> None:
    with contextlib.suppress(InvalidParameter):
        parse_search(level, query_string)
