"""The rounds: each item on each server and on the bare machine, one right after the other."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conformance.benchmark.client import Address, AnswerError
from conformance.benchmark.items import Corpus, Item
from conformance.benchmark.limits import durable_writes, jpeg_encodings, static_answers
from conformance.benchmark.load import Sample, load
from conformance.benchmark.processes import cpu_seconds
from tests.make import study_of

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is measured. `processes` names those whose time counts; none if unknown."""

    label: str
    address: Address
    processes: Callable[[], set[int]] = set


@dataclass(slots=True)
class Result:
    """All rounds of one item: samples by target's label, and of the machine's limit."""

    item: Item
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    limit: list[Sample] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def ratio(self, label: str, other: str | None = None) -> float | None:
        """Median over the rounds of a target's rate ÷ another's, or ÷ the machine's limit."""
        beside = self.limit if other is None else self.samples.get(other, [])
        pairs = zip(self.samples.get(label, []), beside, strict=False)
        rates = [ours.rate / theirs.rate for ours, theirs in pairs]
        return statistics.median(rates) if rates else None


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. `static` is the static server, `files` the folder it reads, `scratch` for writes."""

    targets: Sequence[Target]
    corpus: Corpus
    static: Address
    files: Path
    scratch: Path
    seconds: float
    progress: Progress

    async def run(self, items: Sequence[Item], *, rounds: int) -> list[Result]:
        """Store the corpus on every target, then measure all items so many times in turn."""
        for target in self.targets:
            self.progress(f"storing {len(self.corpus.slices)} CT slices on {target.label}")
            await self.corpus.store(target.address)
        results = [Result(item) for item in items]
        for number in range(rounds):
            for result in results:
                self.progress(f"round {number + 1} of {rounds}: {result.item.name}")
                await self._round(result)
        return results

    async def _round(self, result: Result) -> None:
        item = result.item
        prepared = list(item.asks()) if item.finite else None
        sample = None
        for target in self.targets:
            if target.label in result.errors:
                continue
            before = cpu_seconds(target.processes())
            try:
                sample = await load(
                    target.address,
                    item.connections,
                    item.asks() if prepared is None else prepared,
                    seconds=float("inf") if item.finite else self.seconds,
                )
                cpu = cpu_seconds(target.processes()) - before
                if item.verify is not None:
                    await item.verify(target.address)
            except (AnswerError, OSError) as error:
                result.errors[target.label] = str(error)
                self.progress(f"  {target.label}: {error}")
                continue
            known = cpu if target.processes() else None
            timed = Sample(
                sample.units, sample.seconds, sample.payload, sample.latencies, cpu_seconds=known
            )
            result.samples.setdefault(target.label, []).append(timed)
        if sample is not None:
            prepared = None  # a few hundred megabytes that the limit does not need
            result.limit.append(await self._limit(item, sample))

    async def _limit(self, item: Item, sample: Sample) -> Sample:
        if item.limit == "writes":
            made = study_of(1, sample.units, seed=0)
            files = [instance.file() for instance in made]
            return await durable_writes(
                files, threads=item.connections, folder=self.scratch / "writes"
            )
        if item.limit == "jpeg":
            first = self.corpus.slices[0]
            pixels = np.frombuffer(first.pixels(), "<i2").reshape(first.rows, first.columns)
            threads = min(item.connections, os.cpu_count() or 1)
            return await jpeg_encodings(pixels, threads=threads, seconds=self.seconds)
        if item.limit == "files":
            lengths = {f"/files/{path.name}": path.stat().st_size for path in self.files.iterdir()}
        else:
            length = sample.payload // sample.units
            lengths = {f"/bytes/{length}": length}
        return await static_answers(
            self.static, lengths, connections=item.connections, seconds=self.seconds
        )

    def write_files(self) -> None:
        """Put the corpus's slices into the static server's folder."""
        for number, instance in enumerate(self.corpus.slices):
            (self.files / f"{number}.dcm").write_bytes(instance.file())
