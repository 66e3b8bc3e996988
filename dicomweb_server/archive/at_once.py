"""Small pictures made on the event loop, where the journey to a worker takes longer than the work.

Only what needs none of a worker's protection: frames that are not compressed, so that there is no
decoder of untrusted streams, of a size that bounds the time to a few milliseconds, the memory to
megabytes. The picture of a CT slice takes 0.7 ms, the way to a worker process and back 1 ms.
"""

import asyncio
from types import TracebackType

from dicomweb_server.archive import work
from dicomweb_server.archive.workers import WorkerPool


class AtOnce:
    """Whether a picture is better made at once; entered by each request for pictures."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._asked = 0
        self._warm = False

    async def warm_up(self) -> None:
        """Load what pictures are made with, which takes as long as hundreds of them."""
        await asyncio.to_thread(work.warm_up)
        self._warm = True

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
        """Whether nobody else waits for a picture, or all workers are busy: then what the journey
        costs is not made up for by other processors."""
        return self._warm and (self._asked <= 1 or not self._workers.idle)
