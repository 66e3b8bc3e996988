"""Which series are growing in this process, and by how much: what preparing goes by."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope

MANY = 32  # instances that are worth to be prepared for; fewer take milliseconds when asked for
SERIES = 1000  # that are kept in mind


@dataclass(slots=True)
class _Growth:
    count: int = 0  # instances since the series was told of
    enough: int = MANY
    told: bool = False  # and not prepared yet


class Arrivals:
    """Counts what is stored, and tells of a series when it has become much."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[Scope, str, str], _Growth] = OrderedDict()
        self._grown: asyncio.Queue[tuple[Scope, str, str]] | None = None

    def listen(self) -> "asyncio.Queue[tuple[Scope, str, str]]":
        """From now on count, and put what has grown here. Once at the most."""
        assert self._grown is None
        self._grown = asyncio.Queue()
        return self._grown

    def note(self, scope: Scope, study: str, series: str) -> None:
        """An instance of a series was stored."""
        if self._grown is None:
            return
        key = scope, study, series
        growth = self._series.setdefault(key, _Growth())
        self._series.move_to_end(key)
        growth.count += 1
        self._tell(key, growth)
        if len(self._series) > SERIES:
            self._series.popitem(last=False)

    def prepared(self, scope: Scope, study: str, series: str, size: int) -> None:
        """A series that was told of has been prepared, of `size` instances: to look at a large
        one costs more, so that it has to grow by more before the next time."""
        key = scope, study, series
        growth = self._series.get(key)
        if growth is not None:
            growth.told, growth.enough = False, MANY + size // 64
            self._tell(key, growth)

    def _tell(self, key: tuple[Scope, str, str], growth: _Growth) -> None:
        if not growth.told and growth.count >= growth.enough and self._grown is not None:
            growth.count, growth.told = 0, True
            self._grown.put_nowait(key)
