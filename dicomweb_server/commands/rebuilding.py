"""``dicomweb-server rebuild-index``: rows for every blob, with a progress bar."""

from rich.console import Console
from rich.progress import Progress

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.rebuild_index import IndexNotEmpty, rebuild_index
from dicomweb_server.archive.rebuild_reading import Rebuilt
from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import maintain, say, transfer_bar
from dicomweb_server.config import Settings


def run_rebuild(settings: Settings, go_on: bool) -> int:
    """Make the index anew; returns the exit code: 0, or 1 if a file failed or nothing was done."""
    console = Console(stderr=True)

    async def work(archive: Archive) -> int:
        try:
            with transfer_bar(console) as bar:
                done = await rebuild_index(archive, _Shown(bar, console), go_on=go_on)
        except IndexNotEmpty:
            say(console, "The index is not empty; only a new database is filled from the files.")
            say(console, "To add what is missing, as after an interruption: --continue")
            return 1
        _report(done, console)
        return 1 if done.failed else 0

    # With a bucket the data folder may be lost with the database; without one it has the files.
    return maintain(settings, work, console, makes=bool(settings.s3_bucket))


def _report(done: Rebuilt, console: Console) -> None:
    say(
        console,
        f"{done.stored} instances stored, {done.present} were there already, "
        f"{done.older} superseded versions, {done.failed} files failed "
        f"({size_text(done.bytes)} read)",
    )
    if done.left:
        say(console, f"{done.left} files belong to no instance; sweep removes them")
    if done.unknown:
        say(console, f"{done.unknown} files have names that are not the archive's own")
    if done.failed:
        say(console, "Mend or move away what failed and go on with --continue; until then")
        say(console, "nothing is swept, as these files have no rows")


class _Shown:
    """Moves the bar and lists what is found. See archive.rebuild_index.Watcher."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar = bar
        self._console = console
        self._task = bar.add_task("Rebuilding", total=None, files="")

    def advance(self, rebuilt: Rebuilt, size: int) -> None:
        failed = f", {rebuilt.failed} failed" if rebuilt.failed else ""
        text = f"{rebuilt.stored + rebuilt.present} instances{failed}"
        self._bar.update(self._task, advance=size, files=text)

    def left(self, key: str) -> None:
        say(self._console, f"belongs to no instance: {key}")

    def failed(self, key: str, reason: str) -> None:
        say(self._console, f"{key}: {reason}")
