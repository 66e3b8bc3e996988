"""How values are matched, through HTTP: digest 4.5 row by row, and MAT-01."""

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from tests.web.asking import assert_problem, found_in
from tests.web.shelf import Shelf


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


# ------------------------------------------------------------------------------ 4.5 single value


def test_4_5_single_value(shelf: Shelf) -> None:
    """Columns, documents and metadata tell the same of padding, case and several values."""
    shelf.put("one", AccessionNumber="A1 ", StationName="A1 ", PulseSequenceName="A1 ")
    shelf.put("two", AccessionNumber="a1", StationName="a1", PulseSequenceName="a1")
    shelf.put("many", SoftwareVersions=["V1", "V2"], PixelAspectRatio=["1", "2"])

    for key in ("AccessionNumber", "StationName", "PulseSequenceName"):
        assert shelf.find(f"{key}=A1") == shelf.find(f"{key}=A1++") == ["one"]  # MAT-04
        assert shelf.find(f"{key}=A") == []
    assert shelf.find("SoftwareVersions=V2") == ["many"]
    assert shelf.find("PixelAspectRatio=2") == ["many"]


def test_4_5_spaces_before_a_value_mean_nothing_but_in_free_text(shelf: Shelf) -> None:
    """PS3.5 §6.2, in columns, documents, metadata and items: AE, CS, LO and SH."""
    request = item(ScheduledProcedureStepID=" X4", ScheduledStationAETitle=" X4")
    texts = ("PatientID", "AccessionNumber", "StudyID", "PatientSex", "IssuerOfPatientID")
    more = ("Modality", "StationName", "SeriesDescription", "PulseSequenceName")
    shelf.put(
        "it",
        **dict.fromkeys((*texts, *more, "StationAETitle"), "  X4"),
        ImageType=["ORIGINAL", " X4"],
        ImageComments=" X4",
        RequestAttributesSequence=[request],
    )
    dotted = [f"RequestAttributesSequence.{each.keyword}" for each in request]

    for key in (*texts, *more, "StationAETitle", "ImageType", "ModalitiesInStudy", *dotted):
        for value in ("X4", "%20X4", "X*", "%20X?"):
            assert shelf.find(f"{key}={value}", "instances") == ["it"], f"{key}={value}"
    [study] = shelf.ask().json()
    assert study["00080061"]["Value"] == ["X4"]
    assert study["00100020"]["Value"] == ["  X4"]  # JSN-08: what is returned is as it was stored
    for value, found in (("X4", []), ("%20X4", ["it"]), ("X*", []), ("%20X*", ["it"])):
        assert shelf.find(f"ImageComments={value}", "instances") == found, value


@pytest.mark.parametrize(
    ("keyword", "stored", "same", "other"),
    [
        ("SliceThickness", "1.50", ["1.5", "1.500", "15e-1", "%2B1.5"], ["1.51", "15"]),
        ("PatientWeight", "70", ["70", "70.0", "7e1"], ["7"]),
        ("SeriesNumber", "007", ["7", "007"], ["70"]),
        ("BitsStored", 12, ["12", "012"], ["2"]),
        ("EchoTime", "1e-1", ["0.1", ".1"], ["1"]),
        ("ExposureTimeInms", 0.1, ["0.1", "0.10"], ["0.2"]),  # FD
        ("RecommendedDisplayFrameRateInFloat", 0.1, ["0.1"], ["0.2"]),  # FL: of single precision
        ("SimpleFrameList", [3, 4], ["4"], ["5"]),  # UL
    ],
)
def test_4_5_numbers_are_equal_as_numbers(
    shelf: Shelf, keyword: str, stored: object, same: list[str], other: list[str]
) -> None:
    shelf.put("it", **{keyword: stored})

    for value in same:
        assert shelf.find(f"{keyword}={value}", "instances") == ["it"], value
    for value in other:
        assert shelf.find(f"{keyword}={value}", "instances") == [], value


