"""Postgres goes away and comes back under clients that store: the server needs no restart."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dicomweb_server.index.embedded import EmbeddedPostgres, start_postgres
from tests.faults.checking import check
from tests.faults.storing import Clients
from tests.running import RunningServer

AWAY = 0.5  # seconds


@pytest.fixture
def folder() -> Iterator[Path]:
    """For Postgres: a short path, for its socket, and one that another account may reach."""
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def go_down(postgres: EmbeddedPostgres, how: signal.Signals) -> None:
    """End it by a signal; SIGTERM would wait for the server's connections."""
    os.kill(postgres.pid, how)
    postgres.stop()


def test_stores_go_on_once_postgres_is_back(tmp_path: Path, folder: Path) -> None:
    postgres = start_postgres(folder)
    try:
        with RunningServer(
            tmp_path / "data", {"DATABASE_URL": postgres.url, "CPU_WORKERS": "1"}
        ) as server:
            clients = Clients(server.base)
            clients.start()
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                clients.wait_for_answers()
                refused = clients.record.refused
                go_down(postgres, how)
                time.sleep(AWAY)
                assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 503
                assert httpx.get(f"{server.base}/studies", timeout=30).status_code == 503
                postgres = start_postgres(folder)
                clients.wait_for_answers()
                assert clients.record.refused > refused
            clients.pause()
            found = check(server, clients.record)
            clients.stop()
            assert (found.lost, found.damaged) == (0, 0)
            assert found.instances == clients.record.total()
            assert clients.record.unanswered == 0  # the server itself was always there
            assert server.scratch_left() == []
    finally:
        postgres.stop()


def wait_for_another(server: RunningServer, pid: int) -> None:
    deadline = time.monotonic() + 60
    while server.postgres_pid() in (None, pid):
        assert time.monotonic() < deadline, "Postgres was not started again"
        time.sleep(0.1)


def test_our_own_postgres_is_started_again_when_it_ends_by_itself(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", {"CPU_WORKERS": "1"}) as server:
        clients = Clients(server.base)
        clients.start()
        for how in (signal.SIGKILL, signal.SIGQUIT, signal.SIGINT):
            clients.wait_for_answers()
            pid = server.postgres_pid()
            assert pid is not None
            os.kill(pid, how)
            wait_for_another(server, pid)
            clients.wait_for_answers()
        clients.pause()
        found = check(server, clients.record)
        clients.stop()
        assert (found.lost, found.damaged) == (0, 0)
        assert found.instances == clients.record.total()
    assert server.postgres_pid() is None
