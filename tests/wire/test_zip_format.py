"""ZIP files put together from their pieces, as Python's zipfile and Info-ZIP's unzip read them."""

import shutil
import subprocess
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.wire.zip_format import (
    central_header,
    cut,
    descriptor,
    end_of_archive,
    entry_length,
    local_header,
    member_name,
)


def zipped(members: list[tuple[bytes, bytes]]) -> bytes:
    out, headers = BytesIO(), []
    for name, data in members:
        start, crc = out.tell(), zlib.crc32(data)
        out.write(local_header(name, len(data)) + data + descriptor(len(data), crc))
        assert out.tell() - start == entry_length(name, len(data))
        headers.append(central_header(name, len(data), crc, start))
    offset, central = out.tell(), b"".join(headers)
    return out.getvalue() + central + end_of_archive(len(members), len(central), offset)


def test_entries_come_back(tmp_path: Path) -> None:
    members = [(b"DICOMDIR", b"abc"), (member_name(("A", "B")), bytes(100_000)), (b"C", b"")]
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(members))
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert [(info.filename.encode(), found.read(info)) for info in found.infolist()] == members
        assert {info.compress_type for info in found.infolist()} == {zipfile.ZIP_STORED}
    if unzip := shutil.which("unzip"):
        tested = subprocess.run([unzip, "-t", path], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stdout


def test_more_entries_than_sixteen_bits_can_count() -> None:
    members = [(b"%08d" % number, b"") for number in range(66_000)]
    with zipfile.ZipFile(BytesIO(zipped(members))) as found:
        assert len(found.infolist()) == 66_000
        assert found.read("00065999") == b""


def test_what_is_larger_than_four_gigabytes(tmp_path: Path) -> None:
    """A sparse file: the first entry is too large, the second begins too far behind."""
    size, path = (5 << 30) + 1, tmp_path / "large.zip"
    with path.open("wb") as out:
        out.write(local_header(b"LARGE", size))
        out.seek(size, 1)
        out.write(descriptor(size, 17))
        second = out.tell()
        assert second == entry_length(b"LARGE", size)
        out.write(local_header(b"SMALL", 3) + b"abc" + descriptor(3, zlib.crc32(b"abc")))
        offset = out.tell()
        central = central_header(b"LARGE", size, 17, 0)
        central += central_header(b"SMALL", 3, zlib.crc32(b"abc"), second)
        out.write(central + end_of_archive(2, len(central), offset))
    with zipfile.ZipFile(path) as found:
        large, small = found.infolist()
        assert (large.file_size, large.CRC, large.extract_version) == (size, 17, 45)
        assert small.header_offset == second
        assert found.read(small) == b"abc"
        with found.open(large) as stream:
            assert stream.read(10) == bytes(10)
    if unzip := shutil.which("unzip"):
        told = [unzip, "-p", path, "SMALL"]
        assert subprocess.run(told, capture_output=True, check=False).stdout == b"abc"


@given(st.binary(max_size=30), *[st.integers(0, 60)] * 3)
def test_a_piece_is_cut_by_its_place(data: bytes, at: int, first: int, more: int) -> None:
    whole = bytes(at) + data + bytes(100)
    end = first + more
    expected = [place for place in range(at, at + len(data)) if first <= place < end]
    assert cut(data, at, first, end) == bytes(whole[place] for place in expected)
