"""Rendered pictures in memory, bounded by bytes. Losing them costs time, nothing else."""

from collections import OrderedDict
from collections.abc import Hashable


class PictureCache:
    """The pictures used last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        self._limit = limit
        self.largest = limit // 8  # bytes of a picture that is kept
        self._size = 0
        self._pictures: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        picture = self._pictures.get(key)
        if picture is not None:
            self._pictures.move_to_end(key)
        return picture

    def put(self, key: Hashable, picture: bytes) -> None:
        if len(picture) > self.largest:
            return
        previous = self._pictures.pop(key, b"")
        self._pictures[key] = picture
        self._size += len(picture) - len(previous)
        while self._size > self._limit:
            _, dropped = self._pictures.popitem(last=False)
            self._size -= len(dropped)
