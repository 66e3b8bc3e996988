"""Which way a search goes through the index: what restricts it most decides."""

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import (
    Condition,
    Equal,
    Item,
    Level,
    Path,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.index.conditions import level_at, unpadded

MODALITY, MODALITIES_IN_STUDY = (0x00080060,), (0x00080061,)
STUDY_UID = (0x0020000D,)
STUDY_DATE = (0x00080020,)
PATIENT_NAME = (0x00100010,)
_NAMES = frozenset({PATIENT_NAME, (0x00080090,)})
# Keys of which few entities have the same value.
_IDENTIFIERS = frozenset(
    {0x0020000D, 0x00100020, 0x00080050, 0x00200010, 0x0020000E, 0x00080018, 0x00400275}
)

_UIDS_BELOW = ((Level.INSTANCE, (0x00080018,)), (Level.SERIES, (0x0020000E,)))


def asked(query: SearchQuery) -> dict[Path, Condition]:
    return {
        path: condition
        for path, condition in query.conditions.items()
        if not isinstance(condition, Universal)
    }


def is_unrestricted(query: SearchQuery, scope: Scope) -> bool:
    """Whether all that the institutions have is found."""
    return (
        scope.study_instance_uids is None
        and query.study_instance_uid is None
        and query.after is None
        and not asked(query)
        and not query.indexed
    )


def known_below(query: SearchQuery) -> Level | None:
    """The lowest level beneath that of the query whose UIDs are asked for."""
    for level, path in _UIDS_BELOW:
        if level > query.level and isinstance(query.conditions.get(path), Equal | UidList):
            return level
    return None


def is_key(path: Path, condition: Condition) -> bool:
    """Whether few entities can be what is asked for, and an index has them."""
    return path[0] in _IDENTIFIERS and isinstance(condition, Equal | UidList | Item)


def is_exact(query: SearchQuery, scope: Scope) -> bool:
    """Whether so few can match that no order of an index is needed."""
    return (
        scope.study_instance_uids is not None
        or query.study_instance_uid is not None
        or any(is_key(path, condition) for path, condition in query.conditions.items())
        or any(isinstance(each.condition, Equal) for each in query.indexed)
    )


def is_short(query: SearchQuery, scope: Scope) -> bool:
    """Whether all that matches can be fetched and put in order, without a page of keys first."""
    return query.level is not Level.INSTANCE and not query.indexed and is_exact(query, scope)


def is_of_known_studies(query: SearchQuery, scope: Scope) -> bool:
    """Whether UIDs tell which studies are looked through, so that no other condition has an index
    that could be better; of one Patient ID there may be thousands."""
    if query.level is Level.INSTANCE:
        return False
    named = isinstance(query.conditions.get(STUDY_UID), Equal | UidList)
    granted = scope.study_instance_uids is not None
    return named or granted or query.study_instance_uid is not None


def studies_named(query: SearchQuery) -> int:
    """How many studies are asked for by a list of their UIDs; 0 without one. To look them up one
    by one is the best way then; an index that begins with the institution would be walked from
    end to end for them, which Postgres takes to be cheaper."""
    condition = query.conditions.get(STUDY_UID)
    return len(condition.uids) if isinstance(condition, UidList) and condition.uids[1:] else 0


def is_of_modality_alone(query: SearchQuery, scope: Scope) -> bool:
    """Whether series of many institutions are asked for by nothing but their modality, and what
    is of their studies: then the studies can be found first."""
    if query.level is not Level.SERIES or query.after or len(scope.institution_ids) == 1:
        return False
    if walked_modalities(query, scope) is None or MODALITIES_IN_STUDY in query.conditions:
        return False
    return all(level_at(path) is Level.STUDY for path in asked(query) if path != MODALITY)


def walked_modalities(query: SearchQuery, scope: Scope) -> tuple[str, ...] | None:
    """The modalities whose walk is the best way: nothing that is asked is rarer."""
    if query.order or is_exact(query, scope):
        return None
    for path, condition in query.conditions.items():
        if isinstance(condition, Universal):
            continue
        if path in _NAMES or (path[0] in _IDENTIFIERS and isinstance(condition, Wildcard)):
            return None
    for path in (MODALITIES_IN_STUDY, MODALITY):
        condition = query.conditions.get(path, Universal())
        if isinstance(condition, Equal):
            return tuple(dict.fromkeys(unpadded(value) for value in condition.values))
    return None


def walks_each(query: SearchQuery, scope: Scope) -> bool:
    """Whether each institution is walked for itself."""
    if len(scope.institution_ids) == 1 or is_exact(query, scope):
        return False
    return not scope.everything


def begun_name(query: SearchQuery, scope: Scope) -> tuple[str, str] | None:
    """The beginning of a patient's name, or a whole one, that is looked up in an index of names:
    the text, and the operator of SQL. Its other groups are looked up apart."""
    condition = query.conditions.get(PATIENT_NAME)
    if scope.everything or is_exact(query, scope) or query.order or query.level is not Level.STUDY:
        return None
    match condition:
        case Equal((text,)) if "=" not in text:
            return text, "="
        case Wildcard((text,)) if "=" not in text and not text.startswith(("*", "?")):
            return text, "LIKE"
    return None


def is_of_time_and_name(query: SearchQuery) -> bool:
    """Whether nothing is asked but a patient's name and when, which an index of names has."""
    return not query.indexed and asked(query).keys() <= {PATIENT_NAME, STUDY_DATE}
