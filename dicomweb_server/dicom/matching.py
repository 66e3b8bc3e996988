"""Attribute matching in plain Python (PS3.4 C.2.2.2), over attributes of the DICOM JSON Model.

The other interpreter of `dicom.query` is ``index.search``, which compiles the same conditions
to SQL; the normalisation functions here are what both compare.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from dicomweb_server.dicom import dictionary
from dicomweb_server.dicom.attributes import level_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import LONGEST_NUMBER, NUMBER, PADDING
from dicomweb_server.dicom.moments import (
    moved,
    names_zone,
    normal_date,
    normal_date_time,
    normal_time,
    zone_of,
)
from dicomweb_server.dicom.name_tokens import name_tokens
from dicomweb_server.dicom.person_name import fold, groups, name_patterns
from dicomweb_server.dicom.query import (
    AsStored,
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
    Reading,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)

# An attribute of the DICOM JSON Model: {"vr": ..., "Value": [...]}
Attribute = Mapping[str, Any]

NUMERIC_VRS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"})
# Text whose leading spaces say as little as its trailing ones (PS3.5 §6.2).
LEADING_SPACE_VRS = frozenset({"AE", "CS", "LO", "SH"})

_AS_IS = Reading()


def normal_number(value: object) -> Decimal | None:
    """A number of any numeric VR, exactly, for comparison; None if it is none or not finite."""
    text = str(value).strip(PADDING)
    if len(text) > LONGEST_NUMBER or NUMBER.fullmatch(text) is None:
        return None
    return Decimal(text)


def without_padding(value: object, vr: str) -> str:
    """A value as text, or what is asked of it, without the spaces that its VR has no use for
    (PS3.5 §6.2): those at the end, and of AE, CS, LO and SH those at the beginning."""
    text = str(value).rstrip(PADDING)
    return text.lstrip(" ") if vr in LEADING_SPACE_VRS else text


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
    be met by any group of a name, as people type in whichever script they have at hand. A name
    without any group meets none."""
    wanted = [fold(group) for group in groups(text)]
    anywhere = "=" not in text
    for value in values:
        stored = [fold(group) for group in groups(value)]
        if anywhere:
            if any(same(wanted[0], group) for group in stored if group):
                return True
        elif any(stored) and all(
            same(ask, have) for ask, have in zip(wanted, stored, strict=True) if ask
        ):
            return True
    return False


def _follows(pattern: str, group: str) -> bool:
    return any(wildcard_matches(each, group) for each in name_patterns(pattern))


def _same_float(first: Decimal, second: Decimal) -> bool:
    """Whether they are one number of single precision: 0.1 is stored as 0.10000000149011612."""
    try:
        one, other = struct.unpack("<2f", struct.pack("<2f", first, second))
    except OverflowError:
        return False
    return bool(one == other)


def _single(text: str, attribute: Attribute | None, vr: str) -> bool:
    values = _values(attribute)
    if vr == "PN":
        return _name_matches(text, values, str.__eq__)
    if vr in NUMERIC_VRS:
        number = normal_number(text)
        if number is None:
            return False
        same = _same_float if vr == "FL" else Decimal.__eq__
        return any(n is not None and same(n, number) for n in map(normal_number, values))
    normal = _NORMAL.get(vr)
    if normal is not None:
        wanted = normal(text)
        return wanted is not None and any(normal(str(value)) == wanted for value in values)
    wanted = without_padding(text, vr)
    return any(without_padding(value, vr) == wanted for value in values)


def _wildcard(pattern: str, attribute: Attribute | None, vr: str) -> bool:
    values = _values(attribute)
    if not pattern.strip("*"):
        return True  # C.2.2.2.4: "*" alone matches empty values and absent attributes too
    if vr == "PN":
        return _name_matches(pattern, values, _follows)
    asked = without_padding(pattern, vr)
    return any(wildcard_matches(asked, without_padding(value, vr)) for value in values)


