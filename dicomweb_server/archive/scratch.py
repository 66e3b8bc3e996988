"""The scratch folder: files under way, named after the process that makes them."""

import asyncio
import itertools
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_DAY = 86_400  # seconds


_numbers = itertools.count()
_start = secrets.token_hex(3)


def new_token() -> str:
    """A name never used before, in order of time.

    Time, process, start of the program and a number, rather than random bits: asking the
    kernel for those lets go of the interpreter, and a busy server waits to have it back. The
    number is wide enough never to grow a digit, which would put it before smaller ones.
    """
    return f"{time.time_ns() // 1_000_000:012x}{os.getpid():06x}{_start}{next(_numbers):010x}"


def time_of(token: str) -> datetime:
    """When a token was made."""
    return datetime.fromtimestamp(int(token[:12], 16) / 1000, UTC)


def scratch_path(folder: Path, suffix: str) -> Path:
    """A new path below the scratch folder, on the same file system as the blobs."""
    return folder / f"{os.getpid()}-{new_token()}{suffix}"


async def remove(*paths: Path) -> None:
    """Remove scratch files that are there, also when who waits for it is cancelled before a thread
    has come to it."""
    loop = asyncio.get_running_loop()
    await asyncio.shield(loop.run_in_executor(None, _remove, paths))


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> int:
    """Remove what processes left that were killed; returns how many files.

    An import may be at work beside the server: what a living process makes stays, for a day.
    """
    removed = 0
    for path in folder.iterdir():
        owner = path.name.partition("-")[0]
        with suppress(FileNotFoundError):
            old = time.time() - path.lstat().st_mtime > _DAY
            if old or not (owner.isdecimal() and _lives(int(owner))):
                path.unlink()
                removed += 1
    return removed


def _lives(pid: int) -> bool:
    if pid == os.getpid():  # ours by chance only: this process has made nothing yet
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:  # hidden from us: somebody's
        return True
    return state not in "ZX"  # one that was killed, and that nobody has buried yet
