"""Files made in memory: whole, bounded, and with nothing left open."""

import os
import resource
from pathlib import Path

import pytest

from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.without_room import MOST, made_in_memory
from dicomweb_server.errors import NotPart10


def copy(source: Path, target: Path, *, times: int = 1) -> None:
    with target.open("wb") as out:
        for _ in range(times):
            out.write(source.read_bytes())


def refuse(source: Path, target: Path) -> None:
    target.write_bytes(b"begun")
    raise NotPart10("no DICOM file")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 4096)  # 1 MiB
    return path


def test_what_is_written_comes_back(source: Path) -> None:
    assert made_in_memory(copy, source) == source.read_bytes()
    assert made_in_memory(copy, source, times=MOST >> 20) == source.read_bytes() * (MOST >> 20)


def test_what_is_too_large_is_given_up_and_the_limit_with_it(source: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert made_in_memory(copy, source, times=1 + (MOST >> 20)) is None
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_a_refusal_and_a_failing_disk_are_told(source: Path) -> None:
    with pytest.raises(NotPart10):
        made_in_memory(refuse, source)
    with pytest.raises(FileNotFoundError):
        made_in_memory(copy, source.with_name("missing"))


async def test_a_file_in_memory_is_read_and_closed() -> None:
    number = len(os.listdir("/proc/self/fd"))
    file = ScratchFile.of_bytes(b"0123456789")
    assert (file.size, os.pread(file.number, 3, 2)) == (10, b"234")
    await file.close()
    assert len(os.listdir("/proc/self/fd")) == number
