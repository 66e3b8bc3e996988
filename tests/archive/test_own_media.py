"""Reports are made by workers: however long one is, others are served meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.own_media import own_media
from tests.archive.opened import TESTER, opened, rows, store
from tests.make import sr_document

UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        yield archive


def finding(number: int) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.TextValue = f"finding {number}"
    return item


async def longest_wait(ended: asyncio.Event) -> float:
    """Seconds, of the event loop."""
    longest, before = 0.0, time.perf_counter()
    while not ended.is_set():
        await asyncio.sleep(0.001)
        longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
    return longest


async def test_a_long_report_keeps_nobody_waiting(archive: Archive) -> None:
    items = [finding(number) for number in range(20_000)]
    await store(archive, [sr_document(**UIDS, ContentSequence=items)])
    ended = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(ended))

    began = time.perf_counter()
    found = await own_media(archive, TESTER, *UIDS.values())
    assert found is not None
    page = await found.make("text/html")
    took = time.perf_counter() - began
    ended.set()

    assert page.length > 10**6
    assert took > 0.05  # long enough to be noticed
    assert await waiting < took / 3


async def test_what_a_report_is_known_by_changes_with_its_row(archive: Archive) -> None:
    """It may be made anew from the same file, and then say other things of it."""
    await store(archive, [sr_document(**UIDS)])
    seeds = []
    for _ in range(2):
        found = await own_media(archive, TESTER, *UIDS.values())
        assert found is not None
        seeds.append(found.seed)
        await rows(archive, r"UPDATE instances SET metadata = metadata || '\x00'")
    assert len(set(seeds)) == 2
