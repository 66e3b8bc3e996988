"""All instances of a series at once, with where their frames lie, and whether that is still so.

To ask whether takes what looking up one frame does; for a series that is being looked through it
answers for all of them.
"""

from collections.abc import Collection, Sequence
from typing import Any

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.frames import RECORD
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    FRAME_COLUMNS,
    LOCATION,
    STUDY_OF,
    FrameLocation,
    frame_location,
    scope_arguments,
)

MOST = 4000  # instances of a series
MOST_METADATA = 4 << 20  # bytes of packed metadata of a series
_MOST_RANGES = 64 * RECORD.size  # bytes of a frame table; longer ones are not returned

# What changes instances of a study changes its row too, in the same transaction: each version of a
# row has the number of the transaction that wrote it (xmin), and a place of its own (ctid).
STUDY_VERSION = f"""
SELECT s.id, s.xmin, s.ctid
  FROM studies s
 WHERE s.id = {STUDY_OF}
"""  # noqa: S608 - put together from constants

# $5: whether their metadata are wanted too. How long it is is known without reading it.
FRAMES_OF_SERIES = f"""
SELECT {LOCATION}, {FRAME_COLUMNS},
       CASE WHEN octet_length(i.frame_ranges) <= {_MOST_RANGES} THEN i.frame_ranges END
         AS frame_ranges,
       CASE WHEN $5 AND sum(octet_length(i.metadata)) OVER () <= {MOST_METADATA} THEN i.metadata END
         AS metadata
  FROM series e
 CROSS JOIN LATERAL (SELECT * FROM instances WHERE series_id = e.id LIMIT {MOST + 1}) i
 WHERE e.study_id = {STUDY_OF}
   AND e.series_instance_uid = $4
"""  # noqa: S608

# For how long it is noted that a study may be leased; what was noted long ago goes.
NOTED = 60  # seconds
NOTE_LEASE = f"""
WITH ended AS (
  DELETE FROM leases
   WHERE ctid = ANY (ARRAY(SELECT ctid FROM leases
                            WHERE until < now() - interval '1 hour'
                              AND (study_instance_uid, institution_id) <> ($2, $1)
                              FOR UPDATE SKIP LOCKED)))
INSERT INTO leases AS l (institution_id, study_instance_uid, until)
VALUES ($1, $2, now() + interval '{NOTED} s')
    ON CONFLICT (study_instance_uid, institution_id) DO UPDATE
   SET until = greatest(l.until, EXCLUDED.until)
"""  # noqa: S608

ARE_LEASED = """
SELECT EXISTS (
  SELECT FROM leases
   WHERE study_instance_uid = ANY ($2::text[])
     AND institution_id = ANY ($1::integer[])
     AND until > now())
"""

StudyVersion = tuple[int, int, tuple[int, int]]


async def study_version(conn: Connection, scope: Scope, study: str) -> StudyVersion | None:
    """What is another after each change of a study's instances; None if it is not there."""
    row = await conn.fetchrow(STUDY_VERSION, *scope_arguments(study, scope))
    return None if row is None else tuple(row)


async def note_lease(conn: Connection, scope: Scope, study: str) -> None:
    """Let those who change instances of a study know, for NOTED seconds, that some process may go
    by what it was told of it. To be done before it is told."""
    await conn.execute(NOTE_LEASE, scope.home, study)


async def are_leased(conn: Connection, scope: Scope, studies: Collection[str]) -> bool:
    """Whether some process may know what these studies held before they were changed."""
    leased: bool = await conn.fetchval(ARE_LEASED, list(scope.institution_ids), list(studies))
    return leased


async def instances_of(
    conn: Connection, scope: Scope, study: str, series: str, *, metadata: bool = False
) -> Sequence[Any]:
    """The instances of a series, in no order: MOST, and one more if there are more; with packed
    `metadata` if all of it is not too much."""
    arguments = *scope_arguments(study, scope), series, metadata
    return await conn.fetch(FRAMES_OF_SERIES, *arguments)


def frames_of(row: Any, numbers: Sequence[int]) -> FrameLocation | None:
    """Where frames of one of these instances lie, counted from 1; None if their table was too long.

    Raises NotFound, NotAcceptable, as ``retrieve.locate_frames`` does.
    """
    records: list[bytes] = []
    if row["encapsulated"]:
        if (ranges := row["frame_ranges"]) is None:
            return None
        size = RECORD.size
        records = [ranges[(number - 1) * size : number * size] for number in numbers]
    return frame_location(row, row["sop_instance_uid"], numbers, records)
