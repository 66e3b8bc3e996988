"""Retrieve (PS3.18 §10.4): one statement to locate, then ranges of blobs as they are sent."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content, from_bytes, from_scratch
from dicomweb_server.archive.work import (
    inflate_file,
    uncompressed_frame,
    uncompressed_value,
)
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.description import BULK_BASE, BulkValue
from dicomweb_server.dicom.frames import (
    cut_frame,
    fragments_of,
    frame_range,
    is_encapsulated,
    is_video,
    media_type_of,
)
from dicomweb_server.dicom.part10 import is_deflated
from dicomweb_server.dicom.transcode import to_explicit_little_endian
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.retrieve import (
    FrameLocation,
    Item,
    Location,
    MetadataRow,
    Page,
    Position,
)
from dicomweb_server.index.rows import unpack_metadata

AS_STORED = "*"
DICOM = "application/dicom"
OCTETS = "application/octet-stream"
ELE = str(ExplicitVRLittleEndian)

# PS3.18 §8.7.3.2 bars these from the wire.
_BARRED = frozenset({ImplicitVRLittleEndian, ExplicitVRBigEndian})

MAX_FRAME_BYTES = 1 << 30  # one frame is the one thing that is held whole


async def locate(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    *,
    after: Position | None = None,
) -> Page[Location]:
    """The instances of a study, series or instance resource, in the order they are sent
    (WADO-11), those of a large one in pages. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        conn, scope = session.conn, session.scope
        if series is not None and instance is not None:
            return Page([await index.locate_instance(conn, scope, study, series, instance)], None)
        return await index.locate_instances(conn, scope, study, series, after)


def syntax_on_the_wire(location: Location, wanted: str) -> str:
    """The transfer syntax in which an instance goes out: `wanted` is a UID or AS_STORED.

    As stored means byte for byte, but for the two syntaxes that PS3.18 bars (TS-03); video
    and what else has no decoder goes as stored when the default was asked (TS-04).
    """
    stored = location.transfer_syntax_uid
    if wanted == AS_STORED:
        return ELE if stored in _BARRED else stored
    return stored if wanted == ELE and is_video(stored) else wanted


async def instance_content(archive: Archive, location: Location, wanted: str) -> Content:
    """One instance as a PS3.10 file: the stored bytes, or rewritten as Explicit VR LE.

    An instance whose pixels cannot be decoded goes as stored, and says so (TS-05).
    """
    stored = location.transfer_syntax_uid
    if syntax_on_the_wire(location, wanted) != stored:
        with suppress(UndecodablePixels, WorkerFailed):
            return await _explicit_little_endian(archive, location)
    read = archive.blobs.stream
    return Content(location.size, DICOM, stored, lambda: read(location.blob_key, 0, location.size))


async def _explicit_little_endian(archive: Archive, location: Location) -> Content:
    source = await archive.blobs.local(location.blob_key)
    target = archive.scratch_file(".ele")
    settings = archive.settings
    try:
        await archive.workers.run(
            to_explicit_little_endian,
            source,
            target,
            inflate_limit=settings.inflate_limit_bytes,
            pixel_limit=settings.pixel_limit_bytes,
        )
        return from_scratch(target, DICOM, ELE)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


async def metadata(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    *,
    after: Position | None = None,
) -> Page[MetadataRow]:
    """The packed metadata of a resource's instances, in the order of WADO-11, that of a large
    one in pages. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.read_metadata(
            session.conn, session.scope, study, series, instance, after
        )


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


def metadata_text(row: MetadataRow, instance_url: str) -> bytes:
    """One instance's metadata as a JSON object, its BulkDataURIs made whole (BLK-01)."""
    return unpack_metadata(row.packed).replace(BULK_BASE, f"{instance_url}/bulkdata".encode())


