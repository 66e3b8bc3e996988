"""Several pictures: those of frames, and of all images of an instance, a series or a study
(PS3.18 §10.4.1.1.3)."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.presentation import (
    State,
    all_presented,
    frames_shown,
    these_presented,
)
from dicomweb_server.archive.read_ahead import MOST_FRAMES, in_order
from dicomweb_server.archive.render import Frame, Picture, bytes_of, find_shown, rendered
from dicomweb_server.archive.retrieve import all_of, uids_of, version
from dicomweb_server.archive.work import frame_times_of
from dicomweb_server.dicom.animation import (
    animation_begin,
    animation_end,
    animation_frame,
    gif_size,
)
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.dicom.pixels import DECODABLE
from dicomweb_server.dicom.rendering import region_within
from dicomweb_server.dicom.segmentation import SEGMENTATIONS
from dicomweb_server.dicom.viewing import Viewport
from dicomweb_server.errors import ContentTooLarge, NotAcceptable
from dicomweb_server.index import pictures as index
from dicomweb_server.index.retrieve import Location, Page, Position

_DECODABLE = sorted(DECODABLE)


@dataclass(frozen=True, slots=True)
class Part:
    """One picture: of which frame of which instance, of how many. Of a presentation state it is
    the place among those that it shows."""

    content: Content
    location: Location
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class ShownOfMany:
    """What is to be shown of a study or series.

    `digest`: of all that the pictures follow from, but for how they are asked for; None where they
    also follow from images elsewhere. `omitted`: images in transfer syntaxes that have no decoder
    here.
    """

    digest: bytes | None
    omitted: int


async def count_pictures(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None,
    viewport: Viewport | None = None,
) -> ShownOfMany:
    """What there is to show of a study or series. Raises NotFound, NotAcceptable where there is
    nothing, ContentTooLarge where it is too much (WADO-10), and InvalidParameter for a region of
    `viewport` that lies outside an image: once the first was sent it could not be told (VP-09)."""
    now = await version(archive, principal, study, series)
    async with archive.session(principal, Action.RETRIEVE) as session:
        counts = await index.count_frames(
            session.conn, session.scope, study, series, sorted(SEGMENTATIONS)
        )
    decodable = [each for each in counts if each.transfer_syntax_uid in DECODABLE]
    frames = sum(each.frames for each in decodable)
    if not frames:
        raise NotAcceptable([])
    refuse_too_many(archive, frames)
    if viewport is not None:
        for each in decodable:
            if each.least_rows and each.least_columns:
                region_within(viewport, each.least_rows, each.least_columns)
    unknown = [
        each.instances
        for each in counts
        if each.transfer_syntax_uid not in DECODABLE and not is_video(each.transfer_syntax_uid)
    ]
    # Segmentations lie on images of other series, or studies
    follow = any(each.segmentations for each in counts)
    return ShownOfMany(None if follow else now.digest, sum(unknown))


def refuse_too_many(archive: Archive, count: int) -> None:
    """Raises ContentTooLarge for more pictures than one answer may have."""
    limit = archive.settings.max_rendered_frames
    if count > limit:
        raise ContentTooLarge(f"there are {count} frames to be rendered, and at most {limit} are")


async def pictures_of(
    archive: Archive, principal: Principal, study: str, series: str | None, wanted: Picture
) -> AsyncGenerator[Part, None]:
    """A picture for each frame of a study or series, in the order of WADO-11."""

    async def page(after: Position | None) -> Page[tuple[Location, int]]:
        async with archive.session(principal, Action.RETRIEVE) as session:
            return await index.locate_images(
                session.conn, session.scope, study, series, _DECODABLE, after
            )

    async def wanted_frames() -> AsyncIterator[tuple[Location, int, int]]:
        async for location, count in all_of(await page(None), page):
            for number in range(1, count + 1):
                yield location, number, count

    batch: list[tuple[Location, int, int]] = []
    async for each in wanted_frames():
        batch.append(each)
        if len(batch) == _BATCH:
            async with aclosing(_made(archive, principal, batch, wanted)) as parts:
                async for part in parts:
                    yield part
            batch.clear()
    async with aclosing(_made(archive, principal, batch, wanted)) as parts:
        async for part in parts:
            yield part


_BATCH = 100  # frames; workers idle at the end of each, for a frame


async def pictures_of_frames(
    archive: Archive,
    principal: Principal,
    location: Location,
    numbers: Sequence[int],
    count: int,
    wanted: Picture,
) -> AsyncGenerator[Part, None]:
    """A picture for each of some frames of an instance of `count`, in their order."""
    frames = [(location, number, count) for number in numbers]
    async with aclosing(_made(archive, principal, frames, wanted)) as parts:
        async for part in parts:
            yield part


async def _made(
    archive: Archive,
    principal: Principal,
    frames: Sequence[tuple[Location, int, int]],
    wanted: Picture,
) -> AsyncGenerator[Part, None]:
    """Half of the workers are left to others, who wait for one picture."""
    most = max(1, min(MOST_FRAMES, archive.workers.size // 2))
    making = (partial(_part, archive, principal, *frame, wanted) for frame in frames)
    async with aclosing(in_order(making, most)) as parts:
        async for part in parts:
            yield part


async def _part(
    archive: Archive,
    principal: Principal,
    location: Location,
    number: int,
    count: int,
    wanted: Picture,
) -> Part:
    shown = await find_shown(archive, principal, *uids_of(location), number, follow=False)
    return Part(await rendered(archive, shown, wanted), location, number, count)


async def count_presented(archive: Archive, principal: Principal, state: State) -> int:
    """How many frames a presentation state shows. Raises ContentTooLarge for too many."""
    count = 0
    async for _ in frames_shown(archive, principal, state):
        count += 1
        refuse_too_many(archive, count)
    return count


async def pictures_of_state(
    archive: Archive,
    principal: Principal,
    state: State,
    numbers: Sequence[int],
    count: int,
    wanted: Picture,
) -> AsyncGenerator[Part, None]:
    """A picture for each of the frames that a presentation state shows which `numbers` name, or
    for all of them, of `count` (3.3.6)."""
    if numbers:
        shown = these_presented(archive, principal, state, numbers)
    else:
        shown = all_presented(archive, principal, state)
    place = 0
    async for each in shown:
        number = numbers[place] if numbers else place + 1
        place += 1
        yield Part(await rendered(archive, each, wanted), state.location, number, count)


async def animation(
    archive: Archive, principal: Principal, shown: Frame, wanted: Picture
) -> AsyncGenerator[bytes, None]:
    """The frames of an instance as an animated GIF, each made as it is sent.

    Raises ContentTooLarge for too many frames, or too many pixels in all.
    """
    count = shown.found.table.count
    refuse_too_many(archive, count)
    times = await archive.workers.run(frame_times_of, shown.packed, count)
    numbers = range(1, count + 1)
    frames = pictures_of_frames(archive, principal, shown.found.location, numbers, count, wanted)
    async with aclosing(frames):
        async for part in frames:
            picture = await bytes_of(part.content)
            if part.number == 1:
                columns, rows = gif_size(picture)
                if count * columns * rows > archive.settings.pixel_limit_bytes:
                    raise ContentTooLarge("the animation would have too many pixels")
                yield animation_begin(picture)
            yield animation_frame(picture, times[part.number - 1])
    yield animation_end()
