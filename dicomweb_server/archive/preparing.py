"""While a series is being stored its metadata are made ready, for who asks when the last is in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background
from dicomweb_server.archive.metadata_array import prepare_runs
from dicomweb_server.errors import NotFound, Unavailable, where

log = structlog.get_logger()


@asynccontextmanager
async def preparing(archive: Archive) -> AsyncIterator[None]:
    """Prepare in the background, one series at a time, until the context is left."""
    if not archive.settings.cache_limit_bytes:
        yield
        return
    async with background(_prepare(archive)):
        yield


async def _prepare(archive: Archive) -> None:
    grown = archive.arrivals.listen()
    while True:
        scope, study, series = await grown.get()
        size = 0
        try:
            size = await prepare_runs(archive, scope, study, series)
        except (NotFound, Unavailable):  # it is for speed alone
            pass
        except Exception as error:
            log.error("metadata could not be prepared", where=where(error))
        archive.arrivals.prepared(scope, study, series, size)
