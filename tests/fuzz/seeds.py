"""What fuzzing begins with: a few small valid inputs of each target, made in code."""

import gzip
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import orjson
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicomweb_server.dicom.part10 import read_file_meta
from dicomweb_server.wire.cursors import make_cursor
from tests.fuzz import coded_seeds
from tests.make import ct_instance, instance_with, small_image, sr_document
from tests.make.blending import blending_state
from tests.make.documents import clinical_document
from tests.make.posted import Bulk, attributes, native_xml
from tests.make.reports import code, container, image, num, see, text
from tests.make.states import annotation, area, graphic, item, layer, presentation_state
from tests.make.states import text as state_text
from tests.make.waveforms import group, lead, waveform

KEPT = Path(__file__).parent / "kept"

RLE, JPEG, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1.99"
IMPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def seeds_of(name: str) -> list[bytes]:
    """The seeds of a target: made here, and kept as files, among which is all that went wrong."""
    kept = sorted((KEPT / name).glob("*")) if (KEPT / name).is_dir() else []
    return [*_made(name), *(path.read_bytes() for path in kept)]


@cache
def _made(name: str) -> tuple[bytes, ...]:
    return tuple(_MAKERS[name]())


# -------------------------------------------------------------------------------------- files


def _files() -> list[bytes]:
    return [
        small_image(),
        small_image(frames=3, transfer_syntax=RLE),
        small_image(frames=2, transfer_syntax=RLE, offsets="extended"),
        small_image(photometric="RGB", transfer_syntax=JPEG, bits=8),
        small_image(photometric="PALETTE COLOR", bits=8),
        small_image(bits=1, frames=3, rows=3, columns=3),
        small_image(transfer_syntax=IMPLICIT),
        small_image(transfer_syntax=BIG),
        instance_with(transfer_syntax=DEFLATED, PatientName="Müller^Hans=山田"),
        sr_document(),
    ]


def _bare(file: bytes) -> bytes:
    """The data set of a file, behind a byte that says how it is encoded."""
    meta = read_file_meta(file)
    encoding = {IMPLICIT: 1, BIG: 2}.get(meta.transfer_syntax_uid, 0)
    return bytes([encoding]) + file[meta.dataset_offset :]


def _datasets() -> list[bytes]:
    return [
        _bare(file) for file in _files() if read_file_meta(file).transfer_syntax_uid != DEFLATED
    ]


def _named() -> bytes:
    return _bare(
        instance_with(
            PatientName="Müller^Hans=山田^太郎=やまだ^たろう",
            StudyDate="20240131",
            StudyTime="101500.5",
            AcquisitionDateTime=["20240131101500-0500", "2024"],
            TimezoneOffsetFromUTC="+0130",
            SliceThickness="1.250",
            Rows=512,
            ImageType=["ORIGINAL", "", "AXIAL "],
            FrameIncrementPointer=0x00181063,
        )
    )


def _reports() -> list[bytes]:
    content = [
        text("Finding", "A nodule\nof 8 mm"),
        num("Size", "8.25", "mm", image("Source", "1.2.3")),
        container("Part", see(1, 1), text("More", "")),
        item(
            ValueType="DATETIME",
            RelationshipType="CONTAINS",
            DateTime="20240102101500",
            ConceptNameCodeSequence=[code("When")],
        ),
        item(ValueType="SCOORD", GraphicType="POINT", GraphicData=[1.0, 2.0]),
        item(ValueType="TCOORD", TemporalRangeType="POINT", ReferencedTimeOffsets=["1", "2"]),
        item(ValueType="PNAME", PersonName="A^B"),
    ]
    return [
        _bare(sr_document()),
        _bare(sr_document(ContentSequence=content)),
        _bare(sr_document(ContentSequence=[container("Deep", container("Deeper", *content))])),
    ]


def _waveforms() -> list[bytes]:
    samples = np.arange(80, dtype=np.int16).reshape(40, 2)
    channels = [lead("I"), lead("V1", ChannelTimeSkew=1)]
    note = item(
        AnnotationGroupNumber=1,
        ReferencedWaveformChannels=[1, 1],
        UnformattedTextValue="Beat",
        TemporalRangeType="POINT",
        ReferencedSamplePositions=[3],
    )
    small = group([lead("II")], samples[:, :1].astype(np.uint8), frequency=100)
    return [
        _bare(waveform(group(channels, samples), WaveformAnnotationSequence=[note])),
        _bare(waveform(small, group(channels, samples, frequency=250))),
        _bare(waveform(small, transfer_syntax=IMPLICIT)),
    ]


