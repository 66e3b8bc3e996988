"""Scratch files: given back once, and in any case."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicomweb_server.archive.content import ScratchFile


def _scratch(folder: Path, content: bytes = b"scratch") -> ScratchFile:
    path = folder / "scratch"
    path.write_bytes(content)
    file = ScratchFile(path)
    path.unlink()
    return file


async def test_a_file_that_was_collected_is_not_closed_again(tmp_path: Path) -> None:
    """What holds it may be collected later, and close it: the number is another file's by then."""
    file = _scratch(tmp_path)
    number = file.number
    file.__del__()
    other = os.open(tmp_path, os.O_RDONLY)
    try:
        assert other == number  # the lowest that is free
        await file.close()
        os.fstat(other)
    finally:
        os.close(other)


async def test_a_file_is_closed_by_who_is_cancelled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _scratch(tmp_path)
    number = file.number
    busy = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(asyncio.get_running_loop(), "_default_executor", threads)
        threads.submit(busy.wait, 10)
        closing = asyncio.create_task(file.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        os.fstat(number)  # no thread has come to it
        busy.set()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(number)
