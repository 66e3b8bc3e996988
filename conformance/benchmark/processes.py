"""Servers of this run: starting them, stopping them, and the processor time they took."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.benchmark.client import Address, AnswerError, Request, ask_once
from dicomweb_server.index.cluster import signal_at_death_of

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, folder: Path = REPOSITORY, **environment: str
) -> Iterator[int]:
    """Run a program in `folder`, and end it afterwards. Gives its process id.

    It is not reached by the terminal's Ctrl-C, so that it is ended by us alone, and ends with
    us however we end (Linux).
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=signal_at_death_of(os.getpid(), signal.SIGTERM),
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def wait_until_ready(address: Address, path: str, *, pid: int, log: Path) -> None:
    """Return when GET `path` succeeds. Raises AnswerError, with the log's end, if it never does."""
    deadline = time.monotonic() + START_SECONDS
    seen = "nobody listens"
    while time.monotonic() < deadline and _state(pid) not in ("", "Z"):
        try:
            answer = await ask_once(address, Request(path))
        except (OSError, AnswerError) as error:
            seen = str(error)
        else:
            if answer.status in (200, 204):
                return
            seen = f"status {answer.status}"
        await asyncio.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise AnswerError(f"the server did not come up ({seen}):\n{tail}")


def _state(pid: int) -> str:
    """The process's state letter, Z for one that has ended, or nothing if it is gone."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat from the third on; none if there is no such process."""
    try:
        # The second field is the program's name in brackets, which may itself hold some.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def processes_of(roots: Sequence[int], *, naming: str = "") -> set[int]:
    """The processes `roots` and all below them, and those whose command line holds `naming`.

    The second is for a database that was started on its own folder and left its parent.
    """
    children: dict[int, list[int]] = defaultdict(list)
    found = list(roots)
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields:
            children[int(fields[1])].append(int(entry.name))
            if naming and naming in _command_line(entry):
                found.append(int(entry.name))
    family: set[int] = set()
    while found:
        pid = found.pop()
        if pid not in family:
            family.add(pid)
            found += children[pid]
    return family - {os.getpid()}


def _command_line(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Processor time, user and system, in seconds: of a server's own processes, of Postgres'."""

    server: float = 0.0
    database: float = 0.0

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(self.server - earlier.server, self.database - earlier.database)

    @property
    def total(self) -> float:
        return self.server + self.database


def cpu_time(pids: set[int]) -> CpuTime:
    """What these processes have had of the processors, with their dead children."""
    server = database = 0.0
    for pid in pids:
        fields = _stat(pid)
        try:
            # The clock of a whole process (clock_getcpuclockid(3)), to the nanosecond: /proc
            # counts ticks of 10 ms, which is as much as a process takes for a few requests.
            seconds = time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue  # it has ended, and is now among the dead children of its parent
        if fields:
            seconds += sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
        if is_postgres(pid):
            database += seconds
        else:
            server += seconds
    return CpuTime(server, database)


def is_postgres(pid: int) -> bool:
    """Whether this process runs the program of that name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "postgres\n"
    except OSError:
        return False
