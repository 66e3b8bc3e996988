"""Groups of instances, described and committed together: what spoils one costs no other."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive import commit
from dicomweb_server.archive.commit import Candidate, Committer, StorageFailed
from dicomweb_server.archive.describing import Describer
from dicomweb_server.archive.work import describe_files
from dicomweb_server.archive.workers import WorkerFailed, WorkerPool
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.errors import Refusal, Unavailable
from dicomweb_server.index.database import Pool
from dicomweb_server.index.instances import NewInstance
from dicomweb_server.index.rows import INSTANCE_COLUMNS, Entry
from tests.index.made import new

SCOPE = Scope((1,), None)


def poisoned(instance: NewInstance, column: str, value: object) -> NewInstance:
    values = list(instance.entry.instance)
    values[list(INSTANCE_COLUMNS).index(column)] = value
    return replace(instance, entry=replace(instance.entry, instance=tuple(values)))


def candidates(tmp_path: Path, instances: list[NewInstance]) -> list[Candidate]:
    made = []
    for number, instance in enumerate(instances):
        path = tmp_path / f"{number}.part"
        path.write_bytes(b"x")
        made.append(Candidate(SCOPE, instance, path))
    return made


async def outcomes(committer: Committer, group: list[Candidate]) -> list[Any]:
    found = await asyncio.gather(*(committer.commit([candidate]) for candidate in group))
    return [outcome for [outcome] in found]


@pytest.mark.parametrize(
    ("column", "value"),
    [("frame_count", 2**40), ("bulk", "{"), ("sop_class_uid", "a\0b")],  # by asyncpg, by Postgres
)
async def test_one_that_the_index_cannot_take_fails_alone_and_leaves_no_blob(
    pool: Pool, tmp_path: Path, column: str, value: object
) -> None:
    blobs = FilesystemBlobs(tmp_path / "blobs")
    committer = Committer(pool, blobs)
    instances = [new("1", "1.1", f"1.1.{n}") for n in range(1, 6)]
    instances[3] = poisoned(instances[3], column, value)

    first, *rest = candidates(tmp_path, instances)
    found = await outcomes(committer, [first, *rest])  # two groups: the first, and all others

    assert [type(outcome) for outcome in found] == [type(None)] * 3 + [StorageFailed, type(None)]
    keys = {i.blob_key for i in instances if i is not instances[3]}
    assert {blob.key async for blob in blobs.list()} == keys
    async with pool.acquire() as conn:
        rows = await conn.fetch("SELECT blob_key FROM instances")
        assert {row["blob_key"] for row in rows} == keys
    await committer.close()
    await blobs.close()


async def test_a_group_has_a_limit_in_bytes(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FilesystemBlobs(tmp_path / "blobs")
    committer = Committer(pool, blobs)
    group = candidates(tmp_path, [new("1", "1.1", f"1.1.{n}") for n in range(9)])
    monkeypatch.setattr(
        commit, "MAX_GROUP_BYTES", 2 * max(c.instance.entry.row_bytes for c in group)
    )
    sizes = []
    insert = commit.insert_instances

    async def note(conn: Any, scope: Scope, instances: Any, *rest: Any) -> Any:
        sizes.append(len(instances))
        return await insert(conn, scope, instances, *rest)

    monkeypatch.setattr(commit, "insert_instances", note)

    assert await outcomes(committer, group) == [None] * 9
    assert max(sizes) == 2
    assert sum(sizes) == 9
    await committer.close()
    await blobs.close()


async def test_what_fits_into_a_group_does_not_overtake_what_does_not(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the series would have the attributes of one that came later."""
    blobs = FilesystemBlobs(tmp_path / "blobs")
    committer = Committer(pool, blobs)
    small, large, *more = (new("1", "1.1", f"1.1.{n}") for n in range(4))
    large = replace(large, entry=replace(large.entry, row_bytes=1000))
    monkeypatch.setattr(commit, "MAX_GROUP_BYTES", 1000)
    groups: list[list[NewInstance]] = []
    insert = commit.insert_instances

    async def note(conn: Any, scope: Scope, instances: Any, *rest: Any) -> Any:
        groups.append(instances)
        return await insert(conn, scope, instances, *rest)

    monkeypatch.setattr(commit, "insert_instances", note)

    assert await committer.commit(candidates(tmp_path, [small, large, *more])) == [None] * 4
    assert [each for group in groups for each in group] == [small, large, *more]
    await committer.close()
    await blobs.close()


async def test_one_larger_than_any_group_goes_alone(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FilesystemBlobs(tmp_path / "blobs")
    committer = Committer(pool, blobs)
    monkeypatch.setattr(commit, "MAX_GROUP_BYTES", 1)

    group = candidates(tmp_path, [new("1", "1.1", f"1.1.{n}") for n in range(3)])
    assert await outcomes(committer, group) == [None] * 3
    await committer.close()
    await blobs.close()


class Workers(WorkerPool):
    """Workers without processes, that fail as they are told to."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(1, timeout=1, memory=0)
        self.failure = failure
        self.calls: list[int] = []

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        assert function is describe_files
        paths = args[0]
        self.calls.append(len(paths))
        await asyncio.sleep(0)
        if any(path.name == "bad" for path in paths):
            raise self.failure
        return [path.name for path in paths]


async def described(failure: Exception) -> tuple[Workers, list[Entry | BaseException]]:
    workers = Workers(failure)
    describer = Describer(workers, 0)
    names = ["a", "b", "bad", "c"]
    found = await asyncio.gather(*(describer.describe([Path(name)]) for name in names))
    return workers, [result for [result] in found]


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), WorkerFailed("a crash")])
async def test_one_that_a_worker_fails_at_costs_no_other(failure: Exception) -> None:
    _, results = await described(failure)

    assert results == ["a", "b", failure, "c"]


async def test_a_lack_of_workers_is_not_tried_again_for_each() -> None:
    workers, results = await described(Unavailable("busy"))

    assert all(isinstance(result, Refusal) for result in results[1:])
    assert len(workers.calls) == 2
