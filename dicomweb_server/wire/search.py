"""The query of a search: query string → SearchQuery and warnings (PS3.18 §8.3.4, §10.6).

What is asked is matched exactly as asked, refused, or named in a warning: a filter that is
silently dropped would show other patients (QRY-02, QRY-11).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute
from dicomweb_server.dicom.query import Level, Path, SearchQuery
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.match_keys import Key, conditions_of

MAX_PARAMETERS = 1000
MAX_DEPTH = 8  # tags of a dotted path
MAX_OFFSET = 10**18

# Switches whose matching is not offered, and the texts of digest 1.8
UNSUPPORTED_SWITCHES = {
    "fuzzymatching": "The fuzzymatching parameter is not supported. "
    "Only literal matching has been performed.",
    "emptyvaluematching": "The emptyvaluematching parameter is not supported. "
    "Empty Value Matching has not been performed.",
    "multiplevaluematching": "The multiplevaluematching parameter is not supported. "
    "Multiple Value Matching has not been performed.",
}

SPECIFIC_CHARACTER_SET = 0x00080005
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
# What can be matched within the items of a sequence (digest 4.3): of the Request Attributes the
# step and the procedure, and beyond what is required the accession number
MATCHABLE_WITHIN = {0x00400275: frozenset({0x00080050, 0x00400009, 0x00401001})}
_MATCHABLE: dict[int, Attribute] = {
    tag: attribute
    for table in ATTRIBUTES.values()
    for tag, attribute in table.items()
    if attribute.matchable
}

_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_LIKE_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*(?:\..*)?|[0-9A-Fa-f]{8}(?:\..*)?", re.ASCII | re.S)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ParsedSearch:
    """A query and what to tell the caller about it: texts of Warning headers (digest 1.8)."""

    query: SearchQuery
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Collected:
    keys: dict[Path, Key] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)
    include: set[Path] = field(default_factory=set)
    include_all: bool = False
    switches: dict[str, str] = field(default_factory=dict)
    not_matched: list[str] = field(default_factory=list)
    not_included: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)


def parse_search(
    level: Level,
    query_string: bytes | str,
    *,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
    max_results: int = 1000,
) -> ParsedSearch:
    """Read the query string of a search for entities of `level`, still percent-encoded.

    The UIDs are those the path of the resource fixes. `max_results` bounds the limit, and is the
    limit where none is given. Raises InvalidParameter for what does not follow the grammar
    (digest 4.2) or the VR of its attribute (QRY-14).
    """
    collected = _Collected()
    fixed = {STUDY_INSTANCE_UID: study_instance_uid, SERIES_INSTANCE_UID: series_instance_uid}
    for name, value in _parameters(query_string):
        if name == "includefield":
            _include(value, level, collected)
        elif name in UNSUPPORTED_SWITCHES or name in ("limit", "offset"):
            if name in collected.switches:
                raise InvalidParameter(name, value, "the parameter once")
            collected.switches[name] = value
        elif _LIKE_ATTRIBUTE.fullmatch(name):
            _match_key(name, value, fixed, collected)
        # other names are ignored (ERR-02)
    switches = collected.switches
    query = SearchQuery(
        level=level,
        conditions=conditions_of(collected.keys),
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        include=frozenset(collected.include),
        include_all=collected.include_all,
        limit=_count("limit", switches.get("limit"), max_results, max_results),
        offset=_count("offset", switches.get("offset"), 0, MAX_OFFSET),
    )
    return ParsedSearch(query, tuple(_warnings(collected)))


def _parameters(query_string: bytes | str) -> Iterator[tuple[str, str]]:
    raw = (
        query_string
        if isinstance(query_string, bytes)
        else query_string.encode(errors="surrogatepass")
    )
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise InvalidParameter("query", "", f"at most {MAX_PARAMETERS} parameters")
    for piece in filter(None, raw.split(b"&")):
        name, _, value = piece.partition(b"=")
        yield _decoded(name), _decoded(value)


def _decoded(raw: bytes) -> str:
    """Undo percent-encoding and form-encoding. A bare plus is a space (QRY-10): those keys whose
    values hold a plus sign, DT and Timezone Offset, are not matched."""
    shown = raw[:80].decode("ascii", "replace")
    if _BAD_ESCAPE.search(raw):
        raise InvalidParameter("query", shown, "percent signs encoded as %25")
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidParameter("query", shown, "percent-encoded UTF-8") from None
    if "\0" in text:
        raise InvalidParameter("query", shown, "text without NUL")
    return text


def _count(name: str, text: str | None, default: int, greatest: int) -> int:
    if text is None:
        return default
    if _DIGITS.fullmatch(text) is None:
        raise InvalidParameter(name, text, "an unsigned integer")
    digits = text.lstrip("0")
    return min(int(digits or "0"), greatest) if len(digits) <= 18 else greatest


# Names


def _vr(tag: int) -> str | None:
    """The VR of a tag of the dictionary, None if it is in none; private tags are in none, but
    are attributes all the same."""
    if tag >> 16 & 1:
        return "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


def _path(name: str) -> tuple[Path, str] | None:
    """Where a dotted name of keywords and tags points, and the VR there; None if there is no
    such attribute: a part in no dictionary, or one that is no sequence before the last."""
    parts = name.split(".", MAX_DEPTH)
    if len(parts) > MAX_DEPTH:
        return None
    path: list[int] = []
    vr: str | None = "SQ"  # a private attribute may be a sequence, too
    for part in parts:
        tag = int(part, 16) if _HEX.fullmatch(part) else tag_for_keyword(part)
        if not part or tag is None or vr not in ("SQ", "UN"):
            return None
        vr = _vr(tag)
        path.append(tag)
    return None if vr is None else (tuple(path), vr)


def _match_key(name: str, value: str, fixed: dict[int, str | None], collected: _Collected) -> None:
    """Take one match key, or note why it is not matched."""
    found = _path(name)
    if found is None:
        # QRY-11: a misspelt PatientID that is ignored would show other patients
        raise InvalidParameter(_shown(name), value, "the name of a DICOM attribute")
    path, vr = found
    if path in collected.seen:
        raise InvalidParameter(name, value, "each attribute once")
    collected.seen.add(path)
    if path == (SPECIFIC_CHARACTER_SET,):  # QRY-15
        return
    attribute = _MATCHABLE.get(path[0])
    if attribute is None or not _matchable_there(path):
        collected.not_matched.append(name)
    elif _fixed_by_path(attribute, fixed):
        if fixed.get(attribute.tag) != value:
            collected.fixed.append(name)
    else:
        collected.keys[path] = Key(name, path, vr, value)


def _matchable_there(path: Path) -> bool:
    if len(path) == 1:
        return True
    return len(path) == 2 and path[1] in MATCHABLE_WITHIN.get(path[0], ())


def _fixed_by_path(attribute: Attribute, fixed: dict[int, str | None]) -> bool:
    """Study and Series attributes have one value under a resource that names the study or the
    series: they are no keys there (QRY-01). Patient attributes are."""
    if attribute.level is Level.STUDY:
        is_patient = attribute.tag >> 16 == 0x0010
        return fixed[STUDY_INSTANCE_UID] is not None and not is_patient
    return attribute.level is Level.SERIES and fixed[SERIES_INSTANCE_UID] is not None


def _include(value: str, level: Level, collected: _Collected) -> None:
    """Take the attributes of an ``includefield``; those of lower levels are silently left out
    (QRY-20)."""
    for name in filter(None, (part.strip() for part in value.split(","))):
        found = _path(name) if name != "all" else None
        if name == "all":
            collected.include_all = True
        elif found is None or not any(found[0][0] in table for table in ATTRIBUTES.values()):
            collected.not_included.append(name)
        elif any(found[0][0] in ATTRIBUTES[each] for each in Level if each <= level):
            collected.include.add(found[0])


# Warnings


def _warnings(collected: _Collected) -> Iterator[str]:
    for switch, warning in UNSUPPORTED_SWITCHES.items():
        value = collected.switches.get(switch, "false")
        if value not in ("true", "false"):
            raise InvalidParameter(switch, value, "true or false")
        if value == "true":
            yield warning
    if collected.not_matched:
        yield f"The following attributes cannot be matched: {_named(collected.not_matched)}"
    if collected.fixed:
        yield (
            "The following attributes are fixed by the path of the resource "
            f"and have not been matched: {_named(collected.fixed)}"
        )
    if collected.not_included:
        yield f"The following attributes cannot be included: {_named(collected.not_included)}"


def _named(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(_shown(name) for name in names))
    return ", ".join(distinct[:10]) + (" and others" if len(distinct) > 10 else "")


def _shown(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]", "?", name[:64])
