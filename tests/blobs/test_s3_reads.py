"""Ranges that are read without boto3: as boto3 would, and else by boto3."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from botocore.credentials import RefreshableCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dicomweb_server.blobs import s3_reads
from dicomweb_server.blobs.s3 import S3Blobs
from dicomweb_server.blobs.store import BlobsUnavailable
from tests.blobs.signed_server import REGION, SignedServer, answer_with
from tests.s3 import new_s3_blobs

KEY = "default/1.2/1.2.3/1.2.3.4~0+ ä.dcm"
DATA = bytes(range(251)) * 8000
WHOLE = answer_with(DATA, 10, 20)


def blobs_on(server: SignedServer, folder: Path, **settings: Any) -> S3Blobs:
    scheme = "https" if server.tls else "http"
    given = {
        "S3_ENDPOINT_URL": f"{scheme}://127.0.0.1:{server.port}",
        "S3_BUCKET": "far",
        "S3_REGION": REGION,
        "S3_ACCESS_KEY_ID": server.key,
        "S3_SECRET_ACCESS_KEY": server.secret,
        "S3_PATH_STYLE": "true",
    }
    return new_s3_blobs(given, folder, **{"s3_prefix": "sub", **settings})


@pytest.fixture
async def server() -> AsyncIterator[SignedServer]:
    async with SignedServer({f"sub/{KEY}": DATA}) as running:
        yield running


@pytest.fixture
async def blobs(server: SignedServer, tmp_path: Path) -> AsyncIterator[S3Blobs]:
    """Of which boto3 has read before."""
    store = blobs_on(server, tmp_path, s3_timeout_seconds=1)
    assert await store.read(KEY, 0, 1) == DATA[:1]
    assert server.ours == 0
    yield store
    await store.close()


async def test_after_the_first_boto3_is_not_asked(server: SignedServer, tmp_path: Path) -> None:
    blobs = blobs_on(server, tmp_path, s3_timeout_seconds=60)
    assert await blobs.read(KEY, 0, 1) == DATA[:1]
    assert await blobs.read(KEY, 3, len(DATA) - 5) == DATA[3:-2]
    assert b"".join([chunk async for chunk in blobs.stream(KEY, 7, 3)]) == DATA[7:10]
    assert await asyncio.gather(*(blobs.read(KEY, n, 5) for n in range(100))) == [
        DATA[n : n + 5] for n in range(100)
    ]
    assert (server.ours, len(server.requests), server.refused) == (102, 103, 0)
    assert server.connections <= 1 + blobs.reads
    await blobs.close()


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(DATA, 10, 20, status="200"),
        answer_with(DATA, 11, 21),
        answer_with(DATA, 10, 19),
        answer_with(DATA, 10, 20, "Transfer-Encoding: chunked\r\n"),
        answer_with(DATA, 10, 20, "Content-Encoding: gzip\r\n"),
        answer_with(DATA, 10, 20, "Content-Length: 11\r\n"),
        WHOLE + b"x",
        b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
        b"HTTP/1.1 206\r\n\r\n",
        b"\r\n\r\n",
        b"\xff" * 100_000,
        b"HTTP/1.1 301 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        *("no range", "another range", "a shorter range", "chunked", "packed", "two lengths"),
        *("more behind", "interim", "bare", "empty head", "no head", "elsewhere"),
    ],
)
async def test_what_is_not_plain_is_for_boto3(
    blobs: S3Blobs, server: SignedServer, answer: bytes
) -> None:
    server.instead = [answer]

    assert await blobs.read(KEY, 10, 10) == DATA[10:20]
    assert (server.ours, len(server.requests)) == (1, 3)
    assert await blobs.read(KEY, 11, 10) == DATA[11:21]
    assert server.ours == 2


async def test_a_server_that_is_never_plain_is_for_boto3_alone_for_a_while(
    blobs: S3Blobs, server: SignedServer
) -> None:
    odd = answer_with(DATA, 10, 20, "Transfer-Encoding: chunked\r\n")

    async def read(*instead: bytes) -> int:
        """The requests that were made without boto3."""
        before, server.instead = server.ours, list(instead)
        assert await blobs.read(KEY, 10, 10) == DATA[10:20]
        return server.ours - before

    assert [await read(odd) for _ in range(s3_reads.IN_A_ROW)] == [1] * s3_reads.IN_A_ROW
    assert [await read() for _ in range(3)] == [0] * 3
    blobs._quick._rests_until = 0  # a minute later
    assert [await read(odd), await read()] == [1, 0]
    blobs._quick._rests_until = 0
    assert [await read(), await read(odd), await read()] == [1, 1, 1]


async def test_silence_and_bodies_that_stop_are_for_boto3(
    blobs: S3Blobs, server: SignedServer
) -> None:
    server.instead = [WHOLE[:-1]]

    assert await blobs.read(KEY, 10, 10) == DATA[10:20]
    assert (server.ours, len(server.requests)) == (1, 3)


async def test_an_answer_may_come_in_any_pieces(blobs: S3Blobs, server: SignedServer) -> None:
    way = blobs._quick._way
    assert way is not None
    for cut in range(1, len(WHOLE)):
        connection = s3_reads._Connection(way, 1)
        connection.connection_made(_Written())  # type: ignore[arg-type]
        asking = asyncio.create_task(connection.ask(b"", 10, 10))
        await asyncio.sleep(0)
        connection.data_received(WHOLE[:cut])
        assert not asking.done()
        connection.data_received(WHOLE[cut:])
        assert await asking == DATA[10:20]
        assert connection.reusable


class _Written:
    def write(self, data: bytes) -> None:
        """Goes nowhere."""

    def is_closing(self) -> bool:
        return False


async def test_one_who_leaves_takes_no_answer_of_another(
    blobs: S3Blobs, server: SignedServer
) -> None:
    server.hang = True
    reading = asyncio.create_task(blobs.read(KEY, 0, 10))
    while not server.ours:
        await asyncio.sleep(0.001)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    server.hang = False

    assert await blobs.read(KEY, 20, 10) == DATA[20:30]
    assert blobs._turns._value == blobs.reads


async def test_a_connection_that_was_closed_meanwhile_is_opened_anew(
    blobs: S3Blobs, server: SignedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.instead = [answer_with(DATA, 0, 1, "Connection: close\r\n")]
    assert await blobs.read(KEY, 0, 1) == DATA[:1]
    assert await blobs.read(KEY, 1, 1) == DATA[1:2]
    monkeypatch.setattr(s3_reads, "IDLE_SECONDS", 0)
    assert await blobs.read(KEY, 2, 1) == DATA[2:3]
    assert (server.ours, server.connections) == (3, 4)


async def test_credentials_that_change_are_noticed(
    blobs: S3Blobs, server: SignedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a machine's role do, which have a token, and end."""
    now = datetime.datetime.now(datetime.UTC)

    def of(key: str, minutes: int) -> dict[str, str]:
        until = (now + datetime.timedelta(minutes=minutes)).isoformat()
        token, secret = f"token-{key}", f"secret-{key}"
        return {"access_key": key, "secret_key": secret, "token": token, "expiry_time": until}

    following = iter([of("second", 60)])
    changing = RefreshableCredentials.create_from_metadata(
        of("first", 30), lambda: next(following), "test"
    )
    monkeypatch.setattr(blobs._quick._session, "_credentials", changing)
    monkeypatch.setattr(blobs._client._request_signer, "_credentials", changing)
    blobs._quick._signing = None
    server.key, server.secret, server.token = "first", "secret-first", "token-first"
    assert await blobs.read(KEY, 0, 1) == DATA[:1]
    assert (server.ours, server.refused) == (1, 0)

    changing._expiry_time = now + datetime.timedelta(minutes=1)  # so that it looks for others
    server.key, server.secret, server.token = "second", "secret-second", "token-second"
    assert await blobs.read(KEY, 1, 1) == DATA[1:2]  # refused once, and then boto3's
    assert await blobs.read(KEY, 2, 1) == DATA[2:3]
    assert (server.ours, server.refused) == (3, 1)


