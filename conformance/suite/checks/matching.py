"""Matching (PS3.18 8.3.4.1, PS3.4 C.2.2.2): what each kind of key has to find, and nothing else.

The patients of the suite: -1 has the studies 'ct' (2024-01-31 10:15:30) and 'mixed' (2024-03-05
08:00:00), -2 has 'frames', 'rle', 'colour', 'jpeg' and 'pdf', -3 has 'values'.
"""

from conformance.suite.model import Level, NotOffered, Undecided, check, expect
from conformance.suite.run import Run
from conformance.suite.searching import (
    INSTANCE_UID,
    SERIES_UID,
    STUDY_UID,
    Keys,
    ask,
    finds,
    of_kinds,
    own,
    search,
)

_BOTH = ("ct", "mixed")


def _studies(run: Run, keys: Keys, *kinds: str) -> None:
    run.stored("ct"), run.stored("mixed")
    finds(run, "studies", own(run, *keys, patient="1"), STUDY_UID, of_kinds(run, *kinds)[STUDY_UID])


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.1",
    "QRY-13",
    "A single value finds what is equal to it",
)
def single_value(run: Run) -> None:
    wanted = of_kinds(run, *_BOTH)[STUDY_UID]
    finds(run, "studies", own(run, patient="1"), STUDY_UID, wanted)
    _studies(run, [("AccessionNumber", f"{run.shelf.token}-A")], "ct")
    _studies(run, [("StudyID", "S1")], *_BOTH)
    _studies(run, [("StudyID", "S")])


@check(
    "matching",
    Level.MUST,
    "PS3.18 8.3.4.1",
    "QRY-12",
    "An attribute is named by keyword or by its eight digits",
)
def by_tag(run: Run) -> None:
    wanted = of_kinds(run, *_BOTH)[STUDY_UID]
    finds(run, "studies", [("00100020", f"{run.shelf.token}-1")], STUDY_UID, wanted)


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.2",
    "4.3",
    "A list of UIDs finds each that is in it",
)
def uid_list(run: Run) -> None:
    wanted = of_kinds(run, *_BOTH)[STUDY_UID]
    listed = ",".join([*sorted(wanted), "2.25.1"])
    answer = ask(run, f"studies?StudyInstanceUID={listed}")
    expect(answer.status == 200, "status 200", answer.status)
    finds(run, "studies", [("StudyInstanceUID", listed)], STUDY_UID, wanted)


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.3",
    "QRY-13",
    "A key without a value matches everything",
)
def universal(run: Run) -> None:
    _studies(run, [("AccessionNumber", "")], *_BOTH)
    _studies(run, [("PatientSex", ""), ("StudyDate", "")], *_BOTH)


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.4",
    "4.5",
    "* stands for any characters, ? for just one",
)
def wildcards(run: Run) -> None:
    token = run.shelf.token
    _studies(run, [("AccessionNumber", f"{token}-?")], *_BOTH)
    _studies(run, [("AccessionNumber", f"{token}*B")], "mixed")
    _studies(run, [("AccessionNumber", f"{token}-A?")])
    _studies(run, [("AccessionNumber", f"{token}-A*")], "ct")
    _studies(run, [("AccessionNumber", f"*{token[2:]}-B")], "mixed")


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.4",
    "MAT-04",
    "Wildcards keep upper and lower case apart, but in names",
)
def wildcards_case(run: Run) -> None:
    _studies(run, [("AccessionNumber", f"{run.shelf.token.lower()}-*")])


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.1, C.2.2.2.4",
    "MAT-02",
    "A name is found by its text and by wildcards, in UTF-8",
)
def names(run: Run) -> None:
    token = run.shelf.token
    _studies(run, [("PatientName", f"{token}^Müller")], *_BOTH)
    _studies(run, [("PatientName", f"{token}*")], *_BOTH)
    _studies(run, [("PatientName", f"{token}^M?ller")], *_BOTH)
    _studies(run, [("PatientName", f"{token}^Maier")])


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.5",
    "4.5",
    "Dates match as single values and as ranges, their ends included",
)
def date_ranges(run: Run) -> None:
    for value, kinds in {
        "20240131": ("ct",),
        "20240131-20240305": _BOTH,
        "20240201-": ("mixed",),
        "-20240131": ("ct",),
        "20240201-20240304": (),
        "20230101-20240131": ("ct",),
    }.items():
        _studies(run, [("StudyDate", value)], *kinds)


