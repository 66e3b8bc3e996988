"""Search transactions (PS3.18 10.6): what is returned, at which level, in which pages and forms."""

import re

from defusedxml import ElementTree

from conformance.suite.http import resolve
from conformance.suite.json_model import JsonDataset, datasets_of, value_of, values_of
from conformance.suite.model import Deviation, Level, NotOffered, check, expect
from conformance.suite.multipart import parts_of
from conformance.suite.run import DICOM_JSON, DICOM_XML, Run, multipart, status
from conformance.suite.searching import (
    INSTANCE_UID,
    SERIES_UID,
    STUDY_UID,
    Keys,
    ask,
    of_kinds,
    own,
    query,
    search,
    uids,
)

_STUDY_REQUIRED = [
    *("00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020"),
    *("00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
]
_SERIES_REQUIRED = ["00080060", "00081190", "0020000E", "00200011", "00201209"]
_INSTANCE_REQUIRED = ["00080016", "00080018", "00200013"]


def _one(run: Run, path: str, keys: Keys, tag: str, uid: str) -> JsonDataset:
    found = {value_of(dataset, tag): dataset for dataset in search(run, path, keys)}
    if uid not in found:
        raise Deviation(f"a result with {tag} {uid}", f"{len(found)} others")
    return found[uid]


def _study(run: Run, kind: str, *keys: tuple[str, str]) -> JsonDataset:
    uid = run.stored(kind)[0].study
    return _one(run, "studies", [("StudyInstanceUID", uid), *keys], STUDY_UID, uid)


def _has(dataset: JsonDataset, tags: list[str]) -> None:
    missing = [tag for tag in tags if tag not in dataset]
    expect(not missing, f"attributes {tags}, empty where unknown", f"without {missing}")


@check("search", Level.MUST, "PS3.18 Table 10.6.3-3", "4.4", "What is returned of a study")
def study_attributes(run: Run) -> None:
    dataset = _study(run, "ct")
    _has(dataset, _STUDY_REQUIRED)
    for tag, wanted in {
        "00080020": "20240131",
        "00080050": f"{run.shelf.token}-A",
        "00100020": f"{run.shelf.token}-1",
        "00200010": "S1",
    }.items():
        expect(value_of(dataset, tag) == wanted, f"{tag} {wanted}", value_of(dataset, tag))


@check("search", Level.MUST, "PS3.18 Table 10.6.3-3", "QRY-26", "Unknown values are there, empty")
def unknown_values(run: Run) -> None:
    dataset = _study(run, "values")
    _has(dataset, ["00080090"])
    expect(not values_of(dataset, "00080090"), "no value", values_of(dataset, "00080090"))


@check("search", Level.MUST, "PS3.4 C.3.4", "4.6", "Counts and modalities of a study are its own")
def study_counts(run: Run) -> None:
    ct, mixed = _study(run, "ct"), _study(run, "mixed")
    for dataset, series, instances in ((ct, 2, 5), (mixed, 2, 2)):
        numbers = [int(value_of(dataset, tag) or 0) for tag in ("00201206", "00201208")]
        expect(numbers == [series, instances], f"{series} series, {instances} instances", numbers)
    expect(values_of(ct, "00080061") == ["CT"], "ModalitiesInStudy CT", values_of(ct, "00080061"))
    both = sorted(values_of(mixed, "00080061"))
    expect(both == ["MR", "SR"], "ModalitiesInStudy MR and SR", both)


@check("search", Level.MUST, "PS3.18 Table 10.6.3-4", "4.4", "What is returned of a series")
def series_attributes(run: Run) -> None:
    item = run.stored("ct")[0]
    dataset = _one(run, f"studies/{item.study}/series", [], SERIES_UID, item.series)
    _has(dataset, _SERIES_REQUIRED)
    number = int(value_of(dataset, "00201209") or 0)
    expect(number == 3, "NumberOfSeriesRelatedInstances 3", number)
    request = value_of(dataset, "00400275")
    expect(isinstance(request, dict), "RequestAttributesSequence, which is known", request)
    _has(request, ["00400009", "00401001"])


@check("search", Level.MUST, "PS3.18 Table 10.6.3-5", "4.4", "What is returned of an instance")
def instance_attributes(run: Run) -> None:
    item = run.stored("ct")[0]
    dataset = _one(run, f"{item.series_path}/instances", [], INSTANCE_UID, item.uid)
    _has(dataset, [*_INSTANCE_REQUIRED, "00280010", "00280011", "00280100"])
    size = [value_of(dataset, tag) for tag in ("00280010", "00280011", "00280100")]
    expect(size == [16, 24, 16], "16 rows, 24 columns, 16 bits", size)
    [frames] = run.stored("frames")
    several = _one(run, f"{frames.series_path}/instances", [], INSTANCE_UID, frames.uid)
    expect(
        int(value_of(several, "00280008") or 0) == 4, "NumberOfFrames 4", several.get("00280008")
    )


@check(
    "search",
    Level.MUST,
    "PS3.18 10.6.3.3",
    "4.1",
    "Results of All Series and All Instances have the attributes of the levels above",
)
def parent_attributes(run: Run) -> None:
    item = run.stored("ct")[0]
    of_series = _one(run, "series", [("SeriesInstanceUID", item.series)], SERIES_UID, item.series)
    _has(of_series, [*_SERIES_REQUIRED, "0020000D", "00080020", "00100020"])
    keys = [("SOPInstanceUID", item.uid)]
    of_instance = _one(run, "instances", keys, INSTANCE_UID, item.uid)
    _has(of_instance, [*_INSTANCE_REQUIRED, "0020000D", "0020000E", "00080060", "00100020"])


@check(
    "search",
    Level.MUST,
    "PS3.18 10.6.3.3",
    "QRY-24",
    "RetrieveURL leads to what was found",
)
def retrieve_url(run: Run) -> None:
    item = run.stored("ct")[0]
    keys = [("StudyInstanceUID", item.study)]
    for path, tag, uid in (
        ("studies", STUDY_UID, item.study),
        (f"studies/{item.study}/series", SERIES_UID, item.series),
        (f"{item.series_path}/instances", INSTANCE_UID, item.uid),
    ):
        dataset = _one(run, path, keys if path == "studies" else [], tag, uid)
        url = value_of(dataset, "00081190")
        expect(isinstance(url, str) and uid in url, f"a RetrieveURL with {uid}", url)
        answer = run.get(resolve(run.server.url(path), url) + "/metadata", DICOM_JSON)
        status(answer, 200)


@check(
    "search",
    Level.MUST,
    "PS3.18 8.3.4.3",
    "QRY-20",
    "includefield adds attributes, by keyword, by tag, in lists and repeated",
)
def includefield(run: Run) -> None:
    for keys in (
        [("includefield", "StudyDescription")],
        [("includefield", "00081030")],
        [("includefield", "PatientSex"), ("includefield", "StudyDescription")],
    ):
        dataset = _study(run, "ct", *keys)
        value = value_of(dataset, "00081030")
        expect(value == "Suite of conformance", f"StudyDescription by {query(keys)}", value)
    item = run.stored("ct")[0]
    answer = ask(run, f"studies?StudyInstanceUID={item.study}&includefield=00081030,00080060")
    expect(
        answer.status == 200,
        "200 for a list, with a field of another level (trap 48)",
        answer.status,
    )


@check(
    "search",
    Level.MUST,
    "PS3.18 10.6.3.3",
    "QRY-20",
    "Attributes of the levels below are not returned, also if includefield names them",
)
def levels_below(run: Run) -> None:
    dataset = _study(run, "ct", ("includefield", "Modality"), ("includefield", "InstanceNumber"))
    below = [tag for tag in ("00080060", "00200013") if tag in dataset]
    expect(not below, "attributes of the study alone", f"{below} too")


@check("search", Level.MUST, "PS3.18 8.3.4.3", "QRY-21", "includefield=all is understood")
def includefield_all(run: Run) -> None:
    _has(_study(run, "ct", ("includefield", "all")), _STUDY_REQUIRED)


@check(
    "search",
    Level.MUST,
    "PS3.18 10.6.3.3",
    "QRY-22",
    "A match key comes back with the stored value, not with the key's",
)
def matched_values(run: Run) -> None:
    dataset = _study(run, "ct", ("PatientID", f"{run.shelf.token}-*"), ("StudyDescription", "*"))
    value = value_of(dataset, "00100020")
    expect(value == f"{run.shelf.token}-1", f"{run.shelf.token}-1", value)
    expect("00081030" in dataset, "StudyDescription, which was a key", sorted(dataset))


@check(
    "search", Level.MUST, "PS3.18 8.3.4.4", "trap 43", "204 without a body where nothing matches"
)
def nothing_found(run: Run) -> None:
    answer = ask(run, "studies", own(run, patient="nobody"))
    expect(answer.status == 204, "status 204", answer.status)
    expect(not answer.body, "no body", len(answer.body))


@check(
    "search",
    Level.MUST,
    "PS3.18 8.3.4.4",
    "4.7, trap 44",
    "limit and offset give pages without gaps",
)
def pages(run: Run) -> None:
    wanted = of_kinds(run, "ct", "mixed")[INSTANCE_UID]
    seen: list[str] = []
    for offset in range(0, len(wanted), 3):
        keys = own(run, ("limit", "3"), ("offset", str(offset)), patient="1")
        found = uids(search(run, "instances", keys), INSTANCE_UID)
        expect(
            len(found) == min(3, len(wanted) - offset), "full pages", f"{len(found)} at {offset}"
        )
        seen += found
    expect(set(seen) == wanted, "all instances on the pages together", f"{len(set(seen))}")
    beyond = ask(run, "instances", own(run, ("offset", str(len(wanted))), patient="1"))
    if beyond.status != 204:
        expect(datasets_of(status(beyond, 200)) == [], "nothing beyond the end", "results")


@check(
    "search",
    Level.MUST,
    "PS3.18 8.3.4.4",
    "4.7, trap 55",
    "A Warning tells how many results remain",
)
def remaining(run: Run) -> None:
    run.stored("ct"), run.stored("mixed")
    answer = status(ask(run, "instances", own(run, ("limit", "3"), patient="1")), 200)
    told = re.search(r"There are (\d+) additional results", answer.header("Warning"))
    if told is None:
        raise Deviation("Warning: 299 … There are 4 additional results …", answer.header("Warning"))
    expect(int(told[1]) == 4, "4 additional results", told[1])
    whole = status(ask(run, "instances", own(run, patient="1")), 200)
    expect("additional" not in whole.header("Warning"), "none with all", whole.header("Warning"))


@check("search", Level.MUST, "PS3.18 8.3.4.4", "4.7", "The same request gives the same order")
def stable_order(run: Run) -> None:
    of_kinds(run, "ct", "mixed")
    first = uids(search(run, "instances", own(run, patient="1")), INSTANCE_UID)
    again = uids(search(run, "instances", own(run, patient="1")), INSTANCE_UID)
    expect(first == again, "the same order twice", "another")


@check(
    "search", Level.MUST, "PS3.18 Table 10.6.4-1", "1.4", "Results as multipart Native DICOM Model"
)
def as_xml(run: Run) -> None:
    uid = run.stored("ct")[0].study
    answer = status(ask(run, "studies", [("StudyInstanceUID", uid)], multipart(DICOM_XML)), 200)
    parts = parts_of(answer, DICOM_XML)
    expect(len(parts) == 1, "one part for the one study", len(parts))
    try:
        root = ElementTree.fromstring(parts[0].body)
    except ElementTree.ParseError as error:
        raise Deviation("a part that is XML", str(error)) from None
    expect(root.tag.endswith("NativeDicomModel"), "NativeDicomModel as root", root.tag)
    found = [
        "".join(attribute.itertext()).strip()
        for attribute in root
        if attribute.get("tag") == STUDY_UID
    ]
    expect(found == [uid], f"the StudyInstanceUID {uid}", found)


@check(
    "search",
    Level.MUST,
    "PS3.18 8.7.8",
    "NEG-04, trap 24",
    "*/* gives application/dicom+json, without parameters",
)
def default_type(run: Run) -> None:
    uid = run.stored("ct")[0].study
    answer = status(ask(run, "studies", [("StudyInstanceUID", uid)], "*/*"), 200)
    kind = answer.header("Content-Type")
    expect(kind == DICOM_JSON, f"Content-Type: {DICOM_JSON} (trap 24)", kind)


@check("search", Level.MUST, "PS3.18 8.7.5", "NEG-02", "406 for a type that searches do not have")
def not_acceptable(run: Run) -> None:
    uid = run.stored("ct")[0].study
    answer = ask(run, "studies", [("StudyInstanceUID", uid)], "image/png")
    expect(answer.status == 406, "status 406", answer.status)


@check(
    "search",
    Level.SHOULD,
    "PS3.18 8.7.8",
    "NEG-09, trap 3",
    "Lists that viewers send are understood",
)
def lists_of_viewers(run: Run) -> None:
    uid = run.stored("ct")[0].study
    mixed = (
        "application/dicom+json, multipart/related; type=application/octet-stream; "
        "transfer-syntax=*"
    )
    for accept in (mixed, "application/json", "application/dicom+json;q=0.9, */*;q=0.1"):
        answer = status(ask(run, "studies", [("StudyInstanceUID", uid)], accept), 200)
        kind = answer.content_type.name
        expect(kind == DICOM_JSON, f"{DICOM_JSON} for {accept}", kind)


@check(
    "search", Level.SHOULD, "RFC 9110 9.3.2", "RES-06", "HEAD has the headers of GET and no body"
)
def head(run: Run) -> None:
    uid = run.stored("ct")[0].study
    path = f"studies?StudyInstanceUID={uid}"
    answer = run.server.send("HEAD", path, [("Accept", DICOM_JSON)])
    if answer.status in (405, 501):
        raise NotOffered("HEAD of searches")
    expect(answer.status == 200, "status 200", answer.status)
    expect(answer.content_type.name == DICOM_JSON, DICOM_JSON, answer.header("Content-Type"))
