"""All instances of a series at once, with where their frames lie, and whether that is still so.

To ask whether takes what looking up one frame does; for a series that is being looked through it
answers for all of them.
"""

from collections.abc import Sequence
from typing import Any

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    FRAME_COLUMNS,
    LOCATION,
    RECORD,
    STUDY_OF,
    TABLES,
    FrameLocation,
    frame_location,
    scope_arguments,
)

MOST = 4000  # instances of a series
_MOST_RANGES = 64 * RECORD  # bytes of a frame table; longer ones are not returned

# What changes instances of a study changes its row too, in the same transaction: each version of a
# row has the number of the transaction that wrote it (xmin), and a place of its own (ctid).
STUDY_VERSION = f"""
SELECT s.id, s.xmin, s.ctid
  FROM studies s
 WHERE s.id = {STUDY_OF}
"""  # noqa: S608 - put together from constants

FRAMES_OF_SERIES = f"""
SELECT {LOCATION}, {FRAME_COLUMNS},
       CASE WHEN octet_length(i.frame_ranges) <= {_MOST_RANGES} THEN i.frame_ranges END
         AS frame_ranges
  FROM {TABLES}
 WHERE e.study_id = {STUDY_OF}
   AND e.series_instance_uid = $4
 LIMIT {MOST + 1}
"""  # noqa: S608

StudyVersion = tuple[int, int, tuple[int, int]]


async def study_version(conn: Connection, scope: Scope, study: str) -> StudyVersion | None:
    """What is another after each change of a study's instances; None if it is not there."""
    row = await conn.fetchrow(STUDY_VERSION, *scope_arguments(study, scope))
    return None if row is None else tuple(row)


async def instances_of(conn: Connection, scope: Scope, study: str, series: str) -> Sequence[Any]:
    """The instances of a series, in no order: MOST, and one more if there are more."""
    return await conn.fetch(FRAMES_OF_SERIES, *scope_arguments(study, scope), series)


def frame_of(row: Any, number: int) -> FrameLocation | None:
    """Where a frame of one of these instances lies, counted from 1; None if its table was too long.

    Raises NotFound, NotAcceptable, as ``retrieve.locate_frames`` does.
    """
    records: list[bytes] = []
    if row["encapsulated"]:
        if (ranges := row["frame_ranges"]) is None:
            return None
        begin = (number - 1) * RECORD
        records = [ranges[begin : begin + RECORD]]
    return frame_location(row, row["sop_instance_uid"], [number], records)
