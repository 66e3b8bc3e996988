"""A body is kept under its tag only if it is certain to be what the tag stands for."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from dicomweb_server.archive import store as archive_store
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.derived import key_of
from dicomweb_server.web.metadata import retrieve_metadata
from tests.archive.opened import opened, remove, store
from tests.make.ct import ct_instance

XML = 'multipart/related; type="application/dicom+xml"'


def asked(archive: Archive, accept: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"accept", accept.encode()), (b"accept-encoding", b"zstd")],
            "path_params": {"study": "1.2", "series": "1.3"},
            "app": SimpleNamespace(state=SimpleNamespace(archive=archive)),
        }
    )


@pytest.mark.parametrize("accept", ["application/dicom+json", XML])
@pytest.mark.parametrize("meanwhile", ["nothing", "store", "delete"])
async def test_what_changes_while_it_is_sent_is_not_kept(
    accept: str, meanwhile: str, tmp_path: Path, database_url: str
) -> None:
    first, second = (
        ct_instance(study_uid="1.2", series_uid="1.3", sop_uid=f"1.4.{n}", rows=8, columns=8)
        for n in (1, 2)
    )
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [first])
        response: Any = await retrieve_metadata(asked(archive, accept))
        tag = response.headers["etag"].replace("-zstd", "")
        if meanwhile == "store":
            await store(archive, [second])
        elif meanwhile == "delete":
            await remove(archive, "1.2")
        body = b"".join([piece async for piece in response.body_iterator])
        await asyncio.gather(*archive_store._kept)  # what goes on after the request

        kept = archive.derived.get(key_of("1.2", "body", tag, "zstd"))
        assert kept == (body if meanwhile == "nothing" else None)


async def test_nothing_is_held_for_a_cache_that_is_not_there(
    tmp_path: Path, database_url: str
) -> None:
    one = ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=8, columns=8)
    async with opened(tmp_path, database_url, cache_limit_bytes=0) as archive:
        await store(archive, [one])
        response: Any = await retrieve_metadata(asked(archive, XML))
        assert b"".join([piece async for piece in response.body_iterator])
        assert not archive_store._kept
