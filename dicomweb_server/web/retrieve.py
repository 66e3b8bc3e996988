"""GET on studies, series, instances, metadata, frames, bulk data: Retrieve (PS3.18 §10.4)."""

from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import metadata, retrieve
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.retrieve import AS_STORED, DICOM, ELE, OCTETS
from dicomweb_server.archive.retrieve import uids_of as uids_of_location
from dicomweb_server.archive.sources import STREAMED, Source, open_source
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.errors import NotAcceptable, NotFound
from dicomweb_server.index.retrieve import (
    FrameLocation,
    Location,
    MetadataRow,
    Page,
    Position,
)
from dicomweb_server.web.requests import accept_of, archive_of, base_url_of, principal_of, uids_of
from dicomweb_server.web.responses import (
    DICOM_JSON,
    DICOM_XML,
    DicomJSON,
    coded,
    document_parts,
    json_array,
    multipart,
    one_part,
    single_part,
)
from dicomweb_server.wire.media_types import Choice, Offer, choose
from dicomweb_server.wire.resources import (
    bulk_url,
    frame_url,
    instance_url,
    parse_bulk_path,
    parse_frame_list,
)

# Digest 1.4: JSON is never multipart, and XML always is.
METADATA = [
    Offer(DICOM_JSON, multipart=False, default=True),
    Offer(DICOM_XML, multipart=True),
]


async def retrieve_instances(request: Request) -> Response:
    """GET /studies/{study}[/series/{series}[/instances/{instance}]]."""
    archive = archive_of(request)
    uids = uids_of(request)
    principal = principal_of(request)
    page = await retrieve.locate(archive, principal, *uids)
    locations = page.items
    choice = _choose(request, instance_offers(page, single=len(uids) == 3))
    wanted = choice.transfer_syntax or ELE
    base_url = base_url_of(request)
    if not choice.offer.multipart:
        content = await retrieve.instance_content(archive, locations[0], wanted)
        name = f'attachment; filename="{locations[0].sop_instance_uid}.dcm"'
        return await single_part(content, {"Content-Disposition": name})

    async def following(after: Position) -> Page[Location]:
        return await retrieve.locate(archive, principal, *uids, after=after)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for location in retrieve.all_of(page, following):
            content = await retrieve.instance_content(archive, location, wanted)
            yield content, _url(base_url, location)

    return await multipart(parts(), DICOM)


def instance_offers(page: Page[Location], *, single: bool) -> list[Offer]:
    """What can be had of these instances: Explicit VR LE, as stored, and their one syntax.

    Of a resource that is larger than `page` nobody knows yet whether it has but one.
    """
    stored = {location.transfer_syntax_uid for location in page.items}
    syntaxes = [ELE, AS_STORED]
    if len(stored) == 1 and page.after is None:
        syntaxes += stored - {ELE}
    if page.after is None and all(is_video(uid) for uid in stored):
        syntaxes.remove(ELE)
    offers = [Offer(DICOM, multipart=True, transfer_syntaxes=tuple(syntaxes), default=True)]
    if single:
        offers.append(Offer(DICOM, multipart=False, transfer_syntaxes=tuple(syntaxes)))
    return offers


async def retrieve_metadata(request: Request) -> Response:
    """GET …/metadata at three levels: one array (JSN-01), or a Native DICOM Model a part."""
    choice = _choose(request, METADATA)
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    page = await metadata.metadata(archive, principal, *uids)
    base_url = base_url_of(request)

    async def following(after: Position) -> Page[MetadataRow]:
        return await metadata.metadata(archive, principal, *uids, after=after)

    async def rows() -> AsyncIterator[tuple[MetadataRow, str]]:
        async for row in retrieve.all_of(page, following):
            yield row, _row_url(base_url, row)

    async def texts() -> AsyncIterator[bytes]:
        async for row, url in rows():
            yield await metadata.metadata_text(row, url)

    async def documents() -> AsyncIterator[tuple[bytes, str]]:
        async for row, url in rows():
            yield await metadata.metadata_document(archive, row, url), f"{url}/metadata"

    if choice.offer.multipart:
        return await coded(request, document_parts(documents()))
    if len(page.items) == 1 and page.after is None:
        text = await metadata.metadata_text(page.items[0], _row_url(base_url, page.items[0]))
        return await coded(request, DicomJSON(b"[" + text + b"]"))
    return await coded(request, json_array(texts()))


def _row_url(base_url: str, row: MetadataRow) -> str:
    return instance_url(
        base_url, row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid
    )


