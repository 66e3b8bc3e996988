"""Ranges of S3 objects without boto3, which takes a millisecond of the processor for each and a
thread: a signed GET on the event loop, on connections that are kept open.

Only what is plain is done here: one GET, and an answer of exactly the bytes that were asked for.
Of everything else (a status that is no success, silence, a body that breaks off, a server that
knows no ranges or wants to be asked elsewhere) nothing is made here: NotPlain is raised, boto3 is
asked again, and it is boto3 that repeats, waits in between, and says what is wrong.

Where the bucket is, how its name stands in the address, which region requests are signed for and
how: all that is learned from a request that boto3 has made, so that it cannot be otherwise here.
"""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

CREDENTIALS_SECONDS = 60.0  # botocore has others ten minutes before the old ones end
IDLE_SECONDS = 15.0  # S3 closes what is silent for 20, and a firewall may forget it
IN_A_ROW = 8  # answers that are not plain, of a server that will never give others
REST_SECONDS = 60.0  # in which it is not asked here; each read would be two requests
_HEAD = 64 << 10  # bytes of an answer's head
_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}


class NotPlain(Exception):
    """It did not come to the bytes that were asked for; boto3 is to ask."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How boto3 gets at objects: what stands before the key, and the region of signatures."""

    base: str  # https://bucket.s3.region.amazonaws.com/, or …/bucket/
    region: str
    verify: ssl.SSLContext | None = field(compare=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.base)
        return parts.hostname or "", parts.port or _PORTS[parts.scheme]

    @property
    def host(self) -> str:
        """As in the field Host, which the signature covers: without a port that goes unsaid."""
        parts = urlsplit(self.base)
        name = parts.netloc.rpartition("@")[2].lower()
        return name.removesuffix(f":{_PORTS[parts.scheme]}")


@dataclass(frozen=True, slots=True)
class _Signing:
    way: _Way
    auth: Any
    until: float  # time.monotonic()


