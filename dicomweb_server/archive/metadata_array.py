"""The metadata of a study or series as one JSON array, made of runs that are kept when made.

Rows hold the metadata of single instances, deflated as they were stored, with a mark where URLs
belong (dicom.description.BULK_BASE). A run of them, with the URLs made whole, takes a tenth of the
bytes, and is sent as it is to who takes gzip; to unpack it costs 0.2 ms for a megabyte of text.

The rows stay, so that nothing has to be moved when a series is quiet, and what is kept may be lost.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

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
_PIECE = 1 << 20  # bytes of packed metadata that are read and joined at a time


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


def _stages(runs: Sequence[Run], most: int = _STAGE) -> Iterator[list[Run]]:
    """One after the other, of `most` bytes each, or of one run."""
    stage: list[Run] = []
    size = 0
    for run in runs:
        if stage and size + run.packed > most:
            yield stage
            stage, size = [], 0
        stage.append(run)
        size += run.packed
    if stage:
        yield stage


async def _read(archive: Archive, scope: Scope, study: str, runs: Sequence[Run]) -> Stage:
    base_url = archive.settings.dicomweb_url
    keys = keys_of(study, "metadata", (base_url,), [(run.digest,) for run in runs])
    key_of = dict(zip(runs, keys, strict=True))
    kept = await asyncio.to_thread(archive.derived.get_many, keys)

    async def made(piece: list[Run]) -> list[MadeRun]:
        def make(places: list[int]) -> Awaitable[list[MadeRun | Exception]]:
            wanted = [(piece[place], key_of[piece[place]]) for place in places]
            return _make(archive, scope, study, wanted)

        return await archive.runs_made.each([key_of[run] for run in piece], make)

    missing = [run for run, data in zip(runs, kept, strict=True) if data is None]
    pieces = await asyncio.gather(*map(made, _stages(missing, _PIECE)))
    each_made = chain.from_iterable(pieces)
    found = [next(each_made) if data is None else (ArrayRun.of_bytes(data), True) for data in kept]
    return Stage([text for text, _ in found if text], all(same for _, same in found))


async def _make(
    archive: Archive, scope: Scope, study: str, wanted: Sequence[tuple[Run, Key]]
) -> list[MadeRun | Exception]:
    """Make the runs of a piece: one statement and one thread for all of them."""
    async with acquire(archive.pool) as conn:
        rows = await index.read_runs(conn, scope, study, [run for run, _ in wanted])
    base_url = archive.settings.dicomweb_url
    return await asyncio.to_thread(_join_all, wanted, rows, base_url, archive.derived)


def _join_all(
    wanted: Sequence[tuple[Run, Key]],
    rows: Mapping[bytes, Any],
    base_url: str,
    derived: DerivedCache,
) -> list[MadeRun | Exception]:
    made: list[MadeRun | Exception] = []
    for run, key in wanted:
        try:
            made.append(_join(*index.rows_of(run, rows), key, base_url, derived))
        except Exception as error:  # of damaged metadata; the others may be whole
            made.append(error)
    return made


def _join(
    rows: Sequence[MetadataRow], same: bool, key: Key, base_url: str, derived: DerivedCache
) -> MadeRun:
    if not rows:
        return None, False
    made = ArrayRun.of_texts(row_text(row.packed, url_of(base_url, row)) for row in rows)
    if same:
        derived.put(key, made.to_bytes())
    return made, same
