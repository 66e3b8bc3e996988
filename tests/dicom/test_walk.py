"""The walk over encoded elements, with pydicom for its oracle, and against files that mean harm."""

import contextlib
import os
import struct
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, uid
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence

from dicomweb_server.dicom import keeping
from dicomweb_server.dicom import walk as walking
from dicomweb_server.dicom.part10 import (
    describe,
    inflate,
    is_deflated,
    read_file_meta,
)
from dicomweb_server.dicom.walk import Walked, walk
from dicomweb_server.errors import NotPart10
from tests.dicom.oracle import Oracle, lenient_pydicom
from tests.strategies import ENCODINGS, datasets, encoded, encodings, file_meta, file_of

_BUNDLED = Path(pydicom.__file__).parent / "data"


def _files() -> list[Path]:
    bundled = [*_BUNDLED.glob("test_files/**/*"), *_BUNDLED.glob("charset_files/*.dcm")]
    # The hundred and more that are alike but for a number.
    found = [path for path in bundled if "TINY_ALPHA" not in path.parts]
    if corpus := os.environ.get("DICOM_CORPUS"):
        found += Path(corpus).glob("**/*")
    return sorted(path for path in found if path.is_file())


def _read(path: Path) -> bytes | None:
    """The file with its data set inflated; None if it is no PS3.10 file, for pydicom as for us."""
    content = path.read_bytes()
    try:
        meta = read_file_meta(content)
    except NotPart10:
        with pytest.raises(InvalidDicomError):
            dcmread(BytesIO(content))
        return None
    if not is_deflated(meta.transfer_syntax_uid):
        return content
    start = meta.dataset_offset
    return content[:start] + b"".join(inflate(content[start:], 1 << 30))


def _walk(content: bytes) -> Walked:
    meta = read_file_meta(content)
    implicit, little = ENCODINGS.get(meta.transfer_syntax_uid, (False, True))
    return walk(content, meta.dataset_offset, implicit_vr=implicit, little_endian=little)


# What pydicom reads, though it is not whole: it ends in the middle, or has no transfer syntax.
_NOT_WHOLE = {
    "MR_truncated.dcm",
    "rtplan_truncated.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "DICOMDIR-nooffset",
}
_NO_TRANSFER_SYNTAX = {"meta_missing_tsyntax.dcm"}


