"""Rebuild the index from the blobs alone: equal to the one that was lost, but for ids and times.

The blobs are listed in the order of their keys, so study by study. Files are read and described
several at a time, the next chunk while the rows of the last are made; rows are made in order,
since the first stored instance gives its study and series their attributes.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.blob_keys import read_blob_key
from dicomweb_server.archive.commit import MAX_GROUP_BYTES
from dicomweb_server.archive.rebuild_reading import Chunk, Described, Reader, Rebuilt, Watcher
from dicomweb_server.archive.versions import Instance, StudyHistory, Version, history_of
from dicomweb_server.errors import Unavailable
from dicomweb_server.index.database import acquire
from dicomweb_server.index.delete import delete
from dicomweb_server.index.instances import (
    Existing,
    NewInstance,
    find_existing,
    insert_instances,
)
from dicomweb_server.index.institutions import institution_named
from dicomweb_server.index.progress import alone_with_blobs, forget_progress, save_progress
from dicomweb_server.index.rebuild_index import (
    add_versions,
    count_instances,
    is_empty,
)
from dicomweb_server.index.versions import named_keys, replace_instance

WORK = "rebuild-index"  # in the table progress while it is not done: what has no row is no litter
COMPLETE = "index complete"  # there too once it is: every blob has been looked at
PRINCIPAL = "rebuild-index"
CHUNK = 64  # instances described together
CHUNK_BYTES = 256 << 20  # of their files, which bounds their metadata too
LOOK_UP = 1000  # UIDs

StudyKey = tuple[str, str]  # institution's code, Study Instance UID


class IndexNotEmpty(Exception):
    """Rows name blobs already."""


async def rebuild_index(archive: Archive, watcher: Watcher, *, go_on: bool = False) -> Rebuilt:
    """Make the rows of every blob. `go_on`: pass over those that are there.

    Raises IndexNotEmpty if there are any and `go_on` is not set; Unavailable, by itself or in a
    group, while the database or the store is away, or a sweep is at work.
    """
    async with alone_with_blobs(archive.pool):
        async with acquire(archive.pool) as conn:
            if not go_on and not await is_empty(conn):
                raise IndexNotEmpty
            await save_progress(conn, {WORK: 0})
        work = _Rebuild(archive, watcher, go_on)
        await work.everything()
        async with acquire(archive.pool) as conn:
            if not work.rebuilt.failed:
                await forget_progress(conn, WORK)
                await save_progress(conn, {COMPLETE: 1})
    return work.rebuilt


class _Rebuild:
    def __init__(self, archive: Archive, watcher: Watcher, go_on: bool) -> None:
        self._archive = archive
        self._go_on = go_on
        self._watcher = watcher
        self._scopes: dict[str, Scope] = {}
        self._contested: dict[StudyKey, None] = {}
        self._left_before: dict[StudyKey, int] = {}  # of studies that were begun anew
        self.rebuilt = Rebuilt()
        self._reader = Reader(archive, watcher, self.rebuilt)

    async def everything(self) -> None:
        await self._store(self._histories())
        await self._settle()

    async def _histories(self) -> AsyncIterator[tuple[StudyKey, StudyHistory]]:
        """Study by study, as the listing has them."""
        key: StudyKey = ("", "")
        blobs: list[Version] = []
        async for blob in self._archive.blobs.list():
            name = read_blob_key(blob.key)
            if name is None:
                self.rebuilt.unknown += 1
                continue
            if (name.institution, name.study_instance_uid) != key:
                if blobs:
                    yield key, await self._history(blobs)
                key, blobs = (name.institution, name.study_instance_uid), []
            blobs.append(Version(blob.key, name, blob.size))
        if blobs:
            yield key, await self._history(blobs)

    async def _history(self, blobs: Sequence[Version]) -> StudyHistory:
        if not self._go_on:
            return history_of(blobs)
        named: set[str] = set()
        for uids in _pages_of_uids(blobs):
            async with acquire(self._archive.pool) as conn:
                named |= await named_keys(conn, uids)
        return history_of(blobs, named)

    async def _store(self, histories: AsyncIterator[tuple[StudyKey, StudyHistory]]) -> None:
        """Read and describe a chunk while the rows of the one before are made."""
        describing: deque[asyncio.Task[Described]] = deque()
        try:
            async for chunk in self._chunks(histories):
                describing.append(asyncio.create_task(self._reader.describe(chunk)))
                if len(describing) > 1:
                    await self._insert(await describing.popleft())
            while describing:
                await self._insert(await describing.popleft())
        finally:
            for task in describing:
                task.cancel()
            await asyncio.gather(*describing, return_exceptions=True)

    async def _chunks(
        self, histories: AsyncIterator[tuple[StudyKey, StudyHistory]]
    ) -> AsyncIterator[Chunk]:
        chunk = Chunk(Scope(()), [])
        uids: set[str] = set()
        size = 0
        async for (institution, _), history in histories:
            self._leave(history.left)
            scope = await self._scope(institution)
            for instance in history.instances:
                uid, more = instance.current.name.sop_instance_uid, instance.current.size
                full = len(uids) >= CHUNK or size + more > CHUNK_BYTES
                if uids and (full or uid in uids or scope != chunk.scope):
                    yield chunk
                    uids, size = set(), 0
                if not uids:
                    chunk = Chunk(scope, [])
                chunk.instances.append(instance)
                uids.add(uid)
                size += more
        if uids:
            yield chunk

    def _leave(self, versions: Iterable[Version]) -> None:
        for version in versions:
            self.rebuilt.left += 1
            self._watcher.left(version.key)

    async def _scope(self, institution: str) -> Scope:
        scope = self._scopes.get(institution)
        if scope is None:
            async with acquire(self._archive.pool) as conn:
                number = await institution_named(conn, institution)
            scope = self._scopes[institution] = Scope((number,), principal=PRINCIPAL)
        return scope

    async def _insert(self, described: Described) -> None:
        """Make the rows of a chunk, in order, in groups that a statement can carry."""
        group: list[NewInstance] = []
        size = 0
        for new, _ in described.new.values():
            if group and size + new.entry.row_bytes > MAX_GROUP_BYTES:
                await self._insert_group(described, group)
                group, size = [], 0
            group.append(new)
            size += new.entry.row_bytes
        if group:
            await self._insert_group(described, group)
        if described.older:
            async with acquire(self._archive.pool) as conn:
                await add_versions(conn, described.scope.home, described.older)
            self.rebuilt.older += len(described.older)
        self._watcher.advance(self.rebuilt, 0)

    async def _insert_group(self, described: Described, group: Sequence[NewInstance]) -> None:
        try:
            async with acquire(self._archive.pool) as conn:
                known = self._archive.attributes
                lost = await insert_instances(conn, described.scope, group, known)
        except Unavailable:
            raise
        except Exception as error:
            if len(group) > 1:  # one that spoils it fails alone
                for new in group:
                    await self._insert_group(described, [new])
                return
            self._reader.fail(described.new[group[0].entry.sop_instance_uid][1].current, error)
            return
        self.rebuilt.stored += len(group) - len(lost)
        for uid, existing in lost.items():
            await self._contest(described.scope, *described.new[uid], existing)

    async def _contest(
        self, scope: Scope, new: NewInstance, instance: Instance, held: Existing
    ) -> None:
        """Something else has the UID: an older version, or the same UID in another place."""
        if held.blob_key == new.blob_key:  # a server beside us was faster
            self.rebuilt.present += 1
            return
        same_place = new.series_key == (held.study_instance_uid, held.series_instance_uid)
        name = read_blob_key(held.blob_key)
        if same_place and name is not None:
            newer = instance.current.name.replacing and instance.current.name.token > name.token
            async with acquire(self._archive.pool) as conn:
                known = self._archive.attributes
                if newer and await replace_instance(conn, scope, held, new, known):
                    self.rebuilt.stored += 1
                    return
            self._leave([instance.current])
            return
        institution = instance.current.name.institution
        self._contested[institution, new.entry.study_instance_uid] = None
        self._contested[institution, held.study_instance_uid] = None

    async def _settle(self) -> None:
        """Begin the studies anew that have a UID in common: each goes to one of them alone."""
        waiting = list(self._contested)
        self._contested.clear()
        for study in waiting:
            await self._forget(study)
        while waiting:
            study = waiting.pop()
            blobs = await self._blobs_of(study)
            others = await self._others(study, blobs)
            history = history_of(blobs)
            self.rebuilt.left -= self._left_before.get(study, len(history.left))
            counted = self.rebuilt.left
            lost = {
                each.current.name.sop_instance_uid
                for each in history.instances
                if (other := others.get(each.current.name.sop_instance_uid))
                and other.rank < each.current.rank
            }
            for uid, other in others.items():
                if uid not in lost:
                    again = (other.name.institution, other.name.study_instance_uid)
                    if again not in waiting:
                        await self._forget(again)
                        waiting.append(again)
            self._leave(blob for blob in blobs if blob.name.sop_instance_uid in lost)
            kept = [blob for blob in blobs if blob.name.sop_instance_uid not in lost]
            await self._store(_one(study, history_of(kept)))
            self._left_before[study] = self.rebuilt.left - counted

    async def _forget(self, study: StudyKey) -> None:
        scope = await self._scope(study[0])
        async with acquire(self._archive.pool) as conn:
            instances = await count_instances(conn, scope.home, study[1])
            if instances:
                keys = await delete(conn, scope, study[1])
                self.rebuilt.stored -= instances
                self.rebuilt.older -= len(keys) - instances

    async def _blobs_of(self, study: StudyKey) -> list[Version]:
        found = []
        async for blob in self._archive.blobs.list("/".join((*study, ""))):
            name = read_blob_key(blob.key)
            if name is not None:
                found.append(Version(blob.key, name, blob.size))
        return found

    async def _others(self, study: StudyKey, blobs: Sequence[Version]) -> dict[str, Version]:
        """What holds UIDs of a study in other studies, by UID."""
        scope = await self._scope(study[0])
        found: dict[str, Version] = {}
        for uids in _pages_of_uids(blobs):
            async with acquire(self._archive.pool) as conn:
                held = await find_existing(conn, scope.home, uids)
            for uid, existing in held.items():
                name = read_blob_key(existing.blob_key)
                if name is not None:
                    found[uid] = Version(existing.blob_key, name, existing.size)
        return found


def _pages_of_uids(blobs: Sequence[Version]) -> Iterator[list[str]]:
    uids = sorted({blob.name.sop_instance_uid for blob in blobs})
    for begin in range(0, len(uids), LOOK_UP):
        yield uids[begin : begin + LOOK_UP]


async def _one(
    study: StudyKey, history: StudyHistory
) -> AsyncIterator[tuple[StudyKey, StudyHistory]]:
    yield study, history