@pytest.mark.parametrize(
    ("key", "signed", "unsigned"),
    [
        ("PixelPaddingValue", "-2000", "63536"),
        ("SmallestImagePixelValue", "-5", "65531"),
        ("ContentSequence.00280106", "-5", "65531"),
    ],
)
def test_qry_14_numbers_of_either_sign_where_the_pixels_tell_the_vr(
    shelf: Shelf, key: str, signed: str, unsigned: str
) -> None:
    """PS3.6: these are US or SS, by Pixel Representation."""
    tag = tag_for_keyword(key) or 0x00280106
    for label, vr, value in (("signed", "SS", signed), ("unsigned", "US", unsigned)):
        if "." in key:
            within = Dataset()
            within.add_new(tag, vr, int(value))
            shelf.put(label, ContentSequence=[within])
        else:
            shelf.put(label, private=[(tag, vr, int(value))])

    assert shelf.find(f"{key}={signed}", "instances") == ["signed"]
    assert shelf.find(f"{key}={unsigned}", "instances") == ["unsigned"]
    for beyond in ("-32769", "65536", "1.5"):
        assert_problem(shelf.ask(f"{key}={beyond}", "instances"), 400)


def test_4_5_ages_and_tags(shelf: Shelf) -> None:
    shelf.put("it", PatientAge="030Y", FrameIncrementPointer=[0x00181063, 0x0018106A])

    assert shelf.find("PatientAge=030Y") == ["it"]
    assert shelf.find("PatientAge=031Y") == []
    assert shelf.find("FrameIncrementPointer=0018106a") == ["it"]
    assert shelf.find("FrameIncrementPointer=00181064") == []


# ------------------------------------------------------------- 4.5 universal, wildcard, and never


@pytest.mark.parametrize("value", ["", "*", "**"])
@pytest.mark.parametrize("key", ["AccessionNumber", "StationName", "PulseSequenceName", "Rows"])
def test_4_5_universal_finds_what_lacks_the_attribute_too(
    shelf: Shelf, key: str, value: str
) -> None:
    shelf.put("with", AccessionNumber="A", StationName="A", PulseSequenceName="A", Rows=2)
    shelf.put("without")

    assert sorted(shelf.find(f"{key}={value}", "instances")) == ["with", "without"]


KEYS = ["AccessionNumber", "StudyID", "StationName", "SmokingStatus", "AdditionalPatientHistory"]
KEYS += ["InstitutionAddress", "PulseSequenceName", "DerivationDescription", "LongCodeValue"]
KEYS += ["TextValue", "StrainCodeSequence.CodeValue"]


@pytest.mark.parametrize("key", KEYS)
def test_4_5_wildcards(shelf: Shelf, key: str) -> None:
    """SH, LO, CS, LT, ST, UC and UT; in columns, documents and metadata."""
    for label, value in {"one": "AXC", "two": "AXXC", "low": "axc", "odd": "A%_C"}.items():
        sequence, _, inner = key.rpartition(".")
        shelf.put(label, **({sequence: [item(**{inner: value})]} if sequence else {key: value}))
    shelf.put("none")

    def find(pattern: str) -> set[str]:
        return set(shelf.find(f"{key}={pattern}"))

    assert find("A*C") == {"one", "two", "odd"}
    assert find("A?C") == {"one"}
    assert find("A??C") == {"two", "odd"}
    assert find("?*") == {"one", "two", "low", "odd"}
    assert find("A%25*") == find("*_C") == {"odd"}  # nothing else means anything
    assert find("AX*C*") == {"one", "two"}  # a star may stand for nothing
    assert find("a*") == {"low"}  # MAT-04
    assert find("[A]*") == find("A.C*") == find("A\\*") == set()


@pytest.mark.parametrize(
    "query",
    [
        *("StudyDate=2024*", "StudyTime=10*", "AcquisitionDateTime=2024*", "SeriesNumber=1*"),
        *("PatientWeight=7?", "StudyInstanceUID=1.2.*", "PatientAge=03?Y", "Rows=?"),
        *("FrameIncrementPointer=0018*", "SOPClassUID=1.*", "ExposureTimeInms=1*"),
    ],
)
def test_4_5_never_a_wildcard(shelf: Shelf, query: str) -> None:
    assert_problem(shelf.ask(query), 400)


# ---------------------------------------------------------------------------- 4.5 ranges, MAT-01

DAYS = {"old": "20231231", "new": "20240101", "dot": "2024.01.15", "end": "20240131"}


@pytest.mark.parametrize(
    "key", ["StudyDate", "LastMenstrualDate", "AcquisitionDate", "ReviewDate", "PatientBirthDate"]
)
def test_4_5_ranges_of_dates(shelf: Shelf, key: str) -> None:
    for label, day in {**DAYS, "bad": "20240199", "empty": None}.items():
        shelf.put(label, **{key: day})

    def find(value: str) -> str:
        return " ".join(sorted(shelf.find(f"{key}={value}")))

    assert find("20240101-20240131") == find("2024.01.01-20240131") == "dot end new"
    assert find("20240101-") == "dot end new"
    assert find("-20240101") == "new old"
    assert find("20240115") == "dot"
    assert find("20240116-20240116") == ""
    for wrong in ("-", "20240131-20240101", "20240101-20240102-20240103"):
        assert_problem(shelf.ask(f"{key}={wrong}"), 400)