_NORMAL: dict[str, Callable[[str], str | None]] = {"DA": normal_date, "TM": normal_time}


def _in_range(low: str | None, high: str | None, normal: str | None) -> bool:
    if normal is None:
        return False
    return (low is None or low <= normal) and (high is None or normal <= high)


def matches(
    condition: Condition,
    attribute: Attribute | None,
    vr: str,
    zone: int = 0,
    reading: Reading = _AS_IS,
) -> bool:
    """Whether one attribute meets a condition (PS3.4 C.2.2.2).

    `attribute` is its object in the DICOM JSON Model, None if absent. Of several values any may
    match. An absent or empty attribute meets only universal and empty value matching. `vr` rules
    how values compare; `zone` is that of the data set, in minutes east of UTC. DateTimeRange
    needs two attributes and is met by `matches_dataset` alone.
    """
    match condition:
        case Universal():
            return True
        case Empty():
            return not _has_value(attribute, vr)
        case Equal(values):
            return any(_single(value, attribute, vr) for value in values)
        case Every(values):
            return all(_single(value, attribute, vr) for value in values)
        case Wildcard(patterns):
            return any(_wildcard(pattern, attribute, vr) for pattern in patterns)
        case Range():
            return any(_in_range_of(condition, str(v), vr, zone) for v in _values(attribute))
        case UidList(uids):
            return any(str(value).rstrip(PADDING) in uids for value in _values(attribute))
        case Fuzzy(words, pattern):
            if pattern is not None and _wildcard(pattern, attribute, vr):
                return True
            return any(_sounds(words, value) for value in _values(attribute))
        case AsStored(by_vr):
            asked = by_vr.get(vr)
            return asked is not None and matches(asked, attribute, vr, zone, reading)
        case Item(conditions) if all(isinstance(c, Universal) for c in conditions.values()):
            return True  # universal matching, whether there is a sequence or none (C.2.2.2.6)
        case Item(conditions):
            items = [item for item in _values(attribute) if isinstance(item, Mapping)]
            return any(matches_dataset(conditions, item, reading) for item in items)
        case DateTimeRange():
            raise TypeError("a DateTimeRange is about two attributes: use matches_dataset")


def _has_value(attribute: Attribute | None, vr: str) -> bool:
    """Empty are: no values, nothing but empty ones; values outside (bulk data) are values."""
    if attribute is None:
        return False
    if "BulkDataURI" in attribute or attribute.get("InlineBinary"):
        return True
    return any(not _is_blank(value, vr) for value in _values(attribute))


def _is_blank(value: Any, vr: str) -> bool:
    if vr == "PN" and isinstance(value, str | Mapping):
        return not any(fold(group) for group in groups(value))
    return isinstance(value, str) and not value.strip(PADDING)


def _in_range_of(asked: Range, value: str, vr: str, zone: int) -> bool:
    low, high = asked.low, asked.high
    if vr != "DT":
        return _in_range(low, high, _NORMAL[vr](value))
    if not names_zone(value):
        low = low if asked.low_clock is None else moved(asked.low_clock, -zone)
        high = high if asked.high_clock is None else moved(asked.high_clock, -zone)
    return _in_range(low, high, normal_date_time(value, zone))


def _sounds(words: Iterable[frozenset[str]], value: Any) -> bool:
    if not isinstance(value, str | Mapping):
        return False
    tokens = name_tokens(value)
    return all(not tokens.isdisjoint(word) for word in words)


def attribute_at(
    tag: int, dataset: Mapping[str, Any], reading: Reading = _AS_IS
) -> Attribute | None:
    """The attribute that a query calls `tag`; a private one is looked for in its creator's block
    (PS3.5 §7.8)."""
    key = key_of(tag, dataset, reading)
    return None if key is None else dataset.get(key)


