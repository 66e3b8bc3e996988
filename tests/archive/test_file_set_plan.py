"""Batches of instances whose directory records are made by a worker at a time."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.archive.file_set_plan import batches_of
from dicomweb_server.index.file_set import File

MOST, MOST_BYTES = 100, 1 << 20


def files_of(sizes: list[int]) -> list[File]:
    return [File(cast("Any", number), bytes(size)) for number, size in enumerate(sizes)]


@given(st.lists(st.sampled_from([10, 9_000, 300_000, MOST_BYTES, 2 * MOST_BYTES]), max_size=250))
def test_all_in_their_order_in_messages_that_are_soon_put_together(sizes: list[int]) -> None:
    files = files_of(sizes)
    batches = list(batches_of(files))

    assert [file for batch in batches for file in batch] == files
    for batch in batches:
        assert 0 < len(batch) <= MOST
        assert len(batch) == 1 or sum(len(file.packed) for file in batch) <= MOST_BYTES


def test_small_ones_go_a_hundred_at_a_time() -> None:
    assert [len(batch) for batch in batches_of(files_of([100] * 250))] == [100, 100, 50]
