"""The instances that the suite makes and stores: small, of many kinds, with attributes it knows.

Nothing in them is of a person. Each run has a `token`, which all its Patient IDs begin with, and
UIDs of its own (PS3.5 B.2), so that runs beside each other, and what was there before, do not
matter.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

IMPLEMENTATION = UID("2.25.93087146123459082649125430981237")


def new_uid() -> str:
    """A UID that nobody else has (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


@dataclass(frozen=True)
class Instance:
    """One instance: its data set and its file."""

    dataset: Dataset

    @property
    def study(self) -> str:
        return str(self.dataset.StudyInstanceUID)

    @property
    def series(self) -> str:
        return str(self.dataset.SeriesInstanceUID)

    @property
    def uid(self) -> str:
        return str(self.dataset.SOPInstanceUID)

    @property
    def syntax(self) -> str:
        return str(self.dataset.file_meta.TransferSyntaxUID)

    @property
    def study_path(self) -> str:
        return f"studies/{self.study}"

    @property
    def series_path(self) -> str:
        return f"{self.study_path}/series/{self.series}"

    @property
    def path(self) -> str:
        """Below the base URI."""
        return f"{self.series_path}/instances/{self.uid}"

    @cached_property
    def file(self) -> bytes:
        """The PS3.10 file."""
        target = BytesIO()
        dcmwrite(target, self.dataset, enforce_file_format=True)
        return target.getvalue()


@dataclass
class Shelf:
    """What the suite stores before it asks. `kinds`: instances by the name of their kind."""

    token: str = field(default_factory=lambda: f"CF{uuid4().hex[:8].upper()}")
    kinds: dict[str, list[Instance]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, make in _KINDS.items():
            self.kinds[kind] = [Instance(dataset) for dataset in make(self.token)]

    def __getitem__(self, kind: str) -> list[Instance]:
        return self.kinds[kind]

    @property
    def studies(self) -> set[str]:
        return {item.study for kind in self.kinds.values() for item in kind}


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


# --- kinds -------------------------------------------------------------------------------------


def _ct(token: str) -> list[Dataset]:
    """A study of two series, of three and two images, with what searches ask for."""
    study, found = new_uid(), []
    for series_number, images in ((1, 3), (2, 2)):
        series = new_uid()
        for number in range(1, images + 1):
            dataset = dataset_of(
                token,
                CTImageStorage,
                "CT",
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SeriesNumber=series_number,
                InstanceNumber=number,
                PerformedProcedureStepStartDate="20240131",
                PerformedProcedureStepStartTime="101600",
                BodyPartExamined="CHEST",
                RescaleIntercept="-1024",
                RescaleSlope="1",
                WindowCenter="40",
                WindowWidth="400",
                ImagePositionPatient=[0, 0, number],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                PixelSpacing=[0.5, 0.5],
            )
            request = Dataset()
            request.RequestedProcedureID = f"{token}-RP{series_number}"
            request.ScheduledProcedureStepID = f"{token}-SPS{series_number}"
            dataset.RequestAttributesSequence = Sequence([request])
            add_image(dataset, gradient(16, 24, 10 * series_number + number))
            found.append(dataset)
    return found


def _mixed(token: str) -> list[Dataset]:
    """A later study of the same patient: an MR series, and a report on it."""
    study = new_uid()
    same = {"StudyInstanceUID": study, "StudyDate": "20240305", "StudyTime": "080000"}
    same["AccessionNumber"] = f"{token}-B"
    mr = dataset_of(token, MRImageStorage, "MR", **same)
    add_image(mr, gradient(16, 24, 5))
    report = dataset_of(token, BasicTextSRStorage, "SR", **same, SeriesNumber=2)
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.ContentDate, report.ContentTime = "20240305", "081500"
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = Sequence([_code("121060", "DCM", "History")])
    text = Dataset()
    text.RelationshipType, text.ValueType = "CONTAINS", "TEXT"
    text.ConceptNameCodeSequence = Sequence([_code("121071", "DCM", "Finding")])
    text.TextValue = "<b>Nothing</b> & nobody"
    report.ContentSequence = Sequence([text])
    return [mr, report]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _frames(token: str) -> list[Dataset]:
    """Four frames of eight bits, native."""
    dataset = dataset_of(token, MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "OT")
    dataset.PatientID = f"{token}-2"
    return [add_image(dataset, np.stack([gradient(12, 10, n, np.uint8) for n in range(4)]))]


def _rle(token: str) -> list[Dataset]:
    """Three frames of eight bits, RLE Lossless."""
    [dataset] = _frames(token)
    array = np.stack([gradient(12, 10, n + 9, np.uint8) for n in range(3)])
    add_image(dataset, array)
    encode = get_encoder(RLELossless).encode
    frames = [encode(dataset, index=index) for index in range(3)]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = RLELossless
    return [dataset]


def _colour(token: str) -> list[Dataset]:
    """One RGB image, native."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-2")
    planes = [gradient(16, 24, n, np.uint8) for n in range(3)]
    return [add_image(dataset, np.stack(planes, axis=-1), "RGB")]


def _jpeg(token: str) -> list[Dataset]:
    """One image in JPEG Baseline, YBR_FULL_422."""
    [dataset] = _colour(token)
    across = np.linspace(0, 255, 24, dtype=np.uint8)
    array = np.broadcast_to(across[None, :, None], (16, 24, 3))
    target = BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(target, "JPEG", quality=90, subsampling=1)
    add_image(dataset, np.ascontiguousarray(array), "YBR_FULL_422")
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = "5"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    dataset.PixelData = encapsulate([target.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return [dataset]


def _pdf(token: str) -> list[Dataset]:
    """A document of an odd length."""
    dataset = dataset_of(token, EncapsulatedPDFStorage, "DOC", PatientID=f"{token}-2")
    dataset.DocumentTitle = "A page"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    page = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]"
    page += b"/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    page += b"% what makes it too long to be inline\n" * 500
    page += b"\n" * (1 - len(page) % 2)
    dataset.EncapsulatedDocument = page + b"\0"
    dataset.EncapsulatedDocumentLength = len(page)
    return [dataset]


def _latin(token: str) -> list[Dataset]:
    """Text in ISO 8859-1, as many devices send it."""
    dataset = dataset_of(
        token,
        SecondaryCaptureImageStorage,
        "OT",
        PatientID=f"{token}-4",
        SpecificCharacterSet="ISO_IR 100",
        PatientName=f"{token}^Åse",
        StudyDescription="Genève, été",
    )
    return [add_image(dataset, gradient(8, 8, 4, np.uint8))]


def _unfinite(token: str) -> list[Dataset]:
    """Numbers that JSON does not have."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-4")
    dataset.add_new(0x00189073, "FD", float("nan"))
    dataset.add_new(0x00181271, "FL", [float("inf"), 1.5])
    return [add_image(dataset, gradient(8, 8, 4, np.uint8))]


def _values(token: str) -> list[Dataset]:
    """Values that JSON and XML have to get right: of many VRs, empty, nested, private, binary."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-3")
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.ReferringPhysicianName = ""  # empty
    dataset.OtherPatientNames = ["One^Name", "", "Three^Names"]
    dataset.ImageType = ["DERIVED", "SECONDARY", "", "OTHER"]
    dataset.ImageComments = "back\\slash, and a line\r\nmore"
    dataset.PatientAge = "042Y"
    dataset.PatientWeight = "71.50"
    dataset.FrameIncrementPointer = 0x00181063  # AT
    dataset.AcquisitionDateTime = "20240131101530.500000+0100"
    dataset.RecommendedDisplayFrameRate = 25  # IS
    dataset.add_new(0x00189073, "FD", 1.25)
    dataset.add_new(0x00181271, "FL", [0.5, -2.25])
    dataset.add_new(0x00186020, "SL", [-7, 8])
    dataset.add_new(0x00189810, "SS", -3)
    dataset.add_new(0x00720082, "SV", [-(2**60), 5])
    dataset.add_new(0x00720083, "UV", 2**63)
    dataset.add_new(0x0040E010, "UR", "https://suite.example/a?b=c")
    dataset.add_new(0x00189374, "UC", "unlimited characters")
    dataset.add_new(0x0040A160, "UT", "unlimited text")
    dataset.add_new(0x00282000, "OB", bytes(range(256)) * 8)
    item, inner, empty = Dataset(), Dataset(), Dataset()
    inner.CodeMeaning = "deep"
    item.PurposeOfReferenceCodeSequence = Sequence([inner])
    dataset.SourceImageSequence = Sequence([item, empty])
    dataset.ReferencedImageSequence = Sequence([])
    block = dataset.private_block(0x0011, "SUITE OF CONFORMANCE", create=True)
    block.add_new(0x01, "LO", f"{token}-P")
    block.add_new(0x02, "DS", "3.5")
    return [add_image(dataset, gradient(8, 8, 3, np.uint8))]


_KINDS: dict[str, Callable[[str], list[Dataset]]] = {
    "ct": _ct,
    "mixed": _mixed,
    "frames": _frames,
    "rle": _rle,
    "colour": _colour,
    "jpeg": _jpeg,
    "pdf": _pdf,
    "values": _values,
    "latin": _latin,
    "unfinite": _unfinite,
}
