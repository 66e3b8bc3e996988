"""After a deletion the index says of a study and series what is left of them gives."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_files

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.rebuild_index import rebuild_index
from dicomweb_server.archive.work import describe_file
from dicomweb_server.dicom.query import Level
from dicomweb_server.errors import Refusal
from dicomweb_server.index.attribute_values import Attributes, IndexedAttribute
from dicomweb_server.index.database import acquire
from dicomweb_server.index.indexed_attributes import add_attribute, forget_attribute
from dicomweb_server.index.parents import Kept, parents_of
from dicomweb_server.index.rows import INSTANCE_COLUMNS
from tests.archive.opened import opened, remove, rows, set_policy, store
from tests.archive.test_rebuild_index import Noted, dump, one, request

Database = Callable[..., AbstractAsyncContextManager[str]]

COMMENTS, OTHER_IDS = (0x00104000,), (0x00101002, 0x00100020)  # of studies
INSTITUTION = (0x00080080,)  # of series
KVP = (0x00180060,)  # of instances

STUDY = """SELECT patient_id, patient_name, study_date, sort_key, modalities FROM studies"""
SERIES = "SELECT series_description, modality, series_number FROM series ORDER BY 1"
REQUESTS = "SELECT scheduled_procedure_step_id FROM series_requests ORDER BY 1"
MODALITIES = "SELECT modality, sort_key FROM study_modalities ORDER BY 1"


@pytest.fixture
async def archive(tmp_path: Path, new_database: Database, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        await set_policy(archive, "replace")
        yield archive


async def found(archive: Archive, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await rows(archive, statement)]


WRONG: dict[str, Any] = {
    **{"PatientName": "WRONG^PATIENT", "PatientID": "W1", "StudyDate": "20200101"},
    **{"SeriesDescription": "wrong", "Modality": "MR", "SeriesNumber": "1"},
}
RIGHT: dict[str, Any] = {
    **{"PatientName": "RIGHT^PATIENT", "PatientID": "R1", "StudyDate": "20210203"},
    **{"SeriesDescription": "right", "Modality": "CT", "SeriesNumber": "2"},
}


async def test_what_a_deleted_instance_gave_goes_with_it(archive: Archive) -> None:
    await store(archive, [one(sop="1", **WRONG, **request("A"))])
    await store(archive, [one(sop="2", **RIGHT, **request("B"))])

    await remove(archive, "1.2", "1.2.3", "1.2.3.1")

    assert await found(archive, STUDY) == [
        ("R1", "RIGHT^PATIENT", "20210203", 20210203000000, ["CT"])
    ]
    assert await found(archive, SERIES) == [("right", "CT", 2)]
    assert await found(archive, REQUESTS) == [("B",)]
    assert await found(archive, MODALITIES) == [("CT", 20210203000000)]


async def test_what_a_deleted_series_gave_its_study_goes_with_it(archive: Archive) -> None:
    await store(archive, [one(series="3", **WRONG)])
    await store(archive, [one(series="4", **RIGHT)])

    await remove(archive, "1.2", "1.2.3")

    assert await found(archive, STUDY) == [
        ("R1", "RIGHT^PATIENT", "20210203", 20210203000000, ["CT"])
    ]
    assert await found(archive, SERIES) == [("right", "CT", 2)]
    assert await found(archive, MODALITIES) == [("CT", 20210203000000)]


@pytest.mark.parametrize("seed", range(2))
async def test_an_index_is_as_one_made_from_what_is_left(
    archive: Archive, new_database: Database, template: str, seed: int
) -> None:
    """Whatever was stored, replaced and deleted, in whatever order."""
    chance = random.Random(seed)
    there: set[tuple[str, str, str]] = set()
    for turn in range(40):
        if there and chance.random() < 0.4:
            study, series, sop = chance.choice(sorted(there))
            whole = chance.random() < 0.2
            uids = (
                f"{study}",
                f"{study}.{series}",
                *([] if whole else [f"{study}.{series}.{sop}"]),
            )
            await remove(archive, *uids)
            there -= {e for e in there if e[:2] == (study, series) and (whole or e[2] == sop)}
            continue
        study, series, sop = (
            chance.choice(("1.2", "1.3")),
            chance.choice("34"),
            chance.choice("5678"),
        )
        there.add((study, series, sop))
        given = {"PatientID": f"P{turn}", "Modality": chance.choice(["CT", "MR", "PT"])}
        given |= {"PatientName": f"N^{turn}", "SeriesDescription": f"D{turn}"}
        given |= {"StudyDate": f"20{turn:02}0101"} if chance.random() < 0.8 else {}
        asked = request(f"S{turn}") if chance.random() < 0.5 else {}
        await store(archive, [one(study, series, sop, **given, **asked)])

    async with (
        new_database(template) as url,
        opened(archive.settings.data_dir, url) as rebuilt,
    ):
        await rebuild_index(rebuilt, Noted())
        assert await dump(rebuilt) == await dump(archive)


VALUES = """
SELECT a.path, (v.series_id IS NULL) AS of_study, (v.instance_id IS NOT NULL) AS of_instance,
       v.value
  FROM attribute_values v JOIN indexed_attributes a ON a.id = v.attribute_id
 ORDER BY 1, 4
