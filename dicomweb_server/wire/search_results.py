"""The results of a search, one DICOM JSON object each (PS3.18 §10.6.3.3, digest 4.4).

What is stored with an entity is chosen from, line by line and never rewritten (QRY-22); what is
computed by the index stands beside it in `Found`.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute
from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.matching import key_of
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.dicom.query import (
    Condition,
    Found,
    Item,
    Level,
    Path,
    Reading,
    Returned,
    SearchQuery,
)
from dicomweb_server.dicom.search_document import json_bytes, line_of, lines_by_name
from dicomweb_server.wire.resources import instance_url, series_url, study_url

# Barred from the wire (digest 1.5); what is stored so is had as Explicit VR Little Endian.
_NOT_SENT = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_TRANSFER_SYNTAX_UID = 0x00020010
_REQUEST_ATTRIBUTES = 0x00400275
# Of a sequence, what is returned by default: these of each item, empty if unknown
_WITHIN: dict[int, dict[str, str]] = {_REQUEST_ATTRIBUTES: {"00400009": "SH", "00401001": "SH"}}
_CHARACTER_SET = line_of("00080005", {"vr": "CS", "Value": ["ISO_IR 192"]})
_ONLINE = line_of("00080056", {"vr": "CS", "Value": ["ONLINE"]})
_URL_LINE = b'"00081190":{"vr":"UR","Value":[%s]}'
_UID_LINE = b'"%s":{"vr":"UI","Value":[%s]}'
_COUNT_LINE = b'"%s":{"vr":"IS","Value":[%d]}'
_UIDS = {Level.STUDY: b"0020000D", Level.SERIES: b"0020000E", Level.INSTANCE: b"00080018"}
# What the documents of more than one level may have; each has its own.
_OF_SEVERAL_LEVELS = {
    attribute.key.encode()
    for level, table in ATTRIBUTES.items()
    for tag, attribute in table.items()
    if any(tag in other for each, other in ATTRIBUTES.items() if each != level)
}


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


@lru_cache(maxsize=100)  # clients ask for the same over and over
def _chosen_of(
    level: Level, asked: frozenset[int], by_default: bool, everything: bool
) -> tuple[Mapping[bytes, Attribute], frozenset[bytes], Mapping[bytes, bytes]]:
    """Of one level, by their names: the attributes that are returned, those of them that are
    computed, and the lines of those that are there without a value too."""
    chosen, computed, empty = {}, set(), {}
    for tag, attribute in ATTRIBUTES[level].items():
        default = by_default and (everything or attribute.always or attribute.known)
        if not (default or tag in asked):
            continue
        key = attribute.key.encode()
        if attribute.computed:
            computed.add(key)
        else:
            chosen[key] = attribute
        # What is always returned, or was asked for, is there without a value (QRY-26).
        if tag in asked or (by_default and attribute.always):
            empty[key] = line_of(attribute.key, {"vr": attribute.vr})
    return chosen, frozenset(computed), empty


class ResultWriter:
    """Writes what a query found as it wants it returned, attributes in ascending order."""

    def __init__(self, query: SearchQuery, base_url: str) -> None:
        """`base_url` has no trailing slash."""
        self._query = query
        self._base = base_url
        self._asked = _asked(query)
        self._chosen: dict[Level, Mapping[bytes, Attribute]] = {}
        self._empty: dict[bytes, bytes] = {}
        self._computed: dict[Level, frozenset[bytes]] = {}
        first = _first_level(query)
        asked = frozenset(self._asked)
        for level in Level:
            if level <= query.level:
                everything = query.include_all
                chosen = _chosen_of(level, asked, level >= first, everything)
                self._chosen[level], self._computed[level], empty = chosen
                self._empty.update(empty)
        # The levels whose documents are read, and what of these is another level's.
        self._read = [
            (level, _OF_SEVERAL_LEVELS - chosen.keys())
            for level, chosen in self._chosen.items()
            if chosen
        ]
        self._names, self._defaults = self._ordered(self._all_names())
        self._trimmed = {
            key: attribute
            for chosen in self._chosen.values()
            for key, attribute in chosen.items()
            if attribute.vr == "SQ" and self._is_trimmed(attribute)
        }
        self._paths = unkept(query)

    def _is_trimmed(self, attribute: Attribute) -> bool:
        everything = self._query.include_all and attribute.level >= _first_level(self._query)
        return not everything and () not in self._asked.get(attribute.tag, set())

    def _all_names(self) -> set[bytes]:
        """Of all attributes that a result may have, but for those of the metadata."""
        names = {key for level, key in _UIDS.items() if level <= self._query.level}
        names.update(*self._chosen.values(), *self._computed.values())
        if self._query.level is Level.INSTANCE and _TRANSFER_SYNTAX_UID in self._asked:
            names.add(b"00020010")  # [D], of the form that can be had
        return names

    def _ordered(self, names: Iterable[bytes]) -> tuple[list[bytes], list[bytes | None]]:
        """The names in the order of a result, and the line of each that is there without a
        value too."""
        in_order = sorted(names)
        return in_order, [self._empty.get(name) for name in in_order]

    @property
    def returned(self) -> Returned:
        """What of the results is needed."""
        return Returned(
            documents=frozenset(level for level, chosen in self._chosen.items() if chosen),
            metadata=bool(self._paths),
            sop_classes=b"00080062" in self._computed[Level.STUDY],
        )

    def write(self, found: Found) -> bytes:
        """The JSON text of one result."""
        result = self._kept_lines(found)
        self._add_computed(result, found)
        names, defaults = self._names, self._defaults
        if self._paths:
            more = {name.encode(): value for name, value in self._of_metadata(found).items()}
            result.update((name, line_of(name.decode(), value)) for name, value in more.items())
            names, defaults = self._ordered({*names, *more})
        text = b",".join(filter(None, map(result.get, names, defaults)))
        if not text.isascii():  # JSN-31
            result[b"00080005"] = _CHARACTER_SET
            names, defaults = self._ordered({*names, b"00080005"})
            text = b",".join(filter(None, map(result.get, names, defaults)))
        return b"{%s}" % text

    def _kept_lines(self, found: Found) -> dict[bytes, bytes]:
        """What is kept of the entity and those above it, also what is not returned, by name."""
        result: dict[bytes, bytes] = {}
        for level, of_others in self._read:
            kept = lines_by_name(found.documents.get(level, b""))
            for name in of_others & kept.keys():
                del kept[name]
            result.update(kept)
        for key, attribute in self._trimmed.items():
            if key in result:
                result[key] = self._trim(attribute, result[key])
        return result

    def _trim(self, attribute: Attribute, line: bytes) -> bytes:
        """A sequence with nothing in its items but what is asked for, and what comes by default."""
        whole = orjson.loads(line[11:])
        paths = self._asked.get(attribute.tag, set())
        trimmed = only(whole, paths, self._query.reading)
        within = _WITHIN.get(attribute.tag)
        if within is not None and attribute.level >= _first_level(self._query):
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
        if self._computed[Level.STUDY]:
            self._add_of_study(result, found)
        result[b"0020000D"] = _UID_LINE % (b"0020000D", json_bytes(study))
        if series is None:
            return
        result[b"0020000E"] = _UID_LINE % (b"0020000E", json_bytes(series))
        if self._computed[Level.SERIES]:
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
        if b"00080062" in self._computed[Level.STUDY]:
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
        return chosen(dataset, self._paths, self._query.reading)


def unkept(query: SearchQuery) -> dict[int, set[Path]]:
    """What a search for instances returns of attributes that are kept at no level: by their tag,
    what of their items; the empty path is all of it."""
    if query.level is not Level.INSTANCE:
        return {}
    return {
        tag: paths
        for tag, paths in _asked(query).items()
        if tag != _TRANSFER_SYNTAX_UID and not any(tag in table for table in ATTRIBUTES.values())
    }


def _line(key: bytes, vr: bytes, values: Iterable[str]) -> bytes:
    """The line of an attribute with these values."""
    texts = b",".join(map(json_bytes, values))
    if not texts:
        return b'"%s":{"vr":"%s"}' % (key, vr)
    return b'"%s":{"vr":"%s","Value":[%s]}' % (key, vr, texts)


@lru_cache(maxsize=1000)  # an archive has few combinations
def _modalities_line(modalities: tuple[str, ...]) -> bytes:
    return _line(b"00080061", b"CS", sorted({*modalities} - {""}))


def _first_level(query: SearchQuery) -> Level:
    """The highest level whose attributes come by default: those the path does not fix (digest
    4.1)."""
    if query.series_instance_uid is not None:
        first = Level.INSTANCE
    elif query.study_instance_uid is not None:
        first = Level.SERIES
    else:
        first = Level.STUDY
    return min(first, query.level)


def _asked(query: SearchQuery) -> dict[int, set[Path]]:
    """What is to be returned beyond the defaults (QRY-13, QRY-23): by the tag of the attribute,
    what of its items; the empty path is all of it."""
    asked: dict[int, set[Path]] = {}
    for path in query.include:
        asked.setdefault(path[0], set()).add(path[1:])
    for path, condition in query.conditions.items():
        asked.setdefault(path[0], set()).update(path[1:] + inner for inner in _within(condition))
    for tag, within in _WITHIN.items():  # its bare name as a match key asks for its default
        if (tag,) in query.conditions and (tag,) not in query.include:
            asked[tag] -= {()}
            asked[tag] |= {(int(key, 16),) for key in within}
    return asked


def _within(condition: Condition) -> Iterator[Path]:
    """What a match key names of the items of a sequence, however deep; the empty path if it is
    about no items."""
    if not isinstance(condition, Item):
        yield ()
        return
    for path, inner in condition.conditions.items():
        yield from (path + deeper for deeper in _within(inner))


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