async def locate_frames(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    numbers: Sequence[int],
) -> FrameLocation:
    """Where the frames lie. Raises NotFound for an instance or a frame that is not there."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.locate_frames(
            session.conn, session.scope, study, series, instance, numbers
        )


async def stored_frame(archive: Archive, found: FrameLocation, position: int, number: int) -> bytes:
    """The bytes of one frame as stored: cut from its range alone (WADO-04 to WADO-06).

    `position`: which of the numbers asked of locate_frames this one was, from 0.
    """
    record = found.records[position] if found.records else None
    offset, length = frame_range(found.table, number, record)
    if length > MAX_FRAME_BYTES:
        raise ContentTooLarge("the frame is too large to be sent by itself")
    raw = await _read(archive, found.location, offset, length)
    return cut_frame(found.table, number, raw, fragments_of(found.table, number, record))


async def frame_content(
    archive: Archive,
    found: FrameLocation,
    position: int,
    number: int,
    wanted: str,
    packed_metadata: bytes | None,
) -> Content:
    """One frame as stored, or decoded to little-endian bytes where `wanted` says so.

    `packed_metadata` is needed for decoding only. Raises UndecodablePixels.
    """
    stored = found.location.transfer_syntax_uid
    data = await stored_frame(archive, found, position, number)
    if not is_encapsulated(stored):
        return from_bytes(data, OCTETS, ELE)
    if wanted != ELE and media_type_of(stored) != OCTETS:
        return from_bytes(data, media_type_of(stored), stored)
    assert packed_metadata is not None
    decoded = await archive.workers.run(uncompressed_frame, packed_metadata, data, stored)
    return from_bytes(decoded, OCTETS, ELE)


async def instance_metadata(
    archive: Archive, principal: Principal, location: Location
) -> MetadataRow:
    """The packed metadata of an instance located before."""
    triple = (
        location.study_instance_uid,
        location.series_instance_uid,
        location.sop_instance_uid,
    )
    [row] = (await metadata(archive, principal, *triple)).items
    return row


async def locate_bulk(
    archive: Archive, principal: Principal, study: str, series: str, instance: str, path: str
) -> tuple[Location, BulkValue]:
    """Where a bulk data value lies. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.locate_bulk(session.conn, session.scope, study, series, instance, path)


async def bulk_content(archive: Archive, location: Location, value: BulkValue) -> Content:
    """One value as little-endian bytes without header (PS3.18 §8.7.3.3.2)."""
    if location.transfer_syntax_uid == ExplicitVRBigEndian:
        data = await _read(archive, location, value.offset, value.length)
        return from_bytes(
            await archive.workers.run(uncompressed_value, data, value.vr), OCTETS, ELE
        )
    if is_deflated(location.transfer_syntax_uid):
        path = await _inflated(archive, location)
        whole = from_scratch(path, OCTETS, ELE)
        return replace(whole, length=value.length, read=lambda: _part(whole, value))
    read = archive.blobs.stream
    return Content(
        value.length, OCTETS, ELE, lambda: read(location.blob_key, value.offset, value.length)
    )


async def _part(whole: Content, value: BulkValue) -> AsyncIterator[bytes]:
    position = 0
    end = value.offset + value.length
    async for chunk in whole.read():
        wanted = chunk[max(value.offset - position, 0) : max(end - position, 0)]
        position += len(chunk)
        if wanted:
            yield wanted
        if position >= end:
            break


async def _read(archive: Archive, location: Location, offset: int, length: int) -> bytes:
    if length > MAX_FRAME_BYTES:
        raise ContentTooLarge("the value is too large to be sent by itself")
    if not is_deflated(location.transfer_syntax_uid):
        return await archive.blobs.read(location.blob_key, offset, length)
    whole = from_scratch(await _inflated(archive, location), OCTETS, ELE)
    value = BulkValue(offset, length, "OB")
    return b"".join([chunk async for chunk in _part(whole, value)])


async def _inflated(archive: Archive, location: Location) -> Path:
    """A scratch file with the deflated instance inflated; offsets of its tables refer to it."""
    assert location.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    source = await archive.blobs.local(location.blob_key)
    target = archive.scratch_file(".inflated")
    try:
        limit = archive.settings.inflate_limit_bytes
        await archive.workers.run(inflate_file, source, target, limit)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target
