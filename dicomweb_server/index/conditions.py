"""Conditions of ``dicom.query`` as SQL expressions: what ``dicom.matching`` says in Python.

An expression speaks of the tables by their aliases: s studies, e series, i instances, r the
items of a series' Request Attributes Sequence. Names in it come from the tables below; a value
of the caller's is always an argument.

Not every condition has an expression: an attribute without a column, or a column that does not
tell what is asked of it. Such conditions are left for ``dicom.matching`` to judge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from dicomweb_server.dicom.attributes import level_of
from dicomweb_server.dicom.moments import moved, normal_date, normal_time
from dicomweb_server.dicom.person_name import fold, groups, name_patterns
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Empty,
    Equal,
    Every,
    Fuzzy,
    Item,
    Level,
    Path,
    Range,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.index.rows import clean, whole_number


@dataclass(frozen=True, slots=True)
class Column:
    """Where an attribute is matched, and by which rules: those of text, uid, name, number, time
    and date; day is the date that the order of studies follows, list an array of text, classes
    the SOP Classes of a study's series, items a table of items."""

    level: Level
    sql: str
    kind: str


COLUMNS: dict[int, Column] = {
    0x00080020: Column(Level.STUDY, "s.study_date", "day"),
    0x00080030: Column(Level.STUDY, "s.study_time", "time"),
    0x00080050: Column(Level.STUDY, "s.accession_number", "text"),
    0x00080061: Column(Level.STUDY, "s.modalities", "list"),
    0x00080062: Column(Level.STUDY, "series", "classes"),
    0x00080090: Column(Level.STUDY, "s.referring_physician_name", "name"),
    0x00081030: Column(Level.STUDY, "s.study_description", "text"),
    0x00100010: Column(Level.STUDY, "s.patient_name", "name"),
    0x00100020: Column(Level.STUDY, "s.patient_id", "text"),
    0x00100021: Column(Level.STUDY, "s.issuer_of_patient_id", "text"),
    0x00100030: Column(Level.STUDY, "s.patient_birth_date", "date"),
    0x00100040: Column(Level.STUDY, "s.patient_sex", "text"),
    0x0020000D: Column(Level.STUDY, "s.study_instance_uid", "uid"),
    0x00200010: Column(Level.STUDY, "s.study_id", "text"),
    0x00201206: Column(Level.STUDY, "s.number_of_series", "number"),
    0x00201208: Column(Level.STUDY, "s.number_of_instances", "number"),
    0x00080060: Column(Level.SERIES, "e.modality", "text"),
    0x0008103E: Column(Level.SERIES, "e.series_description", "text"),
    0x00180015: Column(Level.SERIES, "e.body_part_examined", "text"),
    0x0020000E: Column(Level.SERIES, "e.series_instance_uid", "uid"),
    0x00200011: Column(Level.SERIES, "e.series_number", "number"),
    0x00201209: Column(Level.SERIES, "e.number_of_instances", "number"),
    0x00400244: Column(Level.SERIES, "e.pps_start_date", "date"),
    0x00400245: Column(Level.SERIES, "e.pps_start_time", "time"),
    0x00400275: Column(Level.SERIES, "series_requests", "items"),
    0x00080016: Column(Level.INSTANCE, "i.sop_class_uid", "uid"),
    0x00080018: Column(Level.INSTANCE, "i.sop_instance_uid", "uid"),
    0x00200013: Column(Level.INSTANCE, "i.instance_number", "number"),
    0x00280008: Column(Level.INSTANCE, "i.number_of_frames", "number"),
    0x00280010: Column(Level.INSTANCE, "i.rows", "number"),
    0x00280011: Column(Level.INSTANCE, "i.columns", "number"),
}
# What can be matched of an item of the Request Attributes Sequence.
REQUEST_COLUMNS: dict[int, Column] = {
    0x00080050: Column(Level.SERIES, "r.accession_number", "text"),
    0x00400009: Column(Level.SERIES, "r.scheduled_procedure_step_id", "text"),
    0x00401001: Column(Level.SERIES, "r.requested_procedure_id", "text"),
}

