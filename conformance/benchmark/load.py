"""Requests over some connections for some time, each answer checked, and what that took."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite

from conformance.benchmark.client import Address, Answer, AnswerError, Request, connect

GRACE_SECONDS = 300
"""How long answers may be out after the time of a measurement; then the server hangs."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what its answer must be: `check` raises AnswerError if it is not that.

    `units` is what the request counts for: the instances of a store request, else 1.
    """

    request: Request
    check: Callable[[Answer], None]
    units: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `payload` in bytes, both ways without heads; latencies in seconds."""

    units: int
    seconds: float
    payload: int
    latencies: tuple[float, ...] = ()
    cpu_seconds: float | None = None

    @property
    def rate(self) -> float:
        """Units in a second."""
        return self.units / self.seconds


async def load(
    address: Address, connections: int, asks: Iterable[Ask], *, seconds: float = inf
) -> Sample:
    """Send `asks` over `connections` until they or the `seconds` are used up.

    Each connection sends its next request when its last is answered. Raises AnswerError for
    the first answer that is wrong, late or missing.
    """
    source = iter(asks)
    opened = [await connect(address) for _ in range(connections)]
    latencies: list[float] = []
    units = payload = 0
    began = time.perf_counter()
    deadline = began + seconds

    async def client(number: int) -> None:
        nonlocal units, payload
        for ask in source:
            start = time.perf_counter()
            if start >= deadline:
                return
            if not opened[number].reusable:
                opened[number] = await connect(address)
            answer = await opened[number].ask(ask.request)
            latencies.append(time.perf_counter() - start)
            ask.check(answer)
            units += ask.units
            payload += len(ask.request.body) + answer.length

    try:
        async with asyncio.timeout(GRACE_SECONDS + (seconds if isfinite(seconds) else 0)):
            async with asyncio.TaskGroup() as group:
                for number in range(connections):
                    group.create_task(client(number))
    except TimeoutError as error:
        raise AnswerError(f"no answer within {GRACE_SECONDS} s") from error
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise AnswerError(str(first)) if isinstance(first, OSError) else first from None
    finally:
        for connection in opened:
            connection.close()
    return Sample(units, time.perf_counter() - began, payload, tuple(latencies))
