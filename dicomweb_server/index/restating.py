"""What a study and a series say once instances of theirs are gone: what those give that are left.

The same as an index would say that is made from the blobs (``archive.versions``): attributes
come from the version that replaced another last, or else from the instance whose blob is the
oldest. Keys of blobs tell, so that of all instances of a study two are read at the most.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Level
from dicomweb_server.index.attribute_values import Attributes
from dicomweb_server.index.database import Connection
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.index.parents import Kept, Parents, parents_of
from dicomweb_server.index.retrieve import scope_arguments
from dicomweb_server.index.rows import REQUEST_COLUMNS, SERIES_COLUMNS, STUDY_COLUMNS

# Elsewhere than in the event loop.
Describe = Callable[[Sequence[Kept], Attributes], Awaitable[list[Parents]]]

FIND_STUDY = """
SELECT id, institution_id
  FROM studies
 WHERE study_instance_uid = $1
   AND institution_id = ANY ($2::integer[])
   AND ($3::text[] IS NULL OR study_instance_uid = ANY ($3))
 ORDER BY array_position($2, institution_id)
 LIMIT 1
"""
# Of a study without a series ($2), or without an instance ($3) of it. Tokens are ordered as
# ``archive.versions`` does it: what replaced comes first, the latest before all.
FIND_GIVERS = """
WITH named AS (
  SELECT i.id, i.blob_key, e.id AS series_id, e.series_instance_uid,
         split_part(i.blob_key, '~', 2) AS token
    FROM series e
    JOIN instances i ON i.series_id = e.id
   WHERE e.study_id = $1
     AND (e.series_instance_uid <> $2 OR i.sop_instance_uid <> $3)),
remaining AS (
  SELECT *, CASE WHEN token LIKE '%+.dcm'
                 THEN '0' || translate(token, '0123456789abcdef', 'fedcba9876543210')
                 ELSE '1' || token END AS weight
    FROM named)
(SELECT 1 AS level, $1 AS entity, id, blob_key
   FROM remaining ORDER BY weight, id LIMIT 1)
 UNION ALL
(SELECT 2, series_id, id, blob_key
   FROM remaining WHERE series_instance_uid = $2 ORDER BY weight, id LIMIT 1)
"""
READ = """
SELECT id, metadata,
       ARRAY(SELECT DISTINCT left(path, 8) FROM jsonb_object_keys(bulk) AS path) AS bulk
  FROM instances
 WHERE id = ANY ($1::bigint[])
"""


def _update(table: str, new: str, columns: Sequence[str]) -> str:
    names, values = ", ".join(columns), ", ".join(f"n.{column}" for column in columns)
    return (
        f"UPDATE {table} SET ({names}) = (SELECT {values} FROM unnest($2::{new}[]) n) "  # noqa: S608
        "WHERE id = $1"
    )


# All columns but the first, the UID, which stays.
UPDATE_STUDY = _update("studies", "new_study", STUDY_COLUMNS[1:])
UPDATE_SERIES = _update("series", "new_series", SERIES_COLUMNS[1:])
DELETE_REQUESTS = "DELETE FROM series_requests WHERE series_id = $1"
INSERT_REQUESTS = f"""
INSERT INTO series_requests (institution_id, series_id, {", ".join(REQUEST_COLUMNS)})
SELECT $1, $2, {", ".join(f"n.{column}" for column in REQUEST_COLUMNS)}
  FROM unnest($3::new_request[]) n
"""  # noqa: S608
DELETE_VALUES = """
DELETE FROM attribute_values
 WHERE study_id = $1 AND series_id IS NOT DISTINCT FROM $2::bigint AND instance_id IS NULL
"""
INSERT_VALUES = """
INSERT INTO attribute_values (attribute_id, institution_id, study_id, series_id, value)
SELECT n.attribute, $1, $2, $3, n.value
  FROM unnest($4::integer[], $5::text[]) AS n (attribute, value)
