"""How a name sounds, to readers of Italian, French, German and English (digest rule MAT-03).

One spelling may be read in several ways: the c of "Cesare" is S to a Frenchman and CH to an
Italian. So a word has a few codes, one for each reading, and two words sound alike if they share
one. A code is made by reading the word from left to right with the first rule that fits; letters
stand for consonants, digits for vowels:

    X  sh, tch      J  j, y, soft g    S  s, z, tz     K  k, q, hard c and ch
    F  f, ph, v     W  w, v            T  t, th, dt, final d
    1  i, y, ie     2  e               3  a, ae        4  o, oe, French au
    5  u, ue, ou    6  ai, ei          7  au, ow       8  eu, oi

The other consonants stand for themselves, h only where a word begins. Repeated sounds count once.
An e counts only as a word's first vowel, since it is silent or weak in most other places:
Clark(e), Kath(e)ryn, May(e)r.
"""

import re
from itertools import product

MOST_CODES = 8  # of one word
_LONGEST_CODE = 12  # sounds
_LONGEST_WORD = 64  # letters that are read, as damaged files have words of 64 kB

_LATIN = re.compile(r"[A-Z]{3,}")

_VOWEL = "[AEIOUY]"
_CONSONANT = "[BCDFGHJKLMNPQRSTVWXZ]"
# Before -er a letter may be an umlaut that was folded away: Bäcker is read as Becker, Müller as
# Miller, Bräuer as Breuer.
_BEFORE_ER = f"(?={_CONSONANT}+ER$)"
# W ends a diphthong, as in Brown and Lowe, unless a vowel that is spoken follows: Nowak.
_CLOSING_W = "W(?![AIOUY]|E.)"

# What is read, and its readings. The first that fits is taken, so the longer ones come first.
_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Beginnings
    ("^KN", ("N", "KN")),  # Knight, Knoll
    ("^WR", ("R",)),
    ("^PS", ("S",)),
    ("^X", ("S",)),
    ("^GH", ("G",)),
    ("^[IY](?=[AEOU])", ("J",)),  # Iacopo, Yuri
    ("^H", ("H",)),
    # sh and tch
    ("TZSCH", ("X",)),  # Nietzsche
    ("T?SCH(?=[EIY])", ("X", "SK")),  # Fischer, Boschi
    ("T?SCH", ("X",)),
    ("SCI(?=[AOU])", ("X",)),  # Sciacca
    ("SC(?=[EIY])", ("X", "S")),
    ("SH|TCH|CZ", ("X",)),
    # c, k, q, x
    ("CCH(?=[EI])", ("K",)),  # Cecchi
    ("CHS", ("KS",)),  # Fuchs
    ("CH(?=[LMNR])", ("K",)),  # Christian
    ("CC?H", ("K", "X")),  # Bianchi, Michel
    ("CCI(?=[AOU])", ("X",)),
    ("CC(?=[EIY])", ("X",)),  # Ricci
    ("CI(?=[AOU])", ("X", "S1")),  # Ciampi, Marciano
    ("C(?=[EIY])", ("S", "X")),
    ("C?K|C|QU?", ("K",)),
    ("X", ("KS",)),
    # g, j
    ("GG?I(?=[AOU])", ("J",)),  # Giuseppe
    ("GG?(?=[EIY])", ("J", "G")),  # Gerard, Gerber
    ("GHT", ("T",)),  # Vaughton
    ("GH(?=[EI])", ("G",)),  # Borghi
    ("GH", ("",)),  # Leigh
    (f"GLI(?={_VOWEL}|$)", ("L1",)),  # Pagliari
    ("GN", ("N", "GN")),  # Bagnoli, Wagner
    ("DG(?=[EIY])", ("J",)),
    ("DJ", ("J",)),
    # d, t, z
    ("DT|D$|TH", ("T",)),  # Schmidt, Schmid, Walther
    ("TZ|Z", ("S",)),
    # b, p, f, v, w
    ("PH|PF", ("F",)),
    ("(?<=M)P(?=[ST])", ("",)),  # Thompson
    ("BU(?=RE$)", ("F", "W", "B5")),  # Lefebure: the v of old Lefebvre, read as a u
    ("BV(?=R)|V", ("F", "W")),  # Vischer and Steven, Novak
    # Weak endings
    ("(?<=S)ON$", ("N",)),  # Anderson, Andersen
    # Vowels
    ("AEU", ("8",)),
    ("EAU", ("4",)),
    (f"AU(?={_CONSONANT}*ER$)", ("7", "4", "8")),  # Bauer, Maurer, Bräuer
    ("AU", ("7", "4")),  # Braun, Renaud
    (f"A{_CLOSING_W}", ("4", "7")),
    ("A[IY]", ("6",)),
    (f"AE?{_BEFORE_ER}", ("3", "2")),
    ("AE?", ("3",)),
    ("EE", ("1", "2")),  # Reed, Meer
    (f"EA(?={_CONSONANT})", ("1", "23")),  # Read, Beatrice
    ("E[IY]", ("6", "1")),  # Meier, Reid
    ("EU", ("8",)),
    (f"E{_CLOSING_W}", ("5",)),
    ("E", ("2",)),
    ("IGHT", ("6T",)),  # Wright, Knight
    ("IE(?!U)|I|Y", ("1",)),
    ("OO", ("5", "4")),
    ("OU", ("5",)),
    ("O[IY]", ("8",)),
    (f"O{_CLOSING_W}", ("7", "4")),
    ("OE?", ("4",)),
    (f"UE?{_BEFORE_ER}", ("5", "1")),
    ("UE?", ("5",)),
    # Others
    ("H", ("",)),
    *((letter, (letter,)) for letter in "BDFGJLMNPRSTW"),
)  # fmt: skip
_READ = re.compile("|".join(f"({pattern})" for pattern, _ in _RULES))

