"""Store of metadata and bulk data (PS3.18 10.5.2, 8.6.1.2.3): JSON and XML, values in parts."""

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom import Dataset

from conformance.suite.checks.store import STORED, listed, made, report_of
from conformance.suite.http import Answer
from conformance.suite.making import new_uid
from conformance.suite.model import Level, NotOffered, Undecided, check, expect, only
from conformance.suite.multipart import joined
from conformance.suite.retrieving import instances, read
from conformance.suite.run import DICOM_JSON, DICOM_XML, OCTETS, Run, status
from conformance.suite.shelf import Instance

_LOCATION = "https://suite.example/bulk/"


def model_of(item: Instance, uri: str) -> dict[str, Any]:
    """The DICOM JSON Model of a small image, its pixel data by `uri`."""
    found: dict[str, Any] = {}
    for element in item.dataset:
        key, vr = f"{element.tag:08X}", element.VR
        if element.keyword == "PixelData":
            found[key] = {"vr": vr, "BulkDataURI": uri}
        elif element.value in ("", None):
            found[key] = {"vr": vr}
        elif vr == "PN":
            found[key] = {"vr": vr, "Value": [{"Alphabetic": str(element.value)}]}
        else:
            value = int(element.value) if vr in ("US", "IS") else str(element.value)
            found[key] = {"vr": vr, "Value": [value]}
    return found


