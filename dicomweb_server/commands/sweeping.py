"""``dicomweb-server sweep`` and ``purge``: remove what nobody needs any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rich.console import Console

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.purge import Purged, purge, purge_quarantine
from dicomweb_server.archive.sweep import CannotSweep, Swept, sweep
from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import maintain, say
from dicomweb_server.config import Settings

MAX_LISTED = 1000  # files that stay; more are only counted


def run_sweep(settings: Settings, older_than: timedelta, dry_run: bool) -> int:
    """Remove files without a row; returns the exit code: 0, or 1 if one could not be removed."""
    console = Console(stderr=True)

    async def work(archive: Archive) -> int:
        before = datetime.now(UTC) - older_than
        try:
            with console.status("Sweeping") as status:
                shown = _Shown(console, status.update)
                done = await sweep(archive, shown, before, dry_run=dry_run)
        except CannotSweep as reason:
            say(console, str(reason))
            return 1
        _report(done, console, dry_run)
        return 1 if done.failed else 0

    return maintain(settings, work, console)


def _report(done: Swept, console: Console, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    say(console, f"{done.removed} of {done.seen} files {verb} ({size_text(done.bytes)})")
    if done.failed:
        say(console, f"{done.failed} could not be removed")
    if done.unknown:
        say(console, f"{done.unknown} files have names that are not the archive's own, and stay")
    if done.older:
        say(console, f"{done.older} files without a row are older than the index, and stay:")
        say(console, "it may never have known them. rebuild-index --continue adds them to it")


class _Shown:
    """Lists what is found. See archive.sweep.Watcher."""

    def __init__(self, console: Console, update: Callable[[str], None]) -> None:
        self._console = console
        self._update = update
        self._listed = 0

    def advance(self, swept: Swept) -> None:
        self._update(f"Sweeping: {swept.seen} files seen")

    def removed(self, key: str, size: int) -> None:
        say(self._console, f"{key} ({size_text(size)})")

    def stays(self, key: str, reason: str) -> None:
        self._listed += 1
        if self._listed <= MAX_LISTED:
            say(self._console, f"stays, as {reason}: {key}")


def run_purge(settings: Settings, older_than: timedelta, quarantine: bool, dry_run: bool) -> int:
    """Remove old versions; returns the exit code: 0, or 1 if files could not be removed."""
    console = Console(stderr=True)

    async def work(archive: Archive) -> int:
        before = datetime.now(UTC) - older_than
        done = await purge(archive, before, dry_run=dry_run)
        _tell(done, "superseded versions", console, dry_run)
        if quarantine:
            dropped = await purge_quarantine(archive, before, dry_run=dry_run)
            _tell(dropped, "files in quarantine", console, dry_run)
        if done.failed:
            say(console, "Some of their files could not be removed; sweep tries again")
        return 1 if done.failed else 0

    return maintain(settings, work, console)


def _tell(done: Purged, what: str, console: Console, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    say(console, f"{done.files} {what} {verb} ({size_text(done.bytes)})")
