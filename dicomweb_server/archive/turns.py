"""The order of what is done side by side: batches of one request are committed as they came.

What comes twice in a request is then settled as its order says, and the first instance of a new
series gives its attributes (PS3.18 has no rule; [D]).
"""

import asyncio
from collections.abc import Sequence


class Turn:
    """The place of a batch behind others of its request."""

    def __init__(
        self,
        earlier: "Sequence[Turn]" = (),
        settled: set[str] | None = None,
        broken: dict[str, float] | None = None,
    ) -> None:
        """`settled`: the SOP Instance UIDs for which the request found another instance.
        `broken`: the studies of these, and when that was settled last; see
        ``SeriesLeases.outlive``."""
        self.settled = set() if settled is None else settled
        self.broken = {} if broken is None else broken
        self._earlier = earlier
        self._handed_over = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._ended.is_set()

    async def to_commit(self) -> None:
        """Wait until all before it were handed over to be committed, or ended without."""
        for turn in self._earlier:
            await turn._handed_over.wait()

    def hand_over(self) -> None:
        """What is handed over after this is committed after it."""
        self._handed_over.set()

    async def to_settle(self) -> None:
        """Wait until all is done that came before it."""
        for turn in self._earlier:
            await turn._ended.wait()

    def end(self) -> None:
        """Hold up nobody any more, whatever became of it."""
        self._handed_over.set()
        self._ended.set()
        self._earlier = ()


class Turns:
    """Those of one request."""

    def __init__(self) -> None:
        self._open: list[Turn] = []
        self._settled: set[str] = set()
        self.broken: dict[str, float] = {}

    def next(self) -> Turn:
        """The turn behind all others."""
        self._open = [turn for turn in self._open if not turn.has_ended]
        turn = Turn(tuple(self._open), self._settled, self.broken)
        self._open.append(turn)
        return turn
