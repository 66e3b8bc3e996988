"""A shelf: instances that one test stores, searches by labels, and takes away again."""

import itertools
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import httpx
from pydicom import Dataset, dcmread

from tests.make import instance_with
from tests.make.files import part10
from tests.web.asking import found_in, new_uid, store

UIDS = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}
Private = Iterable[tuple[int, str, Any]]  # tag, VR, value


class Shelf:
    """Labelled instances among all others of the server: their studies have a description that
    no others have, which is a match key of every search."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.mark = f"SHELF{new_uid()[-8:]}"
        self._labels: dict[str, str] = {}  # by UIDs of every level
        self._studies: dict[str, None] = {}
        self._numbers = itertools.count(1)

    def put(self, label: str, *, private: Private = (), **attributes: Any) -> Dataset:
        """Store an instance, in a study and series of its own unless UIDs are given."""
        uid = new_uid()
        values = {
            "StudyInstanceUID": uid,
            "SeriesInstanceUID": f"{uid}.1",
            "SOPInstanceUID": f"{uid}.1.{next(self._numbers)}",
            "StudyDescription": self.mark,
            "PatientID": f"{self.mark}-{label}",
        }
        file = instance_with(**{**values, **attributes})
        if private:
            dataset = dcmread(BytesIO(file))
            for tag, vr, value in private:
                dataset.add_new(tag, vr, value)
            file = part10(dataset)
        [dataset] = store(self._http, file)
        for one in (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID):
            self._labels.setdefault(one, label)
        self._studies[dataset.StudyInstanceUID] = None
        return dataset

    def ask(
        self, query: str = "", resource: str = "studies", mark: bool = True, **headers: str
    ) -> httpx.Response:
        """What the server answers to a query as it stands in the URL."""
        pieces = [f"StudyDescription={self.mark}"] * mark + [query] * bool(query)
        return self._http.get(f"{resource}?{'&'.join(pieces)}", headers=headers)

    def find(self, query: str = "", resource: str = "studies", mark: bool = True) -> list[str]:
        """The labels of what is found, in order; nothing else may be."""
        return self.labels(self.ask(query, resource, mark), resource)

    def labels(self, response: httpx.Response, resource: str = "studies") -> list[str]:
        tag = UIDS[resource.rsplit("/", 1)[-1]]
        return [self._labels[result[tag]["Value"][0]] for result in found_in(response)]

    def clear(self) -> None:
        for study in self._studies:
            self._http.delete(f"studies/{study}")
