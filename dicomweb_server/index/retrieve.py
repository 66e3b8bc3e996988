"""Where the bytes of stored instances lie, each answered by one statement.

Everything is looked up by its full triple of UIDs and within the caller's scope: what is
under another parent, or outside the scope, is not found (RES-02). $1 to $3 are the same in all
statements: Study Instance UID, the institutions, and the studies of the scope or NULL for all.

No plan depends on the arguments: on a connection of a pool without ``plan_anew`` Postgres soon
keeps one for each statement, and a frame costs no planning, which takes longer than the look-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.description import BulkValue, FrameTable
from dicomweb_server.dicom.frames import RECORD
from dicomweb_server.dicom.transfer_syntaxes import is_video
from dicomweb_server.errors import NotAcceptable, NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.marks import MARK

PAGE = 1000  # instances of one answer of the database: a few megabytes of metadata, mostly
PAGE_BYTES = 16 << 20  # of packed metadata in one answer, unless it is that of one instance
_MOST_FRAMES = 2**31 - 1  # what the column frame_count can hold


@dataclass(frozen=True, slots=True)
class Location:
    """Where the file of one instance lies, and what it holds."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob_key: str
    size: int  # bytes of the file
    sha256: bytes  # of the file
    dataset_offset: int  # bytes from the beginning of the file


@dataclass(frozen=True, slots=True)
class FrameLocation:
    """Where frames of one instance lie.

    `table` comes without its `ranges`; instead `records` has the 20-byte record of each frame
    that was asked for, in that order. It is empty for native pixel data, where a frame's place
    follows from its number.
    """

    location: Location
    table: FrameTable
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MetadataRow:
    """The metadata of one instance, as ``packing.pack_metadata`` made it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    packed: bytes
    sha256: bytes  # of the file
    mark: bytes  # see ``marks``


# Where an instance stands in the order of WADO-11; what has no number stands last.
Position = tuple[int, str, int, str]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a resource, PAGE at the most; `after` asks for the next, None at the end."""

    items: list[Item]
    after: Position | None


@dataclass(frozen=True, slots=True)
class Representative:
    """The instance that stands for a study or series in a thumbnail (THB-04)."""

    location: Location
    frame_count: int
    packed: bytes  # metadata


LOCATION = """$1::text AS study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
       i.sop_class_uid, i.transfer_syntax_uid, i.blob_key, i.size, i.sha256, i.dataset_offset"""

TABLES = """instances i
  JOIN series e ON e.id = i.series_id"""

# The study itself: the same UID may exist in several institutions; the first of the scope is meant.
STUDY_OF = """(SELECT id FROM studies
               WHERE study_instance_uid = $1
                 AND institution_id = ANY ($2::integer[])
                 AND ($3::text[] IS NULL OR study_instance_uid = ANY ($3))
               ORDER BY array_position($2, institution_id) LIMIT 1)"""


def _looked_up(instance: str) -> str:
    """The instance of a UID and its series, in SQL, as TABLES has them: what follows FROM.

    It is looked up first, by its own UID (OFFSET 0). A planner that takes its series to be small
    would go through all instances of that, of thousands for each frame. For an unknown number of
    institutions it would expect ten of it, and plan anew each time (IS TRUE).
    """
    return f"""(SELECT * FROM instances
         WHERE sop_instance_uid = {instance}
           AND (institution_id = ANY ($2::integer[])) IS TRUE
        OFFSET 0) i
  JOIN series e ON e.id = i.series_id"""  # noqa: S608 - put together from constants


def instance_of(study: str, series: str, instance: str) -> str:
    """The instance of these UIDs within the scope, in SQL: what follows FROM, with its WHERE."""
    return f"""{_looked_up(instance)}
 WHERE e.series_instance_uid = {series}
   AND e.study_id = {STUDY_OF.replace("$1", study)}"""


INSTANCE_OF = instance_of("$1", "$4", "$5")

_LAST = 2**63 - 1
POSITION = f"""coalesce(e.series_number, {_LAST}), e.series_instance_uid,
          coalesce(i.instance_number, {_LAST}), i.sop_instance_uid"""  # WADO-11

