"""Person names as they are matched: component groups, folded (PS3.5 §6.2.1, digest rule MAT-02).

Stored names and query values go through the same `fold`, so that "Müller^Jörg", "MULLER^JORG"
and "muller^jorg^^^" are one name to a search. What is returned is never folded.
"""

import re
import unicodedata
from collections.abc import Mapping

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")  # as the DICOM JSON Model names them (F.2.2)

# Letters that carry their stroke or ligature within: Unicode does not decompose them.
_LETTERS = str.maketrans(
    {
        "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l",
        "Đ": "D", "đ": "d", "Ð": "D", "ð": "d", "Þ": "TH", "þ": "th", "Ħ": "H", "ħ": "h",
        "ı": "i", "ẞ": "SS", "ß": "ss", "Ŋ": "N", "ŋ": "n", "Ŧ": "T", "ŧ": "t", "ĸ": "k",
        "\0": "",
    }
)  # fmt: skip

# Marks that are accents of a letter, not letters of their own: Latin, Greek and Cyrillic marks,
# Hebrew points, Arabic vowel signs. The vowels of Thai or Devanagari and the voicing of kana
# tell names apart and stay.
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_SPACES = re.compile(r"\s+")


def _plain(text: str) -> str:
    """Decompose, drop accents, one case."""
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text.translate(_LETTERS)))
    return unicodedata.normalize("NFKC", bare.translate(_LETTERS).casefold().upper())


def fold(text: str) -> str:
    """One component group as it is matched (MAT-02): upper case without accents, components
    without spaces around them and single spaces within, trailing empty components cut.

    Wildcards pass through, so patterns are folded by the same function. Folding twice is
    folding once. Linear in the length of `text`.
    """
    plain = text
    for _ in range(4):  # a case mapping may bring new marks: İ, ΐ
        before, plain = plain, _plain(plain)
        if before == plain:
            break
    components = (_SPACES.sub(" ", part).strip() for part in plain.split("^"))
    return "^".join(components).rstrip("^")


def name_patterns(folded: str) -> tuple[str, ...]:
    """The folded names that follow a folded pattern, as patterns any of which they follow.

    A caret at the end of a name is no difference (C.2.2.2.4), and folding cuts it: so whoever
    asks for ``DOE^*`` means DOE too, of which DOE^ is another spelling.
    """
    body = folded.rstrip("^*")
    tail = folded[len(body) :]
    if "^" not in tail:
        return (folded,)
    if tail.startswith("*"):
        return (f"{body}*",)
    begun = f"{body}{tail.partition('*')[0]}*"
    return (begun, body) if body else (begun,)


def groups(value: object) -> tuple[str, str, str]:
    """The alphabetic, ideographic and phonetic group of one name, empty where there is none.

    `value` is a PN object of the DICOM JSON Model, or one value of an element or of a query as
    text, groups separated by ``=`` (PS3.5 §6.2.1.2). What stands after a third group is dropped.
    A number, in a file that gives a name the VR of one, is its text.
    """
    if isinstance(value, Mapping):
        parts = [part if isinstance(part := value.get(name), str) else "" for name in GROUPS]
    else:
        parts = str(value).split("=", 3)[:3]
    alphabetic, ideographic, phonetic = (*parts, "", "", "")[:3]
    return alphabetic, ideographic, phonetic
