"""CPU work in processes that may be killed."""

import asyncio
import errno
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL.Image import open as open_image

from dicomweb_server.archive import workers as workers_module
from dicomweb_server.archive.workers import (
    Longer,
    WorkerFailed,
    WorkerPool,
    WorkerStorageFailed,
    seconds_for,
)
from dicomweb_server.errors import InvalidParameter, Unavailable
from dicomweb_server.wire.resources import parse_uid


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    workers = WorkerPool(2, timeout=2, memory=1 << 30, max_waiting=4)
    workers.start()
    yield workers
    await workers.close()


async def test_work_is_done_in_another_process(pool: WorkerPool) -> None:
    assert await pool.run(os.getpid) != os.getpid()


async def test_large_arguments_and_results_pass(pool: WorkerPool) -> None:
    data = os.urandom(20 << 20)
    assert await pool.run(bytes.upper, data) == data.upper()


async def test_what_takes_too_long_is_killed_and_replaced(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="more than 2 s"):
        await pool.run(time.sleep, 30)

    pids = {await pool.run(os.getpid) for _ in range(8)}
    assert len(pids) <= 2


async def test_a_crash_costs_one_piece_of_work(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="unexpectedly"):
        await pool.run(os._exit, 11)

    results = await asyncio.gather(*(pool.run(len, b"abc") for _ in range(4)))
    assert results == [3] * 4


async def test_what_was_killed_from_outside_is_done_again(pool: WorkerPool) -> None:
    pid = await pool.run(os.getpid)
    work = asyncio.create_task(pool.run(time.sleep, 0.3))  # in the same: the last is warm
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    await work


async def test_what_is_killed_each_time_is_given_up(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="unexpectedly"):
        await pool.run(signal.raise_signal, signal.SIGKILL)

    assert await pool.run(len, b"abc") == 3


async def test_a_memory_bomb_is_refused(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="memory"):
        await pool.run(bytes, 3 << 30)

    assert await pool.run(len, b"abc") == 3


async def test_a_refusal_comes_back_as_it_was(pool: WorkerPool) -> None:
    with pytest.raises(InvalidParameter, match="expected a UID") as caught:
        await pool.run(parse_uid, "study", "../etc")
    assert caught.value.name == "study"


async def test_an_unexpected_error_tells_where_but_not_what(pool: WorkerPool) -> None:
    with pytest.raises(RuntimeError) as caught:
        await pool.run(int, "DOE^JOHN")

    assert "ValueError" in str(caught.value)
    assert "DOE" not in str(caught.value)


async def test_storage_that_fails_is_told_from_a_bug(pool: WorkerPool) -> None:
    with pytest.raises(WorkerStorageFailed) as caught:
        await pool.run(Path.write_bytes, Path("/dev/full"), b"DOE^JOHN")
    assert caught.value.errno == errno.ENOSPC
    assert "DOE" not in str(caught.value)

    with pytest.raises(WorkerStorageFailed) as caught:
        await pool.run(Path.read_bytes, Path("/nowhere/DOE^JOHN"))
    assert caught.value.errno == errno.ENOENT
    assert "DOE" not in str(caught.value)


async def test_an_os_error_without_a_number_is_a_librarys(pool: WorkerPool) -> None:
    with pytest.raises(RuntimeError, match="UnidentifiedImageError"):
        await pool.run(open_image, Path(__file__))


async def test_long_work_may_have_longer(pool: WorkerPool) -> None:
    assert await pool.run(Longer(len, 0), b"abc") == 3
    assert await pool.run_to_the_end(Longer(time.sleep, 5), 2.5) is None  # type: ignore[func-returns-value]
    with pytest.raises(WorkerFailed, match=r"more than 2\.5 s"):
        await pool.run(Longer(time.sleep, 0.5), 30)
    assert seconds_for(0) == 0
    assert seconds_for(10**9) == 50


