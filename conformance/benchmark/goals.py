"""What our server shall reach, as data: the report says of each goal what was measured."""

from dataclasses import dataclass
from typing import Literal

OURS = "ours"
ONE_WORKER = "ours, 1 worker"
"""With WORKERS=1; `OURS` is as it comes, with one per core, four at the most."""
ORTHANC = "orthanc"
"""Debian's, with its index in Postgres as ours is."""
ORTHANC_SQLITE = "orthanc, SQLite"
BARE = "bare receiver"
NGINX = "nginx"
S3 = "ours on S3"

Measure = Literal[
    "rate", "p50_ms", "cpu_ms", "rss_mb", "times_peer", "times_item", "p50_times_item"
]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach with one item by the server `label`.

    `measure` says what `bound` is: a rate in units a second at least; a median latency or a
    processor time (server and Postgres) in ms a unit at most; the highest resident set of one
    of the server's processes in MB at most; how many times the rate of the server `beside`, or of
    the item `beside` on the same server, at least; or how many times its median latency at most.
    """

    measure: Measure
    bound: float
    label: str = OURS
    beside: str = ""

    def text(self, unit: str) -> str:
        """The goal in words; `unit` is what is counted in a second."""
        words = {
            "rate": f"≥ {self.bound:g} {unit}/s",
            "p50_ms": f"p50 ≤ {self.bound:g} ms",
            "cpu_ms": f"CPU ≤ {self.bound:g} ms",
            "rss_mb": f"RSS ≤ {self.bound:g} MB",
            "times_peer": f"≥ {self.bound:g}× {self.beside}",
            "times_item": f"≥ {self.bound:g}× “{self.beside}”",
            "p50_times_item": f"p50 ≤ {self.bound:g}× “{self.beside}”",
        }[self.measure]
        return words if self.label == OURS else f"{self.label} {words}"

    def verdict(self, value: float | None) -> str:
        """Whether `value`, None if there is none, reaches the goal."""
        if value is None:
            return "not measured"
        at_most = self.measure in ("p50_ms", "cpu_ms", "rss_mb", "p50_times_item")
        return "met" if (value <= self.bound if at_most else value >= self.bound) else "missed"
