"""Store (PS3.18 §10.5): staged files become instances, each on its own."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import structlog

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.arriving import arrive
from dicomweb_server.archive.blob_keys import blob_key
from dicomweb_server.archive.commit import Candidate, Outcome, StorageFailed
from dicomweb_server.archive.duplicates import settle
from dicomweb_server.archive.outcomes import refused, stored
from dicomweb_server.archive.quarantine import keep_refused
from dicomweb_server.archive.scratch import new_token, remove
from dicomweb_server.archive.staging import (
    StagedFile,
    Staging,
    check_room,
    complete_all,
    flush_all,
    in_thread,
    new_staging,
    not_written,
)
from dicomweb_server.archive.turns import Turn, Turns
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.part10 import InvalidIdentity, UnknownTransferSyntax
from dicomweb_server.errors import ContentTooLarge, NotPart10, Unavailable, where
from dicomweb_server.index.instances import Existing, NewInstance
from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.store_report import Failed, Result, Stored, failed

log = structlog.get_logger()

T = TypeVar("T")
Flushing = asyncio.Task[dict[Path, OSError]]

# Files of one request that go on together: each journey to a thread, to a worker and to the
# index costs as much as a small file. A request that ends does not wait for more.
BATCH = 16
BATCH_BYTES = 8 << 20  # held in memory, after which a batch is not added to
ALL_BYTES = 64 << 20  # held for all requests, after which batches are as small as they can be
# Small files that go all the way in one thread. More are faster, and take less, where a worker
# describes them while a thread flushes them.
FEW = 4
AHEAD = 3  # batches of one request that are stored while more is received


class _Held:
    """What all requests of this process hold in memory."""

    bytes = 0


def _hold(file: Staging | StagedFile) -> int:
    size = file.held if isinstance(file, Staging) else 0
    _Held.bytes += size
    return size


class IndexAway(Unavailable):
    """The index could not be reached when an instance was to enter it; `failure` tells of that."""

    def __init__(self, cause: Unavailable, failure: Failed) -> None:
        self.failure = failure
        super().__init__(str(cause), cause.retry_after)


class Intake:
    """The instances of one request: described side by side, committed and reported in order.

    What has been received whole is stored even if the client leaves: a retry finds it
    (STOW-42), and the request that was cut off reports nothing.
    """

    def __init__(
        self, archive: Archive, principal: Principal, study_instance_uid: str | None
    ) -> None:
        """Raises Unavailable when there is no room for an upload (503 before a byte is read)."""
        self.archive = archive
        self.study_instance_uid = study_instance_uid
        self._scope = archive.scope(principal, Action.STORE)
        self._held: list[Staging | StagedFile | Failed] = []
        self._held_bytes = 0
        self._results: list[asyncio.Task[list[Result | Unavailable]] | Failed] = []
        self._ahead = asyncio.Semaphore(AHEAD)
        self._turns = Turns()
        check_room(archive)

    def new_file(self) -> Staging:
        """Where the next instance is to be received."""
        return new_staging(self.archive)

    async def accept(self, file: Staging | StagedFile) -> None:
        """Store what was received whole, in the background; waits while too much is under way."""
        self._held.append(file)
        self._held_bytes += _hold(file)
        full = len(self._held) >= BATCH or self._held_bytes >= BATCH_BYTES
        if full or _Held.bytes >= ALL_BYTES:
            await self._ahead.acquire()
            self.release(self._ahead.release)

    def release(self, when_stored: Callable[[], None] | None = None) -> None:
        """Let go on what is held back for more; to be called when no more is to come."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            turn = self._turns.next()
            task = keep(self._store(_numbered(held), turn))
            task.add_done_callback(lambda _: turn.end())
            if when_stored is not None:
                task.add_done_callback(lambda _: when_stored())
            self._results.append(task)

    def fail(self, failure: Failed) -> None:
        """Report a part that never became a file, in its place."""
        if self._held:
            self._held.append(failure)
        else:
            self._results.append(failure)

    async def _store(
        self, held: Sequence[Staging | StagedFile | Failed], turn: Turn
    ) -> list[Result | Unavailable]:
        stagings = [file for file in held if isinstance(file, Staging)]
        arrived = await self._write(stagings) if stagings else []
        found = dict(zip(stagings, arrived, strict=True))
        files = [found[file] if isinstance(file, Staging) else file for file in held]
        good = [file for file in files if isinstance(file, StagedFile)]
        flushing = _flushing([staging for staging in stagings if staging.is_unflushed])
        study = self.study_instance_uid
        stored = iter(await store_files(self.archive, self._scope, good, study, flushing, turn))
        return [
            next(stored) if isinstance(file, StagedFile) else _without_file(file) for file in files
        ]

    async def _write(self, stagings: Sequence[Staging]) -> list[StagedFile | OSError]:
        size = sum(staging.held for staging in stagings)
        try:
            if len(stagings) > FEW or not all(staging.is_in_memory for staging in stagings):
                return await in_thread(complete_all, stagings)
            place, indexed = self.archive.blobs.place, self.archive.attributes.known
            return await in_thread(arrive, stagings, place, self._is_wanted, indexed)
        finally:
            _Held.bytes -= size

    def _is_wanted(self, entry: Entry) -> bool:
        """Whether it may be stored in answer to this request, wherever that was sent to."""
        return self.study_instance_uid in (None, entry.study_instance_uid)

    async def results(self) -> list[Result]:
        """What became of each, in the order received. Raises Unavailable if the index is away
        and nothing was stored."""
        self.release()
        results: list[Result | Unavailable] = []
        for entry in self._results:
            if isinstance(entry, asyncio.Task):
                results += await asyncio.shield(entry)
            else:
                results.append(entry)
        await self.archive.leases.outlive(self._scope, self._turns.broken)
        unavailable = [result for result in results if isinstance(result, Unavailable)]
        if unavailable and not any(isinstance(result, Stored) for result in results):
            raise unavailable[0]
        return [_as_failure(result) for result in results]


