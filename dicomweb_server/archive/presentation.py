"""Images as presentation states show them (PS3.18 §10.4.1.1.3, digest 3.3.6): the state, the image
that it refers to, and what of both has to be read, for a worker to put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.blending import LaidOn, laid_on, planes_to_lay
from dicomweb_server.archive.bulk_data import locate_all_bulk
from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.kept_planes import PlaneOf
from dicomweb_server.archive.large_frames import READ_THERE
from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.picture_versions import parts_of, version_of
from dicomweb_server.archive.presentation_work import (
    Plan,
    StateParts,
    StoredValue,
    presentation_plan,
    presented_frame,
)
from dicomweb_server.archive.retrieve import locate, locate_frames, uids_of
from dicomweb_server.archive.segmentation_work import Background
from dicomweb_server.archive.sources import (
    Source,
    frame_for_worker,
    in_file,
    made_of_frame,
    open_source,
)
from dicomweb_server.archive.work import WORDS
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.dicom.overlays import overlay_data_tags
from dicomweb_server.dicom.presentation_state import PRESENTATION_STATES, Reference
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN
from dicomweb_server.dicom.viewing import RenderOptions
from dicomweb_server.errors import (
    ContentTooLarge,
    ImageNotHere,
    InvalidParameter,
    NotFound,
    Unavailable,
    UndecodablePixels,
)
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.frame_batches import count_frames_of
from dicomweb_server.index.retrieve import FrameLocation, Location

_BATCH = 10_000  # images that are looked for at once, which takes a few milliseconds
_MOST_FRAMES = 10_000  # that are counted; it takes a moment
_MOST_VALUES = 64 << 20  # bytes of binary values: sixteen overlays of a mammogram are 40 MiB
_MOST_GRAPHICS = 4 << 20  # of them points of lines: what is drawn takes a hundred times that
_MOST_PASSED = 4 << 20  # bytes of them in one message to a worker
_GRAPHIC_DATA = "00700022"
_OF_IMAGE = frozenset(overlay_data_tags())
_PALETTES = {f"0028{kind}{n}" for kind in ("120", "122") for n in (1, 2, 3)}
_OF_STATE = _OF_IMAGE | _PALETTES | {_GRAPHIC_DATA, "00283006", "00282000"}  # LUT Data, ICC Profile


# A frame, counted from 1, of an image: its Study, Series and SOP Instance UID.
FrameOfImage = tuple[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class State:
    """A presentation state that was found."""

    location: Location
    packed: bytes  # metadata
    plan: Plan
    planes: tuple[PlaneOf, ...] = ()  # what a blending state lays on its images


@dataclass(frozen=True, slots=True)
class Presented:
    """A frame of an image, `number` counted from 1, the state that it is shown by, and where all
    that has to be read for it lies."""

    state: State
    state_values: dict[str, BulkValue]  # by path
    found: FrameLocation
    packed: bytes  # metadata of the image
    image_values: dict[str, BulkValue]
    number: int
    others: FrameLocation | None
    mask_numbers: tuple[int, ...]
    averaged_numbers: tuple[int, ...]
    over: LaidOn | None
    version: bytes  # changes with each file that the picture is made of, and each row


async def find_state(
    archive: Archive, principal: Principal, study: str, series: str, instance: str
) -> State | None:
    """A presentation state of a kind that can be shown; None for another instance.

    Raises NotFound.
    """
    [location] = (await locate(archive, principal, study, series, instance)).items
    if location.sop_class_uid not in PRESENTATION_STATES:
        return None
    return await _state_at(archive, principal, location)


async def find_state_of_series(
    archive: Archive, principal: Principal, study: str, series: str
) -> State | None:
    """The presentation state that stands for a series of such: the first, None if there is
    none."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        location = await index.first_of_classes(
            session.conn, session.scope, study, series, sorted(PRESENTATION_STATES)
        )
    return None if location is None else await _state_at(archive, principal, location)


async def _state_at(archive: Archive, principal: Principal, location: Location) -> State:
    row = await instance_metadata(archive, principal, location)
    plan = await archive.workers.run(presentation_plan, row.packed)
    planes: tuple[PlaneOf, ...] = ()
    if plan.over is not None:
        study = location.study_instance_uid
        planes = await planes_to_lay(archive, principal, row.sha256, plan.over, study)
    return State(location, row.packed, plan, planes)


