"""The searches that are measured, how they are restricted, and what they may take.

What a search asks for changes from sample to sample: patients, days, names are drawn from what
is there. So is what restricts it: an institution is drawn by its share of the studies.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from conformance.benchmark.search.population import INSTITUTIONS
from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.query import (
    Condition,
    Equal,
    Fuzzy,
    Level,
    Path,
    Range,
    SearchQuery,
    UidList,
    Wildcard,
)
from dicomweb_server.index.database import Connection

LIMIT = 100  # so that 101 rows are fetched
SAMPLES = 40

ALL, ONE, FIVE, PATIENT = "all", "one institution", "five institutions", "one patient"
RESTRICTIONS = (ALL, ONE, FIVE, PATIENT)

PREFIXES = ("LEE*", "SMITH*", "ROSS*", "ROSSITER*", "MU*", "GARC*", "SCHMIDT*", "BIANCHI*A*")
INFIXES = (
    "*OSS*", "*STEIN*", "*ELLMAN*", "*ROSSI*", "*ANCHI*", "*BERG^A*", "*LEFEBV*", "*FITZG*"
)  # fmt: skip
ALIKE = (
    "smith", "rossi", "mueller", "jon smith", "lee", "garzia", "rossiter", "schmitt anna"
)  # fmt: skip
RARE = ("ECG", "OP", "IO", "RTSTRUCT", "PX")

_DATE, _NAME = (0x00080020,), (0x00100010,)
_IN_STUDY, _MODALITY = (0x00080061,), (0x00080060,)

Conditions = dict[Path, Condition]


@dataclass(frozen=True, slots=True)
class Known:
    """A study that is there, and the studies of its patient."""

    institution: int
    uid: str
    day: str
    patient_id: str
    accession_number: str
    patient_studies: tuple[str, ...]
    other_studies: tuple[str, ...]  # UIDs, of anyone


@dataclass(frozen=True, slots=True)
class Goal:
    """Milliseconds at the largest size that are not to be exceeded, by half and by 19 of 20."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Case:
    """One search; `ask` makes it for a study that is known and the number of a sample."""

    name: str
    ask: Callable[[Known, int], SearchQuery]
    goals: dict[str, Goal] = field(default_factory=dict)  # by restriction
    grows: bool = True  # whether it may take longer in a larger database
    restrictions: Sequence[str] = RESTRICTIONS


def _studies(make: Callable[[Known, int], Conditions]) -> Callable[[Known, int], SearchQuery]:
    return lambda known, number: SearchQuery(Level.STUDY, make(known, number), limit=LIMIT)


def _since(day: str, days: int) -> Range:
    first = datetime.strptime(day, "%Y%m%d")
    return Range(day, (first + timedelta(days=days - 1)).strftime("%Y%m%d"))


def _of(several: Sequence[str], number: int) -> str:
    return several[number % len(several)]


_KEY, _WALK = Goal(0.5, 1), Goal(3, 6)
_PREFIX, _PREFIX_OF_ALL, _LOOSE = Goal(4, 15), Goal(20, 60), Goal(20, 100)
_DEEP = Goal(10, 10)


def _everywhere(goal: Goal) -> dict[str, Goal]:
    return {ALL: goal, ONE: goal, FIVE: goal, PATIENT: _KEY}


_BY_PREFIX = {ALL: _PREFIX_OF_ALL, ONE: _PREFIX, FIVE: _PREFIX, PATIENT: _KEY}
_BY_INFIX = {ONE: _LOOSE, FIVE: _LOOSE, PATIENT: _KEY}


def _walk(name: str, make: Callable[[Known, int], Conditions]) -> Case:
    return Case(name, _studies(make), _everywhere(_WALK), grows=False)


def _key(name: str, make: Callable[[Known, int], Conditions]) -> Case:
    return Case(name, _studies(make), _everywhere(_KEY), grows=False)


def _by_name(name: str, goals: dict[str, Goal], *patterns: str) -> Case:
    return Case(name, _studies(lambda _, n: {_NAME: Wildcard((_of(patterns, n),))}), goals)


