"""Filling a database with made studies: rows by binary COPY, indexes built afterwards."""

import asyncio
import contextlib
import gc
import multiprocessing
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import asyncpg

import dicomweb_server.index
from conformance.benchmark.search.population import INSTITUTIONS, Population
from conformance.benchmark.search.rows import (
    COLUMNS,
    FILE_SIZE,
    INSTANCE_TEMPLATE,
    NO_METADATA,
    SERIES_TEMPLATE,
    instance_templates,
    rows_below,
    series_templates,
    study_record,
)
from dicomweb_server.index.database import Connection
from dicomweb_server.index.embedded import die_with_parent, start_postgres
from dicomweb_server.index.migrate import migrate

PROCESSES = 2

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
# Below studies that are not whole: from templates, within Postgres. Arguments are the first and
# last study, series a study, instances a series.
_TEMPLATES = f"""
CREATE TEMPORARY TABLE series_templates AS
  SELECT {", ".join(SERIES_TEMPLATE)} FROM series WITH NO DATA;
CREATE TEMPORARY TABLE instance_templates AS
  SELECT NULL::text COLLATE "C" AS modality, {", ".join(INSTANCE_TEMPLATE[1:])}
    FROM instances WITH NO DATA;
"""
# The tables that grow have no statistics yet: what is read of them is found by their keys.
_READY = """
CREATE INDEX ON series_templates (institution_id, modality, series_number, body_part_examined);
CREATE INDEX ON instance_templates (modality);
ANALYZE series_templates, instance_templates;
SET enable_seqscan = off;
"""
_MODALITIES = """
INSERT INTO study_modalities (study_id, sort_key, institution_id, modality, study_instance_uid)
SELECT id, sort_key, institution_id, unnest(modalities), study_instance_uid
  FROM studies WHERE id BETWEEN $1 AND $2 ORDER BY id
"""
_SERIES = """
INSERT INTO series
  (id, study_id, institution_id, number_of_instances, sop_classes, series_instance_uid, modality,
   series_number, series_description, body_part_examined, pps_start_date, pps_start_time, document)
  OVERRIDING SYSTEM VALUE
SELECT (s.id - 1) * $3 + k, s.id, s.institution_id, $4, t.sop_classes,
       s.study_instance_uid || '.' || k, t.modality, k,
       concat_ws(' ', t.body_part_examined, t.modality, k), t.body_part_examined,
       s.study_date, s.study_time, t.document
  FROM studies s CROSS JOIN generate_series(1, $3::int) AS k
  JOIN series_templates t
    ON t.institution_id = s.institution_id AND t.series_number = k
   AND t.modality = s.modalities[1 + (k - 1) % cardinality(s.modalities)]
   AND t.body_part_examined = split_part(s.study_description, ' ', 2)
 WHERE s.id BETWEEN $1 AND $2
"""
_SHARED = [name for name in INSTANCE_TEMPLATE[1:] if name != "sop_instance_uid"]
_INSTANCES = f"""
INSERT INTO instances
  (id, series_id, study_id, institution_id, size, blob_key, sha256, metadata, sop_instance_uid,
   {", ".join(_SHARED)})
  OVERRIDING SYSTEM VALUE
SELECT (e.id - 1) * $4 + t.instance_number, e.id, e.study_id, e.institution_id, $6::bigint,
       'default/' || u.uid || '.dcm', sha256(u.uid::bytea), $5::bytea, u.uid,
       {", ".join(f"t.{name}" for name in _SHARED)}
  FROM series e JOIN instance_templates t ON t.modality = e.modality
 CROSS JOIN LATERAL (SELECT e.series_instance_uid || '.' || t.instance_number) AS u (uid)
 WHERE e.id BETWEEN ($1::bigint - 1) * $3 + 1 AND $2::bigint * $3
"""
_NO_STATISTICS = "ALTER INDEX studies_name_keys ALTER COLUMN 1 SET STATISTICS 0"
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
        await _make_templates(conn, population)
        shape = (population.series, population.instances)
        for chunk in range(which, population.chunks, PROCESSES):
            studies = list(population.chunk(chunk))
            records = [study_record(population, study) for study in studies]
            await _copy(conn, "studies", records, COLUMNS["studies"])
            first, last = studies[0].number, studies[-1].number
            await conn.execute(_MODALITIES, first, last)
            whole = [study for study in studies if population.is_real(study)]
            below = [rows_below(population, study) for study in whole]
            for place, table in enumerate(("series", "instances")):
                rows = chain.from_iterable(each[place] for each in below)
                await _copy(conn, table, rows, COLUMNS[table])
            last -= len(whole)
            await conn.execute(_SERIES, first, last, *shape)
            await conn.execute(_INSTANCES, first, last, *shape, NO_METADATA, FILE_SIZE)
            with done.get_lock():
                done.value += len(studies)
    finally:
        await conn.close()


async def _make_templates(conn: Connection, population: Population) -> None:
    await conn.execute(_TEMPLATES)
    series, instances = series_templates(population), instance_templates(population)
    await _copy(conn, "series_templates", series, SERIES_TEMPLATE)
    await _copy(conn, "instance_templates", instances, INSTANCE_TEMPLATE)
    await conn.execute(_READY)


async def _copy(
    conn: Connection, table: str, records: Iterable[tuple[object, ...]], columns: Sequence[str]
) -> None:
    await conn.copy_records_to_table(table, records=records, columns=columns)


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
                built += 1
                took, name = time.monotonic() - began, _INDEX.match(statement)
                assert name is not None
                say(f"index {name[1]} ({took:.0f} s)", built / len(statements))
        finally:
            await conn.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(PROCESSES):
            group.create_task(build())


async def _finish(conn: Connection, say: Progress) -> None:
    await conn.execute(_TOTALS, timeout=3600)
    await conn.execute(_NO_STATISTICS)
    for count, table in enumerate(COLUMNS, 1):
        await conn.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
        if table != "study_modalities":
            await conn.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}",
                timeout=3600,
            )
        say("vacuum and analyze", count / len(COLUMNS))
