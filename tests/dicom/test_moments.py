"""Dates, times and date-times as they are compared (PS3.5 §6.2, MAT-01, MAT-05)."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.moments import (
    date_bounds,
    date_time_bounds,
    moved,
    normal_date,
    normal_date_time,
    normal_time,
    time_bounds,
    zone_of,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("20060705", "20060705"),
        ("2006.07.05", "20060705"),
        ("20060705  ", "20060705"),
        ("20240229", "20240229"),
        ("20230229", None),
        ("00000000", None),
        ("99991399", None),
        ("2006", None),
        ("2006-07-05", None),
        ("2006.0705", None),
        ("٢٠٠٦٠٧٠٥", None),
        ("", None),
    ],
)
def test_mat_01_dates(text: str, normal: str | None) -> None:
    assert normal_date(text) == normal
    assert date_bounds(text) == (None if normal is None else (normal, normal))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10", "100000.000000", "105959.999999"),
        ("1030", "103000.000000", "103059.999999"),
        ("103015", "103015.000000", "103015.999999"),
        ("103015.5", "103015.500000", "103015.599999"),
        ("103015.123456", "103015.123456", "103015.123456"),
        ("10:30:15", "103015.000000", "103015.999999"),
        ("10:30", "103000.000000", "103059.999999"),
        ("235960", "235960.000000", "235960.999999"),
        ("1030 ", "103000.000000", "103059.999999"),
    ],
)
def test_mat_01_a_time_of_reduced_precision_is_its_whole_interval(
    text: str, low: str, high: str
) -> None:
    assert time_bounds(text) == (low, high)
    assert normal_time(text) == low


@pytest.mark.parametrize("text", ["", "1", "24", "1060", "103061", "10:3015", "1030.5", "103015."])
def test_mat_01_what_is_no_time(text: str) -> None:
    assert time_bounds(text) is None
    assert normal_time(text) is None


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("+0000", 0),
        ("+0100", 60),
        ("-0330", -210),
        ("+1400", 840),
        ("-1200", -720),
        ("+0545 ", 345),
        ("+1401", None),
        ("-1201", None),
        ("+2500", None),
        ("+0160", None),
        ("0100", None),
        ("+1", None),
        ("+٠١٠٠", None),
        ("", None),
    ],
)
def test_zones_are_minutes_east(text: str, zone: int | None) -> None:
    assert zone_of(text) == zone


@pytest.mark.parametrize(
    ("text", "zone", "low", "high"),
    [
        ("2006", 0, "20060101000000.000000", "20061231235959.999999"),
        ("200602", 0, "20060201000000.000000", "20060228235959.999999"),
        ("200402", 0, "20040201000000.000000", "20040229235959.999999"),
        ("20060705", 0, "20060705000000.000000", "20060705235959.999999"),
        ("2006070510", 0, "20060705100000.000000", "20060705105959.999999"),
        ("200607051030", 0, "20060705103000.000000", "20060705103059.999999"),
        ("20060705103015", 0, "20060705103015.000000", "20060705103015.999999"),
        ("20060705103015.25", 0, "20060705103015.250000", "20060705103015.259999"),
        ("20060705103060", 0, "20060705103059.000000", "20060705103059.999999"),
        ("20060705", 60, "20060704230000.000000", "20060705225959.999999"),
        ("20060705-0500", 60, "20060705050000.000000", "20060706045959.999999"),
        ("2006-0500", 0, "20060101050000.000000", "20070101045959.999999"),
        ("20060705103015+1400", 0, "20060704203015.000000", "20060704203015.999999"),
        ("0001", 840, "00010101000000.000000", "00011231095959.999999"),  # no earlier day
    ],
)
def test_mat_01_a_date_time_of_reduced_precision_is_its_whole_interval(
    text: str, zone: int, low: str, high: str
) -> None:
    assert date_time_bounds(text, zone) == (low, high)
    assert normal_date_time(text, zone) == low


@pytest.mark.parametrize(
    "text",
    [
        *("", "200", "20061", "20061301", "20060230", "2006070524", "20060705103061", "0000"),
        *("20060705103015.", "20060705+1401", "20060705-1201", "20060705Z", "2006-07-05", "٢٠٠٦"),
    ],
)
def test_what_is_no_date_time(text: str) -> None:
    assert date_time_bounds(text, 0) is None
    assert normal_date_time(text, 0) is None


# Properties

moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))
zones = st.integers(-720, 840)


def written(moment: datetime) -> str:
    return f"{moment.year:04}{moment:%m%d%H%M%S.%f}"


def offset(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


@given(zones)
def test_a_zone_reads_as_it_was_written(minutes: int) -> None:
    assert zone_of(offset(minutes)) == minutes


@given(moments, zones, st.none() | zones)
def test_mat_05_a_date_time_is_a_moment_in_utc(
    moment: datetime, zone: int, named: int | None
) -> None:
    text = written(moment) + ("" if named is None else offset(named))
    here = timezone(timedelta(minutes=zone if named is None else named))
    utc = written(moment.replace(tzinfo=here).astimezone(UTC).replace(tzinfo=None))

    assert date_time_bounds(text, zone) == (utc, utc)


@given(moments, st.sampled_from([4, 6, 8, 10, 12, 14, 16, 19]), zones)
def test_a_moment_is_within_each_of_its_shorter_forms(
    moment: datetime, length: int, zone: int
) -> None:
    exact = normal_date_time(written(moment), zone)
    bounds = date_time_bounds(written(moment)[:length], zone)

    assert exact is not None
    assert bounds is not None
    assert bounds[0] <= exact <= bounds[1]


@given(st.times(), st.sampled_from([2, 4, 6, 8, 11, 13]))
def test_a_time_is_within_each_of_its_shorter_forms(time: object, length: int) -> None:
    text = f"{time:%H%M%S.%f}"
    bounds = time_bounds(text[:length])

    assert bounds is not None
    assert bounds[0] <= text <= bounds[1]
    assert normal_time(text) == text


@given(moments, st.integers(-(10**6), 10**6))
def test_moving_there_and_back_leads_back(moment: datetime, minutes: int) -> None:
    there = moved(written(moment), minutes)

    assert re.fullmatch(r"\d{14}\.\d{6}", there)
    if not there.startswith(("0001", "9999")):  # where the calendar ends it does not
        assert moved(there, -minutes) == written(moment)
        assert there == written(moment + timedelta(minutes=minutes))


def test_moving_ends_where_the_calendar_does_and_keeps_leap_seconds() -> None:
    assert moved("00010101000000.000000", -1) == "00010101000000.000000"
    assert moved("99991231235959.999999", 1) == "99991231235959.999999"
    assert moved("20060705235960.500000", 60) == "20060706005960.500000"


@given(st.text(max_size=20) | st.text("0123456789.:+- ", max_size=24), zones)
def test_any_text_is_a_normal_value_or_none(text: str, zone: int) -> None:
    assert re.fullmatch(r"\d{8}", normal_date(text) or "00000000")
    assert re.fullmatch(r"\d{6}\.\d{6}", normal_time(text) or "000000.000000")
    assert re.fullmatch(r"\d{14}\.\d{6}", normal_date_time(text, zone) or "0" * 14 + ".000000")
    for bounds in (date_bounds(text), time_bounds(text), date_time_bounds(text, zone)):
        assert bounds is None or bounds[0] <= bounds[1]
