"""Many versions of one instance at a time: each becomes a version, and nobody is sent away."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dicomweb_server.access.policy import Action
from dicomweb_server.archive import duplicates
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.importing import find_sources, import_sources
from dicomweb_server.archive.staging import new_staging
from dicomweb_server.archive.store import IndexAway, store_files
from dicomweb_server.wire.store_report import Stored
from tests.archive.opened import TESTER, keys, opened, opened_twice, rows, set_policy, store
from tests.make import instance_with
from tests.running import RunningServer
from tests.web.asking import post

Database = Callable[..., AbstractAsyncContextManager[str]]

IDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
CLIENTS = 12


def versions(count: int) -> list[bytes]:
    return [instance_with(**IDS, PatientID=f"P{number}") for number in range(count)]


@pytest.fixture
async def archive(tmp_path: Path, new_database: Database, template: str) -> AsyncIterator[Archive]:
    async with new_database(template) as url, opened(tmp_path / "data", url) as archive:
        await set_policy(archive, "replace")
        yield archive


async def assert_all_kept(archive: Archive, files: Sequence[bytes]) -> None:
    """Each of the files is a version, the last of them in force, and nothing else is left."""
    old = await rows(archive, "SELECT blob_key, sha256 FROM superseded ORDER BY id")
    [held] = await rows(archive, "SELECT blob_key, sha256 FROM instances")
    in_order = [row["blob_key"] for row in (*old, held)]
    tokens = [key.partition("~")[2] for key in in_order]
    assert tokens == sorted(tokens)
    assert sorted(row["sha256"] for row in (*old, held)) == sorted(
        hashlib.sha256(file).digest() for file in files
    )
    assert await keys(archive) == sorted(in_order)
    assert not list(archive.settings.tmp_dir.iterdir())
    assert not archive.settling.keys


@pytest.mark.parametrize("count", [8, 12, 40])
async def test_an_import_of_versions_stores_all_of_them(
    archive: Archive, tmp_path: Path, count: int
) -> None:
    folder = tmp_path / "versions"
    folder.mkdir()
    for number, file in enumerate(versions(count)):
        (folder / f"{number:03}.dcm").write_bytes(file)

    tally = await import_sources(archive, TESTER, find_sources([folder]), lambda *_: None)

    assert (tally.stored, tally.present, tally.failures) == (count, 0, [])
    await assert_all_kept(archive, versions(count))


async def send(archives: Sequence[Archive], files: Sequence[bytes]) -> None:
    """Send files, one after the other by each of some clients, which ask the archives in turn."""
    waiting = iter(enumerate(files))

    async def client() -> None:
        for number, file in waiting:
            [result] = await store(archives[number % len(archives)], [file])
            assert isinstance(result, Stored) and result.new

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def test_clients_of_one_process_are_all_served(archive: Archive) -> None:
    await send([archive], versions(40))
    await assert_all_kept(archive, versions(40))


async def test_clients_of_several_processes_are_all_served(
    tmp_path: Path, new_database: Database, template: str
) -> None:
    async with (
        new_database(template) as url,
        opened_twice(tmp_path / "data", url) as (one, other),
        opened(tmp_path / "data", url) as third,
    ):
        await set_policy(one, "replace")
        await send([one, other, third], versions(40))
        await assert_all_kept(one, versions(40))


@pytest.mark.parametrize("hindrance", ["overtaken", "others wait"])
async def test_who_never_has_a_turn_is_sent_away_and_leaves_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    first, second, third = versions(3)
    await store(archive, [first])
    held = await keys(archive)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def overtaken(*_: Any) -> bool:
        entered.set()
        if hindrance == "others wait":
            await leave.wait()
        return False

    monkeypatch.setattr(duplicates, "_replace", overtaken)
    monkeypatch.setattr(duplicates, "_PATIENCE", 0.1)
    monkeypatch.setattr(duplicates, "_WAIT", 0.3)
    ahead = asyncio.create_task(away(archive, second))
    await entered.wait()
    async with asyncio.timeout(20):
        assert await away(archive, third)
        leave.set()
        assert await ahead

    assert await keys(archive) == held
    assert not list(archive.settings.tmp_dir.iterdir())
    assert not archive.settling.keys


async def away(archive: Archive, file: bytes) -> bool:
    """Whether who stores a file is told to come again."""
    staging = new_staging(archive)
    await staging.write(file)
    staged = await staging.finish()
    [result] = await store_files(archive, archive.scope(TESTER, Action.STORE), [staged])
    return isinstance(result, IndexAway)


def test_clients_of_a_server_are_not_sent_away(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", {"WORKERS": "2"}) as server:
        assert server.command("institution", "policy", "default", "replace") == 0
        with (
            httpx.Client(base_url=server.base, timeout=60) as http,
            ThreadPoolExecutor(CLIENTS) as clients,
        ):
            answers = list(clients.map(lambda file: post(http, [file]), versions(40)))

    assert [answer.status_code for answer in answers] == [200] * 40
