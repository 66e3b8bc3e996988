"""A proxy on loopback that hands requests and answers on, each spoilt by a mutation."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]

_HOPS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, whole."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def without(self, *names: str) -> "Asked":
        """The same without these header fields."""
        return replace(self, headers=_without(self.headers, names))


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, whole, and what was asked."""

    asked: Asked
    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else ""

    def having(self, **changes: str) -> "Answered":
        """The same with these header fields, whose names have _ for -."""
        fields = [(key.replace("_", "-"), value) for key, value in changes.items()]
        kept = _without(self.headers, [name for name, _ in fields])
        return replace(self, headers=[*kept, *fields])

    def without(self, *names: str) -> "Answered":
        return replace(self, headers=_without(self.headers, names))


def _without(headers: Headers, names: "tuple[str, ...] | list[str]") -> Headers:
    gone = {name.lower() for name in names}
    return [(key, value) for key, value in headers if key.lower() not in gone]


def _as_it_is_asked(asked: Asked) -> Asked:
    return asked


def _as_it_is_answered(answered: Answered) -> Answered:
    return answered


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to be wrong: what becomes of requests, and of answers."""

    name: str
    about: str
    ask: Callable[[Asked], Asked] = field(default=_as_it_is_asked)
    answer: Callable[[Answered], Answered] = field(default=_as_it_is_answered)


@contextmanager
def spoiling(upstream: str, mutation: Mutation) -> Iterator[str]:
    """The base URL of a proxy of the server at `upstream`, while the context lasts."""
    parts = urlsplit(upstream)
    assert parts.hostname is not None
    assert parts.port is not None
    known = {"place": (parts.hostname, parts.port), "mutation": mutation}
    handler = type("Handler", (_Handler,), known)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{parts.path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    place: tuple[str, int]
    mutation: Mutation

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._hand_on
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Nothing: mutations are many."""

    def _hand_on(self) -> None:
        asked = Asked(self.command, self.path, list(self.headers.items()), self._read())
        asked = self.mutation.ask(asked)
        connection = http.client.HTTPConnection(*self.place, timeout=60)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.putrequest(
                asked.method, asked.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in asked.headers:
                if name.lower() not in _HOPS:
                    connection.putheader(name, value)
            if asked.body or asked.method in ("POST", "PUT"):
                connection.putheader("Content-Length", str(len(asked.body)))
            connection.endheaders(asked.body or None)
            response = connection.getresponse()
            headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOPS]
            answered = self._ours(Answered(asked, response.status, headers, response.read()))
        finally:
            connection.close()
        self._write(self.mutation.answer(answered))

    def _ours(self, answered: Answered) -> Answered:
        """With URLs that lead back to the proxy, so that nothing passes it by."""
        assert isinstance(self.server, ThreadingHTTPServer)
        here = "127.0.0.1", self.server.server_port
        theirs, ours = (f"http://{host}:{port}" for host, port in (self.place, here))
        headers = [(key, value.replace(theirs, ours)) for key, value in answered.headers]
        body = answered.body.replace(theirs.encode(), ours.encode())
        return replace(answered, headers=headers, body=body)

    def _read(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _write(self, answered: Answered) -> None:
        self.send_response_only(answered.status)
        for name, value in answered.headers:
            self.send_header(name, value)
        if answered.status not in (204, 304):
            self.send_header("Content-Length", str(len(answered.body)))
        self.end_headers()
        if self.command != "HEAD" and answered.status not in (204, 304):
            self.wfile.write(answered.body)
