"""How the suite makes data sets: small, with attributes that it knows, of nobody."""

from typing import Any
from uuid import uuid4

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

IMPLEMENTATION = UID("2.25.93087146123459082649125430981237")


def new_uid() -> str:
    """A UID that nobody else has (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def dataset_of(
    token: str, sop_class: str, modality: str, syntax: str = ExplicitVRLittleEndian, **more: Any
) -> Dataset:
    """A data set with patient, study, series and instance; `more` are attributes by keyword, put
    in place of the usual ones. None leaves one out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION
    usual: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": sop_class,
        "SOPInstanceUID": new_uid(),
        "StudyDate": "20240131",
        "StudyTime": "101530",
        "AccessionNumber": f"{token}-A",
        "Modality": modality,
        "ReferringPhysicianName": "Conformance^Refers",
        "StudyDescription": "Suite of conformance",
        "SeriesDescription": f"{modality} of the suite",
        "ConversionType": "SYN" if modality == "OT" else None,
        "PatientName": f"{token}^Müller",
        "PatientID": f"{token}-1",
        "PatientBirthDate": "19700201",
        "PatientSex": "O",
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "StudyID": "S1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }
    for keyword, value in {**usual, **more}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def add_image(dataset: Dataset, array: np.ndarray, photometric: str = "MONOCHROME2") -> Dataset:
    """Give `dataset` native pixel data: (rows, columns), (frames, rows, columns) or, of colour,
    with three samples at the end; uint8 or uint16. Gives `dataset` back."""
    colour = array.ndim > 2 and array.shape[-1] == 3
    shape = array.shape[:-1] if colour else array.shape
    bits = array.dtype.itemsize * 8
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = photometric
    if colour:
        dataset.PlanarConfiguration = 0
    if len(shape) == 3:
        dataset.NumberOfFrames = shape[0]
    dataset.Rows, dataset.Columns = shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset


def gradient(rows: int, columns: int, seed: int = 0, dtype: type = np.uint16) -> np.ndarray:
    """Values that differ from pixel to pixel, and from seed to seed."""
    ramp = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    top = 4096 if dtype == np.uint16 else 256
    return ((ramp * 7 + seed * 31) % top).astype(dtype)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
