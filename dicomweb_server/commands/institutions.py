"""``dicomweb-server institution``: who shares the archive, and what they want done."""

from rich.console import Console
from rich.table import Table

from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import with_index
from dicomweb_server.config import Settings
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.institutions import list_institutions
from dicomweb_server.index.versions import Duplicates, set_duplicates_policy


def run_list(settings: Settings) -> int:
    """Print the institutions on standard output; returns the exit code."""

    async def work(pool: Pool) -> None:
        table = Table("Code", "Title", "Duplicates", "Studies", "Instances", "Size", box=None)
        async with acquire(pool) as conn:
            institutions = await list_institutions(conn)
        for each in institutions:
            counts = (str(each.studies), str(each.instances), size_text(each.bytes))
            table.add_row(each.code, each.title, each.duplicates, *counts)
        Console(markup=False, highlight=False).print(table)

    return with_index(settings, work)


def run_policy(settings: Settings, code: str, policy: Duplicates) -> int:
    """Set what becomes of an instance that comes again and differs; returns the exit code."""

    async def work(pool: Pool) -> None:
        async with acquire(pool) as conn:
            await set_duplicates_policy(conn, code, policy)

    return with_index(settings, work)
