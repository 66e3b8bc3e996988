"""Keys of searches, one by one: those that PS3.18 Table 10.6.1-5 requires, and odd ones."""

from conformance.suite.checks.store import made
from conformance.suite.json_model import datasets_of, value_of, values_of
from conformance.suite.making import new_uid
from conformance.suite.model import Level, NotOffered, check, expect, only
from conformance.suite.run import DICOM_JSON, Run, status
from conformance.suite.searching import (
    INSTANCE_UID,
    SERIES_UID,
    STUDY_UID,
    Keys,
    ask,
    finds,
    of_kinds,
    own,
    query,
    search,
    uids,
)

# Attribute, and a value that the instances of the kind 'ct' have; T stands for the run's token.
STUDY_KEYS = {
    "StudyDate": "20240131",
    "StudyTime": "101530",
    "AccessionNumber": "T-A",
    "ModalitiesInStudy": "CT",
    "ReferringPhysicianName": "Conformance^Refers",
    "PatientName": "T^Müller",
    "PatientID": "T-1",
    "StudyInstanceUID": "",
    "StudyID": "S1",
}
SERIES_KEYS = {
    "Modality": "CT",
    "SeriesInstanceUID": "",
    "SeriesNumber": "1",
    "PerformedProcedureStepStartDate": "20240131",
    "PerformedProcedureStepStartTime": "101600",
    "RequestAttributesSequence.ScheduledProcedureStepID": "T-SPS1",
    "RequestAttributesSequence.RequestedProcedureID": "T-RP1",
}
INSTANCE_KEYS = {"SOPClassUID": "", "SOPInstanceUID": "", "InstanceNumber": "1"}

_ELSE = {"StudyDate": "19000101", "StudyTime": "000000", "InstanceNumber": "77"}
_ELSE |= {"PerformedProcedureStepStartDate": "19000101", "SeriesNumber": "77"}
_ELSE |= {"PerformedProcedureStepStartTime": "000000"}


def _each(run: Run, path: str, keys: dict[str, str], tag: str, patient: bool) -> None:
    """Each key finds what has its value, and with another value does not."""
    item = run.stored("ct")[0]
    wanted = {STUDY_UID: item.study, SERIES_UID: item.series, INSTANCE_UID: item.uid}[tag]
    for keyword, text in keys.items():
        value = text.replace("T", run.shelf.token, 1) if text.startswith("T") else text
        value = value or str(item.dataset[keyword].value)
        other = _ELSE.get(keyword, "2.25.17" if keyword.endswith("UID") else "NOTHING")
        more = [("PatientID", f"{run.shelf.token}-1")]
        extra = more if patient and keyword != "PatientID" else []
        found = uids(search(run, path, [*extra, (keyword, value)]), tag)
        expect(wanted in found, f"{keyword}={value} to find it", f"{len(found)} others")
        found = uids(search(run, path, [*extra, (keyword, other)]), tag)
        expect(wanted not in found, f"{keyword}={other} not to find it", "it")


@check(
    "matching",
    Level.MUST,
    "PS3.18 Table 10.6.1-5, PS3.4 C.6.2.1.2",
    "4.3, QRY-01",
    "Every required key of studies is matched",
)
def required_keys_of_studies(run: Run) -> None:
    _each(run, "studies", STUDY_KEYS, STUDY_UID, patient=True)


@check(
    "matching",
    Level.MUST,
    "PS3.18 Table 10.6.1-5, PS3.4 C.6.2.1.3",
    "4.3, QRY-01",
    "Every required key of series is matched",
)
def required_keys_of_series(run: Run) -> None:
    path = f"{run.stored('ct')[0].study_path}/series"
    _each(run, path, SERIES_KEYS, SERIES_UID, patient=False)


