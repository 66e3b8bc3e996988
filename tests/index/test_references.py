"""Instances that a document names, found within the scope."""

import pytest

from dicomweb_server.access.policy import Scope
from dicomweb_server.errors import NotFound
from dicomweb_server.index.instances import insert_instances
from dicomweb_server.index.references import (
    FIND_INSTANCES,
    Triple,
    find_instances,
    first_sop_class,
)
from tests.index.filling import FILL, nodes
from tests.index.made import CT, new


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


async def test_what_a_study_is_of(conn):
    """Of its first series, as in thumbnails (THB-04)."""
    one = new("1.1", "1.1.2", "1.1.2.1", sop_class="1.9", of_series={"SeriesNumber": 1})
    two = new("1.1", "1.1.1", "1.1.1.1", of_series={"SeriesNumber": 2})
    await insert_instances(conn, Scope((1,)), [one, two])
    assert await first_sop_class(conn, Scope((1,)), "1.1") == "1.9"
    assert await first_sop_class(conn, Scope((1,)), "1.1", "1.1.1") == CT
    for scope, study, series in (((1,), "1.2", None), ((1,), "1.1", "1.9"), ((2,), "1.1", None)):
        with pytest.raises(NotFound):
            await first_sop_class(conn, Scope(scope), study, series)
