"""Retrieve metadata (PS3.18 10.4.1.1.2) and the DICOM JSON Model (Annex F)."""

from conformance.suite.http import resolve
from conformance.suite.json_model import (
    JsonDataset,
    bulk_uris,
    datasets_of,
    inline,
    value_of,
    values_of,
)
from conformance.suite.making import new_uid
from conformance.suite.model import Deviation, Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import parts_of
from conformance.suite.run import DICOM_JSON, DICOM_XML, OCTETS, Run, multipart, status
from conformance.suite.shelf import Instance
from conformance.suite.xml_model import native


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
    "JSN-01, JSN-04, trap 23, trap 26",
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
    "JSN-06, JSN-05",
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


@check("metadata", Level.MUST, "PS3.18 10.4.1.1.2", "WADO-01", "Metadata of a series are its own")
def whole_series(run: Run) -> None:
    items = run.stored("ct")
    found = datasets_of(run.ok(f"{items[0].series_path}/metadata", DICOM_JSON))
    uids = sorted(str(value_of(dataset, "00080018")) for dataset in found)
    expected = sorted(item.uid for item in items if item.series == items[0].series)
    expect(uids == expected, f"{len(expected)} instances", uids)


@check("metadata", Level.MUST, "PS3.18 10.4.3", "RES-02", "Metadata of what is not there are 404")
def not_found(run: Run) -> None:
    item = run.stored("colour")[0]
    for path in (f"studies/{new_uid()}", f"{item.series_path}/instances/{new_uid()}"):
        answer = run.get(f"{path}/metadata", DICOM_JSON)
        expect(answer.status in (404, 410), "404", answer.status)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 10.4.1.1.2",
    "JSN-11",
    "Every attribute that was stored is among the metadata, with its VR",
)
def every_attribute(run: Run) -> None:
    for kind in ("ct", "values", "pdf"):
        item = run.stored(kind)[0]
        dataset = _metadata(run, item)
        for element in item.dataset:
            key = f"{element.tag:08X}"
            told = dataset.get(key, {}).get("vr")
            wanted = {element.VR, "OB"} if element.VR == "OW" else {element.VR}
            expect(told in wanted, f"{key} with vr {element.VR}", told)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 Table F.2.3-1",
    "2.2",
    "Values of each VR are written as the table says",
)
def values(run: Run) -> None:
    [item] = run.stored("values")
    dataset = _metadata(run, item)
    for tag, wanted in {
        "00101010": ["042Y"],
        "00204000": ["back\\slash, and a line\r\nmore"],
        "00280009": ["00181063"],
        "0008002A": ["20240131101530.500000+0100"],
        "00181271": [0.5, -2.25],
        "00186020": [-7, 8],
        "00189810": [-3],
        "0040E010": ["https://suite.example/a?b=c"],
    }.items():
        expect(values_of(dataset, tag) == wanted, f"{tag} {wanted}", values_of(dataset, tag))
    for tag, number in {"00101030": 71.5, "00082144": 25, "00720083": 2**63}.items():
        got = value_of(dataset, tag)
        expect(got is not None and float(got) == number, f"{tag} {number}", got)
    signed = [int(value) for value in values_of(dataset, "00720082")]
    expect(signed == [-(2**60), 5], "00720082 to the last digit", signed)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.6, F.2.7",
    "JSN-10, JSN-12",
    "Binary values are inline or at their URI, whole",
)
def binary_values(run: Run) -> None:
    [item] = run.stored("values")
    dataset = _metadata(run, item)
    wanted = bytes(range(256)) * 8
    attribute = dataset.get("00282000", {})
    if "InlineBinary" in attribute:
        expect(inline(attribute) == wanted, "the bytes of the profile", "others")
        return
    expect("BulkDataURI" in attribute, "InlineBinary or BulkDataURI", attribute)
    uri = resolve(run.server.url(f"{item.path}/metadata"), attribute["BulkDataURI"])
    part = only(parts_of(run.ok(uri, multipart(OCTETS)), OCTETS), "part")
    expect(part.body == wanted, "the bytes of the profile", f"{len(part.body)} others")


@check(
    "metadata",
    Level.MUST,
    "PS3.18 F.2.2",
    "JSN-15",
    "Private attributes are there with their creator, where they were",
)
def private_attributes(run: Run) -> None:
    [item] = run.stored("values")
    dataset = _metadata(run, item)
    creator, value = value_of(dataset, "00110010"), value_of(dataset, "00111001")
    expect(creator == "SUITE OF CONFORMANCE", "the creator at 00110010", creator)
    expect(value == f"{run.shelf.token}-P", "the value at 00111001", value)


@check("metadata", Level.MUST, "PS3.18 F.2, RFC 8259 8.1", "JSN-30, trap 22", "Text is UTF-8")
def character_set(run: Run) -> None:
    [item] = run.stored("latin")
    dataset = _metadata(run, item)
    text = value_of(dataset, "00081030")
    expect(text == "Genève, été", "the text in UTF-8", text)


