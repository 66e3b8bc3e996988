"""Small pictures made by the serving process, as the journey to a worker takes as long as they do.

Only what needs none of a worker's protection: frames that are not compressed, so that there is no
decoder of untrusted streams, of a size that bounds the time to a few milliseconds, the memory to
megabytes. The picture of a CT slice takes 0.7 ms, the way to a worker process and back 1 ms.

On the event loop for who asks alone; in a thread else. Half of the work is coding, for which the
interpreter is let go, so that the loop goes on and some threads get along with it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import ParamSpec, TypeVar

from dicomweb_server.archive import work
from dicomweb_server.archive.workers import WorkerPool

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 3
_MOST = 64  # pictures in the threads and before them; each holds a megabyte at the most
_FEW_CORES = 4  # that the threads and the loop keep busy


class AtOnce:
    """Where a small picture is best made; entered by each request for pictures."""

    def __init__(self, workers: WorkerPool, cores: int) -> None:
        """`cores` of the machine that this process may use."""
        self._workers = workers
        self._few_cores = cores <= _FEW_CORES
        self._threads = ThreadPoolExecutor(THREADS, "pictures")
        self._making = 0
        self._asked = 0
        self._warm = False

    async def warm_up(self) -> None:
        """Load what pictures are made with, which takes as long as hundreds of them."""
        await asyncio.to_thread(work.warm_up)
        self._warm = True

    def close(self) -> None:
        """Give up what has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> None:
        self._asked += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._asked -= 1

    @property
    def better(self) -> bool:
        """Whether it is not a worker's: one that is idle has a processor of its own, if there are
        more than the threads can use."""
        if not self._warm or self._making >= _MOST:
            return False
        return self._few_cores or self._making < THREADS or not self._workers.idle

    async def make(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """What a short function returns, or raises: on the loop if nobody else asks for pictures.
        None if others have filled the threads meanwhile.

        Once begun, it goes on when the caller is cancelled.
        """
        if self._asked <= 1:
            return function(*args, **kwargs)
        if self._making >= _MOST:
            return None
        making = self._threads.submit(function, *args, **kwargs)
        self._making += 1
        loop = asyncio.get_running_loop()
        making.add_done_callback(lambda _: self._made_in(loop))
        return await asyncio.wrap_future(making)

    def _made_in(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the server has stopped, and the loop is closed
            loop.call_soon_threadsafe(self._made)

    def _made(self) -> None:
        self._making -= 1
