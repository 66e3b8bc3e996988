"""The suite reads what servers answer strictly: what it takes, and what it calls a deviation."""

from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.suite.http import Answer, media_type
from conformance.suite.json_model import datasets_of, validate
from conformance.suite.model import Deviation
from conformance.suite.multipart import joined, parts_of, split

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)


def answer(body: bytes, content_type: str, whole: bool = True) -> Answer:
    return Answer(200, "OK", [("Content-Type", content_type)], body, "http://x/", whole)


@given(st.lists(st.tuples(TOKENS, st.binary(max_size=200)), min_size=1, max_size=4))
def test_what_is_joined_is_read_again(parts: list[tuple[str, bytes]]) -> None:
    kinds = [(f"application/{name}", data) for name, data in parts]
    kind, body = joined(kinds, kinds[0][0])
    found = parts_of(answer(body, kind), kinds[0][0])
    assert [(part.content_type.name, part.body) for part in found] == kinds


@given(st.binary(max_size=300))
def test_whatever_comes_is_parts_or_a_deviation(body: bytes) -> None:
    with suppress(Deviation):
        split(b"--b\r\n" + body, b"b")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--other\r\n\r\nx\r\n--other--",
        b"--b\r\nContent-Type: a/b\r\n\r\nx",  # no end
        b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--bother--",
        b"--b trailing words\r\nContent-Type: a/b\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Type a/b\r\n\r\nx\r\n--b--",  # no colon
        b"--b\r\nContent-Type: a/b\r\nx\r\n--b--",  # no empty line
    ],
)
def test_a_body_that_breaks_the_grammar(body: bytes) -> None:
    with pytest.raises(Deviation):
        split(body, b"b")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/dicom",
        "multipart/related; boundary=b",
        'multipart/related; type="application/dicom"',
        'multipart/related; type="image/jls"; boundary=b',
        f'multipart/related; type="application/dicom"; boundary={"b" * 71}',
    ],
)
def test_a_content_type_that_is_not_what_it_has_to_be(content_type: str) -> None:
    _, body = joined([("application/dicom", b"x")], "application/dicom", boundary="b")
    with pytest.raises(Deviation):
        parts_of(answer(body, content_type), "application/dicom")


def test_a_body_that_broke_off_is_a_deviation() -> None:
    kind, body = joined([("a/b", b"x")], "a/b")
    with pytest.raises(Deviation):
        parts_of(answer(body, kind, whole=False), "a/b")


def test_media_types_are_read_with_quotes_and_in_any_case() -> None:
    found = media_type(r'Multipart/Related ; TYPE="a/b"; x="say \"y\""')
    assert found.name == "multipart/related"
    assert found.parameters == {"type": "a/b", "x": 'say "y"'}
    for text in ("", "a", "a/b; c", "a/b; c=d; c=e", "a b/c"):
        with pytest.raises(Deviation):
            media_type(text)


GOOD = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}, None]},
    "00181063": {"vr": "DS"},
    "00280009": {"vr": "AT", "Value": ["00181063"]},
    "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["x"]}}, {}]},
    "00720082": {"vr": "SV", "Value": ["-9007199254740993", 5]},
    "7FE00010": {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"},
}


def test_a_data_set_as_annex_f_has_it() -> None:
    validate(GOOD)


@pytest.mark.parametrize(
    ("tag", "attribute"),
    [
        ("0020000d", {"vr": "UI", "Value": ["1.2"]}),  # lower case
        ("00200000", {"vr": "UL", "Value": [4]}),  # a group length
        ("00200010", {"Value": ["x"]}),  # no vr
        ("00200010", {"vr": "XX"}),
        ("00200010", {"vr": "SH", "Value": []}),
        ("00200010", {"vr": "SH", "Value": [""]}),
        ("00200010", {"vr": "SH", "Value": "x"}),
        ("00200010", {"vr": "SH", "Value": [1]}),
        ("00200010", {"vr": "SH", "BulkDataURI": "x"}),
        ("00280010", {"vr": "US", "Value": ["512"]}),
        ("00280010", {"vr": "US", "Value": [True]}),
        ("00282000", {"vr": "OB", "InlineBinary": "???"}),
        ("00282000", {"vr": "OB", "InlineBinary": "AAA=", "BulkDataURI": "x"}),
        ("00282000", {"vr": "OB", "Value": [1, 2]}),
        ("00280009", {"vr": "AT", "Value": [1577059]}),
        ("00321060", {"vr": "PN", "Value": ["A^B"]}),
        ("00321060", {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]}),
        ("00400275", {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "value": ["x"]}}]}),
    ],
)
def test_a_data_set_that_is_none(tag: str, attribute: object) -> None:
    with pytest.raises(Deviation):
        validate(dict(sorted({**GOOD, tag: attribute}.items())))


def test_attributes_out_of_their_order_are_a_deviation() -> None:
    with pytest.raises(Deviation):
        validate(dict(reversed(GOOD.items())))


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[1]", b"", b"[NaN]", b'[{"00080005":{"vr":"CS"},"00080005":{"vr":"CS"}}]', b"\xff"],
)
def test_answers_that_are_no_data_sets(body: bytes) -> None:
    with pytest.raises(Deviation):
        datasets_of(answer(body, "application/dicom+json"))


def test_a_boundary_within_the_data_is_data() -> None:
    boundary = uuid4().hex
    data = f"not a line of its own: --{boundary}\n--{boundary}".encode()
    kind, body = joined([("a/b", data)], "a/b", boundary)
    assert parts_of(answer(body, kind))[0].body == data
