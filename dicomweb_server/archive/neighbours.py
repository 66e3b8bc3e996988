"""Which blobs a viewer will probably want next: those around the one that it asks for."""

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive.expected_blobs import Expected, Expecting
from dicomweb_server.errors import Refusal, where
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.retrieve import Location, Position, locate_instances

log = structlog.get_logger()

AHEAD, BEHIND = 24, 8  # instances
LATELY = 32  # instances that were asked for, from which is known which way it goes
SERIES = 32  # of which the order is known
MOST = 5000  # instances of a series
KNOWN = 20_000  # of all of them, which take 8 MB
SECONDS = 60.0  # after which an order is looked up anew, if it lacks what is asked for

_Of = tuple[Scope, str, str]  # study and series


@dataclass(frozen=True, slots=True)
class _Order:
    blobs: list[Expected]
    places: dict[str, int]  # by key
    since: float
    lately: "deque[int]" = field(default_factory=lambda: deque(maxlen=LATELY))


class Neighbours:
    """Follows who looks through a series, and has the blobs around read ahead.

    What it knows of a series only says what is fetched early, never what anybody gets: that is
    looked up in the index each time, in the scope of who asks.
    """

    def __init__(self, pool: Pool, ahead: Expecting) -> None:
        self._pool = pool
        self._ahead = ahead
        self._orders: OrderedDict[_Of, _Order] = OrderedDict()
        self._looking: dict[_Of, asyncio.Task[None]] = {}

    def follow(self, scope: Scope, location: Location, *, again: bool = False) -> None:
        """An instance is being asked for; `again`: more of it will be."""
        of = scope, location.study_instance_uid, location.series_instance_uid
        order = self._orders.get(of)
        if order is not None and location.blob_key in order.places:
            self._orders.move_to_end(of)
            self._expect(order, location.blob_key, again=again)
        elif (order is None or time.monotonic() - order.since > SECONDS) and (
            of not in self._looking
        ):
            task = asyncio.create_task(self._look(of, location.blob_key, again=again))
            self._looking[of] = task
            task.add_done_callback(lambda _: self._looking.pop(of))

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _expect(self, order: _Order, key: str, *, again: bool) -> None:
        place = order.places[key]
        # A viewer that begins in the middle goes on in both directions, in turns.
        back = place + 1 in order.lately and place - 1 not in order.lately
        order.lately.append(place)
        after, before = (BEHIND, AHEAD) if back else (AHEAD, BEHIND)
        following = order.blobs[place + 1 : place + 1 + after]
        preceding = order.blobs[max(0, place - before) : place][::-1]
        itself = order.blobs[place : place + 1] if again else []
        self._ahead.expect(itself + (preceding + following if back else following + preceding))

    async def _look(self, of: _Of, key: str, *, again: bool) -> None:
        try:
            blobs = await self._blobs(of)
        except Refusal:  # it is gone, or the database is away: who asks will hear of it
            return
        except Exception as error:
            log.error("nothing is read ahead", where=where(error))
            return
        places = {key: place for place, (key, _) in enumerate(blobs)}
        order = self._orders[of] = _Order(blobs, places, time.monotonic())
        self._orders.move_to_end(of)
        while len(self._orders) > SERIES or self._known() > KNOWN:
            self._orders.popitem(last=False)
        if key in places:
            self._ahead.follow(blobs)
            self._expect(order, key, again=again)

    def _known(self) -> int:
        return sum(len(order.blobs) for order in self._orders.values())

    async def _blobs(self, of: _Of) -> list[Expected]:
        """Those of a series in the order of WADO-11."""
        scope, study, series = of
        blobs: list[Expected] = []
        after: Position | None = None
        while len(blobs) < MOST:
            async with acquire(self._pool) as conn:
                page = await locate_instances(conn, scope, study, series, after)
            blobs += [(location.blob_key, location.size) for location in page.items]
            after = page.after
            if after is None:
                break
        return blobs
