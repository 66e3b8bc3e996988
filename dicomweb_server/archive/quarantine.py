"""Files that could not be stored, kept aside with the reason until somebody deals with them.

A folder of pairs: ``token.dcm`` as it was received, and ``token.json`` with what is known of
it. The note is written last, so a file without one is no entry. Neither holds more of the
patient than the file itself.
"""

import asyncio
import os
import shutil
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
        note.rename(note.with_suffix(".json"))
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
        self._bytes = 0
        self._measured = -_REMEASURE_SECONDS

    def reserve(self, size: int, limit: int) -> bool:
        """Count `size` bytes in if they fit."""
        now = time.monotonic()
        if now - self._measured > _REMEASURE_SECONDS:
            self._bytes = sum(each.stat().st_size for each in os.scandir(self._folder))
            self._measured = now
        if self._bytes + size > limit:
            return False
        self._bytes += size
        return True


_measured: dict[Path, _Held] = {}


def _held(folder: Path) -> _Held:
    return _measured.setdefault(folder, _Held(folder))


def list_refused(folder: Path) -> Iterator[Refused]:
    """What is in quarantine, the oldest first."""
    if not folder.is_dir():
        return
    for note in sorted(folder.glob("*.json")):
        with suppress(FileNotFoundError):  # released just now
            yield Refused(**orjson.loads(note.read_bytes()))


def file_of(folder: Path, entry: Refused) -> Path:
    """Where the file of an entry lies."""
    return folder / f"{entry.token}.dcm"


def stage_again(archive: Archive, entry: Refused) -> StagedFile:
    """A second name of the file, or a copy, in the scratch folder, to be stored."""
    source = file_of(archive.settings.quarantine_dir, entry)
    path = archive.scratch_file(".part")
    try:
        path.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return StagedFile(path, entry.size, bytes.fromhex(entry.sha256))


def drop(folder: Path, entry: Refused) -> None:
    """Take an entry out: the note first, which makes it one."""
    (folder / f"{entry.token}.json").unlink(missing_ok=True)
    file_of(folder, entry).unlink(missing_ok=True)