@pytest.mark.parametrize("key", ["StudyTime", "SeriesTime", "AcquisitionTime", "ReviewTime"])
def test_mat_01_times_of_reduced_precision(shelf: Shelf, key: str) -> None:
    times = {"ten": "10", "half": "10:30:00", "last": "105959.999999", "next": "110000", "no": ""}
    for label, time in times.items():
        shelf.put(label, **{key: time})

    def find(value: str) -> str:
        return " ".join(sorted(shelf.find(f"{key}={value}")))

    assert find("10") == "half last ten"  # the hour
    assert find("0900-10") == "half last ten"  # the end is all of it
    assert find("10-11") == "half last next ten"
    assert find("1030") == find("103000") == find("103000.0") == "half"
    assert find("1030-") == "half last next"
    assert find("-1029") == "ten"
    assert_problem(shelf.ask(f"{key}=2300-0100"), 400)  # never across midnight


def test_4_5_mat_01_date_times_and_their_offsets(shelf: Shelf) -> None:
    moments = {
        "utc": "20240105120000",  # no zone is told: the archive's, here UTC
        "east": "20240105120000+0200",
        "west": "20240105120000-0500",
        "day": "20240105",
        "year": "2024",
    }
    for label, moment in moments.items():
        shelf.put(label, AcquisitionDateTime=moment, FrameReferenceDateTime=moment)

    for key in ("AcquisitionDateTime", "FrameReferenceDateTime"):

        def find(value: str, key: str = key) -> str:
            return " ".join(sorted(shelf.find(f"{key}={value}", "instances")))

        assert find("20240105120000") == find("20240105140000%2B0200") == "utc"
        assert find("202401051000") == find("20240105120000+0200") == "east"
        assert find("20240105") == "day east utc west"
        assert find("2024") == "day east utc west year"
        assert find("2024-2024") == "day east utc west year"
        assert find("20240105110000-20240105120000") == "utc"
        assert find("20240105110000-0000-20240105120000-0000") == "utc"
        assert find("20240105120000-0500-") == "west"
        assert find("-20240105") == "day east utc west year"
        assert find("-2023") == ""
    for wrong in ("20240105-20240104", "20240105120000%2B1500", "20240105-1300", "-", "noon"):
        assert_problem(shelf.ask(f"AcquisitionDateTime={wrong}", "instances"), 400)


def test_mat_05_a_date_time_without_an_offset_is_found_as_it_is_stored(shelf: Shelf) -> None:
    """Where neither it nor the query names a zone both are meant in that of the data set."""
    zones = {"west": "-0500", "east": "+0100", "none": None}
    for label, zone in zones.items():
        moment = "20200101233000"
        keys = {"AcquisitionDateTime": moment, "FrameReferenceDateTime": moment}
        steps = [item(ScheduledProcedureStepStartDateTime=moment)]
        shelf.put(label, TimezoneOffsetFromUTC=zone, ScheduledProcedureStepSequence=steps, **keys)
    shelf.put("own", TimezoneOffsetFromUTC="-0500", AcquisitionDateTime="20200101233000+0000")

    def find(value: str, key: str = "AcquisitionDateTime") -> str:
        return " ".join(sorted(shelf.find(f"{key}={value}", "instances")))

    step = "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDateTime"
    for key in ("FrameReferenceDateTime", step):
        for value in ("20200101233000", "20200101", "202001012330-20200101", "20200101-"):
            assert find(value, key) == "east none west", key
        assert find("20200102", key) == find("-20191231", key) == find("20200102-", key) == ""
    assert find("20200101233000") == "east none own west"  # of "own" in the archive's zone
    assert find("20200102043000%2B0000") == "west"
    assert find("20200101233000-0500") == find("20200101233000&TimezoneOffsetFromUTC=-0500")
    assert find("20200101233000-0500") == "west"
    assert find("20200102-") == ""
    # An end with an offset is a moment, the other one the time of day there.
    assert find("20200101233000-20200102000000%2B0000") == "east none own"


