"""GET …/thumbnail (PS3.18 §10.4.1.1.4): one small picture, whatever the level (THB-02)."""

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.thumbnails import plain_thumbnail, thumbnail
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import archive_of, choice_of, principal_of, uids_of
from dicomweb_server.web.responses import PRIVATE, Ready
from dicomweb_server.wire.rendered_offers import rendered_offers
from dicomweb_server.wire.rendering import parse_thumbnail_query
from dicomweb_server.wire.resources import parse_frame_list

# One picture, whatever is asked for (trap 8).
_OFFERS = tuple(offer for offer in rendered_offers(1) if not offer.multipart)


async def retrieve_thumbnail(request: Request) -> Response:
    """A small picture, or an icon for what has none."""
    media_type = choice_of(request, _OFFERS).offer.media_type
    viewport = parse_thumbnail_query(request.query_params.multi_items())
    wanted = plain_thumbnail(media_type, viewport)
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
    headers = {**PRIVATE, "Vary": "Accept", "ETag": tag_of("thumbnail", picture)}
    return not_modified(request, headers) or Ready([picture], media_type, headers)


def _frame(request: Request) -> int | None:
    """The frame of the path; of several the first, as there is one picture (THB-02)."""
    text = request.path_params.get("frames")
    if text is None:
        return None
    return parse_frame_list(text)[0]
