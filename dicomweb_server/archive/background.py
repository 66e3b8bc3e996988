"""Work that goes on beside requests."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have `work` done until the context is left."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def to_the_end(work: "asyncio.Future[T]") -> T:
    """The result of `work`; who is cancelled meanwhile still waits until it is done."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():  # also if it is cancelled again
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        raise