async def test_work_whose_caller_left_gives_the_worker_back(pool: WorkerPool) -> None:
    tasks = [asyncio.create_task(pool.run(time.sleep, 0.3)) for _ in range(2)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()

    assert await asyncio.gather(pool.run(len, b"ab"), pool.run(len, b"abc")) == [2, 3]


async def test_too_much_waiting_work_is_refused(pool: WorkerPool) -> None:
    await asyncio.gather(pool.run(time.sleep, 0.2), pool.run(time.sleep, 0.2))
    results = await asyncio.gather(
        *(pool.run(time.sleep, 0.2) for _ in range(12)), return_exceptions=True
    )
    assert any(isinstance(result, Unavailable) for result in results)
    assert any(result is None for result in results)


async def test_who_removes_what_a_worker_writes_waits_for_its_end(
    pool: WorkerPool, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = bytes(1 << 20)  # more than a pipe holds
    task = asyncio.create_task(pool.run_to_the_end(Path.write_bytes, fifo, data))
    with await asyncio.to_thread(fifo.open, "rb") as reading:  # the worker is at it
        for _ in range(2):  # however often it is told
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
            assert not task.done()
        assert await asyncio.to_thread(reading.read) == data

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_long_work_that_nobody_waits_for_is_ended(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "_LEFT_SECONDS", 0.1)
    for _ in range(3):  # more than there are workers
        task = asyncio.create_task(pool.run_to_the_end(Longer(time.sleep, 60), 30))
        await asyncio.sleep(0.05)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 2
    assert await asyncio.gather(*(pool.run(len, b"abc") for _ in range(4))) == [3] * 4


async def test_work_run_to_the_end_gives_its_result_or_its_refusal(pool: WorkerPool) -> None:
    assert await pool.run_to_the_end(len, b"abc") == 3
    with pytest.raises(InvalidParameter):
        await pool.run_to_the_end(parse_uid, "study", "../etc")


async def test_callers_who_leave_while_they_wait_cost_no_worker(pool: WorkerPool) -> None:
    busy = [asyncio.create_task(pool.run(time.sleep, 0.1)) for _ in range(2)]
    waiting = [asyncio.create_task(pool.run(time.sleep, 0.1)) for _ in range(4)]
    await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:  # some have just been given a worker
        task.cancel()

    assert await asyncio.gather(pool.run(len, b"ab"), pool.run(len, b"abc")) == [2, 3]


async def test_arguments_that_cannot_be_sent_cost_no_worker(pool: WorkerPool) -> None:
    for _ in range(3):
        with pytest.raises(Exception, match="pickle"):
            await pool.run(len, lambda: None)  # type: ignore[arg-type]

    assert await asyncio.gather(pool.run(len, b"ab"), pool.run(len, b"abc")) == [2, 3]


async def test_a_process_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = socket.socketpair
    failures = [OSError(24, "Too many open files")] * 2

    def scarce() -> tuple[socket.socket, socket.socket]:
        if failures:
            raise failures.pop()
        return pairs()

    monkeypatch.setattr(socket, "socketpair", scarce)
    monkeypatch.setattr(workers_module, "_RETRY_SECONDS", 0.01)
    workers = WorkerPool(1, timeout=2, memory=1 << 30)
    workers.start()
    try:
        assert await workers.run(len, b"abc") == 3
    finally:
        await workers.close()


async def test_work_that_takes_long_takes_turns() -> None:
    workers = WorkerPool(4, timeout=2, memory=0)  # which is not started
    begun, end = [], asyncio.Event()

    async def work() -> None:
        async with workers.turn():
            begun.append(True)
            await end.wait()

    tasks = [asyncio.create_task(work()) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert len(begun) == 2
    with pytest.raises(Unavailable) as refused:
        async with workers.turn(wait=0.01):
            raise AssertionError
    assert refused.value.retry_after > 0
    tasks[2].cancel()  # its turn is another's
    end.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(begun) == 4

    end.clear()
    tasks = [asyncio.create_task(work()) for _ in range(40)]
    await asyncio.sleep(0.01)
    refused_at_once = [task for task in tasks if task.done()]
    assert [type(task.exception()) for task in refused_at_once] == [Unavailable] * 6
    end.set()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_work_starts_the_processes() -> None:
    """Of most commands none does."""
    workers = WorkerPool(1, timeout=2, memory=1 << 30)
    try:
        assert await workers.run(os.getpid) != os.getpid()
    finally:
        await workers.close()
