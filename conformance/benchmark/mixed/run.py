"""Viewers and modalities at once on one server after the other."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from conformance.benchmark.client import AnswerError, ask_once
from conformance.benchmark.items import Stored, instances_ask, store_asks
from conformance.benchmark.load import Sample
from conformance.benchmark.mixed.people import REQUESTS, STORE, Client, Notes, Parcel, store, view
from conformance.benchmark.mixed.ward import STORED_AT_ONCE, Ward, picture_of
from conformance.benchmark.processes import CpuTime
from conformance.benchmark.retrieve.hosts import Host, look
from conformance.benchmark.retrieve.measure import observed
from conformance.benchmark.run import Progress
from conformance.benchmark.settling import settled

STUDY_STORED = 50  # slices of a study that is stored meanwhile


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who is there at once, and for how many seconds; a storer sends once in each `interval`."""

    viewers: int = 50
    storers: int = 2
    seconds: float = 20.0
    interval: float = 0.5

    @property
    def offered(self) -> float:
        """Instances a second that are to be stored, all storers together."""
        return self.storers * STORED_AT_ONCE / self.interval

    @property
    def requests(self) -> int:
        """Store requests that one storer has time for."""
        return int(self.seconds / self.interval) + 1


@dataclass(slots=True)
class Result:
    """All rounds of one server: the sample of each, what was noted, and what was stored."""

    samples: list[Sample] = field(default_factory=list)
    notes: list[Notes] = field(default_factory=list)
    broken: str = ""

    @property
    def seconds(self) -> float:
        """Of all rounds."""
        return sum(sample.seconds for sample in self.samples)

    @property
    def errors(self) -> Counter[tuple[str, str]]:
        """How often each went wrong, by kind of request and message."""
        return sum((each.errors for each in self.notes), Counter[tuple[str, str]]())

    def latencies(self, kind: str) -> list[float]:
        """Of all rounds, in seconds."""
        return list(chain.from_iterable(each.latencies[kind] for each in self.notes))

    def rates(self) -> list[float]:
        """Reading requests a second, round by round."""
        return [
            sum(len(each.latencies[kind]) for kind in REQUESTS if kind != STORE) / sample.seconds
            for sample, each in zip(self.samples, self.notes, strict=True)
        ]

    def stored_rate(self) -> float:
        """Instances stored a second; the median of the rounds."""
        return statistics.median(
            sum(len(parcel.instances) for parcel in each.stored) / sample.seconds
            for sample, each in zip(self.samples, self.notes, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. `hosts` have been started and hold the ward; the first is ours."""

    hosts: Sequence[Host]
    ward: Ward
    crowd: Crowd
    progress: Progress

    async def run(self, *, rounds: int) -> dict[str, Result]:
        """Look into all answers once, then let the crowd come so many times; by host's label.

        Raises AnswerError if an answer of ours is not right before the crowd is there.
        """
        results = {host.label: Result() for host in self.hosts}
        for host in self.hosts:
            self.progress(f"looking into the answers of {host.label}")
            try:
                await self._look(host)
            except (AnswerError, OSError) as error:
                if host is self.hosts[0]:
                    raise
                results[host.label].broken = str(error)
                self.progress(f"  {host.label}: {error}")
        for number in range(rounds):
            await self._round(number, results)
        return results

    async def _look(self, host: Host) -> None:
        for wanted in self.ward.wanted:
            if wanted.request not in host.known:
                await look(host, wanted)
        first = picture_of(self.ward.charts[0].slices[0])
        first.check(await ask_once(host.address, first.request))

    async def _round(self, number: int, results: dict[str, Result]) -> None:
        shares = [self._to_store() for _ in range(self.crowd.storers)]
        first = number % len(self.hosts)
        for host in (*self.hosts[first:], *self.hosts[:first]):
            result = results[host.label]
            if result.broken:
                continue
            self.progress(f"{self.crowd.viewers} viewers of {host.label}")
            for each in self.hosts:
                assert each.target is not None
                await settled(each.target.processes)
            notes = Notes()
            try:
                sample = await self._measure(host, notes, number, shares)
                await verify(host, notes)
            except (AnswerError, OSError) as error:
                result.broken = str(error)
                self.progress(f"  {host.label}: {error}")
            else:
                result.samples.append(sample)
                result.notes.append(notes)

    def _to_store(self) -> list[Parcel]:
        """As much as one sender has time for, in studies that nobody has."""
        parcels: list[Parcel] = []
        while len(parcels) < self.crowd.requests:
            study = self.ward.new_study(STUDY_STORED)
            for first in range(0, len(study), STORED_AT_ONCE):
                group = study[first : first + STORED_AT_ONCE]
                parcels.append(Parcel(group, *store_asks(group, batch=STORED_AT_ONCE)))
        return parcels

    async def _measure(
        self, host: Host, notes: Notes, number: int, shares: Sequence[Sequence[Parcel]]
    ) -> Sample:
        async def run() -> Sample:
            spent, began = time.process_time(), time.perf_counter()
            deadline = began + self.crowd.seconds
            people = [Client(host, notes, deadline) for _ in range(self.crowd.viewers)]
            senders = [Client(host, notes, deadline) for _ in shares]
            try:
                async with asyncio.TaskGroup() as group:
                    for which, client in enumerate(people):
                        order = random.Random(f"{self.ward.seed} {number} {which}")
                        group.create_task(view(client, self.ward, order))
                    for client, parcels in zip(senders, shares, strict=True):
                        group.create_task(store(client, parcels, self.crowd.interval))
            finally:
                took, spent = time.perf_counter() - began, time.process_time() - spent
                for client in (*people, *senders):
                    client.close()
            units = sum(len(notes.latencies[kind]) for kind in REQUESTS)
            return Sample(units, took, notes.payload, client_cpu_seconds=spent)

        return await observed(host, run)


async def verify(host: Host, notes: Notes) -> None:
    """What was reported as stored is found by a search. Raises AnswerError."""
    if any(kind == STORE for kind, _ in notes.errors):
        return  # it is told; what became of those instances nobody knows
    series: dict[str, list[Stored]] = {}
    for instance in chain.from_iterable(parcel.instances for parcel in notes.stored):
        series.setdefault(instance.series_uid, []).append(instance)
    for each in series.values():
        ask = instances_ask(each)
        ask.check(await ask_once(host.address, ask.request))


def cpu_of(samples: Sequence[Sample]) -> CpuTime | None:
    """The processor time of all samples; None if it is not known of each."""
    known = [sample.cpu for sample in samples if sample.cpu is not None]
    if not samples or len(known) < len(samples):
        return None
    return CpuTime(sum(each.server for each in known), sum(each.database for each in known))
