"""A database of an earlier version becomes what the new version would have made of its files,
while others read it and write it."""

import asyncio
import sys
import time

import asyncpg
import pytest

from dicomweb_server.dicom.packing import unpack_document
from dicomweb_server.dicom.query import Level, Returned, SearchQuery
from dicomweb_server.index import fill_documents as filling
from dicomweb_server.index.delete import delete
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.migrate import migrate
from dicomweb_server.index.progress import read_progress
from dicomweb_server.index.search import find
from tests.index import earlier
from tests.index.compared import (
    GENERATED,
    SCOPE,
    SINCE_2,
    assert_equal,
    dump,
    fill_new,
    fill_old,
    multiply,
    replace_new,
    replacing,
    searches,
)
from tests.index.earlier import OLD_RETRIEVE, OLD_SEARCH, file_of, files, one, only_steps

FILL = 5  # the step that fills
CONTRACTION = 8  # the step that takes away what earlier servers search


async def connect_to(url):
    """As the server's pools do: to compile statements takes longer than to run them."""
    return await asyncpg.connect(url, server_settings={"jit": "off"})


@pytest.fixture
async def conns(new_database, template):
    """Connections to an empty database without a schema, and to one with it."""
    async with new_database() as old_url, new_database(template) as new_url:
        old, new = await connect_to(old_url), await connect_to(new_url)
        yield old, new
        await old.close()
        await new.close()


@pytest.fixture
async def url(new_database):
    """The URL of an empty database without a schema."""
    async with new_database() as url:
        yield url


@pytest.fixture
async def opened(url):
    """Makes connections to that database."""
    made = []

    async def connect():
        made.append(await connect_to(url))
        return made[-1]

    yield connect
    for conn in made:
        await conn.close()


@pytest.mark.parametrize("step", [1, 2])
async def test_an_earlier_database_becomes_what_the_new_version_makes(conns, step):
    old, new = conns
    await fill_old(old, step, files())
    await fill_new(new, files())
    if step == 2:
        # The first of its study and series: what it says now is what they say.
        for again in replacing():
            await earlier.replace(old, again)
            await replace_new(new, again)
    heard = []

    await migrate(old, heard.append)

    upgraded, expected = await dump(old), await dump(new)
    assert upgraded["progress"] == []
    assert expected["institution_totals"][0]["instances"] == len(files())
    assert_equal(upgraded, expected, SINCE_2 if step == 1 else frozenset())
    assert await searches(old) == await searches(new)
    assert any(f"{len(files())} instances done" in what for what in heard)


async def test_what_was_kept_comes_from_the_instance_that_gave_it(conns):
    """The instance that gave a study its attributes is gone: those stay, others come from the
    first that is left."""
    old, _ = conns
    stored = earlier.made_files()[:3]
    await fill_old(old, 2, map(file_of, stored))
    await old.execute("DELETE FROM instances WHERE sop_instance_uid = '2.1.1.1'")

    await migrate(old)

    query = SearchQuery(Level.STUDY)
    [study] = await find(old, SCOPE, query, Returned(frozenset({Level.STUDY})))
    document = unpack_document(study.documents[Level.STUDY]).decode()
    assert '"Value":["A2"]' in document  # Admission ID, newly kept
    assert "late" not in document  # Patient Comments, kept before: the first had none


async def test_rows_without_instances_do_not_hold_it_up(conns):
    old, _ = conns
    await fill_old(old, 2, files()[:20])
    await old.execute("DELETE FROM instances")

    await migrate(old)

    assert await old.fetchval("SELECT count(*) FROM studies") > 5
    assert await old.fetchval("SELECT bool_and(sop_classes = '{}') FROM series")


async def test_batches_of_any_size_make_no_difference(conns, monkeypatch):
    old, new = conns
    monkeypatch.setattr(filling, "BATCH", 3)
    monkeypatch.setattr(filling, "BATCH_BYTES", 1000)
    await fill_old(old, 2, files())
    await fill_new(new, files())
    await migrate(old)
    assert_equal(await dump(old), await dump(new))