"""
CHECK_ATTRIBUTES = "SELECT check_attributes($1)"


class Giver(NamedTuple):
    """An instance, as it is: another version has another blob."""

    id: int
    blob_key: str


async def describe_in_thread(instances: Sequence[Kept], attributes: Attributes) -> list[Parents]:
    """Where there are no worker processes."""
    return await asyncio.to_thread(parents_of, instances, attributes)


class Restating:
    """What is known of the instances whose attributes a study and a series are to have.

    It is best known before rows are locked: `read`, then `describe`, which needs no connection.
    What others have changed since is read and described by `restate`.
    """

    def __init__(
        self, attributes: AttributeList | None = None, describe: Describe = describe_in_thread
    ) -> None:
        self._attributes = attributes or AttributeList()
        self._describe = describe
        self._read: dict[Giver, Kept] = {}
        self._known: dict[Giver, Parents] = {}
        self._versions: set[int] = set()  # of the attributes in what was restated

    async def read(
        self, conn: Connection, scope: Scope, study: str, series: str, instance: str | None
    ) -> None:
        """Read what would give attributes if a series, or an instance of it, were not there."""
        found = await conn.fetchrow(FIND_STUDY, *scope_arguments(study, scope))
        if found:
            rows = await conn.fetch(FIND_GIVERS, found["id"], series, instance)
            await self._fetch(conn, [Giver(row["id"], row["blob_key"]) for row in rows])

    async def describe(self) -> None:
        """Find out what those give that were read."""
        missing = [giver for giver in self._read if giver not in self._known]
        if missing:
            described = await self._describe(
                [self._read[giver] for giver in missing], self._attributes.known
            )
            self._known.update(zip(missing, described, strict=True))

    async def renew(self, conn: Connection) -> None:
        """Find it out again, as other attributes are indexed by now."""
        await self._attributes.reload(conn)
        self._known.clear()
        await self.describe()

    async def restate(
        self,
        conn: Connection,
        institution_id: int,
        study_id: int,
        series: str,
        instance: str | None,
    ) -> None:
        """Let a study, and a series of it if it still exists, have the attributes of what is left
        of them. In a transaction that has locked the study and deleted their other instances."""
        self._versions.clear()
        rows = await conn.fetch(FIND_GIVERS, study_id, series, instance)
        givers = [Giver(row["id"], row["blob_key"]) for row in rows]
        await self._fetch(conn, [giver for giver in givers if giver not in self._known])
        await self.describe()
        for row, giver in zip(rows, givers, strict=True):
            parents, level = self._known[giver], Level(row["level"])
            if level is Level.STUDY:
                await conn.execute(UPDATE_STUDY, study_id, [parents.study])
                place: tuple[int, int | None] = (study_id, None)
            else:
                await self._restate_series(conn, institution_id, row["entity"], parents)
                place = (study_id, row["entity"])
            values = [value for value in parents.values if value.level is level]
            await conn.execute(DELETE_VALUES, *place)
            if values:
                await conn.execute(
                    INSERT_VALUES,
                    institution_id,
                    *place,
                    [value.attribute for value in values],
                    [value.text for value in values],
                )
            self._versions.add(parents.attributes)

    async def check(self, conn: Connection) -> None:
        """After the change counter was locked. Raises what `is_stale` if values were restated
        that were made for another list of indexed attributes."""
        for version in self._versions:
            await conn.execute(CHECK_ATTRIBUTES, version)

    async def _restate_series(
        self, conn: Connection, institution_id: int, series_id: int, parents: Parents
    ) -> None:
        await conn.execute(UPDATE_SERIES, series_id, [(1, *parents.series)])
        await conn.execute(DELETE_REQUESTS, series_id)
        if parents.requests:
            requests = [(1, *request) for request in parents.requests]
            await conn.execute(INSERT_REQUESTS, institution_id, series_id, requests)

    async def _fetch(self, conn: Connection, givers: Sequence[Giver]) -> None:
        by_id = {giver.id: giver for giver in givers}
        if by_id:
            for row in await conn.fetch(READ, list(by_id)):
                self._read[by_id[row["id"]]] = Kept(row["metadata"], frozenset(row["bulk"]))
