"""What tests say to a server, and what they read of its answers."""

import itertools
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from defusedxml.ElementTree import fromstring
from pydicom import Dataset, dcmread

from tests.make import multipart_body, uid

DICOM = "application/dicom"
FAILED, REFERENCED, OTHER = "00081198", "00081199", "0008119A"

_numbers = itertools.count()


def new_uid() -> str:
    """A UID that no other test of this run uses."""
    return uid("web", next(_numbers))


def post(
    http: httpx.Client, files: Iterable[bytes], study: str | None = None, **headers: str
) -> httpx.Response:
    """Store files in one multipart request."""
    body, content_type = multipart_body(files)
    path = f"studies/{study}" if study else "studies"
    return http.post(path, content=body, headers={"Content-Type": content_type, **headers})


def store(http: httpx.Client, *files: bytes) -> list[Dataset]:
    """Store files that must be taken, and give them back as data sets."""
    response = post(http, files)
    assert response.status_code in (200, 202), response.text
    assert FAILED not in response.json(), response.text
    return [dcmread(BytesIO(file), force=True) for file in files]


def is_thumbnail(path: Path) -> bool:
    """Whether a file of the derived-data cache holds a JPEG."""
    return b"\xff\xd8\xff" in path.read_bytes()[:64]


def reasons(response: httpx.Response, sequence: str = FAILED) -> list[int]:
    """Failure Reasons of the items of a sequence in a Store Instances Response."""
    items = response.json().get(sequence, {}).get("Value", [])
    return [item["00081197"]["Value"][0] for item in items]


def path_of(dataset: Dataset, level: int = 3) -> str:
    """The path of an instance (3), its series (2) or its study (1), below the base URI."""
    parts = [
        ("studies", dataset.StudyInstanceUID),
        ("series", dataset.SeriesInstanceUID),
        ("instances", dataset.SOPInstanceUID),
    ]
    return "/".join(f"{name}/{value}" for name, value in parts[:level])


def parts_of(response: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer, cut by a parser that is not the server's own."""
    content_type = response.headers["content-type"]
    boundary = content_type.split("boundary=")[1].split(";")[0].strip('"').encode()
    body = response.content
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.rstrip().endswith(b"--" + boundary + b"--")
    parts = []
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert data.endswith(b"\r\n")
        parts.append((fields, data[:-2]))
    return parts


def found_in(response: httpx.Response) -> list[dict[str, Any]]:
    """The results of a search as DICOM JSON objects, whether they came as JSON or as XML."""
    if response.status_code == 204:
        assert response.content == b""
        return []
    assert response.status_code == 200, response.text
    if response.headers["content-type"] == "application/dicom+json":
        results: list[dict[str, Any]] = response.json()
        return results
    assert response.headers["content-type"].startswith(
        'multipart/related; type="application/dicom+xml"; boundary='
    )
    return [_from_native(fromstring(document)) for _, document in parts_of(response)]


NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
NUMBERS = {"US": int, "UL": int, "SS": int, "SL": int, "IS": int, "DS": float}


def _from_native(element: Any) -> dict[str, Any]:
    """Attributes of a Native DICOM Model or Item as DICOM JSON (PS3.19 A.1), without bulk data."""
    found: dict[str, Any] = {}
    for attribute in element.findall(f"{NATIVE}DicomAttribute"):
        tag, vr = attribute.get("tag"), attribute.get("vr")
        assert tag not in found
        assert {child.tag.removeprefix(NATIVE) for child in attribute} <= {
            {"SQ": "Item", "PN": "PersonName"}.get(vr, "Value")
        }
        assert [child.get("number") for child in attribute] == [
            str(number) for number, _ in enumerate(attribute, 1)
        ]
        values = [_native_value(vr, child) for child in attribute]
        found[tag] = {"vr": vr, "Value": values} if values else {"vr": vr}
    return found


def _native_value(vr: str, element: Any) -> Any:
    if vr == "SQ":
        return _from_native(element)
    if vr == "PN":
        return {group.tag.removeprefix(NATIVE): _components(group) for group in element} or None
    return NUMBERS.get(vr, str)(element.text) if element.text else None


def _components(group: Any) -> str:
    names = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
    texts = {child.tag.removeprefix(NATIVE): child.text or "" for child in group}
    assert set(texts) <= set(names)
    last = max(names.index(name) for name in texts)
    return "^".join(texts.get(name, "") for name in names[: last + 1])


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """A refusal in the form of RFC 9457 (ERR-01); returns its members."""
    assert response.status_code == status, response.text[:1000]
    assert response.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = response.json()
    assert members["status"] == status
    assert members["detail"]
    return members
