"""Metadata and bulk data: posted in either form, and taken back from the server."""

import json
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any

import httpx
from pydicom import Dataset, dcmread
from pydicom.uid import RawDataStorage, SecondaryCaptureImageStorage

from tests.make import ABSENT
from tests.make.posted import JSON, XML, Part, attributes, native_xml, related
from tests.web.asking import DICOM, REFERENCED, new_uid, parts_of

OCTETS = "application/octet-stream"
# What Pixel Data can be had as without decoding; octets are the last resort.
AS_STORED = (
    "image/jpeg",
    "image/jls",
    "image/jp2",
    "image/jpx",
    "image/jphc",
    "image/jxl",
    "image/dicom-rle",
    "video/mpeg",
    "video/mp4",
    "video/H265",
)

Attributes = dict[str, Any]


def post_posted(
    http: httpx.Client,
    datasets: Sequence[Attributes],
    bulk: Iterable[Part] = (),
    *,
    xml: bool = False,
    study: str | None = None,
    **headers: str,
) -> httpx.Response:
    """Store data sets of the DICOM JSON Model, as JSON or XML, with parts of bulk data."""
    if xml:
        parts: list[Part] = [({"Content-Type": XML}, native_xml(each)) for each in datasets]
    else:
        parts = [({"Content-Type": JSON}, json.dumps(datasets).encode())]
    body, content_type = related([*parts, *bulk], XML if xml else JSON)
    path = f"studies/{study}" if study else "studies"
    return http.post(path, content=body, headers={"Content-Type": content_type, **headers})


def stored_paths(response: httpx.Response) -> list[str]:
    """The URLs of what a Store Instances Response says is stored."""
    items = response.json().get(REFERENCED, {}).get("Value", [])
    return [item["00081190"]["Value"][0] for item in items]


def metadata_of(http: httpx.Client, path: str) -> Attributes:
    """The metadata of one instance."""
    response = http.get(f"{path}/metadata")
    assert response.status_code == 200, response.text
    [dataset] = response.json()
    return dataset


def bulk_uris(dataset: Attributes, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and BulkDataURI of every value that is not in the metadata."""
    for key, attribute in dataset.items():
        if "BulkDataURI" in attribute:
            yield f"{path}{key}", attribute["BulkDataURI"]
        elif attribute["vr"] == "SQ":
            for number, item in enumerate(attribute.get("Value", ()), 1):
                yield from bulk_uris(item, f"{path}{key}/{number}/")


def bulk_parts(http: httpx.Client, dataset: Attributes) -> dict[str, list[Part]]:
    """By path the parts of every value that is not in the metadata, as they are stored."""
    accept = ", ".join(f'multipart/related; type="{kind}"; transfer-syntax=*' for kind in AS_STORED)
    accept += f', multipart/related; type="{OCTETS}"; transfer-syntax=*; q=0.1'
    found = {}
    for path, uri in bulk_uris(dataset):
        response = http.get(uri, headers={"Accept": accept})
        assert response.status_code == 200, response.text
        found[path] = parts_of(response)
    return found


# What the SOP Classes of these tests have to hold, so that nothing is to be remarked (STOW-19).
_MANDATORY = {
    "ContentDate": "20240102",
    "StudyDate": None,
    "ContentTime": "101500",
    "StudyTime": None,
    "AcquisitionDateTime": None,
    "ImageType": "ORIGINAL",
    "AccessionNumber": None,
    "ConversionType": "WSD",
    "Manufacturer": None,
    "ReferringPhysicianName": None,
    "CreatorVersionUID": "2.25.1",
    "PatientBirthDate": None,
    "PatientSex": None,
    "StudyID": None,
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "BurnedInAnnotation": "YES",
    "AcquisitionContextSequence": None,
    "ConceptNameCodeSequence": None,
    "DocumentTitle": None,
}


def posted_instance(**keywords: Any) -> Attributes:
    """Metadata of an instance without pixels, with UIDs of its own; ABSENT leaves one out."""
    values = {
        **_MANDATORY,
        "SOPClassUID": RawDataStorage,
        "SOPInstanceUID": new_uid(),
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "PatientID": "P1",
        "PatientName": "Test^Patient",
        "Modality": "OT",
    }
    given = {name: value for name, value in (values | keywords).items() if value is not ABSENT}
    return attributes(**given)


def posted_image(**keywords: Any) -> Attributes:
    """Metadata of a Secondary Capture, whose pixels are to be added."""
    return posted_instance(**{"SOPClassUID": SecondaryCaptureImageStorage} | keywords)


def octets(content: bytes, **fields: str) -> Part:
    """A part of plain bulk data; `fields` with underscores for hyphens: Content_Location."""
    return ({"Content-Type": OCTETS, **_named(fields)}, content)


def part(media_type: str, content: bytes, **fields: str) -> Part:
    """A part of a media type."""
    return ({"Content-Type": media_type, **_named(fields)}, content)


def _named(fields: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in fields.items()}


def retrieved(http: httpx.Client, response: httpx.Response) -> Dataset:
    """The one instance that an answer says is stored, as pydicom reads it."""
    [url] = stored_paths(response)
    got = http.get(url, headers={"Accept": f"{DICOM}; transfer-syntax=*"})
    assert got.status_code == 200, got.text
    return dcmread(BytesIO(got.content))


def problems(response: httpx.Response, sequence: str = REFERENCED) -> list[str]:
    """The Error Comments of all items of a sequence."""
    return [
        comment["00000902"]["Value"][0]
        for item in response.json().get(sequence, {}).get("Value", [])
        for comment in item.get("00741048", {}).get("Value", [])
    ]