def _numbered(
    held: Sequence[Staging | StagedFile | Failed],
) -> list[Staging | StagedFile | Failed]:
    """With tokens in their order, whatever overtakes what from here on: the keys of blobs then
    tell which was the first (``archive.versions``)."""
    numbered: list[Staging | StagedFile | Failed] = []
    for file in held:
        if isinstance(file, StagedFile):
            file = replace(file, token=new_token())
        elif isinstance(file, Staging):
            file.token = new_token()
        numbered.append(file)
    return numbered


def _without_file(file: OSError | Failed) -> Failed:
    return not_written(file) if isinstance(file, OSError) else file


def _flushing(stagings: Sequence[Staging]) -> "Flushing | None":
    """Begin to flush complete files; for those that could not be, by their paths, why."""

    async def flush() -> dict[Path, OSError]:
        errors = await in_thread(flush_all, stagings)
        return {s.path: e for s, e in zip(stagings, errors, strict=True) if e is not None}

    return asyncio.create_task(flush()) if stagings else None


def _as_failure(result: Result | Unavailable) -> Result:
    if isinstance(result, IndexAway):
        return result.failure
    if isinstance(result, Unavailable):
        return failed("out_of_resources", comment=str(result))
    return result


async def store_files(
    archive: Archive,
    scope: Scope,
    staged: Sequence[StagedFile],
    study_instance_uid: str | None = None,
    flushing: "Flushing | None" = None,
    turn: Turn | None = None,
) -> list[Result | Unavailable]:
    """Store staged files, and remove them from the scratch folder whatever happens.

    `flushing`: some of them are on their way to the disk, while they are described. A result
    says what a Store Instances Response says of the file; Unavailable stands for one that the
    index or the workers could not deal with now. A file that is described, or at rest, already
    tells so itself. `turn`: behind what they are committed; its caller ends it.
    """
    results: list[Result | Unavailable] = []
    try:
        entries = await _entries(archive, staged)
        unflushed = await flushing if flushing is not None else {}
        study = study_instance_uid
        results = await _commit(archive, scope, staged, entries, unflushed, study, turn or Turn())
        await _quarantine(archive, scope, staged, results, study_instance_uid)
        return results
    except Exception as error:  # a bug costs some instances, not the request (STOW-41)
        log.error("instances could not be stored", where=where(error))
        return [failed("processing_failure") for _ in staged]
    finally:
        if flushing is not None:
            await asyncio.wait([flushing])
        moved = [result for result in results if isinstance(result, Stored) and result.new]
        if len(moved) < len(staged):
            # Those that are at rest have been moved; the others of a worker that was killed.
            paths = [file.path for file in staged]
            await remove(*paths, *(path.with_suffix(".inflated") for path in paths))


async def _entries(archive: Archive, staged: Sequence[StagedFile]) -> list[Entry | Exception]:
    unknown = [file.path for file in staged if file.entry is None]
    described = iter(await archive.describer.describe(unknown) if unknown else ())
    return [next(described) if file.entry is None else file.entry for file in staged]


