"""What is known of a series while a viewer goes through it: one statement for many frames.

A lease is for LEASE seconds from before the database was asked: until then a process answers from
what it was told. Whoever deletes an instance, or puts another in its place, says so only after all
leases of that time have run out (``outlive``): nothing can be had any more once it is known to be
gone, whichever process is asked, on whichever host; their clocks need not agree. What has been
stored since is not in the lease, and is looked up.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import Refusal, where
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.series_frames import (
    MOST,
    StudyVersion,
    instances_of,
    study_version,
)

log = structlog.get_logger()

LEASE = 0.1  # seconds
_MARGIN = 0.005  # seconds, for the steps of clocks
_EARLY = 0.03  # seconds before its end that a lease is renewed
_OFTEN = 8  # instances asked for in the time of a lease, from which a series is worth one
_AGAIN = 2  # from which it is worth being renewed
_TIMES = 32  # instances of a lease that cost as much to be listed as one that is looked up
_SERIES = 64  # that are watched
_ROWS = 12_000  # of all leases, which take 15 MB
_METADATA = 16 << 20  # bytes of all leases
_STUDIES = 16  # of a scope; those of a larger one take long to be compared

_Of = tuple[Scope, str, str]  # study and series


@dataclass(slots=True)
class _Series:
    rows: dict[str, Any] = field(default_factory=dict)  # by SOP Instance UID
    version: StudyVersion | None = None
    until: float = 0.0  # when the lease ends
    window: float = 0.0  # when counting began anew
    asked: int = 0  # since then
    before: int = 0  # in the window before
    tried: float = 0.0  # when the database was asked last
    too_large: bool = False
    rendered: bool = False  # somebody asked for metadata too
    metadata: int = 0  # bytes

    def count(self, now: float) -> None:
        """It was asked for an instance."""
        if now - self.window > LEASE:
            self.before = self.asked if now - self.window < 2 * LEASE else 0
            self.window, self.asked = now, 0
        self.asked += 1

    @property
    def wanted(self) -> int:
        """How many instances the time of a lease will probably be asked for."""
        return max(self.asked, self.before)


class SeriesLeases:
    """The series that somebody goes through now, as this process knows them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._series: OrderedDict[_Of, _Series] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = -LEASE  # when this process last changed what leases say

    def row_of(
        self, scope: Scope, study: str, series: str, instance: str, *, rendered: bool = False
    ) -> Any | None:
        """The row of an instance, for ``series_frames.frames_of``; None if it has to be looked up.

        It has metadata, unless they are too much, for who asks for what is to be `rendered`. Not
        for scopes of several institutions: of two instances with one UID, that of the first is
        meant, and it may just have been stored.
        """
        studies = scope.study_instance_uids
        if len(scope.institution_ids) != 1 or (studies is not None and len(studies) > _STUDIES):
            return None
        of, now = (scope, study, series), time.monotonic()
        known = self._series.get(of)
        if known is None:
            known = self._watch(of)
        known.count(now)
        if rendered and not known.rendered:
            known.rendered, known.version, known.until = True, None, 0.0
        ends = now >= known.until - _EARLY and now >= known.tried + LEASE - _EARLY
        worth = known.wanted >= (_AGAIN if known.rows else _OFTEN)
        if ends and worth and not known.too_large:
            known.tried = now
            self._begin(of, known)
        return known.rows.get(instance) if now < known.until else None

    def broke(self) -> None:
        """This process has just deleted instances, or put others in their place."""
        self._broken = time.monotonic()

    async def outlive(self) -> None:
        """Wait until no lease is left that was given before the last ``broke``."""
        await asyncio.sleep(max(0, self._broken + LEASE + _MARGIN - time.monotonic()))

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _watch(self, of: _Of) -> _Series:
        watched = self._series[of] = _Series()
        if len(self._series) > _SERIES:
            self._series.popitem(last=False)
        return watched

    def _begin(self, of: _Of, known: _Series) -> None:
        self._series.move_to_end(of)
        task = asyncio.create_task(self._renew(of, known))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, of: _Of, known: _Series) -> None:
        try:
            await self._ask(of, known)
        except Refusal:  # it is gone, or the database is away: who asks will hear of it
            pass
        except Exception as error:
            log.error("a series could not be listed", where=where(error))

    async def _ask(self, of: _Of, known: _Series) -> None:
        scope, study, series = of
        async with acquire(self._pool) as conn:
            since = time.monotonic()
            version = await study_version(conn, scope, study)
            if version is not None and version == known.version:
                known.until = since + LEASE
                return
            if known.wanted < max(_OFTEN, len(known.rows) // _TIMES):
                return  # as one that changes all the time
            since = time.monotonic()
            wanted = known.rendered
            rows = await instances_of(conn, scope, study, series, metadata=wanted)
        known.too_large = len(rows) > MOST
        if known.too_large or wanted != known.rendered:
            return
        known.rows = {row["sop_instance_uid"]: row for row in rows}
        known.metadata = sum(len(row["metadata"] or b"") for row in rows) if wanted else 0
        known.version, known.until = version, since + LEASE
        self._make_room()

    def _make_room(self) -> None:
        """Forget the series that were renewed the longest time ago."""
        all_known = self._series.values()
        while (
            sum(len(known.rows) for known in all_known) > _ROWS
            or sum(known.metadata for known in all_known) > _METADATA
        ):
            self._series.popitem(last=False)
