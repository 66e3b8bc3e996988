"""The run: stores the shelf, runs the checks, clears up after itself."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.suite.http import Answer, Exchange, NoAnswer, Server
from conformance.suite.making import new_uid
from conformance.suite.model import (
    CHECKS,
    Check,
    Deviation,
    NotOffered,
    Outcome,
    Status,
    Undecided,
)
from conformance.suite.multipart import joined
from conformance.suite.shelf import Instance, Shelf

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
OCTETS = "application/octet-stream"


def multipart(kind: str, syntax: str | None = None) -> str:
    """An Accept value for multipart/related of a media type."""
    parameter = f"; transfer-syntax={syntax}" if syntax else ""
    return f'multipart/related; type="{kind}"{parameter}'


@dataclass
class Run:
    """What the checks of one run share."""

    server: Server
    shelf: Shelf = field(default_factory=Shelf)
    not_stored: dict[str, str] = field(default_factory=dict)  # kind → why
    made: set[str] = field(default_factory=set)  # studies to be removed at the end
    left: list[str] = field(default_factory=list)  # studies that could not be
    memory: dict[str, Any] = field(default_factory=dict)  # what checks keep for each other

    def get(self, path: str, accept: str | None = "*/*", *more: tuple[str, str]) -> Answer:
        """GET below the base URI; see Server.get."""
        return self.server.get(path, accept, *more)

    def ok(self, path: str, accept: str | None = "*/*", *more: tuple[str, str]) -> Answer:
        """The same, with 200 as the only status that will do. Raises Deviation."""
        return status(self.get(path, accept, *more), 200)

    def stored(self, kind: str) -> list[Instance]:
        """The instances of a kind, which are there. Raises Undecided if they could not be stored:
        that is a matter for the checks of storing."""
        if kind in self.not_stored:
            raise Undecided(f"the suite's '{kind}' could not be stored: {self.not_stored[kind]}")
        return self.shelf[kind]

    def store(
        self, files: Sequence[bytes], study: str | None = None, accept: str | None = DICOM_JSON
    ) -> Answer:
        """POST PS3.10 files as multipart/related."""
        kind, body = joined([(DICOM, file) for file in files], DICOM)
        return self.post(kind, body, f"studies/{study}" if study else "studies", accept)

    def post(
        self,
        kind: str,
        body: bytes | Iterable[bytes],
        path: str = "studies",
        accept: str | None = DICOM_JSON,
    ) -> Answer:
        """POST a body of the media type `kind`, whatever it is; in pieces it goes chunked."""
        headers = [("Accept", accept)] if accept is not None else []
        return self.server.send("POST", path, [*headers, ("Content-Type", kind)], body)

    def new_study(self) -> str:
        """A UID for a study that a check makes; what it stores of it is removed at the end."""
        uid = new_uid()
        self.made.add(uid)
        return uid

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once a run: for what several checks look at."""
        if name not in self.memory:
            self.memory[name] = make()
        return self.memory[name]


def status(answer: Answer, *wanted: int) -> Answer:
    """`answer`, if its status is one of these. Raises Deviation."""
    if answer.status not in wanted:
        codes = " or ".join(map(str, wanted))
        raise Deviation(f"status {codes}", f"{answer.status} {answer.reason}".strip())
    return answer


def run_checks(
    run: Run, checks: Iterable[Check], told: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Store the shelf, run `checks` in their order, remove what was stored. `told` hears of each.

    Raises NoAnswer if there is no server at all.
    """
    filled(run)
    try:
        outcomes = []
        for check in checks:
            outcomes.append(outcome_of(run, check))
            told(outcomes[-1])
        return outcomes
    finally:
        cleared(run)


def chosen(areas: Sequence[str], names: Sequence[str] = ()) -> list[Check]:
    """The checks of these areas, in their order; of these those whose names contain one of
    `names`, if there are any."""
    return [
        check
        for area in areas
        for check in CHECKS
        if check.area == area and (not names or any(name in check.name for name in names))
    ]


def outcome_of(run: Run, check: Check) -> Outcome:
    """Run one check."""
    run.server.exchanges = []
    outcome = Outcome(check, Status.PASSED)
    begin = time.monotonic()
    try:
        check.function(run)
    except Deviation as deviation:
        outcome.status = Status.FAILED
        outcome.expected, outcome.got = deviation.expected, deviation.got
    except NotOffered as reason:
        outcome.status, outcome.reason = Status.NOT_OFFERED, str(reason)
    except Undecided as reason:
        outcome.status, outcome.reason = Status.UNDECIDED, str(reason)
    except Exception as fault:
        outcome.status = Status.BROKEN
        outcome.reason = "".join(traceback.format_exception(fault)[-3:])
    outcome.seconds = time.monotonic() - begin
    outcome.exchanges = run.server.exchanges
    return outcome


def filled(run: Run) -> None:
    """Store the shelf. Raises NoAnswer if there is no server."""
    for kind, instances in run.shelf.kinds.items():
        run.made.update(instance.study for instance in instances)
        try:
            answer = run.store([instance.file for instance in instances])
        except NoAnswer as fault:
            if not run.server.exchanges[:-1]:
                raise
            run.not_stored[kind] = fault.got
            continue
        if answer.status not in (200, 202):
            run.not_stored[kind] = f"status {answer.status}"
        elif any(run.get(item.path, multipart(DICOM, "*")).status != 200 for item in instances):
            run.not_stored[kind] = "it was stored, and cannot be retrieved"


def cleared(run: Run) -> None:
    """Remove what was stored, by DELETE, which is no part of PS3.18. What stays is told."""
    run.server.exchanges = []
    for study in sorted(run.made):
        try:
            answer = run.server.send("DELETE", f"studies/{study}")
        except Deviation:
            run.left.append(study)
            continue
        if answer.status not in (200, 202, 204, 404, 410):
            run.left.append(study)
    run.server.close()


__all__ = [
    "DICOM",
    "DICOM_JSON",
    "DICOM_XML",
    "OCTETS",
    "Exchange",
    "Run",
    "chosen",
    "multipart",
    "run_checks",
    "status",
]
