"""Instances that are encoded anew: how many at a time, and where there is room for them."""

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from dicomweb_server.archive import encodings
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.encodings import encoded_instance, encodings_of
from dicomweb_server.archive.retrieve import locate
from dicomweb_server.archive.sources import make_scratch
from dicomweb_server.errors import Unavailable
from tests.archive.opened import TESTER, opened, store
from tests.make.ct import ct_instance


async def _encoded(archive: Archive) -> bytes:
    [location] = (await locate(archive, TESTER, "1.2", "1.3", "1.4")).items
    found = await encodings_of(archive, TESTER, location)
    content = await encoded_instance(archive, location, JPEGLSLossless, found)
    data = b"".join([piece async for piece in content.read()])
    await content.close()
    return data


async def test_a_few_instances_are_encoded_at_a_time_and_none_on_a_full_disk(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most = 0, 0

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await make_scratch(*arguments, **options)
        finally:
            now -= 1

    monkeypatch.setattr(encodings, "make_scratch", counted)
    file = ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=64, columns=64)
    async with opened(tmp_path, database_url, cpu_workers=2) as archive:
        await store(archive, [file])
        made = await asyncio.gather(*(_encoded(archive) for _ in range(5)))
        assert most == 1
        assert {dcmread(BytesIO(each)).file_meta.TransferSyntaxUID for each in made} == {
            JPEGLSLossless
        }
    async with opened(tmp_path, database_url, min_free_bytes=1 << 60) as archive:
        with pytest.raises(Unavailable, match="space"):
            await _encoded(archive)
        assert not list(archive.settings.tmp_dir.rglob("*.made"))
