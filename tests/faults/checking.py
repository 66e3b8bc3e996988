"""Whether a server holds what it acknowledged, whole, and shows nothing by halves."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.storing import Record
from tests.running import RunningServer
from tests.web.asking import DICOM, parts_of

Row = dict[str, dict[str, Any]]  # of search results

ORIGINAL = {"Accept": f'multipart/related; type="{DICOM}"; transfer-syntax=*'}


@dataclass
class Found:
    """What a check came to."""

    instances: int = 0
    lost: int = 0  # acknowledged and not there, or not with the bytes that were sent
    damaged: int = 0  # there, with bytes that nobody sent


def check(server: RunningServer, record: Record, studies: set[str] | None = None) -> Found:
    """Compare what the server has of `studies`, or of all, with what was sent.

    Each row has its blob, for every instance is retrieved; the counts of studies and series
    are those of their instances. Raises AssertionError.
    """
    found = Found()
    with httpx.Client(base_url=server.base, timeout=120) as http:
        rows = _all(http, "studies")
        listed = {row["0020000D"]["Value"][0]: row for row in rows}
        assert len(listed) == len(rows)
        assert listed.keys() <= record.sent.keys(), "a study that nobody sent"
        for study in record.sent.keys() if studies is None else studies:
            row = listed.get(study)
            if row is None:
                found.lost += len(record.acknowledged[study])
                continue
            digests = _retrieve(http, study)
            _check_counts(http, study, row, len(digests))
            found.instances += len(digests)
            found.lost += len(record.acknowledged[study] - digests)
            found.damaged += len(digests - record.sent[study])
    return found


def _retrieve(http: httpx.Client, study: str) -> set[str]:
    """SHA-256 of the originals of a study, each retrieved. Those of a row without blob fail."""
    answer = http.get(f"studies/{study}", headers=ORIGINAL)
    assert answer.status_code == 200, answer.text[:500]
    parts = [data for _, data in parts_of(answer)]
    digests = {hashlib.sha256(data).hexdigest() for data in parts}
    assert len(digests) == len(parts), "an instance twice"
    return digests


def _check_counts(http: httpx.Client, study: str, row: Row, retrieved: int) -> None:
    instances = _all(http, f"studies/{study}/instances")
    series = _all(http, f"studies/{study}/series")
    metadata = http.get(f"studies/{study}/metadata").json()
    counts = Counter(instance["0020000E"]["Value"][0] for instance in instances)
    assert len(instances) == len(metadata) == retrieved
    assert row["00201208"]["Value"] == [retrieved]
    assert row["00201206"]["Value"] == [len(series)] == [len(counts)]
    stated = {one["0020000E"]["Value"][0]: one["00201209"]["Value"][0] for one in series}
    assert stated == counts


def _all(http: httpx.Client, path: str) -> list[Row]:
    """Every page of a search."""
    found: list[Row] = []
    while True:
        answer = http.get(path, params={"limit": "1000", "offset": str(len(found))})
        if answer.status_code == 204:
            return found
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page
        if len(page) < 1000:
            return found


def blobs_without_row(server: RunningServer, rows: int) -> int | None:
    """How many files no row names, as a crash may leave them; None for another store of blobs.

    Raises AssertionError if there are more rows than files.
    """
    files = sum(path.is_file() for path in (server.data_dir / "blobs").rglob("*"))
    if not files:
        return None
    assert files >= rows
    return files - rows
