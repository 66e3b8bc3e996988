"""What the browser test looks at: one study of each kind that viewers know, made in code.

Of the real data that come with pydicom, what cannot be made as well. The same every time.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import highdicom
import numpy as np
import pydicom
from pydicom import uid as uids
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sr.codedict import codes

from dicomweb_server.dicom.transcode import transcode
from tests.make import encapsulated_pdf, small_image, sr_document, study_of, uid
from tests.make.slides import slide_of

SLICES = 5
SIDE = 256  # pixels

# What a viewer has decoders for. Each holds the pixels of the first, to the bit.
LOSSLESS = {
    "Uncompressed": uids.ExplicitVRLittleEndian,
    "RLE": uids.RLELossless,
    "JPEG lossless": uids.JPEGLosslessSV1,
    "JPEG-LS": uids.JPEGLSLossless,
    "JPEG 2000": uids.JPEG2000Lossless,
    "HTJ2K": uids.HTJ2KLossless,
    "HTJ2K RPCL": uids.HTJ2KLosslessRPCL,
}

_VIDEO = Path(__file__).with_name("video.mp4")
_LIMIT = 1 << 28  # bytes


@dataclass(frozen=True)
class Study:
    """Files of one study, and what is looked for in it.

    `look` is one of the ways in view.mjs, `expected` what it is given. `images`: how many the
    first viewport has to show before anything else is done, if it shows any.
    """

    name: str
    files: list[bytes]
    look: str
    expected: Any
    images: int = 0
    mode: str = "viewer"  # of OHIF

    def task(self) -> dict[str, Any]:
        """What view.mjs is told."""
        return {
            "name": self.name,
            "uid": str(_read(self.files[0]).StudyInstanceUID),
            "look": self.look,
            "expected": self.expected,
            "images": self.images,
            "mode": self.mode,
        }


def studies() -> Iterator[Study]:
    """Every study, in the order in which they are looked at."""
    yield compressed()
    yield colour_frames()
    yield grey_frames()
    yield segmentation()
    yield structure_set()
    yield report()
    yield document()
    yield video()
    yield slide()


def compressed() -> Study:
    """One CT slice in every lossless syntax, a series each."""
    [source] = study_of(1, 1, seed=1, rows=SIDE, columns=SIDE, PatientName="Compressed^Study")
    files = []
    for number, (name, syntax) in enumerate(LOSSLESS.items(), 1):
        dataset = _read(source.file())
        dataset.SeriesInstanceUID = uid("compressed series", number)
        dataset.SOPInstanceUID = uid("compressed", number)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesNumber, dataset.SeriesDescription = number, name
        files.append(_transcoded(_written(dataset), syntax))
    return Study("compressed", files, "series", list(LOSSLESS))


def colour_frames() -> Study:
    """30 frames of an ultrasound in JPEG Baseline, YBR_FULL_422."""
    return Study("colour-frames", [_real("examples_ybr_color.dcm")], "frames", 30)


def grey_frames() -> Study:
    """Frames of 16 bits in one instance, of JPEG 2000."""
    file = small_image(
        frames=4,
        rows=64,
        columns=64,
        bits=12,
        transfer_syntax=uids.JPEG2000Lossless,
        seed=2,
        PatientName="Frames^Study",
        Modality="OT",
        SeriesNumber=1,
    )
    return Study("grey-frames", [file], "frames", 4)


def _slices(seed: int, name: str) -> list[bytes]:
    made = study_of(1, SLICES, seed=seed, rows=SIDE, columns=SIDE, PatientName=name)
    return [instance.file() for instance in made]


def segmentation() -> Study:
    """A SEG of one segment, a square in the middle, on the slices of a CT."""
    files = _slices(3, "Segmented^Study")
    sources = [_read(file) for file in files]
    mask = np.zeros((SLICES, SIDE, SIDE), np.uint8)
    mask[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 1
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Square",
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    made = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=uid("seg series"),
        series_number=99,
        sop_instance_uid=uid("seg"),
        instance_number=1,
        manufacturer="Tests",
        manufacturer_model_name="Tests",
        software_versions="1",
        device_serial_number="1",
        series_description="Square",
    )
    return Study("segmentation", [*files, _written(made)], "overlay", "SEG", images=SLICES)


def structure_set() -> Study:
    """An RTSTRUCT of one structure, a square on every slice of a CT."""
    files = _slices(4, "Contoured^Study")
    sources = [_read(file) for file in files]
    made = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        setattr(made, keyword, sources[0].get(keyword, ""))
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"):
        setattr(made, keyword, sources[0].get(keyword, ""))
    made.SOPClassUID, made.SOPInstanceUID = uids.RTStructureSetStorage, uid("rtstruct")
    made.SeriesInstanceUID, made.SeriesNumber = uid("rtstruct series"), 99
    made.Modality, made.SeriesDescription, made.InstanceNumber = "RTSTRUCT", "Contours", 1
    made.Manufacturer = made.ReferringPhysicianName = made.OperatorsName = ""
    made.StructureSetLabel, made.StructureSetName = "Contours", "Contours"
    made.StructureSetDate, made.StructureSetTime = "20240102", "101500"
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(sources)]
    region = Dataset()
    region.ROINumber, region.ROIName, region.ROIGenerationAlgorithm = 1, "Box", "MANUAL"
    region.ReferencedFrameOfReferenceUID = sources[0].FrameOfReferenceUID
    made.StructureSetROISequence = [region]
    contours = Dataset()
    contours.ReferencedROINumber, contours.ROIDisplayColor = 1, [255, 0, 0]
    contours.ContourSequence = [_square(source) for source in sources]
    made.ROIContourSequence = [contours]
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = 1
    observation.RTROIInterpretedType, observation.ROIInterpreter = "ORGAN", ""
    made.RTROIObservationsSequence = [observation]
    made.ApprovalStatus = "UNAPPROVED"
    return Study("structure-set", [*files, _written(made)], "overlay", "RTSTRUCT", images=SLICES)


def _frame_of_reference(sources: list[Dataset]) -> Dataset:
    images = []
    for source in sources:
        image = Dataset()
        image.ReferencedSOPClassUID = source.SOPClassUID
        image.ReferencedSOPInstanceUID = source.SOPInstanceUID
        images.append(image)
    series = Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = sources[0].SeriesInstanceUID, images
    study = Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # retired, and asked for (C.8.8.5)
    study.ReferencedSOPInstanceUID = sources[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _square(source: Dataset) -> Dataset:
    """A contour a quarter of the image away from its edges."""
    x, y, z = (float(number) for number in source.ImagePositionPatient)
    down, across = (float(number) * SIDE for number in source.PixelSpacing)
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    image = Dataset()
    image.ReferencedSOPClassUID = source.SOPClassUID
    image.ReferencedSOPInstanceUID = source.SOPInstanceUID
    contour = Dataset()
    contour.ContourImageSequence = [image]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(corners)
    contour.ContourData = []
    for a, b in corners:
        contour.ContourData += [round(x + a * across, 2), round(y + b * down, 2), z]
    return contour


def report() -> Study:
    """A structured report, with a text and a number."""
    text = "Nodule in the left upper lobe."
    return Study("report", [sr_document(PatientName="Reported^Study")], "text", text)


def document() -> Study:
    """An encapsulated PDF of one page with a text."""
    # Too long to stand in the metadata: the viewer has to ask for it.
    page = _page("Seen in the viewer") + b"%" * 20_000
    file = encapsulated_pdf(
        PatientName="Documented^Study",
        EncapsulatedDocument=page + b"\0" * (len(page) % 2),
        EncapsulatedDocumentLength=len(page),
    )
    return Study("document", [file], "colours", ["red"])


def _page(text: str) -> bytes:
    """A PDF whose page is red above a line of text."""
    drawn = f"1 0 0 rg 0 100 200 100 re f 0 g BT /F1 18 Tf 20 50 Td ({text}) Tj ET"
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R"
        "/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    body = "".join(f"{number} 0 obj{text}endobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>\n%%EOF\n".encode()


def video() -> Study:
    """A second of MPEG-4 AVC (see video.mp4)."""
    stream = _VIDEO.read_bytes()
    dataset = _read(
        small_image(photometric="RGB", bits=8, seed=5, PatientName="Filmed^Study", Modality="ES")
    )
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        uids.VideoEndoscopicImageStorage
    )
    dataset.file_meta.TransferSyntaxUID = uids.MPEG4HP41
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 240, 320, 25
    dataset.FrameTime, dataset.FrameIncrementPointer, dataset.CineRate = "40", 0x00181063, "25"
    dataset.LossyImageCompression, dataset.SeriesNumber = "01", 1
    dataset.ImageType, dataset.AcquisitionContextSequence = ["ORIGINAL", "PRIMARY"], []
    dataset.PixelData = encapsulate([stream], has_bot=False)
    dataset["PixelData"].VR = "OB"
    return Study("video", [_written(dataset)], "colours", ["red", "green", "blue"])


def slide() -> Study:
    """Three levels of a whole slide image, of JPEG tiles, and with all colours."""
    files = slide_of(
        3,
        transfer_syntax=uids.JPEGBaseline8Bit,
        rows=400,
        columns=600,
        PatientName="Slide^Study",
    )
    return Study("slide", files, "tiles", ["red", "green", "blue"], mode="microscopy")


def for_client() -> dict[str, Any]:
    """What client.mjs is told: a native image, and the same in HTJ2K in a study of its own."""
    [source] = study_of(1, 1, seed=6, rows=64, columns=64)
    native = _read(source.file())
    made = {}
    for name in ("image", "compressed"):
        for level in ("Study", "Series", "SOP"):
            setattr(native, f"{level}InstanceUID", uid("npm client", name, level))
        native.file_meta.MediaStorageSOPInstanceUID = native.SOPInstanceUID
        made[name] = _written(native)
    made["compressed"] = _transcoded(made["compressed"], uids.HTJ2KLossless)
    frame = next(generate_frames(_read(made["compressed"]).PixelData, number_of_frames=1))
    # A code stream is sent without the byte that pads it in its file.
    frames = {"image": native.PixelData, "compressed": frame.removesuffix(b"\0")}
    return {
        name: {
            "file": b64encode(file).decode(),
            "frame": b64encode(frames[name]).decode(),
            "study": uid("npm client", name, "Study"),
            "series": uid("npm client", name, "Series"),
            "instance": uid("npm client", name, "SOP"),
        }
        for name, file in made.items()
    }


def _real(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} comes with pydicom"
    return Path(path).read_bytes()


def _read(file: bytes) -> Any:
    return pydicom.dcmread(BytesIO(file))


def _written(dataset: Dataset) -> bytes:
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uids.ExplicitVRLittleEndian
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _transcoded(file: bytes, syntax: str) -> bytes:
    """By our own encoders, as files that other systems made of the same image would be."""
    with TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), Path(folder, "made")
        source.write_bytes(file)
        transcode(source, made, syntax, inflate_limit=_LIMIT, pixel_limit=_LIMIT)
        return made.read_bytes()