PAIRS = {
    "StudyDate": "StudyTime",
    "SeriesDate": "SeriesTime",
    "AcquisitionDate": "AcquisitionTime",
    "ContentDate": "ContentTime",
    "PatientBirthDate": "PatientBirthTime",
    "PerformedProcedureStepStartDate": "PerformedProcedureStepStartTime",
    "InstanceCreationDate": "InstanceCreationTime",
}


@pytest.mark.parametrize("day", PAIRS)
def test_4_5_combined_date_and_time_are_one_interval(shelf: Shelf, day: str) -> None:
    """2006-07-05 10:00 to 2006-07-07 18:00, and not from ten to six on each day."""
    time = PAIRS[day]
    for label, (date, moment) in {
        "before": ("20060705", "095959"),
        "first": ("20060705", "1000"),
        "night": ("20060706", "0300"),
        "none": ("20060706", None),
        "last": ("20060707", "1800"),
        "after": ("20060707", "1801"),
    }.items():
        shelf.put(label, **{day: date, time: moment})

    both = f"{day}=20060705-20060707&{time}=1000-1800"
    assert sorted(shelf.find(both, "instances")) == ["first", "last", "night", "none"]
    assert sorted(shelf.find(f"{day}=20060705-&{time}=1801-", "instances")) == [
        "after", "last", "night", "none",
    ]  # fmt: skip
    apart = f"{day}=20060705&{time}=0900-1030"
    assert sorted(shelf.find(apart, "instances")) == ["before", "first"]
    result = found_in(shelf.ask(both, "instances"))[0]
    assert {"00080020", "00080030"} <= set(result)


# ------------------------------------------------------------------------- 4.5 UIDs and sequences


@pytest.mark.parametrize("key", ["FrameOfReferenceUID", "DeviceUID", "SpecimenUID"])
def test_4_5_lists_of_uids(shelf: Shelf, key: str) -> None:
    for number in (1, 2, 3):
        shelf.put(str(number), **{key: f"1.2.{number}"})

    assert sorted(shelf.find(f"{key}=1.2.1,1.2.3", "instances")) == ["1", "3"]
    assert sorted(shelf.find(f"{key}=1.2.1%5C1.2.3,1.2.4", "instances")) == ["1", "3"]
    assert shelf.find(f"{key}=1.2", "instances") == []


SEQUENCES = {
    "RequestAttributesSequence": ("ScheduledProcedureStepID", "RequestedProcedureID"),  # columns
    "ProcedureCodeSequence": ("CodeValue", "CodingSchemeDesignator"),  # a document
    "SpecimenDescriptionSequence": ("SpecimenIdentifier", "ContainerIdentifier"),  # metadata
}


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_4_5_all_keys_of_a_sequence_are_met_by_one_item(shelf: Shelf, sequence: str) -> None:
    first, second = SEQUENCES[sequence]
    pairs = (("A", "X"), ("B", "Y"))
    shelf.put("two", **{sequence: [item(**{first: a, second: b}) for a, b in pairs]})
    shelf.put("none", **{sequence: []})

    def find(a: str, b: str) -> list[str]:
        return shelf.find(f"{sequence}.{first}={a}&{sequence}.{second}={b}")

    assert find("A", "X") == find("B", "Y") == find("B*", "?") == ["two"]
    assert find("A", "Y") == find("B", "X") == []
    assert find("A", "") == ["two"]
    assert sorted(find("", "*")) == ["none", "two"]  # universal, sequence or none


def test_4_5_sequences_within_sequences_are_of_one_item_too(shelf: Shelf) -> None:
    code = {"a": item(CodeValue="A", CodeMeaning="X"), "b": item(CodeValue="B", CodeMeaning="Y")}
    shelf.put(
        "it",
        AcquisitionContextSequence=[
            item(ValueType="CODE", ConceptNameCodeSequence=[code["a"], code["b"]]),
            item(ValueType="TEXT", ConceptNameCodeSequence=[code["b"]]),
        ],
    )
    context, name = "00400555", "0040A043"

    def find(kind: str, value: str, meaning: str) -> list[str]:
        deeper = f"{context}.{name}"
        query = f"{context}.0040A040={kind}&{deeper}.CodeValue={value}&{deeper}.00080104={meaning}"
        return shelf.find(query, "instances")

    assert find("CODE", "A", "X") == find("TEXT", "B", "Y") == find("CODE", "B", "Y") == ["it"]
    assert find("CODE", "A", "Y") == find("TEXT", "A", "X") == []


