"""The values of match keys: text → conditions, by VR (PS3.18 §8.3.4.1, PS3.4 C.2.2.2)."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from dicomweb_server.dicom import dictionary
from dicomweb_server.dicom.matching import NUMERIC_VRS, normal_number
from dicomweb_server.dicom.moments import date_bounds, date_time_bounds, names_zone, time_bounds
from dicomweb_server.dicom.name_tokens import query_tokens
from dicomweb_server.dicom.person_name import fold, groups
from dicomweb_server.dicom.query import (
    AsStored,
    Condition,
    DateTimeRange,
    Empty,
    Equal,
    Every,
    Fuzzy,
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
# Whose attributes may have several values that are matched together (PS3.18 §8.3.4.4)
MULTIPLE_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
# In which spaces at the beginning have a meaning (PS3.5 §6.2)
_INDENTED_VRS = frozenset({"LT", "ST", "UC", "UT"})
# Whole numbers by VR, with the least and the greatest (PS3.5 §6.2)
_INTEGERS = {
    "IS": (-(2**31), 2**31 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
    "UV": (0, 2**64 - 1),
}
_FORMS = {
    "AS": (re.compile(r"[0-9]{3}[DWMY]", re.ASCII), "an age: three digits and D, W, M or Y"),
    "AT": (re.compile(r"[0-9A-Fa-f]{8}", re.ASCII), "a tag of eight hexadecimal digits"),
}
# How an attribute may be read whose VR only the data sets tell: for all these VRs as one of them
_READINGS = {
    "LT": ("LT", "ST", "UR", "UT"),
    "PN": ("PN",),
    "DS": tuple(NUMERIC_VRS),
    **{vr: (vr,) for vr in ("AS", "AT", "DA", "DT", "TM", "UC", "UI")},
}
_READ_AS_TEXT = sorted(MULTIPLE_VRS.union(*_READINGS.values()))
# The value that asks for absent and empty attributes (PS3.18 §8.3.4.3)
_EMPTY = '""'
# Commas and backslashes between several, as viewers send them (digest 4.6)
_MODALITIES = frozenset({0x00080060, 0x00080061})


def _date_time_pairs() -> dict[int, int]:
    """Dates and the times that belong to them, which have the same name but for that word."""
    pairs = {}
    for tag, (vr, _, _, _, keyword) in dictionary.ELEMENTS.items():
        time = dictionary.tag_of(keyword.replace("Date", "Time")) if vr == "DA" else None
        if time is not None and dictionary.vr_of(time) == "TM":
            pairs[tag] = time
    return pairs


_DATE_TIME_PAIRS = _date_time_pairs()  # PS3.4 C.2.2.2.5.3


@dataclass(frozen=True, slots=True)
class Key:
    """A match key: as it was named, where it points, the VR there, what it asks."""

    name: str
    path: Path
    vr: str
    value: str


@dataclass(frozen=True, slots=True)
class Switches:
    """How the values of all keys are to be taken (PS3.18 §8.3.4.2 to §8.3.4.4).

    `zone`: the query's Timezone Offset From UTC in minutes east, None without one; `local_zone`:
    that of the archive, for what tells none and cannot be meant in that of a data set (MAT-05).
    """

    fuzzy: bool = False
    empty: bool = False
    multiple: bool = False
    zone: int | None = None
    local_zone: int = 0


def conditions_of(keys: dict[Path, Key], switches: Switches = Switches()) -> dict[Path, Condition]:
    """The conditions of all match keys of a search, each under its path (digest 4.5); those on
    the items of one sequence are one condition.

    Raises InvalidParameter for a value that does not satisfy its VR.
    """
    return _nested(_flat_conditions(keys, switches))


def _nested(flat: Mapping[Path, Condition]) -> dict[Path, Condition]:
    conditions: dict[Path, Condition] = {p: c for p, c in flat.items() if len(p) == 1}
    within: dict[int, dict[Path, Condition]] = {}
    for path, condition in flat.items():
        if len(path) > 1:
            within.setdefault(path[0], {})[path[1:]] = condition
    for tag, inner in within.items():
        conditions[(tag,)] = _item(inner)
    return conditions


def _item(conditions: Mapping[Path, Condition]) -> Condition:
    """All within one item of a sequence, and of each sequence within that (C.2.2.2.6)."""
    asked = {path: each for path, each in conditions.items() if not isinstance(each, Universal)}
    return Item(_nested(asked)) if asked else Universal()


def _flat_conditions(keys: dict[Path, Key], switches: Switches) -> dict[Path, Condition]:
    """The condition of each key, those of dates and times that belong together under the date."""
    conditions: dict[Path, Condition] = {}
    bounds = {
        key.path: _bounds(key, switches)
        for key in keys.values()
        if key.vr in _EXPECTED and not (switches.empty and key.value == _EMPTY)
    }
    for path, key in keys.items():
        if key.vr == "UN":
            conditions[path] = _as_stored(key, switches)
        elif path not in bounds:
            conditions[path] = _condition(key, switches)
    for path in bounds:
        time = (*path[:-1], _DATE_TIME_PAIRS.get(path[-1], 0))
        combined = _dates_and_times(path, time, keys, bounds, switches.zone)
        if combined is not None:
            conditions[path] = combined
            if time in bounds:
                conditions[time] = Universal()
    for path, bound in bounds.items():
        if path not in conditions:
            conditions[path] = _one_range(keys[path], bound)
    return conditions


def _condition(key: Key, switches: Switches) -> Condition:
    """The condition of a key that is neither date nor time, by its VR (digest 4.5)."""
    if switches.empty and key.value == _EMPTY:
        return Empty()
    value = _without_spaces(key.value, key.vr)
    if not value.strip("*"):
        return Universal()  # QRY-13
    if key.vr == "UI":
        return _uid_list(key, value)
    if key.vr == "SQ":
        raise InvalidParameter(key.name, value, "no value: name an attribute of its items")
    if len(value) > MAX_VALUE:
        raise InvalidParameter(key.name, value, f"at most {MAX_VALUE} characters")
    if switches.multiple and "\\" in value and key.vr in MULTIPLE_VRS:
        return _every(key, value)
    if key.path[-1] in _MODALITIES:
        return _modalities(key, value)
    if key.vr in NUMERIC_VRS:
        return Equal((_number(key, value),))
    if key.vr == "PN":
        return _name(value, switches)
    if key.vr in WILDCARD_VRS and ("*" in value or "?" in value):
        return Wildcard((_pattern(value),))
    return Equal((_formed(key, value),))


def _as_stored(key: Key, switches: Switches) -> Condition:
    """The condition of a private attribute: the value read as each VR that it may have.

    As a VR that the value does not satisfy it is read as text, which most of them have. Raises
    InvalidParameter if that cannot be either, and if it is no list of UIDs.
    """
    if (switches.empty and key.value == _EMPTY) or not key.value.rstrip(" ").strip("*"):
        return _condition(key, switches)  # of whatever VR
    try:
        read = dict.fromkeys(_READ_AS_TEXT, _condition(_as(key, "LO"), switches))
    except InvalidParameter:
        with suppress(InvalidParameter):
            return AsStored({"UI": _condition(_as(key, "UI"), switches)})
        raise
    for vr, alike in _READINGS.items():
        with suppress(InvalidParameter):
            read.update(dict.fromkeys(alike, _alone(_as(key, vr), switches)))
    return AsStored(read)


def _as(key: Key, vr: str) -> Key:
    return Key(key.name, key.path, vr, key.value)


def _alone(key: Key, switches: Switches) -> Condition:
    if key.vr in _EXPECTED:
        return _one_range(key, _bounds(key, switches))
    return _condition(key, switches)


def _without_spaces(value: str, vr: str) -> str:
    return value.rstrip(" ") if vr in _INDENTED_VRS else value.strip(" ")


def _formed(key: Key, value: str) -> str:
    """As it is stored, if the VR has one form: an age, a tag in digits of upper case."""
    if key.vr not in _FORMS:
        return value
    form, expected = _FORMS[key.vr]
    if form.fullmatch(value) is None:
        raise InvalidParameter(key.name, value, expected)
    return value.upper()


def _name(value: str, switches: Switches) -> Condition:
    if not any(fold(group) for group in groups(value)):
        return Universal()  # nothing but ^ and =
    wild = "*" in value or "?" in value
    if switches.fuzzy and (words := query_tokens(value)):
        return Fuzzy(words, _pattern(value) if wild else None)
    return Wildcard((_pattern(value),)) if wild else Equal((value,))


def _every(key: Key, value: str) -> Condition:
    """Multiple value matching: no wildcards (PS3.18 §8.3.4.4)."""
    values = [part for each in value.split("\\") if (part := _without_spaces(each, key.vr))]
    if not values or any("*" in each or "?" in each for each in values):
        raise InvalidParameter(key.name, value, "values without wildcards between backslashes")
    return Every(tuple(dict.fromkeys(_formed(key, each) for each in values)))


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
    least, greatest = _whole_numbers(key)
    if not least <= number <= greatest or number != int(number):
        raise InvalidParameter(key.name, value, f"a whole number from {least} to {greatest}")
    return str(int(number))


def _whole_numbers(key: Key) -> tuple[int, int]:
    """The least and the greatest of what a data set may have: some attributes are US or SS, as
    their pixels are (PS3.6)."""
    vrs = [key.vr, *(dictionary.vr_of(key.path[-1]) or "").split(" or ")]
    bounds = [_INTEGERS[vr] for vr in vrs if vr in _INTEGERS]
    return min(least for least, _ in bounds), max(greatest for _, greatest in bounds)


# Dates and times

_EXPECTED = {
    "DA": "a date YYYYMMDD or a range of two, the earlier first",
    "TM": "a time HHMMSS.FFFFFF or a range of two, the earlier first",
    "DT": "a date-time YYYYMMDDHHMMSS.FFFFFF±HHMM or a range of two, the earlier first",
}
_DASH = re.compile(r"-(?!(?:0\d|1[0-2])[0-5]\d(?:-|$))", re.ASCII)
_DAY_BEGINS, _DAY_ENDS = "000000.000000", "235960.999999"


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: str | None
    high: str | None
    is_range: bool  # written as one
    low_clock: str | None = None
    high_clock: str | None = None


def _bounds(key: Key, switches: Switches) -> _Bounds | None:
    """What a date or time, or a range of them, spans (C.2.2.2.5); None for any."""
    value = key.value.strip(" ")
    if not value.strip("*"):
        return None
    zone = switches.local_zone if switches.zone is None else switches.zone
    bounds_of: dict[str, Callable[[str], tuple[str, str] | None]] = {
        "DA": date_bounds,
        "TM": time_bounds,
        "DT": lambda text: date_time_bounds(text, zone),
    }
    first, dash, last = _halves(value, key.vr)
    low = bounds_of[key.vr](first) if first else None
    high = bounds_of[key.vr](last) if last else None
    wrong = (first and low is None) or (last and high is None) or not (first or last)
    if wrong:
        raise InvalidParameter(key.name, value, _EXPECTED[key.vr])
    if not dash:
        assert low is not None
        return _Bounds(*low, False, *_on_clocks(first, key.vr, switches))
    return _Bounds(
        low[0] if low else None,
        high[1] if high else None,
        True,
        _on_clocks(first, key.vr, switches)[0],
        _on_clocks(last, key.vr, switches)[1],
    )


def _on_clocks(text: str, vr: str, switches: Switches) -> tuple[str | None, str | None]:
    """What a clock shows at the ends of a date-time whose zone neither it nor the query names."""
    if vr != "DT" or switches.zone is not None or names_zone(text):
        return None, None
    return date_time_bounds(text, 0) or (None, None)


def _halves(value: str, vr: str) -> tuple[str, str, str]:
    """The two ends of a range; the minus sign of a time zone is no dash (PS3.4 C.2.2.2.5.3).

    "2006-0500" is what has the offset -0500: who means the year 500 for an end can write it with
    the month. A dash before all is one.
    """
    if vr != "DT":
        return value.partition("-")
    if value.startswith("-"):
        return "", "-", value[1:]
    match = _DASH.search(value)
    if match is None:
        return value, "", ""
    return value[: match.start()], "-", value[match.end() :]


def _one_range(key: Key, bounds: _Bounds | None) -> Condition:
    if bounds is None:
        return Universal()
    if bounds.low is not None and bounds.high is not None and bounds.low > bounds.high:
        raise InvalidParameter(key.name, key.value, _EXPECTED[key.vr])
    return Range(bounds.low, bounds.high, bounds.low_clock, bounds.high_clock)


def _dates_and_times(
    day: Path,
    time: Path,
    keys: dict[Path, Key],
    bounds: dict[Path, _Bounds | None],
    zone: int | None,
) -> DateTimeRange | None:
    """A range of dates with a range of times is one interval, from the first time of the first
    day to the last time of the last (C.2.2.2.5.3): the times alone may well be reversed.

    With a time zone, one day and days are intervals too, and others in other zones (MAT-05).
    """
    days, times = bounds.get(day), bounds.get(time)
    if time[-1] == 0 or days is None:
        return None
    # A time on one day is a moment or one interval, a time on each of several days is not.
    # Neither is one where no bound of the times has a day that it could be of.
    together = (
        times is not None
        and (times.is_range if days.is_range else zone is not None)
        and bool((days.low and times.low) or (days.high and times.high))
    )
    if not together and (zone is None or times is not None):
        return None
    first = times.low if times else None
    last = times.high if times else None
    low = None if days.low is None else days.low + (first or _DAY_BEGINS)
    high = None if days.high is None else days.high + (last or _DAY_ENDS)
    if low is not None and high is not None and low > high:
        raise InvalidParameter(keys[day].name, keys[day].value, "a beginning before the end")
    return DateTimeRange(time[-1:], low, high, zone)
