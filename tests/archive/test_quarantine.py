"""Files that were refused: kept aside with the reason, stored again, dropped."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.archive import quarantine as module
from dicomweb_server.archive import scratch
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.purge import Purged, purge_quarantine
from dicomweb_server.archive.quarantine import Refused, drop, find_refused, list_refused
from dicomweb_server.archive.release import release, stage_again
from dicomweb_server.wire.store_report import Failed, Stored
from tests.archive.opened import keys, opened, remove, set_policy, store
from tests.archive.test_rebuild_index import one

DAY = timedelta(days=1)


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url, quarantine=True) as archive,
    ):
        yield archive


def entries(archive: Archive) -> list[Refused]:
    return list(list_refused(archive.settings.quarantine_dir))


def content(archive: Archive, entry: Refused) -> bytes:
    return (archive.settings.quarantine_dir / f"{entry.token}.dcm").read_bytes()


async def test_what_is_refused_is_kept_as_it_came(archive: Archive) -> None:
    other, garbage = one(PatientID="other"), b"no DICOM at all" * 20
    await store(archive, [one()])
    await store(archive, [one(), other, garbage])

    assert [(e.reason, e.sop_instance_uid) for e in entries(archive)] == [
        (0x0111, "1.2.3.4"),
        (0xC000, None),
    ]
    assert [content(archive, entry) for entry in entries(archive)] == [other, garbage]
    assert not list(archive.settings.tmp_dir.iterdir())


async def test_a_file_is_stored_once_nothing_stands_in_its_way(archive: Archive) -> None:
    await store(archive, [one()])
    await store(archive, [one(PatientID="other")])
    [entry] = entries(archive)

    refused = await release(archive, entry)
    assert isinstance(refused, Failed) and refused.reason == 0x0111
    assert entries(archive) == [entry]  # as it was, and once
    await remove(archive, "1.2")
    stored = await release(archive, entry)

    assert isinstance(stored, Stored) and stored.new
    assert entries(archive) == []
    assert list(archive.settings.quarantine_dir.iterdir()) == []
    [key] = await keys(archive)
    assert (archive.settings.blobs_dir / key).read_bytes() == one(PatientID="other")
    assert not list(archive.settings.tmp_dir.iterdir())


async def test_a_release_that_was_cut_off_is_done_again(archive: Archive) -> None:
    await store(archive, [one()])
    await store(archive, [one(PatientID="other")])
    [entry] = entries(archive)
    await set_policy(archive, "replace")
    kept = archive.settings.quarantine_dir / "kept"
    kept.hardlink_to(archive.settings.quarantine_dir / f"{entry.token}.dcm")
    await release(archive, entry)
    kept.rename(kept.with_name(f"{entry.token}.dcm"))

    again = await release(archive, entry)

    assert isinstance(again, Stored) and not again.new
    assert len(await keys(archive)) == 2


async def test_a_staged_old_file_is_not_taken_for_forgotten(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(archive, [b"x"])
    [entry] = entries(archive)
    os.utime(archive.settings.quarantine_dir / f"{entry.token}.dcm", (0, 0))
    staged = stage_again(archive, entry)
    monkeypatch.setattr(scratch, "_lives", lambda pid: True)  # as another process sees us

    assert scratch.sweep(archive.settings.tmp_dir) == 0
    assert staged.path.exists()


async def test_the_quarantine_has_a_limit_that_notes_count_towards(archive: Archive) -> None:
    settings = archive.settings.model_copy(update={"quarantine_limit_bytes": 10_000})
    small = replace(archive, settings=settings)
    for _ in range(5):
        await asyncio.gather(*(store(small, [b""]) for _ in range(3)))
    assert len(entries(archive)) == 2
    assert len(list(archive.settings.quarantine_dir.iterdir())) == 4
    assert not list(archive.settings.tmp_dir.iterdir())


async def test_a_note_that_is_damaged_hides_no_other(archive: Archive) -> None:
    await store(archive, [b"x", b"y", b"z"])
    first, second, third = entries(archive)
    folder = archive.settings.quarantine_dir
    (folder / f"{first.token}.json").write_bytes(b'{"token": 1')
    (folder / f"{second.token}.json").write_bytes(b'{"token": "1"}')
    assert entries(archive) == [third]


@pytest.mark.parametrize("token", ["", "..", "../x", "0" * 65, "note", "/etc/passwd", "0\n"])
async def test_other_tokens_name_nothing(tmp_path: Path, token: str) -> None:
    for name in ("note", "0\n", ""):
        (tmp_path / f"{name}.json").write_text("{}")
    assert find_refused(tmp_path, token) is None


async def test_what_is_dropped_is_gone(archive: Archive) -> None:
    await store(archive, [b"x", b"y"])
    first, second = entries(archive)
    drop(archive.settings.quarantine_dir, first)
    assert entries(archive) == [second]
    assert len(list(archive.settings.quarantine_dir.iterdir())) == 2


async def test_old_entries_are_purged_and_what_never_became_one(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = archive.settings.quarantine_dir
    assert await purge_quarantine(archive, datetime.now(UTC)) == Purged()  # there is none yet
    await store(archive, [b"xyz"])
    (folder / "ab.dcm").write_bytes(b"12345")
    (folder / "cd.part").write_bytes(b"")
    for name in ("ab.dcm", "cd.part"):
        os.utime(folder / name, (0, 0))
    (folder / "ef.dcm").write_bytes(b"under way")

    assert await purge_quarantine(archive, datetime.now(UTC) - DAY, dry_run=True) == Purged(2, 5)
    assert len(list(folder.iterdir())) == 5
    assert await purge_quarantine(archive, datetime.now(UTC) - DAY) == Purged(2, 5)
    assert len(entries(archive)) == 1 and (folder / "ef.dcm").exists()
    assert (await purge_quarantine(archive, datetime.now(UTC) + DAY)).files == 2
    assert list(folder.iterdir()) == []


async def test_a_quarantine_whose_entries_go_meanwhile_is_measured(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(archive, [b"x"])
    monkeypatch.setattr(module, "_REMEASURE_SECONDS", -1.0)
    scandir = os.scandir

    def vanishing(folder: Any) -> Any:
        found = list(scandir(folder))
        for entry in found:
            Path(entry.path).unlink()
        return found

    monkeypatch.setattr(module.os, "scandir", vanishing)
    await store(archive, [b"y"])
    monkeypatch.undo()
    assert [content(archive, entry) for entry in entries(archive)] == [b"y"]
