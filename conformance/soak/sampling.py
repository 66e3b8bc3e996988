"""What the processes of a server hold, looked at every few seconds."""

import shutil
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conformance.benchmark.memory import memory_of
from conformance.benchmark.processes import is_postgres, processes_of

MAIN, SERVING, CPU_WORKER = "main", "serving", "worker"


@dataclass(frozen=True, slots=True)
class Held:
    """One process at one moment: bytes of memory, open descriptors, threads. `t` in seconds."""

    t: float
    pid: int
    started: int
    role: str
    rss: int
    anonymous: int
    fds: int
    threads: int
    sockets: int  # those of `fds` that are one


@dataclass(frozen=True, slots=True)
class Around:
    """Everything else at one moment: of Postgres, of the folders, of the processors."""

    t: float
    postgres_bytes: int
    postgres_connections: int
    disk_bytes: int
    tmp_files: int
    cpu_seconds: float


def family(main: int) -> dict[int, str]:
    """The processes of the server whose main process is `main`, and the role of each."""
    roles = {}
    for pid in processes_of([main]):
        line = _read(pid, "cmdline").replace("\0", " ")
        if pid == main:
            roles[pid] = MAIN
        elif "archive.worker" in line:
            roles[pid] = CPU_WORKER
        elif "tracker" not in line and not is_postgres(pid) and _parent(pid) == main:
            roles[pid] = SERVING
    return roles


def held(t: float, main: int) -> list[Held]:
    """What each process of the server holds."""
    found = []
    for pid, role in family(main).items():
        memory = memory_of(pid)
        stat = _read(pid, "stat").rpartition(")")[2].split()
        if memory is None or len(stat) < 20:
            continue
        try:
            opened = [_what(descriptor) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        sockets = sum(what.startswith("socket:") for what in opened)
        counts = len(opened), int(stat[17]), sockets
        found.append(Held(t, pid, int(stat[19]), role, memory.resident, memory.anonymous, *counts))
    return found


def _what(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def around(t: float, pids: set[int], data: Path, cpu: "CpuMeter") -> Around:
    """What Postgres, whose processes are `pids`, and the data folder hold."""
    clients = sum(1 for pid in pids if _read(pid, "cmdline").startswith("postgres: dicomweb "))
    tmp = data / "tmp"
    files = sum(1 for _ in tmp.iterdir()) if tmp.is_dir() else 0
    used = shutil.disk_usage(data).used
    return Around(t, sum(map(_proportional, pids)), clients, used, files, cpu.seconds)


class CpuMeter:
    """Processor seconds of the server since it was made, over the deaths of its processes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: dict[int, float] = {}

    def look(self, main: int) -> None:
        """Add what was used since the last look."""
        now = {pid: _own_seconds(pid) for pid in family(main)}
        # Less than before is a new process of the same number.
        self.seconds += sum(max(0.0, used - self._last.get(pid, 0.0)) for pid, used in now.items())
        self._last = now


def by_process(samples: list[Held]) -> dict[tuple[str, int, int], list[Held]]:
    """The samples of each process: by role, process id and start."""
    found: dict[tuple[str, int, int], list[Held]] = defaultdict(list)
    for each in samples:
        found[each.role, each.pid, each.started].append(each)
    return dict(found)


def as_rows(samples: list[Any]) -> dict[str, list[Any]]:
    """Samples as columns, which make small JSON."""
    rows = [asdict(each) for each in samples]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _own_seconds(pid: int) -> float:
    """Without those of its children that have ended, which were counted while they lived."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _proportional(pid: int) -> int:
    """Its share of memory in bytes, what it has in common with others divided among them."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
