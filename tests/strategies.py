"""Hypothesis strategies for DICOM data sets, and the files they are in."""

import string
import struct
from base64 import b64encode
from collections import defaultdict
from functools import cache
from io import BytesIO

from hypothesis import strategies as st
from pydicom import config, dcmwrite, uid
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.valuerep import AMBIGUOUS_VR, VR

IDENTIFIERS = {
    "SOPClassUID": "2.25.4",  # private: it asks for no attributes
    "SOPInstanceUID": "2.25.1",
    "StudyInstanceUID": "2.25.2",
    "SeriesInstanceUID": "2.25.3",
}

# Transfer syntax, and whether it is Implicit VR and little endian.
ENCODINGS = {
    uid.ImplicitVRLittleEndian: (True, True),
    uid.ExplicitVRLittleEndian: (False, True),
    uid.ExplicitVRBigEndian: (False, False),
}
encodings = st.sampled_from(list(ENCODINGS))

_ASCII = string.ascii_letters + string.digits + " .-_,()"

# Specific Character Set, and characters that can be written in it.
CHARACTER_SETS: list[tuple[list[str], str]] = [
    ([], ""),
    (["ISO_IR 100"], "äöüßéÅÿ£"),
    (["ISO_IR 101"], "ěščřž"),
    (["ISO_IR 144"], "ЖюПя"),
    (["ISO_IR 126"], "ΔλΩά"),
    (["ISO_IR 127"], "قباني"),
    (["ISO_IR 138"], "שרונ"),
    (["ISO_IR 166"], "นภา"),
    (["ISO_IR 13"], "ﾔﾏﾀﾞｱ"),
    (["ISO_IR 192"], "é王山😀שΔ"),
    (["GB18030"], "王小东乗俓"),
    (["GBK"], "王小东乗俓"),  # the last two have 0x5C for their second byte
    (["", "ISO 2022 IR 87"], "山田太郎やまだ"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ山田"),
    (["", "ISO 2022 IR 149"], "홍길동洪吉洞"),
    # Not with ISO 2022 IR 100 first: pydicom does not read a delimiter as the way back to it.
    (["", "ISO 2022 IR 144", "ISO 2022 IR 126"], "ЖюΔλ"),
]
character_sets = st.sampled_from(CHARACTER_SETS)


@cache
def _tags_of(vr: str) -> list[int]:
    """Standard tags of a VR that have no meaning of their own to a reader."""
    tags: dict[str, list[int]] = defaultdict(list)
    for tag, entry in DicomDictionary.items():
        if 0x0008 < tag >> 16 < 0x7FE0 and tag >> 16 not in (0x5400, 0x6000):
            tags[entry[0]].append(tag)
    return tags[vr][:40]


def _joined(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str] | str]:
    return values | st.lists(values, min_size=2, max_size=3)


def _digits(width: int) -> st.SearchStrategy[str]:
    return st.integers(0, 10**width - 1).map(lambda number: f"{number:0{width}}")


def _integers(low: int, high: int) -> st.SearchStrategy[int | list[int]]:
    one = st.integers(low, high)
    return one | st.lists(one, min_size=2, max_size=4)


def _words(size: int) -> st.SearchStrategy[bytes]:
    count = st.integers(0, 6)
    return count.flatmap(lambda n: st.binary(min_size=n * size, max_size=n * size))


decimal_strings = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.floats(-1e9, 1e9).map(lambda number: f"{number:.6g}"),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.8e}"),
    st.sampled_from(["0", "-0", "1.50", "0012", ".5", "1.", "+1", "1e400", "1e-400", "@", "NaN"]),
)
integer_strings = st.integers(-(2**31), 2**31 - 1).map(str) | st.sampled_from(["007", "+1", "1A"])

_UIDS = st.lists(st.integers(0, 99999).map(str), min_size=1, max_size=6).map(".".join)


def _floats(width: int) -> st.SearchStrategy[float | list[float]]:
    one = st.floats(width=width)
    return one | st.lists(one, min_size=2, max_size=4)


