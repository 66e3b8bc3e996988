"""Sweep and purge remove what nobody needs, and nothing else."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.archive import purge as purging
from dicomweb_server.archive import sweep as sweeping
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.blob_keys import read_blob_key
from dicomweb_server.archive.purge import Purged, purge
from dicomweb_server.archive.rebuild_index import rebuild_index
from dicomweb_server.archive.scratch import new_token
from dicomweb_server.archive.sweep import CannotSweep, Swept, sweep
from dicomweb_server.errors import Unavailable
from dicomweb_server.index.progress import alone_with_blobs
from tests.archive.opened import keys, opened, rows, set_policy, store
from tests.archive.test_rebuild_index import Noted as NotedRebuild
from tests.archive.test_rebuild_index import one

DAY = timedelta(days=1)


class Noted:
    def __init__(self) -> None:
        self.gone: list[str] = []
        self.left: dict[str, str] = {}

    def advance(self, swept: Swept) -> None:
        assert swept.seen > 0

    def removed(self, key: str, size: int) -> None:
        self.gone.append(key)

    def stays(self, key: str, reason: str) -> None:
        self.left[key] = reason


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    """An archive that began ten days ago, with an instance that was replaced twice."""
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        await rows(archive, "UPDATE schema_migrations SET applied_at = now() - interval '10 days'")
        await set_policy(archive, "replace")
        await store(archive, [one(), one(sop="5")])
        for comment in ("a", "b"):
            await store(archive, [one(ImageComments=comment)])
        yield archive


def token_of(age: timedelta) -> str:
    moment = datetime.now(UTC) - age
    return f"{int(moment.timestamp() * 1000):012x}{new_token()[12:]}"


def put(
    archive: Archive, age: timedelta, *, touched: timedelta | None = None, sop: str = "4"
) -> str:
    """A blob without a row that came some time ago, and was last touched later or earlier."""
    key = f"default/1.2/1.2.3/1.2.3.{sop}~{token_of(age)}.dcm"
    path = archive.settings.blobs_dir / key
    path.write_bytes(b"x" * 100)
    moment = (datetime.now(UTC) - (age if touched is None else touched)).timestamp()
    os.utime(path, (moment, moment))
    return key


def day_ago() -> datetime:
    return datetime.now(UTC) - DAY


async def test_what_no_row_names_is_removed_once_it_is_old(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "PAGE", 2)
    named = await keys(archive)
    for key in named:
        os.utime(archive.settings.blobs_dir / key, (0, 0))
    litter = [put(archive, 2 * DAY), put(archive, 3 * DAY)]
    young = [
        put(archive, timedelta(hours=23)),
        put(archive, timedelta(hours=1), touched=5 * DAY),  # a link to an old file
        put(archive, 5 * DAY, touched=timedelta(hours=1)),
    ]
    strange = archive.settings.blobs_dir / "default" / "notes.txt"
    strange.write_text("not ours")
    os.utime(strange, (0, 0))
    noted = Noted()

    would = await sweep(archive, noted, day_ago(), dry_run=True)
    assert sorted(noted.gone) == sorted(litter)
    assert set(litter) < set(await keys(archive))
    done = await sweep(archive, Noted(), day_ago())

    assert (done.removed, done.bytes, done.unknown, done.failed) == (2, 200, 1, 0)
    assert done == would
    assert list(noted.left) == ["default/notes.txt"]
    assert await keys(archive) == sorted([*named, *young, "default/notes.txt"])


async def test_nothing_is_swept_beside_an_empty_index(
    archive: Archive, tmp_path: Path, new_database: Any, template: str
) -> None:
    held = await keys(archive)
    async with (
        new_database(template) as url,
        opened(archive.settings.data_dir, url) as other,
    ):
        with pytest.raises(CannotSweep, match="empty"):
            await sweep(other, Noted(), datetime.now(UTC) + DAY)
    assert await keys(archive) == held


async def test_nothing_is_swept_while_an_index_is_being_rebuilt(archive: Archive) -> None:
    put(archive, 2 * DAY)
    held = await keys(archive)
    await rows(archive, "INSERT INTO progress (work, position) VALUES ('rebuild-index', 0)")
    with pytest.raises(CannotSweep, match="--continue"):
        await sweep(archive, Noted(), day_ago())
    assert await keys(archive) == held


async def test_what_is_older_than_the_index_stays_until_that_has_been_rebuilt(
    archive: Archive,
) -> None:
    """A new database beside old files, that has been stored into already."""
    lost = put(archive, 11 * DAY, sop="5")
    noted = Noted()

    done = await sweep(archive, noted, day_ago())

    assert (done.removed, done.older) == (0, 1)
    assert noted.left == {lost: "it is older than the index"}
    rebuilt = await rebuild_index(archive, NotedRebuild(), go_on=True)
    assert (rebuilt.left, rebuilt.stored, rebuilt.failed) == (1, 0, 0)  # it belongs to nothing
    done = await sweep(archive, noted, day_ago())
    assert (done.removed, done.older) == (1, 0)
    assert lost not in await keys(archive)


async def test_what_cannot_be_removed_is_told(archive: Archive) -> None:
    litter = put(archive, 2 * DAY)

    async def stuck(keys: Any) -> None:
        raise PermissionError(13, "Permission denied")

    archive.blobs.delete = stuck  # type: ignore[method-assign]
    noted = Noted()
    done = await sweep(archive, noted, day_ago())

    assert (done.removed, done.failed) == (0, 1)
    assert noted.left == {litter: "it cannot be removed: Permission denied"}


async def test_old_versions_are_purged_with_an_entry_in_the_audit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "PAGE", 1)
    first, second = await rows(archive, "SELECT * FROM superseded ORDER BY id")
    await rows(
        archive,
        "UPDATE superseded SET replaced_at = now() - interval '31 days' WHERE id = $1",
        first["id"],
    )
    before = datetime.now(UTC) - timedelta(days=30)
    held = await keys(archive)

    expected = Purged(1, first["size"], 0)
    assert await purge(archive, before, dry_run=True) == expected
    assert await keys(archive) == held
    assert await purge(archive, before) == expected

    assert await keys(archive) == [key for key in held if key != first["blob_key"]]
    assert [r["id"] for r in await rows(archive, "SELECT id FROM superseded")] == [second["id"]]
    [entry] = await rows(archive, "SELECT * FROM audit WHERE action = 'purge'")
    assert (entry["principal"], entry["sop_instance_uids"]) == ("purge", ["1.2.3.4"])
    assert await purge(archive, datetime.now(UTC) + DAY) == Purged(1, second["size"], 0)
    [current] = await rows(
        archive, "SELECT blob_key FROM instances WHERE sop_instance_uid = '1.2.3.4'"
    )
    assert current["blob_key"] in await keys(archive)
    name = read_blob_key(current["blob_key"])
    assert name is not None and name.replacing


async def test_blobs_that_cannot_be_purged_are_left_to_a_sweep(archive: Archive) -> None:
    delete = archive.blobs.delete

    async def stuck(keys: Any) -> None:
        raise PermissionError(13, "Permission denied")

    archive.blobs.delete = stuck  # type: ignore[method-assign]
    assert (await purge(archive, datetime.now(UTC) + DAY)).failed == 2
    archive.blobs.delete = delete  # type: ignore[method-assign]

    assert (await sweep(archive, Noted(), datetime.now(UTC) + DAY)).removed == 2
    assert len(await keys(archive)) == 2


async def test_a_sweep_and_a_rebuild_are_never_at_work_together(archive: Archive) -> None:
    async with alone_with_blobs(archive.pool):
        with pytest.raises(Unavailable, match="at work"):
            async with alone_with_blobs(archive.pool):
                pass
    async with alone_with_blobs(archive.pool):
        pass
