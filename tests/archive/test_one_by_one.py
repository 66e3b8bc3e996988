"""One after the other for one key, and nothing is left when nobody is there."""

import asyncio

import pytest

from dicomweb_server.archive.one_by_one import OneByOne, StillWaiting


async def test_one_is_at_it_at_a_time_in_the_order_of_asking() -> None:
    turns, done, at_it = OneByOne(), [], 0

    async def work(number: int) -> bool:
        nonlocal at_it
        async with turns.turn("a", 10) as others:
            at_it += 1
            assert at_it == 1
            await asyncio.sleep(0)
            done.append(number)
            at_it -= 1
            return others

    waited = await asyncio.gather(*map(work, range(9)))

    assert done == list(range(9))
    assert waited == [False, *[True] * 8]
    assert turns.keys == []


async def test_others_go_on_side_by_side() -> None:
    turns = OneByOne()
    async with turns.turn("a", 10) as one, turns.turn("b", 10) as other:
        assert not one and not other
        assert turns.keys == ["a", "b"]


async def test_who_waits_too_long_or_leaves_is_in_nobodys_way() -> None:
    turns = OneByOne()

    async def wait(seconds: float) -> None:
        async with turns.turn("a", seconds):
            pass

    async with turns.turn("a", 10):
        with pytest.raises(StillWaiting):
            await wait(0.01)
        leaving, staying = asyncio.create_task(wait(10)), asyncio.create_task(wait(10))
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.wait_for(staying, 10)
    assert leaving.cancelled()
    assert turns.keys == []


async def test_what_fails_lets_the_next_one_in() -> None:
    turns = OneByOne()
    with pytest.raises(TimeoutError):  # as it is, not as that of waiting
        async with turns.turn("a", 10):
            raise TimeoutError
    async with turns.turn("a", 10) as others:
        assert not others
