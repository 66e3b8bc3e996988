"""A server of objects that answers GETs with ranges, and looks at their signatures as S3 does:
for what boto3 and a bucket do between them when nothing else is of interest."""

import asyncio
import hmac
import re
import ssl
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import unquote

REGION = "eu-test-1"
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, "
    r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})"
)


@dataclass
class SignedServer:
    """Serve `objects` of the bucket ``far``, to who has the key."""

    objects: dict[str, bytes]
    key: str = "key"
    secret: str = "secret"
    token: str = ""
    tls: ssl.SSLContext | None = None
    instead: list[bytes] = field(default_factory=list)  # answers to the next requests
    hang: bool = False  # say nothing
    requests: list[str] = field(default_factory=list)  # the user agents, in order
    connections: int = 0
    refused: int = 0
    port: int = 0

    async def __aenter__(self) -> "SignedServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def ours(self) -> int:
        """Requests that were made without boto3."""
        return self.requests.count("dicomweb-server")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()

    def _answer(self, head: str) -> bytes:
        first, *lines = head.rstrip().split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        self.requests.append(fields["user-agent"])
        if self.hang:
            return b""
        if self.instead:
            return self.instead.pop(0)
        method, target, _ = first.split(" ")
        if not self._is_signed(method, target, fields):
            self.refused += 1
            return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        data = self.objects[unquote(target).removeprefix("/far/")]
        begin, last = (int(n) for n in fields["range"].removeprefix("bytes=").split("-"))
        return answer_with(data, begin, last + 1)

    def _is_signed(self, method: str, target: str, fields: dict[str, str]) -> bool:
        """As in Amazon's "Authenticating Requests (AWS Signature Version 4)"."""
        found = _SIGNED.fullmatch(fields.get("authorization", ""))
        if found is None or fields.get("x-amz-security-token", "") != self.token:
            return False
        key, day, region, names, signature = found.groups()
        if (key, region) != (self.key, REGION) or not {"host", "range"} <= {*names.split(";")}:
            return False
        signed = [f"{name}:{fields[name]}" for name in names.split(";")]
        asked = [method, target, "", *signed, "", names, fields["x-amz-content-sha256"]]
        scope = f"{day}/{region}/s3/aws4_request"
        digest = sha256("\n".join(asked).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", fields["x-amz-date"], scope, digest])
        secret = f"AWS4{self.secret}".encode()
        for each in (*scope.split("/"), text):
            secret = hmac.digest(secret, each.encode(), "sha256")
        return secret.hex() == signature


def answer_with(data: bytes, begin: int, end: int, more: str = "", status: str = "206") -> bytes:
    """A range of `data`, as it should come."""
    part = data[begin:end]
    head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(part)}\r\n"
    head += f"Content-Range: bytes {begin}-{begin + len(part) - 1}/{len(data)}\r\n{more}\r\n"
    return head.encode() + part
