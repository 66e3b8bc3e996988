"""Import of folders and ZIP files: everything DICOM in them goes the way of a STOW request.

Files are copied into the scratch folder while they are hashed, described and committed like
uploads, several at a time. What is there already is passed over by the store's own rule
(STOW-20), so an import that was interrupted is simply started again.
"""

import asyncio
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.store import StagedFile, check_room, new_staging, store_file
from dicomweb_server.errors import ContentTooLarge, Refusal
from dicomweb_server.wire.store_report import Stored

AT_A_TIME = 8  # files
_CHUNK = 1 << 20  # bytes
_MAX_LISTED = 10_000  # failures kept with their reasons; more are only counted


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import; `member` is its name within the ZIP file `path`."""

    path: Path
    size: int  # bytes, as far as known before reading
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)


@dataclass(slots=True)
class Tally:
    """What became of the files so far."""

    stored: int = 0
    present: int = 0  # were there already
    bytes: int = 0
    not_dicom: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)  # file, reason

    def fail(self, source: Source, reason: str) -> None:
        self.reasons[reason] += 1
        if len(self.failures) < _MAX_LISTED:
            self.failures.append((str(source), reason))

    def count(self, outcome: Stored, size: int) -> None:
        self.stored += outcome.new
        self.present += not outcome.new
        self.bytes += size

    @property
    def failed(self) -> int:
        return sum(self.reasons.values())


def find_sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Every regular file below `paths`, in a stable order; ZIP files give their members.

    Symbolic links below a path are not followed: they may lead anywhere, or in circles.
    """
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders.sort()
                for name in sorted(names):
                    file = Path(folder, name)
                    if file.is_file() and not file.is_symlink():
                        yield from _open_up(file)
        else:
            yield from _open_up(path)


def _open_up(path: Path) -> Iterator[Source]:
    if path.is_file() and zipfile.is_zipfile(path) and not _is_part10(path):
        try:
            with zipfile.ZipFile(path) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError):
            members = []
        if members:
            yield from (Source(path, info.file_size, info.filename) for info in members)
            return
    size = path.stat().st_size if path.exists() else 0
    yield Source(path, size)


def _is_part10(path: Path) -> bool:
    """A DICOM file may be a ZIP file too (pains: polyglots); then it is a DICOM file."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


async def import_sources(
    archive: Archive,
    principal: Principal,
    sources: Iterator[Source],
    progress: Callable[[Source, Tally], None],
) -> Tally:
    """Store every source; go on after bad ones. `progress` is called after each.

    Raises Unavailable when the archive itself cannot take more.
    """
    scope = archive.scope(principal, Action.STORE)
    tally = Tally()
    turn = asyncio.Lock()  # a generator runs in one thread at a time

    async def next_source() -> Source | None:
        async with turn:
            return await asyncio.to_thread(next, sources, None)

    async def one_after_another() -> None:
        while (source := await next_source()) is not None:
            check_room(archive)
            try:
                staged = await _stage(archive, source)
            except (OSError, Refusal, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
                tally.fail(source, _plain(error))
            else:
                if staged is None:
                    tally.not_dicom += 1
                else:
                    outcome = await store_file(archive, scope, staged)
                    if isinstance(outcome, Stored):
                        tally.count(outcome, staged.size)
                    else:
                        tally.fail(source, outcome.comment)
            progress(source, tally)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(one_after_another())
    return tally


async def _stage(archive: Archive, source: Source) -> StagedFile | None:
    """Copy a source into the scratch folder; None for what is plainly no DICOM file."""
    staging = new_staging(archive)
    try:
        file, close = await asyncio.to_thread(_open, source)
        try:
            head = True
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                if head and chunk[128:132] != b"DICM":
                    await staging.discard()
                    return None
                head = False
                await staging.write(chunk)
        finally:
            await asyncio.to_thread(close)
        if head:
            return None
        return await staging.finish()
    except BaseException:
        await staging.discard()
        raise


def _open(source: Source) -> tuple[BinaryIO, Callable[[], None]]:
    if source.member is None:
        file = source.path.open("rb")
        return file, file.close
    whole = zipfile.ZipFile(source.path)
    try:
        member = whole.open(source.member)
    except BaseException:
        whole.close()
        raise

    def close() -> None:
        member.close()
        whole.close()

    return member, close  # type: ignore[return-value]  # read and close are all that is used


def _plain(error: Exception) -> str:
    if isinstance(error, ContentTooLarge):
        return str(error)
    if isinstance(error, RuntimeError) and not isinstance(error, Refusal):
        return "the ZIP member is encrypted"  # what zipfile raises for one without a password
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or type(error).__name__}"
    if isinstance(error, zipfile.BadZipFile | zlib.error):
        return "the ZIP member is damaged"
    return str(error)
