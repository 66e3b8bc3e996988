"""What was made last, in memory, bounded by bytes. Losing it costs time, nothing else."""

from collections import OrderedDict
from collections.abc import Hashable


class RecentBytes:
    """The bytes that were used last, by their keys."""

    def __init__(self, limit: int, largest: int) -> None:
        """`limit`: bytes of all together. `largest`: of one that is kept at all."""
        self._limit = limit
        self.largest = largest
        self._kept: OrderedDict[Hashable, tuple[bytes, int]] = OrderedDict()
        self.size = 0  # bytes

    def get(self, key: Hashable) -> bytes | None:
        """The bytes of `key`, if they are there."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: Hashable, made: bytes, beside: int = 0) -> None:
        """Keep what was made; `beside`: bytes that its key takes, if that is much."""
        size = len(made) + beside
        if size > self.largest:
            return
        self.size += size - self._kept.pop(key, (b"", 0))[1]
        self._kept[key] = made, size
        while self.size > self._limit:
            _, (_, dropped) = self._kept.popitem(last=False)
            self.size -= dropped

    def __len__(self) -> int:
        return len(self._kept)
