"""Release: a file from quarantine is stored again, as if it came for the first time."""

import asyncio
import os
import shutil
from dataclasses import replace

from dicomweb_server.access.policy import Action
from dicomweb_server.access.principal import Principal
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.quarantine import Refused, drop, file_of
from dicomweb_server.archive.staging import StagedFile
from dicomweb_server.archive.store import store_files
from dicomweb_server.archive.turns import Turn
from dicomweb_server.errors import Unavailable
from dicomweb_server.wire.store_report import Result, Stored

RELEASER = Principal("quarantine")


async def release(archive: Archive, entry: Refused) -> Result | Unavailable:
    """Store a file again, whatever study was asked for then; once it is stored it is no longer
    in quarantine. One that is refused again stays, as it was. Raises OSError if it is gone."""
    # Its copy shall not be quarantined a second time.
    settings = archive.settings.model_copy(update={"quarantine": False})
    staged = await asyncio.to_thread(stage_again, archive, entry)
    scope = archive.scope(RELEASER, Action.STORE)
    turn = Turn()
    [result] = await store_files(replace(archive, settings=settings), scope, [staged], turn=turn)
    await archive.leases.outlive(scope, turn.broken)
    if isinstance(result, Stored):
        await asyncio.to_thread(drop, archive.settings.quarantine_dir, entry)
    return result


def stage_again(archive: Archive, entry: Refused) -> StagedFile:
    """A second name of the file, or a copy, in the scratch folder, to be stored."""
    source = file_of(archive.settings.quarantine_dir, entry)
    path = archive.scratch_file(".part")
    try:
        path.hardlink_to(source)
        os.utime(path)  # as what is old there is taken for forgotten
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return StagedFile(path, entry.size, bytes.fromhex(entry.sha256))
