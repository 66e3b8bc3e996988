"""GET …/rendered (PS3.18 §10.4.1.1.3): one picture, or several in parts."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive.content import Content
from dicomweb_server.archive.presentation import Presented
from dicomweb_server.archive.render import (
    Frame,
    Picture,
    Shown,
    find_representative,
    find_shown,
    frame_shown,
    kept,
    rendered,
    rendered_at_once,
)
from dicomweb_server.archive.rendered_parts import (
    Part,
    animation,
    count_pictures,
    count_presented,
    pictures_of,
    pictures_of_frames,
    pictures_of_state,
    refuse_too_many,
)
from dicomweb_server.archive.retrieve import uids_of as uids_of_location
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.viewing import DEFAULT_QUALITY, PROFILES
from dicomweb_server.errors import InvalidParameter, NotAcceptable, NotFound
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.own_media import render_own_media
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    triple_of,
    uids_of,
)
from dicomweb_server.web.responses import (
    PRIVATE,
    Pieces,
    Ready,
    begun,
    multipart,
)
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.rendered_offers import rendered_offers
from dicomweb_server.wire.rendering import RenderedQuery, parse_rendered_query
from dicomweb_server.wire.resources import frame_url, instance_url, parse_frame_list
from dicomweb_server.wire.search_results import warning


async def retrieve_rendered(request: Request) -> Response:
    """GET …/rendered: pictures, or the video, document, report or waveform that an instance is
    (trap 34)."""
    asked = parse_rendered_query(request.query_params.multi_items())
    try:
        with archive_of(request).at_once:
            return await _pictures(request, asked)
    except (NotAcceptable, NotFound) as refusal:
        # Asked for last: pictures are what is wanted a thousand times as often.
        if len(uids_of(request)) < 3 or "frames" in request.path_params:
            raise
        if answer := await render_own_media(request, asked):
            return _warned(request, answer, asked)
        if isinstance(refusal, NotAcceptable):
            raise
        raise NotAcceptable([]) from None  # it is there, and has nothing to show (3.3.6)


async def _pictures(request: Request, asked: RenderedQuery) -> Response:
    numbers = _numbers(request)
    offer = choice_of(request, rendered_offers(len(numbers))).offer
    if asked.icc_profile not in ("", "no", *PROFILES.get(offer.media_type, ())):
        raise InvalidParameter("iccprofile", asked.icc_profile, f"no, for {offer.media_type}")
    options = RenderOptions(asked.window, asked.viewport, asked.icc_profile, asked.annotations)
    wanted = Picture(
        options,
        offer.media_type,
        asked.quality or DEFAULT_QUALITY,
        as_stored=offer.media_type == "image/jpeg"
        and asked.quality is None
        and options == RenderOptions(),
    )
    if not offer.multipart:
        response = await _one(request, wanted, numbers)
    elif len(uids_of(request)) == 3:
        response = await _of_instance(request, wanted, numbers)
    else:
        response = await _of_many(request, wanted)
    return _warned(request, response, asked)


def _warned(request: Request, response: Response, asked: RenderedQuery) -> Response:
    for text in asked.warnings:
        response.headers.append("Warning", warning(base_url_of(request), text))
    return response


def _numbers(request: Request) -> list[int]:
    """The frames that the path names; none are all of them."""
    text = request.path_params.get("frames")
    return [] if text is None else list(parse_frame_list(text))


async def _one(request: Request, wanted: Picture, numbers: Sequence[int]) -> Response:
    """A single part: one frame. Of a multi-frame instance the first, or all of them where the type
    has animations; of a study or series the representative (3.3.6 [D])."""
    archive, principal = archive_of(request), principal_of(request)
    uids = uids_of(request)
    animated = wanted.media_type == "image/gif" and len(uids) == 3 and not numbers
    if len(uids) == 3:
        which = (*numbers, None)[0]
        leased = not animated
        shown = await find_shown(archive, principal, *triple_of(request), which, leased=leased)
    else:
        shown = await find_representative(archive, principal, uids[0], (*uids, None)[1])
    if animated and isinstance(shown, Frame) and shown.found.table.count > 1:
        return await _animated(request, shown, wanted)
    return await one_picture(request, shown, wanted)


async def _animated(request: Request, shown: Frame, wanted: Picture) -> Response:
    """All frames of an instance, each made as it is sent; the first now, also for HEAD, which is
    refused for what GET is (RES-06)."""
    tag = _tag(shown.version, [], wanted, "animated")
    headers = {**PRIVATE, "Vary": "Accept", "ETag": tag}
    if answer := not_modified(request, headers):
        return answer
    pieces = animation(archive_of(request), principal_of(request), shown, wanted)
    started = await while_connected(request, begun(pieces, 2))
    return Pieces(started, media_type=wanted.media_type, headers=headers)


async def one_picture(request: Request, shown: Shown, wanted: Picture) -> Response:
    """One frame as a picture by itself."""
    headers = {
        **PRIVATE,
        "Vary": "Accept",
        "ETag": _tag(shown.version, [frame_shown(shown)], wanted),
    }
    if answer := not_modified(request, headers):
        return answer
    archive = archive_of(request)
    picture = kept(archive, shown, wanted)
    if picture is None:
        at_once = rendered_at_once(archive, shown, wanted)
        far = archive.neighbours is not None  # the file may take long to be read
        picture = await (while_connected(request, at_once) if far else at_once)
    if picture is None:
        picture = await while_connected(request, rendered(archive, shown, wanted))
    if picture.data is None:
        return await single_part(request, picture, headers, ranges=False)
    return Ready([picture.data], wanted.media_type, headers)


def _tag(version: bytes, numbers: Sequence[int], wanted: Picture, *more: str) -> str:
    return tag_of("rendered", version, ",".join(map(str, numbers)), repr(wanted), *more)


async def _of_instance(request: Request, wanted: Picture, numbers: Sequence[int]) -> Response:
    """A part for each frame, or each that the path names; of a presentation state for each that
    it shows."""
    archive, principal = archive_of(request), principal_of(request)
    shown = await find_shown(archive, principal, *triple_of(request), max((*numbers, 1)))
    of = archive, principal
    if isinstance(shown, Presented):
        state = shown.state
        refuse_too_many(archive, len(numbers))
        count = max(numbers) if numbers else await count_presented(*of, state)
        parts = pictures_of_state(*of, state, numbers, count, wanted)
    else:
        location, count = shown.found.location, shown.found.table.count
        refuse_too_many(archive, len(numbers) or count)
        which = numbers or range(1, count + 1)
        parts = pictures_of_frames(*of, location, which, count, wanted)
    tag = None
    if isinstance(shown, Frame):  # others follow from more files than the one that was looked at
        tag = _tag(shown.version, numbers, wanted, "parts", base_url_of(request))
    return await _parts(request, parts, wanted, tag)


async def _of_many(request: Request, wanted: Picture) -> Response:
    """A part for each frame of each image; what is no image is passed over (3.3.6)."""
    archive, principal = archive_of(request), principal_of(request)
    study, series = (*uids_of(request), None)[:2]
    assert study is not None
    shown = await count_pictures(archive, principal, study, series, wanted.options.viewport)
    tag = None
    if shown.digest is not None:
        tag = _tag(shown.digest, [], wanted, "parts", base_url_of(request))
    parts = pictures_of(archive, principal, study, series, wanted)
    response = await _parts(request, parts, wanted, tag)
    if shown.omitted and response.status_code == 200:
        response.status_code = 206  # WADO-09
        text = f"{shown.omitted} instances cannot be rendered and are left out"
        response.headers.append("Warning", warning(base_url_of(request), text))
    return response


async def _parts(
    request: Request, parts: AsyncGenerator[Part, None], wanted: Picture, tag: str | None
) -> Response:
    """``multipart/related``, each picture made as it is sent (MP-09, MP-10); the first now, also
    for HEAD (RES-06)."""
    headers = {**PRIVATE, "Vary": "Accept", **({"ETag": tag} if tag else {})}
    if answer := not_modified(request, headers):
        await parts.aclose()
        return answer
    named = _named(base_url_of(request), parts)
    return await while_connected(request, multipart(named, headers))


async def _named(
    base_url: str, parts: AsyncGenerator[Part, None]
) -> AsyncIterator[tuple[Content, str]]:
    """The parts, each with the URL of what it shows: an instance, or a frame of many."""
    try:
        async for part in parts:
            uids = uids_of_location(part.location)
            many = part.count > 1
            url = frame_url(base_url, *uids, part.number) if many else instance_url(base_url, *uids)
            yield part.content, url
    finally:
        await parts.aclose()
