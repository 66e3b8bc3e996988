"""Search conditions as values (PS3.4 C.2.2.2), read by two interpreters.

``index.search`` turns them into SQL, ``dicom.matching`` evaluates them in Python; a property
test asserts that both give the same set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

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
    precision (MAT-01). Bounds are inclusive and normalised by ``dicom.matching.date_bounds``
    and ``time_bounds``: dates YYYYMMDD, times HHMMSS.FFFFFF; None is open."""

    low: str | None
    high: str | None


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
    """

    time_path: Path
    low: str | None
    high: str | None


Condition = Universal | Equal | Wildcard | Range | UidList | Item | DateTimeRange


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search, whoever asks. Conditions on parent levels are relational (QRY-02)."""

    level: Level
    conditions: Mapping[Path, Condition] = field(default_factory=dict)
    study_instance_uid: str | None = None  # fixed by the path of the resource
    series_instance_uid: str | None = None
    include: frozenset[Path] = frozenset()
    include_all: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One entity that a search found, with the parents' attributes as far as its level has them.

    The JSON texts are objects of the DICOM JSON Model with the attributes kept at that level
    (``dicom.attributes.KEPT``); what is computed stands beside them.
    """

    study_instance_uid: str
    study: bytes
    modalities_in_study: tuple[str, ...]
    number_of_study_related_series: int
    number_of_study_related_instances: int
    series_instance_uid: str | None = None
    series: bytes | None = None
    number_of_series_related_instances: int | None = None
    sop_instance_uid: str | None = None
    instance: bytes | None = None
    transfer_syntax_uid: str | None = None
