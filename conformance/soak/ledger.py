"""What was sent, acknowledged and deleted, and so what a server must have and must not have.

No I/O. A study is in flux while somebody stores into it or deletes of it; `changes` counts these
times, so that a reader knows whether what it read can be held to what the ledger says.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kept:
    """One instance as it must be: digests are SHA-256 in hex.

    `original` is that of the file as it was sent, `file` that of the file as it is retrieved:
    another one if the server wrote it, or has to send it in Explicit VR. `frame` is that of the
    first frame's stored values, uncompressed, little endian; empty if there are none. `frames`
    counts them.
    """

    series_uid: str
    sop_uid: str
    kind: str
    original: str
    file: str
    frame: str = ""
    frames: int = 0


@dataclass(slots=True)
class Study:
    """One study. `kept` by SOP Instance UID is what the server has acknowledged and not deleted."""

    uid: str
    patient_id: str
    kept: dict[str, Kept] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    """Digests of all files that were sent, also of those that were never acknowledged."""
    refused: set[str] = field(default_factory=set)
    """SOP Instance UIDs that the server has refused: of damaged files."""
    deleted: set[str] = field(default_factory=set)
    """SOP Instance UIDs whose deletion was acknowledged."""
    changes: int = 0
    in_flux: bool = False
    doubtful: bool = False
    """Something was sent and given up: it may be there whole, or not at all."""

    def settled_as(self, mark: int) -> bool:
        """Whether nothing has changed since `changes` was `mark`."""
        return self.changes == mark and not self.in_flux


@dataclass(slots=True)
class Totals:
    """How many instances, and studies, were acknowledged, deleted and refused."""

    acknowledged: int = 0
    deleted: int = 0
    refused: int = 0
    studies: int = 0


class Ledger:
    """All studies of a run."""

    def __init__(self) -> None:
        self.studies: dict[str, Study] = {}
        self.totals = Totals()
        self._present: dict[str, Study] = {}  # those with anything kept

    def study(self, uid: str, patient_id: str) -> Study:
        """The study, begun if it is new."""
        if uid not in self.studies:
            self.studies[uid] = Study(uid, patient_id)
            self.totals.studies += 1
        return self.studies[uid]

    @contextmanager
    def changing(self, study: Study) -> Iterator[None]:
        """While something is stored into `study` or deleted of it; by one client at a time."""
        assert not study.in_flux
        study.in_flux = True
        study.changes += 1
        try:
            yield
        finally:
            study.in_flux = False

    def sent(self, study: Study, file: str) -> None:
        """A file with this digest is about to be sent."""
        study.sent.add(file)

    def acknowledged(self, study: Study, kept: Kept) -> None:
        """The server has said that it has this instance."""
        if kept.sop_uid not in study.kept:
            self.totals.acknowledged += 1
        study.sent.add(kept.file)
        study.kept[kept.sop_uid] = kept
        self._present[study.uid] = study
        study.deleted.discard(kept.sop_uid)

    def refused(self, study: Study, sop_uid: str) -> None:
        """The server has refused this instance for good."""
        self.totals.refused += 1
        study.refused.add(sop_uid)

    def deleted(self, study: Study, sop_uids: set[str]) -> None:
        """The server has said that these are gone."""
        self.totals.deleted += len(sop_uids)
        for sop_uid in sop_uids:
            del study.kept[sop_uid]
        study.deleted |= sop_uids
        if not study.kept:
            del self._present[study.uid]

    def present(self) -> list[Study]:
        """The studies that have to be there, and that nobody changes now."""
        return [study for study in self._present.values() if not study.in_flux]

    def pick(self, order: random.Random, *, recent: int = 40) -> Study | None:
        """One of them, half of the time one of the `recent` last, as people read what is new."""
        present = self.present()
        if not present:
            return None
        return order.choice(present[-recent:] if order.random() < 0.5 else present)

    def instances(self) -> int:
        """How many instances have to be there."""
        return sum(len(study.kept) for study in self._present.values())
