"""Store (PS3.18 §10.5): staged files become instances, each on its own."""

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.commit import Candidate, StorageFailed
from dicomweb_server.archive.scratch import new_token
from dicomweb_server.archive.work import dataset_digest
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.blobs.store import BlobMissing
from dicomweb_server.dicom.part10 import InvalidIdentity, UnknownTransferSyntax
from dicomweb_server.errors import ContentTooLarge, NotPart10, Unavailable, where
from dicomweb_server.index.instances import Existing, NewInstance
from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.store_report import REASONS, Failed, Result, Stored, failed

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

CHECK_ROOM = 64 << 20  # bytes written between looks at the free space
FLUSH = 1 << 20  # bytes collected before they are hashed and written in a thread


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A received file, complete, in the scratch folder; its bytes are on the disk."""

    path: Path
    size: int
    sha256: bytes


class Staging:
    """A file being received: written and hashed as it comes, a megabyte held at the most."""

    def __init__(self, path: Path, limit: int, floor: int) -> None:
        """`limit`: bytes above which write raises ContentTooLarge. `floor`: bytes that stay free
        on the disk, the database's own room; below it writing fails as on a full one."""
        self.path = path
        self._limit = limit
        self._floor = floor
        self._unchecked = 0  # bytes written since free space was looked at
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
            raise ContentTooLarge(f"an instance may have {self._limit} bytes at the most")
        if self._held_size >= FLUSH:
            await self._flush()

    async def finish(self) -> StagedFile:
        """The complete file, flushed to the disk. Raises OSError when the disk is full."""
        held, self._held = self._held, []
        await in_thread(self._write_to_the_end, held)
        return StagedFile(self.path, self._size, self._digest.digest())

    async def discard(self) -> None:
        """Leave nothing behind."""
        self._held.clear()
        await in_thread(self._remove)

    def _remove(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    async def _flush(self) -> None:
        held, self._held, self._held_size = self._held, [], 0
        await in_thread(self._write, held)

    def _write(self, held: list[bytes | memoryview]) -> None:
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        for data in held:
            self._digest.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            self._size += len(data)
            self._unchecked += len(data)
        if self._unchecked > CHECK_ROOM:
            self._unchecked = 0
            if shutil.disk_usage(self.path.parent).free < self._floor:
                raise OSError(errno.ENOSPC, "below MIN_FREE_BYTES")

    def _write_to_the_end(self, held: list[bytes | memoryview]) -> None:
        self._write(held)
        os.fsync(self._file)
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Intake:
    """The instances of one request: described and committed side by side, reported in order.

    What has been received whole is stored even if the client leaves: a retry finds it
    (STOW-42), and the request that was cut off reports nothing.
    """

    def __init__(
        self, archive: Archive, principal: Principal, study_instance_uid: str | None
    ) -> None:
        """Raises Unavailable when there is no room for an upload (503 before a byte is read)."""
        self._archive = archive
        self._scope = archive.scope(principal, Action.STORE)
        self._study = study_instance_uid
        self._results: list[asyncio.Task[Result] | Result] = []
        self._in_flight = asyncio.Semaphore(32)
        check_room(archive)

    def new_file(self) -> Staging:
        """Where the next instance is to be received."""
        return new_staging(self._archive)

    async def accept(self, staged: StagedFile) -> None:
        """Store a complete file, in the background; waits while too many are under way."""
        await self._in_flight.acquire()
        task = keep(store_file(self._archive, self._scope, staged, self._study))
        task.add_done_callback(lambda _: self._in_flight.release())
        self._results.append(task)

    def fail(self, failure: Failed) -> None:
        """Report a part that never became a file."""
        self._results.append(failure)

    async def results(self) -> list[Result]:
        """What became of each, in the order received. Raises Unavailable if the index or the
        blobs are away and nothing was stored."""
        results: list[Result] = []
        unavailable: Unavailable | None = None
        for entry in self._results:
            if not isinstance(entry, asyncio.Task):
                results.append(entry)
                continue
            try:
                results.append(await asyncio.shield(entry))
            except Unavailable as error:
                unavailable = error
                results.append(failed("out_of_resources", comment="the archive was not available"))
        if unavailable and not any(isinstance(result, Stored) for result in results):
            raise unavailable
        return results


def new_staging(archive: Archive) -> Staging:
    """Where one more file is to be received."""
    settings = archive.settings
    path = archive.scratch_file(".part")
    return Staging(path, settings.max_instance_bytes, settings.min_free_bytes)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like asyncio.to_thread, but never gone while the thread still works on our file."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def check_room(archive: Archive) -> None:
    """Raises Unavailable when the disk is nearly full."""
    if shutil.disk_usage(archive.settings.tmp_dir).free < archive.settings.min_free_bytes:
        log.error("uploads refused: the disk is nearly full")
        raise Unavailable("the archive is out of space", retry_after=300)


async def store_file(
    archive: Archive, scope: Scope, staged: StagedFile, study_instance_uid: str | None = None
) -> Result:
    """Store one staged file, and remove it from the scratch folder whatever happens.

    The result says what a Store Instances Response says of it; only Unavailable is raised.
    """
    moved = False
    try:
        result = await _describe_and_commit(archive, scope, staged, study_instance_uid)
        moved = isinstance(result, Stored) and result.new
        return result
    except Unavailable:
        raise
    except WorkerFailed as failure:
        return failed("processing_failure", comment=str(failure))
    except Exception as error:  # a bug costs one instance, not the request (STOW-41)
        log.error("an instance could not be stored", where=where(error))
        return failed("processing_failure")
    finally:
        if not moved:
            await asyncio.to_thread(_remove_scratch, staged.path)


def _remove_scratch(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".inflated").unlink(missing_ok=True)  # of a worker that was killed


async def _describe_and_commit(
    archive: Archive, scope: Scope, staged: StagedFile, study_instance_uid: str | None
) -> Result:
    entry = await _describe(archive, staged)
    if isinstance(entry, Failed):
        return entry
    if study_instance_uid not in (None, entry.study_instance_uid):
        return _refused("other_study", entry)
    return await _commit(archive, scope, staged, entry)


async def _describe(archive: Archive, staged: StagedFile) -> Entry | Failed:
    try:
        return await archive.describer.describe(staged.path)
    except InvalidIdentity as error:
        return failed("invalid_instance", error.sop_class_uid, error.sop_instance_uid, str(error))
    except UnknownTransferSyntax as error:
        return failed("transfer_syntax_not_supported", comment=str(error))
    except (NotPart10, ContentTooLarge) as error:
        return failed("cannot_understand", comment=str(error))


async def _commit(archive: Archive, scope: Scope, staged: StagedFile, entry: Entry) -> Result:
    instance = NewInstance(entry, blob_key(entry), staged.size, staged.sha256)
    for _ in range(3):
        try:
            existing = await archive.committer.commit(Candidate(scope, instance, staged.path))
        except StorageFailed as error:
            return _refused("out_of_resources", entry, str(error))
        with suppress(BlobMissing):  # deleted in between: try again
            if existing is None or await _same(archive, existing, entry, staged):
                return _stored(entry, new=existing is None)
            return _refused("duplicate", entry)
    return _refused("processing_failure", entry)


async def _same(archive: Archive, existing: Existing, entry: Entry, staged: StagedFile) -> bool:
    """Whether what is stored has the same identity and the same data set (STOW-20)."""
    ours = (entry.study_instance_uid, entry.series_instance_uid)
    if ours != (existing.study_instance_uid, existing.series_instance_uid):
        return False
    if existing.sha256 == staged.sha256:
        return True
    if existing.transfer_syntax_uid != entry.transfer_syntax_uid:
        return False
    run = archive.workers.run
    async with archive.blobs.local(existing.blob_key) as stored:
        return await run(dataset_digest, stored) == await run(dataset_digest, staged.path)


def blob_key(entry: Entry) -> str:
    """A new key, readable and never used before: what it names never changes or comes back.

    Institutions get a folder of their own name; there is one until more can be configured.
    """
    folder = f"default/{entry.study_instance_uid}/{entry.series_instance_uid}"
    return f"{folder}/{entry.sop_instance_uid}~{new_token()}.dcm"


def _stored(entry: Entry, *, new: bool) -> Stored:
    return Stored(
        sop_class_uid=entry.sop_class_uid,
        sop_instance_uid=entry.sop_instance_uid,
        study_instance_uid=entry.study_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        warning_reason=REASONS["not_conformant"].code if entry.problems else None,
        problems=entry.problems,
        new=new,
    )


def _refused(name: str, entry: Entry, comment: str | None = None) -> Failed:
    return failed(name, entry.sop_class_uid, entry.sop_instance_uid, comment)


_kept: set["asyncio.Task[Result]"] = set()


def keep(work: Coroutine[None, None, Result]) -> "asyncio.Task[Result]":
    """A task that goes on when the request that began it is gone."""
    task = asyncio.create_task(work)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task
