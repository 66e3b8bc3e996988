"""The instances of a study or series in runs, each known by what it holds.

A run is some instances that follow each other in the order of WADO-11. Where one ends follows
from the files in it, not from its place: what is added or removed changes the run that it stands
in and no other, so that what was made of the others can be used again.
"""

import asyncio
import hashlib
import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.marks import MARK, ROW_ID
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

# Of a mark: the row's number, the last byte of SHA-256, and the length of the metadata
_MARKS = np.dtype(
    {
        "names": ["id", "last", "packed"],
        "formats": [f"V{ROW_ID}", "u1", ">u4"],
        "offsets": [0, ROW_ID + 31, ROW_ID + 40],
        "itemsize": ROW_ID + 44,
    }
)
_MARK = _MARKS.itemsize
_SOON = 5000 * _MARK  # bytes that take 2 ms; more are not for the event loop


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


# The marks alone, one behind the other, tell all of it: so a resource is one row, of 52 bytes an
# instance, and takes Postgres half of the time that cutting it into runs there does.
LIST_MARKS = f"""
SELECT string_agg(mark, '') AS marks
  FROM (SELECT {MARK} AS mark
          FROM {TABLES}
         WHERE e.study_id = {STUDY_OF}
           AND ($4::text IS NULL OR e.series_instance_uid = $4)
         ORDER BY {POSITION}) listed
"""  # noqa: S608 - put together from constants, as is the one below

READ_RUNS = f"""
SELECT $1::text AS study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
       i.metadata AS packed, i.sha256, {MARK} AS mark
  FROM unnest($3::bigint[]) AS asked (id)
  JOIN instances i ON i.id = asked.id
  JOIN series e ON e.id = i.series_id
 WHERE i.institution_id = ANY ($2::integer[])
"""  # noqa: S608


async def list_runs(
    conn: Connection, scope: Scope, study: str, series: str | None = None
) -> list[Run]:
    """The runs of a study or series, in order. Raises NotFound."""
    marks = await conn.fetchval(LIST_MARKS, *scope_arguments(study, scope), series)
    if marks is None:
        raise NotFound(no_parent(study, series))
    return runs_of(marks) if len(marks) <= _SOON else await asyncio.to_thread(runs_of, marks)


def runs_of(marks: bytes) -> list[Run]:
    """The runs of the instances with these marks, in their order."""
    table = np.frombuffer(marks, _MARKS)
    ids = table["id"].tobytes()
    sizes = [0, *np.cumsum(table["packed"], dtype=np.int64).tolist()]  # before each, and of all
    ends = [*(np.flatnonzero(table["last"] < ENDING) + 1).tolist(), len(table)]
    runs: list[Run] = []
    begin = 0
    for end in ends:
        while begin < end:
            to = _end_of(sizes, begin, end)
            digest = hashlib.sha256(marks[begin * _MARK : to * _MARK]).digest()
            packed = sizes[to] - sizes[begin]
            runs.append(Run(digest, packed, ids[begin * ROW_ID : to * ROW_ID]))
            begin = to
    return runs


def _end_of(sizes: Sequence[int], begin: int, end: int) -> int:
    """Where a run that begins there ends: at `end`, or before, where it is long or large."""
    end = min(end, begin + LONGEST)
    return bisect_left(sizes, sizes[begin] + LARGEST, begin + 1, end)


async def read_runs(
    conn: Connection, scope: Scope, study: str, runs: Sequence[Run]
) -> Mapping[bytes, Any]:
    """What is there of runs that were listed before, for `rows_of`."""
    ids = [number for run in runs for number in run.row_ids]
    rows = await conn.fetch(READ_RUNS, study, list(scope.institution_ids), ids)
    return {row["mark"][:ROW_ID]: row for row in rows}


def rows_of(run: Run, rows: Mapping[bytes, Any]) -> tuple[list[MetadataRow], bool]:
    """The packed metadata of a run, and whether it is as it was when it was listed: what was
    deleted since is left out, and what came in its place is not in it. 3 ms for 1,000 rows."""
    ids = (run.ids[at : at + ROW_ID] for at in range(0, len(run.ids), ROW_ID))
    of_run = [rows[row_id] for row_id in ids if row_id in rows]
    same = hashlib.sha256(b"".join(row["mark"] for row in of_run)).digest() == run.digest
    return [MetadataRow(*(row[name] for name in MetadataRow.__slots__)) for row in of_run], same
