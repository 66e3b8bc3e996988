"""What a request stores is committed in its order, whatever is described sooner."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.rebuild_index import rebuild_index
from dicomweb_server.archive.store import BATCH, FEW, Intake
from dicomweb_server.archive.turns import Turns
from dicomweb_server.index.versions import Duplicates
from dicomweb_server.wire.store_report import Failed, Result, Stored
from tests.archive.opened import TESTER, opened, rows, set_policy
from tests.archive.test_rebuild_index import Noted, dump, one

Database = Callable[..., AbstractAsyncContextManager[str]]

OVERTAKING = BATCH + FEW - 1  # files: a batch that workers describe, and few that need none


@pytest.fixture
async def archive(
    tmp_path: Path, new_database: Database, template: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Archive]:
    """An archive whose workers are slow, the first more than those after it."""
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        describe, waits = archive.describer.describe, iter((0.3, 0.1))

        async def slowly(paths: Sequence[Path]) -> Any:
            if paths:
                await asyncio.sleep(next(waits, 0))
            return await describe(paths)

        monkeypatch.setattr(archive.describer, "describe", slowly)
        yield archive


async def store(archive: Archive, files: Sequence[bytes]) -> list[Result]:
    intake = Intake(archive, TESTER, None)
    for file in files:
        staging = intake.new_file()
        await staging.write(file)
        await intake.accept(staging)
    return await asyncio.wait_for(intake.results(), 20)


def twice(count: int = OVERTAKING) -> list[bytes]:
    """Some files, the first and the last of which are versions of one instance."""
    versions = [one(sop="1", PatientID=f"V{n}", ImageComments=f"V{n}") for n in (1, 2)]
    return [versions[0], *(one(sop=f"2.{n}") for n in range(1, count - 1)), versions[1]]


@pytest.mark.parametrize(("policy", "left"), [("replace", "V2"), ("refuse", "V1")])
@pytest.mark.parametrize("count", [FEW, OVERTAKING, 2 * BATCH])
async def test_of_versions_in_one_request_the_last_is_the_newer(
    archive: Archive, policy: Duplicates, left: str, count: int
) -> None:
    await set_policy(archive, policy)

    first, *_, last = await store(archive, twice(count))

    assert isinstance(first, Stored)
    assert isinstance(last, Stored if policy == "replace" else Failed)
    assert [row["patient_id"] for row in await rows(archive, "SELECT patient_id FROM studies")] == [
        left
    ]


@pytest.mark.parametrize("apart", [0, BATCH])
async def test_what_was_stored_before_comes_back_if_it_is_sent_last(
    archive: Archive, apart: int
) -> None:
    """The last is the same as what was there before the request, but not while it is stored."""
    await set_policy(archive, "replace")
    a, b = (one(sop="1", PatientID=each) for each in "AB")
    await store(archive, [a])

    between = [one(sop=f"2.{n}") for n in range(apart)]
    results = await store(archive, [b, *between, a])

    assert [isinstance(result, Stored) and result.new for result in results] == [True] * len(
        results
    )
    [study] = await rows(archive, "SELECT patient_id FROM studies")
    assert study["patient_id"] == "A"


async def test_the_first_of_a_request_gives_the_attributes_and_does_so_again(
    archive: Archive, new_database: Database, template: str
) -> None:
    chance = random.Random(1)
    count = 2 * BATCH + FEW
    numbers = chance.sample(range(100, 1000), count)  # order of UIDs is not that of the request
    await store(
        archive,
        [one(series=str(n % 2), sop=str(n), PatientID=f"P{n}", Modality=f"M{n}") for n in numbers],
    )

    first = [numbers[0], next(n for n in numbers if n % 2 != numbers[0] % 2)]
    [study] = await rows(archive, "SELECT patient_id, modalities FROM studies")
    assert study["patient_id"] == f"P{numbers[0]}"
    assert study["modalities"] == sorted(f"M{n}" for n in first)
    async with new_database(template) as url, opened(archive.settings.data_dir, url) as rebuilt:
        await rebuild_index(rebuilt, Noted())
        assert await dump(rebuilt) == await dump(archive)


async def test_a_batch_that_fails_holds_up_no_other(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = archive.describer.describe
    first = one(sop="0")

    async def failing(paths: Sequence[Path]) -> Any:
        if any(path.read_bytes() == first for path in paths):
            raise RuntimeError("a bug")
        return await describe(paths)

    monkeypatch.setattr(archive.describer, "describe", failing)
    others = [one(sop=str(n)) for n in range(1, 3 * BATCH)]
    results = await store(archive, [first, *others])

    assert [isinstance(result, Stored) for result in results] == [False] * BATCH + [
        True
    ] * 2 * BATCH


async def test_a_turn_that_ends_early_lets_nobody_pass_those_before_it() -> None:
    turns = Turns()
    first, second, third = turns.next(), turns.next(), turns.next()
    second.end()
    waiting = asyncio.create_task(third.to_commit())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.hand_over()
    await asyncio.wait_for(waiting, 1)
    settling = asyncio.create_task(third.to_settle())
    await asyncio.sleep(0)
    assert not settling.done()
    first.end()
    await asyncio.wait_for(settling, 1)
