"""``dicomweb-server attribute``: have attributes indexed that have no column."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.attribute_index import (
    CannotIndex,
    Filled,
    check_path,
    drop_attribute,
    index_attribute,
)
from dicomweb_server.commands.maintaining import maintain, say, with_index
from dicomweb_server.config import Settings
from dicomweb_server.dicom.dictionary import keyword_of
from dicomweb_server.dicom.query import Level, Path
from dicomweb_server.index.attribute_fill import AttributeGone
from dicomweb_server.index.attribute_values import IndexedAttribute
from dicomweb_server.index.database import Pool, acquire
from dicomweb_server.index.indexed_attributes import list_attributes, path_text
from dicomweb_server.wire.search import attribute_path

_NAMES = {Level.STUDY: "study", Level.SERIES: "series", Level.INSTANCE: "instance"}


def run_index(settings: Settings, name: str) -> int:
    """Index an attribute, with a progress bar; returns the exit code: 0, or 1 if it is not."""
    console = Console(stderr=True)
    path = _path(name, console)
    if path is None:
        return 1
    try:
        check_path(path)
    except CannotIndex as refusal:
        say(console, f"{_shown(path)}: {refusal}")
        return 1

    async def work(archive: Archive) -> int:
        try:
            with _bar(console) as bar:
                done = await index_attribute(archive, path, _Shown(bar, console))
        except AttributeGone:
            say(console, f"{_shown(path)}: it was dropped meanwhile")
            return 1
        if done.was_ready:
            say(console, f"{_shown(path)} is indexed already")
        else:
            say(
                console,
                f"{_shown(path)} is indexed: {done.values} values of {done.entities} entities",
            )
        return 0

    return maintain(settings, work, console)


def run_list(settings: Settings) -> int:
    """Print the indexed attributes on standard output; returns the exit code."""

    async def work(pool: Pool) -> None:
        async with acquire(pool) as conn:
            listed = await list_attributes(conn)
        table = Table("Attribute", "Path", "Level", "State", box=None)
        for each in listed:
            table.add_row(_keywords(each.path), path_text(each.path), *_state(each))
        Console(markup=False, highlight=False).print(table)

    return with_index(settings, work)


def _state(attribute: IndexedAttribute) -> tuple[str, str]:
    # What is not ready is under way, or was broken off.
    done = "ready" if attribute.ready else "incomplete"
    return _NAMES[attribute.level], "dropped, incomplete" if attribute.dropped else done


def run_drop(settings: Settings, name: str) -> int:
    """Drop an index, with a count of what is removed; returns the exit code: 0, or 1 if there is
    none."""
    console = Console(stderr=True)
    path = _path(name, console)
    if path is None:
        return 1

    async def work(pool: Pool) -> None:
        with Progress(TextColumn("{task.description}"), console=console) as bar:
            task = bar.add_task("")
            total = 0

            def removed(count: int) -> None:
                nonlocal total
                total += count
                bar.update(task, description=f"{total} values removed")

            await drop_attribute(pool, path, removed)
        say(console, f"{_shown(path)} is no longer indexed: {total} values removed")

    return with_index(settings, work)


def _path(name: str, console: Console) -> Path | None:
    found = attribute_path(name)
    if found is None:
        say(console, f"{name}: there is no such attribute")
        return None
    return found[0]


def _keywords(path: Path) -> str:
    return ".".join(keyword_of(tag) or f"{tag:08X}" for tag in path)


def _shown(path: Path) -> str:
    return f"{_keywords(path)} ({path_text(path)})"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
    )


class _Shown:
    """Moves the bar. See archive.attribute_index.Watcher."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self._bar = bar
        self._console = console
        self._task: TaskID | None = None
        self._began = time.monotonic()

    def begin(self, last: int, position: int, filled: Filled) -> None:
        if filled.resumed:
            say(self._console, "Going on where the last run stopped")
        self._task = self._bar.add_task("Indexing", total=last, completed=position, rate="")
        self._began = time.monotonic()

    def advance(self, position: int, filled: Filled) -> None:
        assert self._task is not None
        rate = filled.entities / max(time.monotonic() - self._began, 0.001)
        text = f"{filled.entities} entities, {rate:.0f}/s"
        self._bar.update(self._task, completed=position, rate=text)
