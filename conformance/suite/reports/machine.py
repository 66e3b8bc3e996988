"""The report for machines: JSON, and JUnit's XML."""

import base64
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from conformance.suite.http import Answer, Exchange, told
from conformance.suite.model import Level, Outcome, Status
from conformance.suite.reports.summary import Summary


def as_json(base: str, outcomes: Sequence[Outcome], left: Sequence[str]) -> dict[str, Any]:
    """The run as plain values. Exchanges are those of checks that did not pass."""
    summary = Summary.of(outcomes)
    return {
        "base": base,
        "conforms": summary.conforms,
        "counts": {
            level.value: {status.value: summary.number(status, level) for status in Status}
            for level in Level
        },
        "left": list(left),
        "checks": [_check(outcome) for outcome in outcomes],
    }


def _check(outcome: Outcome) -> dict[str, Any]:
    check = outcome.check
    shown = outcome.status in (Status.FAILED, Status.BROKEN)
    return {
        "name": check.name,
        "level": check.level.value,
        "clause": check.clause,
        "rule": check.rule,
        "title": check.title,
        "status": outcome.status.value,
        "seconds": round(outcome.seconds, 3),
        "expected": outcome.expected,
        "got": outcome.got,
        "reason": outcome.reason,
        "exchanges": [_exchange(exchange) for exchange in outcome.exchanges if shown],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "method": exchange.method,
        "url": exchange.url,
        "headers": [list(field) for field in told(exchange.headers)],
        "body": base64.b64encode(exchange.body).decode(),
        "body_length": exchange.body_length,
        "answer": _answer(exchange.answer),
        "fault": exchange.fault,
    }


def _answer(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "status": answer.status,
        "reason": answer.reason,
        "headers": [list(field) for field in answer.headers],
        "body": base64.b64encode(answer.body).decode(),
        "whole": answer.whole,
    }


def as_junit(base: str, outcomes: Sequence[Outcome]) -> bytes:
    """A testsuite of JUnit's: a failure for what failed, skipped for what was not decided."""
    failed = [o for o in outcomes if o.status is Status.FAILED]
    broken = [o for o in outcomes if o.status is Status.BROKEN]
    suite = Element("testsuite", name=f"DICOMweb conformance of {base}")
    suite.set("tests", str(len(outcomes)))
    suite.set("failures", str(len(failed)))
    suite.set("errors", str(len(broken)))
    for outcome in outcomes:
        check = outcome.check
        case = SubElement(suite, "testcase", classname=check.area, name=check.name)
        case.set("time", f"{outcome.seconds:.3f}")
        text = f"{check.level} {check.clause} [{check.rule}] {check.title}"
        if outcome.status is Status.FAILED:
            told = f"expected {outcome.expected}; got {outcome.got}"
            SubElement(case, "failure", message=_printable(told)).text = _printable(text)
        elif outcome.status is Status.BROKEN:
            SubElement(case, "error", message="a fault of the suite").text = _printable(
                outcome.reason
            )
        elif outcome.status is not Status.PASSED:
            told = f"{outcome.status.value}: {outcome.reason}"
            SubElement(case, "skipped", message=_printable(told))
    made: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return made


def _printable(text: str) -> str:
    """Without the characters that XML cannot have."""
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "\N{REPLACEMENT CHARACTER}" for c in text)
