"""Values out of a data set of the DICOM JSON Model, whatever a file has in their place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.json_values import first_number, number
from dicomweb_server.dicom.matching import normal_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (1.5, 1.5),
        ("1.5", 1.5),
        (" +12 ", 12),
        ("-.5E-1\0", -0.05),
        ("7.", 7),
        ("1e308", 1e308),
        ("0" * 63 + "1", 1),
    ],
)
def test_a_number_is_one_as_text_too(value: Any, expected: float) -> None:
    assert number(value) == expected
    assert first_number({"00280010": {"vr": "DS", "Value": [value]}}, "00280010") == expected


@pytest.mark.parametrize(
    "value",
    [
        *("1_000", "1_0.5", "\u0661\u0662", "\uff15", "\xb2", "\t5", "5\n", "\u20035", "5\xa0"),
        *("0x10", "1e", "e1", ".", "", " ", "+", "--1", "1 2", "1,5", "1\\2", "1e99999"),
        *("nan", "inf", "Infinity", "1e999", "-1e400", "9" * 65, "1" * 10_000_000),
        *(True, False, None, [], {}, b"5", 10**400, float("nan"), float("-inf")),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_none_is_none(value: Any) -> None:
    """Python's own float() takes underscores and the digits of all scripts."""
    assert number(value) is None


@given(st.text(max_size=12) | st.floats() | st.integers() | st.from_regex(r"[0-9_.eE+-]{1,9}"))
def test_what_is_shown_and_what_is_searched_are_the_same_numbers(value: Any) -> None:
    found, searched = number(value), normal_number(value)
    if found is not None and searched is not None:
        assert found == float(searched)
    if found is not None and len(str(value)) <= 64:
        assert searched is not None
