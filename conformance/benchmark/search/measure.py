"""How long searches take: a statement and what it fetches, on a connection that is warm."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import asyncpg

from conformance.benchmark.search.cases import (
    CASES,
    SAMPLES,
    Case,
    Known,
    draw,
    scope_of,
)
from dicomweb_server.access.policy import Scope
from dicomweb_server.access.principal import ANONYMOUS
from dicomweb_server.archive import search as archive
from dicomweb_server.dicom.query import Equal, Level, Returned, SearchQuery
from dicomweb_server.errors import Unavailable
from dicomweb_server.index import search as index
from dicomweb_server.index.database import Connection, open_pool
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.index.search_statements import compile_search

TIMEOUT = 10.0
"""Seconds that a search may take, as the server's settings have it by default."""


ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """One case under one restriction: seconds of each search, and rows found by all samples.

    `times` has every sample `ROUNDS` times, `best` its least: what it takes when nobody else on
    the machine is in the way. `counted`: the same searches as whole pages, with the number of
    matches after them. `failed` says what went wrong, if anything did.
    """

    case: str
    restriction: str
    times: tuple[float, ...] = ()
    best: tuple[float, ...] = ()
    counted: tuple[float, ...] = ()
    rows: int = 0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """A table or an index: bytes in all, and bytes a row."""

    name: str
    table: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A search for what no index has: seconds to its page, and what came of it."""

    name: str
    seconds: float
    outcome: str


def returned(query: SearchQuery) -> Returned:
    """What a search returns by default."""
    return Returned(frozenset(level for level in Level if level <= query.level))


def searches(
    case: Case, restriction: str, drawn: Sequence[Known]
) -> Iterator[tuple[SearchQuery, Scope]]:
    """The searches of one figure, one a study that was drawn."""
    for number, known in enumerate(drawn):
        another = [drawn[(number + k) % len(drawn)] for k in range(1, len(drawn))]
        yield case.ask(known, number), scope_of(restriction, known, another)


async def measure(
    url: str,
    studies: int,
    say: Callable[[str, float], None],
    *,
    seed: int = 1,
    samples: int = SAMPLES,
) -> list[Figure]:
    """All cases under all their restrictions."""
    figures = []
    todo = [(case, restriction) for case in CASES for restriction in case.restrictions]
    async with (
        await open_pool(url, max_size=1, statement_timeout=TIMEOUT) as pool,
        pool.acquire() as conn,
    ):
        drawn = await draw(conn, studies, seed, samples)
        for done, (case, restriction) in enumerate(todo):
            say(f"{case.name}, {restriction}", done / len(todo))
            figures.append(await _figure(conn, case, restriction, drawn))
    return figures


async def _figure(conn: Connection, case: Case, restriction: str, drawn: Sequence[Known]) -> Figure:
    asked = list(searches(case, restriction, drawn))
    times, counted = [], []
    rows = 0
    try:
        for query, scope in asked:  # so that all they need is in memory
            rows += len(await _rows(conn, query, scope))
        for query, scope in asked * ROUNDS:
            began = time.perf_counter()
            await _rows(conn, query, scope)
            times.append(time.perf_counter() - began)
        for query, scope in asked:
            began = time.perf_counter()
            await index.search(conn, scope, query, returned(query))
            counted.append(time.perf_counter() - began)
    except (asyncpg.PostgresError, Unavailable) as failure:
        return Figure(case.name, restriction, failed=f"{type(failure).__name__}: {failure}")
    best = tuple(min(times[number :: len(asked)]) for number in range(len(asked)))
    return Figure(case.name, restriction, tuple(times), best, tuple(counted), rows)


async def _rows(conn: Connection, query: SearchQuery, scope: Scope) -> list[Any]:
    statement, arguments = compile_search(query, scope, returned(query))
    return await conn.fetch(statement, *arguments)


# An attribute of each level that has no column, and metadata; one value is common, one nowhere.
_UNINDEXED = (
    ("Patient's Age, of studies", Level.STUDY, (0x00101010,), "050Y"),
    ("Manufacturer's Model Name, of series", Level.SERIES, (0x00081090,), "LightSpeed VCT"),
    ("KVP, of the metadata of instances", Level.STUDY, (0x00180060,), "120"),
)


async def measure_unindexed(url: str, timeout: float = TIMEOUT) -> list[Unindexed]:
    """Searches of the whole archive that read what is stored, until the page is full or the time
    is over."""
    async with await open_pool(url, max_size=1, statement_timeout=timeout) as pool:
        whose = Scope(tuple(range(1, 101)), everything=True)
        return [
            await _unindexed(_archive(pool, whose, timeout), name, level, path, value)
            for name, level, path, common in _UNINDEXED
            for value in (common, "NOWHERE")
        ]


def _archive(pool: Any, scope: Scope, timeout: float) -> Any:
    """As much of an archive as a search needs; its worker is this process."""

    @asynccontextmanager
    async def session(*_: object) -> Any:
        async with pool.acquire() as conn:
            yield SimpleNamespace(conn=conn, scope=scope)

    async def run(function: Callable[..., Any], *arguments: object) -> Any:
        return await asyncio.to_thread(function, *arguments)

    settings = SimpleNamespace(search_timeout_seconds=timeout)
    return SimpleNamespace(
        session=session,
        workers=SimpleNamespace(run=run),
        settings=settings,
        attributes=AttributeList(),
    )


async def _unindexed(
    archive_: Any, name: str, level: Level, path: tuple[int, ...], value: str
) -> Unindexed:
    query = SearchQuery(level, {path: Equal((value,))}, limit=100)
    began = time.perf_counter()
    try:
        page = await archive.search(archive_, ANONYMOUS, query, returned(query))
    except Unavailable:
        outcome = "503 with advice"
    else:
        more = f"{page.remaining} more" if page.exact else f"more than {page.remaining} more"
        outcome = f"{len(page.found)} found, {more}"
    asked = f"{name} = {value}"
    return Unindexed(asked, time.perf_counter() - began, outcome)


_SIZES = """
SELECT c.relname AS name, c.relname AS table, pg_table_size(c.oid) AS bytes,
       c.reltuples::bigint AS rows, 0 AS place
  FROM pg_class c
 WHERE c.relname = ANY ($1::text[]) AND c.relkind = 'r'
UNION ALL
SELECT i.relname, c.relname, pg_relation_size(i.oid), c.reltuples::bigint, 1
  FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
 WHERE c.relname = ANY ($1::text[])
 ORDER BY 2, 5, 3 DESC
"""


async def sizes(url: str, tables: Sequence[str]) -> list[Size]:
    """What the tables and their indexes take."""
    conn = await asyncpg.connect(url)
    try:
        rows = await conn.fetch(_SIZES, list(tables))
    finally:
        await conn.close()
    return [Size(row["name"], row["table"], row["bytes"], row["rows"]) for row in rows]
