"""Clients that leave before their answer begins: what they asked for is not made any more."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless
from starlette.requests import ClientDisconnect, Request

from dicomweb_server.archive import file_set_plan
from dicomweb_server.archive.spool import Spool
from dicomweb_server.web.file_set import retrieve_file_set
from dicomweb_server.web.leaving import while_connected
from tests.archive.opened import opened
from tests.archive.opened import store as in_process
from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import DICOM, new_uid, parts_of, path_of, store
from tests.web.test_far_blobs import asked
from tests.web.test_transcoded import multi, uids

FRAMES = 40
SLOW = f"{DICOM}; transfer-syntax={JPEG2000Lossless}"
SEVERAL = 'multipart/related; type="application/dicom"'


def a_request(messages: list[str], sent: asyncio.Event) -> Request:
    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            await sent.wait()
        return {"type": messages.pop(0), "body": b"", "more_body": False}

    return Request({"type": "http", "method": "GET", "headers": []}, receive)


async def test_what_is_made_in_time_is_given() -> None:
    async def make() -> int:
        await asyncio.sleep(0)
        return 7

    request = a_request(["http.request", "http.disconnect"], asyncio.Event())
    assert await while_connected(request, make()) == 7


async def test_who_leaves_ends_the_work() -> None:
    ended, left = asyncio.Event(), asyncio.Event()

    async def make() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    making = while_connected(a_request(["http.request", "http.disconnect"], left), make())
    waiting = asyncio.ensure_future(making)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    left.set()
    with pytest.raises(ClientDisconnect):
        await waiting
    assert ended.is_set()


async def test_what_fails_is_told() -> None:
    async def make() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await while_connected(a_request(["http.disconnect"], asyncio.Event()), make())


async def test_a_file_set_is_not_planned_for_who_has_left(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, closed = asyncio.Event(), []
    close = Spool.close

    async def endless(*_: Any) -> None:
        reading.set()
        await asyncio.Event().wait()

    async def leave() -> dict[str, Any]:
        await reading.wait()
        return {"type": "http.disconnect"}

    async def note(self: Spool) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(file_set_plan, "read_files", endless)
    monkeypatch.setattr(Spool, "close", note)
    async with opened(tmp_path, database_url) as archive:
        await in_process(archive, [small_image(StudyInstanceUID="1.2")])
        with pytest.raises(ClientDisconnect):
            async with asyncio.timeout(20):
                await retrieve_file_set(asked(archive, "application/zip", leave))
    assert len(closed) == 2


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"CPU_WORKERS": "1", "CACHE_LIMIT_BYTES": "0"}  # all is made anew
    with RunningServer(tmp_path_factory.mktemp("one") / "data", settings) as running:
        yield running


@pytest.fixture(scope="module")
def image(one: RunningServer) -> Dataset:
    with httpx.Client(base_url=one.base, timeout=60) as http:
        [dataset] = store(http, small_image(rows=2000, columns=2000, **uids()))
        return dataset


def events(server: RunningServer, path: str) -> list[dict[str, Any]]:
    return [each for each in server.logged() if each.get("path", "").endswith(path)]


@pytest.mark.parametrize("below", ["", "/frames/1", "/bulkdata/7FE00010"])
def test_what_waits_for_a_worker_is_given_up(
    one: RunningServer, image: Dataset, below: str
) -> None:
    """One slow encoding is under way; three more wait, and their clients leave."""
    path = path_of(image)
    accept = SLOW if not below else multi("image/jp2", JPEG2000Lossless)
    before = len(events(one, path + below))
    answers: list[httpx.Response] = []

    def ask() -> None:
        headers = {"Accept": accept}
        answers.append(httpx.get(f"{one.base}/{path}{below}", headers=headers, timeout=60))

    first = threading.Thread(target=ask)
    first.start()
    time.sleep(0.15)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", one.port)) as connection:
            head = f"GET /dicomweb/{path}{below} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"
            connection.sendall(head.encode())
            time.sleep(0.05)
    first.join()
    assert answers[0].status_code == 200
    deadline = time.monotonic() + 10
    while len(found := events(one, path + below)) < before + 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = [each["status"] for each in found[before:]]
    assert ended == [499, 499, 499, 200]  # none of them waited for its turn
    assert {each.get("failure") for each in found[before : before + 3]} == {"the client left"}


@pytest.fixture(scope="module")
def pictures(one: RunningServer) -> Dataset:
    """Frames of noise, which take a while to be encoded."""
    noise = np.random.default_rng(1).integers(0, 999, (FRAMES, 700, 700), np.uint16)
    file = dcmread(BytesIO(small_image(rows=700, columns=700, frames=FRAMES, **uids())))
    file.PixelData = noise.tobytes()
    out = BytesIO()
    file.save_as(out)
    with httpx.Client(base_url=one.base, timeout=60) as http:
        [dataset] = store(http, out.getvalue())
        return dataset


def test_an_answer_that_has_begun_is_noticed_too(one: RunningServer, pictures: Dataset) -> None:
    """Whether the client is there has been looked at before, and is again."""
    with httpx.Client(base_url=one.base, timeout=60) as http:
        path = f"{path_of(pictures)}/pixeldata"
        headers = {"Accept": multi("image/jls", JPEGLSLossless)}
        whole = http.get(path, headers=headers)
        assert len(parts_of(whole)) == FRAMES
        with http.stream("GET", path, headers=headers) as answer:
            next(answer.iter_raw(100_000))
    deadline = time.monotonic() + 20
    while len(found := events(one, path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found[1]["bytes"] < len(whole.content) * 3 // 4


@pytest.mark.parametrize("accept", ['multipart/related; type="image/png"', "image/gif"])
def test_no_more_pictures_are_begun_for_who_has_left(
    one: RunningServer, pictures: Dataset, accept: str
) -> None:
    """After the first of many; each takes a worker some time."""
    path, headers = f"{path_of(pictures)}/rendered", {"Accept": accept}
    before = len(events(one, path))
    with httpx.Client(base_url=one.base, timeout=60) as http:
        began = time.monotonic()
        whole = http.get(path, headers=headers)
        took = time.monotonic() - began
        assert whole.status_code == 200
        query = "?viewport=690,690"  # none of them is in the cache
        with http.stream("GET", path + query, headers=headers) as answer:
            next(answer.iter_raw(1000))
        began = time.monotonic()
        waited = http.get(f"{path}?viewport=9,9", headers={"Accept": "image/png"})
        assert waited.status_code == 200
        assert time.monotonic() - began < took / 3
    deadline = time.monotonic() + 20
    while len(found := events(one, path)) < before + 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert min(each["bytes"] for each in found[before + 1 :]) < len(whole.content) // 3


def test_no_file_is_left_of_what_was_made_for_who_left(one: RunningServer) -> None:
    """A file that is made for each instance, and whose name is gone before it is sent."""
    series = uids()
    files = [
        small_image(
            rows=64,
            columns=64,
            transfer_syntax=ImplicitVRLittleEndian,
            **{**series, "SOPInstanceUID": new_uid()},
        )
        for _ in range(6)
    ]
    with httpx.Client(base_url=one.base, timeout=60) as http:
        path = path_of(store(http, *files)[0], 1)
    head = f"GET /dicomweb/{path} HTTP/1.1\r\nHost: x\r\nAccept: {SEVERAL}\r\n\r\n"
    for number in range(40):
        with socket.create_connection(("127.0.0.1", one.port)) as connection:
            connection.sendall(head.encode())
            connection.recv(1)
            time.sleep(0.0005 * (number % 8))
    deadline = time.monotonic() + 10
    while len(events(one, path)) < 40 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(events(one, path)) == 40
    assert one.scratch_left() == []
