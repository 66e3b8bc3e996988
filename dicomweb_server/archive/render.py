"""Rendered resources (PS3.18 §10.4.1.1.3) and thumbnails (§10.4.1.1.4): locate, one range, a
worker, and a small cache before it."""

from dataclasses import dataclass

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive import work
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.presentation import State, find_presented, find_state, presented
from dicomweb_server.archive.segmentation import Segmented, find_segmented, segmented
from dicomweb_server.archive.sources import made_of_frame, open_source, whole_of
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.segmentation import SEGMENTATIONS
from dicomweb_server.errors import ImageNotHere, NotAcceptable, NotFound, UndecodablePixels
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.retrieve import FrameLocation

THUMBNAIL = 256  # pixels of the longest side (THB-04)


@dataclass(frozen=True, slots=True)
class Picture:
    """How a rendering is asked for."""

    options: RenderOptions
    media_type: str
    quality: int = 90
    longest: int | None = None  # pixels; None keeps the matrix
    texts: bool = True  # of presentation states; they may hold names (THB-03)


async def rendered(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    number: int | None,
    wanted: Picture,
) -> bytes:
    """Frame `number` as a picture, the first for None; of a presentation state the one at that
    place among those that it shows, of a segmentation for None a slice with all its segments.

    Raises NotFound, NotAcceptable for what is no still image, UndecodablePixels, and ImageNotHere
    for a presentation state of images that are not here.
    """
    try:
        async with archive.session(principal, Action.RETRIEVE) as session:
            found, packed = await index.locate_rendered(
                session.conn, session.scope, study, series, instance, number or 1
            )
            if archive.neighbours is not None and wanted.longest is None:
                again = found.table.count > 1
                archive.neighbours.follow(session.scope, found.location, again=again)
    except NotFound:
        state = await find_state(archive, principal, study, series, instance)
        if state is None:
            raise
        return await _presented(archive, principal, state, number or 1, wanted)
    if is_video(found.location.transfer_syntax_uid):
        raise NotAcceptable([])
    if found.location.sop_class_uid in SEGMENTATIONS:
        over = await find_segmented(archive, principal, found, packed, number)
        return await _segmented(archive, over, wanted)
    return await _picture(archive, found, packed, number or 1, wanted)


async def rendered_representative(
    archive: Archive, principal: Principal, study: str, series: str | None, wanted: Picture
) -> bytes:
    """The picture that stands for a study or series (3.3.6 [D], THB-04). Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        chosen = await index.representative(session.conn, session.scope, study, series)
    if chosen is None:
        raise NotAcceptable([])
    location = chosen.location
    number = max(1, (chosen.frame_count + 1) // 2)
    return await rendered(
        archive,
        principal,
        location.study_instance_uid,
        location.series_instance_uid,
        location.sop_instance_uid,
        number,
        wanted,
    )


async def thumbnail(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None,
    instance: str | None,
    number: int | None,
    wanted: Picture,
) -> bytes:
    """One small picture, or an icon where there is nothing to show (THB-02 to THB-05).

    Raises NotFound for a resource that does not exist.
    """
    try:
        if series is None or instance is None:
            return await rendered_representative(archive, principal, study, series, wanted)
        return await rendered(archive, principal, study, series, instance, number, wanted)
    except (NotAcceptable, UndecodablePixels, WorkerFailed, ImageNotHere):
        label = "no image"
    except NotFound:
        # Told apart from an instance without pixel data by asking for its metadata.
        async with archive.session(principal, Action.RETRIEVE) as session:
            await index.read_metadata(session.conn, session.scope, study, series, instance)
        if number is not None:
            raise
        label = "no image"
    return await archive.workers.run(work.icon, label, wanted.media_type, THUMBNAIL)


async def _presented(
    archive: Archive, principal: Principal, state: State, ordinal: int, wanted: Picture
) -> bytes:
    shown = await find_presented(archive, principal, state, ordinal)
    key = (shown.version, shown.number, wanted)
    picture = archive.pictures.get(key)
    if picture is None:
        picture = await presented(
            archive,
            shown,
            wanted.options,
            wanted.media_type,
            quality=wanted.quality,
            longest=wanted.longest,
            texts=wanted.texts,
        )
        archive.pictures.put(key, picture)
    return picture


async def _segmented(archive: Archive, shown: Segmented, wanted: Picture) -> bytes:
    key = (shown.version, 0, wanted)
    picture = archive.pictures.get(key)
    if picture is None:
        options, media_type = wanted.options, wanted.media_type
        quality, longest = wanted.quality, wanted.longest
        picture = await segmented(
            archive, shown, options, media_type, quality=quality, longest=longest
        )
        archive.pictures.put(key, picture)
    return picture


async def _picture(
    archive: Archive, found: FrameLocation, packed: bytes, number: int, wanted: Picture
) -> bytes:
    key = (found.location.sha256, number, wanted)
    cached = archive.pictures.get(key)
    if cached is not None:
        return cached
    source = await open_source(archive, found.location)
    made = await made_of_frame(
        archive,
        source,
        found,
        0,
        number,
        work.rendered_frame,
        packed,
        found.location.transfer_syntax_uid,
        number,
        wanted.options,
        wanted.media_type,
        wanted.quality,
        wanted.longest,
    )
    picture = made if isinstance(made, bytes) else await whole_of(made)
    archive.pictures.put(key, picture)
    return picture
