"""What several ask for at a time is done once, for all of them."""

import asyncio

import pytest

from dicomweb_server.archive.flights import Flights


class Work:
    def __init__(self, result: int = 1) -> None:
        self.result = result
        self.begun = self.ended = 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        await self.go_on.wait()
        self.ended += 1
        if self.result < 0:
            raise ValueError("it cannot be done")
        return self.result


async def once(flights: Flights[int], key: object, work: Work) -> int:
    async def all_of(places: list[int]) -> list[int]:
        assert places == [0]
        return [await work()]

    [made] = await flights.each([key], all_of)
    return made


async def test_it_is_done_once_for_those_who_ask_meanwhile() -> None:
    flights: Flights[int] = Flights(2)
    work = Work()
    asking = [asyncio.create_task(once(flights, "key", work)) for _ in range(5)]
    await asyncio.sleep(0.01)
    work.go_on.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert work.begun == 1
    assert await once(flights, "key", work) == 1  # and anew for who comes later
    assert work.begun == 2


async def test_who_leaves_takes_nothing_from_others() -> None:
    flights: Flights[int] = Flights(2)
    work = Work()
    leaving = asyncio.create_task(once(flights, "key", work))
    await asyncio.sleep(0.01)
    staying = asyncio.create_task(once(flights, "key", work))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    work.go_on.set()
    assert await staying == 1
    assert work.begun == work.ended == 1


async def test_what_fails_fails_for_all_and_is_tried_again() -> None:
    flights: Flights[int] = Flights(2)
    work = Work(-1)
    work.go_on.set()
    asking = [once(flights, "key", work) for _ in range(2)]
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in results] == [ValueError, ValueError]
    work.result = 3
    assert await once(flights, "key", work) == 3


async def test_some_are_done_side_by_side_and_others_wait() -> None:
    flights: Flights[int] = Flights(2)
    works = [Work(n) for n in range(4)]
    asking = [asyncio.create_task(once(flights, n, work)) for n, work in enumerate(works)]
    await asyncio.sleep(0.01)
    assert [work.begun for work in works] == [1, 1, 0, 0]
    for work in works:
        work.go_on.set()
    assert await asyncio.gather(*asking) == [0, 1, 2, 3]


async def test_closing_gives_up_what_is_under_way() -> None:
    flights: Flights[int] = Flights(1)
    work = Work()
    asking = [asyncio.create_task(once(flights, key, work)) for key in "ab"]
    await asyncio.sleep(0.01)
    await flights.close()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in results] == [asyncio.CancelledError] * 2
    assert (work.begun, work.ended) == (1, 0)


async def test_all_that_nobody_is_at_is_done_in_one_piece() -> None:
    flights: Flights[int] = Flights(2)
    other = Work(7)
    before = asyncio.create_task(once(flights, "b", other))
    await asyncio.sleep(0.01)
    told: list[list[int]] = []

    async def work(places: list[int]) -> list[int]:
        told.append(places)
        return [10 + place for place in places]

    asking = asyncio.create_task(flights.each(["a", "b", "c"], work))
    await asyncio.sleep(0.01)
    other.go_on.set()
    assert await asking == [10, 7, 12]
    assert await before == 7
    assert told == [[0, 2]]
    assert await flights.each([], work) == []
    assert told == [[0, 2]]


async def test_who_leaves_takes_none_of_several_from_others() -> None:
    flights: Flights[int] = Flights(2)
    go_on = asyncio.Event()

    async def work(places: list[int]) -> list[int]:
        await go_on.wait()
        return places

    leaving = asyncio.create_task(flights.each(["a", "b"], work))
    await asyncio.sleep(0.01)
    staying = asyncio.create_task(flights.each(["b"], work))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await staying == [1]


async def test_what_fails_of_several_fails_alone() -> None:
    flights: Flights[int] = Flights(2)
    go_on = asyncio.Event()

    async def work(places: list[int]) -> list[int | Exception]:
        await go_on.wait()
        return [1, ValueError("this one cannot be made")]

    both = asyncio.create_task(flights.each(["a", "b"], work))
    await asyncio.sleep(0.01)
    whole = asyncio.create_task(flights.each(["a"], work))
    await asyncio.sleep(0.01)
    go_on.set()
    with pytest.raises(ValueError, match="this one"):
        await both
    assert await whole == [1]


@pytest.mark.parametrize("turns", range(4))
async def test_closing_gives_up_what_has_hardly_begun(turns: int) -> None:
    flights: Flights[int] = Flights(2)
    ended: list[bool] = []

    async def work(places: list[int]) -> list[int]:
        await asyncio.sleep(0.05)
        ended.append(True)
        return places

    asking = asyncio.create_task(flights.each(["a", "b"], work))
    for _ in range(turns):
        await asyncio.sleep(0)
    await flights.close()
    if turns:  # else it has not asked yet
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.1)
        assert not ended
    else:
        assert await asking == [0, 1]
