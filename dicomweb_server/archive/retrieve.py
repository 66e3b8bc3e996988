"""Retrieve (PS3.18 §10.4): one statement to locate, then ranges of blobs as they are sent."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content, ScratchFile
from dicomweb_server.archive.encodings import how_encoded
from dicomweb_server.archive.kept_frames import SLOW_TO_DECODE, kept_frame
from dicomweb_server.archive.sources import (
    MAX_WHOLE,
    Source,
    blob_pieces,
    frame_as_stored,
    made_of_frame,
    make_scratch,
    part_of,
)
from dicomweb_server.archive.work import (
    WORDS,
    nested_code_stream,
    uncompressed_frame,
    uncompressed_value,
)
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.dicom.transcode import to_explicit_little_endian
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN
from dicomweb_server.errors import ContentTooLarge, NotFound, NotPart10, UndecodablePixels
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.digest import Version, count_syntaxes, version_of
from dicomweb_server.index.frame_batches import AskedFrame
from dicomweb_server.index.retrieve import (
    FrameLocation,
    Item,
    Location,
    Page,
    Position,
)
from dicomweb_server.index.series_frames import frames_of
from dicomweb_server.wire.media_types import AS_STORED
from dicomweb_server.wire.offers import DICOM, ELE, OCTETS, sent_as_stored


async def locate(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    *,
    after: Position | None = None,
    leased: bool = False,
) -> Page[Location]:
    """The instances of a study, series or instance resource, in the order they are sent
    (WADO-11), those of a large one in pages. Raises NotFound.

    `leased`: an instance may be had from the lease of its series; for answers that nothing else
    is looked up for, so that they are of one version.
    """
    if leased and series is not None and instance is not None:
        scope = archive.scope(principal, Action.RETRIEVE)
        row = archive.leases.row_of(scope, study, series, instance)
        if row is not None:
            return Page([index.location_of(row)], None)
    async with archive.session(principal, Action.RETRIEVE) as session:
        conn, scope = session.conn, session.scope
        if series is not None and instance is not None:
            return Page([await index.locate_instance(conn, scope, study, series, instance)], None)
        return await index.locate_instances(conn, scope, study, series, after)


async def version(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> Version:
    """What a resource holds now; no file and no metadata are read for it. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await version_of(session.conn, session.scope, study, series, instance)


async def syntaxes_of(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    *,
    page: Page[Location],
) -> Mapping[str, int]:
    """How many instances of a study or series, which begins with `page`, are in each transfer
    syntax. Raises NotFound."""
    if page.after is None:
        return Counter(location.transfer_syntax_uid for location in page.items)
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await count_syntaxes(session.conn, session.scope, study, series)


def syntax_sent(stored: str, wanted: str) -> str:
    """The transfer syntax in which a file that is stored in one goes out.

    As stored means byte for byte, but for the two syntaxes that PS3.18 bars (TS-03); video
    and what else has no decoder goes as stored when the default was asked (TS-04).
    """
    if wanted == AS_STORED:
        return sent_as_stored(stored)
    return stored if wanted == ELE and is_video(stored) else wanted


async def instance_content(
    archive: Archive, location: Location, wanted: str, *, or_as_stored: bool
) -> Content:
    """One instance as a PS3.10 file: the stored bytes, or rewritten as Explicit VR LE.

    What cannot be decoded, or would be too large decoded, goes as stored, and says so
    (TS-04, TS-05), if it may go `or_as_stored`. Raises UndecodablePixels else.
    """
    stored = location.transfer_syntax_uid
    if syntax_sent(stored, wanted) != stored:
        try:
            return await _explicit_little_endian(archive, location)
        except (UndecodablePixels, WorkerFailed, ContentTooLarge, NotPart10) as error:
            if not or_as_stored:
                raise UndecodablePixels("the instance cannot be had decoded") from error
    return Content(location.size, DICOM, stored, blob_pieces(archive.blobs, location.blob_key))


async def _explicit_little_endian(archive: Archive, location: Location) -> Content:
    settings = archive.settings
    async with archive.blobs.local(location.blob_key) as source:
        file = await make_scratch(
            archive,
            to_explicit_little_endian,
            source,
            inflate_limit=settings.inflate_limit_bytes,
            pixel_limit=settings.pixel_limit_bytes,
        )
    return Content.of_scratch(file, DICOM, ELE)


