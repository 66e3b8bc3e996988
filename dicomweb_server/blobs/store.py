"""What every store of bytes at rest can do."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol


class BlobDamaged(Exception):
    """What the index says of a blob is not what is there: damage, not a caller's mistake."""


class BlobMissing(BlobDamaged):
    """A blob that the index names is not there."""


class BlobStore(Protocol):
    """Immutable blobs by key. A key is never used twice, so a blob never changes.

    Keys are relative paths of UIDs and names made by the server: institution/study/series/file.
    """

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """Move each staged local file to its key; those without an error are durable on return.

        The bytes of the staged files are flushed to the disk by whoever wrote them. One whose
        blob could not be put is left where it was.
        """

    async def read(self, key: str, offset: int, length: int) -> bytes:
        """The `length` bytes from `offset`. Raises BlobMissing, BlobDamaged if too short."""

    def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """The same in chunks, for any length. Each chunk is a real await."""

    async def local(self, key: str) -> Path:
        """A local file with the blob's bytes, for work that needs a file. Never write to it."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs; those that are not there are passed over."""

    async def keys(self) -> list[str]:
        """Every key there is, for maintenance."""
