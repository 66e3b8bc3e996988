"""A series is told of when it has grown by much, and not again before it has been prepared."""

import asyncio

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive.arrivals import MANY, SERIES, Arrivals

SCOPE = Scope((1,))


def grow(arrivals: Arrivals, by: int, series: str = "1.3") -> None:
    for _ in range(by):
        arrivals.note(SCOPE, "1.2", series)


def told(grown: "asyncio.Queue[tuple[Scope, str, str]]") -> list[str]:
    return [grown.get_nowait()[2] for _ in range(grown.qsize())]


async def test_nothing_is_counted_for_nobody() -> None:
    arrivals = Arrivals()
    grow(arrivals, 10 * MANY)
    assert told(arrivals.listen()) == []


async def test_a_series_is_told_of_once_it_is_large_enough() -> None:
    arrivals = Arrivals()
    grown = arrivals.listen()
    grow(arrivals, MANY - 1)
    grow(arrivals, MANY - 1, "1.4")
    assert told(grown) == []
    grow(arrivals, 1)
    assert told(grown) == ["1.3"]
    grow(arrivals, 5 * MANY)  # while it is being prepared
    assert told(grown) == []
    arrivals.prepared(SCOPE, "1.2", "1.3", MANY)
    assert told(grown) == ["1.3"]
    arrivals.prepared(SCOPE, "1.2", "1.3", 64 * MANY)
    grow(arrivals, 2 * MANY - 1)  # a large one has to grow by more
    assert told(grown) == []
    grow(arrivals, 1)
    assert told(grown) == ["1.3"]


async def test_no_more_than_some_series_are_kept_in_mind() -> None:
    arrivals = Arrivals()
    grown = arrivals.listen()
    grow(arrivals, MANY - 1)
    for number in range(SERIES):
        grow(arrivals, 1, f"2.{number}")
    grow(arrivals, 1)
    assert told(grown) == []
    grow(arrivals, MANY - 1)
    assert told(grown) == ["1.3"]
    grow(arrivals, MANY - 2, f"2.{SERIES - 1}")
    arrivals.prepared(SCOPE, "1.2", "no such series", 1)
    assert told(grown) == []
