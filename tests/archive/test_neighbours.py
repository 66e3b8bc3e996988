"""Who looks at an instance has those around it read ahead, in the order of the series."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive import neighbours
from dicomweb_server.archive.expected_blobs import Expected, ExpectedBlobs
from dicomweb_server.archive.neighbours import AHEAD, BEHIND, Neighbours
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.index.database import Pool
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.retrieve import Location, locate_instances
from tests.index.made import new

SCOPE = Scope((1,))
COUNT = 60


class Listening(ExpectedBlobs):
    """Tells what was expected of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FilesystemBlobs(folder))
        self.expected: list[list[str]] = []

    def expect(self, blobs: Sequence[Expected]) -> None:
        self.expected.append([key for key, _ in blobs])


@pytest.fixture
async def series(pool: Pool) -> list[Location]:
    group = [
        new("1.1", "1.1.1", f"1.1.1.{number}", of_instance={"InstanceNumber": COUNT - number})
        for number in range(COUNT)
    ]
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, group)
        return (await locate_instances(conn, SCOPE, "1.1", "1.1.1")).items


@pytest.fixture
def ahead(tmp_path: Path) -> Listening:
    return Listening(tmp_path)


async def settled(following: Neighbours) -> None:
    async with asyncio.timeout(10):
        while following._looking:
            await asyncio.sleep(0.01)


async def test_those_behind_come_next_and_then_those_before(
    pool: Pool, series: list[Location], ahead: Listening
) -> None:
    following = Neighbours(pool, ahead)
    keys = [location.blob_key for location in series]
    for place in (0, 20, COUNT - 1):
        following.follow(SCOPE, series[place])
        await settled(following)
        before = keys[max(0, place - BEHIND) : place]
        assert ahead.expected[-1] == keys[place + 1 : place + 1 + AHEAD] + before[::-1]
    following.follow(SCOPE, series[20], again=True)
    assert ahead.expected[-1][:2] == keys[20:22]


async def test_what_came_since_is_followed_after_a_while(
    pool: Pool, series: list[Location], ahead: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = Neighbours(pool, ahead)
    following.follow(SCOPE, series[0])
    await settled(following)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.99")])
        newest = (await locate_instances(conn, SCOPE, "1.1", "1.1.1")).items[-1]
    following.follow(SCOPE, newest)
    await settled(following)
    assert len(ahead.expected) == 1
    monkeypatch.setattr(neighbours, "SECONDS", 0)
    following.follow(SCOPE, newest)
    await settled(following)
    assert ahead.expected[1][0] == series[-1].blob_key


async def test_no_more_is_known_than_there_is_room_for(
    pool: Pool, series: list[Location], ahead: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The series that was looked at last stays."""
    monkeypatch.setattr(neighbours, "KNOWN", COUNT)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.2", f"1.1.2.{n}") for n in range(2)])
        other = (await locate_instances(conn, SCOPE, "1.1", "1.1.2")).items
    following = Neighbours(pool, ahead)
    for location in (series[0], other[0]):
        following.follow(SCOPE, location)
        await settled(following)
    assert len(ahead.expected) == 2
    following.follow(SCOPE, other[1])
    assert ahead.expected[2] == [other[0].blob_key]  # at once
    following.follow(SCOPE, series[1])
    assert len(ahead.expected) == 3  # it is looked up anew
    await settled(following)
    assert len(ahead.expected) == 4


@pytest.mark.parametrize("scope", [Scope((2,)), Scope((1,), ("1.2",))])
async def test_nothing_is_fetched_for_who_may_not_see_it(
    pool: Pool, series: list[Location], ahead: Listening, scope: Scope
) -> None:
    following = Neighbours(pool, ahead)
    following.follow(scope, series[0])
    await settled(following)
    assert ahead.expected == []


async def test_it_ends_in_the_midst_of_looking(
    pool: Pool, series: list[Location], ahead: Listening
) -> None:
    following = Neighbours(pool, ahead)
    following.follow(SCOPE, series[0])
    await following.close()
    assert ahead.expected == []


async def test_who_goes_backwards_has_those_before_read_ahead(
    pool: Pool, series: list[Location], ahead: Listening
) -> None:
    """As a viewer that begins in the middle, and goes on in both directions in turns."""
    following = Neighbours(pool, ahead)
    keys = [location.blob_key for location in series]
    following.follow(SCOPE, series[30])
    await settled(following)
    for step in range(1, 4):
        following.follow(SCOPE, series[30 - step])
        before = keys[30 - step - AHEAD : 30 - step][::-1]
        assert ahead.expected[-1] == before + keys[31 - step : 31 - step + BEHIND]
        following.follow(SCOPE, series[30 + step])
        after = keys[31 + step : 31 + step + AHEAD]
        assert ahead.expected[-1] == after + keys[30 + step - BEHIND : 30 + step][::-1]
