"""Blobs that are far away, of which those that are recent have copies on the local disk.

A file that is stored stays here under a second name, once the store that counts has it; what is
read ahead, or nearly whole, is written here when it has come. A copy is read like any file of the
archive. It is never counted as stored, and may be removed at any time, by any process: what cannot
be read here is read where it is at rest. See bounded_folder for what goes when.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import structlog

from dicomweb_server.archive.background import to_the_end
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.expected_blobs import LARGEST, Expected, ExpectedBlobs
from dicomweb_server.archive.near_copies import Copy, KnownCopies, group_of, name_of
from dicomweb_server.archive.scratch import scratch_path
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged, BlobInfo, BlobStore, Place

log = structlog.get_logger()

FAILED_SECONDS = 60.0  # in which nothing is kept on a disk that is full, or fails
_NOTING_SECONDS = 5.0  # in which uses are collected
_WINDOWS = 16  # of readers, which are looked at together
_LOOKED_FOR = 250  # copies at a time, which takes some milliseconds
THREADS = 4
_MOST = 16  # blobs that the batch of a thread writes
_MOST_BYTES = LARGEST  # of those, which are in memory beside what is kept there

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A blob that is to be written."""

    key: str
    data: bytes
    since: float  # time.time() before it was asked for


class NearBlobs:
    """See BlobStore; `expect` as ExpectedBlobs has it."""

    def __init__(self, far: ExpectedBlobs, folder: BoundedFolder, scratch: Path) -> None:
        """`scratch`: where `local` gives a blob another name for a while."""
        self._far = far
        self._folder = folder
        self._scratch = scratch
        self._files = FilesystemBlobs(folder.folder)
        self._threads = ThreadPoolExecutor(THREADS, "near")
        self._known = KnownCopies()
        self._unknown: dict[str, Copy] = {}  # by key, to be looked for
        self._windows: list[Sequence[Expected]] = []  # that wait for that
        self._looking: asyncio.Task[None] | None = None
        self._arrived: dict[str, float] = {}  # by key, when it was asked for
        self._writing: asyncio.Task[None] | None = None
        self._failed = 0.0  # time.monotonic() until which nothing is kept
        self._used: set[str] = set()
        self._noting: asyncio.TimerHandle | None = None
        far.arrived = self._keep

    # ------------------------------------------------------------- reading

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """See BlobStore."""
        copy = self._known.of(key)
        if copy.may_be_there and self._far.kept(key) is None:
            try:
                data = await self._files.read(self._folder.place_of(copy.name), offset, length)
            except (BlobDamaged, OSError) as error:  # none, or somebody has removed or cut it
                await self._found_lost(copy, error)
            else:
                self._found(copy)
                return data
        if length <= copy.size <= min(LARGEST, 2 * length) and offset + length <= copy.size:
            whole = await self._far.read_whole(key, copy.size)
            return whole[offset : offset + length]
        return await self._far.read(key, offset, length)

    async def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """See BlobStore."""
        copy, end = self._known.of(key), offset + length
        if copy.may_be_there:
            try:
                place = self._folder.place_of(copy.name)
                async with aclosing(self._files.stream(place, offset, length)) as chunks:
                    async for chunk in chunks:
                        self._found(copy)
                        offset += len(chunk)
                        yield chunk
                if offset == end and length:
                    return
            except (BlobDamaged, OSError) as error:
                await self._found_lost(copy, error)
        async for chunk in self._far.stream(key, offset, end - offset):
            yield chunk

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """See BlobStore: the copy under another name, so that it may go meanwhile."""
        copy = self._known.of(key)
        path = scratch_path(self._scratch, ".blob")
        try:
            if await to_the_end(self._begin(self._name_too, copy, path)):
                self._found(copy)
                yield path
                return
        finally:
            await asyncio.shield(self._in_thread(path.unlink, True))
        async with self._far.local(key) as path:
            yield path

    def _name_too(self, copy: Copy, path: Path) -> bool:
        """Whether `path` is another name of the copy now, which is whole."""
        try:
            path.hardlink_to(self._folder.path(copy.name))
        except OSError:  # none, or on another file system
            return False
        return not copy.size or path.stat().st_size == copy.size

    def _found(self, copy: Copy) -> None:
        if not copy.found_again():
            return
        self._used.add(copy.name)
        if self._noting is None:
            self._noting = asyncio.get_running_loop().call_later(_NOTING_SECONDS, self._note)

    def _note(self) -> None:
        """Let those that were used stay."""
        self._noting = None
        names, self._used = self._used, set()
        self._begin(self._note_all, names)

    def _note_all(self, names: set[str]) -> None:
        for name in names:
            with suppress(OSError):  # it is gone
                self._folder.used(self._folder.path(name))

    async def _found_lost(self, copy: Copy, error: Exception) -> None:
        there = copy.there
        copy.found(there=False)
        if there or type(error) is BlobDamaged:
            await self._in_thread(self._folder.remove, copy.name)

    # ------------------------------------------------------------- reading ahead

    def follow(self, blobs: Sequence[Expected]) -> None:
        """See Expecting: whether there are copies is looked at once for all of them."""
        self._unknown.update((key, self._known.of(key, size)) for key, size in blobs)
        self._begin_to_look()

    def expect(self, blobs: Sequence[Expected]) -> None:
        """See Expecting; those of which there are copies need not be expected."""
        absent, unknown = [], False
        for each in blobs:
            copy = self._known.of(*each)
            if not copy.there:
                absent.append(each)
                if copy.may_be_there:
                    self._unknown[each[0]] = copy
                    unknown = True
        if unknown:
            self._windows = [*self._windows[1 - _WINDOWS :], blobs]
            self._begin_to_look()
        elif absent:
            self._far.expect(absent)

    def _begin_to_look(self) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._unknown:
                copies = self._next_unknown()
                sizes = await self._in_thread(self._sizes, copies)
                for copy, size in zip(copies, sizes, strict=True):
                    copy.found(there=size == copy.size)
                self._expect_known()
        finally:
            self._looking = None

    def _next_unknown(self) -> list[Copy]:
        """Some of those to be looked for: what is expected first, the latest of it before all."""
        expected = (key for window in reversed(self._windows) for key, _ in window)
        nearest = chain((key for key in expected if key in self._unknown), self._unknown)
        keys = dict.fromkeys(islice(nearest, _LOOKED_FOR))
        return [self._unknown.pop(key) for key in keys]

    def _expect_known(self) -> None:
        """Expect what is not here of the windows that have been looked for."""
        windows, self._windows = self._windows, []
        for window in windows:
            if any(key in self._unknown for key, _ in window):
                self._windows.append(window)
            elif absent := [each for each in window if not self._known.of(*each).there]:
                self._far.expect(absent)

    def _sizes(self, copies: Sequence[Copy]) -> list[int | None]:
        sizes: list[int | None] = []
        for copy in copies:
            try:
                sizes.append(self._folder.path(copy.name).stat().st_size)
            except OSError:
                sizes.append(None)
        return sizes

    # ------------------------------------------------------------- keeping

    def _keep(self, key: str, since: float) -> None:
        """Write a blob that has come, if it is in memory still when it is its turn."""
        if self._known.of(key).there or time.monotonic() < self._failed:
            return
        self._arrived[key] = since
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._arrived:
                batch = self._next_batch()
                written = await self._in_thread(self._write_all, batch)
                for each in batch:
                    if self._arrived.pop(each.key, None) is None:  # it was deleted meanwhile
                        await self._in_thread(self._folder.remove, name_of(each.key))
                        continue
                    self._known.of(each.key).found(there=each.key in written)
        finally:
            self._writing = None

    def _next_batch(self) -> list[_Arrived]:
        """Some of those that are in memory still; one at the least, if any is."""
        batch: list[_Arrived] = []
        size = 0
        for key, since in list(self._arrived.items())[:_MOST]:
            data = self._far.kept(key)
            if data is None:
                del self._arrived[key]
                continue
            size += len(data)
            if batch and size > _MOST_BYTES:
                break
            batch.append(_Arrived(key, data, since))
        return batch

    def _write_all(self, batch: Sequence[_Arrived]) -> set[str]:
        """The keys of those that are here now."""
        written = {}
        for each in batch:
            try:
                if self._folder.write(name_of(each.key), [each.data], flushed=True):
                    written[each.key] = each
            except OSError as error:
                self._fails(error)
                break
        marked = {group: self._folder.marked(group) for group in set(map(group_of, written))}
        for key, each in list(written.items()):
            if marked[group_of(key)] >= each.since:
                self._folder.remove(name_of(key))
                del written[key]
        self._folder.came(sum(len(each.data) for each in written.values()))
        return set(written)

    def _fails(self, error: OSError) -> None:
        log.warning("no copies of blobs are kept for a while", errno=error.errno)
        self._failed = time.monotonic() + FAILED_SECONDS

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore: it is for the store behind to say what is stored."""
        links: dict[str, Path] = {}
        try:
            await to_the_end(self._begin(self._link_all, blobs, links))
            errors = await self._far.put_many(blobs)
        except BaseException:
            await asyncio.shield(self._in_thread(self._name_all, links, set()))
            raise
        stored = {key for (_, key), error in zip(blobs, errors, strict=True) if error is None}
        sizes = await to_the_end(self._begin(self._name_all, links, stored))
        for key, size in sizes.items():
            self._known.of(key, size).found(there=True)
        self._begin(self._folder.came, sum(sizes.values()))  # a sweep would be waited for else
        return errors

    def _link_all(self, blobs: Sequence[tuple[Path, str]], links: dict[str, Path]) -> None:
        """Give files of the disk another name each, which `links` has then."""
        if time.monotonic() < self._failed:
            return
        for source, key in blobs:
            try:
                link = self._folder.link(name_of(key), source)
            except FileNotFoundError:  # the store will tell
                continue
            except OSError as error:  # as of two file systems
                self._fails(error)
                break
            if link is not None:
                links[key] = link

    def _name_all(self, links: dict[str, Path], stored: set[str]) -> dict[str, int]:
        """Keep those that are stored, and drop the others; the bytes of those that are kept."""
        sizes: dict[str, int] = {}
        for key, link in links.items():
            with suppress(OSError):
                if key in stored:
                    sizes[key] = link.stat().st_size
                    link.replace(self._folder.path(name_of(key)))
                else:
                    link.unlink()
        return sizes

    async def delete(self, keys: Sequence[str]) -> None:
        """See BlobStore. The copies go last, so that none can be made of what is still there."""
        try:
            await self._far.delete(keys)
        finally:
            for key in keys:
                self._arrived.pop(key, None)
                self._known.forget(key)
            await asyncio.shield(self._in_thread(self._forget, keys))

    def _forget(self, keys: Sequence[str]) -> None:
        for group in {group_of(key) for key in keys}:
            self._folder.mark(group)
        for key in keys:
            self._folder.remove(name_of(key))

    # ------------------------------------------------------------- as the store behind has it

    @property
    def place(self) -> Place | None:
        """See BlobStore."""
        return None

    @property
    def has_files(self) -> bool:
        """See BlobStore."""
        return False

    @property
    def at_rest(self) -> BlobStore:
        """See BlobStore."""
        return self._far.at_rest

    async def check(self) -> None:
        """See BlobStore."""
        await self._far.check()

    def list(self, prefix: str = "", after: str = "") -> AsyncIterator[BlobInfo]:
        """See BlobStore."""
        return self._far.list(prefix, after)

    async def close(self) -> None:
        """See BlobStore. What is not written yet is not kept."""
        self._failed = math.inf  # whatever comes now
        if self._noting is not None:
            self._noting.cancel()
            self._note()
        for task in (self._looking, self._writing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._far.close()
        await asyncio.to_thread(self._threads.shutdown)
        await self._files.close()

    def _begin(self, function: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await self._begin(function, *args)
