"""The conformance suite, as anybody would run it, against our own server: `make conformance`."""

import httpx
import pytest

from conformance.statement.outcomes import kept
from conformance.suite.checks import AREAS
from conformance.suite.http import Server
from conformance.suite.model import Level, Outcome, Status
from conformance.suite.run import Run, chosen, run_checks


@pytest.fixture(scope="module")
def outcomes(http: httpx.Client) -> list[Outcome]:
    run = Run(Server(str(http.base_url)))
    found = run_checks(run, chosen(AREAS))
    assert not run.left
    return found


def test_all_that_the_standard_demands_or_advises_is_done(outcomes: list[Outcome]) -> None:
    told = [
        f"{one.check.name}: {one.status}, {one.expected} {one.got} {one.reason}"
        for one in outcomes
        if one.check.level is not Level.MAY and one.status is not Status.PASSED
    ]
    # CORS is for the origins that an operator names; here are none.
    cors = ("capabilities.preflight: not offered", "http.cors-of-refusals: not offered")
    assert [one for one in told if not one.startswith(cors)] == []


def test_the_statement_tells_how_the_checks_end(outcomes: list[Outcome]) -> None:
    ended = {one.check.name: str(one.status) for one in outcomes}
    cors = {"capabilities.preflight", "http.cors-of-refusals"}  # see above
    differing = {name for name, status in kept().items() if ended.get(name) != status}
    assert differing - cors == set(), "make statement"


def test_all_that_it_allows_is_done_rightly_or_left_out(outcomes: list[Outcome]) -> None:
    statuses = {one.check.name: one.status for one in outcomes if one.check.level is Level.MAY}
    assert set(statuses.values()) <= {Status.PASSED, Status.NOT_OFFERED}, statuses
