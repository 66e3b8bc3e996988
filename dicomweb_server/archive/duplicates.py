"""Instances that come again (digest §5.4, STOW-20): the same, or others with the same UID.

The same data set is a retry, and a success. Another one is refused, or replaces what is there,
as the institution's policy says; both are noted in the audit.

Those of one process that have the same UID are settled one after the other: side by side all but
one of them would put their blobs for nothing, and do so again. Other processes may still overtake.
"""

import asyncio
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import structlog

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.blob_keys import blob_key
from dicomweb_server.archive.commit import Candidate, StorageFailed
from dicomweb_server.archive.one_by_one import StillWaiting
from dicomweb_server.archive.outcomes import refused, stored
from dicomweb_server.archive.staging import in_thread
from dicomweb_server.archive.work import dataset_digest
from dicomweb_server.blobs.store import BlobDamaged, BlobMissing
from dicomweb_server.errors import Unavailable
from dicomweb_server.index.database import acquire
from dicomweb_server.index.instances import Existing, find_existing
from dicomweb_server.index.versions import (
    duplicates_policy,
    heal_instance,
    note_refused,
    replace_instance,
)
from dicomweb_server.wire.store_report import Result

log = structlog.get_logger()

_WAIT = 300.0  # seconds for others of this process, of whom each gets on
_PATIENCE = 30.0  # seconds of other processes storing, replacing and deleting it meanwhile
_ROUNDS = 4  # that are made in any case, however long they take
_PAUSE = 0.01  # seconds at the most after the first of them; twice as many after each
_MOST_PAUSE = 0.2  # seconds


async def settle(
    archive: Archive, candidate: Candidate, existing: Existing, *, again: bool = False
) -> Result:
    """What becomes of `candidate`, whose SOP Instance UID `existing` has; or had, if it is to be
    looked for `again`.

    Unless it is stored no blob of it stays, and its staged file is where it was. What was there
    before may be had until the leases of its study have run out. Raises Unavailable.
    """
    key = (candidate.scope.home, candidate.uid)
    try:
        async with archive.settling.turn(key, _WAIT) as others:
            held = await _find(archive, candidate) if again or others else existing
            result = await _in_rounds(archive, candidate, held)
    except StillWaiting:
        result = None
    if result is not None:
        return result
    await _take_back(archive, candidate)
    raise Unavailable("the same instance is stored and deleted by others all the time")


async def _in_rounds(
    archive: Archive, candidate: Candidate, held: Existing | None
) -> Result | None:
    """Until no other process overtakes; None if all of them do. `held`: what is stored."""
    rounds, patient_until, pause = 0, time.monotonic() + _PATIENCE, _PAUSE
    while True:
        if held is None:  # deleted in between
            held = await _commit_again(archive, candidate)
        result = await _judge(archive, candidate, held) if held else _new(candidate)
        rounds += 1
        if result is not None or (rounds >= _ROUNDS and time.monotonic() > patient_until):
            return result
        # Of those who wait equally long the same one would always be the later.
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  no secret
        pause = min(2 * pause, _MOST_PAUSE)
        held = await _find(archive, candidate)


async def _judge(archive: Archive, candidate: Candidate, held: Existing) -> Result | None:
    """The end of it, or None if `held` is no longer what is stored."""
    entry = candidate.instance.entry
    if held.blob_key == candidate.instance.blob_key:
        return _new(candidate)  # its own row: what seemed to fail had come through
    if _in_one_place(candidate, held) and held.sha256 == candidate.instance.sha256:
        if not await _is_there(archive, held):
            return await _heal(archive, candidate, held)
        if candidate.placed:
            await archive.committer.discard(candidate)
        return stored(entry, new=False)
    await _take_back(archive, candidate)
    try:
        if await _same_dataset(archive, candidate, held):
            return stored(entry, new=False)
    except BlobMissing:
        now_held = await _find(archive, candidate)
        if now_held is None or now_held.blob_key != held.blob_key:
            return None
    if not await _may_replace(archive, candidate, held):
        return refused("duplicate", entry)
    try:
        return _new(candidate) if await _replace(archive, candidate, held) else None
    except StorageFailed as error:
        return refused("out_of_resources", entry, str(error))


