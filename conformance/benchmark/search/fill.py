"""Filling a database with made studies: rows by binary COPY, indexes built afterwards."""

import asyncio
import contextlib
import gc
import multiprocessing
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import asyncpg

import dicomweb_server.index
from conformance.benchmark.search.population import INSTITUTIONS, Population
from conformance.benchmark.search.rows import COLUMNS, add_rows
from dicomweb_server.index.database import Connection
from dicomweb_server.index.embedded import die_with_parent, start_postgres
from dicomweb_server.index.migrate import migrate

PROCESSES = 2

_BATCH = 2_000  # studies that are sent at a time
_SCHEMA = Path(dicomweb_server.index.__file__).parent / "schema.sql"
_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (\w+)\s+ON (\w+)[^;]*;", re.MULTILINE)
# Nothing is lost that could not be made again: no log of what is loaded and built.
_LOADING = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'8GB'",
    "checkpoint_timeout": "'1h'",
    "full_page_writes": "off",
    "autovacuum": "off",
}
_NO_TRIGGERS = "SET session_replication_role = replica"  # foreign keys hold by construction
_TOTALS = """
INSERT INTO institution_totals (institution_id, studies, series, instances)
SELECT institution_id, count(*), sum(number_of_series), sum(number_of_instances)
  FROM studies GROUP BY 1
"""

Progress = Callable[[str, float], None]  # what is done, and which share of it


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that the steps of filling took."""

    rows: float
    indexes: float
    analyze: float


def indexes() -> dict[str, str]:
    """The statements of the secondary indexes of the tables that are filled, by name."""
    text = _SCHEMA.read_text(encoding="utf-8")
    return {m[1]: m[0] for m in _INDEX.finditer(text) if m[2] in COLUMNS}


def fill_cluster(folder: Path, population: Population, say: Progress) -> Took:
    """Make a Postgres in `folder` and fill it; it is stopped again, as the server would find it.

    Call it from the main thread.
    """
    with start_postgres(folder, fsync=False) as postgres:
        asyncio.run(
            _run(postgres.url, [f"ALTER SYSTEM SET {k} = {v}" for k, v in _LOADING.items()])
        )
    with start_postgres(folder, fsync=False) as postgres:
        took = asyncio.run(fill(postgres.url, population, say))
        asyncio.run(_run(postgres.url, ["ALTER SYSTEM RESET ALL", "CHECKPOINT"]))
    return took


async def _run(url: str, statements: list[str]) -> None:
    conn = await asyncpg.connect(url)
    try:
        for statement in statements:
            await conn.execute(statement, timeout=3600)
    finally:
        await conn.close()


async def fill(url: str, population: Population, say: Progress) -> Took:
    """Fill the empty database at `url`, which is migrated if need be."""
    conn = await asyncpg.connect(url)
    try:
        await migrate(conn)
        await _prepare(conn)
        began = time.monotonic()
        await _load(url, population, say)
        loaded = time.monotonic()
        await _build(url, say)
        built = time.monotonic()
        await _finish(conn, say)
        return Took(loaded - began, built - loaded, time.monotonic() - built)
    finally:
        await conn.close()


async def _prepare(conn: Connection) -> None:
    for name in indexes():
        await conn.execute(f"DROP INDEX {name}")
    await conn.executemany(
        "INSERT INTO institutions (id, code) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [(number, f"h{number}") for number in range(1, INSTITUTIONS + 1)],
    )


async def _load(url: str, population: Population, say: Progress) -> None:
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    processes = [
        context.Process(target=_loader, args=(url, population, which, done), daemon=True)
        for which in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        say("rows", done.value / population.studies)
        await asyncio.sleep(0.2)
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process that loads rows has failed")
    say("rows", 1.0)


def _loader(url: str, population: Population, which: int, done: "Synchronized[int]") -> None:
    with contextlib.suppress(AttributeError):
        die_with_parent()
    gc.disable()  # rows are tuples by the million, and there is no cycle
    asyncio.run(_load_chunks(url, population, which, done))


async def _load_chunks(
    url: str, population: Population, which: int, done: "Synchronized[int]"
) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(_NO_TRIGGERS)
        for chunk in range(which, population.chunks, PROCESSES):
            rows = {table: [] for table in COLUMNS}
            for count, study in enumerate(population.chunk(chunk), 1):
                add_rows(rows, population, study)
                if count % _BATCH == 0:
                    await _send(conn, rows)
            await _send(conn, rows)
            with done.get_lock():
                done.value += count
    finally:
        await conn.close()


async def _send(conn: Connection, rows: dict[str, list[tuple[object, ...]]]) -> None:
    for table, records in rows.items():
        if records:
            await conn.copy_records_to_table(table, records=records, columns=COLUMNS[table])
            records.clear()


async def _build(url: str, say: Progress) -> None:
    """Build the indexes, two at a time; those that take longest first."""
    statements = sorted(indexes().values(), key=lambda text: "USING gin" not in text)
    waiting, built = list(reversed(statements)), 0

    async def build() -> None:
        nonlocal built
        conn = await asyncpg.connect(url)
        try:
            await conn.execute(
                "SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0"
            )
            while waiting:
                statement, began = waiting.pop(), time.monotonic()
                await conn.execute(statement, timeout=3600)
                say(
                    f"indexes: {statement.split()[2 + ('UNIQUE' in statement)]} took {time.monotonic() - began:.0f} s",
                    built / len(statements),
                )
                built += 1
                say("indexes", built / len(statements))
        finally:
            await conn.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(PROCESSES):
            group.create_task(build())


async def _finish(conn: Connection, say: Progress) -> None:
    await conn.execute(_TOTALS, timeout=3600)
    for count, table in enumerate(COLUMNS, 1):
        await conn.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
        if table != "study_modalities":
            await conn.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}",
                timeout=3600,
            )
        say("vacuum and analyze", count / len(COLUMNS))
