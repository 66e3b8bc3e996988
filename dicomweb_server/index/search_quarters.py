"""Searches that go through the quarters of years, the newest first.

What has the keys of a name in a quarter is looked up and put in order, quarter by quarter, until
the page is full: Postgres sorts a quarter at a time (incremental sort) and stops. Where very many
of a quarter have them, the studies of the quarter are passed instead, in order: few are needed for
a page. Which quarters there are is looked up as well, a few entries of an index for each.

In an archive without dates all studies are of one quarter, and to collect those that have a key
takes longer the more there are. So there the newest are passed before anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import DateTimeRange, SearchQuery
from dicomweb_server.index.conditions import Arguments, seconds_between
from dicomweb_server.index.name_keys import Way, compile_keys
from dicomweb_server.index.search_order import NOT_IN_ORDER, Term, ordered, places
from dicomweb_server.index.search_ways import STUDY_DATE

MOST = 5_000  # studies of a quarter that are fetched by keys; of more, those in order are passed
NEWEST = 1_000  # studies that are passed before anything else, if they are of one day
_LAST = 2**63 - 1

# ruff: noqa: S608 (values are arguments)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the parts of the statement are made of; conditions are on studies s."""

    institutions: Sequence[int]
    ways: Sequence[Way]  # to have the keys
    where: Sequence[str]  # all conditions
    along: Sequence[str]  # those that the order of time answers
    terms: tuple[Term, ...]
    wanted: str  # the page and what the offset passes
    arguments: Arguments


def by_quarters(
    query: SearchQuery,
    scope: Scope,
    ways: Sequence[Way],
    where: Sequence[str],
    terms: tuple[Term, ...],
    page: tuple[str, str],
    arguments: Arguments,
) -> str:
    """The keys of a page, with its limit and offset, of studies that meet all of `where`."""
    limit, offset = page
    wanted = f"{limit} + {offset}"
    along = _along(query, where, arguments)
    parts = _Parts(scope.institution_ids, ways, where, along, terms, wanted, arguments)
    if len(scope.institution_ids) > 1:
        # The quarters of all in the archive: a look at one index, not at one for each, and where
        # they have nothing there is nothing found.
        found = f"WITH RECURSIVE {_quarters(along, 'TRUE')} {_far(parts)}"
        return f"{found} LIMIT {limit} OFFSET {offset}"
    bounds = [f"s.institution_id = {arguments.add(scope.institution_ids[0])}", *along]
    enough = f"(SELECT count(*) FROM near) >= {wanted}"
    return (
        f"WITH RECURSIVE near AS MATERIALIZED ({_near(parts, bounds)}), "
        f"{_quarters(bounds, f'NOT {enough}')} "
        f"SELECT key FROM (SELECT * FROM near WHERE {enough} "
        f"UNION ALL ({_far(parts)} LIMIT {wanted})) AS studies "
        f"ORDER BY {ordered(terms, by_place=True)} LIMIT {limit} OFFSET {offset}"
    )


def _along(query: SearchQuery, where: Sequence[str], arguments: Arguments) -> list[str]:
    """Of the conditions what an index that is in the order of results answers by itself."""
    along = [each for each in where if "SELECT" not in each and not NOT_IN_ORDER.search(each)]
    days = query.conditions.get(STUDY_DATE)
    if isinstance(days, DateTimeRange) and days.zone is None:
        along += seconds_between(days, arguments)
    return along


def _near(parts: _Parts, bounds: Sequence[str]) -> str:
    """What is wanted of the newest studies within `bounds`, if they are of one day."""
    newest = parts.arguments.add(NEWEST)
    order = ordered(parts.terms)
    walk = f"FROM studies s WHERE {' AND '.join(bounds)} ORDER BY {order}"

    def day(offset: str) -> str:
        return f"(SELECT s.sort_key / 1000000 {walk} LIMIT 1 OFFSET {offset})"

    conditions = " AND ".join([f"{day('0')} = {day(newest)}", *parts.where])
    return (
        f"SELECT s.id AS key, {places(parts.terms)} "
        f"FROM (SELECT s.* {walk} LIMIT {newest} OFFSET 0) AS s "
        f"WHERE {conditions} ORDER BY {order} LIMIT {parts.wanted}"
    )


def _quarters(bounds: Sequence[str], needed: str) -> str:
    """The quarters that have studies within `bounds`, if they are `needed`, for a WITH clause."""

    def newest(*before: str) -> str:
        where = " AND ".join([*before, *bounds]) or "TRUE"
        return f"(SELECT s.sort_key FROM studies s WHERE {where} ORDER BY s.sort_key DESC LIMIT 1)"

    return (
        f"found (begin, beyond) AS (SELECT quarter_of({newest()}), {_LAST} WHERE {needed} "
        f"UNION ALL SELECT quarter_of({newest('s.sort_key < found.begin')}), found.begin "
        "FROM found WHERE found.begin IS NOT NULL), "
        "quarters AS ("
        "SELECT * FROM found WHERE begin IS NOT NULL ORDER BY begin DESC OFFSET 0)"
    )


def _far(parts: _Parts) -> str:
    """What meets all conditions in the ``quarters``, in order."""
    own = f"unnest({parts.arguments.add(list(parts.institutions))}::int[]) AS own (id)"
    most = f"{parts.arguments.add(MOST)}::bigint"
    names = ", ".join(f"place_{number}" for number in range(len(parts.terms)))
    return (
        f"SELECT studies.* FROM quarters CROSS JOIN {own} CROSS JOIN LATERAL ("
        f"WITH keyed AS MATERIALIZED ({_keyed(parts)} LIMIT {most}) "
        f"SELECT key, {names} FROM keyed WHERE meant AND (SELECT count(*) FROM keyed) < {most} "
        f"UNION ALL SELECT key, {names} FROM ({_passed(parts)}) AS passed "
        f"WHERE (SELECT count(*) FROM keyed) = {most}) AS studies "
        f"ORDER BY quarters.begin DESC, {ordered(parts.terms, by_place=True)}"
    )


def _keyed(parts: _Parts) -> str:
    """What an institution has with the keys in a quarter, and whether it meets all conditions."""
    hashed, having = compile_keys(parts.ways, parts.arguments)
    # A key is a hash, and lets others in.
    meant = ["quarter_of(s.sort_key) = quarters.begin", "s.institution_id = own.id", *parts.where]
    return (
        f"SELECT s.id AS key, {places(parts.terms)}, {' AND '.join(meant)} AS meant "
        "FROM (SELECT name_place(own.id, quarters.begin) AS place) AS places "
        f"CROSS JOIN LATERAL (SELECT {hashed} OFFSET 0) AS keys "
        # Fenced off, so that no other index is taken for the conditions.
        f"CROSS JOIN LATERAL (SELECT * FROM studies s WHERE {having} OFFSET 0) AS s"
    )


def _passed(parts: _Parts) -> str:
    """What is wanted of those of an institution that meet all conditions in a quarter."""
    of_quarter = [
        "s.institution_id = own.id",
        "s.sort_key >= quarters.begin",
        "s.sort_key < quarters.beyond",
        *parts.along,
    ]
    order = ordered(parts.terms)
    return (
        f"SELECT s.id AS key, {places(parts.terms)} "
        f"FROM (SELECT * FROM studies s WHERE {' AND '.join(of_quarter)} "
        f"ORDER BY {order} OFFSET 0) AS s WHERE {' AND '.join(parts.where)} "
        f"ORDER BY {order} LIMIT {parts.wanted}"
    )