def _image() -> Dataset:
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3")
    found.SeriesInstanceUID, found.StudyInstanceUID = UID("1.2.4"), UID("1.2.5")
    found.Rows = found.Columns = 8
    return found


def _states() -> list[bytes]:
    shapes = [
        graphic("POLYLINE", 1, 1, 7, 7, 1, 7),
        graphic("CIRCLE", 4, 4, 6, 4, GraphicFilled="Y"),
        graphic("ELLIPSE", 1, 4, 7, 4, 4, 2, 4, 6),
        graphic("INTERPOLATED", 1, 1, 3, 5, 6, 2, 7, 7),
        graphic("POINT", 0.5, 0.5, units="DISPLAY"),
        state_text("A text"),
    ]
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=[1, 2])
    states = [
        presentation_state(_image()),
        blending_state([_image()], [_image()]),
        presentation_state(
            _image(),
            GraphicAnnotationSequence=[annotation(*shapes)],
            GraphicLayerSequence=[layer()],
        ),
        presentation_state(
            _image(),
            DisplayedAreaSelectionSequence=[area(-2, 1, 12, 8, "MAGNIFY")],
            ImageRotation=90,
            ImageHorizontalFlip="Y",
        ),
        presentation_state(
            _image(),
            ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
            **dict.fromkeys(("ShutterLeftVerticalEdge", "ShutterUpperHorizontalEdge"), 2),
            **dict.fromkeys(("ShutterRightVerticalEdge", "ShutterLowerHorizontalEdge"), 7),
            CenterOfCircularShutter=[4, 4],
            RadiusOfCircularShutter=3,
            VerticesOfThePolygonalShutter=[1, 1, 7, 1, 4, 7],
            ShutterPresentationValue=0,
        ),
        presentation_state(
            _image(),
            MaskSubtractionSequence=[mask],
            SoftcopyVOILUTSequence=[item(WindowCenter="32", WindowWidth="64")],
            PresentationLUTShape="INVERSE",
        ),
    ]
    return [_bare(state) for state in states]


def _images() -> list[bytes]:
    lut = item(LUTDescriptor=[4, 0, 8], ModalityLUTType="HU", LUTData=[0, 80, 160, 255])
    lut["LUTDescriptor"].VR = "US"
    lut["LUTData"].VR = "US"
    several = [
        small_image(rows=4, columns=4),
        small_image(rows=4, columns=4, photometric="RGB", bits=8, planar=1),
        small_image(rows=4, columns=4, photometric="PALETTE COLOR", bits=8),
        small_image(rows=4, columns=4, bits=1),
        small_image(
            rows=4,
            columns=4,
            frames=3,
            FrameIncrementPointer=0x00181065,
            FrameTimeVector=["0", "40", "41.5"],
            CineRate=25,
        ),
        small_image(
            rows=4,
            columns=4,
            signed=True,
            RescaleIntercept="-1024",
            RescaleSlope="1",
            WindowCenter=["40", "80"],
            WindowWidth=["400", "1"],
            VOILUTFunction="SIGMOID",
            PixelPaddingValue=-5,
        ),
        small_image(rows=4, columns=4, ModalityLUTSequence=[lut], PixelSpacing=["0.5", "1"]),
    ]
    return [_bare(file) for file in several]


def _segmentations() -> list[bytes]:
    def frame(number: int, z: str) -> Dataset:
        return item(
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
            PlanePositionSequence=[item(ImagePositionPatient=["1", "2", z])],
            FrameContentSequence=[item(DimensionIndexValues=[number, 1])],
            DerivationImageSequence=[
                item(
                    SourceImageSequence=[
                        item(
                            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                            ReferencedSOPInstanceUID="1.2.3",
                            ReferencedFrameNumber=[1],
                        )
                    ]
                )
            ],
        )

    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        PixelMeasuresSequence=[item(PixelSpacing=["1", "1"], SliceThickness="2")],
    )
    segments = [
        item(SegmentNumber=n, SegmentLabel=f"S{n}", RecommendedDisplayCIELabValue=[30000, n, 9])
        for n in (1, 2)
    ]
    made = instance_with(
        SegmentationType="BINARY",
        MaximumFractionalValue=255,
        NumberOfFrames=3,
        FrameOfReferenceUID="1.2.9",
        SegmentSequence=segments,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame(1, "0"), frame(2, "0"), frame(1, "2")],
    )
    tiled = instance_with(
        TotalPixelMatrixColumns=16,
        TotalPixelMatrixRows=16,
        Rows=8,
        Columns=8,
        NumberOfFrames=4,
        DimensionOrganizationType="TILED_FULL",
        SharedFunctionalGroupsSequence=[shared],
    )
    # The byte before tells how many frames there are, too
    return [bytes([3 * (count - 1)]) + _bare(file)[1:] for count, file in ((3, made), (4, tiled))]


