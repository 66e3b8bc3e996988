"""Files on their way to the workers that walk them, several to a journey when many wait.

A journey to another process costs as much as the walk of a small file.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicomweb_server.archive.work import describe_files
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.errors import Unavailable
from dicomweb_server.index.indexed_attributes import AttributeList
from dicomweb_server.index.rows import Entry

MAX_GROUP = 8  # files; a crash costs them all a second journey, each alone


@dataclass(slots=True)
class _Waiting:
    path: Path
    outcome: "asyncio.Future[Entry | Exception]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Describer:
    """Collects files while every worker has some, then sends them on together."""

    def __init__(
        self, workers: WorkerPool, inflate_limit: int, attributes: AttributeList | None = None
    ) -> None:
        """`inflate_limit`: bytes that a deflated data set may unpack to. `attributes`: those
        that are indexed, whose values the entries have."""
        self._workers = workers
        self._limit = inflate_limit
        self._attributes = attributes or AttributeList()
        self._waiting: list[_Waiting] = []
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def describe(self, paths: Sequence[Path]) -> list[Entry | Exception]:
        """The entries of the PS3.10 files at `paths`; for one that has none, why: NotPart10 and
        its kinds, ContentTooLarge, WorkerFailed, Unavailable, or a bug."""
        waiting = [_Waiting(path) for path in paths]
        self._waiting += waiting
        self._start()
        return [await each.outcome for each in waiting]

    def _start(self) -> None:
        while self._waiting and self._running < self._workers.size:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            self._running += 1
            task = asyncio.create_task(self._run(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, group: list[_Waiting]) -> None:
        try:
            await self._describe(group)
        except Unavailable as error:
            _fail(group, error)
        except Exception as error:  # a crash, or a bug that the content of one brought about
            if len(group) == 1:
                _fail(group, error)
            else:
                for waiting in group:
                    await self._alone(waiting)
        except BaseException:  # the program ends: nobody shall wait for what will not come
            _fail(group, Unavailable("the server stops"))
            raise
        finally:
            self._running -= 1
            self._start()

    async def _alone(self, waiting: _Waiting) -> None:
        try:
            await self._describe([waiting])
        except Exception as error:
            _fail([waiting], error)

    async def _describe(self, group: list[_Waiting]) -> None:
        paths = [waiting.path for waiting in group]
        known = self._attributes.known
        results = await self._workers.run(describe_files, paths, self._limit, known)
        for waiting, result in zip(group, results, strict=True):
            if waiting.outcome.done():
                continue
            waiting.outcome.set_result(result)


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.outcome.done():
            waiting.outcome.set_result(error)
