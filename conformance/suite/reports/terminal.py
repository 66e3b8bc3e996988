"""The report for a terminal: a line a check as it ends, the deviations, and the counts."""

import sys
from collections.abc import Sequence
from typing import TextIO

from conformance.suite.model import Level, Outcome, Status
from conformance.suite.reports.summary import Summary

_SIGNS = {
    Status.PASSED: "ok  ",
    Status.FAILED: "FAIL",
    Status.NOT_OFFERED: "-   ",
    Status.UNDECIDED: "?   ",
    Status.BROKEN: "!!! ",
}


class Terminal:
    """Prints to `target`. `verbose`: a line for what passed too."""

    def __init__(self, total: int, verbose: bool = False, target: TextIO = sys.stdout) -> None:
        self._total, self._verbose, self._target = total, verbose, target
        self._done = 0

    def told(self, outcome: Outcome) -> None:
        """One check has ended."""
        self._done += 1
        if outcome.status is Status.PASSED and not self._verbose:
            if self._target.isatty():
                self._say(f"\r{self._done}/{self._total} ", end="")
            return
        check = outcome.check
        if self._target.isatty():
            self._say("\r", end="")
        self._say(f"{_SIGNS[outcome.status]} {check.level:6} {check.name}: {check.title}")
        if outcome.status is Status.FAILED:
            self._say(f"       {check.clause} [{check.rule}]")
            self._say(f"       expected {outcome.expected}")
            self._say(f"       got      {outcome.got}")
        elif outcome.reason:
            self._say(f"       {outcome.reason}")

    def summed(self, outcomes: Sequence[Outcome], left: Sequence[str]) -> None:
        """All have ended; `left` are the studies that could not be removed."""
        summary = Summary.of(outcomes)
        self._say("")
        self._say("        " + "".join(f"{status.value:>13}" for status in Status))
        for level in Level:
            numbers = (summary.number(status, level) for status in Status)
            rate = summary.rate(level)
            percent = "" if rate is None else f"   {100 * rate:.1f} %"
            self._say(f"{level:8}" + "".join(f"{number:>13}" for number in numbers) + percent)
        if left:
            self._say(f"\n{len(left)} studies of the suite could not be deleted: {left[0]} …")

    def _say(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._target, flush=True)
