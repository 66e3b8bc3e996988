"""Search conditions as values (PS3.4 C.2.2.2), read by two interpreters.

``index.search`` turns them into SQL, ``dicom.matching`` evaluates them in Python; a property
test asserts that both give the same set.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

# Where an attribute stands: one tag, or tags of sequences ending in the attribute itself.
Path = tuple[int, ...]


class Level(IntEnum):
    """The level of the entities a search returns, or an attribute belongs to."""

    STUDY = 1  # patient attributes count as study attributes
    SERIES = 2
    INSTANCE = 3


@dataclass(frozen=True, slots=True)
class Universal:
    """An empty key, or ``*``: matches every entity (C.2.2.2.3); asks that it be returned."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Single value matching (C.2.2.2.1). `values`: any of them (more than one only for the
    modality lists of digest rule 4.6)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wild card matching (C.2.2.2.4): ``*`` any run of characters, ``?`` exactly one."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Range matching (C.2.2.2.5) of one DA, TM or DT attribute; also a single value of reduced
    precision (MAT-01). Bounds are inclusive and normalised by ``dicom.moments``: dates YYYYMMDD,
    times HHMMSS.FFFFFF, date-times YYYYMMDDHHMMSS.FFFFFF in UTC; None is open.

    `low_clock`, `high_clock`: those bounds of a DT as they were written, where neither they nor
    the query name a time zone. Values that name none either are compared to these, both being
    meant in the zone of their data set (MAT-05)."""

    low: str | None
    high: str | None
    low_clock: str | None = None
    high_clock: str | None = None


@dataclass(frozen=True, slots=True)
class UidList:
    """List of UID matching (C.2.2.2.2)."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Sequence matching (C.2.2.2.6): all `conditions` hold within one item."""

    conditions: Mapping[Path, "Condition"]


@dataclass(frozen=True, slots=True)
class DateTimeRange:
    """Combined date-time matching (C.2.2.2.5.3): one interval over a DA and a TM attribute.

    Stored under the path of the DA attribute. Bounds are YYYYMMDDHHMMSS.FFFFFF, inclusive.
    `zone`: minutes east of UTC where the bounds are meant, None if they are compared as they
    stand (MAT-05).
    """

    time_path: Path
    low: str | None
    high: str | None
    zone: int | None = None


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty value matching (PS3.18 §8.3.4.3): the attribute is absent or has no value."""


@dataclass(frozen=True, slots=True)
class Every:
    """Multiple value matching (PS3.18 §8.3.4.4): each of `values` is among those stored."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Fuzzy matching of a person's name (PS3.18 §8.3.4.2, MAT-03): of every word one of its
    tokens is among the tokens of the name (``dicom.name_tokens``); or the name follows `pattern`,
    for clients put stars around whatever is typed. There is always a word."""

    words: tuple[frozenset[str], ...]
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class AsStored:
    """What is asked of an attribute whose VR only the data sets tell, as they do of private ones:
    by the VR that it has there. It is not met by what has another."""

    conditions: Mapping[str, "Condition"]


Condition = (
    Universal
    | Equal
    | Wildcard
    | Range
    | UidList
    | Item
    | DateTimeRange
    | Empty
    | Every
    | Fuzzy
    | AsStored
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a data set is to be read: who is meant by private blocks, and which time zone.

    `creators`: the private creator whose block a query calls 0xGGGGBB00 by its first tag; in a
    data set that creator may have another block (PS3.5 §7.8). `zone`: minutes east of UTC, for
    data sets that do not tell theirs (MAT-05).
    """

    creators: Mapping[int, str] = field(default_factory=dict)
    zone: int = 0


@dataclass(frozen=True, slots=True)
class OrderBy:
    """An attribute to order by before anything else (an extension)."""

    path: Path
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Indexed:
    """What values of an indexed attribute have to meet, at the least (``dicom.match_values``)."""

    attribute: int  # its number in the index
    path: Path
    condition: Equal | Wildcard | Range  # on one of its values, normalised


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search, whoever asks. Conditions on parent levels are relational (QRY-02).

    `after`: where the page before ended, as ``Found.place`` of its last entity; with it `offset`
    counts from there. `indexed`: restricts it further, to what may meet conditions that are
    judged elsewhere.
    """

    level: Level
    conditions: Mapping[Path, Condition] = field(default_factory=dict)
    study_instance_uid: str | None = None  # fixed by the path of the resource
    series_instance_uid: str | None = None
    include: frozenset[Path] = frozenset()
    include_all: bool = False
    limit: int = 100
    offset: int = 0
    order: tuple[OrderBy, ...] = ()
    after: tuple[int | str | None, ...] | None = None
    reading: Reading = field(default_factory=Reading)
    indexed: tuple[Indexed, ...] = ()
    # What others have made of it, to be had again when it is asked again; theirs alone to read.
    made: dict[Hashable, Any] = field(init=False, default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a search is to fetch of what it finds."""

    documents: frozenset[Level]
    metadata: bool = False  # of instances
    sop_classes: bool = False  # in study


@dataclass(slots=True)
class Found:
    """One entity that a search found, with the parents' attributes as far as its level has them.

    `documents`: attributes of its level and those above (``dicom.search_document``), packed as
    they are kept (``dicom.packing``), as far as they are returned; what is computed stands beside
    them. `place`: where it stands in the order of the search.
    """

    study_instance_uid: str
    place: tuple[int | str | None, ...]
    documents: Mapping[Level, bytes]
    modalities_in_study: tuple[str, ...] = ()
    sop_classes_in_study: tuple[str, ...] = ()
    number_of_study_related_series: int = 0
    number_of_study_related_instances: int = 0
    series_instance_uid: str | None = None
    number_of_series_related_instances: int = 0
    sop_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None
    metadata: bytes | None = None  # of an instance, packed, if it was asked for
