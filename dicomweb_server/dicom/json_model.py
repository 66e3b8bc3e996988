"""Text of the DICOM JSON Model (PS3.18 Annex F) as data sets, from whoever sends it."""

import json
import re
from typing import Any

import orjson

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import public_vr
from dicomweb_server.dicom.values import decimal_string
from dicomweb_server.errors import ContentTooLarge, MalformedContent

# In memory text of these sizes takes up to 1 GiB: an object of few characters takes 232 bytes.
# A data set has two such brackets an element, which are some forty characters.
MAX_TEXT = 64 << 20  # bytes
MAX_BRACKETS = 4_000_000  # objects and arrays
MAX_NUMBERS = 1_000_000  # where a double would change one of them: 2 to 5 s, for all are read anew

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # a reader may pass over it (RFC 8259 §8.1)

# Numbers that a double may not hold: of 16 digits or more, or next to nothing.
_DOUBTFUL = re.compile(
    rb"[\[,:][ \t\r\n]*(-?(?:[0-9.]{16,}(?:[Ee][+-]?[0-9]+)?|[0-9.]+[Ee]-[0-9]{3,}))"
)
# All that such numbers need, to be looked for in text without white space: ten times faster.
_OUTLINE = bytes.maketrans(b"0123456789.[:E", b"00000000000,,e")
_SIGNS = (b"," + b"0" * 16, b",-" + b"0" * 16, b"e-000")
_NUMBERS = (b",0", b",-0")  # how each begins there
# VRs of numbers as text and of 64 bits, which may be text in JSON (PS3.18 §F.2.3).
_MAY_BE_TEXT = frozenset({"DS", "IS", "SV", "UV"})
_INTEGERS = frozenset({"SL", "SS", "UL", "US", "US or SS"})


def parse_json_datasets(text: bytes, limit: int = MAX_TEXT) -> list[JsonDataset]:
    """The data sets of an array of objects, or of one bare object (JSN-01).

    What the objects hold is not looked at: ``encode`` does that. Of a name that an object has
    twice the last counts. A number of which a double, or an integer of 64 bits, would make
    another is left as its text in values of DS, IS and integer VRs; elsewhere it is rounded.

    Raises ContentTooLarge for more than `limit` bytes, MAX_BRACKETS or MAX_NUMBERS, and
    MalformedContent for anything but JSON of objects: nested deeper than 1024 (orjson's limit),
    numbers that a double cannot hold, halves of surrogate pairs, bare NaN and Infinity.
    """
    if len(text) > limit:
        raise ContentTooLarge(f"JSON of more than {limit} bytes")
    if text.count(b"{") + text.count(b"[") > MAX_BRACKETS:
        raise ContentTooLarge(f"JSON of more than {MAX_BRACKETS} objects and arrays")
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # Its message says what and where, never what stands there.
        raise MalformedContent(f"not JSON: {error.msg} at character {error.pos}") from None
    outline = text.translate(_OUTLINE, b" \t\r\n")
    if not _is_held_by_doubles(text, outline):
        if sum(map(outline.count, _NUMBERS)) > MAX_NUMBERS:
            raise ContentTooLarge(
                f"JSON of more than {MAX_NUMBERS} numbers, with one too long for a double"
            )
        del outline
        del found
        found = _with_digits(text)
    datasets = found if isinstance(found, list) else [found]
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise MalformedContent("JSON that is neither an object nor an array of objects")
    return datasets


def _is_held_by_doubles(text: bytes, outline: bytes) -> bool:
    if not any(sign in outline for sign in _SIGNS):
        return True
    return all(_is_exact(match[1].decode()) for match in _DOUBTFUL.finditer(text))


def _is_exact(token: str) -> bool:
    """Whether a double has the very number, or it is none, but looks like one within text."""
    try:
        if repr(float(token)) == token:  # as most programs write their doubles
            return True
    except ValueError:
        return True
    return not isinstance(decimal_string(token), str)


class _Rounded(float):
    """A number that is not quite what its text says."""

    text: str

    def __new__(cls, text: str) -> "_Rounded":
        """The nearest double."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def _with_digits(text: bytes) -> Any:
    """What orjson has read without complaint, read again several times slower."""
    try:
        return json.loads(
            text.decode(), parse_float=_float, parse_int=_integer, object_hook=_settle
        )
    except RecursionError:
        raise MalformedContent("JSON nested too deep for its long numbers") from None


def _float(token: str) -> float:
    return float(token) if _is_exact(token) else _Rounded(token)


def _integer(token: str) -> float:
    number = int(token)
    return number if -(1 << 63) <= number < 1 << 64 else _Rounded(token)


def _settle(members: dict[str, Any]) -> dict[str, Any]:
    """A JSON object, which may be a data set, without numbers that are still to be decided on."""
    for name, member in members.items():
        if isinstance(member, _Rounded):
            members[name] = float(member)
        elif isinstance(member, dict) and isinstance(values := member.get("Value"), list):
            member["Value"] = _settled(values, name, member)
    return members


def _settled(values: list[Any], name: str, attribute: dict[str, Any]) -> list[Any]:
    if not any(isinstance(value, _Rounded) for value in values):
        return values
    vr = _vr(name, attribute)
    return [_kept(value, vr) if isinstance(value, _Rounded) else value for value in values]


def _vr(name: str, attribute: dict[str, Any]) -> Any:
    vr = attribute.get("vr")
    if vr is not None:
        return vr
    try:
        return public_vr(int(name, 16))
    except ValueError:
        return None


def _kept(number: _Rounded, vr: Any) -> float | str:
    """As text, which is read exactly, or refused; a long integer is too long for the shorter VRs
    however it is rounded, and is told as that."""
    whole = number.text.removeprefix("-").isdigit()
    if vr in _MAY_BE_TEXT or (vr in _INTEGERS and not whole):
        return number.text
    return float(number)
