"""Bytes on their way out: how many, what they are, and an iterator that reads them when sent."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

CHUNK = 1 << 20  # bytes; what is not larger is read at once


class Scratch(Protocol):
    """What is of no use any more once an answer has been sent."""

    async def close(self) -> None:
        """Give it back."""


@dataclass(frozen=True, slots=True)
class Content:
    """One representation. Nothing is read before it is asked for, nor anything else.

    `stream` gives the bytes from an offset on, as many as a length says. `scratch`: what is of no
    use after this, as a file; `close` gives it back. `transfer_syntax_uid` is empty for what has
    none. `data`: all of it, if it is in memory.
    """

    length: int  # bytes
    media_type: str
    transfer_syntax_uid: str
    stream: Callable[[int, int], AsyncIterator[bytes]]
    scratch: Scratch | None = None
    data: bytes | None = None

    def read(self) -> AsyncIterator[bytes]:
        """All of it."""
        return self.stream(0, self.length)

    def read_range(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """The `length` bytes from `offset`; both lie within it."""
        return self.stream(offset, length)

    async def close(self) -> None:
        """It has been sent."""
        if self.scratch is not None:
            await self.scratch.close()

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str, transfer_syntax_uid: str) -> Self:
        """Content that is in memory already: a frame, a small value."""

        async def stream(offset: int, length: int) -> AsyncIterator[bytes]:
            await asyncio.sleep(0)
            if length == len(data) and length <= CHUNK:
                yield data
                return
            end = offset + length
            for at in range(offset, end, CHUNK):  # the server copies a piece as a whole
                yield data[at : min(at + CHUNK, end)]

        return cls(len(data), media_type, transfer_syntax_uid, stream, data=data)

    @classmethod
    def of_made(
        cls, made: "bytes | ScratchFile", media_type: str, transfer_syntax_uid: str
    ) -> Self:
        """What was made, in memory or in a scratch file."""
        if isinstance(made, bytes):
            return cls.of_bytes(made, media_type, transfer_syntax_uid)
        return cls.of_scratch(made, media_type, transfer_syntax_uid)

    @classmethod
    def of_scratch(cls, file: "ScratchFile", media_type: str, transfer_syntax_uid: str) -> Self:
        """All of a scratch file."""

        async def stream(offset: int, length: int) -> AsyncIterator[bytes]:
            end = offset + length
            while offset < end:
                size = min(CHUNK, end - offset)
                chunk = await asyncio.to_thread(os.pread, file.number, size, file.start + offset)
                if not chunk:
                    raise EOFError("a scratch file is shorter than it was")
                offset += len(chunk)
                yield chunk

        return cls(file.size, media_type, transfer_syntax_uid, stream, file)


class ScratchFile:
    """An open scratch file whose name may be gone already: it cannot be left behind."""

    def __init__(self, path: Path, start: int = 0) -> None:
        """`start`: where what counts begins in the file, in bytes."""
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.start = start
        self.size = os.fstat(self.number).st_size - start

    @classmethod
    def of_bytes(cls, data: bytes) -> Self:
        """One in memory, for want of a disk."""
        number = os.memfd_create("made")
        try:
            os.write(number, data)
            return cls(Path(f"/proc/self/fd/{number}"))
        finally:
            os.close(number)

    async def close(self) -> None:
        """Freeing the blocks of a large file takes a while: not on the event loop. It is closed
        also when who waits for it is cancelled, before a thread has come to it too."""
        number, self.number = self.number, -1
        if number >= 0:
            loop = asyncio.get_running_loop()
            await asyncio.shield(loop.run_in_executor(None, os.close, number))

    def __del__(self) -> None:
        # Here and now: the collector may run anywhere, also where a thread pool's lock is held.
        # A generator that is collected with this may close it yet: never twice, for by then the
        # number may be that of another file.
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)
