"""What holds for the checkout as a whole."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
ALL_LOCKS = [*LOCKS, "tests/fuzz/requirements.lock"]


def pins(lock):
    """Package names (normalised) and versions of a lock file, as written."""
    lines = (ROOT / lock).read_text().splitlines()
    entries = [line.split(" ")[0] for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {
        name.lower().replace("_", "-"): version
        for name, version in (entry.split("==") for entry in entries)
    }


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_a_lock_names_no_address_and_has_a_hash_for_everything(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry)
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_the_project_asks_for(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    if "dev" in lock:
        wanted += project["optional-dependencies"]["dev"]
    names = {re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in wanted}
    locked = {re.match(r"[A-Za-z0-9._-]+", name)[0] for name in pins(lock)}
    assert names <= locked


def test_what_is_tested_is_what_runs():
    run, develop = (pins(lock) for lock in LOCKS)
    assert run.items() <= develop.items()


def test_make_alone_lists_every_verb():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    verbs = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert re.findall(r"^  make ([\w-]+)\t\S", listed, re.M) == verbs


def test_continuous_integration_runs_checks_and_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert {"make check", "make test"} <= set(script.read_text().splitlines())
