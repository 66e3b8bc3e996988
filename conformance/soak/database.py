"""A Postgres that is stopped and started on command, in a process of its own.

``python -m conformance.soak.database FOLDER`` starts it and writes its address and process id;
then each line of its input is a command, answered with a line: ``stop NUMBER`` (a signal),
``start``. The end of its input ends it. It has its own process since Postgres ends with the
thread that started it, and starting takes seconds in which that thread does nothing else.
"""

import os
import subprocess
import sys
from pathlib import Path

from conformance.benchmark.processes import REPOSITORY
from dicomweb_server.index.embedded import start_postgres


class Database:
    """The process, from the side of who commands it. Its methods block."""

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
