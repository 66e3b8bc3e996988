"""Retrieve instances (PS3.18 10.4.1.1.1): study, series, instance; what is in the parts."""

from pydicom.uid import RLELossless

from conformance.suite.http import resolve
from conformance.suite.making import new_uid
from conformance.suite.model import Deviation, Level, NotOffered, check, expect
from conformance.suite.multipart import Part, parts_of
from conformance.suite.retrieving import ANY, ELE, instances, read, same_values, syntax_of
from conformance.suite.run import DICOM, OCTETS, Run, multipart, status
from conformance.suite.shelf import Instance

_OF_VIDEO = "1.2.840.10008.1.2.4.100"  # MPEG2, in which nobody encodes a still image


def _of_one(run: Run, item: Instance, syntax: str | None = None) -> Part:
    _, parts = instances(run, item.path, syntax)
    expect(len(parts) == 1, "one part for an instance", len(parts))
    return parts[0]


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 10.4.1.1.1",
    "1.9",
    "A study comes as multipart/related, each instance once",
)
def study(run: Run) -> None:
    _all_of(run, run.stored("ct")[0].study_path, run.stored("ct"))


@check("retrieve", Level.MUST, "PS3.18 10.4.1.1.1", "1.9", "A series has just its instances")
def series(run: Run) -> None:
    items = run.stored("ct")
    wanted = [item for item in items if item.series == items[0].series]
    _all_of(run, items[0].series_path, wanted)


def _all_of(run: Run, path: str, wanted: list[Instance]) -> None:
    _, parts = instances(run, path)
    got = sorted(str(read(part.body).SOPInstanceUID) for part in parts)
    expect(got == sorted(item.uid for item in wanted), f"{len(wanted)} instances", got)


@check("retrieve", Level.MUST, "PS3.18 10.4.1.1.1", "RES-02", "An instance is what was stored")
def instance(run: Run) -> None:
    item = run.stored("ct")[0]
    same_values(read(_of_one(run, item).body), item)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 10.5.3",
    "STOW-18",
    "Private, empty, nested and binary attributes come back as they were stored",
)
def unusual_values(run: Run) -> None:
    [item] = run.stored("values")
    same_values(read(_of_one(run, item).body), item)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.3.5.2",
    "TS-02, trap 5",
    "Without a transfer syntax, compressed instances come in Explicit VR Little Endian",
)
def default_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    dataset = read(_of_one(run, item).body)
    expect(syntax_of(dataset) == ELE, f"transfer syntax {ELE}", syntax_of(dataset))
    size = item.dataset.Rows * item.dataset.Columns * 3
    expect(len(dataset.PixelData) == size, f"{size} bytes of pixels", len(dataset.PixelData))
    expect((dataset.pixel_array == item.dataset.pixel_array).all(), "the same pixels", "others")
    same_values(dataset, item, but=("PixelData",))


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.3.5.2",
    "TS-03",
    "transfer-syntax=* gives what is stored, or Explicit VR Little Endian",
)
def any_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    parts = parts_of(run.ok(item.path, multipart(DICOM, ANY)), DICOM)
    syntax = syntax_of(read(parts[0].body))
    expect(syntax in (ELE, RLELossless), f"{RLELossless} or {ELE}", syntax)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.3.5.2",
    "TS-09, trap 9",
    "The transfer syntax that a part names is that of its file, never *",
)
def named_syntax(run: Run) -> None:
    [item] = run.stored("rle")
    for wanted in (None, ANY):
        part = _of_one(run, item, wanted)
        named = part.content_type.parameters.get("transfer-syntax")
        real = syntax_of(read(part.body))
        if named is not None or real != ELE:
            expect(named == real, f"transfer-syntax={real}", named)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.5",
    "TS-06",
    "A transfer syntax that the instance cannot have is 406",
)
def foreign_syntax(run: Run) -> None:
    item = run.stored("ct")[0]
    status(run.get(item.path, multipart(DICOM, _OF_VIDEO)), 406)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.3.5",
    "1.5",
    "Implicit VR Little Endian and Explicit VR Big Endian are not sent by default",
)
def barred_syntaxes(run: Run) -> None:
    for kind in ("ct", "values"):
        syntax = syntax_of(read(_of_one(run, run.stored(kind)[0], ANY).body))
        barred = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
        expect(syntax not in barred, "no syntax that PS3.18 bars", syntax)


