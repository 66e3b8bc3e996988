"""Verify finds every damage, and nothing where there is none."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.archive import verify as module
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.verify import Finding, Throttle, Verified, verify
from dicomweb_server.blobs.store import BlobsUnavailable
from tests.archive.opened import opened, remove, rows, set_policy, store
from tests.make import instance_with, study_of


class Noted:
    """What a run told, and what is to happen after each step."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.total: tuple[int, int] | None = None
        self.read = 0

    def begin(self, blobs: int, size: int, verified: Verified) -> None:
        self.total = (blobs, size)

    def advance(self, verified: Verified, size: int) -> None:
        self.read += size

    def found(self, finding: Finding) -> None:
        self.findings.append(finding)


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    """Two studies of three and two instances, one of them replaced."""
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        await set_policy(archive, "replace")
        await store(archive, [made.file() for made in study_of(1, 3, rows=16, columns=16)])
        for comment in ("old", "new"):
            await store(archive, [one(PatientComments=comment)])
        await store(archive, [one(SOPInstanceUID="1.2.3.5")])
        yield archive


def one(**keywords: Any) -> bytes:
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
    return instance_with(**{**uids, **keywords})


async def path_of(archive: Archive, table: str = "instances", uid: str = "1.2.3.4") -> Path:
    [row] = await rows(archive, f"SELECT blob_key FROM {table} WHERE sop_instance_uid = $1", uid)
    return archive.settings.blobs_dir / str(row["blob_key"])


async def findings(archive: Archive, **options: Any) -> list[Finding]:
    noted = Noted()
    done = await verify(archive, noted, **options)
    assert done.wrong == len(noted.findings) + done.found_before
    return noted.findings


async def test_a_sound_archive_gives_nothing_to_tell(archive: Archive) -> None:
    noted = Noted()

    done = await verify(archive, noted)

    assert noted.findings == []
    assert (done.blobs, done.bytes) == noted.total
    assert done.blobs == 6  # a superseded version is one of them
    assert noted.read == done.bytes
    assert await rows(archive, "SELECT * FROM progress") == []


DAMAGES = {
    "damaged, other content than was stored": lambda data: data[:-1] + b"\xff",
    "damaged, shorter than": lambda data: data[:-1],
    "damaged, longer than": lambda data: data + b"\0",
    "missing": None,
}


async def test_damage_is_found_and_named(archive: Archive) -> None:
    [other] = await rows(archive, "SELECT study_instance_uid FROM studies WHERE patient_id <> 'P1'")
    for table in ("instances", "superseded"):
        path = await path_of(archive, table)
        sound = path.read_bytes()
        for what, damage in DAMAGES.items():
            path.write_bytes(damage(sound)) if damage else path.unlink()

            [finding] = await findings(archive)

            assert finding.what.startswith(what)
            assert (finding.study_instance_uid, finding.sop_instance_uid) == ("1.2", "1.2.3.4")
            assert finding.blob_key == str(path.relative_to(archive.settings.blobs_dir))
            assert "Test^Patient" not in str(finding)
            assert await findings(archive, study="1.2") == [finding]
            assert await findings(archive, study=other["study_instance_uid"]) == []
        path.write_bytes(sound)
    assert await findings(archive) == []


async def test_what_cannot_be_opened_is_found_and_hinders_nothing(archive: Archive) -> None:
    path = await path_of(archive)
    path.unlink()
    path.mkdir()
    (await path_of(archive, uid="1.2.3.5")).unlink()

    told = sorted(finding.what for finding in await findings(archive))

    assert told == ["cannot be read (Is a directory)", "missing"]


async def test_wrong_counts_are_found(archive: Archive) -> None:
    await rows(
        archive, "UPDATE series SET number_of_instances = 7 WHERE series_instance_uid = '1.2.3'"
    )
    await rows(
        archive,
        """UPDATE studies SET bytes = bytes + 1, number_of_series = 2, number_of_instances = 9
            WHERE study_instance_uid = '1.2'""",
    )

    series, study = await findings(archive)

    assert series.what == "number_of_instances is 7 and should be 2"
    assert series.series_instance_uid == "1.2.3"
    assert study.what.startswith("number_of_series is 2 and should be 1, number_of_instances is 9")
    assert "bytes is" in study.what and study.series_instance_uid is None


async def test_what_is_deleted_or_replaced_meanwhile_is_no_damage(archive: Archive) -> None:
    stream = archive.blobs.stream

    def late(key: str, offset: int, length: int) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            if "1.2.3.5" in key:
                await remove(archive, "1.2", "1.2.3", "1.2.3.5")
            elif "+" in key:
                await store(archive, [one(PatientComments="newer")])
            async for chunk in stream(key, offset, length):
                yield chunk

        return chunks()

    archive.blobs.stream = late  # type: ignore[method-assign]

    assert await findings(archive) == []
    assert len(await rows(archive, "SELECT * FROM superseded")) == 2


async def test_an_interrupted_run_goes_on_where_it_was(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    (await path_of(archive, uid="1.2.3.5")).unlink()
    keys = [row[0] for row in await rows(archive, "SELECT blob_key FROM instances ORDER BY id")]
    first = archive.settings.blobs_dir / keys[0]
    first.write_bytes(first.read_bytes()[:-1])
    stream, asked = archive.blobs.stream, list[str]()

    def away(key: str, offset: int, length: int) -> Any:
        asked.append(key)
        if key == keys[3]:
            raise BlobsUnavailable("gone")
        return stream(key, offset, length)

    archive.blobs.stream = away  # type: ignore[method-assign]
    noted = Noted()
    with pytest.raises(ExceptionGroup) as failure:
        await verify(archive, noted)
    assert failure.group_contains(BlobsUnavailable)
    assert len(noted.findings) == 1
    asked.clear()
    archive.blobs.stream = lambda *a: asked.append(a[0]) or stream(*a)  # type: ignore

    done = await verify(archive, noted)

    assert asked[: len(keys) - 2] == keys[2:]
    assert done.resumed and done.found_before == 1
    assert (done.wrong, done.blobs) == (2, 6)  # what the first run found still counts
    assert [finding.what for finding in noted.findings][1:] == ["missing"]
    asked.clear()
    assert (await verify(archive, noted)).resumed is False  # a finished run leaves no trace
    assert len(asked) == 6


async def test_a_run_may_begin_anew(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    await rows(
        archive,
        "INSERT INTO progress (work, position) VALUES ('verify instances', 1000), ('other', 1)",
    )
    assert (await verify(archive, Noted())).blobs == 1  # the superseded version
    await rows(archive, "INSERT INTO progress (work, position) VALUES ('verify instances', 1000)")
    assert (await verify(archive, Noted(), study="1.2")).blobs == 3
    assert (await verify(archive, Noted(), from_start=True)).blobs == 6
    assert [row["work"] for row in await rows(archive, "SELECT work FROM progress")] == ["other"]


async def test_a_throttle_holds_all_to_a_common_rate() -> None:
    throttle = Throttle(1000)
    begun = time.monotonic()
    await asyncio.gather(*(throttle.spend(50) for _ in range(6)))
    assert 0.29 < time.monotonic() - begun < 5
    begun = time.monotonic()
    await Throttle(None).spend(10**12)
    assert time.monotonic() - begun < 1
