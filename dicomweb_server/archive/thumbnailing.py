"""Thumbnails of new series are made while nothing is being stored, so that a study list has them
at once: idle work, one picture at a time, that waits as soon as an instance comes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background
from dicomweb_server.archive.thumbnails import plain_thumbnail, thumbnail
from dicomweb_server.archive.workers import WorkerStorageFailed
from dicomweb_server.blobs.store import BlobDamaged
from dicomweb_server.errors import Refusal, where

log = structlog.get_logger()


@asynccontextmanager
async def thumbnailing(archive: Archive) -> AsyncIterator[None]:
    """Make them in the background until the context is left; none where none would be kept."""
    if not archive.settings.cache_limit_bytes:
        yield
        return
    archive.new_series.listen()
    async with background(_make(archive)):
        yield


async def _make(archive: Archive) -> None:
    """That of a study is that of one of its series."""
    while True:
        scope, study, series = await archive.new_series.next()
        try:
            wanted = plain_thumbnail("image/jpeg")
            await thumbnail(archive, Principal(scope.principal), study, series, None, None, wanted)
        except (Refusal, BlobDamaged, WorkerStorageFailed):  # who asks for it will hear of it
            pass
        except Exception as error:
            log.error("a thumbnail could not be made", where=where(error))
