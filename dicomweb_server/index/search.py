"""Searches (PS3.18 §10.6, QIDO-RS) as SQL.

A search is one statement. Its inner part pages over the keys alone, in an order that ends in a
unique column; its outer part fetches what is returned for the rows of that page, so that a deep
offset passes over index entries and not over rows.

It wants a connection of a pool opened with ``plan_anew``: a plan for any name prefix was
measured a hundred times slower than one for this.
"""

from dataclasses import dataclass
from typing import Any

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Equal, Found, Level, SearchQuery, Universal
from dicomweb_server.errors import NotFound
from dicomweb_server.index.conditions import Arguments, column_of, compile_condition
from dicomweb_server.index.database import Connection


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search, and the number of matches after it."""

    found: list[Found]
    remaining: int


_MODALITY = (0x00080060,)
_FARTHEST = 2**40  # rows; no archive has more, and bigint holds it

_NEWEST = "s.sort_key DESC, s.study_instance_uid, s.id"
_SERIES_ORDER = "e.series_number NULLS LAST, e.series_instance_uid"
_ORDER = {
    Level.STUDY: _NEWEST,
    Level.SERIES: f"{_NEWEST}, {_SERIES_ORDER}",
    Level.INSTANCE: f"{_NEWEST}, {_SERIES_ORDER}, i.instance_number NULLS LAST, i.sop_instance_uid",
}
_TABLES = {
    Level.STUDY: "studies s",
    Level.SERIES: "studies s JOIN series e ON e.study_id = s.id",
    Level.INSTANCE: "studies s JOIN series e ON e.study_id = s.id "
    "JOIN instances i ON i.series_id = e.id",
}
_KEY = {Level.STUDY: "s.id", Level.SERIES: "e.id", Level.INSTANCE: "i.id"}
_COUNTER = {
    (Level.STUDY, Level.SERIES): "s.number_of_series",
    (Level.STUDY, Level.INSTANCE): "s.number_of_instances",
    (Level.SERIES, Level.INSTANCE): "e.number_of_instances",
}
_RETURNED = {
    Level.STUDY: "s.study_instance_uid, s.attributes AS study, s.modalities, "
    "s.number_of_series, s.number_of_instances",
    Level.SERIES: "e.series_instance_uid, e.attributes AS series, "
    "e.number_of_instances AS number_in_series",
    Level.INSTANCE: "i.sop_instance_uid, i.attributes AS instance, i.transfer_syntax_uid",
}


def compile_search(query: SearchQuery, scope: Scope) -> tuple[str, list[object]]:
    """The statement of `query`, and its arguments. It gives up to ``query.limit + 1`` rows, of
    which the last one says that there are more.

    Raises InvalidParameter for a condition that the index cannot evaluate.
    """
    level = query.level
    arguments = Arguments()
    where = _where(query, scope, arguments)
    limit = f"{arguments.add(query.limit + 1)}::bigint"
    offset = f"{arguments.add(min(query.offset, _FARTHEST))}::bigint"
    order = f"ORDER BY {_ORDER[level]}"
    if level is Level.STUDY and len(scope.institution_ids) > 1:
        # A walk an institution, of a page at most, and not one through all that others have.
        walk = (
            "SELECT s.id, s.sort_key, s.study_instance_uid "  # noqa: S608
            f"FROM {_TABLES[level]} WHERE s.institution_id = own.id AND {where} "
            f"{order} LIMIT {limit} + {offset}"
        )
        own = f"unnest({arguments.add(list(scope.institution_ids))}::integer[]) AS own (id)"
        source = f"{own} CROSS JOIN LATERAL ({walk}) AS s"
    else:
        source = f"{_TABLES[level]} WHERE {_institutions(scope, arguments)} AND {where}"
    page = (
        f"SELECT {_KEY[level]} AS key FROM {source} "  # noqa: S608
        f"{order} LIMIT {limit} OFFSET {offset}"
    )
    returned = ", ".join(_RETURNED[each] for each in Level if each <= level)
    return (
        f"SELECT {returned} FROM ({page}) AS page, {_TABLES[level]} "  # noqa: S608
        f"WHERE {_KEY[level]} = page.key {order}",
        arguments,
    )


def compile_count(query: SearchQuery, scope: Scope) -> tuple[str, list[object]]:
    """The statement that counts the matches of `query` on all its pages, and its arguments."""
    arguments = Arguments()
    where = _where(query, scope, arguments)
    # Where no condition is on the level itself, the counters of the level above know.
    level = _deepest(query)
    count = (
        "count(*)" if level is query.level else f"coalesce(sum({_COUNTER[level, query.level]}), 0)"
    )
    return (
        f"SELECT ({count})::bigint FROM {_TABLES[level]} "  # noqa: S608
        f"WHERE {_institutions(scope, arguments)} AND {where}",
        arguments,
    )


def _deepest(query: SearchQuery) -> Level:
    """The lowest level, down to the query's, that a condition or the path speaks of."""
    levels = [Level.STUDY if query.series_instance_uid is None else Level.SERIES]
    for path, condition in query.conditions.items():
        if not isinstance(condition, Universal):
            levels.append(column_of(path).level)
    return min(max(levels), query.level)


