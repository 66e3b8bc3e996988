"""A proxy on loopback that does, on command, what networks and servers do to each other."""

import asyncio
import contextlib
import re
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.running import free_port

_HEAD = 64 << 10  # bytes of a request's or an answer's head


@dataclass
class Fault:
    """What becomes of requests whose first line (``PUT /bucket/key?x HTTP/1.1``) is matched."""

    requests: str = ""  # a regular expression
    status: int = 0  # answer this
    delay: float = 0  # seconds of silence; then the connection is closed
    cut_body: int = -1  # bytes of the answer's body, after which the connection is reset
    times: int = 1 << 30  # requests that it happens to; then they pass


class FaultyProxy:
    """Hands connections on to `upstream`, one request each, and spoils those it is told to."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.fault: Fault | None = None
        self.spoilt = 0  # requests so far
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def accept(self) -> None:
        """Listen."""
        asyncio.run_coroutine_threadsafe(self._accept(), self._loop).result()

    def refuse(self) -> None:
        """Listen no more, and drop whom we talk to."""
        asyncio.run_coroutine_threadsafe(self._refuse(), self._loop).result()

    async def _accept(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=_HEAD)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._one(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readuntil(b"\r\n")
        fault = self._fault_of(first.decode("latin-1"))
        if fault.delay:
            await asyncio.sleep(fault.delay)
            return
        if fault.status:
            await reader.readuntil(b"\r\n\r\n")
            answer = f"HTTP/1.1 {fault.status} Spoilt\r\nContent-Length: 0\r\nConnection: close"
            writer.write(answer.encode() + b"\r\n\r\n")
            await writer.drain()
            writer.write_eof()
            await self._swallow(reader)
            return
        upward = await asyncio.open_connection(*self._upstream, limit=_HEAD)
        try:
            upward[1].write(first + b"Connection: close\r\n")
            sending = asyncio.create_task(_pump(reader, upward[1]))
            try:
                await _answer(upward[0], writer, fault.cut_body)
            finally:
                sending.cancel()
        finally:
            upward[1].close()

    def _fault_of(self, first_line: str) -> Fault:
        fault = self.fault
        if fault is None or fault.times < 1 or not re.search(fault.requests, first_line):
            return Fault()
        fault.times -= 1
        self.spoilt += 1
        return fault

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        """Let the client say what it has to say: it may not listen before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await reader.read(_HEAD):
                    pass


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_HEAD):
        writer.write(data)
        await writer.drain()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_body: int
) -> None:
    if cut_body >= 0:
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        if cut_body:
            writer.write(await reader.readexactly(cut_body))
        await writer.drain()
        return
    await _pump(reader, writer)
    await writer.drain()
