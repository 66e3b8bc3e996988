"""Conditions on indexed attributes, as SQL over their values.

What meets the condition always meets the expression, as ``dicom.match_values`` says it; what
meets the expression is still to be judged.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from dicomweb_server.dicom.match_values import MANY, VALUE_LENGTH, prefilter
from dicomweb_server.dicom.query import (
    Condition,
    Equal,
    Indexed,
    Item,
    Level,
    Path,
    Range,
    Universal,
    Wildcard,
)
from dicomweb_server.index.conditions import Arguments, level_at, like

_JOKER = re.compile(r"[*?]")

# The column of an entity's id, that of its values, and which of these are of its level.
_ENTITIES = {
    Level.STUDY: ("s.id", "v.study_id", "v.series_id IS NULL"),
    Level.SERIES: ("e.id", "v.series_id", "v.instance_id IS NULL"),
    Level.INSTANCE: ("i.id", "v.instance_id", "v.instance_id IS NOT NULL"),
}


def indexed_conditions(
    conditions: Mapping[Path, Condition], ready: Mapping[Path, int]
) -> tuple[Indexed, ...]:
    """What `conditions` ask of indexed attributes, as far as values by themselves can tell.
    `ready`: the numbers of those attributes.

    Conditions on one item (C.2.2.2.6) are asked each for itself.
    """
    if not ready:
        return ()
    found = []
    for path, condition in _flat((), conditions):
        number = ready.get(path)
        asked = None if number is None else prefilter(path, condition)
        if number is not None and asked is not None:
            found.append(Indexed(number, path, asked))
    return tuple(found)


def _flat(above: Path, conditions: Mapping[Path, Condition]) -> Iterator[tuple[Path, Condition]]:
    for path, condition in conditions.items():
        whole = (*above, *path)
        if not isinstance(condition, Item):
            yield whole, condition
        elif not all(isinstance(each, Universal) for each in condition.conditions.values()):
            yield from _flat(whole, condition.conditions)


def compile_indexed(each: Indexed, institution_ids: Sequence[int], arguments: Arguments) -> str:
    """The expression, which speaks of the tables as those of ``index.conditions`` do."""
    key, column, own = _ENTITIES[level_at(each.path)]
    match institution_ids:
        case (one,):
            institution = f"= {arguments.add(one)}"
        case several:
            institution = f"= ANY ({arguments.add(list(several))}::int[])"
    return (
        f"{key} IN (SELECT {column} FROM attribute_values v "  # noqa: S608
        f"WHERE v.attribute_id = {arguments.add(each.attribute)} "
        f"AND v.institution_id {institution} AND {own} "
        f"AND {_expression(each.condition, arguments)})"
    )


def _expression(condition: Equal | Wildcard | Range, arguments: Arguments) -> str:
    match condition:
        case Equal(values):
            return f"v.value = ANY ({arguments.add([*values, MANY])}::text[])"
        case Range(low, high):
            bounds = [
                f"v.value {operator} {arguments.add(bound)}"
                for operator, bound in ((">=", low), ("<=", high))
                if bound is not None
            ]
            ways = [" AND ".join(bounds) or "TRUE"]
        case Wildcard(patterns):
            ways = [_follows(pattern, arguments) for pattern in patterns]
    many = f"v.value = {arguments.add(MANY)}"
    return f"({' OR '.join([*ways, many])})"


def _follows(pattern: str, arguments: Arguments) -> str:
    """What begins as the pattern does, which an index finds; and follows it, or was cut."""
    literal = _JOKER.split(pattern, maxsplit=1)[0][:VALUE_LENGTH]
    begins = f"v.value LIKE {arguments.add(like(literal + '*'))}"
    if pattern == f"{literal}*":
        return begins
    follows = f"v.value LIKE {arguments.add(like(pattern))}"
    return f"({begins} AND ({follows} OR length(v.value) = {VALUE_LENGTH}))"
