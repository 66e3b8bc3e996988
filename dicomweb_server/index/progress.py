"""How far work got that takes longer than one run of a command, and that it is done by one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from dicomweb_server.errors import Unavailable
from dicomweb_server.index.database import Connection, Pool, acquire

_BLOBS = 0x424C4F4253  # any numbers that no other program takes for advisory locks
_ATTRIBUTES = 0x4154545253
TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
UNLOCK = "SELECT pg_advisory_unlock($1)"


@asynccontextmanager
async def _alone(pool: Pool, lock: int, otherwise: str) -> AsyncIterator[None]:
    async with acquire(pool) as conn:
        if not await conn.fetchval(TRY_LOCK, lock):
            raise Unavailable(f"{otherwise}; wait for its end")
        try:
            yield
        finally:
            await conn.execute(UNLOCK, lock)


def alone_with_blobs(pool: Pool) -> AbstractAsyncContextManager[None]:
    """Work that removes blobs without rows, or makes rows of blobs: never both at a time, for
    the one would take from under the other what it has just read. Raises Unavailable."""
    return _alone(pool, _BLOBS, "another sweep or rebuild-index is at work")


def alone_with_attributes(pool: Pool) -> AbstractAsyncContextManager[None]:
    """Work on the list of indexed attributes. Raises Unavailable."""
    return _alone(pool, _ATTRIBUTES, "another attribute is being indexed or dropped")


READ = "SELECT work, position FROM progress WHERE starts_with(work, $1)"
SAVE = """
INSERT INTO progress (work, position) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (work) DO UPDATE SET position = EXCLUDED.position, at = now()
"""
FORGET = "DELETE FROM progress WHERE starts_with(work, $1)"


async def read_progress(conn: Connection, prefix: str) -> dict[str, int]:
    """How far each work got whose name begins with `prefix`; what is absent has not begun."""
    return {row["work"]: row["position"] for row in await conn.fetch(READ, prefix)}


async def save_progress(conn: Connection, positions: Mapping[str, int]) -> None:
    """Remember how far each of several works got."""
    await conn.execute(SAVE, list(positions), list(positions.values()))


async def forget_progress(conn: Connection, prefix: str) -> None:
    """Let the works whose names begin with `prefix` begin anew."""
    await conn.execute(FORGET, prefix)
