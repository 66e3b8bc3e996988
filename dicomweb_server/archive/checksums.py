"""CRC-32s of stored files, remembered for a while: who goes on with a download is not made to wait
until what was sent before has been read again. Losing them costs time, nothing else."""

from collections import OrderedDict

_MOST = 50_000  # some 10 MB


class Checksums:
    """Those that were computed last, by the SHA-256 of the file."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def get(self, sha256: bytes) -> int | None:
        return self._known.get(sha256)

    def put(self, sha256: bytes, crc: int) -> None:
        self._known[sha256] = crc
        if len(self._known) > self._most:
            self._known.popitem(last=False)