@check("retrieve", Level.MUST, "PS3.10 7.1", "WADO-02", "Parts are files: preamble, DICM, meta")
def part10(run: Run) -> None:
    item = run.stored("ct")[0]
    part = _of_one(run, item)
    expect(part.body[128:132] == b"DICM", "DICM at 128", part.body[128:132])
    meta = read(part.body).file_meta
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
        expect(meta.get(keyword), f"{keyword} in the File Meta Information", "none")
    expect(meta.MediaStorageSOPInstanceUID == item.uid, item.uid, meta.MediaStorageSOPInstanceUID)


@check(
    "retrieve",
    Level.SHOULD,
    "PS3.18 8.6.1.2.1",
    "MP-03",
    "Parts name their resource in Content-Location",
)
def content_location(run: Run) -> None:
    item = run.stored("ct")[0]
    location = _of_one(run, item).header("Content-Location")
    expect(location, "a Content-Location in the part", "none")
    url = resolve(run.server.url(item.path), location)
    status(run.get(url, multipart(DICOM, ANY)), 200)


@check(
    "retrieve",
    Level.MAY,
    "PS3.18 Table 10.4.4-1",
    "NEG-03, trap 8",
    "A single instance as application/dicom, in a single part",
)
def single_part(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.get(item.path, DICOM)
    if answer.status in (400, 406):
        raise NotOffered("single parts of application/dicom")
    status(answer, 200)
    expect(answer.content_type.name == DICOM, DICOM, answer.header("Content-Type"))
    same_values(read(answer.body), item)


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 8.7.5, Table 10.4.4-1",
    "NEG-03",
    "A study is never a single part of application/dicom",
)
def no_single_part_of_a_study(run: Run) -> None:
    answer = run.get(run.stored("ct")[0].study_path, DICOM)
    expect(answer.status == 406, "status 406", f"{answer.status} {answer.header('Content-Type')}")


@check(
    "retrieve",
    Level.MUST,
    "PS3.18 Table 10.4.4-1",
    "trap 7",
    "Instances as application/octet-stream: their bulk data",
)
def as_octets(run: Run) -> None:
    item = run.stored("ct")[0]
    answer = run.ok(item.path, multipart(OCTETS))
    bodies = [part.body for part in parts_of(answer, OCTETS)]
    expect(item.dataset.PixelData in bodies, "the pixel data as a part", f"{len(bodies)} parts")


@check("retrieve", Level.MUST, "PS3.18 10.4.3", "RES-02", "What is not there is 404")
def not_found(run: Run) -> None:
    item, other = run.stored("ct")[0], run.stored("mixed")[0]
    for path in (
        f"studies/{new_uid()}",
        f"studies/{item.study}/series/{new_uid()}",
        f"{item.series_path}/instances/{new_uid()}",
        f"studies/{other.study}/series/{item.series}/instances/{item.uid}",
        f"studies/{item.study}/series/{other.series}",
    ):
        answer = run.get(path, multipart(DICOM))
        expect(answer.status in (404, 410), f"404 for {path}", answer.status)


@check("retrieve", Level.MUST, "PS3.18 8.5", "RES-05", "What is no UID is 400 or 404, never 5xx")
def not_a_uid(run: Run) -> None:
    for uid in ("not-a-uid", "1.2.3%27%20OR%201=1", "1" * 65, "%00"):
        answer = run.get(f"studies/{uid}", multipart(DICOM))
        expect(answer.status in (400, 404), f"400 or 404 for {uid}", answer.status)


@check("retrieve", Level.SHOULD, "RFC 9110 15.5.6", "RES-07", "405 names what is allowed")
def method_not_allowed(run: Run) -> None:
    answer = run.server.send("PUT", run.stored("ct")[0].study_path, [], b"x")
    if answer.status != 405:
        raise Deviation("status 405 for PUT of a study", str(answer.status))
    expect("GET" in answer.header("Allow"), "Allow: GET, …", answer.header("Allow") or "none")


@check("retrieve", Level.MAY, "RFC 9110 13.1.2", "CCH-01", "An instance has a validator: 304")
def not_modified(run: Run) -> None:
    path = run.stored("ct")[0].path
    answer = run.ok(path, multipart(DICOM))
    tag = answer.header("ETag")
    if not tag:
        raise NotOffered("ETag of instances")
    again = run.get(path, multipart(DICOM), ("If-None-Match", tag))
    expect(again.status == 304, "304 to If-None-Match of the ETag", again.status)
    expect(not again.body, "no body with 304", len(again.body))
    other = run.get(path, multipart(DICOM), ("If-None-Match", '"another"'))
    expect(other.status == 200, "200 to another's ETag", other.status)
