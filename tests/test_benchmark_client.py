"""The benchmark's client reads what HTTP/1.1 servers send, however it is cut."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.benchmark.client import (
    BUFFER,
    Address,
    Answer,
    AnswerError,
    Connection,
    Request,
    Stream,
)
from conformance.benchmark.report import figure
from conformance.benchmark.run import percentile

HERE = Address("127.0.0.1", 80, "/dicomweb")


class Wire(asyncio.Transport):
    """What a connection sends, kept; nothing is ever received over it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        pass


def answer_to(*pieces: bytes, closed: bool = False, keep: bool = True) -> Answer:
    """The answer that a connection makes of these pieces, as they are received one by one."""

    async def run() -> Answer:
        connection = Connection(HERE)
        connection.connection_made(Wire())
        asking = asyncio.ensure_future(connection.ask(Request("/studies", keep=keep)))
        await asyncio.sleep(0)
        for piece in pieces:
            BUFFER[: len(piece)] = piece
            connection.buffer_updated(len(piece))
        if closed:
            connection.connection_lost(None)
        return await asyncio.wait_for(asking, 5)

    return asyncio.run(run())


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(edge for edge in cuts if edge < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


@given(body=st.binary(min_size=1, max_size=60), cuts=st.lists(st.integers(0, 120)))
def test_a_body_of_known_length_does_not_depend_on_cuts(body: bytes, cuts: list[int]) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    answer = answer_to(*cut(head + body, cuts))

    assert (answer.status, answer.length, bytes(answer.body)) == (200, len(body), body)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    cuts=st.lists(st.integers(0, 300)),
)
def test_a_chunked_body_does_not_depend_on_cuts(chunks: list[bytes], cuts: list[int]) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    answer = answer_to(*cut(head + coded, cuts))

    assert bytes(answer.body) == b"".join(chunks)
    assert answer.length == len(answer.body)


def test_a_body_that_is_not_wanted_is_counted() -> None:
    answer = answer_to(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", keep=False)

    assert answer.length == 5
    assert not answer.body


def test_an_answer_without_content_ends_with_its_head() -> None:
    assert answer_to(b"HTTP/1.1 204 No Content\r\n\r\n").status == 204


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer = answer_to(b"HTTP/1.1 200 OK\r\n\r\n", b"123", closed=True)

    assert bytes(answer.body) == b"123"


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_cut_short_or_no_http_is_an_error(sent: bytes) -> None:
    with pytest.raises(AnswerError):
        answer_to(sent, closed=True)


async def test_a_request_is_sent_with_its_length() -> None:
    wire = Wire()
    connection = Connection(HERE)
    connection.connection_made(wire)
    asking = asyncio.ensure_future(
        connection.ask(Request("/studies", "a/b", "POST", "text/plain", b"body"))
    )
    await asyncio.sleep(0)
    asking.cancel()

    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /dicomweb/studies HTTP/1.1",
        b"Host: 127.0.0.1:80",
        b"Accept: a/b",
        b"Content-Type: text/plain",
        b"Content-Length: 4",
    ]
    assert body == b"body"


async def test_a_coding_of_the_body_is_asked_for() -> None:
    wire = Wire()
    connection = Connection(HERE)
    connection.connection_made(wire)
    asking = asyncio.ensure_future(connection.ask(Request("/", accept_encoding="gzip")))
    await asyncio.sleep(0)
    asking.cancel()

    assert wire.sent.endswith(b"\r\nAccept-Encoding: gzip\r\n\r\n")


async def test_a_stream_is_sent_no_faster_than_it_is_taken() -> None:
    wire = Wire()
    connection = Connection(HERE)
    connection.connection_made(wire)
    connection.pause_writing()
    stream = Stream(6, lambda: iter([b"abc", b"def"]))
    asking = asyncio.ensure_future(
        connection.ask(Request("/studies", "a/b", "POST", "text/plain", stream))
    )
    await asyncio.sleep(0)
    assert wire.sent.endswith(b"Content-Length: 6\r\n\r\nabc")

    connection.resume_writing()
    for _ in range(3):
        await asyncio.sleep(0)
    asking.cancel()
    assert wire.sent.endswith(b"\r\n\r\nabcdef")


async def test_a_stream_ends_with_an_early_answer() -> None:
    wire = Wire()
    connection = Connection(HERE)
    connection.connection_made(wire)
    connection.pause_writing()
    stream = Stream(6, lambda: iter([b"abc", b"def"]))
    asking = asyncio.ensure_future(
        connection.ask(Request("/studies", "a/b", "POST", "text/plain", stream))
    )
    await asyncio.sleep(0)
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
    BUFFER[: len(refusal)] = refusal
    connection.buffer_updated(len(refusal))
    connection.resume_writing()

    assert (await asyncio.wait_for(asking, 5)).status == 413
    assert wire.sent.endswith(b"\r\n\r\nabc")


async def test_a_connection_that_is_lost_amid_a_stream_is_an_error() -> None:
    connection = Connection(HERE)
    connection.connection_made(Wire())
    connection.pause_writing()
    stream = Stream(6, lambda: iter([b"abc", b"def"]))
    asking = asyncio.ensure_future(
        connection.ask(Request("/studies", "a/b", "POST", "text/plain", stream))
    )
    await asyncio.sleep(0)
    connection.connection_lost(ConnectionResetError())

    with pytest.raises(AnswerError):
        await asyncio.wait_for(asking, 5)


def test_addresses_are_read_from_urls() -> None:
    assert Address.of("http://example.org/dicomweb/") == Address("example.org", 80, "/dicomweb")
    with pytest.raises(ValueError, match="expected http:"):
        Address.of("https://example.org")


def test_percentiles_are_latencies_that_were_measured() -> None:
    latencies = [number / 1000 for number in range(1, 101)]

    assert percentile(latencies, 50) == 50
    assert percentile(latencies, 95) == 95
    assert percentile([0.007], 95) == 7


def test_figures_have_three_digits() -> None:
    assert [figure(value) for value in (1234.5, 12.34, 1.234, 0.1234)] == [
        "1,234",
        "12.3",
        "1.23",
        "0.123",
    ]
