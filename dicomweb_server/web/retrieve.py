"""GET on studies, series and instances: Retrieve (PS3.18 §10.4).

Metadata are in ``web.metadata``, frames in ``web.frames``, bulk data in ``web.bulk_data``; several
instances of which some may be had in what others cannot, in ``web.negotiated_files``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.encodings import (
    Encodings,
    encoded_instance,
    how_encoded,
    possible_targets,
)
from dicomweb_server.archive.read_ahead import contents_ahead
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.index.retrieve import Location, Page, Position
from dicomweb_server.web.all_bulk_data import bulk_data_of_instances
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.encodings import choice_and_encodings
from dicomweb_server.web.file_set import retrieve_file_set
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.negotiated_files import negotiated_files, plan_files
from dicomweb_server.web.requests import (
    archive_of,
    asks_for_syntax,
    base_url_of,
    choice_of,
    may_stay_encoded,
    principal_of,
    uids_of,
)
from dicomweb_server.web.responses import (
    PRIVATE,
    boundary_for,
    multipart,
    multipart_type,
    one_part,
    without_body,
)
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.media_types import Choice, available
from dicomweb_server.wire.offers import DICOM, ELE, OCTETS, ZIP, instance_offers
from dicomweb_server.wire.resources import instance_url


async def retrieve_instances(request: Request) -> Response:
    """GET /studies/{study}[/series/{series}[/instances/{instance}]]."""
    uids = uids_of(request)
    page = await retrieve.locate(archive_of(request), principal_of(request), *uids, leased=True)
    encodings = None
    if len(uids) == 3:
        [location] = page.items
        offers = partial(instance_offers, [location.transfer_syntax_uid], complete=True)
        choice, encodings = await choice_and_encodings(
            request, location, partial(offers, single=True)
        )
    elif asks_for_syntax(request):
        answer = await _negotiated(request, page)
        if isinstance(answer, Response):
            return answer
        choice = answer
    else:
        stored = {location.transfer_syntax_uid for location in page.items}
        complete = page.after is None
        choice = choice_of(request, instance_offers(stored, complete=complete, single=False))
    wanted = choice.transfer_syntax or ELE
    if choice.offer.media_type == ZIP:
        return await retrieve_file_set(request)
    if choice.offer.media_type == OCTETS:
        return await bulk_data_of_instances(request)
    content_of = partial(
        _content, archive_of(request), wanted, encodings, may_stay_encoded(request, choice)
    )
    if not choice.offer.multipart:
        return await _file(request, page.items[0], wanted, encodings, content_of)
    return await _files(request, page, wanted, encodings, content_of)


async def _negotiated(request: Request, page: Page[Location]) -> Response | Choice:
    """The files of several instances, each in what it can be had in of what is named (§8.7.8.1);
    the choice if they are not to be had as files, or something else is liked better.

    Raises NotAcceptable, naming what can be had of some.
    """
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    counts = await retrieve.syntaxes_of(archive, principal, *uids, page=page)
    possible = {uid: None for stored in counts for uid in possible_targets(archive, stored)}
    offers = instance_offers(counts, complete=True, single=False, encoded=[*possible])
    try:
        choice = choice_of(request, offers)
        if choice.offer.media_type != DICOM:
            return choice
        plan = await plan_files(request, page, counts)
        if plan.sent:
            return await negotiated_files(request, page, plan)
        return choice_of(request, [offer for offer in offers if offer.media_type != DICOM])
    except NotAcceptable:
        had = instance_offers(counts, complete=True, single=False)
        raise NotAcceptable(available(had)) from None


async def _file(
    request: Request,
    location: Location,
    wanted: str,
    encodings: Encodings | None,
    content_of: "_ContentOf",
) -> Response:
    """One instance as a PS3.10 file by itself."""
    headers = {
        **PRIVATE,
        "Vary": "Accept",
        "Content-Location": _url(base_url_of(request), location),
        "Content-Disposition": f'attachment; filename="{location.sop_instance_uid}.dcm"',
    }

    def unchanged(syntax: str) -> Response | None:
        made = syntax != location.transfer_syntax_uid
        how = how_encoded(archive_of(request), syntax) if made else ""
        headers["ETag"] = tag_of("file", location.sha256, syntax, how)
        return not_modified(request, headers)

    # Before it is made; what If-Match names may be what it turns out to be.
    expected = retrieve.syntax_sent(location.transfer_syntax_uid, wanted)
    if "if-match" not in request.headers and (answer := unchanged(expected)):
        return answer
    if request.method == "HEAD" and encodings is not None:  # it is encoded or refused
        kind = f"{DICOM}; transfer-syntax={wanted}"
        return unchanged(wanted) or without_body(kind, {**headers, "Accept-Ranges": "bytes"})
    making = content_of(location)
    content = await (making if encodings is None else while_connected(request, making))
    return unchanged(content.transfer_syntax_uid) or await single_part(request, content, headers)


async def _files(
    request: Request,
    page: Page[Location],
    wanted: str,
    encodings: Encodings | None,
    content_of: "_ContentOf",
) -> Response:
    """The instances of a resource that begins with `page`, a part each."""
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    base_url = base_url_of(request)
    headers = {**PRIVATE, "Vary": "Accept"}
    tag = await _tag_of_files(request, page, wanted, encodings)
    if tag is not None:
        headers["ETag"] = tag
    if answer := not_modified(request, headers):
        return answer

    if request.method == "HEAD" and encodings is not None:
        return without_body(multipart_type(DICOM, boundary_for(headers)), headers)
    if tag is not None and len(uids) < 3:
        # Anew, after the tag: what comes in between makes the tag old, never wrong.
        page = await retrieve.locate(archive, principal, *uids)

    async def following(after: Position) -> Page[Location]:
        return await retrieve.locate(archive, principal, *uids, after=after)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for location in retrieve.all_of(page, following):
            yield await content_of(location), _url(base_url, location)

    if len(uids) == 3:
        making = one_part(parts(), headers)
        return await (making if encodings is None else while_connected(request, making))
    far = not archive.blobs.has_files
    return await multipart(contents_ahead(parts()) if far else parts(), headers)


_ContentOf = Callable[[Location], Awaitable[Content]]


async def _content(
    archive: Archive,
    wanted: str,
    encodings: Encodings | None,
    or_as_stored: bool,
    location: Location,
) -> Content:
    """One instance as a PS3.10 file; `encodings` if it is to be encoded."""
    if encodings is not None:
        return await encoded_instance(archive, location, wanted, encodings)
    return await retrieve.instance_content(archive, location, wanted, or_as_stored=or_as_stored)


async def _tag_of_files(
    request: Request, page: Page[Location], wanted: str, encodings: Encodings | None
) -> str | None:
    """The tag of files in parts; None where one is made anew: what cannot be decoded, also for
    want of time, goes as stored (TS-05), so that the same is not sent each time."""
    uids = uids_of(request)
    first = page.items[0]
    if encodings is not None:  # it is encoded or refused
        how = how_encoded(archive_of(request), wanted)
        return tag_of("files", first.sha256, wanted, how, base_url_of(request))
    if len(uids) == 3:
        digest, stored = first.sha256, frozenset({first.transfer_syntax_uid})
    else:
        # What is not as stored on the first page saves counting the rest.
        if any(_is_made(location.transfer_syntax_uid, wanted) for location in page.items):
            return None
        now = await retrieve.version(archive_of(request), principal_of(request), *uids)
        digest, stored = now.digest, now.transfer_syntaxes
    if any(_is_made(uid, wanted) for uid in stored):
        return None
    return tag_of("files", digest, base_url_of(request))


def _is_made(stored: str, wanted: str) -> bool:
    return retrieve.syntax_sent(stored, wanted) != stored


def _url(base_url: str, location: Location) -> str:
    return instance_url(base_url, *retrieve.uids_of(location))
