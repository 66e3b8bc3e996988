"""Searches that go through the quarters of years, the newest first.

What has the keys of a name in a quarter is looked up and put in order, quarter by quarter, until
the page is full: Postgres sorts a quarter at a time (incremental sort) and stops. Which quarters
there are is looked up as well, a few entries of an index for each.
"""

from collections.abc import Sequence

from dicomweb_server.index.conditions import Arguments
from dicomweb_server.index.name_keys import Way, compile_keys
from dicomweb_server.index.search_order import Term, ordered, places


def by_quarters(
    institutions: Sequence[int],
    ways: Sequence[Way],
    where: Sequence[str],
    along: Sequence[str],
    terms: tuple[Term, ...],
    page: tuple[str, str],
    arguments: Arguments,
) -> str:
    """The keys of a page, with its limit and offset, of studies that meet all of `where`; of
    which `along` are those that the order of time answers."""
    own = f"unnest({arguments.add(list(institutions))}::int[]) AS own (id)"
    hashed, having = compile_keys(ways, arguments)

    # Of several institutions the quarters of all in the archive: a look at one index, not at
    # one for each, and where they have nothing there is nothing found.
    bounds = list(along)
    if len(institutions) == 1:
        bounds.append(f"s.institution_id = {arguments.add(institutions[0])}")

    def newest(*before: str) -> str:
        where = " AND ".join([*before, *bounds]) or "TRUE"
        return (
            f"(SELECT s.sort_key FROM studies s WHERE {where} "  # noqa: S608
            "ORDER BY s.sort_key DESC LIMIT 1)"
        )

    # A key is a hash, and lets others in.
    meant = ["quarter_of(s.sort_key) = quarters.begin", "s.institution_id = own.id", *where]
    limit, offset = page
    return (
        "WITH RECURSIVE found (begin) AS ("  # noqa: S608
        f"SELECT quarter_of({newest()}) UNION ALL "
        f"SELECT quarter_of({newest('s.sort_key < found.begin')}) FROM found "
        "WHERE found.begin IS NOT NULL), "
        "quarters AS ("
        "SELECT begin FROM found WHERE begin IS NOT NULL ORDER BY begin DESC OFFSET 0) "
        "SELECT studies.key FROM quarters CROSS JOIN LATERAL ("
        f"SELECT s.id AS key, {places(terms)} FROM {own} "
        "CROSS JOIN LATERAL (SELECT name_place(own.id, quarters.begin) AS place) AS places "
        f"CROSS JOIN LATERAL (SELECT {hashed} OFFSET 0) AS keys "
        # Fenced off, so that no other index is taken for the conditions.
        f"CROSS JOIN LATERAL (SELECT * FROM studies s WHERE {having} OFFSET 0) AS s "
        f"WHERE {' AND '.join(meant)}) AS studies "
        f"ORDER BY quarters.begin DESC, {ordered(terms, by_place=True)} "
        f"LIMIT {limit} OFFSET {offset}"
    )