async def test_an_upgrade_that_is_cancelled_is_gone_on_with(opened, conns, monkeypatch):
    _, new = conns
    monkeypatch.setattr(filling, "BATCH", 4)
    first = await opened()
    await fill_old(first, 2, files())
    await fill_new(new, files())
    written = []
    write = filling._write

    async def slowly(conn, made):
        await write(conn, made)
        written.append(made.last)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(filling, "_write", slowly)
    rounds = 0
    while True:
        rounds += 1
        before = len(written)
        task = asyncio.create_task(migrate(first))
        while not task.done() and len(written) < before + 3:
            await asyncio.sleep(0.01)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await read_progress(first, filling.WORK))[filling.WORK] == written[-1]
    await task
    assert rounds > 3
    assert written == sorted(set(written))  # nothing was done twice
    assert_equal(await dump(first), await dump(new))


async def test_an_upgrade_whose_connection_dies_is_gone_on_with(opened, conns, monkeypatch):
    """As after kill -9, within the transaction of a batch."""
    _, new = conns
    monkeypatch.setattr(filling, "BATCH", 8)
    first, second = await opened(), await opened()
    await fill_old(first, 2, files())
    await fill_new(new, files())
    save, saved = filling.save_progress, []

    async def cut(conn, positions):
        saved.append(positions)
        if len(saved) == 3:
            first.terminate()
        await save(conn, positions)

    monkeypatch.setattr(filling, "save_progress", cut)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await migrate(first)
    assert await second.fetchval("SELECT count(*) FROM instances WHERE document IS NULL") > 8
    await migrate(second)
    assert_equal(await dump(second), await dump(new))


KILLED = """
import asyncio, sys, asyncpg
from dicomweb_server.index import fill_documents, migrate
fill_documents.BATCH = 1
async def upgrade():
    await migrate.migrate(await asyncpg.connect(sys.argv[1]))
asyncio.run(upgrade())
"""


async def test_an_upgrade_that_is_killed_is_gone_on_with(opened, url, conns):
    _, new = conns
    conn = await opened()
    await fill_old(conn, 2, files())
    await fill_new(new, files())
    reached = [0]
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, url)
        while (await read_progress(conn, filling.WORK)).get(filling.WORK, 0) < reached[-1] + 5:
            await asyncio.sleep(0.001)
        process.kill()
        await process.wait()
        reached.append((await read_progress(conn, filling.WORK))[filling.WORK])
    assert reached[-1] < await conn.fetchval(filling.LAST)
    await migrate(conn)
    assert_equal(await dump(conn), await dump(new))


class Readers:
    """Old searches and retrievals, all the time, and how long the slowest took."""

    def __init__(self, conns):
        self.slowest = 0.0
        self.count = 0
        self._statements = [(OLD_SEARCH, (1, "%")), (OLD_RETRIEVE, (1,))]
        self._tasks = [asyncio.create_task(self._read(conn)) for conn in conns]

    async def _read(self, conn):
        while True:
            for statement, arguments in self._statements:
                began = time.monotonic()
                try:
                    assert await conn.fetch(statement, *arguments)
                except asyncpg.UndefinedColumnError:  # that step has begun
                    assert statement == OLD_SEARCH
                    step = await conn.fetchval("SELECT max(number) FROM schema_migrations")
                    assert step >= CONTRACTION - 1
                    self._statements = [(OLD_RETRIEVE, (1,))]
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.count += 1

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results


@pytest.mark.parametrize("step", [1, 2])
async def test_earlier_servers_read_all_the_time(opened, monkeypatch, step):
    monkeypatch.setattr(filling, "BATCH", 2)
    conn = await opened()
    await fill_old(conn, step, files())
    readers = Readers([await opened() for _ in range(3)])
    await asyncio.sleep(0.1)

    await migrate(conn)

    await readers.stop()
    assert readers.slowest < 1
    assert readers.count > 50


HOLDING = {  # the step at which an upgrade waits, and for what
    2: OLD_SEARCH.replace("$1", "1").replace("$2", "'%'"),
    3: "UPDATE studies SET bytes = bytes WHERE id = 0",
    7: OLD_SEARCH.replace("$1", "1").replace("$2", "'%'"),
}


@pytest.mark.parametrize("step", HOLDING)
async def test_nobody_waits_behind_an_upgrade_that_waits(opened, step):
    """A long transaction is under way: the upgrade does not make the others wait for its end."""
    conn, long, writer = await opened(), await opened(), await opened()
    await fill_old(conn, 2, files()[:10])
    with only_steps(step):
        await migrate(conn)
    holding = long.transaction()
    await holding.start()
    await long.execute(HOLDING[step])  # its locks last as long as the transaction
    upgrade = asyncio.create_task(migrate(conn))
    readers = Readers([await opened() for _ in range(2)])
    await asyncio.sleep(1.5)
    began = time.monotonic()
    if step < 4:
        await earlier.store(writer, files()[10], 2)  # nothing has changed yet: it may still store
    else:
        await insert_instances(writer, SCOPE, [files()[10].new])
    assert time.monotonic() - began < 1
    assert not upgrade.done()
    await holding.rollback()
    await upgrade
    await readers.stop()
    assert readers.slowest < 1
    assert await conn.fetchval("SELECT count(*) FROM instances") == 11


