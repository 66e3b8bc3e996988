"""How an item is measured on one server: for some time, as a user's steps, or right after."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle

from conformance.benchmark.client import (
    Answer,
    AnswerError,
    Connection,
    Request,
    connect,
)
from conformance.benchmark.items import store_asks
from conformance.benchmark.load import GRACE_SECONDS, WARMING_SECONDS, Ask, Sample, load
from conformance.benchmark.memory import memory_of, set_back
from conformance.benchmark.processes import cpu_time, is_postgres
from conformance.benchmark.retrieve.hosts import Host, file_of, look
from conformance.benchmark.retrieve.shelf import Shelf, in_tens
from conformance.benchmark.retrieve.wanted import Wanted, metadata_of
from conformance.benchmark.settling import settled
from tests.make import Instance

SLACK = 50
"""A body may be longer or shorter than the one looked into by this part of it: boundaries are
made anew, and counts in a list go up."""

STORES = 3  # of a short series, in one round


def ask_of(host: Host, wanted: Wanted) -> Ask:
    """The request to this server, whose answer has to be as long as the one looked into."""
    known = host.known[wanted.request]
    request = Request(f"/{file_of(wanted)}") if host.static else wanted.request

    def check(answer: Answer) -> None:
        if answer.status != 200 or not near(answer.length, known):
            raise AnswerError(
                f"{request.path}: status {answer.status}, {answer.length} bytes, not {known}"
            )

    return Ask(request, check)


def near(length: int, known: int) -> bool:
    """Whether a body is as long as one that was looked into."""
    return abs(length - known) <= known // SLACK


@dataclass(frozen=True, slots=True)
class Steady:
    """Requests, again and again in this order, over some connections for some seconds."""

    wanted: Sequence[Wanted]
    connections: int

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        asks = [ask_of(host, wanted) for wanted in self.wanted]
        await load(host.address, self.connections, cycle(asks), seconds=WARMING_SECONDS)
        return await observed(
            host, lambda: load(host.address, self.connections, cycle(asks), seconds=seconds)
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """What a viewer does: stages one after the other, each over all connections at once.

    Connections stay open, as a browser's. A unit is all stages once.
    """

    stages: Sequence[Sequence[Wanted]]
    connections: int

    @property
    def wanted(self) -> Sequence[Wanted]:
        """All that is asked for."""
        return [wanted for stage in self.stages for wanted in stage]

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        stages = [[ask_of(host, wanted) for wanted in stage] for stage in self.stages]
        asks = cycle(chain.from_iterable(stages))
        await load(host.address, self.connections, asks, seconds=WARMING_SECONDS)
        return await observed(host, lambda: repeated(host, stages, self.connections, seconds))


async def repeated(
    host: Host, stages: Sequence[Sequence[Ask]], connections: int, seconds: float
) -> Sample:
    """All `stages` once, and again for so many seconds."""
    opened = [await connect(host.address) for _ in range(connections)]
    latencies: list[float] = []
    payload = 0
    spent, began = time.process_time(), time.perf_counter()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            while not latencies or time.perf_counter() < began + seconds:
                start = time.perf_counter()
                for stage in stages:
                    payload += await all_at_once(host, opened, stage)
                latencies.append(time.perf_counter() - start)
    except TimeoutError as error:
        raise AnswerError(f"not done within {GRACE_SECONDS} s") from error
    finally:
        took, spent = time.perf_counter() - began, time.process_time() - spent
        for connection in opened:
            connection.close()
    return Sample(len(latencies), took, payload, tuple(latencies), client_cpu_seconds=spent)


async def all_at_once(host: Host, opened: list[Connection], asks: Sequence[Ask]) -> int:
    """Send `asks` in order over the `opened` connections; gives the bytes of the bodies.

    Raises AnswerError for the first answer that is wrong or missing.
    """
    source: Iterator[Ask] = iter(asks)
    payload = 0

    async def client(number: int) -> None:
        nonlocal payload
        for ask in source:
            if not opened[number].reusable:
                opened[number] = await connect(host.address)
            answer = await opened[number].ask(ask.request)
            ask.check(answer)
            payload += answer.length

    if len(asks) == 1:
        await client(0)
        return payload
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(min(len(opened), len(asks))):
                group.create_task(client(number))
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise AnswerError(str(first)) if isinstance(first, OSError) else first from None
    return payload


@dataclass(frozen=True, slots=True)
class Started:
    """The first of such requests after the server was started, which has told that it is ready."""

    wanted: Sequence[Wanted]

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        host.stop()
        await host.start()
        asks = [ask_of(host, self.wanted[0])]
        sample = await observed(host, lambda: load(host.address, 1, asks))
        assert host.target is not None
        await settled(host.target.processes)
        return sample


@dataclass(frozen=True, slots=True)
class JustStored:
    """The metadata of a series of `length`, asked for as soon as its last instance was stored."""

    shelf: Shelf
    length: int
    coding: str = ""
    wanted: Sequence[Wanted] = ()

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        samples = [await self._once(host) for _ in range(STORES if self.length <= 100 else 1)]
        assert host.target is not None
        await settled(host.target.processes)
        return joined(samples)

    async def _once(self, host: Host) -> Sample:
        series = self.shelf.new_series(self.length)
        wanted = metadata_of(series, coding=self.coding)
        await load(host.address, 4, store_asks(series, batch=20))
        answers: list[Answer] = []
        ask = Ask(wanted.request, answers.append)
        sample = await observed(host, lambda: load(host.address, 1, [ask]))
        body = await look(host, wanted)
        length, known = answers[0].length, host.known.pop(wanted.request)
        if answers[0].status != 200 or not near(length, known):
            raise AnswerError(f"metadata, just stored: {length} bytes, later {len(body)}")
        return sample


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """Steps, once, of a server that has just been started and has no copies at hand."""

    stages: Sequence[Sequence[Wanted]]
    connections: int

    @property
    def wanted(self) -> Sequence[Wanted]:
        """All that is asked for."""
        return [wanted for stage in self.stages for wanted in stage]

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        host.stop()
        host.forget()
        await host.start()
        assert host.target is not None
        await settled(host.target.processes)
        stages = [[ask_of(host, wanted) for wanted in stage] for stage in self.stages]
        sample = await observed(host, lambda: repeated(host, stages, self.connections, 0))
        await settled(host.target.processes)
        return sample


@dataclass(frozen=True, slots=True)
class StepsAfterStore:
    """Steps, once, with a series like the shelf's long one, whose last instance was just stored."""

    shelf: Shelf
    connections: int
    stages_of: Callable[[Sequence[Instance]], Sequence[Sequence[Wanted]]]
    wanted: Sequence[Wanted] = ()

    async def measure(self, host: Host, seconds: float) -> Sample:
        """See `Way`."""
        series = self.shelf.another_long()
        await load(host.address, 4, in_tens(series))
        stages = self.stages_of(series)
        asks = [[Ask(each.request, _answered) for each in stage] for stage in stages]
        sample = await observed(host, lambda: repeated(host, asks, self.connections, 0))
        least = sum(len(instance.pixels()) for instance in series)
        if sample.payload < least:
            raise AnswerError(f"just stored: {sample.payload} bytes, less than all pixels")
        for stage in stages:
            for wanted in (stage[0], stage[-1]):
                await look(host, wanted)
                host.known.pop(wanted.request, None)
        assert host.target is not None
        await settled(host.target.processes)
        return sample


