"""The rounds: each item on each server and on the bare machine, one right after the other."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from conformance.benchmark.client import Address, AnswerError
from conformance.benchmark.goals import Goal
from conformance.benchmark.items import Corpus, Item
from conformance.benchmark.limits import (
    durable_writes,
    group_commits,
    jpeg_encodings,
    static_answers,
)
from conformance.benchmark.load import Ask, Sample, load
from conformance.benchmark.processes import cpu_time
from conformance.benchmark.settling import settled

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is measured. `processes` names those whose time counts; none if unknown.

    `peer`: it is there to be compared with, and its errors are not ours. `keeps_nothing`: it is
    measured storing alone, and nothing that it took can be found again.
    """

    label: str
    address: Address
    processes: Callable[[], set[int]] = set
    peer: bool = False
    keeps_nothing: bool = False
    about: str = ""


@dataclass(slots=True)
class Result:
    """All rounds of one item: samples by target's label, and of the machine's limit."""

    item: Item
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    limit: list[Sample] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def ratios(self, label: str, other: str | None = None) -> list[float]:
        """Round by round a target's rate ÷ another's, or ÷ the machine's limit."""
        beside = self.limit if other is None else self.samples.get(other, [])
        return quotients(self.samples.get(label, []), beside)


def quotients(ours: Sequence[Sample], theirs: Sequence[Sample]) -> list[float]:
    """The rates of two measurements ÷ each other, for each round that has both."""
    return [one.rate / other.rate for one, other in zip(ours, theirs, strict=False)]


def reached(goal: Goal, result: Result, results: Mapping[str, Result]) -> float | None:
    """What was measured of a goal of `result`; None if nothing was. `results` by item's name."""
    samples = result.samples.get(goal.label, [])
    if not samples or goal.label in result.errors:
        return None
    if goal.measure == "times_peer":
        ratios = result.ratios(goal.label, goal.beside)
        return statistics.median(ratios) if ratios else None
    if goal.measure == "times_item":
        other = results.get(goal.beside)
        ratios = quotients(samples, other.samples.get(goal.label, []) if other else [])
        return statistics.median(ratios) if ratios else None
    if goal.measure == "p50_times_item":
        other = results.get(goal.beside)
        beside = other.samples.get(goal.label, []) if other else []
        return p50_ms(samples) / p50_ms(beside) if beside else None
    values: dict[str, float | None] = {
        "rate": statistics.median(sample.rate for sample in samples),
        "p50_ms": p50_ms(samples),
        "cpu_ms": cpu_ms(samples),
        "rss_mb": peak_rss_mb(samples),
    }
    return values[goal.measure]


def percentile(latencies: Sequence[float], percent: int) -> float:
    """The latency, in ms, that `percent` of the requests did not exceed."""
    ordered = sorted(latencies)
    return 1000 * ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def p50_ms(samples: Sequence[Sample]) -> float:
    """The median latency of all rounds, in ms."""
    return percentile([each for sample in samples for each in sample.latencies], 50)


def peak_rss_mb(samples: Sequence[Sample]) -> float | None:
    """The highest resident set of all rounds, in MB (10⁶ bytes); None if none is known."""
    return max((sample.peak_rss for sample in samples), default=0) / 1e6 or None


def cpu_ms(samples: Sequence[Sample], *, database: bool = False) -> float | None:
    """Processor time a unit in ms, of the server and Postgres or of the `database` alone."""
    known = [sample.cpu for sample in samples if sample.cpu is not None]
    if not samples or len(known) < len(samples):
        return None
    seconds = sum(cpu.database if database else cpu.total for cpu in known)
    return 1000 * seconds / sum(sample.units for sample in samples)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. `static` is the static server, `files` the folder it reads, `scratch` for writes,
    `database_url` a Postgres for rows.
    """

    targets: Sequence[Target]
    corpus: Corpus
    static: Address
    files: Path
    scratch: Path
    database_url: str
    seconds: float
    progress: Progress

    async def run(self, items: Sequence[Item], *, rounds: int) -> list[Result]:
        """Store the corpus on every target, then measure all items so many times in turn."""
        results = [Result(item) for item in items]
        for target in self.targets:
            if target.keeps_nothing or not self.corpus.slices:
                continue
            self.progress(f"storing {len(self.corpus.slices)} CT slices on {target.label}")
            await self._store_corpus(target, results)
        for number in range(rounds):
            for result in results:
                self.progress(f"round {number + 1} of {rounds}: {result.item.name}")
                await self._round(result, number)
        return results

    async def _store_corpus(self, target: Target, results: Sequence[Result]) -> None:
        """Without what is to be read, a peer can still be measured storing."""
        try:
            await self.corpus.store(target.address)
        except AnswerError as error:
            if not target.peer:
                raise
            self.progress(f"  {target.label}: {error}")
            for result in results:
                if result.item.asks is not None and not result.item.finite:
                    result.errors[target.label] = str(error)

    async def _round(self, result: Result, number: int) -> None:
        """Measure the item on each target and its limit; another target begins each round."""
        item = result.item
        first = number % len(self.targets)
        # What is measured of a server that reads goes on for some time, of storing to its end.
        prepared = list(item.asks()) if item.finite and item.asks is not None else None
        sample = None
        for target in (*self.targets[first:], *self.targets[:first]):
            if item.asks is None or target.label in result.errors:
                continue
            if target.keeps_nothing and not item.finite:
                continue
            try:
                sample = await self._measure(item, target, prepared)
            except (AnswerError, OSError) as error:
                result.errors[target.label] = str(error)
                self.progress(f"  {target.label}: {error}")
            else:
                result.samples.setdefault(target.label, []).append(sample)
        prepared = None  # a few hundred megabytes that the limit does not need
        if sample is not None or item.asks is None:
            result.limit.append(await self._limit(item, sample))

    async def _measure(self, item: Item, target: Target, prepared: list[Ask] | None) -> Sample:
        assert item.asks is not None
        before = cpu_time(target.processes())
        sample = await load(
            target.address,
            item.connections,
            item.asks() if prepared is None else prepared,
            seconds=float("inf") if item.finite else self.seconds,
        )
        family = target.processes()
        taken = cpu_time(family) - before
        if item.verify is not None and not target.keeps_nothing:
            await item.verify(target.address)
        if item.finite:
            await settled(target.processes)
        return replace(sample, cpu=taken if family else None)

    async def _limit(self, item: Item, sample: Sample | None) -> Sample:
        """The item's limit, for as much as `sample`, the last target's, if there is one."""
        if item.limit == "rows":
            return await group_commits(
                self.database_url, connections=item.connections, seconds=self.seconds
            )
        assert sample is not None
        if item.limit == "writes":
            return await durable_writes(
                [item.example()] * sample.units,
                threads=item.connections,
                folder=self.scratch,
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
