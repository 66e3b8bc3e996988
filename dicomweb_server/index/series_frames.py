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
MOST_METADATA = 4 << 20  # bytes of packed metadata of a series
_MOST_RANGES = 64 * RECORD  # bytes of a frame table; longer ones are not returned

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
        begins = [(number - 1) * RECORD for number in numbers]
        records = [ranges[begin : begin + RECORD] for begin in begins]
    return frame_location(row, row["sop_instance_uid"], numbers, records)
