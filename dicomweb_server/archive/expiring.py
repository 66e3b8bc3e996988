"""The derived-data cache gets rid of what nobody uses also where nobody puts anything into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dicomweb_server.archive.archive import Archive

_HOUR = 3600  # seconds


@asynccontextmanager
async def expiring(archive: Archive) -> AsyncIterator[None]:
    """Sweep it now and every hour, until the context is left: its limit may have been lowered,
    down to nothing, since the last start."""
    task = asyncio.create_task(_sweep(archive))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(archive: Archive) -> None:
    while True:
        await asyncio.to_thread(archive.derived.sweep)
        await asyncio.sleep(_HOUR)
