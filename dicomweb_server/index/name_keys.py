"""What is asked of a patient's name as keys of an index, quarter of a year by quarter.

The index ``studies_name_keys`` has for each study the sounds of the words of the name, all runs
of three characters, and the first two, each hashed together with its institution and quarter
(``name_keys`` in SQL). So those of one institution and quarter that have a part of a name are
found without a look at others, and of a name that many have no more quarters are looked at than a
page takes. What has the keys is asked again: who meets a condition has them, the reverse need not
hold. Of several words the two that promise to be rarest are looked up: Postgres knows nothing of
how rare they are, and takes no more than it thinks it needs; for those that it does not take it
would make the keys of every study found anew.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Condition, Fuzzy, Level, SearchQuery, Wildcard
from dicomweb_server.index.conditions import Arguments, patterns_of_group
from dicomweb_server.index.search_ways import PATIENT_NAME, is_exact

_RUN, _BEGINNING = 3, 2  # characters
_MOST_RUNS = 6  # of one word or pattern; more would not make it rarer
_MOST = 8  # keys; each is another look into each quarter
_MOST_WORDS = 2
_WILDCARDS = re.compile(r"[*?]")
_INDEXED = (
    "name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, "
    "s.patient_name_tokens)"
)


class Kind(IntEnum):
    """What a key is made of, as ``name_keys`` in SQL counts them."""

    SOUND = 0
    RUN = 1
    BEGINNING = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """Sounds, of which one is enough; or runs or beginnings, which are all needed."""

    kind: Kind
    texts: tuple[str, ...]


Word = tuple[Keys, ...]  # one of which is enough
Way = tuple[Word, ...]  # all of which are needed


def ways_by_keys(query: SearchQuery, scope: Scope) -> Sequence[Way] | None:
    """The ways to meet the condition on the patient's name; None if another kind of search is
    better, or if there is a way that has no keys."""
    if query.order or query.level is not Level.STUDY or is_exact(query, scope):
        return None
    condition = query.conditions.get(PATIENT_NAME)
    ways = list(_ways(condition)) if isinstance(condition, Fuzzy | Wildcard) else []
    keys = sum(len(word) for way in ways for word in way)
    return ways if all(ways) and 0 < keys <= _MOST else None


def _ways(condition: Condition) -> Iterator[Way]:
    match condition:
        case Fuzzy(words, pattern):
            keys = [found for word in words if (found := _keys_of_word(word))]
            yield tuple(sorted(keys, key=_rareness, reverse=True)[:_MOST_WORDS])
            if pattern is not None:
                yield from _ways(Wildcard((pattern,)))
        case Wildcard(patterns):
            for pattern in patterns:
                wanted = [] if "=" in pattern else patterns_of_group(pattern)
                yield from (_way_of_pattern(each) for each in wanted or [""])


def _keys_of_word(tokens: Iterable[str]) -> Word:
    """Nothing for a word so short that every tenth name has one that begins so."""
    begun = sorted(token for token in tokens if not token.startswith("~"))
    if any(len(token) < _RUN for token in begun):
        return ()
    sounds = tuple(sorted(token for token in tokens if token.startswith("~")))
    words = tuple(Keys(Kind.RUN, _runs(token)) for token in begun)
    return (*words, Keys(Kind.SOUND, sounds)) if sounds else words


def _rareness(word: Word) -> tuple[bool, int]:
    """Numbers tell patients without a name apart; of letters the more the better."""
    runs = [keys.texts for keys in word if keys.kind is Kind.RUN]
    numbered = any(character.isdigit() for texts in runs for text in texts for character in text)
    return numbered, min(map(len, runs), default=0)


def _way_of_pattern(pattern: str) -> Way:
    pieces = _WILDCARDS.split(pattern)
    if runs := tuple(dict.fromkeys(run for piece in pieces for run in _runs(piece))):
        return ((Keys(Kind.RUN, runs[:_MOST_RUNS]),),)
    beginning = pieces[0][:_BEGINNING]
    return ((Keys(Kind.BEGINNING, (beginning,)),),) if len(beginning) == _BEGINNING else ()


def _runs(text: str) -> tuple[str, ...]:
    """As few as have every character: each is looked up in each quarter."""
    last = len(text) - _RUN
    starts = [*range(0, last, _RUN), last] if last >= 0 else []
    return tuple(dict.fromkeys(text[start : start + _RUN] for start in starts))[:_MOST_RUNS]


def compile_keys(ways: Sequence[Way], arguments: Arguments) -> tuple[str, str]:
    """The keys as columns of ``keys``, hashed for a ``place`` (``name_place`` in SQL), and the
    expression that studies s have to meet which have them."""
    columns: list[str] = []

    def asked(keys: Keys) -> str:
        # With known texts Postgres hashes them once, as it plans.
        hashes = [
            f"place + name_key({arguments.add(text)}::text, {keys.kind:d})" for text in keys.texts
        ]
        columns.append(f"ARRAY[{', '.join(hashes)}] AS key_{len(columns)}")
        operator = "&&" if keys.kind is Kind.SOUND else "@>"
        return f"{_INDEXED} {operator} keys.key_{len(columns) - 1}"

    found = " OR ".join(
        " AND ".join(f"({' OR '.join(map(asked, word))})" for word in way) for way in ways
    )
    return ", ".join(columns), f"({found})"
