"""A series that somebody goes through is known for a moment, and nobody gets what is gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.archive import retrieve, series_leases
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.background import background
from dicomweb_server.archive.render import Frame, find_shown
from dicomweb_server.archive.series_leases import LEASE, SeriesLeases
from dicomweb_server.archive.store import Intake
from dicomweb_server.dicom.description import FrameTable
from dicomweb_server.dicom.frames import RECORD
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.errors import NotAcceptable, NotFound
from dicomweb_server.index import retrieve as index
from dicomweb_server.index import series_frames
from dicomweb_server.index.database import Pool, acquire, open_pool
from dicomweb_server.index.instances import Existing, insert_instances
from dicomweb_server.index.retrieve import FrameLocation, locate_frames
from dicomweb_server.index.series_frames import (
    MOST_METADATA,
    are_leased,
    frames_of,
    note_lease,
    study_version,
)
from dicomweb_server.index.versions import heal_instance
from tests.archive.opened import TESTER, opened_twice, remove, rows, set_policy, store
from tests.index.made import new
from tests.make import instance_with

Database = Callable[..., AbstractAsyncContextManager[str]]

SCOPE = Scope((1,))
STUDY, SERIES = "1.2", "1.2.3"
OFTEN = 40  # requests, which make a series worth a lease


def one(number: int, **keywords: Any) -> bytes:
    """An image of 2 by 2 pixels."""
    return instance_with(**{**IMAGE, "SOPInstanceUID": f"{SERIES}.{number}", **keywords})


IMAGE: dict[str, Any] = {
    **{"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "PatientID": "A"},
    **{"Rows": 2, "Columns": 2, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    **{"SamplesPerPixel": 1, "PixelRepresentation": 0},
    **{"PhotometricInterpretation": "MONOCHROME2", "PixelData": bytes(4)},
}


@pytest.fixture
async def two(
    tmp_path: Path, new_database: Database, template: str
) -> AsyncIterator[tuple[Archive, Archive]]:
    async with (
        new_database(template) as url,
        opened_twice(tmp_path / "data", url) as both,
    ):
        yield both


async def located(archive: Archive, number: int) -> FrameLocation:
    uids = STUDY, SERIES, f"{SERIES}.{number}"
    return await retrieve.locate_frames(archive, TESTER, *uids, [1], leased=True)


def scope_of(archive: Archive) -> Scope:
    return archive.scope(TESTER, Action.RETRIEVE)


def leased(archive: Archive, number: int) -> Any:
    return archive.leases.row_of(scope_of(archive), STUDY, SERIES, f"{SERIES}.{number}")


async def go_through(archive: Archive, number: int = 1) -> None:
    """Until the process answers of itself."""
    async with asyncio.timeout(20):
        while leased(archive, number) is None:
            await asyncio.sleep(0.001)


async def barred(*_: object) -> None:
    raise AssertionError("the database was asked")


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy more may come between than a lease is long."""
    monkeypatch.setattr(series_leases, "LEASE", 3.0)