# The largest study may have more instances than fit into memory: PAGE at a time. Each page sorts
# what is left of the study anew, for no index has this order; that is accepted for now.
PAGE_OF = f"""e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
   AND ($6::text IS NULL
        OR ({POSITION}) > ($5::bigint, $6::text, $7::bigint, $8::text))
 ORDER BY {POSITION}
 LIMIT {PAGE}"""
NUMBERS = "e.series_number, i.instance_number"

LOCATE_INSTANCE = f"""
SELECT {LOCATION}
  FROM {INSTANCE_OF}
"""  # noqa: S608 - put together from the constants above, as are those below

LOCATE_INSTANCES = f"""
SELECT {LOCATION}, {NUMBERS}
  FROM {TABLES}
 WHERE {PAGE_OF}
"""  # noqa: S608

FRAME_COLUMNS = """i.frame_count, i.encapsulated, i.pixel_offset, i.pixel_length,
       i.frame_bits, i.frame_word"""
RECORD_OF_FRAME = f"substr(i.frame_ranges, (asked.number - 1) * {RECORD.size} + 1, {RECORD.size})"

_FRAMES = f"""
SELECT {LOCATION}, i.metadata, {FRAME_COLUMNS},
       ARRAY (SELECT {RECORD_OF_FRAME}
                FROM unnest($6::integer[]) WITH ORDINALITY AS asked (number, place)
               WHERE asked.number <= i.frame_count
               ORDER BY asked.place) AS records
  FROM {INSTANCE_OF}
"""  # noqa: S608

LOCATE_RENDERED = _FRAMES
LOCATE_FRAMES = _FRAMES.replace(", i.metadata", "")

SERIES_OF = f"""
SELECT e.series_instance_uid
  FROM {_looked_up("$4")}
 WHERE e.study_id = {STUDY_OF}
"""  # noqa: S608

FIRST_OF_CLASSES = f"""
SELECT {LOCATION}
  FROM {TABLES}
 WHERE e.study_id = {STUDY_OF}
   AND e.series_instance_uid = $4
   AND i.sop_class_uid = ANY ($5::text[])
 ORDER BY i.instance_number NULLS LAST, i.sop_instance_uid
 LIMIT 1
"""  # noqa: S608

LOCATE_BULK = f"""
SELECT {LOCATION}, (i.bulk -> $6::text)::text AS bulk_value
  FROM {INSTANCE_OF}
"""  # noqa: S608

_METADATA = f"""$1::text AS study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
       i.metadata AS packed, i.sha256, {MARK} AS mark"""


def page_with_metadata(columns: str) -> str:
    """A statement for PAGE_OF; `columns` has the packed metadata among them, as ``packed``.

    Lengths are known without reading what is long. A page is cut before it grows beyond
    PAGE_BYTES, but never before its first row; `found` says what there was before the cut.
    """
    return f"""
SELECT *
  FROM (
    SELECT page.*, count(*) OVER () AS found,
           sum(octet_length(packed)) OVER (ORDER BY place) AS bytes
      FROM (
        SELECT page.*, row_number() OVER () AS place
          FROM (
            SELECT {columns}, {NUMBERS}
              FROM {TABLES}
             WHERE {PAGE_OF}
          ) AS page
      ) AS page
  ) AS page
 WHERE bytes <= {PAGE_BYTES} OR place = 1
 ORDER BY place
"""  # noqa: S608


READ_METADATA = page_with_metadata(_METADATA)

READ_METADATA_OF_INSTANCE = f"""
SELECT {_METADATA}
  FROM {INSTANCE_OF}
"""  # noqa: S608

