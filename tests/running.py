"""A server started as a user starts it, for tests that know it only by its URL."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from dicomweb_server.commands.serving import prepare_database
from dicomweb_server.index.cluster import is_postgres
from dicomweb_server.index.embedded import start_postgres

ROOT = Path(__file__).parents[1]
READY_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@functools.cache
def _empty_database() -> tempfile.TemporaryDirectory[str]:
    """A data folder in which a server ran before, without anything in it: to make such a database
    anew takes a server longer than all the rest of its start."""
    folder = tempfile.TemporaryDirectory(prefix="dw-")
    Path(folder.name).chmod(0o711)
    # In a thread, where no loop runs, as one may here
    with start_postgres(Path(folder.name)) as postgres, ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, prepare_database(postgres.url)).result()
    return folder


class RunningServer:
    """``dicomweb-server serve`` on a free port and a folder of its own, whose database is there
    unless it is to be `new`.

    With TEST_SERVER=uvicorn in the environment the same application runs under uvicorn.
    """

    def __init__(
        self, data_dir: Path, settings: Mapping[str, str] | None = None, *, new: bool = False
    ) -> None:
        self.data_dir = data_dir
        self._new = new
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.url}/dicomweb"
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self, *, wait: bool = True) -> Self:
        """Start it, and wait until it is ready unless told not to."""
        own = not self._environment().get("DATABASE_URL")
        if own and not self._new and not (self.data_dir / "postgres").exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            copied = [Path(_empty_database().name) / "postgres", self.data_dir]
            subprocess.run(["cp", "-a", *copied], check=True)
        program = [sys.executable, "-m", "dicomweb_server", "serve"]
        if os.environ.get("TEST_SERVER") == "uvicorn":
            program = [sys.executable, "-m", "tests.uvicorn_server"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                program, env=self._environment(), cwd=ROOT, stdout=log, stderr=log
            )
        if wait:
            self.wait()
        return self

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "MIN_FREE_BYTES": "0",
            "WORKERS": "1",  # what one of them holds and refuses is asked of it
            **self._settings,
        }

    def command(self, *arguments: str) -> int:
        """Run another command with its settings, beside it or without it; returns the exit code."""
        program = [sys.executable, "-m", "dicomweb_server", *arguments]
        with self.log.open("ab") as log:
            return subprocess.run(
                program, env=self._environment(), cwd=ROOT, stdout=log, stderr=log, check=False
            ).returncode

    def written(self, since: int = 0) -> bytes:
        """Its log from a byte on: whole lines, for of one that is being written the kernel may
        show a part."""
        with self.log.open("rb") as log:
            log.seek(since)
            content = log.read()
        return content[: content.rfind(b"\n") + 1]

    def logged(self, since: int = 0) -> list[dict[str, Any]]:
        """The events in its log from a byte on."""
        lines = self.written(since).splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def wait(self) -> None:
        """Wait until it is ready. Raises AssertionError with the end of its log if it does not."""
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                # Without certificates, which take longer to load than the answer
                if httpx.get(f"{self.url}/readyz", timeout=5, verify=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9, as a power cut does it to a process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def kill_tree(self) -> None:
        """kill -9 of all its processes but Postgres, which the kernel then tells to stop."""
        assert self._process is not None
        postgres = self.postgres_pid()
        for pid in (self.pid, *_descendants(self.pid, postgres)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)

    def processes(self) -> list[int]:
        """The ids of its processes but Postgres's."""
        return [self.pid, *_descendants(self.pid, self.postgres_pid())]

    def scratch_left(self) -> list[Path]:
        """What stays in its scratch folder: work beside an answer, as for thumbnails, ends soon."""
        deadline = time.monotonic() + 20
        while (left := list((self.data_dir / "tmp").iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def postgres_pid(self) -> int | None:
        """The process id of its own Postgres, while that one runs or its file is left."""
        try:
            first = (self.data_dir / "postgres/cluster/postmaster.pid").read_text().split()[0]
        except (FileNotFoundError, IndexError):
            return None
        pid = int(first)
        return pid if is_postgres(pid, self.data_dir / "postgres/cluster") else None

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()


def _descendants(pid: int, but: int | None) -> list[int]:
    """The processes below `pid`, nearest first, without `but` and what is below it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            found += [child for child in map(int, children) if child != but]
    return found[1:]
