"""Odd messages to store, and what the answer has to say of them (PS3.18 10.5, Annex I)."""

import json
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import RLELossless

from conformance.suite.checks.posted import bulk_part, model_of, post_parts, stored_as
from conformance.suite.checks.store import (
    CLASS,
    FAILED,
    OTHER,
    REASON,
    STORED,
    UID,
    failed,
    listed,
    made,
    report_of,
)
from conformance.suite.http import Answer, resolve
from conformance.suite.json_model import value_of, values_of
from conformance.suite.making import new_uid
from conformance.suite.model import Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import joined
from conformance.suite.pictures import colour_bars
from conformance.suite.retrieving import ELE, instances, read, syntax_of
from conformance.suite.run import DICOM, DICOM_JSON, DICOM_XML, OCTETS, Run, status
from conformance.suite.xml_model import native


def _offered(answer: Answer, what: str) -> Answer:
    if answer.status in (400, 409, 415):
        raise NotOffered(what)
    return status(answer, 200, 202)


# --- shapes of messages --------------------------------------------------------------------------


@check(
    "store", Level.MUST, "PS3.18 10.5.3", "STOW-02, MP-08", "A message without parts stores nothing"
)
def no_parts(run: Run) -> None:
    for body in (b"--b--\r\n", b""):
        answer = run.post(f'multipart/related; type="{DICOM}"; boundary=b', body)
        status(answer, 204, 400, 409, 411)


@check("store", Level.MAY, "RFC 2046 5.1, PS3.18 8.6.1.2.1", "STOW-03", "A part without a type")
def part_without_type(run: Run) -> None:
    item = made(run)
    body = b"--b\r\n\r\n" + item.file + b"\r\n--b--\r\n"
    answer = run.post(f'multipart/related; type="{DICOM}"; boundary=b', body)
    report = report_of(_offered(answer, "parts without a Content-Type"))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))


@check("store", Level.MAY, "PS3.18 B.21", "5.1", "One file as a body of application/dicom")
def single_file(run: Run) -> None:
    item = made(run)
    report = report_of(_offered(run.post(DICOM, item.file), "bodies of application/dicom"))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))


@check(
    "store",
    Level.MAY,
    "PS3.18 Table 10.5.4-1",
    "5.1",
    "Files in multipart/related of application/octet-stream",
)
def octets(run: Run) -> None:
    item = made(run)
    kind, body = joined([(OCTETS, item.file)], OCTETS)
    report = report_of(_offered(run.post(kind, body), "files as application/octet-stream"))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))


@check(
    "store",
    Level.MUST,
    "PS3.18 8.7.3.5.2, PS3.10 7.1",
    "STOW-01, TS-10",
    "The File Meta Information tells the transfer syntax, whatever the part says",
)
def file_meta_wins(run: Run) -> None:
    item = made(run)
    kind, body = joined([(f"{DICOM}; transfer-syntax={RLELossless}", item.file)], DICOM)
    answer = status(run.post(kind, body), 200, 202, 409)
    if answer.status == 409:
        failed(report_of(answer), item.uid)
        return
    dataset = read(only(instances(run, item.path)[1], "part").body)
    expect(syntax_of(dataset) == ELE, f"transfer syntax {ELE}", syntax_of(dataset))
    expect(dataset.PixelData == item.dataset.PixelData, "the same pixels", "others")


# --- reports -------------------------------------------------------------------------------------


