"""Connections of the pool, when the process that holds one stands still."""

import asyncio
from typing import Any

import pytest

from dicomweb_server.errors import Unavailable
from dicomweb_server.index import database
from dicomweb_server.index.database import acquire, open_pool

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
