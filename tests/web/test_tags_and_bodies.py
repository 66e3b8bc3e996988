"""What is stored while an answer is being made: a tag may be older than its body, never newer."""

import asyncio
import pkgutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import JPEG2000Lossless
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.archive import Archive
from dicomweb_server.web.all_bulk_data import retrieve_all_bulk_data, retrieve_all_pixel_data
from dicomweb_server.web.bulk_data import retrieve_bulk_data
from dicomweb_server.web.frames import retrieve_frames
from dicomweb_server.web.metadata import retrieve_metadata
from dicomweb_server.web.retrieve import retrieve_instances
from tests.archive.opened import opened, rows, set_policy, store
from tests.make import small_image
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


def asked(archive: Archive, accept: str, query: str = "", **more: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": query.encode(),
            "headers": [(b"accept", accept.encode())],
            "path_params": {"study": "1.2", "series": "1.3", **more},
            "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
        }
    )


@pytest.mark.parametrize(
    ("accept", "query", "reading"),
    [
        ("*/*", "", "metadata_array.index.read_runs"),
        ("*/*", "includefield=SOPInstanceUID,ImageComments", "metadata.index.read_metadata"),
        ('multipart/related; type="application/dicom+xml"', "", "metadata.index.read_metadata"),
    ],
)
async def test_cch_01_metadata_have_the_tag_of_what_is_in_them(
    accept: str,
    query: str,
    reading: str,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = {"study_uid": "1.2", "series_uid": "1.3", "sop_uid": "1.4", "rows": 8, "columns": 8}
    where = f"dicomweb_server.archive.{reading}"
    read = pkgutil.resolve_name(where)
    async with opened(tmp_path, database_url) as archive:
        await set_policy(archive, "replace")
        await store(archive, [ct_instance(**one)])

        async def replaced_just_before(*arguments: Any) -> Any:
            monkeypatch.setattr(where, read)
            await store(archive, [ct_instance(**one, ImageComments="another version")])
            return await read(*arguments)

        monkeypatch.setattr(where, replaced_just_before)
        meanwhile, after = [
            await retrieve_metadata(asked(archive, accept, query)) for _ in range(2)
        ]
        bodies = [await body_of(meanwhile), await body_of(after)]
    assert b"another version" in bodies[0]
    assert bodies[0] == bodies[1]
    assert meanwhile.headers["etag"] == after.headers["etag"]


async def test_cch_01_a_frame_that_is_kept_is_the_one_that_its_tag_names(
    tmp_path: Path, database_url: str
) -> None:
    """Its row was made anew, by a version that reads the file otherwise."""
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    image = small_image(bits=12, frames=2, transfer_syntax=JPEG2000Lossless, **uids)
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [image])

        async def frame(number: int) -> bytes:
            request = asked(archive, "application/octet-stream", instance="1.4", frames=str(number))
            return await body_of(await retrieve_frames(request))

        first, second = await frame(1), await frame(2)
        assert first != second
        await rows(
            archive,
            "UPDATE instances SET frame_ranges = "
            "substr(frame_ranges, 21, 20) || substr(frame_ranges, 1, 20)",
        )
        assert [await frame(1), await frame(2)] == [second, first]


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
