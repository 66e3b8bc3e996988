"""Runs hold the instances of a resource in order, and change only where something changes."""

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.marks import ROW_ID
from dicomweb_server.index.metadata_runs import (
    ENDING,
    LARGEST,
    LONGEST,
    Run,
    list_runs,
    read_runs,
    rows_of,
    runs_of,
)
from dicomweb_server.index.retrieve import read_metadata
from tests.index.made import new

SCOPE = Scope((1,))
COUNT = 300


def instance(number, series="1.1"):
    return new("1", series, f"{series}.{number}", of_instance={"InstanceNumber": number % 90})


@pytest.fixture
async def stored(conn):
    group = [instance(n, series) for series in ("1.1", "1.2") for n in range(COUNT)]
    await insert_instances(conn, SCOPE, group)
    return conn


async def uids_in(conn, runs, study="1"):
    found = []
    there = await read_runs(conn, SCOPE, study, runs)
    for run in runs:
        rows, same = rows_of(run, there)
        assert same
        assert len(rows) == run.count
        assert sum(len(row.packed) for row in rows) == run.packed
        found += rows
    return found


@pytest.mark.parametrize("series", [None, "1.2"])
async def test_wado_11_runs_hold_all_that_pages_hold(stored, series):
    runs = await list_runs(stored, SCOPE, "1", series)
    assert await uids_in(stored, runs) == (await read_metadata(stored, SCOPE, "1", series)).items
    assert all(1 <= run.count <= LONGEST for run in runs)
    assert COUNT // LONGEST < len(runs) < COUNT // 4
    assert len({run.digest for run in runs}) == len(runs)
    assert await list_runs(stored, SCOPE, "1", series) == runs


CHANGES = [
    "UPDATE instances SET sha256 = sha256(sha256) WHERE sop_instance_uid = '1.1.50'",
    "UPDATE instances SET stored_at = stored_at + interval '1 us' "
    "WHERE sop_instance_uid = '1.1.50'",
    r"UPDATE instances SET metadata = metadata || '\x00' WHERE sop_instance_uid = '1.1.50'",
    "DELETE FROM instances WHERE sop_instance_uid = '1.1.50'",
    "UPDATE instances SET instance_number = 70 WHERE sop_instance_uid = '1.1.50'",
]


@pytest.mark.parametrize("change", [*CHANGES, None])
async def test_a_change_shows_in_the_run_that_it_stands_in(stored, change):
    before = await list_runs(stored, SCOPE, "1")
    if change is None:
        await insert_instances(stored, SCOPE, [instance(1000)])
    else:
        await stored.execute(change)
    after = await list_runs(stored, SCOPE, "1")

    new_digests = {run.digest for run in after} - {run.digest for run in before}
    assert 1 <= len(new_digests) <= 4  # a run that is cut for its length is followed by another
    await uids_in(stored, after)


@pytest.mark.parametrize(("change", "left_out"), [*zip(CHANGES[:4], (0, 0, 0, 1), strict=True)])
async def test_a_run_that_was_listed_before_tells_that_it_is_another_now(stored, change, left_out):
    before = await list_runs(stored, SCOPE, "1")
    [row_id] = await stored.fetchrow("SELECT id FROM instances WHERE sop_instance_uid = '1.1.50'")
    await stored.execute(change)

    there = await read_runs(stored, SCOPE, "1", before)
    for run in before:
        rows, same = rows_of(run, there)
        changed = row_id in run.row_ids
        assert same is not changed
        assert len(rows) == run.count - (left_out if changed else 0)


async def test_what_is_out_of_scope_is_not_found(stored):
    for scope in (Scope((2,)), Scope((1,), ()), Scope((1,), ("2",))):
        with pytest.raises(NotFound):
            await list_runs(stored, scope, "1")
    for uids in (("2",), ("1", "1.3")):
        with pytest.raises(NotFound):
            await list_runs(stored, SCOPE, *uids)
    [run, *_] = await list_runs(stored, SCOPE, "1")
    assert await read_runs(stored, Scope((2,)), "1", [run]) == {}
    assert rows_of(run, {}) == ([], False)


async def test_a_run_has_a_limit_in_bytes_but_one_row_at_least(conn):
    sizes = [0.4, 0.4, 0.4, 3, 0.1, 2, 2, 0.2]  # times LARGEST
    for number, size in enumerate(sizes):
        one = new("1", "1.1", f"1.1.{number}", of_instance={"InstanceNumber": number})
        packed = bytes([number]) * int(size * LARGEST)
        await insert_instances(
            conn, SCOPE, [replace(one, entry=replace(one.entry, metadata=packed))]
        )

    runs = await list_runs(conn, SCOPE, "1")
    assert [row.packed[0] for row in await uids_in(conn, runs)] == list(range(len(sizes)))
    assert all(run.count == 1 or run.packed < 4 * LARGEST for run in runs)


marks = st.tuples(
    st.binary(min_size=ROW_ID + 31, max_size=ROW_ID + 31),
    st.integers(0, 20) | st.integers(0, 255),
    st.binary(min_size=8, max_size=8),
    st.sampled_from([0, 1000, LARGEST // 3, LARGEST, 2**32 - 1]),
)


@given(st.lists(marks, max_size=200), st.booleans())
def test_runs_end_where_the_files_in_them_say(given_marks, never):
    texts = [
        head + bytes([ENDING if never else last]) + at + struct.pack(">I", size)
        for head, last, at, size in given_marks
    ]
    expected, run = [], []
    for text in texts:
        run.append(text)
        packed = sum(int.from_bytes(each[-4:]) for each in run)
        if text[ROW_ID + 31] < ENDING or len(run) == LONGEST or packed >= LARGEST:
            expected.append(run)
            run = []
    expected += [run] if run else []

    assert runs_of(b"".join(texts)) == [
        Run(
            hashlib.sha256(b"".join(run)).digest(),
            sum(int.from_bytes(each[-4:]) for each in run),
            b"".join(each[:ROW_ID] for each in run),
        )
        for run in expected
    ]
