"""Looking up frames: what is asked while the database answers is asked in one statement next."""

import asyncio
from collections.abc import Sequence
from itertools import chain

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import Unavailable
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.frame_batches import AskedFrame, locate_many
from dicomweb_server.index.retrieve import FrameLocation, locate_frames

MAX_BATCH = 100  # frames of one statement

_Waiting = tuple[AskedFrame, "asyncio.Future[FrameLocation]"]


class FrameLookups:
    """Looks up single frames: the busier, the more of them with one statement.

    Nothing is kept: each is looked up after it was asked for, in the scope that it was asked in,
    so that an answer is as true as one of its own statement.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._busy = False
        self._waiting: dict[Scope, list[_Waiting]] = {}
        self._task: asyncio.Task[None] | None = None  # nobody else holds it

    async def locate(self, scope: Scope, asked: AskedFrame) -> FrameLocation:
        """Where a frame lies. Raises NotFound, Unavailable."""
        if self._busy:
            future: asyncio.Future[FrameLocation] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(scope, []).append((asked, future))
            return await future
        self._busy = True
        try:
            async with acquire(self._pool) as conn:
                return await locate_frames(conn, scope, *asked[:3], [asked.number])
        except Unavailable as failure:
            self._give_up(failure)
            raise
        finally:
            self._next()

    def _next(self) -> None:
        """Those who came meanwhile, in the order of their scopes."""
        if not self._waiting:
            self._busy = False
            return
        scope = next(iter(self._waiting))
        waiting = self._waiting.pop(scope)
        if waiting[MAX_BATCH:]:
            self._waiting[scope] = waiting[MAX_BATCH:]  # behind the others
        self._task = asyncio.create_task(self._look_up(scope, waiting[:MAX_BATCH]))

    async def _look_up(self, scope: Scope, batch: Sequence[_Waiting]) -> None:
        """Give each of `batch` its answer, or all of them the failure."""
        answers: Sequence[FrameLocation | Exception]
        try:
            async with acquire(self._pool) as conn:
                answers = await locate_many(conn, scope, [asked for asked, _ in batch])
        except Exception as failure:
            answers = [failure] * len(batch)
            if isinstance(failure, Unavailable):
                self._give_up(failure)
        finally:
            self._next()
        for (_, future), answer in zip(batch, answers, strict=True):
            _answer(future, answer)

    def _give_up(self, failure: Unavailable) -> None:
        """A silent database takes its time to fail: those who have waited so long for others do
        not wait as long for themselves."""
        waiting, self._waiting = self._waiting, {}
        for _, future in chain.from_iterable(waiting.values()):
            _answer(future, failure)


def _answer(future: "asyncio.Future[FrameLocation]", answer: FrameLocation | Exception) -> None:
    if future.done():  # its client has left
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
