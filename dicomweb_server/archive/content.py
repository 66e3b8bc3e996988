"""Bytes on their way out: how many, what they are, and an iterator that reads them when sent."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Content:
    """One representation. `read` may be called once; nothing is read before."""

    length: int  # bytes
    media_type: str
    transfer_syntax_uid: str
    read: Callable[[], AsyncIterator[bytes]]


def from_bytes(data: bytes, media_type: str, transfer_syntax_uid: str) -> Content:
    """Content that is in memory already: a frame, a small value."""

    async def read() -> AsyncIterator[bytes]:
        await asyncio.sleep(0)
        yield data

    return Content(len(data), media_type, transfer_syntax_uid, read)


def from_scratch(path: Path, media_type: str, transfer_syntax_uid: str) -> Content:
    """Content of a scratch file, whose name is removed at once: it cannot be left behind."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    path.unlink()
    held = _Descriptor(descriptor)
    length = os.fstat(descriptor).st_size

    async def read() -> AsyncIterator[bytes]:
        try:
            offset = 0
            while chunk := await asyncio.to_thread(os.pread, held.number, CHUNK, offset):
                offset += len(chunk)
                yield chunk
        finally:
            held.close()

    return Content(length, media_type, transfer_syntax_uid, read)


class _Descriptor:
    """A file descriptor that is closed also when the content is never read."""

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        if self.number >= 0:
            os.close(self.number)
            self.number = -1

    def __del__(self) -> None:
        self.close()
