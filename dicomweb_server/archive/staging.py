"""Files being received: written to the scratch folder and hashed as they come."""

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import to_the_end
from dicomweb_server.errors import ContentTooLarge, Unavailable
from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.store_report import Failed, failed

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

CHECK_ROOM = 64 << 20  # bytes written between looks at the free space
MAX_PIECES = 512  # of one call; Linux takes 1024
FLUSH = 1 << 20  # bytes collected before they are hashed and written in a thread


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A received file, complete, in the scratch folder; its bytes are on the disk."""

    path: Path
    size: int
    sha256: bytes
    problems: tuple[str, ...] = ()  # known before it is described; to be told
    entry: Entry | None = None  # what was found in it, where it is described already
    blob_key: str | None = None  # where it is at rest already, and no more at `path`
    token: str | None = None  # of its blob's key, where it is known before


class _Room:
    """Looks at the free space now and then, for all files of this process together; at each
    write while there is too little."""

    def __init__(self) -> None:
        self._unchecked = 0  # bytes
        self._low = False

    def take(self, size: int, folder: Path, floor: int) -> None:
        """Before `size` bytes are written. Raises OSError if that is no good any more."""
        self._unchecked += size
        if self._low or self._unchecked > CHECK_ROOM:
            self._unchecked = 0
            self._low = shutil.disk_usage(folder).free - size < floor
            if self._low:
                raise OSError(errno.ENOSPC, "below MIN_FREE_BYTES")


_room = _Room()


class Staging:
    """A file being received: written and hashed as it comes, a megabyte held at the most."""

    def __init__(self, path: Path, limit: int, floor: int, *, passing: bool = False) -> None:
        """`limit`: bytes above which write raises ContentTooLarge. `floor`: bytes that stay free
        on the disk, the database's own room; below it writing fails as on a full one.
        `passing`: the file is not to stay, so it is neither hashed nor flushed."""
        self.path = path
        self.token: str | None = None  # of the staged file
        self._limit = limit
        self._floor = floor
        self._passing = passing
        self._size = 0
        self._digest = hashlib.sha256()
        self._held: list[bytes | memoryview] = []
        self._held_size = 0
        self._file = -1

    async def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Raises ContentTooLarge, OSError when the disk is full."""
        self._held.append(data)
        self._held_size += len(data)
        if self._size + self._held_size > self._limit:
            raise ContentTooLarge(f"a part may have {self._limit} bytes at the most")
        if self._held_size >= FLUSH:
            await self._write_held()

    async def finish(self) -> StagedFile:
        """The complete file, flushed to the disk. Raises OSError when the disk is full."""

        def finish() -> StagedFile:
            staged = self.complete()
            self.flush()
            return staged

        return await in_thread(finish)

    def complete(self) -> StagedFile:
        """The complete file, which is still to be flushed. For a thread; raises OSError."""
        held, self._held, self._held_size = self._held, [], 0
        self._write(held)
        return StagedFile(self.path, self._size, self._digest.digest(), token=self.token)

    def begin_flush(self) -> None:
        """Let the disk begin with the complete file, so that there is less for `flush` to wait
        for. For a thread."""
        if not self._passing:
            with suppress(AttributeError, OSError):  # not every system, or file system, has it
                # What it drops are pages that are clean; these are not, and stay.
                os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def flush(self) -> None:
        """See to it that the complete file is on the disk. For a thread; raises OSError."""
        try:
            if not self._passing:
                os.fsync(self._file)
        finally:
            self._close()

    @property
    def held(self) -> int:
        """Bytes that are still in memory."""
        return self._held_size

    @property
    def pieces(self) -> Sequence[bytes | memoryview]:
        """What is still in memory, in order."""
        return self._held

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing of it is written yet: then it has a megabyte at the most."""
        return not self._size

    @property
    def is_unflushed(self) -> bool:
        """Whether it was begun to be written, and not seen to be on the disk."""
        return self._file >= 0

    async def discard(self) -> None:
        """Leave nothing behind."""
        await in_thread(self.remove)

    def remove(self) -> None:
        """As `discard`, for a thread."""
        self._held.clear()
        self._close()
        self.path.unlink(missing_ok=True)

    async def _write_held(self) -> None:
        held, self._held, self._held_size = self._held, [], 0
        await in_thread(self._write, held)

    def _write(self, held: list[bytes | memoryview]) -> None:
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        views = [memoryview(data) for data in held]
        for view in views:
            if not self._passing:
                self._digest.update(view)
            self._size += len(view)
        _room.take(sum(map(len, views)), self.path.parent, self._floor)
        # Each call lets go of the interpreter, and has to wait until it gets it back.
        while views:
            written = os.writev(self._file, views[:MAX_PIECES])
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if written:
                views[0] = views[0][written:]

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def new_staging(archive: Archive) -> Staging:
    """Where one more file is to be received."""
    settings = archive.settings
    path = archive.scratch_file(".part")
    return Staging(path, settings.max_instance_bytes, settings.min_free_bytes)


def passing_staging(archive: Archive, limit: int | None = None) -> Staging:
    """Where something is received that files are made of; `limit` in bytes, by default that of
    an instance."""
    settings = archive.settings
    path = archive.scratch_file(".bulk")
    return Staging(
        path, limit or settings.max_instance_bytes, settings.min_free_bytes, passing=True
    )


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like asyncio.to_thread, but never gone while the thread still works on our file."""
    # Not asyncio.to_thread, for a task of its own is another round of the event loop.
    call = partial(function, *args, **kwargs)
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, call))


def check_room(archive: Archive) -> None:
    """Raises Unavailable when the disk is nearly full."""
    if shutil.disk_usage(archive.settings.tmp_dir).free < archive.settings.min_free_bytes:
        log.error("refused: the disk is nearly full")
        raise Unavailable("the archive is out of space", retry_after=300)


def complete_all(stagings: Sequence[Staging]) -> list[StagedFile | OSError]:
    """Write several files; what cannot be written leaves nothing. For a thread."""
    completed: list[StagedFile | OSError] = []
    for staging in stagings:
        try:
            completed.append(staging.complete())
        except OSError as error:
            with suppress(OSError):  # nothing can be removed from a disk that cannot be written
                staging.remove()
            completed.append(error)
    return completed


def flush_all(stagings: Sequence[Staging]) -> list[OSError | None]:
    """Flush files that are complete; why one could not be. For a thread."""
    errors: list[OSError | None] = []
    for staging in stagings:
        try:
            staging.flush()
        except OSError as error:
            errors.append(error)
        else:
            errors.append(None)
    return errors


def not_written(error: OSError) -> Failed:
    """What is told of a file that could not be written: it says nothing of the file."""
    log.error("an upload could not be written", errno=error.errno)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    comment = "the archive is out of space" if full else "the archive's storage failed"
    return failed("out_of_resources", comment=comment)
