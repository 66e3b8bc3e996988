"""Where the bytes of one stored instance are read from, and pieces of them as content.

The tables of an instance refer to its file; those of a deflated one to the file inflated, which
is made once a request, in the scratch folder.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import CHUNK, Content, ScratchFile
from dicomweb_server.archive.large_frames import PASSED, READ_THERE, Frame, StoredFrame, made_in
from dicomweb_server.archive.scratch import remove
from dicomweb_server.archive.without_room import made_in_memory
from dicomweb_server.archive.work import inflate_file
from dicomweb_server.archive.workers import Longer, WorkerStorageFailed
from dicomweb_server.blobs.store import BlobDamaged, BlobStore, BlobsUnavailable
from dicomweb_server.dicom.fragments import drop_pad
from dicomweb_server.dicom.frames import RECORD, cut_frame, fragments_of, frame_range
from dicomweb_server.dicom.part10 import is_deflated
from dicomweb_server.errors import ContentTooLarge, NotPart10, Unavailable
from dicomweb_server.index.retrieve import FrameLocation, Location

STREAMED = 4 << 20  # bytes; what is larger is never held whole if that can be helped
MAX_WHOLE = 1 << 30  # bytes; what has to be held whole may not be larger
_FULL = (errno.ENOSPC, errno.EDQUOT)


# As Content.stream: the bytes from an offset on, as many as a length says.
Streamed = Callable[[int, int], AsyncIterator[bytes]]


class Source(Protocol):
    """One instance's bytes, by offset."""

    async def read(self, offset: int, length: int) -> bytes:
        """The whole range. Raises BlobDamaged if it is not there."""

    def stream(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """The range in chunks."""

    def file(self) -> AbstractAsyncContextManager[Path] | None:
        """The local file that they lie in, if there is one already."""


def blob_pieces(blobs: BlobStore, key: str) -> Streamed:
    """The bytes of a blob, as Content has them. To open a stream takes longer than to read what
    is no more than a chunk of it."""

    async def stream(offset: int, length: int) -> AsyncIterator[bytes]:
        if length <= CHUNK:
            await asyncio.sleep(0)  # a client that has left is noticed here
            yield await blobs.read(key, offset, length)
            return
        async for chunk in blobs.stream(key, offset, length):
            yield chunk

    return stream


class _Blob:
    def __init__(self, blobs: BlobStore, key: str) -> None:
        self._blobs = blobs
        self._key = key

    async def read(self, offset: int, length: int) -> bytes:
        return await self._blobs.read(self._key, offset, length)

    def stream(self, offset: int, length: int) -> AsyncIterator[bytes]:
        return blob_pieces(self._blobs, self._key)(offset, length)

    def file(self) -> AbstractAsyncContextManager[Path] | None:
        return self._blobs.local(self._key) if self._blobs.has_files else None


class _Inflated:
    def __init__(self, file: ScratchFile) -> None:
        self._file = file

    async def read(self, offset: int, length: int) -> bytes:
        data = await asyncio.to_thread(os.pread, self._file.number, length, offset)
        if len(data) < length:
            raise BlobDamaged("a deflated file is shorter than it was")
        return data

    async def stream(self, offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length
        while offset < end:
            chunk = await self.read(offset, min(CHUNK, end - offset))
            offset += len(chunk)
            yield chunk

    def file(self) -> None:
        """Its name is gone."""


async def open_source(archive: Archive, location: Location) -> Source:
    """Raises BlobMissing, ContentTooLarge for a data set that unpacks to too much."""
    if not is_deflated(location.transfer_syntax_uid):
        return _Blob(archive.blobs, location.blob_key)
    limit = archive.settings.inflate_limit_bytes
    async with archive.blobs.local(location.blob_key) as path:
        return _Inflated(await make_scratch(archive, inflate_file, path, limit=limit))


async def make_scratch(
    archive: Archive, make: Callable[..., None], source: Path, **options: int | str
) -> ScratchFile:
    """Have a worker write a scratch file: ``make(source, target, **options)``. Its name is gone
    when this returns, also when the client has left meanwhile. On a disk that is full a small one
    is made in memory; Unavailable is raised for another."""
    target = archive.scratch_file(".made")
    try:
        await archive.workers.run_to_the_end(make, source, target, **options)
        return await asyncio.to_thread(ScratchFile, target)
    except WorkerStorageFailed as error:
        if error.errno not in _FULL:
            raise
        return await _made_in_memory(archive, make, source, **options)
    finally:
        await remove(target)


async def _made_in_memory(
    archive: Archive, make: Callable[..., None], source: Path, **options: int | str
) -> ScratchFile:
    """Raises Unavailable for what is too large, or inflated on the disk."""
    extra = make.extra_seconds if isinstance(make, Longer) else 0
    made: bytes | None = None
    with suppress(WorkerStorageFailed):
        made = await archive.workers.run(Longer(made_in_memory, extra), make, source, **options)
    if made is None:
        raise Unavailable("the archive is out of space", retry_after=300)
    return ScratchFile.of_bytes(made)


async def frame_bytes(source: Source, found: FrameLocation, position: int, number: int) -> bytes:
    """One frame as stored, whole: cut from its range alone (WADO-04 to WADO-06).

    `position`: which of the numbers asked of locate_frames this one was, from 0. Raises
    ContentTooLarge for one that may not be held whole, BlobDamaged for one that is no frame.
    """
    offset, length, fragments = _range(found, position, number)
    if length > MAX_WHOLE:
        raise ContentTooLarge("the frame is too large to be decoded")
    raw = await source.read(offset, length)
    try:
        return cut_frame(found.table, number, raw, fragments)
    except NotPart10 as error:
        raise BlobDamaged(f"{found.location.blob_key}: {error}") from None


async def made_of_frame(
    archive: Archive,
    source: Source,
    found: FrameLocation,
    position: int,
    number: int,
    function: Callable[..., bytes],
    packed_metadata: bytes,
    *args: Any,
    extra_seconds: float = 0,
) -> bytes | ScratchFile:
    """What a worker makes of a frame, ``function(packed_metadata, frame, …)``: in a scratch file,
    whose name is gone, if it is large. `extra_seconds` as for Longer.

    Raises what ``frame_bytes`` does, whose `position` this is, and what the function does.
    """
    target = archive.scratch_file(".made")
    call = Longer(made_in, extra_seconds)
    made: bytes | None = None
    try:
        async with frame_for_worker(archive, source, found, position, number) as frame:
            made = await archive.workers.run_to_the_end(
                call, target, function, packed_metadata, frame, *args
            )
        return await asyncio.to_thread(ScratchFile, target) if made is None else made
    finally:
        if made is None:
            await remove(target)


async def whole_of(file: ScratchFile) -> bytes:
    """All of a scratch file, which is given back."""
    try:
        return await asyncio.to_thread(os.pread, file.number, file.size, file.start)
    finally:
        await file.close()


@asynccontextmanager
async def frame_for_worker(
    archive: Archive,
    source: Source,
    found: FrameLocation,
    position: int,
    number: int,
    *,
    most: int = PASSED,
) -> AsyncIterator[Frame]:
    """A frame as it is handed to a worker: itself, or where it lies if it is large, or has more
    than `most` bytes."""
    offset, length, fragments = _range(found, position, number)
    if length > MAX_WHOLE:
        raise ContentTooLarge("the frame is too large to be decoded")
    if length <= min(READ_THERE if source.file() is not None else PASSED, most):
        yield await frame_bytes(source, found, position, number)
        return
    async with in_file(archive, source, offset, length) as (path, start):
        try:
            yield StoredFrame(path, start, length, found.table, number, fragments)
        except NotPart10 as error:
            raise BlobDamaged(f"{found.location.blob_key}: {error}") from None


@asynccontextmanager
async def in_file(
    archive: Archive, source: Source, offset: int, length: int
) -> AsyncIterator[tuple[Path, int]]:
    """A local file with a range of the source, and where it begins there."""
    if (file := source.file()) is not None:
        async with file as path:
            yield path, offset
        return
    path = archive.scratch_file(".frame")
    try:
        try:
            async for chunk in source.stream(offset, length):
                await asyncio.to_thread(_append, path, chunk)
        except OSError:
            raise BlobsUnavailable("a frame could not be written", retry_after=300) from None
        yield path, 0
    finally:
        await remove(path)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as out:
        out.write(data)


async def frame_as_stored(
    source: Source, found: FrameLocation, position: int, number: int, media_type: str, syntax: str
) -> Content:
    """One frame as stored, as content that is streamed if it is large."""
    offset, length, fragments = _range(found, position, number)
    table = found.table
    bits = table.frame_bits  # known of encapsulated data where it is not compressed
    plain = not bits if table.encapsulated else bits % 8 == 0 and table.word == 1
    if length <= STREAMED or not plain:
        data = await frame_bytes(source, found, position, number)
        return Content.of_bytes(data, media_type, syntax)
    if fragments > 1:
        whole = length - 8 * fragments
        return Content(whole, media_type, syntax, _without_items(source, offset, length))
    if table.encapsulated:  # a pad byte behind the end marker is not part of the frame
        ends = await source.read(offset, 4) + await source.read(offset + length - 4, 4)
        length -= len(ends) - len(drop_pad(ends))
    return Content(length, media_type, syntax, part_of(source, offset))


def stored_length(found: FrameLocation, position: int, number: int) -> int:
    """How many bytes of its file a frame takes; `position` as for `frame_bytes`."""
    return _range(found, position, number)[1]


def _range(found: FrameLocation, position: int, number: int) -> tuple[int, int, int]:
    record = found.records[position] if found.records else None
    assert record is None or len(record) == RECORD.size
    offset, length = frame_range(found.table, number, record)
    return offset, length, fragments_of(found.table, number, record)


def part_of(source: Source, start: int) -> Streamed:
    """What stands in `source` from `start` on, as Content has it."""
    return lambda offset, length: source.stream(start + offset, length)


def _without_items(source: Source, begin: int, size: int) -> Streamed:
    """The fragments in the `size` bytes from `begin`, without the headers of their items. Those
    that come before what is asked for are not read, only passed over."""

    async def stream(offset: int, length: int) -> AsyncIterator[bytes]:
        at, end = begin, begin + size
        while length > 0:
            head = await source.read(at, 8)
            fragment = int.from_bytes(head[4:], "little")
            if head[:4] != b"\xfe\xff\x00\xe0" or at + 8 + fragment > end:
                raise BlobDamaged("an item of Pixel Data is not where it was")
            wanted = min(fragment - offset, length)
            if wanted > 0:
                async for chunk in source.stream(at + 8 + offset, wanted):
                    yield chunk
                length -= wanted
            offset = max(0, offset - fragment)
            at += 8 + fragment

    return stream
