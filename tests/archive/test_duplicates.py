"""Instances that come again: refused or replaced as the policy says, with the old version kept."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.access.policy import Action
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.commit import Candidate
from dicomweb_server.archive.duplicates import settle
from dicomweb_server.index.database import acquire
from dicomweb_server.index.instances import NewInstance, find_existing
from dicomweb_server.index.rows import Entry
from dicomweb_server.index.versions import Duplicates
from dicomweb_server.wire.store_report import Failed, Stored
from tests.archive.opened import TESTER, keys, opened, remove, rows, set_policy, store
from tests.make import dataset_with, instance_with, part10

IDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
DUPLICATE = 0x0111


def version(**keywords: Any) -> bytes:
    return instance_with(**{**IDS, **keywords})


FIRST = version(PatientID="A", Modality="CT", SeriesDescription="one")
SECOND = version(PatientID="B", Modality="MR", SeriesDescription="two", PatientComments="longer")


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        yield archive


async def current(archive: Archive) -> bytes:
    [row] = await rows(archive, "SELECT blob_key, size, sha256 FROM instances")
    data = await archive.blobs.read(row["blob_key"], 0, row["size"])
    assert hashlib.sha256(data).digest() == row["sha256"]
    return data


async def audited(archive: Archive) -> list[tuple[Any, ...]]:
    statement = "SELECT principal, action, instances, sop_instance_uids FROM audit ORDER BY id"
    return [tuple(row) for row in await rows(archive, statement)]


async def changed(archive: Archive) -> list[tuple[Any, ...]]:
    statement = "SELECT sequence, kind, sop_instance_uids FROM changes ORDER BY sequence"
    return [tuple(row) for row in await rows(archive, statement)]


async def assert_counts(archive: Archive) -> None:
    for row in await rows(
        archive,
        """SELECT s.bytes, s.number_of_instances, s.number_of_series,
                  (SELECT sum(size) FROM instances i WHERE i.study_id = s.id) AS true_bytes,
                  (SELECT count(*) FROM instances i WHERE i.study_id = s.id) AS true_instances,
                  (SELECT count(*) FROM series e WHERE e.study_id = s.id) AS true_series
             FROM studies s""",
    ):
        assert row["bytes"] == row["true_bytes"]
        assert row["number_of_instances"] == row["true_instances"]
        assert row["number_of_series"] == row["true_series"]


async def test_another_data_set_replaces_what_is_there_where_the_policy_says_so(
    archive: Archive,
) -> None:
    await set_policy(archive, "replace")
    await store(archive, [FIRST, version(SOPInstanceUID="1.2.3.5", PatientID="A")])
    [before] = await rows(
        archive, "SELECT * FROM instances WHERE sop_instance_uid = $1", IDS["SOPInstanceUID"]
    )

    [result] = await store(archive, [SECOND])

    assert isinstance(result, Stored) and result.new
    [after] = await rows(
        archive, "SELECT * FROM instances WHERE sop_instance_uid = $1", IDS["SOPInstanceUID"]
    )
    assert after["id"] == before["id"]
    assert after["sha256"] == hashlib.sha256(SECOND).digest()
    assert after["blob_key"].endswith("+.dcm")
    assert await archive.blobs.read(after["blob_key"], 0, len(SECOND)) == SECOND
    [old] = await rows(archive, "SELECT * FROM superseded")
    assert (old["blob_key"], old["sha256"]) == (before["blob_key"], before["sha256"])
    assert (old["size"], old["stored_at"]) == (len(FIRST), before["stored_at"])
    assert (old["study_instance_uid"], old["series_instance_uid"]) == ("1.2", "1.2.3")
    assert await archive.blobs.read(old["blob_key"], 0, len(FIRST)) == FIRST
    [study] = await rows(archive, "SELECT * FROM studies")
    assert (study["patient_id"], study["modalities"]) == ("B", ["MR"])
    [series] = await rows(archive, "SELECT * FROM series")
    assert (series["modality"], series["series_description"]) == ("MR", "two")
    await assert_counts(archive)
    assert await audited(archive) == [
        ("tester", "store", 2, None),
        ("tester", "replace", 1, ["1.2.3.4"]),
    ]
    assert await changed(archive) == [
        (1, "stored", ["1.2.3.4", "1.2.3.5"]),
        (2, "replaced", ["1.2.3.4"]),
    ]
    assert not list(archive.settings.tmp_dir.iterdir())


@pytest.mark.parametrize("policy", ["refuse", "replace"])
async def test_the_same_data_set_again_changes_nothing(archive: Archive, policy: Any) -> None:
    await set_policy(archive, policy)
    await store(archive, [FIRST])
    held = await keys(archive)
    relabelled = FIRST.replace(b"TESTS_MAKE", b"ANOTHER_ON")  # in the File Meta alone
    assert relabelled != FIRST

    for file in (FIRST, relabelled):
        [result] = await store(archive, [file])
        assert isinstance(result, Stored) and not result.new

    assert await current(archive) == FIRST
    assert await keys(archive) == held
    assert await rows(archive, "SELECT * FROM superseded") == []
    assert len(await changed(archive)) == len(await audited(archive)) == 1


async def test_another_data_set_is_refused_where_the_policy_says_so(archive: Archive) -> None:
    await store(archive, [FIRST])
    held = await keys(archive)

    [result] = await store(archive, [SECOND])

    assert isinstance(result, Failed) and result.reason == DUPLICATE
    assert await current(archive) == FIRST
    assert await keys(archive) == held
    assert await audited(archive) == [
        ("tester", "store", 1, None),
        ("tester", "refuse", 1, ["1.2.3.4"]),
    ]
    assert len(await changed(archive)) == 1


@pytest.mark.parametrize("elsewhere", [{"StudyInstanceUID": "1.9"}, {"SeriesInstanceUID": "1.9"}])
async def test_in_another_place_it_is_refused_under_any_policy(
    archive: Archive, elsewhere: dict[str, str]
) -> None:
    await set_policy(archive, "replace")
    await store(archive, [FIRST])
    held = await keys(archive)

    [result] = await store(archive, [version(PatientID="A", **elsewhere)])

    assert isinstance(result, Failed) and result.reason == DUPLICATE
    assert await current(archive) == FIRST
    assert await keys(archive) == held
    await assert_counts(archive)


async def test_of_two_posts_at_a_time_one_is_refused(archive: Archive) -> None:
    versions = [version(PatientID=f"P{number}") for number in range(6)]

    results = await asyncio.gather(*(store(archive, [file]) for file in versions))

    won = [number for number, [result] in enumerate(results) if isinstance(result, Stored)]
    assert len(won) == 1
    assert all(r.reason == DUPLICATE for [r] in results if isinstance(r, Failed))
    assert await current(archive) == versions[won[0]]
    assert len(await keys(archive)) == 1
    await assert_counts(archive)


async def test_of_posts_at_a_time_all_are_kept_in_order_where_the_policy_is_to_replace(
    archive: Archive,
) -> None:
    await set_policy(archive, "replace")
    versions = [version(PatientID=f"P{number}") for number in range(3)]

    results = await asyncio.gather(*(store(archive, [file]) for file in versions))

    assert all(isinstance(result, Stored) and result.new for [result] in results)
    old = await rows(archive, "SELECT blob_key, sha256 FROM superseded ORDER BY id")
    digests = [row["sha256"] for row in old] + [hashlib.sha256(await current(archive)).digest()]
    assert sorted(digests) == sorted(hashlib.sha256(file).digest() for file in versions)
    [held] = await rows(archive, "SELECT blob_key FROM instances")
    in_order = [row["blob_key"] for row in old] + [held["blob_key"]]
    tokens = [key.partition("~")[2] for key in in_order]
    assert tokens == sorted(tokens)
    assert [key.endswith("+.dcm") for key in in_order] == [False, True, True]
    assert await keys(archive) == sorted(in_order)
    await assert_counts(archive)


async def test_what_is_deleted_takes_its_older_versions_with_it(archive: Archive) -> None:
    await set_policy(archive, "replace")
    await store(archive, [FIRST])
    await store(archive, [SECOND])
    await store(archive, [version(SOPInstanceUID="1.2.3.5")])
    [kept] = await rows(
        archive, "SELECT blob_key FROM instances WHERE sop_instance_uid = '1.2.3.5'"
    )

    await remove(archive, "1.2", "1.2.3", "1.2.3.4")

    assert await rows(archive, "SELECT * FROM superseded") == []
    assert await keys(archive) == [kept["blob_key"]]
    await assert_counts(archive)


async def test_a_version_may_come_back(archive: Archive) -> None:
    await set_policy(archive, "replace")
    for file in (FIRST, SECOND, FIRST):
        [result] = await store(archive, [file])
        assert isinstance(result, Stored) and result.new
    assert await current(archive) == FIRST
    assert len(await rows(archive, "SELECT * FROM superseded")) == 2


async def test_the_bytes_of_a_study_are_those_of_its_current_versions(archive: Archive) -> None:
    await set_policy(archive, "replace")
    for length in (10, 5000, 1):
        dataset = dataset_with(**IDS, PatientComments="x" * length)
        file = part10(dataset)
        await store(archive, [file])
        [study] = await rows(archive, "SELECT bytes FROM studies")
        assert study["bytes"] == len(file)


@pytest.mark.parametrize("damage", ["missing", "cut short"])
@pytest.mark.parametrize("policy", ["refuse", "replace"])
async def test_stow_40_what_was_lost_is_healed_by_sending_it_again(
    archive: Archive, damage: str, policy: Duplicates
) -> None:
    """A success says that it is there: not of an instance whose file is not."""
    await set_policy(archive, policy)
    await store(archive, [FIRST])
    [row] = await rows(archive, "SELECT blob_key FROM instances")
    path = archive.settings.blobs_dir / row["blob_key"]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(FIRST[:-1])

    [result] = await store(archive, [FIRST])

    assert isinstance(result, Stored)
    assert await current(archive) == FIRST
    await assert_counts(archive)
    [again] = await store(archive, [FIRST])
    assert isinstance(again, Stored) and not again.new


async def test_an_instance_that_finds_its_own_row_is_stored(archive: Archive) -> None:
    """A rebuild beside the server may make the row of a blob before the server does."""
    await set_policy(archive, "replace")
    await store(archive, [FIRST])
    await store(archive, [SECOND])
    [row] = await rows(archive, "SELECT * FROM instances")
    staged = archive.scratch_file(".part")
    [entry] = await archive.describer.describe([archive.settings.blobs_dir / row["blob_key"]])
    assert isinstance(entry, Entry)
    new = NewInstance(entry, row["blob_key"], row["size"], row["sha256"])
    candidate = Candidate(archive.scope(TESTER, Action.STORE), new, staged, placed=True)
    async with acquire(archive.pool) as conn:
        [held] = (await find_existing(conn, 1, [new.entry.sop_instance_uid])).values()

    result = await settle(archive, candidate, held)

    assert isinstance(result, Stored)
    assert await current(archive) == SECOND
    [outcome] = await archive.committer.commit([candidate])
    assert outcome is None
    assert await current(archive) == SECOND
