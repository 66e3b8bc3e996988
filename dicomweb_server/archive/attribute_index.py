"""Have an attribute indexed that has no column, beside all that is stored meanwhile; or no more.

From the moment the attribute is on the list whatever is stored has its values. What was there
before gets them here, in the order of ids. An index that is broken off is gone on with; searches
use it when it is complete.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dicomweb_server.archive.archive import Archive
from dicomweb_server.dicom.attributes import ATTRIBUTES, level_of
from dicomweb_server.dicom.match_values import kind_of
from dicomweb_server.dicom.query import Path
from dicomweb_server.errors import NotFound
from dicomweb_server.index.attribute_fill import (
    AttributeGone,
    Row,
    analyze_values,
    is_in_documents,
    last_id,
    read_rows,
    write_values,
)
from dicomweb_server.index.attribute_values import IndexedAttribute, values_of_contents
from dicomweb_server.index.conditions import COLUMNS, REQUEST_COLUMNS
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.indexed_attributes import (
    BEGINNING,
    add_attribute,
    forget_attribute,
    has_values,
    list_attributes,
    make_ready,
    remove_attribute,
    remove_values,
)
from dicomweb_server.index.progress import alone_with_attributes, forget_progress, read_progress

DOCUMENTS = 500  # a transaction
WHOLE = 200  # instances whose metadata is parsed, a transaction
REMOVED = 10_000  # values a transaction
_PAUSE = 0.1  # seconds
_REQUESTS = 0x00400275


class CannotIndex(Exception):
    """The attribute cannot be indexed, or need not be."""


@dataclass(slots=True)
class Filled:
    """How far it is."""

    entities: int = 0  # studies, series or instances that were looked at in this run
    values: int = 0  # that they have
    resumed: bool = False  # whether it goes on with what was broken off
    was_ready: bool = False  # before this run


class Watcher(Protocol):
    """Is told how it goes."""

    def begin(self, last: int, position: int, filled: Filled) -> None:
        """It goes through the ids up to `last`, from `position` on."""

    def advance(self, position: int, filled: Filled) -> None:
        """It has come to an id."""


def check_path(path: Path) -> None:
    """Raises CannotIndex for what has a column, or nothing that can be indexed."""
    if path[0] in COLUMNS and len(path) == 1 and path != (_REQUESTS,):
        raise CannotIndex("it has an index already: every search uses it")
    if path[0] == _REQUESTS and len(path) == 2 and path[1] in REQUEST_COLUMNS:
        raise CannotIndex("it has an index already: every search uses it")
    level = level_of(path[0])
    if level is not None and ATTRIBUTES[level][path[0]].computed:
        raise CannotIndex("no file has it: it is computed")
    if kind_of(path) is None:
        raise CannotIndex(
            "it has no values that could be indexed: name an attribute of the standard, with the "
            "sequences that it stands in, that is neither a sequence nor bytes"
        )


async def index_attribute(archive: Archive, path: Path, watcher: Watcher) -> Filled:
    """Index an attribute, or go on with it. Raises CannotIndex, Unavailable, AttributeGone."""
    check_path(path)
    async with alone_with_attributes(archive.pool):
        attribute = await _listed(archive.pool, path)
        if attribute is not None and attribute.dropped:
            await _drop(archive.pool, attribute, lambda count: None)
            attribute = None
        if attribute is None:
            async with acquire(archive.pool) as conn:
                await add_attribute(conn, path)
            attribute = await _listed(archive.pool, path)
        assert attribute is not None
        if attribute.ready:
            return Filled(was_ready=True)
        return await _Fill(archive, attribute, watcher).run()


async def _listed(pool: Pool, path: Path) -> IndexedAttribute | None:
    async with acquire(pool) as conn:
        listed = await list_attributes(conn)
    return next((each for each in listed if each.path == path), None)


def _work(attribute: IndexedAttribute) -> str:
    """In the table progress: the id of the last entity whose values are there."""
    return f"attribute {attribute.id}:"


class _Fill:
    def __init__(self, archive: Archive, attribute: IndexedAttribute, watcher: Watcher) -> None:
        self._archive = archive
        self._attribute = attribute
        self._watcher = watcher
        self._work = _work(attribute)
        self._filled = Filled()

    async def run(self) -> Filled:
        """Give values to all that has none, and let searches use them."""
        attribute = self._attribute
        async with acquire(self._archive.pool) as conn:
            progress = await read_progress(conn, self._work)
            last = await last_id(conn, attribute.level)
        position = progress.get(self._work, 0)
        self._filled.resumed = position > 0
        self._watcher.begin(last, position, self._filled)
        await self._everything(position, last)
        self._watcher.advance(last, self._filled)
        async with acquire(self._archive.pool) as conn:
            await analyze_values(conn)
            if not await make_ready(conn, attribute.id):
                raise AttributeGone
            await forget_progress(conn, self._work)
        return self._filled

    async def _everything(self, position: int, last: int) -> None:
        """As many batches at a time as there are workers; written one after the other, so that
        what comes before the position that is noted is done."""
        computing: deque[tuple[list[Row], asyncio.Task[list[list[str]]]]] = deque()
        try:
            async for rows in self._batches(position, last):
                work = self._archive.workers.run(
                    values_of_contents,
                    self._attribute.path,
                    [row.content for row in rows],
                    is_in_documents(self._attribute),
                )
                computing.append((rows, asyncio.create_task(work)))
                if len(computing) > self._archive.workers.size:
                    await self._write(*computing.popleft())
            while computing:
                await self._write(*computing.popleft())
        finally:
            tasks = [task for _, task in computing]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _batches(self, position: int, last: int) -> AsyncIterator[list[Row]]:
        limit = DOCUMENTS if is_in_documents(self._attribute) else WHOLE
        while True:
            async with acquire(self._archive.pool) as conn:
                rows = await read_rows(conn, self._attribute, position, last, limit)
            if not rows:
                return
            yield rows
            position = rows[-1].id

    async def _write(self, rows: Sequence[Row], computing: "asyncio.Task[list[list[str]]]") -> None:
        values = await computing
        async with acquire(self._archive.pool) as conn:
            await write_values(conn, self._attribute, rows, values, self._work)
        self._filled.entities += len(rows)
        self._filled.values += sum(map(len, values))
        self._watcher.advance(rows[-1].id, self._filled)


async def drop_attribute(pool: Pool, path: Path, removed: Callable[[int], None]) -> None:
    """Take an attribute off the list, with its values; `removed` is told of each batch of them.

    What is broken off is done by the next. Raises NotFound, Unavailable.
    """
    async with alone_with_attributes(pool):
        attribute = await _listed(pool, path)
        if attribute is None:
            raise NotFound("it is not indexed")
        await _drop(pool, attribute, removed)


async def _drop(pool: Pool, attribute: IndexedAttribute, removed: Callable[[int], None]) -> None:
    async with acquire(pool) as conn:
        await forget_attribute(conn, attribute.id)
        await forget_progress(conn, _work(attribute))
        left = await has_values(conn, attribute.id)
    while left:
        count, place = 1, BEGINNING
        while count:
            async with acquire(pool) as conn:
                count, place = await remove_values(conn, attribute.id, place, REMOVED)
            removed(count)
        async with acquire(pool) as conn:
            left = await has_values(conn, attribute.id)
        if left:  # to those who are removing them with their entities, or have not done so
            await asyncio.sleep(_PAUSE)
    async with acquire(pool) as conn:
        await remove_attribute(conn, attribute.id)
