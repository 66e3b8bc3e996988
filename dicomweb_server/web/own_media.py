"""…/rendered of an instance that is no picture: negotiated, tagged, and safe to be looked at."""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.content import Content
from dicomweb_server.archive.document_work import HTML, SVG, TEXT, XML, WaveformForm
from dicomweb_server.archive.own_media import OwnMedia, own_media
from dicomweb_server.dicom.page import STYLE
from dicomweb_server.dicom.viewing import DEFAULT_QUALITY
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import (
    accept_encoding_of,
    archive_of,
    choice_of,
    principal_of,
    triple_of,
)
from dicomweb_server.web.responses import PRIVATE, VARY, coded, pieces_of
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.content_coding import accepted_codings
from dicomweb_server.wire.media_types import Offer
from dicomweb_server.wire.rendering import RenderedQuery

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

# Of a page that we made: our style and our pictures, no script, no form, no other frame.
_OF_PAGES = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)

# Of what others wrote, or has a syntax that may hold scripts: nothing at all.
_NOTHING = "default-src 'none'; frame-ancestors 'self'; sandbox"
_POLICIES = {HTML: _OF_PAGES, SVG: _NOTHING, XML: _NOTHING}

_SUFFIXES = {
    HTML: "html",
    TEXT: "txt",
    XML: "xml",
    "model/stl": "stl",
    "model/obj": "obj",
    "model/mtl": "mtl",
    SVG: "svg",
    "image/png": "png",
    "image/jpeg": "jpg",
    "application/pdf": "pdf",
    "video/mpeg": "mpg",
    "video/mp4": "mp4",
    "video/H265": "h265",
}

# Made for each request and short: they go in a content coding rather than in ranges.
_CODED = frozenset({HTML, TEXT, SVG})


async def render_own_media(request: Request, asked: RenderedQuery) -> Response | None:
    """The video, document, report or waveform that an instance is; None if it is none.

    Raises NotFound, NotAcceptable naming what it can be had as (NEG-11).
    """
    uids = triple_of(request)
    viewport = asked.viewport  # what it says of a region has no meaning here
    quality = asked.quality or DEFAULT_QUALITY
    width, height = (viewport.width, viewport.height) if viewport else (None, None)
    form = WaveformForm(width, height, quality, asked.annotations)
    found = await own_media(archive_of(request), principal_of(request), *uids, form)
    if found is None:
        return None
    offers = [
        Offer(media_type, multipart=False, default=not place)
        for place, media_type in enumerate(found.media_types)
    ]
    media_type = choice_of(request, offers).offer.media_type
    if media_type in _CODED:
        return await _coded(request, found, media_type)
    headers = _headers(found, media_type)
    if answer := not_modified(request, headers):
        return answer
    return await single_part(request, await found.make(media_type), headers)


async def _coded(request: Request, found: OwnMedia, media_type: str) -> Response:
    headers = {**_headers(found, media_type), "Vary": VARY}
    codings = accepted_codings(accept_encoding_of(request))
    if codings and (answer := not_modified(request, headers, codings)):
        return answer
    content: Content = await found.make(media_type)
    body = b"".join(await pieces_of(content))
    return await coded(request, Response(body, media_type=content.media_type, headers=headers))


def _headers(found: OwnMedia, media_type: str) -> dict[str, str]:
    location = found.location
    name = f"{found.word}-{location.sop_instance_uid}.{_SUFFIXES[media_type]}"
    shown = "attachment" if media_type == XML else "inline"
    headers = {
        **PRIVATE,
        "Vary": "Accept",
        "ETag": tag_of("rendered", location.sha256, media_type, found.seed),
        "Content-Disposition": f'{shown}; filename="{name}"',
    }
    if media_type in _POLICIES:
        headers["Content-Security-Policy"] = _POLICIES[media_type]
    return headers
