"""Filling what a server keeps in memory, so that what grows afterwards grows without bound.

Ours keeps rendered pictures, 64 MB a process. At the rate of a soak they would take half an hour to
come together, which a line through its memory could not tell from a leak.
"""

import random

from conformance.benchmark.client import Request
from conformance.soak.ledger import Ledger
from conformance.soak.traffic import Client, Traffic
from conformance.soak.windows import RENDERED

WANTED = 100 << 20
"""Bytes of pictures for each process of the server."""
SECONDS = 180
"""That it may take; pictures that come slower are not worth the wait."""


class Warmer(Client):
    """Asks for pictures that nobody has asked for, each over a connection of its own, since they
    are what is divided among the processes of a server."""

    def __init__(
        self, traffic: Traffic, order: random.Random, ledger: Ledger, processes: int
    ) -> None:
        super().__init__(traffic, order, unpaced=True)
        self.ledger = ledger
        self.wanted = processes * WANTED

    async def run(self) -> None:
        """Until enough has come, or time is over."""
        began, received = self.traffic.now(), 0
        while received < self.wanted and self.traffic.now() < began + SECONDS:
            study = self.ledger.pick(self.order)
            if study is None or study.in_flux:
                await self.traffic.pause()
                continue
            mark = study.changes
            large = [kept for kept in study.kept.values() if kept.kind == "ct"]
            if not large:
                continue
            kept = self.order.choice(large)
            window = f"{self.order.uniform(0, 400):.4f},{self.order.uniform(300, 900):.4f},linear"
            path = f"/studies/{study.uid}/series/{kept.series_uid}/instances/{kept.sop_uid}"
            request = Request(f"{path}/rendered?window={window}", "image/png")
            answer = await self.ask("rendered to warm up", RENDERED, request, 200, 404)
            self.close()
            if answer is not None and answer.status == 200:
                received += answer.length
            elif answer is not None and study.settled_as(mark):
                self.fail("rendered to warm up", request, "404 for what is there")
