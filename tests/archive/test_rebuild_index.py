"""An index made from the blobs alone is equal to the one that was lost."""

import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomweb_server.archive import rebuild_index as module
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.rebuild_index import IndexNotEmpty, rebuild_index
from dicomweb_server.archive.rebuild_reading import Rebuilt
from dicomweb_server.archive.scratch import new_token
from dicomweb_server.blobs.store import BlobsUnavailable
from dicomweb_server.index.progress import read_progress
from dicomweb_server.wire.store_report import Stored
from tests.archive.opened import keys, opened, remove, rows, set_policy, store
from tests.make import instance_with, small_image, study_of, uid

Database = Callable[..., AbstractAsyncContextManager[str]]

# Every table with what is neither an id nor a time; parents are named by their UIDs.
DUMPS = {
    "institutions": "SELECT code, title FROM institutions",
    "studies": "SELECT i.code, t.* FROM studies t JOIN institutions i ON i.id = t.institution_id",
    "series": """SELECT s.study_instance_uid, t.* FROM series t
                   JOIN studies s ON s.id = t.study_id""",
    "series_requests": """SELECT e.series_instance_uid, t.* FROM series_requests t
                            JOIN series e ON e.id = t.series_id""",
    "instances": """SELECT s.study_instance_uid, e.series_instance_uid, t.* FROM instances t
                      JOIN series e ON e.id = t.series_id JOIN studies s ON s.id = t.study_id""",
    "superseded": "SELECT * FROM superseded",
    "study_modalities": "SELECT * FROM study_modalities",
    "institution_totals": """SELECT i.code, t.* FROM institution_totals t
                               JOIN institutions i ON i.id = t.institution_id""",
}
FORGOTTEN = re.compile(r"(id|.*_id|.*_at)")
KEPT_IDS = {"patient_id", "issuer_of_patient_id", "requested_procedure_id"}
KEPT_IDS |= {"scheduled_procedure_step_id"}


async def dump(archive: Archive) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for table, statement in DUMPS.items():
        # A study's Study ID is a text of the DICOM attribute; in other tables it is a parent's id.
        kept = KEPT_IDS | ({"study_id"} if table == "studies" else set())
        found[table] = sorted(
            (
                tuple(v for n, v in row.items() if n in kept or not FORGOTTEN.fullmatch(n))
                for row in await rows(archive, statement)
            ),
            key=repr,
        )
    return found


async def left_to_do(archive: Archive) -> bool:
    async with archive.pool.acquire() as conn:
        return bool(await read_progress(conn, module.WORK))


class Noted:
    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []
        self.leavings: list[str] = []

    def advance(self, rebuilt: Rebuilt, size: int) -> None:
        assert size >= 0

    def left(self, key: str) -> None:
        self.leavings.append(key)

    def failed(self, key: str, reason: str) -> None:
        self.failures.append((key, reason))


