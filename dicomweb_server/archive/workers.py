"""CPU work outside the event loop: a pool of processes that may be killed.

What a worker runs touches untrusted bytes: decoders written in C, deflate streams, element
walks. It is bounded in time (the process is killed and replaced) and in memory (the process
has a limit of its own), and a crash costs one request, never the server. A process that was killed
from outside says nothing of the content: its work is done once more. So a function that writes a
file has to write it from the begin.
"""

import asyncio
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import structlog

import dicomweb_server
from dicomweb_server.archive.background import to_the_end
from dicomweb_server.errors import Refusal, Unavailable, where

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

_LENGTH = struct.Struct("<Q")
_START_SECONDS = 60.0  # importing the codecs takes a while on a machine that is busy
_RETRY_SECONDS = 1.0
_TURN_SECONDS = 60.0  # that work which takes long waits for its turn
_TURNS_AWAITED = 8  # for each worker
_TURN_RETRY_SECONDS = 30
_LEFT_SECONDS = 2.0  # that nobody waits for: to start another process takes half as long
_SLOW_DISK = 20e6  # bytes a second
_BUFFER = 1 << 22  # bytes; a 0.5 MB frame passes without waiting for the reader


class WorkerFailed(Refusal):
    """The work could not be finished: it took too long, too much memory, or crashed a decoder."""


class WorkerStorageFailed(OSError):
    """A worker could not read or write its files: the disk is full, or fails. Says nothing of
    the content; `errno` is what the system told."""


@dataclass(frozen=True, slots=True)
class Longer(Generic[P, T]):
    """A function whose work takes longer than other work: run it as ``run(Longer(...), ...)``."""

    function: Callable[P, T]
    extra_seconds: float  # beyond the pool's timeout

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.function(*args, **kwargs)


def seconds_for(size: int) -> float:
    """The time that reading or writing `size` bytes may take on a slow disk."""
    return size / _SLOW_DISK


