"""Files that could not be stored, kept aside with the reason until somebody deals with them.

A folder of pairs: ``token.dcm`` as it was received, and ``token.json`` with what is known of
it. The note is written last, so a file without one is no entry. Neither holds more of the
patient than the file itself.
"""

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import structlog

from dicomweb_server.access.policy import Scope
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.scratch import new_token
from dicomweb_server.archive.staging import StagedFile
from dicomweb_server.errors import where
from dicomweb_server.wire.store_report import REASONS, Failed

log = structlog.get_logger()

# What says nothing of the file: the sender tries again.
_PASSING = {REASONS["out_of_resources"].code}
_REMEASURE_SECONDS = 60.0
_NOTE = ".json"
_NOTE_BYTES = 4096  # that a note takes up at least on most file systems
_TOKEN = re.compile("[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class Refused:
    """One file in quarantine."""

    token: str
    received_at: str  # ISO 8601, UTC
    principal: str
    reason: int  # Failure Reason (PS3.18 Annex I)
    comment: str
    size: int  # bytes
    sha256: str
    study_requested: str | None  # the study of the request's URL
    sop_class_uid: str | None
    sop_instance_uid: str | None


async def keep_refused(
    archive: Archive,
    scope: Scope,
    file: StagedFile,
    failure: Failed,
    study_instance_uid: str | None,
) -> None:
    """Move a refused file into quarantine if there is room; one that is gone is passed over."""
    if failure.reason in _PASSING:
        return
    entry = Refused(
        token=new_token(),
        received_at=datetime.now(UTC).isoformat(timespec="seconds"),
        principal=scope.principal,
        reason=failure.reason,
        comment=failure.comment,
        size=file.size,
        sha256=file.sha256.hex(),
        study_requested=study_instance_uid,
        sop_class_uid=failure.sop_class_uid,
        sop_instance_uid=failure.sop_instance_uid,
    )
    settings = archive.settings
    try:
        kept = await asyncio.to_thread(
            _keep, settings.quarantine_dir, settings.quarantine_limit_bytes, file.path, entry
        )
    except OSError as error:  # the sender is told of the refusal all the same
        log.error("a file could not be quarantined", where=where(error))
        return
    what = "a file was quarantined" if kept else "the quarantine is full; a file was not kept"
    log.warning(what, token=entry.token, reason=f"{failure.reason:04X}")


def _keep(folder: Path, limit: int, path: Path, entry: Refused) -> bool:
    folder.mkdir(mode=0o700, exist_ok=True)
    if _held(folder).reserve(entry.size, limit):
        path.rename(folder / f"{entry.token}.dcm")
        note = folder / f"{entry.token}.part"
        with note.open("wb") as file:
            file.write(orjson.dumps(asdict(entry)))
            file.flush()
            os.fsync(file.fileno())
        note.rename(note.with_suffix(_NOTE))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True
    return False


class _Held:
    """How much a quarantine holds, measured now and then: other processes add to it too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._bytes = 0
        self._measured = -_REMEASURE_SECONDS

    def reserve(self, size: int, limit: int) -> bool:
        """Count an entry of `size` bytes in if it fits; its note counts too, so that entries
        are bounded also where their files are empty."""
        with self._lock:
            now = time.monotonic()
            if now - self._measured > _REMEASURE_SECONDS:
                self._bytes = sum(map(_size_of, os.scandir(self._folder)))
                self._measured = now
            if self._bytes + size + _NOTE_BYTES > limit:
                return False
            self._bytes += size + _NOTE_BYTES
            return True


def _size_of(file: "os.DirEntry[str]") -> int:
    if file.name.endswith(_NOTE):
        return _NOTE_BYTES
    with suppress(FileNotFoundError):  # released just now
        return file.stat().st_size
    return 0


_measured: dict[Path, _Held] = {}


def _held(folder: Path) -> _Held:
    return _measured.setdefault(folder, _Held(folder))


def list_refused(folder: Path) -> Iterator[Refused]:
    """What is in quarantine, the oldest first."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as files:
        tokens = sorted(f.name.removesuffix(_NOTE) for f in files if f.name.endswith(_NOTE))
    for token in tokens:
        entry = find_refused(folder, token)
        if entry is not None:
            yield entry


def find_refused(folder: Path, token: str) -> Refused | None:
    """The entry with this token; None if there is none, or its note cannot be read."""
    if _TOKEN.fullmatch(token) is None:
        return None
    try:
        entry = Refused(**orjson.loads((folder / f"{token}{_NOTE}").read_bytes()))
        datetime.fromisoformat(entry.received_at)
    except FileNotFoundError:  # released just now
        return None
    except (ValueError, TypeError) as error:
        log.error("a note of the quarantine is damaged", token=token, where=where(error))
        return None
    return entry


def file_of(folder: Path, entry: Refused) -> Path:
    """Where the file of an entry lies."""
    return folder / f"{entry.token}.dcm"


def drop(folder: Path, entry: Refused) -> None:
    """Take an entry out: the note first, which makes it one."""
    (folder / f"{entry.token}{_NOTE}").unlink(missing_ok=True)
    file_of(folder, entry).unlink(missing_ok=True)


def purge(folder: Path, before: datetime, dry_run: bool) -> tuple[int, int]:
    """Drop what came before a moment; returns how many files, and their bytes.

    Files of that age without a note are dropped too: a crash left them.
    """
    files = size = 0
    for entry in list_refused(folder):
        if datetime.fromisoformat(entry.received_at) < before:
            files, size = files + 1, size + entry.size
            if not dry_run:
                drop(folder, entry)
    for path, found in _without_note(folder):
        if found.st_mtime < before.timestamp():
            files, size = files + 1, size + found.st_size
            if not dry_run:
                path.unlink(missing_ok=True)
    return files, size


def _without_note(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if path.suffix in (".dcm", ".part") and not path.with_suffix(_NOTE).exists():
                with suppress(FileNotFoundError):
                    yield path, entry.stat()
