"""The derived-data cache: what was made of stored instances and can be made again, as files.

An entry is named after all that it was made of: the kind, the base of the URLs in it, and digests
of the rows or files. What changes in the archive changes the name that is asked for, so that no
entry can be out of date: the change feed has nothing to tell it. Those of a study that something
is deleted from go at once. An entry belongs to no institution: its name cannot be known without
the rows.

Entries are read whole; one that is not what was written, whoever damaged it, is as good as none.
What goes when, and how processes share them: see bounded_folder.
"""

import hashlib
import os
import stat
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path

import structlog
from zlib_ng import zlib_ng

from dicomweb_server import __version__
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.content import CHUNK, ScratchFile

log = structlog.get_logger()

_HEAD = struct.Struct("<8s24sQI")  # magic, key, length and checksum of what follows
_MAGIC = b"DERIVED1"


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
    [key] = keys_of(study_instance_uid, kind, seed, [()])
    return key


def keys_of(
    study_instance_uid: str,
    kind: str,
    common: Sequence[str | int | bytes],
    seeds: Iterable[Sequence[str | int | bytes]],
) -> list[Key]:
    """The same for each of `seeds`, before which all have the `common` ones."""
    begun = hashlib.sha256()
    _add(begun, __version__, kind, *common)
    group, since = _group_of(study_instance_uid), time.time()
    keys = []
    for seed in seeds:
        digest = begun.copy()
        _add(digest, *seed)
        keys.append(Key(group, digest.digest()[:16], since))
    return keys


def _add(digest: "hashlib._Hash", *seed: str | int | bytes) -> None:
    for each in seed:
        data = each if isinstance(each, bytes) else str(each).encode()
        digest.update(b"%d:" % len(data) + data)  # so that no two lists look the same


def _group_of(study_instance_uid: str) -> bytes:
    return hashlib.sha256(study_instance_uid.encode()).digest()[:8]


class DerivedCache:
    """Entries below a folder, up to a number of bytes.

    The methods work with files: in a thread. None of them fails: what cannot be read is not there,
    and what cannot be kept is not kept.
    """

    def __init__(self, folder: Path, limit: int, min_free: int = 0) -> None:
        """See BoundedFolder."""
        self._files = BoundedFolder(folder, limit, min_free)

    def get(self, key: Key) -> bytes | None:
        """What was put under `key`; None if it is not there, or not whole."""
        if not self._files.limit:
            return None
        try:
            with self._files.path(str(key)).open("rb", buffering=0) as file:
                return self._read(file.fileno(), key)
        except OSError:
            return None

    def find(self, key: Key, most: int) -> bytes | ScratchFile | None:
        """The same; as an open file, whose bytes were looked at, if it has more than `most`."""
        if not self._files.limit:
            return None
        path = self._files.path(str(key))
        try:
            with path.open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size <= _HEAD.size + most:
                    return self._read(file.fileno(), key)
            found = ScratchFile(path, _HEAD.size)
            whole = found.size <= self._files.largest and self._is_whole(found, key)
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
        if size > self._files.largest:
            return
        head = _HEAD.pack(_MAGIC, _name(key), len(data), zlib_ng.crc32(data))
        try:
            if not self._files.write(str(key), [head, data]):
                return
            if self._files.marked(key.group.hex()) >= key.since:
                self._files.path(str(key)).unlink()
        except OSError as error:
            log.warning("a cache entry could not be written", errno=error.errno)
            return
        self._files.came(size)

    def forget(self, study_instance_uid: str) -> None:
        """Remove all entries of a study."""
        group = _group_of(study_instance_uid).hex()
        if self._files.limit:
            self._files.mark(group)
        self._files.remove_all(group)

    def sweep(self) -> None:
        """See BoundedFolder."""
        self._files.sweep()

    def _read(self, number: int, key: Key) -> bytes | None:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode) or about.st_size > self._files.largest:
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
        self._files.used(number)
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
        self._files.used(file.number)
        return bool(checksum == expected)


def _name(key: Key) -> bytes:
    return key.group + key.digest
