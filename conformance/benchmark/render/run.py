"""The rounds: each item on each server and by the codecs alone, one right after the other. Items
with goals are asked of a bare server too: the codecs behind HTTP, and nothing else."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

from pydicom import dcmread

from conformance.benchmark.client import AnswerError, Request, ask_once
from conformance.benchmark.load import WARMING_SECONDS, Ask, Sample, load
from conformance.benchmark.render.codecs import codecs_alone
from conformance.benchmark.render.items import Item, look_at
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.retrieve.measure import observed
from conformance.benchmark.run import quotients


@dataclass(slots=True)
class Result:
    """All rounds of one item, by server's label, and of the codecs alone."""

    item: Item
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    codecs: list[Sample] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def ratios(self, label: str, other: str | None = None) -> list[float]:
        """Round by round a server's rate ÷ another's, or ÷ that of the codecs."""
        beside = self.codecs if other is None else self.samples.get(other, [])
        return quotients(self.samples.get(label, []), beside)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. `hosts` have been started and hold the images; the first is ours. `bare` has been
    started too, and gets what it needs."""

    hosts: Sequence[Host]
    seconds: float
    progress: Callable[[str], None]
    bare: Host | None = None

    async def run(self, items: Sequence[Item], *, rounds: int) -> list[Result]:
        """Look into answers once, then measure all items so many times in turn.

        Raises AnswerError if an answer of ours is not right.
        """
        results = [Result(item) for item in items]
        for host in self.hosts:
            self.progress(f"looking at the pictures of {host.label}")
            for result in results:
                await self._look(host, result)
        for number in range(rounds):
            for result in results:
                self.progress(f"round {number + 1} of {rounds}: {result.item.name}")
                await self._round(result, number)
        return results

    async def _look(self, host: Host, result: Result) -> None:
        try:
            for request, size in result.item.looks():
                look_at(await ask_once(host.address, request), result.item, size)
        except (AnswerError, OSError) as error:
            if host is self.hosts[0]:
                raise
            result.errors[host.label] = str(error)
            self.progress(f"  {host.label}: {error}")

    async def _round(self, result: Result, number: int) -> None:
        first = number % len(self.hosts)
        for host in (*self.hosts[first:], *self.hosts[:first]):
            if host.label in result.errors:
                continue
            try:
                sample = await self._measure(host, result.item)
            except (AnswerError, OSError) as error:
                result.errors[host.label] = str(error)
                self.progress(f"  {host.label}: {error}")
            else:
                result.samples.setdefault(host.label, []).append(sample)
        result.codecs.append(await asyncio.to_thread(codecs_alone, result.item, self.seconds))
        if self.bare is not None and result.item.goals:
            sample = await self._measure_bare(self.bare, result.item)
            result.samples.setdefault(self.bare.label, []).append(sample)

    async def _measure_bare(self, bare: Host, item: Item) -> Sample:
        names = lay_pixels(bare, item)
        address = replace(bare.address, base=f"/pictures/{item.kind.rows}")

        def asks() -> Iterator[Ask]:
            while True:
                for name in names:
                    yield Ask(Request(f"/{name}", item.accept), item.check)

        # Over several connections, so that each of its processes has loaded the codecs
        await load(address, 8, asks(), seconds=WARMING_SECONDS)
        return await observed(
            bare, lambda: load(address, item.connections, asks(), seconds=self.seconds)
        )

    async def _measure(self, host: Host, item: Item) -> Sample:
        if item.cached:  # each once, before the time begins
            once = [ask for _, ask in zip(item.kind.pictures, item.asks(), strict=False)]
            await load(host.address, 8, once)
        else:
            await load(host.address, item.connections, item.asks(), seconds=WARMING_SECONDS)

        async def measured() -> Sample:
            return await load(host.address, item.connections, item.asks(), seconds=self.seconds)

        return await observed(host, measured)


def lay_pixels(bare: Host, item: Item) -> list[str]:
    """Put the pixels of an item's images, which are not compressed, where the bare server reads
    them; gives the names of the files."""
    assert bare.files is not None
    names = []
    for picture in item.kind.pictures:
        path = bare.files / f"pixels-{picture.sop_uid}"
        if not path.exists():
            path.write_bytes(dcmread(BytesIO(picture.file())).PixelData)
        names.append(path.name)
    return names
