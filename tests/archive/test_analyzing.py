"""Tables that were empty when the planner last looked at them are analysed when they fill."""

import asyncio
from pathlib import Path

from dicomweb_server.archive.analyzing import analyzing
from tests.archive.opened import opened, remove, rows, store
from tests.make.ct import study_of

KNOWN = "SELECT reltuples FROM pg_class WHERE oid = 'instances'::regclass"


async def test_an_archive_that_was_emptied_is_analysed_when_it_fills(
    tmp_path: Path, database_url: str
) -> None:
    files = [each.file() for each in study_of(1, 10, rows=8, columns=8)]
    study = study_of(1, 10, rows=8, columns=8)[0].study_uid
    async with opened(tmp_path, database_url) as archive, analyzing(archive):
        await store(archive, files)
        await remove(archive, study)
        await rows(archive, "ANALYZE instances")
        assert [tuple(row) for row in await rows(archive, KNOWN)] == [(0,)]

        await store(archive, files)
        async with asyncio.timeout(30):
            while [tuple(row) for row in await rows(archive, KNOWN)] != [(10,)]:
                await asyncio.sleep(0.1)