async def all_of(
    first: Page[Item], following: Callable[[Position], Awaitable[Page[Item]]]
) -> AsyncIterator[Item]:
    """The items of `first`, and of the pages after it as they are needed: `following` asks for
    the page after a position. No connection is held in between."""
    page = first
    while True:
        for item in page.items:
            yield item
        if page.after is None:
            return
        page = await following(page.after)


async def locate_frames(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    numbers: Sequence[int],
    *,
    leased: bool = False,
) -> FrameLocation:
    """Where the frames lie; `leased` as for ``locate``. Raises NotFound for an instance or a frame
    that is not there."""
    scope = archive.scope(principal, Action.RETRIEVE)
    row = archive.leases.row_of(scope, study, series, instance) if leased else None
    found = None if row is None else frames_of(row, numbers)
    if found is None and len(numbers) != 1:
        async with archive.session(principal, Action.RETRIEVE) as session:
            uids = study, series, instance
            return await index.locate_frames(session.conn, session.scope, *uids, numbers)
    if found is None:
        asked = AskedFrame(study, series, instance, numbers[0])
        found = await archive.frame_lookups.locate(scope, asked)
    # As viewers ask, on several connections at once
    if archive.neighbours is not None and len(numbers) == 1:
        archive.neighbours.follow(scope, found.location, again=found.table.count > 1)
    return found


async def frame_content(
    archive: Archive,
    source: Source,
    found: FrameLocation,
    position: int,
    number: int,
    wanted: str,
    packed_metadata: bytes | None,
    since: float,
) -> Content:
    """One frame as stored, or decoded to little-endian bytes where `wanted` says so.

    `position`: which of the numbers asked of locate_frames this one was, from 0.
    `packed_metadata` is needed for decoding only; `since` as for ``kept_frame``. Raises
    UndecodablePixels.
    """
    stored = found.location.transfer_syntax_uid
    if not is_encapsulated(stored):
        return await frame_as_stored(source, found, position, number, OCTETS, ELE)
    media_type = media_type_of(stored)
    if wanted != ELE and media_type != OCTETS:
        return await frame_as_stored(source, found, position, number, media_type, stored)
    assert packed_metadata is not None
    metadata = packed_metadata

    async def make() -> bytes | ScratchFile:
        frame = source, found, position, number
        return await made_of_frame(archive, *frame, uncompressed_frame, metadata, stored)

    if stored in SLOW_TO_DECODE:
        decoded = await kept_frame(
            archive, found, position, number, ELE, how_encoded(archive, ELE), since, make
        )
    else:
        decoded = await make()
    return Content.of_made(decoded, OCTETS, ELE)


async def locate_bulk(
    archive: Archive, principal: Principal, study: str, series: str, instance: str, path: str
) -> tuple[Location, BulkValue]:
    """Where a bulk data value lies. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.locate_bulk(session.conn, session.scope, study, series, instance, path)


async def bulk_content(
    archive: Archive,
    principal: Principal,
    source: Source,
    location: Location,
    path: str,
    value: BulkValue,
) -> Content:
    """One value as little-endian bytes without header (PS3.18 §8.7.3.3.2)."""
    if location.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        word = await _word(archive, principal, location, path, value)
        data = await _whole(source, value)
        return Content.of_bytes(
            await archive.workers.run(uncompressed_value, data, word), OCTETS, ELE
        )
    if "/" in path and is_encapsulated(location.transfer_syntax_uid) and path.endswith("7FE00010"):
        # An icon within a sequence: one frame, its fragments between item headers.
        stored = location.transfer_syntax_uid
        code = await archive.workers.run(nested_code_stream, await _whole(source, value))
        if code is not None:
            return Content.of_bytes(code, media_type_of(stored), stored)
    return Content(value.length, OCTETS, ELE, part_of(source, value.offset))


async def _whole(source: Source, value: BulkValue) -> bytes:
    if value.length > MAX_WHOLE:
        raise ContentTooLarge("the value is too large to be converted")
    return await source.read(value.offset, value.length)


async def _word(
    archive: Archive, principal: Principal, location: Location, path: str, value: BulkValue
) -> int:
    """Bytes of one word of a big endian value: Pixel Data has that of its samples (trap 36)."""
    if path in ("7FE00008", "7FE00009", "7FE00010"):
        with suppress(NotFound):
            found = await locate_frames(archive, principal, *uids_of(location), [1])
            return found.table.word
    return WORDS.get(value.vr, 1)


def uids_of(location: Location) -> tuple[str, str, str]:
    """Study, series and SOP Instance UID."""
    return (
        location.study_instance_uid,
        location.series_instance_uid,
        location.sop_instance_uid,
    )