@pytest.fixture
async def archive(tmp_path: Path, new_database: Database, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        await set_policy(archive, "replace")
        yield archive


@pytest.fixture
async def rebuilt(
    archive: Archive, new_database: Database, template: str
) -> AsyncIterator[Archive]:
    """The same data folder with another database, which is empty."""
    async with (
        new_database(template) as url,
        opened(archive.settings.data_dir, url) as other,
    ):
        yield other


def one(study: str = "1.2", series: str = "3", sop: str = "4", **keywords: Any) -> bytes:
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.{series}"}
    uids["SOPInstanceUID"] = f"{study}.{series}.{sop}"
    return instance_with(**{**uids, **keywords})


def request(step: str) -> dict[str, Any]:
    item = Dataset()
    item.ScheduledProcedureStepID = step
    item.RequestedProcedureID = "R"
    return {"RequestAttributesSequence": [item]}


def corpus() -> list[bytes]:
    folder = os.environ.get("DICOM_CORPUS")
    if not folder:
        return []
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return [path.read_bytes() for path in files if path.stat().st_size < 1 << 20][::4]


async def fill(archive: Archive, others: Sequence[bytes] = ()) -> None:
    """Studies in which everything happens that may happen to instances."""
    for seed in range(3):
        await store(archive, [made.file() for made in study_of(1, 4, seed=seed, rows=8, columns=8)])
    # Others than the first give other attributes to the study; they shall not count.
    for number in range(5):
        of_series = str(number % 2)
        await store(
            archive,
            [one("1.2", of_series, str(number), PatientID=f"P{number}", Modality=f"M{number}")],
        )
    await store(archive, [one("1.2", "0", "0", PatientID="P0", Modality="M0")])  # the same again
    # Replaced, twice in one series; one comes to another study, and is refused.
    await store(archive, [one("1.3", sop=str(n), PatientID=f"R{n}", **request("A")) for n in "123"])
    await store(archive, [one("1.3", sop="2", PatientID="R2b", Modality="MR", **request("B"))])
    await store(archive, [one("1.3", sop="1", PatientID="R1b", StudyID="later", **request("C"))])
    await store(archive, [one("1.3", sop="2", PatientID="R2c", Modality="PT", **request("D"))])
    await store(archive, [one("1.3", series="4", sop="1", PatientID="R4", Modality="SR")])
    await store(archive, [one("1.2", SOPInstanceUID="1.3.3.1")])
    # Deleted: one of several, one with versions, all of a study; and one that comes again.
    await remove(archive, "1.2", "1.2.1", "1.2.1.3")
    await store(archive, [one("1.4", sop=str(n)) for n in range(3)])
    await store(archive, [one("1.4", sop="1", ImageComments="gone")])
    await remove(archive, "1.4", "1.4.3", "1.4.3.1")
    await store(archive, [one("1.4", sop="1", PatientID="back")])
    await store(archive, [one("1.5")])
    await remove(archive, "1.5")
    # Deleted: what gave its series, or its study too, their attributes.
    for sop, step in zip("1234", "ABCD", strict=True):
        given = {"PatientID": f"S{sop}", "StudyDate": f"2020010{sop}", "SeriesNumber": sop}
        series = str(int(sop) % 2)
        await store(
            archive, [one("1.6", series, sop, Modality=f"M{sop}", **given, **request(step))]
        )
    await remove(archive, "1.6", "1.6.1", "1.6.1.1")
    await remove(archive, "1.6", "1.6.0")
    await store(archive, [one("1.9", sop=str(n), PatientID=f"T{n}") for n in range(4)])
    for sop in "23":
        await store(archive, [one("1.9", sop=sop, PatientID=f"T{sop}b")])
    await remove(archive, "1.9", "1.9.3", "1.9.3.3")
    await store(
        archive,
        [
            small_image(transfer_syntax=syntax, rows=8, columns=8)
            for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
        ],
    )
    for begin in range(0, len(others), 16):
        await store(archive, others[begin : begin + 16])


async def test_the_index_comes_back_row_by_row(archive: Archive, rebuilt: Archive) -> None:
    await fill(archive, corpus())
    noted = Noted()

    done = await rebuild_index(rebuilt, noted)

    before, after = await dump(archive), await dump(rebuilt)
    assert before["institutions"] == [("default", "")]
    assert len(before["superseded"]) >= 3 and len(before["studies"]) > 5
    for table, expected in before.items():
        differing = [
            pair for pair in zip(after[table], expected, strict=True) if pair[0] != pair[1]
        ]
        assert differing == [], table
    assert (done.stored, done.older) == (len(before["instances"]), len(before["superseded"]))
    assert (done.failed, done.left, done.unknown, done.present) == (0, 0, 0, 0)
    assert noted.failures == noted.leavings == []
    assert not await left_to_do(rebuilt)
    assert not list(rebuilt.settings.tmp_dir.iterdir())
    assert all(key.endswith(".dcm") for key in await keys(rebuilt))  # nothing put beside them


async def test_small_chunks_make_no_difference(
    archive: Archive, rebuilt: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "MAX_GROUP_BYTES", 1)
    await fill(archive)
    await rebuild_index(rebuilt, Noted())
    assert await dump(rebuilt) == await dump(archive)


async def test_an_index_that_is_not_empty_is_left_alone(archive: Archive) -> None:
    await store(archive, [one()])
    before = await dump(archive)
    with pytest.raises(IndexNotEmpty):
        await rebuild_index(archive, Noted())
    assert await dump(archive) == before
    assert await rows(archive, "SELECT * FROM progress") == []


async def test_an_interrupted_run_is_gone_on_with(
    archive: Archive, rebuilt: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    await fill(archive)
    local, opened_keys = rebuilt.blobs.local, list[str]()
    limit = len(await keys(archive)) // 2

    def away(key: str) -> Any:
        opened_keys.append(key)
        if len(opened_keys) > limit:
            raise BlobsUnavailable("gone")
        return local(key)

    monkeypatch.setattr(rebuilt.blobs, "local", away)
    with pytest.raises(ExceptionGroup) as failure:
        await rebuild_index(rebuilt, Noted())
    assert failure.group_contains(BlobsUnavailable)
    assert await left_to_do(rebuilt)  # nothing is swept meanwhile
    monkeypatch.setattr(rebuilt.blobs, "local", local)

    done = await rebuild_index(rebuilt, Noted(), go_on=True)

    assert done.present > 0 and done.stored > 0
    assert await dump(rebuilt) == await dump(archive)
    again = await rebuild_index(rebuilt, Noted(), go_on=True)
    assert (again.stored, again.older, again.bytes) == (0, 0, 0)
    assert again.present == done.present + done.stored


async def test_an_index_of_yesterday_is_brought_up_to_date(
    archive: Archive, rebuilt: Archive
) -> None:
    await store(archive, [one("1.2", sop="1"), one("1.2", sop="2")])
    await rebuild_index(rebuilt, Noted())
    for comment in ("a", "b"):
        await store(archive, [one("1.2", sop="1", PatientComments=comment, PatientID=comment)])
    await store(archive, [one("1.2", sop="3"), one("1.6")])

    await rebuild_index(rebuilt, Noted(), go_on=True)

    assert await dump(rebuilt) == await dump(archive)


def put(archive: Archive, file: bytes, study: str, sop: str, mark: str = "", at: str = "") -> str:
    """A blob without a row, as a crash leaves one behind."""
    key = f"default/{study}/{study}.3/{sop}~{at or new_token()}{mark}.dcm"
    path = archive.settings.blobs_dir / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file)
    return key


async def test_what_a_crash_left_is_told_and_stays(archive: Archive, rebuilt: Archive) -> None:
    await store(archive, [one()])
    left = put(archive, one(ImageComments="crash"), "1.2", "1.2.3.4")
    (archive.settings.blobs_dir / "notes.txt").write_text("not ours")
    noted = Noted()

    done = await rebuild_index(rebuilt, noted)

    assert await dump(rebuilt) == await dump(archive)
    assert noted.leavings == [left]
    assert (done.left, done.unknown, done.stored) == (1, 1, 1)
    assert left in await keys(rebuilt)


async def test_of_a_uid_in_two_studies_the_first_has_it(archive: Archive, rebuilt: Archive) -> None:
    """In the study listed first, or second; in the way of the attributes of its study."""
    for first, second in (("1.2", "1.3"), ("1.5", "1.4")):
        await store(archive, [one(first, SOPInstanceUID=f"9.{first}", PatientID="right")])
        put(
            archive,
            one(second, SOPInstanceUID=f"9.{first}", PatientID="wrong"),
            second,
            f"9.{first}",
        )
        await store(archive, [one(second, sop=str(n), PatientID="right") for n in range(3)])
    await store(archive, [one("1.2", sop="7", Modality="MR")])
    noted = Noted()

    done = await rebuild_index(rebuilt, noted)

    assert await dump(rebuilt) == await dump(archive)
    assert (done.left, done.stored, done.failed) == (2, 9, 0)
    assert len(noted.leavings) == 2


async def test_what_cannot_be_read_is_told_and_keeps_its_history(
    archive: Archive, rebuilt: Archive
) -> None:
    await store(archive, [one(), one(sop="5")])
    await store(archive, [one(ImageComments="newer")])
    [row] = await rows(archive, "SELECT blob_key FROM instances WHERE sop_instance_uid = '1.2.3.4'")
    path = archive.settings.blobs_dir / row["blob_key"]
    sound = path.read_bytes()
    path.write_bytes(sound[:100])
    wrong_name = put(archive, one("1.7"), "1.8", uid("other"))
    noted = Noted()

    done = await rebuild_index(rebuilt, noted)

    assert (done.stored, done.failed, done.older) == (1, 2, 0)
    assert {key for key, _ in noted.failures} == {row["blob_key"], wrong_name}
    assert dict(noted.failures)[wrong_name] == "it holds another instance than its name says"
    assert await left_to_do(rebuilt)
    path.write_bytes(sound)
    (archive.settings.blobs_dir / wrong_name).unlink()
    assert (await rebuild_index(rebuilt, Noted(), go_on=True)).failed == 0
    assert await dump(rebuilt) == await dump(archive)
    assert not await left_to_do(rebuilt)


async def test_institutions_come_back(archive: Archive, rebuilt: Archive) -> None:
    await store(archive, [one()])
    blobs = archive.settings.blobs_dir
    (blobs / "clinic").mkdir()
    (blobs / "default" / "1.2").rename(blobs / "clinic" / "1.2")

    await rebuild_index(rebuilt, Noted())

    [study] = (await dump(rebuilt))["studies"]
    assert study[0] == "clinic"
    [institution] = await rows(rebuilt, "SELECT id FROM institutions WHERE code = 'clinic'")
    assert institution["id"] == 2


async def test_what_is_rebuilt_can_be_stored_again(archive: Archive, rebuilt: Archive) -> None:
    await store(archive, [one()])
    await rebuild_index(rebuilt, Noted())
    [result] = await store(rebuilt, [one()])
    assert isinstance(result, Stored) and not result.new