class WorkerPool:
    """A fixed number of worker processes, each doing one thing at a time."""

    def __init__(self, size: int, *, timeout: float, memory: int, max_waiting: int = 1000) -> None:
        """`timeout` in seconds and `memory` in bytes bound each piece of work."""
        self.size = size
        self._timeout = timeout
        self._memory = memory
        self._max_waiting = max_waiting
        self._waiting = 0
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()  # the last is warm
        self._tasks: set[asyncio.Task[Any]] = set()
        self._all: set[_Worker] = set()
        self._started = False
        self._closed = False
        self._turns = asyncio.Semaphore(max(1, size // 2))
        self._turns_awaited = 0

    @property
    def idle(self) -> bool:
        """Whether a piece of work would begin now."""
        return not self._idle.empty()

    def start(self) -> None:
        """Begin to start the processes; what is asked before they are there waits for them. Else
        the first work does: most commands have none."""
        self._started = True
        for _ in range(self.size):
            self._hire()

    async def close(self) -> None:
        self._closed = True
        for worker in list(self._all):
            worker.kill()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def turn(self, wait: float = _TURN_SECONDS) -> AsyncIterator[None]:
        """A turn for a piece of work that takes long: half of the workers at most are busy with
        such, so that other work goes on. Raises Unavailable if none is to be had in `wait`
        seconds, or too many wait for one."""
        if self._turns_awaited >= _TURNS_AWAITED * self.size:
            raise Unavailable("too much work that takes long is waiting", _TURN_RETRY_SECONDS)
        self._turns_awaited += 1
        try:
            async with asyncio.timeout(wait):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("work that takes long is in the way", _TURN_RETRY_SECONDS) from None
        finally:
            self._turns_awaited -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of a module, with arguments that pickle, in a worker.

        Raises what it raises if that is a Refusal; WorkerFailed if it took longer or more
        memory than is allowed or crashed; WorkerStorageFailed if a file of it could not be read
        or written; Unavailable if too much work is waiting.

        The work goes on when the caller is cancelled.
        """
        task = await self._begin((function, args, kwargs))
        result: T = await asyncio.shield(task)
        return result

    async def run_to_the_end(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `run`; a caller who is cancelled is so only once the work has ended, which it is
        made to if it takes long.

        For work on files that its caller removes: nobody writes to them any more.
        """
        task = await self._begin((function, args, kwargs))
        try:
            result: T = await asyncio.shield(task)
        except asyncio.CancelledError:
            ending = asyncio.get_running_loop().call_later(_LEFT_SECONDS, task.cancel)
            with suppress(asyncio.CancelledError, Exception):
                await to_the_end(task)
            ending.cancel()
            raise
        return result

    async def _begin(self, call: tuple[Any, ...]) -> "asyncio.Task[Any]":
        """Give work to the next worker that is idle."""
        if self._waiting >= self._max_waiting or self._closed:
            raise Unavailable("too much work is waiting; try again")
        if not self._started:
            self.start()
        worker = await self._next()
        # A task of its own: when the caller is cancelled the worker must be given back whole.
        task = asyncio.create_task(self._exchange(worker, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_retrieve)
        return task

    async def _next(self) -> "_Worker":
        return await self._next_idle() if self._idle.empty() else self._idle.get_nowait()

    async def _next_idle(self) -> "_Worker":
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout + _START_SECONDS):
                return await self._idle.get()
        except TimeoutError:
            raise Unavailable("too much work is waiting; try again") from None
        finally:
            self._waiting -= 1

    async def _exchange(
        self, worker: "_Worker", call: tuple[Any, ...], *, repeated: bool = False
    ) -> Any:
        timeout = self._timeout
        if isinstance(call[0], Longer):
            timeout += call[0].extra_seconds
        try:
            async with asyncio.timeout(timeout):
                kind, value = await worker.call(call)
        except BaseException as error:
            # Half an exchange may be on its way: this worker can be given nothing more.
            self._all.discard(worker)
            self._hire()
            worker.kill()
            if not isinstance(error, TimeoutError | OSError | EOFError):
                raise
            slow = isinstance(error, TimeoutError)
            if not slow and not repeated and await worker.was_killed() and not self._closed:
                log.warning("a worker process was killed; its work is done again")
                return await self._exchange(await self._next(), call, repeated=True)
            reason = f"it took more than {timeout:g} s" if slow else "it ended unexpectedly"
            raise WorkerFailed(f"the content could not be processed: {reason}") from None
        self._idle.put_nowait(worker)
        if kind == "refused":
            raise value
        if kind == "memory":
            raise WorkerFailed("the content could not be processed: it needs too much memory")
        if kind == "os":
            number, place = value
            log.error("a worker could not read or write a file", errno=number, where=place)
            raise WorkerStorageFailed(number, "a worker could not read or write a file")
        if kind == "failed":
            raise RuntimeError(f"in a worker: {value}")
        return value

    def _hire(self) -> None:
        """Put one more worker among the idle ones, as soon as it can be had."""

        async def hire() -> None:
            while not self._closed:
                try:
                    self._idle.put_nowait(await self._spawn())
                    return
                except Exception as error:  # out of files, processes or memory, for now
                    log.error("a worker process did not start", where=where(error))
                await asyncio.sleep(_RETRY_SECONDS)

        task = asyncio.create_task(hire())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self) -> "_Worker":
        """Start a process and wait until it takes work. Raises OSError and others."""
        ours, theirs = socket.socketpair()
        try:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            starting = asyncio.create_task(asyncio.to_thread(_start, theirs, self._memory))
            # Left before its end, the thread would hand another file's descriptor on. A process
            # nobody waits for ends by itself, when its connection closes.
            process = await to_the_end(starting)
            reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = _Worker(process, reader, writer)
        self._all.add(worker)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await worker.ready()
        except BaseException:
            self._all.discard(worker)
            worker.kill()
            raise
        return worker


def _start(connection: socket.socket, memory: int) -> subprocess.Popen[bytes]:
    package = str(Path(dicomweb_server.__file__).parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        [
            sys.executable,
            "-m",
            "dicomweb_server.archive.worker",
            str(connection.fileno()),
            str(memory),
        ],
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
    )


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody may be waiting any more; the log need not hear of it


class _Worker:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    async def ready(self) -> None:
        """Wait until it takes work. Raises EOFError if it ends before."""
        await self._reader.readexactly(1)

    async def call(self, call: tuple[Any, ...]) -> tuple[str, Any]:
        message = pickle.dumps(call, protocol=5)
        # In one: each wakes the worker, and takes a tenth of a millisecond
        self._writer.writelines((_LENGTH.pack(len(message)), message))
        await self._writer.drain()
        (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        answer: tuple[str, Any] = pickle.loads(  # noqa: S301  from our own process
            await self._reader.readexactly(length)
        )
        return answer

    def kill(self) -> None:
        with suppress(OSError):
            self._process.kill()
        self._writer.close()
        asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    async def was_killed(self) -> bool:
        """Whether a process that ended without our doing was ended by SIGKILL: by the system, for
        its memory, or by an operator. A decoder that crashes ends in other ways."""
        status = await asyncio.to_thread(self._process.wait)
        return status == -signal.SIGKILL