@pytest.mark.usefixtures("long_leases")
async def test_what_is_asked_for_often_is_answered_without_the_database(
    two: tuple[Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = two
    await store(archive, [one(number) for number in (1, 2)])
    looked_up = [await located(archive, number) for number in (1, 2)]
    await go_through(archive)

    monkeypatch.setattr(archive.frame_lookups, "locate", barred)
    answers = [await located(archive, number) for number in (1, 2)]
    monkeypatch.setattr(index, "locate_instance", barred)
    page = await retrieve.locate(archive, TESTER, STUDY, SERIES, f"{SERIES}.2", leased=True)

    assert answers == looked_up
    assert page.items == [looked_up[1].location] and page.after is None
    with pytest.raises(AssertionError):  # as what else is looked up for the same answer
        await retrieve.locate(archive, TESTER, STUDY, SERIES, f"{SERIES}.2")


@pytest.mark.usefixtures("long_leases")
async def test_what_is_rendered_often_is_found_without_the_database(
    two: tuple[Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, other = two
    await store(archive, [one(number) for number in (1, 2)])
    uids = STUDY, SERIES, f"{SERIES}.2"
    await go_through(archive)  # of which metadata are no part
    looked_up = await find_shown(archive, TESTER, *uids, 1, leased=True)
    async with asyncio.timeout(20):
        while not metadata_of(archive, 2):
            await asyncio.sleep(0.001)

    with monkeypatch.context() as patch:
        patch.setattr(index, "locate_rendered", barred)
        assert await find_shown(archive, TESTER, *uids, 1, leased=True) == looked_up
        with pytest.raises(NotFound):
            await find_shown(archive, TESTER, *uids, 2, leased=True)
        with pytest.raises(AssertionError):
            await find_shown(archive, TESTER, *uids, 1)
    await set_policy(archive, "replace")
    await send(other, one(2, PatientID="B"))
    after = await find_shown(archive, TESTER, *uids, 1, leased=True)
    assert isinstance(after, Frame) and b'"B"' in unpack_metadata(after.packed)


def metadata_of(archive: Archive, number: int) -> bytes | None:
    uids = STUDY, SERIES, f"{SERIES}.{number}"
    row = archive.leases.row_of(scope_of(archive), *uids, rendered=True)
    metadata: bytes | None = row and row["metadata"]
    return metadata


async def test_metadata_of_a_series_that_are_too_much_are_looked_up(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = series_frames.FRAMES_OF_SERIES.replace(str(MOST_METADATA), "10")
    monkeypatch.setattr(series_frames, "FRAMES_OF_SERIES", statement)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1")])
        for metadata in (True, False):
            of = SCOPE, "1.1", "1.1.1"
            [row] = await series_frames.instances_of(conn, *of, metadata=metadata)
            assert row["metadata"] is None


async def test_a_lease_ends_by_itself_and_is_renewed_for_who_goes_on(
    two: tuple[Archive, Archive],
) -> None:
    archive, _ = two
    await store(archive, [one(1)])
    await go_through(archive)
    answers = []
    end = time.monotonic() + 10 * LEASE
    while time.monotonic() < end:
        answers.append(leased(archive, 1) is not None)
        await asyncio.sleep(LEASE / 50)
    assert sum(answers) > len(answers) / 4  # however busy the machine is

    await asyncio.sleep(4 * LEASE)  # also of one that was being renewed
    assert leased(archive, 1) is None


async def test_what_is_asked_for_now_and_then_is_looked_up(two: tuple[Archive, Archive]) -> None:
    archive, _ = two
    await store(archive, [one(1)])
    for _ in range(5):
        leased(archive, 1)
        await asyncio.sleep(LEASE / 4)
    assert not await rows(archive, "SELECT FROM leases")


async def test_what_was_stored_since_is_found_too(two: tuple[Archive, Archive]) -> None:
    archive, other = two
    await store(archive, [one(1)])
    for number in range(2, 12):
        await go_through(archive)
        await store(other, [one(number)])
        found = await located(archive, number)
        assert found.location.sop_instance_uid == f"{SERIES}.{number}"


@pytest.mark.parametrize("resource", [(STUDY,), (STUDY, SERIES), (STUDY, SERIES, f"{SERIES}.1")])
async def test_what_is_deleted_is_gone_for_every_process(
    two: tuple[Archive, Archive], resource: Sequence[str]
) -> None:
    archive, other = two
    for _ in range(5):
        await store(archive, [one(1), one(2)])
        async with background(go_on(archive)):
            await go_through(archive)
            await remove(other, *resource)
            with pytest.raises(NotFound):
                await located(archive, 1)
            assert leased(archive, 1) is None


async def go_on(archive: Archive) -> None:
    """Ask without end, as a viewer that plays a series."""
    while True:
        leased(archive, 1)
        await asyncio.sleep(0)


async def test_what_was_replaced_is_had_nowhere_any_more(two: tuple[Archive, Archive]) -> None:
    archive, other = two
    await set_policy(archive, "replace")
    await store(archive, [one(1)])
    async with background(go_on(archive)):
        for turn in range(5):
            await go_through(archive)
            before = await located(archive, 1)
            await send(other, one(1, PatientID=f"B{turn}"))
            after = await located(archive, 1)

            assert after.location.sha256 != before.location.sha256
            [row] = await rows(other, "SELECT blob_key FROM instances")
            assert after.location.blob_key == row["blob_key"]


@pytest.mark.usefixtures("long_leases")
async def test_who_deletes_what_nobody_goes_through_does_not_wait(
    two: tuple[Archive, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, other = two
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await store(archive, [one(number) for number in (1, 2, 3)])
    with monkeypatch.context() as patch:
        patch.setattr(series_leases.asyncio, "sleep", sleep)
        await remove(other, STUDY, SERIES, f"{SERIES}.3")
    assert not slept

    await go_through(archive)
    with monkeypatch.context() as patch:
        patch.setattr(series_leases.asyncio, "sleep", sleep)
        await remove(other, STUDY, SERIES, f"{SERIES}.2")
        await remove(other, STUDY)
    assert len(slept) == 2 and min(slept) > 0 and max(slept) < 2 * series_leases.LEASE


async def test_that_a_study_is_leased_is_noted_for_a_while(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert not await are_leased(conn, SCOPE, ["1.1", "1.2"])
        await note_lease(conn, SCOPE, "1.1")
        await note_lease(conn, SCOPE, "1.1")
        assert await are_leased(conn, SCOPE, ["1.1", "1.2"])
        assert await are_leased(conn, Scope((7, 1)), ["1.1"])
        assert not await are_leased(conn, Scope((7,)), ["1.1"])
        assert not await are_leased(conn, SCOPE, ["1.2"])

        await conn.execute("UPDATE leases SET until = now() - interval '2 hours'")
        assert not await are_leased(conn, SCOPE, ["1.1"])
        await note_lease(conn, SCOPE, "1.2")
        assert await conn.fetchval("SELECT count(*) FROM leases") == 1  # old ones go
        await conn.execute("UPDATE leases SET until = now() - interval '2 hours'")
        await note_lease(conn, SCOPE, "1.2")
        assert await are_leased(conn, SCOPE, ["1.2"])


async def test_what_is_not_there_leaves_no_note(pool: Pool) -> None:
    leases = SeriesLeases(pool)
    for _ in range(OFTEN):
        assert leases.row_of(SCOPE, "1.1", "1.1.1", "1.1.1.1") is None
        await asyncio.sleep(LEASE / OFTEN)
    await leases.close()
    async with pool.acquire() as conn:
        assert not await conn.fetchval("SELECT count(*) FROM leases")


@pytest.mark.parametrize("resource", [(STUDY,), (STUDY, SERIES, f"{SERIES}.1")])
async def test_a_second_deletion_is_not_answered_before_the_first(
    two: tuple[Archive, Archive], resource: Sequence[str]
) -> None:
    archive, other = two
    for _ in range(5):
        await store(archive, [one(1)])
        async with background(go_on(archive)):
            await go_through(archive)
            first = asyncio.create_task(remove(other, *resource))
            await until_gone(other)
            with pytest.raises(NotFound):
                await remove(archive, *resource)
            with pytest.raises(NotFound):
                await located(archive, 1)
            await first


async def until_gone(archive: Archive) -> None:
    """Until a deletion is done, and not answered yet."""
    while await rows(archive, "SELECT FROM instances"):
        await asyncio.sleep(0)


async def test_a_retry_is_not_answered_before_what_it_repeats(
    two: tuple[Archive, Archive],
) -> None:
    archive, other = two
    await set_policy(archive, "replace")
    await store(archive, [one(1)])
    async with background(go_on(archive)):
        for turn in range(5):
            file = one(1, PatientID=f"B{turn}")
            await go_through(archive)
            before = await located(archive, 1)
            first = asyncio.create_task(send(other, file))
            sha256 = before.location.sha256
            while await rows(other, "SELECT FROM instances WHERE sha256 = $1", sha256):
                await asyncio.sleep(0)
            await send(archive, file)
            assert (await located(archive, 1)).location.sha256 != sha256
            await first


async def test_healing_and_deleting_wait_for_one_another(two: tuple[Archive, Archive]) -> None:
    """Both lock the study first, so that neither has what the other waits for."""
    archive, _ = two
    await store(archive, [one(1)])
    held = await held_of(archive)
    async with acquire(archive.pool) as one_conn, acquire(archive.pool) as other_conn:
        async with one_conn.transaction():
            await one_conn.execute("SELECT FROM studies FOR UPDATE")
            healing = asyncio.create_task(
                heal_instance(other_conn, scope_of(archive), held, "another/key")
            )
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            async with asyncio.timeout(20):
                while not await one_conn.fetch(waiting):
                    await asyncio.sleep(0.01)
            await one_conn.execute("DELETE FROM instances")
        assert not await healing


async def held_of(archive: Archive) -> Existing:
    [row] = await rows(archive, "SELECT * FROM instances WHERE sop_instance_uid = '1.2.3.1'")
    known = {name: row[name] for name in Existing.__dataclass_fields__ if name in row}
    return Existing(**known, study_instance_uid=STUDY, series_instance_uid=SERIES)


async def send(archive: Archive, file: bytes) -> None:
    """Store one file as a request does, until it is answered."""
    intake = Intake(archive, TESTER, None)
    staging = intake.new_file()
    await staging.write(file)
    await intake.accept(await staging.finish())
    await intake.results()


async def test_every_change_of_instances_changes_the_version_of_their_study(
    two: tuple[Archive, Archive],
) -> None:
    archive, _ = two
    await set_policy(archive, "replace")
    await store(archive, [one(1), one(2, SeriesInstanceUID="1.2.4")])
    scope, seen = scope_of(archive), set()

    async def version() -> object:
        async with acquire(archive.pool) as conn:
            return await study_version(conn, scope, STUDY)

    async def heal() -> None:
        held = await held_of(archive)
        async with acquire(archive.pool) as conn:
            assert await heal_instance(conn, scope, held, "another/key")

    seen.add(await version())
    for change in (
        lambda: store(archive, [one(3)]),
        lambda: store(archive, [one(1, PatientID="B")]),
        heal,
        lambda: remove(archive, STUDY, SERIES, f"{SERIES}.3"),
        lambda: remove(archive, STUDY, "1.2.4"),
    ):
        before = await version()
        assert await version() == before
        await change()
        after = await version()
        assert after not in seen
        seen.add(after)
    await store(archive, [one(9, StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")])
    assert await version() == after  # another study
    await remove(archive, STUDY)
    assert await version() is None


async def test_leases_are_not_for_several_institutions_or_wide_scopes(pool: Pool) -> None:
    leases = SeriesLeases(pool)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1")])
    wide = Scope((1,), tuple(f"1.{number}" for number in range(1000)))
    for scope in (Scope((1, 2)), wide):
        for _ in range(OFTEN):
            assert leases.row_of(scope, "1.1", "1.1.1", "1.1.1.1") is None
            await asyncio.sleep(0.001)
    await leases.close()
    async with pool.acquire() as conn:
        assert not await are_leased(conn, SCOPE, ["1.1"])


async def test_who_may_not_see_a_study_has_no_lease_of_it(pool: Pool) -> None:
    leases = SeriesLeases(pool)
    async with pool.acquire() as conn:
        await insert_instances(conn, SCOPE, [new("1.1", "1.1.1", "1.1.1.1")])
    granted, barred = Scope((1,), ("1.1",)), Scope((1,), ("1.9",))

    async def any_found(scope: Scope) -> bool:
        found = False
        for _ in range(OFTEN):
            found |= leases.row_of(scope, "1.1", "1.1.1", "1.1.1.1") is not None
            await asyncio.sleep(LEASE / OFTEN)
        return found

    async with asyncio.timeout(20):
        while not await any_found(granted):
            pass
    assert not await any_found(barred)
    await leases.close()


async def test_a_large_series_has_none(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = SeriesLeases(pool)
    listed = 0

    async def counted(*of: Any, **how: Any) -> Sequence[Any]:
        nonlocal listed
        listed += 1
        return await series_frames.instances_of(*of, **how)

    monkeypatch.setattr(series_leases, "MOST", 2)
    monkeypatch.setattr(series_leases, "instances_of", counted)
    async with pool.acquire() as conn:
        group = [new("1.1", "1.1.1", f"1.1.1.{number}") for number in range(3)]
        await insert_instances(conn, SCOPE, group)
    async with asyncio.timeout(20):
        while not listed:
            assert leases.row_of(SCOPE, "1.1", "1.1.1", "1.1.1.1") is None
            await asyncio.sleep(0.001)
    for _ in range(OFTEN):
        assert leases.row_of(SCOPE, "1.1", "1.1.1", "1.1.1.1") is None
        await asyncio.sleep(LEASE / OFTEN)
    await leases.close()
    assert listed == 1


async def test_a_database_that_is_away_only_ends_leases(shared_url: str) -> None:
    pool = await open_pool(shared_url)
    leases = SeriesLeases(pool)
    await pool.close()
    for _ in range(OFTEN):
        assert leases.row_of(SCOPE, "1.1", "1.1.1", "1.1.1.1") is None
        await asyncio.sleep(LEASE / OFTEN)
    await leases.close()


def table_of(frames: int, *, encapsulated: bool) -> FrameTable:
    ranges = b"".join(RECORD.pack(1000 + number, 10, 1) for number in range(frames))
    return FrameTable(
        frames,
        encapsulated,
        500,
        768 if not encapsulated else 20 * frames,
        frame_bits=0 if encapsulated else 2048,
        word=1,
        ranges=ranges if encapsulated else b"",
    )


TABLES = {
    "none": None,
    "native": table_of(3, encapsulated=False),
    "encapsulated": table_of(3, encapsulated=True),
    "long": table_of(100, encapsulated=True),
}


async def test_a_row_tells_of_frames_what_a_lookup_does(pool: Pool) -> None:
    async with pool.acquire() as conn:
        group = [new("1.1", "1.1.1", f"1.1.1.{k}", frames=t) for k, t in enumerate(TABLES.values())]
        await insert_instances(conn, SCOPE, group)
        listed = await series_frames.instances_of(conn, SCOPE, "1.1", "1.1.1")
        assert len(listed) == len(TABLES)
        for row in listed:
            uid = row["sop_instance_uid"]
            long = uid.endswith(f".{list(TABLES).index('long')}")
            for number in (-1, 0, 1, 3, 4, 2**40):
                try:
                    expected = await locate_frames(conn, SCOPE, "1.1", "1.1.1", uid, [number])
                except (NotFound, NotAcceptable) as refusal:
                    if not long:
                        with pytest.raises(type(refusal)):
                            frames_of(row, [number])
                else:
                    assert frames_of(row, [number]) == (None if long else expected)
