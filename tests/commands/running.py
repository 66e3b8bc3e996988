"""The program, run as an operator does."""

import os
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(data_dir),
        "MIN_FREE_BYTES": "0",
        "CPU_WORKERS": "1",
        "COLUMNS": "500",
        **settings,
    }


def run(data_dir: Path, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """``dicomweb-server`` with these arguments, to its end."""
    result = subprocess.run(
        [sys.executable, "-m", "dicomweb_server", *map(str, arguments)],
        env=environment(data_dir, **settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result
