"""Frames in another transfer syntax than they are stored in, kept once they were made."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from mmap import ACCESS_READ, mmap

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.derived import DerivedCache, Key, key_of
from dicomweb_server.archive.large_frames import PASSED
from dicomweb_server.dicom.transfer_syntaxes import JPEG_2000, JPEG_2000_LOSSLESS
from dicomweb_server.index.retrieve import FrameLocation

# Of others a frame is decoded in a few milliseconds, and decoded it is large.
_JPEG_XL = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))
SLOW_TO_DECODE = frozenset({JPEG_2000, JPEG_2000_LOSSLESS, *_JPEG_XL})


_LARGEST = 64 << 20  # bytes of a frame that is kept


async def kept_frame(
    archive: Archive,
    found: FrameLocation,
    position: int,
    number: int,
    transfer_syntax_uid: str,
    how: str,
    since: float,
    make: Callable[[], Awaitable[bytes | ScratchFile]],
) -> bytes | ScratchFile:
    """Frame `number` of an instance, counted from 1, in a transfer syntax: from the cache, or what
    `make` returns, which is put there.

    `position`: which of the numbers asked of locate_frames this one was, from 0. `how` it is
    decoded or encoded. Where it lies in the file decides of it too: a row may be made anew.
    `since`: a time (time.time) before its row was read. What is deleted from then on is not kept.
    """
    study, sha256 = found.location.study_instance_uid, found.location.sha256
    where = found.records[position] if found.records else b""
    of = sha256, repr(found.table), where, number
    key = replace(key_of(study, "frame", *of, transfer_syntax_uid, how), since=since)
    kept = await asyncio.to_thread(archive.derived.find, key, PASSED)
    if kept is not None:
        return kept
    made = await make()
    if isinstance(made, bytes) or made.size <= _LARGEST:
        await asyncio.to_thread(_put, archive.derived, key, made)
    return made


def _put(cache: DerivedCache, key: Key, made: bytes | ScratchFile) -> None:
    if isinstance(made, bytes):
        cache.put(key, made)
        return
    with mmap(made.number, made.size, access=ACCESS_READ) as data:  # it is ours, and whole
        cache.put(key, data)
