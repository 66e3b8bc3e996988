"""Attribute matching in plain Python (PS3.4 C.2.2.2), over attributes of the DICOM JSON Model.

The other interpreter of `dicom.query` is ``index.search``, which compiles the same conditions
to SQL; the normalisation functions here are what both compare.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR

from dicomweb_server.dicom.attributes import level_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Equal,
    Item,
    Level,
    Path,
    Range,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)

# An attribute of the DICOM JSON Model: {"vr": ..., "Value": [...]}
Attribute = Mapping[str, Any]

NUMERIC_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"})

_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-3])(?:(?P<colon>:?)([0-5]\d)(?:(?P=colon)([0-5]\d|60)(?:\.(\d{1,6}))?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][+-]?\d{1,4})?", re.ASCII)
_PADDING = " \0"


def normal_date(text: str) -> str | None:
    """A date as YYYYMMDD, from DA or its legacy form YYYY.MM.DD (PS3.5 §6.2, MAT-01).

    None for anything that is not a day of the calendar.
    """
    match = _DATE.fullmatch(text.strip(_PADDING))
    if match is None:
        return None
    year, month, day = match[1], match[2] or match[4], match[3] or match[5]
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return None
    return year + month + day


def _time_parts(text: str) -> tuple[str, str | None, str | None, str | None] | None:
    """Hours, minutes, seconds and fraction, None where the precision ends."""
    match = _TIME.fullmatch(text.strip(_PADDING))
    return None if match is None else (match[1], match[3], match[4], match[5])


def normal_time(text: str) -> str | None:
    """A time as HHMMSS.FFFFFF, from TM or its legacy form HH:MM:SS (PS3.5 §6.2, MAT-01).

    Missing precision is filled with zeros; a leap second 60 is left. None if it is no time.
    """
    bounds = time_bounds(text)
    return None if bounds is None else bounds[0]


def date_bounds(text: str) -> tuple[str, str] | None:
    """The first and last day, YYYYMMDD, that a date in a query denotes: one and the same, as
    DA has no reduced precision. None if it is no date."""
    day = normal_date(text)
    return None if day is None else (day, day)


def time_bounds(text: str) -> tuple[str, str] | None:
    """The first and last moment, HHMMSS.FFFFFF, that a time in a query denotes (MAT-01).

    "10" is 100000.000000 to 105959.999999, so that a range ending in 10 includes that hour.
    None if it is no time.
    """
    parts = _time_parts(text)
    if parts is None:
        return None
    hours, minutes, seconds, fraction = parts
    low = f"{hours}{minutes or '00'}{seconds or '00'}.{(fraction or '').ljust(6, '0')}"
    high = f"{hours}{minutes or '59'}{seconds or '59'}.{(fraction or '').ljust(6, '9')}"
    return low, high


def normal_number(value: object) -> Decimal | None:
    """A number of any numeric VR, exactly, for comparison; None if it is none or not finite."""
    text = str(value).strip(_PADDING)
    if len(text) > 64 or _NUMBER.fullmatch(text) is None:
        return None
    return Decimal(text)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Atomic groups: once a piece between two stars is found its place is never revisited, so
    that ``*a*a*a*…`` costs no more than length times length."""
    first, *rest = (_literal(piece) for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    found = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


def _literal(piece: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in piece)


def wildcard_matches(pattern: str, text: str) -> bool:
    """Whether `text` follows `pattern` as a whole: ``*`` any run of characters, ``?`` exactly
    one, everything else itself, in its case (PS3.4 C.2.2.2.4)."""
    return _compiled(pattern).fullmatch(text) is not None


def _values(attribute: Attribute | None) -> list[Any]:
    values = [] if attribute is None else attribute.get("Value", [])
    return [value for value in values if value is not None]


def _name_matches(text: str, values: Iterable[Any], same: Callable[[str, str], bool]) -> bool:
    """A query with ``=`` asks for each of its non-empty groups by its place; one without may
    be met by any group of a name, as people type in whichever script they have at hand."""
    wanted = [fold(group) for group in groups(text)]
    anywhere = "=" not in text
    for value in values:
        stored = [fold(group) for group in groups(value)]
        if anywhere:
            if any(same(wanted[0], group) for group in stored if group):
                return True
        elif all(same(ask, have) for ask, have in zip(wanted, stored, strict=True) if ask):
            return True
    return False


def _single(text: str, attribute: Attribute | None, vr: str) -> bool:
    values = _values(attribute)
    if vr == "PN":
        return _name_matches(text, values, str.__eq__)
    if vr in NUMERIC_VRS:
        number = normal_number(text)
        return number is not None and any(normal_number(value) == number for value in values)
    normal = _NORMAL.get(vr)
    if normal is not None:
        wanted = normal(text)
        return wanted is not None and any(normal(str(value)) == wanted for value in values)
    return any(str(value).rstrip(_PADDING) == text.rstrip(_PADDING) for value in values)


def _wildcard(pattern: str, attribute: Attribute | None, vr: str) -> bool:
    values = _values(attribute)
    if not pattern.strip("*"):
        return True  # C.2.2.2.4: "*" alone matches empty values and absent attributes too
    if vr == "PN":
        return _name_matches(pattern, values, wildcard_matches)
    asked = pattern.rstrip(_PADDING)
    return any(wildcard_matches(asked, str(value).rstrip(_PADDING)) for value in values)


_NORMAL: dict[str, Callable[[str], str | None]] = {"DA": normal_date, "TM": normal_time}


def _in_range(low: str | None, high: str | None, normal: str | None) -> bool:
    if normal is None:
        return False
    return (low is None or low <= normal) and (high is None or normal <= high)


def matches(condition: Condition, attribute: Attribute | None, vr: str) -> bool:
    """Whether one attribute meets a condition (PS3.4 C.2.2.2).

    `attribute` is its object in the DICOM JSON Model, None if absent. Of several values any may
    match. An absent or empty attribute meets only universal matching. `vr` rules how values
    compare; DateTimeRange needs two attributes and is met by `matches_dataset` alone.
    """
    match condition:
        case Universal():
            return True
        case Equal(values):
            return any(_single(value, attribute, vr) for value in values)
        case Wildcard(patterns):
            return any(_wildcard(pattern, attribute, vr) for pattern in patterns)
        case Range(low, high):
            normal = _NORMAL[vr]
            return any(_in_range(low, high, normal(str(v))) for v in _values(attribute))
        case UidList(uids):
            return any(str(value).rstrip(_PADDING) in uids for value in _values(attribute))
        case Item(conditions) if all(isinstance(c, Universal) for c in conditions.values()):
            return True  # universal matching, whether there is a sequence or none (C.2.2.2.6)
        case Item(conditions):
            items = [item for item in _values(attribute) if isinstance(item, Mapping)]
            return any(matches_dataset(conditions, item) for item in items)
        case DateTimeRange():
            raise TypeError("a DateTimeRange is about two attributes: use matches_dataset")


def _at(path: Path, dataset: Mapping[str, Attribute]) -> Attribute | None:
    return dataset.get(f"{path[-1]:08X}")


def _moment(condition: DateTimeRange, path: Path, dataset: Mapping[str, Attribute]) -> bool:
    """One interval over a date and a time (C.2.2.2.5.3); a date without a time counts as its
    first moment."""
    days = _values(_at(path, dataset))
    day = normal_date(str(days[0])) if days else None
    if day is None:
        return False
    times = _values(_at(condition.time_path, dataset))
    time = normal_time(str(times[0])) if times else None
    return _in_range(condition.low, condition.high, day + (time or "000000.000000"))


def matches_dataset(conditions: Mapping[Path, Condition], dataset: Mapping[str, Attribute]) -> bool:
    """Whether a data set, or an item of a sequence, meets all `conditions`."""
    return all(_holds(path, condition, dataset) for path, condition in conditions.items())


def _holds(path: Path, condition: Condition, dataset: Mapping[str, Attribute]) -> bool:
    if len(path) > 1:
        inner = Item({path[1:]: condition})
        return matches(inner, dataset.get(f"{path[0]:08X}"), "SQ")
    if isinstance(condition, DateTimeRange):
        return _moment(condition, path, dataset)
    return matches(condition, _at(path, dataset), dictionary_VR(path[0]))


def matches_query(
    query: SearchQuery,
    entity: Mapping[Level, JsonDataset],
    below: Iterable[Mapping[Level, JsonDataset]] = (),
) -> bool:
    """Whether one entity of ``query.level`` is found by `query`.

    `entity`: its attributes and those of the entities above it, by level. `below`: the same of
    everything beneath it, by level. A condition on a lower level is met when there is something
    beneath that meets all of them together (QRY-02). Paging is not looked at.
    """
    fixed = (
        (Level.STUDY, "0020000D", query.study_instance_uid),
        (Level.SERIES, "0020000E", query.series_instance_uid),
    )
    for level, key, uid in fixed:
        if uid is not None and not matches(UidList((uid,)), entity[level].get(key), "UI"):
            return False
    by_level: dict[Level, dict[Path, Condition]] = {}
    for path, condition in query.conditions.items():
        by_level.setdefault(level_of(path[0]) or query.level, {})[path] = condition
    here = {
        level: by_level.pop(level) for level in Level if level in by_level and level <= query.level
    }
    if not all(matches_dataset(asked, entity[level]) for level, asked in here.items()):
        return False
    by_level = {
        level: asked
        for level, asked in by_level.items()
        if not all(isinstance(condition, Universal) for condition in asked.values())
    }
    return not by_level or any(
        all(matches_dataset(asked, leaf[level]) for level, asked in by_level.items())
        for leaf in below
    )