@check(
    "matching",
    Level.MUST,
    "PS3.18 Table 10.6.1-5, PS3.4 C.6.2.1.4",
    "4.3, QRY-01",
    "Every required key of instances is matched",
)
def required_keys_of_instances(run: Run) -> None:
    path = f"{run.stored('ct')[0].series_path}/instances"
    _each(run, path, INSTANCE_KEYS, INSTANCE_UID, patient=False)


@check(
    "matching",
    Level.MUST,
    "PS3.18 Table 10.6.1-5, PS3.4 C.2.2.2.4",
    "4.3",
    "Wildcards match in every required key of text",
)
def wildcards_of_required_keys(run: Run) -> None:
    item, token = run.stored("ct")[0], run.shelf.token
    patient = ("PatientID", f"{token}-1")
    for keys in (
        [patient, ("ReferringPhysicianName", "Conform*")],
        [patient, ("StudyID", "S?")],
        [patient, ("ModalitiesInStudy", "C*")],
        [("StudyInstanceUID", item.study), ("PatientID", f"{token}-?")],
    ):
        found = uids(search(run, "studies", keys), STUDY_UID)
        expect(item.study in found, f"the study by {query(keys[-1:])}", f"{len(found)} others")
    path = f"{item.study_path}/series"
    for key in ("ScheduledProcedureStepID", "RequestedProcedureID"):
        keys = [(f"RequestAttributesSequence.{key}", f"{token}-*1")]
        finds(run, path, keys, SERIES_UID, {item.series})


@check(
    "matching",
    Level.MUST,
    "PS3.18 8.3.4, RFC 3986 2.1",
    "QRY-10",
    "Values are percent-encoded UTF-8: spaces, commas, ampersands, plus signs",
)
def encoded_values(run: Run) -> None:
    odd = "A+B, C&D=E #1 [é]"
    item = made(run, StudyDescription=odd, AccessionNumber="A+B")
    status(run.store([item.file]), 200, 202)
    study = ("StudyInstanceUID", item.study)
    finds(run, "studies", [study, ("AccessionNumber", "A+B")], STUDY_UID, {item.study})
    finds(run, "studies", [study, ("AccessionNumber", "A B")], STUDY_UID, set())
    found = search(run, "studies", [study, ("includefield", "StudyDescription")])
    text = value_of(found[0], "00081030") if found else None
    expect(text in (odd, None), "the description as it was stored", text)


@check(
    "matching",
    Level.SHOULD,
    "PS3.18 8.3.4.1, PS3.4 C.2.2.2",
    "QRY-14, 4.5",
    "A wildcard in a date or in a UID is no value: 400",
)
def wildcards_where_none_are(run: Run) -> None:
    for key in (("StudyDate", "2024*"), ("StudyInstanceUID", "1.2.*")):
        answer = ask(run, "studies", own(run, key, patient="1"))
        expect(answer.status == 400, f"status 400 for {key[0]}={key[1]}", answer.status)


@check(
    "matching",
    Level.SHOULD,
    "PS3.4 C.2.2.2",
    "QRY-15",
    "SpecificCharacterSet is no key",
)
def character_set_is_no_key(run: Run) -> None:
    keys = own(run, ("SpecificCharacterSet", "ISO_IR 101"), patient="1")
    finds(run, "studies", keys, STUDY_UID, of_kinds(run, "ct", "mixed")[STUDY_UID])


@check(
    "matching",
    Level.MUST,
    "PS3.18 10.6.3",
    "QRY-03",
    "A search below what is not there finds nothing, or is 404",
)
def unknown_parent(run: Run) -> None:
    for path in (f"studies/{new_uid()}/series", f"studies/{new_uid()}/instances"):
        answer = status(run.get(path, DICOM_JSON), 200, 204, 404, 410)
        if answer.status == 200:
            expect(datasets_of(answer) == [], "no results", "some")


