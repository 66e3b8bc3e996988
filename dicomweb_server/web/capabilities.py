"""OPTIONS of the base URI, and /openapi.json: what the service can do (PS3.18 8.9)."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import accept_encoding_of, archive_of, base_url_of, choice_of
from dicomweb_server.web.responses import coded
from dicomweb_server.wire.content_coding import accepted_codings
from dicomweb_server.wire.media_types import Offer
from dicomweb_server.wire.offers import DICOM_JSON
from dicomweb_server.wire.openapi import openapi
from dicomweb_server.wire.wadl import JSON, WADL, capabilities

# An Accept of application/json is read as one of application/dicom+json everywhere (trap 12).
_OFFERS = (Offer(WADL, multipart=False, default=True), Offer(DICOM_JSON, multipart=False))

# It says nothing of anybody, and changes with the server's version.
_PUBLIC = {"Cache-Control": "no-cache"}


async def retrieve_capabilities(request: Request) -> Response:
    """OPTIONS …/dicomweb: the description in WADL or JSON (CAP-02). A CORS preflight of an origin
    that is allowed has been answered before (CAP-01)."""
    chosen = choice_of(request, _OFFERS).offer.media_type
    media_type = WADL if chosen == WADL else JSON
    body = capabilities(base_url_of(request), media_type, deleting=_deleting(request))
    return await _answer(request, body, media_type)


async def describe(request: Request) -> Response:
    """GET /openapi.json: the same for tools that know nothing of DICOM (extension)."""
    origin = base_url_of(request).removesuffix("/dicomweb")
    return await _answer(request, orjson.dumps(openapi(origin, deleting=_deleting(request))), JSON)


def _deleting(request: Request) -> bool:
    return archive_of(request).settings.allow_delete


async def _answer(request: Request, body: bytes, media_type: str) -> Response:
    headers = {**_PUBLIC, "Vary": "Accept, Accept-Encoding", "ETag": tag_of(body, media_type)}
    codings = accepted_codings(accept_encoding_of(request))
    if answer := not_modified(request, headers, codings):
        return answer
    response = Response(body, headers={**headers, "Content-Type": media_type})
    return await coded(request, response)