async def test_a_store_under_way_is_waited_for(opened, conns):
    """What it adds to a series that is filled counts among the SOP Classes, and in the totals."""
    _, new = conns
    conn, writer = await opened(), await opened()
    added = file_of(one("2.1", 1, 9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR"))
    await fill_old(conn, 2, files())
    await fill_new(new, [*files(), added])
    with only_steps(FILL - 1):
        await migrate(conn)
    async with writer.transaction():
        await insert_instances(writer, SCOPE, [added.new])
        upgrade = asyncio.create_task(migrate(conn))
        await asyncio.sleep(0.5)
        assert not upgrade.done()
    await upgrade
    assert_equal(await dump(conn), await dump(new))


async def test_the_new_version_stores_meanwhile(opened, conns, monkeypatch):
    """It stores, replaces and deletes while another server fills: the end is the same."""
    _, new = conns
    monkeypatch.setattr(filling, "BATCH", 2)
    conn, writer = await opened(), await opened()
    # Half of each study; so that the other half comes to studies with and without documents.
    before, after = files()[::2], files()[1::2]
    await fill_old(conn, 2, before)
    await fill_new(new, [*before, *after])
    write, started = filling._write, asyncio.Event()

    async def slowly(conn, made):
        await write(conn, made)
        started.set()
        await asyncio.sleep(0.01)

    monkeypatch.setattr(filling, "_write", slowly)
    extra = file_of(one("2.7", 1, 1, AdmissionID="X"))
    again = replacing()[1]

    async def changes(conn, stored):
        for file in stored:
            await insert_instances(conn, SCOPE, [file.new])
        await insert_instances(conn, SCOPE, [extra.new])
        await replace_new(conn, again)
        await delete(conn, SCOPE, "2.7")

    upgrade = asyncio.create_task(migrate(conn))
    await started.wait()
    await changes(writer, after)
    assert not upgrade.done()
    await upgrade
    await changes(new, [])
    upgraded, expected = await dump(conn), await dump(new)
    assert_equal(upgraded, expected, {"changes", "audit"})
    assert await searches(conn) == await searches(new)


async def test_earlier_versions_cannot_change_what_they_do_not_know(opened):
    conn = await opened()
    await fill_old(conn, 2, files()[:3])
    with only_steps(FILL):
        await migrate(conn)
    for refused in (
        earlier.store(conn, files()[-1], 1),
        conn.execute("SELECT refresh_studies('{1}')"),
        conn.execute("SELECT store_instances(1, 'me', '{}', '{}', '{}', '{}')"),
    ):
        with pytest.raises(asyncpg.PostgresError):
            await refused
    assert await conn.fetch(OLD_SEARCH, 1, "%")
    await migrate(conn)


async def test_many_studies_are_upgraded(opened):
    """How fast it goes is printed; the machine decides it."""
    conn = await opened()
    await fill_old(conn, 2, [file_of(one("2.1", 1, 1, AdmissionID="A", Modality="CT"))])
    await multiply(conn, "studies", {"study_instance_uid": "'2.5.' || n"})
    of_study = {"study_id": "n + 1", "series_instance_uid": "'2.5.' || n || '.1'"}
    await multiply(conn, "series", of_study)
    of_series = {"study_id": "n + 1", "series_id": "n + 1"}
    await multiply(conn, "instances", of_series | {"sop_instance_uid": "'2.5.' || n || '.1.1'"})
    began = time.monotonic()

    await migrate(conn)

    seconds = time.monotonic() - began
    print(f"\nupgraded {GENERATED} studies in {seconds:.1f} s, {GENERATED / seconds:.0f} a second")
    [total] = await conn.fetch("SELECT * FROM institution_totals")
    assert tuple(total)[1:] == (GENERATED + 1,) * 3
    assert await conn.fetchval("SELECT count(*) FROM study_modalities") == GENERATED + 1
