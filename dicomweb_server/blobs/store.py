"""What every store of bytes at rest can do."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from dicomweb_server.errors import Unavailable

MAX_CHUNK = 2 << 20  # bytes that a stream gives at a time


Place = Callable[[Sequence[tuple[Path, str]]], list[OSError | None]]


class BlobDamaged(Exception):
    """What the index says of a blob is not what is there: damage, not a caller's mistake."""


class BlobMissing(BlobDamaged):
    """A blob that the index names is not there."""


class BlobsUnavailable(Unavailable):
    """The store does not answer, or not as it should: nothing is said of the blob itself."""

    def __init__(self, reason: str, retry_after: int = 5) -> None:
        """`reason`: for the operator; the caller is told only that the storage is away."""
        self.reason = reason
        super().__init__("the archive's storage is not available", retry_after)


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a listing tells of one blob."""

    key: str
    size: int  # bytes
    modified: datetime  # with its zone, UTC


class BlobStore(Protocol):
    """Immutable blobs by key. A key is never used twice, so a blob never changes.

    Keys are relative paths of UIDs and names made by the server: institution/study/series/file.
    What reads raises BlobsUnavailable while the store is away.
    """

    @property
    def at_rest(self) -> "BlobStore":
        """The store that counts: it reads what is durable, and no copies of it."""

    async def check(self) -> None:
        """Whether the store can be used at all. Raises BlobsUnavailable."""

    async def close(self) -> None:
        """Wait for what has begun, and give back threads and connections."""

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """Move each staged local file to its key; those without an error are durable on return.

        The bytes of the staged files are flushed to the disk by whoever wrote them. One whose
        blob could not be put is left where it was.
        """

    @property
    def place(self) -> Place | None:
        """`put_many` for a thread of the caller's; None where it is not a thread's work."""

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """The `length` bytes from `offset`. Raises BlobMissing, BlobDamaged if too short."""

    def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """The same in chunks of MAX_CHUNK at most, for any length. Each is a real await."""

    @property
    def has_files(self) -> bool:
        """Whether `local` gives the blob itself, at no cost."""

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A local file with the blob's bytes, for work that needs one, until the context ends.

        It may be the blob itself: never write to it. Raises BlobMissing.
        """

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; those that are not there are passed over.

        Raises OSError if some could not be removed; all others are, also then.
        """

    def list(self, prefix: str = "", after: str = "") -> AsyncIterator[BlobInfo]:
        """The blobs whose keys begin with `prefix` and come after `after`, for maintenance.

        In the order of the keys' UTF-8 bytes, a page held at a time. What is put or deleted
        meanwhile may be listed or not.
        """
