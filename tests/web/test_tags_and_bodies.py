"""What is stored while an answer is being made: a tag may be older than its body, never newer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from dicomweb_server.archive import retrieve
from dicomweb_server.web.all_bulk_data import retrieve_all_bulk_data, retrieve_all_pixel_data
from dicomweb_server.web.bulk_data import retrieve_bulk_data
from dicomweb_server.web.frames import retrieve_frames
from dicomweb_server.web.retrieve import retrieve_instances
from tests.archive.opened import opened, store
from tests.make.ct import ct_instance

MULTI = 'multipart/related; type="{}"; transfer-syntax=*'
Handler = Callable[[Request], Awaitable[Response]]


async def body_of(response: Response) -> bytes:
    """What is sent of an answer."""
    sent = []

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()  # the client stays

    await response({"type": "http", "method": "GET"}, receive, send)
    return b"".join(sent)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (retrieve_instances, "application/dicom"),
        (retrieve_instances, "application/octet-stream"),
        (retrieve_all_bulk_data, "application/octet-stream"),
        (retrieve_all_pixel_data, "application/octet-stream"),
    ],
)
async def test_cch_01_a_body_holds_all_that_its_tag_tells_of(
    handler: Handler,
    kind: str,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (
        ct_instance(study_uid="1.2", series_uid="1.3", sop_uid=f"1.4.{n}", rows=64, columns=64)
        for n in (1, 2)
    )
    version = retrieve.version

    async with opened(tmp_path, database_url) as archive:
        await store(archive, [first])

        async def stored_just_before(*arguments: Any) -> Any:
            await store(archive, [second])
            return await version(*arguments)

        monkeypatch.setattr(retrieve, "version", stored_just_before)
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"accept", MULTI.format(kind).encode())],
            "path_params": {"study": "1.2", "series": "1.3"},
            "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
        }
        response: Any = await handler(Request(scope))
        assert "etag" in response.headers
        body = await body_of(response)
    assert body.count(b"Content-Location: ") == 2


async def staying() -> Any:
    """The `receive` of a client that does not leave."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("handler", "accept", "made"),
    [
        (retrieve_frames, "image/jls", True),
        (retrieve_frames, "application/octet-stream", False),
        (retrieve_instances, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80", True),
        (retrieve_instances, "application/dicom; transfer-syntax=*", False),
        (retrieve_bulk_data, "image/jls", True),
        (retrieve_bulk_data, "application/octet-stream", False),
    ],
)
async def test_cch_01_other_codecs_make_another_tag(
    handler: Handler,
    accept: str,
    made: bool,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=64, columns=64)
    places = {"study": "1.2", "series": "1.3", "instance": "1.4"}
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [image])
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"accept", accept.encode())],
            "path_params": {**places, "frames": "1", "path": "7FE00010"},
            "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
        }
        tags = []
        for codecs in ("one", "another", "another"):
            monkeypatch.setattr("dicomweb_server.archive.encodings.CODECS", codecs)
            response: Any = await handler(Request(scope, staying))
            assert await body_of(response)
            tags.append(response.headers["etag"])
    assert tags[1] == tags[2]
    assert (tags[0] != tags[1]) is made
