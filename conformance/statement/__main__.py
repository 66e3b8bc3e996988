"""``python -m conformance.statement``: write conformance/STATEMENT.md anew."""

import argparse
import sys

from conformance.statement.generate import STATEMENT, statement
from conformance.statement.outcomes import keep, run_ours
from conformance.suite.reports.summary import Summary


def main(arguments: list[str] | None = None) -> int:
    """Write it. The status is 1 if the suite was run, and a MUST failed."""
    parser = argparse.ArgumentParser(prog="python -m conformance.statement", description=__doc__)
    parser.add_argument("--run", action="store_true", help="run the suite before")
    conforms = True
    if parser.parse_args(arguments).run:
        outcomes = run_ours()
        conforms = Summary.of(outcomes).conforms
        keep(outcomes)
    STATEMENT.write_text(statement(), encoding="utf-8")
    return 0 if conforms else 1


if __name__ == "__main__":
    sys.exit(main())
