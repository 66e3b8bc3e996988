"""Import of folders and ZIP files, by the command itself."""

import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from dicomweb_server.archive import importing
from dicomweb_server.archive.importing import Source, find_sources
from tests.make import instance_with, study_of
from tests.running import ROOT, RunningServer
from tests.web.asking import new_uid


def run_import(data_dir: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(data_dir),
        "MIN_FREE_BYTES": "0",
        "COLUMNS": "500",
    }
    return subprocess.run(
        [sys.executable, "-m", "dicomweb_server", "import", *map(str, paths)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A disc as people have them: images in folders, a ZIP file, and things that are no images."""
    root = tmp_path / "disc"
    (root / "images" / "deep").mkdir(parents=True)
    for number, instance in enumerate(study_of(1, 6, rows=16, columns=16)):
        place = root / "images" / ("deep" if number % 2 else "")
        (place / f"IM{number}").write_bytes(instance.file())
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        for number, instance in enumerate(study_of(1, 3, seed=1, rows=16, columns=16)):
            archive.writestr(f"../../evil/IM{number}", instance.file())
        archive.writestr("notes.txt", "hello")
    (root / "README.txt").write_text("not an image")
    (root / "empty").write_bytes(b"")
    damaged = instance_with(SOPInstanceUID=new_uid())
    (root / "damaged.dcm").write_bytes(damaged[: len(damaged) - 9])
    (root / "loop").symlink_to(root)
    return root


def count(server: RunningServer) -> int:
    found = httpx.get(f"{server.base}/instances", params={"limit": "1000"})
    return len(found.json()) if found.status_code == 200 else 0


def test_everything_dicom_is_imported_and_what_fails_is_listed(
    tmp_path: Path, folder: Path
) -> None:
    data = tmp_path / "data"
    first = run_import(data, folder)

    assert first.returncode == 1
    assert "9 stored, 0 were there already, 1 failed, 3 are not DICOM files" in first.stderr
    assert "damaged.dcm: " in first.stderr
    assert not (tmp_path / "evil").exists()
    again = run_import(data, folder)
    assert "0 stored, 9 were there already, 1 failed" in again.stderr
    with RunningServer(data) as server:
        assert count(server) == 9
        beside = run_import(data, folder / "images")  # a running server is no obstacle
        assert "0 stored, 6 were there already, 0 failed" in beside.stderr
        assert beside.returncode == 0
        new = tmp_path / "one.dcm"
        new.write_bytes(instance_with(StudyInstanceUID=new_uid(), SOPInstanceUID=new_uid()))
        assert "1 stored" in run_import(data, new).stderr
        assert count(server) == 10
        [stored] = list(
            (data / "blobs").rglob(f"{dcmread(BytesIO(new.read_bytes())).SOPInstanceUID}*")
        )
        assert stored.read_bytes() == new.read_bytes()
    assert not list((data / "tmp").iterdir())


def patched(path: Path, begin: bytes, offset: int, data: bytes) -> None:
    """Change bytes of a file, counted from the last place of `begin`."""
    content = bytearray(path.read_bytes())
    at = content.rindex(begin) + offset
    content[at : at + len(data)] = data
    path.write_bytes(content)


def test_damaged_zip_files_cost_what_is_damaged_alone(tmp_path: Path) -> None:
    root = tmp_path / "zips"
    root.mkdir()
    files = [instance.file() for instance in study_of(1, 8, rows=64, columns=64)]
    local, central = b"PK\x03\x04", b"PK\x01\x02"

    def write(name: str, method: int, *contents: bytes) -> Path:
        with zipfile.ZipFile(root / name, "w", method) as archive:
            for number, content in enumerate(contents):
                archive.writestr(f"IM{number}", content)
        return root / name

    garbage = bytes(range(256))
    for number, method in enumerate((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)):
        good, bad = files[2 * number : 2 * number + 2]
        patched(write(f"data-{method}.zip", method, good, bad), local, 100, garbage)
    patched(write("unknown.zip", zipfile.ZIP_STORED, files[6]), central, 10, b"\x63\x00")
    patched(write("encrypted.zip", zipfile.ZIP_STORED, files[6]), central, 8, b"\x01\x00")
    patched(write("offset.zip", zipfile.ZIP_STORED, files[6]), central, 42, b"\xff\xff\xff\x00")
    patched(write("crc.zip", zipfile.ZIP_STORED, files[6]), central, 16, b"\0\0\0\0")
    patched(write("directory.zip", zipfile.ZIP_STORED, files[6]), central, 0, b"XXXX")
    cut = write("cut.zip", zipfile.ZIP_STORED, files[6])
    cut.write_bytes(cut.read_bytes()[:2000])
    with zipfile.ZipFile(root / "twice.zip", "w") as archive, pytest.warns(match="Duplicate"):
        archive.writestr("IM", files[6])
        archive.writestr("IM", files[7])  # two files of one name are two files

    result = run_import(tmp_path / "data", root)

    assert "5 stored, 0 were there already, 9 failed, 0 are not DICOM files" in result.stderr
    for failure in (
        "data-8.zip!IM1: the ZIP member is damaged",
        "data-12.zip!IM1: the ZIP member is damaged",
        "data-14.zip!IM1: the ZIP member is damaged",
        "unknown.zip!IM0: the ZIP member is compressed in an unusual way",
        "encrypted.zip!IM0: the ZIP member is encrypted",
        "offset.zip!IM0: the ZIP member is damaged",
        "crc.zip!IM0: the ZIP member is damaged",
        "directory.zip: the ZIP file is damaged",
        "cut.zip: the ZIP file is damaged",
    ):
        assert failure in result.stderr
    assert result.returncode == 1
    assert not list((tmp_path / "data" / "tmp").iterdir())


def test_hostile_zip_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that are forged, bombs, links, ZIP files within, names that lead out (pains 42)."""
    monkeypatch.setenv("MAX_INSTANCE_BYTES", "1MiB")
    root = tmp_path / "zips"
    root.mkdir()
    files = [instance.file() for instance in study_of(1, 5, rows=16, columns=16)]
    central = b"PK\x01\x02"

    def write(name: str, content: bytes, member: str | zipfile.ZipInfo = "IM") -> Path:
        with zipfile.ZipFile(root / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
        return root / name

    small, large = (number.to_bytes(4, "little") for number in (10, 0xFFFFFFF0))
    patched(write("forged-small.zip", files[0]), central, 24, small)
    patched(write("forged-large.zip", files[1]), central, 24, large)  # what there is, is whole
    write("bomb.zip", bytes(1 << 26))  # of no DICOM file: its first bytes tell
    write("dicom-bomb.zip", bytes(128) + b"DICM" + bytes(1 << 26))
    write("inner.zip", (root / "bomb.zip").read_bytes(), "bomb.zip")  # not opened
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    write("link.zip", b"/etc/passwd", link)
    for number, name in enumerate(("../../../evil", "/tmp/evil-import", "a/../../evil")):
        write(f"slip-{number}.zip", files[2 + number], name)

    begun = time.monotonic()
    result = run_import(tmp_path / "data", root)
    assert time.monotonic() - begun < 60

    assert "4 stored, 0 were there already, 2 failed, 3 are not DICOM files" in result.stderr
    assert "forged-small.zip!IM: " in result.stderr
    assert "dicom-bomb.zip!IM: a part may have 1048576 bytes at the most" in result.stderr
    assert not [*tmp_path.rglob("*evil*"), *Path("/tmp").glob("evil-import")]
    assert not list((tmp_path / "data" / "tmp").iterdir())


def test_a_member_without_a_name_is_a_file_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "nameless.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("A", "B"):
            archive.writestr(name, name)
    patched(path, b"PK\x01\x02", 46, b"\0")  # which ends a name
    patched(path, b"PK\x03\x04", 30, b"\0")

    sources = list(find_sources([path]))
    assert [source.member for source in sources] == ["A", ""]
    zips = importing._Zips()
    reader = importing._Reader(zips, sources[1])
    assert reader.read() == b"B"
    reader.close()
    zips.close()


def test_a_zip_file_is_opened_once_for_all_that_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for number in range(50):
                archive.writestr(f"{number}", f"{name} {number}" * 1000)
    sources = list(find_sources([tmp_path]))
    opened = []
    read = zipfile.ZipFile._RealGetContents  # type: ignore[attr-defined]

    def note(self: zipfile.ZipFile) -> None:
        opened.append(self.filename)
        read(self)

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", note)
    zips = importing._Zips()

    def content(source: Source) -> bytes:
        reader = importing._Reader(zips, source)
        found = b"".join(iter(reader.read, b""))
        reader.close()
        return found

    with ThreadPoolExecutor(4) as threads:
        for source, found in zip(sources, threads.map(content, sources), strict=True):
            assert found == f"{source.path.name} {source.member}".encode() * 1000
    assert 2 <= len(opened) <= 5  # b may be begun while the last of a is read
    zips.close()


def test_what_may_not_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "inside").touch()
    (tmp_path / "file").touch()
    scandir = os.scandir

    def forbidden(path: Path) -> object:  # whoever runs the tests may read everything
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    found = list(find_sources([tmp_path, tmp_path / "gone"]))

    assert [(source.path.name, source.reason) for source in found] == [
        ("file", ""),
        ("closed", "cannot be read: Permission denied"),
        ("gone", "cannot be read: No such file or directory"),
    ]


def test_a_path_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    result = run_import(tmp_path / "data", tmp_path / "nowhere")
    assert result.returncode != 0
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