@pytest.mark.parametrize("path", _files(), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_attribute_of_a_file_is_what_pydicom_reads(path: Path) -> None:
    if path.name in _NO_TRANSFER_SYNTAX:
        with pytest.raises(NotPart10, match="Transfer Syntax"):
            read_file_meta(path.read_bytes())
        return
    content = _read(path)
    if content is None:
        return
    if path.name in _NOT_WHOLE:
        with pytest.raises(NotPart10, match=r"runs past the end|without an end"):
            _walk(content)
        return
    walked = _walk(content)
    with lenient_pydicom():
        oracle = Oracle(content, _is_little(content), walked.bulk)
        oracle.compare(dcmread(BytesIO(path.read_bytes())), walked.attributes)
    assert oracle.paths == set(walked.bulk)


def _is_little(content: bytes) -> bool:
    return read_file_meta(content).transfer_syntax_uid != uid.ExplicitVRBigEndian


@settings(max_examples=60, deadline=None)
@given(datasets(), encodings)
def test_every_attribute_of_any_data_set_is_what_pydicom_reads(
    dataset: Dataset, transfer_syntax: str
) -> None:
    with lenient_pydicom():
        content = file_of(dataset, transfer_syntax)
        walked = _walk(content)
        oracle = Oracle(content, _is_little(content), walked.bulk)
        oracle.compare(dcmread(BytesIO(content)), walked.attributes)
    assert oracle.paths == set(walked.bulk)


# ---------------------------------------------------------------------------- values


def _element(
    tag: int, vr: str | None, value: bytes, *, length: int | None = None, order: str = "<"
) -> bytes:
    """One encoded element, as wrong as it is wanted; Implicit VR if `vr` is None."""
    count = len(value) if length is None else length
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if vr is None:
        return head + struct.pack(f"{order}I", count) + value
    if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"):
        return head + vr.encode() + b"\0\0" + struct.pack(f"{order}I", count) + value
    return head + vr.encode() + struct.pack(f"{order}H", count) + value


_UNDEFINED = 0xFFFFFFFF
_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def _item(content: bytes, *, undefined: bool = False) -> bytes:
    if undefined:
        return _ITEM + struct.pack("<I", _UNDEFINED) + content + _ITEM_END
    return _ITEM + struct.pack("<I", len(content)) + content


def _explicit(*elements: bytes) -> Walked:
    return walk(b"".join(elements), 0, implicit_vr=False, little_endian=True)


def _implicit(*elements: bytes) -> Walked:
    return walk(b"".join(elements), 0, implicit_vr=True, little_endian=True)


@pytest.mark.parametrize(
    ("vr", "text", "value"),
    [
        ("DS", "1.5", [1.5]),
        ("DS", " 12 ", [12]),
        ("DS", "-0.10", [-0.1]),
        ("DS", "1e3", [1000.0]),
        ("DS", "1.2345678901234567890", ["1.2345678901234567890"]),
        ("DS", "9.8765432109876543", ["9.8765432109876543"]),
        ("DS", "9007199254740993", ["9007199254740993"]),
        ("DS", "+1", ["+1"]),
        ("DS", "1.", ["1."]),
        ("DS", "@", ["@"]),
        ("DS", "NaN", ["NaN"]),
        ("DS", "1e999", ["1e999"]),
        ("DS", "1e-999", ["1e-999"]),
        ("DS", "1\\\\2", [1, None, 2]),
        ("IS", "12\\-3", [12, -3]),
        ("IS", "1.0", ["1.0"]),
        ("IS", "99999999999999999999", ["99999999999999999999"]),
        ("IS", "\u0661", ["Ù¡"]),  # Arabic digits are none in IS
        ("CS", "A\\\\B ", ["A", None, "B"]),
        ("LT", "a\\b  ", ["a\\b"]),
        ("LO", " a ", [" a"]),
        ("PN", "A^B=C==", [{"Alphabetic": "A^B", "Ideographic": "C"}]),
        ("PN", "=B\\\\C", [{"Ideographic": "B"}, None, {"Alphabetic": "C"}]),
        ("UI", "1.2\0", ["1.2"]),
    ],
)
def test_text_and_numbers_keep_their_value(vr: str, text: str, value: list[Any]) -> None:
    found = _explicit(_element(0x00091001, vr, text.encode()))

    assert found.attributes["00091001"] == {"vr": vr, "Value": value}


@pytest.mark.parametrize("vr", ["CS", "DS", "IS", "LT", "LO", "PN", "UI", "US", "OW", "SQ", "UN"])
def test_an_empty_attribute_has_its_vr_only(vr: str) -> None:
    assert _explicit(_element(0x00091001, vr, b"")).attributes == {"00091001": {"vr": vr}}


@pytest.mark.parametrize("vr", ["CS", "DS", "IS", "LT", "LO", "PN", "UI"])
def test_padding_alone_is_no_value(vr: str) -> None:
    assert _explicit(_element(0x00091001, vr, b"  ")).attributes == {"00091001": {"vr": vr}}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_bulk_data(number: float) -> None:
    value = struct.pack("<dd", 1.0, number)
    walked = _explicit(_element(0x00091001, "FD", value))

    assert walked.attributes["00091001"] == {"vr": "FD", "BulkDataURI": "\x01/00091001"}
    assert (walked.bulk["00091001"].offset, walked.bulk["00091001"].length) == (8, 16)


def test_integers_beyond_what_json_readers_hold_are_text() -> None:
    walked = _explicit(_element(0x00091001, "UV", struct.pack("<QQ", 2**53 - 1, 2**53)))

    assert walked.attributes["00091001"]["Value"] == [2**53 - 1, str(2**53)]


@pytest.mark.parametrize(
    ("tag", "vr", "length", "kept"),
    [
        (0x00091001, "OB", 8192, "InlineBinary"),
        (0x00091001, "OB", 8194, "BulkDataURI"),
        (0x00091001, "UT", 65534, "Value"),
        (0x00091001, "UT", 65536, "BulkDataURI"),
        (0x00281201, "OW", 131072, "InlineBinary"),
        (0x00282000, "OB", 262144, "InlineBinary"),
        (0x00282000, "OB", 262146, "BulkDataURI"),
        (0x00420011, "OB", 8194, "BulkDataURI"),
        (0x7FE00010, "OW", 2, "BulkDataURI"),
        (0x7FE00008, "OF", 4, "BulkDataURI"),
    ],
)
def test_large_values_are_bulk_data(tag: int, vr: str, length: int, kept: str) -> None:
    walked = _explicit(_element(tag, vr, b"7" * length))

    assert list(walked.attributes[f"{tag:08X}"]) == ["vr", kept]


def test_a_text_too_long_for_its_vr_is_unknown_bulk_data() -> None:
    # In Implicit VR alone can a Patient ID be that long, and it could not be written in another.
    walked = _implicit(_element(0x00100020, None, b"7" * 65536))

    assert walked.attributes["00100020"] == {"vr": "UN", "BulkDataURI": "\x01/00100020"}
    assert walked.bulk["00100020"].vr == "UN"


def test_bulk_data_in_items_is_found_by_its_path() -> None:
    icon = _element(0x7FE00010, "OW", b"abcd")
    items = _item(b"") + _item(_element(0x00880200, "SQ", _item(icon)), undefined=True)
    content = _element(0x00081115, "SQ", items)
    walked = _explicit(content)

    [(path, bulk)] = walked.bulk.items()
    assert path == "00081115/2/00880200/1/7FE00010"
    assert content[bulk.offset : bulk.offset + bulk.length] == b"abcd"
    assert walked.pixel is None  # not the instance's own


@pytest.mark.parametrize(("vr", "word"), [("OW", 2), ("OL", 4), ("OF", 4), ("OV", 8), ("OB", 1)])
def test_inline_words_of_big_endian_are_little_endian(vr: str, word: int) -> None:
    content = _element(0x00091001, vr, bytes(range(16)), order=">")
    walked = walk(content, 0, implicit_vr=False, little_endian=False)

    expected = b"".join(bytes(range(n, n + word))[::-1] for n in range(0, 16, word))
    assert b64decode(walked.attributes["00091001"]["InlineBinary"]) == expected


def test_a_length_that_the_vr_cannot_have_gives_unknown_bytes() -> None:
    walked = _explicit(_element(0x00280010, "US", b"abc"))

    assert walked.attributes["00280010"] == {"vr": "UN", "InlineBinary": "YWJj"}
    assert walked.problems == ["(0028,0010) a length that its VR cannot have"]


# ------------------------------------------------------------------- VRs that are not stated


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_pixel_values_are_signed_as_pixel_representation_says(
    representation: int, vr: str, value: int
) -> None:
    padding = _element(0x00280120, None, b"\xff\xff")
    item = _item(padding)
    walked = _implicit(
        _element(0x00189810, None, b"\xff\xff"),  # before it in the file
        _element(0x00280103, None, struct.pack("<H", representation)),
        padding,
        _element(0x00289110, None, item),
    )

    assert walked.attributes["00189810"] == {"vr": vr, "Value": [value]}
    assert walked.attributes["00280120"] == {"vr": vr, "Value": [value]}
    assert walked.attributes["00289110"]["Value"] == [{"00280120": {"vr": vr, "Value": [value]}}]


def test_a_lookup_table_of_65536_entries_has_so_many_in_signed_images() -> None:
    descriptor = struct.pack("<Hhh", 40000, -1, 16)
    walked = _explicit(_element(0x00283002, "SS", descriptor))

    assert walked.attributes["00283002"]["Value"] == [40000, -1, 16]


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (2, "OW")])
def test_lut_data_is_a_number_if_there_is_but_one(entries: int, vr: str) -> None:
    descriptor = _element(0x00283002, None, struct.pack("<HHH", entries, 0, 16))
    walked = _implicit(descriptor, _element(0x00283006, None, bytes(2 * entries)))

    assert walked.attributes["00283006"]["vr"] == vr


