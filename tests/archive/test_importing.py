"""Import of folders and ZIP files, by the command itself."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

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


def test_a_path_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    result = run_import(tmp_path / "data", tmp_path / "nowhere")
    assert result.returncode != 0
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
