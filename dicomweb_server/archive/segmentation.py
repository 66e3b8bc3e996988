"""Segmentations over the images that they were made from: both found, and put together by a
worker. An image that is not here, or lies outside the caller's scope, is left out."""

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.large_frames import Frame as WorkerFrame
from dicomweb_server.archive.picture_versions import parts_of, version_of
from dicomweb_server.archive.retrieve import locate_frames, uids_of
from dicomweb_server.archive.segmentation_work import (
    Background,
    image_at,
    segmentation_plan,
    segmented_frame,
)
from dicomweb_server.archive.sources import (
    frame_for_worker,
    made_of_frame,
    open_source,
)
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.dicom.segmentation import Place, Slice, Tile
from dicomweb_server.dicom.viewing import RenderOptions
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.retrieve import FrameLocation, MetadataRow

_MOST_PASSED = 8 << 20  # bytes of frames in one message to a worker
_MOST_METADATA = 1 << 20  # bytes of it in one message to a worker


@dataclass(frozen=True, slots=True)
class Located:
    """A frame of an image, `number` counted from 1, and the image's metadata."""

    found: FrameLocation
    packed: bytes
    number: int


@dataclass(frozen=True, slots=True)
class Segmented:
    """Frames of a segmentation on one slice, the one that was asked for first, with the segment
    of each, and the image that they lie on."""

    found: FrameLocation
    packed: bytes  # metadata
    frames: tuple[tuple[int, int | None], ...]
    image: Located | None
    version: bytes  # changes with each file, row and frame that the picture is made of


async def find_segmented(
    archive: Archive,
    principal: Principal,
    found: FrameLocation,
    packed: bytes,
    number: int | None,
) -> Segmented:
    """All that frame `number` of a segmentation, by itself, is shown by; for None its slice with
    all segments (3.3.6 [D])."""
    plan = archive.workers.run(segmentation_plan, packed, number, found.table.count)
    number, chosen = await plan
    frames = sorted(chosen.frames, key=lambda frame: frame[0] != number)
    numbers = [frame for frame, _ in frames]
    located = await locate_frames(archive, principal, *uids_of(found.location), numbers)
    if located.location.blob_key != found.location.blob_key:
        raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)
    image = await _find_image(archive, principal, found.location.study_instance_uid, chosen)
    seed = [*parts_of(located, packed), repr(frames).encode()]
    if image is not None:
        seed += [*parts_of(image.found, image.packed), b"%d" % image.number]
    return Segmented(located, packed, tuple(frames), image, await version_of(seed))


async def _find_image(
    archive: Archive, principal: Principal, study: str, chosen: Slice
) -> Located | None:
    """The image that a slice lies on: one that it was made from, else one at the same place."""
    for source in chosen.sources:
        uids = source.study_instance_uid or study, source.series_instance_uid
        with suppress(NotFound):
            located = await _locate(
                archive, principal, *uids, source.sop_instance_uid, source.frame
            )
            if located.found.table.count == 1 or source.frame:
                return located
            if chosen.place is not None:
                at = await archive.workers.run(image_at, [located.packed], chosen.place)
                if at is not None:
                    there = uids_of(located.found.location)
                    return await _locate(archive, principal, *there, at[1])
    if chosen.place is None:
        return None
    for study_uid, series_uid in chosen.series:
        with suppress(NotFound):
            located_there = await _look_through(
                archive, principal, study_uid, series_uid, chosen.place
            )
            if located_there is not None:
                return located_there
    return None


async def _locate(
    archive: Archive, principal: Principal, study: str, series: str, instance: str, frame: int
) -> Located:
    """A frame of an image, the first for 0; its series need not be known. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        conn, scope = session.conn, session.scope
        series = series or await index.series_of(conn, scope, study, instance)
        number = frame or 1
        found, packed = await index.locate_rendered(conn, scope, study, series, instance, number)
    if is_video(found.location.transfer_syntax_uid):
        raise NotFound("it is a video")
    return Located(found, packed, number)


async def _look_through(
    archive: Archive, principal: Principal, study: str, series: str, place: Place | Tile
) -> Located | None:
    """The image of a series, of its first page, that lies at `place`. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        page = await index.read_metadata(session.conn, session.scope, study, series)
    batch: list[MetadataRow] = []
    for row in [*page.items, None]:
        if row is not None:
            batch.append(row)
            if sum(len(each.packed) for each in batch) < _MOST_METADATA:
                continue
        if batch:
            packed = [each.packed for each in batch]
            at = await archive.workers.run(image_at, packed, place)
            if at is not None:
                uid = batch[at[0]].sop_instance_uid
                return await _locate(archive, principal, study, series, uid, at[1])
        batch = []
    return None


async def segmented(
    archive: Archive,
    shown: Segmented,
    options: RenderOptions,
    media_type: str,
    *,
    quality: int,
    longest: int | None,
) -> bytes | ScratchFile:
    """The picture, as ``made_of_frame`` gives it. Raises UndecodablePixels, and InvalidParameter
    for a viewport that does not fit the image."""
    found, image = shown.found, shown.image
    source = await open_source(archive, found.location)
    (number, _), *others = shown.frames
    async with AsyncExitStack() as stack:
        frames: list[WorkerFrame] = []
        left = _MOST_PASSED
        for position, (other, _) in enumerate(others, 1):
            passed = frame_for_worker(archive, source, found, position, other, most=left)
            frames.append(await stack.enter_async_context(passed))
            left -= len(frames[-1]) if isinstance(frames[-1], bytes) else 0
        background = None
        if image is not None:
            under = await open_source(archive, image.found.location)
            frame = frame_for_worker(archive, under, image.found, 0, image.number)
            background = Background(
                image.packed,
                await stack.enter_async_context(frame),
                image.found.location.transfer_syntax_uid,
                image.number,
            )
        return await made_of_frame(
            archive,
            source,
            found,
            0,
            number,
            segmented_frame,
            shown.packed,
            found.location.transfer_syntax_uid,
            [segment for _, segment in shown.frames],
            frames,
            number,
            background,
            options,
            media_type,
            quality,
            longest,
        )
