"""Times and rates as they are typed."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.commands.amounts import parse_rate, parse_time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30d", timedelta(days=30)),
        ("24h", timedelta(days=1)),
        ("90m", timedelta(minutes=90)),
        (" 0s", timedelta(0)),
        ("99999d", timedelta(days=99999)),
    ],
)
def test_a_time_is_a_number_and_its_unit(text: str, time: timedelta) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "1.5h", "30 d", "1w", "100000d", "٣d", "1D"]
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30d, 24h or 90m"):
        parse_time(text)


@given(st.text() | st.from_regex(r"[0-9]{1,7}[dhms]", fullmatch=True))
def test_any_text_is_a_time_before_now_or_refused(text: str) -> None:
    with suppress(typer.BadParameter):
        assert datetime.now(UTC) - parse_time(text) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "rate"), [("50MiB", 50 << 20), ("1000", 1000), ("2MB/s", 2_000_000), ("1.5KiB", 1536)]
)
def test_a_rate_is_a_size(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-5MiB", "fast", "MiB", "nan", "1e400", "20%", "1,5MiB"])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="50MiB"):
        parse_rate(text)
