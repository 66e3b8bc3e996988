"""Caches get rid of what nobody uses also where nobody puts anything into them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background

_MINUTE = 60  # seconds
_HOUR = 60  # minutes


@asynccontextmanager
async def expiring(archive: Archive) -> AsyncIterator[None]:
    """Sweep them now and every hour, and where the disk is nearly full, until the context is left:
    their limits may have been lowered, down to nothing, since the last start."""
    async with background(_sweep(archive)):
        yield


async def _sweep(archive: Archive) -> None:
    for minute in count():
        # What can be had again gives way to what is to be stored.
        if minute % _HOUR == 0 or await asyncio.to_thread(archive.copies.lacks_room):
            await asyncio.to_thread(archive.derived.sweep)
            await asyncio.to_thread(archive.copies.sweep)
        await asyncio.sleep(_MINUTE)
