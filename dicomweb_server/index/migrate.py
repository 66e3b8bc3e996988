"""Bring a database to the schema of this program: numbered files, forwards only."""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

from dicomweb_server.index.database import Connection

_NAME = re.compile(r"(\d{4})_\w+\.sql", re.ASCII)
_LOCK = 0x4449434F4D  # any number that no other program takes for an advisory lock
_TIMEOUT = 24 * 3600.0  # seconds: building an index over an archive takes its time
_PAUSE = 0.2  # seconds
_ALONE = "-- Outside a transaction"  # what the text of such a step begins with

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
SELECT i.indexrelid::regclass::text AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
"""


class SchemaMismatchError(Exception):
    """The database was made by a newer program, or by migrations that differ from ours."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, known by its number; its text never changes once it was released.

    A step is one transaction, all or nothing. One that is `alone` runs statement by statement,
    so that it can build indexes while others write; it must bear being begun again.
    """

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def alone(self) -> bool:
        """Whether it runs outside a transaction."""
        return self.sql.startswith(_ALONE)

    def statements(self) -> list[str]:
        """The statements of a step that runs alone; none of them holds a semicolon."""
        return [each.strip() for each in self.sql.split(";") if each.strip()]


def migrations() -> list[Migration]:
    """The steps that this program brings, in their order, numbered from 1 without a gap."""
    steps = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in files("dicomweb_server.index").joinpath("migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    steps.sort(key=lambda step: step.number)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    return steps


async def migrate(conn: Connection) -> list[Migration]:
    """Apply what is missing, step by step, and return it; what fails leaves the steps before it.

    Several servers may start at once: one migrates, the others wait for it. Raises
    SchemaMismatchError for a schema that is newer than this program or was altered.
    """
    await conn.execute("SET statement_timeout = 0")
    await _lock(conn)
    try:
        await conn.execute(_TABLE)
        rows = await conn.fetch(_APPLIED)
        steps = migrations()
        _compare([(row["number"], row["name"], row["sha256"]) for row in rows], steps)
        missing = steps[len(rows) :]
        for step in missing:
            await _apply(conn, step)
    finally:
        await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)
        await conn.execute("RESET statement_timeout")
    return missing


async def _lock(conn: Connection) -> None:
    """Asked for again and again: one that waits for a lock holds up an index that is built
    concurrently, and so whoever builds it."""
    while not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
        await asyncio.sleep(_PAUSE)


async def _apply(conn: Connection, step: Migration) -> None:
    if step.alone:
        await _drop_invalid_indexes(conn)
        for statement in step.statements():
            await conn.execute(statement, timeout=_TIMEOUT)
        await _note(conn, step)
        return
    async with conn.transaction():
        await conn.execute(step.sql, timeout=_TIMEOUT)
        await _note(conn, step)


async def _note(conn: Connection, step: Migration) -> None:
    await conn.execute(_NOTE, step.number, step.name, step.sha256)


async def _drop_invalid_indexes(conn: Connection) -> None:
    """What a concurrent build that was broken off has left."""
    for row in await conn.fetch(_INVALID):
        await conn.execute(f"DROP INDEX CONCURRENTLY {row['name']}", timeout=_TIMEOUT)


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
