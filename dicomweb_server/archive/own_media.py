"""Renderings of instances that are no pictures: videos, documents, reports, waveforms (PS3.18
§8.7.4, digest 3.3.6)."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.bulk_data import Frames, locate_all_bulk
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.document_work import (
    DOCUMENT,
    HTML,
    SVG,
    TEXT,
    XML,
    Inside,
    Kind,
    StoredSamples,
    WaveformForm,
    document_as,
    look_inside,
    report_as_page,
    report_as_text,
    report_as_xml,
    waveform_as,
)
from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.picture_versions import version_of
from dicomweb_server.archive.retrieve import bulk_content, locate, locate_bulk, uids_of
from dicomweb_server.archive.sources import MAX_WHOLE, in_file, open_source
from dicomweb_server.dicom.cda import MAX_DOCUMENT
from dicomweb_server.dicom.description import BulkValue
from dicomweb_server.dicom.frames import is_video, media_type_of
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN
from dicomweb_server.dicom.waveforms import MAX_GROUPS, WAVEFORM_DATA, WAVEFORM_SEQUENCE
from dicomweb_server.errors import ContentTooLarge, NotAcceptable, NotFound, UndecodablePixels
from dicomweb_server.index.references import find_instances
from dicomweb_server.index.retrieve import Location
from dicomweb_server.wire.media_types import AS_STORED
from dicomweb_server.wire.resources import instance_url

MP4, H265 = "video/mp4", "video/H265"
_LONG = 64 << 20  # bytes of samples that take seconds to be gone through
_BOX = 8  # bytes of the head of a box (ISO/IEC 14496-12 §4.2)
WAVEFORM_TYPES = (SVG, "image/png", "image/jpeg")

# What is shown at our address may act as whoever looks at it: pages with scripts never are. The
# types of the Encapsulated PDF, STL, OBJ and MTL IODs (PS3.3 §A.45, §A.85) can do nothing.
_AS_THEY_ARE = frozenset({"application/pdf", "model/stl", "model/obj", "model/mtl"})
_REPORT_TYPES = (HTML, TEXT, XML)
_CLINICAL = frozenset({XML, "application/xml"})  # as the Encapsulated CDA IOD has them


@dataclass(frozen=True, slots=True)
class OwnMedia:
    """What the rendering of an instance can be had as, the default first.

    `make` gives the content in one of them. `seed`: what it follows from besides the file. `word`:
    what it is called in the name of a file.
    """

    location: Location
    word: str
    media_types: tuple[str, ...]
    make: Callable[[str], Awaitable[Content]]
    seed: bytes = b""


async def own_media(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str,
    instance: str,
    form: WaveformForm | None = None,
) -> OwnMedia | None:
    """How an instance is rendered that is no picture; None if there is no way. `form` is for
    waveforms.

    Raises NotFound, ContentTooLarge for a report that is larger than is rendered.
    """
    [location] = (await locate(archive, principal, study, series, instance)).items
    if is_video(location.transfer_syntax_uid):
        return await _as_video(archive, principal, location)
    row = await instance_metadata(archive, principal, location)
    # By a worker: it may have much to go through.
    inside = await archive.workers.run(look_inside, row.packed)
    found = None
    if inside.kind is Kind.REPORT:
        found = await _report(archive, principal, location, row.packed, inside)
    elif inside.kind is Kind.WAVEFORM:
        form = form or WaveformForm()
        make = partial(_waveform, archive, principal, location, row.packed, form)
        found = OwnMedia(location, "waveform", WAVEFORM_TYPES, make, seed=repr(form).encode())
    elif inside.kind is Kind.DOCUMENT:
        found = _encapsulated(archive, principal, location, inside)
    # The row may be made anew from the same file, and then may say other things of it.
    return found and replace(found, seed=found.seed + await version_of([row.packed]))


def _encapsulated(
    archive: Archive, principal: Principal, location: Location, inside: Inside
) -> OwnMedia | None:
    """A document as it is; a clinical one also as a page and as text."""
    if not {"InlineBinary", "BulkDataURI"} & set(inside.element or ()):
        return None
    if inside.media_type in _AS_THEY_ARE:
        make = partial(_document, archive, principal, location, inside)
        return OwnMedia(location, "document", (inside.media_type,), make)
    if inside.media_type in _CLINICAL:
        make = partial(_clinical, archive, principal, location, inside)
        return OwnMedia(location, "document", (HTML, TEXT, XML), make)
    return None


async def _clinical(
    archive: Archive, principal: Principal, location: Location, inside: Inside, media_type: str
) -> Content:
    content = await _document(archive, principal, location, inside, XML)
    if media_type == XML:
        return content
    if content.length > MAX_DOCUMENT:
        raise NotAcceptable((XML,))
    data = b"".join([piece async for piece in content.read()])
    try:
        made = await archive.workers.run(document_as, data, media_type)
    except (UndecodablePixels, ContentTooLarge):
        raise NotAcceptable((XML,)) from None  # as it is, it can be had
    return Content.of_bytes(made, f"{media_type}; charset=utf-8", "")


async def _as_video(archive: Archive, principal: Principal, location: Location) -> OwnMedia:
    """HEVC within MP4 is that first: players know video/mp4, and hardly any knows video/H265."""
    make = partial(_video, archive, principal, location)
    media_type = media_type_of(location.transfer_syntax_uid)
    if media_type != H265:
        return OwnMedia(location, "video", (media_type,), make)
    content = await make(H265)
    start = content.read_range(0, min(content.length, _BOX))
    is_mp4 = b"".join([piece async for piece in start])[4:] == b"ftyp"
    await content.close()
    return OwnMedia(location, "video", (MP4, H265) if is_mp4 else (H265,), make)


async def _video(
    archive: Archive, principal: Principal, location: Location, media_type: str
) -> Content:
    source = await open_source(archive, location)
    frames = await Frames.of(archive, principal, source, location)
    content = await anext(frames.contents(AS_STORED))
    return replace(content, media_type=media_type, transfer_syntax_uid="")


async def _document(
    archive: Archive, principal: Principal, location: Location, inside: Inside, media_type: str
) -> Content:
    element = inside.element or {}
    if "InlineBinary" in element:
        data = b64decode(element["InlineBinary"])
        length = _without_padding(len(data), inside.length)
        return Content.of_bytes(data[:length], media_type, "")
    location, bulk = await locate_bulk(archive, principal, *uids_of(location), DOCUMENT)
    source = await open_source(archive, location)
    content = await bulk_content(archive, principal, source, location, DOCUMENT, bulk)
    length = _without_padding(content.length, inside.length)
    return replace(content, media_type=media_type, length=length, transfer_syntax_uid="")


def _without_padding(length: int, stated: int | None) -> int:
    """A document of odd length has one byte of padding, if its stated length says so."""
    return length - 1 if stated == length - 1 else length


async def _report(
    archive: Archive, principal: Principal, location: Location, packed: bytes, inside: Inside
) -> OwnMedia:
    links = await _links(archive, principal, inside.references)

    async def make(media_type: str) -> Content:
        if media_type == HTML:
            data = await archive.workers.run(report_as_page, packed, links)
        elif media_type == TEXT:
            data = await archive.workers.run(report_as_text, packed)
        elif media_type == XML:
            data = await archive.workers.run(report_as_xml, packed, links)
        else:
            raise NotAcceptable(_REPORT_TYPES)
        return Content.of_bytes(data, f"{media_type}; charset=utf-8", "")

    seed = "\n".join(links.values()).encode()
    return OwnMedia(location, "report", _REPORT_TYPES, make, seed=seed)


async def _waveform(
    archive: Archive,
    principal: Principal,
    location: Location,
    packed: bytes,
    form: WaveformForm,
    media_type: str,
) -> Content:
    """The samples stay where they are: a worker reads the file."""
    values: dict[str, BulkValue] = {}
    with suppress(NotFound):  # all of it stands in the metadata
        _, values = await locate_all_bulk(archive, principal, *uids_of(location), pixels_only=False)
    wanted = {
        item: value
        for item in range(1, MAX_GROUPS + 1)
        if (value := values.get(f"{WAVEFORM_SEQUENCE}/{item}/{WAVEFORM_DATA}"))
    }
    size = sum(value.length for value in wanted.values())
    if size > MAX_WHOLE:
        raise ContentTooLarge("the waveform is too large to be drawn")
    source = await open_source(archive, location)
    big_endian = location.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    async with AsyncExitStack() as files:
        if size > _LONG:
            await files.enter_async_context(archive.workers.turn())
        stored = []
        for item, value in wanted.items():
            file = in_file(archive, source, value.offset, value.length)
            path, offset = await files.enter_async_context(file)
            stored.append(StoredSamples(item, path, offset, value.length, big_endian))
        data = await archive.workers.run_to_the_end(waveform_as, packed, stored, media_type, form)
    return Content.of_bytes(data, media_type, "")


async def _links(
    archive: Archive, principal: Principal, references: tuple[str, ...]
) -> dict[str, str]:
    """The instances that are here, by SOP Instance UID, as URLs relative to ``…/rendered`` of an
    instance: the page works under whatever name it was reached by."""
    if not references:
        return {}
    async with archive.session(principal, Action.RETRIEVE) as session:
        found = await find_instances(session.conn, session.scope, references)
    base = "../../../../../.."
    return {
        one.sop_instance_uid: instance_url(
            base, one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid
        )
        for one in found
    }
