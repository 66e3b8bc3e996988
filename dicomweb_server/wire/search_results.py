"""The results of a search, one DICOM JSON object each (PS3.18 §10.6.3.3, digest 4.4).

What is stored with an entity is chosen from, line by line and never rewritten (QRY-22); what is
computed by the index stands beside it in `Found`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from dicomweb_server.dicom.attributes import Attribute
from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.matching import key_of
from dicomweb_server.dicom.packing import unpack_document, unpack_metadata
from dicomweb_server.dicom.query import (
    Found,
    Level,
    Path,
    Reading,
    Returned,
    SearchQuery,
)
from dicomweb_server.dicom.search_document import json_bytes, line_of, lines_by_name
from dicomweb_server.recent import RecentBytes
from dicomweb_server.wire.resources import instance_url, series_url, study_url
from dicomweb_server.wire.returned_attributes import WITHIN, returning

# Texts that were written before: work lists show the same studies to everybody, and again a minute
# later. What a text is made of is its key, so that nothing has to be told when an entity changes.
_WRITTEN = RecentBytes(8 << 20, largest=64 << 10)  # some 4,000 results
_BESIDE = 600  # bytes, about, of a key besides documents
_LONGEST = 2000  # characters of a query, and of the base URL, whose results are kept

# Barred from the wire (digest 1.5); what is stored so is had as Explicit VR Little Endian.
_NOT_SENT = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_CHARACTER_SET = line_of("00080005", {"vr": "CS", "Value": ["ISO_IR 192"]})
_ONLINE = line_of("00080056", {"vr": "CS", "Value": ["ONLINE"]})
_URL_LINE = b'"00081190":{"vr":"UR","Value":[%s]}'
_UID_LINE = b'"%s":{"vr":"UI","Value":[%s]}'
_COUNT_LINE = b'"%s":{"vr":"IS","Value":[%d]}'


def warning(base_url: str, text: str) -> str:
    """The value of a Warning header (WRN-01): one line of ASCII."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return f"299 {base_url}: {line}".encode("ascii", "replace").decode("ascii")


def remaining_text(remaining: int, *, exact: bool = True) -> str:
    """What a warning says when a search has `remaining` more results (digest 1.8), or, if that
    is not `exact`, more than so many."""
    if not exact and remaining == 0:
        return "There may be additional results that can be requested"
    number = f"{remaining}" if exact else f"more than {remaining}"
    return f"There are {number} additional results that can be requested"


class ResultWriter:
    """Writes what a query found as it wants it returned, attributes in ascending order."""

    def __init__(self, query: SearchQuery, base_url: str) -> None:
        """`base_url` has no trailing slash."""
        self._query = query
        self._base = base_url
        self._returning = returning(query)
        reading = f"{sorted(query.reading.creators.items())} {query.reading.zone}"
        self._same = (self._returning.signature, base_url, reading)
        # What was asked at length is hardly asked again; and each text would keep it.
        self._is_kept = not self._returning.metadata and sum(map(len, self._same)) <= _LONGEST

    @property
    def returned(self) -> Returned:
        """What of the results is needed."""
        return self._returning.fetched

    def write(self, found: Found) -> bytes:
        """The JSON text of one result."""
        if not self._is_kept:
            return self._write(found)
        documents = [found.documents.get(level, b"") for level, _ in self._returning.read]
        classes = found.sop_classes_in_study
        key = (
            self._same,
            found.study_instance_uid,
            found.series_instance_uid,
            found.sop_instance_uid,
            found.modalities_in_study,
            classes,
            found.number_of_study_related_series,
            found.number_of_study_related_instances,
            found.number_of_series_related_instances,
            found.transfer_syntax_uid,
            *documents,
        )
        text = _WRITTEN.get(key)
        if text is None:
            text = self._write(found)
            _WRITTEN.put(key, text, _BESIDE + sum(map(len, [*documents, *classes])))
        return text

    def _write(self, found: Found) -> bytes:
        result = self._kept_lines(found)
        self._add_computed(result, found)
        names, defaults = self._returning.names, self._returning.defaults
        if self._returning.metadata:
            more = {name.encode(): value for name, value in self._of_metadata(found).items()}
            result.update((name, line_of(name.decode(), value)) for name, value in more.items())
            names, defaults = self._returning.in_order({*names, *more})
        text = b",".join(filter(None, map(result.get, names, defaults)))
        if not text.isascii():  # JSN-31
            result[b"00080005"] = _CHARACTER_SET
            names, defaults = self._returning.in_order({*names, b"00080005"})
            text = b",".join(filter(None, map(result.get, names, defaults)))
        return b"{%s}" % text

    def _kept_lines(self, found: Found) -> dict[bytes, bytes]:
        """What is kept of the entity and those above it, also what is not returned, by name."""
        result: dict[bytes, bytes] = {}
        for level, of_others in self._returning.read:
            kept = self._lines_of(level, found)
            for name in of_others & kept.keys():
                del kept[name]
            result.update(kept)
        for key, attribute in self._returning.trimmed.items():
            if key in result:
                result[key] = self._trim(attribute, result[key])
        return result

    def _lines_of(self, level: Level, found: Found) -> dict[bytes, bytes]:
        packed = found.documents.get(level)
        return {} if packed is None else lines_by_name(unpack_document(packed))

    def _trim(self, attribute: Attribute, line: bytes) -> bytes:
        """A sequence with nothing in its items but what is asked for, and what comes by default."""
        whole = orjson.loads(line[11:])
        paths = self._returning.asked.get(attribute.tag, ())
        trimmed = only(whole, paths, self._query.reading)
        within = WITHIN.get(attribute.tag)
        if within is not None and attribute.level >= self._returning.first:
            _add_defaults(trimmed, whole, within)
        return line_of(attribute.key, trimmed)

    def _add_computed(self, result: dict[bytes, bytes], found: Found) -> None:
        """Add what is not in the files (digest 2.6), and the UIDs of the entity and of all above
        it (QRY-25)."""
        study, series, instance = (
            found.study_instance_uid,
            found.series_instance_uid,
            found.sop_instance_uid,
        )
        if self._returning.computed[Level.STUDY]:
            self._add_of_study(result, found)
        result[b"0020000D"] = _UID_LINE % (b"0020000D", json_bytes(study))
        if series is None:
            return
        result[b"0020000E"] = _UID_LINE % (b"0020000E", json_bytes(series))
        if self._returning.computed[Level.SERIES]:
            result[b"00081190"] = _URL_LINE % json_bytes(series_url(self._base, study, series))
            count = found.number_of_series_related_instances
            result[b"00201209"] = _COUNT_LINE % (b"00201209", count)
        if instance is None:
            return
        result[b"00080018"] = _UID_LINE % (b"00080018", json_bytes(instance))
        result[b"00080056"] = _ONLINE
        url = instance_url(self._base, study, series, instance)
        result[b"00081190"] = _URL_LINE % json_bytes(url)
        syntax = found.transfer_syntax_uid
        if syntax is not None:
            sent = json_bytes(_EXPLICIT_VR_LITTLE_ENDIAN if syntax in _NOT_SENT else syntax)
            result[b"00083002"] = _UID_LINE % (b"00083002", sent)
            result[b"00020010"] = _UID_LINE % (b"00020010", sent)

    def _add_of_study(self, result: dict[bytes, bytes], found: Found) -> None:
        url = json_bytes(study_url(self._base, found.study_instance_uid))
        result[b"00080056"] = _ONLINE
        result[b"00080061"] = _modalities_line(found.modalities_in_study)
        if b"00080062" in self._returning.computed[Level.STUDY]:
            result[b"00080062"] = _line(b"00080062", b"UI", found.sop_classes_in_study)
        result[b"00081190"] = _URL_LINE % url
        result[b"00201206"] = _COUNT_LINE % (b"00201206", found.number_of_study_related_series)
        result[b"00201208"] = _COUNT_LINE % (b"00201208", found.number_of_study_related_instances)

    def _of_metadata(self, found: Found) -> dict[str, Any]:
        """Attributes that are kept at no level, from the metadata of the instance (QRY-20)."""
        if found.metadata is None:
            return {}
        series, instance = found.series_instance_uid, found.sop_instance_uid
        assert series is not None
        assert instance is not None
        url = instance_url(self._base, found.study_instance_uid, series, instance)
        text = unpack_metadata(found.metadata)
        dataset = orjson.loads(text.replace(BULK_BASE, f"{url}/bulkdata".encode()))
        return chosen(dataset, self._returning.metadata, self._query.reading)


