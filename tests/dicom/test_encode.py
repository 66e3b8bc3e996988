"""Data sets of the DICOM JSON Model encoded: walked back to the same, and read by pydicom."""

import contextlib
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import generate_frames

from dicomweb_server.dicom import encode
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.encode import (
    QUERY_ONLY,
    Encapsulated,
    Encoded,
    bulk_references,
    encode_dataset,
)
from dicomweb_server.dicom.file_meta import file_meta
from dicomweb_server.dicom.json_model import parse_json_datasets
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.dicom.walk import Walked, walk
from dicomweb_server.errors import ContentTooLarge, MalformedContent, Refusal
from tests.dicom.oracle import Oracle, lenient_pydicom
from tests.dicom.real_files import real_metadata
from tests.strategies import ENCODINGS, datasets, file_of, json_datasets


@dataclass(frozen=True)
class Held:
    """Bulk data in memory."""

    value: bytes

    @property
    def length(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Promised:
    """Bulk data of which there is only the length."""

    length: int


def _whole(found: Encoded[Held]) -> bytes:
    whole = b"".join(piece if isinstance(piece, bytes) else piece.value for piece in found.pieces)
    assert len(whole) == found.length
    return whole


def _encode(attributes: Any, **bulk: bytes | list[bytes]) -> bytes:
    held = {
        uri: Held(value) if isinstance(value, bytes) else Encapsulated([Held(v) for v in value])
        for uri, value in bulk.items()
    }
    return _whole(encode_dataset(attributes, held))


def _walk(content: bytes, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Walked:
    implicit, little = ENCODINGS[transfer_syntax]
    return walk(content, 0, implicit_vr=implicit, little_endian=little)


def _file(content: bytes, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    return file_meta(uid.SecondaryCaptureImageStorage, "2.25.1", transfer_syntax) + content


def _read(content: bytes, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Dataset:
    return dcmread(BytesIO(_file(content, transfer_syntax)))


def _value(vr: str, *values: Any, tag: str = "00091001") -> bytes:
    """The value field that `values` become, with its padding."""
    content = _encode({tag: {"vr": vr, "Value": list(values)}})
    if content.startswith(b"\x08\x00\x05\x00"):
        content = content[18:]
    start = 12 if vr in ("SV", "UC", "UR", "UT", "UV") else 8
    length = struct.unpack_from("<I" if start == 12 else "<H", content, start - start // 3)[0]
    assert content[4:6].decode() == vr
    assert len(content) == start + length
    return content[start:]


def _even(attributes: JsonDataset) -> JsonDataset:
    """`attributes` with binary values as they are in a file: pydicom writes odd ones."""
    padded: JsonDataset = {}
    for key, attribute in attributes.items():
        padded[key] = dict(attribute)
        if "InlineBinary" in attribute:
            value = b64decode(attribute["InlineBinary"])
            padded[key]["InlineBinary"] = b64encode(value + bytes(len(value) % 2)).decode()
        elif attribute["vr"] == "SQ" and "Value" in attribute:
            padded[key]["Value"] = [_even(item) for item in attribute["Value"]]
    return padded


# ------------------------------------------------------------------------- there and back


def _described(content: bytes) -> tuple[JsonDataset, dict[str, Held | Encapsulated[Held]]]:
    """The metadata of a file, and all the bulk data in it by its URI."""
    description = describe(content)
    [attributes] = parse_json_datasets(description.metadata.replace(BULK_BASE, b"bulk"))
    bulk: dict[str, Held | Encapsulated[Held]] = {
        f"bulk/{path}": Held(content[value.offset : value.offset + value.length])
        for path, value in description.bulk.items()
    }
    return attributes, bulk


# In little endian bulk data are as they come from a retrieval.
@given(datasets(), st.sampled_from([uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian]))
def test_metadata_that_come_back_make_a_file_of_the_same_metadata(
    dataset: Dataset, transfer_syntax: str
) -> None:
    attributes, bulk = _described(file_of(dataset, transfer_syntax))
    content = _file(_whole(encode_dataset(attributes, bulk)))

    expected = {key: a for key, a in attributes.items() if int(key, 16) not in QUERY_ONLY}
    expected["00083002"] = {"vr": "UI", "Value": [EXPLICIT_VR_LITTLE_ENDIAN]}
    assert _described(content)[0] == _even(expected)


@given(datasets())
def test_pydicom_reads_what_is_encoded(dataset: Dataset) -> None:
    attributes, bulk = _described(file_of(dataset))
    content = _file(_whole(encode_dataset(attributes, bulk)))

    walked = walk(content, len(_file(b"")), implicit_vr=False, little_endian=True)
    with lenient_pydicom():
        Oracle(content, True, walked.bulk).compare(dcmread(BytesIO(content)), walked.attributes)
    kept = {int(key, 16) for key in attributes} - QUERY_ONLY
    assert kept == {int(key, 16) for key in walked.attributes}


def test_metadata_of_real_files_make_data_sets_of_the_same_metadata() -> None:
    count = 0
    for name, attributes, bulk in real_metadata():
        found = encode_dataset(attributes, bulk)
        content = b"".join(p if isinstance(p, bytes) else bytes(p.length) for p in found.pieces)
        walked = walk(content, 0, implicit_vr=False, little_endian=True).attributes
        expected = {key: a for key, a in attributes.items() if int(key, 16) not in QUERY_ONLY}
        text = orjson.dumps(walked).replace(rb"\u0001", b"bulk")
        assert orjson.loads(text) == _even(expected), name
        count += 1
    assert count > 50


@given(json_datasets())
def test_any_json_is_encoded_so_that_it_can_be_walked_or_refused(attributes: Any) -> None:
    with contextlib.suppress(Refusal):
        found = _walk(_encode(attributes, bulk=b"\x01\x02\x03")).attributes
        tags = {int(key, 16) for key in attributes} - QUERY_ONLY - {0x00080005}
        kept = {tag for tag in tags if tag & 0xFFFF and tag >> 16 not in (0, 2, 0xFFFE)}
        assert {int(key, 16) for key in found} - {0x00080005} == kept


# ------------------------------------------------------------------------------- the order


def test_attributes_come_in_ascending_order_at_every_level() -> None:
    item = {"00080104": {"vr": "LO"}, "00080100": {"vr": "SH"}}
    content = _encode(
        {
            "00100020": {"vr": "LO", "Value": ["1"]},
            "0008103e": {"vr": "LO"},
            "00081032": {"vr": "SQ", "Value": [item]},
        }
    )
    dataset = _read(content)

    assert [int(e.tag) for e in dataset] == [0x00081032, 0x0008103E, 0x00100020]
    [found] = dataset.ProcedureCodeSequence
    assert [int(element.tag) for element in found] == [0x00080100, 0x00080104]
    assert not _walk(content).problems


def test_what_is_no_part_of_an_instance_is_left_out() -> None:
    dropped = ["00020010", "00080000", "FFFEE000", "00081190", "00080056", "00201206", "00083002"]
    kept = {"vr": "UR", "Value": ["http://host/"]}
    reference = {"00081190": kept, "00080000": {"vr": "UL", "Value": [4]}, "00080005": {"vr": "CS"}}
    attributes: JsonDataset = {key: {"vr": "no such"} for key in dropped}
    attributes["00081199"] = {"vr": "SQ", "Value": [reference]}

    assert _walk(_encode(attributes)).attributes == {
        "00081199": {"vr": "SQ", "Value": [{"00081190": kept}]}
    }


def test_sequences_and_items_may_be_empty() -> None:
    attributes = {
        "00081110": {"vr": "SQ"},
        "00081115": {"vr": "SQ", "Value": []},
        "00081140": {"vr": "SQ", "Value": [{}, None]},
    }
    assert _walk(_encode(attributes)).attributes == {
        "00081110": {"vr": "SQ"},
        "00081115": {"vr": "SQ"},
        "00081140": {"vr": "SQ", "Value": [{}, {}]},
    }


# -------------------------------------------------------------------------------- the text


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"00100020": {"vr": "LO", "Value": ["Muller"]}}, None),
        ({"00100020": {"vr": "LO", "Value": ["Müller"]}}, "ISO_IR 192"),
        ({"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}}, "ISO_IR 192"),
        ({"00080005": {"vr": "CS", "Value": ["ISO_IR 6"]}}, "ISO_IR 192"),
        ({"00080005": {"vr": "CS"}}, ""),
        ({"00080005": {"vr": "CS"}, "00100020": {"vr": "LO", "Value": ["山田"]}}, "ISO_IR 192"),
        ({"00100010": {"vr": "PN", "Value": [{"Ideographic": "山田"}]}}, "ISO_IR 192"),
        ({"00081115": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI"}}]}}, None),
        (
            {"00081032": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["é"]}}]}},
            "ISO_IR 192",
        ),
    ],
)
def test_the_character_set_is_utf_8_where_there_is_more_than_ascii(
    attributes: JsonDataset, expected: str | None
) -> None:
    assert _read(_encode(attributes)).get("SpecificCharacterSet") == expected


def test_bulk_data_of_text_is_taken_for_utf_8() -> None:
    content = _encode(
        {"0040A160": {"vr": "UT", "BulkDataURI": "text"}}, text="Größe".encode() + b"."
    )
    assert _read(content).TextValue == "Größe."


def test_an_escape_in_text_switches_no_character_set() -> None:
    attributes = {"00081030": {"vr": "LO", "Value": ["\x1b$B;3ED"]}}
    assert _walk(_encode(attributes)).attributes["00081030"] == attributes["00081030"]


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("LO", ["abc"], b"abc "),
        ("LO", ["a", None, "b", ""], b"a\\\\b\\ "),
        ("UI", ["1.2", "1.3"], b"1.2\\1.3\0"),
        ("UI", ["1.2"], b"1.2\0"),
        ("CS", ["é"], b"\xe9 "),
        ("ST", ["one \\ two"], b"one \\ two "),
        ("UC", ["a", "b"], b"a\\b "),
        ("UR", ["urn:x"], b"urn:x "),
        ("PN", [{"Alphabetic": "A^B"}], b"A^B "),
        ("PN", [{"Phonetic": "C", "Alphabetic": "A"}, None, {}], b"A==C\\\\"),
        ("PN", [{"Ideographic": "B", "Phonetic": None}], b"=B"),
        ("PN", ["A^B=C"], b"A^B=C "),
        ("IS", [1, "2", None, -3, 4.0, "+5"], b"1\\2\\\\-3\\4\\+5"),
        ("IS", [1e23], b"1" + b"0" * 23),
        ("DS", [1.5, "1.50", 2, None], b"1.5\\1.50\\2\\ "),
        ("DS", [1e15], b"1e15"),
        ("DS", [0.000123456789012], b"1.23456789012e-4"),
        ("DS", [-1.0], b"-1.0"),
        ("AT", ["00100010", "7fe00010"], b"\x10\x00\x10\x00\xe0\x7f\x10\x00"),
        ("US", [1, 65535, 2.0], b"\x01\x00\xff\xff\x02\x00"),
        ("SS", [-2], b"\xfe\xff"),
        ("UL", [2**32 - 1], b"\xff" * 4),
        ("SL", [-1], b"\xff" * 4),
        ("SV", ["-9223372036854775808", 1], struct.pack("<2q", -(2**63), 1)),
        ("UV", ["18446744073709551615", 1], struct.pack("<2Q", 2**64 - 1, 1)),
        ("SV", [1.2345678901234568e18], struct.pack("<q", 1234567890123456800)),
        ("FL", [1.5, 2], struct.pack("<2f", 1.5, 2)),
        ("FD", ["-Infinity", "inf", 1e300], struct.pack("<3d", float("-inf"), float("inf"), 1e300)),
        ("FD", [None], b""),
        ("LO", [], b""),
    ],
)
def test_values_are_encoded_as_their_vr_has_them(
    vr: str, values: list[Any], expected: bytes
) -> None:
    assert _value(vr, *values) == expected


