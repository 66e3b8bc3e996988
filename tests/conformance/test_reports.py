"""Reports: what they tell, that they are well-formed, and that they keep secrets."""

import json
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest

from conformance.suite.checks import AREAS
from conformance.suite.http import Answer, Exchange
from conformance.suite.model import CHECKS, Check, Level, Outcome, Status
from conformance.suite.reports.machine import as_json, as_junit
from conformance.suite.reports.page import as_html
from conformance.suite.reports.summary import Summary
from conformance.suite.reports.terminal import Terminal
from conformance.suite.run import chosen


def outcome(status: Status, level: Level = Level.MUST) -> Outcome:
    check = Check("a.check", "a", level, "PS3.18 0.0", "RULE-1", "Title & <more>", lambda _: None)
    answer = Answer(200, "OK", [("X-Odd", "<script>")], b"<b>\x00", "http://x/")
    headers = [("Accept", "*/*"), ("Authorization", "Bearer hidden")]
    exchange = Exchange("GET", "http://x/studies", headers, answer=answer)
    return Outcome(check, status, 0.1, "one <thing>", "another\x01", "why", [exchange])


ALL = [outcome(status, level) for status in Status for level in Level]


def test_the_page_is_html_that_escapes_and_keeps_secrets() -> None:
    page = as_html("http://x/", ALL, ["2.25.1"], "now")
    HTMLParser().feed(page)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Bearer hidden" not in page
    assert "2.25.1" in page
    assert page.count("<details") == len(ALL)


def test_junit_counts_failures_errors_and_what_was_skipped() -> None:
    suite = ElementTree.fromstring(as_junit("http://x/", ALL))
    assert suite.get("tests") == str(len(ALL))
    assert (suite.get("failures"), suite.get("errors")) == ("3", "3")
    assert len(suite.findall("testcase/skipped")) == 6


def test_json_has_counts_and_exchanges_of_what_failed() -> None:
    found = json.loads(json.dumps(as_json("http://x/", ALL, [])))
    assert found["counts"]["MUST"]["failed"] == 1
    assert not found["conforms"]
    assert {bool(c["exchanges"]) for c in found["checks"] if c["status"] == "failed"} == {True}
    assert "Bearer hidden" not in json.dumps(found)


def test_a_server_conforms_if_no_must_failed() -> None:
    assert Summary.of([outcome(Status.PASSED), outcome(Status.FAILED, Level.SHOULD)]).conforms
    assert not Summary.of([outcome(Status.BROKEN)]).conforms
    assert Summary.of([outcome(Status.UNDECIDED)]).rate(Level.MUST) is None


def test_the_terminal_tells_what_failed_and_why() -> None:
    said = StringIO()
    terminal = Terminal(2, target=said)
    terminal.told(outcome(Status.PASSED))
    terminal.told(outcome(Status.FAILED))
    terminal.summed(ALL, ["2.25.1"])
    assert said.getvalue().count("Title & <more>") == 1
    assert "expected one <thing>" in said.getvalue()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_names_its_clause_and_rule(check: Check) -> None:
    assert check.clause
    assert check.rule
    assert check.title
    assert check.area in AREAS


def test_checks_are_chosen_by_area_and_name() -> None:
    assert len(chosen(AREAS)) == len(CHECKS)
    assert {check.area for check in chosen(["frames"])} == {"frames"}
    assert [check.name for check in chosen(AREAS, ["frames.native"])] == ["frames.native"]
