"""``python -m conformance URL``: hold a DICOMweb server to PS3.18."""

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from conformance.started import ORTHANC, OURS, started
from conformance.suite.checks import AREAS
from conformance.suite.http import TIMEOUT, NoAnswer, Server
from conformance.suite.model import Outcome
from conformance.suite.reports.machine import as_json, as_junit
from conformance.suite.reports.page import as_html
from conformance.suite.reports.summary import Summary
from conformance.suite.reports.terminal import Terminal
from conformance.suite.run import Run, chosen, run_checks


def main(arguments: list[str] | None = None) -> int:
    """Run the suite. The status is 0 if no MUST failed, 1 if one did, 2 if nothing was run."""
    options = _parser().parse_args(arguments)
    headers = [tuple(text.split(": ", 1)) for text in options.header]
    if any(len(field) != 2 for field in headers):
        print("a header is given as 'Name: value'", file=sys.stderr)
        return 2
    if options.auth:
        headers.append(("Authorization", options.auth))
    areas = [area for area in options.only.split(",") if area]
    if unknown := set(areas) - set(AREAS):
        print(f"no such area: {', '.join(sorted(unknown))}; there are {', '.join(AREAS)}")
        return 2
    checks = chosen(areas or AREAS, options.check)
    if options.list:
        for check in checks:
            print(f"{check.level:6} {check.name}: {check.title} ({check.clause}) [{check.rule}]")
        return 0
    with ExitStack() as stack:
        if options.url in (OURS, ORTHANC):
            try:
                options.url = stack.enter_context(started(options.url))
            except FileNotFoundError as missing:
                print(missing, file=sys.stderr)
                return 2
        server = Server(options.url, headers, options.timeout, verify=not options.insecure)
        run, terminal = Run(server), Terminal(len(checks), options.verbose)
        try:
            outcomes = run_checks(run, checks, terminal.told)
        except NoAnswer as fault:
            print(f"no server at {options.url}: {fault.got}", file=sys.stderr)
            return 2
    terminal.summed(outcomes, run.left)
    write_reports(options, options.url, outcomes, run.left)
    return 0 if Summary.of(outcomes).conforms else 1


def write_reports(
    options: argparse.Namespace, url: str, outcomes: list[Outcome], left: list[str]
) -> None:
    """The reports that were asked for with the arguments of ``add_reports``."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if options.report:
        page = as_html(url, outcomes, left, when)
        options.report.write_text(page, encoding="utf-8")
    if options.junit:
        options.junit.write_bytes(as_junit(url, outcomes))
    if options.json:
        found = as_json(url, outcomes, left)
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def add_reports(parser: argparse.ArgumentParser) -> None:
    """The arguments that name files for reports."""
    add = parser.add_argument
    add("--report", metavar="FILE", type=Path, help="a page of HTML")
    add("--junit", metavar="FILE", type=Path, help="JUnit's XML")
    add("--json", metavar="FILE", type=Path, help="JSON")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    add = parser.add_argument
    add(
        "url",
        metavar="URL",
        help=f"the base URI of the Studies service; or {OURS}, {ORTHANC}: started for the run",
    )
    add("--auth", metavar="VALUE", help="the Authorization header, as in 'Bearer …'")
    add("--header", metavar="FIELD", action="append", default=[], help="another, 'Name: value'")
    add("--only", metavar="AREAS", default="", help=f"of {','.join(AREAS)}")
    add("--check", metavar="TEXT", action="append", default=[], help="checks named like this")
    add("--list", action="store_true", help="name the checks; ask nothing of the server")
    add_reports(parser)
    add("--timeout", metavar="S", type=float, default=TIMEOUT, help="seconds for an answer")
    add("--insecure", action="store_true", help="take any certificate")
    add("--verbose", action="store_true", help="a line for what passed, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