def test_not_a_number_is_encoded() -> None:
    [value] = struct.unpack("<f", _value("FL", "NaN"))
    assert value != value


def test_the_first_value_of_a_signed_lut_descriptor_wraps_around() -> None:
    attributes = {"00283002": {"vr": "SS", "Value": [65535, -4, 16]}}
    assert _walk(_encode(attributes)).attributes == attributes


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_string_is_the_number_it_was_made_of(number: float) -> None:
    found = encode_dataset({"00091001": {"vr": "DS", "Value": [number]}}, {})
    text = _whole(found)[8:].decode().rstrip(" ")

    assert float(text) == number
    assert len(text) <= len(repr(number))
    assert bool(found.problems) == (len(text) > 16)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 9))
def test_a_number_of_few_digits_fits_a_decimal_string(number: float, digits: int) -> None:
    short = float(f"{number:.{digits}g}")
    if isfinite(short):
        assert len(_value("DS", short).rstrip()) <= 16


def test_what_is_wrong_and_kept_is_a_problem() -> None:
    found = encode_dataset(
        {
            "00080008": {"vr": "CS", "Value": ["ORIGINAL\\PRIMARY"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]},
            "00181041": {"vr": "DS", "Value": ["0.12345678901234567"]},
            "00200013": {"vr": "IS", "Value": [1.5]},
        },
        {},
    )
    assert found.problems == (
        "(0008,0008) a separator within a value",
        "(0010,0010) a separator within a value",
        "(0018,1041) a number of more characters than its VR can have",
        "(0020,0013) a number that is no integer",
    )


