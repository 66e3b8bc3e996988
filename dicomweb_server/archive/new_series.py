"""Which series something came into, and when the last instance did: what thumbnails are made by."""

import asyncio
import time
from collections import OrderedDict

from dicomweb_server.access.policy import Scope

QUIET = 2.0  # seconds without anything stored after which nobody is thought to be storing
_MOST = 2000  # series that are kept in mind; of others thumbnails are made when they are asked for

Series = tuple[Scope, str, str]  # study and series


class NewSeries:
    """Series that wait for a quiet moment, those that wait longest first."""

    def __init__(self, quiet: float = QUIET) -> None:
        """`quiet` in seconds."""
        self._quiet = quiet
        self._waiting: OrderedDict[Series, None] = OrderedDict()
        self._last = 0.0
        self._any = asyncio.Event()
        self._listening = False

    def listen(self) -> None:
        """From now on keep in mind what comes."""
        self._listening = True

    def note(self, scope: Scope, study: str, series: str) -> None:
        """An instance of a series was stored."""
        if not self._listening:
            return
        self._last = time.monotonic()
        self._waiting[scope, study, series] = None
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)
        self._any.set()

    async def next(self) -> Series:
        """The next series, when nothing has been stored for a while, whatever it is of."""
        while True:
            await self._any.wait()
            left = self._last + self._quiet - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            series, _ = self._waiting.popitem(last=False)
            if not self._waiting:
                self._any.clear()
            return series