@check("matching", Level.MUST, "PS3.4 C.2.2.2.5", "4.5", "Times match as ranges")
def time_ranges(run: Run) -> None:
    for value, kinds in {
        "1000-1100": ("ct",),
        "-0900": ("mixed",),
        "101530-": ("ct",),
        "101531-110000": (),
    }.items():
        _studies(run, [("StudyTime", value)], *kinds)


@check(
    "matching",
    Level.MUST,
    "PS3.18 8.3.4.1, PS3.4 C.2.2.2.5",
    "4.5",
    "A range of dates with a range of times is one interval",
)
def combined_date_time(run: Run) -> None:
    _studies(run, [("StudyDate", "20240131-20240305"), ("StudyTime", "1100-0900")], "mixed")
    _studies(run, [("StudyDate", "20240131-20240305"), ("StudyTime", "1000-0700")], "ct")
    _studies(run, [("StudyDate", "20240131-20240305"), ("StudyTime", "1015-0800")], *_BOTH)


@check("matching", Level.MUST, "PS3.4 C.3.4", "4.6", "A modality finds studies that have it")
def modalities_in_study(run: Run) -> None:
    _studies(run, [("ModalitiesInStudy", "CT")], "ct")
    _studies(run, [("ModalitiesInStudy", "SR")], "mixed")
    _studies(run, [("ModalitiesInStudy", "MR")], "mixed")
    _studies(run, [("ModalitiesInStudy", "NM")])


@check(
    "matching",
    Level.MUST,
    "PS3.4 C.2.2.2.6",
    "4.5",
    "A path through a sequence matches within its items",
)
def sequences(run: Run) -> None:
    token, study = run.shelf.token, run.stored("ct")[0].study
    series = {item.dataset.SeriesNumber: item.series for item in run.stored("ct")}
    path = f"studies/{study}/series"
    key = "RequestAttributesSequence.RequestedProcedureID"
    finds(run, path, [(key, f"{token}-RP1")], SERIES_UID, {series[1]})
    finds(run, path, [("00400275.00401001", f"{token}-RP2")], SERIES_UID, {series[2]})
    step = "RequestAttributesSequence.ScheduledProcedureStepID"
    both = [(key, f"{token}-RP1"), (step, f"{token}-SPS2")]
    finds(run, path, both, SERIES_UID, set())


@check("matching", Level.MUST, "PS3.18 10.6.1.2", "4.1", "Series are found by their own keys")
def series_keys(run: Run) -> None:
    study = run.stored("mixed")[0].study
    mr, report = run.stored("mixed")
    path = f"studies/{study}/series"
    finds(run, path, [("Modality", "MR")], SERIES_UID, {mr.series})
    finds(run, path, [("SeriesNumber", "2")], SERIES_UID, {report.series})
    finds(run, path, [("SeriesInstanceUID", report.series)], SERIES_UID, {report.series})


@check("matching", Level.MUST, "PS3.4 C.2.2.2.1", "4.5", "Numbers match as numbers")
def numbers(run: Run) -> None:
    items = run.stored("ct")
    series = [item for item in items if item.series == items[0].series]
    path = f"{items[0].series_path}/instances"
    finds(run, path, [("InstanceNumber", "2")], INSTANCE_UID, {series[1].uid})
    finds(run, path, [("InstanceNumber", "02")], INSTANCE_UID, {series[1].uid})


@check("matching", Level.MUST, "PS3.18 10.6.1.2", "4.1", "Instances are found by their own keys")
def instance_keys(run: Run) -> None:
    mr, report = run.stored("mixed")
    path = f"studies/{mr.study}/instances"
    wanted = str(report.dataset.SOPClassUID)
    finds(run, path, [("SOPClassUID", wanted)], INSTANCE_UID, {report.uid})
    finds(
        run,
        path,
        [("SOPInstanceUID", f"{mr.uid},{report.uid}")],
        INSTANCE_UID,
        {mr.uid, report.uid},
    )
    finds(run, path, [("Modality", "MR")], INSTANCE_UID, {mr.uid})


@check(
    "matching",
    Level.MUST,
    "PS3.18 10.6.1, Table 10.6.1-1",
    "QRY-02",
    "All Series and All Instances are searched by keys of the levels above",
)
def relational(run: Run) -> None:
    wanted = of_kinds(run, *_BOTH)
    finds(run, "series", own(run, patient="1"), SERIES_UID, wanted[SERIES_UID])
    finds(run, "instances", own(run, patient="1"), INSTANCE_UID, wanted[INSTANCE_UID])
    ct = of_kinds(run, "ct")
    keys = own(run, ("StudyDate", "20240131"), ("Modality", "CT"), patient="1")
    finds(run, "instances", keys, INSTANCE_UID, ct[INSTANCE_UID])


