"""Entity tags, and the conditions that name them (RFC 9110 §8.8.3 and §13)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import PreconditionFailed
from dicomweb_server.wire.conditions import (
    boundary_of,
    check_match,
    coded_tag,
    entity_tag,
    is_unmodified,
    range_applies,
)
from dicomweb_server.wire.multipart import check_boundary

TAG = entity_tag("a")
GZIP = coded_tag(TAG, "gzip")

seeds = st.lists(st.text(max_size=5) | st.binary(max_size=5), max_size=4)


@given(seeds, seeds)
def test_a_tag_stands_for_one_seed(one: list[str | bytes], other: list[str | bytes]) -> None:
    def plain(seed: list[str | bytes]) -> list[bytes]:
        return [each if isinstance(each, bytes) else each.encode() for each in seed]

    assert (entity_tag(*one) == entity_tag(*other)) is (plain(one) == plain(other))
    assert re.fullmatch('"[0-9a-f]{32}"', entity_tag(*one))


def test_cch_04_a_coded_tag_is_another() -> None:
    assert coded_tag('"a"', "gzip") == '"a-gzip"'


def test_mp_02_the_boundary_follows_from_the_tag() -> None:
    assert boundary_of(TAG) == boundary_of(TAG) != boundary_of(GZIP)
    assert re.fullmatch("[0-9A-Za-z]{32,70}", check_boundary(boundary_of(TAG)))
    assert boundary_of(TAG) not in TAG


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        (TAG, TAG),
        (f"W/{TAG}", TAG),  # compared weakly
        (f'"x", {TAG}', TAG),
        (f'"x",{GZIP} , W/"y"', GZIP),
        (f"junk, {TAG}", TAG),
        (TAG[1:-1], None),
        ('"x"', None),
        ('"a,b", "', None),
        ("*", TAG),
        (" * ", TAG),
    ],
)
def test_if_none_match(header: str | None, expected: str | None) -> None:
    assert is_unmodified(header, [TAG, GZIP]) == expected


def test_anything_matches_a_star_that_has_no_tag() -> None:
    assert is_unmodified("*", []) == ""
    assert is_unmodified(TAG, []) is None
    check_match("*", [])


@pytest.mark.parametrize("header", [None, "*", TAG, f'"x", {TAG}', GZIP])
def test_if_match_that_holds(header: str | None) -> None:
    check_match(header, [TAG, GZIP])


@pytest.mark.parametrize("header", ['"x"', f"W/{TAG}", "junk", TAG[1:-1]])
def test_if_match_that_fails(header: str) -> None:
    with pytest.raises(PreconditionFailed):
        check_match(header, [TAG, GZIP])


@pytest.mark.parametrize(
    ("header", "applies"),
    [
        (None, True),
        (TAG, True),
        (f" {TAG} ", True),
        (f"W/{TAG}", False),
        (GZIP, False),
        ("Tue, 15 Nov 1994 12:45:26 GMT", False),
    ],
)
def test_if_range(header: str | None, applies: bool) -> None:
    assert range_applies(header, TAG) is applies
    assert range_applies(header, None) is (header is None)


@given(st.text(alphabet='W/"*, abc\t\\\xe9'))
def test_any_text_is_taken(header: str) -> None:
    is_unmodified(header, [TAG])
    range_applies(header, TAG)
    try:
        check_match(header, [TAG])
    except PreconditionFailed:
        assert header.strip() != "*"
