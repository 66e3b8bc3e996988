"""What of its results a search returns (PS3.18 §10.6.3.3, digest 4.4)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from dicomweb_server.dicom.attributes import ATTRIBUTES, Attribute
from dicomweb_server.dicom.query import Condition, Item, Level, Path, Returned, SearchQuery
from dicomweb_server.dicom.search_document import line_of

TRANSFER_SYNTAX_UID = 0x00020010
_FEW = 64  # paths of a query that is remembered
_REQUEST_ATTRIBUTES = 0x00400275
# Of a sequence, what is returned by default: these of each item, empty if unknown
WITHIN: dict[int, dict[str, str]] = {_REQUEST_ATTRIBUTES: {"00400009": "SH", "00401001": "SH"}}
_UIDS = {Level.STUDY: b"0020000D", Level.SERIES: b"0020000E", Level.INSTANCE: b"00080018"}
# What the documents of more than one level may have; each has its own.
_OF_SEVERAL_LEVELS = {
    attribute.key.encode()
    for level, table in ATTRIBUTES.items()
    for tag, attribute in table.items()
    if any(tag in other for each, other in ATTRIBUTES.items() if each != level)
}

Asked = frozenset[tuple[int, frozenset[Path]]]  # tags, and of each what of its items


@dataclass(frozen=True)
class Returning:
    """What is returned of an entity: attributes by their names, in bytes.

    `read`: the levels whose documents are read, and what of these is another level's. `computed`:
    what the index counts, by level. `names`: all that a result may have but for those of the
    metadata, ascending; `defaults`: their lines, where they are there without a value too.
    `trimmed`: sequences of which not all items' attributes are returned. `metadata`: what is kept
    at no level, by tag. `signature` is the same only for what returns the same.
    """

    first: Level
    asked: Mapping[int, frozenset[Path]]
    read: tuple[tuple[Level, frozenset[bytes]], ...]
    computed: Mapping[Level, frozenset[bytes]]
    names: list[bytes]
    defaults: list[bytes | None]
    empty: Mapping[bytes, bytes]
    trimmed: Mapping[bytes, Attribute]
    metadata: Mapping[int, frozenset[Path]]
    signature: str

    @cached_property
    def fetched(self) -> Returned:
        """What of the results is needed."""
        return Returned(
            documents=frozenset(level for level, _ in self.read),
            metadata=bool(self.metadata),
            sop_classes=b"00080062" in self.computed[Level.STUDY],
        )

    def in_order(self, names: Iterable[bytes]) -> tuple[list[bytes], list[bytes | None]]:
        """The names in the order of a result, and the line of each that is there without a
        value too."""
        in_order = sorted(names)
        return in_order, [self.empty.get(name) for name in in_order]


def returning(query: SearchQuery) -> Returning:
    """What `query` wants returned."""
    known: Returning | None = query.made.get(Returning)
    if known is None:
        known = query.made[Returning] = _made(query)
    return known


def _made(query: SearchQuery) -> Returning:
    asked = frozenset((tag, frozenset(paths)) for tag, paths in _asked(query).items())
    few = sum(len(paths) for _, paths in asked) <= _FEW
    found = _returning_few if few else _returning
    return found(query.level, _first_level(query), query.include_all, asked)


def _returning(level: Level, first: Level, everything: bool, asked: Asked) -> Returning:
    tags = dict(asked)
    chosen: dict[Level, Mapping[bytes, Attribute]] = {}
    computed: dict[Level, frozenset[bytes]] = {}
    empty: dict[bytes, bytes] = {}
    for each in Level:
        if each <= level:
            of_level = _chosen_of(each, frozenset(tags), each >= first, everything)
            chosen[each], computed[each] = of_level[:2]
            empty.update(of_level[2])
    names = {key for each, key in _UIDS.items() if each <= level}
    names.update(*chosen.values(), *computed.values())
    if level is Level.INSTANCE and TRANSFER_SYNTAX_UID in tags:
        names.add(b"00020010")  # [D], of the form that can be had
    in_order = sorted(names)
    return Returning(
        first=first,
        asked=tags,
        read=tuple(
            (each, frozenset(_OF_SEVERAL_LEVELS - attributes.keys()))
            for each, attributes in chosen.items()
            if attributes
        ),
        computed=computed,
        names=in_order,
        defaults=[empty.get(name) for name in in_order],
        empty=empty,
        trimmed={
            key: attribute
            for attributes in chosen.values()
            for key, attribute in attributes.items()
            if attribute.vr == "SQ"
            and not (everything and attribute.level >= first)
            and () not in tags.get(attribute.tag, ())
        },
        metadata=_unkept(level, tags),
        signature=repr(
            (level, first, everything, sorted((tag, sorted(paths)) for tag, paths in asked))
        ),
    )


_returning_few = lru_cache(maxsize=256)(_returning)  # clients ask for the same over and over


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


def _unkept(level: Level, asked: Mapping[int, frozenset[Path]]) -> Mapping[int, frozenset[Path]]:
    """What a search for instances returns of attributes that are kept at no level: by their tag,
    what of their items; the empty path is all of it."""
    if level is not Level.INSTANCE:
        return {}
    return {
        tag: paths
        for tag, paths in asked.items()
        if tag != TRANSFER_SYNTAX_UID and not any(tag in table for table in ATTRIBUTES.values())
    }


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
    for tag, within in WITHIN.items():  # its bare name as a match key asks for its default
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
