"""The derived-data cache: what was made of stored instances and can be made again, as files.

An entry is named after all that it was made of: the kind, the base of the URLs in it, and digests
of the rows or files. What changes in the archive changes the name that is asked for, so that no
entry can be out of date: the change feed has nothing to tell it. Entries that are no longer asked
for go with the least recently used, or after a week; those of a study that something is deleted
from go at once, and what is being made of it at that moment does not come after them: a mark of
the time stays for an hour. An entry belongs to no institution: its name cannot be known without
the rows.

Any number of processes use one folder, and it may be deleted at any time. A file takes its name
when it is complete, and is read whole, so that nothing has to be locked; one that is not what was
written, whoever damaged it, is as good as none.
"""

import errno
import hashlib
import os
import stat
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path

import structlog
from zlib_ng import zlib_ng

from dicomweb_server import __version__
from dicomweb_server.archive.content import CHUNK, ScratchFile
from dicomweb_server.archive.scratch import new_token

log = structlog.get_logger()

_HEAD = struct.Struct("<8s24sQI")  # magic, key, length and checksum of what follows
_MAGIC = b"DERIVED1"
_PART = ".part"  # files that are being written
_FORGOTTEN = ".forgotten"  # empty files, whose time is when a study was forgotten
_WEEK = 7 * 86_400  # seconds without use after which an entry goes
_MINUTE = 60  # seconds; the time of use is no finer
_HOUR = 3600  # seconds after which nobody writes a file any more


@dataclass(frozen=True, slots=True)
class Key:
    """The name of an entry: the study that it belongs to, and a digest of what it is made of.

    `since` is when it was asked for, before what it is made of was read.
    """

    group: bytes
    digest: bytes
    since: float = field(default_factory=time.time, compare=False)

    def __str__(self) -> str:
        return f"{self.group.hex()}-{self.digest.hex()}"


def key_of(study_instance_uid: str, kind: str, *seed: str | int | bytes) -> Key:
    """The key of what follows from `seed`, and from what this version of the server makes of it."""
    digest = hashlib.sha256()
    for each in (__version__, kind, *seed):
        data = each if isinstance(each, bytes) else str(each).encode()
        digest.update(b"%d:" % len(data) + data)  # so that no two lists look the same
    return Key(_group_of(study_instance_uid), digest.digest()[:16])


def _group_of(study_instance_uid: str) -> bytes:
    return hashlib.sha256(study_instance_uid.encode()).digest()[:8]


