"""Whether something grows: a stated rule, applied to each process that lived long enough. No I/O.

The first part of a life is warm-up and left out. Over the rest a line is fitted through the
medians of short spans, so that no single peak tilts it, and what it rises over that time is the
growth. For bytes it may be a share of the level, or so many bytes, whichever is more; for counts
so many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WARM_UP = 0.4
"""Share of a life that is warm-up."""
SPANS = 12
LEAST_SECONDS = 600.0
"""Shorter lives are not judged."""
BYTES_SHARE, BYTES_FLOOR = 0.08, 12e6
COUNT_LIMIT = 5.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a series went. `first` and `last` are the line's values at the ends of what counts."""

    name: str
    seconds: float
    first: float
    last: float
    limit: float
    unit: str

    @property
    def growth(self) -> float:
        """What the line rises."""
        return self.last - self.first

    @property
    def flat(self) -> bool:
        """Whether that is within the limit; shrinking is."""
        return self.growth <= self.limit


def settled(points: Sequence[Point], warm_up: float = WARM_UP) -> list[Point]:
    """The points after the warm-up, in up to `SPANS` medians. Ordered by time, as `points` are."""
    if not points:
        return []
    begin = points[0][0] + warm_up * (points[-1][0] - points[0][0])
    rest = [point for point in points if point[0] >= begin]
    size = max(1, len(rest) // SPANS)
    groups = [rest[at : at + size] for at in range(0, len(rest) - len(rest) % size, size)]
    return [(median(t for t, _ in each), median(v for _, v in each)) for each in groups]


def line(points: Sequence[Point]) -> tuple[float, float]:
    """Slope a second and value at time 0 of the least-squares line through `points`."""
    n = len(points)
    mean_t, mean_v = sum(t for t, _ in points) / n, sum(v for _, v in points) / n
    spread = sum((t - mean_t) ** 2 for t, _ in points)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in points) / spread if spread else 0.0
    return slope, mean_v - slope * mean_t


def judge(name: str, points: Sequence[Point], unit: str) -> Verdict:
    """Judge one series; `unit` is ``bytes`` or that of a count."""
    kept = settled(points)
    slope, at_zero = line(kept)
    begin, end = kept[0][0], kept[-1][0]
    first, last = at_zero + slope * begin, at_zero + slope * end
    limit = max(BYTES_SHARE * first, BYTES_FLOOR) if unit == "bytes" else COUNT_LIMIT
    return Verdict(name, end - begin, first, last, limit, unit)


def long_enough(points: Sequence[Point]) -> bool:
    """Whether this life is judged."""
    return len(points) > 1 and points[-1][0] - points[0][0] >= LEAST_SECONDS
