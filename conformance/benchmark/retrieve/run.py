"""The rounds: each item on each server, one right after the other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from conformance.benchmark import run
from conformance.benchmark.client import AnswerError
from conformance.benchmark.goals import ORTHANC, ORTHANC_SQLITE, OURS, S3
from conformance.benchmark.retrieve.hosts import Host, file_of, look
from conformance.benchmark.retrieve.items import Item
from conformance.benchmark.retrieve.measure import FirstSteps, JustStored, Started, StepsAfterStore
from conformance.benchmark.retrieve.shelf import Part
from conformance.benchmark.retrieve.wanted import Wanted

Began = Started | JustStored
"""What is measured after something that takes much longer."""

LOOKERS = 8  # connections over which answers are looked into


@dataclass(slots=True)
class Result(run.Result):
    """All rounds of one item, by server's label."""

    item: Item  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. `hosts` have been started; the first is ours on the file system."""

    hosts: Sequence[Host]
    seconds: float
    progress: Callable[[str], None]

    async def run(self, items: Sequence[Item], *, rounds: int) -> list[Result]:
        """Look into all answers once, then measure all items so many times in turn.

        Raises AnswerError if an answer of ours is not right.
        """
        results = [Result(item) for item in items]
        for host in self.hosts:
            self.progress(f"looking into the answers of {host.label}")
            await self._look(host, results)
        for number in range(rounds):
            for result in results:
                self.progress(f"round {number + 1} of {rounds}: {result.item.name}")
                await self._round(result, number)
        return results

    async def _look(self, host: Host, results: Sequence[Result]) -> None:
        for result in results:
            if not serves(host, result.item):
                continue
            try:
                await self._look_at(host, result.item.way.wanted)
            except (AnswerError, OSError) as error:
                if host is self.hosts[0]:
                    raise
                result.errors[host.label] = str(error)
                self.progress(f"  {host.label}: {error}")

    async def _look_at(self, host: Host, wanted: Sequence[Wanted]) -> None:
        """Look into answers that are new to us; those of ours become the static server's files."""
        new = {each.request: each for each in wanted if each.request not in host.known}
        source = iter(new.values())
        folder = next((each.files for each in self.hosts if each.files is not None), None)

        async def looker() -> None:
            for each in source:
                body = await look(host, each)
                if host is self.hosts[0] and folder is not None:
                    (folder / file_of(each)).write_bytes(body)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LOOKERS):
                    group.create_task(looker())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _round(self, result: Result, number: int) -> None:
        """Measure the item on each server; another begins each round."""
        first = number % len(self.hosts)
        for host in (*self.hosts[first:], *self.hosts[:first]):
            if host.label in result.errors or not serves(host, result.item):
                continue
            slow = host.label in (ORTHANC, ORTHANC_SQLITE)
            if number and slow and isinstance(result.item.way, Began):
                continue  # it would take minutes; nothing of ours is judged by it
            try:
                sample = await result.item.way.measure(host, self.seconds)
            except (AnswerError, OSError) as error:
                result.errors[host.label] = str(error)
                self.progress(f"  {host.label}: {error}")
            else:
                result.samples.setdefault(host.label, []).append(sample)


def serves(host: Host, item: Item) -> bool:
    """Whether the item can be measured there: what is only read has no beginning and no store."""
    if host.label == S3:
        return item.on_s3
    if isinstance(item.way, FirstSteps | StepsAfterStore):  # to be held against that
        return host.label == OURS
    return not (host.static and isinstance(item.way, Began))


def needed(items: Sequence[Item]) -> set[Part]:
    """What has to be stored for the items."""
    return set(chain.from_iterable(item.needs for item in items))
