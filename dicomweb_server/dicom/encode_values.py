"""Values of the DICOM JSON Model as value fields in little endian: the inverse of ``values``.

One encoder a VR. It takes the list of values, not empty, which may hold anything that JSON can
say, and a list that it adds to where something is wrong but can be kept. It returns the value
field before padding, and raises WrongValue.
"""

import re
import struct
from binascii import a2b_base64
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any

from dicomweb_server.dicom.person_name import GROUPS

Encoder = Callable[[list[Any], list[str]], bytes]

# VRs of text to which Specific Character Set applies (PS3.5 §6.1.2.3).
IN_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
TEXT = IN_CHARACTER_SET | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}

TOO_LONG = "a number of more characters than its VR can have"
NOT_AN_INTEGER = "a number that is no integer"
SEPARATOR_WITHIN = "a separator within a value"

_MOST_CHARACTERS = {"DS": 16, "IS": 12}


class WrongValue(ValueError):
    """A value that its VR cannot hold. The text says why in plain words, never the value."""


def decode_base64(text: Any) -> bytes:
    """The value field of an InlineBinary (JSN-10), which may hold nothing but base64."""
    if not isinstance(text, str):
        raise WrongValue("an InlineBinary that is no text")
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error among them
        raise WrongValue("an InlineBinary that is no base64") from None


# ----------------------------------------------------------------------------------- text


