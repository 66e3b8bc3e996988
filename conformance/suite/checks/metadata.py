"""Retrieve metadata (PS3.18 10.4.1.1.2) and the DICOM JSON Model (Annex F)."""

from conformance.suite.json_model import JsonDataset, datasets_of, value_of, values_of
from conformance.suite.model import Level, check, expect
from conformance.suite.run import DICOM_JSON, Run
from conformance.suite.shelf import Instance


def _metadata(run: Run, item: Instance) -> JsonDataset:
    """The metadata of one instance, asked for once a run."""

    def ask() -> JsonDataset:
        found = datasets_of(run.ok(f"{item.path}/metadata", DICOM_JSON))
        expect(len(found) == 1, "one data set in the array", len(found))
        return found[0]

    found: JsonDataset = run.once(f"metadata {item.uid}", ask)
    return found


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.1, 10.4.1.1.2",
    "JSN-01",
    "The metadata of one instance are an array of one data set",
)
def one_instance(run: Run) -> None:
    [item] = run.stored("colour")
    assert isinstance(_metadata(run, item), dict)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 10.4.1.1.2",
    "WADO-01",
    "The metadata of a study have each of its instances once",
)
def whole_study(run: Run) -> None:
    stored = run.stored("ct")
    found = datasets_of(run.ok(f"{stored[0].study_path}/metadata", DICOM_JSON))
    uids = sorted(str(value_of(dataset, "00080018")) for dataset in found)
    expected = sorted(item.uid for item in stored)
    expect(uids == expected, f"{len(expected)} instances, each once", uids)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.2",
    "JSN-03",
    "No File Meta Information and no group lengths are among the metadata",
)
def no_file_meta(run: Run) -> None:
    [item] = run.stored("values")
    found = [tag for tag in _metadata(run, item) if tag.startswith("0002")]
    expect(not found, "no attribute of group 0002", found)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.5",
    "JSN-06",
    "An empty value among several is null; an empty item is an empty object",
)
def empty_values(run: Run) -> None:
    [item] = run.stored("values")
    dataset = _metadata(run, item)
    kinds = values_of(dataset, "00080008")
    expect(kinds == ["DERIVED", "SECONDARY", None, "OTHER"], "null at its place", kinds)
    items = values_of(dataset, "00082112")
    expect(len(items) == 2 and items[1] == {}, "an empty object for the empty item", items)
    empty = dataset.get("00080090")
    expect(empty == {"vr": "PN"}, "the vr alone for an empty attribute", empty)
    none = dataset.get("00081140")
    expect(none == {"vr": "SQ"}, "the vr alone for a sequence without items", none)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.2, Table F.2.3-1",
    "JSN-02",
    "A person name is an object of its component groups, in UTF-8",
)
def person_names(run: Run) -> None:
    [item] = run.stored("values")
    name = value_of(_metadata(run, item), "00100010")
    wanted = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    expect(name == wanted, str(wanted), name)