async def frames_shown(
    archive: Archive, principal: Principal, state: State
) -> AsyncIterator[FrameOfImage]:
    """The frames that a state is for and that are here, in the order of its references.

    All are of the study of the state (PS3.3 A.33.1), unless that is one for blending.
    """
    study = state.plan.study or state.location.study_instance_uid
    left = [Reference(*each) for each in state.plan.references]
    while left:
        batch, left = left[:_BATCH], left[_BATCH:]
        asked = [(each.series_instance_uid, each.sop_instance_uid) for each in batch]
        async with archive.session(principal, Action.RETRIEVE) as session:
            counts = await count_frames_of(session.conn, session.scope, study, asked)
        for place, count, transfer_syntax_uid in counts:
            if is_video(transfer_syntax_uid):
                continue
            for number in batch[place].frames or range(1, count + 1):
                if number <= count:
                    yield (study, *asked[place]), number


async def all_presented(
    archive: Archive, principal: Principal, state: State
) -> AsyncIterator[Presented]:
    """All that a state shows and that is here, in the order of its references."""
    async for image, number in frames_shown(archive, principal, state):
        yield await _locate_all(archive, principal, state, image, number)


async def these_presented(
    archive: Archive, principal: Principal, state: State, ordinals: Sequence[int]
) -> AsyncIterator[Presented]:
    """Of the frames that a state shows and that are here those at `ordinals`, counted from 1, in
    this order; they are looked for once. Raises NotFound for one beyond them."""
    places: list[FrameOfImage] = []
    async for place in frames_shown(archive, principal, state):
        places.append(place)
        if len(places) == min(max(ordinals), _MOST_FRAMES):
            break
    for ordinal in ordinals:
        if ordinal > len(places):
            raise NotFound(f"the presentation state shows {len(places)} frames")
        yield await _locate_all(archive, principal, state, *places[ordinal - 1])


async def find_presented(
    archive: Archive, principal: Principal, state: State, ordinal: int
) -> Presented:
    """What a state shows, of its frames that are here the one at `ordinal`, counted from 1.

    Raises ImageNotHere if there is none, NotFound for an ordinal beyond them.
    """
    count = 0
    async for image, number in frames_shown(archive, principal, state):
        count += 1
        if ordinal > _MOST_FRAMES:
            raise NotFound(
                f"only the first {_MOST_FRAMES} frames of a presentation state are shown"
            )
        if count < ordinal:
            continue
        return await _locate_all(archive, principal, state, image, number)
    if count:
        raise NotFound(f"the presentation state shows {count} frames")
    raise ImageNotHere("none of the images that the presentation state refers to is here")


async def _locate_all(
    archive: Archive,
    principal: Principal,
    state: State,
    image: tuple[str, str, str],
    number: int,
) -> Presented:
    """Where all lies that frame `number` of an image is shown by."""
    mask = state.plan.mask
    async with archive.session(principal, Action.RETRIEVE) as session:
        found, packed = await index.locate_rendered(session.conn, session.scope, *image, number)
    others = None
    masks, averaged = (rule(number) for rule in (mask.frames_of, mask.averaged_with))
    if masks:
        try:
            numbers = [*masks, *averaged]
            others = await locate_frames(archive, principal, *image, numbers)
        except NotFound:
            raise UndecodablePixels("the image lacks a frame of the mask") from None
        if others.location.blob_key != found.location.blob_key:
            raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)
    over = None
    if state.plan.over is not None:
        over = await laid_on(archive, principal, state.planes, packed, number)
    state_values = await _values_of(archive, principal, state.location, _OF_STATE)
    image_values = await _values_of(archive, principal, found.location, _OF_IMAGE)
    where = repr((state_values, image_values, others and (others.table, others.records)))
    seed = [state.location.sha256, state.packed, *parts_of(found, packed), where.encode()]
    if over is not None:
        seed += [*parts_of(over.found, over.packed), b"%d" % over.number]
    of_image = found, packed, image_values, number, others, masks, averaged, over
    return Presented(state, state_values, *of_image, await version_of(seed))


