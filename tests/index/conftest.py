"""What the tests of the index share."""

import asyncpg
import pytest


@pytest.fixture
async def empty(new_database):
    """A connection to a database of this test's own, without a schema."""
    async with new_database() as url:
        conn = await asyncpg.connect(url)
        yield conn
        await conn.close()
