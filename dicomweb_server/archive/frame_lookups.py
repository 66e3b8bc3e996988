"""Looking up frames: what is asked while the database answers is asked in one statement next."""

import asyncio
from collections.abc import Callable, Sequence

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.frame_batches import AskedFrame, locate_many
from dicomweb_server.index.retrieve import FrameLocation, locate_frames

MAX_BATCH = 100  # frames of one statement
PATIENCE = 0.5  # seconds; a statement takes a thousandth

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
        self._tasks: set[asyncio.Task[None]] = set()  # nobody else holds them

    async def locate(self, scope: Scope, asked: AskedFrame) -> FrameLocation:
        """Where a frame lies. Raises NotFound, NotAcceptable, Unavailable."""
        if self._busy:
            future: asyncio.Future[FrameLocation] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(scope, []).append((asked, future))
            return await future
        self._busy = True
        turn = self._turn()
        try:
            async with acquire(self._pool) as conn:
                return await locate_frames(conn, scope, *asked[:3], [asked.number])
        finally:
            turn.end()

    def _turn(self) -> "_Turn":
        return _Turn(asyncio.get_running_loop(), self._next)

    def _next(self) -> None:
        """Those who came meanwhile, in the order of their scopes."""
        if not self._waiting:
            self._busy = False
            return
        scope = next(iter(self._waiting))
        waiting = self._waiting.pop(scope)
        if waiting[MAX_BATCH:]:
            self._waiting[scope] = waiting[MAX_BATCH:]  # behind the others
        task = asyncio.create_task(self._look_up(scope, waiting[:MAX_BATCH]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, scope: Scope, batch: Sequence[_Waiting]) -> None:
        """Give each of `batch` its answer, or all of them the failure."""
        answers: Sequence[FrameLocation | Exception]
        turn = self._turn()
        try:
            async with acquire(self._pool) as conn:
                answers = await locate_many(conn, scope, [asked for asked, _ in batch])
        except Exception as failure:
            answers = [failure] * len(batch)
        finally:
            turn.end()
        for (_, future), answer in zip(batch, answers, strict=True):
            _answer(future, answer)


class _Turn:
    """The time of one statement. One that takes long, on a connection that is silent, ends it
    early: others may be answered on theirs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, following: Callable[[], None]) -> None:
        self._following: Callable[[], None] | None = following
        self._timer = loop.call_later(PATIENCE, self.end)

    def end(self) -> None:
        """Let those who wait have theirs; once."""
        self._timer.cancel()
        following, self._following = self._following, None
        if following is not None:
            following()


def _answer(future: "asyncio.Future[FrameLocation]", answer: FrameLocation | Exception) -> None:
    if future.done():  # its client has left
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
