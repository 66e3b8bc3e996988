"""Searches (PS3.18 §10.6, QIDO-RS) as SQL text.

A search is one statement. Its inner part pages over the keys alone, in an order that ends in a
unique column; its outer part fetches what is returned for the rows of that page, so that a deep
offset passes over index entries and not over rows.

What restricts the institutions decides how the inner part goes: an index walked for one of them
is in the order that is asked for, one walked for ANY of several is not. So several are walked
each for itself, a page of each at most (LATERAL), unless a key is so exact that order does not
matter. Likewise each of several modalities.
"""

import re
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import (
    Condition,
    Equal,
    Item,
    Level,
    Path,
    Returned,
    SearchQuery,
    UidList,
    Universal,
    Wildcard,
)
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.index.attribute_conditions import compile_indexed
from dicomweb_server.index.conditions import COLUMNS, Arguments, compile_condition, level_at

_FARTHEST = 2**40  # rows; no archive has more, and bigint holds it
_MODALITY, _MODALITIES_IN_STUDY = (0x00080060,), (0x00080061,)
_NAMES = frozenset({(0x00100010,), (0x00080090,)})
# Keys of which few entities have the same value.
_IDENTIFIERS = frozenset(
    {0x0020000D, 0x00100020, 0x00080050, 0x00200010, 0x0020000E, 0x00080018, 0x00400275}
)
_ORDERED_BY = frozenset({"text", "uid", "name", "number", "day", "date", "time"})

_TABLES = {
    Level.STUDY: "studies s",
    Level.SERIES: "studies s JOIN series e ON e.study_id = s.id",
    Level.INSTANCE: "studies s JOIN series e ON e.study_id = s.id "
    "JOIN instances i ON i.series_id = e.id",
}
# The walk through the studies of a modality: it has the columns that the order goes by, under
# the same names; t has the others.
_BY_MODALITY = "study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)"
_NOT_IN_WALK = re.compile(r"\bs\.(?!(?:id|sort_key|institution_id|study_instance_uid)\b)")

_KEY = {Level.STUDY: "s.id", Level.SERIES: "e.id", Level.INSTANCE: "i.id"}
_COUNTER = {
    (Level.STUDY, Level.SERIES): "s.number_of_series",
    (Level.STUDY, Level.INSTANCE): "s.number_of_instances",
    (Level.SERIES, Level.INSTANCE): "e.number_of_instances",
}
_RETURNED = {
    Level.STUDY: "s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances",
    Level.SERIES: "e.series_instance_uid, e.number_of_instances AS number_in_series",
    Level.INSTANCE: "i.sop_instance_uid, i.transfer_syntax_uid",
}
_DOCUMENT = {
    Level.STUDY: "s.document AS study",
    Level.SERIES: "e.document AS series",
    Level.INSTANCE: "i.document AS instance",
}
_SOP_CLASSES = """ARRAY (SELECT DISTINCT unnest(c.sop_classes) FROM series c
                          WHERE c.study_id = s.id ORDER BY 1) AS sop_classes"""

Statement = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class Term:
    """One of the things that results are ordered by. What has no value comes last, descending
    first: so an index serves both ways."""

    sql: str
    descending: bool = False
    number: bool = False

    def ordered(self, name: str) -> str:
        return f"{name} DESC" if self.descending else name


_ORDER = {
    Level.STUDY: (
        Term("s.sort_key", descending=True, number=True),
        Term("s.study_instance_uid"),
        Term("s.id", number=True),
    ),
    Level.SERIES: (Term("e.series_number", number=True), Term("e.series_instance_uid")),
    Level.INSTANCE: (Term("i.instance_number", number=True), Term("i.sop_instance_uid")),
}


