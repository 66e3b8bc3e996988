"""The Postgres of a soak: one that is stopped and started on command, or the server's own.

The first has a process of its own, since Postgres ends with the thread that started it, and
starting takes seconds in which that thread does nothing else: ``python -m
conformance.soak.database FOLDER`` starts it and writes its address and process id; then each
line of its input is a command, answered with a line: ``stop NUMBER`` (a signal), ``start``. The
end of its input ends it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from conformance.benchmark.processes import REPOSITORY, processes_of
from dicomweb_server.index.embedded import start_postgres
from tests.running import RunningServer

GONE_SECONDS = 60


class Database(Protocol):
    """What is done to a Postgres. Its methods block."""

    @property
    def pid(self) -> int:
        """Its process id; 0 while there is none."""
        ...

    def stop(self, how: int) -> None:
        """End Postgres by a signal, and wait for its end."""
        ...

    def start(self) -> None:
        """Have it started again."""
        ...


class OwnDatabase:
    """The server's own, on its disk, which the server starts again when it ends."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server

    @property
    def pid(self) -> int:
        return self._server.postgres_pid() or 0

    def stop(self, how: int) -> None:
        if pid := self.pid:
            os.kill(pid, how)
            deadline = time.monotonic() + GONE_SECONDS
            while self.pid == pid and time.monotonic() < deadline:
                time.sleep(0.02)

    def start(self) -> None:
        """Nothing: that is the server's to do."""


class CommandedDatabase:
    """One for the server's DATABASE_URL, from the side of who commands its process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conformance.soak.database", str(folder)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run, which ends it
        )
        self.url = self._heard()
        self.pid = int(self._heard())

    def stop(self, how: int) -> None:
        """End Postgres by a signal, and wait for its end."""
        self._say(f"stop {int(how)}")
        self._heard()

    def start(self) -> None:
        """Start it again, and wait until it takes connections."""
        self._say("start")
        self.pid = int(self._heard())

    def close(self) -> None:
        """Stop it, and the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise OSError("the process of the database has ended")
        return line


def processes_under(database: Database) -> set[int]:
    """All processes of a Postgres; none while there is none."""
    pid = database.pid
    return processes_of([pid]) if pid else set()


def main(folder: Path) -> None:
    """Obey."""
    postgres = start_postgres(folder)
    print(postgres.url, postgres.pid, sep="\n", flush=True)
    try:
        for line in sys.stdin:
            verb, *rest = line.split()
            if verb == "stop":
                os.kill(postgres.pid, int(rest[0]))
                postgres.stop()
                print("stopped", flush=True)
            else:
                postgres = start_postgres(folder)
                print(postgres.pid, flush=True)
    finally:
        postgres.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
