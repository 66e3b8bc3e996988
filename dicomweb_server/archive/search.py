"""Search (PS3.18 §10.6): one statement where the index answers all that is asked.

What it does not answer is judged here, over the attributes that were stored: the statement's
rows come a step at a time, in the order of the search, until the page is full. Of attributes that
the operator has had indexed only those rows come that may have what is asked.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive, Session
from dicomweb_server.archive.judging import Judge, are_small, judge
from dicomweb_server.dicom.query import (
    Condition,
    DateTimeRange,
    Found,
    Level,
    Path,
    Returned,
    SearchQuery,
)
from dicomweb_server.errors import Unavailable
from dicomweb_server.index import search as index
from dicomweb_server.index.attribute_conditions import indexed_conditions
from dicomweb_server.index.conditions import is_answered
from dicomweb_server.index.search import SearchPage
from dicomweb_server.index.search_order import order_of

_FIRST_STEP, _LONGEST_STEP = 64, 256  # rows
_LONGEST_WITH_METADATA = 128  # rows, of which each is parsed whole
_COUNTED = 2_000  # rows that are looked at to count what remains: some tenths of a second
_MOST_HERE = 512 << 10  # bytes of documents that are judged on the event loop
_ROUNDS = 3  # of a step, while the list of indexed attributes changes


async def search(
    archive: Archive, principal: Principal, query: SearchQuery, returned: Returned
) -> SearchPage:
    """What matches `query`, a page of it. Raises NotFound for a parent that is not there
    (QRY-03), InvalidParameter for an order that the index does not have, and Unavailable when
    the search took too long."""
    judged = {p: c for p, c in query.conditions.items() if not is_answered(p, c)}
    if judged:
        scan = _Scan(archive, principal, query, returned, judged, Judge.of(judged, query))
        return await scan.run()
    async with archive.session(principal, Action.SEARCH) as session:
        return await index.search(session.conn, session.scope, query, returned)


@dataclass(slots=True)
class _Scan:
    """A search through what the index finds, for what it cannot tell."""

    archive: Archive
    principal: Principal
    query: SearchQuery
    returned: Returned
    judged: Mapping[Path, Condition]
    judge: Judge

    async def run(self) -> SearchPage:
        deadline = time.monotonic() + self.archive.settings.search_timeout_seconds
        counted = 0  # rows looked at since the page was full
        found: list[Found] = []
        matches = 0
        last: tuple[int | str | None, ...] | None = None
        step = self._first_step()
        while True:
            rows, more = await self._step(step)
            for row in rows:
                entity = self._entity(row)
                if entity.place == last:  # which ends in what is unique, whoever has it
                    continue
                last = entity.place
                matches += 1
                if self.query.offset < matches <= self.query.offset + self.query.limit:
                    found.append(entity)
            if more is None:
                remaining = max(matches - self.query.offset - len(found), 0)
                return SearchPage(found, remaining)
            full = matches >= self.query.offset + self.query.limit
            counted += step.limit if full else 0
            if counted > _COUNTED or (full and time.monotonic() > deadline):
                remaining = matches - self.query.offset - len(found)
                return SearchPage(found, remaining, exact=False)
            if time.monotonic() > deadline:
                raise Unavailable(index.ADVICE, retry_after=60)
            step = replace(step, after=more, limit=min(step.limit * 2, self._longest))

    @property
    def _longest(self) -> int:
        return _LONGEST_WITH_METADATA if self.judge.metadata else _LONGEST_STEP

    def _first_step(self) -> SearchQuery:
        """The rows to judge: of the lowest level that is asked for, in the order of the search."""
        conditions = self.query.conditions.items()
        # Of an interval in another time zone SQL knows the days around it.
        answered = {
            p: c for p, c in conditions if is_answered(p, c) or isinstance(c, DateTimeRange)
        }
        return replace(
            self.query,
            level=max(self.query.level, self.judge.level),
            conditions=answered,
            offset=0,
            limit=_FIRST_STEP,
        )

    async def _step(
        self, step: SearchQuery
    ) -> tuple[Sequence[Found], tuple[int | str | None, ...] | None]:
        """Those rows of a step that are found, and where the next one begins, if anywhere."""
        returned = replace(
            self.returned,
            documents=self.returned.documents | self.judge.documents,
            metadata=self.returned.metadata or self.judge.metadata,
        )
        async with self.archive.session(self.principal, Action.SEARCH) as session:
            rows = await self._find(session, step, returned)
            if not rows and step.after is None:
                await index.require_parent(session.conn, session.scope, step)
        more = rows[step.limit - 1].place if len(rows) > step.limit else None
        del rows[step.limit :]
        meeting = await self._judged(rows)
        found = [row for row, meets in zip(rows, meeting, strict=True) if meets]
        if not self.returned.metadata:
            found = [replace(row, metadata=None) for row in found]
        return found, more

    async def _judged(self, rows: Sequence[Found]) -> list[bool]:
        """Here only what takes some milliseconds: texts may be long, and patterns costly."""
        if self.judge.metadata or not are_small(rows, _MOST_HERE):
            return await self.archive.workers.run(judge, self.judge, rows)
        return judge(self.judge, rows)

    async def _find(self, session: Session, step: SearchQuery, returned: Returned) -> list[Found]:
        """The rows of a step that may be met, as far as indexed attributes tell."""
        attributes = self.archive.attributes
        known = await attributes.recent(session.conn)
        for _ in range(_ROUNDS):
            indexed = indexed_conditions(self.judged, known.ready)
            asked = replace(step, indexed=indexed)
            rows = await index.find(session.conn, session.scope, asked, returned)
            if not indexed or await attributes.still_holds(session.conn, known.version):
                return rows
            known = attributes.known  # of one that was dropped values may have been missing
        return await index.find(session.conn, session.scope, step, returned)

    def _entity(self, row: Found) -> Found:
        """The entity of the query's level that a row of a lower one belongs to."""
        level = self.query.level
        return replace(
            row,
            place=row.place[: len(order_of(self.query))],
            series_instance_uid=row.series_instance_uid if level >= Level.SERIES else None,
            sop_instance_uid=row.sop_instance_uid if level >= Level.INSTANCE else None,
        )
