"""What was judged of Orthanc: each judgement is of a check, and the page that is kept has it."""

import pytest

from conformance.judged import PAGE, changed, page
from conformance.judgements import ORTHANC
from conformance.suite.checks import AREAS
from conformance.suite.model import Outcome, Status
from conformance.suite.run import chosen

CHECKS = chosen(AREAS)


def outcomes(failing: set[str]) -> list[Outcome]:
    status = {True: Status.FAILED, False: Status.PASSED}
    return [Outcome(check, status[check.name in failing], got="500") for check in CHECKS]


def test_the_kept_page_has_a_line_for_each_judgement_and_no_other() -> None:
    """Made by ``make conformance-orthanc``, where Orthanc is installed; held to the code here."""
    kept = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    made = list(page("Orthanc", outcomes(set(ORTHANC))))
    rows = [line for line in made if line.split("|")[1:2] and line.split("|")[1].strip() in ORTHANC]
    assert len(rows) == len(ORTHANC)
    assert [line for line in kept if line.split("|")[1].strip() in ORTHANC] == rows
    assert "not judged" not in PAGE.read_text("utf-8")


def test_other_failures_than_those_judged_are_told() -> None:
    assert list(changed(outcomes(set(ORTHANC)))) == []
    name = next(check.name for check in CHECKS if check.name not in ORTHANC)
    [problem] = changed(outcomes({*ORTHANC, name}))
    assert problem.startswith(f"{name} fails, and was not judged")
    gone = next(iter(ORTHANC))
    [problem] = changed(outcomes(set(ORTHANC) - {gone}))
    assert problem == f"{gone} was judged, and does not fail"
    assert any("**not judged**" in line for line in page("Orthanc", outcomes({name})))


@pytest.mark.parametrize("name", sorted(ORTHANC))
def test_each_judgement_is_of_a_check_and_says_something(name: str) -> None:
    assert name in {check.name for check in CHECKS}
    kind, words = ORTHANC[name]
    assert kind in ("deviation", "advice")
    assert len(words) > 10
    assert "|" not in words
