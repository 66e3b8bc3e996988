"""Reading ahead from blobs that are far away, so that a viewer waits for the first of them alone.

Who asks for the image of one instance mostly asks for those around it next. A bucket takes its
time for each, however little it is; so the neighbours are on their way before they are asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicomweb_server.blobs.store import MAX_CHUNK, BlobInfo, BlobStore, Place

LARGEST = 8 << 20  # bytes of a blob that is read ahead
KEPT = 48 << 20  # bytes of those that were, in one process
BESIDE = 4  # reads, of several requests; no latency is to be hidden then
REMEMBERED = 1000  # blobs that were read
AT_A_TIME = 24  # blobs on their way: a thousand a second, of 20 ms each

_AT_ONCE = nullcontext()

Expected = tuple[str, int]  # the key of a blob, and its bytes


class Expecting(Protocol):
    """What has blobs on their way before they are asked for."""

    def follow(self, blobs: Sequence[Expected]) -> None:
        """Of these, the blobs of a series, some will be expected."""

    def expect(self, blobs: Sequence[Expected]) -> None:
        """These will probably be read soon, the first of them first."""


@dataclass(slots=True)
class _Coming:
    """A blob that is expected, on its way, or here."""

    size: int  # bytes
    task: "asyncio.Task[bytes]"
    begun: bool = False  # it waits for others no more


class ExpectedBlobs:
    """Blobs of another store, some of which are in memory before they are asked for.

    A blob never changes, so that what is kept of one cannot be out of date; one that was deleted
    is not found in the index, and asked for by nobody. What was asked for is kept as well until
    there is no more room: it has other frames. What cannot be read ahead is read when it is
    asked for, and tells then what is wrong.
    """

    def __init__(
        self,
        behind: BlobStore,
        *,
        kept: int = KEPT,
        largest: int = LARGEST,
        at_a_time: int = AT_A_TIME,
    ) -> None:
        """`kept`: bytes in memory, at the most. `largest`: bytes of one blob. `at_a_time`: blobs
        on their way; what is asked for needs connections too."""
        self._behind = behind
        self._limit = kept
        self._largest = largest
        self._coming: OrderedDict[str, _Coming] = OrderedDict()  # the least wanted first
        self._bytes = 0
        self._turns = asyncio.Semaphore(at_a_time)
        self._waiting = 0  # those who wait for what was not expected
        self._read: OrderedDict[str, int] = OrderedDict()  # bytes of it, the latest last
        self.arrived: Callable[[str, float], None] | None = None
        """Is told the key of a blob that has come, to be `kept`, and when it was asked for."""

    def follow(self, blobs: Sequence[Expected]) -> None:
        """See Expecting: there is nothing to prepare."""

    def expect(self, blobs: Sequence[Expected]) -> None:
        """These will probably be read soon, the first of them first.

        Where several are waited for side by side already, nothing more is to be gained; what has
        just been read is not expected again.
        """
        if self._waiting >= BESIDE:
            return
        room = self._limit // 2  # of the rest, some is wanted already
        for key, size in blobs:
            room -= size
            if room < 0:
                break
            if key in self._coming:
                self._coming.move_to_end(key)
            elif 0 < size <= self._largest and 2 * self._read.get(key, 0) < size:
                self._begin(key, size)
        self._make_room()

    def _begin(self, key: str, size: int, *, now: bool = False) -> "asyncio.Task[bytes]":
        """Have a blob on its way. Of several who waited for one that did not come, the first has
        begun again, and the others wait with it."""
        coming = self._coming.get(key)
        if coming is not None:
            if coming.begun:
                return coming.task
            self._drop(key)
        task = asyncio.create_task(self._fetch(key, size, _AT_ONCE if now else self._turns))
        task.add_done_callback(_take_note)
        self._coming[key] = _Coming(size, task, begun=now)
        self._bytes += size
        return task

    def _make_room(self) -> None:
        while self._bytes > self._limit:
            self._drop(next(iter(self._coming)))

    async def _fetch(self, key: str, size: int, turn: AbstractAsyncContextManager[object]) -> bytes:
        try:
            async with turn:
                self._coming[key].begun = True
                since = time.time()
                data = await self._behind.read(key, 0, size)
        except BaseException:
            self._forget(key)
            raise
        if self.arrived is not None:
            self.arrived(key, since)
        return data

    def _forget(self, key: str) -> None:
        coming = self._coming.get(key)
        if coming is not None and coming.task is asyncio.current_task():
            self._bytes -= self._coming.pop(key).size

    def _drop(self, key: str) -> None:
        coming = self._coming.pop(key)
        self._bytes -= coming.size
        coming.task.cancel()

    async def _ahead(self, key: str) -> bytes | None:
        """A blob that is kept or on its way; None if it is not, or did not come. One that others
        are still before is needed now: no more is expected of it."""
        if key in self._coming:
            await asyncio.sleep(0)  # those whose turn it is begin
        coming = self._coming.get(key)
        if coming is None:
            return None
        if not coming.begun:
            self._drop(key)
            return None
        self._coming.move_to_end(key)
        await asyncio.wait([coming.task])
        if coming.task.cancelled() or coming.task.exception() is not None:
            return None
        return coming.task.result()

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """See BlobStore."""
        data = await self._ahead(key)
        if data is None or offset + length > len(data):
            return await self._now(key, offset, length)
        return data if length == len(data) else data[offset : offset + length]

    async def read_whole(self, key: str, size: int) -> bytes:
        """All `size` bytes of a blob, which is kept as if it had been expected."""
        data = await self._ahead(key)
        if data is not None or not 0 < size <= self._largest:
            return await self._now(key, 0, size) if data is None else data
        self._note(key, size)
        self._waiting += 1
        try:
            task = self._begin(key, size, now=True)
            self._make_room()
            await asyncio.wait([task])
            if not task.cancelled():
                return task.result()
        finally:
            self._waiting -= 1
        return await self._now(key, 0, size)  # there was no room for it

    def kept(self, key: str) -> bytes | None:
        """A blob that is in memory."""
        coming = self._coming.get(key)
        if coming is None or not coming.task.done() or coming.task.cancelled():
            return None
        return coming.task.result() if coming.task.exception() is None else None

    def _note(self, key: str, length: int) -> None:
        self._read[key] = self._read.pop(key, 0) + length
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)

    async def _now(self, key: str, offset: int, length: int) -> bytes:
        self._note(key, length)
        self._waiting += 1
        try:
            return await self._behind.read(key, offset, length)
        finally:
            self._waiting -= 1

    async def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """See BlobStore."""
        data, end = await self._ahead(key), offset + length
        if data is None or end > len(data):
            self._note(key, length)
            async for chunk in self._behind.stream(key, offset, length):
                yield chunk
            return
        for at in range(offset, end, MAX_CHUNK):  # a server copies a piece as a whole
            yield data[at : min(at + MAX_CHUNK, end)]
            await asyncio.sleep(0)

    async def close(self) -> None:
        """See BlobStore."""
        tasks = [coming.task for coming in self._coming.values()]
        for key in list(self._coming):
            self._drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._behind.close()

    # ------------------------------------------------------------- as the store behind has it

    @property
    def at_rest(self) -> BlobStore:
        """See BlobStore."""
        return self._behind.at_rest

    async def check(self) -> None:
        """See BlobStore."""
        await self._behind.check()

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore."""
        return await self._behind.put_many(blobs)

    @property
    def place(self) -> Place | None:
        """See BlobStore."""
        return self._behind.place

    @property
    def has_files(self) -> bool:
        """See BlobStore."""
        return self._behind.has_files

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """See BlobStore."""
        return self._behind.local(key)

    async def delete(self, keys: Sequence[str]) -> None:
        """See BlobStore."""
        for key in keys:
            if key in self._coming:
                self._drop(key)
        await self._behind.delete(keys)

    def list(self, prefix: str = "", after: str = "") -> AsyncIterator[BlobInfo]:
        """See BlobStore."""
        return self._behind.list(prefix, after)


def _take_note(task: "asyncio.Task[bytes]") -> None:
    if not task.cancelled():
        task.exception()  # who needs the blob will hear of it
