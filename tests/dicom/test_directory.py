"""DICOMDIRs as pydicom reads them, of made instances and of all real ones (PS3.3 Annex F)."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.fileset import _FOUR_LEVEL_SOP_CLASSES, _SINGLE_LEVEL_SOP_CLASSES, FileSet

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.directory import (
    BESIDE,
    LEAF,
    PATIENT,
    SERIES,
    Directory,
    Record,
    Reference,
    records_of,
)
from dicomweb_server.dicom.directory_types import KEYS, record_type
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from tests.dicom.real_files import real_metadata

FILE_SET_UID = "2.25.1234"


def text(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def written(records: Iterable[Record]) -> bytes:
    """A whole DICOMDIR."""
    directory = Directory(FILE_SET_UID)
    file = bytearray(directory.head)
    for record in records:
        item, patches = directory.add(record)
        file += item
        for at, value in patches:
            file[at : at + len(value)] = value
    file += directory.finish()
    assert len(file) == directory.length
    return bytes(file)


def instance(sop_class: str = uid.CTImageStorage, **more: Any) -> JsonDataset:
    return {
        "00080016": text("UI", sop_class),
        "00080060": text("CS", "CT"),
        "00100010": text("PN", {"Alphabetic": "Müller^Jörg"}),
        "00100020": text("LO", "4711"),
        "0020000D": text("UI", "1.2"),
        "0020000E": text("UI", "1.2.3"),
        "00200011": text("IS", 7),
        **more,
    }


def reference(number: int, sop_class: str = uid.CTImageStorage) -> Reference:
    name = ("DICOM", "SE000001", f"IM{number:06d}")
    return Reference(name, sop_class, f"1.2.3.{number}", EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize(
    ("sop_class", "kind"), {**_FOUR_LEVEL_SOP_CLASSES, **_SINGLE_LEVEL_SOP_CLASSES}.items()
)
def test_types_are_those_of_pydicom(sop_class: str, kind: str) -> None:
    assert record_type({"00080016": text("UI", str(sop_class))}) == kind
    assert kind in KEYS


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (uid.SegmentationStorage, "IMAGE"),
        (uid.RTPlanStorage, "RT PLAN"),
        (uid.RTImageStorage, "IMAGE"),
        (uid.EnhancedRTImageStorage, "IMAGE"),
        (uid.EncapsulatedPDFStorage, "ENCAP DOC"),
        (uid.MicroscopyBulkSimpleAnnotationsStorage, "ANNOTATION"),
        (uid.RTBeamsDeliveryInstructionStorage, "PLAN"),
        (uid.VideoEndoscopicImageStorage, "IMAGE"),
        ("1.2.3.4.5", "IMAGE"),
        ("", "IMAGE"),
    ],
)
def test_types_that_pydicom_does_not_know(sop_class: str, kind: str) -> None:
    assert record_type({"00080016": text("UI", str(sop_class))}) == kind


def test_records_are_chained_level_by_level() -> None:
    records = records_of(instance(), reference(1), (1, 1), range(PATIENT, LEAF))
    records += records_of(instance(), reference(2), (2, 2), ())
    other = instance(**{"0020000E": text("UI", "1.2.4")})
    records += records_of(other, reference(3), (2, 2), range(SERIES, LEAF))
    records += records_of(other, reference(4), (2, 2), ())
    directory = dcmread(BytesIO(written(records)))

    assert directory.file_meta.MediaStorageSOPInstanceUID == FILE_SET_UID
    assert directory.FileSetConsistencyFlag == 0
    found = directory.DirectoryRecordSequence
    kinds = [record.DirectoryRecordType for record in found]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE", "SERIES", "IMAGE", "IMAGE"]
    at = [record.seq_item_tell for record in found]
    lower = [record.OffsetOfReferencedLowerLevelDirectoryEntity for record in found]
    following = [record.OffsetOfTheNextDirectoryRecord for record in found]
    assert lower == [at[1], at[2], at[3], 0, 0, at[6], 0, 0]
    assert following == [0, 0, at[5], at[4], 0, 0, at[7], 0]
    assert directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity == at[0]
    assert directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity == at[0]
    assert found[0].PatientName == "Müller^Jörg"
    assert found[0].SpecificCharacterSet == "ISO_IR 192"
    assert [record.InstanceNumber for record in (found[3], found[4])] == [1, 2]
    assert found[2].SeriesNumber == 7
    assert found[1].StudyDate == ""
    assert list(found[4].ReferencedFileID) == ["DICOM", "SE000001", "IM000002"]


def test_what_belongs_to_no_patient_stands_beside_them() -> None:
    records = records_of(instance(), reference(2), (1, 1), range(PATIENT, SERIES))[:2]
    protocol = instance(uid.HangingProtocolStorage)
    records += records_of(
        protocol, reference(1, uid.HangingProtocolStorage), (1, 1), range(SERIES, LEAF)
    )
    assert [level for level, _ in records] == [0, 1, BESIDE]
    records += records_of(instance(), reference(2), (1, 1), range(SERIES, LEAF))
    directory = dcmread(BytesIO(written(records)))
    patient, study, beside, series, _ = directory.DirectoryRecordSequence
    assert patient.OffsetOfTheNextDirectoryRecord == beside.seq_item_tell
    assert directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity == beside.seq_item_tell
    assert study.OffsetOfReferencedLowerLevelDirectoryEntity == series.seq_item_tell
    assert beside.OffsetOfTheNextDirectoryRecord == 0


def test_numbers_that_are_lacking_are_those_of_the_series_and_of_the_instance() -> None:
    lacking = instance()
    del lacking["00200011"]
    records = records_of(lacking, reference(1), (3, 1), range(PATIENT, LEAF))
    [_, _, series, image] = dcmread(BytesIO(written(records))).DirectoryRecordSequence
    assert (series.SeriesNumber, image.InstanceNumber) == (3, 1)


def test_of_a_document_what_modifies_its_title_is_kept() -> None:
    code = {
        "00080100": text("SH", "121049"),
        "00080102": text("SH", "DCM"),
        "00080104": text("LO", "Language"),
    }
    items = [
        {"0040A010": text("CS", kind), "0040A040": text("CS", "CODE"), "0040A043": text("SQ", code)}
        for kind in ("HAS CONCEPT MOD", "CONTAINS")
    ]
    sop_class = uid.ComprehensiveSRStorage
    document = instance(
        sop_class,
        **{
            "0040A043": text("SQ", {**code, "00080119": {"vr": "UC", "BulkDataURI": "x"}}),
            "0040A491": text("CS", "COMPLETE"),
            "0040A730": text("SQ", *items),
        },
    )
    records = records_of(document, reference(1, sop_class), (5, 5), range(PATIENT, LEAF))
    [*_, record] = dcmread(BytesIO(written(records))).DirectoryRecordSequence
    assert record.DirectoryRecordType == "SR DOCUMENT"
    assert [item.RelationshipType for item in record.ContentSequence] == ["HAS CONCEPT MOD"]
    assert record.ConceptNameCodeSequence[0].CodeMeaning == "Language"
    assert "LongCodeValue" not in record.ConceptNameCodeSequence[0]
    assert record.InstanceNumber == 5
    assert record.VerificationFlag == ""


def test_a_value_that_cannot_be_written_is_left_empty() -> None:
    strange = instance(**{"00200013": text("IS", {"a": 1}), "00080060": text("CS", 4.5, [])})
    records = records_of(strange, reference(1), (3, 3), range(PATIENT, LEAF))
    [*_, series, image] = dcmread(BytesIO(written(records))).DirectoryRecordSequence
    assert image["InstanceNumber"].is_empty
    assert series["Modality"].is_empty
    assert series.SeriesInstanceUID == "1.2.3"


def test_every_real_file_has_a_record(tmp_path: Path) -> None:
    records: list[Record] = []
    expected: list[Dataset] = []
    for number, (_, attributes, _) in enumerate(real_metadata(), 1):
        if record_type(attributes) == "ANNOTATION":  # pydicom knows no such records, and gives up
            continue
        uids = [attributes.get(tag, {}).get("Value", [""])[0] for tag in ("00080016", "00080018")]
        named = Reference((f"IM{number:06d}",), *uids, EXPLICIT_VR_LITTLE_ENDIAN)
        records += records_of(attributes, named, (number, number), range(PATIENT, LEAF))
        expected.append(Dataset.from_json({tag: attributes[tag] for tag in ("00080018",)}))
        (tmp_path / f"IM{number:06d}").touch()
    (tmp_path / "DICOMDIR").write_bytes(written(records))

    assert len(expected) > 60
    found = FileSet(tmp_path / "DICOMDIR")
    assert len(found) == len(expected)
    uids = {item.ReferencedSOPInstanceUIDInFile for item in found}
    assert uids == {each.SOPInstanceUID for each in expected}
