"""The results of a search, one DICOM JSON object each (PS3.18 §10.6.3.3, digest 4.4).

What is stored with an entity is chosen from, never rewritten (QRY-22); what is computed by the
index stands beside it in `Found`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.query import Found, Item, Level, Path, SearchQuery
from dicomweb_server.wire.resources import instance_url, series_url, study_url

# Barred from the wire (digest 1.5); what is stored so is had as Explicit VR Little Endian.
_NOT_SENT = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_REQUEST_ATTRIBUTES = 0x00400275
_TIMEZONE_OFFSET = 0x00080201
# Of a sequence, what is returned by default: these of each item, empty if unknown
_WITHIN: dict[int, dict[str, str]] = {_REQUEST_ATTRIBUTES: {"00400009": "SH", "00401001": "SH"}}


def warning(base_url: str, text: str) -> str:
    """The value of a Warning header (WRN-01): one line of ASCII."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return f"299 {base_url}: {line}".encode("ascii", "replace").decode("ascii")


def remaining_text(remaining: int) -> str:
    """What a warning says when a search has `remaining` more results (digest 1.8)."""
    return f"There are {remaining} additional results that can be requested"


def search_result(query: SearchQuery, found: Found, base_url: str) -> JsonDataset:
    """One entity as `query` wants it returned, attributes in ascending order.

    `found` has the JSON texts of ``query.level`` and those above it. `base_url` has no trailing
    slash.
    """
    stored = _stored(query.level, found)
    computed = _computed(query.level, found, base_url)
    asked = _asked(query)
    result: JsonDataset = {}
    for level in Level:
        if level > query.level:
            break
        by_default = level >= _first_level(query)
        for tag, attribute in ATTRIBUTES[level].items():
            value = computed[level].get(attribute.key) or stored[level].get(attribute.key)
            value = _returned(attribute, value, asked.get(tag), by_default, query.include_all)
            if value is not None:
                result[attribute.key] = value
    result |= _uids(found)
    timezone = stored[Level.STUDY].get(f"{_TIMEZONE_OFFSET:08X}")
    if timezone is not None:  # returned at every level if known (digest 4.4)
        result[f"{_TIMEZONE_OFFSET:08X}"] = timezone
    if not orjson.dumps(result).isascii():  # JSN-31
        result["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(result.items()))


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


def _stored(level: Level, found: Found) -> dict[Level, JsonDataset]:
    texts = {Level.STUDY: found.study, Level.SERIES: found.series, Level.INSTANCE: found.instance}
    return {
        each: orjson.loads(text) if each <= level and text is not None else {}
        for each, text in texts.items()
    }


def _asked(query: SearchQuery) -> dict[int, set[Path]]:
    """What is to be returned beyond the defaults (QRY-13, QRY-23): by the tag of the attribute,
    what of its items; the empty path is all of it."""
    asked: dict[int, set[Path]] = {}
    for path in query.include:
        asked.setdefault(path[0], set()).add(path[1:])
    for path, condition in query.conditions.items():
        inner = condition.conditions if isinstance(condition, Item) else {}
        asked.setdefault(path[0], set()).update(inner or {path[1:]})
    for tag, within in _WITHIN.items():  # its bare name as a match key asks for its default
        if (tag,) in query.conditions and (tag,) not in query.include:
            asked[tag] -= {()}
            asked[tag] |= {(int(key, 16),) for key in within}
    return asked


def _returned(
    attribute: Attribute,
    value: dict[str, Any] | None,
    asked: set[Path] | None,
    by_default: bool,
    include_all: bool,
) -> dict[str, Any] | None:
    """The attribute as it is returned, None if it is not."""
    default = by_default and (attribute.always or (attribute.known and value is not None))
    everything = by_default and include_all and value is not None
    if not (default or everything or asked is not None):
        return None
    if value is None:
        return {"vr": attribute.vr}  # QRY-26
    if attribute.vr != "SQ" or everything or (asked and () in asked):
        return value
    trimmed = _only(value, asked or set())
    within = _WITHIN.get(attribute.tag)
    if default and within is not None:
        _add_defaults(trimmed, value, within)
    return trimmed


def _only(value: Mapping[str, Any], paths: set[Path]) -> dict[str, Any]:
    """A sequence with nothing in its items but what `paths` name (QRY-23); a path that is empty
    names everything."""
    if () in paths or "Value" not in value:
        return dict(value)
    inner: dict[str, set[Path]] = {}
    for path in paths:
        inner.setdefault(f"{path[0]:08X}", set()).add(path[1:])
    items = [
        {key: _only(each, inner[key]) for key, each in sorted(item.items()) if key in inner}
        for item in value["Value"]
    ]
    return {**value, "Value": items}


def _add_defaults(
    trimmed: dict[str, Any], value: Mapping[str, Any], within: Mapping[str, str]
) -> None:
    """Put into each item of `trimmed` what is always returned of it, from `value`."""
    for item, whole in zip(trimmed.get("Value", ()), value.get("Value", ()), strict=True):
        item |= {key: whole.get(key, {"vr": vr}) for key, vr in within.items()}
    if "Value" in trimmed:
        trimmed["Value"] = [dict(sorted(item.items())) for item in trimmed["Value"]]


def _uids(found: Found) -> JsonDataset:
    """The UIDs of the entity and of all above it (QRY-25)."""
    uids = {
        "0020000D": found.study_instance_uid,
        "0020000E": found.series_instance_uid,
        "00080018": found.sop_instance_uid,
    }
    return {key: _of("UI", uid) for key, uid in uids.items() if uid is not None}


def _of(vr: str, *values: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _computed(level: Level, found: Found, base: str) -> dict[Level, JsonDataset]:
    """What is not in the files (digest 2.6), by level."""
    study, series, instance = (
        found.study_instance_uid,
        found.series_instance_uid,
        found.sop_instance_uid,
    )
    online = _of("CS", "ONLINE")
    computed: dict[Level, JsonDataset] = {each: {} for each in Level}
    computed[Level.STUDY] = {
        "00080056": online,
        "00080061": _of("CS", *sorted(set(found.modalities_in_study) - {""})),
        "00081190": _of("UR", study_url(base, study)),
        "00201206": _of("IS", found.number_of_study_related_series),
        "00201208": _of("IS", found.number_of_study_related_instances),
    }
    if level >= Level.SERIES:
        assert series is not None
        count = found.number_of_series_related_instances
        computed[Level.SERIES] = {
            "00081190": _of("UR", series_url(base, study, series)),
            "00201209": _of("IS") if count is None else _of("IS", count),
        }
    if level >= Level.INSTANCE:
        assert series is not None
        assert instance is not None
        computed[Level.INSTANCE] = {
            "00080056": online,
            "00081190": _of("UR", instance_url(base, study, series, instance)),
        }
        syntax = found.transfer_syntax_uid
        if syntax is not None:
            sent = _EXPLICIT_VR_LITTLE_ENDIAN if syntax in _NOT_SENT else syntax
            computed[Level.INSTANCE]["00083002"] = _of("UI", sent)
    return computed
