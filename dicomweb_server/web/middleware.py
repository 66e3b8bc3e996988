"""What surrounds every request: an id, one line of log, and an answer when there is a bug."""

import asyncio
import os
import random
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomweb_server.errors import where
from dicomweb_server.web.errors import problem

log = structlog.get_logger()

_LONGEST_PATH = 500  # characters that are logged

# An id that tells requests apart, and guards nothing. Serving processes are forks of one that has
# this module already, and may not count on from the same place.
_random = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)


class RequestLog:
    """One structured line a request, without query string or content: they name patients."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        watch = _Watch(send, bodiless=scope["method"] == "HEAD")
        patient = _PatientReceive(receive)
        if scope["method"] in ("GET", "HEAD"):
            receive = patient
        scope["request_id"] = watch.request_id
        noted = scope["noted"] = {}
        started = time.perf_counter()
        failure = None
        try:
            await self.app(scope, receive, watch.send)
        except ClientDisconnect:
            failure = "the client left"
            await self._broken_off(scope, receive, watch)
        except Exception as error:
            failure = type(error).__name__
            cause = error.__cause__ or error
            log.error("a request failed", request_id=watch.request_id, where=where(cause))
            if watch.status is not None:
                # Begun: the connection is cut, so that it cannot look complete (ERR-03). What
                # the server prints of it has no message of another exception.
                raise ConnectionAbortedError("an answer was broken off") from None
            detail = "the server failed; its log has more under this request id"
            await problem(Request(scope), 500, detail)(scope, receive, watch.send)
        finally:
            patient.close()
            log.info(
                "request",
                request_id=watch.request_id,
                method=scope["method"],
                path=scope["path"][:_LONGEST_PATH],
                status=watch.status or 499,
                bytes=watch.sent,
                ms=round(((watch.answered or time.perf_counter()) - started) * 1000, 1),
                **({"failure": failure} if failure else {}),
                **noted,
            )

    async def _broken_off(self, scope: Scope, receive: Receive, watch: "_Watch") -> None:
        """Answer a request whose body ended before its end. The client may be there still: a
        server says the same of chunks that are not framed as they should be (RFC 9112 §7.1)."""
        if watch.status is None:
            answer = problem(Request(scope), 400, "the request's content broke off")
            answer.headers["Connection"] = "close"
            with suppress(Exception):  # nobody listens
                await answer(scope, receive, watch.send)
            watch.status = None


class _PatientReceive:
    """A `receive` whose caller may give up waiting, and somebody else wait for the same message.

    Granian says that the client has left to who asks again after a receive was cancelled.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Task[Message] | None = None

    async def __call__(self) -> Message:
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._receive())
        message = await asyncio.shield(self._waiting)
        self._waiting = None
        return message

    def close(self) -> None:
        """Nobody waits any more."""
        if self._waiting is not None:
            self._waiting.cancel()


class _Watch:
    """Notes what is sent, and keeps the content from answers to HEAD (RES-06): HTTP/1.1 servers
    do, but over HTTP/2 it would go out, and clients break off."""

    def __init__(self, send: Send, *, bodiless: bool) -> None:
        self._send = send
        self._bodiless = bodiless
        self.request_id = f"{_random.getrandbits(64):016x}"
        self.status: int | None = None
        self.sent = 0  # bytes of body
        self.answered = 0.0  # time.perf_counter() when the last of the answer went out

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _add_headers(message, self.request_id)
        elif message["type"] == "http.response.body":
            if self._bodiless:
                message = {**message, "body": b""}
            self.sent += len(message.get("body", b""))
        await self._send(message)
        if message["type"] == "http.response.start" or message.get("body"):
            self.answered = time.perf_counter()


def _add_headers(message: MutableMapping[str, Any], request_id: str) -> None:
    message["headers"] = [
        *message.get("headers", ()),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]


class TrailingSlash:
    """A resource is the same with a slash behind it; a redirect would lose Accept (RES-04)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self.app(scope, receive, send)


_LINGERING_SECONDS, _LINGERING_MOST = 5.0, 32


class Lingering:
    """Reads on for a while what is still sent by who is answered already, and throws it away
    (RFC 9112 §9.6): a proxy that cannot write any more says 502 in place of what was answered, and
    clients that write before they read see a connection that broke.

    For a few at a time, as a server that refuses uploads has enough to do; others, and who waits
    for a word before it sends anything, are told that nothing more can come on the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["http_version"] == "2":
            await self.app(scope, receive, send)
            return
        content = _Content(receive)
        waits = any(name == b"expect" for name, _ in scope["headers"])
        lingers = False

        async def sending(message: Message) -> None:
            nonlocal lingers
            if message["type"] == "http.response.start" and not content.ended:
                lingers = not waits and self._lingering < _LINGERING_MOST
                if not lingers:
                    headers = [*message.get("headers", ()), (b"connection", b"close")]
                    message = {**message, "headers": headers}
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and lingers and not content.ended:
                await self._linger(message, content, send)
            else:
                await send(message)

        await self.app(scope, content.receive, sending)

    async def _linger(self, last: Message, content: "_Content", send: Send) -> None:
        """Send the last of an answer, and end it when the content has ended."""
        self._lingering += 1
        try:
            await send({**last, "more_body": True})
            await content.pass_over()
        finally:
            self._lingering -= 1
        await send({"type": "http.response.body", "body": b""})


class _Content:
    """The content of a request, and whether it has ended."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = not message.get("more_body")  # also of a client that has left
        return message

    async def pass_over(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGERING_SECONDS):
                while not self.ended:
                    await self.receive()
