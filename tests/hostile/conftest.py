"""One server for all hostile requests, and the judge who has something stored in it."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import httpx
import pytest

from tests.hostile.judging import Judge
from tests.running import RunningServer

SETTINGS = {
    "CPU_WORKERS": "1",
    "WORKER_TIMEOUT_SECONDS": "5",
    "INFLATE_LIMIT_BYTES": "64MiB",
    "PIXEL_LIMIT_BYTES": "256MiB",
    "MAX_INSTANCE_BYTES": "200MiB",
    "MAX_REQUEST_PARTS": "5000",
    "BODY_TIMEOUT_SECONDS": "2",
    "SEARCH_TIMEOUT_SECONDS": "5",
}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("hostile") / "data", SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def _judge(site: RunningServer) -> Iterator[Judge]:
    with httpx.Client(base_url=site.base, timeout=60) as client:
        judge = Judge(site, client)
        yield judge
        judge.count()
        judge.settle()


@pytest.fixture
def judge(_judge: Judge) -> Iterator[Judge]:
    """What was stored before each test is still there after it."""
    yield _judge
    _judge.settle()


class Trap:
    """A server on loopback that nobody should ever talk to."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/trap"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="session")
def _trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
def trap(_trap: Trap) -> Iterator[Trap]:
    """Fails a test whose requests make the server fetch something."""
    yield _trap
    assert _trap.visits == 0, "the server fetched what a request named"


@pytest.fixture(scope="session")
def secret() -> Iterator[Path]:
    """A file of the machine that no answer may hold."""
    handle, name = tempfile.mkstemp(prefix="hostile-secret-")
    os.write(handle, b"SECRET-OF-THE-MACHINE")
    os.close(handle)
    yield Path(name)
    Path(name).unlink()
