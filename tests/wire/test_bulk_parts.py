"""Which part a BulkDataURI means: by location as written, by Content-ID, by location resolved."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import Refusal, UnsupportedContent
from dicomweb_server.wire.bulk_parts import JSON, OCTETS, XML, BulkParts, PartType, read_part_type

BASE = "http://host:8080/dicomweb/studies"


def parts_of(*named: PartType) -> BulkParts:
    parts = BulkParts(BASE)
    for number, each in enumerate(named):
        parts.add(number, each)
    return parts


def at(location: str | None = None, content_id: str | None = None) -> PartType:
    return PartType(OCTETS, None, location, content_id)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PartType(JSON)),
        ({"content-type": "image/JPEG; transfer-syntax=1.2"}, PartType("image/jpeg", "1.2")),
        ({"content-type": "application/json"}, PartType(JSON)),
        ({"content-type": XML}, PartType(XML)),
        ({"content-location": "a"}, PartType(OCTETS, None, "a")),
        ({"content-id": "<a>"}, PartType(OCTETS, None, None, "<a>")),
        ({"content-id": "<root>"}, PartType(JSON, None, None, "<root>")),
        ({"content-id": "root", "content-location": "a"}, PartType(JSON, None, "a", "root")),
        ({"content-location": "é".encode().decode("latin-1")}, PartType(OCTETS, None, "é")),
        ({"content-location": "\xe9"}, PartType(OCTETS, None, "\xe9")),
    ],
)
def test_what_a_part_says_it_is(headers: dict[str, str], expected: PartType) -> None:
    assert read_part_type(headers, JSON, "<root>") == expected
    assert read_part_type(headers, JSON, "<root>", first=True) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-id": "<a>"}, PartType(JSON, None, None, "<a>")),
        ({"content-location": "a"}, PartType(JSON, None, "a")),
        ({"content-type": OCTETS, "content-id": "<a>"}, PartType(OCTETS, None, None, "<a>")),
    ],
)
def test_mp_04_without_start_the_first_part_is_the_root(
    headers: dict[str, str], expected: PartType
) -> None:
    assert read_part_type(headers, JSON, first=True) == expected
    assert read_part_type(headers, JSON).media_type == OCTETS


@pytest.mark.parametrize("content_type", ["", "text", ";;", "a/b; c", "\x7f"])
def test_a_type_that_cannot_be_read_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedContent):
        read_part_type({"content-type": content_type}, JSON)


def test_the_order_in_which_names_are_looked_at() -> None:
    parts = parts_of(at(f"{BASE}/a"), at("a"), at("cid:x"), at(None, "<x>"), at(None, "y"))

    assert parts.find("a") == [1]
    assert parts.find(f"{BASE}/a") == [0]
    assert parts.find("cid:x") == [2]
    assert parts.find("cid:y") == parts.find("CID:%79") == [4]
    assert parts.unused(range(5)) == [3]


def test_parts_of_one_name_are_found_in_their_order() -> None:
    parts = parts_of(at("a"), at("b"), at("a"), at(None, "c"), at(None, "<c>"))

    assert parts.find("a") == [0, 2]
    assert parts.find("cid:c") == [3, 4]
    assert parts.find("./a") == [0, 2]
    assert parts.find("./a") is parts.find("./a") is parts.find("a")
    assert not parts.find("d")
    assert not parts.find("././b", resolve=False)
    assert parts.unused(range(5)) == [1]
    assert parts.find("././b") == [1]


def test_locations_that_resolve_to_one_are_one_in_the_order_of_the_request() -> None:
    parts = parts_of(at("./a"), at("b"), at(f"{BASE[:-7]}a"), at("././a"))

    assert parts.find("x/../a") == [0, 2, 3]
    assert parts.find("./a") == [0]
    assert parts.unused(range(4)) == [1]


def test_a_part_that_is_added_later_is_found_by_its_address_too() -> None:
    parts = parts_of(at("a"))
    assert not parts.find("./b")
    parts.add(1, at("b"))
    assert parts.find("./b") == [1]


uris = st.text(min_size=1, max_size=20) | st.sampled_from(
    ["http://[", "//x", "cid:", "cid:%", "\\", "http://a:b/", "urn:x", "?", "#", "%2e%2e/"]
)


@given(locations=st.lists(uris, unique_by=str.strip, max_size=5), wanted=uris)
def test_any_uri_means_parts_or_nothing(locations: list[str], wanted: str) -> None:
    parts = parts_of(*(at(location) for location in locations))
    for number, location in enumerate(locations):
        if location.strip():
            assert number in parts.find(location)
    assert set(parts.find(wanted)) <= set(range(len(locations)))


@given(st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), min_size=1))
def test_a_content_id_is_found_with_and_without_brackets_and_escapes(content_id: str) -> None:
    if not content_id.strip() or content_id.strip() != content_id:
        return
    for written in (content_id, f"<{content_id}>", f" <{content_id}> "):
        parts = parts_of(at(None, written))
        assert parts.find(f"cid:{quote(content_id, safe='')}") == [0]


def test_names_beyond_the_limit_are_not_looked_at() -> None:
    parts = parts_of(at("a" * 5000))
    assert not parts.find("a" * 5000)


@given(
    st.dictionaries(
        st.sampled_from(["content-type", "content-location", "content-id"]),
        st.text(st.characters(max_codepoint=255)),
    ),
    st.text(max_size=5),
    st.booleans(),
)
def test_any_header_block_is_read_or_refused(
    headers: dict[str, str], start: str, first: bool
) -> None:
    try:
        kind = read_part_type(headers, JSON, start, first=first)
    except Refusal as refusal:
        assert isinstance(refusal, UnsupportedContent)
        return
    BulkParts(BASE).add(0, kind)