async def test_a_proxy_is_for_boto3(
    server: SignedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    store = blobs_on(server, tmp_path)
    server.instead = [answer_with(DATA, 0, 1)] * 2  # the path is a whole URL

    assert [await store.read(KEY, 0, 1) for _ in range(2)] == [DATA[:1]] * 2
    assert (server.ours, len(server.requests)) == (0, 2)
    await store.close()


async def test_an_address_of_a_host_name_names_the_bucket(tmp_path: Path) -> None:
    given = {"S3_BUCKET": "far", "S3_REGION": REGION}
    given |= {"S3_ACCESS_KEY_ID": "key", "S3_SECRET_ACCESS_KEY": "secret"}
    store = new_s3_blobs(given, tmp_path, s3_prefix="sub")
    asked: list[Any] = []

    def keep(request: Any, **_: object) -> None:
        asked.append(request)
        raise InterruptedError  # before it is sent

    store._client.meta.events.register_last("before-send.s3.GetObject", keep)
    with pytest.raises(InterruptedError):
        await store.read(KEY, 0, 1)
    way, url = store._quick._way, asked[0].url
    assert way is not None
    assert way.base == f"https://far.s3.{REGION}.amazonaws.com/"
    assert (way.host, way.address) == (
        f"far.s3.{REGION}.amazonaws.com",
        (f"far.s3.{REGION}.amazonaws.com", 443),
    )
    assert way.verify is not None
    assert way.verify.check_hostname
    store._quick.boto3_asks(f"sub/{KEY}")
    assert store._quick._way_of(url, {}) is None  # unsigned
    signed = asked[0].headers["Authorization"].decode()
    assert store._quick._way_of(url, {"Authorization": signed}) is way
    express = signed.replace("/s3/", "/s3express/")
    assert store._quick._way_of(url, {"Authorization": express}) is None
    await store.close()


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "test.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_certificates_are_those_that_boto3_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    path = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(path)

    async def read() -> None:
        async with SignedServer({f"sub/{KEY}": DATA}, tls=tls) as server:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
            store = blobs_on(server, tmp_path)
            for offset in range(3):
                assert await store.read(KEY, offset, MAX) == DATA[offset : offset + MAX]
            assert (server.ours, server.refused) == (2, 0)
            await store.close()
            monkeypatch.delenv("AWS_CA_BUNDLE")
            store = blobs_on(server, tmp_path)
            with pytest.raises(BlobsUnavailable):
                await store.read(KEY, 0, 1)
            store._quick._way = s3_reads._Way(
                f"https://127.0.0.1:{server.port}/far/", REGION, ssl.create_default_context()
            )
            with pytest.raises(s3_reads.NotPlain):
                await store._quick.get(f"sub/{KEY}", 0, 1)
            await store.close()

    asyncio.run(read()) if loop == "asyncio" else uvloop.run(read())


MAX = 1 << 20
