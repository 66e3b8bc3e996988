"""The conformance suite tests every rule that it can, and says why it cannot test the others."""

import re

from conformance.suite.checks import CHECKS
from conformance.suite.coverage import all_rules, checks_by_rule, markdown, rules_of
from conformance.suite.rules import EXCUSED, SECTIONS
from conformance.suite.tables import STANDARD, TABLES


def test_every_rule_is_tested_or_excused_and_none_is_both() -> None:
    checks = checks_by_rule()
    for rule in all_rules():
        assert bool(checks[rule]) != (rule in EXCUSED), rule
    assert set(EXCUSED) <= set(all_rules())


def test_checks_name_only_rules_that_there_are() -> None:
    known = {*all_rules(), *SECTIONS}
    unknown = {check.name: set(rules_of(check)) - known for check in CHECKS}
    assert {name: rules for name, rules in unknown.items() if rules} == {}
    assert all(re.search(r"PS3|RFC|XML|Fetch", check.clause) for check in CHECKS)


def test_every_section_has_a_check() -> None:
    checks = checks_by_rule()
    assert [section for section in SECTIONS if not checks[section]] == []


def test_every_table_of_the_studies_service_is_looked_at() -> None:
    assert list(TABLES) == list(STANDARD)


def test_clauses_name_tables_that_there_are() -> None:
    for check in CHECKS:
        for number in re.findall(r"PS3\.18[^;]*?Table ([\w.]+-\d+)", check.clause):
            assert number in STANDARD, check.name


def test_every_row_of_the_tables_names_checks_that_there_are_or_a_reason() -> None:
    names = {check.name for check in CHECKS}
    for title, rows in TABLES.items():
        for row, by in rows.items():
            assert by, (title, row)
            if not isinstance(by, str):
                assert set(by) <= names, (title, row, set(by) - names)


def test_the_matrix_has_a_line_for_each_rule_and_row() -> None:
    lines = [line for line in markdown() if line.startswith("| ")]
    rows = sum(map(len, TABLES.values())) + len(TABLES)
    assert len(lines) == len(all_rules()) + 1 + rows
