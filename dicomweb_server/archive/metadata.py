"""Metadata of studies, series and instances: read, made whole, and sent (PS3.18 §10.4.1.1.2)."""

import asyncio

import orjson

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.native_xml_text import to_xml
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.errors import Unavailable
from dicomweb_server.index import retrieve as index
from dicomweb_server.index.retrieve import Location, MetadataRow, Page, Position
from dicomweb_server.wire.projection import Projection
from dicomweb_server.wire.resources import instance_url

# What would keep the event loop for milliseconds is done elsewhere.
_LARGE_PACKED = 8 << 10  # bytes; the header of a CT has 4 kB
_LARGE_TEXT = 40 << 10  # bytes, of which 4 ms make a document


async def metadata(
    archive: Archive,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    *,
    after: Position | None = None,
) -> Page[MetadataRow]:
    """The packed metadata of a resource's instances, in the order of WADO-11, that of a large
    one in pages. Raises NotFound."""
    async with archive.session(principal, Action.RETRIEVE) as session:
        return await index.read_metadata(
            session.conn, session.scope, study, series, instance, after
        )


async def instance_metadata(
    archive: Archive, principal: Principal, location: Location
) -> MetadataRow:
    """The packed metadata of an instance located before. Raises NotFound, Unavailable if it was
    replaced since: they say nothing of the file that was located."""
    uids = location.study_instance_uid, location.series_instance_uid, location.sop_instance_uid
    [row] = (await metadata(archive, principal, *uids)).items
    if row.sha256 != location.sha256:
        raise Unavailable("the instance was replaced meanwhile; ask again", retry_after=1)
    return row


def url_of(base_url: str, row: MetadataRow) -> str:
    """The URL of a row's instance."""
    return instance_url(
        base_url, row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid
    )


async def metadata_text(row: MetadataRow, url: str) -> bytes:
    """One instance's metadata as a JSON object, its BulkDataURIs made whole (BLK-01)."""
    if len(row.packed) > _LARGE_PACKED:
        return await asyncio.to_thread(row_text, row.packed, url)
    return row_text(row.packed, url)


def row_text(packed: bytes, url: str) -> bytes:
    """The same at once."""
    return unpack_metadata(packed).replace(BULK_BASE, f"{url}/bulkdata".encode())


async def projected_text(
    archive: Archive, row: MetadataRow, url: str, projection: Projection | None
) -> bytes:
    """What is wanted of one instance's metadata, as a JSON object; all of it for None."""
    text = await metadata_text(row, url)
    if projection is None:
        return text
    if len(text) > _LARGE_TEXT:
        return await archive.workers.run(projection.of_text, text)
    return projection.of_text(text)


async def metadata_document(
    archive: Archive, row: MetadataRow, url: str, projection: Projection | None = None
) -> bytes:
    """The same as a document of the Native DICOM Model (PS3.19 §A.1)."""
    text = await projected_text(archive, row, url, projection)
    if len(text) > _LARGE_TEXT:
        return await archive.workers.run(native_document, text)
    return native_document(text)


def native_document(text: bytes) -> bytes:
    """A JSON object as a document of the Native DICOM Model."""
    return to_xml(orjson.loads(text))
