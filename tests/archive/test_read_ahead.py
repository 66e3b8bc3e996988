"""What comes next is on its way while something is sent: so much of it, and closed in any case."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from dicomweb_server.archive import read_ahead
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.read_ahead import contents_ahead, in_order

Part = tuple[Content, int]


class Far:
    """A store that takes a while, and counts who reads from it."""

    def __init__(self) -> None:
        self.now = self.most = self.begun = self.closed = 0
        self.failing: set[int] = set()

    async def stream(self, number: int, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02)
            if number in self.failing:
                raise EOFError
            data = bytes([number]) * length
            yield data[: length // 2]
            await asyncio.sleep(0)
            yield data[length // 2 :]
        finally:
            self.now -= 1
            self.closed += 1

    async def parts(self, count: int, length: int = 10) -> AsyncIterator[Part]:
        for number in range(count):
            yield Content(length, "a/b", "1.2", partial(self.stream, number)), number


async def read(parts: AsyncGenerator[Part, None]) -> list[tuple[int, bytes]]:
    found = []
    async with aclosing(parts):
        async for content, number in parts:
            try:
                found.append((number, b"".join([chunk async for chunk in content.read()])))
            finally:
                await content.close()
    return found


async def test_all_come_in_their_order_and_at_once() -> None:
    far, loop = Far(), asyncio.get_running_loop()
    started = loop.time()
    found = await read(contents_ahead(far.parts(50)))
    assert found == [(number, bytes([number]) * 10) for number in range(50)]
    assert loop.time() - started < 50 * 0.02 / 3
    assert far.most == read_ahead.MOST
    assert far.begun == far.closed == 50


@pytest.mark.parametrize(("length", "most"), [(1 << 20, 16), (3 << 20, 6), (40 << 20, 4)])
async def test_what_is_begun_is_bounded_in_bytes(length: int, most: int) -> None:
    far = Far()
    parts = contents_ahead(far.parts(30, length))
    first, _ = await anext(parts)
    await asyncio.sleep(0.05)
    assert far.begun == most
    await first.close()
    await parts.aclose()
    assert (far.now, far.closed) == (0, most)


async def test_a_fault_is_told_at_its_place() -> None:
    far = Far()
    far.failing = {3}
    parts = contents_ahead(far.parts(10))
    found = []
    with pytest.raises(EOFError):
        async for content, number in parts:
            try:
                assert [chunk async for chunk in content.read()]
            finally:
                await content.close()
            found.append(number)
    await parts.aclose()
    assert found == [0, 1, 2]
    assert far.now == 0


async def test_a_part_of_one_is_read_by_itself() -> None:
    far = Far()
    parts = contents_ahead(far.parts(2))
    content, _ = await anext(parts)
    assert b"".join([chunk async for chunk in content.read_range(2, 4)]) == bytes(4)
    await content.close()
    await parts.aclose()
    assert far.now == 0


async def test_who_leaves_ends_it_all() -> None:
    far = Far()
    reading = asyncio.ensure_future(read(contents_ahead(far.parts(50))))
    await asyncio.sleep(0.03)
    reading.cancel()
    await asyncio.wait([reading])
    await asyncio.sleep(0.05)
    assert far.now == 0
    assert far.begun < 50


async def test_what_is_made_keeps_its_order() -> None:
    running: set[int] = set()
    most = 0

    async def make(number: int) -> int:
        nonlocal most
        running.add(number)
        most = max(most, len(running))
        await asyncio.sleep(0.001 * (7 - number % 7))
        running.discard(number)
        if number == 20:
            raise EOFError
        return number

    makers: list[Callable[[], Any]] = [partial(make, number) for number in range(30)]
    found = []
    with pytest.raises(EOFError):
        async for number in in_order(makers, 4):
            found.append(number)
    assert found == list(range(20))
    assert most == 4
    await asyncio.sleep(0.02)
    assert not running - {21, 22, 23}  # they were cancelled
