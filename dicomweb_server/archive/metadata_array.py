"""The metadata of a study or series as one JSON array, made of runs that are kept when made.

Rows hold the metadata of single instances, deflated as they were stored, with a mark where URLs
belong (dicom.description.BULK_BASE). A run of them, with the URLs made whole, takes a tenth of the
bytes, and is sent as it is to who takes gzip; to unpack it costs 0.2 ms for a megabyte of text.

The rows stay, so that nothing has to be moved when a series is quiet, and what is kept may be lost.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import NamedTuple

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive, MadeRun
from dicomweb_server.archive.derived import DerivedCache, Key, keys_of
from dicomweb_server.archive.metadata import row_text, url_of
from dicomweb_server.index import metadata_runs as index
from dicomweb_server.index.database import acquire
from dicomweb_server.index.metadata_runs import Run
from dicomweb_server.index.retrieve import MetadataRow
from dicomweb_server.wire.array_runs import ArrayRun

_STAGE = 4 << 20  # bytes of packed metadata that one request holds, unless one instance has more


class Stage(NamedTuple):
    """The texts of some runs, and whether they are as they were listed."""

    texts: list[ArrayRun]
    unchanged: bool


async def list_runs(
    archive: Archive, principal: Principal, study: str, series: str | None = None
) -> list[Run]:
    """What a study or series holds now: one statement, which reads no metadata.
    Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.list_runs(session.conn, session.scope, study, series)


async def read_runs(
    archive: Archive, principal: Principal, study: str, runs: Sequence[Run]
) -> AsyncIterator[Stage]:
    """The texts of `runs`, some at a time: from the cache, or made and put there.

    What was deleted since they were listed is left out, and so may be a run, or all of them; what
    was replaced is as it is now.
    """
    scope = archive.scope(principal, Action.RETRIEVE)
    for stage in _stages(runs):
        yield await _read(archive, scope, study, stage)


async def prepare_runs(archive: Archive, scope: Scope, study: str, series: str) -> int:
    """Make those runs of a series that are not in the cache, but for the last, which is likely
    to grow yet. Returns how many instances the series has. Raises NotFound, Unavailable."""
    async with acquire(archive.pool) as conn:
        runs = await index.list_runs(conn, scope, study, series)
    for stage in _stages(runs[:-1]):
        await _read(archive, scope, study, stage)
    return sum(run.count for run in runs)


def _stages(runs: Sequence[Run]) -> Iterator[list[Run]]:
    stage: list[Run] = []
    size = 0
    for run in runs:
        if stage and size + run.packed > _STAGE:
            yield stage
            stage, size = [], 0
        stage.append(run)
        size += run.packed
    if stage:
        yield stage


async def _read(archive: Archive, scope: Scope, study: str, runs: Sequence[Run]) -> Stage:
    base_url = archive.settings.dicomweb_url
    keys = keys_of(study, "metadata", (base_url,), [(run.digest,) for run in runs])
    kept = await asyncio.to_thread(archive.derived.get_many, keys)
    missing = [place for place, data in enumerate(kept) if data is None]

    def make(places: list[int]) -> Awaitable[list[MadeRun]]:
        asked = [missing[place] for place in places]
        return _make(archive, scope, study, [(runs[place], keys[place]) for place in asked])

    making = await archive.runs_made.each([keys[place] for place in missing], make)
    made = dict(zip(missing, making, strict=True))
    found = [
        made[place] if data is None else (ArrayRun.of_bytes(data), True)
        for place, data in enumerate(kept)
    ]
    return Stage([text for text, _ in found if text], all(same for _, same in found))


async def _make(
    archive: Archive, scope: Scope, study: str, wanted: Sequence[tuple[Run, Key]]
) -> list[MadeRun]:
    """Make runs, which are of one stage: one statement and one thread for all of them."""
    async with acquire(archive.pool) as conn:
        found = await index.read_runs(conn, scope, study, [run for run, _ in wanted])
    base_url = archive.settings.dicomweb_url
    keys = [key for _, key in wanted]
    return await asyncio.to_thread(_join, found, keys, base_url, archive.derived)


def _join(
    found: Sequence[tuple[Sequence[MetadataRow], bool]],
    keys: Sequence[Key],
    base_url: str,
    derived: DerivedCache,
) -> list[MadeRun]:
    made: list[MadeRun] = []
    for (rows, same), key in zip(found, keys, strict=True):
        if not rows:
            made.append((None, False))
            continue
        run = ArrayRun.of_texts(row_text(row.packed, url_of(base_url, row)) for row in rows)
        if same:
            derived.put(key, run.to_bytes())
        made.append((run, same))
    return made
