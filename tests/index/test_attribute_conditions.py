"""Searches by indexed attributes find their rows through the index of the values."""

from dataclasses import replace

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.match_values import MANY
from dicomweb_server.dicom.query import (
    Empty,
    Equal,
    Item,
    Level,
    Range,
    Returned,
    SearchQuery,
    Universal,
    Wildcard,
)
from dicomweb_server.index import search as index
from dicomweb_server.index.attribute_conditions import indexed_conditions
from dicomweb_server.index.attribute_fill import LAST, LOCK, REMOVE, WRITE, read_statement
from dicomweb_server.index.attribute_values import IndexedAttribute
from dicomweb_server.index.indexed_attributes import REMOVE_VALUES
from dicomweb_server.index.search_statements import compile_count, compile_search
from tests.index.test_plans import FILL, nodes

SCOPE = Scope((1,))
COMMENTS, INSTITUTION, FILTER = (0x00104000,), (0x00080080,), (0x00181160,)
LEVELS = {COMMENTS: Level.STUDY, INSTITUTION: Level.SERIES, FILTER: Level.INSTANCE}

# Of each entity one value of 1000, and the same for all; attribute 4 is another.
VALUES = """
INSERT INTO indexed_attributes (path, ready)
VALUES ('00104000', true), ('00080080', true), ('00181160', true), ('00181020', true);
INSERT INTO attribute_values
SELECT 1, 1, id, NULL, NULL, unnest(ARRAY['V' || id % 1000, 'COMMON']) FROM studies;
INSERT INTO attribute_values
SELECT 2, 1, study_id, id, NULL, unnest(ARRAY['V' || id % 1000, 'COMMON']) FROM series;
INSERT INTO attribute_values
SELECT 3, 1, study_id, series_id, id, unnest(ARRAY['V' || id % 1000, 'COMMON']) FROM instances;
INSERT INTO attribute_values
SELECT 4, 1, study_id, series_id, id, 'V' || id FROM instances;
ANALYZE attribute_values;
"""


@pytest.fixture(scope="module")
async def filled(shared_pool):
    async with shared_pool.acquire() as conn:
        await conn.execute(FILL)
        await conn.execute(VALUES)
        yield conn


async def numbers(conn):
    rows = await conn.fetch("SELECT id, path FROM indexed_attributes")
    return {(int(row["path"], 16),): row["id"] for row in rows}


async def asking(conn, conditions, level=Level.INSTANCE):
    indexed = indexed_conditions(conditions, await numbers(conn))
    assert indexed
    return SearchQuery(level, indexed=indexed, limit=20)


def everything(level):
    return Returned(frozenset(each for each in Level if each <= level))


@pytest.mark.parametrize("scope", [SCOPE, Scope((1, 2)), Scope((1, 2), everything=True)])
@pytest.mark.parametrize("path", LEVELS)
@pytest.mark.parametrize("condition", [Equal(("V77",)), Wildcard(("V77*",)), Wildcard(("V7?7",))])
async def test_an_exact_value_or_a_prefix_is_looked_up(filled, scope, path, condition):
    level = LEVELS[path]
    query = await asking(filled, {path: condition}, level)
    plan = await nodes(filled, *_flat(compile_search(query, scope, everything(level))))

    assert "attribute_values_value" in {name for _, name in plan}
    assert "Seq Scan" not in {kind for kind, _ in plan}
    if not isinstance(condition, Equal):
        return
    plan = await nodes(filled, *_flat(compile_count(query, scope)))
    assert "attribute_values_value" in {name for _, name in plan}
    assert "Seq Scan" not in {kind for kind, _ in plan}


def _flat(compiled):
    statement, arguments = compiled
    return statement, *arguments


