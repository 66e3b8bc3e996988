"""Representative searches keep their statements, and walk indexes whatever their scope."""

import pytest

from tests.index.filling import FILL, nodes
from tests.index.golden_statements import COUNTS, FILE, SEARCHES, count_of, statement_of, text

TABLES = {"studies", "series", "instances", "study_modalities"}


def test_statements_are_those_that_were_looked_at():
    """``python -m tests.index.golden_statements`` writes them anew."""
    assert text() == FILE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
async def filled(shared_pool):
    async with shared_pool.acquire() as conn:
        await conn.execute(FILL)
        yield conn


def scanned(plan):
    return {name for kind, name in plan if kind == "Seq Scan"} & TABLES


@pytest.mark.parametrize("search", SEARCHES)
async def test_no_search_scans_a_table(filled, search):
    statement, arguments = statement_of(search)
    assert scanned(await nodes(filled, statement, *arguments)) == set()


@pytest.mark.parametrize("search", COUNTS)
async def test_no_count_scans_a_table(filled, search):
    statement, arguments = count_of(search)
    assert scanned(await nodes(filled, statement, *arguments)) == set()
