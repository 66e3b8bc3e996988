"""``python -m conformance.mutation``: every check with every mutation; no mutation may live."""

import argparse
import sys
from pathlib import Path

from conformance.mutation.answers import ANSWERS
from conformance.mutation.proxy import Mutation, spoiling
from conformance.mutation.representations import REPRESENTATIONS
from conformance.mutation.requests import REQUESTS
from conformance.started import OURS, started
from conformance.suite.checks import AREAS
from conformance.suite.http import Server
from conformance.suite.model import Check, Status
from conformance.suite.run import Run, chosen, cleared, filled, outcome_of

MUTATIONS = (*REQUESTS, *ANSWERS, *REPRESENTATIONS)


def main(arguments: list[str] | None = None) -> int:
    """Run it. The status is 1 if a check noticed no mutation, or a mutation was noticed by none,
    or a check broke: whatever comes has to be a deviation."""
    parser = argparse.ArgumentParser(prog="python -m conformance.mutation", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="mutations named like this")
    parser.add_argument("--check", metavar="TEXT", default="", help="checks named like this")
    parser.add_argument("--table", metavar="FILE", type=Path, help="the table, in Markdown")
    options = parser.parse_args(arguments)
    mutations = [one for one in MUTATIONS if options.only in one.name]
    checks = chosen(AREAS, [options.check] if options.check else [])
    with started(OURS) as base:
        run = Run(Server(base))
        filled(run)
        try:
            sound = {c.name: outcome_of(run, c).status for c in checks}
            found = {one.name: _noticed(base, run, one, checks, sound) for one in mutations}
        finally:
            run.server = Server(base)
            cleared(run)
    noticed = {name: failed for name, (failed, _) in found.items()}
    status = _told(noticed, checks, sound, options.table)
    return 1 if any(broken for _, broken in found.values()) else status


def _noticed(
    base: str, run: Run, mutation: Mutation, checks: list[Check], sound: dict[str, Status]
) -> tuple[set[str], set[str]]:
    """The checks that pass, and do not with this mutation; and those that it breaks."""
    with spoiling(base, mutation) as url:
        run.server, run.memory = Server(url), {}
        outcomes = [outcome_of(run, c) for c in checks if sound[c.name] is Status.PASSED]
        run.server.close()
    for one in outcomes:
        if one.seconds > 1:
            print(f"     {one.check.name} took {one.seconds:.0f} s", flush=True)
    broken = [one for one in outcomes if one.status is Status.BROKEN]
    for one in broken:
        print(f"!!! {mutation.name}: {one.check.name} is broken\n{one.reason}", flush=True)
    found = {one.check.name for one in outcomes if one.status is Status.FAILED}
    print(f"{len(found):4} checks notice '{mutation.name}': {mutation.about}", flush=True)
    return found, {one.check.name for one in broken}


def _told(
    noticed: dict[str, set[str]],
    checks: list[Check],
    sound: dict[str, Status],
    table: Path | None,
) -> int:
    passed = [check.name for check in checks if sound[check.name] is Status.PASSED]
    others = [check.name for check in checks if check.name not in passed]
    unmoved = [name for name in passed if not any(name in found for found in noticed.values())]
    living = [name for name, found in noticed.items() if not found]
    print(f"\n{len(passed)} checks, {len(noticed)} mutations")
    for title, names in (
        ("did not pass, and were not tried", others),
        ("notice no mutation", unmoved),
        ("mutations that no check notices", living),
    ):
        if names:
            print(f"{len(names)} {title}: {', '.join(names)}")
    if table:
        lines = ["| check | is made to fail by |", "|---|---|"]
        for name in passed:
            by = ", ".join(mutation for mutation, found in noticed.items() if name in found)
            lines.append(f"| {name} | {by or '**nothing**'} |")
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if unmoved or living else 0


if __name__ == "__main__":
    sys.exit(main())
