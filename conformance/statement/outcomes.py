"""How the suite's checks ended with our server when it was last run for the statement."""

import json
from collections.abc import Iterable
from pathlib import Path

from conformance.started import OURS, started
from conformance.suite.checks import AREAS
from conformance.suite.http import Server
from conformance.suite.model import Outcome
from conformance.suite.run import Run, chosen, run_checks

_KEPT = Path(__file__).with_name("outcomes.json")


def kept() -> dict[str, str]:
    """Check → how it ended, as it was last written down."""
    found: dict[str, str] = json.loads(_KEPT.read_text("utf-8"))
    return found


def keep(outcomes: Iterable[Outcome]) -> None:
    """Write down how checks ended."""
    ended = {one.check.name: str(one.status) for one in outcomes}
    _KEPT.write_text(json.dumps(ended, indent=0) + "\n", encoding="utf-8")


def run_ours() -> list[Outcome]:
    """Run the suite against our server, as a user starts it."""
    with started(OURS) as base:
        return run_checks(Run(Server(base)), chosen(AREAS))