async def retrieve_frames(request: Request) -> Response:
    """GET …/frames/{frames} (WADO-04 to WADO-08)."""
    archive = archive_of(request)
    numbers = parse_frame_list(request.path_params["frames"])
    found = await retrieve.locate_frames(archive, principal_of(request), *_triple(request), numbers)
    choice = _choose(request, frame_offers(found, single=len(numbers) == 1))
    wanted = choice.transfer_syntax or ELE
    packed = await _metadata_for_decoding(request, archive, found, wanted)
    source = await open_source(archive, found.location)
    base_url = base_url_of(request)

    async def content(position: int) -> tuple[Content, str]:
        number = numbers[position]
        frame = await retrieve.frame_content(
            archive, source, found, position, number, wanted, packed
        )
        return frame, frame_url(base_url, *uids_of_location(found.location), number)

    first = await content(0)
    if not choice.offer.multipart:
        return await single_part(first[0], {"Content-Location": first[1]})
    if len(numbers) == 1 and first[0].length <= STREAMED:
        return await one_part(*first)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield first
        for position in range(1, len(numbers)):
            yield await content(position)

    return await multipart(parts(), first[0].media_type)


def frame_offers(found: FrameLocation, *, single: bool) -> list[Offer]:
    """What can be had of frames: decoded octets, and the compressed stream as stored.

    Video has no frames (WADO-08). Raises NotAcceptable for it.
    """
    stored = found.location.transfer_syntax_uid
    if is_video(stored):
        raise NotAcceptable([])
    kinds = [(OCTETS, (ELE, AS_STORED))]
    if is_encapsulated(stored) and media_type_of(stored) != OCTETS:
        kinds.append((media_type_of(stored), (stored, AS_STORED)))
    offers = [
        Offer(kind, multipart=True, transfer_syntaxes=syntaxes, default=kind == OCTETS)
        for kind, syntaxes in kinds
    ]
    if single:
        offers += [
            Offer(kind, multipart=False, transfer_syntaxes=syntaxes) for kind, syntaxes in kinds
        ]
    return offers


async def _metadata_for_decoding(
    request: Request, archive: Archive, found: FrameLocation, wanted: str
) -> bytes | None:
    stored = found.location.transfer_syntax_uid
    as_it_is = wanted != ELE and media_type_of(stored) != OCTETS
    if not is_encapsulated(stored) or as_it_is:
        return None
    row = await metadata.instance_metadata(archive, principal_of(request), found.location)
    return row.packed


async def retrieve_bulk_data(request: Request) -> Response:
    """GET {bulkdataURI}: one value; one part a frame for encapsulated pixels (BLK-03)."""
    archive = archive_of(request)
    path = parse_bulk_path(request.path_params["path"])
    principal = principal_of(request)
    location, value = await retrieve.locate_bulk(archive, principal, *_triple(request), path)
    url = bulk_url(base_url_of(request), *uids_of_location(location), path)
    source = await open_source(archive, location)
    if path == "7FE00010" and is_encapsulated(location.transfer_syntax_uid):
        # Without a table (data in another form than its syntax says) the value goes as it is.
        with suppress(NotFound):
            return await _pixel_bulk_data(request, archive, source, location, url)
    content = await retrieve.bulk_content(archive, principal, source, location, path, value)
    syntaxes = (content.transfer_syntax_uid, AS_STORED)
    offers = [
        Offer(kind, multipart=many, transfer_syntaxes=syntaxes, default=many)
        for kind in dict.fromkeys((content.media_type, OCTETS))
        for many in (True, False)
        if kind == content.media_type or content.transfer_syntax_uid != ELE
    ]
    choice = _choose(request, offers)
    if not choice.offer.multipart:
        return await single_part(content, {"Content-Location": url})

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield content, url

    return await multipart(parts(), content.media_type)


async def _pixel_bulk_data(
    request: Request, archive: Archive, source: Source, location: Location, url: str
) -> Response:
    principal = principal_of(request)
    uids = uids_of_location(location)
    found = await retrieve.locate_frames(archive, principal, *uids, [1])
    choice = _choose(request, pixel_offers(found))
    wanted = choice.transfer_syntax or ELE
    packed = await _metadata_for_decoding(request, archive, found, wanted)

    async def content(number: int) -> Content:
        at = found
        if number > 1:
            at = await retrieve.locate_frames(archive, principal, *uids, [number])
        return await retrieve.frame_content(archive, source, at, 0, number, wanted, packed)

    first = await content(1)
    if not choice.offer.multipart:
        return await single_part(first, {"Content-Location": url})

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield first, url
        for number in range(2, found.table.count + 1):
            yield await content(number), url

    return await multipart(parts(), first.media_type)


def pixel_offers(found: FrameLocation) -> list[Offer]:
    """As for frames; video is one value of its own type."""
    stored = found.location.transfer_syntax_uid
    single = found.table.count == 1
    if not is_video(stored):
        return frame_offers(found, single=single)
    syntaxes = (stored, AS_STORED)
    kinds = [(media_type_of(stored), syntaxes), (OCTETS, (AS_STORED,))]
    return [
        Offer(kind, multipart=many, transfer_syntaxes=names, default=many and kind != OCTETS)
        for kind, names in kinds
        for many in (True, False)
    ]


def _choose(request: Request, offers: list[Offer]) -> Choice:
    return choose(accept_of(request), offers, request.query_params.get("accept"))


def _triple(request: Request) -> tuple[str, str, str]:
    study, series, instance = uids_of(request)
    return study, series, instance


def _url(base_url: str, location: Location) -> str:
    return instance_url(base_url, *uids_of_location(location))
