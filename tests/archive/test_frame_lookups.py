"""Frames that are asked for at the same time are looked up together, and answered apart."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive import frame_lookups
from dicomweb_server.archive.frame_lookups import MAX_BATCH, FrameLookups
from dicomweb_server.dicom.description import FrameTable
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.database import Connection, Pool, open_pool
from dicomweb_server.index.frame_batches import AskedFrame
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.retrieve import FrameLocation, locate_frames
from tests.index.made import new

SCOPE, OUTSIDE = Scope((1,)), Scope((1,), ("1.2",))
NATIVE = FrameTable(3, False, 500, 768, frame_bits=2048, word=2)
INSTANCES = [f"1.1.1.{number}" for number in range(1, 6)]


def asked(instance: str, number: int = 1) -> AskedFrame:
    return AskedFrame("1.1", "1.1.1", instance, number)


@pytest.fixture
async def lookups(pool: Pool) -> FrameLookups:
    group = [new("1.1", "1.1.1", uid, frames=NATIVE) for uid in INSTANCES]
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, group)
    return FrameLookups(pool)


async def all_of(
    lookups: FrameLookups, questions: Sequence[tuple[Scope, AskedFrame]]
) -> list[FrameLocation | BaseException]:
    waiting = (lookups.locate(scope, each) for scope, each in questions)
    async with asyncio.timeout(30):
        return await asyncio.gather(*waiting, return_exceptions=True)


async def test_each_gets_its_own_answer(lookups: FrameLookups) -> None:
    questions = [
        (scope, asked(uid, number))
        for number in (1, 3, 4)
        for scope in (SCOPE, OUTSIDE)
        for uid in (*INSTANCES, "1.1.1.9")
    ] * 10
    answers = await all_of(lookups, questions)

    assert len(questions) > MAX_BATCH
    for (scope, each), answer in zip(questions, answers, strict=True):
        if scope is SCOPE and each.number <= 3 and each.instance in INSTANCES:
            assert isinstance(answer, FrameLocation)
            assert answer.location.sop_instance_uid == each.instance
        else:
            assert isinstance(answer, NotFound)


async def test_one_after_another_is_answered_too(lookups: FrameLookups) -> None:
    for uid in INSTANCES * 20:
        [found] = await all_of(lookups, [(SCOPE, asked(uid))])
        assert isinstance(found, FrameLocation)
        [first, second] = await all_of(lookups, [(SCOPE, asked(uid)), (SCOPE, asked("1.9"))])
        assert isinstance(first, FrameLocation)
        assert isinstance(second, NotFound)


@pytest.mark.parametrize("leaving", [0, 1, 2])  # the first asks by itself, the others together
async def test_who_leaves_takes_no_answer_away(lookups: FrameLookups, leaving: int) -> None:
    waiting = [asyncio.create_task(lookups.locate(SCOPE, asked(uid))) for uid in INSTANCES]
    await asyncio.sleep(0)
    waiting[leaving].cancel()
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(answers.pop(leaving), asyncio.CancelledError)
    assert all(isinstance(answer, FrameLocation) for answer in answers)
    [found] = await all_of(lookups, [(SCOPE, asked(INSTANCES[0]))])
    assert isinstance(found, FrameLocation)


@pytest.fixture
async def closed(shared_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(shared_url)
    await pool.close()
    yield pool


async def test_all_hear_that_the_database_is_away(closed: Pool) -> None:
    lookups = FrameLookups(closed)
    for _ in range(2):
        answers = await all_of(lookups, [(SCOPE, asked(uid)) for uid in INSTANCES])
        assert all(isinstance(answer, Unavailable) for answer in answers)


@pytest.fixture
async def impatient(pool: Pool, database_url: str) -> AsyncIterator[Pool]:
    """A pool whose statements wait for a lock, a second each, and fail."""
    pool_of_others = await open_pool(database_url, plan_anew=False, statement_timeout=1)
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("LOCK TABLE instances")
        yield pool_of_others
    await pool_of_others.close()


async def test_nobody_waits_for_one_failure_after_the_other(impatient: Pool) -> None:
    lookups = FrameLookups(impatient)
    questions = [(scope, asked("1.9")) for scope in (SCOPE, OUTSIDE) for _ in range(2 * MAX_BATCH)]
    before = time.monotonic()
    answers = await all_of(lookups, questions)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert time.monotonic() - before < 4  # five statements that fail after a second each


async def test_a_connection_that_is_silent_holds_up_nobody_else(
    lookups: FrameLookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(conn: Connection, *arguments: Any) -> FrameLocation:
        await conn.execute("SELECT pg_sleep(5)")
        return await locate_frames(conn, *arguments)

    monkeypatch.setattr(frame_lookups, "locate_frames", silent)
    before = time.monotonic()
    first = asyncio.create_task(lookups.locate(SCOPE, asked(INSTANCES[0])))
    await asyncio.sleep(0)
    others = [lookups.locate(SCOPE, asked(uid)) for uid in INSTANCES]
    found = await asyncio.gather(*others)
    assert len(found) == len(INSTANCES)
    assert time.monotonic() - before < 4
    assert (await first).location.sop_instance_uid == INSTANCES[0]
