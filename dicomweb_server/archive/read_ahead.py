"""Reading begins before its turn where the store is far away: what comes next is on its way while
something is sent, so that the latency of a bucket is waited for once, not for every blob.

Bounded in number and in bytes. Where blobs are local files nothing is read ahead: the kernel does.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from dicomweb_server.archive.content import Content
from dicomweb_server.blobs.store import MAX_CHUNK

MOST = 16  # blobs
MOST_BYTES = 16 << 20  # of what has been begun; one is, however large
MOST_FRAMES = 4  # which are read whole, and of 4 MiB at most

T = TypeVar("T")
P = TypeVar("P")


class Begun:
    """A stream whose first chunk is being read already. It is read once, and closed."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._first = asyncio.ensure_future(_first_of(chunks))

    async def read(self) -> AsyncGenerator[bytes, None]:
        """All of it."""
        chunk = await self._first
        if chunk is not None:
            yield chunk
            async for each in self._chunks:
                yield each

    async def close(self) -> None:
        """Nobody reads it any more, whether it has been read or not."""
        self._first.cancel()
        await asyncio.wait([self._first])
        if not self._first.cancelled():
            self._first.exception()  # whoever reads it has heard of it
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()


async def _first_of(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def begun_ahead(
    items: AsyncIterator[T], begin: Callable[[T], Begun | None], size_of: Callable[[T], int]
) -> AsyncGenerator[tuple[T, Begun | None], None]:
    """The items in their order, each with what `begin` begins of it before its turn, which who
    takes it has to close; `size_of` it in bytes."""
    begun: deque[tuple[T, Begun | None, int]] = deque()
    held, more = 0, True
    try:
        while True:
            while more and (not begun or (len(begun) < MOST and held < MOST_BYTES)):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    more = False
                    break
                size = min(size_of(item), 2 * MAX_CHUNK)  # two chunks are on their way at most
                begun.append((item, begin(item), size))
                held += size
            if not begun:
                return
            item, stream, size = begun.popleft()
            held -= size
            yield item, stream
    finally:
        for _, stream, _ in begun:
            if stream is not None:
                await stream.close()
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def contents_ahead(
    parts: AsyncIterator[tuple[Content, P]],
) -> AsyncGenerator[tuple[Content, P], None]:
    """The same parts; of those that are read from blobs, several are being read at a time."""

    def begin(part: tuple[Content, P]) -> Begun | None:
        content = part[0]
        return Begun(content.read()) if content.scratch is None and content.data is None else None

    ahead = begun_ahead(parts, begin, lambda part: part[0].length)
    try:
        async for (content, other), stream in ahead:
            yield (content if stream is None else _with(content, stream)), other
    finally:
        await ahead.aclose()


def _with(content: Content, begun: Begun) -> Content:
    def stream(offset: int, length: int) -> AsyncIterator[bytes]:
        whole = (offset, length) == (0, content.length)
        return begun.read() if whole else content.stream(offset, length)

    return replace(content, stream=stream, scratch=begun)


async def in_order(
    making: Iterable[Callable[[], Awaitable[T]]], most: int = MOST_FRAMES
) -> AsyncGenerator[T, None]:
    """What each gives, in their order; `most` are awaited at a time."""
    waiting: deque[asyncio.Future[T]] = deque()
    makers = iter(making)
    try:
        while True:
            while len(waiting) < most and (make := next(makers, None)) is not None:
                waiting.append(asyncio.ensure_future(make()))
            if not waiting:
                return
            made = await waiting[0]
            waiting.popleft()
            yield made
    finally:
        for task in waiting:
            task.cancel()
        for task in waiting:
            with suppress(asyncio.CancelledError, Exception):
                await task