@check(
    "matching",
    Level.MUST,
    "PS3.18 8.3.4.1.1",
    "4.2, MAT-03",
    "fuzzymatching=true is done, or a Warning tells that it was not",
)
def fuzzy(run: Run) -> None:
    run.stored("ct")
    keys = own(
        run, ("PatientName", f"{run.shelf.token}^Müller"), ("fuzzymatching", "true"), patient="1"
    )
    answer = ask(run, "studies", keys)
    expect(answer.status == 200, "the literal match at least", answer.status)
    if "fuzzymatching parameter is not supported" in answer.header("Warning"):
        raise NotOffered("fuzzy matching, as a Warning tells")
    first = search(
        run, "studies", own(run, ("PatientName", "muller"), ("fuzzymatching", "true"), patient="1")
    )
    expect(len(first) == 2 or answer.header("Warning"), "both studies, or a Warning", len(first))


@check(
    "matching",
    Level.MAY,
    "PS3.18 8.3.4.1.2",
    "4.5",
    "emptyvaluematching=true finds what has no value",
)
def empty_value(run: Run) -> None:
    run.stored("values")
    keys = [("ReferringPhysicianName", '""'), ("emptyvaluematching", "true")]
    answer = ask(run, "studies", own(run, *keys, patient="3"))
    if "emptyvaluematching parameter is not supported" in answer.header("Warning"):
        raise NotOffered("empty value matching, as a Warning tells")
    finds(
        run, "studies", own(run, *keys, patient="3"), STUDY_UID, of_kinds(run, "values")[STUDY_UID]
    )
    finds(run, "studies", own(run, *keys, patient="1"), STUDY_UID, set())


@check(
    "matching",
    Level.MAY,
    "PS3.18 8.3.4.1.3",
    "4.5",
    "multiplevaluematching=true finds what has all of the values",
)
def multiple_values(run: Run) -> None:
    wanted = of_kinds(run, "mixed")[STUDY_UID]
    keys = [("ModalitiesInStudy", "MR\\SR"), ("multiplevaluematching", "true")]
    answer = ask(run, "studies", own(run, *keys, patient="1"))
    if "multiplevaluematching parameter is not supported" in answer.header("Warning"):
        raise NotOffered("multiple value matching, as a Warning tells")
    finds(run, "studies", own(run, *keys, patient="1"), STUDY_UID, wanted)
    keys[0] = ("ModalitiesInStudy", "CT\\SR")
    finds(run, "studies", own(run, *keys, patient="1"), STUDY_UID, set())


@check(
    "matching",
    Level.MAY,
    "PS3.18 8.3.4.1",
    "4.2",
    "A private attribute is matched with its creator beside it",
)
def private_keys(run: Run) -> None:
    [item] = run.stored("values")
    keys = [("00110010", "SUITE OF CONFORMANCE"), ("00111001", f"{run.shelf.token}-P")]
    answer = ask(run, f"studies/{item.study}/instances", keys)
    if answer.status != 200 or "Warning" in dict(answer.headers):
        raise NotOffered("matching of private attributes")
    finds(run, f"studies/{item.study}/instances", keys, INSTANCE_UID, {item.uid})
    keys[1] = ("00111001", "other")
    if search(run, f"studies/{item.study}/instances", keys):
        raise NotOffered("matching of private attributes, which are ignored")
    finds(run, f"studies/{item.study}/instances", keys, INSTANCE_UID, set())


@check(
    "matching",
    Level.SHOULD,
    "PS3.18 8.3.4.1",
    "trap 48",
    "Parameters that the standard does not know are ignored",
)
def unknown_parameters(run: Run) -> None:
    _studies(run, [("x-suite", "1"), ("_", "17")], *_BOTH)


@check("matching", Level.MUST, "PS3.18 8.3.4, 8.5", "4.2", "Values that are none are refused: 400")
def bad_values(run: Run) -> None:
    if ask(run, "studies", own(run, patient="1")).status not in (200, 204):
        raise Undecided("a search for a patient does not work")
    for keys in (
        [("limit", "-1")],
        [("limit", "many")],
        [("offset", "-5")],
        [("offset", "1.5")],
        [("StudyDate", "yesterday")],
        [("fuzzymatching", "perhaps")],
    ):
        answer = ask(run, "studies", own(run, *keys, patient="1"))
        expect(answer.status == 400, f"status 400 for {keys[0][0]}={keys[0][1]}", answer.status)
