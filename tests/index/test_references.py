"""Instances that a document names, found within the scope."""

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.references import FIND_INSTANCES, Triple, find_instances
from tests.index.filling import FILL, nodes
from tests.index.made import new


async def test_what_is_stored_and_in_scope_is_found(conn):
    await insert_instances(
        conn, Scope((1,)), [new("1.1", "1.1.1", "1.1.1.1"), new("1.2", "1.2.1", "1.2.1.1")]
    )
    asked = ["1.2.1.1", "1.9", "1.1.1.1", ""]
    first, second = Triple("1.1", "1.1.1", "1.1.1.1"), Triple("1.2", "1.2.1", "1.2.1.1")
    assert await find_instances(conn, Scope((1,)), asked) == [first, second]
    assert await find_instances(conn, Scope((1,), ("1.2",)), asked) == [second]
    assert await find_instances(conn, Scope((2,)), asked) == []
    assert await find_instances(conn, Scope((1,)), []) == []


@pytest.fixture
async def filled(shared_pool):
    async with shared_pool.acquire() as conn:
        await conn.execute(FILL)
        yield conn


async def test_they_are_found_by_their_uid(filled):
    """The index of SOP Instance UIDs, not a walk through all of them."""
    arguments = ["1.7.1.1", "1.8.1.1"], [1], None
    plan = await nodes(filled, FIND_INSTANCES, *arguments)
    assert "instances_uid" in {place for _, place in plan}
