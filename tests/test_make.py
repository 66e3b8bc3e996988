"""The files that other tests are built on are what they say they are."""

from email.message import Message
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pixel_array

from tests.make import (
    ABSENT,
    Offsets,
    ct_instance,
    ct_pixels,
    encapsulated_pdf,
    instance_with,
    multipart_body,
    pdf,
    small_image,
    small_pixels,
    sr_document,
    study_of,
    uid,
)

LOSSLESS = [
    uids.ImplicitVRLittleEndian,
    uids.ExplicitVRLittleEndian,
    uids.ExplicitVRBigEndian,
    uids.DeflatedExplicitVRLittleEndian,
    uids.RLELossless,
    uids.JPEGLosslessSV1,
    uids.JPEGLSLossless,
    uids.JPEG2000Lossless,
    uids.HTJ2KLossless,
]


def read(file: bytes) -> FileDataset:
    return dcmread(BytesIO(file))


def test_uids_follow_from_their_parts_and_have_one_length() -> None:
    made = {uid("a", number) for number in range(500)}

    assert len(made) == 500
    assert {len(each) for each in made} == {43}
    assert all(uids.UID(each).is_valid for each in made)
    assert uid("a", 1) == uid("a", 1) != uid("b", 1)


def test_a_ct_header_is_as_large_as_a_scanners() -> None:
    dataset = read(ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4"))

    assert 140 <= len(dataset) <= 160
    assert sum(element.tag.is_private for element in dataset) == 28
    assert sum(element.VR == "SQ" for element in dataset) >= 5
    assert dataset.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue
    assert dataset[0x0043, 0x1040][0][0x0043, 0x1050].value == "STEP"
    assert pixel_array(dataset).shape == (512, 512)


@pytest.mark.parametrize("sop_uid", ["1.2", "1.2.3", uid("long")])
@pytest.mark.parametrize("number", [1, 10, 123])
def test_what_is_put_into_a_shared_ct_header_is_read_from_it(sop_uid: str, number: int) -> None:
    # UIDs of other lengths as well: nothing but lengths of the elements themselves depend on them.
    file = ct_instance(
        study_uid="1.2.840.1",
        series_uid="1.2.840.22",
        sop_uid=sop_uid,
        number=number,
        rows=16,
        columns=8,
        PatientName="Müller^Änne",
        SeriesNumber=7,
    )
    dataset = read(file)

    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == sop_uid
    assert (dataset.StudyInstanceUID, dataset.SeriesInstanceUID) == ("1.2.840.1", "1.2.840.22")
    assert (dataset.InstanceNumber, dataset.SeriesNumber) == (number, 7)
    assert dataset.PatientName == "Müller^Änne"
    assert dataset.SliceLocation == dataset.ImagePositionPatient[2] == -200 + 1.25 * number
    assert dataset.PixelData == ct_pixels(number=number, rows=16, columns=8)


def test_a_ct_file_is_what_pydicom_writes_of_it() -> None:
    file = study_of(1, 1, rows=16, columns=16)[0].file()
    written = BytesIO()
    read(file).save_as(written, enforce_file_format=True)

    assert written.getvalue() == file


def test_a_study_is_the_same_again_and_its_instances_differ() -> None:
    study = study_of(2, 3, rows=8, columns=8, seed=4)
    files = [instance.file() for instance in study]

    assert files == [instance.file() for instance in study_of(2, 3, rows=8, columns=8, seed=4)]
    assert [instance.number for instance in study] == [1, 2, 3, 1, 2, 3]
    assert len({instance.sop_uid for instance in study}) == 6
    assert len({instance.series_uid for instance in study}) == 2
    assert {read(file).StudyInstanceUID for file in files} == {study[0].study_uid}
    assert study[0].study_uid != study_of(1, 1, seed=5)[0].study_uid
    assert study[0].pixels() != study[1].pixels()


@pytest.mark.parametrize("transfer_syntax", LOSSLESS)
@pytest.mark.parametrize(
    "kind",
    [
        {"bits": 8},
        {"bits": 12, "frames": 3},
        {"bits": 16},
        {"bits": 16, "signed": True},
        {"bits": 8, "photometric": "RGB"},
        {"bits": 8, "photometric": "PALETTE COLOR"},
    ],
)
def test_an_image_holds_its_pixels(transfer_syntax: uids.UID, kind: dict[str, Any]) -> None:
    if transfer_syntax == uids.JPEGLosslessSV1 and kind.get("photometric") == "RGB":
        kind = kind | {"photometric": "MONOCHROME1"}  # this encoder knows one component only
    dataset = read(small_image(transfer_syntax=transfer_syntax, **kind))

    shown = pixel_array(dataset, raw=True)
    stored = small_pixels(**kind)
    np.testing.assert_array_equal(shown.reshape(stored.shape), stored)
    assert dataset.file_meta.TransferSyntaxUID == transfer_syntax
    assert dataset.PhotometricInterpretation == kind.get("photometric", "MONOCHROME2")


@pytest.mark.parametrize(
    "kind",
    [
        {"bits": 1, "frames": 3, "rows": 3, "columns": 5},
        {"bits": 32},
        {"bits": 8, "photometric": "RGB", "planar": 1},
        {"bits": 8, "photometric": "YBR_FULL"},
    ],
)
def test_native_images_of_rarer_kinds_hold_their_pixels(kind: dict[str, Any]) -> None:
    shown = pixel_array(read(small_image(**kind)), raw=True)

    kind.pop("planar", None)
    stored = small_pixels(**kind)
    np.testing.assert_array_equal(shown.reshape(stored.shape), stored)


def test_ybr_full_422_shares_a_chrominance_among_two_pixels() -> None:
    dataset = read(small_image(photometric="YBR_FULL_422", bits=8))

    [stored] = small_pixels(photometric="YBR_FULL_422", bits=8)
    shown = pixel_array(dataset, raw=True)
    np.testing.assert_array_equal(shown[..., 0], stored[..., 0])
    np.testing.assert_array_equal(shown[:, ::2, 1], stored[:, ::2, 1])
    np.testing.assert_array_equal(shown[:, ::2, 2], stored[:, 1::2, 1])


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB", "YBR_FULL_422"])
def test_jpeg_baseline_is_made_and_decodes(photometric: str) -> None:
    dataset = read(
        small_image(photometric=photometric, bits=8, transfer_syntax=uids.JPEGBaseline8Bit)
    )

    assert pixel_array(dataset).shape[:2] == (8, 8)


@pytest.mark.parametrize("offsets", ["none", "basic", "extended"])
def test_frames_are_found_by_every_kind_of_offset_table(offsets: Offsets) -> None:
    kind: dict[str, Any] = {"bits": 8, "frames": 4}
    file = small_image(transfer_syntax=uids.RLELossless, offsets=offsets, **kind)
    dataset = read(file)

    assert ("ExtendedOffsetTable" in dataset) == (offsets == "extended")
    assert (dataset.PixelData[4:8] == bytes(4)) == (offsets != "basic")
    np.testing.assert_array_equal(pixel_array(dataset), small_pixels(**kind))


def test_an_unknown_transfer_syntax_is_not_made() -> None:
    with pytest.raises(ValueError, match=r"1\.2\.840\.10008\.1\.2\.4\.100"):
        small_image(transfer_syntax=uids.MPEG2MPML)


def test_an_instance_holds_the_given_attributes() -> None:
    code = Dataset()
    code.CodeValue = "X"
    dataset = read(
        instance_with(
            PatientName="Yamada^Tarou=山田^太郎",
            StudyDescription=None,
            Modality=ABSENT,
            OtherPatientIDs=["A", "B"],
            ProcedureCodeSequence=[code],
        )
    )

    assert dataset.PatientName.ideographic == "山田^太郎"
    assert "StudyDescription" in dataset
    assert not dataset.StudyDescription
    assert "Modality" not in dataset
    assert list(dataset.OtherPatientIDs) == ["A", "B"]
    assert dataset.ProcedureCodeSequence[0].CodeValue == "X"


def test_other_attributes_make_another_instance() -> None:
    first, again, other = (
        read(instance_with(PatientID=patient)).SOPInstanceUID for patient in ("1", "1", "2")
    )

    assert first == again != other


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(ValueError, match="PatientsName"):
        instance_with(PatientsName="A^B")


def test_documents_hold_their_content() -> None:
    report, document = read(sr_document()), read(encapsulated_pdf())

    assert [item.ValueType for item in report.ContentSequence] == ["TEXT", "NUM"]
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == pdf()
    assert "PixelData" not in report
    assert "PixelData" not in document


def test_everything_is_the_same_when_made_again() -> None:
    for make in (small_image, sr_document, encapsulated_pdf, instance_with):
        assert make() == make()


def test_a_multipart_body_is_taken_apart_into_its_files() -> None:
    files = [instance_with(PatientID=str(number)) for number in range(3)]
    body, content_type = multipart_body(files)

    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    parts = body.split(f"--{boundary}".encode())
    assert header.get_param("type") == "application/dicom"
    assert [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts[1:-1]] == files
    assert parts[-1] == b"--\r\n"
