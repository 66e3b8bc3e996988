"""Changes of inputs that leave them whole: of bytes, and of the attributes of a data set.

A byte that is changed at random mostly leaves a data set that cannot be walked; what is shown of
one is reached by other values in their places, attributes left out or repeated, and other VRs.
"""

import re
import struct
from base64 import b64decode, b64encode
from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any

import orjson

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import LONG_FORM
from dicomweb_server.dicom.walk import walk
from dicomweb_server.errors import Refusal

# Targets whose input is a data set behind one byte that tells, among others, its encoding.
OF_DATASETS = frozenset(
    {"dataset", "matching", "report", "waveform", "presentation_state", "image", "segmentation"}
    | {"directory"}
)

_NUMBERS = {
    **{"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q"},
    **{"FL": "f", "FD": "d"},
}
_BYTES = frozenset({"OB", "OW", "OL", "OV", "OF", "OD", "UN"})
_OTHERS = ("UN", "OB", "LO", "IS", "DS", "US", "FD", "SQ", "UT", "PN")

_TEXTS = [
    *("", " ", "0", "1", "-1", "2", "1.5", "65535", "2147483647", "-2147483648", "9" * 20),
    *("1e308", "-1e308", "1e-320", "nan", "inf", "1e400", "abc", "Ä", "YES", "Y", "CONTAINER"),
    *("1.2.3", "20240102", "20249999", "235960.5", "<b>&", "a\\b", "javascript:1"),
]
_INTEGERS = [0, 1, 2, 3, 7, 8, 255, 256, 32767, 65535, 1 << 31, (1 << 32) - 1, (1 << 63) - 1]
_FLOATS = [0.0, 1.0, -1.0, 0.5, 1e9, 1e38, -1e38, 1e308, 5e-324, float("inf"), float("nan")]


