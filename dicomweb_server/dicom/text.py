"""Text of a data set as Unicode: Specific Character Set and its code extensions (PS3.5 §6.1).

Never fails: bytes that mean nothing in their character set become U+FFFD (JSN-33).
"""

import re
from functools import lru_cache

# Python codecs: first the one that is active at the beginning of a value, then those that
# escape sequences may switch to.
CharacterSet = tuple[str, ...]

# The default repertoire, ISO-IR 6. Latin-1 is what most writers that break it mean; the name
# differs from the codec of a declared ISO_IR 100, so that the two can be told apart.
_DEFAULT = "iso8859"
DEFAULT: CharacterSet = (_DEFAULT,)

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_ESC = 0x1B
_STAND_ALONE = frozenset({"UTF8", "GB18030", "GBK"})  # they take no code extensions (§6.1.2.5.4)
_JAPANESE = frozenset({"iso2022_jp", "iso2022_jp_2"})  # these codecs read the escapes themselves

# Codecs of the single-byte repertoires, without and with code extensions (PS3.3 Tables C.12-2 and
# C.12-3), by the number of their ISO-IR: shift_jis reads the half-width letters of 13 and 14.
_SINGLE_BYTE = {
    "6": _DEFAULT,
    "13": "shift_jis",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    **{number: f"iso_ir_{number}" for number in ("126", "127", "138", "144", "148", "166")},
    "203": "iso8859_15",
}
# Defined terms, and one that is none but clear (UTF-8).
TERMS = {
    "": _DEFAULT,
    **{f"ISO_IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": codec for number, codec in _SINGLE_BYTE.items()},
    # Of several bytes, with code extensions and without (Tables C.12-4 and C.12-5)
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 58": "iso_ir_58",
    "ISO 2022 58": "GB2312",
    "ISO 2022 GBK": "GBK",
    "ISO_IR 192": "UTF8",
    "GB18030": "GB18030",
    "GBK": "GBK",
    "UTF-8": "UTF8",
}
# What an escape sequence switches to (the same tables). Not ESC 02/08 04/02, back to ASCII in G0
# only: what G1 holds stays as it is.
_ESCAPES = {
    b"\x1b-A": "latin_1",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso_ir_126",
    b"\x1b-G": "iso_ir_127",
    b"\x1b-H": "iso_ir_138",
    b"\x1b-L": "iso_ir_144",
    b"\x1b-M": "iso_ir_148",
    b"\x1b-T": "iso_ir_166",
    b"\x1b-b": "iso8859_15",
    b"\x1b)I": "shift_jis",
    b"\x1b(J": "shift_jis",
    b"\x1b$B": "iso2022_jp",
    b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "iso_ir_58",
}

# A value with more escapes than this is not text; it is decoded as if they meant nothing.
_MAX_ESCAPES = 2000

_FRAGMENTS = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
# The first character set is active again after these (§6.1.2.5.3).
_DELIMITER = re.compile(rb"[\t\n\f\r\\]")
_NAME_DELIMITER = re.compile(rb"[\t\n\f\r\\^=]")


def _plain(term: str) -> str:
    """A term without what writers get wrong in it: ``ISO-IR 100``, ``ISO 2022_IR 87``."""
    return re.sub(r"[^A-Z0-9]", "", term.upper())


_CODECS = {_plain(term): codec for term, codec in TERMS.items()}


@lru_cache(maxsize=256)
def character_set(value: bytes) -> tuple[CharacterSet, bool]:
    """Read the value of Specific Character Set (PS3.3 §C.12.1.1.2).

    Returns the codecs, and whether every term is known; an unknown one counts as the default
    repertoire. Names of Python's own codecs are no terms: some of them are slow or give what
    is not text.
    """
    terms = [_plain(term) for term in value[:1024].decode("latin_1").split("\\")]
    codecs = tuple(_CODECS.get(term, _DEFAULT) for term in terms)
    known = all(term in _CODECS for term in terms)
    if codecs[0] in _STAND_ALONE:
        return codecs[:1], known and len(codecs) == 1
    extensions = tuple(codec for codec in codecs[1:] if codec not in _STAND_ALONE)
    return codecs[:1] + extensions, known and len(extensions) == len(codecs) - 1


def decode(value: bytes, charset: CharacterSet, *, person_name: bool = False) -> str:
    """Decode a whole value field. Backslashes that separate values are still in it.

    They are told apart only here, since the second byte of a character may be 0x5C in GBK,
    GB18030 and ISO 2022 (JSN-34). U+0001 becomes U+FFFD: stored metadata gives it a meaning.
    """
    if value.isascii() and _ESC not in value:
        text = value.decode("ascii")
    elif _ESC not in value or charset[0] in _STAND_ALONE or value.count(_ESC) > _MAX_ESCAPES:
        text = _lenient(value, charset[0])
    else:
        delimiter = _NAME_DELIMITER if person_name else _DELIMITER
        parts = _FRAGMENTS.findall(value)
        text = "".join(_fragment(part, charset, delimiter) for part in parts)
    return text.replace("\x01", REPLACEMENT) if "\x01" in text else text


def decode_default(value: bytes) -> str:
    """Decode a value of a VR that Specific Character Set does not apply to (§6.1.2.3)."""
    text = value.decode("latin_1")
    return text.replace("\x01", REPLACEMENT) if "\x01" in text else text


def _fragment(part: bytes, charset: CharacterSet, delimiter: re.Pattern[bytes]) -> str:
    """Decode what follows one escape sequence, or comes before the first."""
    first = charset[0]
    if part[0] != _ESC:
        return _lenient(part, first)
    if part.startswith(b"\x1b(B"):
        return _lenient(part[3:], first)
    size = 4 if part[1:3] in (b"$(", b"$)") else 3
    # Followed even if it is not declared: scanners that declare IR 87 return by ESC ( J.
    codec = _ESCAPES.get(part[:size])
    if codec is None:
        return _lenient(part, first)
    if codec in _JAPANESE:
        return _lenient(part, codec)
    text = part[size:]
    # Where the first set has no characters above 0x7F, those after a delimiter can only be
    # meant in the set switched to, by writers that do not repeat the escape.
    end = delimiter.search(text) if first != _DEFAULT else None
    if end is None:
        return _lenient(text, codec)
    return _lenient(text[: end.start()], codec) + _lenient(text[end.start() :], first)


def _lenient(value: bytes, codec: str) -> str:
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return value.decode(codec, errors="replace")