def _institutions(scope: Scope, arguments: Arguments) -> str:
    """Equality where it can be: an index walked for ANY of a list is not in order."""
    match scope.institution_ids:
        case (one,):
            return f"s.institution_id = {arguments.add(one)}"
        case several:
            return f"s.institution_id = ANY ({arguments.add(list(several))}::integer[])"


def _where(query: SearchQuery, scope: Scope, arguments: Arguments) -> str:
    """All that restricts the search but its institutions."""
    parts = []
    if scope.study_instance_uids is not None:
        granted = arguments.add(list(scope.study_instance_uids))
        parts.append(f"s.study_instance_uid = ANY ({granted}::text[])")
    if query.study_instance_uid is not None:
        parts.append(f"s.study_instance_uid = {arguments.add(query.study_instance_uid)}")
    if query.series_instance_uid is not None:
        parts.append(f"e.series_instance_uid = {arguments.add(query.series_instance_uid)}")
    modality = query.conditions.get(_MODALITY)
    if isinstance(modality, Equal):  # implied, and what an index can answer
        parts.append(compile_condition((0x00080061,), modality, arguments))
    below: dict[Level, list[str]] = {}
    for path, condition in query.conditions.items():
        level = column_of(path).level
        if isinstance(condition, Universal):
            continue
        expression = compile_condition(path, condition, arguments)
        (parts if level <= query.level else below.setdefault(level, [])).append(expression)
    if below:
        parts.append(_exists(query.level, below))
    return " AND ".join(parts) or "TRUE"


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


async def search(conn: Connection, scope: Scope, query: SearchQuery) -> SearchPage:
    """Find studies, series or instances: the newest study first, then by its UID; series by
    number and UID; instances by number and UID; numbers that are unknown last.

    Raises NotFound if the study or series in the path of the resource does not exist (QRY-03),
    and InvalidParameter for a condition that the index cannot evaluate.
    """
    statement, arguments = compile_search(query, scope)
    rows = await conn.fetch(statement, *arguments)
    if not rows and query.study_instance_uid is not None:
        await _require_parent(conn, scope, query)
    found = [_found(row, query.level) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return SearchPage(found, 0)
    statement, arguments = compile_count(query, scope)
    matches = await conn.fetchval(statement, *arguments)
    return SearchPage(found, max(matches - query.offset - len(found), 0))


async def _require_parent(conn: Connection, scope: Scope, query: SearchQuery) -> None:
    level = Level.STUDY if query.series_instance_uid is None else Level.SERIES
    parent = SearchQuery(
        level,
        study_instance_uid=query.study_instance_uid,
        series_instance_uid=query.series_instance_uid,
        limit=0,
    )
    statement, arguments = compile_search(parent, scope)
    if not await conn.fetch(statement, *arguments):
        raise NotFound(f"no such {level.name.lower()}")


def _found(row: Any, level: Level) -> Found:
    below: dict[str, Any] = {}
    if level >= Level.SERIES:
        below |= {
            "series_instance_uid": row["series_instance_uid"],
            "series": row["series"].encode(),
            "number_of_series_related_instances": row["number_in_series"],
        }
    if level >= Level.INSTANCE:
        below |= {
            "sop_instance_uid": row["sop_instance_uid"],
            "instance": row["instance"].encode(),
            "transfer_syntax_uid": row["transfer_syntax_uid"],
        }
    return Found(
        row["study_instance_uid"],
        row["study"].encode(),
        tuple(row["modalities"]),
        row["number_of_series"],
        row["number_of_instances"],
        **below,
    )
