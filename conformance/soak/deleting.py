"""Deleting, so that an archive that is stored into all the time keeps its size."""

import random
import time

from conformance.benchmark.client import Request
from conformance.soak.ledger import Ledger, Study
from conformance.soak.storing import PATIENCE, Unsettled
from conformance.soak.traffic import Client, Traffic
from conformance.soak.windows import DELETE, METADATA


class Deleter(Client):
    """Deletes so many studies, series and instances that the archive keeps its size."""

    def __init__(
        self, traffic: Traffic, order: random.Random, ledger: Ledger, population: int
    ) -> None:
        super().__init__(traffic, order)
        self.ledger = ledger
        self.population = population

    async def run(self) -> None:
        """Delete until the run stops."""
        while not self.traffic.stopping.is_set():
            present = self.ledger.present()
            if len(present) <= self.population:
                await self.traffic.pause(0.5)
                continue
            study = self.order.choice(present[: len(present) // 2])
            try:
                await self._delete(study)
            except Exception as error:  # Unsettled, or what reading a wrong answer comes to
                self.traffic.fail(f"{type(error).__name__}: {error}")
        self.close()

    async def _delete(self, study: Study) -> None:
        kept = self.order.choice(list(study.kept.values()))
        chance = self.order.random()
        path, going = f"/studies/{study.uid}", set(study.kept)
        if chance < 0.2:
            path += f"/series/{kept.series_uid}"
            going = {
                each.sop_uid for each in study.kept.values() if each.series_uid == kept.series_uid
            }
        if chance < 0.1:
            path += f"/instances/{kept.sop_uid}"
            going = {kept.sop_uid}
        with self.ledger.changing(study):
            await self._until_gone(path)
            self.ledger.deleted(study, going)
            if self.order.random() < 1 / 3:
                request = Request(f"{path}/metadata")
                await self.ask("metadata of what is gone", METADATA, request, 404)

    async def _until_gone(self, path: str) -> None:
        """204; 404 only where an answer before was lost. Raises Unsettled."""
        deadline = time.monotonic() + PATIENCE
        good: tuple[int, ...] = (204,)
        while time.monotonic() < deadline:
            if await self.ask("delete", DELETE, Request(path, method="DELETE"), *good) is not None:
                return
            good = (204, 404)
            await self.traffic.pause()
        raise Unsettled(f"{path}: never deleted")