def test_unknown_vr_gives_way_to_the_dictionary() -> None:
    walked = _explicit(
        _element(0x00100020, "UN", b"P1"),
        _element(0x00290010, "LO", b"SIEMENS CSA HEADER"),
        _element(0x00291008, "UN", b"IMAGE NUM 4 "),
        _element(0x00291099, "UN", b"??"),
        _element(0x60000010, "UN", b"\x02\x00"),
        _element(0x60000050, "UN", b"\x01\x00\x02\x00"),
    )

    found = {key: value["vr"] for key, value in walked.attributes.items()}
    assert found["00100020"] == "LO"
    assert found["00291008"] == "CS"
    assert found["00291099"] == "UN"
    assert found["60000010"] == "US"
    assert walked.attributes["60000050"] == {"vr": "SS", "Value": [1, 2]}


def test_unknown_vr_of_undefined_length_is_a_sequence_in_implicit_vr() -> None:
    item = _item(_element(0x00100020, None, b"P1"), undefined=True)
    walked = _explicit(
        _element(0x00091001, "UN", item + _SEQUENCE_END, length=_UNDEFINED),
        _element(0x00100020, "LO", b"P2"),
    )

    patient = {"00100020": {"vr": "LO", "Value": ["P1"]}}
    assert walked.attributes["00091001"] == {"vr": "SQ", "Value": [patient]}
    assert walked.attributes["00100020"]["Value"] == ["P2"]


