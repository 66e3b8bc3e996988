"""Group commit: many instances share the flushes of their files and one transaction.

Blob first, index second, then the answer. A crash leaves at worst a blob that no row names,
never a row without its blob.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.blobs.store import BlobStore
from dicomweb_server.index.database import Connection, Pool, acquire
from dicomweb_server.index.instances import Existing, NewInstance, find_existing, insert_instances

log = structlog.get_logger()

T = TypeVar("T")

MAX_GROUP = 128  # instances


class StorageFailed(Exception):
    """The blob store could not take one instance: out of space, or damaged (A700)."""


@dataclass(slots=True)
class Candidate:
    """A described file in the scratch folder that wants to become an instance."""

    scope: Scope
    instance: NewInstance
    staged: Path
    # None once it is stored; what is there already under its SOP Instance UID otherwise.
    outcome: "asyncio.Future[Existing | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def uid(self) -> str:
        return self.instance.entry.sop_instance_uid


class Committer:
    """Collects candidates while earlier groups are being written; two groups at a time."""

    def __init__(self, pool: Pool, blobs: BlobStore) -> None:
        self._pool = pool
        self._blobs = blobs
        self._waiting: list[Candidate] = []
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def commit(self, candidate: Candidate) -> Existing | None:
        """None when `candidate` is stored and durable; else what holds its SOP Instance UID.

        Raises StorageFailed for this instance alone; Unavailable if the index is away.
        """
        self._waiting.append(candidate)
        self._start()
        return await candidate.outcome

    async def close(self) -> None:
        """Wait for what has begun."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        if self._running >= 2 or not self._waiting:
            return
        group = self._next_group()
        self._running += 1
        task = asyncio.create_task(self._run(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_group(self) -> list[Candidate]:
        """The next candidates of one scope, no two of the same SOP Instance UID."""
        scope = self._waiting[0].scope
        group: dict[str, Candidate] = {}
        rest = []
        for candidate in self._waiting:
            fits = candidate.scope == scope and len(group) < MAX_GROUP
            if fits and candidate.uid not in group:
                group[candidate.uid] = candidate
            else:
                rest.append(candidate)
        self._waiting = rest
        return list(group.values())

    async def _run(self, group: list[Candidate]) -> None:
        try:
            await self._write(group)
        except Exception as error:
            # Blobs stay: whether the transaction took place may be unknown. A sweep finds them.
            for candidate in group:
                if not candidate.outcome.done():
                    candidate.outcome.set_exception(error)
        finally:
            self._running -= 1
            self._start()

    async def _write(self, group: list[Candidate]) -> None:
        scope = group[0].scope
        uids = [candidate.uid for candidate in group]
        held = await self._index(lambda conn: find_existing(conn, scope.home, uids))
        new = [c for c in group if c.uid not in held]
        stored = await self._put(new)
        if stored:
            instances = [c.instance for c in stored]
            lost = await self._index(lambda conn: insert_instances(conn, scope, instances))
            held.update(lost)
            await self._blobs.delete([c.instance.blob_key for c in stored if c.uid in lost])
        for candidate in group:
            if not candidate.outcome.done():
                candidate.outcome.set_result(held.get(candidate.uid))

    async def _put(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not candidates:
            return []
        errors = await self._blobs.put_many([(c.staged, c.instance.blob_key) for c in candidates])
        stored = []
        for candidate, error in zip(candidates, errors, strict=True):
            if error is None:
                stored.append(candidate)
            else:
                log.error("blob not stored", error=type(error).__name__, errno=error.errno)
                failure = StorageFailed("the archive's storage could not take the instance")
                if not candidate.outcome.done():
                    candidate.outcome.set_exception(failure)
        return stored

    async def _index(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        async with acquire(self._pool) as conn:
            return await call(conn)
