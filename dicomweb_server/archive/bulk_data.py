"""Bulk data and pixel data of whole instances, value by value (PS3.18 §10.4.1.1.5)."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import orjson

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import CHUNK, Content
from dicomweb_server.archive.encodings import Encodings, encoded_frame
from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.retrieve import bulk_content, locate_frames, uids_of
from dicomweb_server.archive.sources import (
    Source,
    frame_as_stored,
    made_of_frame,
    open_source,
    whole_of,
)
from dicomweb_server.archive.work import uncompressed_frame
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.description import BULK_BASE, BulkValue
from dicomweb_server.dicom.frames import is_encapsulated, is_video, media_type_of
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.joined_frames import JoinedFrames
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.errors import ContentTooLarge, NotFound, Unavailable, UndecodablePixels
from dicomweb_server.index import bulk_data as index
from dicomweb_server.index.bulk_data import Holder
from dicomweb_server.index.retrieve import FrameLocation, Location, Page, Position
from dicomweb_server.wire.offers import ELE, OCTETS

PIXEL_DATA = "7FE00010"
_BATCH = 256  # frames whose places one statement tells


async def list_holders(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    *,
    pixels_only: bool,
    after: Position | None = None,
) -> Page[Holder]:
    """The instances that have any, in pages. Raises NotFound if there is none."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.list_holders(
            session.conn, session.scope, study, series, pixels_only=pixels_only, after=after
        )


async def count_holders(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    *,
    pixels_only: bool,
    page: Page[Holder],
) -> Mapping[tuple[str, bool, bool], int]:
    """How many of those of a resource that begins with `page` are alike, by transfer syntax,
    `pixels` and `others`."""
    if page.after is None:
        return Counter(
            (each.location.transfer_syntax_uid, each.pixels, each.others) for each in page.items
        )
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.count_holders(
            session.conn, session.scope, study, series, pixels_only=pixels_only
        )