def test_unknown_vr_is_little_endian_inside_in_big_endian_too() -> None:
    item = _item(_element(0x00100020, None, b"P1"))
    content = _element(0x00091001, "UN", item + _SEQUENCE_END, length=_UNDEFINED, order=">")
    # The length of the element itself is in the order of the file.
    walked = walk(content, 0, implicit_vr=False, little_endian=False)

    assert walked.attributes["00091001"]["Value"] == [{"00100020": {"vr": "LO", "Value": ["P1"]}}]


def test_a_vr_that_does_not_exist_is_read_as_those_to_come() -> None:
    walked = _explicit(
        b"\x09\x00\x01\x10??\0\0" + struct.pack("<I", 2) + b"ab",
        _element(0x00100020, "LO", b"P1"),
    )

    assert walked.attributes["00091001"] == {"vr": "UN", "InlineBinary": "YWI="}
    assert walked.attributes["00100020"]["Value"] == ["P1"]
    assert walked.problems == ["(0009,1001) an unknown VR"]


def test_a_vr_that_cannot_be_skipped_is_refused() -> None:
    with pytest.raises(NotPart10, match=r"\(0009,1001\) at byte 0 has no VR"):
        _explicit(b"\x09\x00\x01\x10??\x02\x00ab", _element(0x00100020, "LO", b"P1"))


# --------------------------------------------------------------------- what is left out


def test_group_lengths_and_groups_of_other_places_are_left_out() -> None:
    walked = _explicit(
        _element(0x00000010, "UL", bytes(4)),
        _element(0x00020010, "UI", b"1.2 "),
        _element(0x00080000, "UL", bytes(4)),
        _element(0x00100020, "LO", b"P1"),
        _element(0x7FE00000, "UL", bytes(4)),
    )

    assert list(walked.attributes) == ["00100020"]


def test_padding_at_the_end_is_an_attribute_and_zeros_are_not() -> None:
    walked = _explicit(
        _element(0x00100020, "LO", b"P1"), _element(0xFFFCFFFC, "OB", bytes(6)), bytes(100)
    )

    assert list(walked.attributes) == ["00100020", "FFFCFFFC"]
    assert walked.problems == ["zeros after the data set"]


# --------------------------------------------------------------------------------- order


def test_attributes_come_out_in_order_and_the_last_of_equals_counts() -> None:
    walked = _explicit(
        _element(0x00100030, "DA", b"20200101"),
        _element(0x00100020, "LO", b"P1"),
        _element(0x00091001, "OB", bytes(9000)),
        _element(0x00100020, "LO", b"P2"),
        _element(0x00091001, "OB", b"ab"),
    )

    assert list(walked.attributes) == ["00091001", "00100020", "00100030"]
    assert walked.attributes["00100020"]["Value"] == ["P2"]
    assert walked.bulk == {}
    assert "(0010,0020) is there more than once; the last is kept" in walked.problems
    assert "(0009,1001) out of order" in walked.problems


def test_a_character_set_that_comes_late_holds_for_what_was_before() -> None:
    name = _element(0x00100010, "PN", "Ж".encode("iso8859_5") + b" ")
    charset = _element(0x00080005, "CS", b"ISO_IR 144")
    walked = _explicit(name, charset, _element(0x00081115, "SQ", _item(name + charset)))

    expected = {"vr": "PN", "Value": [{"Alphabetic": "Ж"}]}
    assert walked.attributes["00100010"] == expected
    assert walked.attributes["00081115"]["Value"] == [{"00100010": expected}]


