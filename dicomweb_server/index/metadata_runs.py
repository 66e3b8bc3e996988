"""The instances of a study or series in runs, each known by what it holds.

A run is some instances that follow each other in the order of WADO-11. Where one ends follows
from the files in it, not from its place: what is added or removed changes the run that it stands
in and no other, so that what was made of the others can be used again.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.marks import MARK
from dicomweb_server.index.retrieve import (
    POSITION,
    STUDY_OF,
    TABLES,
    MetadataRow,
    no_parent,
    scope_arguments,
)

ENDING = 8  # of 256 files are the last of their run, so that runs have 32 on average
LONGEST = 64  # instances
LARGEST = 1 << 20  # bytes of packed metadata after which a run ends


@dataclass(frozen=True, slots=True)
class Run:
    """Some instances of a resource, in order.

    `digest` changes with which they are, their files, when each was stored or its row made anew,
    and the length of its metadata. `packed` is the bytes of the packed metadata, and `ids` names
    the rows.
    """

    digest: bytes
    packed: int
    ids: bytes

    @property
    def count(self) -> int:
        """How many instances."""
        return len(self.ids) // 8

    @property
    def row_ids(self) -> list[int]:
        return [number for (number,) in struct.iter_unpack(">q", self.ids)]


LIST_RUNS = f"""
WITH listed AS (
  SELECT i.id, octet_length(i.metadata) AS size, {MARK} AS mark,
         get_byte(i.sha256, 31) < {ENDING} AS ends,
         row_number() OVER (ORDER BY {POSITION}) AS place
    FROM {TABLES}
   WHERE e.study_id = {STUDY_OF}
     AND ($4::text IS NULL OR e.series_instance_uid = $4)
), cut AS (
  SELECT *, sum(ends::integer) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) - ends::integer AS run
    FROM listed
), parts AS (
  SELECT *, (row_number() OVER run - 1) / {LONGEST} AS count,
         (sum(size) OVER run - size) / {LARGEST} AS bytes
    FROM cut
  WINDOW run AS (PARTITION BY run ORDER BY place ROWS UNBOUNDED PRECEDING)
)
SELECT sha256(string_agg(mark, '' ORDER BY place)) AS digest, sum(size) AS packed,
       string_agg(int8send(id), '' ORDER BY place) AS ids
  FROM parts
 GROUP BY run, count, bytes
 ORDER BY run, count, bytes
"""  # noqa: S608 - put together from constants, as is the one below

READ_RUN = f"""
SELECT $1::text AS study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
       i.metadata AS packed, i.sha256, {MARK} AS mark
  FROM unnest($3::bigint[]) WITH ORDINALITY AS asked (id, place)
  JOIN instances i ON i.id = asked.id
  JOIN series e ON e.id = i.series_id
 WHERE i.institution_id = ANY ($2::integer[])
 ORDER BY place
"""  # noqa: S608


async def list_runs(
    conn: Connection, scope: Scope, study: str, series: str | None = None
) -> list[Run]:
    """The runs of a study or series, in order. Raises NotFound."""
    rows = await conn.fetch(LIST_RUNS, *scope_arguments(study, scope), series)
    if not rows:
        raise NotFound(no_parent(study, series))
    return [Run(row["digest"], int(row["packed"]), row["ids"]) for row in rows]


async def read_run(
    conn: Connection, scope: Scope, study: str, run: Run
) -> tuple[Sequence[MetadataRow], bool]:
    """The packed metadata of a run that was listed before, and whether it is as it was then:
    what was deleted since is left out, and what came in its place is not in it."""
    rows = await conn.fetch(READ_RUN, study, list(scope.institution_ids), run.row_ids)
    same = hashlib.sha256(b"".join(row["mark"] for row in rows)).digest() == run.digest
    return [MetadataRow(*(row[name] for name in MetadataRow.__slots__)) for row in rows], same
