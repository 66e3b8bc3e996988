"""Fuzzy matching of person names, reduced to sets of tokens (digest rule MAT-03).

A name matches a query if each word of the query is the beginning of some word of the name, or
sounds like some word of it: in any component, component group and order. Both sides are turned
into tokens, so that an index of arrays (``&&`` in SQL) and plain Python find exactly the same:
`name_tokens` of a stored name are all beginnings and sounds of its words, `query_tokens` has for
each word of a query the tokens of which one must be there. A sound begins with "~", which is in
no beginning.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.phonetics import MOST_CODES, codes

LONGEST_PREFIX = 12  # characters; of longer words no more is compared
MOST_WORDS = 24  # of one name or query; what stands after them is not looked at
_LONGEST_WORD = 64  # characters, as damaged files have words of 64 kB and words are cached
# Of one name, whose words may all have apostrophes and be looked at without them too.
MOST_TOKENS = 2 * MOST_WORDS * (LONGEST_PREFIX + MOST_CODES)

# With the letters that stand for apostrophes in transliterations, and the Hebrew ones.
_APOSTROPHES = frozenset(
    "'`\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u055a\u05f3\u05f4\u2018\u2019\u201b\u2032"
)
_TATWEEL = "\u0640"  # stretches an Arabic word to fill its line


@lru_cache(maxsize=4096)
def _part(character: str) -> str:
    """What a character is to words: part of one as it is, an apostrophe, nothing, or a space.

    Vowel signs of Thai or Devanagari are parts of words, as are characters of private use, which
    Japanese hospitals have for rare names. Invisible ones (joiners, directions) are nothing.
    """
    category = unicodedata.category(character)
    if character in _APOSTROPHES:
        return "'"
    if category == "Cf" or character == _TATWEEL:
        return ""
    if category[0] in "PSZ" or category in ("Cc", "Cs"):  # punctuation, symbols, spaces
        return " "
    return character


def _words(texts: Iterable[str]) -> list[tuple[str, str]]:
    """The different words of the texts in their order, each with what it is part of.

    An apostrophe parts words, but people write both D'Angelo and Dangelo: that is (D, DANGELO),
    (ANGELO, DANGELO). A word without one is itself twice.
    """
    words: dict[tuple[str, str], None] = {}
    for text in texts:
        for whole in "".join(map(_part, fold(text))).split():
            joined = whole.replace("'", "")
            for word in filter(None, whole.split("'")):
                words[word[:_LONGEST_WORD], joined[:_LONGEST_WORD]] = None
                if len(words) == MOST_WORDS:
                    return list(words)
    return list(words)


@lru_cache(maxsize=16384)
def _beginnings(word: str) -> frozenset[str]:
    return frozenset(accumulate(word[:LONGEST_PREFIX]))


@lru_cache(maxsize=16384)
def _sounds(word: str) -> frozenset[str]:
    return frozenset(f"~{code}" for code in codes(word))


def name_tokens(value: object) -> frozenset[str]:
    """All tokens by which a stored name can be found (MAT-03); none for a name without words.

    `value` is a PN object of the DICOM JSON Model, or text with its groups separated by ``=``.
    Each word gives its beginnings of 1 to `LONGEST_PREFIX` characters and its sounds. At most
    `MOST_TOKENS`, and linear in the length of the name.
    """
    words = {word for pair in _words(groups(value)) for word in pair}
    return frozenset[str]().union(*map(_beginnings, words), *map(_sounds, words))


def query_tokens(text: str) -> tuple[frozenset[str], ...]:
    """For each word of a fuzzy query the tokens one of which a name must have (MAT-03).

    ``*`` and ``?`` only end a word, as every word may go on anyway. A text without words gives
    the empty tuple: that query is universal.
    """
    return tuple(
        frozenset({word[:LONGEST_PREFIX], joined[:LONGEST_PREFIX]})
        | _sounds(word)
        | _sounds(joined)
        for word, joined in _words([text])
    )