# A row without an instance says that the study or series exists and has no image.
REPRESENTATIVE = f"""
WITH asked AS (
  SELECT e.id, e.series_number, e.series_instance_uid
    FROM series e
   WHERE e.study_id = {STUDY_OF} AND ($4::text IS NULL OR e.series_instance_uid = $4)
), first AS (
  SELECT id
    FROM asked e
   WHERE EXISTS (SELECT FROM instances i WHERE i.series_id = e.id AND i.frame_count > 0)
   ORDER BY series_number NULLS LAST, series_instance_uid
   LIMIT 1
), images AS (
  SELECT i.id, count(*) OVER () AS total,
         row_number() OVER (ORDER BY i.instance_number NULLS LAST, i.sop_instance_uid) AS place
    FROM instances i JOIN first ON first.id = i.series_id
   WHERE i.frame_count > 0
), chosen AS (
  SELECT {LOCATION}, i.frame_count, i.metadata
    FROM {TABLES}
   WHERE i.id = (SELECT id FROM images WHERE place = total / 2 + 1)
)
SELECT chosen.*
  FROM (SELECT FROM asked LIMIT 1) AS present LEFT JOIN chosen ON true
"""  # noqa: S608


def scope_arguments(study: str, scope: Scope) -> tuple[str, list[int], list[str] | None]:
    studies = scope.study_instance_uids
    return study, list(scope.institution_ids), None if studies is None else list(studies)


def location_of(row: Any) -> Location:
    return Location(**{name: row[name] for name in Location.__slots__})


async def locate_instance(
    conn: Connection, scope: Scope, study: str, series: str, instance: str
) -> Location:
    """Find the file of one instance. Raises NotFound."""
    row = await conn.fetchrow(LOCATE_INSTANCE, *scope_arguments(study, scope), series, instance)
    if row is None:
        raise NotFound(f"no instance {instance}")
    return location_of(row)


async def locate_instances(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    after: Position | None = None,
) -> Page[Location]:
    """Find the files of a study or a series, ordered by WADO-11: series number, series UID,
    instance number, SOP UID, numbers that are unknown last. Raises NotFound."""
    rows = await conn.fetch(
        LOCATE_INSTANCES, *scope_arguments(study, scope), series, *first_of(after)
    )
    if not rows and after is None:
        raise NotFound(no_parent(study, series))
    return Page([location_of(row) for row in rows], next_of(rows, len(rows)))


def first_of(after: Position | None) -> Position | tuple[None, None, None, None]:
    return after or (None, None, None, None)


def next_of(rows: Sequence[Any], found: int) -> Position | None:
    """Where the next page begins, after `rows` of `found` that this one might have had."""
    if not rows or (found < PAGE and len(rows) == found):
        return None
    last = rows[-1]
    numbers = [_LAST if last[n] is None else last[n] for n in ("series_number", "instance_number")]
    return numbers[0], last["series_instance_uid"], numbers[1], last["sop_instance_uid"]


async def locate_frames(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str,
    instance: str,
    numbers: Sequence[int],
) -> FrameLocation:
    """Find frames of one instance by their numbers, counted from 1.

    Raises NotFound if there is no such instance, it has no pixel data, or it lacks a frame;
    NotAcceptable for frames of a video.
    """
    key = (*scope_arguments(study, scope), series, instance)
    row = await conn.fetchrow(LOCATE_FRAMES, *key, representable(numbers))
    return frame_location(row, instance, numbers)


async def locate_rendered(
    conn: Connection, scope: Scope, study: str, series: str, instance: str, number: int
) -> tuple[FrameLocation, bytes]:
    """Find one frame and the packed metadata that rendering it needs. Raises NotFound as
    `locate_frames` does."""
    key = (*scope_arguments(study, scope), series, instance)
    row = await conn.fetchrow(LOCATE_RENDERED, *key, representable([number]))
    location = frame_location(row, instance, [number])
    assert row is not None
    return location, row["metadata"]


