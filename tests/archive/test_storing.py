"""What a store request is told when the index goes away in the middle of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dicomweb_server.access.principal import ANONYMOUS
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.commit import Candidate, Outcome
from dicomweb_server.archive.opening import open_archive
from dicomweb_server.archive.store import Intake
from dicomweb_server.config import Settings
from dicomweb_server.errors import Unavailable
from dicomweb_server.wire.store_report import Failed, Result, Stored
from tests.make import instance_with, uid


@pytest.fixture
async def archive(database_url: str, tmp_path: Path) -> AsyncIterator[Archive]:
    settings = Settings(data_dir=tmp_path, database_url=database_url, min_free_bytes=0)
    async with open_archive(settings) as archive:
        yield archive


async def stored(archive: Archive, uids: list[str]) -> list[Result]:
    intake = Intake(archive, ANONYMOUS, None)
    for sop_instance_uid in uids:
        staging = intake.new_file()
        await staging.write(instance_with(SOPInstanceUID=sop_instance_uid))
        await intake.accept(staging)
    return await intake.results()


async def test_an_instance_that_the_index_was_away_for_is_named(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost = uid("index away", 1), uid("index away", 2)
    commit = archive.committer.commit

    async def away_for_one(candidates: list[Candidate]) -> list[Outcome]:
        away = Unavailable("the database cannot answer now")
        found = await commit([each for each in candidates if each.uid != lost])
        outcomes = iter(found)
        return [away if each.uid == lost else next(outcomes) for each in candidates]

    monkeypatch.setattr(archive.committer, "commit", away_for_one)
    first, second = await stored(archive, [kept, lost])

    assert isinstance(first, Stored)
    assert isinstance(second, Failed)
    assert second.sop_instance_uid == lost
    assert second.sop_class_uid is not None
    assert second.reason == 0xA700


async def test_where_the_index_is_away_for_all_the_request_is_refused(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(candidates: list[Candidate]) -> list[Outcome]:
        return [Unavailable("the database cannot answer now", retry_after=7)] * len(candidates)

    monkeypatch.setattr(archive.committer, "commit", away)
    with pytest.raises(Unavailable) as refused:
        await stored(archive, [uid("index away", 3), uid("index away", 4)])

    assert refused.value.retry_after == 7
    assert not list(archive.settings.tmp_dir.iterdir())
