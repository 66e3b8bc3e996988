"""The query of a search: query string → SearchQuery and warnings (PS3.18 §8.3.4, §10.6).

What is asked is matched exactly as asked, refused, or named in a warning: a filter that is
silently dropped would show other patients (QRY-02, QRY-11).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute, level_of
from dicomweb_server.dicom.dictionary import tag_of, vr_of
from dicomweb_server.dicom.moments import zone_of
from dicomweb_server.dicom.query import (
    Condition,
    Item,
    Level,
    OrderBy,
    Path,
    Range,
    Reading,
    SearchQuery,
)
from dicomweb_server.errors import InvalidParameter, UnknownAttribute
from dicomweb_server.wire.cursors import read_cursor
from dicomweb_server.wire.match_keys import Key, Switches, conditions_of

MAX_PARAMETERS = 1000
MAX_DEPTH = 8  # tags of a dotted path
MAX_OFFSET = 10**18
MAX_ORDER = 8  # attributes
_SHORT_NAME = 80  # characters of a name that is remembered

SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET = 0x00080005, 0x00080201
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E

_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_ONCE = frozenset({*_SWITCHES, "limit", "offset", "cursor", "orderby"})
# VRs of bytes and of nothing that could be written in a URL
_NOT_MATCHED = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
# Groups that are not of the data set: commands, File Meta Information, directories
_ELSEWHERE = frozenset({0x0000, 0x0002, 0x0004})
# Of which one is returned of instances to who names it: Google's toolkit for slides does.
_RETURNED = (0x00020010,)

_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_LIKE_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*|[0-9A-Fa-f]{8}", re.ASCII)
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
    creators: dict[int, str] = field(default_factory=dict)
    include: dict[Path, str] = field(default_factory=dict)  # with the names they were given
    include_all: bool = False
    once: dict[str, str] = field(default_factory=dict)
    zone: int | None = None
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
    local_zone: int = 0,
) -> ParsedSearch:
    """Read the query string of a search for entities of `level`, still percent-encoded.

    The UIDs are those the path of the resource fixes. `max_results` bounds the limit, and is the
    limit where none is given. `local_zone`: the archive's, in minutes east of UTC (MAT-05).
    Raises InvalidParameter for what does not follow the grammar (digest 4.2) or the VR of its
    attribute (QRY-14).
    """
    collected = _Collected()
    fixed = {STUDY_INSTANCE_UID: study_instance_uid, SERIES_INSTANCE_UID: series_instance_uid}
    for name, value in _parameters(query_string):
        if name == "includefield":
            _include(value, level, collected)
        elif name in _ONCE:
            if name in collected.once:
                raise InvalidParameter(name, value, "the parameter once")
            collected.once[name] = value
        elif _is_like_attribute(name):
            _match_key(name, value, fixed, collected)
        # other names are ignored (ERR-02)
    _settle_private(collected)
    once = collected.once
    orderby = once.get("orderby", "")
    query = SearchQuery(
        level=level,
        conditions=conditions_of(collected.keys, _switches(collected, local_zone)),
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        include=frozenset(collected.include),
        include_all=collected.include_all,
        limit=_count("limit", once.get("limit"), max_results, max_results),
        offset=_count("offset", once.get("offset"), 0, MAX_OFFSET),
        order=_order(orderby),
        after=read_cursor(once["cursor"], orderby) if "cursor" in once else None,
        reading=Reading(collected.creators, local_zone),
    )
    return ParsedSearch(query, tuple(_warnings(collected, query.conditions)))


def _parameters(query_string: bytes | str) -> Iterator[tuple[str, str]]:
    raw = (
        query_string
        if isinstance(query_string, bytes)
        else query_string.encode(errors="surrogatepass")
    )
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise InvalidParameter("query", "", f"at most {MAX_PARAMETERS} parameters")
    for piece in filter(None, raw.split(b"&")):
        raw_name, _, value = piece.partition(b"=")
        name = _decoded(raw_name)
        yield name, _decoded(value, keep_plus=_holds_plus(name))


def _holds_plus(name: str) -> bool:
    """Whether a bare plus in the value is the sign of a time zone (QRY-10)."""
    found = attribute_path(name) if _is_like_attribute(name) else None
    return found is not None and (found[1] == "DT" or found[0] == (TIMEZONE_OFFSET,))


def _decoded(raw: bytes, *, keep_plus: bool = False) -> str:
    """Undo percent-encoding and form-encoding: a bare plus is a space (QRY-10)."""
    shown = raw[:80].decode("ascii", "replace")
    if _BAD_ESCAPE.search(raw):
        raise InvalidParameter("query", shown, "percent signs encoded as %25")
    try:
        text = unquote_to_bytes(raw if keep_plus else raw.replace(b"+", b" ")).decode()
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


def _switches(collected: _Collected, local_zone: int) -> Switches:
    on = {}
    for name in _SWITCHES:
        value = collected.once.get(name, "false")
        if value not in ("true", "false"):
            raise InvalidParameter(name, value, "true or false")
        on[name] = value == "true"
    fuzzy, empty, multiple = (on[name] for name in _SWITCHES)
    return Switches(fuzzy, empty, multiple, collected.zone, local_zone)


def _order(text: str) -> tuple[OrderBy, ...]:
    """What to order by (an extension): attributes with commas between, a minus before what
    descends."""
    terms = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        found = attribute_path(name.removeprefix("-"))
        if found is None:
            raise InvalidParameter("orderby", _shown(name), "names of attributes")
        terms.append(OrderBy(found[0], name.startswith("-")))
    if len(terms) > MAX_ORDER:
        raise InvalidParameter("orderby", "", f"at most {MAX_ORDER} attributes")
    return tuple(terms)


# Names


def _is_like_attribute(name: str) -> bool:
    """Whether it is meant to name an attribute (QRY-11): keywords have a capital letter in front,
    all but dBdt, and misspelt ones too."""
    first = name.partition(".")[0]
    known = first and tag_of(first)
    return bool(known) or _LIKE_ATTRIBUTE.fullmatch(first) is not None


def _vr(tag: int) -> str | None:
    """The VR of a tag of the dictionary, None if it is in none; private tags are in none, but
    are attributes all the same. Of several VRs the first."""
    if tag >> 16 & 1:
        return "LO" if _is_creator(tag) else "UN"
    vr = vr_of(tag)
    return None if vr is None else vr.split(" ", 1)[0]


def _is_creator(tag: int) -> bool:
    """Whether it names a private block (PS3.5 §7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def attribute_path(name: str) -> tuple[Path, str] | None:
    """Where a dotted name of keywords and tags points, and the VR there; None if there is no
    such attribute: a part in no dictionary, or one that is no sequence before the last."""
    return _path_of_short(name) if len(name) <= _SHORT_NAME else _path_of(name)


def _path_of(name: str) -> tuple[Path, str] | None:
    parts = name.split(".", MAX_DEPTH)
    if len(parts) > MAX_DEPTH:
        return None
    path: list[int] = []
    vr: str | None = "SQ"  # a private attribute may be a sequence, too
    for part in parts:
        tag = int(part, 16) if _HEX.fullmatch(part) else tag_of(part)
        if not part or tag is None or vr not in ("SQ", "UN"):
            return None
        vr = _vr(tag)
        path.append(tag)
    return None if vr is None else (tuple(path), vr)


_path_of_short = lru_cache(maxsize=1000)(_path_of)  # clients ask for the same over and over


def _match_key(name: str, value: str, fixed: dict[int, str | None], collected: _Collected) -> None:
    """Take one match key, or note why it is not matched."""
    found = attribute_path(name)
    if found is None:
        # QRY-11: a misspelt PatientID that is ignored would show other patients
        raise UnknownAttribute(_shown(name), value, "the name of a DICOM attribute")
    path, vr = found
    if path in collected.seen:
        _again(name, path, value, collected)
        return
    collected.seen.add(path)
    attribute = _attribute(path[0])
    if path == (SPECIFIC_CHARACTER_SET,):  # QRY-15
        return
    if path == (TIMEZONE_OFFSET,):
        collected.zone = _zone(name, value)
    elif vr in _NOT_MATCHED or path[0] >> 16 in _ELSEWHERE or not _is_matchable(attribute, path):
        collected.not_matched.append(name)
    elif attribute is not None and _fixed_by_path(attribute, fixed):
        if fixed.get(attribute.tag) != value:
            collected.fixed.append(name)
    else:
        collected.keys[path] = Key(name, path, vr, value)


def _again(name: str, path: Path, value: str, collected: _Collected) -> None:
    """UIDs of one attribute may come one by one: wsidicom asks so for the slides of several
    series. Any other attribute stands once (digest 4.2)."""
    key = collected.keys.get(path)
    if key is None or key.vr != "UI" or not (key.value and value):
        raise InvalidParameter(name, value, "each attribute once")
    collected.keys[path] = replace(key, value=f"{key.value},{value}")


def _zone(name: str, value: str) -> int | None:
    """The zone that dates and times of the query are meant in (MAT-05)."""
    if not value.strip(" "):
        return None
    zone = zone_of(value)
    if zone is None:
        raise InvalidParameter(name, value, "an offset from UTC as +0100")
    return zone


def _attribute(tag: int) -> Attribute | None:
    level = level_of(tag)
    return None if level is None else ATTRIBUTES[level][tag]


def _is_matchable(attribute: Attribute | None, path: Path) -> bool:
    return attribute is None or (attribute.matchable and (len(path) == 1 or attribute.vr == "SQ"))


def _settle_private(collected: _Collected) -> None:
    """Give private attributes their creators, which have to be match keys too (digest 4.2)."""
    for path, key in list(collected.keys.items()):
        if _is_creator(path[-1]) and (creator := key.value.strip(" ")):
            collected.creators[_block(path[-1])] = creator
    blocks: dict[int, list[Path]] = {}
    for path in [*collected.keys, *collected.include]:
        for tag in path:
            if tag >> 16 & 1 and not _is_creator(tag):
                blocks.setdefault(_block(tag), []).append(path)
    for block, paths in blocks.items():
        if block in collected.creators:
            continue
        for path in paths:
            if path in collected.keys:
                key = collected.keys[path]
                expected = "its private creator, such as 00090010=NAME, as another match key"
                raise InvalidParameter(key.name, key.value, expected)
            collected.not_included.append(collected.include.pop(path, ""))
    for path in list(collected.keys):
        # Told by the attributes of its block: the creator may have another one in the data set.
        if _is_creator(path[-1]) and _block(path[-1]) in blocks:
            collected.keys[path] = replace(collected.keys[path], value="")


def _block(tag: int) -> int:
    """The first tag of a private block, from the tag of its creator or of an attribute in it."""
    return (tag & 0xFFFF0000) | (tag & 0xFF) << 8 if _is_creator(tag) else tag & 0xFFFFFF00


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
        found = attribute_path(name) if name != "all" else None
        if name == "all":
            collected.include_all = True
        elif found is None or (found[0][0] >> 16 in _ELSEWHERE and found[0] != _RETURNED):
            collected.not_included.append(name)
        elif (level_of(found[0][0]) or Level.INSTANCE) <= level:
            collected.include.setdefault(found[0], name)


# Warnings


def _warnings(collected: _Collected, conditions: Mapping[Path, Condition]) -> Iterator[str]:
    if collected.not_matched:
        yield f"The following attributes cannot be matched: {_named(collected.not_matched)}"
    if collected.fixed:
        yield (
            "The following attributes are fixed by the path of the resource "
            f"and have not been matched: {_named(collected.fixed)}"
        )
    if collected.zone is not None and (as_stored := list(_ranges(conditions))):
        keys = [collected.keys[path] for path in as_stored]
        if named := [key.name for key in keys if key.vr in ("DA", "TM")]:
            yield (
                "The following attributes have been matched as they are stored, "
                f"in whatever time zone: {_named(named)}"
            )
    if not_included := list(filter(None, collected.not_included)):
        yield f"The following attributes cannot be included: {_named(not_included)}"


def _ranges(conditions: Mapping[Path, Condition], within: Path = ()) -> Iterator[Path]:
    """Where there are ranges of one attribute, in items too."""
    for path, condition in conditions.items():
        if isinstance(condition, Range):
            yield within + path
        elif isinstance(condition, Item):
            yield from _ranges(condition.conditions, within + path)


def _named(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(_shown(name) for name in names))
    return ", ".join(distinct[:10]) + (" and others" if len(distinct) > 10 else "")


def _shown(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]", "?", name[:64])
