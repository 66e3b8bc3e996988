"""Import of folders and ZIP files: everything DICOM in them goes the way of a STOW request.

Files are copied into the scratch folder while they are hashed, described and committed like
uploads, several at a time. What is there already is passed over by the store's own rule
(STOW-20), so an import that was interrupted is simply started again.
"""

import asyncio
import lzma
import os
import struct
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.staging import StagedFile, check_room, in_thread, new_staging
from dicomweb_server.archive.store import store_files
from dicomweb_server.archive.turns import Turn
from dicomweb_server.errors import Refusal, Unavailable, where
from dicomweb_server.wire.store_report import Stored

log = structlog.get_logger()

AT_A_TIME = 8  # files
_CHUNK = 1 << 20  # bytes
_MAX_LISTED = 10_000  # failures kept with their reasons; more are only counted
_ZIP_BEGINS = b"PK\x03\x04"

# What zipfile and the decompressors raise for damage.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    IndexError,
    OverflowError,
)


class Unreadable(Exception):
    """A source whose content cannot be had. ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file to import; `member` is its name within the ZIP file `path`."""

    path: Path
    size: int  # bytes, as far as known before reading
    member: str | None = None
    number: int = 0  # of the member, from 0; names may occur more than once
    reason: str = ""  # why it cannot be read, if that is known already

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member is not None else str(self.path)


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
            hidden: list[OSError] = []
            for folder, folders, names in os.walk(path, onerror=hidden.append):
                folders.sort()
                for name in sorted(names):
                    yield from _below(Path(folder, name))
            for error in hidden:
                yield Source(Path(error.filename), 0, reason=_cannot_be_read(error))
        else:
            yield from _open_up(path)


def _below(file: Path) -> Iterator[Source]:
    try:
        wanted = file.is_file() and not file.is_symlink()
    except OSError as error:  # a folder that may be listed and not entered
        yield Source(file, 0, reason=_cannot_be_read(error))
        return
    if wanted:
        yield from _open_up(file)


def _open_up(path: Path) -> Iterator[Source]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        yield Source(path, 0, reason=_cannot_be_read(error))
        return
    # A DICOM file may be a ZIP file too (pains: polyglots); then it is a DICOM file.
    if head[128:] != b"DICM" and (head.startswith(_ZIP_BEGINS) or zipfile.is_zipfile(path)):
        try:
            with _readable(), zipfile.ZipFile(path) as archive:
                members = list(enumerate(archive.infolist()))
        except (Unreadable, OSError):
            if head.startswith(_ZIP_BEGINS):
                yield Source(path, size, reason="the ZIP file is damaged")
                return
            members = []  # something else, which ends like one
        if members:
            for number, info in members:
                if not info.filename.endswith("/"):  # is_dir() fails on an empty name
                    yield Source(path, info.file_size, info.filename, number)
            return
    yield Source(path, size)


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
    zips = _Zips()
    broken: dict[str, float] = {}
    turn = asyncio.Lock()  # a generator runs in one thread at a time

    async def next_source() -> Source | None:
        async with turn:
            return await in_thread(next, sources, None)

    async def store(source: Source) -> None:
        staged = await _stage(archive, zips, source)
        if staged is None:
            tally.not_dicom += 1
            return
        [outcome] = await store_files(archive, scope, [staged], turn=Turn(broken=broken))
        if isinstance(outcome, Unavailable):
            raise outcome
        if isinstance(outcome, Stored):
            tally.count(outcome, staged.size)
        else:
            tally.fail(source, outcome.comment)

    async def one_after_another() -> None:
        while (source := await next_source()) is not None:
            check_room(archive)
            try:
                await store(source)
            except Unavailable:
                raise
            except Exception as error:
                tally.fail(source, _plain(error))
            progress(source, tally)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(one_after_another())
    finally:
        await in_thread(zips.close)
    await archive.leases.outlive(scope, broken)
    return tally


async def _stage(archive: Archive, zips: "_Zips", source: Source) -> StagedFile | None:
    """Copy a source into the scratch folder; None for what is plainly no DICOM file.

    Raises Unreadable, OSError, ContentTooLarge.
    """
    if source.reason:
        raise Unreadable(source.reason)
    staging = new_staging(archive)
    try:
        reader = await in_thread(_Reader, zips, source)
        try:
            head = True
            while chunk := await in_thread(reader.read):
                if head and chunk[128:132] != b"DICM":
                    await staging.discard()
                    return None
                head = False
                await staging.write(chunk)
        finally:
            await in_thread(reader.close)
        if head:
            return None
        return await staging.finish()
    except BaseException:
        await staging.discard()
        raise


class _Reader:
    """The content of one source. Raises Unreadable, OSError."""

    def __init__(self, zips: "_Zips", source: Source) -> None:
        self._zips = zips
        self._source = source
        try:
            self._file = zips.open(source) if source.member is not None else source.path.open("rb")
        except OSError as error:
            raise Unreadable(_cannot_be_read(error)) from error

    def read(self) -> bytes:
        try:
            if self._source.member is None:
                return self._file.read(_CHUNK)
            with _readable():
                return self._file.read(_CHUNK)
        except OSError as error:
            raise Unreadable(_cannot_be_read(error)) from error

    def close(self) -> None:
        if self._source.member is not None:
            self._zips.done_with(self._source, self._file)
        else:
            self._file.close()


class _Zips:
    """ZIP files whose members are being read. Each is opened once for all of them, as they come
    one after the other: to open it takes a walk over its directory, which may be long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # ZipFile counts what it has open; only its reads are safe
        self._open: dict[Path, zipfile.ZipFile] = {}
        self._members: Counter[Path] = Counter()  # being read

    def open(self, source: Source) -> IO[bytes]:
        with self._lock, _readable():
            whole = self._open.get(source.path)
            if whole is None:
                for path in [path for path in self._open if not self._members[path]]:
                    self._open.pop(path).close()
                whole = self._open[source.path] = zipfile.ZipFile(source.path)
            info = whole.infolist()[source.number]
            if info.flag_bits & 1:
                raise Unreadable("the ZIP member is encrypted")
            member = whole.open(info)
            self._members[source.path] += 1
            return member

    def done_with(self, source: Source, member: IO[bytes]) -> None:
        with self._lock:
            self._members[source.path] -= 1
            member.close()

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what zipfile raises for a file that it cannot read into Unreadable."""
    try:
        yield
    except NotImplementedError:
        raise Unreadable("the ZIP member is compressed in an unusual way") from None
    except _DAMAGE as error:
        raise Unreadable("the ZIP member is damaged") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Unreadable("the ZIP member is damaged") from error  # as bz2 says it


def _cannot_be_read(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def _plain(error: Exception) -> str:
    if isinstance(error, Unreadable | Refusal):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot be copied: {error.strerror or type(error).__name__}"
    log.error("a file could not be imported", where=where(error))
    return "an unexpected error"