async def _values_of(
    archive: Archive, principal: Principal, location: Location, tags: frozenset[str]
) -> dict[str, BulkValue]:
    """Where binary values of some attributes lie that are not in the metadata, by path.

    Raises NotFound, Unavailable if the instance is not what it was, and ContentTooLarge for more
    than are read: the picture would be made without them, and would be wrong.
    """
    uids = uids_of(location)
    try:
        now, values = await locate_all_bulk(archive, principal, *uids, pixels_only=False)
    except NotFound:  # it has none, or is no longer there
        [now], values = (await locate(archive, principal, *uids)).items, {}
    if now.blob_key != location.blob_key:
        raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)
    found = {path: value for path, value in values.items() if path[-8:] in tags}
    graphics = [value.length for path, value in found.items() if path.endswith(_GRAPHIC_DATA)]
    size = sum(value.length for value in found.values())
    if size > _MOST_VALUES or sum(graphics) > _MOST_GRAPHICS:
        raise ContentTooLarge("there are more overlays, tables or graphics than are drawn")
    return found


async def presented(
    archive: Archive,
    shown: Presented,
    options: RenderOptions,
    media_type: str,
    *,
    quality: int,
    longest: int | None,
    texts: bool,
) -> bytes | ScratchFile:
    """The picture of a frame as a state shows it, as ``made_of_frame`` gives it. `texts`: with
    what may hold names (THB-03).

    Raises InvalidParameter for what cannot be asked of a presentation state (WIN-03, VP-09), and
    UndecodablePixels.
    """
    _refuse_more_than_a_box(options)
    found = shown.found
    source = await open_source(archive, found.location)
    async with AsyncExitStack() as stack:
        others = []
        if shown.others is not None:
            numbers = [*shown.mask_numbers, *shown.averaged_numbers]
            for position, number in enumerate(numbers):
                frame = frame_for_worker(archive, source, shown.others, position, number)
                others.append(await stack.enter_async_context(frame))
        masks = len(shown.mask_numbers)
        state = shown.state
        of_state = of_image = dict[str, StoredValue]()
        if shown.state_values:
            opened = await open_source(archive, state.location)
            of_state = await _pass(archive, stack, opened, state.location, shown.state_values)
        if shown.image_values:
            of_image = await _pass(archive, stack, source, found.location, shown.image_values)
        over = None
        if shown.over is not None:
            over = await stack.enter_async_context(_background(archive, shown.over))
        frames = others[:masks], others[masks:]
        parts = StateParts(state.packed, of_state, of_image, *frames, over)
        return await made_of_frame(
            archive,
            source,
            found,
            0,
            shown.number,
            presented_frame,
            shown.packed,
            found.location.transfer_syntax_uid,
            shown.number,
            parts,
            options,
            media_type,
            quality,
            longest,
            texts,
        )


@asynccontextmanager
async def _background(archive: Archive, over: LaidOn) -> AsyncIterator[Background]:
    location = over.found.location
    source = await open_source(archive, location)
    async with frame_for_worker(archive, source, over.found, 0, over.number) as frame:
        yield Background(over.packed, frame, location.transfer_syntax_uid, over.number)


def _refuse_more_than_a_box(options: RenderOptions) -> None:
    if options.window is not None:
        raise InvalidParameter("window", "…", "none for a presentation state, which has its own")
    box = options.viewport
    if box is not None and (
        (box.x, box.y, box.region_width, box.region_height) != (0, 0, None, None)
    ):
        raise InvalidParameter("viewport", "…", "vw,vh for a presentation state")


async def _pass(
    archive: Archive,
    files: AsyncExitStack,
    source: Source,
    location: Location,
    values: dict[str, BulkValue],
) -> dict[str, StoredValue]:
    """Values by path, as they are handed to a worker: small ones themselves, and where others
    lie."""
    found: dict[str, StoredValue] = {}
    big_endian = location.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    left = _MOST_PASSED // 2  # there are those of the state, and those of the image
    for path, value in values.items():
        word = WORDS.get(value.vr, 1) if big_endian else 1
        if value.length <= min(READ_THERE, left):
            data = await source.read(value.offset, value.length)
            found[path] = StoredValue(data, 0, value.length, word)
            left -= value.length
        else:
            file = in_file(archive, source, value.offset, value.length)
            place = await files.enter_async_context(file)
            found[path] = StoredValue(*place, value.length, word)
    return found