# French endings that are not spoken: the x of Roux always; the t and d of words of two syllables
# or more only to a Frenchman (Dupont, Girard, Renault). That of -et stays: it makes the e heard,
# and Brunet is not Brun.
_SILENT_X = re.compile("(?<=[AEO]U)X$")
_SILENT_END = re.compile(
    f"({_CONSONANT}*{_VOWEL}+{_CONSONANT}+{_VOWEL}(?:.*[AEIOURN])??)"
    "(?:(?<=[URN])D|(?<=[AOURN])T|(?<=U)L[DT])S?"
)

_REPEATED = re.compile(r"(.)\1+")
_FIRST_VOWEL = re.compile(r"\d")


def _spellings(word: str) -> tuple[str, ...]:
    spoken = _SILENT_X.sub("", word)
    silent = _SILENT_END.fullmatch(spoken)
    return (spoken,) if silent is None else (spoken, silent[1])


def _readings(word: str) -> list[tuple[str, ...]]:
    """The readings of each piece of the word, in order."""
    found = (match.lastindex for match in _READ.finditer(word))
    return [_RULES[index - 1][1] for index in found if index is not None]


def _code(pieces: tuple[str, ...]) -> str:
    sounds = _REPEATED.sub(r"\1", "".join(pieces))
    first = _FIRST_VOWEL.search(sounds)
    start = len(sounds) if first is None else first.end()
    return (sounds[:start] + sounds[start:].replace("2", ""))[:_LONGEST_CODE]


def _spelling_codes(word: str, most: int) -> frozenset[str]:
    """At most `most` codes; beyond them the later pieces have their first reading only."""
    choices, number = [], 1
    for readings in _readings(word):
        kept = readings if number * len(readings) <= most else readings[:1]
        number *= len(kept)
        choices.append(kept)
    return frozenset(map(_code, product(*choices)))


def codes(word: str) -> frozenset[str]:
    """The phonetic codes of a folded word, of A-Z and 0-9; words that share one sound alike.

    At least one and at most `MOST_CODES` for three or more letters A to Z. None for shorter
    words, which would sound like half the archive, nor for words with digits or letters of
    another script. Linear in the length of `word`.
    """
    if _LATIN.fullmatch(word) is None:
        return frozenset()
    spellings = _spellings(word[:_LONGEST_WORD])
    most = MOST_CODES // len(spellings)
    return frozenset[str]().union(*(_spelling_codes(spelling, most) for spelling in spellings))
