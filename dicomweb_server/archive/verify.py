"""Verify: every blob that a row names is read and compared with what the row says of it.

Superseded versions too, and after them the counts of series and studies. Work of days in a
large archive, so it notes how far it got and goes on from there, and can be held to a rate.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dicomweb_server.archive.archive import Archive
from dicomweb_server.blobs.store import BlobDamaged, BlobMissing, BlobStore
from dicomweb_server.index.database import Connection, acquire
from dicomweb_server.index.progress import forget_progress, read_progress, save_progress
from dicomweb_server.index.verify import (
    Counted,
    Kept,
    count_kept,
    counted_series,
    counted_studies,
    kept_instances,
    kept_versions,
    still_named,
)

AT_A_TIME = 8  # blobs
PAGE = 300  # rows between notes of how far it got
PAGE_BYTES = 1 << 30
COUNTED = 50  # series or studies whose instances one statement counts
_HERE = 64 << 10  # bytes hashed at once without a thread

_WORK = "verify "

T = TypeVar("T", Kept, Counted)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. Holds no patient data."""

    what: str
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    blob_key: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        named = {
            "study": self.study_instance_uid,
            "series": self.series_instance_uid,
            "instance": self.sop_instance_uid,
            "blob": self.blob_key,
        }
        return f"{self.what}: " + ", ".join(f"{n} {value}" for n, value in named.items() if value)


@dataclass(slots=True)
class Verified:
    """How far it is, those parts included that an interrupted run did before."""

    blobs: int = 0
    bytes: int = 0
    wrong: int = 0  # findings
    found_before: int = 0  # those of interrupted runs, which told of them
    resumed: bool = False


class Watcher(Protocol):
    """Is told how it goes."""

    def begin(self, blobs: int, size: int, verified: Verified) -> None:
        """There are `blobs` of `size` bytes to read; `verified` of them were read before."""

    def advance(self, verified: Verified, size: int) -> None:
        """`size` more bytes have been read."""

    def found(self, finding: Finding) -> None:
        """Something is wrong."""


async def verify(
    archive: Archive,
    watcher: Watcher,
    *,
    study: str | None = None,
    rate: int | None = None,
    from_start: bool = False,
) -> Verified:
    """Check everything, or one study. `rate`: bytes a second at the most.

    A run over everything that is broken off goes on in the next, unless `from_start`. Raises
    Unavailable, by itself or in a group, while the database or the store is away.
    """
    work = _Verification(archive, watcher, study, rate)
    await work.resume(from_start)
    await work.blobs("instances", kept_instances)
    await work.blobs("versions", kept_versions)
    await work.counts("series", counted_series)
    await work.counts("studies", counted_studies)
    await work.forget()
    return work.verified


Page = Callable[[Connection, int, int, str | None], Awaitable[list[T]]]


