"""The values of match keys: text → conditions, by VR (PS3.18 §8.3.4.1, PS3.4 C.2.2.2)."""

import re
from dataclasses import dataclass

from dicomweb_server.dicom.matching import date_bounds, normal_number, time_bounds
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Equal,
    Item,
    Path,
    Range,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.resources import is_uid

MAX_VALUE = 1024  # characters of a value that is no list of UIDs

WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
# Whole numbers by VR, with the least and the greatest (PS3.5 §6.2)
_INTEGERS = {"IS": (-(2**31), 2**31 - 1), "US": (0, 2**16 - 1)}
# Commas and backslashes between several, as viewers send them (digest 4.6)
_MODALITIES = frozenset({0x00080060, 0x00080061})
# Dates and the times that belong to them (PS3.4 C.2.2.2.5.3)
_DATE_TIME_PAIRS = {0x00080020: 0x00080030, 0x00400244: 0x00400245}


@dataclass(frozen=True, slots=True)
class Key:
    """A match key: as it was named, where it points, the VR there, what it asks."""

    name: str
    path: Path
    vr: str
    value: str


def conditions_of(keys: dict[Path, Key]) -> dict[Path, Condition]:
    """The conditions of all match keys of a search, each under its path (digest 4.5).

    Raises InvalidParameter for a value that does not satisfy its VR.
    """
    conditions: dict[Path, Condition] = {}
    bounds = {key.path: _bounds(key) for key in keys.values() if key.vr in _BOUNDS}
    for day, time in _DATE_TIME_PAIRS.items():
        conditions |= _dates_and_times((day,), (time,), keys, bounds)
    within: dict[int, dict[Path, Condition]] = {}
    for path, key in keys.items():
        if len(path) > 1:
            within.setdefault(path[0], {})[path[1:]] = _condition(key)
        elif path not in conditions and path not in bounds:
            conditions[path] = _condition(key)
    for path, bound in bounds.items():
        if path not in conditions and not _is_time_of_combined(path, conditions):
            conditions[path] = _one_range(keys[path], bound)
    for tag, inner in within.items():
        asked = {path: each for path, each in inner.items() if not isinstance(each, Universal)}
        conditions[(tag,)] = Item(asked) if asked else Universal()
    return conditions


def _is_time_of_combined(path: Path, conditions: dict[Path, Condition]) -> bool:
    return any(isinstance(c, DateTimeRange) and c.time_path == path for c in conditions.values())


def _condition(key: Key) -> Condition:
    """The condition of a key that is neither date nor time, by its VR (digest 4.5)."""
    value = key.value.strip(" ")
    if not value.strip("*"):
        return Universal()  # QRY-13
    if key.vr == "UI":
        return _uid_list(key, value)
    if key.vr == "SQ":
        raise InvalidParameter(key.name, value, "no value: name an attribute of its items")
    if len(value) > MAX_VALUE:
        raise InvalidParameter(key.name, value, f"at most {MAX_VALUE} characters")
    if key.path[-1] in _MODALITIES:
        return _modalities(key, value)
    if key.vr not in WILDCARD_VRS:
        return Equal((_number(key, value),))
    if key.vr == "PN" and not any(fold(group) for group in groups(value)):
        return Universal()  # nothing but ^ and =
    if "*" in value or "?" in value:
        return Wildcard((_pattern(value),))
    return Equal((value,))


def _uid_list(key: Key, value: str) -> UidList:
    uids = [uid for part in re.split(r"[,\\]", value) if (uid := part.strip(" "))]
    if not uids or not all(is_uid(uid) for uid in uids):
        raise InvalidParameter(key.name, value, "a UID, or several separated by commas")
    return UidList(tuple(dict.fromkeys(uids)))


def _modalities(key: Key, value: str) -> Condition:
    """Any of several, with or without wildcards (digest 4.6)."""
    names = [name for part in re.split(r"[,\\]", value) if (name := part.strip(" "))]
    if not names:
        raise InvalidParameter(key.name, value, "a modality, or several separated by commas")
    if any(not name.strip("*") for name in names):
        return Universal()
    if any("*" in name or "?" in name for name in names):
        return Wildcard(tuple(dict.fromkeys(_pattern(name) for name in names)))
    return Equal(tuple(dict.fromkeys(names)))


def _pattern(value: str) -> str:
    return re.sub(r"\*+", "*", value)


def _number(key: Key, value: str) -> str:
    """The canonical text of a number, so that "007" is "7" to every interpreter."""
    number = normal_number(value)
    if number is None:
        raise InvalidParameter(key.name, value, "a number")
    if key.vr not in _INTEGERS:
        return str(number)
    least, greatest = _INTEGERS[key.vr]
    if not least <= number <= greatest or number != int(number):
        raise InvalidParameter(key.name, value, f"a whole number from {least} to {greatest}")
    return str(int(number))


# Dates and times

_BOUNDS = {"DA": date_bounds, "TM": time_bounds}
_EXPECTED = {
    "DA": "a date YYYYMMDD or a range of two, the earlier first",
    "TM": "a time HHMMSS.FFFFFF or a range of two, the earlier first",
}


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: str | None
    high: str | None
    is_range: bool  # written as one


def _bounds(key: Key) -> _Bounds | None:
    """What a date or time, or a range of them, spans (C.2.2.2.5); None for any."""
    value = key.value.strip(" ")
    if not value.strip("*"):
        return None
    bounds_of = _BOUNDS[key.vr]
    first, dash, last = value.partition("-")
    low = bounds_of(first) if first else None
    high = bounds_of(last) if last else None
    wrong = (first and low is None) or (last and high is None) or not (first or last)
    if wrong:
        raise InvalidParameter(key.name, value, _EXPECTED[key.vr])
    if not dash:
        assert low is not None
        return _Bounds(*low, is_range=False)
    return _Bounds(low[0] if low else None, high[1] if high else None, is_range=True)


def _one_range(key: Key, bounds: _Bounds | None) -> Condition:
    if bounds is None:
        return Universal()
    if bounds.low is not None and bounds.high is not None and bounds.low > bounds.high:
        raise InvalidParameter(key.name, key.value, _EXPECTED[key.vr])
    return Range(bounds.low, bounds.high)


def _dates_and_times(
    day: Path, time: Path, keys: dict[Path, Key], bounds: dict[Path, _Bounds | None]
) -> dict[Path, Condition]:
    """A range of dates with a range of times is one interval, from the first time of the first
    day to the last time of the last (C.2.2.2.5.3): the times alone may well be reversed."""
    days, times = bounds.get(day), bounds.get(time)
    if not (days and times and days.is_range and times.is_range):
        return {}
    low = None if days.low is None else days.low + (times.low or "000000.000000")
    high = None if days.high is None else days.high + (times.high or "235960.999999")
    if low is not None and high is not None and low > high:
        raise InvalidParameter(keys[day].name, keys[day].value, "a beginning before the end")
    return {day: DateTimeRange(time, low, high)}
