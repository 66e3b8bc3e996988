"""Which instances have bulk data, and where all of one instance's lie."""

import asyncio
from dataclasses import dataclass

import orjson

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    INSTANCE_OF,
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
    no_parent,
    scope_arguments,
)

# Float Pixel Data, Double Float Pixel Data and Pixel Data, at the top level
PIXEL_PATHS = ("7FE00008", "7FE00009", "7FE00010")

_LARGE = 64 << 10  # characters of a table of bulk data; it takes a millisecond to read


@dataclass(frozen=True, slots=True)
class Holder:
    """An instance with bulk data: `pixels` at its top level, and `others`."""

    location: Location
    pixels: bool
    others: bool


_PIXELS = f"ARRAY[{', '.join(repr(path) for path in PIXEL_PATHS)}]"
_HOLDERS = f"""
SELECT {LOCATION}, {NUMBERS}, i.bulk ?| {_PIXELS} AS pixels, i.bulk - {_PIXELS} <> '{{}}' AS others
  FROM {TABLES}
 WHERE %s
   AND {PAGE_OF}
"""  # noqa: S608 - put together from constants

_COUNTS = f"""
SELECT i.transfer_syntax_uid, i.bulk ?| {_PIXELS} AS pixels, i.bulk - {_PIXELS} <> '{{}}' AS others,
       count(*) AS instances
  FROM {TABLES}
 WHERE %s
   AND e.study_id = {STUDY_OF}
   AND ($4::text IS NULL OR e.series_instance_uid = $4)
 GROUP BY 1, 2, 3
"""  # noqa: S608

_ANY_BULK_DATA = "i.bulk IS NOT NULL AND i.bulk <> '{}'"
_ANY_PIXEL_DATA = f"i.bulk ?| {_PIXELS}"
LIST_BULK_DATA, COUNT_BULK_DATA = _HOLDERS % _ANY_BULK_DATA, _COUNTS % _ANY_BULK_DATA
LIST_PIXEL_DATA, COUNT_PIXEL_DATA = _HOLDERS % _ANY_PIXEL_DATA, _COUNTS % _ANY_PIXEL_DATA

LOCATE_ALL_BULK = f"""
SELECT {LOCATION}, i.bulk::text AS bulk
  FROM {INSTANCE_OF}
"""  # noqa: S608


async def list_holders(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    *,
    pixels_only: bool,
    after: Position | None = None,
) -> Page[Holder]:
    """The instances of a study or series that have bulk data, or pixel data, ordered by WADO-11.
    Raises NotFound if there is none."""
    statement = LIST_PIXEL_DATA if pixels_only else LIST_BULK_DATA
    key = (*scope_arguments(study, scope), series)
    rows = await conn.fetch(statement, *key, *first_of(after))
    if not rows and after is None:
        kind = "pixel data" if pixels_only else "bulk data"
        raise NotFound(f"{no_parent(study, series)} with {kind}")
    holders = [Holder(location_of(row), row["pixels"], row["others"]) for row in rows]
    return Page(holders, next_of(rows, len(rows)))


async def count_holders(
    conn: Connection, scope: Scope, study: str, series: str | None = None, *, pixels_only: bool
) -> dict[tuple[str, bool, bool], int]:
    """How many instances of a study or series have bulk data, or pixel data: by their transfer
    syntax, and by which they have (`Holder.pixels`, `Holder.others`)."""
    statement = COUNT_PIXEL_DATA if pixels_only else COUNT_BULK_DATA
    rows = await conn.fetch(statement, *scope_arguments(study, scope), series)
    kinds = ("transfer_syntax_uid", "pixels", "others")
    return {tuple(row[name] for name in kinds): row["instances"] for row in rows}


async def locate_all_bulk(
    conn: Connection, scope: Scope, study: str, series: str, instance: str, *, pixels_only: bool
) -> tuple[Location, dict[str, BulkValue]]:
    """Find all bulk data of one instance, by path and in its order; or its pixel data alone.

    Raises NotFound if there is no such instance, or none of it.
    """
    row = await conn.fetchrow(LOCATE_ALL_BULK, *scope_arguments(study, scope), series, instance)
    if row is None:
        raise NotFound(f"no instance {instance}")
    text = row["bulk"] or "{}"
    large = len(text) > _LARGE  # others get their turn meanwhile
    values = await asyncio.to_thread(_values, text) if large else _values(text)
    if pixels_only:
        values = {path: values[path] for path in PIXEL_PATHS if path in values}
    if not values:
        kind = "pixel data" if pixels_only else "bulk data"
        raise NotFound(f"instance {instance} has no {kind}")
    return location_of(row), values


def _values(text: str) -> dict[str, BulkValue]:
    values = orjson.loads(text)
    return {path: BulkValue(*values[path]) for path in sorted(values, key=_order)}


def _order(path: str) -> list[int]:
    """That of the data set: tags ascend, and so do items, as numbers."""
    steps = path.split("/")
    return [int(step, 10 if place % 2 else 16) for place, step in enumerate(steps)]
