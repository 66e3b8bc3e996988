"""PS3.10 files: File Meta, identity, deflated data sets, and the description of an instance."""

import contextlib
import os
import pickle
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence

from dicomweb_server.dicom import keeping, part10
from dicomweb_server.dicom.attributes import KEPT
from dicomweb_server.dicom.description import BULK_BASE, Description
from dicomweb_server.dicom.part10 import (
    InvalidIdentity,
    UnknownTransferSyntax,
    describe,
    inflate,
    is_deflated,
    read_file_meta,
)
from dicomweb_server.dicom.query import Level
from dicomweb_server.errors import ContentTooLarge, NotPart10, Refusal
from tests.strategies import IDENTIFIERS, encoded, file_meta, file_of, identified

_IMPLEMENTATION = b"\x02\x00\x12\x00UI\x04\x001.2\0"


def _bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path)).read_bytes()


def _metadata(description: Description) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(description.metadata.replace(BULK_BASE, b""))
    return found


def _without_group_length(meta: bytes) -> bytes:
    return meta[:132] + meta[144:]


# ------------------------------------------------------------------------------ file meta


def test_file_meta_says_where_the_data_set_begins() -> None:
    content = _bundled("CT_small.dcm")
    meta = read_file_meta(content)
    expected = dcmread(BytesIO(content)).file_meta

    assert meta.transfer_syntax_uid == expected.TransferSyntaxUID
    assert meta.media_storage_sop_class_uid == expected.MediaStorageSOPClassUID
    assert meta.media_storage_sop_instance_uid == expected.MediaStorageSOPInstanceUID
    assert content[meta.dataset_offset :][:4] == b"\x08\x00\x05\x00"


@pytest.mark.parametrize("stated", [0, 1, 10_000, 0xFFFFFFFF])
def test_the_group_length_of_the_file_meta_is_not_relied_on(stated: int) -> None:
    meta = file_meta()
    wrong = meta[:140] + struct.pack("<I", stated) + meta[144:]

    assert read_file_meta(wrong + b"\x08\x00").dataset_offset == len(meta)
    assert read_file_meta(_without_group_length(meta)).dataset_offset == len(meta) - 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a DICOM file"),
        (b"%PDF-1.7", "not a DICOM file"),
        (bytes(128) + b"DIC", "not a DICOM file"),
        (bytes(132), "not a DICOM file"),
        (bytes(128) + b"DICM", "no Transfer Syntax UID"),
        (bytes(128) + b"DICM" + _IMPLEMENTATION, "no Transfer Syntax UID"),
        (file_meta(""), "no Transfer Syntax UID"),
        (file_meta()[:-4], "cut short"),
        (bytes(128) + b"DICM\x02\x00\x10", "cut short"),
        (bytes(128) + b"DICM\x02\x00\x10\x00UI\xff\xff", "cut short"),
        (bytes(128) + b"DICM\x02\x00\x01\x00OB\0\0\xff\xff\xff\xff", "cut short"),
        (bytes(128) + b"DICM\x02\x00\x10\x00??\x04\x001.2\0", "no VR that exists"),
        (bytes(128) + b"DICM" + _IMPLEMENTATION * 1001, "without an end"),
        (file_meta() + b"\x02\x00\x02\x01OB\0\0\0\0\x10\0" + bytes(1 << 20), "more than"),
    ],
)
def test_what_has_no_file_meta_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(NotPart10, match=message):
        read_file_meta(content)


@pytest.mark.parametrize(
    "transfer_syntax",
    ["1.2.3", "1.2.840.113619.5.2", "1.2.840.10008.1.1", "x", "1.2.840.10008.1.2."],
)
def test_a_transfer_syntax_that_is_none_is_refused(transfer_syntax: str) -> None:
    with pytest.raises(UnknownTransferSyntax):
        describe(file_meta(transfer_syntax) + encoded(identified(Dataset())))


@pytest.mark.parametrize(
    "transfer_syntax", [uid.JPEG2000Lossless, "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.4.112"]
)
def test_transfer_syntaxes_that_are_new_or_compressed_are_explicit_vr(transfer_syntax: str) -> None:
    content = file_meta(transfer_syntax) + encoded(identified(Dataset()))

    assert describe(content).transfer_syntax_uid == transfer_syntax


