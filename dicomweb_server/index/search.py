"""Searches (PS3.18 §10.6, QIDO-RS): pages of what matches, and how much more there is.

They want a connection of a pool opened with ``plan_anew``: a plan for any name prefix was
measured a hundred times slower than one for this.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import orjson

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Found, Level, Returned, SearchQuery
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.database import Connection
from dicomweb_server.index.search_order import order_of
from dicomweb_server.index.search_statements import (
    TOTALS,
    Statement,
    compile_count,
    compile_search,
)
from dicomweb_server.index.search_ways import is_unrestricted

ADVICE = (
    "the search takes too long: restrict it further, by Study Date, Patient ID or Accession "
    "Number, or ask the operator to have the attribute indexed"
)

_TURN = 256  # rows, which take some milliseconds; then others get their turn
# Matches beyond a page that are counted: so many, or, where that seems to be great work, so many.
_COUNTED = (10_000, 1_000)
_SECONDS = 0.1  # that counting may take
_SECONDS_IF_BUSY = 2.0  # and where it is no great work
_NARROW = 16  # institutions or studies of a scope, for which a query's statement is kept
_COST = 25_000.0  # of a plan, in the planner's units: as much as it gets done in that time


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search, and the number of matches after it.

    Not `exact`: there are more than `remaining`, and counting them would take too long; if that
    is 0 nobody knows whether there is one more.
    """

    found: list[Found]
    remaining: int
    exact: bool = True


async def search(
    conn: Connection, scope: Scope, query: SearchQuery, returned: Returned
) -> SearchPage:
    """Find studies, series or instances, in the order of ``search_statements.order_of``.

    Raises NotFound if the study or series in the path of the resource does not exist (QRY-03),
    and InvalidParameter for an order that the index does not have.
    """
    found = await find(conn, scope, query, returned)
    if not found:
        await require_parent(conn, scope, query)
    if len(found) <= query.limit:
        return SearchPage(found, 0)
    del found[query.limit :]
    passed = query.offset + len(found)
    matches, exact = await _count(conn, scope, query, passed)
    return SearchPage(found, max(matches - passed, 0), exact)


async def find(
    conn: Connection, scope: Scope, query: SearchQuery, returned: Returned
) -> list[Found]:
    """What matches, one more than the limit if there is more. Raises Unavailable when it takes
    too long."""
    (statement, arguments), reader = _compiled(query, scope, returned)
    try:
        rows = await conn.fetch(statement, *arguments)
    except asyncpg.QueryCanceledError:
        raise Unavailable(ADVICE, retry_after=60) from None
    found = []
    for number, row in enumerate(rows):
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        found.append(reader.read(row))
    return found


def _compiled(query: SearchQuery, scope: Scope, returned: Returned) -> tuple[Statement, "_Reader"]:
    """The statement, and who reads its rows; made once for a query that is asked again and again,
    as work lists are, in one scope."""
    asked = (scope, returned)
    known = query.made.get(_Reader)
    if known is not None and known[0] == asked:
        compiled: tuple[Statement, _Reader] = known[1]
        return compiled
    compiled = compile_search(query, scope, returned), _Reader(query, returned)
    studies = scope.study_instance_uids or ()
    if len(scope.institution_ids) <= _NARROW and len(studies) <= _NARROW:
        query.made[_Reader] = asked, compiled
    return compiled


async def require_parent(conn: Connection, scope: Scope, query: SearchQuery) -> None:
    """Raises NotFound unless the study or series in the path of the resource exists (QRY-03)."""
    if query.study_instance_uid is None:
        return
    level = Level.STUDY if query.series_instance_uid is None else Level.SERIES
    parent = SearchQuery(
        level,
        study_instance_uid=query.study_instance_uid,
        series_instance_uid=query.series_instance_uid,
        limit=1,
    )
    if not await find(conn, scope, parent, Returned(frozenset())):
        raise NotFound(f"no such {level.name.lower()}")


async def _count(
    conn: Connection, scope: Scope, query: SearchQuery, passed: int
) -> tuple[int, bool]:
    """How many match, on all pages or those after the place of `query`, and whether that is all.

    For less than a statement where totals are kept; counted as far as a viewer may page, and
    beyond that only where it takes no time to speak of.
    """
    whole = replace(query, limit=0, offset=0)
    if is_unrestricted(query, scope):
        return await conn.fetchval(TOTALS[query.level], list(scope.institution_ids)), True
    for counted in _COUNTED:
        most = passed + counted + 1
        statement, arguments = compile_count(whole, scope, most)
        if await _cost(conn, statement, arguments) <= _COST:
            break
    matches = await _counted(conn, statement, arguments)
    if matches is None:
        return passed, False
    if matches < most:
        return matches, True
    statement, arguments = compile_count(whole, scope)
    if await _cost(conn, statement, arguments) > _COST:
        return most - 1, False
    all_of_them = await _counted(conn, statement, arguments)
    return (most - 1, False) if all_of_them is None else (all_of_them, True)


async def _counted(conn: Connection, statement: str, arguments: list[object]) -> int | None:
    """What a statement counts; None if that takes long because it is much, and not because the
    machine is busy."""
    try:
        count: int = await conn.fetchval(statement, *arguments, timeout=_SECONDS)
    except TimeoutError:
        if await _cost(conn, statement, arguments) > _COST / 10:
            return None
        try:
            count = await conn.fetchval(statement, *arguments, timeout=_SECONDS_IF_BUSY)
        except (TimeoutError, asyncpg.QueryCanceledError):
            return None
    except asyncpg.QueryCanceledError:
        return None
    return count


async def _cost(conn: Connection, statement: str, arguments: list[object]) -> float:
    """What the planner expects of a statement, in its own units."""
    plan = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)
    cost: float = orjson.loads(plan)[0]["Plan"]["Total Cost"]
    return cost


class _Reader:
    """Reads the rows of a search."""

    def __init__(self, query: SearchQuery, returned: Returned) -> None:
        self._level = query.level
        self._returned = returned
        self._columns = [(level, level.name.lower()) for level in sorted(returned.documents)]
        self._places = [f"place_{number}" for number in range(len(order_of(query)))]

    def read(self, row: Any) -> Found:
        found = Found(
            row["study_instance_uid"],
            tuple([row[place] for place in self._places]),
            {level: row[column] for level, column in self._columns},
            tuple(row["modalities"]),
            number_of_study_related_series=row["number_of_series"],
            number_of_study_related_instances=row["number_of_instances"],
        )
        if self._returned.sop_classes:
            found.sop_classes_in_study = tuple(row["sop_classes"])
        if self._level >= Level.SERIES:
            found.series_instance_uid = row["series_instance_uid"]
            found.number_of_series_related_instances = row["number_in_series"]
        if self._level >= Level.INSTANCE:
            found.sop_instance_uid = row["sop_instance_uid"]
            found.transfer_syntax_uid = row["transfer_syntax_uid"]
        if self._returned.metadata:
            found.metadata = row["metadata"]
        return found
