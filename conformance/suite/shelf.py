"""The instances that the suite makes and stores: small, of many kinds, with attributes it knows.

Nothing in them is of a person. Each run has a `token`, which all its Patient IDs begin with, and
UIDs of its own (PS3.5 B.2), so that runs beside each other, and what was there before, do not
matter.
"""

from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from uuid import uuid4

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from conformance.suite.kinds import KINDS
from conformance.suite.pictures import PICTURES
from conformance.suite.texts import TEXTS


@dataclass(frozen=True)
class Instance:
    """One instance: its data set and its file."""

    dataset: Dataset

    @property
    def study(self) -> str:
        return str(self.dataset.StudyInstanceUID)

    @property
    def series(self) -> str:
        return str(self.dataset.SeriesInstanceUID)

    @property
    def uid(self) -> str:
        return str(self.dataset.SOPInstanceUID)

    @property
    def syntax(self) -> str:
        return str(self.dataset.file_meta.TransferSyntaxUID)

    @property
    def study_path(self) -> str:
        return f"studies/{self.study}"

    @property
    def series_path(self) -> str:
        return f"{self.study_path}/series/{self.series}"

    @property
    def path(self) -> str:
        """Below the base URI."""
        return f"{self.series_path}/instances/{self.uid}"

    @cached_property
    def file(self) -> bytes:
        """The PS3.10 file."""
        target = BytesIO()
        dcmwrite(target, self.dataset, enforce_file_format=True)
        return target.getvalue()


@dataclass
class Shelf:
    """What the suite stores before it asks. `kinds`: instances by the name of their kind."""

    token: str = field(default_factory=lambda: f"CF{uuid4().hex[:8].upper()}")
    kinds: dict[str, list[Instance]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, make in {**KINDS, **PICTURES, **TEXTS}.items():
            self.kinds[kind] = [Instance(dataset) for dataset in make(self.token)]

    def __getitem__(self, kind: str) -> list[Instance]:
        return self.kinds[kind]

    @property
    def studies(self) -> set[str]:
        return {item.study for kind in self.kinds.values() for item in kind}
