"""Bring a database to the schema of this program: numbered files, forwards only."""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

from dicomweb_server.index.database import Connection

_NAME = re.compile(r"(\d{4})_\w+\.sql", re.ASCII)
_LOCK = 0x4449434F4D  # any number that no other program takes for an advisory lock
_TIMEOUT = 24 * 3600.0  # seconds: building an index over an archive takes its time

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  number      integer     PRIMARY KEY,
  name        text        NOT NULL,
  sha256      text        NOT NULL,
  applied_at  timestamptz NOT NULL DEFAULT now()
)
"""


_APPLIED = "SELECT number, name, sha256 FROM schema_migrations ORDER BY number"


class SchemaMismatchError(Exception):
    """The database was made by a newer program, or by migrations that differ from ours."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, known by its number; its text never changes once it was released."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


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
    """Apply what is missing, all or nothing, and return it.

    Several servers may start at once: one migrates, the others wait for it. Raises
    SchemaMismatchError for a schema that is newer than this program or was altered.
    """
    async with conn.transaction():
        await conn.execute("SET LOCAL statement_timeout = 0")
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_TIMEOUT)
        await conn.execute(_TABLE)
        rows = await conn.fetch(_APPLIED)
        steps = migrations()
        _compare([(row["number"], row["name"], row["sha256"]) for row in rows], steps)
        missing = steps[len(rows) :]
        for step in missing:
            await conn.execute(step.sql, timeout=_TIMEOUT)
            await conn.execute(
                "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                step.number,
                step.name,
                step.sha256,
            )
    return missing


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