def _in_character_set(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise WrongValue("half of a character") from None


def _default_repertoire(text: str) -> bytes:
    """Text to which no character set applies. Beyond ASCII it is wrong, and the reader notes it:
    Latin-1 is what it takes such bytes for."""
    try:
        return text.encode("latin_1")
    except UnicodeEncodeError:
        return _in_character_set(text)


def _texts(write: Callable[[str], bytes]) -> Encoder:
    def encode(values: list[Any], notes: list[str]) -> bytes:
        for value in values:
            if isinstance(value, str):
                if "\\" in value:
                    notes.append(SEPARATOR_WITHIN)
            elif value is not None:
                raise WrongValue("a value that is no text")
        return write("\\".join([value or "" for value in values]))

    return encode


def _single_text(write: Callable[[str], bytes]) -> Encoder:
    """ST, LT, UT and UR: one value, in which a backslash is a character (JSN-07)."""

    def encode(values: list[Any], notes: list[str]) -> bytes:
        if len(values) > 1:
            raise WrongValue("several values where there can be one")
        if not isinstance(values[0], str | None):
            raise WrongValue("a value that is no text")
        return write(values[0] or "")

    return encode


def _person_name(name: Any, notes: list[str]) -> str:
    if name is None:
        return ""
    if isinstance(name, str):  # as written before there were PN objects
        groups = [name]
    elif isinstance(name, dict) and name.keys() <= set(GROUPS):
        groups = [name.get(group) or "" for group in GROUPS]
        if not all(isinstance(group, str) for group in groups):
            raise WrongValue("a component group that is no text")
        if any("=" in group for group in groups):
            notes.append(SEPARATOR_WITHIN)
    else:
        raise WrongValue("a value that is no name")
    if any("\\" in group for group in groups):
        notes.append(SEPARATOR_WITHIN)
    return "=".join(groups).rstrip("=")


def _person_names(values: list[Any], notes: list[str]) -> bytes:
    return _in_character_set("\\".join([_person_name(name, notes) for name in values]))


# ------------------------------------------------------------------------- numbers as text


def _shorter(text: str) -> str:
    """The shortest text of the same number as `text`, which is the repr of a float."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    mantissa, _, exponent = digits.partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    # 0.000123 is 123e-6, which is 1.23e-4
    power = int(exponent or 0) - len(fraction)
    stripped = significant.rstrip("0") or "0"
    power += len(significant) - len(stripped)
    candidates = [
        text,
        f"{sign}{stripped[0]}.{stripped[1:]}e{power + len(stripped) - 1}",
        f"{sign}{stripped}e{power}",
    ]
    if text.startswith(f"{sign}0."):
        candidates.append(sign + digits[1:])
    number = float(text)
    return min((c for c in candidates if float(c) == number), key=len)


def _number_text(value: Any, vr: str, notes: list[str]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = value
        if "\\" in text:
            notes.append(SEPARATOR_WITHIN)
    elif type(value) is int:
        text = str(value)
    elif isinstance(value, float) and isfinite(value):
        text = _float_text(value, vr, notes)
    else:
        raise WrongValue("a value that is no number")
    if len(text) > _MOST_CHARACTERS[vr] and len(text.strip()) > _MOST_CHARACTERS[vr]:
        notes.append(TOO_LONG)
    return text


def _float_text(value: float, vr: str, notes: list[str]) -> str:
    if vr == "DS":
        text = repr(value)
        return text if len(text) <= _MOST_CHARACTERS[vr] else _shorter(text)
    if not value.is_integer():
        notes.append(NOT_AN_INTEGER)
        return repr(value)
    return str(_whole(value))


def _whole(value: float) -> int:
    """The integer that was written: a double of many digits is another one, close by."""
    return int(Decimal(repr(value)))


def _number_strings(vr: str) -> Encoder:
    def encode(values: list[Any], notes: list[str]) -> bytes:
        texts = [_number_text(value, vr, notes) for value in values]
        return _default_repertoire("\\".join(texts))

    return encode


# ------------------------------------------------------------------------- binary numbers

# Names of numbers that JSON lacks (JSN-22), in lower case.
_NOT_FINITE = {
    "nan": float("nan"),
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), float("inf")),
    **dict.fromkeys(("-inf", "-infinity"), float("-inf")),
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


def _float(value: Any) -> float:
    if isinstance(value, str):
        value = _NOT_FINITE.get(value.lower())
    if type(value) is int or isinstance(value, float):
        return value
    raise WrongValue("a value that is no number")


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return _whole(value)
    raise WrongValue("a value that is no integer")


def _long_integer(value: Any) -> int:
    """SV and UV: a number, or text where a double could not hold it."""
    if not isinstance(value, str):
        return _integer(value)
    if not _INTEGER.fullmatch(value):
        raise WrongValue("a value that is no integer")
    return int(value)


def _numbers(code: str, read: Callable[[Any], int | float]) -> Encoder:
    plain = float if code in "fd" else int

    def encode(values: list[Any], notes: list[str]) -> bytes:
        if not all(type(value) is plain for value in values):
            values = [read(value) for value in values]
        try:
            return struct.pack(f"<{len(values)}{code}", *values)
        except (struct.error, OverflowError):
            raise WrongValue("a number beyond what its VR can hold") from None

    return encode


_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def _tags(values: list[Any], notes: list[str]) -> bytes:
    words = []
    for value in values:
        if not isinstance(value, str) or not _TAG.fullmatch(value):
            raise WrongValue("a value that is no tag")
        words += [int(value[:4], 16), int(value[4:], 16)]
    return struct.pack(f"<{len(words)}H", *words)


_INTEGERS = ("SL", "SS", "UL", "US")

# By VR, all that have values but SQ.
ENCODERS: dict[str, Encoder] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "TM", "UI"), _texts(_default_repertoire)),
    **dict.fromkeys(("LO", "SH", "UC"), _texts(_in_character_set)),
    **dict.fromkeys(("LT", "ST", "UT"), _single_text(_in_character_set)),
    "UR": _single_text(_default_repertoire),
    "PN": _person_names,
    "DS": _number_strings("DS"),
    "IS": _number_strings("IS"),
    "AT": _tags,
    **{vr: _numbers(code, _float) for vr, code in {"FD": "d", "FL": "f"}.items()},
    **{vr: _numbers(code, _integer) for vr, code in zip(_INTEGERS, "ihIH", strict=True)},
    **{vr: _numbers(code, _long_integer) for vr, code in {"SV": "q", "UV": "Q"}.items()},
}
