"""Rendered resources (PS3.18 §10.4.1.1.3): what is to be shown is found, and a worker makes a
picture of it, with a small cache before it."""

from collections.abc import Hashable
from contextlib import nullcontext
from dataclasses import dataclass

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive import work
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content, ScratchFile
from dicomweb_server.archive.picture_versions import parts_of, version_of
from dicomweb_server.archive.presentation import (
    Presented,
    find_presented,
    find_state,
    find_state_of_series,
    presented,
)
from dicomweb_server.archive.presentation_work import with_value
from dicomweb_server.archive.retrieve import locate_bulk, uids_of
from dicomweb_server.archive.segmentation import Segmented, find_segmented, segmented
from dicomweb_server.archive.sources import (
    Source,
    frame_bytes,
    made_of_frame,
    open_source,
    stored_length,
    whole_of,
)
from dicomweb_server.dicom.colour_profiles import MAX_PROFILE
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.segmentation import SEGMENTATIONS
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicomweb_server.dicom.viewing import DEFAULT_QUALITY
from dicomweb_server.errors import (
    NotAcceptable,
    NotFound,
    Unavailable,
    UndecodablePixels,
    ValueElsewhere,
)
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.retrieve import FrameLocation
from dicomweb_server.index.series_frames import frames_of

# Native and in a file as it is: there is nothing to be decoded
_PLAIN = {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN}
_LARGE_BOX = 1 << 24  # pixels of a viewport
_PROFILES = 2  # that may not be in the metadata: that of the optical path, and of the image


@dataclass(frozen=True, slots=True)
class Picture:
    """How a rendering is asked for."""

    options: RenderOptions
    media_type: str
    quality: int = DEFAULT_QUALITY
    longest: int | None = None  # pixels; None keeps the matrix
    texts: bool = True  # of presentation states; they may hold names (THB-03)
    as_stored: bool = False  # if that is a rendering: nothing else was asked for


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of an image, `number` counted from 1.

    `version` changes with the file and with the row of its metadata.
    """

    found: FrameLocation
    packed: bytes  # metadata
    number: int
    version: bytes
    principal: Principal  # who asked for it


# What a picture is made of. `version` changes with all that it follows from, but for how it is
# asked for and which frame it is.
Shown = Frame | Presented | Segmented


def frame_shown(shown: Shown) -> int:
    """Which frame it is; 0 for those of a segmentation, which its version tells."""
    return 0 if isinstance(shown, Segmented) else shown.number


async def find_shown(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    number: int | None,
    *,
    follow: bool = True,
    leased: bool = False,
) -> Shown:
    """Frame `number` of an instance, the first for None; of a presentation state the one at that
    place among those that it shows, of a segmentation for None a slice with all its segments.

    `follow`: it may be that of a viewer, who will ask for the neighbours too. `leased`: as for
    ``retrieve.locate``. Raises NotFound, also for an instance without frames, NotAcceptable for
    what is no still image, and ImageNotHere for a presentation state of images that are not here.
    """
    uids = study, series, instance
    try:
        found, packed = await _located(archive, principal, uids, number or 1, leased=leased)
        if archive.neighbours is not None and follow:
            scope = archive.scope(principal, Action.RETRIEVE)
            archive.neighbours.follow(scope, found.location, again=found.table.count > 1)
    except NotFound:
        state = await find_state(archive, principal, *uids)
        if state is None:
            raise
        return await find_presented(archive, principal, state, number or 1)
    if is_video(found.location.transfer_syntax_uid):
        raise NotAcceptable([])
    if found.location.sop_class_uid in SEGMENTATIONS:
        return await find_segmented(archive, principal, found, packed, number)
    version = await version_of(parts_of(found, packed))
    return Frame(found, packed, number or 1, version, principal)


async def _located(
    archive: Archive, principal: Principal, uids: tuple[str, str, str], number: int, *, leased: bool
) -> tuple[FrameLocation, bytes]:
    """A frame and the packed metadata that rendering it needs. Raises NotFound."""
    if leased:
        scope = archive.scope(principal, Action.RETRIEVE)
        row = archive.leases.row_of(scope, *uids, rendered=True)
        found = None if row is None else frames_of(row, [number])
        if row is not None and found is not None and row["metadata"] is not None:
            return found, row["metadata"]
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.locate_rendered(session.conn, session.scope, *uids, number)


async def find_representative(
    archive: Archive, principal: Principal, study: str, series: str | None
) -> Shown:
    """The frame that stands for a study or series (3.3.6 [D], THB-04); for a series of presentation
    states what the first of them shows.

    Raises NotFound, NotAcceptable for one without images, and ImageNotHere."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        chosen = await index.representative(session.conn, session.scope, study, series)
    if chosen is None:
        state = series and await find_state_of_series(archive, principal, study, series)
        if not state:
            raise NotAcceptable([])
        return await find_presented(archive, principal, state, 1)
    location = chosen.location
    number = None  # of a segmentation: its slice in the middle
    if location.sop_class_uid not in SEGMENTATIONS:
        number = await representative_frame(archive, chosen.packed, chosen.frame_count)
    return await find_shown(
        archive,
        principal,
        location.study_instance_uid,
        location.series_instance_uid,
        location.sop_instance_uid,
        number,
        follow=False,
    )


async def representative_frame(archive: Archive, packed: bytes, count: int) -> int:
    """The frame that stands for an instance of `count` frames (THB-04)."""
    if count <= 1:
        return 1
    return await archive.workers.run(work.representative_frame, packed, count)


