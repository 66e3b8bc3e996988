"""What a picture is recognized by, in tags and caches: it changes with all that it follows from.

A file's digest is not enough: its row may be made anew, and then may say other things of it.
"""

import asyncio
import hashlib
from collections.abc import Sequence

from dicomweb_server.index.retrieve import FrameLocation

_LARGE = 1 << 20  # bytes, which take a millisecond to be hashed


async def version_of(parts: Sequence[bytes]) -> bytes:
    """The digest of `parts`."""
    if sum(map(len, parts)) > _LARGE:
        return await asyncio.to_thread(_digest, parts)
    return _digest(parts)


def parts_of(found: FrameLocation, packed_metadata: bytes) -> list[bytes]:
    """What is known of frames that were found: the file, where they lie in it, and what its row
    says of it."""
    seed = found.location.sha256, repr(found.table).encode(), b"".join(found.records)
    return [*seed, packed_metadata]


def _digest(parts: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.digest()
