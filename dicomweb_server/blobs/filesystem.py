"""Blobs as plain files: what came in, byte for byte, under a path that people can read."""

import asyncio
import heapq
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from dicomweb_server.blobs.cached_open import is_local, open_cached
from dicomweb_server.blobs.store import BlobDamaged, BlobInfo, BlobMissing, BlobsUnavailable

CHUNK = 1 << 20  # bytes a read; large enough to keep the cost of a hop to a thread small
_READ_AHEAD = 128 << 10  # bytes; the kernel's usual window
_MOST_KNOWN = 10_000  # folders, 6 MB; one that is forgotten is flushed once more
_MOST_NAMES = 200_000  # of one folder that a listing holds; more take another look at it
_PAGE = 1000  # blobs listed a hop to a thread
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

T = TypeVar("T")


class FilesystemBlobs:
    """Blobs below a folder, durable by rename of a flushed file and fsync of the folder.

    Folders stay when their last blob is deleted: while processes store, none can tell whether
    another counts on a folder to be on the disk. Empty ones may be removed when none runs.
    """

    def __init__(self, root: Path, threads: int = 16) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._threads = ThreadPoolExecutor(threads, "blobs")
        self._prefix = f"{root}/"
        self._local = is_local(root)
        self._known: set[Path] = {root}  # folders whose own entry is known to be durable

    @property
    def at_rest(self) -> "FilesystemBlobs":
        """See BlobStore."""
        return self

    async def check(self) -> None:
        if not await self._run(os.access, self.root, os.R_OK | os.W_OK | os.X_OK):
            raise BlobsUnavailable(f"{self.root} cannot be written")

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore. Each folder is flushed once."""
        return await self._run(self.place, blobs)

    def place(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore."""
        errors: list[OSError | None] = [None] * len(blobs)
        placed: list[tuple[int, Path, Path]] = []
        made: dict[Path, None] = {}
        for number, (source, key) in enumerate(blobs):
            target = self.root / key
            try:
                self._move(source, target, made)
            except OSError as error:
                errors[number] = error
            else:
                placed.append((number, source, target))
        holding = [target.parent for _, _, target in placed]
        try:
            for folder in dict.fromkeys([*holding, *(folder.parent for folder in made)]):
                _flush_folder(folder)
        except OSError as error:  # what is not known to be durable is not stored
            self._known = {self.root}
            for number, source, target in placed:
                with suppress(OSError):
                    target.rename(source)
                errors[number] = error
        else:  # not before: other threads rely on it
            self._known.update(made)
        return errors

    def _move(self, source: Path, target: Path, made: dict[Path, None]) -> None:
        for attempt in range(3):
            self._make_folder(target.parent, made)
            try:
                source.rename(target)
                return
            except FileNotFoundError:  # somebody tidied the empty folder away in between
                if attempt == 2 or not source.exists():
                    raise

    def _make_folder(self, folder: Path, made: dict[Path, None]) -> None:
        """Make `folder`; add each folder whose own entry this process never saw flushed.

        Also where it is there already: another thread or process may have made it just now.
        """
        if folder == self.root:
            return
        try:
            folder.mkdir()
        except FileExistsError:
            if folder in self._known:
                return
        except FileNotFoundError:
            self._make_folder(folder.parent, made)
            folder.mkdir(exist_ok=True)
        if folder in self._known or len(self._known) > _MOST_KNOWN:
            self._known = {self.root}  # it was removed by somebody, and more may have been
        self._make_folder(folder.parent, made)
        made[folder] = None

    async def read(self, key: str, offset: int, length: int) -> bytes:
        path = f"{self._prefix}{key}"
        if self._local and length <= CHUNK:
            data = _read_cached(path, offset, length)
            if data is not None:
                return data
        return await self._run(_read, path, offset, length)

    async def stream(self, key: str, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        path = f"{self._prefix}{key}"
        descriptor = open_cached(path) if self._local else None
        if descriptor is None:
            descriptor = await self._open(path)
        try:
            end = offset + length
            while offset < end:
                size = min(CHUNK, end - offset)
                if _is_cached(descriptor, offset, size):
                    chunk = os.pread(descriptor, size, offset)
                    await asyncio.sleep(0)  # a client that has left is noticed here
                else:
                    chunk = await self._run(os.pread, descriptor, size, offset)
                if not chunk:
                    raise BlobDamaged(f"{key} ends at {offset}, before {end}")
                offset += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    async def _open(self, path: str) -> int:
        opening = self._threads.submit(_open, path)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)  # the thread may be opening it at this moment
            raise

    has_files = True

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        path = f"{self._prefix}{key}"
        descriptor = open_cached(path) if self._local else None
        if descriptor is not None:
            os.close(descriptor)
        elif not await self._run(_is_file, path):
            raise BlobMissing(key)
        yield Path(path)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._run(self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> None:
        failed: OSError | None = None
        for key in keys:
            try:
                (self.root / key).unlink(missing_ok=True)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    async def list(self, prefix: str = "", after: str = "") -> AsyncIterator[BlobInfo]:
        blobs = _walk(self.root, os.fsencode(prefix), os.fsencode(after))
        while page := await self._run(lambda: [*islice(blobs, _PAGE)]):
            for blob in page:
                yield blob

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _is_file(path: str) -> bool:
    return Path(path).is_file()


def _walk(root: Path, prefix: bytes, after: bytes) -> Iterator[BlobInfo]:
    """See BlobStore.list. Links to files are followed, those to folders are not."""
    base = os.fsencode(root) + b"/"

    def entries(folder: bytes) -> Iterator[bytes]:
        """The keys of a folder's files and, with a slash behind, its folders, in order.

        With the slash they stand where the keys below them do: behind ``-`` and ``.``.
        """
        last = b""
        while True:
            keys = heapq.nsmallest(_MOST_NAMES, (k for k in _scan(base, folder) if wanted(k, last)))
            yield from keys
            if len(keys) < _MOST_NAMES:
                return
            last = keys[-1]

    def wanted(key: bytes, last: bytes) -> bool:
        if key <= last:
            return False
        if key.endswith(b"/"):
            may_hold = key.startswith(prefix) or prefix.startswith(key)
            return may_hold and (key > after or after.startswith(key))
        return key.startswith(prefix) and key > after

    folders = [entries(b"")]
    while folders:
        key = next(folders[-1], None)
        if key is None:
            folders.pop()
        elif key.endswith(b"/"):
            folders.append(entries(key))
        else:
            with suppress(FileNotFoundError):  # deleted meanwhile
                found = Path(os.fsdecode(base + key)).stat()
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                yield BlobInfo(os.fsdecode(key), found.st_size, modified)


def _scan(base: bytes, folder: bytes) -> Iterator[bytes]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(base + folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield folder + entry.name + b"/"
            elif entry.is_file():
                yield folder + entry.name


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlobMissing(path) from None


def _close(opening: "Future[int]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def _read(path: str, offset: int, length: int) -> bytes:
    descriptor = _open(path)
    try:
        chunks = []
        while length > 0:
            chunk = os.pread(descriptor, length, offset)
            if not chunk:
                raise BlobDamaged(f"{path} ends at {offset}")
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    finally:
        os.close(descriptor)


def _read_cached(path: str, offset: int, length: int) -> bytes | None:
    """The range if it is in memory, without waiting for the disk; else None."""
    descriptor = open_cached(path)
    if descriptor is None:
        return None
    try:
        if not _is_cached(descriptor, offset, length):
            return None
        data = os.pread(descriptor, length, offset)
        return data if len(data) == length else None
    finally:
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int, length: int) -> bool:
    """Whether the page cache holds the range, as far as probes tell: one byte of each stretch
    that the kernel reads ahead at a time, and the last. None of them waits for the disk."""
    if not _NOWAIT:
        return False
    end = offset + length
    byte = bytearray(1)
    try:
        for at in (*range(offset, end, _READ_AHEAD), end - 1):
            if os.preadv(descriptor, [byte], at, _NOWAIT) != 1:
                return False
    except OSError:  # EAGAIN, or a file system that cannot tell
        return False
    return True
