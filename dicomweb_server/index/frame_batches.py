"""Frames of many instances found by one statement: what is asked at the same moment shares it.

A viewer that opens a series asks for its frames on several connections; half of what a frame
costs is the way to the database and back.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotAcceptable, NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    FRAME_COLUMNS,
    LOCATION,
    RECORD_OF_FRAME,
    FrameLocation,
    frame_location,
    instance_of,
    representable,
    scope_arguments,
)


class AskedFrame(NamedTuple):
    """One frame of one instance, by the UIDs of its path; counted from 1."""

    study: str
    series: str
    instance: str
    number: int


# $1 and $4 to $6 hold what is asked, a column each; $2 and $3 are the scope, as everywhere. How
# long these lists are is hidden from the planner, which would plan anew for each length.
_INSTITUTIONS = "(SELECT $2::integer[])::integer[]"
_WANTED = instance_of("asked.study", "asked.series", "asked.instance")

LOCATE_MANY = f"""
SELECT found.*
  FROM unnest((SELECT $1::text[]), (SELECT $4::text[]), (SELECT $5::text[]),
              (SELECT $6::integer[]))
       WITH ORDINALITY AS asked (study, series, instance, number, place)
  LEFT JOIN LATERAL (
    SELECT {LOCATION.replace("$1::text", "asked.study")}, {FRAME_COLUMNS},
           ARRAY [{RECORD_OF_FRAME}] AS records
      FROM {_WANTED.replace("$2::integer[]", "$2").replace("$2", _INSTITUTIONS)}
  ) AS found ON true
 ORDER BY asked.place
"""  # noqa: S608 - put together from constants


# Those of one study; what else is as above.
COUNT_FRAMES_OF = f"""
SELECT asked.place::integer - 1, found.*
  FROM unnest((SELECT $4::text[]), (SELECT $5::text[]))
       WITH ORDINALITY AS asked (series, instance, place)
 CROSS JOIN LATERAL (
    SELECT i.frame_count, i.transfer_syntax_uid
      FROM {instance_of("$1", "asked.series", "asked.instance")}
       AND i.frame_count > 0
  ) AS found
 ORDER BY asked.place
"""  # noqa: S608


async def count_frames_of(
    conn: Connection, scope: Scope, study: str, asked: Sequence[tuple[str, str]]
) -> list[tuple[int, int, str]]:
    """Of instances of a study, as (series, instance), those that are here and have frames: which
    of them it is, from 0, how many frames it has, and its transfer syntax."""
    uids = [series for series, _ in asked], [instance for _, instance in asked]
    key = scope_arguments(study, scope)
    return [tuple(row) for row in await conn.fetch(COUNT_FRAMES_OF, *key, *uids)]


async def locate_many(
    conn: Connection, scope: Scope, asked: Sequence[AskedFrame]
) -> list[FrameLocation | NotFound | NotAcceptable]:
    """Find each frame as ``retrieve.locate_frames`` does, or why there is none."""
    studies = scope.study_instance_uids
    rows = await conn.fetch(
        LOCATE_MANY,
        [each.study for each in asked],
        list(scope.institution_ids),
        None if studies is None else list(studies),
        [each.series for each in asked],
        [each.instance for each in asked],
        [next(iter(representable([each.number])), 0) for each in asked],
    )
    return [_found(row, each) for row, each in zip(rows, asked, strict=True)]


def _found(row: Any, asked: AskedFrame) -> FrameLocation | NotFound | NotAcceptable:
    try:
        known = None if row["blob_key"] is None else row
        return frame_location(known, asked.instance, [asked.number])
    except (NotFound, NotAcceptable) as refusal:
        return refusal
