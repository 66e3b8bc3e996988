"""One run from its begin to its end: the load, the faults, the samples, the last look."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from conformance.soak.database import processes_under
from conformance.soak.deleting import Deleter
from conformance.soak.faults import EARLY, Injector, schedule
from conformance.soak.final import Outcome, examine
from conformance.soak.flatness import LEAST_SECONDS
from conformance.soak.ledger import Ledger
from conformance.soak.recovery import Prober
from conformance.soak.sampling import Around, CpuMeter, Held, around, held
from conformance.soak.senders import Sender
from conformance.soak.storing import PATIENCE
from conformance.soak.traffic import Traffic
from conformance.soak.viewers import Viewer
from conformance.soak.warming import Warmer
from conformance.soak.windows import Window
from tests.running import RunningServer

SENDERS, DELETERS, VIEWERS = 4, 3, 6
SAMPLE_SECONDS = 5.0
REST_SECONDS = 10.0
"""Without a request, before and after the load."""

Say = Callable[[str], None]


class Runs(Protocol):
    """A client of the run."""

    async def run(self) -> None:
        """Work until the run stops."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: `seconds` of load, a fault `every` so many, `rate` requests a second."""

    seconds: float
    every: float
    rate: float
    population: int
    seed: int
    processes: int = 1
    """That answer requests."""


@dataclass(slots=True)
class Run:
    """A run, and all that was seen in it."""

    plan: Plan
    server: RunningServer
    injector: Injector
    traffic: Traffic
    say: Say
    ledger: Ledger = field(default_factory=Ledger)
    held: list[Held] = field(default_factory=list)
    around: list[Around] = field(default_factory=list)
    at_rest: list[list[Held]] = field(default_factory=list)
    outcome: Outcome | None = None

    async def execute(self) -> None:
        """All of it."""
        seeds = itertools.count(self.plan.seed * 1_000_000)
        order = random.Random(self.plan.seed)
        sampler = asyncio.create_task(self._sample())
        try:
            await self._rest()
            clients = self._clients(order, seeds)
            tasks = [asyncio.create_task(client.run()) for client in clients]
            injecting = asyncio.create_task(self._inject(Prober(self.traffic, self.ledger, seeds)))
            await self._load(tasks, injecting, sampler)
            await self._rest()
        finally:
            sampler.cancel()
        self.say("the last look")
        self.outcome = await asyncio.to_thread(examine, self.server, self.ledger)

    def _clients(self, order: random.Random, seeds: "itertools.count[int]") -> Sequence[Runs]:
        def own() -> random.Random:
            return random.Random(order.random())

        population = self.plan.population
        return [
            *(Sender(self.traffic, own(), self.ledger, seeds) for _ in range(SENDERS)),
            *(Deleter(self.traffic, own(), self.ledger, population) for _ in range(DELETERS)),
            *(Viewer(self.traffic, own(), self.ledger) for _ in range(VIEWERS)),
        ]

    async def _load(
        self,
        tasks: "Sequence[asyncio.Task[None]]",
        injecting: "asyncio.Task[None]",
        sampler: "asyncio.Task[None]",
    ) -> None:
        """Let them work for the time planned; what breaks in one of them ends the run."""
        working = [*tasks, injecting, sampler]
        deadline = self.traffic.now() + self.plan.seconds
        while (left := deadline - self.traffic.now()) > 0.01:
            await asyncio.wait(
                working, timeout=min(60.0, left), return_when=asyncio.FIRST_EXCEPTION
            )
            for task in working:
                if task.done():
                    task.result()
            self.say(self._progress())
        await injecting
        self.traffic.stopping.set()
        async with asyncio.timeout(2 * PATIENCE):
            await asyncio.gather(*tasks)

    def _progress(self) -> str:
        traffic = self.traffic
        return (
            f"{traffic.now():.0f} s: {traffic.counts.total()} requests, "
            f"{self.ledger.instances()} instances in {len(self.ledger.present())} studies, "
            f"{len(traffic.windows.all)} faults, {traffic.n_failures} failures"
        )

    async def _inject(self, prober: Prober) -> None:
        """Fault after fault; each waits until service is back from the last."""
        kinds = self.injector.kinds()
        length = self.plan.seconds
        begin = self.traffic.now()
        warm = length * (1 - EARLY) < LEAST_SECONDS  # nothing will be judged
        for due, kind in schedule(kinds, self.injector.order, length=length, every=self.plan.every):
            if not warm and due > EARLY * length:
                warm = True
                await self._warm_up()
            await asyncio.sleep(max(0.0, begin + due - self.traffic.now()))
            if self.traffic.now() - begin > 0.95 * length:
                return
            window = self.traffic.windows.open(kind, self.traffic.now())
            window.about = await self.injector.inflict(kind)
            window.ended = self.traffic.now()
            await prober.recovered(window)
            self.say(_told(window))

    async def _warm_up(self) -> None:
        order = random.Random(self.plan.seed + 3)
        await Warmer(self.traffic, order, self.ledger, self.plan.processes).run()
        self.say(f"{self.traffic.now():.0f} s: warmed up")

    async def _rest(self) -> None:
        await asyncio.sleep(REST_SECONDS)
        self.at_rest.append(held(self.traffic.now(), self.server.pid))

    async def _sample(self) -> None:
        meter = CpuMeter()
        while True:
            now = self.traffic.now()
            main = self.server.pid
            self.held += held(now, main)
            meter.look(main)
            self.around.append(
                around(now, processes_under(self.injector.database), self.server.data_dir, meter)
            )
            await asyncio.sleep(SAMPLE_SECONDS)


def _told(window: Window) -> str:
    return (
        f"{window.began:.0f} s: {window.kind.name} ({window.about}) for "
        f"{window.ended - window.began:.1f} s, back {window.recovery:.1f} s later; "
        f"{window.refusals} refused, {window.broken} broken"
    )