# ------------------------------------------------------------------------------ the header


@pytest.mark.parametrize(
    "attribute",
    [
        {"vr": "DS", "Value": ["1"] * 40_000},
        {"vr": "US", "Value": [1] * 32_768},
        {"vr": "LT", "Value": ["x" * 65_535]},
        {"vr": "LT", "BulkDataURI": "bulk"},
    ],
)
def test_a_value_too_long_for_its_vr_becomes_unknown(attribute: dict[str, Any]) -> None:
    content = _encode({"00091001": attribute}, bulk=b"x" * 65_535)
    element = _read(content)[0x00091001]

    assert element.VR == "UN"
    assert len(element.value) > 65_534


def test_the_longest_value_keeps_its_vr() -> None:
    assert (
        _read(_encode({"00104000": {"vr": "LT", "Value": ["x" * 65_534]}}))[0x00104000].VR == "LT"
    )


@pytest.mark.parametrize(
    ("key", "attribute", "expected"),
    [
        ("00100010", {"Value": [{"Alphabetic": "A"}]}, "PN"),
        ("60020010", {"Value": [1]}, "US"),
        ("00090010", {"Value": ["CREATOR"]}, "LO"),
        ("00280106", {"Value": [-1]}, "SS"),
        ("00280106", {"vr": "US or SS", "Value": [1]}, "US"),
        ("00283006", {"vr": "US or OW", "InlineBinary": "AAA="}, "OW"),
        ("7FE00010", {"vr": "OB or OW", "InlineBinary": "AAA="}, "OW"),
        ("00082112", {"Value": [{}]}, "SQ"),
    ],
)
def test_a_vr_that_is_missing_or_ambiguous_is_found(
    key: str, attribute: dict[str, Any], expected: str
) -> None:
    assert _encode({key: attribute})[4:6].decode() == expected


