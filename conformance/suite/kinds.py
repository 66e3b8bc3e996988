"""The kinds of instances that most checks ask for: images, a report, a document, values."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    JPEGBaseline8Bit,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from conformance.suite.making import add_image, code, dataset_of, gradient, new_uid


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
    report.ConceptNameCodeSequence = Sequence([code("121060", "DCM", "History")])
    text = Dataset()
    text.RelationshipType, text.ValueType = "CONTAINS", "TEXT"
    text.ConceptNameCodeSequence = Sequence([code("121071", "DCM", "Finding")])
    text.TextValue = "<b>Nothing</b> & nobody"
    report.ContentSequence = Sequence([text])
    return [mr, report]


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


KINDS: dict[str, Callable[[str], list[Dataset]]] = {
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