def test_a_character_set_holds_for_what_has_a_lower_tag_too() -> None:
    name = _element(0x00050005, "LO", "Ж".encode("iso8859_5") + b" ")
    walked = _explicit(name, _element(0x00080005, "CS", b"ISO_IR 144"))

    assert walked.attributes["00050005"]["Value"] == ["Ж"]


def test_items_have_the_character_set_around_them_or_their_own() -> None:
    def name(text: str, codec: str) -> bytes:
        return _element(0x00100010, "PN", text.encode(codec).ljust(2))

    own = _element(0x00080005, "CS", b"ISO_IR 126")
    items = _item(name("Ж", "iso8859_5")) + _item(own + name("Δ", "iso8859_7"))
    walked = _explicit(
        _element(0x00080005, "CS", b"ISO_IR 144"),
        _element(0x00081115, "SQ", items),
        name("Ж", "iso8859_5"),
    )

    first, second = walked.attributes["00081115"]["Value"]
    assert first["00100010"]["Value"] == [{"Alphabetic": "Ж"}]
    assert second == {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Δ"}]}}
    assert walked.attributes["00100010"]["Value"] == [{"Alphabetic": "Ж"}]


# --------------------------------------------------------------------- ends and lengths


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_element(0x00091001, "OB", b"ab", length=0xFFFFFFFE), "runs past the end"),
        (_element(0x00100020, "LO", b"P1", length=3), "runs past the end"),
        (_element(0x00100020, "LO", b"P1")[:6], "cut short at byte 0"),
        (_element(0x00091001, "OB", b"")[:10], "cut short at byte 0"),
        (_element(0x00091001, "UT", b"ab", length=_UNDEFINED), "has no length"),
        (_element(0x00091001, "OB", b"abcdefgh", length=_UNDEFINED), "other than items|without"),
        (_element(0x00081115, "SQ", b"", length=_UNDEFINED), "cut short"),
        (_element(0x00081115, "SQ", _item(b""), length=_UNDEFINED), "cut short"),
        (_element(0x00081115, "SQ", _ITEM + b"\xff\xff\xff\xff"), "without an end"),
        (_element(0x00081115, "SQ", _ITEM + b"\x08\x00\x00\x00"), "past the end of its sequence"),
        (_element(0x00081115, "SQ", b"abcdefgh"), "where an item should be"),
        (_element(0x00081115, "SQ", _item(_element(0x00100020, "LO", b"", length=2))), "past"),
        (_ITEM + bytes(4), "outside a sequence"),
    ],
)
def test_what_runs_past_its_end_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(NotPart10, match=message):
        _explicit(content)


def test_delimiters_out_of_place_are_passed_over() -> None:
    item = _item(_element(0x00100020, "LO", b"P1") + _ITEM_END)
    without_end = _ITEM + b"\xff\xff\xff\xff" + _element(0x00100020, "LO", b"P2")
    walked = _explicit(
        _element(0x00081115, "SQ", item + _ITEM_END + _SEQUENCE_END),
        _element(0x00081199, "SQ", without_end + _SEQUENCE_END, length=_UNDEFINED),
        _SEQUENCE_END,
        _element(0x00100020, "LO", b"P3"),
    )

    identifiers = [
        walked.attributes["00081115"]["Value"][0]["00100020"]["Value"],
        walked.attributes["00081199"]["Value"][0]["00100020"]["Value"],
        walked.attributes["00100020"]["Value"],
    ]
    assert identifiers == [["P1"], ["P2"], ["P3"]]
    assert walked.problems


def _nested(depth: int) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "P1"
    for _ in range(depth):
        around = Dataset()
        around.ReferencedSeriesSequence = Sequence([dataset])
        dataset = around
    return dataset


def test_nesting_has_a_limit_and_up_to_it_metadata_can_be_written() -> None:
    description = describe(file_of(_nested(64)))
    assert description.metadata.count(b'"00081115"') == 64

    with pytest.raises(NotPart10, match="nested deeper than 64"):
        describe(file_of(_nested(65)))


def test_nesting_without_end_is_refused() -> None:
    begin = _element(0x00081115, "SQ", b"", length=_UNDEFINED) + _ITEM + b"\xff\xff\xff\xff"
    with pytest.raises(NotPart10, match="nested deeper"):
        _explicit(begin * 10_000)


def test_a_million_empty_items_are_too_many() -> None:
    with pytest.raises(NotPart10, match="more than 1000000 elements"):
        _explicit(_element(0x00081115, "SQ", _item(b"") * 1_000_001))


