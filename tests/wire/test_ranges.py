"""Range headers: what they ask for, against a plain reading of RFC 9110 §14."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import RangeNotSatisfiable
from dicomweb_server.wire.ranges import MAX_RANGES, Span, parse_range

WHOLE = None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("", WHOLE),
        ("bytes=0-9", [(0, 9)]),
        ("bytes=0-0", [(0, 0)]),
        ("bytes=90-", [(90, 99)]),
        ("bytes=90-1000", [(90, 99)]),
        ("bytes=-10", [(90, 99)]),
        ("bytes=-1000", [(0, 99)]),
        ("bytes=0-", [(0, 99)]),
        ("Bytes = 0-1", [(0, 1)]),
        ("bytes=0-1, 5-6", [(0, 1), (5, 6)]),
        ("bytes=,0-1,,5-6,", [(0, 1), (5, 6)]),
        ("bytes=5-6,0-1", [(5, 6), (0, 1)]),  # the order asked for
        ("bytes=0-1,2-3", [(0, 3)]),  # touch
        ("bytes=10-20,40-50,15-30", [(10, 30), (40, 50)]),
        ("bytes=40-50,15-30,10-20", [(40, 50), (10, 30)]),
        ("bytes=0-99,3-4", [(0, 99)]),
        ("bytes=0-1,200-300", [(0, 1)]),  # what does not exist is left out
        ("bytes=9-1", WHOLE),  # invalid, and the rest with it
        ("bytes=0-1,9-1", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=1", WHOLE),
        ("bytes=1-2-3", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=١-٢", WHOLE),
        ("bytes=" + "9" * 30 + "-", WHOLE),
        ("bytes", WHOLE),
        ("bytes=", WHOLE),
        ("items=0-1", WHOLE),
        ("0-1", WHOLE),
    ],
)
def test_ranges_of_a_hundred_bytes(
    header: str | None, expected: list[tuple[int, int]] | None
) -> None:
    spans = parse_range(header, 100)
    assert (spans and [(span.first, span.last) for span in spans]) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,-0"])
def test_ranges_that_do_not_exist(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        parse_range(header, 100)
    assert refusal.value.total == 100


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_nothing_has_no_ranges(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 0)


def test_too_many_ranges_are_the_whole() -> None:
    def asked(count: int, step: int) -> list[Span] | None:
        return parse_range(
            "bytes=" + ",".join(f"{n}-{n}" for n in range(0, count * step, step)), 9999
        )

    assert len(asked(MAX_RANGES, 2) or ()) == MAX_RANGES
    assert asked(MAX_RANGES + 1, 2) is WHOLE
    assert asked(100, 1) == [Span(0, 99)]  # they are counted when they have been joined
    assert asked(1000, 1) is WHOLE


def test_content_range() -> None:
    assert Span(3, 9).content_range(100) == "bytes 3-9/100"
    assert Span(3, 9).length == 7


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12),
    st.integers(0, 25),
)
def test_every_byte_asked_for_is_sent_once(asked: list[tuple[int, int]], total: int) -> None:
    pairs = [(min(pair), max(pair)) for pair in asked]
    wanted = {at for first, last in pairs for at in range(first, last + 1) if at < total}
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in pairs)
    if not wanted:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, total)
        return
    spans = parse_range(header, total)
    assert spans is not None
    sent = [at for span in spans for at in range(span.first, span.last + 1)]
    assert sorted(sent) == sorted(wanted)
    ordered = sorted(spans, key=lambda span: span.first)
    assert all(a.last + 1 < b.first for a, b in pairwise(ordered))


@given(st.text(alphabet="bytes=0123456789-, \té"), st.integers(0, 100))
def test_any_text_is_spans_the_whole_or_refused(header: str, total: int) -> None:
    try:
        spans = parse_range(header, total)
    except RangeNotSatisfiable:
        return
    for span in spans or ():
        assert 0 <= span.first <= span.last < total