"""


def with_values(sop: str, mark: str) -> bytes:
    other = Dataset()
    other.PatientID = f"O{mark}"
    return one(
        sop=sop,
        PatientComments=f"C{mark}",
        InstitutionName=f"I{mark}",
        KVP=mark,
        OtherPatientIDsSequence=[other],
    )


OF_THE_SECOND = [
    ("00080080", False, False, "I2"),
    ("00101002.00100020", True, False, "O2"),
    ("00104000", True, False, "C2"),
    ("00180060", False, True, "2E0"),
]


async def test_values_of_indexed_attributes_are_those_of_what_is_left(archive: Archive) -> None:
    async with acquire(archive.pool) as conn:
        for path in (COMMENTS, OTHER_IDS, INSTITUTION, KVP):
            await add_attribute(conn, path)
    for sop in "12":
        await store(archive, [with_values(sop, sop)])

    await remove(archive, "1.2", "1.2.3", "1.2.3.1")

    assert await found(archive, VALUES) == OF_THE_SECOND


async def test_a_list_of_attributes_that_has_changed_is_read_anew(archive: Archive) -> None:
    for sop in "12":
        await store(archive, [with_values(sop, sop)])
    async with acquire(archive.pool) as conn:  # unknown to the archive, which stores nothing more
        for path in (COMMENTS, INSTITUTION):
            await add_attribute(conn, path)
    await remove(archive, "1.2", "1.2.3", "1.2.3.1")
    assert [value for *_, value in await found(archive, VALUES)] == ["I2", "C2"]

    [row] = await rows(archive, "SELECT id FROM indexed_attributes WHERE path = '00104000'")
    await store(archive, [with_values("3", "3")])
    async with acquire(archive.pool) as conn:
        await forget_attribute(conn, row["id"])
    await remove(archive, "1.2", "1.2.3", "1.2.3.2")
    assert [value for *_, value in await found(archive, VALUES)] == ["I3"]


async def test_only_what_gives_attributes_is_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for series in "34":
        await store(archive, [one(series=series, sop=str(n)) for n in range(8)])
    run, read = archive.workers.run, list[int]()

    async def count(function: Any, *arguments: Any) -> Any:
        read.append(len(arguments[0]))
        return await run(function, *arguments)

    monkeypatch.setattr(archive.workers, "run", count)
    await remove(archive, "1.2", "1.2.4", "1.2.4.0")
    await remove(archive, "1.2", "1.2.4")
    await remove(archive, "1.2")

    assert read == [2, 1]


async def test_many_are_deleted_at_once_by_many(archive: Archive) -> None:
    await store(archive, [one(sop=str(n), PatientID=f"P{n}") for n in range(12)])

    await asyncio.gather(*(remove(archive, "1.2", "1.2.3", f"1.2.3.{n}") for n in range(11)))

    assert [row["patient_id"] for row in await rows(archive, STUDY)] == ["P11"]
    assert (await rows(archive, "SELECT number_of_instances FROM series"))[0][0] == 1


MOST = 1 << 18  # bytes of a file


def files() -> list[str]:
    folder = os.environ.get("DICOM_CORPUS")
    found = [str(path) for path in Path(folder).rglob("*") if path.is_file()] if folder else []
    every = [
        name for name in (*get_testdata_files("*.dcm"), *found) if os.path.getsize(name) < MOST
    ]
    return sorted(every)[::5]


ATTRIBUTES = Attributes(
    7,
    tuple(
        IndexedAttribute(number, path, ready=True)
        for number, path in enumerate([COMMENTS, OTHER_IDS, INSTITUTION, KVP, (0x00081070,)])
    ),
)


def test_metadata_give_the_rows_that_the_file_gave() -> None:
    """Of real files: nothing that was described gets lost on the way into metadata and back."""
    compared = 0
    for name in files():
        try:
            entry = describe_file(Path(name), 1 << 24, ATTRIBUTES)
        except Refusal:
            continue
        bulk = entry.instance[INSTANCE_COLUMNS.index("bulk")]
        paths = json.loads(str(bulk)) if bulk else {}
        kept = Kept(entry.metadata, frozenset(path[:8] for path in paths))
        [parents] = parents_of([kept], ATTRIBUTES)
        assert parents.study == entry.study, name
        assert parents.series == entry.series, name
        assert parents.requests == entry.requests, name
        assert parents.values == tuple(v for v in entry.values if v.level < Level.INSTANCE), name
        assert parents.attributes == entry.attributes
        compared += 1
    assert compared > 10
