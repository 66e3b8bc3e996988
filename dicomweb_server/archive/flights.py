"""Work that several may ask for at the same time, and that is done once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way by what it makes. It goes on when who asked for it leaves."""

    def __init__(self, at_a_time: int) -> None:
        """`at_a_time`: pieces of work that are done side by side; others wait for their turn."""
        self._turns = asyncio.Semaphore(at_a_time)
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    async def once(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns or raises, or what it did for another who asked for `key` before
        it was done."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._do(work))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turns:
            return await work()

    def _landed(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever is still there has it
