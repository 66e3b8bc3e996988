"""Purge: forget versions that others replaced long ago, and old files in quarantine.

Rows first, with an entry in the audit for each, blobs second: a crash in between leaves blobs
that no row names, for the next sweep.
"""

import asyncio
import datetime
from dataclasses import dataclass

import structlog

from dicomweb_server.access.policy import DEFAULT_INSTITUTION, Scope
from dicomweb_server.archive import quarantine
from dicomweb_server.archive.archive import Archive
from dicomweb_server.index.database import acquire
from dicomweb_server.index.versions import find_purgeable
from dicomweb_server.index.versions import purge as forget

log = structlog.get_logger()

PRINCIPAL = "purge"
PAGE = 500  # versions


@dataclass(slots=True)
class Purged:
    """What was removed, or would be."""

    files: int = 0
    bytes: int = 0
    failed: int = 0  # whose rows are gone and whose blobs could not be removed


async def purge(archive: Archive, before: datetime.datetime, *, dry_run: bool = False) -> Purged:
    """Remove superseded versions that were replaced before a moment. Raises Unavailable."""
    scope = Scope((DEFAULT_INSTITUTION,), principal=PRINCIPAL)
    purged = Purged()
    after = 0
    while True:
        async with acquire(archive.pool) as conn:
            page = await find_purgeable(conn, before, after, PAGE)
            if page and not dry_run:
                await forget(conn, scope, page)
        if not page:
            return purged
        after = page[-1].id
        purged.files += len(page)
        purged.bytes += sum(version.size for version in page)
        if not dry_run:
            try:
                await archive.blobs.delete([version.blob_key for version in page])
            except OSError as error:
                log.error("blobs of purged versions stay behind", reason=error.strerror)
                purged.failed += len(page)


async def purge_quarantine(
    archive: Archive, before: datetime.datetime, *, dry_run: bool = False
) -> Purged:
    """Remove files that were quarantined before a moment, and what never became an entry."""
    folder = archive.settings.quarantine_dir
    files, size = await asyncio.to_thread(quarantine.purge, folder, before, dry_run)
    return Purged(files, size)
