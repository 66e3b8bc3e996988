"""What a File-set is made of: the files of a resource, and their metadata, in one statement a
page, so that they belong together."""

from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    INSTANCE_OF,
    LOCATION,
    TABLES,
    Location,
    Page,
    Position,
    first_of,
    location_of,
    next_of,
    no_parent,
    page_with_metadata,
    scope_arguments,
)

READ_FILES = page_with_metadata(f"{LOCATION}, i.metadata AS packed")

READ_FILE = f"""
SELECT {LOCATION}, i.metadata AS packed
  FROM {TABLES}
 WHERE {INSTANCE_OF}
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class File:
    """A stored file and its packed metadata."""

    location: Location
    packed: bytes


async def read_files(
    conn: Connection,
    scope: Scope,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    after: Position | None = None,
) -> Page[File]:
    """The files of a study, a series or an instance, ordered by WADO-11. Raises NotFound."""
    key = (*scope_arguments(study, scope), series)
    following = None
    if instance is None:
        rows = await conn.fetch(READ_FILES, *key, *first_of(after))
        following = next_of(rows, rows[0]["found"] if rows else 0)
    else:
        rows = await conn.fetch(READ_FILE, *key, instance)
    if not rows and after is None:
        raise NotFound(no_parent(study, series) if instance is None else f"no instance {instance}")
    return Page([File(location_of(row), row["packed"]) for row in rows], following)
