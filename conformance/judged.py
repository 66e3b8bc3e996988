"""``python -m conformance.judged``: run the suite against Debian's Orthanc, and write what was
found of it to conformance/orthanc.md. Fails if other checks fail than were judged by hand."""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from conformance.__main__ import add_reports, write_reports
from conformance.judgements import ORTHANC as JUDGEMENTS
from conformance.started import ORTHANC, started
from conformance.suite.checks import AREAS
from conformance.suite.http import Server
from conformance.suite.model import CHECKS, Level, Outcome, Status
from conformance.suite.reports.summary import Summary
from conformance.suite.reports.terminal import Terminal
from conformance.suite.run import Run, chosen, run_checks

PAGE = Path(__file__).with_name("orthanc.md")

_HEAD = """\
# Orthanc, held to PS3.18

The conformance suite against {server}, as Debian ships them,
with their settings as they come. `make conformance-orthanc` writes this page anew, and fails
when other checks fail than those that were judged: by hand, exchange by exchange. A *deviation*
breaks the clause; *advice* is a check that asks for more than the standard demands. What Orthanc
answered stands in the suite's reports.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run it. The status is 1 if what fails is not what was judged, 2 without Orthanc."""
    parser = argparse.ArgumentParser(prog="python -m conformance.judged", description=__doc__)
    add_reports(parser)
    options = parser.parse_args(arguments)
    try:
        with started(ORTHANC) as base:
            run, terminal = Run(Server(base)), Terminal(len(CHECKS), verbose=False)
            outcomes = run_checks(run, chosen(AREAS), terminal.told)
            server = versions(base)
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return 2
    terminal.summed(outcomes, [])
    write_reports(options, base, outcomes, run.left)
    PAGE.write_text("\n".join(page(server, outcomes)) + "\n", encoding="utf-8")
    problems = list(changed(outcomes))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def versions(base: str) -> str:
    """What is asked: 'Orthanc 1.2.3 and its DICOMweb plugin 1.2'."""
    root = base.rsplit("/dicom-web", 1)[0]
    core, plugin = (_asked(f"{root}/{path}")["Version"] for path in ("system", "plugins/dicom-web"))
    return f"Orthanc {core} and its DICOMweb plugin {plugin}"


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def changed(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """What is not as it was judged."""
    failed = {one.check.name for one in outcomes if one.status is Status.FAILED}
    for name in sorted(failed - set(JUDGEMENTS)):
        yield f"{name} fails, and was not judged: see whether the check is right"
    for name in sorted(set(JUDGEMENTS) - failed):
        yield f"{name} was judged, and does not fail"


def page(server: str, outcomes: list[Outcome]) -> Iterator[str]:
    """The page, line by line."""
    yield _HEAD.format(server=server)
    yield "| | passed | failed | not offered | undecided |"
    yield "|---|---|---|---|---|"
    summary = Summary.of(outcomes)
    kinds = (Status.PASSED, Status.FAILED, Status.NOT_OFFERED, Status.UNDECIDED)
    for level in Level:
        counts = " | ".join(str(summary.number(kind, level)) for kind in kinds)
        yield f"| {level} | {counts} |"
    yield "\n| Check | Level | Clause | Judgement |"
    yield "|---|---|---|---|"
    for one in outcomes:
        if one.status is Status.FAILED:
            kind, words = JUDGEMENTS.get(one.check.name, ("**not judged**", one.got))
            check = one.check
            yield f"| {check.name} | {check.level} | {check.clause} | {kind}: {words} |"
    yield "\nUndecided, since what they build on is missing:\n"
    for one in outcomes:
        if one.status is Status.UNDECIDED:
            yield f"- {one.check.name}: {one.reason.splitlines()[0].split(' (expected')[0]}"


if __name__ == "__main__":
    sys.exit(main())