async def _quarantine(
    archive: Archive,
    scope: Scope,
    staged: Sequence[StagedFile],
    results: Sequence[Result | Unavailable],
    study_instance_uid: str | None,
) -> None:
    if not archive.settings.quarantine:
        return
    for file, result in zip(staged, results, strict=True):
        if isinstance(result, Failed):
            await keep_refused(archive, scope, file, result, study_instance_uid)


async def _commit(
    archive: Archive,
    scope: Scope,
    staged: Sequence[StagedFile],
    entries: Sequence[Entry | Exception],
    unflushed: Mapping[Path, OSError],
    study_instance_uid: str | None,
    turn: Turn,
) -> list[Result | Unavailable]:
    results: dict[int, Result | Unavailable] = {}
    candidates: dict[int, Candidate] = {}
    for number, (file, entry) in enumerate(zip(staged, entries, strict=True)):
        if file.path in unflushed:
            results[number] = not_written(unflushed[file.path])
        elif isinstance(entry, Exception):
            results[number] = _undescribed(entry)
        elif study_instance_uid not in (None, entry.study_instance_uid):
            results[number] = refused("other_study", entry)
        else:
            candidates[number] = _candidate(scope, file, entry)
    await turn.to_commit()
    committing = archive.committer.commit(list(candidates.values()))
    turn.hand_over()
    outcomes = await committing
    if any(isinstance(outcome, Existing) for outcome in outcomes):
        await turn.to_settle()
    for (number, candidate), outcome in zip(candidates.items(), outcomes, strict=True):
        results[number] = await _conclude(archive, candidate, outcome, turn)
    return [results[number] for number in range(len(staged))]


def _candidate(scope: Scope, file: StagedFile, entry: Entry) -> Candidate:
    if file.problems:
        entry = replace(entry, problems=(*file.problems, *entry.problems))
    placed = file.blob_key is not None
    key = file.blob_key or blob_key(entry, file.token)
    instance = NewInstance(entry, key, file.size, file.sha256)
    return Candidate(scope, instance, file.path, placed)


def _undescribed(error: Exception) -> Result | Unavailable:
    match error:
        case Unavailable():
            return error
        case InvalidIdentity():
            uids = (error.sop_class_uid, error.sop_instance_uid)
            return failed("invalid_instance", *uids, str(error))
        case UnknownTransferSyntax():
            return failed("transfer_syntax_not_supported", comment=str(error))
        case NotPart10():
            return failed("cannot_understand", comment=str(error))
        case ContentTooLarge():
            return failed("out_of_resources", comment=str(error))
        case WorkerFailed():
            return failed("processing_failure", comment=str(error))
        case OSError():  # of the worker: it says nothing of the file
            return not_written(error)
    log.error("a file could not be described", where=where(error))
    return failed("processing_failure")


async def _conclude(
    archive: Archive, candidate: Candidate, outcome: Outcome, turn: Turn
) -> Result | Unavailable:
    entry = candidate.instance.entry
    match outcome:
        case None:
            archive.arrivals.note(candidate.scope, *candidate.instance.series_key)
            archive.new_series.note(candidate.scope, *candidate.instance.series_key)
            return stored(entry, new=True)
        case Existing():
            return await _settle(archive, candidate, outcome, turn)
        case Unavailable():
            return _away(outcome, entry)
        case StorageFailed():
            return refused("out_of_resources", entry, str(outcome))
    log.error("an instance could not be stored", where=where(outcome))
    return refused("processing_failure", entry)


def _away(cause: Unavailable, entry: Entry) -> IndexAway:
    return IndexAway(cause, refused("out_of_resources", entry, "the index was not available"))


async def _settle(
    archive: Archive, candidate: Candidate, existing: Existing, turn: Turn
) -> Result | Unavailable:
    # What was found may be what an earlier one of the same request has replaced meanwhile.
    again = candidate.uid in turn.settled
    turn.settled.add(candidate.uid)
    try:
        return await settle(archive, candidate, existing, again=again)
    except Unavailable as error:
        return _away(error, candidate.instance.entry)
    except StorageFailed as error:
        return refused("out_of_resources", candidate.instance.entry, str(error))
    except Exception as error:
        log.error("a duplicate could not be dealt with", where=where(error))
        return refused("processing_failure", candidate.instance.entry)
    finally:  # also where another request put it there, or deletes what is in its way
        turn.broken[candidate.instance.entry.study_instance_uid] = time.monotonic()


_kept: set["asyncio.Task[Any]"] = set()


def keep(work: Coroutine[None, None, T]) -> "asyncio.Task[T]":
    """A task that goes on when the request that began it is gone."""
    task = asyncio.create_task(work)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task