def _encapsulated() -> list[bytes]:
    def items(*values: bytes) -> bytes:
        found = b"".join(
            b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value for value in values
        )
        return found + b"\xfe\xff\xdd\xe0\0\0\0\0"

    frame = b"\xff\xd8\xff\xd9"
    return [
        b"\1\0" + items(b"", frame),
        b"\2\0" + items(b"\0\0\0\0\x0c\0\0\0", frame, frame),
        b"\2\0" + items(b"", frame, frame[:2], frame[2:]),
        b"\0\2" + items(b"", frame, frame + b"\0\0"),
    ]


def _native() -> list[bytes]:
    def of(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(2, "little") for number in numbers)

    return [
        of(1, 2, 2, 16, 2, 16, 0) + bytes(16),
        of(1, 3, 3, 1, 3, 1, 0) + bytes(4),
        of(3, 2, 2, 8, 1, 8, 1) + bytes(12),
        of(1, 1, 1, 32, 2, 32, 2) + bytes(8),
    ]


def _tables() -> list[bytes]:
    def of(flags: int, count: int, first: int, bits: int, data: bytes) -> bytes:
        described = b"".join(n.to_bytes(2, "little") for n in (count, first, bits))
        return bytes([flags]) + described + data

    def words(*numbers: int) -> bytes:
        return np.array(numbers, "<u2").tobytes()

    return [
        of(0, 4, 0, 16, words(0, 100, 200, 65535)),
        of(1, 4, 0xFFFE, 8, bytes([1, 2, 3, 4])),
        of(2, 10, 0, 16, words(0, 2, 5, 9, 1, 8, 100)),
        of(2, 12, 0, 16, words(0, 2, 5, 9, 1, 3, 90, 2, 2, 0, 0)),
    ]


# ----------------------------------------------------------------------------------- messages


def _posted() -> list[dict[str, object]]:
    image = attributes(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        SOPInstanceUID="1.2.3",
        PatientName="Müller^Hans=山田^太郎",
        PatientID="P1",
        StudyDate="20240102",
        Rows=2,
        SliceThickness="1.25",
        PixelData=Bulk("cid:1"),
        RequestAttributesSequence=[item(ScheduledProcedureStepID="S", StudyInstanceUID="1.2")],
    )
    private = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00091001": {"vr": "OB", "InlineBinary": b64encode(b"\1\2").decode()},
        "00090010": {"vr": "LO", "Value": ["US"]},
        "00189087": {"vr": "FD", "Value": [1.5, None]},
        "00280106": {"vr": "SS", "Value": [-3]},
        "00080008": {"vr": "CS", "Value": ["A", None, "B"]},
        "0040a30a": {"vr": "DS", "Value": ["1.0000000000001", 2]},
        "00181624": {"vr": "AT", "Value": ["00280010"]},
        "7FE00008": {"vr": "OF", "BulkDataURI": "x"},
    }
    return [image, private]


def _searches() -> list[bytes]:
    cursor = make_cursor(("20240102", None, 3), "").encode()
    return [
        b"\0PatientName=M%C3%BCll*&fuzzymatching=true&limit=5",
        b"\0StudyDate=20240101-20240131&StudyTime=10-12&includefield=all&orderby=-StudyDate",
        b"\1Modality=CT,MR&00400275.00401001=R1&includefield=00081190",
        b"\1SeriesInstanceUID=1.2.3.4,1.2.5&offset=3",
        b"\2InstanceCreationDate=2024&Rows=512&SliceThickness=1.25&emptyvaluematching=true",
        b"\2AcquisitionDateTime=20240131101500%2B0100-&TimezoneOffsetFromUTC=%2B0100",
        b"\0PatientName=%22%22&ModalitiesInStudy=CT&multiplevaluematching=true&cursor=" + cursor,
        b"\0" + b"00091001=x&00090010=ACME&PatientID=P%5C*1&StudyDescription=a?b",
    ]


