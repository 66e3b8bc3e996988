"""What workers do with instances that are no images. Plain functions: run through ``workers``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dicomweb_server.dicom.annotations import patient_lines
from dicomweb_server.dicom.cda import document_page, document_text
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.drawing import Drawing, to_pixels, to_svg
from dicomweb_server.dicom.images import encode
from dicomweb_server.dicom.json_values import first_text
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.dicom.page import as_xml
from dicomweb_server.dicom.report_html import referenced_instances, report_page
from dicomweb_server.dicom.report_text import report_text
from dicomweb_server.dicom.structured_report import is_report
from dicomweb_server.dicom.waveform_page import waveform_drawing
from dicomweb_server.dicom.waveforms import (
    Group,
    annotations_of,
    groups_of,
    inline_samples,
    is_waveform,
    recording_lines,
)
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels

HTML, TEXT, XML, SVG = "text/html", "text/plain", "text/xml", "image/svg+xml"
_PIXELS_A_MM = 4.0

MAX_REPORT = 16 << 20  # bytes as it is sent, in one message; 50,000 measurements are 7 MB

DOCUMENT, MEDIA_TYPE, LENGTH = "00420011", "00420012", "00420015"


class Kind(Enum):
    """What a resource is that is no image (PS3.18 §8.7.2)."""

    REPORT = "report"
    DOCUMENT = "document"
    WAVEFORM = "waveform"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Inside:
    """What is looked for in the metadata of an instance, before it is rendered.

    `references`: the SOP Instance UIDs that a report names. `media_type`, `element` and `length`:
    the type, the element and the stated length of an encapsulated document.
    """

    kind: Kind
    references: tuple[str, ...] = ()
    media_type: str = ""
    element: Mapping[str, Any] | None = None
    length: int | None = None


def look_inside(packed_metadata: bytes) -> Inside:
    """Raises ContentTooLarge for a report that is not rendered."""
    dataset = _dataset(packed_metadata)
    if isinstance(dataset.get(DOCUMENT), dict):
        length = (dataset.get(LENGTH) or {}).get("Value") or [None]
        return Inside(
            Kind.DOCUMENT,
            media_type=first_text(dataset, MEDIA_TYPE).lower(),
            element=dataset[DOCUMENT],
            length=length[0] if isinstance(length[0], int) else None,
        )
    if is_report(dataset):
        return Inside(Kind.REPORT, references=tuple(referenced_instances(dataset)))
    return Inside(Kind.WAVEFORM if is_waveform(dataset) else Kind.OTHER)


def report_as_page(packed_metadata: bytes, links: Mapping[str, str]) -> bytes:
    """``report_page`` in UTF-8. Raises ContentTooLarge."""
    return _bounded(report_page(_dataset(packed_metadata), links))


def report_as_xml(packed_metadata: bytes, links: Mapping[str, str]) -> bytes:
    """The page as XHTML, in UTF-8. Raises ContentTooLarge."""
    return _bounded(as_xml(report_page(_dataset(packed_metadata), links)))


def report_as_text(packed_metadata: bytes) -> bytes:
    """``report_text`` in UTF-8. Raises ContentTooLarge."""
    return _bounded(report_text(_dataset(packed_metadata)))


def document_as(data: bytes, media_type: str) -> bytes:
    """A clinical document as a page or as plain text, in UTF-8. Raises what
    ``cda.clinical_document`` does."""
    return _bounded((document_page if media_type == HTML else document_text)(data))


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Where the Waveform Data of a multiplex group lies; `item` counts from 1."""

    item: int
    path: Path
    offset: int
    length: int
    big_endian: bool


@dataclass(frozen=True, slots=True)
class WaveformForm:
    """How a waveform is asked for: the most pixels of a side, the quality of a JPEG, and what is
    written above it (PS3.18 §8.3.5.1.1: `patient`, `technique`)."""

    width: int | None = None
    height: int | None = None
    quality: int = 90
    annotations: tuple[str, ...] = ()


def waveform_as(
    packed_metadata: bytes, stored: Sequence[StoredSamples], media_type: str, form: WaveformForm
) -> bytes:
    """A recording drawn, as SVG, PNG or JPEG. `stored`: the samples that the metadata lack.

    Raises UndecodablePixels for one without samples.
    """
    dataset = _dataset(packed_metadata)
    places = {one.item: one for one in stored}
    groups: list[tuple[Group, Any]] = []
    for group in groups_of(dataset):
        place = places.get(group.item)
        if place is None:
            groups.append((group, inline_samples(dataset, group)))
        else:
            shape = (place.length,)
            data = (
                np.memmap(place.path, np.uint8, "r", place.offset, shape) if place.length else b""
            )
            groups.append((replace(group, big_endian=place.big_endian), data))
    if not any(len(data) for _, data in groups):
        raise UndecodablePixels("the waveform has no samples")
    sop_class_uid = first_text(dataset, "00080016")
    lines: list[str] = []
    if "patient" in form.annotations:
        lines.append("   ".join(patient_lines(dataset)))
    if "technique" in form.annotations:
        lines.append("   ".join(recording_lines(dataset)))
    drawing = waveform_drawing(sop_class_uid, groups, annotations_of(dataset), lines)
    if media_type == SVG:
        return to_svg(drawing).encode("utf-8", errors="replace")
    return encode(to_pixels(drawing, _scale(drawing, form)), media_type, form.quality)


def _scale(drawing: Drawing, form: WaveformForm) -> float:
    """Pixels a millimetre: those of a screen, or as many as fit into what is asked for."""
    sides = (form.width, drawing.width), (form.height, drawing.height)
    return min((pixels / length for pixels, length in sides if pixels), default=_PIXELS_A_MM)


def _bounded(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    if len(data) > MAX_REPORT:
        raise ContentTooLarge(f"a report that makes more than {MAX_REPORT} bytes")
    return data


def _dataset(packed_metadata: bytes) -> JsonDataset:
    text = unpack_metadata(packed_metadata).replace(BULK_BASE, b"")
    dataset: JsonDataset = orjson.loads(text)
    return dataset
