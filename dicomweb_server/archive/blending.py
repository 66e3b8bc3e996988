"""Which image a blending presentation state lays on which (PS3.3 A.33.5): by where they lie."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.kept_planes import PlaneOf
from dicomweb_server.archive.presentation_work import Plan, plane_below, planes_of
from dicomweb_server.dicom.blending import MAX_PLANES, Plane
from dicomweb_server.dicom.presentation_state import Reference
from dicomweb_server.errors import ContentTooLarge, ImageNotHere, NotFound
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.digest import version_of
from dicomweb_server.index.marks import digest_of
from dicomweb_server.index.retrieve import FrameLocation, MetadataRow

_MOST_METADATA = 1 << 20  # bytes of it in one message to a worker
_MOST_SERIES = 16  # each is looked up, one after the other


@dataclass(frozen=True, slots=True)
class LaidOn:
    """A frame, counted from 1, that is laid on another one, and its image's metadata."""

    found: FrameLocation
    packed: bytes
    number: int


async def planes_to_lay(
    archive: Archive, principal: Principal, state: bytes, plan: Plan, study: str
) -> tuple[PlaneOf, ...]:
    """Where all lies that a state lays on others, of `study` unless `plan` names one. `state`: the
    SHA-256 of its file.

    Raises ImageNotHere if none of it is here, ContentTooLarge for too much.
    """
    study = plan.study or study
    references = [Reference(*each) for each in plan.references]
    wanted = {each.sop_instance_uid: each.frames for each in references}
    found: list[PlaneOf] = []
    all_series = dict.fromkeys(each.series_instance_uid for each in references)
    if len(all_series) > _MOST_SERIES:
        raise ContentTooLarge(f"images of more than {_MOST_SERIES} series are laid on others")
    for series in all_series:
        with suppress(NotFound):
            found += await _planes_of_series(archive, principal, state, wanted, (study, series))
        _not_too_many(found)
    if not found:
        raise ImageNotHere("no image that is laid on others is here and tells its place")
    return tuple(found)


def _not_too_many(planes: Sequence[PlaneOf]) -> None:
    if len(planes) > MAX_PLANES:
        raise ContentTooLarge(f"more than {MAX_PLANES} images are laid on others")


async def _planes_of_series(
    archive: Archive,
    principal: Principal,
    state: bytes,
    wanted: Mapping[str, Sequence[int]],
    uids: tuple[str, str],
) -> tuple[PlaneOf, ...]:
    """Those of one series, as it is now: kept ones, if it is what it was. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        version = await version_of(session.conn, session.scope, *uids)
        kept = archive.planes.get((state, *uids, version.digest))
        if kept is not None:
            return kept
        page = await index.read_metadata(session.conn, session.scope, *uids)
    if page.after is not None:
        raise ContentTooLarge("more images than are looked through are laid on others")
    found: list[PlaneOf] = []
    for batch in _batches(page.items):
        packed = [row.packed for row in batch]
        for place, number, plane in await archive.workers.run(planes_of, packed, wanted):
            found.append(PlaneOf((*uids, batch[place].sop_instance_uid), number, Plane(*plane)))
        _not_too_many(found)
    # Of what was read, which may be another version than that before
    digest = digest_of(row.mark for row in page.items)
    archive.planes.put((state, *uids, digest), tuple(found))
    return tuple(found)


def _batches(rows: Sequence[MetadataRow]) -> list[list[MetadataRow]]:
    """In pieces that a worker takes."""
    batches: list[list[MetadataRow]] = [[]]
    size = 0
    for row in rows:
        if batches[-1] and size + len(row.packed) > _MOST_METADATA:
            batches.append([])
            size = 0
        batches[-1].append(row)
        size += len(row.packed)
    return batches


async def laid_on(
    archive: Archive,
    principal: Principal,
    planes: Sequence[PlaneOf],
    packed: bytes,
    number: int,
) -> LaidOn | None:
    """What is laid on frame `number` of the image with these metadata; None where nothing lies
    there. Raises UndecodablePixels where that cannot be told."""
    places = [each.plane for each in planes]
    chosen = await archive.workers.run(plane_below, packed, number, places)
    if chosen is None:
        return None
    one = planes[chosen]
    async with archive.session(principal, Action.RETRIEVE) as session:
        found, its_metadata = await index.locate_rendered(
            session.conn, session.scope, *one.uids, one.number
        )
    return LaidOn(found, its_metadata, one.number)
