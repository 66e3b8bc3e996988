"""Text of the DICOM JSON Model, from whoever sends it."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.json_model import parse_json_datasets
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


@given(st.binary(max_size=40) | json_datasets().map(orjson.dumps))
def test_any_bytes_are_data_sets_or_refused(text: bytes) -> None:
    with contextlib.suppress(Refusal):
        found = parse_json_datasets(text)
        assert all(isinstance(dataset, dict) for dataset in found)
