"""Which instances of a study or series have pixel data, and how many frames there are."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    LOCATION,
    NUMBERS,
    PAGE_OF,
    STUDY_OF,
    TABLES,
    Location,
    Page,
    Position,
    first_of,
    location_of,
    next_of,
    scope_arguments,
)

COUNT_FRAMES = f"""
SELECT i.transfer_syntax_uid, count(*) AS instances, sum(i.frame_count) AS frames,
       count(*) FILTER (WHERE i.sop_class_uid = ANY ($5::text[])) AS segmentations,
       min(i.rows) AS least_rows, min(i.columns) AS least_columns
  FROM {TABLES}
 WHERE i.frame_count > 0
   AND e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
 GROUP BY i.transfer_syntax_uid
"""  # noqa: S608 - put together from constants, as is the one below

LOCATE_IMAGES = f"""
SELECT {LOCATION}, i.frame_count, {NUMBERS}
  FROM {TABLES}
 WHERE i.frame_count > 0
   AND i.transfer_syntax_uid = ANY ($9::text[])
   AND {PAGE_OF}
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class FrameCount:
    """How many instances of a transfer syntax there are, how many frames they have, how many of
    the instances are segmentations, and the sides of the smallest, None if none tells them."""

    transfer_syntax_uid: str
    instances: int
    frames: int
    segmentations: int
    least_rows: int | None
    least_columns: int | None


async def count_frames(
    conn: Connection, scope: Scope, study: str, series: str | None, segmentations: Sequence[str]
) -> list[FrameCount]:
    """What has frames of a study or series, by transfer syntax; nothing if it does not exist.
    `segmentations`: the SOP classes of such."""
    arguments = *scope_arguments(study, scope), series, list(segmentations)
    rows = await conn.fetch(COUNT_FRAMES, *arguments)
    return [FrameCount(*row) for row in rows]


async def locate_images(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None,
    transfer_syntaxes: Sequence[str],
    after: Position | None = None,
) -> Page[tuple[Location, int]]:
    """The instances whose frames are of these transfer syntaxes, with the number of their
    frames, in the order of WADO-11 and in pages; empty if there are none."""
    key = (*scope_arguments(study, scope), series, *first_of(after), list(transfer_syntaxes))
    rows = await conn.fetch(LOCATE_IMAGES, *key)
    items = [(location_of(row), row["frame_count"]) for row in rows]
    return Page(items, next_of(rows, len(rows)))
