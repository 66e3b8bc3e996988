"""What all reports tell: how many checks ended how, by level."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.suite.model import Level, Outcome, Status


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of how checks ended: (level, status) → number."""

    counts: Counter[tuple[Level, Status]]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Summary":
        return cls(Counter((outcome.check.level, outcome.status) for outcome in outcomes))

    def number(self, status: Status, level: Level | None = None) -> int:
        levels = [level] if level else list(Level)
        return sum(self.counts[one, status] for one in levels)

    def rate(self, level: Level) -> float | None:
        """The share that passed of what could be decided, None of nothing."""
        passed = self.counts[level, Status.PASSED]
        failed = self.counts[level, Status.FAILED] + self.counts[level, Status.BROKEN]
        return passed / (passed + failed) if passed + failed else None

    @property
    def conforms(self) -> bool:
        """No MUST has failed, and none was left undecided for a fault of the suite."""
        must = (self.counts[Level.MUST, Status.FAILED], self.counts[Level.MUST, Status.BROKEN])
        return not any(must)
