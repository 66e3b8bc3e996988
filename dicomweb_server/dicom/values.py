"""A value field as an attribute object of the DICOM JSON Model (PS3.18 §F.2.2, JSN-05 to JSN-34).

One converter a VR and byte order. It takes the bytes, the active character set, and a list
that it adds to where something is wrong but can be kept.
"""

import re
import struct
from array import array
from binascii import b2a_base64
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from dicomweb_server.dicom.text import DEFAULT, REPLACEMENT, CharacterSet, decode, decode_default

Attribute = dict[str, Any]
# Returns None for a value that only bulk data can hold (JSN-21).
Converter = Callable[[bytes, CharacterSet, list[str]], Attribute | None]

_PAD = " \0"
_SEPARATOR = "\\"
_MAX_SAFE_INTEGER = 2**53 - 1

UNDECODABLE = "text that its character set cannot decode"
BEYOND_REPERTOIRE = "text beyond the default character repertoire"
NOT_A_NUMBER = "text that is not a number"
WRONG_LENGTH = "a length that its VR cannot have"
EXTRA_GROUPS = "a name of more than three component groups"
TOO_LONG = "a longer value than its VR allows"


# ----------------------------------------------------------------------------------- text


def _text(value: bytes, charset: CharacterSet, notes: list[str], *, name: bool = False) -> str:
    text = decode(value, charset, person_name=name)
    if not text.isascii():
        _note_repertoire(text, charset, notes)
    return text


def _note_repertoire(text: str, charset: CharacterSet, notes: list[str]) -> None:
    if REPLACEMENT in text:
        notes.append(UNDECODABLE)
    elif charset == DEFAULT:
        notes.append(BEYOND_REPERTOIRE)


def _default_text(value: bytes, charset: CharacterSet, notes: list[str]) -> str:
    text = decode_default(value)
    if not text.isascii():
        notes.append(BEYOND_REPERTOIRE)
    return text


def _note_length(attribute: Attribute, limit: int, notes: list[str]) -> None:
    if any(text and len(text) > limit for text in attribute.get("Value", ())):
        notes.append(TOO_LONG)


def _values(vr: str, text: str) -> Attribute:
    """Text of one or more values; an empty one among several is null (JSN-06)."""
    if _SEPARATOR in text:
        return {"vr": vr, "Value": [part.rstrip(_PAD) or None for part in text.split(_SEPARATOR)]}
    text = text.rstrip(_PAD)
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}


def _texts(vr: str, limit: int) -> Converter:
    """`limit`: characters of one value (PS3.5 Table 6.2-1)."""

    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        text = decode(value, charset)
        if not text.isascii():
            _note_repertoire(text, charset, notes)
        attribute = _values(vr, text)
        if len(value) > limit:  # no character has less than a byte
            _note_length(attribute, limit, notes)
        return attribute

    return convert


def _single_text(
    vr: str, read: Callable[[bytes, CharacterSet, list[str]], str], limit: int
) -> Converter:
    """ST, LT, UT and UR: one value, even if it contains a backslash (JSN-07)."""

    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        text = read(value, charset, notes).rstrip(_PAD)
        if len(text) > limit:
            notes.append(TOO_LONG)
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return convert


def _syntax_texts(vr: str, grammar: str, wrong: str) -> Converter:
    """A VR whose values follow a `grammar`, but for padding; `wrong`: what they are else."""
    one = re.compile(rf"({grammar})[ \0]*".encode()).fullmatch
    every = re.compile(rf"(?:{grammar})?[ \0]*(?:\\(?:{grammar})?[ \0]*)*".encode()).fullmatch

    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        match = one(value)
        if match:
            return {"vr": vr, "Value": [match[1].decode("ascii")]}
        text = _default_text(value, charset, notes)
        if not notes and not every(value):
            notes.append(wrong)
        return _values(vr, text)

    return convert


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_MAX_GROUP = 64  # characters of a component group


def _person_name(text: str, notes: list[str]) -> dict[str, str] | None:
    groups = text.split("=")
    if len(groups) > len(_GROUPS) and EXTRA_GROUPS not in notes:
        notes.append(EXTRA_GROUPS)
    named = zip(_GROUPS, groups, strict=False)
    return {name: kept for name, group in named if (kept := group.rstrip(_PAD))} or None