def person_names(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """PN: up to three groups of up to five components."""
    group = st.lists(text, min_size=1, max_size=5).map("^".join)
    return st.lists(group, min_size=1, max_size=3).map("=".join)


def _values(characters: str) -> dict[str, st.SearchStrategy[object]]:
    """Values of every VR but SQ, by VR, with text of ASCII and of `characters`."""
    ascii_text = st.text(_ASCII, max_size=16)
    text = ascii_text | st.text(_ASCII + characters * 8, max_size=12)
    code = st.text(string.ascii_uppercase + "_ ", max_size=16)
    numbers = {"US": (0, 2**16 - 1), "SS": (-(2**15), 2**15 - 1), "UL": (0, 2**32 - 1)}
    numbers |= {"SL": (-(2**31), 2**31 - 1), "UV": (0, 2**64 - 1), "SV": (-(2**63), 2**63 - 1)}
    return {
        "AE": _joined(code),
        "AS": _joined(_digits(3).map(lambda age: age + "Y")),
        "AT": _integers(0, 2**32 - 1),
        "CS": _joined(code),
        "DA": _joined(_digits(8)),
        "DS": _joined(decimal_strings),
        "DT": _joined(_digits(14)),
        "FD": _floats(64),
        "FL": _floats(32),
        "IS": _joined(integer_strings),
        "LO": _joined(text),
        "LT": text | text.map(lambda line: line + "\\x"),
        "OB": st.binary(max_size=20),
        "OD": _words(8),
        "OF": _words(4),
        "OL": _words(4),
        "OV": _words(8),
        "OW": _words(2),
        "PN": _joined(person_names(text)),
        "SH": _joined(text),
        "ST": text,
        "TM": _joined(_digits(6)),
        "UC": _joined(text),
        "UI": _joined(_UIDS),
        "UN": st.binary(max_size=20),
        "UR": st.just("urn:oid:1.2") | st.just(""),
        "UT": text,
        **{vr: _integers(low, high) for vr, (low, high) in numbers.items()},
    }


def _element(tag: int, vr: str, value: object) -> DataElement:
    """An element as it is given: pydicom would refuse numbers that real files have."""
    strings = vr in ("DS", "IS")
    return DataElement(tag, vr, value, already_converted=strings, validation_mode=config.IGNORE)


@st.composite
def _public_element(draw: st.DrawFn, characters: str) -> DataElement:
    values = _values(characters)
    vr = draw(st.sampled_from([vr for vr in sorted(values) if _tags_of(vr)]))
    return _element(draw(st.sampled_from(_tags_of(vr))), vr, draw(values[vr]))


@st.composite
def _private_element(draw: st.DrawFn, characters: str) -> DataElement:
    """In a block of a creator that no dictionary has, or one that pydicom's does."""
    values = _values(characters)
    vr = draw(st.sampled_from(sorted(values)))
    tag = draw(st.sampled_from([0x00091000, 0x00291100])) | draw(st.integers(0, 255))
    return _element(tag, vr, draw(values[vr]))


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """A data set of any VRs, with sequences `depth` deep, in any character set."""
    dataset = Dataset()
    terms, characters = draw(character_sets)
    if terms:
        dataset.SpecificCharacterSet = terms
    elements = _public_element(characters) | _private_element(characters)
    for element in draw(st.lists(elements, max_size=8)):
        dataset[element.tag] = element
    dataset.add_new(0x00090010, "LO", "NOBODY 1.0")
    dataset.add_new(0x00290011, "LO", "SIEMENS MR HEADER")
    if draw(st.booleans()):
        representation = draw(st.sampled_from([0, 1]))
        dataset.PixelRepresentation = representation
        vr = "SS" if representation else "US"
        dataset.add_new(0x00280106, vr, draw(st.integers(0, 2**15 - 1)))
    if depth:
        for tag in draw(st.sets(st.sampled_from(_tags_of("SQ")), max_size=2)):
            sequence = Sequence(draw(st.lists(datasets(depth=depth - 1), max_size=2)))
            sequence.is_undefined_length = draw(st.booleans())
            for item in sequence:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            dataset.add_new(Tag(tag), "SQ", sequence)
            dataset[tag].is_undefined_length = sequence.is_undefined_length
    return dataset


def identified(dataset: Dataset) -> Dataset:
    """`dataset` with the identifiers that an instance must have."""
    for keyword, value in IDENTIFIERS.items():
        setattr(dataset, keyword, value)
    return dataset


def file_meta(transfer_syntax: str = uid.ExplicitVRLittleEndian, **uids: str) -> bytes:
    """Preamble, prefix and a File Meta Information of what must be there."""
    elements = b""
    values = {"10": transfer_syntax, "02": IDENTIFIERS["SOPClassUID"]}
    values |= {"03": IDENTIFIERS["SOPInstanceUID"]} | uids
    for element, text in sorted(values.items()):
        value = text.encode() + b"\0" * (len(text) % 2)
        elements += struct.pack("<HH2sH", 2, int(element, 16), b"UI", len(value)) + value
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements))
    return bytes(128) + b"DICM" + length + elements


