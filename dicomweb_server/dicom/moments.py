"""Dates, times and date-times as they are compared (PS3.5 §6.2 DA, TM, DT; MAT-01, MAT-05).

Normal forms sort as text: dates YYYYMMDD, times HHMMSS.FFFFFF, date-times both, one after the
other. A value of reduced precision stands for its whole interval.
"""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta

_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", re.ASCII)
_TIME = re.compile(
    r"([01]\d|2[0-3])(?:(?P<colon>:?)([0-5]\d)(?:(?P=colon)([0-5]\d|60)(?:\.(\d{1,6}))?)?)?",
    re.ASCII,
)
_DATE_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?",
    re.ASCII,
)
_ZONE = re.compile(r"([+-])(\d\d)([0-5]\d)", re.ASCII)
_PADDING = " \0"
_LEAST_ZONE, _GREATEST_ZONE = -12 * 60, 14 * 60  # minutes (PS3.5 §6.2)
_FORMAT = "%Y%m%d%H%M%S.%f"


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
    match = _TIME.fullmatch(text.strip(_PADDING))
    if match is None:
        return None
    hours, minutes, seconds, fraction = match[1], match[3], match[4], match[5]
    low = f"{hours}{minutes or '00'}{seconds or '00'}.{(fraction or '').ljust(6, '0')}"
    high = f"{hours}{minutes or '59'}{seconds or '59'}.{(fraction or '').ljust(6, '9')}"
    return low, high


def zone_of(text: str) -> int | None:
    """A Timezone Offset From UTC, ±HHMM, in minutes east; None if it is none."""
    match = _ZONE.fullmatch(text.strip(_PADDING))
    if match is None:
        return None
    minutes = (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1)
    return minutes if _LEAST_ZONE <= minutes <= _GREATEST_ZONE else None


def names_zone(text: str) -> bool:
    """Whether a DT has an offset of its own."""
    match = _DATE_TIME.fullmatch(text.strip(_PADDING))
    return match is not None and match[8] is not None


def date_time_bounds(text: str, zone: int) -> tuple[str, str] | None:
    """The first and last moment, YYYYMMDDHHMMSS.FFFFFF in UTC, that a DT denotes.

    `zone` is meant where it names none, in minutes east of UTC. None if it is no date-time.
    """
    match = _DATE_TIME.fullmatch(text.strip(_PADDING))
    if match is None:
        return None
    year, month, day, hours, minutes, seconds, fraction, offset = match.groups()
    if offset is not None:
        named = zone_of(offset)
        if named is None:
            return None
        zone = named
    seconds = "59" if seconds == "60" else seconds  # no clock of ours knows a leap second
    try:
        last = f"{monthrange(int(year), int(month or 12))[1]:02}"
        low = f"{year}{month or '01'}{day or '01'}{hours or '00'}{minutes or '00'}{seconds or '00'}"
        high = f"{year}{month or 12}{day or last}{hours or 23}{minutes or 59}{seconds or 59}"
        fraction = fraction or ""
        return (
            moved(f"{low}.{fraction.ljust(6, '0')}", -zone),
            moved(f"{high}.{fraction.ljust(6, '9')}", -zone),
        )
    except ValueError:
        return None


def normal_date_time(text: str, zone: int) -> str | None:
    """The first moment that a stored DT denotes, as `date_time_bounds` has it."""
    bounds = date_time_bounds(text, zone)
    return None if bounds is None else bounds[0]


def moved(moment: str, minutes: int) -> str:
    """A moment YYYYMMDDHHMMSS.FFFFFF by so many minutes later; at the ends of the calendar it
    stays there. Raises ValueError if it is none."""
    leap = moment[12:14] == "60"
    then = datetime.strptime(moment[:12] + "59" + moment[14:] if leap else moment, _FORMAT)
    try:
        then += timedelta(minutes=minutes)
    except OverflowError:
        then = datetime.max if minutes > 0 else datetime.min
    text = f"{then.year:04}{then:%m%d%H%M%S}.{then.microsecond:06}"
    return text[:12] + "60" + text[14:] if leap else text
