"""What workers do with instances that are no images. Plain functions: run through ``workers``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.json_values import first_text
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.dicom.report_html import referenced_instances, report_page
from dicomweb_server.dicom.report_text import report_text
from dicomweb_server.dicom.structured_report import is_report
from dicomweb_server.errors import ContentTooLarge

MAX_REPORT = 64 << 20  # bytes of a report as it is sent

DOCUMENT, MEDIA_TYPE, LENGTH = "00420011", "00420012", "00420015"


class Kind(Enum):
    """What a resource is that is no image (PS3.18 §8.7.2)."""

    REPORT = "report"
    DOCUMENT = "document"
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
    return Inside(Kind.OTHER)


def report_as_page(packed_metadata: bytes, links: Mapping[str, str]) -> bytes:
    """``report_page`` in UTF-8. Raises ContentTooLarge."""
    return _bounded(report_page(_dataset(packed_metadata), links))


def report_as_text(packed_metadata: bytes) -> bytes:
    """``report_text`` in UTF-8. Raises ContentTooLarge."""
    return _bounded(report_text(_dataset(packed_metadata)))


def _bounded(text: str) -> bytes:
    data = text.encode("utf-8", errors="replace")
    if len(data) > MAX_REPORT:
        raise ContentTooLarge(f"a report that makes more than {MAX_REPORT} bytes")
    return data


def _dataset(packed_metadata: bytes) -> JsonDataset:
    text = unpack_metadata(packed_metadata).replace(BULK_BASE, b"")
    dataset: JsonDataset = orjson.loads(text)
    return dataset
