"""Thumbnails (PS3.18 §10.4.1.1.4): one small picture at every level, kept as a file once it was
made, or an icon where there is nothing to show (THB-02 to THB-05)."""

import asyncio
import time
from collections.abc import Hashable
from dataclasses import replace

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive import work
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.derived import key_of
from dicomweb_server.archive.render import (
    Frame,
    Picture,
    Shown,
    find_representative,
    find_shown,
    frame_shown,
    picture_bytes,
    representative_frame,
)
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.dicom.icons import kind_of
from dicomweb_server.dicom.viewing import RenderOptions, Viewport
from dicomweb_server.errors import (
    ContentTooLarge,
    ImageNotHere,
    NotAcceptable,
    NotFound,
    UndecodablePixels,
)
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.references import first_sop_class

THUMBNAIL = 256  # pixels of the longest side (THB-04)
_QUALITY = 80
_LARGEST_ICON = 1024  # pixels

# What a picture may fail of; of all but a worker's end for ever.
_NO_PICTURE = (NotAcceptable, UndecodablePixels, WorkerFailed, ImageNotHere, ContentTooLarge)
_FAILED_FOR = 60  # seconds for which what a worker ended of is not tried again


def plain_thumbnail(media_type: str, viewport: Viewport | None = None) -> Picture:
    """How a thumbnail is rendered: without a name on it (THB-03)."""
    longest = None if viewport else THUMBNAIL
    return Picture(RenderOptions(viewport=viewport), media_type, _QUALITY, longest, texts=False)


async def thumbnail(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None,
    instance: str | None,
    number: int | None,
    wanted: Picture,
) -> bytes:
    """The thumbnail of a study, a series, an instance or a frame.

    Raises NotFound for a resource that does not exist.
    """
    uids = study, series, instance
    broken: Hashable = None
    failed: Hashable = None
    since = time.time()  # what is deleted from now on may not be kept
    try:
        shown = await _find(archive, principal, *uids, number)
        broken = ("broken", shown.version, frame_shown(shown), wanted)
        failed = (*broken, int(time.monotonic() // _FAILED_FOR))
        icon = archive.pictures.get(broken) or archive.pictures.get(failed)
        return await _kept(archive, study, shown, wanted, since) if icon is None else icon
    except WorkerFailed:
        broken = failed  # the machine may have been short of memory, or of time
    except _NO_PICTURE:
        pass
    except NotFound:
        if number is not None:
            raise
    icon = await _icon(archive, await _kind(archive, principal, *uids), wanted)
    if broken is not None:  # it may have taken long to find out
        archive.pictures.put(broken, icon)
    return icon


async def _find(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None,
    instance: str | None,
    number: int | None,
) -> Shown:
    """Of a multi-frame instance the frame that stands for it (THB-04)."""
    if series is None or instance is None:
        return await find_representative(archive, principal, study, series)
    uids = study, series, instance
    shown = await find_shown(archive, principal, *uids, number, follow=False)
    if number is None and isinstance(shown, Frame) and shown.found.table.count > 1:
        middle = await representative_frame(archive, shown.packed, shown.found.table.count)
        return await find_shown(archive, principal, *uids, middle, follow=False)
    return shown


async def _kept(archive: Archive, study: str, shown: Shown, wanted: Picture, since: float) -> bytes:
    """From the cache on the disk, or made and put there. What follows from more than one file is
    kept in memory alone."""
    if not isinstance(shown, Frame):
        return await picture_bytes(archive, shown, wanted)
    key = key_of(study, "thumbnail", shown.version, shown.number, repr(wanted))
    key = replace(key, since=since)
    kept = await asyncio.to_thread(archive.derived.get, key)
    if kept is None:
        kept = await picture_bytes(archive, shown, wanted)
        await asyncio.to_thread(archive.derived.put, key, kept)
    return kept


async def _kind(
    archive: Archive, principal: Principal, study: str, series: str | None, instance: str | None
) -> str:
    """Which icon stands for an instance, or for the first series. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        conn, scope = session.conn, session.scope
        if series is not None and instance is not None:
            location = await index.locate_instance(conn, scope, study, series, instance)
            return kind_of(location.sop_class_uid, location.transfer_syntax_uid)
        return kind_of(await first_sop_class(conn, scope, study, series))


async def _icon(archive: Archive, kind: str, wanted: Picture) -> bytes:
    box = wanted.options.viewport
    side = min(box.width, box.height, _LARGEST_ICON) if box else THUMBNAIL
    key = ("icon", kind, wanted.media_type, side)
    picture = archive.pictures.get(key)
    if picture is None:
        picture = await archive.workers.run(work.icon, kind, wanted.media_type, side)
        archive.pictures.put(key, picture)
    return picture