def encoded(dataset: Dataset, transfer_syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """The bytes of a data set as it is, without a file around it."""
    implicit, little = ENCODINGS[transfer_syntax]
    buffer = BytesIO()
    dataset.file_meta = FileMetaDataset()
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little)
    return buffer.getvalue()


def file_of(dataset: Dataset, transfer_syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """A PS3.10 file of `dataset`, which gets identifiers."""
    return file_meta(transfer_syntax) + encoded(identified(dataset), transfer_syntax)


def _now_and_then(
    wrong: st.SearchStrategy[object], right: st.SearchStrategy[object]
) -> st.SearchStrategy[object]:
    """`wrong` once in a while, else `right`."""
    return st.integers(0, 24).flatmap(lambda number: right if number else wrong)


_JSON_TEXT = st.text(max_size=8) | st.sampled_from(
    ["NaN", "-inf", "00100010", "1.5", "a\\b", "\x1b"]
)
_JSON_NUMBERS = st.integers(-9, 99) | st.integers(-(2**63), 2**64 - 1)
_JSON_FLOATS = _JSON_NUMBERS | st.floats(allow_nan=False, allow_infinity=False)
_JSON_NAMES = st.dictionaries(
    st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), _JSON_TEXT
)
_JSON_ANY = st.none() | st.booleans() | _JSON_TEXT | _JSON_FLOATS | _JSON_NAMES
_JSON_BINARY = st.binary(max_size=5).map(b64encode).map(bytes.decode)

_JSON_TAGS = [tag for vr in sorted(VR) for tag in _tags_of(vr)[:4]]
_JSON_KEYS = st.one_of(
    st.sampled_from(_JSON_TAGS).map("{:08X}".format),
    st.integers(0, 2**32 - 1).map("{:08X}".format),
    st.sampled_from(["7fe00010", "00080005", "00081190"]),
)


def _json_values(vr: object) -> st.SearchStrategy[object]:
    """Values that a VR may have; they need not fit it."""
    if vr in ("US", "SS", "UL", "SL", "SV", "UV"):
        return _JSON_NUMBERS
    if vr in ("FL", "FD", "DS", "IS"):
        return _JSON_FLOATS | st.sampled_from(["NaN", "-Infinity", "1.50", ""])
    return _JSON_NAMES if vr == "PN" else st.just("7FE00010") if vr == "AT" else _JSON_TEXT


@st.composite
def _json_attribute(draw: st.DrawFn, depth: int) -> object:
    wrong = st.sampled_from(["ob", "US or SS", None, 1, ["OB"]])
    vr = draw(_now_and_then(wrong, st.sampled_from([*sorted(set(VR) - AMBIGUOUS_VR), "SQ"])))
    if vr == "SQ" and depth:
        return {"vr": vr, "Value": draw(st.lists(json_datasets(depth - 1), max_size=2))}
    if isinstance(vr, str) and vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN"):
        kept = {"InlineBinary": _now_and_then(_JSON_ANY, _JSON_BINARY)}
    else:
        values = _now_and_then(_JSON_ANY, st.none() | _json_values(vr))
        kept = {"Value": _now_and_then(_JSON_ANY, st.lists(values, max_size=3))}
    if draw(st.integers(0, 9)) == 0:
        kept = {"BulkDataURI": st.sampled_from(["bulk", "bulk", "none", 1])}
    if draw(st.integers(0, 24)) == 0:
        kept["InlineBinary"] = _JSON_BINARY
    return {"vr": vr, **{member: draw(value) for member, value in kept.items()}}


def json_datasets(depth: int = 2) -> st.SearchStrategy[object]:
    """Objects that have the form of the DICOM JSON Model, or nearly, or not at all."""
    keys = _now_and_then(st.sampled_from(["PatientName", "+0010010", ""]), _JSON_KEYS)
    attributes = _now_and_then(_JSON_ANY, st.deferred(lambda: _json_attribute(depth)))
    return _now_and_then(_JSON_ANY, st.dictionaries(keys, attributes, max_size=3))
