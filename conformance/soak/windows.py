"""Faults, what each may cost whom, and the times in which it may. No I/O."""

from dataclasses import dataclass, field
from math import inf

STORE, DELETE, SEARCH, METADATA, PIXELS, ENCODED, RENDERED = (
    "store", "delete", "search", "metadata", "pixels", "encoded", "rendered",
)  # fmt: skip
EVERYTHING = frozenset({STORE, DELETE, SEARCH, METADATA, PIXELS, ENCODED, RENDERED})


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault. Only `affects` may be refused (503) or cut off while it lasts.

    `gone`: the server itself is away, so that also nobody may listen. `weight`: how often it is
    chosen. `early`: only in the first part of a run, for it ends a process whose memory is to be
    watched over the rest.
    """

    name: str
    affects: frozenset[str] = EVERYTHING
    gone: bool = False
    weight: int = 1
    early: bool = False


@dataclass(slots=True)
class Window:
    """One fault: times in seconds from the run's begin.

    `ended`: when its cause was taken away; `recovered`: when the probes passed; `closed`: when
    refusals are no longer excused. `last_refusal`: the last that was seen meanwhile.
    """

    kind: FaultKind
    began: float
    ended: float = inf
    recovered: float = inf
    closed: float = inf
    last_refusal: float = 0.0
    refusals: int = 0
    broken: int = 0
    about: str = ""

    @property
    def recovery(self) -> float:
        """Seconds from the cause's end to the first pass of all probes and the last refusal."""
        return max(0.0, max(self.recovered, self.last_refusal) - self.ended)


@dataclass(slots=True)
class Windows:
    """All faults of a run, in order; they do not overlap."""

    all: list[Window] = field(default_factory=list)

    def open(self, kind: FaultKind, now: float) -> Window:
        """A fault begins."""
        window = Window(kind, now)
        self.all.append(window)
        return window

    def excuse(self, group: str, began: float, now: float, *, refused: bool, unheard: bool) -> bool:
        """Whether a request from `began` to `now` may have failed, and count it if so.

        `refused`: answered with 503; else the connection broke, or nobody listened (`unheard`).
        """
        for window in reversed(self.all):
            if window.closed < began:
                break
            if window.began > now or group not in window.kind.affects:
                continue
            if unheard and not window.kind.gone:
                continue
            window.last_refusal = max(window.last_refusal, now)
            if refused:
                window.refusals += 1
            else:
                window.broken += 1
            return True
        return False

    def during(self, began: float, now: float) -> bool:
        """Whether a fault lasted at some moment of this time."""
        return any(each.began <= now and each.closed >= began for each in self.all)