def _accepts() -> list[bytes]:
    return [
        b'multipart/related; type="application/dicom"; transfer-syntax=*, */*;q=0.1',
        b"application/dicom+json;q=0.5, multipart/related;type=image/jp2\nimage/jpeg;q=1",
        b"image/png, text/html; q=0.001, bad;;q=x,*\n*/*\ngzip;q=0.8, br, *;q=0",
        b'multipart/related; boundary="a b\\"c"; type=application/octet-stream\n\nzstd,x-gzip',
    ]


_BODY = (
    b"\5pre\r\n--b\r\nContent-Type: application/dicom\r\nContent-ID: <a>\r\n\r\nDICM\r\n--b "
    b"\r\n\r\n\r\n--c\r\n--b\r\nX: y\r\n z\r\n\r\nlast\r\n--b--\r\nafter"
)

_MAKERS: dict[str, Callable[[], list[bytes]]] = {
    "multipart": lambda: [_BODY, b"\0--b\r\n\r\n\r\n--b--", b"\1--b\n\na\n--b--"],
    "accept": _accepts,
    "conditions": lambda: [
        b'\x64\0bytes=0-9,20-,-5\n"a", W/"b"\n*\n"a"',
        b'\0\0bytes=-5\n*\nW/"a"\nFri, 01 Jan 2021 00:00:00 GMT',
    ],
    "search": _searches,
    "rendered": lambda: [
        b"window=40,400,linear&viewport=100,100,0,0,50,-50&quality=90&annotation=patient,technique",
        b"window=1e3,0.5,sigmoid&iccprofile=srgb&viewport=8,8",
        b"viewport=10,10,,,5,5&window=-1,1,linear-exact",
    ],
    "paths": lambda: [
        b"1.2.840.10008",
        b"1,2,3",
        b"7FE00010\napplication/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
        b"00081140/1/00091001\nPatientName,00100020",
        make_cursor(("20240102", None, 3), "-StudyDate").encode() + b"\n-StudyDate",
    ],
    "gzip": lambda: [
        b"\x09" + gzip.compress(b"a text " * 9, mtime=0),
        b"\x14" + gzip.compress(b"one", mtime=0) + b"\0\0" + gzip.compress(b"two", mtime=0),
    ],
    "posted_json": lambda: [orjson.dumps([each]) for each in _posted()],
    "posted_xml": lambda: [native_xml(_posted()[0])],
    "clinical_document": lambda: [clinical_document()],
    "names": lambda: [
        "M?ll*^H*\nMüller^Hans^^Dr.=山田^太郎=やまだ^たろう".encode(),
        "o'neill, Jean-Luc\nSchmidt van der Walß".encode(),
        b"*a*b*\naXbYab",
    ],
    "moments": lambda: [
        b"\x0c20240131",
        b"\x0c101500.123",
        b"\xf42024013110150-0530",
        b"\0+0130",
        b"\x002024.01.31",
        b"\x0010:15:30",
    ],
    "character_sets": lambda: [
        b"\\ISO 2022 IR 87\nYamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        b"ISO 2022 IR 13\\ISO 2022 IR 87\n\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J",
        b"\\ISO 2022 IR 149\nHong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce",
        b"GB18030\nWang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab",
        b"ISO_IR 192\n\xc3\xa4\\\xe5\xb1\xb1",
    ],
    "part10": lambda: [
        *_files(),
        ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=2, columns=2),
    ],
    "dataset": _datasets,
    "matching": lambda: [*_datasets(), _named()],
    "fragments": _encapsulated,
    "native_frames": _native,
    "lookup_tables": _tables,
    "report": _reports,
    "waveform": _waveforms,
    "presentation_state": _states,
    "image": _images,
    "segmentation": _segmentations,
    "directory": _datasets,
    "reencoding": lambda: [
        *_files(),
        small_image(signed=True, bits=12, transfer_syntax=BIG),
        small_image(photometric="RGB", bits=8, planar=1, transfer_syntax=IMPLICIT),
    ],
    **coded_seeds.MAKERS,
}
