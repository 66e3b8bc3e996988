"""Where small pictures are made: on the event loop, or by workers."""

import asyncio
import time

from dicomweb_server.archive.at_once import AtOnce
from dicomweb_server.archive.workers import WorkerPool


async def test_pictures_are_made_at_once_for_who_asks_alone_or_finds_no_worker() -> None:
    workers = WorkerPool(1, timeout=30, memory=0)
    workers.start()
    try:
        await workers.run(int)
        at_once = AtOnce(workers)
        with at_once:
            assert not at_once.better  # what it needs is not loaded yet
            await at_once.warm_up()
            assert at_once.better
            with at_once:
                assert not at_once.better
                working = asyncio.create_task(workers.run(time.sleep, 0.2))
                await asyncio.sleep(0)
                assert not workers.idle
                assert at_once.better
                await working
                assert not at_once.better
            assert at_once.better
    finally:
        await workers.close()
