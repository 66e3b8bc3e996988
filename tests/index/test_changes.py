"""The change feed: who follows it misses nothing, whatever is committed when."""

import asyncio
import random

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.changes import read_changes
from dicomweb_server.index.database import open_pool
from dicomweb_server.index.delete import delete
from dicomweb_server.index.instances import find_existing, insert_instances
from dicomweb_server.index.versions import replace_instance
from tests.index.made import new

SCOPE = Scope((1,))
WRITERS = 5


@pytest.fixture
async def url(new_database, template):
    """A database of this test's own: the numbers begin with 1."""
    async with new_database(template) as url:
        yield url


async def write(pool, writer, expected):
    """Store, replace and delete, in studies that others write to as well; note each change."""
    chance = random.Random(writer)
    mine = []
    async with pool.acquire() as conn:
        for turn in range(25):
            study = f"1.{chance.randrange(3)}"
            deed = chance.choice(["stored", "stored", "replaced", "deleted"])
            if deed == "stored" or not mine:
                group = [
                    new(study, f"{study}.{s}", f"9.{writer}.{turn}.{s}")
                    for s in range(1, chance.randrange(2, 4))
                ]
                assert await insert_instances(conn, SCOPE, group) == {}
                triples = [(*g.series_key, g.entry.sop_instance_uid) for g in group]
                expected += [("stored", *triple) for triple in triples]
                mine += triples
            elif deed == "replaced":
                triple = chance.choice(mine)
                held = (await find_existing(conn, 1, [triple[2]]))[triple[2]]
                version = new(*triple, blob_key=f"{writer}/{turn}")
                assert await replace_instance(conn, SCOPE, held, version)
                expected.append(("replaced", *triple))
            else:
                triple = mine.pop(chance.randrange(len(mine)))
                await delete(conn, SCOPE, *triple)
                expected.append(("deleted", *triple))


async def follow(pool, done, page):
    """What a reader sees that asks for what comes after the last it saw, again and again."""
    seen, last = [], 0
    while True:
        over = done.is_set()
        async with pool.acquire() as conn:
            found = await read_changes(conn, SCOPE, last, page)
        seen += found
        last = seen[-1].sequence if seen else 0
        if over and not found:
            return seen
        await asyncio.sleep(0)


async def test_a_reader_misses_nothing_and_sees_numbers_without_gaps(url):
    pool = await open_pool(url, max_size=WRITERS + 2)
    done = asyncio.Event()
    expected = []
    readers = [asyncio.create_task(follow(pool, done, page)) for page in (3, 1000)]

    await asyncio.gather(*(write(pool, writer, expected) for writer in range(WRITERS)))
    done.set()

    for seen in await asyncio.gather(*readers):
        assert [change.sequence for change in seen] == list(range(1, len(seen) + 1))
        told = [
            (change.kind, change.study_instance_uid, change.series_instance_uid, sop)
            for change in seen
            for sop in change.sop_instance_uids
        ]
        assert sorted(told) == sorted(expected)
        for writer in range(WRITERS):  # what one connection did comes in the order of its doing
            prefix = f"9.{writer}."
            assert [t for t in told if t[3].startswith(prefix) and t[0] != "stored"] == [
                t for t in expected if t[3].startswith(prefix) and t[0] != "stored"
            ]
    await pool.close()


async def test_a_transaction_that_is_undone_leaves_no_gap(url):
    pool = await open_pool(url)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1")])
        with pytest.raises(NotFound):
            await delete(conn, SCOPE, "1.1", "1.1.1", "7.7")
        with pytest.raises(RuntimeError):
            async with conn.transaction():
                await conn.execute("SELECT append_changes(1, 'stored', '{1}', '{1}', '{1}')")
                raise RuntimeError
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.2")])
        found = await read_changes(conn, SCOPE, 0, 10)
    assert [change.sequence for change in found] == [1, 2]
    await pool.close()


async def test_a_reader_sees_only_what_lies_within_its_scope(url):
    pool = await open_pool(url)
    async with pool.acquire() as conn:
        await insert_instances(
            conn, SCOPE, [new(f"1.{n}", f"1.{n}.1", f"1.{n}.1.1") for n in range(3)]
        )
        for scope, studies in (
            (Scope((1,), ("1.1",)), ["1.1"]),
            (Scope((1,), ()), []),
            (Scope((2,)), []),
            (SCOPE, ["1.0", "1.1", "1.2"]),
        ):
            found = await read_changes(conn, scope, 0, 10)
            assert [change.study_instance_uid for change in found] == studies
    await pool.close()
