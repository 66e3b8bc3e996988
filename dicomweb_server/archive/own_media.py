"""Instances that are their own rendering: videos, PDF documents (PS3.18 §8.7.4, digest 3.3.6)."""

from base64 import b64decode
from dataclasses import replace
from typing import Any

from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.bulk_data import Frames
from dicomweb_server.archive.content import Content
from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.retrieve import bulk_content, locate, locate_bulk
from dicomweb_server.archive.sources import open_source
from dicomweb_server.archive.work import picked_attributes
from dicomweb_server.dicom.frames import is_video
from dicomweb_server.index.retrieve import Location
from dicomweb_server.wire.media_types import AS_STORED

_DOCUMENT, _MEDIA_TYPE, _LENGTH = "00420011", "00420012", "00420015"

# What is shown at our address may act as whoever looks at it: pages with scripts never are.
_SHOWN = "application/pdf"


async def own_media(
    archive: Archive, principal: Principal, study: str, series: str, instance: str
) -> tuple[Location, Content] | None:
    """The video or the document of an instance, without a transfer syntax; None if it is neither.

    Raises NotFound.
    """
    [location] = (await locate(archive, principal, study, series, instance)).items
    if is_video(location.transfer_syntax_uid):
        return location, await _video(archive, principal, location)
    document = await _document(archive, principal, location)
    return None if document is None else (location, document)


async def _video(archive: Archive, principal: Principal, location: Location) -> Content:
    source = await open_source(archive, location)
    frames = await Frames.of(archive, principal, source, location)
    return replace(await anext(frames.contents(AS_STORED)), transfer_syntax_uid="")


async def _document(archive: Archive, principal: Principal, location: Location) -> Content | None:
    row = await instance_metadata(archive, principal, location)
    # By a worker: a report has none of them, and may have much else to go through.
    parts = _DOCUMENT, _MEDIA_TYPE, _LENGTH
    found = await archive.workers.run(picked_attributes, row.packed, parts)
    if _first(found[_MEDIA_TYPE]) != _SHOWN:
        return None
    stated = _first(found[_LENGTH])
    value = found[_DOCUMENT]
    if "InlineBinary" in value:
        data = b64decode(value["InlineBinary"])
        return Content.of_bytes(data[: _without_padding(len(data), stated)], _SHOWN, "")
    if "BulkDataURI" not in value:
        return None
    uids = location.study_instance_uid, location.series_instance_uid, location.sop_instance_uid
    location, bulk = await locate_bulk(archive, principal, *uids, _DOCUMENT)
    source = await open_source(archive, location)
    content = await bulk_content(archive, principal, source, location, _DOCUMENT, bulk)
    length = _without_padding(content.length, stated)
    return replace(content, media_type=_SHOWN, length=length, transfer_syntax_uid="")


def _first(attribute: dict[str, Any]) -> Any:
    values = attribute.get("Value")
    return values[0] if values else None


def _without_padding(length: int, stated: Any) -> int:
    """A document of odd length has one byte of padding, if its stated length says so."""
    return length - 1 if stated == length - 1 else length
