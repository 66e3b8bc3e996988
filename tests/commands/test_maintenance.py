"""The maintenance commands, by the program itself: beside a running server and without one."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydicom import dcmread

from dicomweb_server.index.embedded import running_url
from tests.commands.running import environment, run
from tests.make import instance_with, study_of
from tests.running import ROOT, RunningServer
from tests.web.asking import post, reasons, store

SETTINGS = {"QUARANTINE": "true", "ALLOW_DELETE": "true"}
IDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}


def version(sop: str = "1.2.3.4", **keywords: object) -> bytes:
    return instance_with(**{**IDS, "SOPInstanceUID": sop, **keywords})


def nameless_file() -> bytes:
    dataset = dcmread(BytesIO(version("1.2.3.9")))
    del dataset.SOPInstanceUID
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=False)
    return file.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data", SETTINGS) as running:
        yield running


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=60) as client:
        yield client


def blob(server: RunningServer, sop: str = "1.2.3.4", mark: str = "") -> Path:
    pattern = rf"{re.escape(sop)}~[0-9a-f]+{re.escape(mark)}\.dcm"
    files = (server.data_dir / "blobs").rglob(f"{sop}~*")
    [found] = [path for path in files if re.fullmatch(pattern, path.name)]
    return found


def found(http: httpx.Client) -> list[str]:
    instances = http.get("instances", params={"limit": "1000"})
    return sorted(i["00080018"]["Value"][0] for i in instances.json()) if instances.content else []


def test_an_archive_is_looked_after(server: RunningServer, http: httpx.Client) -> None:
    data = server.data_dir
    assert run(data, "institution", "policy", "default", "replace").returncode == 0
    store(http, version(PatientID="A"), version("1.2.3.5"))
    store(http, version(PatientID="B"))  # replaces: the server asks for the policy each time
    store(http, *(made.file() for made in study_of(2, 2, rows=8, columns=8)))
    listed = run(data, "institution", "list").stdout
    assert re.search(r"default +replace +2 +6 ", listed), listed

    sound = run(data, "verify", "--rate", "10MiB")
    assert sound.returncode == 0, sound.stderr
    assert "7 files verified" in sound.stderr and "0 findings" in sound.stderr
    lost = blob(server, "1.2.3.5")
    content = lost.read_bytes()
    lost.unlink()
    missing = run(data, "verify")
    assert missing.returncode == 1
    key = lost.relative_to(data / "blobs")
    assert f"missing: study 1.2, instance 1.2.3.5, blob {key}" in missing.stderr
    assert run(data, "verify", "--study", "1.2").returncode == 1
    assert "there is no study 7" in run(data, "verify", "--study", "7").stderr
    lost.write_bytes(content)

    litter = lost.with_name(f"1.2.3.5~{'0' * 34}.dcm")
    litter.write_bytes(b"x")
    os.utime(litter, (0, 0))
    swept = run(data, "sweep")  # older than the index: it stays
    assert swept.returncode == 0 and "0 of 8 files removed" in swept.stderr
    assert litter.exists()
    recent = lost.with_name(f"1.2.3.5~{int(time.time() * 1000):012x}{'0' * 22}.dcm")
    recent.write_bytes(b"x")
    assert "0 of 9 files removed" in run(data, "sweep").stderr
    assert (
        "1 of 9 files would be removed"
        in run(data, "sweep", "--older-than", "0s", "--dry-run").stderr
    )
    assert recent.exists()
    assert "1 of 9 files removed" in run(data, "sweep", "--older-than", "0s").stderr
    assert not recent.exists() and lost.exists()

    assert "0 superseded versions removed" in run(data, "purge").stderr
    purged = run(data, "purge", "--older-than", "0s", "--quarantine")
    assert "1 superseded versions removed" in purged.stderr
    assert "0 files in quarantine removed" in purged.stderr
    assert blob(server, mark="+").exists()
    with pytest.raises(ValueError, match="not enough"):
        blob(server)
    assert run(data, "verify").returncode == 0
    assert len(found(http)) == 6


def test_what_is_refused_is_listed_released_and_dropped(
    server: RunningServer, http: httpx.Client
) -> None:
    data = server.data_dir
    without_uid = nameless_file()
    store(http, version())
    answer = post(http, [version(PatientID="SECRET"), without_uid, b"not DICOM at all"])
    assert reasons(answer) == [0x0111] and answer.status_code == 409

    listed = [
        json.loads(line)
        for line in run(data, "quarantine", "list", "--json").stdout.split("\n")
        if line
    ]
    assert [entry["reason"] for entry in listed] == [0x0111, 0x0117, 0xC000]
    assert listed[0]["sop_instance_uid"] == "1.2.3.4"
    assert listed[0]["size"] == len(version(PatientID="SECRET"))
    duplicate, nameless, garbage = (entry["token"] for entry in listed)
    kept = (data / "quarantine" / f"{nameless}.dcm").read_bytes()
    assert kept == without_uid
    plain = run(data, "quarantine", "list").stdout.splitlines()
    assert plain[0].startswith(f"{duplicate}  20") and "0111 " in plain[0]
    assert "SECRET" not in "".join(plain)

    refused = run(data, "quarantine", "release", "--all", **SETTINGS)
    assert refused.returncode == 1 and "0 stored, 3 not" in refused.stderr
    assert f"{duplicate}: 0111 " in refused.stderr
    http.delete("studies/1.2").raise_for_status()
    released = run(data, "quarantine", "release", duplicate)
    assert released.returncode == 0 and "1 stored, 0 not" in released.stderr
    assert found(http) == ["1.2.3.4"]
    assert run(data, "quarantine", "release", duplicate).returncode == 1
    assert run(data, "quarantine", "release").returncode == 1
    assert run(data, "quarantine", "drop", nameless, duplicate).returncode == 1
    assert run(data, "quarantine", "drop", garbage).returncode == 0
    assert run(data, "quarantine", "list").stdout == ""


def test_a_lost_database_is_made_again_from_the_files(server: RunningServer) -> None:
    data = server.data_dir
    with httpx.Client(base_url=server.base, timeout=60) as http:
        store(http, *(made.file() for made in study_of(2, 5, rows=8, columns=8)))
        before = found(http)
    refused = run(data, "rebuild-index")
    assert refused.returncode == 1 and "not empty" in refused.stderr
    server.stop()
    (data / "postgres").rename(data.parent / "lost")

    swept = run(data, "sweep", "--older-than", "0s")
    assert swept.returncode == 1 and "empty" in swept.stderr
    rebuilt = run(data, "rebuild-index")

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "10 instances stored, 0 were there already" in rebuilt.stderr
    assert "10 were there already" in run(data, "rebuild-index", "--continue").stderr
    assert "0 of 10 files removed" in run(data, "sweep", "--older-than", "0s").stderr
    assert run(data, "verify").returncode == 0
    server.start()
    with httpx.Client(base_url=server.base, timeout=60) as http:
        assert found(http) == before


async def progress(data_dir: Path) -> int:
    """How much work the database knows to be under way."""
    url = running_url(data_dir)
    assert url is not None
    conn = await asyncpg.connect(url)
    try:
        found: int = await conn.fetchval("SELECT count(*) FROM progress WHERE work LIKE 'verify%'")
        return found
    finally:
        await conn.close()


def test_a_verification_that_is_interrupted_goes_on(server: RunningServer) -> None:
    """Ctrl-C, after the first of many pages."""
    data = server.data_dir
    with httpx.Client(base_url=server.base, timeout=60) as http:
        store(http, *(made.file() for made in study_of(1, 700, rows=2, columns=2)))
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomweb_server", "verify", "--rate", "200KiB"],
        env=environment(data),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What runs in the background may have been started with it ignored, and we with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not asyncio.run(progress(data)) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0

    after = run(data, "verify")

    assert "Going on" in after.stderr
    assert "700 files verified" in after.stderr and after.returncode == 0
    assert "Going on" not in run(data, "verify").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("sweep", "--older-than", "soon"),
        ("verify", "--rate", "fast"),
        ("institution", "policy", "default", "sometimes"),
        ("institution", "policy", "elsewhere", "refuse"),
    ],
)
def test_what_makes_no_sense_is_said_plainly(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(tmp_path / "data", *arguments)
    assert result.returncode != 0
    assert result.stderr
