"""Where small pictures are made: on the event loop, in threads, or by workers."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from dicomweb_server.archive import at_once
from dicomweb_server.archive.at_once import THREADS, AtOnce
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.errors import UndecodablePixels

FEW, MANY = 2, 64  # cores


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(1, timeout=30, memory=0)
    pool.start()
    await pool.run(int)
    yield pool
    await pool.close()


def thread_name() -> str:
    return threading.current_thread().name


async def test_who_asks_alone_has_it_made_on_the_loop_and_others_in_threads(
    workers: WorkerPool,
) -> None:
    pictures = AtOnce(workers, FEW)
    assert not pictures.better  # what it needs is not loaded yet
    await pictures.warm_up()
    with pictures:
        assert pictures.better
        assert await pictures.make(thread_name) == thread_name()
        with pictures:
            assert (await pictures.make(thread_name)).startswith("pictures")
        assert await pictures.make(thread_name) == thread_name()
    pictures.close()


async def test_threads_leave_the_loop_free_and_pass_on_what_is_raised(workers: WorkerPool) -> None:
    pictures = AtOnce(workers, FEW)
    await pictures.warm_up()

    def refuse() -> None:
        raise UndecodablePixels("it is none")

    with pictures, pictures:
        finished = threading.Event()
        making = asyncio.create_task(pictures.make(finished.wait, 30))
        with pytest.raises(UndecodablePixels):
            await pictures.make(refuse)
        finished.set()  # as nobody could, if the loop waited
        assert await making
    pictures.close()


@pytest.mark.parametrize("cores", [FEW, MANY])
async def test_idle_workers_are_taken_where_they_have_processors_of_their_own(
    workers: WorkerPool, cores: int
) -> None:
    pictures = AtOnce(workers, cores)
    await pictures.warm_up()
    finished = threading.Event()
    with pictures, pictures:
        making = [asyncio.create_task(pictures.make(finished.wait, 30)) for _ in range(THREADS)]
        await asyncio.sleep(0.01)
        assert pictures.better == (cores == FEW)
        working = asyncio.create_task(workers.run(time.sleep, 1))
        async with asyncio.timeout(20):
            while workers.idle:
                await asyncio.sleep(0)
        assert pictures.better
        finished.set()
        await asyncio.gather(working, *making)
        await asyncio.sleep(0.01)
        assert pictures.better
    pictures.close()


async def test_no_more_wait_for_threads_than_are_allowed(
    workers: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "_MOST", 5)
    pictures = AtOnce(workers, FEW)
    await pictures.warm_up()
    finished = threading.Event()
    with ExitStack() as asked:
        for _ in range(5):
            asked.enter_context(pictures)
        assert pictures.better
        making = [asyncio.create_task(pictures.make(finished.wait, 30)) for _ in range(9)]
        await asyncio.sleep(0.01)
        assert not pictures.better
        making.pop().cancel()  # of those that were refused
        finished.set()
        made = await asyncio.gather(*making)
        assert sorted(made, key=str) == [None] * 3 + [True] * 5
        await asyncio.sleep(0.01)
        assert pictures.better
    pictures.close()
