"""``dicomweb-server attribute``, beside a running server."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from dicomweb_server.index.embedded import running_url
from tests.commands.running import environment, run
from tests.make import instance_with, study_of
from tests.running import ROOT, RunningServer
from tests.web.asking import store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as running:
        yield running


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=60) as client:
        yield client


async def database(data_dir: Path) -> "asyncpg.Connection[asyncpg.Record]":
    url = running_url(data_dir)
    assert url is not None
    return await asyncpg.connect(url)


def ask(data_dir: Path, statement: str, *arguments: object) -> Any:
    """One value of the database of a running server."""

    async def fetch() -> Any:
        conn = await database(data_dir)
        try:
            return await conn.fetchval(statement, *arguments)
        finally:
            await conn.close()

    return asyncio.run(fetch())


def found(http: httpx.Client, **query: str) -> set[str]:
    answer = http.get("studies", params=query)
    answer.raise_for_status()
    return {study["0020000D"]["Value"][0] for study in answer.json()} if answer.content else set()


def test_an_attribute_is_indexed_listed_and_dropped(
    server: RunningServer, http: httpx.Client
) -> None:
    data = server.data_dir
    for study, name in (("1.1", "St. Mary"), ("1.2", "St. Mary"), ("1.3", "Elsewhere")):
        store(http, instance_with(StudyInstanceUID=study, InstitutionName=name, KVP="120"))
    asked = {"InstitutionName": "St*"}
    assert found(http, **asked) == {"1.1", "1.2"}

    indexed = run(data, "attribute", "index", "InstitutionName")
    assert indexed.returncode == 0, indexed.stderr
    assert "InstitutionName (00080080) is indexed: 3 values of 3 entities" in indexed.stderr
    assert run(data, "attribute", "index", "00180060").returncode == 0
    assert "is indexed already" in run(data, "attribute", "index", "00080080").stderr
    listed = run(data, "attribute", "list").stdout.splitlines()
    assert listed[1].split() == ["InstitutionName", "00080080", "series", "ready"]
    assert listed[2].split() == ["KVP", "00180060", "instance", "ready"]
    assert found(http, **asked) == {"1.1", "1.2"}
    store(http, instance_with(StudyInstanceUID="1.4", InstitutionName="St. John"))
    assert found(http, **asked) == {"1.1", "1.2", "1.4"}
    assert found(http, KVP="120", **asked) == {"1.1", "1.2"}

    dropped = run(data, "attribute", "drop", "InstitutionName")
    assert dropped.returncode == 0 and "4 values removed" in dropped.stderr
    assert len(run(data, "attribute", "list").stdout.splitlines()) == 2
    assert found(http, **asked) == {"1.1", "1.2", "1.4"}
    again = run(data, "attribute", "drop", "InstitutionName")
    assert again.returncode == 1 and "not indexed" in again.stderr


def start(data_dir: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "dicomweb_server", *arguments],
        env=environment(data_dir),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def kill_midway(data_dir: Path) -> int:
    """Index Filter Type, and kill -9 it where it waits for a study; returns how far it got."""
    conn = await database(data_dir)
    try:
        async with conn.transaction():
            await conn.execute(
                "SELECT FROM studies WHERE id = (SELECT max(id) FROM studies) FOR UPDATE"
            )
            process = start(data_dir, "attribute", "index", "FilterType")
            deadline = time.monotonic() + 60
            position = None
            while position is None and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                position = await conn.fetchval(
                    "SELECT position FROM progress WHERE work LIKE 'attribute %'"
                )
            process.kill()
            process.wait(30)
            assert isinstance(position, int)
            return position
    finally:
        await conn.close()


def test_what_was_killed_goes_on(server: RunningServer, http: httpx.Client) -> None:
    """The batches before the one that was not written are not done again."""
    data = server.data_dir
    for seed in (1, 2):
        made = study_of(1, 250, seed=seed, rows=2, columns=2, FilterType=f"F{seed}")
        store(http, *(each.file() for each in made))
    position = asyncio.run(kill_midway(data))
    assert position > 0
    assert found(http, FilterType="F2") == found(http, PatientID=patient_of(http, "F2"))
    listed = run(data, "attribute", "list").stdout
    assert "incomplete" in listed
    store(http, instance_with(FilterType="F3"))

    after = run(data, "attribute", "index", "FilterType")

    assert after.returncode == 0, after.stderr
    assert "Going on" in after.stderr
    assert "ready" in run(data, "attribute", "list").stdout
    values = """SELECT string_agg(value || ' ' || count, ', ' ORDER BY value)
                  FROM (SELECT value, count(*) FROM attribute_values GROUP BY 1) AS v"""
    assert ask(data, values) == "F1 250, F2 250, F3 1"
    assert ask(data, "SELECT count(*) FROM progress WHERE work LIKE 'attribute %'") == 0
    time.sleep(6)  # by now the server knows of it
    assert len(found(http, FilterType="F2")) == 1


def patient_of(http: httpx.Client, filter_type: str) -> str:
    """The Patient ID of the study made through a filter, by the metadata of all studies."""
    for study in http.get("studies").json():
        metadata = http.get(f"studies/{study['0020000D']['Value'][0]}/metadata").json()
        if metadata[0]["00181160"]["Value"] == [filter_type]:
            patient: str = study["00100020"]["Value"][0]
            return patient
    raise AssertionError(filter_type)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("PatientID", "index already"),
        ("RequestAttributesSequence.00400009", "index already"),
        ("PatientNaem", "no such attribute"),
        ("OtherPatientIDsSequence", "neither a sequence"),
        ("PixelData", "nor bytes"),
        ("00091001", "of the standard"),
        ("InstanceAvailability", "computed"),
    ],
)
def test_what_cannot_be_indexed_is_said_plainly(tmp_path: Path, path: str, said: str) -> None:
    result = run(tmp_path / "data", "attribute", "index", path)
    assert result.returncode == 1
    assert said in result.stderr
