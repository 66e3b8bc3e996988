"""Refusal → status: one table, and one form of answer (RFC 9457, rule ERR-01)."""

from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.retrieve import locate
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.blobs.store import BlobMissing
from dicomweb_server.errors import (
    ContentTooLarge,
    ImageNotHere,
    InvalidParameter,
    MalformedContent,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    NotPart10,
    PreconditionFailed,
    RangeNotSatisfiable,
    Refusal,
    TooSlow,
    Unavailable,
    UndecodablePixels,
    UnsupportedCoding,
    UnsupportedContent,
)
from dicomweb_server.web.requests import archive_of, note, principal_of, uids_of
from dicomweb_server.web.responses import VARY

log = structlog.get_logger()

# The status of a refusal is that of its nearest base that stands here.
STATUS: dict[type[Refusal], int] = {
    InvalidParameter: 400,
    MalformedContent: 400,
    NotPart10: 400,
    TooSlow: 408,
    NotFound: 404,
    ImageNotHere: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    UndecodablePixels: 406,  # what is stored cannot be had in an accepted form (WADO-09)
    WorkerFailed: 406,
    PreconditionFailed: 412,
    ContentTooLarge: 413,
    UnsupportedContent: 415,
    RangeNotSatisfiable: 416,
    Unavailable: 503,
}

TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal. Raises KeyError for one that is not in the table."""
    for kind in type(refusal).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    raise KeyError(type(refusal))


async def refuse(request: Request, error: Exception) -> Response:
    """The answer to a refused request."""
    assert isinstance(error, Refusal)
    status = status_of(error)
    note(request.scope, refusal=type(error).__name__, reason=error.for_log)
    headers = {}
    members: dict[str, Any] = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.total}"
    if isinstance(error, UnsupportedCoding):
        headers["Accept-Encoding"] = "gzip, identity"  # RFC 9110 §15.5.16
    if isinstance(error, NotAcceptable) and error.available:
        members["available"] = list(error.available)  # NEG-11
    return problem(request, status, str(error), headers=headers, **members)


async def refuse_http(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: unknown paths, methods that a resource lacks."""
    assert isinstance(error, HTTPException)
    detail = "there is no such resource" if error.status_code == 404 else error.detail
    off = request.method == "DELETE" and not archive_of(request).settings.allow_delete
    if error.status_code == 405 and off:
        detail = "deleting is switched off (ALLOW_DELETE)"
    note(request.scope, reason=detail)
    return problem(request, error.status_code, detail, headers=dict(error.headers or {}))


async def damaged(request: Request, error: Exception) -> Response:
    """A stored file that is not what it was: nothing a caller can mend, and loud in the log.

    Unless it was deleted while it was being read: then it is not found.
    """
    if isinstance(error, BlobMissing):
        try:
            await locate(archive_of(request), principal_of(request), *uids_of(request))
        except Refusal as refusal:
            return await refuse(request, refusal)
    log.error(
        "a stored file is damaged", request_id=request.scope.get("request_id"), blob=str(error)
    )
    return problem(request, 500, "the stored file is missing or damaged; tell the operator")


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> Response:
    """An ``application/problem+json`` answer. `detail` must not hold patient data."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "request_id": request.scope.get("request_id", ""),
        **members,
    }
    # Other headers may lead past a refusal, or to another: 406 comes before most (CCH-02).
    return Response(
        orjson.dumps(body),
        status,
        media_type="application/problem+json",
        headers={"Vary": VARY, **(headers or {})},
    )
