"""GET …/rendered and …/thumbnail (PS3.18 §10.4.1.1.3 and §10.4.1.1.4)."""

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.render import (
    THUMBNAIL,
    Picture,
    rendered,
    rendered_representative,
    thumbnail,
)
from dicomweb_server.dicom.images import RENDERED_TYPES
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.errors import InvalidParameter, NotAcceptable, NotFound
from dicomweb_server.web.own_media import render_own_media
from dicomweb_server.web.requests import (
    accept_of,
    archive_of,
    base_url_of,
    principal_of,
    uids_of,
)
from dicomweb_server.web.responses import PRIVATE
from dicomweb_server.wire.media_types import Offer, choose
from dicomweb_server.wire.rendering import (
    RenderedQuery,
    parse_rendered_query,
    parse_thumbnail_query,
)
from dicomweb_server.wire.resources import parse_frame_list
from dicomweb_server.wire.search_results import warning

PICTURES = [
    Offer(media_type, multipart=False, default=media_type == "image/jpeg")
    for media_type in RENDERED_TYPES
]


async def retrieve_rendered(request: Request) -> Response:
    """GET …/rendered: one picture, or the video, document or report that an instance is (trap
    34)."""
    asked = parse_rendered_query(request.query_params.multi_items())
    try:
        return await _rendered(request, asked)
    except (NotAcceptable, NotFound) as refusal:
        # Asked for last: pictures are what is wanted a thousand times as often.
        if len(uids_of(request)) < 3 or "frames" in request.path_params:
            raise
        if answer := await render_own_media(request):
            return answer
        if isinstance(refusal, NotAcceptable):
            raise
        raise NotAcceptable([]) from None  # it is there, and has nothing to show (3.3.6)


async def _rendered(request: Request, asked: RenderedQuery) -> Response:
    """One picture. A multi-frame instance gives its first frame (3.3.6 [D])."""
    archive = archive_of(request)
    uids = uids_of(request)
    media_type = _media_type(request)
    options = RenderOptions(window=asked.window, viewport=asked.viewport)
    wanted = Picture(options, media_type, asked.quality)
    try:
        if len(uids) == 3:
            picture = await rendered(archive, principal_of(request), *uids, _frame(request), wanted)
        else:
            study, series = (*uids, None)[:2]
            assert study is not None
            picture = await rendered_representative(
                archive, principal_of(request), study, series, wanted
            )
    except NotAcceptable:
        raise NotAcceptable([]) from None
    response = _picture(picture, media_type)
    for text in asked.warnings:
        response.headers.append("Warning", warning(base_url_of(request), text))
    return response


async def retrieve_thumbnail(request: Request) -> Response:
    """GET …/thumbnail: one small picture, whatever the level (THB-02)."""
    media_type = _media_type(request)
    viewport = parse_thumbnail_query(request.query_params.multi_items())
    longest = None if viewport else THUMBNAIL
    options = RenderOptions(window=None, viewport=viewport)
    wanted = Picture(options, media_type, 80, longest, texts=False)
    study, series, instance = (*uids_of(request), None, None)[:3]
    assert study is not None
    picture = await thumbnail(
        archive_of(request),
        principal_of(request),
        study,
        series,
        instance,
        _frame(request),
        wanted,
    )
    return _picture(picture, media_type)


def _media_type(request: Request) -> str:
    accept = request.query_params.get("accept")
    return choose(accept_of(request), PICTURES, accept).offer.media_type


def _frame(request: Request) -> int | None:
    """The frame of the path. Several frames are several pictures, in multipart (not yet)."""
    text = request.path_params.get("frames")
    if text is None:
        return None
    numbers = parse_frame_list(text)
    if len(numbers) > 1:
        raise InvalidParameter("frames", text, "one frame number for a rendered frame")
    return numbers[0]


def _picture(picture: bytes, media_type: str) -> Response:
    return Response(picture, media_type=media_type, headers={**PRIVATE, "Vary": "Accept"})