def order_of(query: SearchQuery) -> tuple[Term, ...]:
    """The newest study first, then by its UID; series by number and UID; instances by number and
    UID; before all of it what the query wants.

    Raises InvalidParameter for what has no column of the query's level or above.
    """
    terms: dict[str, Term] = {}
    for wanted in query.order:
        column = COLUMNS.get(wanted.path[0])
        if (
            column is None
            or len(wanted.path) > 1
            or column.kind not in _ORDERED_BY
            or column.level > query.level
        ):
            name = ".".join(f"{tag:08X}" for tag in wanted.path)
            raise InvalidParameter("orderby", name, "an indexed attribute of the level or above")
        sql = "s.sort_key" if column.kind == "day" else column.sql
        terms.setdefault(sql, Term(sql, wanted.descending, column.kind in ("day", "number")))
    for level in Level:
        if level <= query.level:
            for term in _ORDER[level]:
                terms.setdefault(term.sql, term)
    return tuple(terms.values())


def compile_search(query: SearchQuery, scope: Scope, returned: Returned) -> Statement:
    """The statement of `query`, and its arguments. It gives up to ``query.limit + 1`` rows, of
    which the last one says that there are more.

    Conditions that SQL does not answer (``conditions.is_answered``) are not in it, but for what
    ``query.indexed`` says of them.
    """
    level, arguments = query.level, Arguments()
    terms = order_of(query)
    page = _page(query, scope, terms, arguments)
    columns = [_RETURNED[each] for each in Level if each <= level]
    columns += [_DOCUMENT[each] for each in sorted(returned.documents)]
    columns += ["i.metadata"] * returned.metadata + [_SOP_CLASSES] * returned.sop_classes
    columns += [f"{term.sql} AS place_{number}" for number, term in enumerate(terms)]
    order = ", ".join(term.ordered(term.sql) for term in terms)
    return (
        f"SELECT {', '.join(columns)} FROM ({page}) AS page, {_TABLES[level]} "  # noqa: S608
        f"WHERE {_KEY[level]} = page.key ORDER BY {order}",
        arguments,
    )


