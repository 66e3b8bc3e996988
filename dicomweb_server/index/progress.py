"""How far work got that takes longer than one run of a command: a number a piece of work."""

from collections.abc import Mapping

from dicomweb_server.index.database import Connection

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