class DerivedCache:
    """Entries below a folder, up to a number of bytes.

    The methods work with files: in a thread. None of them fails: what cannot be read is not there,
    and what cannot be kept is not kept.
    """

    def __init__(self, folder: Path, limit: int, min_free: int = 0) -> None:
        """`limit`: bytes on the disk, 0 for no cache at all; processes that put entries at a time
        may go above it by a sixteenth each. `min_free`: bytes of the disk that stay free."""
        self._folder = folder
        self._limit = limit
        self._min_free = min_free
        self._largest = limit // 16  # bytes of a file
        self._unswept = limit  # bytes that came since the last sweep; it begins with one

    def get(self, key: Key) -> bytes | None:
        """What was put under `key`; None if it is not there, or not whole."""
        if not self._limit:
            return None
        try:
            with self._path(key).open("rb", buffering=0) as file:
                return self._read(file.fileno(), key)
        except OSError:
            return None

    def find(self, key: Key, most: int) -> bytes | ScratchFile | None:
        """The same; as an open file, whose bytes were looked at, if it has more than `most`."""
        if not self._limit:
            return None
        try:
            with self._path(key).open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size <= _HEAD.size + most:
                    return self._read(file.fileno(), key)
            found = ScratchFile(self._path(key), _HEAD.size)
            whole = found.size <= self._largest and self._is_whole(found, key)
            return found if whole else None
        except OSError:
            return None

    def get_many(self, keys: Sequence[Key]) -> list[bytes | None]:
        """The same for several."""
        return [self.get(key) for key in keys]

    def put(self, key: Key, data: bytes | mmap) -> None:
        """Keep `data` under `key`, unless it is large for the cache, or the disk is nearly full,
        or the study has been forgotten since the key was made."""
        size = _HEAD.size + len(data)
        if size > self._largest:
            return
        try:
            self._write(key, _HEAD.pack(_MAGIC, _name(key), len(data), zlib_ng.crc32(data)), data)
            if self._forgotten(key) >= key.since:
                self._path(key).unlink()
        except OSError as error:
            log.warning("a cache entry could not be written", errno=error.errno)
            return
        self._unswept += size
        if self._unswept >= self._largest:
            self.sweep()

    def forget(self, study_instance_uid: str) -> None:
        """Remove all entries of a study."""
        group = _group_of(study_instance_uid)
        if self._limit:
            with suppress(OSError):
                mark = self._mark(group)
                mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                mark.touch(mode=0o600)
                os.utime(mark, (time.time(),) * 2)  # its own clock lags behind by some milliseconds
        for entry in _entries(self._folder / group[:1].hex()):
            if entry.name.startswith(f"{group.hex()}-"):
                _remove(entry)

    def sweep(self) -> None:
        """Remove what nobody used for a week, and what was used least recently until a sixteenth
        of the limit is free; and what processes that were killed left half written.

        There may be a hundred thousand files: no list is made of them, and none is sorted, which
        would keep the interpreter from all else for a while.
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
        excess = used.total() - (self._limit - self._limit // 16)
        if excess > 0:
            self._remove_oldest(used, excess)

    def _remove_oldest(self, used: Counter[int], excess: int) -> None:
        """Remove what was used before a minute, and as much of that one as has to go."""
        minutes = iter(sorted(used))
        until = next(minutes)
        while excess > used[until]:
            excess -= used[until]
            until = next(minutes)
        for entry, about in self._files():
            minute = _minute_of(about)
            if minute < until or (minute == until and excess > 0):
                _remove(entry)
                excess -= _size_of(about) if minute == until else 0

    def _path(self, key: Key) -> Path:
        name = str(key)
        return self._folder / name[:2] / name

    def _mark(self, group: bytes) -> Path:
        return self._folder / group[:1].hex() / f"{group.hex()}{_FORGOTTEN}"

    def _forgotten(self, key: Key) -> float:
        """When its study was forgotten last, 0 if it was not."""
        with suppress(OSError):
            return self._mark(key.group).stat().st_mtime
        return 0

    def _read(self, number: int, key: Key) -> bytes | None:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode) or about.st_size > self._largest:
            return None
        head = os.read(number, _HEAD.size)
        if len(head) < _HEAD.size:
            return None
        magic, name, length, checksum = _HEAD.unpack(head)
        content = os.read(number, about.st_size - _HEAD.size)  # not copied: it may be large
        if (magic, name, length) != (_MAGIC, _name(key), len(content)):
            return None
        if zlib_ng.crc32(content) != checksum:
            return None
        if time.time() - about.st_mtime > _MINUTE:
            os.utime(number)
        return content

    def _is_whole(self, file: ScratchFile, key: Key) -> bool:
        head = os.pread(file.number, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            return False
        magic, name, length, expected = _HEAD.unpack(head)
        if (magic, name, length) != (_MAGIC, _name(key), file.size):
            return False
        checksum = 0
        for offset in range(0, file.size, CHUNK):
            checksum = zlib_ng.crc32(os.pread(file.number, CHUNK, file.start + offset), checksum)
        if time.time() - os.fstat(file.number).st_mtime > _MINUTE:
            os.utime(file.number)
        return bool(checksum == expected)

    def _write(self, key: Key, head: bytes, data: bytes | mmap) -> None:
        path = self._path(key)
        part = path.with_name(f"{path.name}-{new_token()}{_PART}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = os.statvfs(path.parent)
        if about.f_bavail * about.f_frsize < self._min_free + len(data):
            return
        try:
            number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if os.writev(number, [head, data]) < len(head) + len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(number)
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

    def _files(self) -> Iterator[tuple["os.DirEntry[str]", os.stat_result]]:
        for folder in _entries(self._folder):
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


def _name(key: Key) -> bytes:
    return key.group + key.digest