# Which conditions a column of a kind answers by itself.
_ANSWERED: dict[str, tuple[type, ...]] = {
    "text": (Equal, Wildcard, Empty),
    "uid": (Equal, UidList),
    "name": (Equal, Wildcard, Empty, Fuzzy),
    "number": (Equal,),
    "day": (Equal, Range),
    "date": (Equal, Range),
    "time": (Equal, Range),
    "list": (Equal, Wildcard, Every, Empty),
    "classes": (UidList,),
}
# What the index counts itself is in no document, and always has a value.
_COUNTED = frozenset({0x00080062, 0x00201206, 0x00201208, 0x00201209})


def level_at(path: Path) -> Level:
    """The level whose entities have the attribute at `path`, or the sequence it stands in."""
    column = COLUMNS.get(path[0])
    return column.level if column else level_of(path[0]) or Level.INSTANCE


def is_answered(path: Path, condition: Condition) -> bool:
    """Whether SQL alone says which entities meet the condition."""
    if isinstance(condition, Universal):
        return True
    column = COLUMNS.get(path[0])
    if column is None:
        return False
    if isinstance(condition, DateTimeRange):
        return condition.zone is None and condition.time_path[0] in COLUMNS
    if column.kind == "items":
        return isinstance(condition, Item) and _is_of_requests(condition)
    if path[0] in _COUNTED and isinstance(condition, Empty):
        return True
    return len(path) == 1 and isinstance(condition, _ANSWERED[column.kind])


def _is_of_requests(condition: Item) -> bool:
    return all(
        len(path) == 1
        and path[0] in REQUEST_COLUMNS
        and isinstance(inner, Universal | Equal | Wildcard)
        for path, inner in condition.conditions.items()
    )