@pytest.mark.parametrize(
    "content",
    [
        b"".join(_element(0x00091000 + n, "LO", b"") for n in range(1001)),
        _element(0x00091001, "LO", b"") * 1001,
        _element(0x00081115, "SQ", _item(b"", undefined=True) * 501),
        _element(0x00081115, "SQ", _item(_element(0x00100020, "LO", b"")) * 501),
        _ITEM_END * 1001,
    ],
    ids=["elements", "repeated elements", "items", "items with an element", "delimiters"],
)
def test_elements_and_items_of_any_kind_are_counted(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "MAX_ELEMENTS", 1000)

    with pytest.raises(NotPart10, match="more than 1000 elements"):
        _explicit(content)


def test_many_values_leave_the_metadata_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    # Contours of a large RT Structure Set: each is small, all of them are not.
    for module in (walking, keeping):
        monkeypatch.setattr(module, "INLINE_TOTAL", 100_000)
    contour = _element(0x30060050, "DS", b"1.5\\" * 250)
    walked = _explicit(_element(0x00081115, "SQ", _item(contour) * 120))

    items = walked.attributes["00081115"]["Value"]
    assert len(items[0]["30060050"]["Value"]) == 251
    assert items[100]["30060050"] == {"vr": "DS", "BulkDataURI": "\x01/00081115/101/30060050"}
    assert len(walked.bulk) == 20

    with pytest.raises(NotPart10, match="more than 200000 bytes of short values"):
        _explicit(_element(0x00081115, "SQ", _item(_element(0x00100020, "LO", b"7" * 1000)) * 201))


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_any_bytes_are_walked_or_refused(content: bytes, implicit: bool, little: bool) -> None:
    with contextlib.suppress(NotPart10):  # and no other exception
        walk(content, 0, implicit_vr=implicit, little_endian=little)


_PIECES = [
    _ITEM,
    _ITEM_END,
    _SEQUENCE_END,
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 144",
    b"\x08\x00\x15\x11SQ\0\0",
    b"\x09\x00\x01\x10UN\0\0",
    b"\x28\x00\x06\x30\x08\0\0\0",
    b"\xe0\x7f\x10\x00OB\0\0",
    b"\xe0\x7f\x01\x00OV\0\0\x08\0\0\0\0\0\0\0\0\0\0\0",
]


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8)), st.booleans(), st.booleans())
def test_any_pieces_are_walked_or_refused(
    pieces: list[bytes], implicit: bool, little: bool
) -> None:
    content = b"".join(pieces)
    with contextlib.suppress(NotPart10):
        walked = walk(content, 0, implicit_vr=implicit, little_endian=little)
        assert all(b.offset + b.length <= len(content) for b in walked.bulk.values())


@settings(max_examples=25, deadline=None)
@given(datasets(depth=1), encodings, st.randoms(use_true_random=False))
def test_damaged_data_sets_are_walked_or_refused(
    dataset: Dataset, transfer_syntax: str, random: Any
) -> None:
    with lenient_pydicom():
        content = bytearray(encoded(dataset, transfer_syntax))
    implicit, little = ENCODINGS[transfer_syntax]
    for _ in range(50):
        damaged = bytearray(content)
        damaged[random.randrange(len(content))] = random.choice([0, 1, 0xFF, 0xFE, 0x5C, 0x1B])
        with contextlib.suppress(NotPart10):
            walk(bytes(damaged), 0, implicit_vr=implicit, little_endian=little)


def test_a_file_cut_anywhere_is_refused_or_has_fewer_attributes() -> None:
    dataset = _nested(2)
    dataset.PatientName = "A^B"
    dataset.add_new(0x00091001, "UT", "text")
    dataset.add_new(0x7FE00010, "OW", bytes(8))
    content = file_of(dataset)
    whole = _walk(content).attributes
    start = len(file_meta())
    accepted = 0
    for end in range(start, len(content)):
        with contextlib.suppress(NotPart10):
            cut = _walk(content[:end]).attributes
            assert cut.items() <= whole.items()
            assert len(cut) < len(whole)
            accepted += 1
    assert accepted == len(whole)  # one where each element begins


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(view: Any) -> None:
    content = file_of(_nested(1))

    assert _walk(view(content)).attributes == _walk(content).attributes
