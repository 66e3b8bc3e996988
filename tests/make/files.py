"""Any file: UIDs, PS3.10 files from data sets, multipart bodies from files."""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from pydicom import dcmwrite
from pydicom import uid as uids
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ABSENT = object()
"""As a value: leave out an attribute that would be there otherwise."""


def uid(*parts: object) -> str:
    """A UID for these parts, always 43 characters long (PS3.5 B.2: 2.25. and a UUID's number)."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    # 38 digits: below 2**128, and never with a leading zero, so that the length is constant.
    return f"2.25.{10**37 + int.from_bytes(digest[:16], 'big') % (9 * 10**37)}"


def part10(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a PS3.10 file. It must hold SOPClassUID and SOPInstanceUID."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uids.UID(transfer_syntax)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    # Set here, or else pydicom writes its own version and the bytes change with it.
    meta.ImplementationClassUID = uids.UID(uid("tests.make"))
    meta.ImplementationVersionName = "TESTS_MAKE"
    dataset.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


# Attributes of Type 2 that every IOD has of a patient's study, series and instance (PS3.3 C.7).
EMPTY = dict.fromkeys(
    [
        *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
        *("PatientBirthDate", "PatientSex", "SeriesNumber", "Manufacturer", "InstanceNumber"),
    ]
)


def dataset_with(**keywords: Any) -> Dataset:
    """A minimal data set with these attributes, by keyword.

    None stands for an empty value, ABSENT for no attribute, a list of Dataset for a sequence.
    UIDs that are not given follow from `keywords`: the same call gives the same instance,
    another call another instance in a study of its own. Raises ValueError for a keyword
    that PS3.6 does not have.
    """
    identity = sorted((name, str(value)) for name, value in keywords.items())
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": uids.SecondaryCaptureImageStorage,
        "SOPInstanceUID": uid("instance", identity),
        "StudyInstanceUID": uid("study", identity),
        "SeriesInstanceUID": uid("series", identity),
        "PatientID": "P1",
        "PatientName": "Test^Patient",
        "Modality": "OT",
    }
    dataset = Dataset()
    for name, value in (values | keywords).items():
        if tag_for_keyword(name) is None:
            # pydicom would keep it as a plain Python attribute, lost without a sound.
            raise ValueError(f"{name} is no keyword of PS3.6")
        if value is not ABSENT:
            setattr(dataset, name, value)
    return dataset


def instance_with(*, transfer_syntax: str = ExplicitVRLittleEndian, **keywords: Any) -> bytes:
    """A PS3.10 file without pixels that holds these attributes; see `dataset_with`.

    Raw Data, which lacks nothing mandatory (PS3.3 A.37), unless `keywords` say otherwise.
    """
    values = {
        **EMPTY,
        "SOPClassUID": uids.RawDataStorage,
        "ContentDate": "20240102",
        "ContentTime": "101500",
        "CreatorVersionUID": uid("tests.make"),
        "AcquisitionContextSequence": [],
    }
    return part10(dataset_with(**(values | keywords)), transfer_syntax)


def multipart_body(
    files: Iterable[bytes],
    *,
    boundary: str = "tests-make-boundary",
    media_type: str = "application/dicom",
) -> tuple[bytes, str]:
    """A multipart/related body with a part for each file, and its Content-Type (PS3.18 8.6.1.2)."""
    head = f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    pieces: list[bytes] = []
    for file in files:
        pieces += (head, file, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f'multipart/related; type="{media_type}"; boundary={boundary}'