# ------------------------------------------------------------------------------- bulk data


def test_bulk_data_goes_through_as_the_object_it_is() -> None:
    source = Promised(2**32 - 2)
    found = encode_dataset({"00420011": {"vr": "OB", "BulkDataURI": "u"}}, {"u": source})

    header, same = found.pieces
    assert same is source
    assert header == b"\x42\x00\x11\x00OB\0\0\xfe\xff\xff\xff"
    assert found.length == 12 + 2**32 - 2


def test_bulk_data_may_be_nested_and_is_padded() -> None:
    item = {"54001010": {"vr": "OW", "BulkDataURI": "a"}, "00081030": {"vr": "UT"}}
    content = _encode(
        {
            "54000100": {"vr": "SQ", "Value": [{}, item]},
            "00420011": {"vr": "OB", "BulkDataURI": "b"},
            "00091001": {"vr": "DS", "BulkDataURI": "c"},
            "00091002": {"vr": "OB", "BulkDataURI": "d"},
        },
        a=b"\1\2\3\4",
        b=b"%PDF-",
        c=b"1\\2",
        d=b"",
    )
    dataset = _read(content)

    assert dataset.WaveformSequence[1].WaveformData == b"\1\2\3\4"
    assert dataset.EncapsulatedDocument == b"%PDF-\0"
    assert dataset[0x00091001].value == [1, 2]
    assert dataset[0x00091002].is_empty