async def locate_all_bulk(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    *,
    pixels_only: bool,
) -> tuple[Location, dict[str, BulkValue]]:
    """Where all values of an instance lie, by path. Raises NotFound if there is none."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.locate_all_bulk(
            session.conn, session.scope, study, series, instance, pixels_only=pixels_only
        )


async def value_contents(
    archive: Archive,
    principal: Principal,
    location: Location,
    values: Mapping[str, BulkValue],
    wanted: str,
    *,
    or_as_stored: bool,
) -> AsyncIterator[tuple[str, Content]]:
    """The values of one instance and their paths; those of compressed pixel data in frames.

    Pixel data that cannot be decoded goes as stored, and says so (TS-05), if it may.
    """
    source = await open_source(archive, location)
    for path, value in values.items():
        frames = None
        if path == PIXEL_DATA and is_encapsulated(location.transfer_syntax_uid):
            with suppress(NotFound):  # data in another form than its syntax says goes as it is
                frames = await Frames.of(archive, principal, source, location)
        if frames is None:
            yield path, await bulk_content(archive, principal, source, location, path, value)
            continue
        async for content in frames.contents(wanted, or_as_stored=or_as_stored):
            yield path, content


class Frames:
    """Pixel data of one instance, as a whole or by frame; native ones only to be encoded."""

    def __init__(
        self,
        archive: Archive,
        principal: Principal,
        source: Source,
        found: FrameLocation,
        since: float,
    ) -> None:
        self.found = found
        self._archive = archive
        self._principal = principal
        self._source = source
        self._since = since
        self._batch, self._numbers = found, range(1, 2)
        self._packed: bytes | None = None  # metadata

    @classmethod
    async def of(
        cls, archive: Archive, principal: Principal, source: Source, location: Location
    ) -> "Frames":
        """Raises NotFound if there is no frame, Unavailable if `location` is no longer true."""
        since = time.time()
        found = await locate_frames(archive, principal, *uids_of(location), [1])
        _check_same(location, found.location)
        return cls(archive, principal, source, found, since)

    async def contents(self, wanted: str, *, or_as_stored: bool = False) -> AsyncIterator[Content]:
        """Decoded: all frames in one; as stored: each by itself (TS-11).

        Raises UndecodablePixels for what cannot be decoded, unless it may go `or_as_stored`.
        """
        stored = self.found.location.transfer_syntax_uid
        if not is_video(stored) and (wanted == ELE or media_type_of(stored) == OCTETS):
            try:
                whole = await self._joined()
            except (UndecodablePixels, WorkerFailed, ContentTooLarge):
                if not or_as_stored:
                    raise
            else:
                yield whole
                return
        for number in range(1, self.found.table.count + 1):
            yield await self._frame(number)

    async def encoded(self, target: str, encodings: Encodings) -> AsyncIterator[Content]:
        """Each frame by itself (TS-11), in one of the syntaxes that the image can be encoded in.

        Raises UndecodablePixels for what is not what its attributes say.
        """
        for number in range(1, self.found.table.count + 1):
            position = await self._position(number)
            yield await encoded_frame(
                self._archive,
                self._source,
                self._batch,
                position,
                number,
                target,
                encodings,
                self._since,
            )

    async def _frame(self, number: int) -> Content:
        """One frame as stored; one without a type of its own is decoded."""
        stored = self.found.location.transfer_syntax_uid
        if media_type_of(stored) == OCTETS:
            return Content.of_bytes(await self._decoded(number), OCTETS, ELE)
        position = await self._position(number)
        return await frame_as_stored(
            self._source, self._batch, position, number, media_type_of(stored), stored
        )

    async def _position(self, number: int) -> int:
        """Which of the frames of the batch it is; another batch is asked for if it is none."""
        if number not in self._numbers:
            numbers = range(number, min(number + _BATCH, self.found.table.count + 1))
            uids = uids_of(self.found.location)
            batch = await locate_frames(self._archive, self._principal, *uids, numbers)
            _check_same(self.found.location, batch.location)
            self._batch, self._numbers = batch, numbers
        return number - self._numbers.start

    async def _decoded(self, number: int) -> bytes:
        position = await self._position(number)
        stored = self.found.location.transfer_syntax_uid
        packed = await self._metadata()
        frame = self._source, self._batch, position, number
        made = await made_of_frame(self._archive, *frame, uncompressed_frame, packed, stored)
        return made if isinstance(made, bytes) else await whole_of(made)

    async def _metadata(self) -> bytes:
        if self._packed is None:
            row = await instance_metadata(self._archive, self._principal, self.found.location)
            self._packed = row.packed
        return self._packed

    async def _joined(self) -> Content:
        """All frames decoded, in one value. The first is decoded now: all are of its size."""
        first = await self._decoded(1)
        bits = await self._archive.workers.run(frame_bits, await self._metadata(), len(first))
        frames = JoinedFrames(bits, self.found.table.count)

        async def stream(offset: int, length: int) -> AsyncIterator[bytes]:
            cutter = frames.cutter(offset, length)
            for number in frames.numbers(offset, length):
                frame = first if number == 1 else await self._decoded(number)
                if len(frame) != frames.frame_length:
                    raise UndecodablePixels("the frames of a value differ in size")
                data = cutter.feed(frame)
                for start in range(0, len(data), CHUNK):
                    yield data[start : start + CHUNK]
            if rest := cutter.finish():
                yield rest

        return Content(frames.length, OCTETS, ELE, stream)


def _check_same(before: Location, now: Location) -> None:
    """An instance may be replaced between two statements: then what the second says is of no
    use for the file that the first one found. Raises Unavailable."""
    if before.blob_key != now.blob_key:
        raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)


def frame_bits(packed_metadata: bytes, length: int) -> int:
    """Bits of a decoded frame of `length` bytes, which are whole bytes unless a pixel has one."""
    text = unpack_metadata(packed_metadata).replace(BULK_BASE, b"")
    image = image_pixel(orjson.loads(text))
    bits = image.rows * image.columns * image.samples_per_pixel * image.bits_allocated
    return bits if (bits + 7) // 8 == length else 8 * length
