"""GET on bulk data: Retrieve Bulkdata (PS3.18 §10.4.1.1.5)."""

from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.retrieve import uids_of as uids_of_location
from dicomweb_server.archive.sources import Source, open_source
from dicomweb_server.dicom.frames import is_encapsulated
from dicomweb_server.errors import NotFound
from dicomweb_server.index.retrieve import Location
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.frames import metadata_for_decoding
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    triple_of,
)
from dicomweb_server.web.responses import PRIVATE, multipart
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.media_types import Choice
from dicomweb_server.wire.offers import ELE, pixel_offers, value_offers
from dicomweb_server.wire.resources import bulk_url, parse_bulk_path


async def retrieve_bulk_data(request: Request) -> Response:
    """GET {bulkdataURI}: one value; one part a frame for encapsulated pixels (BLK-03)."""
    archive = archive_of(request)
    path = parse_bulk_path(request.path_params["path"])
    principal = principal_of(request)
    location, value = await retrieve.locate_bulk(archive, principal, *triple_of(request), path)
    source = await open_source(archive, location)
    if path == "7FE00010" and is_encapsulated(location.transfer_syntax_uid):
        # Without a table (data in another form than its syntax says) the value goes as it is.
        with suppress(NotFound):
            return await _pixel_data(request, source, location)
    content = await retrieve.bulk_content(archive, principal, source, location, path, value)
    choice = choice_of(request, value_offers(content.media_type, content.transfer_syntax_uid))
    headers = _headers(request, location, path, choice, repr(value))
    if answer := not_modified(request, headers):
        return answer
    if not choice.offer.multipart:
        return await single_part(request, content, headers)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield content, _url(request, location, path)

    return await multipart(parts(), content.media_type, headers)


def _headers(
    request: Request, location: Location, path: str, choice: Choice, value: str
) -> dict[str, str]:
    """Those of an answer with one value; `value` says where it lies in the file."""
    url = _url(request, location, path)
    headers = {**PRIVATE, "Vary": "Accept"}
    if not choice.offer.multipart:
        headers["Content-Location"] = url
    form = choice.offer.content_type, choice.transfer_syntax or ""
    headers["ETag"] = tag_of("bulk data", location.sha256, path, value, *form, url)
    return headers


def _url(request: Request, location: Location, path: str) -> str:
    return bulk_url(base_url_of(request), *uids_of_location(location), path)


async def _pixel_data(request: Request, source: Source, location: Location) -> Response:
    archive, principal = archive_of(request), principal_of(request)
    uids = uids_of_location(location)
    found = await retrieve.locate_frames(archive, principal, *uids, [1])
    single = found.table.count == 1
    choice = choice_of(request, pixel_offers(location.transfer_syntax_uid, single=single))
    headers = _headers(request, location, "7FE00010", choice, repr(found.table))
    if answer := not_modified(request, headers):
        return answer
    wanted = choice.transfer_syntax or ELE
    packed = await metadata_for_decoding(request, found, wanted)

    async def content(number: int) -> Content:
        at = found
        if number > 1:
            at = await retrieve.locate_frames(archive, principal, *uids, [number])
        return await retrieve.frame_content(archive, source, at, 0, number, wanted, packed)

    first = await content(1)
    if not choice.offer.multipart:
        return await single_part(request, first, headers)
    url = _url(request, location, "7FE00010")

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield first, url
        for number in range(2, found.table.count + 1):
            yield await content(number), url

    return await multipart(parts(), first.media_type, headers)
