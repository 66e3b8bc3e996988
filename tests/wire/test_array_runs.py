"""A JSON array that is kept in runs is the array that its elements make, in either coding."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.wire.array_runs import ArrayRun, JoinedArray, array_length

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


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_piece_stays_small_however_much_a_byte_stands_for(coding: str) -> None:
    run = ArrayRun.of_texts([bytes(50 << 20)])
    assert len(run.deflated) < 1 << 18
    assert max(map(len, JoinedArray(coding).add(run))) <= 1 << 18