def _page(query: SearchQuery, scope: Scope, terms: tuple[Term, ...], arguments: Arguments) -> str:
    key = _KEY[query.level]
    modalities = _walked_modalities(query, scope)
    where = _where(query, scope, arguments, walked=modalities is not None)
    if query.after is not None:
        where.append(_after(terms, query.after, arguments))
    order = ", ".join(term.ordered(term.sql) for term in terms)
    limit = f"{arguments.add(query.limit + 1)}::bigint"
    offset = f"{arguments.add(min(query.offset, _FARTHEST))}::bigint"
    each = _walks_each(query, scope)
    walks = []
    if each:
        walks.append(f"unnest({arguments.add(list(scope.institution_ids))}::int[]) AS own (id)")
        where.insert(0, "s.institution_id = own.id")
    else:
        where[:0] = _institutions(query, scope, arguments)
    if modalities and len(modalities) > 1:
        walks.append(f"unnest({arguments.add(list(modalities))}::text[]) AS wanted (modality)")
        where.append("s.modality = wanted.modality")
    elif modalities:
        where.append(f"s.modality = {arguments.add(modalities[0])}")
    source = _source(query.level, where, walked=modalities is not None)
    if not walks:
        return f"SELECT {key} AS key FROM {source} ORDER BY {order} LIMIT {limit} OFFSET {offset}"  # noqa: S608
    places = ", ".join(f"{term.sql} AS place_{number}" for number, term in enumerate(terms))
    walk = (
        f"SELECT {key} AS key, {places} FROM {source} "  # noqa: S608
        f"ORDER BY {order} LIMIT {limit} + {offset}"
    )
    names = [f"place_{number}" for number in range(len(terms))]
    order = ", ".join(term.ordered(name) for term, name in zip(terms, names, strict=True))
    distinct = "DISTINCT " if modalities and len(modalities) > 1 else ""
    return (
        f"SELECT {distinct}key, {', '.join(names)} "  # noqa: S608
        f"FROM {' CROSS JOIN '.join(walks)} CROSS JOIN LATERAL ({walk}) AS walk "
        f"ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    )


def _source(level: Level, where: list[str], *, walked: bool) -> str:
    condition = " AND ".join(where) or "TRUE"
    tables = _TABLES[level]
    if walked:
        condition = _NOT_IN_WALK.sub("t.", condition.replace("s.modality =", "\0"))
        condition = condition.replace("\0", "s.modality =")
        rest = " JOIN studies t ON t.id = s.id" if "t." in condition else ""
        tables = tables.replace("studies s", f"{_BY_MODALITY}{rest}", 1)
    return f"{tables} WHERE {condition}"


def compile_count(query: SearchQuery, scope: Scope, most: int | None = None) -> Statement:
    """The statement that counts the matches of `query` on all its pages, `most` of them."""
    arguments = Arguments()
    # Where no condition is on the level itself, the counters of the level above know.
    level = _deepest(query)
    modalities = _walked_modalities(query, scope) if level is query.level else None
    walked = modalities is not None and len(modalities) == 1
    where = _where(query, scope, arguments, walked=walked)
    where[:0] = _institutions(query, scope, arguments)
    if walked and modalities is not None:
        where.append(f"s.modality = {arguments.add(modalities[0])}")
    source = _source(level, where, walked=walked)
    count = "count(*)"
    if level is not query.level:
        count = f"coalesce(sum({_COUNTER[level, query.level]}), 0)"
    elif most is not None:
        source = f"(SELECT FROM {source} LIMIT {arguments.add(most)}) AS counted"
    return f"SELECT ({count})::bigint FROM {source}", arguments  # noqa: S608


def _deepest(query: SearchQuery) -> Level:
    """The lowest level, down to the query's, that a condition or the path speaks of."""
    levels = [Level.STUDY if query.series_instance_uid is None else Level.SERIES]
    levels += [level_at(path) for path in _asked(query)]
    levels += [level_at(each.path) for each in query.indexed]
    return min(max(levels), query.level)


def _asked(query: SearchQuery) -> dict[Path, Condition]:
    return {
        path: condition
        for path, condition in query.conditions.items()
        if not isinstance(condition, Universal)
    }


def is_unrestricted(query: SearchQuery, scope: Scope) -> bool:
    """Whether all that the institutions have is found."""
    return (
        scope.study_instance_uids is None
        and query.study_instance_uid is None
        and not _asked(query)
        and not query.indexed
    )


TOTALS = {
    level: f"SELECT coalesce(sum({column}), 0)::bigint FROM institution_totals "  # noqa: S608
    "WHERE institution_id = ANY ($1::int[])"
    for level, column in zip(Level, ("studies", "series", "instances"), strict=True)
}


def _is_exact(query: SearchQuery, scope: Scope) -> bool:
    """Whether so few can match that no order of an index is needed."""
    return (
        scope.study_instance_uids is not None
        or query.study_instance_uid is not None
        or any(
            path[0] in _IDENTIFIERS and isinstance(condition, Equal | UidList | Item)
            for path, condition in query.conditions.items()
        )
        or any(isinstance(each.condition, Equal) for each in query.indexed)
    )


def _walked_modalities(query: SearchQuery, scope: Scope) -> tuple[str, ...] | None:
    """The modalities whose walk is the best way: nothing that is asked is rarer."""
    if query.order or _is_exact(query, scope):
        return None
    for path, condition in query.conditions.items():
        if isinstance(condition, Universal):
            continue
        if path in _NAMES or (path[0] in _IDENTIFIERS and isinstance(condition, Wildcard)):
            return None
    for path in (_MODALITIES_IN_STUDY, _MODALITY):
        condition = query.conditions.get(path, Universal())
        if isinstance(condition, Equal):
            return tuple(dict.fromkeys(value.rstrip(" \0") for value in condition.values))
    return None


def _walks_each(query: SearchQuery, scope: Scope) -> bool:
    """Whether each institution is walked for itself."""
    if len(scope.institution_ids) == 1 or _is_exact(query, scope):
        return False
    if not scope.everything:
        return True
    if _walked_modalities(query, scope) is not None:
        return True
    return any(
        path in _NAMES and isinstance(condition, Equal | Wildcard) and not _is_infix(condition)
        for path, condition in query.conditions.items()
    )


def _is_infix(condition: Equal | Wildcard) -> bool:
    return isinstance(condition, Wildcard) and all(
        pattern.startswith(("*", "?")) for pattern in condition.patterns
    )


def _institutions(query: SearchQuery, scope: Scope, arguments: Arguments) -> list[str]:
    """Equality where it can be: an index walked for ANY of a list is not in order. Nothing where
    all are meant."""
    if scope.everything and not _is_exact(query, scope):
        return []
    match scope.institution_ids:
        case (one,):
            return [f"s.institution_id = {arguments.add(one)}"]
        case several:
            return [f"s.institution_id = ANY ({arguments.add(list(several))}::int[])"]


def _where(query: SearchQuery, scope: Scope, arguments: Arguments, *, walked: bool) -> list[str]:
    """All that restricts the search but its institutions and, if they are `walked`, modalities."""
    parts = []
    if scope.study_instance_uids is not None:
        granted = arguments.add(list(scope.study_instance_uids))
        parts.append(f"s.study_instance_uid = ANY ({granted}::text[])")
    if query.study_instance_uid is not None:
        parts.append(f"s.study_instance_uid = {arguments.add(query.study_instance_uid)}")
    if query.series_instance_uid is not None:
        parts.append(f"e.series_instance_uid = {arguments.add(query.series_instance_uid)}")
    asked = _asked(query)
    if walked and isinstance(asked.get(_MODALITIES_IN_STUDY), Equal):
        del asked[_MODALITIES_IN_STUDY]
    elif not walked and isinstance(modality := asked.get(_MODALITY), Equal):  # implied
        parts.append(compile_condition(_MODALITIES_IN_STUDY, modality, arguments))
    below: dict[Level, list[str]] = {}
    for path, condition in asked.items():
        level = level_at(path)
        expression = compile_condition(path, condition, arguments)
        if expression != "TRUE":
            (parts if level <= query.level else below.setdefault(level, [])).append(expression)
    for each in query.indexed:
        level = level_at(each.path)
        expression = compile_indexed(each, scope.institution_ids, arguments)
        (parts if level <= query.level else below.setdefault(level, [])).append(expression)
    if below:
        parts.append(_exists(query.level, below))
    return parts


def _exists(level: Level, below: dict[Level, list[str]]) -> str:
    """That one entity beneath meets all the conditions on its level (QRY-02)."""
    tables = {
        (Level.STUDY, Level.SERIES): "series e WHERE e.study_id = s.id",
        (Level.STUDY, Level.INSTANCE): "series e JOIN instances i ON i.series_id = e.id "
        "WHERE e.study_id = s.id",
        (Level.SERIES, Level.INSTANCE): "instances i WHERE i.series_id = e.id",
    }[level, max(below)]
    expressions = [expression for each in below.values() for expression in each]
    return f"EXISTS (SELECT FROM {tables} AND {' AND '.join(expressions)})"


def _after(
    terms: tuple[Term, ...], place: tuple[int | str | None, ...], arguments: Arguments
) -> str:
    """What comes after `place` in the order of `terms`, or of the first of them.

    Besides the whole truth there is a bound on the first term alone, from which an index goes on.
    Raises InvalidParameter for a place of another order.
    """
    if not 0 < len(place) <= len(terms) or not all(
        value is None or isinstance(value, int) == term.number
        for term, value in zip(terms, place, strict=False)
    ):
        raise InvalidParameter("cursor", "", "that of the same search")
    values = [
        f"{arguments.add(value)}::{'bigint' if term.number else 'text'}"
        for term, value in zip(terms, place, strict=False)
    ]
    ways = []
    same: list[str] = []
    for term, value, known in zip(terms, values, place, strict=False):
        ways.append(" AND ".join([*same, _beyond(term, value, known)]))
        same.append(f"{term.sql} IS NULL" if known is None else f"{term.sql} = {value}")
    first = terms[0]
    after = f"({' OR '.join(ways)})"
    if first.sql == "s.sort_key":  # which is never NULL
        return f"s.sort_key {'<=' if first.descending else '>='} {values[0]} AND {after}"
    return after


def _beyond(term: Term, value: str, known: int | str | None) -> str:
    if term.descending:
        return f"{term.sql} IS NOT NULL" if known is None else f"{term.sql} < {value}"
    return "FALSE" if known is None else f"({term.sql} > {value} OR {term.sql} IS NULL)"