def _answered(answer: Answer) -> None:
    if answer.status != 200:
        raise AnswerError(f"just stored: status {answer.status}")


Way = Steady | Steps | Started | JustStored | FirstSteps | StepsAfterStore
"""How an item is measured: `measure` asks one server, for `seconds` where time counts.

`wanted` is what has been looked into before. It raises AnswerError for a wrong answer.
"""


async def observed(host: Host, run: Callable[[], Awaitable[Sample]]) -> Sample:
    """Run a measurement, and take down the server's processor time and memory meanwhile."""
    assert host.target is not None
    family = host.target.processes()
    own = {pid for pid in family if not is_postgres(pid)}
    for pid in own:
        set_back(pid)
    before = cpu_time(family)
    sample = await run()
    family = host.target.processes()
    taken = cpu_time(family) - before
    own |= {pid for pid in family if not is_postgres(pid)}
    most = max((found.highest for pid in own if (found := memory_of(pid))), default=0)
    return replace(sample, cpu=taken if family else None, peak_rss=most)


def joined(samples: Iterable[Sample]) -> Sample:
    """Several measurements of one kind as one."""
    each = list(samples)
    cpus = [sample.cpu for sample in each if sample.cpu is not None]
    cpu = None
    if len(cpus) == len(each):
        cpu = type(cpus[0])(
            sum(known.server for known in cpus), sum(known.database for known in cpus)
        )
    return Sample(
        units=sum(sample.units for sample in each),
        seconds=sum(sample.seconds for sample in each),
        payload=sum(sample.payload for sample in each),
        latencies=tuple(latency for sample in each for latency in sample.latencies),
        cpu=cpu,
        client_cpu_seconds=sum(sample.client_cpu_seconds for sample in each),
        peak_rss=max(sample.peak_rss for sample in each),
    )
