"""Searches for what the suite has stored: all are narrowed to its own patients."""

from collections.abc import Sequence
from urllib.parse import quote

from conformance.suite.http import Answer
from conformance.suite.json_model import JsonDataset, datasets_of, value_of
from conformance.suite.model import Deviation, expect
from conformance.suite.run import DICOM_JSON, Run, status

STUDY_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"

Keys = Sequence[tuple[str, str]]


def query(keys: Keys) -> str:
    """The query part of a URI; names as they are, values percent-encoded (RFC 3986), but for
    what may stand in a query as it is, and does with most clients."""
    return "&".join(f"{name}={quote(value, safe='*?')}" for name, value in keys)


def ask(run: Run, path: str, keys: Keys = (), accept: str | None = DICOM_JSON) -> Answer:
    """A search as it is, whatever is answered."""
    return run.get(f"{path}?{query(keys)}" if keys else path, accept)


def search(run: Run, path: str, keys: Keys = ()) -> list[JsonDataset]:
    """What a search finds: 204 is an empty list. Raises Deviation for another answer.

    An empty array is taken too: one check, nothing_found, is there for that (trap 43)."""
    answer = status(ask(run, path, keys), 200, 204)
    if answer.status == 204:
        expect(not answer.body, "no body with 204", f"{len(answer.body)} bytes")
        return []
    return datasets_of(answer)


def own(run: Run, *keys: tuple[str, str], patient: str = "*") -> list[tuple[str, str]]:
    """Keys, narrowed to the suite's patients: `patient` is what follows the token in the ID."""
    return [("PatientID", f"{run.shelf.token}-{patient}"), *keys]


def uids(found: Sequence[JsonDataset], tag: str) -> list[str]:
    """The UIDs of what was found, in its order. Raises Deviation where one is missing or found
    twice (trap 44)."""
    listed = [value_of(dataset, tag) for dataset in found]
    if not all(isinstance(uid, str) for uid in listed):
        raise Deviation(f"attribute {tag} in each result", str(listed))
    expect(len(set(listed)) == len(listed), "each result once", listed)
    return listed


def finds(run: Run, path: str, keys: Keys, tag: str, wanted: set[str]) -> list[JsonDataset]:
    """Search, and expect just `wanted`, UIDs of `tag`."""
    found = search(run, path, keys)
    got = set(uids(found, tag))
    if got != wanted:
        missing, extra = sorted(wanted - got), sorted(got - wanted)
        raise Deviation(
            f"{len(wanted)} results for {query(keys)}",
            f"{len(got)}; missing {missing or 'none'}, too many {extra or 'none'}",
        )
    return found


def of_kinds(run: Run, *kinds: str) -> dict[str, set[str]]:
    """The UIDs of the instances of these kinds, by tag of their level."""
    items = [item for kind in kinds for item in run.stored(kind)]
    return {
        STUDY_UID: {item.study for item in items},
        SERIES_UID: {item.series for item in items},
        INSTANCE_UID: {item.uid for item in items},
    }
