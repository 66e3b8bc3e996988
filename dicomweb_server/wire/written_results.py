"""Results of searches that were written before, for those who ask for the same again.

Work lists show the same studies to everybody, and again a minute later. What a result is made of
is its key, so that nothing has to be told when an entity changes: it has another key then.
"""

from collections.abc import Hashable

_BESIDE = 600  # bytes, about, that a key and its places in two tables take besides its documents


class WrittenResults:
    """The JSON texts that were used last, up to a number of bytes.

    Texts are in the younger or the older of two tables. Those that are used move to the younger;
    when it is full it becomes the older one, and what nobody has used since is gone.
    """

    def __init__(self, limit: int) -> None:
        """`limit` in bytes, of texts and the documents in their keys."""
        self._most = limit // 2
        self._younger: dict[Hashable, tuple[bytes, int]] = {}
        self._older: dict[Hashable, tuple[bytes, int]] = {}
        self._size = self._older_size = 0

    @property
    def size(self) -> int:
        """Bytes of both tables, about; of what is in both twice."""
        return self._size + self._older_size

    def get(self, key: Hashable) -> bytes | None:
        """The text of `key`, if it is there."""
        kept = self._younger.get(key)
        if kept is None:
            kept = self._older.get(key)
            if kept is None:
                return None
            self._add(key, *kept)
        return kept[0]

    def put(self, key: Hashable, text: bytes, documents: int) -> None:
        """Keep a text whose key has so many bytes of `documents`. One so long that few would find
        room is not kept."""
        size = len(text) + documents + _BESIDE
        if size <= self._most // 64:
            self._add(key, text, size)

    def _add(self, key: Hashable, text: bytes, size: int) -> None:
        if self._size + size > self._most:
            self._older, self._older_size = self._younger, self._size
            self._younger, self._size = {}, 0
        self._younger[key] = text, size
        self._size += size
