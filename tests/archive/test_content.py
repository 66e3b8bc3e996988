"""Scratch files: given back once, and in any case."""

import os
from pathlib import Path

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
