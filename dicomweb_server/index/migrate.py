"""Bring a database to the schema of this program: numbered steps, forwards only, online.

While an archive is upgraded, servers of the version before go on reading: what they read is taken
away by the last steps only. Their stores and deletes are refused as soon as the functions that
these call have changed. No step holds a lock that readers wait for longer than a moment.

A step is SQL in one transaction, or SQL outside of one, or Python, see `Migration`.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from dicomweb_server.index.database import Connection
from dicomweb_server.index.fill_documents import fill_documents
from dicomweb_server.index.leading_spaces import mend_leading_spaces
from dicomweb_server.index.name_places import place_names

_NAME = re.compile(r"(\d{4})_\w+\.sql", re.ASCII)
_LOCK = 0x4449434F4D  # any number that no other program takes for an advisory lock
_TIMEOUT = 24 * 3600.0  # seconds: building an index over an archive takes its time
_PAUSE = 0.2  # seconds
_PAUSE_OF_LOCKS = 1.0  # seconds in which those who were kept waiting get on
_TRIES_UNTOLD = 10
_ALONE = "-- Outside a transaction"  # what the text of such a step begins with
_PARAGRAPH = re.compile(r"\n\s*\n")
_CONCURRENTLY = re.compile(r"\b(?:CREATE INDEX|DROP INDEX) CONCURRENTLY\b")
_BUILT = re.compile(r"CREATE INDEX CONCURRENTLY IF NOT EXISTS (\w+)")

Tell = Callable[[str], None]

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  number      integer     PRIMARY KEY,
  name        text        NOT NULL,
  sha256      text        NOT NULL,
  applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


_APPLIED = "SELECT number, name, sha256 FROM schema_migrations ORDER BY number"
_NOTE = "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)"
_INVALID = """
SELECT NOT i.indisvalid
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace
"""


class SchemaMismatchError(Exception):
    """The database was made by a newer program, or by migrations that differ from ours."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, known by its number; its text never changes once it was released.

    A step of SQL is one transaction, all or nothing. One that is `alone` runs paragraph by
    paragraph, each a transaction of its own, or none where it builds or drops an index
    concurrently; a step of `work` is Python. Both may break off anywhere, and must bear being
    begun again.
    """

    number: int
    name: str
    text: str  # SQL; of a step of Python what names it and its version
    work: Callable[[Connection, Tell], Awaitable[None]] | None = None

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def alone(self) -> bool:
        """Whether it runs outside a transaction."""
        return self.text.startswith(_ALONE)

    def paragraphs(self) -> list[str]:
        """What runs one after the other: blank lines separate it, in a step that is alone."""
        parts = _PARAGRAPH.split(self.text) if self.alone else [self.text]
        return [part for part in parts if not all(map(_is_comment, part.strip().splitlines()))]


def _is_comment(line: str) -> bool:
    return line.startswith("--")


_IN_PYTHON = (
    Migration(5, "0005_search_documents", "fill_documents, version 1", fill_documents),
    Migration(9, "0009_leading_spaces", "leading_spaces, version 1", mend_leading_spaces),
    Migration(14, "0014_name_places_index", "name_places, version 1", place_names),
)


def migrations() -> list[Migration]:
    """The steps that this program brings, in their order, numbered from 1 without a gap."""
    steps = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in files("dicomweb_server.index").joinpath("migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    steps = sorted((*steps, *_IN_PYTHON), key=lambda step: step.number)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    return steps


def _tell_nobody(what: str) -> None:
    pass


async def migrate(conn: Connection, tell: Tell = _tell_nobody) -> list[Migration]:
    """Apply what is missing, step by step, and return it; what fails leaves the steps before it.

    `conn` is in no transaction. Several servers may start at once: one migrates, the others wait
    for it. `tell` hears what an upgrade of a database that is in use is at. Raises
    SchemaMismatchError for a schema that is newer than this program or was altered.
    """
    await conn.execute("SET statement_timeout = 0; SET jit = off")
    await _lock(conn)
    try:
        await conn.execute(_TABLE)
        rows = await conn.fetch(_APPLIED)
        steps = migrations()
        _compare([(row["number"], row["name"], row["sha256"]) for row in rows], steps)
        missing = steps[len(rows) :]
        if not rows:
            tell = _tell_nobody  # a new database; nothing in it takes time
        for step in missing:
            tell(f"Upgrading the database: {step.name}")
            await _apply(conn, step, tell)
        if missing:
            tell("The database is upgraded")
    finally:
        if not conn.is_closed():
            await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)
            await conn.execute("RESET statement_timeout; RESET jit")
    return missing


async def _lock(conn: Connection) -> None:
    """Asked for again and again: one that waits for a lock holds up an index that is built
    concurrently, and so whoever builds it."""
    while not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE)


async def _apply(conn: Connection, step: Migration, tell: Tell) -> None:
    if step.work is not None:
        await step.work(conn, tell)
    elif step.alone:
        for paragraph in step.paragraphs():
            await _run(conn, paragraph, None, tell)
    else:
        await _run(conn, step.text, step, tell)
        return
    await _note(conn, step)


async def _run(conn: Connection, sql: str, noted: Migration | None, tell: Tell) -> None:
    """Run what belongs together; again if it did not get a lock in the time that it gave itself,
    for as long as it waits everybody waits behind it."""
    concurrently = _CONCURRENTLY.search(sql) is not None
    tries = 0
    while True:
        try:
            if concurrently:
                await _drop_invalid_index(conn, sql)
            async with nullcontext() if concurrently else conn.transaction():
                await conn.execute(sql, timeout=_TIMEOUT)
                if noted is not None:
                    await _note(conn, noted)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            tries += 1
            if tries % _TRIES_UNTOLD == 0:
                tell("It waits for a moment in which no long search or transaction is under way")
            await asyncio.sleep(_PAUSE_OF_LOCKS)


async def _note(conn: Connection, step: Migration) -> None:
    await conn.execute(_NOTE, step.number, step.name, step.sha256)


async def _drop_invalid_index(conn: Connection, sql: str) -> None:
    """What a concurrent build of the same index has left that was broken off."""
    for name in _BUILT.findall(sql):
        if await conn.fetchval(_INVALID, name):
            await conn.execute(f"DROP INDEX CONCURRENTLY {name}", timeout=_TIMEOUT)


def _compare(applied: list[tuple[int, str, str]], steps: list[Migration]) -> None:
    """Refuse a database whose history is not a beginning of ours."""
    if len(applied) > len(steps):
        newest = applied[-1][1]
        raise SchemaMismatchError(
            f"the database is newer than this program: it has {newest}, which is unknown here; "
            "run the newer version, or restore a backup from before its migration"
        )
    for (number, name, sha256), step in zip(applied, steps, strict=False):
        if (number, sha256) != (step.number, step.sha256):
            raise SchemaMismatchError(
                f"the database was made by another text of migration {number} ({name}) than "
                f"this program's {step.name}"
            )
