"""Institutions: who shares an index, each with what is its own."""

from dataclasses import dataclass

from dicomweb_server.index.database import Connection


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution, and how much it has stored."""

    code: str
    title: str
    duplicates: str  # refuse or replace
    studies: int
    instances: int
    bytes: int  # of the current versions


LIST = """
SELECT i.code, i.title, i.duplicates, count(s.id) AS studies,
       coalesce(sum(s.number_of_instances), 0)::bigint AS instances,
       coalesce(sum(s.bytes), 0)::bigint AS bytes
  FROM institutions i LEFT JOIN studies s ON s.institution_id = i.id
 GROUP BY i.id
 ORDER BY i.code
"""
MAKE = """
INSERT INTO institutions (id, code)
SELECT coalesce(max(id), 0) + 1, $1 FROM institutions
    ON CONFLICT DO NOTHING
"""
FIND = "SELECT id FROM institutions WHERE code = $1"


async def list_institutions(conn: Connection) -> list[Institution]:
    """All institutions, in the order of their codes."""
    return [Institution(**row) for row in await conn.fetch(LIST)]


async def institution_named(conn: Connection, code: str) -> int:
    """The id of the institution with this code, which is made if it is missing."""
    while (found := await conn.fetchval(FIND, code)) is None:
        await conn.execute(MAKE, code)  # again if another made one with the same id meanwhile
    assert isinstance(found, int)
    return found
