"""The step 0014: keys of names whose places have changed are made anew.

Since the step 0013 all years before 1900 are one quarter of years, and so are those after 2100. The
index of keys is built again only if there are such studies. It may be broken off anywhere.
"""

from collections.abc import Callable

from dicomweb_server.index.database import Connection

_TIMEOUT = 24 * 3600.0  # seconds

# What has no date stays where it is.
_MOVED = """
SELECT EXISTS (SELECT FROM studies WHERE sort_key >= 10000000000 AND sort_key < 19000000000000)
    OR EXISTS (SELECT FROM studies WHERE sort_key >= 21010000000000)
"""
_LEFT_BEHIND = r"""
SELECT relname FROM pg_class
 WHERE relname LIKE 'studies\_name\_keys\_cc%' AND relkind = 'i'
   AND relnamespace = current_schema()::regnamespace
"""


async def place_names(conn: Connection, tell: Callable[[str], None]) -> None:
    """Build the index again if that is needed; `tell` hears if it takes time."""
    if not await conn.fetchval(_MOVED):
        return
    tell("The index of names is built again: there are studies before 1900 or after 2100")
    for row in await conn.fetch(_LEFT_BEHIND):  # by one that was broken off
        await conn.execute(f'DROP INDEX CONCURRENTLY "{row["relname"]}"', timeout=_TIMEOUT)
    await conn.execute("REINDEX INDEX CONCURRENTLY studies_name_keys", timeout=_TIMEOUT)
