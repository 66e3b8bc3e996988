"""HTTP to the letter: what is sent is what a check says, and all of it is on record.

Built on http.client, which adds no header of its own but Host and Content-Length: a check can ask
without Accept, twice with the same header, or with a body that ends too early.
"""

import gzip
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from conformance.suite.model import Deviation

Headers = Sequence[tuple[str, str]]

LARGEST = 64 << 20  # bytes of a body that are taken; more is a deviation of its own
_SHOWN = 4096  # bytes of a body that are kept for a report
TIMEOUT = 60.0  # seconds


@dataclass(slots=True)
class Answer:
    """What the server answered: its status, its headers in their order, and all of the body."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    url: str
    whole: bool = True  # whether the body ended as HTTP says it has to

    def all(self, name: str) -> list[str]:
        """The values of a header field, in their order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The value of a header field; empty if there is none. Several are joined by commas."""
        return ", ".join(self.all(name))

    @property
    def content_type(self) -> "MediaType":
        """The Content-Type. Raises Deviation if there is none, or not just one."""
        values = self.all("Content-Type")
        if len(values) != 1:
            raise Deviation("one Content-Type header", f"{len(values)} of them")
        return media_type(values[0])

    @property
    def decoded(self) -> bytes:
        """The body without its content coding, which may be gzip."""
        if self.header("Content-Encoding").lower() in ("gzip", "x-gzip"):
            try:
                return gzip.decompress(self.body)
            except (OSError, EOFError) as error:
                raise Deviation("a body in gzip, as Content-Encoding says", str(error)) from None
        return self.body

    def json(self) -> Any:
        """The body as JSON (RFC 8259): UTF-8, without NaN, no name twice. Raises Deviation."""
        try:
            return json.loads(
                self.decoded.decode("utf-8"),
                parse_constant=_no_constant,
                object_pairs_hook=_no_name_twice,
            )
        except (ValueError, RecursionError) as error:
            raise Deviation("a body that is JSON (RFC 8259)", f"{error}") from None


def _no_constant(text: str) -> None:
    raise ValueError(f"the token {text}, which is not JSON")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters, names in lower case, values without their quotes."""

    name: str
    parameters: dict[str, str]

    def __str__(self) -> str:
        return "; ".join([self.name, *(f"{k}={v}" for k, v in self.parameters.items())])


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*;\s*({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")')


def media_type(text: str) -> MediaType:
    """Read a media type (RFC 9110, 8.3.1). Raises Deviation if it is none."""
    head = re.match(rf"\s*({_TOKEN}/{_TOKEN})", text)
    if head is None:
        raise Deviation("a media type (RFC 9110, 8.3.1)", repr(text))
    parameters: dict[str, str] = {}
    at = head.end()
    while found := _PARAMETER.match(text, at):
        value = found[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if found[1].lower() in parameters:
            raise Deviation("each parameter of a media type once", repr(text))
        parameters[found[1].lower()] = value
        at = found.end()
    if text[at:].strip(" \t;"):
        raise Deviation("a media type with parameters (RFC 9110, 8.3.1)", repr(text))
    return MediaType(head[1].lower(), parameters)


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as a report shows them. Bodies are cut."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    body_length: int = 0
    answer: Answer | None = None
    fault: str = ""  # why there is no answer
    seconds: float = 0.0


class NoAnswer(Deviation):
    """The connection was refused, broke, or nothing came in time."""


@dataclass(slots=True)
class Server:
    """The server at `base`, its base URI. `headers` go with each request (authorization)."""

    base: str
    headers: Headers = ()
    timeout: float = TIMEOUT
    verify: bool = True
    exchanges: list[Exchange] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None
    _place: tuple[str, str] = ("", "")  # scheme and host that it is to

    def url(self, path: str) -> str:
        """`path` below the base URI, or itself if it is absolute."""
        if re.match(r"https?://", path):
            return path
        return self.base.rstrip("/") + "/" + path.lstrip("/")

    def send(
        self, method: str, path: str, headers: Headers = (), body: bytes | Iterable[bytes] = b""
    ) -> Answer:
        """One exchange. Raises NoAnswer.

        Iterables are sent chunked. Nothing is added to `headers` but Host, Content-Length or
        Transfer-Encoding, and what the server was told to be asked with.
        """
        url = self.url(path)
        sent = [*headers, *self.headers]
        known = body if isinstance(body, bytes) else b""
        exchange = Exchange(method, url, sent, known[:_SHOWN], len(known))
        self.exchanges.append(exchange)
        begin = time.monotonic()
        try:
            answer = self._ask(method, url, sent, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            exchange.fault = f"{type(error).__name__}: {error}"
            raise NoAnswer("an answer", exchange.fault) from None
        finally:
            exchange.seconds = time.monotonic() - begin
        exchange.answer = Answer(
            answer.status, answer.reason, answer.headers, answer.body[:_SHOWN], url, answer.whole
        )
        return answer

    def get(self, path: str, accept: str | None = "*/*", *more: tuple[str, str]) -> Answer:
        """GET. `accept` None leaves the header out."""
        headers = [("Accept", accept)] if accept is not None else []
        return self.send("GET", path, [*headers, *more])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, method: str, url: str, headers: Headers, body: bytes | Iterable[bytes]
    ) -> Answer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fresh = self._connection is None or self._place != (parts.scheme, parts.netloc)
        for attempt in (1, 2):
            connection = self._connect(parts.scheme, parts.netloc) if fresh else self._connection
            assert connection is not None
            try:
                self._write(connection, method, target, headers, body)
                response = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                # A kept connection may have been closed meanwhile: once more, on a new one.
                self.close()
                if fresh or attempt == 2 or not isinstance(body, bytes):
                    raise
                fresh = True
        whole = True
        try:
            data = response.read(LARGEST + 1)
        except http.client.IncompleteRead as error:
            data, whole = error.partial, False
        if response.length:  # announced, and not there
            whole = False
        if len(data) > LARGEST:
            self.close()
            raise Deviation(f"a body of at most {LARGEST} bytes", "more")
        answer = Answer(response.status, response.reason, response.getheaders(), data, url, whole)
        if response.will_close or not whole:
            self.close()
        return answer

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        self.close()
        connection: http.client.HTTPConnection
        if scheme == "https":
            context = ssl.create_default_context()
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            connection = http.client.HTTPSConnection(netloc, timeout=self.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(netloc, timeout=self.timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection, self._place = connection, (scheme, netloc)
        return connection

    @staticmethod
    def _write(
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | Iterable[bytes],
    ) -> None:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        named = {name.lower() for name, _ in headers}
        if not isinstance(body, bytes):
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(body, encode_chunked=True)
            return
        if (body or method in ("POST", "PUT")) and "content-length" not in named:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)


_SECRET = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})


def told(headers: Headers) -> list[tuple[str, str]]:
    """Header fields as a report may show them: without what opens doors."""
    return [(name, "…" if name.lower() in _SECRET else value) for name, value in headers]


def resolve(base: str, uri: str) -> str:
    """A URI of an answer, which may be relative to where it was found (RFC 3986)."""
    return urljoin(base, uri)
