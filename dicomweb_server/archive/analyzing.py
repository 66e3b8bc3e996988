"""The planner is told soon when tables that were empty fill."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background
from dicomweb_server.errors import Unavailable, where
from dicomweb_server.index.database import acquire
from dicomweb_server.index.statistics import Statistics

log = structlog.get_logger()

_PAUSE = 1.0  # seconds in which few rows come, so that no plan is very bad


@asynccontextmanager
async def analyzing(archive: Archive) -> AsyncIterator[None]:
    """Look every second, until the context is left."""
    async with background(_watch(archive)):
        yield


async def _watch(archive: Archive) -> None:
    statistics = Statistics()
    while True:
        try:
            async with acquire(archive.pool) as conn:
                renewed = await statistics.renew(conn)
            if renewed:
                log.info("analysed tables that counted as empty", tables=renewed)
        except Unavailable:  # then nobody searches either
            pass
        except Exception as error:
            log.error("tables could not be analysed", where=where(error))
        await asyncio.sleep(_PAUSE)