CASES: tuple[Case, ...] = (
    _walk("newest 101 (OHIF list)", lambda known, number: {}),
    _walk("30 days", lambda known, number: {_DATE: _since(known.day, 30)}),
    _walk("one day", lambda known, number: {_DATE: Range(known.day, known.day)}),
    _key("patient ID", lambda known, number: {(0x00100020,): Equal((known.patient_id,))}),
    _key("accession number", lambda known, n: {(0x00080050,): Equal((known.accession_number,))}),
    _key("study UID", lambda known, number: {(0x0020000D,): UidList((known.uid,))}),
    _key(
        "100 study UIDs",
        lambda known, number: {(0x0020000D,): UidList((known.uid, *known.other_studies))},
    ),
    _by_name("name ROSS*", _BY_PREFIX, "ROSS*"),
    _by_name("name prefix, eight", _BY_PREFIX, *PREFIXES),
    _by_name("name *OSS*", _BY_INFIX, "*OSS*"),
    _by_name("name infix, eight", _BY_INFIX, *INFIXES),
    Case(
        "fuzzy name, eight",
        _studies(lambda known, number: {_NAME: Fuzzy(query_tokens(_of(ALIKE, number)))}),
        _BY_INFIX,
    ),
    Case(
        "fuzzy name or *name*, eight",  # as viewers ask: both
        _studies(
            lambda known, number: {
                _NAME: Fuzzy(query_tokens(_of(ALIKE, number)), f"*{_of(ALIKE, number)}*")
            }
        ),
        _BY_INFIX,
    ),
    _walk("modality CT", lambda known, number: {_IN_STUDY: Equal(("CT",))}),
    _walk("rare modality", lambda known, number: {_IN_STUDY: Equal((_of(RARE, number),))}),
    _walk(
        "CT + 30 days",
        lambda known, number: {_IN_STUDY: Equal(("CT",)), _DATE: _since(known.day, 30)},
    ),
    _walk(
        "rare modality + 1 year",
        lambda known, n: {_IN_STUDY: Equal((_of(RARE, n),)), _DATE: _since(known.day, 365)},
    ),
    Case(
        "CT + 1 year + name prefix",
        _studies(
            lambda known, number: {
                _IN_STUDY: Equal(("CT",)),
                _DATE: _since(known.day, 365),
                _NAME: Wildcard((_of(PREFIXES, number),)),
            }
        ),
        _BY_PREFIX,
    ),
    Case(
        "newest, offset 100,000",
        lambda known, number: SearchQuery(Level.STUDY, limit=LIMIT, offset=100_000),
        {ALL: _DEEP, ONE: _DEEP, FIVE: _DEEP},
        restrictions=(ALL, ONE, FIVE),
    ),
    Case(
        "series of a study",
        lambda known, number: SearchQuery(Level.SERIES, study_instance_uid=known.uid, limit=LIMIT),
        _everywhere(_KEY),
        grows=False,
    ),
    Case(
        "/series?Modality=CT",
        lambda known, number: SearchQuery(Level.SERIES, {_MODALITY: Equal(("CT",))}, limit=LIMIT),
        _everywhere(_WALK),
        grows=False,
    ),
)

_DRAWN = """
SELECT s.institution_id AS institution, s.study_instance_uid AS uid, s.study_date AS day,
       s.patient_id, s.accession_number,
       ARRAY(SELECT o.study_instance_uid FROM studies o
              WHERE o.patient_id = s.patient_id AND o.institution_id = s.institution_id)
         AS patient_studies
  FROM studies s WHERE s.id = ANY ($1::bigint[])
"""
_OTHERS = "SELECT study_instance_uid FROM studies WHERE id = ANY ($1::bigint[])"


async def draw(conn: Connection, studies: int, seed: int, samples: int = SAMPLES) -> list[Known]:
    """Some of the `studies`, which have the ids from 1 up."""
    order = random.Random(seed)
    drawn = []
    for _ in range(samples):
        row = await conn.fetchrow(_DRAWN, [order.randint(1, studies)])
        assert row is not None
        others = await conn.fetch(_OTHERS, order.sample(range(1, studies + 1), 99))
        drawn.append(
            Known(
                **{**row, "patient_studies": tuple(row["patient_studies"])},
                other_studies=tuple(other[0] for other in others),
            )
        )
    return drawn


def scope_of(restriction: str, known: Known, another: Sequence[Known]) -> Scope:
    """What the caller may see; `another`: studies whose institutions the caller sees too."""
    match restriction:
        case "all":
            return Scope(tuple(range(1, INSTITUTIONS + 1)), everything=True)
        case "one institution":
            return Scope((known.institution,))
        case "five institutions":
            several = dict.fromkeys((known.institution, *(each.institution for each in another)))
            return Scope(tuple(several)[:5])
    return Scope((known.institution,), known.patient_studies)
