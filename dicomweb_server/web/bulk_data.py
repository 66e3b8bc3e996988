"""GET on bulk data: Retrieve Bulkdata (PS3.18 §10.4.1.1.5)."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.bulk_data import PIXEL_DATA, Frames
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.encodings import how_encoded, possible_targets
from dicomweb_server.archive.retrieve import uids_of as uids_of_location
from dicomweb_server.archive.sources import open_source
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.dicom.frames import is_encapsulated
from dicomweb_server.errors import NotFound
from dicomweb_server.index.retrieve import Location
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.encodings import asks_to_encode, choice_and_encodings
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    choice_of,
    principal_of,
    triple_of,
)
from dicomweb_server.web.responses import PRIVATE, multipart
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.media_types import AS_STORED, Choice
from dicomweb_server.wire.offers import ELE, pixel_offers, value_offers
from dicomweb_server.wire.resources import bulk_url, parse_bulk_path


async def retrieve_bulk_data(request: Request) -> Response:
    """GET {bulkdataURI}: one value."""
    archive, principal = archive_of(request), principal_of(request)
    path = parse_bulk_path(request.path_params["path"])
    location, value = await retrieve.locate_bulk(archive, principal, *triple_of(request), path)
    return await one_value(request, location, path, value)


async def one_value(request: Request, location: Location, path: str, value: BulkValue) -> Response:
    """One value, in one part; of pixels as stored or encoded, one part a frame (BLK-03)."""
    archive, principal = archive_of(request), principal_of(request)
    source = await open_source(archive, location)
    if path == PIXEL_DATA and _is_by_frame(request, location.transfer_syntax_uid):
        # Without a table (data in another form than its syntax says) the value goes as it is.
        with suppress(NotFound):
            frames = await Frames.of(archive, principal, source, location)
            if answer := await _pixel_data(request, frames):
                return answer
    content = await retrieve.bulk_content(archive, principal, source, location, path, value)
    choice = choice_of(request, value_offers(content.media_type, content.transfer_syntax_uid))
    headers = _headers(request, location, path, choice, repr(value), made=False)
    if answer := not_modified(request, headers):
        return answer
    if not choice.offer.multipart:
        return await single_part(request, content, headers)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield content, _url(request, location, path)

    return await multipart(parts(), headers)


def _is_by_frame(request: Request, stored: str) -> bool:
    """Whether pixel data goes by its frames; native ones do so to be encoded."""
    offers = partial(pixel_offers, stored, 1)
    possible = possible_targets(archive_of(request), stored)
    return is_encapsulated(stored) or asks_to_encode(request, offers, possible)


def _headers(
    request: Request, location: Location, path: str, choice: Choice, value: str, *, made: bool
) -> dict[str, str]:
    """Those of an answer with one value; `value` says where it lies in the file, `made` whether
    it is decoded or encoded."""
    url = _url(request, location, path)
    headers = {**PRIVATE, "Vary": "Accept"}
    if not choice.offer.multipart:
        headers["Content-Location"] = url
    form = choice.offer.content_type, choice.transfer_syntax or ""
    how = how_encoded(archive_of(request), form[1]) if made else ""
    headers["ETag"] = tag_of("bulk data", location.sha256, path, value, *form, how, url)
    return headers


def _url(request: Request, location: Location, path: str) -> str:
    return bulk_url(base_url_of(request), *uids_of_location(location), path)


async def _pixel_data(request: Request, frames: Frames) -> Response | None:
    """Pixel data by its frames; None for native ones that are not to be encoded after all."""
    location, table = frames.found.location, frames.found.table
    choice, encodings = await choice_and_encodings(
        request, location, partial(pixel_offers, location.transfer_syntax_uid, table.count)
    )
    if encodings is None and not table.encapsulated:
        return None
    wanted = choice.transfer_syntax or ELE
    made = wanted not in (location.transfer_syntax_uid, AS_STORED)
    headers = _headers(request, location, PIXEL_DATA, choice, repr(table), made=made)
    if answer := not_modified(request, headers):
        return answer
    if encodings is not None:
        contents = frames.encoded(wanted, encodings)
    else:
        contents = frames.contents(wanted)
    if not choice.offer.multipart:
        first: Awaitable[Content] = anext(contents)
        content = await (first if encodings is None else while_connected(request, first))
        return await single_part(request, content, headers)
    url = _url(request, location, PIXEL_DATA)
    making = multipart(((content, url) async for content in contents), headers)
    return await (making if encodings is None else while_connected(request, making))
