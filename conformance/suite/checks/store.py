"""Store (PS3.18 10.5, Annex I): PS3.10 files, the answer, and what is refused."""

from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from conformance.suite.http import Answer, resolve
from conformance.suite.json_model import JsonDataset, validate, value_of, values_of
from conformance.suite.making import add_image, dataset_of, gradient
from conformance.suite.model import Deviation, Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import joined
from conformance.suite.retrieving import instances, read, same_values
from conformance.suite.run import DICOM, DICOM_JSON, DICOM_XML, Run, status
from conformance.suite.searching import INSTANCE_UID, finds
from conformance.suite.shelf import Instance

FAILED, STORED, OTHER = "00081198", "00081199", "0008119A"
REASON, WARNING, CLASS, UID = "00081197", "00081196", "00081150", "00081155"


def made(run: Run, **more: object) -> Instance:
    """An instance that is not stored yet, in a study that is removed at the end."""
    wanted: dict[str, Any] = {"StudyInstanceUID": run.new_study(), **more}
    wanted.setdefault("PatientID", f"{run.shelf.token}-9")
    dataset = dataset_of(run.shelf.token, SecondaryCaptureImageStorage, "OT", **wanted)
    return Instance(add_image(dataset, gradient(4, 6)))


def report_of(answer: Answer) -> JsonDataset:
    """The Store Instances Response Module: one object, not an array (JSN-01, trap 25)."""
    kind = answer.header("Content-Type")
    expect(kind.split(";")[0].strip() == DICOM_JSON, f"Content-Type: {DICOM_JSON}", kind)
    found = answer.json()
    if not isinstance(found, dict):
        raise Deviation("one object (Annex I)", type(found).__name__)
    validate({tag: value for tag, value in found.items() if value.get("Value") != []})
    return found


def listed(report: JsonDataset, tag: str) -> set[str]:
    """The SOP Instance UIDs of a sequence of a report."""
    return {str(value_of(item, UID)) for item in values_of(report, tag)}


def failed(report: JsonDataset, uid: str) -> int:
    """The Failure Reason of an instance. Raises Deviation if there is none."""
    for item in values_of(report, FAILED):
        if value_of(item, UID) == uid:
            reason = value_of(item, REASON)
            expect(isinstance(reason, int), "a Failure Reason", reason)
            return int(reason)
    raise Deviation(f"{uid} in the Failed SOP Sequence", str(listed(report, FAILED)))


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5.3, Table 10.5.3-1",
    "5.6, trap 24, trap 25",
    "All stored: 200, and a report",
)
def one_instance(run: Run) -> None:
    item = made(run)
    report = report_of(status(run.store([item.file]), 200))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))
    expect(not listed(report, FAILED), "none as failed", listed(report, FAILED))
    entry = only(values_of(report, STORED), "instance in the report")
    expect(value_of(entry, CLASS) == item.dataset.SOPClassUID, "its class", value_of(entry, CLASS))
    part = only(instances(run, item.path)[1], "part")
    same_values(read(part.body), item)


@check(
    "store",
    Level.MUST,
    "PS3.18 Table I.1-1",
    "STOW-30, trap 50",
    "Sequences of the report are there only where they have items",
)
def no_empty_sequences(run: Run) -> None:
    report = report_of(status(run.store([made(run).file]), 200))
    for tag in (FAILED, OTHER):
        expect(tag not in report, f"no {tag} where nothing failed", report.get(tag))


@check("store", Level.MUST, "PS3.18 Annex I", "5.5", "Retrieve URLs of the report lead to it")
def retrieve_urls(run: Run) -> None:
    item = made(run)
    answer = status(run.store([item.file]), 200)
    report = report_of(answer)
    expect("00081190" in report, "RetrieveURL of the study (Type 2)", sorted(report))
    entry = only(values_of(report, STORED), "instance in the report")
    url = value_of(entry, "00081190")
    if url:
        status(run.get(resolve(answer.url, url) + "/metadata", DICOM_JSON), 200)
    url = value_of(report, "00081190")
    if url:
        expect(item.study in url, f"a URL with {item.study}", url)
        status(run.get(resolve(answer.url, url) + "/metadata", DICOM_JSON), 200)


@check("store", Level.MUST, "PS3.18 10.5.1", "5.1", "Several instances of several studies at once")
def several(run: Run) -> None:
    items = [made(run), made(run), made(run)]
    report = report_of(status(run.store([item.file for item in items]), 200))
    wanted = {item.uid for item in items}
    expect(listed(report, STORED) == wanted, "all three", listed(report, STORED))


