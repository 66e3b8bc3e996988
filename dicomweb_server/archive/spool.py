"""Bytes that are written, changed and read again while one answer is made: in memory while they
are few, else in a file of the scratch folder that has no name, and so is never left behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile

from dicomweb_server.errors import Unavailable

_IN_MEMORY = 2 << 20  # bytes


class Spool:
    """One such piece. Its calls follow each other; none is made while another is under way."""

    def __init__(self, folder: Path) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY, "w+b", dir=str(folder))  # noqa: SIM115

    async def write(self, pieces: Sequence[tuple[int, bytes]]) -> None:
        """Put each piece where it belongs, by its offset, in their order.

        Raises Unavailable if the disk is full.
        """
        try:
            await asyncio.to_thread(self._write, pieces)
        except OSError:
            raise Unavailable("the archive is out of space", retry_after=300) from None

    def _write(self, pieces: Sequence[tuple[int, bytes]]) -> None:
        for offset, data in pieces:
            self._file.seek(offset)
            self._file.write(data)

    async def read(self, offset: int, length: int) -> bytes:
        """What stands there; less at the end."""
        return await asyncio.to_thread(self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data: bytes = self._file.read(length)
        return data

    async def close(self) -> None:
        """Freeing the blocks of a file takes a while."""
        await asyncio.shield(asyncio.to_thread(self._file.close))