def _person_names(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
    parts = _text(value, charset, notes, name=True).split(_SEPARATOR)
    # Each once: a forged value may hold the same few thousands of times.
    read = {part: _person_name(part, notes) for part in set(parts)}
    if len(value) > _MAX_GROUP:
        groups = (len(group.rstrip(_PAD)) for part in read for group in part.split("="))
        if any(length > _MAX_GROUP for length in groups):
            notes.append(TOO_LONG)
    names = [read[part] for part in parts]
    return {"vr": "PN"} if names == [None] else {"vr": "PN", "Value": names}


# -------------------------------------------------------------------------------- numbers

_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?(?:[0-9]+|[0-9]*\.[0-9]+)(?:[Ee][+-]?[0-9]+)?")
# What the VRs allow beside; as a JSON number it would lose its sign or point.
_ANY_INTEGER = re.compile(r"[+-]?[0-9]+")
_ANY_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?")
_MAX_NUMBER = 64  # characters; DS has at most 16


def _json_list(number: str) -> re.Pattern[str]:
    return re.compile(rf" *{number} *(?:\\ *{number} *)*")


# Values that lose nothing as a JSON number, in a form that is JSON as it is: many of them, as
# in the contours of an RT Structure Set, are then read at once. A double keeps 15 digits.
_EXACT_INTEGERS = _json_list(r"-?(?:0|[1-9][0-9]{0,8})(?![0-9])")
_EXACT_DECIMALS = _json_list(
    r"(?=[^ \\]{1,16}(?![^ \\]))"
    r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?(?:[Ee][+-]?[0-9]{1,2})?"
)


def integer_string(text: str) -> int | str | None:
    """One value of IS: a number if that loses nothing, else the text (JSN-14)."""
    if len(text) <= _MAX_NUMBER and _INTEGER.fullmatch(text):
        number = int(text)
        return number if abs(number) <= _MAX_SAFE_INTEGER else text
    return text or None


def decimal_string(text: str) -> int | float | str | None:
    """One value of DS: a number if that loses nothing, else the text (JSN-14)."""
    if len(text) > _MAX_NUMBER or not _DECIMAL.fullmatch(text):
        return text or None
    if _INTEGER.fullmatch(text):
        return integer_string(text)
    number = float(text)
    if len(text) <= 16 and "e" not in text and "E" not in text:
        return number
    return number if isfinite(number) and _same(text, number) else text


def _same(text: str, number: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except ArithmeticError:
        return False


def _is_number(text: str, grammar: re.Pattern[str]) -> bool:
    return len(text) <= _MAX_NUMBER and grammar.fullmatch(text) is not None


def _number_strings(
    vr: str,
    read: Callable[[str], int | float | str | None],
    grammar: re.Pattern[str],
    exact: re.Pattern[str],
    limit: int,
) -> Converter:
    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        text = decode_default(value).strip(_PAD)
        if not text:
            return {"vr": vr}
        if exact.fullmatch(text):
            return {"vr": vr, "Value": orjson.loads(f"[{text.replace(_SEPARATOR, ',')}]")}
        parts = [part.strip(_PAD) for part in text.split(_SEPARATOR)]
        numbers = [read(part) for part in parts]
        if not all(_is_number(n, grammar) for n in numbers if isinstance(n, str)):
            notes.append(NOT_A_NUMBER)
        elif max(map(len, parts)) > limit:
            notes.append(TOO_LONG)
        return {"vr": vr, "Value": numbers}

    return convert


def _numbers(vr: str, order: str, code: str) -> Converter:
    size = struct.calcsize(order + code)
    unpack_one = struct.Struct(order + code).unpack

    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute | None:
        if len(value) == size:
            numbers = list(unpack_one(value))
        elif len(value) % size:
            notes.append(WRONG_LENGTH)
            return inline_binary("UN", value)
        else:
            numbers = list(struct.unpack(f"{order}{len(value) // size}{code}", value))
        if code in "fd" and not all(map(isfinite, numbers)):
            return None
        if code in "qQ":
            numbers = [n if abs(n) <= _MAX_SAFE_INTEGER else str(n) for n in numbers]
        return {"vr": vr, "Value": numbers}

    return convert


def _tags(order: str) -> Converter:
    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        if len(value) % 4:
            notes.append(WRONG_LENGTH)
            return inline_binary("UN", value)
        words = struct.unpack(f"{order}{len(value) // 2}H", value)
        pairs = zip(words[::2], words[1::2], strict=True)
        return {"vr": "AT", "Value": [f"{group:04X}{element:04X}" for group, element in pairs]}

    return convert


# --------------------------------------------------------------------------------- binary

_WORDS = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}


def inline_binary(vr: str, value: bytes) -> Attribute:
    """The value field once, in base64 (JSN-10)."""
    return {"vr": vr, "InlineBinary": b2a_base64(value, newline=False).decode("ascii")}


def _binary(vr: str, order: str) -> Converter:
    """JSON has the bytes as in Explicit VR Little Endian, so words of big endian are swapped."""
    word = _WORDS.get(vr)
    if order == "<" or word is None:
        return lambda value, charset, notes: inline_binary(vr, value)
    code: str = word

    def convert(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute:
        words = array(code)
        whole = len(value) // words.itemsize * words.itemsize
        words.frombytes(value[:whole])
        words.byteswap()
        return inline_binary(vr, words.tobytes() + value[whole:])

    return convert


# --------------------------------------------------------------------------------- tables

_MONTH_DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]", r"(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?"


def _from_left(*components: str) -> str:
    """A grammar whose components may be left out from the right on."""
    grammar = ""
    for component in reversed(components):
        grammar = f"(?:{component}{grammar})?"
    return grammar


# By VR what it allows (PS3.5 Table 6.2-1), and what other text is.
_SYNTAXES = {
    "AE": (r"[ -\[\]-~]{0,15}[!-\[\]-~]", "text that is not an application entity title"),
    "AS": ("[0-9]{3}[DWMY]", "text that is not an age"),
    "CS": ("[A-Z0-9 _]{0,15}[A-Z0-9_]", "text that is not a code string"),
    "DA": ("[0-9]{4}" + "".join(_MONTH_DAY), "text that is not a date"),
    "DT": (
        "[0-9]{4}" + _from_left(*_MONTH_DAY, *_CLOCK) + "(?:[+-](?:0[0-9]|1[0-4])[0-5][0-9])?",
        "text that is not a date and time",
    ),
    "TM": (_CLOCK[0] + _from_left(*_CLOCK[1:]), "text that is not a time"),
}
_COMPONENT = "(?:0|[1-9][0-9]*)"  # PS3.5 §9.1
_any_uids = _syntax_texts(
    "UI",
    rf"(?=[0-9.]{{1,64}}(?![0-9.])){_COMPONENT}(?:\.{_COMPONENT})*",
    "text that is not a UID",
)
_LIKE_A_UID = re.compile(rb"([1-9][0-9.]{0,62}[0-9])[ \0]*").fullmatch


def _uids(value: bytes, charset: CharacterSet, notes: list[str]) -> Attribute | None:
    """As `_any_uids`; nearly all are seen to be UIDs in half of the time."""
    match = _LIKE_A_UID(value)
    if match:
        text = match[1].decode("ascii")
        if ".." not in text and ".0" not in text:
            return {"vr": "UI", "Value": [text]}
    return _any_uids(value, charset, notes)


_UNLIMITED = 1 << 32  # characters: what a length can say
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}


def _table(order: str) -> dict[str, Converter]:
    return {
        **{vr: _syntax_texts(vr, *syntax) for vr, syntax in _SYNTAXES.items()},
        "UI": _uids,
        "LO": _texts("LO", 64),
        "SH": _texts("SH", 16),
        "UC": _texts("UC", _UNLIMITED),
        "LT": _single_text("LT", _text, 10240),
        "ST": _single_text("ST", _text, 1024),
        "UT": _single_text("UT", _text, _UNLIMITED),
        "UR": _single_text("UR", _default_text, _UNLIMITED),
        "PN": _person_names,
        "DS": _number_strings("DS", decimal_string, _ANY_DECIMAL, _EXACT_DECIMALS, 16),
        "IS": _number_strings("IS", integer_string, _ANY_INTEGER, _EXACT_INTEGERS, 12),
        "AT": _tags(order),
        **{vr: _numbers(vr, order, code) for vr, code in _NUMBERS.items()},
        **{vr: _binary(vr, order) for vr in ("OB", "UN", *_WORDS)},
    }


# By VR (all but SQ), for values in little endian byte order or big.
LITTLE_ENDIAN = _table("<")
BIG_ENDIAN = _table(">")


# ---------------------------------------------------------------------------------- memory

# The slices of a series say nearly the same over and over, so what was converted lately is
# kept: by VR, and by its bytes. Who gets an attribute object of here must not change it.
LONGEST_KNOWN = 128  # bytes
_MOST_KNOWN = 1024  # values of a VR
_MOST_SETS = 4  # of byte orders and character sets
_known: dict[tuple[bool, CharacterSet], dict[str, dict[bytes, Attribute]]] = {}


def known_values(little: bool, charset: CharacterSet) -> dict[str, dict[bytes, Attribute]]:
    """What values of a byte order and character set were converted to: VR, bytes, attribute."""
    known = _known.get((little, charset))
    if known is None:
        if len(_known) >= _MOST_SETS:
            _known.clear()
        known = _known[little, charset] = {vr: {} for vr in LITTLE_ENDIAN}
    return known


def remember(known: dict[bytes, Attribute], raw: bytes, attribute: Attribute) -> None:
    """Keep the attribute of a value; all are forgotten when there are too many."""
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[raw] = attribute
