"""The studies that are there to be opened, and what a viewer asks for when it opens one."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from conformance.benchmark.client import Address, Answer, AnswerError, Request
from conformance.benchmark.items import STUDIES_LISTED, Stored, store_asks
from conformance.benchmark.load import Ask, load
from conformance.benchmark.retrieve.shelf import OLD
from conformance.benchmark.retrieve.wanted import (
    Wanted,
    frame_of,
    instance_path,
    metadata_of,
    middle_out,
    series_search,
    study_search,
    worklist,
)
from tests.make import Instance, study_of

STORED_AT_ONCE = 10  # instances of one store request

_windows = itertools.count()
"""One number for all servers and viewers, so that no picture is asked for twice."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One study of one series, and what is asked for when it is opened."""

    slices: Sequence[Instance]
    searches: Sequence[Wanted]  # for the study, for its series
    metadata: Wanted
    frames: Sequence[Wanted]  # from the middle out

    @classmethod
    def of(cls, slices: Sequence[Instance], looked_at: int) -> "Chart":
        """The chart of a study of whose `slices` so many are looked at."""
        order = middle_out(len(slices))[:looked_at]
        return cls(
            slices,
            [study_search(slices[0]), series_search(slices[0])],
            metadata_of(slices),
            [frame_of(slices[number]) for number in order],
        )


@dataclass(frozen=True)
class Ward:
    """So many `studies` of `length` CT slices of 0.5 MB, and a list to choose them from.

    All follows from the `seed`. `looked_at`: the slices of a study that are asked for; `listed`:
    the studies on the first page of the list; `rows`: of a slice, which has as many columns.
    """

    seed: int
    studies: int = 16
    length: int = 60
    looked_at: int = 40
    listed: int = STUDIES_LISTED
    rows: int = 512

    @cached_property
    def charts(self) -> Sequence[Chart]:
        """The studies."""
        return [
            Chart.of(self._study(self.length, self.seed + number), self.looked_at)
            for number in range(self.studies)
        ]

    @cached_property
    def listing(self) -> Wanted:
        """The list of studies."""
        return worklist(self.listed)

    @cached_property
    def _filler(self) -> Sequence[Instance]:
        """Small studies, as many as the list has room for."""
        first = self.seed + self.studies
        seeds = range(first, first + max(0, self.listed - self.studies))
        return [study_of(1, 1, seed=seed, rows=8, columns=8)[0] for seed in seeds]

    @cached_property
    def _later(self) -> Iterator[int]:
        return itertools.count(self.seed + self.studies + self.listed)

    @property
    def wanted(self) -> Iterator[Wanted]:
        """All that is looked into before anything is measured."""
        yield self.listing
        for chart in self.charts:
            yield from (*chart.searches, chart.metadata, *chart.frames)

    async def store(self, server: Address) -> None:
        """Store it all. Raises AnswerError if not all of it is reported as stored."""
        await load(server, 4, store_asks(self._filler, batch=20))
        for chart in self.charts:  # over new connections each: making the requests takes a while
            await load(server, 4, store_asks(chart.slices, batch=STORED_AT_ONCE))

    def new_study(self, length: int) -> Sequence[Stored]:
        """A study that nobody has yet; older than those on the list."""
        return self._study(length, next(self._later), StudyDate=OLD)

    def _study(self, length: int, seed: int, **keywords: str) -> Sequence[Instance]:
        return study_of(1, length, seed=seed, rows=self.rows, columns=self.rows, **keywords)


def picture_of(instance: Instance) -> Ask:
    """A slice as a JPEG, in a window that nobody has asked for."""
    window = f"{40 + next(_windows) / 1000:.3f},400,linear"
    path = f"{instance_path(instance)}/frames/1/rendered?window={window}"
    return Ask(Request(path, "image/jpeg", keep=True), _check_picture)


def _check_picture(answer: Answer) -> None:
    if answer.status != 200 or not answer.body.startswith(b"\xff\xd8\xff"):
        said = bytes(answer.body[:100])
        raise AnswerError(f"rendered: status {answer.status}, no JPEG: {said!r}")
