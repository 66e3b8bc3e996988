"""Text of the DICOM JSON Model, from whoever sends it."""

import contextlib
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.json_model import MAX_NUMBERS, parse_json_datasets
from dicomweb_server.errors import ContentTooLarge, MalformedContent, Refusal
from tests.strategies import json_datasets

_DATASET = {"00100020": {"vr": "LO", "Value": ["é"]}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[]", []),
        (orjson.dumps([_DATASET, {}]), [_DATASET, {}]),
        (orjson.dumps(_DATASET), [_DATASET]),
        (b"\xef\xbb\xbf[{}]", [{}]),
        (b'{"00080005": 1, "00080005": 2}', [{"00080005": 2}]),
    ],
)
def test_an_array_of_objects_or_one_object_are_data_sets(text: bytes, expected: Any) -> None:
    assert parse_json_datasets(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[{}",
        b"[{}] [{}]",
        b"[1]",
        b"[[{}]]",
        b"null",
        b'"Secret"',
        b'[{"a": Secret}]',
        b'[{"a": NaN}]',
        b'[{"a": -Infinity}]',
        b'[{"a": 1e400}]',
        b'[{"a": "\\ud800"}]',
        b'[{"a": "\xff"}]',
        b'[{"a": "\x00"}]',
        b"[{'a': 1}]",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedContent) as refusal:
        parse_json_datasets(text)
    assert "Secret" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


def test_text_beyond_the_limit_is_refused() -> None:
    text = orjson.dumps([_DATASET])
    assert parse_json_datasets(text, len(text)) == [_DATASET]
    with pytest.raises(ContentTooLarge, match="more than 40 bytes"):
        parse_json_datasets(text, 40)


def test_many_small_objects_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(ContentTooLarge, match="more than 4000000 objects and arrays"):
        parse_json_datasets(b"[" + b"{}," * 4_000_000 + b"{}]")


def test_many_numbers_are_refused_unless_doubles_hold_them_all() -> None:
    """Read digit by digit, 64 MB of them would take a worker half a minute, and 1.7 GiB."""
    many = b'[{"00181041":{"vr":"DS","Value":[' + b"1.5," * MAX_NUMBERS + b"0.3333333333333333]}"
    [dataset] = parse_json_datasets(
        many + b',"00204000":{"vr":"LT","Value":["at: 1.2.840.10008.1.1"]}}]'
    )
    assert len(dataset["00181041"]["Value"]) == MAX_NUMBERS + 1
    with pytest.raises(ContentTooLarge, match="more than 1000000 numbers"):
        parse_json_datasets(many + b',"00181041":{"vr":"DS","Value":[0.333333333333333333333]}}]')


@given(st.binary(max_size=40) | json_datasets().map(orjson.dumps))
def test_any_bytes_are_data_sets_or_refused(text: bytes) -> None:
    with contextlib.suppress(Refusal):
        found = parse_json_datasets(text)
        assert all(isinstance(dataset, dict) for dataset in found)


LONG = "123456789012345678901234567890"


@pytest.mark.parametrize(
    ("vr", "token", "expected"),
    [
        ("IS", LONG, LONG),
        ("DS", LONG, LONG),
        ("SV", "-9223372036854775809", "-9223372036854775809"),
        ("UV", "18446744073709551615", 2**64 - 1),
        ("UV", "18446744073709551615.0", "18446744073709551615.0"),
        ("US", LONG, 1.2345678901234568e29),  # too large either way
        ("US", "1.00000000000000000001", "1.00000000000000000001"),
        ("FD", LONG, 1.2345678901234568e29),
        ("FL", "0.10000000000000000555", 0.1),
        ("LO", LONG, 1.2345678901234568e29),
        ("DS", "0.30000000000000004", 0.30000000000000004),
        ("DS", "1.00000000000000000001", "1.00000000000000000001"),
        ("DS", "0.1000000000000000000", 0.1),
        ("DS", "9007199254740993e0", "9007199254740993e0"),
        ("DS", "1e-400", "1e-400"),
        ("DS", "-1.5E-400", "-1.5E-400"),
        ("DS", "1e-300", 1e-300),
    ],
)
@pytest.mark.parametrize("space", ["", " ", "\r\n\t"])
def test_numbers_that_would_be_others_are_kept_as_text(
    vr: str, token: str, expected: Any, space: str
) -> None:
    value = f'{{"vr":"{vr}","Value":[1.5,{space}{token}{space}]}}'
    for text in (value, f'{{"vr":"SQ","Value":[{{"00091001":{value}}},{{}}]}}'):
        [dataset] = parse_json_datasets(f'{{"00091002":{text},"0009100A":{{}}}}'.encode())
        found = dataset["00091002"]["Value"]
        found = found[0]["00091001"]["Value"] if "SQ" in text else found
        assert found == [1.5, expected]
        assert [type(each) for each in found] == [float, type(expected)]


def test_the_dictionary_tells_which_numbers_are_text() -> None:
    text = ",".join(f'"{name}":{{"Value":[{LONG}]}}' for name in ("00200013", "0018605a", "x"))
    text = f"{{{text}}}"
    [dataset] = parse_json_datasets(text.encode())
    assert [each["Value"] for each in dataset.values()] == [[LONG], [float(LONG)], [float(LONG)]]


def test_numbers_where_there_are_to_be_none_are_plain() -> None:
    for text in (f'{{"a":{LONG}}}', f'{{"a":{{"vr":"DS","b":{LONG}}}}}'):
        assert parse_json_datasets(text.encode()) == [orjson.loads(text)]
        assert orjson.dumps(parse_json_datasets(text.encode()))


@given(st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["", " "]))
def test_any_number_in_text_is_that_number(number: Decimal, space: str) -> None:
    text = f'{{"00181041":{{"vr":"DS","Value":[{space}{number}]}}}}'
    try:
        [dataset] = parse_json_datasets(text.encode())
    except MalformedContent:
        assert abs(number) > Decimal("1.7e308")
        return
    [value] = dataset["00181041"]["Value"]
    assert Decimal(value if isinstance(value, str) else repr(value)) == number


def test_long_numbers_however_deep_are_read_or_refused() -> None:
    text = b'{"a":[' * 510 + LONG.encode() + b"]}" * 510
    with contextlib.suppress(Refusal):
        parse_json_datasets(text)
