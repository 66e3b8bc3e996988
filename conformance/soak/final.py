"""The end of a run: what was acknowledged is there, byte for byte, and nothing else is."""

from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from conformance.soak.ledger import Ledger, Study
from conformance.soak.material import IMPLICIT, digest
from conformance.suite.http import media_type
from conformance.suite.multipart import split
from tests.faults.checking import blobs_without_row, check
from tests.faults.storing import Record
from tests.running import RunningServer

EXACTLY = "application/dicom; transfer-syntax=1.2.840.10008.1.2"
FRAMES = 'multipart/related; type="application/octet-stream"'


@dataclass(slots=True)
class Outcome:
    """What was found. `problems` says in words what may not be."""

    studies: int = 0
    instances: int = 0
    expected: int = 0
    lost: int = 0
    damaged: int = 0
    whole_unacknowledged: int = 0
    """Whole instances of senders that were cut off and did not come again."""
    frames_compared: int = 0
    verify_status: int = -1
    left_in_tmp: int = 0
    blobs_without_row: int | None = None
    problems: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Fit for JSON."""
        return asdict(self)


def examine(server: RunningServer, ledger: Ledger) -> Outcome:
    """Compare all that the server has with the ledger. Nobody may store or delete meanwhile."""
    record = Record()
    for study in ledger.studies.values():
        record.sent[study.uid] = set(study.sent)
        record.acknowledged[study.uid] = {kept.file for kept in study.kept.values()}
    outcome = Outcome(expected=ledger.instances())
    try:
        found = check(server, record)
        outcome.instances, outcome.lost = found.instances, found.lost
        outcome.damaged = found.damaged
        outcome.whole_unacknowledged = found.instances - outcome.expected + found.lost
    except AssertionError as error:
        outcome.problems.append(f"what is there does not agree with itself: {error}")
    with httpx.Client(base_url=server.base, timeout=120) as http:
        for study in ledger.studies.values():
            outcome.studies += bool(study.kept)
            _examine_study(http, study, outcome)
    tmp = server.data_dir / "tmp"
    outcome.left_in_tmp = sum(1 for _ in tmp.iterdir())
    outcome.blobs_without_row = blobs_without_row(server, outcome.instances)
    outcome.verify_status = server.command("verify", "--from-start")
    for wrong, words in (
        (outcome.lost, "acknowledged instances lost"),
        (outcome.damaged, "instances with bytes that nobody sent"),
        (outcome.verify_status, "is the status of `verify`"),
        (outcome.left_in_tmp, "files left in the folder of uploads"),
    ):
        if wrong:
            outcome.problems.append(f"{wrong} {words}")
    return outcome


def _examine_study(http: httpx.Client, study: Study, outcome: Outcome) -> None:
    """What is kept has its pixels; what was refused or deleted is not to be seen."""
    answer = http.get("instances", params={"StudyInstanceUID": study.uid, "limit": "1000"})
    there = {row["00080018"]["Value"][0] for row in (answer.json() if answer.content else [])}
    for gone, words in ((study.refused, "refused"), (study.deleted, "deleted")):
        if gone & there:
            outcome.problems.append(f"{study.uid}: {len(gone & there)} instances {words} are there")
    if not study.doubtful and there != study.kept.keys():
        outcome.problems.append(f"{study.uid}: {len(there)} instances for {len(study.kept)}")
    for kept in study.kept.values():
        if not kept.frame:
            continue
        path = f"studies/{study.uid}/series/{kept.series_uid}/instances/{kept.sop_uid}"
        answer = http.get(f"{path}/frames/1", headers={"Accept": FRAMES})
        outcome.frames_compared += 1
        if answer.status_code != 200 or digest(_only_part(answer)) != kept.frame:
            outcome.problems.append(f"{path}: not its pixels ({answer.status_code}, {kept.kind})")
        if kept.kind == IMPLICIT:
            answer = http.get(path, headers={"Accept": EXACTLY})
            if digest(answer.content) != kept.original:
                outcome.problems.append(f"{path}: not the file that was sent")


def _only_part(answer: httpx.Response) -> bytes:
    boundary = media_type(answer.headers["content-type"]).parameters["boundary"]
    return split(answer.content, boundary.encode())[0].body