class _Verification:
    def __init__(
        self, archive: Archive, watcher: Watcher, study: str | None, rate: int | None
    ) -> None:
        self._archive = archive
        self._watcher = watcher
        self._study = study
        self._throttle = Throttle(rate)
        self._turn = asyncio.Semaphore(AT_A_TIME)
        self._positions: dict[str, int] = {}
        self.verified = Verified()

    async def resume(self, from_start: bool) -> None:
        async with acquire(self._archive.searches) as conn:
            if self._study is None:
                if from_start:
                    await forget_progress(conn, _WORK)
                self._positions = await read_progress(conn, _WORK)
            blobs, size = await count_kept(conn, self._study)
        before = self.verified
        before.blobs = self._positions.get(f"{_WORK}blobs", 0)
        before.bytes = self._positions.get(f"{_WORK}bytes", 0)
        before.wrong = before.found_before = self._positions.get(f"{_WORK}wrong", 0)
        before.resumed = bool(self._positions)
        self._watcher.begin(blobs, size, before)

    async def forget(self) -> None:
        if self._study is None:
            async with acquire(self._archive.searches) as conn:
                await forget_progress(conn, _WORK)

    async def blobs(self, stage: str, page_of: Page[Kept]) -> None:
        while page := await self._next(stage, page_of, PAGE):
            page = _within(page, PAGE_BYTES)
            async with asyncio.TaskGroup() as group:
                for kept in page:
                    group.create_task(self._blob(kept))
            await self._note(stage, page)

    async def counts(self, stage: str, page_of: Page[Counted]) -> None:
        while page := await self._next(stage, page_of, COUNTED):
            for each in page:
                if each.counters:
                    uids = (each.study_instance_uid, each.series_instance_uid)
                    self._tell(Finding(each.counters, *uids))
            await self._note(stage, page)

    async def _next(self, stage: str, page_of: Page[T], limit: int) -> list[T]:
        after = self._positions.get(_WORK + stage, 0)
        async with acquire(self._archive.searches) as conn:
            return await page_of(conn, after, limit, self._study)

    async def _note(self, stage: str, page: Sequence[Any]) -> None:
        done = self.verified
        self._positions |= {
            _WORK + stage: page[-1].id,
            f"{_WORK}blobs": done.blobs,
            f"{_WORK}bytes": done.bytes,
            f"{_WORK}wrong": done.wrong,
        }
        if self._study is None:
            async with acquire(self._archive.searches) as conn:
                await save_progress(conn, self._positions)

    async def _blob(self, kept: Kept) -> None:
        async with self._turn:
            wrong = await self._compare(kept)
            if wrong is not None and await self._is_named(kept):
                uids = (kept.study_instance_uid, None, kept.sop_instance_uid)
                self._tell(Finding(wrong, *uids, kept.blob_key))
            self.verified.blobs += 1
            self._watcher.advance(self.verified, 0)

    async def _is_named(self, kept: Kept) -> bool:
        """Whether it still matters: what was deleted meanwhile is gone, and no damage."""
        async with acquire(self._archive.searches) as conn:
            return await still_named(conn, kept)

    async def _compare(self, kept: Kept) -> str | None:
        """What is wrong with a blob, if anything."""
        digest = hashlib.sha256()
        try:
            async for chunk in self._archive.blobs.at_rest.stream(kept.blob_key, 0, kept.size):
                await _hash(digest, chunk)
                self.verified.bytes += len(chunk)
                self._watcher.advance(self.verified, len(chunk))
                await self._throttle.spend(len(chunk))
            if await _is_longer(self._archive.blobs.at_rest, kept):
                return f"damaged, longer than {kept.size} bytes"
        except BlobMissing:
            return "missing"
        except BlobDamaged:
            return f"damaged, shorter than {kept.size} bytes"
        except OSError as error:
            return f"cannot be read ({error.strerror or type(error).__name__})"
        return None if digest.digest() == kept.sha256 else "damaged, other content than was stored"

    def _tell(self, finding: Finding) -> None:
        self.verified.wrong += 1
        self._watcher.found(finding)


def _within(page: list[Kept], limit: int) -> list[Kept]:
    """The beginning of a page that has `limit` bytes, or its first blob alone."""
    size = 0
    for number, kept in enumerate(page):
        size += kept.size
        if number and size > limit:
            return page[:number]
    return page


async def _hash(digest: Any, chunk: bytes) -> None:
    if len(chunk) > _HERE:
        await asyncio.to_thread(digest.update, chunk)
    else:
        digest.update(chunk)


async def _is_longer(blobs: BlobStore, kept: Kept) -> bool:
    try:
        await blobs.read(kept.blob_key, kept.size, 1)
    except BlobMissing:
        raise
    except BlobDamaged:  # it ends where it should
        return False
    return True


class Throttle:
    """Holds everybody who spends bytes to a common rate, without saving up for later."""

    def __init__(self, rate: int | None) -> None:
        """`rate`: bytes a second; None is no limit."""
        self._rate = rate
        self._paid_at = 0.0  # when all that was spent is paid for, in time.monotonic()

    async def spend(self, size: int) -> None:
        """Wait until the rate allows for `size` more bytes."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._paid_at = max(self._paid_at, now) + size / self._rate
        await asyncio.sleep(self._paid_at - now)