async def _is_there(archive: Archive, held: Existing) -> bool:
    """Whether the blob is there in its full length: what is reported as stored has to be."""
    try:
        await archive.blobs.at_rest.read(held.blob_key, held.size - 1, 1)
    except BlobDamaged:
        return False
    return True


async def _heal(archive: Archive, candidate: Candidate, held: Existing) -> Result | None:
    """Put the same file in the place of one that is lost, or cut short."""
    entry = candidate.instance.entry
    if not candidate.placed:
        try:
            await archive.committer.place(candidate, candidate.instance.blob_key)
        except StorageFailed as error:
            return refused("out_of_resources", entry, str(error))
    async with acquire(archive.pool) as conn:
        healed = await heal_instance(conn, candidate.scope, held, candidate.instance.blob_key)
    log.warning("a damaged file was stored again", blob=held.blob_key, healed=healed)
    return stored(entry, new=True) if healed else None


def _new(candidate: Candidate) -> Result:
    return stored(candidate.instance.entry, new=True)


def _in_one_place(candidate: Candidate, held: Existing) -> bool:
    entry = candidate.instance.entry
    ours = (entry.study_instance_uid, entry.series_instance_uid)
    return ours == (held.study_instance_uid, held.series_instance_uid)


async def _same_dataset(archive: Archive, candidate: Candidate, held: Existing) -> bool:
    """Whether `held` has the same identity and the same data set (STOW-20)."""
    syntax = candidate.instance.entry.transfer_syntax_uid
    if not _in_one_place(candidate, held) or held.transfer_syntax_uid != syntax:
        return False
    run = archive.workers.run_to_the_end
    async with archive.blobs.local(held.blob_key) as theirs:
        digest = await run(dataset_digest, theirs)
    return digest == await run(dataset_digest, candidate.staged)


async def _may_replace(archive: Archive, candidate: Candidate, held: Existing) -> bool:
    """Whether the policy lets it, and it is the same instance. If not, that is noted."""
    scope = candidate.scope
    async with acquire(archive.pool) as conn:
        policy = await duplicates_policy(conn, scope.home)
        if policy == "replace" and _in_one_place(candidate, held):
            return True
        await note_refused(conn, scope, candidate.instance)
        return False


async def _replace(archive: Archive, candidate: Candidate, held: Existing) -> bool:
    """Blob first, index second. False if `held` is no longer what is stored.

    Raises StorageFailed, Unavailable.
    """
    key = blob_key(candidate.instance.entry, replacing=True)
    await archive.committer.place(candidate, key)
    async with acquire(archive.pool) as conn:
        new = candidate.instance
        return await replace_instance(conn, candidate.scope, held, new, archive.attributes)


async def _commit_again(archive: Archive, candidate: Candidate) -> Existing | None:
    """None if it is stored now. Raises what else became of it."""
    [outcome] = await archive.committer.commit([candidate])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _find(archive: Archive, candidate: Candidate) -> Existing | None:
    async with acquire(archive.pool) as conn:
        found = await find_existing(conn, candidate.scope.home, [candidate.uid])
    return found.get(candidate.uid)


async def _take_back(archive: Archive, candidate: Candidate) -> None:
    """Its blob becomes its staged file again: it lost a race, and no row names the blob.

    Raises StorageFailed if there is no room for it.
    """
    if not candidate.placed:
        return
    try:
        async with archive.blobs.local(candidate.instance.blob_key) as path:
            await in_thread(_copy, path, candidate.staged)
    except OSError as error:
        raise StorageFailed("the archive is out of space, or its storage failed") from error
    finally:
        await archive.committer.discard(candidate)
        # The key of what was deleted is never used again.
        key = blob_key(candidate.instance.entry)
        candidate.instance = replace(candidate.instance, blob_key=key)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, and flush the copy; nothing is left of one that fails."""
    try:
        with source.open("rb") as ours, target.open("wb") as copy:
            shutil.copyfileobj(ours, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
