"""Work that ends with the wish for it: what takes long is given up when its client leaves."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_connected(request: Request, making: Awaitable[T]) -> T:
    """What `making` gives. It is cancelled when the client leaves before: what has not begun
    never does, and makes room for others.

    Before an answer begins nobody else looks whether the client is there. Raises
    ClientDisconnect.
    """
    made = asyncio.ensure_future(making)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({made, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            leaving.result()
            raise ClientDisconnect
    finally:
        for task in (made, leaving):
            task.cancel()
        await asyncio.wait({made, leaving})
    return made.result()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