class Arguments(list[object]):
    """The arguments of a statement, in the order in which its text refers to them."""

    def add(self, value: object) -> str:
        """The placeholder of one more argument."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and "\0" in text:  # which Postgres cannot hold
                raise InvalidParameter("match key", text, "text without NUL")
        self.append(value)
        return f"${len(self)}"


def compile_condition(path: Path, condition: Condition, arguments: Arguments) -> str:
    """The condition on the attribute at `path` as an expression, its values added to `arguments`.

    What meets the condition always meets the expression; whether the reverse holds, `is_answered`
    tells.
    """
    column = COLUMNS.get(path[0])
    if column is None:
        return "TRUE"
    if len(path) > 1:
        condition = Item({path[1:]: condition})
    if isinstance(condition, DateTimeRange) and condition.zone is not None:
        return _days_around(column, condition, arguments)
    if not is_answered(path[:1], condition):
        return "TRUE"
    if isinstance(condition, DateTimeRange):
        return _moments(column, condition, arguments)
    return _expression(column, condition, arguments)


def _expression(column: Column, condition: Condition, arguments: Arguments) -> str:
    match column.kind, condition:
        case _, Universal():
            return "TRUE"
        case "items", Item(conditions):
            return _item(conditions, arguments)
        case "name", Empty():
            return f"num_nonnulls({column.sql}, {column.sql}_other) = 0"
        case "list", Empty():
            return f"{column.sql} = '{{}}'"
        case "number" | "classes", Empty():
            return "FALSE"
        case _, Empty():
            return f"{column.sql} IS NULL"
        case "name", Fuzzy(words, pattern):
            alike = _fuzzy(column.sql, words, arguments)
            if pattern is None:
                return alike
            return _any_of([alike, _name(column.sql, pattern, "LIKE", arguments)])
        case "name", Equal(values):
            return _any_of(_name(column.sql, value, "=", arguments) for value in values)
        case "text" | "uid", Equal(values) | UidList(values):
            wanted = [unpadded(value) for value in values]
            return f"{column.sql} = ANY ({arguments.add(wanted)}::text[])"
        case "classes", UidList(values):
            classes = arguments.add([unpadded(value) for value in values])
            return (
                "EXISTS (SELECT FROM series c WHERE c.study_id = s.id "
                f"AND c.sop_classes && {classes}::text[])"
            )
        case "list", Equal(values) | Every(values):
            operator = "&&" if isinstance(condition, Equal) else "@>"
            wanted = [unpadded(value) for value in values]
            return f"{column.sql} {operator} {arguments.add(wanted)}::text[]"
        case "number", Equal(values):
            numbers = [n for value in values if (n := whole_number(value)) is not None]
            return f"{column.sql} = ANY ({arguments.add(numbers)}::bigint[])"
        case "day" | "date", Equal(values):
            days = [normal_date(value) for value in values]
            return _any_of(_range(column, day, day, arguments) for day in days if day)
        case "time", Equal(values):
            times = [time for value in values if (time := normal_time(value)) is not None]
            return f"{column.sql} = ANY ({arguments.add(times)}::text[])"
        case "text" | "list" | "name", Wildcard(patterns):
            if any(not pattern.strip("*") for pattern in patterns):
                return "TRUE"  # C.2.2.2.4: "*" alone matches absent attributes too
            return _any_of(_wildcard(column, pattern, arguments) for pattern in patterns)
        case "day" | "date" | "time", Range(low, high):
            return _range(column, low, high, arguments)
    raise AssertionError(f"no expression for {type(condition).__name__} of {column.kind}")


def _fuzzy(column: str, words: Iterable[frozenset[str]], arguments: Arguments) -> str:
    """Of every word one of its tokens (MAT-03)."""
    parts = [f"{column}_tokens && {arguments.add(sorted(word))}::text[]" for word in words]
    return " AND ".join(parts) or "TRUE"


_DAYS = 2 * 24 * 60  # minutes: two time zones are 26 hours apart at the most


def _any_of(expressions: Iterable[str]) -> str:
    return f"({' OR '.join(expressions) or 'FALSE'})"


def unpadded(value: str) -> str:
    """As ``rows.clean``, but a NUL within is kept, to be refused and not to match without it."""
    return value.rstrip(" \0").lstrip(" ").encode("utf-8", "replace").decode()


def like(pattern: str) -> str:
    """A pattern of PS3.4 C.2.2.2.4 as one of LIKE, whose escape character is the backslash."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _wildcard(column: Column, pattern: str, arguments: Arguments) -> str:
    if column.kind == "name":
        return _name(column.sql, pattern, "LIKE", arguments)
    placeholder = arguments.add(like(unpadded(pattern)))
    if column.kind == "list":
        values = f"unnest({column.sql}) AS m (value)"
        return f"EXISTS (SELECT FROM {values} WHERE m.value LIKE {placeholder})"
    return f"{column.sql} LIKE {placeholder}"


def name_alternatives(column: str, text: str, operator: str, arguments: Arguments) -> list[str]:
    """One name or pattern against the alphabetic group of a name, and against its other groups:
    whoever meets either meets the condition. For a text without "=", which leaves it open."""
    wanted = [arguments.add(group) for group in _wanted(groups(text)[0], operator)]
    if not wanted:
        return ["FALSE"]
    # A group that is not there matches nothing, not even a pattern of stars.
    alphabetic, *others = (
        [f"{place} <> '' AND {place} {operator} {placeholder}" for placeholder in wanted]
        for place in _places(column)
    )
    # How few names have other groups the planner knows of IS NOT NULL, not of split_part().
    either = " OR ".join(chain.from_iterable(others))
    return [*alphabetic, f"{column}_other IS NOT NULL AND ({either})"]


def _places(column: str) -> tuple[str, str, str]:
    """The expressions of the component groups of a name."""
    other = f"{column}_other"
    return column, f"split_part({other}, '=', 1)", f"split_part({other}, '=', 2)"


