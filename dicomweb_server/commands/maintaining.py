"""What the commands share that work on the archive beside a running server, or without one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.opening import open_archive
from dicomweb_server.commands.serving import (
    check_bucket,
    make_folders,
    own_postgres,
    prepare_database,
)
from dicomweb_server.commands.whereabouts import Whereabouts, has_archive, require_archive
from dicomweb_server.config import Settings
from dicomweb_server.errors import NotFound, Unavailable
from dicomweb_server.index.database import Pool, open_pool
from dicomweb_server.index.embedded import FolderInUseError, running_url

Work = Callable[[Archive], Awaitable[int]]  # its answer is an exit code


@contextlib.contextmanager
def found_database(settings: Settings) -> Iterator[str]:
    """The address of the database: DATABASE_URL, that of a running server, or our own Postgres.

    Raises FolderInUseError, EmbeddedPostgresError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    try:
        with own_postgres(settings) as postgres:
            yield postgres.url
    except FolderInUseError:
        url = running_url(settings.data_dir)
        if url is None:
            raise
        yield url


def maintain(settings: Settings, work: Work, console: Console, *, makes: bool = False) -> int:
    """Do `work` with the archive, and return its exit code; 1 if the archive goes away meanwhile.
    `makes`: an archive that is not there, too.

    Raises CannotServeError, EmbeddedPostgresError, SchemaMismatchError.
    """
    here = Whereabouts.of(settings)
    here.check(settings.data_dir)
    if not makes:
        require_archive(settings)
    new = not has_archive(settings)
    make_folders(settings)
    asyncio.run(check_bucket(settings))
    with found_database(settings) as url:
        known = settings.model_copy(update={"database_url": url})
        try:
            return asyncio.run(_with_archive(known, work, here if new else None))
        except* Unavailable as group:
            say(console, f"Stopped: {first_of(group)}. Start it again to go on.")
    return 1


async def _with_archive(settings: Settings, work: Work, here: Whereabouts | None) -> int:
    """`here`: to be noted. Of an archive that was there the server does so, whose settings are
    right."""
    await prepare_database(settings.database_url)
    if here is not None:
        here.note(settings.data_dir)
    async with open_archive(settings) as archive:
        return await work(archive)


def with_index(settings: Settings, work: Callable[[Pool], Awaitable[None]]) -> int:
    """Do `work` with the index alone; returns the exit code, 1 if it was refused.

    Raises what `maintain` raises.
    """
    Whereabouts.of(settings).check(settings.data_dir, blobs=False)
    require_archive(settings)

    async def connected(url: str) -> None:
        await prepare_database(url)
        pool = await open_pool(url, max_size=2)
        try:
            await work(pool)
        finally:
            await pool.close()

    with found_database(settings) as url:
        try:
            asyncio.run(connected(url))
        except (NotFound, Unavailable) as refusal:
            say(Console(stderr=True), str(refusal))
            return 1
    return 0


def first_of(error: BaseException) -> BaseException:
    """An exception of a group, however deep."""
    return first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def say(console: Console, text: str) -> None:
    """One line, as it is: on one line also where the terminal is narrow, and without markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def transfer_bar(console: Console) -> Progress:
    """A bar over bytes; the field `files` of a task says how many files that is."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
