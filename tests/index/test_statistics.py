"""Searches and look-ups while the planner takes full tables for empty, as they were analysed."""

import json

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.dicom.query import Level, Returned
from dicomweb_server.index.instances import FIND_EXISTING
from dicomweb_server.index.search_statements import compile_search
from dicomweb_server.index.statistics import Statistics
from dicomweb_server.wire.search import parse_search
from tests.index.filling import fill, nodes
from tests.index.golden_statements import SEARCHES, statement_of

STUDIES = 200
TABLES = ["studies", "series", "instances", "study_modalities", "series_requests"]


@pytest.fixture(scope="module")
async def filled_again(shared_pool):
    """All was deleted, autovacuum came, then there were studies again."""
    async with shared_pool.acquire() as conn:
        for table in [*TABLES, "attribute_values"]:
            await conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        await conn.execute(fill(STUDIES))
        await conn.execute(f"DELETE FROM studies; ANALYZE {', '.join(TABLES)}")
        await conn.execute(fill(STUDIES))
        yield conn


async def buffers(conn, statement, arguments):
    """Pages that were looked at."""
    explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
    [explained] = json.loads(await conn.fetchval(f"{explain} {statement}", *arguments))
    return explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]


HOSTILE = {
    "series by study id": (Level.SERIES, "orderby=StudyID"),
    "series beyond the end": (Level.SERIES, "orderby=StudyID&offset=1000000"),
    "instances by study id": (Level.INSTANCE, "orderby=StudyID"),
    "instances beyond the end": (Level.INSTANCE, "orderby=StudyID&offset=1000000"),
    "many SOP classes": (Level.INSTANCE, "SOPClassUID=" + ",".join(f"1.{n}" for n in range(2000))),
    "study of instances": (Level.STUDY, "SOPInstanceUID=1.7.1.1,1.8.1.1"),
    "study of a CT instance": (Level.STUDY, "SOPInstanceUID=1.7.1.1&Modality=CT"),
    "series of an instance": (Level.SERIES, "SOPInstanceUID=1.7.1.1"),
    "study of numbers in a series": (Level.STUDY, "SeriesInstanceUID=1.7.1&InstanceNumber=2"),
}


def hostile(name):
    level, query_string = HOSTILE[name]
    query = parse_search(level, f"limit=20&{query_string}").query
    documents = frozenset(each for each in Level if each <= level)
    return compile_search(query, Scope((1,)), Returned(documents))


@pytest.mark.parametrize("search", [*SEARCHES, *HOSTILE])
async def test_no_search_meets_each_row_with_all_others(filled_again, search):
    statement = hostile(search) if search in HOSTILE else statement_of(search)
    # Look-ups of each row in each table are some thousands; all series for each study 80,000.
    assert await buffers(filled_again, *statement) < 20_000


async def test_what_is_no_longer_empty_is_analysed_and_but_once(shared_pool, filled_again):
    async with shared_pool.acquire() as conn:
        totals = (1, STUDIES, STUDIES * 2, STUDIES * 4)
        await conn.execute(f"INSERT INTO institution_totals VALUES {totals}")
        statistics = Statistics()

        assert {"studies", "series", "instances"} <= set(await statistics.renew(conn))
        assert await statistics.renew(conn) == []
        plan = await nodes(conn, FIND_EXISTING, 1, ["1.7.1.1", "1.8.1.1"])
        assert "instances_uid" in {name for _, name in plan}


async def test_totals_that_are_wrong_do_not_have_it_analysed_time_and_again(pool):
    async with pool.acquire() as conn:
        await conn.execute(f"{fill(1)}; DELETE FROM studies; ANALYZE studies, series, instances")
        await conn.execute("INSERT INTO institution_totals VALUES (1, 50, 50, 50)")
        statistics = Statistics()

        assert "studies" in await statistics.renew(conn)
        assert await statistics.renew(conn) == []
