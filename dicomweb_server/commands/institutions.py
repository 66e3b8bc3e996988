"""``dicomweb-server institution``: who shares the archive, and what they want done."""

import asyncio
from collections.abc import Awaitable, Callable

from rich.console import Console
from rich.table import Table

from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import found_database, say
from dicomweb_server.commands.serving import prepare_database
from dicomweb_server.config import Settings
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.database import Connection, acquire, open_pool
from dicomweb_server.index.institutions import list_institutions
from dicomweb_server.index.versions import Duplicates, set_duplicates_policy


def run_list(settings: Settings) -> int:
    """Print the institutions on standard output; returns the exit code."""

    async def work(conn: Connection) -> None:
        table = Table("Code", "Title", "Duplicates", "Studies", "Instances", "Size", box=None)
        for each in await list_institutions(conn):
            counts = (str(each.studies), str(each.instances), size_text(each.bytes))
            table.add_row(each.code, each.title, each.duplicates, *counts)
        Console(markup=False, highlight=False).print(table)

    return _with_index(settings, work)


def run_policy(settings: Settings, code: str, policy: Duplicates) -> int:
    """Set what becomes of an instance that comes again and differs; returns the exit code."""

    async def work(conn: Connection) -> None:
        await set_duplicates_policy(conn, code, policy)

    return _with_index(settings, work)


def _with_index(settings: Settings, work: Callable[[Connection], Awaitable[None]]) -> int:
    async def connected(url: str) -> None:
        await prepare_database(url)
        pool = await open_pool(url, max_size=1)
        try:
            async with acquire(pool) as conn:
                await work(conn)
        finally:
            await pool.close()

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with found_database(settings) as url:
        try:
            asyncio.run(connected(url))
        except (NotFound, Unavailable) as refusal:
            say(Console(stderr=True), str(refusal))
            return 1
    return 0
