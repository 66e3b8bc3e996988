"""What a File-set is made of: the files of a resource, and their metadata, in one statement a
page, so that they belong together."""

from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Connection
from dicomweb_server.index.retrieve import (
    INSTANCE_OF,
    LOCATION,
    Location,
    Page,
    Position,
    location_of,
    page_with_metadata,
    rows_of_page,
)

READ_FILES = page_with_metadata(f"{LOCATION}, i.metadata AS packed")

READ_FILE = f"""
SELECT {LOCATION}, i.metadata AS packed
  FROM {INSTANCE_OF}
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
    uids = study, series, instance
    rows, following = await rows_of_page(conn, (READ_FILES, READ_FILE), scope, uids, after)
    return Page([File(location_of(row), row["packed"]) for row in rows], following)