@check("store", Level.MUST, "PS3.18 10.5", "STOW-40", "What is reported stored is found at once")
def found_at_once(run: Run) -> None:
    item = made(run)
    status(run.store([item.file]), 200)
    keys = [("StudyInstanceUID", item.study)]
    finds(run, "instances", keys, INSTANCE_UID, {item.uid})


@check("store", Level.MUST, "PS3.18 10.5.1", "5.1", "Into a study: instances of that study")
def into_its_study(run: Run) -> None:
    item = made(run)
    report = report_of(status(run.store([item.file], study=item.study), 200))
    expect(listed(report, STORED) == {item.uid}, "the instance", listed(report, STORED))


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5.1, Table 10.5.3-1",
    "5.1, trap 52",
    "Into another study: refused, 409, with a report",
)
def into_another_study(run: Run) -> None:
    item = made(run)
    other = run.new_study()
    report = report_of(status(run.store([item.file], study=other), 409))
    failed(report, item.uid)
    expect(run.get(f"{item.path}/metadata", DICOM_JSON).status in (404, 410), "404", "it is there")


@check(
    "store",
    Level.MUST,
    "PS3.18 Table 10.5.3-1",
    "STOW-41, trap 50",
    "Some stored and some not: 202, each in its sequence",
)
def some_refused(run: Run) -> None:
    good, bad = made(run), made(run)
    answer = run.store([good.file, bad.file], study=good.study)
    report = report_of(status(answer, 202))
    expect(listed(report, STORED) == {good.uid}, "the one as stored", listed(report, STORED))
    failed(report, bad.uid)


@check("store", Level.MUST, "PS3.18 10.5.3", "5.6", "Nothing readable: 400 or 409, never 2xx")
def nothing_readable(run: Run) -> None:
    for body in (b"not DICOM at all", b"\0" * 200, made(run).file[:100]):
        answer = run.store([body])
        expect(answer.status in (400, 409), "400 or 409", answer.status)


@check("store", Level.MUST, "PS3.18 10.5.3", "STOW-41", "A broken part does not harm its neighbour")
def broken_neighbour(run: Run) -> None:
    item = made(run)
    report = report_of(status(run.store([b"not DICOM at all", item.file]), 202))
    expect(listed(report, STORED) == {item.uid}, "the good one", listed(report, STORED))


@check(
    "store",
    Level.SHOULD,
    "PS3.18 10.5",
    "STOW-20, trap 51",
    "The same again succeeds or is explained",
)
def again(run: Run) -> None:
    item = made(run)
    status(run.store([item.file]), 200)
    answer = run.store([item.file])
    expect(answer.status in (200, 202, 409), "200, 202 or 409", answer.status)
    report = report_of(answer)
    if answer.status == 409:
        failed(report, item.uid)
    part = only(instances(run, item.path)[1], "part")
    same_values(read(part.body), item)


@check("store", Level.MUST, "PS3.18 10.5.2", "5.1", "A body of another type is 415")
def unsupported_type(run: Run) -> None:
    answer = run.post("text/plain", b"hello")
    expect(answer.status == 415, "status 415", answer.status)


@check("store", Level.MUST, "RFC 2046 5.1", "5.6", "A multipart message without a boundary is 400")
def no_boundary(run: Run) -> None:
    answer = run.post(f'multipart/related; type="{DICOM}"', b"--x\r\n\r\n--x--\r\n")
    expect(answer.status in (400, 415), "status 400", answer.status)


@check(
    "store",
    Level.MUST,
    "RFC 2046 5.1.1",
    "ERR-03, STOW-42",
    "Nothing half of a cut message is kept",
)
def no_end(run: Run) -> None:
    item = made(run)
    kind, body = joined([(DICOM, item.file)], DICOM)
    answer = run.post(kind, body[: len(body) - 60])
    if answer.status in (200, 202) and listed(report_of(answer), STORED):
        part = only(instances(run, item.path)[1], "part")
        same_values(read(part.body), item)  # it may be whole all the same
        return
    expect(answer.status in (400, 409), "400, or 409 with a report", answer.status)


@check("store", Level.MUST, "RFC 2046 5.1.1", "MP-06, trap 13, trap 14", "Spellings of multipart")
def spellings_of_multipart(run: Run) -> None:
    for boundary, shape in (
        ("simple", "--{b}\r\n{h}\r\n{d}\r\n--{b}--"),
        ("leading-crlf", "\r\n--{b}\r\n{h}\r\n{d}\r\n--{b}--\r\n"),
        ("with preamble", "words before\r\n--{b}\r\n{h}\r\n{d}\r\n--{b}--\r\nwords after"),
        ("blanks=after", "--{b}  \r\n{h}\r\n{d}\r\n--{b}--  \r\n"),
    ):
        item = made(run)
        text = shape.replace("{h}", f"Content-Type: {DICOM}\r\n").replace("{b}", boundary)
        before, after = (piece.encode() for piece in text.split("{d}"))
        kind = f'multipart/related; type="{DICOM}"; boundary="{boundary}"'
        answer = run.post(kind, before + item.file + after)
        expect(answer.status == 200, f"200 for a message {boundary!r}", answer.status)


