"""What the derived-data cache needs to be done in the background.

While a series is being stored its metadata are made ready, for who asks when the last is in. Once
a day goes what nobody uses any more.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.metadata_array import prepare_runs
from dicomweb_server.errors import NotFound, Unavailable, where

log = structlog.get_logger()

_DAY = 86_400  # seconds


@asynccontextmanager
async def preparing(archive: Archive) -> AsyncIterator[None]:
    """Prepare in the background, one series at a time, and sweep, until the context is left."""
    if not archive.settings.cache_limit_bytes:
        yield
        return
    tasks = [asyncio.create_task(_prepare(archive)), asyncio.create_task(_sweep(archive))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sweep(archive: Archive) -> None:
    while True:
        await asyncio.to_thread(archive.derived.sweep)
        await asyncio.sleep(_DAY)


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