def test_bulk_data_longer_than_a_length_can_say_is_refused() -> None:
    pixels = {"7FE00010": {"vr": "OB", "BulkDataURI": "u"}}
    with pytest.raises(ContentTooLarge, match=r"^7FE00010: a value of more"):
        encode_dataset(pixels, {"u": Promised(2**32 - 1)})
    with pytest.raises(ContentTooLarge, match=r"^7FE00010: a frame of more"):
        encode_dataset(pixels, {"u": Encapsulated([Promised(2**32 - 1)])})


def test_references_to_bulk_data_are_found_wherever_they_are() -> None:
    item = {"54001010": {"vr": "OW", "BulkDataURI": "a"}}
    attributes: Any = {
        "7fe00010": {"vr": "OW", "BulkDataURI": "b"},
        "54000100": {"vr": "SQ", "Value": [{}, item, None]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A"}]},
        "00100020": None,
    }
    assert dict(bulk_references(attributes)) == {
        "54000100/2/54001010": "a",
        "7FE00010": "b",
    }


def test_references_are_bounded_by_their_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "PATHS_TOTAL", 100)
    item = {"54001010": {"vr": "OW", "BulkDataURI": "a"}}
    few = {"54000100": {"vr": "SQ", "Value": [item] * 5}, "long" * 99: item["54001010"]}

    assert len(list(bulk_references(few))) == 5
    with pytest.raises(MalformedContent, match="too many BulkDataURIs"):
        list(bulk_references({"54000100": {"vr": "SQ", "Value": [item] * 6}}))


def test_references_deeper_than_sequences_may_be_are_not_looked_for() -> None:
    attributes: JsonDataset = {"54001010": {"vr": "OW", "BulkDataURI": "a"}}
    for _ in range(64):
        attributes = {"00081115": {"vr": "SQ", "Value": [attributes]}}

    assert len(list(bulk_references(attributes))) == 1
    assert not list(bulk_references({"00081115": {"vr": "SQ", "Value": [attributes]}}))


# ----------------------------------------------------------------------------- pixel data

_PIXELS: JsonDataset = {"7FE00010": {"vr": "OW", "BulkDataURI": "frames"}}


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5))
def test_frames_are_fragments_with_an_offset_table(frames: list[bytes]) -> None:
    attributes: JsonDataset = {
        "00280008": {"vr": "IS", "Value": [len(frames)]},
        "7FE00001": {"vr": "OV", "InlineBinary": "AAAAAAAAAAA="},
        "7FE00002": {"vr": "OV", "InlineBinary": "AAAAAAAAAAA="},
        **_PIXELS,
    }
    content = _encode(attributes, frames=frames)
    dataset = _read(content, uid.RLELossless)

    element = dataset["PixelData"]
    found = list(generate_frames(element.value, number_of_frames=len(frames)))
    assert found == [frame + bytes(len(frame) % 2) for frame in frames]
    assert element.VR == "OB"
    assert element.is_undefined_length
    assert "ExtendedOffsetTable" not in dataset


def test_frames_beyond_the_reach_of_32_bits_have_the_extended_offset_table() -> None:
    frames = [Promised(2**31 + 1), Promised(2**31), Promised(5)]
    found = encode_dataset(_PIXELS, {"frames": Encapsulated(frames)})
    before = found.pieces[0]

    assert [piece for piece in found.pieces if not isinstance(piece, bytes)] == frames
    assert isinstance(before, bytes)
    walked = walk(before[:-28], 0, implicit_vr=False, little_endian=True).attributes
    offsets, lengths = (b64decode(walked[key]["InlineBinary"]) for key in ("7FE00001", "7FE00002"))
    assert struct.unpack("<3Q", offsets) == (0, 2**31 + 10, 2**32 + 18)
    assert struct.unpack("<3Q", lengths) == (2**31 + 1, 2**31, 5)
    assert before[-28:-8] == b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0"


