"""Blobs as objects of an S3 bucket, or of a server that speaks S3's protocol.

Only what all of these servers have is used. No conditional writes: keys are never used twice,
and Postgres decides who wins. No checksums that a server would have to know or to return; over
TLS and in signed requests what is sent cannot change unnoticed, and a body that breaks off is
known by its length.
"""

import asyncio
import errno
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

import structlog
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import BotoCoreError, ClientError

from dicomweb_server.blobs.s3_client import connect_seconds, encryption_of, new_client
from dicomweb_server.blobs.s3_reads import NotPlain, QuickReads
from dicomweb_server.blobs.store import (
    MAX_CHUNK,
    BlobDamaged,
    BlobInfo,
    BlobMissing,
    BlobsUnavailable,
)
from dicomweb_server.config import Settings

log = structlog.get_logger()

PART = 16 << 20  # bytes; what is larger is sent in parts of this size, side by side
_PAUSES = (0.1, 0.5, 2.0)  # seconds before a range whose body broke off is asked for again
_CHECK_SECONDS = 10.0
_DELETED_AT_ONCE = 1000  # keys, by the protocol
_NO_KEY = frozenset({"NoSuchKey", "404"})  # an answer to HEAD has no body, and so no name

_REASONS = {
    "NoSuchBucket": "there is no such bucket; it has to be made first",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret does not fit the access key",
    "AccessDenied": "the access key may not use it",
    "NoCredentialsError": "no access key was found",
    "EndpointConnectionError": "the server cannot be reached",
    "ConnectTimeoutError": "the server cannot be reached",
    "ReadTimeoutError": "the server does not answer",
}

T = TypeVar("T")


class _BrokenOff(Exception):
    """The body of an answer was not the whole of what had been announced.

    boto3 does not notice where there is none at all: it takes that for an answer with nothing
    in it, an empty listing.
    """


