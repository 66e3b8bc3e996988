"""An HTTP/1.1 client that costs little: one connection, one request at a time, bodies counted.

The load generator shares the machine with the server it measures, so it does as little as it
can: a response is received into one buffer again and again and thrown away, unless the caller
wants to keep it. It reads what servers send to it, not what an attacker might.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

# One for all connections: what is received is dealt with before anything else is, and a
# buffer that stays in the processor's cache makes receiving a third cheaper.
BUFFER = memoryview(bytearray(1 << 18))
MAX_HEAD_BYTES = 64 << 10


class AnswerError(Exception):
    """The server answered otherwise than it must, or broke off; the measurement is void."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent; `pieces` gives `length` bytes, anew each time.

    `pause`: seconds after each piece, as on a poor line.
    """

    length: int
    pieces: Callable[[], Iterator[bytes]]
    pause: float = 0.0

    def __len__(self) -> int:
        return self.length


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `path` follows the base of the server's URL, with its query string."""

    path: str
    accept: str = "*/*"
    method: str = "GET"
    content_type: str = ""
    body: bytes | Stream = b""
    keep: bool = False
    """Whether the response's body is wanted, and not only its length."""
    accept_encoding: str = ""
    """The codings that the body may have, as in ``gzip``; it is not decoded."""
    fields: tuple[tuple[str, str], ...] = ()
    """Further header fields."""


@dataclass(slots=True)
class Answer:
    """One response, complete. `body` is empty unless the request asked to keep it."""

    status: int
    headers: dict[str, str]
    length: int = 0
    body: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: host, port, and the path that its resources follow."""

    host: str
    port: int
    base: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """The address of an ``http`` URL. Raises ValueError for another kind."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url}: expected http://host[:port][/path]")
        return cls(parts.hostname, parts.port or 80, parts.path.rstrip("/"))


class Connection(asyncio.BufferedProtocol):
    """One kept-alive connection. Use `connect` to open it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.reusable = True
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._begin(keep=False)

    def _begin(self, *, keep: bool) -> None:
        self._line = bytearray()  # of the head, of a chunk size, of a trailer: what is not body
        self._answer: Answer | None = None
        self._keep = keep
        self._remaining = 0  # bytes of body, or of this chunk and the line end after it
        self._chunked = self._until_close = False

    async def ask(self, request: Request) -> Answer:
        """Send one request and read its answer. Raises AnswerError where there is none."""
        assert self._transport is not None
        self._begin(keep=request.keep)
        self._waiter = asyncio.get_running_loop().create_future()
        head = (
            f"{request.method} {self.address.base}{request.path} HTTP/1.1\r\n"
            f"Host: {self.address.host}:{self.address.port}\r\nAccept: {request.accept}\r\n"
        )
        if request.accept_encoding:
            head += f"Accept-Encoding: {request.accept_encoding}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.fields)
        if request.body:
            head += f"Content-Type: {request.content_type}\r\n"
            head += f"Content-Length: {len(request.body)}\r\n"
        self._transport.write(head.encode("latin-1") + b"\r\n")
        if isinstance(request.body, Stream):
            await self._send(request.body)
        elif request.body:
            self._transport.write(request.body)
        return await self._waiter

    async def _send(self, body: Stream) -> None:
        """Send the body piece by piece, no faster than it is taken; stop if the answer is there."""
        assert self._transport is not None and self._waiter is not None
        for piece in body.pieces():
            if self._waiter.done():
                return
            self._transport.write(piece)
            await self._writable.wait()
            if body.pause:
                await asyncio.sleep(body.pause)

    def close(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Not isinstance: uvloop's transports are not of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        """More has been written than the server takes now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The server has taken it."""
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        """The one buffer, whatever the hint."""
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was received."""
        # The loop hides what a protocol raises; the one who waits has to hear of it.
        try:
            self._receive(BUFFER[:nbytes])
        except (AnswerError, ValueError, IndexError) as error:
            self._fail(AnswerError(f"not HTTP/1.1: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of a body without a length; of any other answer, its failure."""
        self.reusable = False
        self._writable.set()
        if self._until_close and self._answer is not None:
            self._finish()
        self._fail(AnswerError(f"the connection was closed amid an answer ({exc})"))

    def _fail(self, error: AnswerError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _finish(self) -> None:
        assert self._answer is not None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)

    # The grammar (RFC 9112).

    def _receive(self, data: memoryview) -> None:
        while data:
            if self._answer is None:
                data = self._take_head(data)
            elif self._remaining or self._until_close:
                data = self._take_body(data)
            elif self._chunked:
                data = self._take_chunk_line(data)
            else:
                raise AnswerError("more bytes than the answer has")

    def _take_head(self, data: memoryview) -> memoryview:
        held = len(self._line)
        self._line += data[:MAX_HEAD_BYTES]
        end = self._line.find(b"\r\n\r\n", max(0, held - 3))
        if end < 0:
            if len(self._line) > MAX_HEAD_BYTES:
                raise AnswerError("the head of the answer does not end")
            return data[MAX_HEAD_BYTES:]
        first, *lines = self._line[:end].decode("latin-1").split("\r\n")
        self._line.clear()
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._answer = Answer(int(first.split()[1]), headers)
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self._remaining = int(headers.get("content-length", 0))
        self.reusable = headers.get("connection", "").lower() != "close"
        bodiless = self._answer.status in (204, 304)
        self._until_close = not (self._chunked or bodiless or "content-length" in headers)
        if not (self._chunked or self._until_close or (self._remaining and not bodiless)):
            self._finish()
        return data[end + 4 - held :]

    def _take_body(self, data: memoryview) -> memoryview:
        assert self._answer is not None
        piece = data if self._until_close else data[: self._remaining]
        # Without the line end that follows a chunk and is counted with it.
        body = piece[: max(0, self._remaining - 2)] if self._chunked else piece
        self._answer.length += len(body)
        if self._keep:
            self._answer.body += body
        if not self._until_close:
            self._remaining -= len(piece)
            if not (self._remaining or self._chunked):
                self._finish()
        return data[len(piece) :]

    def _take_chunk_line(self, data: memoryview) -> memoryview:
        held = len(self._line)
        self._line += data[:1024]
        end = self._line.find(b"\n")
        if end < 0:
            if held + len(data) > 1024:
                raise AnswerError("a chunk's size does not end")
            return data[len(data) :]
        line = bytes(self._line[:end]).strip()
        self._line.clear()
        if not line:  # the end of the trailer, which no server here sends any fields in
            self._chunked = False
            self._finish()
        else:
            size = int(line.split(b";")[0], 16)
            self._remaining = size + 2 if size else 0
        return data[end + 1 - held :]


async def connect(address: Address) -> Connection:
    """Open a connection. Raises OSError if nobody listens there."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(address), address.host, address.port
    )
    return connection


async def ask_once(address: Address, request: Request) -> Answer:
    """One request over a connection of its own."""
    connection = await connect(address)
    try:
        return await connection.ask(request)
    finally:
        connection.close()
