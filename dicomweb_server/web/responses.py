"""Answers: JSON, single part and multipart, sent in pieces that are never joined."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dicomweb_server.archive.content import Content
from dicomweb_server.archive.sources import STREAMED
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import accept_encoding_of
from dicomweb_server.wire.conditions import boundary_of, coded_tag
from dicomweb_server.wire.content_coding import (
    CODINGS,
    IDENTITY,
    accepted_codings,
    packer,
)
from dicomweb_server.wire.multipart import closing, new_boundary, part_header
from dicomweb_server.wire.offers import DICOM_JSON as DICOM_JSON
from dicomweb_server.wire.offers import DICOM_XML as DICOM_XML

log = structlog.get_logger()

_BATCH = 64 << 10  # bytes
_TURN = 0.002  # seconds of work after which others get their turn
SMALL = 1000  # bytes, which fit into a packet as they are

# Of all answers that may be coded, coded or not (CCH-02).
VARY = "Accept, Accept-Encoding"

# What is kept private and checked again: patient data, in a store that may change (CCH-03).
PRIVATE = {"Cache-Control": "private, no-cache"}


_Part = tuple[Content, str]  # and its Content-Location


class DicomJSON(Response):
    """An ``application/dicom+json`` answer. The type carries no parameter (trap 24)."""

    media_type = DICOM_JSON
    charset = ""

    def __init__(
        self, body: bytes, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body, status_code, {**PRIVATE, "Vary": "Accept", **(headers or {})})


class Pieces(StreamingResponse):
    """A streamed answer that a HEAD request gets without its body (RES-06).

    What its pieces are read from is given back also when the client leaves.
    """

    body_iterator: AsyncIterator[bytes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _warn_of_open_end(scope.get("http_version"), self.headers)
        try:
            if scope["method"] != "HEAD":
                # Not Starlette's own way, which cancels again in each turn of the event loop:
                # nothing that is put away could be waited for, and waiting took all its time.
                await while_connected(Request(scope, receive), self.stream_response(send))
                return
            start = {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
            await send(start)
            await send({"type": "http.response.body", "body": b""})
        finally:
            await _close(self.body_iterator)


_HTTP_1_0 = ("1.0", "1")  # the other is granian's word
_warned = False


def _warn_of_open_end(version: str | None, headers: Mapping[str, str]) -> None:
    """Tell the operator, once, if answers go out whose end nobody can tell from a fault that cuts
    them (ERR-03): without a length over HTTP/1.0, as some proxies ask unless told otherwise."""
    global _warned
    if version in _HTTP_1_0 and "content-length" not in headers and not _warned:
        _warned = True
        log.warning(
            "answers go out over HTTP/1.0, which cannot tell one that was broken off from a whole "
            "one: let the proxy speak HTTP/1.1 (nginx: proxy_http_version 1.1)"
        )


async def discard(response: Response) -> None:
    """Give back what an answer is read from that will not be sent."""
    if isinstance(response, Pieces):
        await _close(response.body_iterator)


async def _close(pieces: AsyncIterator[object]) -> None:
    if isinstance(pieces, AsyncGenerator):
        await pieces.aclose()


class Ready(Response):
    """An answer whose pieces are in memory: sent one by one, not copied into one."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        media_type: str,
        headers: Mapping[str, str],
        status_code: int = 200,
    ) -> None:
        self._pieces = pieces
        length = sum(map(len, pieces))
        super().__init__(
            status_code=status_code,
            headers={**headers, "Content-Type": media_type, "Content-Length": str(length)},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers = self.status_code, self.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        *before, last = self._pieces or [b""]
        for piece in before:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": last})


def json_array(texts: AsyncIterator[bytes]) -> Response:
    """A DICOM JSON array of objects that are text already, made as it is sent (JSN-01)."""
    headers = {**PRIVATE, "Vary": "Accept"}
    return Pieces(in_turns(_array(texts)), media_type=DICOM_JSON, headers=headers)


async def _array(texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    before = b"["
    async for text in texts:
        yield before + text
        before = b","
    yield b"]" if before == b"," else b"[]"


def xml_parts(texts: AsyncIterator[bytes]) -> Response:
    """A Native DICOM Model document (PS3.19 §A.1) a part, of the texts of `json_array`: the same
    attributes in either form. There has to be one (MP-08)."""
    return document_parts((to_xml(orjson.loads(text)), None) async for text in texts)


def document_parts(
    documents: AsyncIterator[tuple[bytes, str | None]], boundary: str | None = None
) -> Response:
    """Parts of (document, Content-Location) pairs, without it where a part represents no
    resource (MP-03). There has to be one."""
    boundary = boundary or new_boundary()
    return Pieces(
        in_turns(_parts(documents, boundary)),
        media_type=f'multipart/related; type="{DICOM_XML}"; boundary={boundary}',
        headers={**PRIVATE, "Vary": "Accept"},
    )


async def _parts(
    documents: AsyncIterator[tuple[bytes, str | None]], boundary: str
) -> AsyncIterator[bytes]:
    first = True
    async for document, location in documents:
        headers = {"Content-Type": DICOM_XML, "Content-Length": str(len(document))}
        if location is not None:
            headers["Content-Location"] = location
        yield part_header(boundary, headers, first=first) + document
        first = False
    yield closing(boundary)


async def in_turns(texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same in batches; others get their turn between them, and while one is being made."""
    batch: list[bytes] = []
    size = 0
    turn = time.perf_counter()
    async for text in texts:
        batch.append(text)
        size += len(text)
        if size > _BATCH:
            yield b"".join(batch)
            batch, size = [], 0
        if time.perf_counter() - turn > _TURN:
            await _others()
            turn = time.perf_counter()
    if batch:
        yield b"".join(batch)


async def _others() -> None:
    """Give others their turn: tasks, and the thread of granian that sends and receives.

    That one needs the interpreter's lock for each piece, and unless the lock is let go for a
    moment waits 5 ms for it (sys.getswitchinterval), taking no request meanwhile: in an answer of
    4000 results others waited 410 ms, now 17 ms, for 4% of its time.
    """
    time.sleep(50e-6)  # noqa: ASYNC251
    await asyncio.sleep(0)


async def coded(request: Request, response: Response) -> Response:
    """`response` in the content coding that the client prefers, made as it is sent (CCH-04).

    For answers of JSON and XML that are in memory, or are Pieces. A small one is not packed.
    Raises NotAcceptable for a client that bars every coding, and none as well.
    """
    codings = accepted_codings(accept_encoding_of(request))
    if not codings:
        raise NotAcceptable(CODINGS, "content codings")
    response.headers["Vary"] = VARY
    coding = codings[0]
    if coding == IDENTITY:
        return response
    pieces = response.body_iterator if isinstance(response, Pieces) else _once(response.body)
    start = await _start(pieces)
    if len(start) < SMALL and IDENTITY in codings:
        if isinstance(response, Pieces):
            response.body_iterator = _once(start)  # it is all there is
        return response
    packed = Pieces(_packed(coding, start, pieces), response.status_code)
    packed.raw_headers = [field for field in response.raw_headers if field[0] != b"content-length"]
    packed.headers["Content-Encoding"] = coding
    if "ETag" in packed.headers:
        packed.headers["ETag"] = coded_tag(packed.headers["ETag"], coding)
    return packed


async def _start(pieces: AsyncIterator[bytes]) -> bytes:
    """What comes first: enough to know that it is not small, or all there is."""
    start = b""
    while len(start) < SMALL:
        piece = await anext(pieces, None)
        if piece is None:
            break
        start += piece
    return start


async def _once(piece: bytes | memoryview) -> AsyncGenerator[bytes, None]:
    yield bytes(piece)


async def _packed(
    coding: str, start: bytes, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    packing = packer(coding)
    try:
        piece: bytes | None = start
        while piece is not None:
            for step in packing.steps(piece):
                if step:
                    yield step
                await asyncio.sleep(0)  # a piece may be as large as what is known of an instance
            piece = await anext(pieces, None)
        yield packing.finish()
    finally:
        await _close(pieces)


def content_type(content: Content) -> str:
    """The real type, with the real transfer syntax if it has one, unquoted (TS-09)."""
    if not content.transfer_syntax_uid:
        return content.media_type
    return f"{content.media_type}; transfer-syntax={content.transfer_syntax_uid}"


async def begun(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    """The same pieces, the first `count` of them made now: what they are refused for can still
    be answered as a refusal."""
    try:
        first = [piece async for _, piece in _zip(range(count), pieces)]
    except BaseException:
        await _close(pieces)
        raise

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        try:
            yield b""  # it stands here when it is returned: unbegun, it would close nothing
            for piece in first:
                yield piece
            async for piece in pieces:
                yield piece
        finally:
            await _close(pieces)

    begun_pieces = all_of_them()
    await anext(begun_pieces)
    return begun_pieces


async def _zip(numbers: range, pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    for number in numbers:
        piece = await anext(pieces, None)
        if piece is None:
            return
        yield number, piece


def without_body(media_type: str, headers: Mapping[str, str], status_code: int = 200) -> Response:
    """The answer to a HEAD request for what would take long to be made: without its length."""
    return Pieces(_once(b""), status_code, headers, media_type=media_type)


def multipart_type(media_type: str, boundary: str) -> str:
    """The Content-Type of parts whose first is of `media_type` (MP-01)."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'


async def multipart(parts: AsyncIterator[_Part], headers: Mapping[str, str]) -> Response:
    """``multipart/related`` of (content, Content-Location) pairs, made as they are sent. There
    has to be one (MP-08).

    Its type is that of the first part (MP-01). With an ETag among `headers` the boundary is
    the same each time. What the first part is refused for is raised here; a fault later cuts
    the connection (ERR-03).
    """
    boundary = boundary_for(headers)
    first = await anext(parts)
    pieces = _encode(_chain(first, parts), boundary)
    return Pieces(
        await begun(pieces, 2),
        media_type=multipart_type(first[0].media_type, boundary),
        headers=headers,
    )


async def _chain(first: _Part, parts: AsyncIterator[_Part]) -> AsyncIterator[_Part]:
    try:
        yield first
        async for part in parts:
            yield part
    finally:
        await _close(parts)


def boundary_for(headers: Mapping[str, str]) -> str:
    """The boundary of an answer with `headers`: of its ETag, if it has one."""
    return boundary_of(headers["ETag"]) if "ETag" in headers else new_boundary()


async def _encode(parts: AsyncIterator[_Part], boundary: str) -> AsyncIterator[bytes]:
    first = True
    try:
        async for content, location in parts:
            chunks = content.read()
            try:
                yield part_header(boundary, _part_headers(content, location), first=first)
                first = False
                async for chunk in chunks:
                    yield chunk
            finally:
                await _close(chunks)
                await content.close()
    finally:
        await _close(parts)
    yield closing(boundary)


def _part_headers(content: Content, location: str) -> dict[str, str]:
    return {
        "Content-Type": content_type(content),
        "Content-Length": str(content.length),
        "Content-Location": location,
    }


async def one_part(parts: AsyncIterator[_Part], headers: Mapping[str, str]) -> Response:
    """``multipart`` of a single part; a small one is sent in three pieces, with its length."""
    content, location = part = await anext(parts)
    if content.length > STREAMED:
        return await multipart(_chain(part, parts), headers)
    await _close(parts)
    boundary = boundary_for(headers)
    head = part_header(boundary, _part_headers(content, location), first=True)
    kind = multipart_type(content.media_type, boundary)
    return Ready([head, *await pieces_of(content), closing(boundary)], kind, headers)


async def pieces_of(content: Content) -> list[bytes]:
    """All of a small content, which has been sent then."""
    try:
        if content.data is not None:
            return [content.data]
        return [piece async for piece in content.read()]
    finally:
        await content.close()
