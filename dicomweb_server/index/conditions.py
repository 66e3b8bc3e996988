"""Conditions of ``dicom.query`` as SQL expressions: what ``dicom.matching`` says in Python.

An expression speaks of the tables by their aliases: s studies, e series, i instances, r the
items of a series' Request Attributes Sequence. Names in it come from the tables below; a value
of the caller's is always an argument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dicomweb_server.dicom.matching import normal_date, normal_time
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Equal,
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
    and date; day is the date that the order of studies follows, list an array of text, items a
    table of items."""

    level: Level
    sql: str
    kind: str


COLUMNS: dict[int, Column] = {
    0x00080020: Column(Level.STUDY, "s.study_date", "day"),
    0x00080030: Column(Level.STUDY, "s.study_time", "time"),
    0x00080050: Column(Level.STUDY, "s.accession_number", "text"),
    0x00080061: Column(Level.STUDY, "s.modalities", "list"),
    0x00080090: Column(Level.STUDY, "s.referring_physician_name", "name"),
    0x00081030: Column(Level.STUDY, "s.study_description", "text"),
    0x00100010: Column(Level.STUDY, "s.patient_name", "name"),
    0x00100020: Column(Level.STUDY, "s.patient_id", "text"),
    0x00100021: Column(Level.STUDY, "s.issuer_of_patient_id", "text"),
    0x00100030: Column(Level.STUDY, "s.patient_birth_date", "date"),
    0x00100040: Column(Level.STUDY, "s.patient_sex", "text"),
    0x0020000D: Column(Level.STUDY, "s.study_instance_uid", "uid"),
    0x00200010: Column(Level.STUDY, "s.study_id", "text"),
    0x00080060: Column(Level.SERIES, "e.modality", "text"),
    0x0008103E: Column(Level.SERIES, "e.series_description", "text"),
    0x00180015: Column(Level.SERIES, "e.body_part_examined", "text"),
    0x0020000E: Column(Level.SERIES, "e.series_instance_uid", "uid"),
    0x00200011: Column(Level.SERIES, "e.series_number", "number"),
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


class Arguments(list[object]):
    """The arguments of a statement, in the order in which its text refers to them."""

    def add(self, value: object) -> str:
        """The placeholder of one more argument."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and "\0" in text:  # which Postgres cannot hold
                raise InvalidParameter("match key", text, "text without NUL")
        self.append(value)
        return f"${len(self)}"


def column_of(path: Path) -> Column:
    """The column of the attribute, or of the sequence that it stands in.

    Raises InvalidParameter if it has none.
    """
    column = COLUMNS.get(path[0])
    if column is None:
        raise _unsearchable(path)
    return column


def compile_condition(path: Path, condition: Condition, arguments: Arguments) -> str:
    """The condition on the attribute at `path` as an expression, its values added to `arguments`.

    Raises InvalidParameter for an attribute without a column, or a kind of matching that its
    Value Representation does not have.
    """
    column = column_of(path)
    if len(path) > 1:
        condition = Item({path[1:]: condition})
    return _expression(path, column, condition, arguments)


def _expression(path: Path, column: Column, condition: Condition, arguments: Arguments) -> str:
    match column.kind, condition:
        case _, Universal():
            return "TRUE"
        case "items", Item(conditions):
            return _item(conditions, arguments)
        case "name", Equal(values):
            return _any_of(_name(column.sql, value, "=", arguments) for value in values)
        case "text" | "uid", Equal(values) | UidList(values):
            wanted = [_unpadded(value) for value in values]
            return f"{column.sql} = ANY ({arguments.add(wanted)}::text[])"
        case "list", Equal(values):
            wanted = [_unpadded(value) for value in values]
            return f"{column.sql} && {arguments.add(wanted)}::text[]"
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
        case "day" | "date", DateTimeRange(time_path, low, high):
            return _moments(column, column_of(time_path), low, high, arguments)
    raise _unsearchable(path)


def _unsearchable(path: Path) -> InvalidParameter:
    name = ".".join(f"{tag:08X}" for tag in path)
    return InvalidParameter("match key", name, "an attribute that can be matched in this way")


def _any_of(expressions: Iterable[str]) -> str:
    return f"({' OR '.join(expressions) or 'FALSE'})"


def _unpadded(value: str) -> str:
    """As ``rows.clean``, but a NUL within is kept, to be refused and not to match without it."""
    return value.rstrip(" \0").encode("utf-8", "replace").decode()


def _like(pattern: str) -> str:
    """A pattern of PS3.4 C.2.2.2.4 as one of LIKE, whose escape character is the backslash."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def _wildcard(column: Column, pattern: str, arguments: Arguments) -> str:
    if column.kind == "name":
        return _name(column.sql, pattern, "LIKE", arguments)
    placeholder = arguments.add(_like(_unpadded(pattern)))
    if column.kind == "list":
        values = f"unnest({column.sql}) AS m (value)"
        return f"EXISTS (SELECT FROM {values} WHERE m.value LIKE {placeholder})"
    return f"{column.sql} LIKE {placeholder}"


def _name(column: str, text: str, operator: str, arguments: Arguments) -> str:
    """One name or pattern against the groups of a person's name (MAT-02).

    With "=" in it each group is asked for by its place, otherwise any group may match. The
    expressions are those that have an index each, so that their OR has one too.
    """
    wanted = [clean(fold(group)).replace("=", " ") for group in groups(text)]
    other = f"{column}_other"
    places = (column, f"split_part({other}, '=', 1)", f"split_part({other}, '=', 2)")
    values = [_like(group) if operator == "LIKE" else group for group in wanted]
    if "=" not in text:
        if not wanted[0]:
            return "FALSE"
        placeholder = arguments.add(values[0])
        # A group that is not there matches nothing, not even a pattern of stars.
        alphabetic, ideographic, phonetic = (
            f"{place} <> '' AND {place} {operator} {placeholder}" for place in places
        )
        # How few names have other groups the planner knows of IS NOT NULL, not of split_part().
        return f"({alphabetic} OR {other} IS NOT NULL AND ({ideographic} OR {phonetic}))"
    asked = [
        f"{place} {operator} {arguments.add(value)}"
        for place, value, group in zip(places, values, wanted, strict=True)
        if (group.strip("*") if operator == "LIKE" else group)
    ]
    return " AND ".join(asked) or f"num_nonnulls({column}, {other}) > 0"


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


def _moments(
    day: Column, time: Column, low: str | None, high: str | None, arguments: Arguments
) -> str:
    """One interval over a date and a time (C.2.2.2.5.3), bounds YYYYMMDDHHMMSS.FFFFFF; a date
    without a time counts as its first moment."""
    moment = f"({day.sql} || coalesce({time.sql}, '000000.000000'))"
    parts = [f"{day.sql} IS NOT NULL", *_bounds(moment, low, high, arguments)]
    if day.kind == "day":  # to the second, and in the order of an index
        first = None if low is None else int(low[:14])
        last = None if high is None else int(high[:14])
        parts += _bounds("s.sort_key", first, last, arguments)
    return " AND ".join(parts)


def _item(conditions: Mapping[Path, Condition], arguments: Arguments) -> str:
    """All conditions within one item (C.2.2.2.6); if all are universal, any series."""
    parts = []
    for path, condition in conditions.items():
        column = REQUEST_COLUMNS.get(path[0])
        if column is None or len(path) > 1:
            raise _unsearchable((0x00400275, *path))
        parts.append(_expression(path, column, condition, arguments))
    if all(isinstance(condition, Universal) for condition in conditions.values()):
        return "TRUE"
    return (
        f"EXISTS (SELECT FROM series_requests r WHERE r.series_id = e.id AND {' AND '.join(parts)})"
    )