@check(
    "matching",
    Level.MAY,
    "PS3.18 10.6.1",
    "QRY-11",
    "A misspelt attribute is refused or ignored, and never a match",
)
def misspelt(run: Run) -> None:
    run.stored("ct")
    answer = ask(run, "studies", own(run, ("PatientsID", "nobody"), patient="1"))
    if answer.status == 400:
        return
    found = set(uids(datasets_of(status(answer, 200)), STUDY_UID))
    wanted = of_kinds(run, "ct", "mixed")[STUDY_UID]
    expect(found == wanted, "400, or what the other keys find", f"{len(found)} studies")


def _any_or_none(run: Run, keys: Keys, wanted: set[str], what: str) -> None:
    """Raise NotOffered if nothing is found, Deviation if it is not just what is `wanted`."""
    answer = ask(run, "studies", keys)
    if answer.status in (204, 400):
        raise NotOffered(what)
    found = set(uids(datasets_of(status(answer, 200)), STUDY_UID))
    if not found:
        raise NotOffered(what)
    expect(found == wanted, f"{len(wanted)} studies", len(found))


@check(
    "matching",
    Level.MAY,
    "PS3.4 C.2.2.2.1, PS3.5 6.2",
    "MAT-01",
    "A time of less precision is all of its interval",
)
def reduced_precision(run: Run) -> None:
    wanted = of_kinds(run, "ct")[STUDY_UID]
    run.stored("mixed")
    for value in ("10", "1015", "10-10"):
        keys = own(run, ("StudyTime", value), patient="1")
        _any_or_none(run, keys, wanted, "times of less precision")


@check(
    "matching",
    Level.MAY,
    "PS3.4 C.3.4",
    "4.6, trap 45",
    "A list of modalities finds studies that have one of them",
)
def list_of_modalities(run: Run) -> None:
    wanted = of_kinds(run, "ct", "mixed")[STUDY_UID]
    keys = own(run, ("ModalitiesInStudy", "CT,MR"), patient="1")
    _any_or_none(run, keys, wanted, "lists of modalities")


@check(
    "matching",
    Level.MAY,
    "PS3.18 10.6.1.2, PS3.4 C.2.2.2.5",
    "MAT-05",
    "TimezoneOffsetFromUTC says where the dates of a query are meant",
)
def timezone(run: Run) -> None:
    late = {"StudyDate": "20240131", "StudyTime": "233000", "TimezoneOffsetFromUTC": "+0100"}
    item = made(run, **late, PatientID=f"{run.shelf.token}-Z")
    status(run.store([item.file]), 200, 202)
    there = [("StudyDate", "20240131-20240131"), ("TimezoneOffsetFromUTC", "-0500")]
    keys = own(run, *there, ("StudyTime", "1700-1800"), patient="Z")
    _any_or_none(run, keys, {item.study}, "zones of queries")
    finds(
        run, "studies", own(run, *there, ("StudyTime", "2300-2359"), patient="Z"), STUDY_UID, set()
    )


@check(
    "matching",
    Level.MAY,
    "PS3.4 C.2.2.2, PS3.3 C.2.2",
    "MAT-06",
    "One Patient ID of two issuers is of two patients",
)
def issuers(run: Run) -> None:
    name = f"{run.shelf.token}-I"
    items = [made(run, PatientID=name, IssuerOfPatientID=issuer) for issuer in ("ONE", "TWO")]
    status(run.store([item.file for item in items]), 200, 202)
    keys = [("PatientID", name), ("IssuerOfPatientID", "ONE")]
    found = uids(search(run, "studies", keys), STUDY_UID)
    if set(found) == {item.study for item in items}:
        raise NotOffered("IssuerOfPatientID as a key")
    expect(found == [items[0].study], "the study of the one issuer", len(found))


# --- what is returned ----------------------------------------------------------------------------


