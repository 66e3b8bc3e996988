"""One representation by itself, or the bytes of it that are asked for (RFC 9110 §14, CCH-06)."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.content import CHUNK, Content
from dicomweb_server.web.responses import Pieces, Ready, begun, boundary_for, content_type
from dicomweb_server.wire.conditions import range_applies
from dicomweb_server.wire.multipart import closing, part_header
from dicomweb_server.wire.ranges import Span, parse_range, part_fields


async def single_part(
    request: Request, content: Content, headers: Mapping[str, str], *, ranges: bool = True
) -> Response:
    """`content`, whole or in ranges: of the bytes that are sent no others are read.

    `headers` are those of the whole, its ETag among them. `ranges`: whether there are any. Raises
    RangeNotSatisfiable.
    """
    spans = _spans(request, content, headers.get("ETag")) if ranges else None
    headers = {**headers, "Accept-Ranges": "bytes" if ranges else "none"}
    if spans is not None and len(spans) > 1:
        return await _byte_ranges(content, spans, headers)
    status, offset, length = 200, 0, content.length
    if spans is not None:
        [span] = spans
        status, offset, length = 206, span.first, span.length
        headers["Content-Range"] = span.content_range(content.length)
    pieces = _closed(content, content.read_range(offset, length))
    if length <= CHUNK:
        whole = [piece async for piece in pieces]
        return Ready(whole, content_type(content), headers, status)
    headers["Content-Length"] = str(length)
    return Pieces(await begun(pieces, 1), status, headers, media_type=content_type(content))


def _spans(request: Request, content: Content, tag: str | None) -> Sequence[Span] | None:
    """A Range has a meaning for GET alone (§14.2)."""
    if request.method != "GET" or "range" not in request.headers:
        return None
    if not range_applies(request.headers.get("if-range"), tag):
        return None
    lines = request.headers.getlist("range")
    return parse_range(lines[0], content.length) if len(lines) == 1 else None


async def _byte_ranges(
    content: Content, spans: Sequence[Span], headers: dict[str, str]
) -> Response:
    """``multipart/byteranges`` (§14.6), of a known length."""
    boundary = boundary_for(headers)
    kind = content_type(content)
    heads = [
        part_header(boundary, part_fields(kind, span, content.length), first=not place)
        for place, span in enumerate(spans)
    ]
    end = closing(boundary)
    length = sum(map(len, heads)) + sum(span.length for span in spans) + len(end)

    async def pieces() -> AsyncIterator[bytes]:
        for head, span in zip(heads, spans, strict=True):
            yield head
            async for chunk in content.read_range(span.first, span.length):
                yield chunk
        yield end

    return Pieces(
        await begun(_closed(content, pieces()), 2),
        206,
        {**headers, "Content-Length": str(length)},
        media_type=f"multipart/byteranges; boundary={boundary}",
    )


async def _closed(content: Content, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same pieces; what they are read from is given back after the last."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
        await content.close()