def test_a_description_finds_the_frames() -> None:
    attributes = {
        **{
            key: {"vr": "UI", "Value": [value]}
            for key, value in {
                "00080016": uid.SecondaryCaptureImageStorage,
                "00080018": "2.25.1",
                "0020000D": "2.25.2",
                "0020000E": "2.25.3",
            }.items()
        },
        "00280008": {"vr": "IS", "Value": [2]},
        **_PIXELS,
    }
    content = _file(_encode(attributes, frames=[b"one", b"four"]), uid.RLELossless)
    frames = describe(content).frames

    assert frames is not None
    assert frames.count == 2
    ranges = list(struct.iter_unpack("<QQI", frames.ranges))
    assert [content[start : start + length] for start, length, _ in ranges] == [b"one\0", b"four"]


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ([], "the data set: a data set that is no object"),
        ({"PatientName": {"vr": "PN"}}, "the data set: a name that is no tag"),
        ({"0x100010": {"vr": "PN"}}, "the data set: a name that is no tag"),
        ({"00100010": "Secret"}, "00100010: an attribute that is no object"),
        ({"00100010": {"vr": "XX"}}, "00100010: has a VR that does not exist"),
        ({"00100010": {"vr": ["PN"]}}, "00100010: has a VR that does not exist"),
        ({"00091001": {"Value": ["Secret"]}}, "00091001: has no VR, and none in the dictionary"),
        ({"0008000a": {"vr": "LO"}, "0008000A": {"vr": "LO"}}, "in upper case and in lower"),
        (
            {"00091001": {"vr": "OB", "Value": [1], "InlineBinary": "AAA="}},
            "00091001: has more than one of",
        ),
        ({"00091001": {"vr": "LO", "Value": "Secret"}}, "00091001: a Value that is no array"),
        ({"00091001": {"vr": "LO", "Value": [1]}}, "00091001: a value that is no text"),
        ({"00091001": {"vr": "LO", "Value": [True]}}, "00091001: a value that is no text"),
        ({"00091001": {"vr": "LO", "Value": ["\ud800"]}}, "00091001: half of a character"),
        ({"00091001": {"vr": "ST", "Value": ["Secret", "b"]}}, "several values where"),
        ({"00091001": {"vr": "ST", "Value": [{}]}}, "00091001: a value that is no text"),
        ({"00100010": {"vr": "PN", "Value": [1]}}, "00100010: a value that is no name"),
        ({"00100010": {"vr": "PN", "Value": [{"Latin": "Secret"}]}}, "a value that is no name"),
        ({"00100010": {"vr": "PN", "Value": [{"Phonetic": 1}]}}, "a component group that is no"),
        ({"00091001": {"vr": "IS", "Value": [True]}}, "00091001: a value that is no number"),
        ({"00091001": {"vr": "DS", "Value": [{}]}}, "00091001: a value that is no number"),
        ({"00091001": {"vr": "DS", "Value": [float("nan")]}}, "a value that is no number"),
        ({"00091001": {"vr": "US", "Value": ["1"]}}, "00091001: a value that is no integer"),
        ({"00091001": {"vr": "US", "Value": [True]}}, "00091001: a value that is no integer"),
        ({"00091001": {"vr": "US", "Value": [1, None]}}, "00091001: a value that is no integer"),
        ({"00091001": {"vr": "US", "Value": [1.5]}}, "00091001: a value that is no integer"),
        ({"00091001": {"vr": "US", "Value": [65536]}}, "00091001: a number beyond"),
        ({"00091001": {"vr": "SS", "Value": [65535]}}, "00091001: a number beyond"),
        ({"00091001": {"vr": "FL", "Value": [1e300]}}, "00091001: a number beyond"),
        ({"00091001": {"vr": "FL", "Value": ["1.5"]}}, "00091001: a value that is no number"),
        ({"00091001": {"vr": "UV", "Value": ["-1"]}}, "00091001: a number beyond"),
        ({"00091001": {"vr": "SV", "Value": ["1_0"]}}, "00091001: a value that is no integer"),
        ({"00091001": {"vr": "AT", "Value": [0x00100010]}}, "00091001: a value that is no tag"),
        ({"00091001": {"vr": "AT", "Value": ["0x100010"]}}, "00091001: a value that is no tag"),
        ({"00091001": {"vr": "OB", "Value": [1]}}, "00091001: a Value in a VR that has none"),
        ({"00091001": {"vr": "OB", "InlineBinary": "AA"}}, "an InlineBinary that is no base64"),
        ({"00091001": {"vr": "OB", "InlineBinary": "é"}}, "an InlineBinary that is no base64"),
        ({"00091001": {"vr": "OB", "InlineBinary": ["AAA="]}}, "an InlineBinary that is no text"),
        ({"00091001": {"vr": "US", "InlineBinary": "AAA="}}, "an InlineBinary in a VR that has"),
        ({"00091001": {"vr": "SQ", "InlineBinary": "AAA="}}, "a sequence without items"),
        ({"00091001": {"vr": "SQ", "Value": ["Secret"]}}, "00091001/1: a data set that is no"),
        ({"00091001": {"vr": "OB", "BulkDataURI": 1}}, "a BulkDataURI that is no text"),
        ({"00091001": {"vr": "OB", "BulkDataURI": "none"}}, "a BulkDataURI without bulk data"),
        ({"00091001": {"vr": "OB", "BulkDataURI": "frames"}}, "frames where there is no Pixel"),
        (
            {"00081115": {"vr": "SQ", "Value": [{}, {"00080018": {"vr": "UI", "Value": [1]}}]}},
            "00081115/2/00080018: a value that is no text",
        ),
        (
            {"00081115": {"vr": "SQ", "Value": [{"Secret": {"vr": "UI"}}]}},
            "00081115/1: a name that is no tag",
        ),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_its_path(attributes: Any, message: str) -> None:
    with pytest.raises(MalformedContent) as refusal:
        _encode(attributes, frames=[b"ab"])

    assert message in str(refusal.value)
    assert "Secret" not in str(refusal.value)


