"""Connections of the pool: when the process that holds one stands still, and those at hand."""

import asyncio
from typing import Any

import asyncpg
import pytest

from dicomweb_server.errors import Unavailable
from dicomweb_server.index import database
from dicomweb_server.index.database import Pool, acquire, open_pool

LOCK = "SELECT FROM change_counter FOR UPDATE"


async def test_a_transaction_that_nobody_goes_on_with_lets_go_of_its_locks(
    new_database: Any, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_TIMEOUT", 0.5)
    async with new_database(template) as url:
        pool = await open_pool(url)
        try:
            with pytest.raises(Unavailable):
                async with acquire(pool) as frozen, frozen.transaction():
                    await frozen.execute(LOCK)
                    async with acquire(pool) as other:
                        await asyncio.wait_for(other.execute(LOCK), 20)
                    await frozen.execute(LOCK)
        finally:
            await pool.close()


async def process_of(pool: Pool) -> int:
    """Which process of Postgres answers on the next connection."""
    async with acquire(pool) as conn:
        return int(await conn.fetchval("SELECT pg_backend_pid()"))


async def test_a_connection_is_at_hand_for_the_next_one(pool: Pool) -> None:
    first = await process_of(pool)
    idle = pool.get_idle_size()

    assert [await process_of(pool) for _ in range(3)] == [first] * 3
    assert pool.get_idle_size() == idle == 0


async def test_a_connection_at_hand_that_was_lost_is_not_used(
    pool: Pool, database_url: str
) -> None:
    lost = await process_of(pool)
    other = await asyncpg.connect(database_url)
    await other.execute("SELECT pg_terminate_backend($1, 10000)", lost)
    await other.close()
    await asyncio.sleep(0.1)

    assert await process_of(pool) != lost
    assert await process_of(pool) != lost


async def test_a_connection_that_is_left_within_a_transaction_begins_anew(pool: Pool) -> None:
    async with acquire(pool) as conn:
        await conn.execute("BEGIN; SET LOCAL application_name = 'left'")

    async with acquire(pool) as conn:
        assert not conn.is_in_transaction()
        assert await conn.fetchval("SHOW application_name") == "dicomweb-server"


async def test_after_a_failure_a_connection_is_given_back(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError):
        async with acquire(pool):
            raise ZeroDivisionError

    assert pool.get_idle_size() == 1


async def test_a_statement_that_was_given_up_does_not_disturb_the_next(pool: Pool) -> None:
    async with acquire(pool) as conn:
        with pytest.raises(TimeoutError):
            await conn.fetchval("SELECT pg_sleep(30)", timeout=0.05)

    async with acquire(pool) as conn:
        assert await conn.fetchval("SELECT 7 FROM pg_sleep(0.3)") == 7


@pytest.mark.parametrize("most", [1, 2, 10])
async def test_nobody_waits_for_a_connection_that_is_at_hand(database_url: str, most: int) -> None:
    pool = await open_pool(database_url, max_size=most)
    holding = 0

    async def use() -> None:
        nonlocal holding
        for _ in range(10):
            async with acquire(pool) as conn:
                holding += 1
                assert holding <= most
                await conn.execute("SELECT pg_sleep(0.001)")
                holding -= 1

    try:
        await asyncio.wait_for(asyncio.gather(*[use() for _ in range(30)]), 30)
        async with pool.acquire(timeout=5) as conn:
            assert await conn.fetchval("SELECT 1") == 1
    finally:
        await asyncio.wait_for(pool.close(), 10)


async def test_a_pool_is_closed_while_connections_are_in_use_and_at_hand(
    database_url: str,
) -> None:
    pool = await open_pool(database_url)
    await process_of(pool)
    async with acquire(pool) as conn, acquire(pool):
        pass
    async with acquire(pool) as conn:
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0.05)
        assert await conn.fetchval("SELECT 1") == 1
    await asyncio.wait_for(closing, 10)

    with pytest.raises(Unavailable):
        await process_of(pool)


async def test_connections_that_nobody_uses_are_closed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_UNUSED", 0.1)
    monkeypatch.setattr(database, "_INACTIVE", 0.2)
    pool = await open_pool(database_url)
    try:
        async with acquire(pool), acquire(pool), acquire(pool), acquire(pool), acquire(pool):
            pass
        first = await process_of(pool)
        for _ in range(20):  # one is in use all the time
            assert await process_of(pool) == first
            await asyncio.sleep(0.05)
        assert pool.get_size() == 1
        await asyncio.sleep(1)
        assert pool.get_size() == 0 or pool.get_idle_size() == 1
        assert await process_of(pool) > 0
    finally:
        await pool.close()


async def test_nobody_waits_for_the_end_of_a_statement_of_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cancellation takes a connection of its own, which may take a while to be had."""
    cancelled = asyncpg.connect_utils._cancel

    async def late(*args: Any, **keywords: Any) -> None:
        await asyncio.sleep(0.5)
        await cancelled(*args, **keywords)

    monkeypatch.setattr(asyncpg.connect_utils, "_cancel", late)
    async with acquire(pool), acquire(pool):
        pass
    async with acquire(pool) as conn:
        with pytest.raises(TimeoutError):
            await conn.fetchval("SELECT pg_sleep(30)", timeout=0.05)
    began = asyncio.get_running_loop().time()
    async with acquire(pool) as conn:
        assert not conn._protocol._is_cancelling()
        assert await conn.fetchval("SELECT 1") == 1
    assert asyncio.get_running_loop().time() - began < 0.4


async def test_a_transaction_that_was_not_ended_is_nobody_elses(pool: Pool) -> None:
    """Nor one that Postgres has ended, and of which the client does not know."""
    async with acquire(pool) as conn:
        await conn.transaction().start()
        await conn.execute("ROLLBACK")

    async with acquire(pool) as conn, conn.transaction():
        assert conn.is_in_transaction()


async def test_a_pool_whose_closing_is_given_up_closes_all_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await open_pool(database_url)
    async with acquire(pool), acquire(pool):
        pass

    async def silent(*args: Any, **keywords: Any) -> None:
        await asyncio.sleep(30)

    with monkeypatch.context() as patch:
        patch.setattr(database.Pool, "release", silent)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.close(), 0.1)

    assert pool.get_size() == 0