@check(
    "metadata", Level.SHOULD, "PS3.18 F.2", "JSN-31, trap 22", "The character set told is UTF-8's"
)
def told_character_set(run: Run) -> None:
    [item] = run.stored("latin")
    told = values_of(_metadata(run, item), "00080005")
    expect(told in (["ISO_IR 192"], []), "SpecificCharacterSet ISO_IR 192, or none", told)


@check(
    "metadata",
    Level.MUST,
    "RFC 8259 6",
    "JSN-20, trap 20, JSN-21",
    "NaN and infinity never break JSON",
)
def unfinite_numbers(run: Run) -> None:
    [item] = run.stored("unfinite")
    dataset = _metadata(run, item)
    expect("00189073" in dataset, "the attribute with NaN", sorted(dataset)[-5:])


@check(
    "metadata",
    Level.MUST,
    "PS3.18 Table 8.7.3-3, PS3.19 A.1",
    "2.7",
    "Metadata as the Native DICOM Model, a part for each instance",
)
def as_xml(run: Run) -> None:
    items = run.stored("ct")
    answer = run.ok(f"{items[0].study_path}/metadata", multipart(DICOM_XML))
    found = [native(part.body) for part in parts_of(answer, DICOM_XML)]
    uids = sorted(value_of(dataset, "00080018") for dataset in found)
    expect(uids == sorted(item.uid for item in items), "each instance once", uids)
    names = {str(value_of(dataset, "00100010")) for dataset in found}
    wanted = str({"Alphabetic": f"{run.shelf.token}^Müller"})
    expect(names == {wanted}, wanted, names)


@check(
    "metadata",
    Level.SHOULD,
    "PS3.18 10.4.1.1.2",
    "2.7",
    "JSON and XML have the same attributes",
)
def json_and_xml(run: Run) -> None:
    [item] = run.stored("values")
    part = only(parts_of(run.ok(f"{item.path}/metadata", multipart(DICOM_XML)), DICOM_XML), "part")
    try:
        found = native(part.body)
    except Deviation as deviation:
        raise Undecided(f"the XML is none ({deviation}): see metadata.as-xml") from None
    in_xml = {key.split()[0] for key in found if int(key[:4], 16) % 2 == 0}
    in_json = {tag for tag in _metadata(run, item) if int(tag[:4], 16) % 2 == 0}
    differing = sorted(in_xml ^ in_json)
    expect(not differing, "the same attributes", f"{differing} in one of them only")


@check(
    "metadata",
    Level.SHOULD,
    "PS3.18 F.2.6",
    "BLK-01, trap 31",
    "A BulkDataURI is absolute, or resolves",
)
def absolute_uris(run: Run) -> None:
    item = run.stored("ct")[0]
    found = dict(bulk_uris(_metadata(run, item)))
    if not found:
        raise NotOffered("bulk data by URI: all is inline")
    for uri in found.values():
        url = resolve(run.server.url(f"{item.path}/metadata"), uri)
        expect(url.startswith(("http://", "https://")), "a URL of HTTP", url)
        host = url.split("/")[2]
        expect(host and "localhost.localdomain" not in host, "a host that can be reached", host)
        status(run.get(url, f"{multipart(OCTETS)}, */*;q=0.1"), 200)


@check(
    "metadata",
    Level.MUST,
    "PS3.18 8.7.8",
    "NEG-04, trap 11, trap 12",
    "*/* gives JSON, without parameters",
)
def default_type(run: Run) -> None:
    item = run.stored("colour")[0]
    kind = run.ok(f"{item.path}/metadata", "*/*").header("Content-Type")
    expect(kind == DICOM_JSON, DICOM_JSON, kind)


@check("metadata", Level.MUST, "PS3.18 8.7.5", "NEG-02", "406 for a type that metadata do not have")
def not_acceptable(run: Run) -> None:
    item = run.stored("colour")[0]
    status(run.get(f"{item.path}/metadata", "image/png"), 406)


@check("metadata", Level.MAY, "RFC 9110 8.4.1", "CCH-04", "Metadata in gzip for who accepts it")
def coded(run: Run) -> None:
    items = run.stored("ct")
    path = f"{items[0].study_path}/metadata"
    answer = run.ok(path, DICOM_JSON, ("Accept-Encoding", "gzip"))
    if not answer.header("Content-Encoding"):
        raise NotOffered("content codings")
    expect(len(datasets_of(answer)) == len(items), f"{len(items)} data sets", "others")
    vary = answer.header("Vary").lower()
    expect("accept-encoding" in vary, "Vary: Accept-Encoding (CCH-02)", vary)
    plain = run.ok(path, DICOM_JSON, ("Accept-Encoding", "identity"))
    expect(not plain.header("Content-Encoding"), "none for identity", "one")


@check("metadata", Level.MAY, "RFC 9110 13.1.2", "CCH-01", "Metadata have a validator: 304")
def not_modified(run: Run) -> None:
    path = f"{run.stored('ct')[0].study_path}/metadata"
    tag = run.ok(path, DICOM_JSON).header("ETag")
    if not tag:
        raise NotOffered("ETag of metadata")
    again = run.get(path, DICOM_JSON, ("If-None-Match", tag))
    expect(again.status == 304 and not again.body, "304 without a body", again.status)
