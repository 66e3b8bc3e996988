"""A folder of files that can be had again, up to a number of bytes; who uses it names them.

Files that are no longer asked for go with the least recently used, or after a week; those of a
group that is forgotten go at once, and what is being made for it at that moment does not come
after them: a mark of the time stays for an hour.

Any number of processes use one folder, and it may be deleted at any time. A file takes its name
when it is complete, so that nothing has to be locked. The time of a file is that of its last use.
"""

import errno
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from mmap import mmap
from pathlib import Path

from dicomweb_server.archive.scratch import new_token

_PART = ".part"  # files that are being written
_FORGOTTEN = ".forgotten"  # empty files, whose time is when a group was forgotten
_WEEK = 7 * 86_400  # seconds without use after which a file goes
_MINUTE = 60  # seconds; the time of use is no finer
_LOOK = 64 << 20  # bytes written between looks at the free space
_LOOK_SECONDS = 1.0  # as others write there too
_HOUR = 3600  # seconds after which nobody writes a file any more


class BoundedFolder:
    """Files named ``{group}-{rest}``, whose group is hexadecimal. The methods are for a thread."""

    def __init__(self, folder: Path, limit: int, min_free: int = 0) -> None:
        """`limit`: bytes on the disk, 0 for none at all; processes that put files at a time may
        go above it by a sixteenth each. `min_free`: bytes of the disk that stay free."""
        self.folder = folder
        self.limit = limit
        self.largest = limit // 16  # bytes of a file
        self._min_free = min_free
        self._room = 0  # bytes that were free when it was looked at, beyond those that stay so
        self._looked = -_LOOK_SECONDS  # time.monotonic() of that
        self._unlooked = 0  # bytes that were written since
        self._unswept = limit  # bytes that came since the last sweep; it begins with one

    def place_of(self, name: str) -> str:
        """Where a file lies, below the folder."""
        return f"{name[:2]}/{name}"

    def path(self, name: str) -> Path:
        """The path of a file."""
        return self.folder / name[:2] / name

    def write(self, name: str, pieces: Sequence[bytes | mmap], *, flushed: bool = False) -> bool:
        """Make a file, unless it is large, or the disk nearly full. `flushed`: it is on the disk
        before it has its name, so that not even a power cut leaves a part of it.

        Raises OSError.
        """
        size = sum(map(len, pieces))
        path = self.path(name)
        part = path.with_name(f"{name}-{new_token()}{_PART}")
        if size > self.largest or not self._has_room(size):
            return False
        try:
            number = self._create(part)
            try:
                if os.writev(number, pieces) < size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if flushed:
                    os.fsync(number)
            finally:
                os.close(number)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        return True

    def _create(self, part: Path) -> int:
        # Each call lets go of the interpreter, and has to wait until it gets it back.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(part, flags, 0o600)
        except FileNotFoundError:
            part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(part, flags, 0o600)

    def link(self, name: str, source: Path) -> Path | None:
        """A second name of a file that is on the disk, to be replaced by the name of the one that
        it becomes, or to be unlinked; None if it is too large, or the disk nearly full. Raises
        OSError."""
        if source.stat().st_size > self.largest or not self._has_room(0):
            return None
        part = self.path(name).with_name(f"{name}-{new_token()}{_PART}")
        try:
            part.hardlink_to(source)
        except FileNotFoundError:
            part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.hardlink_to(source)
        return part

    def _has_room(self, size: int) -> bool:
        """Whether the disk has room for a file; that is looked at now and then."""
        self._unlooked += size
        if self._unlooked > _LOOK or time.monotonic() > self._looked + _LOOK_SECONDS:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._room = self._free() - self._min_free
            self._unlooked, self._looked = size, time.monotonic()
        return self._room >= self._unlooked

    def lacks_room(self) -> bool:
        """Whether the disk has less free space than is to stay."""
        return self._free() < self._min_free

    def _free(self) -> int:
        """Free bytes of the disk that the folder is on, or would be."""
        for folder in (self.folder, *self.folder.absolute().parents):
            with suppress(OSError):  # it is not there
                about = os.statvfs(folder)
                return about.f_bavail * about.f_frsize
        return 0

    def came(self, size: int) -> None:
        """So many bytes are new; now and then there is a sweep."""
        self._unswept += size
        if self._unswept >= self.largest:
            self.sweep()

    def used(self, file: int | Path) -> None:
        """A file, by its number or path, was used. Raises OSError."""
        about = os.fstat(file) if isinstance(file, int) else file.stat()
        if time.time() - about.st_mtime > _MINUTE:
            os.utime(file)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(OSError):
            self.path(name).unlink()

    def mark(self, group: str) -> None:
        """What was begun for a group before this moment is not to stay."""
        with suppress(OSError):
            mark = self._mark(group)
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.touch(mode=0o600)
            os.utime(mark, (time.time(),) * 2)  # its own clock lags behind by some milliseconds

    def marked(self, group: str) -> float:
        """When a group was marked last, 0 if it was not."""
        with suppress(OSError):
            return self._mark(group).stat().st_mtime
        return 0

    def _mark(self, group: str) -> Path:
        return self.path(f"{group}{_FORGOTTEN}")

    def remove_all(self, group: str) -> None:
        """Remove all files of a group."""
        for entry in _entries(self.folder / group[:2]):
            if entry.name.startswith(f"{group}-"):
                _remove(entry)

    def sweep(self) -> None:
        """Remove what nobody used for a week, and what was used least recently until a sixteenth
        of the limit is free, and as much of the disk as has to stay so; and what processes that
        were killed left half written.

        There may be a hundred thousand files: no list is made of them, and none is sorted, which
        would keep the interpreter from all else for a while. Each has its turn once in the time
        in which a sixteenth of the limit comes, so that a file that comes costs as much in a
        large folder as in a small one.
        """
        now = time.time()
        self._unswept = 0
        used: Counter[int] = Counter()  # bytes by the minute in which they were used last
        for entry, about in self._files():
            age = now - about.st_mtime
            if age > (_HOUR if entry.name.endswith((_PART, _FORGOTTEN)) else _WEEK):
                _remove(entry)
            else:
                used[_minute_of(about)] += _size_of(about)
        excess = used.total() - (self.limit - self.limit // 16)
        excess = max(excess, self._min_free - self._free())
        if excess > 0 and used:
            self._remove_oldest(used, excess)

    def _remove_oldest(self, used: Counter[int], excess: int) -> None:
        """Remove what was used before a minute, and as much of that one as has to go."""
        minutes = iter(sorted(used))
        until = next(minutes)
        while excess > used[until] and (later := next(minutes, None)) is not None:
            excess -= used[until]
            until = later
        for entry, about in self._files():
            minute = _minute_of(about)
            if minute < until or (minute == until and excess > 0):
                _remove(entry)
                excess -= _size_of(about) if minute == until else 0

    def _files(self) -> Iterator[tuple["os.DirEntry[str]", os.stat_result]]:
        for folder in _entries(self.folder):
            if not folder.is_symlink():
                for entry in _entries(folder):
                    with suppress(OSError):
                        yield entry, entry.stat(follow_symlinks=False)


def _entries(folder: "Path | os.DirEntry[str]") -> Iterator["os.DirEntry[str]"]:
    """What is in a folder; nothing if there is none, and no more once it is gone."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _remove(entry: "os.DirEntry[str]") -> None:
    with suppress(OSError):
        Path(entry).unlink()


def _minute_of(about: os.stat_result) -> int:
    return int(about.st_mtime // _MINUTE)


def _size_of(about: os.stat_result) -> int:
    return max(about.st_blocks * 512, about.st_size)
