"""Archives opened in the test's own process, and what is stored in them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.delete import delete
from dicomweb_server.archive.opening import open_archive
from dicomweb_server.archive.staging import new_staging
from dicomweb_server.archive.store import store_files
from dicomweb_server.config import Settings
from dicomweb_server.index.database import acquire
from dicomweb_server.index.versions import Duplicates, set_duplicates_policy
from dicomweb_server.wire.store_report import Result

TESTER = Principal("tester")


@asynccontextmanager
async def opened(folder: Path, url: str, **settings: Any) -> AsyncIterator[Archive]:
    """The archive of a data folder and a database that has the schema."""
    given: dict[str, Any] = {"cpu_workers": 1, "min_free_bytes": 0, **settings}
    async with open_archive(Settings(data_dir=folder, database_url=url, **given)) as archive:
        yield archive


@asynccontextmanager
async def opened_twice(folder: Path, url: str) -> AsyncIterator[tuple[Archive, Archive]]:
    """One archive as two processes know it, which know nothing of each other."""
    async with opened(folder, url) as one, opened(folder, url) as other:
        yield one, other


async def store(archive: Archive, files: Sequence[bytes]) -> list[Result]:
    """Store files together, as a request does; none may be unavailable."""
    staged = []
    for file in files:
        staging = new_staging(archive)
        await staging.write(file)
        staged.append(await staging.finish())
    results = await store_files(archive, archive.scope(TESTER, Action.STORE), staged)
    assert not [result for result in results if isinstance(result, Exception)]
    return results  # type: ignore[return-value]


async def set_policy(archive: Archive, policy: Duplicates) -> None:
    async with acquire(archive.pool) as conn:
        await set_duplicates_policy(conn, "default", policy)


async def remove(archive: Archive, *uids: str) -> None:
    """Delete a study, a series or an instance, whatever the settings say."""
    allowing = archive.settings.model_copy(update={"allow_delete": True})
    await delete(replace(archive, settings=allowing), TESTER, *uids)


async def rows(archive: Archive, statement: str, *arguments: object) -> list[asyncpg.Record]:
    async with acquire(archive.pool) as conn:
        return await conn.fetch(statement, *arguments)


async def keys(archive: Archive) -> list[str]:
    """Those of all blobs that are there."""
    return [blob.key async for blob in archive.blobs.list()]