def test_sequences_may_be_as_deep_as_the_walk_goes_and_no_deeper() -> None:
    attributes: JsonDataset = {}
    for _ in range(64):
        attributes = {"00081115": {"vr": "SQ", "Value": [attributes]}}

    assert _walk(_encode(attributes)).attributes == attributes
    with pytest.raises(MalformedContent, match="nested deeper than 64"):
        _encode({"00081115": {"vr": "SQ", "Value": [attributes]}})


def test_too_many_elements_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "MAX_ELEMENTS", 100)
    assert _encode({"00081115": {"vr": "SQ", "Value": [{}] * 99}})
    with pytest.raises(MalformedContent, match="more than 100 elements"):
        _encode({"00081115": {"vr": "SQ", "Value": [{}] * 100}})


def test_frames_that_are_referred_to_again_and_again_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "MAX_FRAGMENTS", 100)
    icons = {"00880200": {"vr": "SQ", "Value": [_PIXELS] * 5}}
    assert _encode(icons, frames=[b"x"] * 20)
    with pytest.raises(MalformedContent, match=r"^00880200/5/7FE00010: more than 100 frames"):
        _encode(icons, frames=[b"x"] * 21)


# ------------------------------------------------------------------------------- file meta


def test_the_file_meta_is_read_by_pydicom() -> None:
    content = file_meta(uid.CTImageStorage, "2.25.1", uid.JPEGBaseline8Bit)
    dataset = dcmread(BytesIO(content))
    meta = dataset.file_meta

    assert dataset.preamble == bytes(128)
    assert meta.FileMetaInformationGroupLength == len(content) - 144
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == uid.CTImageStorage
    assert meta.MediaStorageSOPInstanceUID == "2.25.1"
    assert meta.TransferSyntaxUID == uid.JPEGBaseline8Bit
    assert meta.ImplementationClassUID.is_valid


@pytest.mark.parametrize("wrong", ["1" * 65, "é"])
def test_a_file_meta_of_no_uid_is_refused(wrong: str) -> None:
    with pytest.raises(MalformedContent, match="a UID for the File Meta"):
        file_meta(uid.CTImageStorage, wrong, uid.JPEGBaseline8Bit)


@pytest.mark.parametrize("vr", [[], {}, 5, True, "", "XX", "us", "OB or OX"])
def test_a_vr_that_does_not_exist_is_refused(vr: object) -> None:
    for attributes in (
        {"00100020": {"vr": vr}},
        {"00081140": {"vr": "SQ", "Value": [{"00100020": {"vr": vr, "Value": ["a"]}}]}},
    ):
        assert not list(bulk_references(attributes))
        with pytest.raises(MalformedContent, match="00100020"):
            encode_dataset(attributes, {})
