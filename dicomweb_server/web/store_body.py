"""The body of a store request as it comes: chunks, parts, and what becomes of each part."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count
from types import TracebackType
from typing import Self

from starlette.requests import Request

from dicomweb_server.archive.posted import PostedIntake
from dicomweb_server.archive.staging import Staging, not_written
from dicomweb_server.archive.store import Intake
from dicomweb_server.errors import (
    ContentTooLarge,
    MalformedContent,
    MalformedMultipart,
    Refusal,
    TooSlow,
    UnsupportedContent,
)
from dicomweb_server.web.requests import archive_of
from dicomweb_server.wire.bulk_parts import METADATA, PartType, read_part_type
from dicomweb_server.wire.content_coding import Gunzip, is_gzip
from dicomweb_server.wire.media_types import ContentType, parse_content_type
from dicomweb_server.wire.multipart import (
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    encoded_by,
)
from dicomweb_server.wire.store_report import Failed, Stored, failed

DICOM = "application/dicom"
OCTETS = "application/octet-stream"

Body = AsyncIterator[bytes]
BeginPart = Callable[[PartBegin], "Part"]


def body_of(request: Request) -> Body:
    """The content of the request, its Content-Encoding undone. Raises UnsupportedContent here,
    and while it is read TooSlow, MalformedContent, ContentTooLarge and ClientDisconnect."""
    chunks = _chunks(request)
    if is_gzip(", ".join(request.headers.getlist("content-encoding"))):  # RFC 9110 §5.3
        return _gunzipped(chunks, archive_of(request).settings.inflate_limit_bytes)
    return chunks


async def _chunks(request: Request) -> Body:
    """The body as it comes. Raises TooSlow when it stops, or trickles."""
    settings = archive_of(request).settings
    silence, rate = settings.body_timeout_seconds, settings.least_upload_rate
    stream = request.stream()
    waited, received = 0.0, 0  # seconds for the client, bytes
    with _Watch(silence) as watch:
        while True:
            since = watch.waiting_since = time.monotonic()
            chunk = await anext(stream, None)
            watch.waiting_since = None
            waited += time.monotonic() - since
            if chunk is None:
                return
            received += len(chunk)
            if (waited - silence) * rate > received:
                raise TooSlow("the request's body arrives too slowly")
            if chunk:
                yield chunk


class _Watch:
    """Ends a wait for a client that is silent for so long. One timer a body: a timeout a chunk
    took a tenth of the time of a small instance."""

    def __init__(self, silence: float) -> None:
        """`silence` in seconds."""
        self.waiting_since: float | None = None  # None: the silence is ours
        self._silence = silence
        self._expired = False
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._look_again(self._silence)
        return self

    def _look_again(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        since = self.waiting_since
        left = self._silence if since is None else since + self._silence - time.monotonic()
        if left > 0:
            self._look_again(left)
        elif self._task is not None:
            self._expired = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._timer is not None
        self._timer.cancel()
        if not self._expired or self._task is None:
            return
        alone = self._task.uncancel() <= self._cancelling  # nobody else wants the task to end
        if alone and isinstance(error, asyncio.CancelledError):
            raise TooSlow("the request's body stopped arriving") from None


async def _gunzipped(chunks: Body, limit: int) -> Body:
    content = Gunzip(limit)
    async for chunk in chunks:
        content.feed(chunk)
        # A mebibyte takes milliseconds, which the event loop does not have.
        while piece := await asyncio.to_thread(content.next):
            yield piece
    content.finish()


class Part:
    """One part on its way into the scratch folder, or past it when it is refused already."""

    def __init__(
        self,
        staging: Staging | Failed,
        accept: Callable[[Staging], Awaitable[None]],
        refuse: Callable[[Failed], None],
        needed: bool = False,
    ) -> None:
        """`accept` takes what was received whole, and may raise OSError; `refuse` why there is
        nothing. `needed`: one that is too large is no failure of the part but of the request."""
        self._accept = accept
        self._refuse = refuse
        self._needed = needed
        self._failure = staging if isinstance(staging, Failed) else None
        self._staging = staging if isinstance(staging, Staging) else None

    async def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the part. Raises ContentTooLarge for one that is needed."""
        if self._staging is None:
            return
        try:
            await self._staging.write(data)
        except ContentTooLarge as error:
            if self._needed:
                raise
            await self._give_up(failed("out_of_resources", comment=str(error)))
        except OSError as error:
            await self._give_up(not_written(error))

    async def finish(self) -> None:
        """The part is complete."""
        staging, self._staging = self._staging, None  # no more ours: it may be stored already
        if staging is not None:
            try:
                await self._accept(staging)
            except OSError as error:
                await staging.discard()
                await self._give_up(not_written(error))
        if self._failure is not None:
            self._refuse(self._failure)

    async def discard(self) -> None:
        """The part has no end: leave nothing of it."""
        if self._staging is not None:
            await self._staging.discard()
            self._staging = None

    async def _give_up(self, failure: Failed) -> None:
        await self.discard()
        self._failure = failure


