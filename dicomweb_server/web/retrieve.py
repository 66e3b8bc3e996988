"""GET on studies, series, instances, metadata, frames, bulk data: Retrieve (PS3.18 §10.4)."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.retrieve import AS_STORED, DICOM, ELE, OCTETS
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.errors import NotAcceptable
from dicomweb_server.index.retrieve import (
    FrameLocation,
    Location,
    MetadataRow,
    Page,
    Position,
)
from dicomweb_server.web.requests import archive_of, base_url_of, principal_of, uids_of
from dicomweb_server.web.responses import (
    DicomJSON,
    json_array,
    multipart,
    ready_multipart,
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

METADATA = [Offer("application/dicom+json", multipart=False, default=True)]


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
        return single_part(content, {"Content-Disposition": name})

    async def following(after: Position) -> Page[Location]:
        return await retrieve.locate(archive, principal, *uids, after=after)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        async for location in retrieve.all_of(page, following):
            content = await retrieve.instance_content(archive, location, wanted)
            yield content, _url(base_url, location)

    return multipart(parts(), DICOM)


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
    """GET …/metadata at three levels: always one array (JSN-01)."""
    _choose(request, METADATA)
    archive, principal, uids = archive_of(request), principal_of(request), uids_of(request)
    page = await retrieve.metadata(archive, principal, *uids)
    base_url = base_url_of(request)
    if len(page.items) == 1:
        return DicomJSON(b"[" + _text(page.items[0], base_url) + b"]")

    async def following(after: Position) -> Page[MetadataRow]:
        return await retrieve.metadata(archive, principal, *uids, after=after)

    async def texts() -> AsyncIterator[bytes]:
        async for row in retrieve.all_of(page, following):
            yield _text(row, base_url)

    return json_array(texts())


def _text(row: MetadataRow, base_url: str) -> bytes:
    url = instance_url(
        base_url, row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid
    )
    return retrieve.metadata_text(row, url)


async def retrieve_frames(request: Request) -> Response:
    """GET …/frames/{frames} (WADO-04 to WADO-08)."""
    archive = archive_of(request)
    numbers = parse_frame_list(request.path_params["frames"])
    found = await retrieve.locate_frames(archive, principal_of(request), *_triple(request), numbers)
    choice = _choose(request, frame_offers(found, single=len(numbers) == 1))
    wanted = choice.transfer_syntax or ELE
    packed = await _metadata_for_decoding(request, archive, found, wanted)
    base_url = base_url_of(request)

    async def content(position: int) -> tuple[Content, str]:
        number = numbers[position]
        frame = await retrieve.frame_content(archive, found, position, number, wanted, packed)
        return frame, frame_url(base_url, *_uids(found.location), number)

    if not choice.offer.multipart:
        frame, location = await content(0)
        return single_part(frame, {"Content-Location": location})
    if len(numbers) == 1:
        return await ready_multipart([await content(0)], choice.offer.media_type, {})

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        for position in range(len(numbers)):
            yield await content(position)

    return multipart(parts(), choice.offer.media_type)


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
    row = await retrieve.instance_metadata(archive, principal_of(request), found.location)
    return row.packed


async def retrieve_bulk_data(request: Request) -> Response:
    """GET {bulkdataURI}: one value; one part a frame for encapsulated pixels (BLK-03)."""
    archive = archive_of(request)
    path = parse_bulk_path(request.path_params["path"])
    principal = principal_of(request)
    location, value = await retrieve.locate_bulk(archive, principal, *_triple(request), path)
    url = bulk_url(base_url_of(request), *_uids(location), path)
    if path == "7FE00010" and is_encapsulated(location.transfer_syntax_uid):
        return await _pixel_bulk_data(request, archive, location, url)
    offers = [
        Offer(OCTETS, multipart=True, transfer_syntaxes=(ELE, AS_STORED), default=True),
        Offer(OCTETS, multipart=False, transfer_syntaxes=(ELE, AS_STORED)),
    ]
    choice = _choose(request, offers)
    content = await retrieve.bulk_content(archive, location, value)
    if not choice.offer.multipart:
        return single_part(content, {"Content-Location": url})

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield content, url

    return multipart(parts(), OCTETS)


async def _pixel_bulk_data(
    request: Request, archive: Archive, location: Location, url: str
) -> Response:
    principal = principal_of(request)
    found = await retrieve.locate_frames(archive, principal, *_uids(location), [1])
    choice = _choose(request, pixel_offers(found))
    wanted = choice.transfer_syntax or ELE
    count = found.table.count
    packed = await _metadata_for_decoding(request, archive, found, wanted)

    async def content(number: int) -> Content:
        at = await retrieve.locate_frames(archive, principal, *_uids(location), [number])
        return await retrieve.frame_content(archive, at, 0, number, wanted, packed)

    if not choice.offer.multipart:
        return single_part(await content(1), {"Content-Location": url})

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        for number in range(1, count + 1):
            yield await content(number), url

    return multipart(parts(), choice.offer.media_type)


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
    return choose(request.headers.get("accept"), offers, request.query_params.get("accept"))


def _triple(request: Request) -> tuple[str, str, str]:
    study, series, instance = uids_of(request)
    return study, series, instance


def _uids(location: Location) -> tuple[str, str, str]:
    return (
        location.study_instance_uid,
        location.series_instance_uid,
        location.sop_instance_uid,
    )


def _url(base_url: str, location: Location) -> str:
    return instance_url(base_url, *_uids(location))