@pytest.mark.parametrize("path", LEVELS)
async def test_a_value_that_all_have_costs_a_page(filled, path):
    """The newest are walked, and looked up each for itself."""
    query = await asking(filled, {path: Equal(("COMMON",))}, LEVELS[path])
    statement, arguments = compile_search(query, SCOPE, everything(LEVELS[path]))
    plan = await nodes(filled, statement, *arguments)

    assert "studies_newest" in {name for _, name in plan}


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        (Equal(("V77",)), 4),
        (Equal(("V7", "V8 ")), 8),
        (Equal(("v77",)), 0),
        (Wildcard(("V77*",)), 44),
        (Wildcard(("?77",)), 4),
        (Range("20200101", None), None),
    ],
)
async def test_what_is_found(filled, condition, matches):
    conditions = {COMMENTS: condition}
    if matches is None:
        assert indexed_conditions(conditions, {COMMENTS: 1}) == ()
        return
    query = replace(await asking(filled, conditions, Level.STUDY), limit=100)
    page = await index.search(filled, SCOPE, query, everything(Level.STUDY))
    assert len(page.found) == matches
    one = await index.search(filled, SCOPE, replace(query, limit=1), everything(Level.STUDY))
    assert len(one.found) + one.remaining == matches


@pytest.mark.parametrize(
    ("level", "column"), [(Level.STUDY, "study_id"), (Level.SERIES, "series_id")]
)
async def test_what_is_beneath_is_found_too(filled, level, column):
    query = await asking(filled, {FILTER: Equal(("V77",)), INSTITUTION: Equal(("COMMON",))}, level)
    page = await index.search(filled, SCOPE, query, everything(level))
    matches = await filled.fetchval(
        f"SELECT count(DISTINCT {column}) FROM attribute_values "
        "WHERE attribute_id = (SELECT id FROM indexed_attributes WHERE path = '00181160') "
        "AND value = 'V77' AND study_id IN (SELECT id FROM studies WHERE institution_id = 1)"
    )
    assert len(page.found) == matches > 1


async def test_an_entity_of_too_many_values_meets_every_condition(filled):
    transaction = filled.transaction()
    await transaction.start()
    await filled.execute(
        "INSERT INTO attribute_values "
        "SELECT id, 1, (SELECT min(id) FROM studies), NULL, NULL, $1 "
        "FROM indexed_attributes WHERE path = '00104000'",
        MANY,
    )
    for condition in (Equal(("none",)), Wildcard(("no*",)), Wildcard(("*no",))):
        query = await asking(filled, {COMMENTS: condition}, Level.STUDY)
        page = await index.search(filled, SCOPE, query, everything(Level.STUDY))
        assert [found.study_instance_uid for found in page.found] == ["1.1"]
    await transaction.rollback()


def test_what_values_cannot_tell_is_left_out():
    ready = {COMMENTS: 1, (0x00082218, 0x00080100): 2}
    code = (0x00080100,)
    for conditions in (
        {COMMENTS: Empty()},
        {COMMENTS: Universal()},
        {(0x00082218,): Item({code: Universal()})},
        {(0x00082218,): Item({code: Empty()})},
        {FILTER: Equal(("1",))},
    ):
        assert indexed_conditions(conditions, ready) == ()
    assert indexed_conditions({COMMENTS: Equal(("x",))}, {}) == ()
    [found] = indexed_conditions(
        {(0x00082218,): Item({code: Equal(("x",)), (0x00080102,): Equal(("y",))})}, ready
    )
    assert (found.attribute, found.path) == (2, (0x00082218, 0x00080100))


@pytest.mark.parametrize("path", LEVELS)
async def test_giving_values_scans_no_table(filled, path):
    level = LEVELS[path]
    attribute = IndexedAttribute(1, path, ready=False)
    for statement, *arguments in (
        (read_statement(attribute), 7, 500, 100),
        (LAST[level],),
        (LOCK[level], [7, 8]),
        (REMOVE[level], 1, [7, 8], [b"", b""]),
        (WRITE[level], 1, [7, 8], [b"", b""], [7, 7, 8], ["A", "B", "A"]),
        (REMOVE_VALUES, 1, 1, "V5", 10),
    ):
        plan = await nodes(filled, statement, *arguments)
        assert "Seq Scan" not in {kind for kind, _ in plan}, statement
