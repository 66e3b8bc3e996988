"""The list of indexed attributes, and what a process knows of it.

Whatever changes the list changes its version in the same transaction, under the lock of the
change counter. So a store that was made for another version is found out (STALE); and a search
whose version still holds when it has ended saw all values of what it knew to be ready, as these
are removed after the version changed.
"""

import time

import asyncpg

from dicomweb_server.dicom.query import Path
from dicomweb_server.index.attribute_values import Attributes, IndexedAttribute
from dicomweb_server.index.database import Connection

_SECONDS = 5.0  # after which a search looks whether more is ready
_STALE = "DW001"  # of check_attributes
_GONE = "attribute_values_attribute_id_fkey"

READ = """
SELECT c.attributes AS version, a.id, a.path, a.ready, a.dropped
  FROM change_counter c LEFT JOIN indexed_attributes a ON true
 ORDER BY a.id
"""
VERSION = "SELECT attributes FROM change_counter"
ADD = "INSERT INTO indexed_attributes (path) VALUES ($1)"
CHANGED = "UPDATE change_counter SET attributes = attributes + 1"
READY = "UPDATE indexed_attributes SET ready = true WHERE id = $1 RETURNING id"
DROP = "UPDATE indexed_attributes SET ready = false, dropped = true WHERE id = $1"
REMOVE = "DELETE FROM indexed_attributes WHERE id = $1"
# In the order of an index, and from a place on: what was removed before is not passed over again.
# What others are removing is left to them, as each would wait for the other.
REMOVE_VALUES = """
WITH gone AS (
  DELETE FROM attribute_values
   WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM attribute_values
            WHERE attribute_id = $1 AND (institution_id, value) >= ($2, $3)
            ORDER BY institution_id, value
            LIMIT $4
              FOR UPDATE SKIP LOCKED))
  RETURNING institution_id, value)
SELECT institution_id, value, (count(*) OVER ())::bigint AS count
  FROM gone ORDER BY institution_id DESC, value DESC LIMIT 1
"""

HAS_VALUES = "SELECT EXISTS (SELECT FROM attribute_values WHERE attribute_id = $1)"

Place = tuple[int, str]  # institution, value
BEGINNING: Place = (0, "")


def path_text(path: Path) -> str:
    """A path as the list has it: tags of eight digits, joined by dots."""
    return ".".join(f"{tag:08X}" for tag in path)


async def read_attributes(conn: Connection) -> Attributes:
    """The list as it is now, without what was dropped."""
    version, listed = await _read(conn)
    return Attributes(version, tuple(each for each in listed if not each.dropped))


async def list_attributes(conn: Connection) -> list[IndexedAttribute]:
    """All that is on the list, with what was dropped and has values left."""
    _, listed = await _read(conn)
    return listed


async def _read(conn: Connection) -> tuple[int, list[IndexedAttribute]]:
    rows = await conn.fetch(READ)
    return rows[0]["version"], [
        IndexedAttribute(row["id"], _path(row["path"]), row["ready"], row["dropped"])
        for row in rows
        if row["id"] is not None
    ]


def _path(text: str) -> Path:
    return tuple(int(tag, 16) for tag in text.split("."))


async def add_attribute(conn: Connection, path: Path) -> None:
    """Have values of an attribute made by all that is stored from now on. It must not be there."""
    async with conn.transaction(isolation="read_committed"):
        await conn.execute(ADD, path_text(path))
        await conn.execute(CHANGED)


async def make_ready(conn: Connection, attribute: int) -> bool:
    """Let searches use it; False if it was dropped meanwhile."""
    return await conn.fetchval(READY, attribute) is not None


async def forget_attribute(conn: Connection, attribute: int) -> None:
    """Let searches use it no more, and stores make no values of it."""
    async with conn.transaction(isolation="read_committed"):
        await conn.execute(DROP, attribute)
        await conn.execute(CHANGED)


async def remove_values(
    conn: Connection, attribute: int, place: Place, limit: int
) -> tuple[int, Place]:
    """Remove some of its values, from `place` on; returns how many, 0 once there are none, and
    where the next begin."""
    row = await conn.fetchrow(REMOVE_VALUES, attribute, *place, limit)
    return (row["count"], (row["institution_id"], row["value"])) if row else (0, place)


async def has_values(conn: Connection, attribute: int) -> bool:
    """Whether any are left."""
    some: bool = await conn.fetchval(HAS_VALUES, attribute)
    return some


async def remove_attribute(conn: Connection, attribute: int) -> None:
    """Take an attribute off the list that is forgotten and has no values."""
    await conn.execute(REMOVE, attribute)


def is_stale(error: asyncpg.PostgresError) -> bool:
    """Whether a store was refused because it was made for another version of the list."""
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return bool(error.constraint_name == _GONE)
    return bool(error.sqlstate == _STALE)


class AttributeList:
    """The list as a process knows it: `known`."""

    def __init__(self) -> None:
        self.known = Attributes()
        self._read_at = float("-inf")

    async def reload(self, conn: Connection) -> Attributes:
        """The list as it is now, known from now on."""
        self.known = await read_attributes(conn)
        self._read_at = time.monotonic()
        return self.known

    async def recent(self, conn: Connection) -> Attributes:
        """The list as it was seconds ago at the most."""
        if time.monotonic() - self._read_at > _SECONDS:
            return await self.reload(conn)
        return self.known

    async def still_holds(self, conn: Connection, version: int) -> bool:
        """Whether the list is still that of `version`; if not, it is read anew. What is `known`
        may be newer: others read it too."""
        if await conn.fetchval(VERSION) == version:
            return True
        await self.reload(conn)
        return False
