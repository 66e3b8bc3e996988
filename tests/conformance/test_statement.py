"""The conformance statement: made of the code, kept as it is made, and telling every decision."""

import re

import pytest

from conformance.statement.annex import extensions, sections
from conformance.statement.generate import STATEMENT, TEMPLATE, statement
from conformance.statement.outcomes import kept
from conformance.suite.checks import CHECKS
from conformance.suite.model import Level, Status
from conformance.suite.rules import RULES
from dicomweb_server.config import Settings
from dicomweb_server.wire.surface import SURFACE

TEXT = STATEMENT.read_text("utf-8")


def test_the_kept_statement_is_what_is_made() -> None:
    assert statement() == TEXT, "make statement"


def test_nothing_is_left_to_fill_in() -> None:
    assert "{{" not in TEXT


def test_every_decision_is_stated() -> None:
    """[D]: where the standard is silent or leaves a choice, the statement says which was made."""
    stated = sections(TEMPLATE.read_text("utf-8"))
    decided = [rule for rule, about in RULES.items() if about.endswith("[D]")]
    assert len(decided) > 60
    assert [rule for rule in decided if rule not in stated and not rule.startswith("UPS")] == []
    assert set(stated) <= set(RULES)


def test_the_outcomes_are_of_the_checks_that_there_are_and_none_that_binds_has_failed() -> None:
    outcomes = kept()
    assert set(outcomes) == {check.name for check in CHECKS}, "make statement"
    binding = {outcomes[check.name] for check in CHECKS if check.level is not Level.MAY}
    assert binding == {Status.PASSED}
    assert set(outcomes.values()) <= {Status.PASSED, Status.NOT_OFFERED}


def test_every_resource_and_setting_that_is_named_is_there() -> None:
    for path in SURFACE:
        assert re.search(rf"\| `\S*{re.escape(path.rpartition('/')[2])}` \|", TEXT), path
    settings = {name.upper() for name in Settings.model_fields}
    tests = {"NOT_OFFERED", "LINEAR_EXACT"}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT)) - tests
    assert named <= settings


def test_links_within_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    readme = (STATEMENT.parents[1] / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(#([\w-]+)\)", TEXT))
    linked |= set(re.findall(r"\(conformance/STATEMENT\.md#([\w-]+)\)", readme))
    assert linked <= anchors


def test_extensions_are_listed() -> None:
    named = list(extensions(TEMPLATE.read_text("utf-8")))
    assert any("application/zip" in line for line in named)
    assert all(line in TEXT for line in named)


def test_a_check_that_fails_is_told() -> None:
    outcomes = kept() | {"store.one-instance": "failed"}
    assert "store.one-instance (failed)" in statement(outcomes)
    assert "(failed)" not in TEXT


@pytest.mark.parametrize(
    "name", ["resources", "rules", "transfer_syntaxes", "wire.search.MAX_DEPTH"]
)
def test_the_template_asks_for_what_the_code_knows(name: str) -> None:
    assert f"{{{{{name}}}}}" in TEMPLATE.read_text("utf-8")