def changed_bytes(data: bytes, seeds: list[bytes], random: Random) -> bytes:
    """`data` with some bytes set, cut out, doubled, or taken from another seed."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(made) + 1)
        match random.randrange(5):
            case 0:
                made[at : at + 1] = random.randbytes(1)
            case 1:
                value = random.choice([b"\0", b"\xff", b"\x7f\xff", b"\0" * 4, b"\xff" * 4, b"9"])
                made[at : at + random.choice((1, 2, 4))] = value
            case 2:
                del made[at : at + random.randint(1, 8)]
            case 3:
                made[at:at] = made[at : at + random.randint(1, 40)]
            case 4:
                other = random.choice(seeds)
                start = random.randrange(len(other) + 1)
                made[at:at] = other[start : start + random.randint(1, 40)]
    return bytes(made)


def changed(name: str, data: bytes, random: Random) -> bytes | None:
    """`data` with changes of the kind that suits a target; None if none does."""
    if name in OF_DATASETS:
        return changed_dataset(data, random)
    if name in ("posted_xml", "clinical_document"):
        return changed_xml(data, random)
    return changed_json(data, random) if name == "posted_json" else None


def changed_dataset(data: bytes, random: Random) -> bytes | None:
    """A data set in Explicit VR Little Endian, behind one byte, with some attributes changed.

    None for another encoding and for what cannot be walked.
    """
    if not data or data[0] % 3:
        return None
    try:
        walked = walk(data, 1, implicit_vr=False, little_endian=True).attributes
    except Refusal:
        return None
    attributes = deepcopy(walked)  # the walk gives the same object for the same value again
    for _ in range(random.randint(1, 3)):
        _change(attributes, random)
    first = data[0] if random.randrange(4) else random.randrange(85) * 3
    return bytes([first]) + _encoded(attributes)


_ODD: list[Any] = [
    *(None, True, 0, -1, 2**63, -(2**63), 1.5, 1e308, 5e-324, "", "x", " ", "\0", "Ä\\ö", "9" * 70),
    *([], {}, [None], [[]], [{}], {"vr": "SQ"}, {"vr": "US", "Value": [1]}, {"Alphabetic": None}),
    *("SQ", "UN", "PN", "US", "OB", "DS", "AT", "UT", "FL", "Value", "InlineBinary", "BulkDataURI"),
    *("0040A730", "00080005", "7fe00010", "00091001", "00090010", "FFFEE000", "00020010", "A==="),
]


def changed_json(data: bytes, random: Random) -> bytes | None:
    """JSON text with some of its values and names changed; None for what is no JSON."""
    try:
        made: Any = orjson.loads(data)
        for _ in range(random.randint(1, 4)):
            made = _changed_node(made, random)
        return orjson.dumps(made)
    except (ValueError, TypeError):
        return None


_PIECE = re.compile(rb"(<[^>]*>)")
_QUOTED = re.compile(rb'"[^"]*"')


def changed_xml(data: bytes, random: Random) -> bytes:
    """XML with some of its tags, texts and values of attributes left out, doubled or changed."""
    pieces = [piece for piece in _PIECE.split(data) if piece]
    for _ in range(random.randint(1, 4) if pieces else 0):
        at = random.randrange(len(pieces))
        odd = str(random.choice([*_TEXTS, *filter(None, _ODD)])).encode("utf-8", "replace")
        match random.randrange(6):
            case 0:
                del pieces[at]
            case 1:
                pieces[at:at] = pieces[at : at + random.randint(1, 30)]
            case 2 | 3 if pieces[at].startswith(b"<"):
                found = _QUOTED.findall(pieces[at])
                if found:
                    pieces[at] = pieces[at].replace(random.choice(found), b'"%b"' % odd, 1)
            case 4:
                pieces[at:at] = [random.choice(pieces)]
            case _:
                pieces[at] = odd
        pieces = pieces or [b""]
    return b"".join(pieces)


def _changed_node(node: Any, random: Random) -> Any:
    if not isinstance(node, dict | list) or not node or not random.randrange(8):
        return random.choice(_ODD)
    if isinstance(node, dict):
        key = random.choice(list(node))
        match random.randrange(6):
            case 0:
                return {k: v for k, v in node.items() if k != key}
            case 1:
                return {**node, str(random.choice(_ODD)): node[key]}
            case _:
                return {**node, key: _changed_node(node[key], random)}
    at = random.randrange(len(node))
    more = [node[at]] * random.choice((0, 1, 1, 1, 1, 2, 30))
    return [
        *node[:at],
        *([_changed_node(more[0], random), *more[1:]] if more else []),
        *node[at + 1 :],
    ]


def _change(dataset: JsonDataset, random: Random) -> None:
    """Change one attribute, of the data set or of an item somewhere in it."""
    if not dataset:
        return
    key = random.choice(list(dataset))
    attribute = dataset[key]
    items = [each for each in attribute.get("Value", []) if attribute["vr"] == "SQ" and each]
    if items and random.randrange(5):
        _change(random.choice(items), random)
        return
    match random.randrange(8):
        case 0:
            del dataset[key]
        case 1:
            attribute.pop("Value", None)
        case 2:
            plain = [each for each in attribute.get("Value", []) if not isinstance(each, dict)]
            vr = random.choice(_OTHERS)
            dataset[key] = {"vr": vr, "Value": [] if vr == "SQ" else plain}
        case 3:
            other = random.choice(list(dataset))
            dataset[key] = dict(dataset[other])
        case _:
            _change_values(attribute, random)


def _change_values(attribute: dict[str, Any], random: Random) -> None:
    vr = attribute["vr"]
    if vr in _BYTES:
        raw = b64decode(attribute.get("InlineBinary", ""))
        raw = changed_bytes(raw, [raw], random)
        attribute["InlineBinary"] = b64encode(raw[:2000]).decode()
        return
    values = list(attribute.get("Value", []))
    at = random.randrange(len(values) + 1)
    match random.randrange(4):
        case 0 if values:
            del values[at : at + 1]
        case 1 if values:
            values = (values * random.choice((2, 3, 50)))[:200]
        case _ if vr != "SQ":
            values[at : at + 1] = [_odd_value(vr, random)]
    attribute["Value"] = values


def _odd_value(vr: str, random: Random) -> object:
    if vr in ("FL", "FD"):
        return random.choice(_FLOATS)
    if vr in _NUMBERS:
        return random.choice(_INTEGERS) * random.choice((1, 1, -1))
    return random.choice(_TEXTS)


def _encoded(dataset: JsonDataset) -> bytes:
    found = []
    for key, attribute in sorted(dataset.items()):
        vr, tag = attribute["vr"], int(key, 16)
        with suppress(ValueError):  # no base64
            value = _value(vr, attribute)
            value += b"\0" * (len(value) % 2)
            head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
            if vr in LONG_FORM:
                head += struct.pack("<HI", 0, len(value))
            else:
                value = value[:65534]
                head += struct.pack("<H", len(value))
            found.append(head + value)
    return b"".join(found)


def _value(vr: str, attribute: dict[str, Any]) -> bytes:
    values = attribute.get("Value", [])
    if vr == "SQ":
        items = [_encoded(each) for each in values]
        return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(each)) + each for each in items)
    if vr in _BYTES:
        return b64decode(attribute.get("InlineBinary", ""))
    if vr == "AT":
        numbers = [int(each, 16) for each in values if isinstance(each, str)]
        return b"".join(struct.pack("<HH", each >> 16 & 0xFFFF, each & 0xFFFF) for each in numbers)
    code = _NUMBERS.get(vr)
    if code is None:
        return "\\".join(map(_text, values)).encode("utf-8", "replace")
    return b"".join(_number(code, each) for each in values if isinstance(each, int | float))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "=".join(
            str(value.get(key, "")) for key in ("Alphabetic", "Ideographic", "Phonetic")
        )
    return "" if value is None else str(value)


def _number(code: str, value: float) -> bytes:
    if code in "fd":
        try:
            return struct.pack(f"<{code}", value)
        except OverflowError:
            return struct.pack(f"<{code}", float("inf"))
    size = struct.calcsize(code)
    whole = int(value) if abs(value) < 2**70 else 0  # NaN is not below
    return (whole & ((1 << 8 * size) - 1)).to_bytes(size, "little")