class QuickReads:
    """Ranges of the objects that a client of boto3 reads, once it has read the first of them."""

    def __init__(self, client: Any, session: Any, seconds: float, connect_seconds: float) -> None:
        """`session`: botocore's, which has the credentials. `seconds`: the longest silence."""
        self._session = session
        self._seconds = seconds
        self._connect_seconds = connect_seconds
        self._way: _Way | None = None
        self._asking = threading.local()
        self._idle: list[_Connection] = []  # the one used last at the end
        self._signing: _Signing | None = None
        self._looking = asyncio.Lock()
        self._failures = 0  # in a row
        self._rests_until = 0.0  # time.monotonic()
        client.meta.events.register("before-send.s3.GetObject", self._learn)

    @property
    def ready(self) -> bool:
        """Whether it is known where to ask, and that it can be done here."""
        return self._way is not None and time.monotonic() >= self._rests_until

    def boto3_asks(self, key: str) -> None:
        """To be called in the thread that is to get `key` with boto3."""
        self._asking.key = key

    def _learn(self, request: Any, **_: object) -> None:
        """boto3's own request for an object, just before it is sent."""
        try:
            self._way = self._way_of(request.url, request.headers)
        except (OSError, ValueError):  # certificates that cannot be read: boto3 will tell
            self._way = None

    def _way_of(self, url: str, headers: Mapping[str, str | bytes]) -> _Way | None:
        key = quote(getattr(self._asking, "key", ""), safe="-._~/")
        signed = headers.get("Authorization", "")
        signed = signed.decode("ascii") if isinstance(signed, bytes) else signed
        algorithm, _, more = signed.partition(" Credential=")
        scope = more.partition(",")[0].rsplit("/", 4)  # access key, day, region, service, end
        plain = algorithm == _ALGORITHM and len(scope) == 5 and scope[3] == "s3"
        if not (plain and key and url.endswith(f"/{key}")) or get_environ_proxies(url):
            return None
        base, known = url.removesuffix(key), self._way
        if known is not None and (known.base, known.region) == (base, scope[2]):
            return known
        return _Way(base, scope[2], self._certificates() if base.startswith("https:") else None)

    def _certificates(self) -> ssl.SSLContext:
        """Whom boto3 trusts."""
        given = self._session.get_config_variable("ca_bundle")
        if given is None:
            given = os.environ.get("REQUESTS_CA_BUNDLE", True)
        return ssl.create_default_context(cafile=get_cert_path(given))

    async def get(self, key: str, offset: int, length: int) -> bytes:
        """Exactly these bytes of the object `key`. Raises NotPlain; after several in a row it is
        not `ready` for a while."""
        try:
            data = await self._get(key, offset, length)
        except NotPlain:
            self._failures += 1
            if self._failures >= IN_A_ROW:
                self._rests_until = time.monotonic() + REST_SECONDS
            raise
        self._failures = 0
        return data

    async def _get(self, key: str, offset: int, length: int) -> bytes:
        way = self._way
        if way is None:
            raise NotPlain
        head = await self._request(way, key, offset, length)
        connection = self._take(way) or await self._connect(way)
        try:
            data = await connection.ask(head, offset, length)
        except NotPlain:
            self._signing = None  # it may have been refused: the credentials may be others by now
            raise
        finally:
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.close()  # an answer may still be on its way
        return data

    async def _request(self, way: _Way, key: str, offset: int, length: int) -> bytes:
        url = way.base + quote(key, safe="-._~/")
        span = f"bytes={offset}-{offset + length - 1}"
        request = AWSRequest("GET", url, headers={"Host": way.host, "Range": span})
        (await self._signer(way)).add_auth(request)
        target = url[url.index("/", len("https://")) :]
        lines = [f"GET {target} HTTP/1.1", *(f"{n}: {v}" for n, v in request.headers.items())]
        return "\r\n".join([*lines, "User-Agent: dicomweb-server", "", ""]).encode("ascii")

    async def _signer(self, way: _Way) -> Any:
        """What signs, with credentials as of a minute ago: to look for others may take a while,
        and reach over the network."""
        async with self._looking:
            now, signing = time.monotonic(), self._signing
            if signing is None or signing.way is not way or now >= signing.until:
                try:
                    credentials = await asyncio.to_thread(self._credentials)
                except Exception:  # of which there are many; boto3 will meet it too, and tell
                    raise NotPlain from None
                auth = S3SigV4Auth(credentials, "s3", way.region)
                signing = self._signing = _Signing(way, auth, now + CREDENTIALS_SECONDS)
            return signing.auth

    def _credentials(self) -> Any:
        return self._session.get_credentials().get_frozen_credentials()

    def _take(self, way: _Way) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.way is way and connection.alive:
                return connection
            connection.close()
        return None

    async def _connect(self, way: _Way) -> "_Connection":
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(way, self._seconds), *way.address, ssl=way.verify
                )
        except OSError:  # also TimeoutError, and what is wrong with certificates
            raise NotPlain from None
        return connection

    def close(self) -> None:
        """Give back those that nobody uses."""
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time. Its answer's body is held, and nothing that is
    longer than what was asked for."""

    def __init__(self, way: _Way, seconds: float) -> None:
        self.way = way
        self.reusable = False
        self._seconds = seconds
        self._heard = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._head: bytes | None = b""  # of it, until it is whole
        self._body: list[bytes] = []
        self._missing = 0  # bytes of the body
        self._span = ""
        self._stays = False

    @property
    def alive(self) -> bool:
        """Whether it can be expected to be open still."""
        return self.reusable and time.monotonic() < self._heard + IDLE_SECONDS

    async def ask(self, request: bytes, offset: int, length: int) -> bytes:
        """The body of the answer. Raises NotPlain."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            raise NotPlain
        self._head, self._body, self._missing = b"", [], length
        self._span = f"bytes {offset}-{offset + length - 1}/"
        self._answer = loop.create_future()
        self.reusable, self._heard = False, time.monotonic()
        self._transport.write(request)
        watching = loop.call_later(self._seconds, self._watch, self._answer)
        try:
            return await self._answer
        finally:
            watching.cancel()
            self._answer = None

    def _watch(self, answer: "asyncio.Future[bytes]") -> None:
        left = self._heard + self._seconds - time.monotonic()
        if answer is not self._answer or answer.done():
            return
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._watch, answer)
        else:
            self._fail()

    def close(self) -> None:
        """Also in the middle of an answer."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NotPlain())

    # ------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._fail()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._heard = time.monotonic()
        if self._answer is None or self._answer.done():  # nobody has asked
            self.close()
            return
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end and len(head) <= _HEAD:
                return
            if not (end and self._is_plain(head)):
                self._fail()
                return
            self._head = None
        self._missing -= len(data)
        self._body.append(data)
        if self._missing < 0:
            self._fail()
        elif not self._missing:
            body, self._body = self._body, []
            self.reusable = self._stays
            self._answer.set_result(b"".join(body))

    def _is_plain(self, head: bytes) -> bool:
        """Whether what follows is exactly what was asked for."""
        first, *lines = head.decode("latin-1").split("\r\n")
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if fields.setdefault(name.lower(), value.strip()) != value.strip():
                return False
        self._stays = "close" not in fields.get("connection", "").lower()
        return (
            first.startswith("HTTP/1.1 206 ")
            and fields.get("content-length") == str(self._missing)
            and fields.get("content-range", "").startswith(self._span)
            and not {"transfer-encoding", "content-encoding"} & fields.keys()
        )
