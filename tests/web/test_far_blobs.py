"""Answers from a store that is far away: what comes next is read while something is sent."""

import asyncio
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.read_ahead import MOST, MOST_FRAMES
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.web.frames import retrieve_frames
from dicomweb_server.web.retrieve import retrieve_instances
from tests.archive.opened import opened, store
from tests.make import small_image

COUNT = 40
DICOM = 'multipart/related; type="application/dicom"'
AS_STORED = f"{DICOM}; transfer-syntax=*"


class Far:
    """Makes the files of a test slow to come, as those of a bucket; counts those under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        monkeypatch.setattr(FilesystemBlobs, "has_files", False)
        stream, read = FilesystemBlobs.stream, FilesystemBlobs.read

        async def far_stream(*arguments: Any) -> AsyncIterator[bytes]:
            await self._wait()
            async for chunk in stream(*arguments):
                yield chunk

        async def far_read(*arguments: Any) -> bytes:
            await self._wait()
            return await read(*arguments)

        monkeypatch.setattr(FilesystemBlobs, "stream", far_stream)
        monkeypatch.setattr(FilesystemBlobs, "read", far_read)

    async def _wait(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02)
        finally:
            self.now -= 1


def asked(archive: Archive, accept: str, receive: Any = None, **places: str) -> Request:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"accept", accept.encode())],
        "path_params": {"study": "1.2", **places},
        "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
    }
    return Request(scope, receive or never)


async def never() -> Any:
    await asyncio.Event().wait()


async def body_of(response: Response, request: Request) -> bytes:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    await response(request.scope, never, send)
    return b"".join(sent)


@pytest.fixture
def files() -> list[bytes]:
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}
    return [
        small_image(SOPInstanceUID=f"1.4.{n}", InstanceNumber=str(n), **uids)
        for n in range(1, COUNT + 1)
    ]


@pytest.mark.parametrize("accept", [AS_STORED, DICOM, "application/zip"])
async def test_several_instances_are_on_their_way(
    accept: str,
    files: list[bytes],
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(archive, files)
        far = Far(monkeypatch)
        request = asked(archive, accept)
        body = await body_of(await retrieve_instances(request), request)
        assert far.most == MOST
        assert far.now == 0
    if accept == "application/zip":
        with zipfile.ZipFile(BytesIO(body)) as found:
            assert found.testzip() is None
            names = [name for name in found.namelist() if name.startswith("DICOM/")]
            assert [found.read(name) for name in names] == files
    else:
        places = [body.index(file) for file in files]
        assert places == sorted(places)


async def test_several_frames_are_on_their_way(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [small_image(frames=10, **uids)])
        places = {"series": "1.3", "instance": "1.4", "frames": "1,3,2,5,4,6,7,8,10,9"}

        async def body() -> bytes:
            request = asked(archive, "*/*", **places)
            return await body_of(await retrieve_frames(request), request)

        near = await body()
        far = Far(monkeypatch)
        assert await body() == near
        assert (far.now, far.most) == (0, MOST_FRAMES)


async def test_a_client_that_leaves_ends_what_has_begun(
    files: list[bytes], tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(archive, files)
        far = Far(monkeypatch)
        response: Any = await retrieve_instances(asked(archive, AS_STORED))
        for _ in range(5):
            await anext(response.body_iterator)
        await response.body_iterator.aclose()
        assert far.now == 0