def key_of(tag: int, dataset: Mapping[str, Any], reading: Reading) -> str | None:
    """The name of the attribute in `dataset`; None if its private creator is not there."""
    creator = reading.creators.get(tag & ~0xFF)
    if creator is None or not tag >> 16 & 1:
        return f"{tag:08X}"
    group = f"{tag >> 16:04X}"
    for name in sorted(name for name in dataset if name.startswith(f"{group}00")):
        reserved = _values(dataset[name])
        if name >= f"{group}0010" and reserved and str(reserved[0]).rstrip(PADDING) == creator:
            return f"{group}{name[6:]}{tag & 0xFF:02X}"
    return None


def _moment(
    condition: DateTimeRange, path: Path, dataset: Mapping[str, Attribute], reading: Reading
) -> bool:
    """One interval over a date and a time (C.2.2.2.5.3); a date without a time counts as its
    first moment, or in another time zone as a day that has none."""
    days = _values(dataset.get(f"{path[-1]:08X}"))
    times = _values(dataset.get(f"{condition.time_path[-1]:08X}"))
    later = 0 if condition.zone is None else condition.zone - _zone_of(dataset, reading)
    return any(
        _in_interval(condition, str(day), "" if time is None else str(time), later)
        for day, time in zip_longest(days, times[: len(days)])
    )


def _in_interval(condition: DateTimeRange, day: str, time: str, later: int) -> bool:
    """Whether a date and time that are `later` by so many minutes are in the interval."""
    date, moment = normal_date(day), normal_time(time)
    low, high = condition.low, condition.high
    if date is None:
        return False
    if condition.zone is None:
        return _in_range(low, high, date + (moment or "000000.000000"))
    if moment is None:
        return _in_range(low and low[:8], high and high[:8], date)
    return _in_range(low, high, moved(date + moment, later))


def _zone_of(dataset: Mapping[str, Attribute], reading: Reading) -> int:
    values = _values(dataset.get("00080201"))
    zone = zone_of(str(values[0])) if values else None
    return reading.zone if zone is None else zone


def matches_dataset(
    conditions: Mapping[Path, Condition],
    dataset: Mapping[str, Attribute],
    reading: Reading = _AS_IS,
) -> bool:
    """Whether a data set, or an item of a sequence, meets all `conditions`."""
    return all(_holds(path, condition, dataset, reading) for path, condition in conditions.items())


def _holds(
    path: Path, condition: Condition, dataset: Mapping[str, Attribute], reading: Reading
) -> bool:
    if len(path) > 1:
        return _holds(path[:1], Item({path[1:]: condition}), dataset, reading)
    attribute = attribute_at(path[0], dataset, reading)
    if isinstance(condition, DateTimeRange):
        return _moment(condition, path, dataset, reading)
    zone = _zone_of(dataset, reading)
    if isinstance(condition, Item) and zone != reading.zone:
        reading = replace(reading, zone=zone)  # which items have from what they stand in
    return matches(condition, attribute, vr_of(path[0], attribute), zone, reading)


def vr_of(tag: int, attribute: Attribute | None = None) -> str:
    """By which rules values compare: those of the dictionary's VR, for what it does not have the
    data set's own. Of several the first."""
    vr = dictionary.vr_of(tag)
    if vr is None:
        return str(attribute.get("vr", "UN")) if attribute else "UN"
    return vr.split(" ", 1)[0]


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
        by_level.setdefault(level_of(path[0]) or Level.INSTANCE, {})[path] = condition
    here = {
        level: by_level.pop(level) for level in Level if level in by_level and level <= query.level
    }
    reading = query.reading
    if not all(matches_dataset(asked, entity[level], reading) for level, asked in here.items()):
        return False
    by_level = {
        level: asked
        for level, asked in by_level.items()
        if not all(isinstance(condition, Universal) for condition in asked.values())
    }
    return not by_level or any(
        all(matches_dataset(asked, leaf[level], reading) for level, asked in by_level.items())
        for leaf in below
    )
