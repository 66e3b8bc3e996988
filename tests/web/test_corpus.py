"""The whole corpus through HTTP: DICOM_CORPUS if it is set, else pydicom's own files.

Every file that is readable DICOM with the needed UIDs stores; what is not gets a reason, never
a 5xx. What is retrieved as stored is byte-identical; frames equal pydicom's; every still image
can be looked at.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path
from zlib import crc32

import httpx
import numpy as np
import orjson
import pydicom
import pytest
from defusedxml.ElementTree import fromstring
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    UncompressedTransferSyntaxes,
)

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.encodable import LOSSLESS_TARGETS
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.dicom.part10 import describe, inflate, is_deflated, read_file_meta
from tests.web.asking import DICOM, OTHER, parts_of, path_of, post, reasons

OCTETS = "application/octet-stream"


def corpus() -> list[Path]:
    named = os.environ.get("DICOM_CORPUS")
    root = Path(named) if named else Path(pydicom.__file__).parent / "data"
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return [path for path in files if _perhaps_dicom(path)]


def _perhaps_dicom(path: Path) -> bool:
    return path.suffix.lower() not in {".py", ".md", ".tsv", ".txt", ".json", ".pyc", ".zip"}


CORPUS = corpus()
NOT_LOST = {*UncompressedTransferSyntaxes, RLELossless, JPEG2000Lossless, JPEGLSLossless}


def oracle(data: bytes) -> Dataset | None:
    """What pydicom reads without force, if it has what an instance needs."""
    try:
        dataset = dcmread(BytesIO(data))
        needed = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        if all(dataset.get(keyword) for keyword in needed) and dataset.file_meta.TransferSyntaxUID:
            dataset.decode()
            return dataset
    except (InvalidDicomError, AttributeError, EOFError, KeyError):
        pass
    return None


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_file_of_the_corpus(http: httpx.Client, path: Path) -> None:
    data = path.read_bytes()
    response = post(http, [data])
    assert response.status_code in (200, 202, 409), response.text
    if response.status_code == 409:
        assert reasons(response) + reasons(response, OTHER)
        assert refusal_is_right(path, data), response.text
        return
    dataset = dcmread(BytesIO(data))
    try:
        check_bytes(http, data, dataset)
        check_metadata(http, data, dataset)
        check_frames(http, dataset)
        check_picture(http, dataset)
        # By its name, so that a file's target is the same whatever files are beside it.
        turn = crc32(path.name.encode())
        check_encoded(http, dataset, LOSSLESS_TARGETS[turn % len(LOSSLESS_TARGETS)])
    finally:
        assert http.delete(path_of(dataset, 1)).status_code == 204


# Readable by a lenient reader, and refused for a reason all the same.
REFUSED = {
    "MR_truncated.dcm": "cut off within Pixel Data: the sender has the rest",
    "rtplan_truncated.dcm": "cut off within a sequence",
}


def refusal_is_right(path: Path, data: bytes) -> bool:
    dataset = oracle(data)
    if dataset is None or path.name in REFUSED:
        return True
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    return not all(re.fullmatch(r"[0-9.]{1,64}", uid) for uid in uids)  # STOW-18


def check_bytes(http: httpx.Client, data: bytes, dataset: Dataset) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    accept = {"Accept": f"{DICOM}; transfer-syntax={syntax}"}
    got = http.get(path_of(dataset), headers=accept)
    assert got.status_code == 200, got.text
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(data).digest()
    [(fields, part)] = parts_of(http.get(path_of(dataset)))
    assert (
        f"transfer-syntax={dcmread(BytesIO(part)).file_meta.TransferSyntaxUID}"
        in (fields["Content-Type"])
    )


def check_metadata(http: httpx.Client, data: bytes, dataset: Dataset) -> None:
    """As the walk made it; the walk itself is held against pydicom in tests/dicom."""
    [got] = http.get(f"{path_of(dataset)}/metadata").json()
    meta = read_file_meta(data)
    inflated = None
    if is_deflated(meta.transfer_syntax_uid):
        start = meta.dataset_offset
        inflated = data[:start] + b"".join(inflate(data[start:], 1 << 30))
    base = f"{str(http.base_url).rstrip('/')}/{path_of(dataset)}/bulkdata".encode()
    assert got == orjson.loads(describe(data, inflated).metadata.replace(BULK_BASE, base))


def check_frames(http: httpx.Client, dataset: Dataset) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    accept = {"Accept": f'multipart/related; type="{OCTETS}"; transfer-syntax=*'}
    frames = http.get(f"{path_of(dataset)}/frames/1", headers=accept)
    assert frames.status_code in (200, 404, 406), frames.text
    if is_video(syntax):
        assert frames.status_code == 406  # WADO-08
        return
    if frames.status_code != 200 or "PixelData" not in dataset:
        return
    [(_, data)] = parts_of(frames)
    if is_encapsulated(syntax):
        count = int(dataset.get("NumberOfFrames") or 1)
        stored = next(generate_frames(dataset.PixelData, number_of_frames=count))
        if media_type_of(syntax) != OCTETS:
            assert data.rstrip(b"\0") == stored.rstrip(b"\0")
    elif dataset.BitsAllocated >= 8 and syntax != ExplicitVRBigEndian:
        assert dataset.PixelData.startswith(data)


def check_encoded(http: httpx.Client, dataset: Dataset, target: str) -> None:
    """Explicit VR LE and a compressed syntax decode to the same values, by pydicom; and to those
    of what was stored, where pydicom's decoder and ours cannot differ. What pydicom cannot decode
    may go as stored (TS-05)."""
    stored = dataset.file_meta.TransferSyntaxUID
    decodable = can_be_shown(dataset)
    served = []
    for syntax in (str(ExplicitVRLittleEndian), target):
        got = http.get(path_of(dataset), headers={"Accept": f"{DICOM}; transfer-syntax={syntax}"})
        assert got.status_code in (200, 406), got.text
        if got.status_code == 200:
            served.append(dcmread(BytesIO(got.content)))
            sent = served[-1].file_meta.TransferSyntaxUID
            assert sent == syntax or (sent == stored and not decodable)
    if stored in NOT_LOST and "PixelData" in dataset:
        served.append(dataset)
    if not decodable:
        return
    arrays = [pixel_array(one, raw=True) for one in served if "PixelData" in one]
    for array in arrays[1:]:
        assert np.array_equal(array, arrays[0])


def check_picture(http: httpx.Client, dataset: Dataset) -> None:
    rendered = http.get(f"{path_of(dataset)}/rendered")
    assert rendered.status_code in (200, 404, 406), rendered.text
    kind = rendered.headers["content-type"]
    if is_video(dataset.file_meta.TransferSyntaxUID):
        assert kind.startswith("video/")
        stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
        assert rendered.content.rstrip(b"\0") == stream.rstrip(b"\0")
    elif dataset.get("MIMETypeOfEncapsulatedDocument") == "application/pdf":
        assert kind == "application/pdf"
        assert rendered.content.startswith(b"%PDF")
    elif "ContentSequence" in dataset:
        assert kind.startswith("text/html")
        check_report(http, dataset, unescape(rendered.text))
    elif "WaveformSequence" in dataset:
        assert kind == "image/svg+xml"
        fromstring(rendered.content)
    elif rendered.status_code == 200:
        assert Image.open(BytesIO(rendered.content)).size == (dataset.Columns, dataset.Rows)
    else:
        assert not can_be_shown(dataset), rendered.text
    assert http.get(f"{path_of(dataset)}/thumbnail").status_code == 200


def check_report(http: httpx.Client, dataset: Dataset, page: str) -> None:
    """Every text, meaning and number of the content stands in the page, and in the plain text."""
    plain = http.get(f"{path_of(dataset)}/rendered", headers={"Accept": "text/plain"}).text
    for shown in (page, plain):
        words = " ".join(shown.split())
        for item in content_of(dataset):
            for element in (
                item.get("ConceptNameCodeSequence", []),
                item.get("ConceptCodeSequence", []),
            ):
                assert all(" ".join(code.CodeMeaning.split()) in words for code in element)
            assert " ".join(str(item.get("TextValue", "")).split()) in words
            for reference in item.get("ReferencedSOPSequence", []):
                assert reference.ReferencedSOPInstanceUID in words


def content_of(dataset: Dataset) -> Iterator[Dataset]:
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from content_of(item)


def can_be_shown(dataset: Dataset) -> bool:
    """Whether pydicom decodes the pixels, so that we must."""
    if is_video(dataset.file_meta.TransferSyntaxUID):
        return False
    try:
        return bool(dataset.pixel_array.size)
    except Exception:  # whatever a decoder says of damaged pixels
        return False