@check(
    "store",
    Level.MUST,
    "PS3.18 Table I.1-1",
    "5.5, STOW-30, trap 50",
    "What failed is told with its class, its UID, and one reason of Annex I",
)
def failure_items(run: Run) -> None:
    item = made(run)
    report = report_of(status(run.store([item.file], study=run.new_study()), 409))
    expect(STORED not in report, f"no {STORED} where nothing is stored", report.get(STORED))
    entry = only(values_of(report, FAILED), "item in the Failed SOP Sequence")
    got = value_of(entry, CLASS), value_of(entry, UID)
    wanted = str(item.dataset.SOPClassUID), item.uid
    expect(got == wanted, f"class and instance {wanted}", got)
    reason = only(values_of(entry, REASON), "Failure Reason")
    families = (0xA7, 0xA9, *range(0xC0, 0xD0), 0x01, 0x02)
    known = isinstance(reason, int) and reason >> 8 in families
    expect(known, "A7xx, A9xx, Cxxx, 01xx or 02xx", reason)


@check(
    "store",
    Level.MUST,
    "PS3.18 Table I.1-1",
    "5.5",
    "What has no UID that can be read is in Other Failures Sequence",
)
def other_failures(run: Run) -> None:
    item = made(run)
    report = report_of(status(run.store([item.file, b"no DICOM" * 40]), 202))
    entry = only(values_of(report, OTHER), "item in the Other Failures Sequence")
    reason = value_of(entry, REASON)
    expect(isinstance(reason, int), "a Failure Reason", reason)


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5.4, PS3.19 A.1",
    "STOW-05",
    "A report in XML has the same that it has in JSON",
)
def report_in_xml(run: Run) -> None:
    item = made(run)
    answer = status(run.store([item.file], accept=DICOM_XML), 200, 202)
    report = native(answer.decoded)
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))
    expect("00081190" in report, "RetrieveURL of the study (Type 2)", sorted(report))


@check(
    "store",
    Level.MUST,
    "PS3.18 Table 10.5.3-2",
    "5.6",
    "Location leads to the study that was made",
)
def location(run: Run) -> None:
    item = made(run)
    answer = status(run.store([item.file]), 200, 202)
    url = answer.header("Location")
    expect(item.study in url, f"a URL with {item.study}", url)
    status(run.get(resolve(answer.url, url) + "/metadata", DICOM_JSON), 200)


@check(
    "store",
    Level.MUST,
    "PS3.18 10.5.3, Annex I",
    "STOW-18",
    "A file whose transfer syntax nobody has, or whose two UIDs differ, is judged and told",
)
def contradictions(run: Run) -> None:
    foreign, differing = made(run), made(run)
    foreign_file = foreign.file.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", 1)
    meta = FileMetaDataset()
    meta.update(differing.dataset.file_meta)
    meta.MediaStorageSOPInstanceUID = new_uid()
    differing.dataset.file_meta = meta
    for item, file in ((foreign, foreign_file), (differing, differing.file)):
        answer = status(run.store([file]), 200, 202, 409)
        report = report_of(answer)
        told = values_of(report, STORED) + values_of(report, FAILED) + values_of(report, OTHER)
        expect(len(told) == 1, "the instance in the report, once", len(told))
        if answer.status != 409:
            expect(run.get(f"{item.path}/metadata", DICOM_JSON).status == 200, "it", "none")


# --- metadata and bulk data ----------------------------------------------------------------------


@check(
    "posted",
    Level.MUST,
    "PS3.18 8.6.1.2.3, 10.5",
    "trap 53, STOW-41",
    "Two data sets of one UID are reported, each, and one of them can be had",
)
def one_uid_twice(run: Run) -> None:
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = model_of(item, uri)
    other = {**model, "00081030": {"vr": "LO", "Value": ["Another"]}}
    parts = [
        (DICOM_JSON, json.dumps([model, other]).encode()),
        bulk_part(uri, item.dataset.PixelData),
    ]
    answer = status(post_parts(run, parts, DICOM_JSON), 200, 202, 409)
    report = report_of(answer)
    told = values_of(report, STORED) + values_of(report, FAILED)
    expect(told, "the instance in the report", "nothing")
    expect(all(value_of(one, UID) == item.uid for one in told), "its UID in each", told)
    if answer.status != 409:
        expect(run.get(f"{item.path}/metadata", DICOM_JSON).status == 200, "one of them", "none")


