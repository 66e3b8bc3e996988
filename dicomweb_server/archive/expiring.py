"""Caches get rid of what nobody uses also where nobody puts anything into them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background

_HOUR = 3600  # seconds


@asynccontextmanager
async def expiring(archive: Archive) -> AsyncIterator[None]:
    """Sweep them now and every hour, until the context is left: their limits may have been lowered,
    down to nothing, since the last start."""
    async with background(_sweep(archive)):
        yield


async def _sweep(archive: Archive) -> None:
    while True:
        await asyncio.to_thread(archive.derived.sweep)
        await asyncio.to_thread(archive.copies.sweep)
        await asyncio.sleep(_HOUR)
