"""Which checks test which rule, and which row of the standard's tables.

``python -m conformance.suite.coverage`` writes the matrix in Markdown. A test holds it to this:
each rule is tested or excused, none is both, and every row names checks that there are.
"""

import sys
from collections.abc import Iterator

from conformance.suite.checks import CHECKS
from conformance.suite.model import Check
from conformance.suite.rules import EXCUSED, RULES, SECTIONS, TRAPS
from conformance.suite.tables import STANDARD, TABLES


def all_rules() -> dict[str, str]:
    """Every id that has to be tested or excused, with what it is about."""
    return RULES | {f"trap {number}": text for number, text in enumerate(TRAPS, 1)}


def rules_of(check: Check) -> list[str]:
    """The ids that a check names."""
    return check.rule.split(", ")


def checks_by_rule() -> dict[str, list[Check]]:
    """The checks of each id, sections of the digest among them."""
    found: dict[str, list[Check]] = {rule: [] for rule in [*all_rules(), *SECTIONS]}
    for check in CHECKS:
        for rule in rules_of(check):
            found.setdefault(rule, []).append(check)
    return found


def markdown() -> Iterator[str]:
    """The matrix, line by line."""
    yield "| Rule | About | Checks |"
    yield "|---|---|---|"
    checks = checks_by_rule()
    for rule, about in all_rules().items():
        yield f"| {rule} | {about} | {_names(checks[rule]) or f'none: {EXCUSED[rule]}'} |"
    for number, rows in TABLES.items():
        yield f"\nTable {number}: {STANDARD[number]}\n"
        yield "| Row | Checks |"
        yield "|---|---|"
        for row, by in rows.items():
            yield f"| {row} | {by if isinstance(by, str) else ', '.join(by)} |"


def _names(checks: list[Check]) -> str:
    return ", ".join(check.name for check in checks)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in markdown())
