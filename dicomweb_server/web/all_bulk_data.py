"""GET …/bulkdata and …/pixeldata of studies, series and instances (PS3.18 §10.4.1.1.5)."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import bulk_data, retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.index.bulk_data import PIXEL_PATHS, Holder
from dicomweb_server.index.digest import Version
from dicomweb_server.index.retrieve import Page, Position
from dicomweb_server.web.bulk_data import one_value
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    triple_of,
    uids_of,
)
from dicomweb_server.web.responses import PRIVATE, multipart
from dicomweb_server.wire.offers import ELE, OCTETS, bulk_offers
from dicomweb_server.wire.resources import bulk_url


async def retrieve_all_bulk_data(request: Request) -> Response:
    """GET …/bulkdata: every value that the metadata refer to, a part each."""
    return await _retrieve(request, pixels_only=False)


async def retrieve_all_pixel_data(request: Request) -> Response:
    """GET …/pixeldata: (Float, Double Float) Pixel Data of the top level, and no other."""
    return await _retrieve(request, pixels_only=True)


async def bulk_data_of_instances(request: Request, wanted: str) -> Response:
    """What …/bulkdata answers, in a transfer syntax that has been chosen (digest 1.4, trap 7)."""
    now = await _version(request)
    page = await _holders(request, pixels_only=False)
    return await _answer(request, now, page, wanted, pixels_only=False)


async def _retrieve(request: Request, *, pixels_only: bool) -> Response:
    if len(uids_of(request)) == 3:
        location, values = await bulk_data.locate_all_bulk(
            archive_of(request), principal_of(request), *triple_of(request), pixels_only=pixels_only
        )
        if len(values) == 1:  # one item, which may be had as a single part too
            [(path, value)] = values.items()
            return await one_value(request, location, path, value)
    now = await _version(request)
    page = await _holders(request, pixels_only=pixels_only)
    offers = bulk_offers(
        {holder.location.transfer_syntax_uid for holder in page.items},
        complete=page.after is None,
        pixels_only=not any(holder.others for holder in page.items) or pixels_only,
    )
    choice = choice_of(request, offers)
    wanted = choice.transfer_syntax or ELE
    return await _answer(request, now, page, wanted, pixels_only=pixels_only)


async def _version(request: Request) -> Version:
    """Before the values are located: what comes in between makes the tag old, never wrong."""
    return await retrieve.version(archive_of(request), principal_of(request), *uids_of(request))


async def _holders(
    request: Request, *, pixels_only: bool, after: Position | None = None
) -> Page[Holder]:
    """The instances of the resource that have any. Raises NotFound if there is none (MP-08)."""
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    if len(uids) < 3:
        return await bulk_data.list_holders(
            archive, principal, *uids, pixels_only=pixels_only, after=after
        )
    location, values = await bulk_data.locate_all_bulk(
        archive, principal, *triple_of(request), pixels_only=pixels_only
    )
    pixels = set(values).intersection(PIXEL_PATHS)
    return Page([Holder(location, bool(pixels), pixels != set(values))], None)


async def _answer(
    request: Request, now: Version, page: Page[Holder], wanted: str, *, pixels_only: bool
) -> Response:
    """The values of a resource that begins with `page`, in parts; it was as `now` tells before."""
    archive, principal = archive_of(request), principal_of(request)
    base_url = base_url_of(request)
    headers = {**PRIVATE, "Vary": "Accept"}
    if not any(_is_decoded(uid, wanted) for uid in now.transfer_syntaxes):
        kind = "pixel data" if pixels_only else "all bulk data"
        headers["ETag"] = tag_of(kind, wanted, now.digest, base_url)
    if answer := not_modified(request, headers):
        return answer

    async def following(after: Position) -> Page[Holder]:
        return await _holders(request, pixels_only=pixels_only, after=after)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for holder in retrieve.all_of(page, following):
            uids = retrieve.uids_of(holder.location)
            located = await bulk_data.locate_all_bulk(
                archive, principal, *uids, pixels_only=pixels_only
            )
            contents = bulk_data.value_contents(archive, principal, *located, wanted)
            async for path, content in contents:
                yield content, bulk_url(base_url, *uids, path)

    return await multipart(parts(), headers)


def _is_decoded(stored: str, wanted: str) -> bool:
    """Whether pixel data goes out decoded if that can be done and else as stored: nobody can
    promise the same bytes."""
    if not is_encapsulated(stored) or is_video(stored):
        return False
    return wanted == ELE or media_type_of(stored) == OCTETS
