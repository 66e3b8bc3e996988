"""Sweep: remove blobs that no row names, as a crash between blob and row leaves them behind.

What is younger than a moment stays: an upload puts its blob before its row. A blob without a row
is litter only if the index can be believed to be whole, so that nothing is swept while an index
is being rebuilt, nothing beside an empty one, and nothing that is older than the index itself
unless that has been rebuilt.
"""

import datetime
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.blob_keys import read_blob_key
from dicomweb_server.archive.rebuild_index import COMPLETE
from dicomweb_server.archive.rebuild_index import WORK as REBUILDING
from dicomweb_server.blobs.store import BlobInfo
from dicomweb_server.index.database import acquire
from dicomweb_server.index.progress import alone_with_blobs, read_progress
from dicomweb_server.index.rebuild_index import is_empty
from dicomweb_server.index.sweep import began_at
from dicomweb_server.index.versions import named_keys

PAGE = 1000  # blobs looked up together


class CannotSweep(Exception):
    """The index cannot be believed. ``str()`` says why, and what to do."""


@dataclass(slots=True)
class Swept:
    """How far it is."""

    seen: int = 0
    removed: int = 0  # or to be removed, if nothing is
    bytes: int = 0  # of those
    older: int = 0  # without a row, but older than the index
    unknown: int = 0  # that have no names of blobs
    failed: int = 0  # that could not be removed


class Watcher(Protocol):
    """Is told how it goes."""

    def advance(self, swept: Swept) -> None:
        """More has been seen."""

    def removed(self, key: str, size: int) -> None:
        """A blob without a row is removed, or would be."""

    def stays(self, key: str, reason: str) -> None:
        """Something looks like litter, and is left alone."""


async def sweep(
    archive: Archive, watcher: Watcher, before: datetime.datetime, *, dry_run: bool = False
) -> Swept:
    """Remove blobs without a row that were put before a moment.

    Raises CannotSweep; Unavailable while the database or the store is away, or a rebuild is at
    work.
    """
    swept = Swept()
    async with alone_with_blobs(archive.pool):
        since = await _believed_since(archive)
        async for page in _pages(archive):
            swept.seen += len(page)
            await _sweep_page(archive, watcher, swept, page, before, since, dry_run)
            watcher.advance(swept)
    return swept


async def _believed_since(archive: Archive) -> datetime.datetime | None:
    """Of what was put before that the index may know nothing; None if it knows of everything."""
    async with acquire(archive.pool) as conn:
        if await read_progress(conn, REBUILDING):
            raise CannotSweep(
                "The index is not whole: a rebuild-index did not come to its end.\n"
                "Go on with it first: rebuild-index --continue"
            )
        if await is_empty(conn):
            raise CannotSweep(
                "The index is empty, so that every file would be removed.\n"
                "If there are files, make it anew first: rebuild-index"
            )
        complete = await read_progress(conn, COMPLETE)
        return None if complete else await began_at(conn)


async def _pages(archive: Archive) -> AsyncIterator[list[BlobInfo]]:
    page: list[BlobInfo] = []
    async for blob in archive.blobs.list():
        page.append(blob)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


async def _sweep_page(
    archive: Archive,
    watcher: Watcher,
    swept: Swept,
    page: Sequence[BlobInfo],
    before: datetime.datetime,
    since: datetime.datetime | None,
    dry_run: bool,
) -> None:
    names = {blob.key: read_blob_key(blob.key) for blob in page}
    uids = {name.sop_instance_uid for name in names.values() if name is not None}
    async with acquire(archive.pool) as conn:
        named = await named_keys(conn, sorted(uids))
    for blob in page:
        name = names[blob.key]
        if name is None:
            swept.unknown += 1
            watcher.stays(blob.key, "its name is not one of the archive's")
        # A file may have been made long before it was put here, or been touched since.
        elif blob.key in named or max(blob.modified, name.made_at) >= before:
            continue
        elif since is not None and name.made_at < since:
            swept.older += 1
            watcher.stays(blob.key, "it is older than the index")
        else:
            await _remove(archive, watcher, swept, blob, dry_run)


async def _remove(
    archive: Archive, watcher: Watcher, swept: Swept, blob: BlobInfo, dry_run: bool
) -> None:
    if not dry_run:
        try:
            await archive.blobs.delete([blob.key])
        except OSError as error:
            swept.failed += 1
            watcher.stays(blob.key, f"it cannot be removed: {error.strerror}")
            return
    swept.removed += 1
    swept.bytes += blob.size
    watcher.removed(blob.key, blob.size)
