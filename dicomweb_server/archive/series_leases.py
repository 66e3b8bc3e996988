"""What is known of a series while a viewer goes through it: one statement for many frames.

A lease is for LEASE seconds from before the database was asked: until then a process answers from
what it was told. It notes in the database that it does so, before it is told. Whoever deletes an
instance, or puts another in its place, looks for such a note after that, and says what was done
only when all leases of that time have run out (``outlive``): nothing can be had any more once that
was answered, whichever process is asked, on whichever host; their clocks need not agree, only go on
as time does. Before that some answers are of the time before, and some are not; so no answer is
made of a lease and of what else is looked up. What has been stored since is not in the lease, and
is looked up.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import Refusal, Unavailable, where
from dicomweb_server.index.database import Connection, Pool, acquire
from dicomweb_server.index.series_frames import (
    MOST,
    NOTED,
    StudyVersion,
    are_leased,
    instances_of,
    note_lease,
    study_version,
)

log = structlog.get_logger()

LEASE = 0.1  # seconds
_MARGIN = 0.005  # seconds, for the steps of clocks
_OLD = 10.0  # seconds after its end in which a lease may be renewed
_EARLY = 0.03  # seconds before its end that a lease is renewed
_OFTEN = 8  # instances asked for in the time of a lease, from which a series is worth one
_AGAIN = 2  # from which it is worth being renewed
_TIMES = 32  # instances of a lease that cost as much to be listed as one that is looked up
_SERIES = 64  # that are watched
_ROWS = 10_000  # of all leases, which take 20 MB
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
    renewing: bool = False
    noted: float = -NOTED  # when that was noted there
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
        self._series.move_to_end(of)
        known.count(now)
        if now > known.until + _OLD:
            known.version = None
        if rendered and not known.rendered:
            known.rendered, known.version, known.until = True, None, 0.0
        ends = now >= known.until - _EARLY and now >= known.tried + LEASE - _EARLY
        worth = known.wanted >= (_AGAIN if known.rows else _OFTEN)
        if ends and worth and not (known.too_large or known.renewing):
            known.tried, known.renewing = now, True
            self._begin(of, known)
        return known.rows.get(instance) if now < known.until else None

    async def outlive(self, scope: Scope, broken: Mapping[str, float]) -> None:
        """Wait until no lease is left of studies whose instances were deleted or replaced; `broken`
        has their UIDs, and when that was done (time.monotonic)."""
        if not broken:
            return
        with suppress(Unavailable):  # then there may be
            async with acquire(self._pool) as conn:
                if not await are_leased(conn, scope, broken):
                    return
        ending = max(broken.values()) + LEASE + _MARGIN
        await asyncio.sleep(max(0, ending - time.monotonic()))

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
        finally:
            known.renewing = False

    async def _ask(self, of: _Of, known: _Series) -> None:
        scope, study, series = of
        async with acquire(self._pool) as conn:
            if not await self._note(conn, scope, study, known):
                return
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

    async def _note(self, conn: Connection, scope: Scope, study: str, known: _Series) -> bool:
        """Note that there may be a lease; before anything is asked that it will be made of. False
        if there is no such study."""
        now = time.monotonic()
        if now > known.noted + NOTED / 2:
            if await study_version(conn, scope, study) is None:
                return False
            await note_lease(conn, scope, study)
            known.noted = now
        return True

    def _make_room(self) -> None:
        """Forget the series that nobody has asked for the longest time."""
        all_known = self._series.values()
        while (
            sum(len(known.rows) for known in all_known) > _ROWS
            or sum(known.metadata for known in all_known) > _METADATA
        ):
            self._series.popitem(last=False)
