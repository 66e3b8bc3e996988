"""GET …/frames/{frames}: Retrieve Frame Pixel Data (PS3.18 §10.4.1.1.6, WADO-04 to WADO-08)."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from dicomweb_server.archive import retrieve
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.encodings import encoded_frame, how_encoded
from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.read_ahead import in_order
from dicomweb_server.archive.retrieve import uids_of as uids_of_location
from dicomweb_server.archive.sources import open_source
from dicomweb_server.dicom.frames import is_encapsulated, media_type_of
from dicomweb_server.index.retrieve import FrameLocation
from dicomweb_server.web.conditions import not_modified, tag_of
from dicomweb_server.web.encodings import choice_and_encodings
from dicomweb_server.web.leaving import while_connected
from dicomweb_server.web.requests import (
    archive_of,
    base_url_of,
    principal_of,
    triple_of,
)
from dicomweb_server.web.responses import PRIVATE, multipart, one_part
from dicomweb_server.web.single_part import single_part
from dicomweb_server.wire.media_types import AS_STORED, Choice
from dicomweb_server.wire.offers import ELE, OCTETS, frame_offers
from dicomweb_server.wire.resources import frame_url, parse_frame_list


async def retrieve_frames(request: Request) -> Response:
    """GET …/frames/{frames}: a part each, in the order they are named; or the only one."""
    archive = archive_of(request)
    numbers = parse_frame_list(request.path_params["frames"])
    since = time.time()
    found = await retrieve.locate_frames(
        archive, principal_of(request), *triple_of(request), numbers, leased=True
    )
    stored = found.location.transfer_syntax_uid
    choice, encodings = await choice_and_encodings(
        request, found.location, partial(frame_offers, stored, single=len(numbers) == 1)
    )
    wanted = choice.transfer_syntax or ELE
    base_url = base_url_of(request)
    uids = uids_of_location(found.location)
    how = how_encoded(archive, wanted) if wanted not in (stored, AS_STORED) else ""
    headers = {**PRIVATE, "Vary": "Accept", "ETag": _tag(found, numbers, choice, how, base_url)}
    if not choice.offer.multipart:
        headers["Content-Location"] = frame_url(base_url, *uids, numbers[0])
    if answer := not_modified(request, headers):
        return answer
    packed = None if encodings else await _metadata_for_decoding(request, found, wanted)
    source = await open_source(archive, found.location)

    async def content(position: int) -> tuple[Content, str]:
        number = numbers[position]
        frame = archive, source, found, position, number
        if encodings is not None:
            made = await encoded_frame(*frame, wanted, encodings, since)
        else:
            made = await retrieve.frame_content(*frame, wanted, packed, since)
        return made, frame_url(base_url, *uids, number)

    making = content(0)
    first = await (making if encodings is None else while_connected(request, making))
    if not choice.offer.multipart:
        return await single_part(request, first[0], headers)

    async def parts() -> AsyncIterator[tuple[Content, str]]:
        yield first
        others = range(1, len(numbers))
        if archive.blobs.has_files or encodings is not None or packed is not None:
            for position in others:
                yield await content(position)
            return
        async with aclosing(in_order(partial(content, each) for each in others)) as made:
            async for part in made:
                yield part

    return await (one_part if len(numbers) == 1 else multipart)(parts(), headers)


def _tag(
    found: FrameLocation, numbers: Sequence[int], choice: Choice, how: str, base_url: str
) -> str:
    """A frame is made of the file and of where it lies in it, or it is refused; `how` it is
    decoded or encoded."""
    table = found.table
    return tag_of(
        "frames",
        found.location.sha256,
        table.encapsulated,
        table.offset,
        table.length,
        table.count,
        str(table.frame_bits),
        table.word,
        b"".join(found.records),
        ",".join(map(str, numbers)),
        choice.offer.content_type,
        choice.transfer_syntax or "",
        how,
        base_url,
    )


async def _metadata_for_decoding(
    request: Request, found: FrameLocation, wanted: str
) -> bytes | None:
    """The packed metadata that ``frame_content`` needs, None if it decodes nothing."""
    stored = found.location.transfer_syntax_uid
    as_it_is = wanted != ELE and media_type_of(stored) != OCTETS
    if not is_encapsulated(stored) or as_it_is:
        return None
    row = await instance_metadata(archive_of(request), principal_of(request), found.location)
    return row.packed