def _wanted(group: str, operator: str) -> list[str]:
    """What a component group has to be one of, or to follow one of; nothing if it is empty."""
    if operator == "LIKE":
        return [like(each) for each in patterns_of_group(group)]
    return [folded] if (folded := _folded(group)) else []


def patterns_of_group(group: str) -> list[str]:
    """The patterns, with ``*`` and ``?``, one of which a group of a name follows that follows
    `group`."""
    return [each for each in name_patterns(_folded(group)) if each]


def _folded(group: str) -> str:
    return clean(fold(group)).replace("=", " ")


def _name(column: str, text: str, operator: str, arguments: Arguments) -> str:
    """One name or pattern against the groups of a person's name (MAT-02).

    With "=" in it each group is asked for by its place, otherwise any group may match. The
    expressions are those that have an index each, so that their OR has one too.
    """
    if "=" not in text:
        return f"({' OR '.join(name_alternatives(column, text, operator, arguments))})"
    asked = []
    for place, group in zip(_places(column), groups(text), strict=True):
        wanted = _wanted(group, operator)
        if operator == "LIKE" and all(not each.strip("%") for each in wanted):
            continue  # nothing but stars
        ways = [f"{place} {operator} {arguments.add(each)}" for each in wanted]
        if ways:
            asked.append(ways[0] if len(ways) == 1 else _any_of(ways))
    return " AND ".join(asked) or f"num_nonnulls({column}, {column}_other) > 0"


def _range(column: Column, low: str | None, high: str | None, arguments: Arguments) -> str:
    if column.kind != "day":
        parts = [f"{column.sql} IS NOT NULL", *_bounds(column.sql, low, high, arguments)]
        return " AND ".join(parts)
    first = None if low is None else int(low) * 1_000_000
    last = None if high is None else int(high) * 1_000_000 + 999_999
    return " AND ".join(["s.sort_key > 0", *_bounds("s.sort_key", first, last, arguments)])


def _bounds(
    expression: str, low: object | None, high: object | None, arguments: Arguments
) -> list[str]:
    return [
        f"{expression} {operator} {arguments.add(bound)}"
        for operator, bound in ((">=", low), ("<=", high))
        if bound is not None
    ]


def _days_around(day: Column, condition: DateTimeRange, arguments: Arguments) -> str:
    """The days of an interval in some time zone, and their neighbours, wherever on Earth the
    study was made (MAT-05)."""
    low = moved(condition.low, -_DAYS)[:8] if condition.low else None
    high = moved(condition.high, _DAYS)[:8] if condition.high else None
    return _range(day, low, high, arguments)


def _moments(day: Column, condition: DateTimeRange, arguments: Arguments) -> str:
    """One interval over a date and a time (C.2.2.2.5.3); a date without a time counts as its
    first moment."""
    low, high = condition.low, condition.high
    time = COLUMNS[condition.time_path[0]]
    moment = f"({day.sql} || coalesce({time.sql}, '000000.000000'))"
    parts = [f"{day.sql} IS NOT NULL", *_bounds(moment, low, high, arguments)]
    if day.kind == "day":
        parts += seconds_between(condition, arguments)
    return " AND ".join(parts)


def seconds_between(condition: DateTimeRange, arguments: Arguments) -> list[str]:
    """What an interval over a study's date and time says to the second, in the order of studies."""
    first = None if condition.low is None else int(condition.low[:14])
    last = None if condition.high is None else int(condition.high[:14])
    return _bounds("s.sort_key", first, last, arguments)


def _item(conditions: Mapping[Path, Condition], arguments: Arguments) -> str:
    """All conditions within one item (C.2.2.2.6); if all are universal, any series."""
    parts = [
        _expression(REQUEST_COLUMNS[path[0]], condition, arguments)
        for path, condition in conditions.items()
    ]
    if all(isinstance(condition, Universal) for condition in conditions.values()):
        return "TRUE"
    return (
        f"EXISTS (SELECT FROM series_requests r WHERE r.series_id = e.id AND {' AND '.join(parts)})"
    )
