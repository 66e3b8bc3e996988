"""A disk without room for one more byte costs what is sent meanwhile, and nothing else."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dicomweb_server.index.embedded import start_postgres
from tests.running import ROOT


def test_a_full_disk_refuses_stores_and_takes_them_again(tmp_path: Path) -> None:
    # A mount of our own, which goes with its last process; who is not root is root in there.
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    folder = Path(tempfile.mkdtemp(prefix="dw-"))  # short, for the socket of Postgres
    folder.chmod(0o711)
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        with start_postgres(folder, fsync=False) as postgres:
            done = subprocess.run(
                [*alone, sys.executable, "-m", "tests.faults.full_disk", str(disk)],
                env={**os.environ, "DATABASE_URL": postgres.url},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr[-4000:]