def file_single(intake: Intake) -> Part:
    """Begins a body that is a PS3.10 file."""
    return Part(intake.new_file(), intake.accept, intake.fail)


def file_part(intake: Intake) -> BeginPart:
    """Begins parts that are PS3.10 files."""

    def begin(event: PartBegin) -> Part:
        staging = _refused_type(event) or _refused_coding(event) or intake.new_file()
        return Part(staging, intake.accept, intake.fail)

    return begin


def _refused_type(event: PartBegin) -> Failed | None:
    """STOW-03: a part without a type has that of the message; others are not for this form."""
    text = event.headers.get("content-type")
    if text is None:
        return None
    try:
        media_type = parse_content_type(text).media_type
    except Refusal:
        media_type = ""
    if media_type in (DICOM, OCTETS):
        return None
    return failed("cannot_understand", comment="the part's type is not application/dicom")


def _refused_coding(event: PartBegin) -> Failed | None:
    """Content that is encoded is neither decoded nor taken for what it encodes [D]."""
    name = encoded_by(event.headers)
    if name is None:
        return None
    comment = f"the part has a {name}; send it as binary"
    return failed("cannot_understand", comment=comment)


def posted_part(posted: PostedIntake, default_type: str, start: str) -> BeginPart:
    """Begins parts that are metadata, of `default_type` where they do not say, or bulk data;
    `start` as in `read_part_type`."""
    numbers = count()

    def begin(event: PartBegin) -> Part:
        first = next(numbers) == 0
        try:
            kind = read_part_type(event.headers, default_type, start, first=first)
        except UnsupportedContent as refusal:
            kind = read_part_type({**event.headers, "content-type": OCTETS}, default_type)
            failure = failed("cannot_understand", comment=str(refusal))
            return Part(failure, _nothing, partial(posted.lose, kind))
        encoded = _refused_coding(event)
        if encoded is not None:
            refuse = posted.refuse if kind.media_type in METADATA else partial(posted.lose, kind)
            return Part(encoded, _nothing, refuse)
        return posted_single(posted, kind)

    return begin


def posted_single(posted: PostedIntake, kind: PartType) -> Part:
    """Begins a part, or the whole body, that is metadata or bulk data."""

    async def accept(staging: Staging) -> None:
        posted.accept(kind, await staging.finish())

    needed = kind.media_type in METADATA
    return Part(posted.new_part(kind), accept, partial(posted.lose, kind), needed)


async def _nothing(staging: Staging) -> None:
    del staging


async def receive_single(body: Body, part: Part) -> None:
    """Receive a body that is one part."""
    try:
        async for chunk in body:
            await part.write(chunk)
        await part.finish()
    except BaseException:
        await part.discard()
        raise


async def receive_parts(
    body: Body, content: ContentType, begin: BeginPart, max_parts: int
) -> Refusal | None:
    """Receive a multipart body. What it is refused for after a part began is returned: the
    complete parts before it count whatever comes after them (STOW-42)."""
    parser = MultipartParser(content.parameters["boundary"], max_parts=max_parts)
    part: Part | None = None
    begun = False
    try:
        async for chunk in body:
            for event in parser.feed(chunk):
                begun = True
                match event:
                    case PartBegin():
                        part = begin(event)
                    case PartData() if part:
                        await part.write(event.data)
                    case PartEnd() if part:
                        await part.finish()
                        part = None
        parser.finish()
    except (MalformedContent, MalformedMultipart, ContentTooLarge) as error:
        if part:
            await part.discard()
        if not begun:
            raise
        return error
    except BaseException:
        if part:
            await part.discard()
        raise
    return None


def anything_stored(results: list[Stored | Failed]) -> bool:
    """Whether at least one instance is stored."""
    return any(isinstance(result, Stored) for result in results)
