"""What is done in the background for the derived-data cache."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.access.policy import Action
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.arrivals import MANY
from dicomweb_server.archive.derived import key_of
from dicomweb_server.archive.expiring import expiring
from dicomweb_server.archive.metadata_array import list_runs, read_runs
from dicomweb_server.archive.preparing import preparing
from tests.archive.opened import TESTER, opened, remove, store
from tests.make.ct import study_of


def files(archive: Archive) -> list[Path]:
    return [path for path in archive.settings.cache_dir.rglob("*") if path.is_file()]


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several of them for MANY instances, wherever one would end of itself."""
    monkeypatch.setattr("dicomweb_server.index.metadata_runs.LONGEST", MANY // 3)


@pytest.mark.usefixtures("short_runs")
async def test_runs_are_made_while_a_series_is_stored_all_but_the_last(
    tmp_path: Path, database_url: str
) -> None:
    instances = study_of(1, MANY, rows=8, columns=8)
    uids = instances[0].study_uid, instances[0].series_uid
    async with opened(tmp_path, database_url) as archive, preparing(archive):
        await store(archive, [each.file() for each in instances[:-1]])
        await asyncio.sleep(0.2)
        assert files(archive) == []
        await store(archive, [instances[-1].file()])
        runs = await list_runs(archive, TESTER, *uids)
        assert len(runs) > 1
        await until(lambda: len(files(archive)) == len(runs) - 1)

        [made] = [stage async for stage in read_runs(archive, TESTER, uids[0], runs)]
        assert len(made.texts) == len(runs)
        assert len(files(archive)) == len(runs)


@pytest.mark.usefixtures("short_runs")
async def test_a_series_that_is_gone_when_its_turn_comes_harms_nobody(
    tmp_path: Path, database_url: str
) -> None:
    first, second = (study_of(1, MANY, seed=seed, rows=8, columns=8) for seed in (1, 2))
    async with opened(tmp_path, database_url) as archive, preparing(archive):
        for _ in range(MANY):  # of a series that never was
            archive.arrivals.note(archive.scope(TESTER, Action.STORE), "1.2", "1.3")
        await store(archive, [each.file() for each in first])
        await remove(archive, first[0].study_uid)
        await store(archive, [each.file() for each in second])
        group = str(key_of(second[0].study_uid, ""))[:16]
        await until(lambda: any(path.name.startswith(group) for path in files(archive)))


async def test_what_nobody_uses_goes_when_the_server_starts(
    tmp_path: Path, database_url: str
) -> None:
    key = key_of("1.2", "frame", 1)
    async with opened(tmp_path, database_url) as archive:
        archive.derived.put(key, b"one")
        [path] = files(archive)
        os.utime(path, (0, time.time() - 8 * 86_400))
        async with expiring(archive):
            await until(lambda: not path.exists())


async def test_where_the_disk_is_nearly_full_what_can_be_made_again_goes_each_minute(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomweb_server.archive.expiring._MINUTE", 0.01)
    monkeypatch.setattr("dicomweb_server.archive.expiring._HOUR", 1 << 30)
    async with opened(tmp_path, database_url) as archive, expiring(archive):
        archive.derived.put(key_of("1.2", "frame", 1), b"one")
        await asyncio.sleep(0.1)
        assert len(files(archive)) == 1
        for folder in (archive.copies, archive.derived._files):
            folder._min_free = shutil.disk_usage(tmp_path).free + (1 << 40)
        await until(lambda: not files(archive))


async def test_without_a_cache_nothing_is_prepared(tmp_path: Path, database_url: str) -> None:
    instances = study_of(1, MANY, rows=8, columns=8)
    async with (
        opened(tmp_path, database_url, cache_limit_bytes=0) as archive,
        preparing(archive),
    ):
        await store(archive, [each.file() for each in instances])
        await asyncio.sleep(0.2)
        assert files(archive) == []
        assert archive.arrivals.listen().empty()
