"""A JSON array that is kept in runs is the array that its elements make, in either coding."""

import gzip
import os
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.wire.array_runs import PIECE, ArrayRun, JoinedArray, array_length

texts = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5)


def joined(runs: list[ArrayRun], coding: str) -> bytes:
    array = JoinedArray(coding)
    pieces = [piece for run in runs for piece in array.add(run)]
    return b"".join([*pieces, array.finish()])


@given(elements=st.lists(texts, min_size=1, max_size=6))
def test_runs_are_joined_to_the_array_of_all_their_elements(elements: list[list[bytes]]) -> None:
    runs = [ArrayRun.of_bytes(ArrayRun.of_texts(each).to_bytes()) for each in elements]
    expected = b"[" + b",".join(text for each in elements for text in each) + b"]"

    plain, packed = joined(runs, "identity"), joined(runs, "gzip")
    assert plain == expected
    assert len(plain) == array_length(runs, "identity")
    assert len(packed) == array_length(runs, "gzip")
    member = zlib.decompressobj(31)  # one member, as browsers read no second; checks the checksum
    assert member.decompress(packed) == expected
    assert member.eof and not member.unused_data


def test_a_run_may_follow_itself() -> None:
    run = ArrayRun.of_texts([b'{"a":1}' * 9999])
    assert gzip.decompress(joined([run] * 3, "gzip")) == joined([run] * 3, "identity")


@pytest.mark.parametrize("made", [bytes, os.urandom, lambda size: b"0123456789" * (size // 10)])
def test_nothing_is_left_where_a_piece_is_full(made: Callable[[int], bytes]) -> None:
    for size in range(2 * PIECE - 300, 2 * PIECE + 30):
        text = made(size)
        array = JoinedArray("identity")
        run = ArrayRun.of_texts([text[:PIECE], text[PIECE:]])
        assert b"".join(array.add(run)) + array.finish() == b"[" + text[:PIECE] + b"," + (
            text[PIECE:] + b"]"
        )


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_piece_stays_small_however_much_a_byte_stands_for(coding: str) -> None:
    run = ArrayRun.of_texts([bytes(50 << 20)])
    assert len(run.deflated) < PIECE
    assert max(map(len, JoinedArray(coding).add(run))) <= PIECE