@check(
    "search",
    Level.SHOULD,
    "PS3.18 10.6.3.3",
    "QRY-25, trap 46",
    "Results name their study and series, also where only fields are asked for",
)
def parents(run: Run) -> None:
    item = run.stored("ct")[0]
    field = ("includefield", "00080060")
    for path, tags in (
        (f"{item.study_path}/series", (STUDY_UID, SERIES_UID)),
        (f"{item.series_path}/instances", (STUDY_UID, SERIES_UID, INSTANCE_UID)),
    ):
        found = search(run, path, [field])
        for tag in tags:
            missing = [one for one in found if not value_of(one, tag)]
            expect(found and not missing, f"{tag} in each result", f"{len(missing)} without")


@check(
    "search",
    Level.MAY,
    "PS3.18 8.3.4.3",
    "QRY-23, trap 47",
    "includefield with a sequence gives all of it, with a path what is at its end",
)
def includefield_of_sequences(run: Run) -> None:
    [item] = run.stored("values")
    path = f"{item.series_path}/instances"
    found = only(search(run, path, [("includefield", "SourceImageSequence")]), "result")
    items = values_of(found, "00082112")
    if not items:
        raise NotOffered("sequences by includefield")
    deep = value_of(value_of(items[0], "0040A170") or {}, "00080104")
    expect(len(items) == 2 and deep == "deep", "both items, with what is in them", items)


@check(
    "search",
    Level.MAY,
    "PS3.18 10.6.3.3, 8.3.4.3",
    "4.2, QRY-23",
    "A private attribute by includefield comes with its creator",
)
def private_includefield(run: Run) -> None:
    [item] = run.stored("values")
    creator, private = ("00110010", "SUITE OF CONFORMANCE"), "00111001"
    answer = ask(run, f"{item.series_path}/instances", [creator, ("includefield", private)])
    if answer.status in (204, 400):
        raise NotOffered("private attributes by includefield")
    found = only(datasets_of(status(answer, 200)), "result")
    if private not in found:
        raise NotOffered("private attributes by includefield")
    value = value_of(found, private)
    expect(value == f"{run.shelf.token}-P", f"{run.shelf.token}-P", value)
    told = value_of(found, creator[0])
    expect(told == creator[1], f"the creator at {creator[0]}", told)


@check("search", Level.MAY, "PS3.18 8.3.4.4", "4.7", "limit=0 finds nothing: 204")
def no_results_wanted(run: Run) -> None:
    run.stored("ct")
    answer = ask(run, "studies", own(run, ("limit", "0"), patient="1"))
    if answer.status == 400:
        raise NotOffered("limit=0")
    status(answer, 200, 204)
    if answer.status == 200:
        expect(datasets_of(answer) == [], "no results", "some")


@check(
    "search",
    Level.MUST,
    "PS3.18 8.3.4.4, 10.6.3",
    "4.7, trap 44, trap 49",
    "Pages are of what all keys find, each once",
)
def pages_of_matches(run: Run) -> None:
    wanted = of_kinds(run, "ct", "mixed")[SERIES_UID]
    seen: list[str] = []
    for offset in range(len(wanted)):
        keys = own(run, ("limit", "1"), ("offset", str(offset)), patient="1")
        seen += uids(search(run, "series", keys), SERIES_UID)
    expect(sorted(seen) == sorted(wanted), f"{len(wanted)} series, one a page", len(set(seen)))


@check(
    "search",
    Level.MAY,
    "PS3.18 Table 10.6.3-5",
    "2.6",
    "Availability and transfer syntaxes, where they are told, are right",
)
def attributes_of_archives(run: Run) -> None:
    [item] = run.stored("rle")
    found = only(search(run, f"{item.series_path}/instances"), "result")
    told = value_of(found, "00080056"), values_of(found, "00083002")
    if told == (None, []):
        raise NotOffered("InstanceAvailability, AvailableTransferSyntaxUID")
    expect(told[0] in (None, "ONLINE"), "ONLINE, since it can be retrieved", told[0])
    expect(not told[1] or item.syntax in told[1], f"{item.syntax} among them", told[1])
