"""POST /studies and /studies/{study}: Store (PS3.18 §10.5, STOW-RS)."""

import asyncio
import errno
from collections.abc import AsyncIterator

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.staging import Staging
from dicomweb_server.archive.store import Intake
from dicomweb_server.errors import (
    ContentTooLarge,
    MalformedContent,
    MalformedMultipart,
    Refusal,
    Unavailable,
    UnsupportedContent,
)
from dicomweb_server.web.requests import accept_of, archive_of, base_url_of, principal_of, uids_of
from dicomweb_server.web.responses import DicomJSON
from dicomweb_server.wire.media_types import ContentType, Offer, choose, parse_content_type
from dicomweb_server.wire.multipart import MultipartParser, PartBegin, PartData, PartEnd
from dicomweb_server.wire.resources import study_url
from dicomweb_server.wire.store_report import Failed, Stored, failed, report

log = structlog.get_logger()

DICOM = "application/dicom"

# STOW-05: both JSON names; the answer is one object either way.
ANSWERS = [Offer("application/dicom+json", multipart=False, default=True)]


class Silence(MalformedContent):
    """The client stopped sending in the middle."""


async def store_instances(request: Request) -> Response:
    """Store what the body holds; each instance on its own (STOW-41)."""
    study = next(iter(uids_of(request)), None)
    choose(accept_of(request), ANSWERS)
    content = _content_type(request)
    uploads: asyncio.Semaphore = request.app.state.uploads
    if uploads.locked():
        raise Unavailable("too many uploads at a time; try again")
    async with uploads:
        intake = Intake(archive_of(request), principal_of(request), study)
        try:
            if content.media_type == DICOM:
                await _single(request, intake)
            else:
                await _multipart(request, content, intake)
        finally:
            intake.release()  # also what came whole from a client that has left (STOW-42)
        results = await intake.results()
    if not results:
        raise MalformedMultipart("the request has no parts")  # STOW-02
    base_url = base_url_of(request)
    status, module = report(results, base_url)
    headers = {}
    studies = {r.study_instance_uid for r in results if isinstance(r, Stored)}
    if len(studies) == 1:
        headers["Location"] = study_url(base_url, studies.pop())
    return DicomJSON(orjson.dumps(module), status, headers)


def _content_type(request: Request) -> ContentType:
    text = request.headers.get("content-type")
    if text is None:
        raise UnsupportedContent("the request has no Content-Type")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedContent("Content-Encoding is not supported in store requests")
    content = parse_content_type(text)
    if content.media_type == DICOM:
        return content
    if content.media_type != "multipart/related":
        raise UnsupportedContent(
            'expected multipart/related; type="application/dicom", or application/dicom'
        )
    if content.parameters.get("type", DICOM).lower() not in (DICOM, "application/octet-stream"):
        raise UnsupportedContent('expected multipart/related with type="application/dicom"')
    if not content.parameters.get("boundary"):
        raise MalformedMultipart("the Content-Type has no boundary")
    return content


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Silence when the client stops sending, ClientDisconnect."""
    timeout = archive_of(request).settings.body_timeout_seconds
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(timeout):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Silence("the request's body stopped arriving") from None
        if chunk is None:
            return
        if chunk:
            yield chunk


async def _single(request: Request, intake: Intake) -> None:
    part = _Part(intake)
    try:
        async for chunk in _body(request):
            await part.write(chunk)
        await part.finish()
    except BaseException:
        await part.discard()
        raise


async def _multipart(request: Request, content: ContentType, intake: Intake) -> None:
    """Every complete part is stored, whatever comes after it (STOW-42)."""
    limit = archive_of(request).settings.max_request_parts
    parser = MultipartParser(content.parameters["boundary"], max_parts=limit)
    part: _Part | None = None
    begun = False
    try:
        async for chunk in _body(request):
            for event in parser.feed(chunk):
                begun = True
                match event:
                    case PartBegin():
                        part = _Part(intake, _refused_type(event))
                    case PartData() if part:
                        await part.write(event.data)
                    case PartEnd() if part:
                        await part.finish()
                        part = None
        parser.finish()
    except (MalformedMultipart, ContentTooLarge, Silence) as error:
        if part:
            await part.discard()
        if not begun or not await _anything_stored(intake):
            raise
        intake.fail(failed("cannot_understand", comment=f"the rest was not read: {error}"))
    except BaseException:
        if part:
            await part.discard()
        raise


async def _anything_stored(intake: Intake) -> bool:
    return any(isinstance(result, Stored) for result in await intake.results())


def _refused_type(event: PartBegin) -> Failed | None:
    """STOW-03: a part without a type has that of the message; others are not for this form."""
    text = event.headers.get("content-type")
    if text is None:
        return None
    try:
        media_type = parse_content_type(text).media_type
    except Refusal:
        media_type = ""
    if media_type in (DICOM, "application/octet-stream"):
        return None
    return failed("cannot_understand", comment="the part's type is not application/dicom")


class _Part:
    """One part on its way into the archive, or past it when it is refused already."""

    def __init__(self, intake: Intake, refused: Failed | None = None) -> None:
        self._intake = intake
        self._failure = refused
        self._staging: Staging | None = None if refused else intake.new_file()

    async def write(self, data: bytes | memoryview) -> None:
        if self._staging is None:
            return
        try:
            await self._staging.write(data)
        except ContentTooLarge as error:
            await self._give_up(str(error))
        except OSError as error:
            await self._give_up(_plain(error))

    async def finish(self) -> None:
        if self._staging is not None:
            try:
                staged = await self._staging.finish()
            except OSError as error:
                await self._give_up(_plain(error))
            else:
                await self._intake.accept(staged)
        if self._failure is not None:
            self._intake.fail(self._failure)

    async def discard(self) -> None:
        if self._staging is not None:
            await self._staging.discard()
            self._staging = None

    async def _give_up(self, comment: str) -> None:
        await self.discard()
        self._failure = failed("out_of_resources", comment=comment)


def _plain(error: OSError) -> str:
    log.error("an upload could not be written", errno=error.errno)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "the archive is out of space" if full else "the archive's storage failed"
