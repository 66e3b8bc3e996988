"""Blobs as plain files: what came in, byte for byte, under a path that people can read."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dicomweb_server.blobs.store import BlobDamaged, BlobMissing

CHUNK = 1 << 20  # bytes a read; large enough to keep the cost of a hop to a thread small
_READ_AHEAD = 128 << 10  # bytes; the kernel's usual window
_RECENT = 10_000  # names of files whose directory entries are taken to be in memory
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

T = TypeVar("T")


class FilesystemBlobs:
    """Blobs below a folder, durable by rename of a flushed file and fsync of the folder."""

    def __init__(self, root: Path, threads: int = 16) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._threads = ThreadPoolExecutor(threads, "blobs")
        self._prefix = f"{root}/"
        self._recent: set[str] = set()
        self._known: set[Path] = {root}  # folders whose own entry is known to be durable

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore. Each folder is flushed once."""
        return await self._run(self._place, blobs)

    def _place(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        errors: list[OSError | None] = [None] * len(blobs)
        placed: list[tuple[int, Path, Path]] = []
        folders: dict[Path, None] = {}
        for number, (source, key) in enumerate(blobs):
            target = self.root / key
            try:
                self._move(source, target, folders)
            except OSError as error:
                errors[number] = error
            else:
                placed.append((number, source, target))
                folders[target.parent] = None
        try:
            for folder in folders:
                _flush_folder(folder)
        except OSError as error:  # what is not known to be durable is not stored
            self._known = {self.root}
            for number, source, target in placed:
                with suppress(OSError):
                    target.rename(source)
                errors[number] = error
        return errors

    def _move(self, source: Path, target: Path, to_flush: dict[Path, None]) -> None:
        for attempt in range(3):
            self._make_folder(target.parent, to_flush)
            try:
                source.rename(target)
                return
            except FileNotFoundError:  # a delete took the empty folder away in between
                self._known.discard(target.parent)
                if attempt == 2 or not source.exists():
                    raise

    def _make_folder(self, folder: Path, to_flush: dict[Path, None]) -> None:
        """Make `folder`; note each folder that holds an entry this process never saw flushed.

        Also where the folder is there already: another process may have made it just now.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if len(self._known) > 100_000:
            self._known = {self.root}
        while folder not in self._known:
            self._known.add(folder)
            folder = folder.parent
            to_flush[folder] = None

    async def read(self, key: str, offset: int, length: int) -> bytes:
        path = f"{self._prefix}{key}"
        # Opened not long ago: the way to it is in memory, so that opening it does not wait.
        if path in self._recent and length <= CHUNK:
            data = _read_cached(path, offset, length)
            if data is not None:
                return data
        data = await self._run(_read, path, offset, length)
        if len(self._recent) > _RECENT:
            self._recent.clear()
        self._recent.add(path)
        return data

    async def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        descriptor = await self._run(_open, f"{self._prefix}{key}")
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

    async def local(self, key: str) -> Path:
        path = self.root / key
        if not await self._run(path.is_file):
            raise BlobMissing(key)
        return path

    async def delete(self, keys: Sequence[str]) -> None:
        await self._run(self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self.root / key
            with suppress(FileNotFoundError):
                path.unlink()
            for folder in (path.parent, path.parent.parent):
                if folder == self.root:
                    break
                self._known.discard(folder)
                try:
                    folder.rmdir()
                except OSError:  # not empty, or another process is storing into it
                    break

    async def keys(self) -> list[str]:
        return await self._run(
            lambda: [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        )

    def free_bytes(self) -> int:
        """Bytes that can still be written below the folder."""
        return shutil.disk_usage(self.root).free

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


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
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
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
