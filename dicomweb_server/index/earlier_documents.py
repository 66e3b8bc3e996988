"""The documents of rows that versions before them have made.

Those kept the attributes of an entity as JSON text, and fewer of them; the others are in the
metadata of the instances. No I/O: it runs in a thread beside the statements.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dicomweb_server.dicom.attributes import KEPT
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.packing import pack_document, unpack_metadata
from dicomweb_server.dicom.query import Level
from dicomweb_server.dicom.search_document import document_of
from dicomweb_server.index.rows import tokens

# What was kept before, as it was then: what one of these lacks its first instance did not have.
_KEPT_BEFORE = {
    Level.STUDY: (
        "00080020 00080030 00080050 00080051 00080090 0008009C 00080201 00081030 00081032 "
        "00081048 00081060 00081080 00081110 00081120 00100010 00100020 00100021 00100030 "
        "00100032 00100040 00101001 00101002 00101010 00101020 00101030 00102160 00102180 "
        "001021B0 00102201 00102297 00104000 00120062 00120063 0020000D 00200010 00321032 "
        "00321033 00401012"
    ),
    Level.SERIES: (
        "00080021 00080031 00080060 00080068 00080070 00080080 00081010 0008103E 0008103F "
        "00081040 00081050 00081070 00081090 00082218 00180015 00181000 00181020 00181030 "
        "00185100 0020000E 00200011 00200052 00200060 00400244 00400245 00400253 00400254 "
        "00400275 00541000"
    ),
    Level.INSTANCE: (
        "00080008 00080012 00080013 00080016 00080018 00080022 00080023 0008002A 00080032 "
        "00080033 00180010 00180050 00180081 00185101 00200012 00200013 00200032 00200037 "
        "00200062 00201041 00204000 00280002 00280004 00280008 00280010 00280011 00280030 "
        "00280100 00280101 00280103 00280301 00282110 0040A043 0040A491 0040A493 0040A496 "
        "00420010 00420012 00700080 00700081"
    ),
}
_NEW = {level: KEPT[level] - set(_KEPT_BEFORE[level].split()) for level in KEPT}
# Whether any of them may be in a text, which is told without parsing it.
_NAMED = {
    level: re.compile(b'"(?:' + "|".join(sorted(keys)).encode() + b')":')
    for level, keys in _NEW.items()
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """An instance, and of it and of its parents the `attributes` of those without a document."""

    id: int
    series_id: int
    study_id: int
    metadata: bytes  # packed; empty if there is no instance
    bulk: frozenset[str]  # attributes that are bulk data, or in whose items some are
    study: str | None
    series: str | None
    instance: str | None


@dataclass(slots=True)
class Documents:
    """What is to be written of a batch: packed documents by id, and the tokens of studies."""

    last: int  # id of the last instance
    count: int = 0
    studies: dict[int, bytes] = field(default_factory=dict)
    tokens: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    series: dict[int, bytes] = field(default_factory=dict)
    instances: dict[int, bytes] = field(default_factory=dict)
    parents: set[int] = field(default_factory=set)  # ids of the studies of them all


def make_documents(rows: Sequence[Earlier]) -> Documents:
    """The documents that a batch of instances, ascending by id, gives to itself and its parents.

    A study or series has what it had, from the instance that was its first then; what is kept
    since comes from the first that it has now.
    """
    made = Documents(rows[-1].id, len(rows), parents={row.study_id for row in rows})
    for row in rows:
        metadata = _Metadata(row.metadata, row.bulk)
        if row.study is not None and row.study_id not in made.studies:
            study = _attributes(Level.STUDY, row.study, metadata)
            made.studies[row.study_id] = pack_document(document_of(study))
            made.tokens[row.study_id] = _joined(study, "00100010"), _joined(study, "00080090")
        if row.series is not None and row.series_id not in made.series:
            series = _attributes(Level.SERIES, row.series, metadata)
            made.series[row.series_id] = pack_document(document_of(series))
        if row.instance is not None:
            instance = _attributes(Level.INSTANCE, row.instance, metadata)
            made.instances[row.id] = pack_document(document_of(instance))
    return made


class _Metadata:
    """The metadata of an instance, unpacked and parsed as far as they are asked for."""

    def __init__(self, packed: bytes, bulk: Iterable[str]) -> None:
        self._text = unpack_metadata(packed) if packed else b"{}"
        self._bulk = bulk
        self._parsed: JsonDataset | None = None

    def newly_kept(self, level: Level) -> JsonDataset:
        if not _NAMED[level].search(self._text):
            return {}
        if self._parsed is None:
            # As of bulk data nothing is kept, its addresses may be whatever can be parsed.
            self._parsed = orjson.loads(self._text.replace(BULK_BASE, b""))
        keys = (_NEW[level] & self._parsed.keys()).difference(self._bulk)
        return {key: self._parsed[key] for key in keys}


def _attributes(level: Level, before: str, metadata: _Metadata) -> JsonDataset:
    # Not orjson: what could not be written by it (``json_bytes``) it would not read the same.
    attributes: JsonDataset = json.loads(before)
    return attributes | metadata.newly_kept(level)


def _joined(study: Mapping[str, Any], key: str) -> str | None:
    """The tokens of a name, one a line: none has a control character."""
    found = tokens(study, key)
    return "\n".join(found) if found else None
