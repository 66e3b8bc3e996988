"""The reading half of a rebuild: what the rows of blobs are to be, several files at a time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.versions import Instance, Version
from dicomweb_server.blobs.store import BlobDamaged
from dicomweb_server.errors import NotFound, Refusal, Unavailable, where
from dicomweb_server.index.database import acquire
from dicomweb_server.index.instances import NewInstance
from dicomweb_server.index.rebuild_index import OldVersion
from dicomweb_server.index.versions import named_keys

log = structlog.get_logger()

AT_A_TIME = 16  # files being read


@dataclass(slots=True)
class Rebuilt:
    """How far it is."""

    stored: int = 0
    present: int = 0
    older: int = 0  # superseded versions
    bytes: int = 0  # of files read
    left: int = 0  # blobs that no row will name
    failed: int = 0
    unknown: int = 0  # that have no names of blobs


class Watcher(Protocol):
    """Is told how it goes."""

    def advance(self, rebuilt: Rebuilt, size: int) -> None:
        """`size` more bytes have been read."""

    def left(self, key: str) -> None:
        """No row will name a blob: something that was stored nowhere, or in another place."""

    def failed(self, key: str, reason: str) -> None:
        """A blob should be an instance and cannot be."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Instances of one institution, no two of the same SOP Instance UID, in order."""

    scope: Scope
    instances: list[Instance]


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be written of a chunk."""

    scope: Scope
    new: dict[str, tuple[NewInstance, Instance]]  # by SOP Instance UID, in order
    older: list[OldVersion]


class Reader:
    """Reads and describes blobs, and counts what it read and what it could not."""

    def __init__(self, archive: Archive, watcher: Watcher, rebuilt: Rebuilt) -> None:
        self._archive = archive
        self._watcher = watcher
        self._rebuilt = rebuilt
        self._turn = asyncio.Semaphore(AT_A_TIME)

    async def describe(self, chunk: Chunk) -> Described:
        """What the rows of a chunk are to be, but for those that are there."""
        uids = [each.current.name.sop_instance_uid for each in chunk.instances]
        async with acquire(self._archive.pool) as conn:
            named = await named_keys(conn, uids)
        described = Described(chunk.scope, {}, [])
        async with asyncio.TaskGroup() as group:
            tasks = [
                (each, group.create_task(self._describe_one(each, named)))
                for each in chunk.instances
            ]
        for instance, task in tasks:
            new, older = task.result()
            if new is not None:
                described.new[new.entry.sop_instance_uid] = (new, instance)
            described.older.extend(older)
        return described

    async def _describe_one(
        self, instance: Instance, named: set[str]
    ) -> tuple[NewInstance | None, list[OldVersion]]:
        """The current version unless it is there or cannot be read; then no older one either."""
        new = None
        if instance.current.key in named:
            self._rebuilt.present += 1
        else:
            new = await self._read(instance.current)
            if new is None:
                return None, []
        older = []
        for version, newer in pairwise((*instance.older, instance.current)):
            if version.key not in named:
                found = await self._fingerprint(version)
                if found is not None:
                    older.append(_old_version(version, newer, *found))
        return new, older

    async def _read(self, version: Version) -> NewInstance | None:
        async with self._turn:
            try:
                async with self._archive.blobs.at_rest.local(version.key) as path:
                    size, sha256 = await asyncio.to_thread(_measure, path)
                    async with _alias(self._archive, path) as alias:
                        [entry] = await self._archive.describer.describe([alias])
            except (BlobDamaged, OSError) as error:
                self.fail(version, error)
                return None
        if isinstance(entry, Exception):
            self.fail(version, entry)
            return None
        name = version.name
        named = (name.study_instance_uid, name.series_instance_uid, name.sop_instance_uid)
        is_there = (entry.study_instance_uid, entry.series_instance_uid, entry.sop_instance_uid)
        if named != is_there:
            self.fail(version, NotFound("it holds another instance than its name says"))
            return None
        self._read_on(size)
        return NewInstance(entry, version.key, size, sha256)

    async def _fingerprint(self, version: Version) -> tuple[int, bytes] | None:
        async with self._turn:
            try:
                async with self._archive.blobs.at_rest.local(version.key) as path:
                    size, sha256 = await asyncio.to_thread(_measure, path)
            except (BlobDamaged, OSError) as error:
                self.fail(version, error)
                return None
        self._read_on(size)
        return size, sha256

    def _read_on(self, size: int) -> None:
        self._rebuilt.bytes += size
        self._watcher.advance(self._rebuilt, size)

    def fail(self, version: Version, error: Exception) -> None:
        """Tell that a blob should be an instance and cannot be. Raises Unavailable, which says
        nothing of the blob."""
        match error:
            case Unavailable():
                raise error
            case Refusal():
                reason = str(error)
            case BlobDamaged():
                reason = "it is gone"
            case OSError():
                reason = f"it cannot be read: {error.strerror or type(error).__name__}"
            case _:
                log.error("a file could not be described", where=where(error))
                reason = "an unexpected error"
        self._rebuilt.failed += 1
        self._watcher.failed(version.key, reason)


def _measure(path: Path) -> tuple[int, bytes]:
    """Size and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.digest()


@asynccontextmanager
async def _alias(archive: Archive, path: Path) -> AsyncIterator[Path]:
    """A name in the scratch folder: beside it, not beside the blob, a walk may put files."""
    alias = archive.scratch_file(".part")
    await asyncio.to_thread(alias.symlink_to, path)
    try:
        yield alias
    finally:
        await asyncio.to_thread(_remove, alias)


def _remove(alias: Path) -> None:
    alias.unlink(missing_ok=True)
    alias.with_suffix(".inflated").unlink(missing_ok=True)  # of a worker that was killed


def _old_version(version: Version, newer: Version, size: int, sha256: bytes) -> OldVersion:
    name = version.name
    uids = (name.study_instance_uid, name.series_instance_uid, name.sop_instance_uid)
    return OldVersion(*uids, version.key, size, sha256, name.made_at, newer.name.made_at)
