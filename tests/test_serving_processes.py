"""The real application on a new folder: its serving processes are forks of the main one, which has
imported it, and may not have more in common than that."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.running import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data", {"WORKERS": "2"}, new=True) as running:
        yield running


def request_ids(server: RunningServer, count: int) -> list[str]:
    """Of requests over connections of their own, which any of the processes may take."""
    found: list[str] = []
    deadline = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < deadline
        with suppress(httpx.TransportError):  # a process was killed
            answer = httpx.get(f"{server.url}/healthz", verify=False)
            found.append(answer.headers["x-request-id"])
    return found


def serving(server: RunningServer) -> set[int]:
    """The processes that answer."""
    found = set()
    for pid in server.processes():
        command = (Path("/proc") / str(pid) / "cmdline").read_bytes()
        if pid != server.pid and b"dicomweb_server.archive.worker" not in command:
            found.add(pid)
    return found


def test_a_new_folder_is_served_and_no_two_requests_have_one_id(server: RunningServer) -> None:
    assert httpx.get(f"{server.base}/studies", verify=False).status_code == 204
    before = request_ids(server, 40)
    assert len(set(before)) == 40
    killed = serving(server)
    assert len(killed) == 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    after = request_ids(server, 40)

    assert len({*before, *after}) == 80
    assert not killed & serving(server)
