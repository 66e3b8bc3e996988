"""Which Python the environment is made with (deploy/interpreter.sh): of made-up ones, which print
what they are said to take."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "deploy" / "interpreter.sh"


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        ({"python3": "1000"}, "python3"),
        ({"python3": "1000", "python3.13": "900"}, "python3"),  # not worth another than is usual
        ({"python3": "1000", "python3.13": "600"}, "python3.13"),
        ({"python3": "1000", "python3.13": "800", "python3.12": "500"}, "python3.12"),
        ({"python3.12": "1000", "python3.11": "990"}, "python3.12"),  # the newer one
    ],
)
def test_another_python_is_taken_if_it_is_much_faster(
    tmp_path: Path, times: dict[str, str], chosen: str
) -> None:
    assert _chosen(tmp_path, times) == chosen


def test_one_that_is_too_old_or_fails_is_passed_over(tmp_path: Path) -> None:
    times = {"python3": "", "python3.13": "", "python3.12": "1000"}

    assert _chosen(tmp_path, times) == "python3.12"


def _chosen(folder: Path, times: dict[str, str]) -> str:
    """What the script says where there are these interpreters; one without a time fails. That of
    the system is left out: how fast it is nobody knows here."""
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        took = times.get(name, "")
        (folder / name).write_text(f"#!/bin/sh\necho {took}\n[ -n '{took}' ]\n")
        (folder / name).chmod(0o755)
    script = folder / "interpreter.sh"
    script.write_text(SCRIPT.read_text().replace(" /usr/bin/python3;", ";"))
    made = subprocess.run(
        ["/bin/sh", script], env={"PATH": str(folder)}, capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


def test_there_is_one_here() -> None:
    made = subprocess.run([SCRIPT], capture_output=True, text=True, check=True)

    version = subprocess.run([made.stdout.strip(), "--version"], capture_output=True, check=True)
    assert version.stdout.startswith(b"Python 3.")
