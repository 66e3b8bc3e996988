"""Work that several may ask for at the same time, and that is done once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way by what it makes. It goes on when who asked for it leaves."""

    def __init__(self, at_a_time: int) -> None:
        """`at_a_time`: pieces of work that are done side by side; others wait for their turn."""
        self._turns = asyncio.Semaphore(at_a_time)
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}
        self._works: set[asyncio.Task[Sequence[T | Exception]]] = set()

    async def each(
        self,
        keys: Sequence[Hashable],
        work: Callable[[list[int]], Awaitable[Sequence[T | Exception]]],
    ) -> list[T]:
        """What is made of each of `keys`, no two of which are the same. Of those that nobody is at,
        all in one piece by `work`, which is told their places and gives as many results, or what
        is to be raised for one; of others what comes of it for who asked before. Raises that, or
        what `work` raised."""
        places = [place for place, key in enumerate(keys) if key not in self._under_way]
        if places:
            whole = asyncio.create_task(self._do(work, places))
            self._works.add(whole)
            whole.add_done_callback(self._works.discard)
            for number, place in enumerate(places):
                self._begin(keys[place], _one_of(whole, number))
        asked = [asyncio.shield(self._under_way[key]) for key in keys]
        return await asyncio.gather(*asked)

    def _begin(self, key: Hashable, making: Coroutine[Any, Any, T]) -> None:
        task = asyncio.create_task(making)
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._landed(key, done))

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [*self._works, *self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(
        self, work: Callable[[list[int]], Awaitable[Sequence[T | Exception]]], places: list[int]
    ) -> Sequence[T | Exception]:
        async with self._turns:
            return await work(places)

    def _landed(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever is still there has it


async def _one_of(whole: "asyncio.Task[Sequence[T | Exception]]", number: int) -> T:
    made = (await whole)[number]
    if isinstance(made, Exception):
        raise made
    return made
