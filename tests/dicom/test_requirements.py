"""Mandatory attributes: the table is highdicom's, what is missing is told, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.datadict import tag_for_keyword

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.requirements import MAX_TEXT, missing_attributes
from tests.dicom.iod_tables import FILE, requirements, written
from tests.make import (
    ABSENT,
    ct_instance,
    encapsulated_pdf,
    instance_with,
    small_image,
    sr_document,
)

TABLES = requirements()
BY_TYPE = TABLES["modules"].values()
TAGS = sorted({key for by_type in BY_TYPE for keys in by_type.values() for key in keys})
SOP_CLASSES = st.sampled_from(sorted(TABLES["sop_classes"]))


def problems(file: bytes) -> tuple[str, ...]:
    return describe(file).problems


def asked(sop_class_uid: str, kind: str) -> set[str]:
    """The keys that the modules of a SOP Class have with this type."""
    modules = TABLES["iods"][TABLES["sop_classes"][sop_class_uid]]
    return {key for name in modules for key in TABLES["modules"][name].get(kind, ())}


def whole(sop_class_uid: str) -> JsonDataset:
    """Everything asked for: that of Type 1 with a value, that of Type 2 empty."""
    empty: JsonDataset = {key: {"vr": "LO"} for key in asked(sop_class_uid, "2")}
    return empty | {key: {"vr": "LO", "Value": ["x"]} for key in asked(sop_class_uid, "1")}


def test_the_file_is_what_highdicoms_tables_give() -> None:
    assert FILE.read_bytes() == written(), "run: make requirements"


@pytest.mark.parametrize(
    "file",
    [
        ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=8, columns=8),
        small_image(),
        small_image(frames=2),
        small_image(frames=2, photometric="RGB", bits=8),
        sr_document(),
        encapsulated_pdf(),
        instance_with(),
    ],
    ids=["CT", "image", "frames", "colour", "report", "document", "raw data"],
)
def test_the_files_of_the_tests_lack_nothing(file: bytes) -> None:
    assert problems(file) == ()


def test_what_is_missing_or_empty_is_told_by_its_name_and_type() -> None:
    file = small_image(Modality=ABSENT, PatientID=ABSENT, ConversionType=None, StudyID=None)

    assert problems(file) == (
        "(0008,0060) Modality is missing (Type 1)",
        "(0008,0064) Conversion Type is empty (Type 1)",
        "(0010,0020) Patient ID is missing (Type 2)",
    )


def test_a_sequence_of_type_1_needs_an_item() -> None:
    file = instance_with(
        SOPClassUID=uid.SegmentationStorage, SegmentSequence=[], SharedFunctionalGroupsSequence=[]
    )

    assert "(0062,0002) Segment Sequence is empty (Type 1)" in problems(file)
    assert "(5200,9229) Shared Functional Groups Sequence is empty (Type 1)" in problems(file)


def test_a_long_name_is_shortened_by_whole_words() -> None:
    told = missing_attributes(uid.SegmentationStorage, {})

    assert "(5200,9229) Shared Functional Groups... is missing (Type 1)" in told


@pytest.mark.parametrize(
    "sop_class_uid", ["1.2.3.4", "1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.999"]
)
def test_a_private_retired_or_unknown_sop_class_asks_for_nothing(sop_class_uid: str) -> None:
    assert missing_attributes(sop_class_uid, {}) == []


def test_conditional_attributes_are_not_asked_for() -> None:
    # Laterality and Patient Orientation are 2C, the palettes 1C; one frame has no increment.
    report = problems(sr_document())
    image = problems(small_image(frames=2, FrameIncrementPointer=ABSENT, FrameTime=ABSENT))

    assert report == image == ()


@given(SOP_CLASSES)
def test_all_that_is_asked_for_is_enough(sop_class_uid: str) -> None:
    assert missing_attributes(sop_class_uid, whole(sop_class_uid)) == []


@given(SOP_CLASSES, st.sets(st.sampled_from(TAGS)), st.sets(st.sampled_from(TAGS)))
def test_exactly_what_is_missing_or_empty_is_told(
    sop_class_uid: str, removed: set[str], emptied: set[str]
) -> None:
    attributes = whole(sop_class_uid)
    removed &= attributes.keys()
    emptied &= asked(sop_class_uid, "1") - removed
    for key in emptied:
        attributes[key] = {"vr": "LO"}
    for key in removed:
        del attributes[key]

    told = missing_attributes(sop_class_uid, attributes)

    assert [_key(text) for text in told] == sorted(removed | emptied)
    assert {_key(text) for text in told if " is empty (Type 1)" in text} == emptied
    strict = asked(sop_class_uid, "1")
    assert all(("(Type 1)" in text) == (_key(text) in strict) for text in told)


def test_every_problem_fits_an_error_comment_with_a_whole_name_or_a_shortened_one() -> None:
    for sop_class_uid in TABLES["sop_classes"]:
        for text in missing_attributes(sop_class_uid, {}):
            assert len(text) <= MAX_TEXT
            assert re.fullmatch(
                r"\([0-9A-F]{4},[0-9A-F]{4}\) \S.*\S is missing \(Type [12]\)", text
            )


def test_a_root_container_is_not_asked_for_what_other_value_types_have() -> None:
    tag = tag_for_keyword("GraphicType")

    assert f"{tag:08X}" not in asked(uid.ComprehensiveSRStorage, "1")
    assert f"{tag_for_keyword('ValueType'):08X}" in asked(uid.ComprehensiveSRStorage, "1")


def _key(text: str) -> str:
    return text[1:5] + text[6:10]