def _native(model: dict[str, Any]) -> bytes:
    """The same in the Native DICOM Model."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" '
        'xml:space="preserve">',
    ]
    for key, attribute in model.items():
        inner = ""
        if "BulkDataURI" in attribute:
            inner = f"<BulkData uri={quoteattr(attribute['BulkDataURI'])}/>"
        for number, value in enumerate(attribute.get("Value", ()), 1):
            if isinstance(value, dict):
                family, _, given = value["Alphabetic"].partition("^")
                name = f"<FamilyName>{escape(family)}</FamilyName>"
                name += f"<GivenName>{escape(given)}</GivenName>" if given else ""
                inner += (
                    f'<PersonName number="{number}"><Alphabetic>{name}</Alphabetic></PersonName>'
                )
            else:
                inner += f'<Value number="{number}">{escape(str(value))}</Value>'
        lines.append(f'<DicomAttribute tag="{key}" vr="{attribute["vr"]}">{inner}</DicomAttribute>')
    return "\n".join([*lines, "</NativeDicomModel>"]).encode()


def post_parts(run: Run, parts: list[Any], root: str) -> Answer:
    """POST a multipart message. Raises Undecided where such messages are not taken at all, which
    in_json and in_xml tell."""
    answer = _post(run, parts, root)
    if answer.status == 415:
        raise Undecided(f"messages of {root} are not taken")
    return answer


def _post(run: Run, parts: list[Any], root: str) -> Answer:
    kind, body = joined(parts, root)
    return run.post(kind, body)


def bulk_part(
    uri: str, data: bytes, kind: str = OCTETS
) -> tuple[str, bytes, list[tuple[str, str]]]:
    return kind, data, [("Content-Location", uri)]


def stored_as(run: Run, answer: Answer, item: Instance) -> Dataset:
    """The data set of `item` as it can be retrieved, once `answer` says that it is stored."""
    report = report_of(status(answer, 200, 202))
    expect(listed(report, STORED) == {item.uid}, "the instance as stored", listed(report, STORED))
    part = only(instances(run, item.path)[1], "part")
    return read(part.body)


def same(got: Dataset, item: Instance) -> None:
    """Raise Deviation unless some attributes are as they were sent."""
    for keyword in ("PatientName", "StudyDate", "Rows", "Columns", "BitsAllocated", "PixelData"):
        found, wanted = got.get(keyword), item.dataset.get(keyword)
        expect(found == wanted, f"{keyword} as it was sent", repr(found)[:200])


@check(
    "posted",
    Level.MUST,
    "PS3.18 10.5.2, Table 10.5.4-1",
    "STOW-11, MP-05, STOW-10, STOW-13",
    "Metadata in JSON with pixel data in a part",
)
def in_json(run: Run) -> None:
    item, uri = made(run), f"{_LOCATION}{new_uid()}"
    parts = [
        (DICOM_JSON, json.dumps([model_of(item, uri)]).encode()),
        bulk_part(uri, item.dataset.PixelData),
    ]
    same(stored_as(run, _post(run, parts, DICOM_JSON), item), item)


@check(
    "posted",
    Level.MUST,
    "PS3.18 10.5.2, Table 10.5.4-1",
    "STOW-11, MP-05",
    "Metadata in XML with pixel data in a part",
)
def in_xml(run: Run) -> None:
    item, uri = made(run), f"{_LOCATION}{new_uid()}"
    parts = [(DICOM_XML, _native(model_of(item, uri))), bulk_part(uri, item.dataset.PixelData)]
    same(stored_as(run, _post(run, parts, DICOM_XML), item), item)


@check("posted", Level.MUST, "PS3.18 8.6.1.2.3", "MP-05", "Several instances in one array of JSON")
def several(run: Run) -> None:
    items = [made(run), made(run)]
    uris = [f"{_LOCATION}{new_uid()}" for _ in items]
    models = [model_of(item, uri) for item, uri in zip(items, uris, strict=True)]
    bulk = [bulk_part(u, i.dataset.PixelData) for i, u in zip(items, uris, strict=True)]
    answer = post_parts(
        run, [(DICOM_JSON, json.dumps(models).encode()), *reversed(bulk)], DICOM_JSON
    )
    report = report_of(status(answer, 200, 202))
    wanted = {item.uid for item in items}
    expect(listed(report, STORED) == wanted, "both", listed(report, STORED))
    for item in items:
        part = only(instances(run, item.path)[1], "part")
        same(read(part.body), item)


@check("posted", Level.MUST, "PS3.18 10.5.2", "STOW-11", "A value without its part fails")
def missing_part(run: Run) -> None:
    item = made(run)
    model = model_of(item, f"{_LOCATION}{new_uid()}")
    answer = post_parts(run, [(DICOM_JSON, json.dumps([model]).encode())], DICOM_JSON)
    expect(answer.status in (400, 409), "409, with the instance as failed", answer.status)


@check(
    "posted",
    Level.SHOULD,
    "PS3.18 10.5.2",
    "STOW-12",
    "A URI of another host is not fetched: without its part the instance fails",
)
def foreign_uri(run: Run) -> None:
    item = made(run)
    model = model_of(item, "http://127.0.0.1:9/never")
    answer = post_parts(run, [(DICOM_JSON, json.dumps([model]).encode())], DICOM_JSON)
    expect(answer.status in (400, 409), "409", answer.status)


@check("posted", Level.MUST, "RFC 8259, PS3.18 10.5.3", "5.6", "What is no JSON is 400")
def broken_json(run: Run) -> None:
    for text in (b"[{", b'{"00080018"}', b"[1]", b"\xff\xfe"):
        answer = post_parts(run, [(DICOM_JSON, text)], DICOM_JSON)
        expect(answer.status in (400, 409), f"400 for {text!r}", answer.status)


@check("posted", Level.MUST, "XML 1.0, PS3.18 10.5.3", "5.6, 2.7", "What is no XML is 400")
def broken_xml(run: Run) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    for text in (b"<NativeDicomModel>", b"words", bomb):
        answer = post_parts(run, [(DICOM_XML, text)], DICOM_XML)
        expect(answer.status in (400, 409), f"400 for {text[:30]!r}", answer.status)


@check(
    "posted",
    Level.MAY,
    "PS3.18 10.5.2, Table 10.5.2-1",
    "STOW-14, STOW-16",
    "A JPEG image as a part, encapsulated as it is",
)
def jpeg_part(run: Run) -> None:
    [source] = run.stored("jpeg")
    item = made(run)
    uri = f"{_LOCATION}{new_uid()}"
    model = model_of(item, uri)
    for tag in ("00280002", "00280004", "00280010", "00280011", "00280100", "00280101"):
        model.pop(tag, None)
    for tag in ("00280006", "00280102", "00280103"):
        model.pop(tag, None)
    stored = source.dataset.PixelData
    begin, end = stored.index(b"\xff\xd8"), stored.rindex(b"\xff\xd9") + 2
    part = bulk_part(uri, stored[begin:end], "image/jpeg")
    answer = post_parts(run, [(DICOM_JSON, json.dumps([model]).encode()), part], DICOM_JSON)
    if answer.status in (409, 415):
        raise NotOffered("storing of compressed bulk data")
    got = stored_as(run, answer, item)
    expect((got.Rows, got.Columns) == (16, 24), "16 rows, 24 columns", (got.Rows, got.Columns))
