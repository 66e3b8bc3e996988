"""Requests over some connections for some time, each answer checked, and what that took."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite

from conformance.benchmark.client import Address, Answer, AnswerError, Request, connect
from conformance.benchmark.processes import CpuTime

WARMING_SECONDS = 1.0
"""How long each server is asked before it is measured, all alike. It was idle while others were
measured, for a minute at times, and a system that saves memory has put away by then what it would
read and is said to have at hand."""

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
    """One measurement. `payload` in bytes, both ways without heads; latencies in seconds.

    `cpu` is what the server and its database took of the processors, if that is known;
    `client_cpu_seconds` what the load generator, this process, took meanwhile. `peak_rss` is the
    highest resident set of any of the server's own processes meanwhile, in bytes; 0 if unknown.
    """

    units: int
    seconds: float
    payload: int
    latencies: tuple[float, ...] = ()
    cpu: CpuTime | None = None
    client_cpu_seconds: float = 0.0
    peak_rss: int = 0

    @property
    def rate(self) -> float:
        """Units in a second."""
        return self.units / self.seconds


async def load(
    address: Address,
    connections: int,
    asks: Iterable[Ask],
    *,
    seconds: float = inf,
    grace: float = GRACE_SECONDS,
) -> Sample:
    """Send `asks` over `connections` until they or the `seconds` are used up.

    Each connection sends its next request when its last is answered. Raises AnswerError for
    the first answer that is wrong or missing, or if some are out `grace` seconds after the time.
    """
    source = iter(asks)
    opened = [await connect(address) for _ in range(connections)]
    latencies: list[float] = []
    units = payload = 0
    spent = time.process_time()
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
        async with asyncio.timeout(grace + (seconds if isfinite(seconds) else 0)):
            async with asyncio.TaskGroup() as group:
                for number in range(connections):
                    group.create_task(client(number))
    except TimeoutError as error:
        raise AnswerError(f"no answer within {grace:g} s") from error
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise AnswerError(str(first)) if isinstance(first, OSError) else first from None
    finally:
        took, spent = time.perf_counter() - began, time.process_time() - spent
        for connection in opened:
            connection.close()
    return Sample(units, took, payload, tuple(latencies), client_cpu_seconds=spent)
