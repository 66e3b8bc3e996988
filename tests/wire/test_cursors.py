"""Cursors: what leads from one page of a search to the next."""

import contextlib
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.cursors import make_cursor, next_query, read_cursor

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
places = st.lists(st.none() | texts | st.integers(-(2**63), 2**63 - 1), max_size=9).map(tuple)


@given(places, texts)
def test_a_cursor_leads_to_the_place_it_was_made_of(
    place: tuple[int | str | None, ...], orderby: str
) -> None:
    cursor = make_cursor(place, orderby)

    assert read_cursor(cursor, orderby) == place
    assert quote(cursor, safe="") == cursor  # nothing in it means anything in a URL
    with pytest.raises(InvalidParameter):
        read_cursor(cursor, orderby + "x")


def test_a_cursor_of_a_long_order_leads_on_too() -> None:
    orderby = "-StudyDate" + "\r\n" * 20_000

    assert read_cursor(make_cursor(("20240102",), orderby), orderby) == ("20240102",)


@given(st.text() | st.text("WyIiLDFd-_=A", max_size=20), st.sampled_from(["", "StudyDate"]))
def test_any_text_is_a_cursor_or_refused(text: str, orderby: str) -> None:
    with contextlib.suppress(InvalidParameter):
        for value in read_cursor(text, orderby):
            assert value is None or type(value) in (int, str)


names = st.sampled_from(["PatientName", "limit", "orderby", "includefield", "x"])


@given(st.lists(st.tuples(names, texts), max_size=4), st.booleans())
def test_the_next_page_is_of_the_same_search(pairs: list[tuple[str, str]], plain: bool) -> None:
    asked = "&".join(f"{name}={quote(value, safe='' if plain else '/,*')}" for name, value in pairs)
    query_string = next_query(f"offset=3&{asked}&cursor=old&of%66set=1".encode(), (1, "a"), "x")

    assert query_string.isascii()
    assert not set(query_string) & set('<> "\r\n')
    *same, (name, cursor) = parse_qsl(query_string, keep_blank_values=True)
    assert same == pairs
    assert (name, read_cursor(cursor, "x")) == ("cursor", (1, "a"))


def test_what_is_not_encoded_is_encoded_in_a_link() -> None:
    query_string = next_query('PatientName=é"<>&x=a b'.encode(), (), "")

    assert query_string.startswith("PatientName=%C3%A9%22%3C%3E&x=a%20b&cursor=")