@check("store", Level.MUST, "RFC 9112 7.1", "1.2, trap 19", "A chunked body is taken")
def chunked(run: Run) -> None:
    item = made(run)
    kind, body = joined([(DICOM, item.file)], DICOM)
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    report = report_of(status(run.post(kind, pieces), 200))
    expect(listed(report, STORED) == {item.uid}, "the instance", listed(report, STORED))


@check("store", Level.MUST, "PS3.18 10.5.1", "STOW-01, trap 18", "Further parameters are ignored")
def further_parameters(run: Run) -> None:
    item = made(run)
    kind, body = joined([(f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1", item.file)], DICOM)
    status(run.post(f"{kind}; transfer-syntax=1.2.3; x=y", body), 200)


@check(
    "store",
    Level.MUST,
    "PS3.18 Table 10.5.3-2",
    "STOW-05, HDR-02",
    "*/* or no Accept: a JSON report",
)
def default_answer(run: Run) -> None:
    for accept in ("*/*", None):
        report_of(status(run.store([made(run).file], accept=accept), 200))


@check("store", Level.MUST, "PS3.18 10.5.2", "STOW-05", "A report as application/dicom+xml")
def answer_in_xml(run: Run) -> None:
    answer = run.store([made(run).file], accept=DICOM_XML)
    if answer.status == 406:
        raise Deviation(f"an answer in {DICOM_XML}, which is required", "406")
    status(answer, 200)
    expect(answer.content_type.name == DICOM_XML, DICOM_XML, answer.header("Content-Type"))
    expect(b"NativeDicomModel" in answer.decoded, "the Native DICOM Model", answer.body[:80])


@check("store", Level.MUST, "PS3.18 10.5.3", "STOW-18", "An instance without its UIDs is refused")
def without_uids(run: Run) -> None:
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        item = made(run)
        dataset = item.dataset
        file_meta = dataset.file_meta
        setattr(dataset, keyword, "")
        dataset.file_meta = file_meta
        answer = run.store([Instance(dataset).file])
        expect(answer.status in (400, 409), f"409 without {keyword}", answer.status)


@check(
    "store",
    Level.MAY,
    "PS3.18 10.5.3",
    "5.3",
    "Implicit VR Little Endian, which PS3.18 bars, is taken or refused with a reason",
)
def implicit_vr(run: Run) -> None:
    item = made(run)
    item.dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    answer = run.store([item.file])
    report = report_of(answer)
    if answer.status == 409:
        failed(report, item.uid)
        raise NotOffered("storing of Implicit VR Little Endian")
    status(answer, 200, 202)
    part = only(instances(run, item.path)[1], "part")
    same_values(read(part.body), item, but=("PixelData",))


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5.3",
    "STOW-19",
    "Values that break their VR are borne",
)
def damaged_values(run: Run) -> None:
    item = made(run)
    item.dataset.add_new(0x00200011, "IS", 1)
    file = item.file.replace(b"20240131", b"2024-1-3", 1)
    answer = run.store([file])
    expect(answer.status in (200, 202, 409), "200, 202 or 409", answer.status)
    report = report_of(answer)
    if answer.status == 202:
        warned = [value_of(entry, WARNING) for entry in values_of(report, STORED)]
        expect(all(warned), "a Warning Reason of what was stored", warned)


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5",
    "STOW-20",
    "One UID twice: one is kept, and told",
)
def conflicting(run: Run) -> None:
    item = made(run)
    status(run.store([item.file]), 200)
    other = Instance(_copy(item.dataset, ImageComments="another"))
    answer = run.store([other.file])
    report = report_of(answer)
    part = only(instances(run, item.path)[1], "part")
    now = read(part.body)
    if answer.status == 409:
        failed(report, item.uid)
        same_values(now, item)
    else:
        status(answer, 200, 202)
        if "ImageComments" not in now:
            raise Undecided("the server says it has stored the other one, and keeps the first")
        same_values(now, other)


def _copy(dataset: Dataset, **more: object) -> Dataset:
    twin = deepcopy(dataset)
    for keyword, value in more.items():
        setattr(twin, keyword, value)
    return twin