def _line(key: bytes, vr: bytes, values: Iterable[str]) -> bytes:
    """The line of an attribute with these values."""
    texts = b",".join(map(json_bytes, values))
    if not texts:
        return b'"%s":{"vr":"%s"}' % (key, vr)
    return b'"%s":{"vr":"%s","Value":[%s]}' % (key, vr, texts)


@lru_cache(maxsize=1000)  # an archive has few combinations
def _modalities_line(modalities: tuple[str, ...]) -> bytes:
    """Nothing where there is none: OHIF shows no studies at all if the list of one is empty."""
    known = sorted({*modalities} - {""})
    return _line(b"00080061", b"CS", known) if known else b""


def only(value: Mapping[str, Any], paths: Iterable[Path], reading: Reading) -> dict[str, Any]:
    """A sequence with nothing in its items but what `paths` name (QRY-23); a path that is empty
    names everything."""
    if "Value" not in value:
        return dict(value)
    inner: dict[int, set[Path]] = {}
    for path in paths:
        if not path:
            return dict(value)
        inner.setdefault(path[0], set()).add(path[1:])
    items = [
        chosen(item, inner, reading) if isinstance(item, Mapping) else {} for item in value["Value"]
    ]
    return {**value, "Value": items}


def chosen(
    dataset: Mapping[str, Any], wanted: Mapping[int, Iterable[Path]], reading: Reading
) -> dict[str, Any]:
    """Of a data set or an item the attributes that a query names by these tags, of each what the
    paths name; private ones with their creator, in the block that it has here (digest 4.4)."""
    found: dict[str, set[Path]] = {}
    for tag, paths in wanted.items():
        key = key_of(tag, dataset, reading)
        if key is None or key not in dataset:
            continue
        found.setdefault(key, set()).update(paths)
        creator = f"{key[:4]}00{key[4:6]}"
        if tag >> 16 & 1 and tag & 0xFF00 and creator in dataset:
            found[creator] = {()}
    return {key: only(dataset[key], paths, reading) for key, paths in sorted(found.items())}


def _add_defaults(
    trimmed: dict[str, Any], value: Mapping[str, Any], within: Mapping[str, str]
) -> None:
    """Put into each item of `trimmed` what is always returned of it, from `value`."""
    for item, whole in zip(trimmed.get("Value", ()), value.get("Value", ()), strict=True):
        item |= {key: whole.get(key, {"vr": vr}) for key, vr in within.items()}
    if "Value" in trimmed:
        trimmed["Value"] = [dict(sorted(item.items())) for item in trimmed["Value"]]