def representable(numbers: Sequence[int]) -> list[int]:
    """The frame numbers that a frame can have; of others there is nothing to be read."""
    return [number for number in numbers if 1 <= number <= _MOST_FRAMES // RECORD.size]


def frame_location(
    row: Any, instance: str, numbers: Sequence[int], records: Sequence[bytes] | None = None
) -> FrameLocation:
    """Where frames lie, of the row that says it, or None; it has their `records` if these are not
    given.

    Raises NotFound, NotAcceptable for a video beyond its one value: none of its frames can be
    had, however many it has (WADO-08).
    """
    if row is None:
        raise NotFound(f"no instance {instance}")
    if row["frame_count"] is None:
        raise NotFound(f"instance {instance} has no pixel data")
    if not all(1 <= number <= row["frame_count"] for number in numbers):
        if is_video(row["transfer_syntax_uid"]) and all(number >= 1 for number in numbers):
            raise NotAcceptable([])
        raise NotFound(f"instance {instance} has {row['frame_count']} frames")
    table = FrameTable(
        count=row["frame_count"],
        encapsulated=row["encapsulated"],
        offset=row["pixel_offset"],
        length=row["pixel_length"],
        frame_bits=row["frame_bits"],
        word=row["frame_word"],
    )
    if not table.encapsulated:
        records = ()
    elif records is None:
        records = row["records"]
    return FrameLocation(location_of(row), table, tuple(records))


async def series_of(conn: Connection, scope: Scope, study: str, instance: str) -> str:
    """The series of an instance of a study. Raises NotFound."""
    found = await conn.fetchval(SERIES_OF, *scope_arguments(study, scope), instance)
    if found is None:
        raise NotFound(f"no instance {instance}")
    return str(found)


async def first_of_classes(
    conn: Connection, scope: Scope, study: str, series: str, sop_classes: Sequence[str]
) -> Location | None:
    """The first instance of a series, by number, of one of some SOP Classes; None if there is
    none."""
    key = scope_arguments(study, scope)
    row = await conn.fetchrow(FIRST_OF_CLASSES, *key, series, list(sop_classes))
    return None if row is None else location_of(row)


async def locate_bulk(
    conn: Connection, scope: Scope, study: str, series: str, instance: str, path: str
) -> tuple[Location, BulkValue]:
    """Find one value that metadata refers to, by its path (BLK-04). Raises NotFound."""
    row = await conn.fetchrow(LOCATE_BULK, *scope_arguments(study, scope), series, instance, path)
    if row is None:
        raise NotFound(f"no instance {instance}")
    if row["bulk_value"] is None:
        raise NotFound(f"instance {instance} has no bulk data {path}")
    offset, length, vr = orjson.loads(row["bulk_value"])
    return location_of(row), BulkValue(offset, length, vr)


async def read_metadata(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    after: Position | None = None,
) -> Page[MetadataRow]:
    """The metadata of a study, a series or an instance, ordered by WADO-11. Raises NotFound."""
    statements = READ_METADATA, READ_METADATA_OF_INSTANCE
    uids = study, series, instance
    rows, following = await rows_of_page(conn, statements, scope, uids, after)
    items = [MetadataRow(*(row[name] for name in MetadataRow.__slots__)) for row in rows]
    return Page(items, following)


async def rows_of_page(
    conn: Connection,
    statements: tuple[str, str],
    scope: Scope,
    uids: tuple[str, str | None, str | None],
    after: Position | None,
) -> tuple[list[Any], Position | None]:
    """The rows of a page of a study or series, or that of an instance, and what the next page is
    after. `statements`: by `page_with_metadata`, and for one instance. Raises NotFound."""
    (of_several, of_one), (study, series, instance) = statements, uids
    key = (*scope_arguments(study, scope), series)
    following = None
    if instance is None:
        rows = await conn.fetch(of_several, *key, *first_of(after))
        following = next_of(rows, rows[0]["found"] if rows else 0)
    else:
        rows = await conn.fetch(of_one, *key, instance)
    if not rows and after is None:
        raise NotFound(no_parent(study, series) if instance is None else f"no instance {instance}")
    return rows, following


async def representative(
    conn: Connection, scope: Scope, study: str, series: str | None = None
) -> Representative | None:
    """The middle image of the series, or of the study's first series with images (THB-04).

    None if there is no instance with pixel data. Raises NotFound if there is no such study or
    series.
    """
    row = await conn.fetchrow(REPRESENTATIVE, *scope_arguments(study, scope), series)
    if row is None:
        raise NotFound(no_parent(study, series))
    if row["blob_key"] is None:
        return None
    return Representative(location_of(row), row["frame_count"], row["metadata"])


def no_parent(study: str, series: str | None) -> str:
    return f"no study {study}" if series is None else f"no series {series} in study {study}"