def test_4_5_date_times_in_items_are_of_the_data_sets_zone(shelf: Shelf) -> None:
    for zone in ("+0200", "-0500"):
        step = item(ScheduledProcedureStepStartDateTime="20240105120000")
        shelf.put(zone, TimezoneOffsetFromUTC=zone, ScheduledProcedureStepSequence=[step])

    key = "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDateTime"
    assert sorted(shelf.find(f"{key}=20240105120000", "instances")) == ["+0200", "-0500"]
    assert shelf.find(f"{key}=20240105100000%2B0000", "instances") == ["+0200"]
    assert shelf.find(f"{key}=20240105120000-0500", "instances") == ["-0500"]


@pytest.mark.parametrize("resource", ["studies", "series", "instances"])
def test_qry_26_a_sequence_without_items_is_returned_as_such(shelf: Shelf, resource: str) -> None:
    shelf.put("it", RequestAttributesSequence=[])

    query = "includefield=RequestAttributesSequence"
    for [result] in (found_in(shelf.ask(each, resource)) for each in (query, "")):
        assert result.get("00400275", {"vr": "SQ"}) == {"vr": "SQ"}
    assert "00400275" in result or resource == "studies"


# ------------------------------------------------------------------- 4.5 empty and multiple values


@pytest.mark.parametrize(
    "key",
    [
        *("AccessionNumber", "ReferringPhysicianName", "StudyDate", "StudyTime", "SeriesNumber"),
        *("StationName", "PatientAge", "PatientWeight", "ImageComments", "PulseSequenceName"),
        *("LongCodeValue", "FrameReferenceDateTime", "Rows", "DeviceUID"),
    ],
)
def test_4_5_empty_value_matching(shelf: Shelf, key: str) -> None:
    dated = {"StudyDate": "20240105", "StudyTime": "10", "FrameReferenceDateTime": "2024"}
    numbers = dict.fromkeys(("SeriesNumber", "PatientWeight"), "1") | {"PatientAge": "030Y"}
    full = {**dated, **numbers, "Rows": 1, "DeviceUID": "1.2"}.get(key, "A")
    shelf.put("full", **{key: full})
    shelf.put("empty", **{key: None})
    shelf.put("absent")
    blank = isinstance(full, str) and key != "DeviceUID"
    if blank:
        shelf.put("blank", **{key: "  "})

    found = shelf.find(f"emptyvaluematching=true&{key}=%22%22", "instances")
    assert sorted(found) == ["absent", *["blank"] * blank, "empty"]


def test_4_5_empty_value_matching_of_sequences_and_what_is_counted(shelf: Shelf) -> None:
    shelf.put("full", ProcedureCodeSequence=[item(CodeValue="A", CodeMeaning=None)])
    shelf.put("empty", ProcedureCodeSequence=[])

    def find(key: str) -> list[str]:
        return shelf.find(f"emptyvaluematching=true&{key}=%22%22")

    assert find("ProcedureCodeSequence") == ["empty"]
    assert find("ProcedureCodeSequence.CodeMeaning") == ["full"]  # of an item that is there
    assert find("ProcedureCodeSequence.CodeValue") == []
    for counted in ("NumberOfStudyRelatedInstances", "SOPClassesInStudy", "StudyInstanceUID"):
        assert find(counted) == []
    assert shelf.find("AccessionNumber=%22%22") == []  # without the switch it is a value


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("SoftwareVersions", ["V1", "V2", "V3"]),  # LO, of a document
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]),  # CS
        ("OtherPatientNames", ["DOE^J", "ROE^J", "POE^J"]),  # PN
        ("RetrieveAETitle", ["ONE", "TWO", "THREE"]),  # AE, of the metadata
        ("FrameIncrementPointer", ["00181063", "00181064", "00181065"]),  # AT
    ],
)
def test_4_5_multiple_value_matching(shelf: Shelf, key: str, values: list[str]) -> None:
    stored = [int(value, 16) for value in values] if key == "FrameIncrementPointer" else values
    shelf.put("all", **{key: stored})
    shelf.put("one", **{key: stored[0]})
    a, b, c = values

    def find(*asked: str) -> list[str]:
        query = f"multiplevaluematching=true&{key}={'%5C'.join(asked)}"
        return sorted(shelf.find(query, "instances"))

    assert find(a) == ["all", "one"]
    assert find(a, b) == find(c, a) == find(a, a, b) == ["all"]  # in any order
    assert find(a, b, "00000000") == []
    assert_problem(shelf.ask(f"multiplevaluematching=true&{key}={a}%5C*", "instances"), 400)