async def rendered(archive: Archive, shown: Shown, wanted: Picture) -> Content:
    """What was found as a picture, from the cache or made; one that is too large to be kept in
    memory is a scratch file.

    Raises UndecodablePixels, WorkerFailed, and InvalidParameter for a viewport that does not fit
    the image, or for what cannot be asked of a presentation state.
    """
    key = _key(shown, wanted)
    picture = archive.pictures.get(key)
    if picture is None:
        async with archive.workers.turn() if _is_large(wanted) else nullcontext():
            made = await _made(archive, shown, wanted)
        if not isinstance(made, bytes) and made.size > archive.pictures.largest:
            return Content.of_scratch(made, wanted.media_type, "")
        picture = made if isinstance(made, bytes) else await whole_of(made)
        archive.pictures.put(key, picture)
    return Content.of_bytes(picture, wanted.media_type, "")


async def rendered_at_once(archive: Archive, shown: Shown, wanted: Picture) -> Content | None:
    """The same for who asks for one alone, if it takes some milliseconds once its file is read,
    whoever else asks: it is in the cache, or small. Else None.

    Raises what ``rendered`` does.
    """
    content = kept(archive, shown, wanted)
    if content is not None or not isinstance(shown, Frame):
        return content
    picture = await _small(archive, shown, wanted)
    if picture is None:
        return None
    archive.pictures.put(_key(shown, wanted), picture)
    return Content.of_bytes(picture, wanted.media_type, "")


def kept(archive: Archive, shown: Shown, wanted: Picture) -> Content | None:
    """The picture if it was made before, and is in memory yet."""
    picture = archive.pictures.get(_key(shown, wanted))
    return None if picture is None else Content.of_bytes(picture, wanted.media_type, "")


def _key(shown: Shown, wanted: Picture) -> Hashable:
    return shown.version, frame_shown(shown), wanted


def _is_large(wanted: Picture) -> bool:
    """Whether it may take seconds to be encoded."""
    box = wanted.options.viewport
    return box is not None and box.width * box.height > _LARGE_BOX


async def picture_bytes(archive: Archive, shown: Shown, wanted: Picture) -> bytes:
    """The same, all of it in memory."""
    return await bytes_of(await rendered(archive, shown, wanted))


async def bytes_of(content: Content) -> bytes:
    """All of a picture, which is given back."""
    if content.data is not None:
        return content.data
    try:
        return b"".join([piece async for piece in content.read()])
    finally:
        await content.close()


async def _made(archive: Archive, shown: Shown, wanted: Picture) -> bytes | ScratchFile:
    if isinstance(shown, Presented):
        return await presented(
            archive,
            shown,
            wanted.options,
            wanted.media_type,
            quality=wanted.quality,
            longest=wanted.longest,
            texts=wanted.texts,
        )
    if isinstance(shown, Segmented):
        options, media_type = wanted.options, wanted.media_type
        quality, longest = wanted.quality, wanted.longest
        return await segmented(
            archive, shown, options, media_type, quality=quality, longest=longest
        )
    found = shown.found
    source = await open_source(archive, found.location)
    packed = shown.packed
    for _ in range(_PROFILES):
        try:
            return await _made_with(archive, source, shown, packed, wanted)
        except ValueElsewhere as missing:
            packed = await _with_value(archive, source, shown, packed, missing.path)
    return await _made_with(archive, source, shown, packed, wanted)


async def _made_with(
    archive: Archive, source: Source, shown: Frame, packed: bytes, wanted: Picture
) -> bytes | ScratchFile:
    return await made_of_frame(
        archive,
        source,
        shown.found,
        0,
        shown.number,
        work.rendered_frame,
        packed,
        *_how(shown, wanted),
        wanted.as_stored,
    )


async def _with_value(
    archive: Archive, source: Source, shown: Frame, packed: bytes, path: str
) -> bytes:
    """The metadata `packed` with a value that is not in them, as seldom happens.

    Raises UndecodablePixels for one that is too large, Unavailable if the instance was replaced.
    """
    uids = uids_of(shown.found.location)
    location, value = await locate_bulk(archive, shown.principal, *uids, path)
    if location.blob_key != shown.found.location.blob_key:
        raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)
    if value.length > MAX_PROFILE:
        raise UndecodablePixels("the ICC profile of the image is too large to be applied")
    data = await source.read(value.offset, value.length)
    return await archive.workers.run(with_value, packed, path, data)


def _how(shown: Frame, wanted: Picture) -> tuple[str, int, RenderOptions, str, int, int | None]:
    return (
        shown.found.location.transfer_syntax_uid,
        shown.number,
        wanted.options,
        wanted.media_type,
        wanted.quality,
        wanted.longest,
    )


async def _small(archive: Archive, shown: Frame, wanted: Picture) -> bytes | None:
    """A small picture, made by this process if that is better; see ``at_once``."""
    if not archive.at_once.better or not _is_small(shown, wanted):
        return None
    source = await open_source(archive, shown.found.location)
    data = await frame_bytes(source, shown.found, 0, shown.number)
    return await archive.at_once.make(work.small_picture, shown.packed, data, *_how(shown, wanted))


_SMALL_FRAME, _SMALL_PACKED, _SMALL_BOX = 1 << 20, 1 << 16, 1 << 18  # bytes, bytes, pixels


def _is_small(shown: Frame, wanted: Picture) -> bool:
    """Whether it is made in a few milliseconds whatever the file is like: the frame is not
    compressed, and little is asked for."""
    found, options = shown.found, wanted.options
    box = options.viewport
    return (
        found.location.transfer_syntax_uid in _PLAIN
        and stored_length(found, 0, shown.number) <= _SMALL_FRAME
        and len(shown.packed) <= _SMALL_PACKED
        and wanted.longest is None
        and wanted.media_type == "image/jpeg"
        and options.icc_profile in ("", "no")
        and not options.annotations
        and (box is None or box.width * box.height <= _SMALL_BOX)
    )
