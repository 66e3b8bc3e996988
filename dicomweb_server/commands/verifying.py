"""``dicomweb-server verify``: every blob read and compared, with a progress bar."""

from rich.console import Console
from rich.progress import Progress, TaskID

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.verify import Finding, Verified, verify
from dicomweb_server.commands.amounts import size_text
from dicomweb_server.commands.maintaining import maintain, say, transfer_bar
from dicomweb_server.config import Settings


def run_verify(settings: Settings, study: str | None, rate: int | None, from_start: bool) -> int:
    """Verify the archive, or a study; returns the exit code: 0, or 1 if something is wrong."""
    console = Console(stderr=True)

    async def work(archive: Archive) -> int:
        with transfer_bar(console) as bar:
            shown = _Shown(bar, console)
            done = await verify(archive, shown, study=study, rate=rate, from_start=from_start)
        if study is not None and not done.blobs:
            say(console, f"there is no study {study}")
            return 1
        summary = f"{done.blobs} files verified ({size_text(done.bytes)}), {done.wrong} findings"
        if done.found_before:
            summary += f", {done.found_before} of them told by the run before"
        say(console, summary)
        return 1 if done.wrong else 0

    return maintain(settings, work, console)


class _Shown:
    """Moves the bar and lists what is found. See archive.verify.Watcher."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar = bar
        self._console = console
        self._task: TaskID | None = None
        self._total = 0

    def begin(self, blobs: int, size: int, verified: Verified) -> None:
        if verified.resumed:
            say(self._console, "Going on where the last run stopped; --from-start begins anew")
        self._total = blobs
        self._task = self._bar.add_task("Verifying", total=size, files="")
        self.advance(verified, verified.bytes)

    def advance(self, verified: Verified, size: int) -> None:
        assert self._task is not None  # begin comes first
        wrong = f", {verified.wrong} findings" if verified.wrong else ""
        text = f"{verified.blobs}/{self._total} files{wrong}"
        self._bar.update(self._task, advance=size, files=text)

    def found(self, finding: Finding) -> None:
        say(self._console, str(finding))