def test_a_file_in_another_encoding_than_it_says_is_read_all_the_same() -> None:
    for stated, real in [
        (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian),
        (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian),
    ]:
        description = describe(file_meta(stated) + encoded(identified(Dataset()), real))

        assert description.sop_instance_uid == IDENTIFIERS["SOPInstanceUID"]
        assert description.problems == ("elements not encoded as the transfer syntax says",)


# ------------------------------------------------------------------------------- identity


@pytest.mark.parametrize("keyword", IDENTIFIERS)
@pytest.mark.parametrize("value", [None, "", "\0"])
def test_an_instance_without_one_of_its_identifiers_is_refused(
    keyword: str, value: str | None
) -> None:
    dataset = identified(Dataset())
    if value is None:
        delattr(dataset, keyword)
    else:
        setattr(dataset, keyword, value)

    with pytest.raises(InvalidIdentity, match="missing or empty") as refused:
        describe(file_meta() + encoded(dataset))
    assert refused.value.reason == "missing"
    known = {name: uid for name, uid in IDENTIFIERS.items() if name != keyword}
    assert refused.value.sop_class_uid == known.get("SOPClassUID")
    assert refused.value.sop_instance_uid == known.get("SOPInstanceUID")


@pytest.mark.parametrize(
    "value",
    [
        *("..", ".", "1..2", "1.", ".1", "1.2.x", "../1.2", "1/2", "1\\2", "%2e%2e", " 1.2"),
        *("1.2\n", "1\0.2", "1." * 32 + "1", "1" * 65, "١.٢", "1.²"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_identifier_that_is_no_uid_is_refused(value: str) -> None:
    content = encoded(identified(Dataset())).replace(
        b"\x20\x00\x0d\x00UI\x06\x002.25.2",
        b"\x20\x00\x0d\x00UI" + struct.pack("<H", len(value.encode())) + value.encode(),
    )

    with pytest.raises(InvalidIdentity, match="not a UID: Study Instance UID") as refused:
        describe(file_meta() + content)
    assert refused.value.reason == "syntax"
    assert refused.value.sop_instance_uid == IDENTIFIERS["SOPInstanceUID"]


@pytest.mark.parametrize("value", ["1", "0.0", "1.02.3", "1" * 64, "1.2\0", "1.2 ", "1.2\0\0"])
@pytest.mark.filterwarnings("ignore")
def test_uids_may_be_padded_and_have_leading_zeros(value: str) -> None:
    dataset = identified(Dataset())
    dataset.StudyInstanceUID = value

    description = describe(file_meta() + encoded(dataset))
    assert description.study_instance_uid == value.rstrip("\0 ")


@pytest.mark.parametrize(("element", "what"), [("03", "SOP Instance UID"), ("02", "SOP Class UID")])
def test_a_file_meta_of_another_instance_is_a_problem_only(element: str, what: str) -> None:
    dataset = encoded(identified(Dataset()))
    description = describe(file_meta(**{element: "2.25.9"}) + dataset)

    assert description.sop_instance_uid == IDENTIFIERS["SOPInstanceUID"]
    assert description.problems == (f"the {what} is not the one in the File Meta Information",)
    assert describe(file_meta(**{element: ""}) + dataset).problems == ()


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit"])
def test_a_dicomdir_is_not_an_instance(name: str) -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / name

    with pytest.raises(InvalidIdentity, match="a DICOMDIR is a media directory"):
        describe(path.read_bytes())


def test_refusals_come_back_whole_from_a_worker_process() -> None:
    dataset = identified(Dataset())
    del dataset.StudyInstanceUID
    with pytest.raises(InvalidIdentity) as refused:
        describe(file_meta() + encoded(dataset))
    again = pickle.loads(pickle.dumps(refused.value))

    assert str(again) == str(refused.value)
    assert (again.reason, again.sop_instance_uid) == ("missing", "2.25.1")


def test_every_file_with_an_identity_is_described() -> None:
    bundled = Path(pydicom.__file__).parent / "data"
    found = [*bundled.glob("test_files/*.dcm"), *bundled.glob("charset_files/*.dcm")]
    if corpus := os.environ.get("DICOM_CORPUS"):
        found += [path for path in Path(corpus).glob("**/*") if path.is_file()]
    described = 0
    for path in found:
        content = path.read_bytes()
        try:
            description = describe(content, _inflated(content))
        except InvalidIdentity as error:
            assert _has_no_identity(dcmread(BytesIO(content))), (path, error)
        except NotPart10 as error:
            # Those that are not whole are named in test_walk.
            assert any(
                reason in str(error)
                for reason in ("not a DICOM file", "no Transfer Syntax", "runs past", "without an")
            ), path
        else:
            described += 1
            dataset = dcmread(BytesIO(content), stop_before_pixels=True)
            assert description.study_instance_uid == dataset.StudyInstanceUID
            assert description.series_instance_uid == dataset.SeriesInstanceUID
            assert description.sop_instance_uid == dataset.SOPInstanceUID
            assert description.sop_class_uid == dataset.SOPClassUID
            assert list(_metadata(description)) == sorted(_metadata(description))
    assert described > 60


def _inflated(content: bytes) -> bytes | None:
    try:
        meta = read_file_meta(content)
    except NotPart10:
        return None
    if not is_deflated(meta.transfer_syntax_uid):
        return None
    start = meta.dataset_offset
    return content[:start] + b"".join(inflate(content[start:], 1 << 28))


def _has_no_identity(dataset: Any) -> bool:
    uids = [str(dataset.get(keyword) or "") for keyword in IDENTIFIERS]
    return not all(value and value.replace(".", "").isdigit() for value in uids)


# ------------------------------------------------------------------------------- deflated


def _deflated(content: bytes) -> bytes:
    return zlib.compress(content, wbits=-zlib.MAX_WBITS)


@given(st.binary(max_size=5000), st.integers(1, 500), st.sampled_from([b"", b"\0", b"\0abc"]))
def test_what_was_deflated_is_inflated(content: bytes, size: int, after: bytes) -> None:
    deflated = _deflated(content) + after
    chunks = [deflated[start : start + size] for start in range(0, len(deflated), size)]

    assert b"".join(inflate(chunks, len(content))) == content
    assert b"".join(inflate(memoryview(deflated), len(content))) == content


def test_a_deflated_bomb_is_refused_when_it_has_reached_the_limit() -> None:
    bomb = _deflated(bytes(100 << 20))
    pieces = []

    with pytest.raises(ContentTooLarge):
        for piece in inflate(bomb, 10 << 20):
            pieces.append(len(piece))
    assert sum(pieces) <= 10 << 20
    assert max(pieces) <= 1 << 20


def test_a_deflated_data_set_that_is_damaged_or_cut_is_refused() -> None:
    deflated = _deflated(bytes(range(256)) * 20)
    for cut in range(len(deflated)):
        with pytest.raises(NotPart10, match="cut short"):
            list(inflate(deflated[:cut], 1 << 20))
    with pytest.raises(NotPart10, match="damaged"):
        list(inflate(b"\xff" + deflated, 1 << 20))


def test_a_deflated_file_is_described_by_its_inflated_form() -> None:
    dataset = Dataset()
    dataset.add_new(0x00091001, "OB", bytes(9000))
    start = file_meta(uid.DeflatedExplicitVRLittleEndian)
    inflated = start + encoded(identified(dataset))
    deflated = start + _deflated(inflated[len(start) :]) + b"\0"
    description = describe(deflated, inflated)

    bulk = description.bulk["00091001"]
    assert inflated[bulk.offset :][: bulk.length] == bytes(9000)
    assert description.transfer_syntax_uid == uid.DeflatedExplicitVRLittleEndian
    with pytest.raises(NotPart10, match="not inflated"):
        describe(deflated)


def test_deflated_bytes_that_look_like_file_meta_are_not_read_as_such() -> None:
    start = file_meta(uid.DeflatedExplicitVRLittleEndian)

    assert read_file_meta(start + b"\x02\x00\x10\x00UI\x04\x001.2\0").dataset_offset == len(start)


# ------------------------------------------------------------------------------- metadata


def test_metadata_are_json_with_a_mark_for_the_base_of_bulk_data() -> None:
    dataset = Dataset()
    dataset.PatientName = 'A\\u0001/"\\u0001/'
    dataset.PatientComments = 'x\x01/00091001 "\x01/'
    dataset.add_new(0x00091001, "OB", bytes(9000))
    description = describe(file_of(dataset))

    assert description.metadata.count(BULK_BASE) == 1
    assert b'"BulkDataURI":"' + BULK_BASE + b'/00091001"' in description.metadata
    found = _metadata(description)
    assert found["00104000"]["Value"] == ['x\ufffd/00091001 "\ufffd/']
    assert list(description.bulk) == ["00091001"]


def test_metadata_beyond_all_measure_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = _bundled("CT_small.dcm")
    size = len(describe(content).metadata)

    monkeypatch.setattr(part10, "_MAX_METADATA", size // 2)
    with pytest.raises(ContentTooLarge, match="metadata"):
        describe(content)


def test_many_large_values_deep_down_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    item = Dataset()
    for element in range(100):
        item.add_new(0x00091000 + element, "OB", bytes(10_000))
    for _ in range(10):
        outer = Dataset()
        outer.ContentSequence = Sequence([item])
        item = outer
    content = file_of(identified(item))
    paths = sum(map(len, describe(content).bulk))

    monkeypatch.setattr(keeping, "PATHS_TOTAL", paths)
    assert len(describe(content).bulk) == 100
    monkeypatch.setattr(keeping, "PATHS_TOTAL", paths - 1)
    with pytest.raises(NotPart10, match="large values"):
        describe(content)


def test_metadata_name_the_transfer_syntax() -> None:
    dataset = Dataset()
    dataset.AvailableTransferSyntaxUID = "1.2.3"
    found = _metadata(describe(file_of(dataset, uid.ImplicitVRLittleEndian)))

    assert found["00083002"] == {"vr": "UI", "Value": [uid.ImplicitVRLittleEndian]}


@pytest.mark.parametrize(
    ("stated", "name", "expected"),
    [
        (None, "A", None),
        (None, "Ä", {"vr": "CS", "Value": ["ISO_IR 192"]}),
        ("", "A", {"vr": "CS"}),
        ("ISO_IR 100", "A", {"vr": "CS", "Value": ["ISO_IR 192"]}),
        ("ISO_IR 100", "Ä", {"vr": "CS", "Value": ["ISO_IR 192"]}),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_metadata_are_utf8_and_say_so_where_it_matters(
    stated: str | None, name: str, expected: dict[str, Any] | None, nested: bool
) -> None:
    dataset, item = Dataset(), Dataset()
    if stated is not None:
        dataset.SpecificCharacterSet = stated
    item.add_new(0x00100010, "PN", name.encode("latin_1"))
    dataset.ReferencedPatientSequence = Sequence([item])
    if not nested:
        dataset[0x00100010] = item[0x00100010]
        del dataset.ReferencedPatientSequence
    description = describe(file_of(dataset))
    found = _metadata(description)

    assert found.get("00080005") == expected
    assert list(found) == sorted(found)
    if not nested:
        assert description.study["00100010"]["Value"] == [{"Alphabetic": name}]


def test_what_a_search_returns_is_kept_by_level_without_bulk_data() -> None:
    dataset = Dataset()
    dataset.PatientName = "A^B"
    dataset.StudyDate = ""
    dataset.Modality = "CT"
    dataset.Rows = 4
    request, code = Dataset(), Dataset()
    request.add_new(0x00091001, "OB", bytes(9000))
    code.CodeValue = "1"
    dataset.RequestAttributesSequence = Sequence([request])
    dataset.AnatomicRegionSequence = Sequence([code])
    description = describe(file_of(dataset))
    found = _metadata(description)

    assert description.study["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}
    assert description.study["00080020"] == {"vr": "DA"}
    assert description.series["00080060"]["Value"] == ["CT"]
    assert description.series["00082218"] == found["00082218"]
    assert "00400275" in found
    assert "00400275" not in description.series  # holds bulk data in an item
    assert description.instance["00280010"] == {"vr": "US", "Value": [4]}
    for level, attributes in zip(
        Level, (description.study, description.series, description.instance), strict=True
    ):
        assert attributes == {key: found[key] for key in sorted(KEPT[level] & attributes.keys())}


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"Rows": 2, "Columns": 2}, ["pixel data holds 0 of the 1 frames stated"]),
        (
            {"Rows": 2, "Columns": 2, "NumberOfFrames": 3},
            ["pixel data holds 0 of the 3 frames stated"],
        ),
        (
            {"Rows": 2, "Columns": 2, "NumberOfFrames": 0},
            ["Number of Frames is not a positive number", "pixel data holds no frame"],
        ),
        ({"Rows": 2}, []),
        ({}, []),
    ],
)
@pytest.mark.parametrize("keyword", ["PixelData", "FloatPixelData", "DoubleFloatPixelData"])
@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.JPEGBaseline8Bit]
)
def test_stow_19_pixel_data_of_no_length_holds_none_of_the_frames(
    keyword: str, syntax: str, stated: dict[str, int], told: list[str]
) -> None:
    dataset = identified(Dataset())
    for name, value in (stated | {keyword: b""}).items():
        setattr(dataset, name, value)
    dataset[keyword].VR = {"PixelData": "OW", "FloatPixelData": "OF"}.get(keyword, "OD")
    encoding = uid.ExplicitVRLittleEndian if syntax == uid.JPEGBaseline8Bit else syntax
    description = describe(file_meta(syntax) + encoded(dataset, encoding))

    assert [problem for problem in description.problems if "rame" in problem] == told
    assert description.frames is None


def test_an_image_without_pixel_data_is_none_that_holds_too_little() -> None:
    dataset = Dataset()
    dataset.Rows = dataset.Columns = 2
    assert not any("frame" in problem for problem in describe(file_of(dataset)).problems)


def test_problems_are_few_and_say_nothing_of_the_patient() -> None:
    dataset = Dataset()
    dataset.PatientName = "Müller".encode("latin_1")
    for number in range(200):
        dataset.add_new(0x00111000 + number, "UN", b"")
    content = file_of(dataset).replace(b"UN\0\0\0\0\0\0", b"DS\x04\x00Geh ")
    description = describe(content)

    assert len(description.problems) == 100
    assert "(0010,0010) text beyond the default character repertoire" in description.problems
    assert "(0011,1000) text that is not a number" in description.problems
    assert not any("Geh" in problem or "ller" in problem for problem in description.problems)


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_RLE.dcm", "rtdose_expb.dcm"])
def test_frames_are_found(name: str) -> None:
    content = _bundled(name)
    dataset = dcmread(BytesIO(content))
    description = describe(content)

    assert description.frames is not None
    assert description.frames.count == int(dataset.get("NumberOfFrames", 1))
    bulk = description.bulk["7FE00010"]
    assert (description.frames.offset, description.frames.length) == (bulk.offset, bulk.length)
    assert _metadata(description)["7FE00010"]["vr"] == dataset["PixelData"].VR


# -------------------------------------------------------------------------------- hostile


@given(
    st.binary(max_size=200), st.sampled_from(["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2"])
)
def test_any_bytes_are_described_or_refused(content: bytes, transfer_syntax: str) -> None:
    for candidate in (
        content,
        bytes(128) + b"DICM" + content,
        file_meta(transfer_syntax) + content,
    ):
        with contextlib.suppress(Refusal):  # and no other exception
            describe(candidate)


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "reportsi.dcm"]
)
def test_a_file_cut_anywhere_is_described_or_refused(name: str) -> None:
    content = _bundled(name)
    refused = 0
    for end in [*range(0, min(3000, len(content)), 7), len(content) - 1]:
        try:
            describe(content[:end])
        except Refusal:
            refused += 1
    assert refused > 100
    with pytest.raises(NotPart10):
        describe(content[:-1])
