"""The order of search results, and what comes after a place in it (digest 4.7)."""

import re
from dataclasses import dataclass

from dicomweb_server.dicom.query import Level, SearchQuery
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.index.conditions import COLUMNS, Arguments

# A column of studies that the indexes in the order of results do not have.
NOT_IN_ORDER = re.compile(r"\bs\.(?!(?:id|sort_key|institution_id|study_instance_uid)\b)")
_ORDERED_BY = frozenset({"text", "uid", "name", "number", "day", "date", "time"})


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


def ordered(terms: tuple[Term, ...], *, by_place: bool = False) -> str:
    """The list after ORDER BY; `by_place` names the columns of a page."""
    names = [f"place_{number}" if by_place else term.sql for number, term in enumerate(terms)]
    return ", ".join(term.ordered(name) for term, name in zip(terms, names, strict=True))


def places(terms: tuple[Term, ...]) -> str:
    """The columns of a page that say where in the order an entity stands."""
    return ", ".join(f"{term.sql} AS place_{number}" for number, term in enumerate(terms))


def after(
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
        # A parameter that stands nowhere in the text has no type.
        "NULL" if value is None else f"{arguments.add(value)}::{kind}"
        for term, value in zip(terms, place, strict=False)
        for kind in ["bigint" if term.number else "text"]
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
