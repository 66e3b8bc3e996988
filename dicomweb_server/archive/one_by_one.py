"""Work that is done one after the other for the same thing, and side by side for others."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class StillWaiting(Exception):
    """Others were at it for all of the time that one had."""


@dataclass(slots=True)
class _Queue:
    users: int = 0  # who has it, and who waits
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class OneByOne:
    """Locks by what they are for, of this process; each is there only while somebody uses it."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}

    @property
    def keys(self) -> list[Hashable]:
        """What somebody is at, or waits for."""
        return list(self._queues)

    @asynccontextmanager
    async def turn(self, key: Hashable, seconds: float) -> AsyncIterator[bool]:
        """Be the only one for `key`, in the order of asking. Gives whether others were before.

        Raises StillWaiting after so many seconds.
        """
        queue = self._queues.setdefault(key, _Queue())
        others = queue.users > 0
        queue.users += 1
        try:
            await _lock(queue.lock, seconds)
            try:
                yield others
            finally:
                queue.lock.release()
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[key]


async def _lock(lock: asyncio.Lock, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await lock.acquire()
    except TimeoutError:
        raise StillWaiting from None
