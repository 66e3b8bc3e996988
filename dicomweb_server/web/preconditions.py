"""Conditions of requests that change something (RFC 9110 §13.2): asked of what GET would send."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from dicomweb_server.blobs.store import BlobDamaged
from dicomweb_server.errors import NotFound, PreconditionFailed, Refusal, Unavailable
from dicomweb_server.web.responses import discard
from dicomweb_server.wire.conditions import check_match, is_unmodified

_CONDITIONS = (b"if-match", b"if-none-match")
Get = Callable[[Request], Awaitable[Response]]

# What says nothing of the representation that a GET of the same resource would select.
_NOT_OF_GET = {*_CONDITIONS, b"if-range", b"range", b"content-type", b"content-length"}


async def check_preconditions(request: Request, get: Get, *, creates: bool) -> None:
    """Hold If-Match and If-None-Match against the representation that `get` gives of the target.
    `creates`: the request makes what is not there; for another what `get` says of that is the
    answer, whatever the conditions. Raises PreconditionFailed, NotFound, Unavailable."""
    asked = [b", ".join(v for k, v in request.headers.raw if k == name) for name in _CONDITIONS]
    if not any(asked):
        return
    if_match, if_none_match = (text.decode("latin-1") or None for text in asked)
    try:
        tags = await _tags(request, get)
    except NotFound:
        if not creates:
            raise
        if if_match is not None:
            raise PreconditionFailed("there is nothing that If-Match could name") from None
        return
    check_match(if_match, tags)
    if is_unmodified(if_none_match, tags) is not None:
        raise PreconditionFailed("the resource is there, as If-None-Match says it must not be")


async def _tags(request: Request, get: Get) -> list[str]:
    """The entity tags of what GET would send. Raises NotFound, Unavailable."""
    headers = [field for field in request.headers.raw if field[0] not in _NOT_OF_GET]
    scope = {**request.scope, "method": "HEAD", "headers": headers}
    try:
        answer = await get(Request(scope, _nothing_comes))
    except (NotFound, Unavailable):
        raise
    except (Refusal, BlobDamaged):
        return []  # it is there, and has no tag: nothing of it is acceptable, or can be read
    await discard(answer)
    return answer.headers.getlist("etag")


async def _nothing_comes() -> Message:
    """In place of the request's content, which is not for who looks whether the client has left."""
    await asyncio.Event().wait()
    raise AssertionError
