"""What is stored on every server to be retrieved."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Literal

from conformance.benchmark.client import Address
from conformance.benchmark.items import STUDIES_LISTED, store_asks
from conformance.benchmark.load import Ask, load
from conformance.benchmark.stores import MultiFrame
from tests.make import Instance, study_of

Part = Literal["short", "long", "multi-frame", "worklist"]

SHORT = 100  # instances of the short series
OLD = "19990101"  # Study Date of what is stored while we measure: on no worklist's first page


@dataclass(frozen=True)
class Shelf:
    """A short CT series, a long one, a multi-frame instance, and small studies for a list."""

    seed: int
    long_length: int = 1000

    @cached_property
    def short(self) -> Sequence[Instance]:
        """A series of 100 slices of 0.5 MB, alone in its study."""
        return study_of(1, SHORT, seed=self.seed)

    @cached_property
    def long(self) -> Sequence[Instance]:
        """A long series of such slices, alone in its study."""
        return study_of(1, self.long_length, seed=self.seed + 1)

    @cached_property
    def multi_frame(self) -> MultiFrame:
        """200 frames of 0.5 MB."""
        return MultiFrame(self.seed + 2)

    @cached_property
    def worklist(self) -> Sequence[Instance]:
        """Enough studies for a full page of a list."""
        seeds = range(self.seed + 3, self.seed + 3 + STUDIES_LISTED)
        return [study_of(1, 1, seed=seed, rows=8, columns=8)[0] for seed in seeds]

    @cached_property
    def _later(self) -> Iterator[int]:
        return count(self.seed + 3 + STUDIES_LISTED)

    def new_series(self, length: int) -> Sequence[Instance]:
        """A series that nobody has yet, of small slices with the same long header."""
        return study_of(1, length, seed=next(self._later), rows=64, columns=64, StudyDate=OLD)

    def another_long(self) -> Sequence[Instance]:
        """A series like the long one, that nobody has yet."""
        return study_of(1, self.long_length, seed=next(self._later), StudyDate=OLD)

    async def store(self, server: Address, parts: Collection[Part]) -> None:
        """Store the `parts`. Raises AnswerError if not all of it is reported as stored."""
        if "short" in parts:
            await load(server, 4, store_asks(self.short, batch=10))
        if "long" in parts:
            await load(server, 4, in_tens(self.long))
        if "multi-frame" in parts:
            await load(server, 1, store_asks([self.multi_frame], batch=1))
        if "worklist" in parts:
            await load(server, 4, store_asks(self.worklist, batch=20))


def in_tens(instances: Sequence[Instance]) -> Iterator[Ask]:
    """Requests of ten instances, each made when it is its turn."""
    for start in range(0, len(instances), 10):
        yield from store_asks(instances[start : start + 10], batch=10)
