"""``dicomweb-server import PATH…``: folders and ZIP files into the archive, with a progress bar."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.importing import Source, Tally, find_sources, import_sources
from dicomweb_server.commands.maintaining import maintain, say, transfer_bar
from dicomweb_server.config import Settings

IMPORTER = Principal("import")


def run_import(settings: Settings, paths: Sequence[Path]) -> int:
    """Import everything DICOM below `paths`; returns the exit code: 0, or 1 if a file failed.

    Works beside a running server of the same data folder, and without one.
    """
    console = Console(stderr=True)
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        console.print(f"{path}: there is no such file or folder", markup=False)
    if missing:
        return 1

    async def work(archive: Archive) -> int:
        tally = await _import(archive, paths, console)
        _report(tally, console)
        return 1 if tally.failed else 0

    return maintain(settings, work, console, makes=True)


async def _import(archive: Archive, paths: Sequence[Path], console: Console) -> Tally:
    with transfer_bar(console) as bar:
        counting = bar.add_task("Looking for files", total=None, files="")
        files, size = await asyncio.to_thread(_measure, paths)
        bar.remove_task(counting)
        task = bar.add_task("Importing", total=size, files=f"0/{files} files")
        seen = _Seen(bar, task, files)
        return await import_sources(archive, IMPORTER, find_sources(paths), seen)


def _measure(paths: Sequence[Path]) -> tuple[int, int]:
    files = size = 0
    for source in find_sources(paths):
        files += 1
        size += source.size
    return files, size


class _Seen:
    """Moves the bar."""

    def __init__(self, bar: Progress, task: TaskID, total: int) -> None:
        self._bar = bar
        self._task = task
        self._total = total
        self._files = 0

    def __call__(self, source: Source, tally: Tally) -> None:
        self._files += 1
        failed = f", {tally.failed} failed" if tally.failed else ""
        text = f"{self._files}/{self._total} files{failed}"
        self._bar.update(self._task, advance=source.size, files=text)


def _report(tally: Tally, console: Console) -> None:
    for file, reason in tally.failures:
        say(console, f"{file}: {reason}")
    if tally.failed > len(tally.failures):
        say(console, f"… and {tally.failed - len(tally.failures)} more")
    say(
        console,
        f"{tally.stored} stored, {tally.present} were there already, {tally.failed} failed, "
        f"{tally.not_dicom} are not DICOM files",
    )