@check(
    "posted",
    Level.MUST,
    "PS3.18 8.7.3, 10.5.2; PS3.3 C.24.2",
    "STOW-15",
    "A document is a part of its own media type",
)
def document(run: Run) -> None:
    [source] = run.stored("pdf")
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = {
        tag: one for tag, one in model_of(item, uri).items() if tag[:4] not in ("0028", "7FE0")
    }
    model["00080016"] = {"vr": "UI", "Value": [str(source.dataset.SOPClassUID)]}
    model["00420010"] = {"vr": "ST", "Value": ["A page"]}
    model["00420011"] = {"vr": "OB", "BulkDataURI": uri}
    model["00420012"] = {"vr": "LO", "Value": ["application/pdf"]}
    data = bytes(source.dataset.EncapsulatedDocument)
    parts = [
        (DICOM_JSON, json.dumps([dict(sorted(model.items()))]).encode()),
        bulk_part(uri, data, "application/pdf"),
    ]
    got = stored_as(run, post_parts(run, parts, DICOM_JSON), item)
    expect(bytes(got.EncapsulatedDocument) == data, "the document", len(got.EncapsulatedDocument))


@check(
    "posted",
    Level.MAY,
    "PS3.18 Table 10.5.2-1",
    "STOW-16",
    "A PNG image becomes native pixels, or pixels without loss",
)
def png_part(run: Run) -> None:
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = {tag: one for tag, one in model_of(item, uri).items() if tag[:4] != "0028"}
    target = BytesIO()
    Image.fromarray(colour_bars()).save(target, "PNG")
    parts = [
        (DICOM_JSON, json.dumps([model]).encode()),
        bulk_part(uri, target.getvalue(), "image/png"),
    ]
    answer = _offered(post_parts(run, parts, DICOM_JSON), "storing of PNG images")
    got = stored_as(run, answer, item)
    try:
        array = got.pixel_array
    except (ValueError, AttributeError, RuntimeError) as error:
        raise Undecided(f"its transfer syntax cannot be read here: {error}") from None
    expect(np.array_equal(array, colour_bars()), "the pixels of the picture", "others")


@check(
    "posted",
    Level.MAY,
    "PS3.18 10.5.2",
    "STOW-17",
    "UIDs that metadata lack are made, or the instance fails",
)
def uids_made(run: Run) -> None:
    item, uri = made(run), f"https://suite.example/{new_uid()}"
    model = model_of(item, uri)
    del model["00080018"], model["0020000E"]
    parts = [
        (DICOM_JSON, json.dumps([model]).encode()),
        bulk_part(uri, item.dataset.PixelData),
    ]
    answer = _offered(post_parts(run, parts, DICOM_JSON), "making of UIDs")
    entry = only(values_of(report_of(answer), STORED), "instance as stored")
    url = value_of(entry, "00081190")
    expect(isinstance(value_of(entry, UID), str) and url, "its UID and its URL", entry)
    status(run.get(resolve(answer.url, url) + "/metadata", DICOM_JSON), 200)


@check(
    "posted",
    Level.MAY,
    "PS3.18 10.5.2",
    "STOW-11",
    "Parts are found by a relative URI too, or the instance fails",
)
def relative_uri(run: Run) -> None:
    item = made(run)
    model = model_of(item, "bulk/1")
    parts = [
        (DICOM_JSON, json.dumps([model]).encode()),
        bulk_part(run.server.url("studies/bulk/1"), item.dataset.PixelData),
    ]
    answer = post_parts(run, parts, DICOM_JSON)
    if answer.status not in (200, 202):
        parts[1] = bulk_part("bulk/1", item.dataset.PixelData)
        answer = _offered(post_parts(run, parts, DICOM_JSON), "relative URIs of bulk data")
    got = stored_as(run, answer, item)
    expect(got.PixelData == item.dataset.PixelData, "the pixels", "others")