class S3Blobs:
    """Blobs in the bucket of the settings, below its prefix.

    Requests at a time are bounded by S3_CONNECTIONS, half of them for uploads. A stream holds two
    ranges at a time; it keeps no connection while a slow client takes one.
    """

    def __init__(self, settings: Settings) -> None:
        """Connects to nothing yet. Raises BlobsUnavailable if boto3 cannot use the settings."""
        self._bucket = settings.s3_bucket
        self._prefix = settings.s3_prefix
        self._scratch = settings.tmp_dir
        self._floor = settings.min_free_bytes
        self._encryption = encryption_of(settings)
        try:
            with _translated("connect"):
                self._client, session = new_client(settings)
        except ValueError:
            raise BlobsUnavailable("its address is none") from None
        seconds, connecting = settings.s3_timeout_seconds, connect_seconds(settings)
        self._quick = QuickReads(self._client, session, seconds, connecting)
        uploads = settings.s3_connections // 2
        self.reads = settings.s3_connections - uploads
        self._turns = asyncio.Semaphore(self.reads)
        self._threads = ThreadPoolExecutor(self.reads, "s3")
        config = TransferConfig(
            multipart_threshold=PART,
            multipart_chunksize=PART,
            max_concurrency=uploads,
            preferred_transfer_client="classic",
        )
        self._transfers = create_transfer_manager(self._client, config)
        self._checking: asyncio.Future[None] | None = None

    @property
    def at_rest(self) -> "S3Blobs":
        """See BlobStore."""
        return self

    async def check(self) -> None:
        """See BlobStore. All who ask share one request, however long it waits for an answer."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(self._run(self._list_one))
            self._checking.add_done_callback(_forget)
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.shield(self._checking)
        except TimeoutError:
            raise BlobsUnavailable(_REASONS["ReadTimeoutError"]) from None

    def _list_one(self) -> None:
        # Needs the permission to list: without it S3 says 403 of what is not there.
        with _translated("ListObjectsV2"):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    async def close(self) -> None:
        self._quick.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._transfers.shutdown()
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    @property
    def place(self) -> None:
        """See BlobStore."""

    async def put_many(self, blobs: Sequence[tuple[Path, str]]) -> list[OSError | None]:
        """See BlobStore. S3 has flushed what it says it has; then the staged file goes."""
        return await asyncio.gather(*(self._put(source, key) for source, key in blobs))

    async def _put(self, source: Path, key: str) -> OSError | None:
        done = _Done()
        transfer = self._transfers.upload(
            str(source), self._bucket, self._prefix + key, self._encryption, [done]
        )
        await done.event.wait()
        try:
            await self._run(self._finish, source, key, transfer)
        except Exception as error:
            # Some of boto3's errors are OSErrors too, and quote the key.
            if isinstance(error, OSError) and not isinstance(error, BotoCoreError):
                return error
            return OSError(errno.EIO, f"S3: {_reason(error)}")
        return None

    def _finish(self, source: Path, key: str, transfer: Any) -> None:
        """Remove the staged file, if the upload has come to a blob. Raises what it failed of."""
        transfer.result()
        size = transfer.meta.size
        # What says that parts could not be put together stands in the body of an answer.
        if size >= PART and self._size(key) != size:
            raise OSError(errno.EIO, "S3: an upload in parts came to another size")
        with suppress(OSError):  # stored it is; the scratch folder is swept
            source.unlink()

    async def read(self, key: str, offset: int, length: int) -> bytes:
        if length <= MAX_CHUNK:
            return await self._range(key, offset, length)
        return b"".join([chunk async for chunk in self.stream(key, offset, length)])

    async def stream(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length

        def begin() -> "asyncio.Task[bytes]":
            return asyncio.create_task(self._range(key, offset, min(MAX_CHUNK, end - offset)))

        ahead: asyncio.Task[bytes] | None = begin()
        try:
            while ahead is not None:
                chunk = await ahead
                offset += len(chunk)
                ahead = begin() if offset < end else None
                if chunk:
                    yield chunk
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])
                _forget(ahead)

    async def _range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly these bytes, MAX_CHUNK at most."""
        if not length:
            await self._run(self._size, key)
            return b""
        if self._quick.ready:
            with suppress(NotPlain):
                async with self._turns:
                    return await self._quick.get(self._prefix + key, offset, length)
        return await self._insist(self._get, key, offset, length)

    def _get(self, key: str, offset: int, length: int) -> bytes:
        end = offset + length
        self._quick.boto3_asks(self._prefix + key)
        with _translated("GetObject", key):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes={offset}-{end - 1}"
            )
        with closing(answer["Body"]) as body:
            total = _total(answer, offset, length)
            if total < end:
                raise BlobDamaged(f"{key} ends at {total}, before {end}")
            try:
                data: bytes = body.read(length)
            except BotoCoreError:
                raise _BrokenOff from None
        if len(data) < length:
            raise _BrokenOff
        return data

    def _size(self, key: str) -> int:
        with _translated("HeadObject", key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        size: int = answer["ContentLength"]
        return size

    has_files = False

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """See BlobStore: a download in the scratch folder, removed on leaving."""
        size = await self._run(self._size, key)
        if shutil.disk_usage(self._scratch).free - size < self._floor:
            raise BlobsUnavailable("no room for a download in the scratch folder", retry_after=300)
        # The process' number in front, as all names there have: a sweep goes by it.
        number, name = tempfile.mkstemp(".blob", f"{os.getpid()}-", self._scratch)
        path = Path(name)
        try:
            try:
                async for chunk in self.stream(key, 0, size):
                    await self._to_the_end(_write, number, chunk)
            except OSError as error:
                log.error("a download could not be written", errno=error.errno)
                raise BlobsUnavailable("a download could not be written") from error
            finally:
                os.close(number)
            yield path
        finally:
            await asyncio.shield(self._run(path.unlink))

    async def delete(self, keys: Sequence[str]) -> None:
        failed: OSError | None = None
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            try:
                await self._insist(self._delete, keys[start : start + _DELETED_AT_ONCE])
            except OSError as error:
                failed = error
            except BlobsUnavailable as error:
                failed = OSError(errno.EIO, f"S3: {error.reason}")
        if failed is not None:
            raise failed

    def _delete(self, keys: Sequence[str]) -> None:
        objects = [{"Key": self._prefix + key} for key in keys]
        with _translated("DeleteObjects"):
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": False}
            )
        errors = answer.get("Errors", [])
        if len(errors) + len(answer.get("Deleted", [])) < len(keys):
            raise _BrokenOff
        codes = {error.get("Code", "") for error in errors} - _NO_KEY
        if codes:
            raise OSError(errno.EIO, f"S3: {', '.join(sorted(codes))}")

    async def list(self, prefix: str = "", after: str = "") -> AsyncIterator[BlobInfo]:
        where = {"StartAfter": self._prefix + after} if after else {}
        while True:
            page = await self._insist(self._page, self._prefix + prefix, where)
            for item in page.get("Contents", ()):
                key = item["Key"].removeprefix(self._prefix)
                yield BlobInfo(key, item["Size"], item["LastModified"].astimezone(UTC))
            if not page.get("IsTruncated"):
                return
            where = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, where: dict[str, str]) -> dict[str, Any]:
        with _translated("ListObjectsV2"):
            page: dict[str, Any] = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, **where
            )
        if "IsTruncated" not in page:
            raise _BrokenOff
        return page

    async def _insist(self, function: Callable[..., T], *args: object) -> T:
        """As `_run`; once more, and again, when the body of the answer has broken off."""
        for pause in _PAUSES:
            with suppress(_BrokenOff):
                return await self._run(function, *args)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  no secret
        try:
            return await self._run(function, *args)
        except _BrokenOff:
            log.error("S3 fails", reason="bodies of answers break off")
            raise BlobsUnavailable("the bodies of answers break off") from None

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        async with self._turns:
            return await loop.run_in_executor(self._threads, function, *args)

    async def _to_the_end(self, function: Callable[..., T], *args: object) -> T:
        """As `_run`; a caller who is cancelled is so only once the thread has done its work."""
        task = asyncio.ensure_future(self._run(function, *args))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise


class _Done:
    """Tells the event loop that an upload has ended, well or not."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def on_done(self, **_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self.event.set)


@contextmanager
def _translated(operation: str, key: str = "") -> Iterator[None]:
    """Turn what boto3 raises into BlobMissing, BlobDamaged or BlobsUnavailable."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        code = _code(error)
        if key and code in _NO_KEY:
            raise BlobMissing(key) from None
        if key and code == "InvalidRange":
            raise BlobDamaged(f"{key} ends before the range that was asked for") from None
        log.error("S3 fails", operation=operation, reason=code)
        raise BlobsUnavailable(_reason(error)) from None


def _code(error: BaseException) -> str:
    """What S3 or boto3 call it. Not their sentences: those may quote keys, and so UIDs."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__


def _reason(error: BaseException) -> str:
    if isinstance(error, BlobsUnavailable):
        return error.reason
    return _REASONS.get(_code(error), _code(error))


def _total(answer: dict[str, Any], offset: int, length: int) -> int:
    """The blob's size, by an answer that begins at `offset`, as was asked for.

    Raises BlobsUnavailable for a server that does not know ranges, or sends another.
    """
    size: int = answer["ContentLength"]
    told = answer.get("ContentRange", "")
    if not told and offset == 0:  # all of it, and more than was asked for if it is longer
        return size
    span, _, total = told.removeprefix("bytes ").partition("/")
    first, _, last = span.partition("-")
    if not (first.isdecimal() and last.isdecimal() and total.isdecimal()):
        raise BlobsUnavailable("the server does not know ranges")
    if int(first) != offset or size != min(length, int(total) - offset):
        raise BlobsUnavailable("the server sends other ranges than were asked for")
    return int(total)


def _write(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]


def _forget(task: "asyncio.Future[Any]") -> None:
    """Let nobody complain of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
