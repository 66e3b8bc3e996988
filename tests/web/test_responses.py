"""Answers that are made as they are sent: whole, in small pieces, and giving others their turn."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from dicomweb_server.archive.content import Content, ScratchFile
from dicomweb_server.web import responses
from dicomweb_server.web.responses import DicomJSON, coded, json_array, multipart, xml_parts
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.content_coding import zstd

RESULT = {
    "00080020": {"vr": "DA", "Value": ["20240105"]},
    "00080061": {"vr": "CS", "Value": ["CT", "SR"]},
    "00081190": {"vr": "UR", "Value": ["http://localhost/dicomweb/studies/2.25.1"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "山田^太郎"}]},
    "00100030": {"vr": "DA"},
    "00201208": {"vr": "IS", "Value": [400]},
}
TEXT = orjson.dumps(RESULT)
COUNT = 20_000  # 5 MB of JSON
STEP = 64 << 10  # bytes that are made, or packed, in one step: a millisecond or less


async def _texts(count: int = COUNT) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield TEXT


def _request(encoding: str) -> Request:
    headers = [(b"accept-encoding", encoding.encode())] if encoding else []
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


class Sent:
    """What an answer sends, and how much was made of it while others waited for their turn.

    It is a clock too, by which to make a text takes a tenth of a millisecond: how long it really
    takes is the machine's.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.steps: list[int] = []  # bytes
        self._made = 0

    def perf_counter(self) -> float:
        return self._made / len(TEXT) * 1e-4

    def sleep(self, seconds: float) -> None:
        assert seconds < 1e-3

    async def made(self, texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same texts, which are counted."""
        async for text in texts:
            self._made += len(text)
            yield text

    async def send(self, message: Any) -> None:
        self.pieces.append(message.get("body", b""))

    async def of(self, response: Response) -> bytes:
        others = asyncio.create_task(self._others())
        await asyncio.sleep(0)
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
        await response(scope, asyncio.Event().wait, self.send)  # type: ignore[arg-type]
        others.cancel()
        return b"".join(self.pieces)

    async def _others(self) -> None:
        while True:
            before = self._made
            await asyncio.sleep(0)
            self.steps.append(self._made - before)


UNPACK = {"": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.mark.parametrize("encoding", UNPACK)
@pytest.mark.parametrize("make", [json_array, xml_parts])
async def test_a_large_answer_lets_others_have_their_turn(
    make: Callable[[AsyncIterator[bytes]], Response],
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = Sent()
    monkeypatch.setattr(responses, "time", sent)
    body = await sent.of(await coded(_request(encoding), make(sent.made(_texts()))))

    content = UNPACK[encoding](body)
    assert content.count("山田".encode()) == COUNT
    assert max(map(len, sent.pieces)) < 100_000
    assert sum(sent.steps) > COUNT * len(TEXT) - 2 * STEP
    assert max(sent.steps) < STEP


async def test_a_large_piece_is_packed_in_steps() -> None:
    body = b"[" + b",".join([TEXT] * COUNT) + b"]"
    sent = Sent()
    packed = await sent.of(await coded(_request("gzip"), DicomJSON(body)))

    assert gzip.decompress(packed) == body
    assert len(sent.steps) > len(body) // STEP


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize("encoding", ["", "gzip", "gzip, identity;q=0"])
async def test_an_array_of_any_length_is_json(count: int, encoding: str) -> None:
    response = await coded(_request(encoding), json_array(_texts(count)))
    body = await Sent().of(response)

    if "content-encoding" in response.headers:
        body = gzip.decompress(body)
    assert orjson.loads(body) == [RESULT] * count


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
async def test_err_03_what_breaks_midway_never_looks_whole(encoding: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for text in _texts(3000):
            yield text
        raise ValueError("the rest cannot be read")

    sent = Sent()
    with pytest.raises(ValueError, match="the rest"):
        await sent.of(await coded(_request(encoding), json_array(broken())))

    body = b"".join(sent.pieces)
    if encoding:
        with pytest.raises((EOFError, zstd.ZstdError)):
            UNPACK[encoding](body)
    else:
        assert not body.endswith(b"]")


async def test_the_source_is_closed_when_the_client_leaves() -> None:
    closed = []

    async def source() -> AsyncIterator[bytes]:
        try:
            async for text in _texts():
                yield text
        finally:
            closed.append(True)

    class Gone(Exception):
        pass

    async def send(message: Any) -> None:
        if message.get("body"):
            raise Gone

    response = await coded(_request("gzip"), json_array(source()))
    scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(Gone):
        await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    del response
    await asyncio.sleep(0.01)
    assert closed


@pytest.mark.parametrize(
    ("version", "headers", "warnings"),
    [
        ("1.0", {}, 1),
        ("1", {}, 1),
        ("1.0", {"Content-Length": "5"}, 0),
        ("1.1", {}, 0),
        ("2", {}, 0),
    ],
)
async def test_err_03_an_end_that_cannot_be_told_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, version: str, headers: dict[str, str], warnings: int
) -> None:
    monkeypatch.setattr(responses, "_warned", False)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"whole"

    scope = {"type": "http", "method": "GET", "http_version": version}
    with capture_logs() as logs:
        for _ in range(2):
            sent = Sent()
            answer = responses.Pieces(pieces(), headers=headers)
            await answer(scope, asyncio.Event().wait, sent.send)  # type: ignore[arg-type]
            assert b"".join(sent.pieces) == b"whole"

    assert [line["log_level"] for line in logs] == ["warning"] * warnings


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("many", [False, True])
async def test_a_scratch_file_is_given_back_at_once_when_the_client_leaves(
    tmp_path: Path, method: str, many: bool
) -> None:
    """Not when the garbage collector comes to it, which a cycle keeps from it here."""
    path = tmp_path / "scratch"
    path.write_bytes(bytes(5 << 20))
    file = ScratchFile(path)
    content = Content.of_scratch(file, "application/dicom", "1.2.840.10008.1.2.1")

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield content, "http://localhost/instances/1"

    class Gone(Exception):
        pass

    async def send(message: Any) -> None:
        if len(message.get("body", b"")) > 1000 or method == "HEAD":
            raise Gone

    request = Request({"type": "http", "method": method, "path": "/", "headers": []})
    response = await (multipart(parts(), {}) if many else single_part(request, content, {}))
    scope = {"type": "http", "method": method, "asgi": {"spec_version": "2.4"}}
    with pytest.raises(Gone):
        await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    assert file.number == -1
    assert content.scratch is file
