"""Bytes on their way out: how many, what they are, and an iterator that reads them when sent."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Content:
    """One representation. `read` may be called once; nothing is read before."""

    length: int  # bytes
    media_type: str
    transfer_syntax_uid: str
    read: Callable[[], AsyncIterator[bytes]]

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str, transfer_syntax_uid: str) -> Self:
        """Content that is in memory already: a frame, a small value."""

        async def read() -> AsyncIterator[bytes]:
            await asyncio.sleep(0)
            yield data

        return cls(len(data), media_type, transfer_syntax_uid, read)

    @classmethod
    def of_scratch(cls, file: "ScratchFile", media_type: str, transfer_syntax_uid: str) -> Self:
        """All of a scratch file."""

        async def read() -> AsyncIterator[bytes]:
            offset = 0
            while chunk := await asyncio.to_thread(os.pread, file.number, CHUNK, offset):
                offset += len(chunk)
                yield chunk
            await file.close()

        return cls(file.size, media_type, transfer_syntax_uid, read)


class ScratchFile:
    """An open scratch file whose name may be gone already: it cannot be left behind."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.number).st_size

    async def close(self) -> None:
        """Freeing the blocks of a large file takes a while: not on the event loop."""
        number, self.number = self.number, -1
        if number >= 0:
            await asyncio.to_thread(os.close, number)

    def __del__(self) -> None:
        # Here and now: the collector may run anywhere, also where a thread pool's lock is held.
        if self.number >= 0:
            os.close(self.number)
