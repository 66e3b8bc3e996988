"""Group commit: many instances share the flushes of their files and one transaction.

Blob first, index second, then the answer. A crash leaves at worst a blob that no row names,
never a row without its blob.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import asyncpg
import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.blobs.store import BlobStore
from dicomweb_server.errors import Unavailable, where
from dicomweb_server.index.database import Connection, Pool, acquire
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.index.instances import Existing, NewInstance, find_existing, insert_instances

log = structlog.get_logger()

T = TypeVar("T")

MAX_GROUP = 128  # instances
MAX_GROUP_BYTES = 32 << 20  # of packed metadata and frame tables, which one statement carries

# Postgres' word on one instance after which its transaction is certainly undone.
_REFUSED = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.IntegrityConstraintViolationError,
)


class StorageFailed(Exception):
    """The archive could not take one instance: out of space, or beyond what it can hold (A700)."""


# None: it is stored. What has its SOP Instance UID already. Why it could not be stored.
Outcome = Existing | Exception | None


@dataclass(slots=True)
class Candidate:
    """A described file in the scratch folder that wants to become an instance."""

    scope: Scope
    instance: NewInstance
    staged: Path
    placed: bool = False  # whether its blob is there; its staged file is not, then
    asked: bool = False  # whether the index was asked to take it, so that a row may name the blob
    outcome: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def uid(self) -> str:
        return self.instance.entry.sop_instance_uid

    def resolve(self, outcome: "Outcome") -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Committer:
    """Collects candidates while a group is being written: the busier, the larger the groups."""

    def __init__(
        self, pool: Pool, blobs: BlobStore, attributes: AttributeList | None = None
    ) -> None:
        self._pool = pool
        self._blobs = blobs
        self._attributes = attributes
        self._waiting: list[Candidate] = []
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def commit(self, candidates: Sequence[Candidate]) -> Awaitable[list[Outcome]]:
        """Store them, each for itself, behind what is waiting already; what is stored is durable.

        Of one that is not, the outcome is what holds its SOP Instance UID (`placed` tells
        whether its blob is there all the same), StorageFailed, Unavailable, or a bug.
        """
        for candidate in candidates:
            candidate.outcome = asyncio.get_running_loop().create_future()
        self._waiting += candidates
        self._start()
        return _outcomes(candidates)

    async def place(self, candidate: Candidate, key: str) -> None:
        """Put its blob under `key`. Raises StorageFailed."""
        candidate.instance = replace(candidate.instance, blob_key=key)
        [error] = await self._blobs.put_many([(candidate.staged, key)])
        if error is not None:
            _log_not_stored(error)
            raise StorageFailed(_NO_BLOB)
        candidate.placed = True

    async def discard(self, candidate: Candidate) -> None:
        """Remove its blob, which no row names; one that cannot be removed harms nobody."""
        candidate.placed = False
        try:
            await self._blobs.delete([candidate.instance.blob_key])
        except OSError as error:
            log.error("blob not removed", error=type(error).__name__, errno=error.errno)

    async def close(self) -> None:
        """Wait for what has begun."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        if self._running >= 1 or not self._waiting:
            return
        group = self._next_group()
        self._running += 1
        task = asyncio.create_task(self._run(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[Candidate]:
        """The next candidates of one scope, no two of the same SOP Instance UID.

        But for these none overtakes another: the first gives a new series its attributes.
        """
        scope = self._waiting[0].scope
        group: dict[str, Candidate] = {}
        room = MAX_GROUP_BYTES
        full = False
        rest = []
        for candidate in self._waiting:
            size = candidate.instance.entry.row_bytes
            if full or candidate.scope != scope or candidate.uid in group:
                rest.append(candidate)
            elif len(group) < MAX_GROUP and (size <= room or not group):
                group[candidate.uid] = candidate
                room -= size
            else:
                full = True
                rest.append(candidate)
        self._waiting = rest
        return list(group.values())

    async def _run(self, group: list[Candidate]) -> None:
        try:
            await self._write(group)
        except Exception as error:
            for candidate in group:
                # Where the index was asked the blob stays: whether the transaction took place may
                # be unknown. A sweep finds it.
                if candidate.placed and not candidate.asked:
                    await self.discard(candidate)
                candidate.resolve(error)
        except BaseException:  # the program ends: nobody shall wait for what will not come
            for candidate in group:
                candidate.resolve(Unavailable("the server stops"))
            raise
        finally:
            self._running -= 1
            self._start()

    async def _write(self, group: list[Candidate]) -> None:
        # What is at rest already is looked for where its row is made.
        found = await self._find([candidate for candidate in group if not candidate.placed])
        # Its own row is no other's: an attempt that seemed to fail had come through.
        ours = {candidate.uid: candidate.instance.blob_key for candidate in group}
        held = {uid: each for uid, each in found.items() if each.blob_key != ours[uid]}
        stored = await self._put([c for c in group if c.uid not in found])
        if stored:
            await self._insert(stored)
        for candidate in group:
            candidate.resolve(held.get(candidate.uid))

    async def _find(self, candidates: Sequence[Candidate]) -> dict[str, Existing]:
        """What has their UIDs: then their files need not be moved."""
        if not candidates:
            return {}
        home, uids = candidates[0].scope.home, [candidate.uid for candidate in candidates]
        return await self._index(lambda conn: find_existing(conn, home, uids))

    async def _put(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those of the candidates whose blobs are there."""
        wanting = [candidate for candidate in candidates if not candidate.placed]
        if wanting:
            errors = await self._blobs.put_many([(c.staged, c.instance.blob_key) for c in wanting])
            for candidate, error in zip(wanting, errors, strict=True):
                if error is None:
                    candidate.placed = True
                else:
                    _log_not_stored(error)
                    candidate.resolve(StorageFailed(_NO_BLOB))
        return [candidate for candidate in candidates if candidate.placed]

    async def _insert(self, stored: Sequence[Candidate]) -> None:
        """Make the rows of those whose blobs are there; one that spoils it fails alone."""
        scope, instances = stored[0].scope, [c.instance for c in stored]

        def insert(conn: Connection) -> Awaitable[dict[str, Existing]]:
            for candidate in stored:
                candidate.asked = True
            return insert_instances(conn, scope, instances, self._attributes)

        try:
            lost = await self._index(insert)
        except Unavailable:
            raise
        except Exception as error:
            if len(stored) > 1:  # of requests that know nothing of each other
                for candidate in stored:
                    await self._insert([candidate])
                return
            log.error("row not stored", where=where(error))
            if isinstance(error, _REFUSED):
                await self.discard(stored[0])
                error = StorageFailed("the index could not take the instance")
            stored[0].resolve(error)
            return
        for candidate in stored:
            other = lost.get(candidate.uid)
            # Its own row is no other's: an attempt that seemed to fail had come through.
            if other is not None and other.blob_key == candidate.instance.blob_key:
                other = None
            candidate.resolve(other)

    async def _index(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        async with acquire(self._pool) as conn:
            return await call(conn)


async def _outcomes(candidates: Sequence[Candidate]) -> list[Outcome]:
    return [await candidate.outcome for candidate in candidates]


_NO_BLOB = "the archive's storage could not take the instance"


def _log_not_stored(error: OSError) -> None:
    log.error("blob not stored", error=type(error).__name__, errno=error.errno)
