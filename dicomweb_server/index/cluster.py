"""One Postgres cluster: made by initdb, taken over from a killed predecessor, started.

Everything here is about the folder ``DATA_DIR/postgres`` and the programs that work on it;
who may work on it (the lock) and for how long is ``embedded``'s.
"""

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dicomweb_server.index.unprivileged import Launcher

USER = DATABASE = "dicomweb"
PORT = 5432  # names the socket; nothing listens on a network
LOG_LIMIT = 10 * 2**20  # bytes
STOP_SECONDS = 60.0  # a fast shutdown writes one checkpoint
PR_SET_PDEATHSIG = 1
UNFINISHED = "unfinished-"

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What a statement holds may be about a patient: it does not go into the log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class EmbeddedPostgresError(RuntimeError):
    """Our Postgres cannot be had. ``str()`` tells the operator what is wrong, and what to do."""


@dataclass(frozen=True)
class Cluster:
    """The files of one Postgres, and what has to be done to them before and while it starts."""

    folder: Path  # DATA_DIR/postgres
    programs: Path
    launcher: Launcher
    fsync: bool
    connections: int  # at a time

    @property
    def path(self) -> Path:
        """What Postgres calls its data directory."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        """Where Postgres writes its messages, of every start."""
        return self.folder / "server.log"

    def make_if_missing(self) -> None:
        """Run initdb under another name, so that a cluster is there whole or not at all."""
        if self.path.exists():
            return
        # The programs of an interrupted attempt may still be on their way out of theirs.
        for left_over in self.folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self.folder))
        self.launcher.own(unfinished)
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        with os.fdopen(_private(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
            file.write(secrets.token_urlsafe(32))
        self.launcher.own(password)
        self._run(
            "initdb",
            *f"--username={USER} --auth=scram-sha-256 --encoding=UTF8 --no-instructions".split(),
            # Text is ordered by code point, on every system alike: no index depends on its libc.
            *["--locale-provider=builtin", "--locale=C.UTF-8"],
            *([] if self.fsync else ["--no-sync"]),
            f"--pwfile={password}",
            f"--pgdata={unfinished}",
        )
        said = self._run(
            *["postgres", "--single", "-c", "log_checkpoints=off", "-D"],
            str(unfinished),
            "postgres",
            said=f"CREATE DATABASE {DATABASE}\n",
        )
        if "ERROR" in said or "FATAL" in said:
            raise EmbeddedPostgresError(f"Making the database failed:\n{_tail(said)}")
        unfinished.rename(self.path)
        _sync(self.folder)

    def check_version(self) -> None:
        """Refuse the files of another major version, which this one cannot read."""
        theirs = (self.path / "PG_VERSION").read_text(encoding="ascii").strip()
        said = self._run("postgres", "--version")
        ours = re.search(r"\(PostgreSQL\) (\d+)", said)
        if ours is None or ours[1] != theirs:
            raise EmbeddedPostgresError(
                f"The database in {self.path} was made by Postgres {theirs}, and this is "
                f"{said.strip()}.\nGo back to the server's earlier version, or carry the data "
                "over with pg_dump and pg_restore."
            )

    def see_predecessor_off(self) -> int | None:
        """Deal with a postmaster.pid left behind by a server that was killed.

        Its Postgres, if still there, is on its way down, or is told to go: the lock says that
        no server needs it. Returns the process id of a file that is stale, if there is one.
        """
        status = postmaster_status(self.path)
        if not status:
            return None
        pid = abs(int(status[0]))  # negative while a single-user Postgres runs
        deadline = time.monotonic() + STOP_SECONDS
        while is_postgres(pid, self.path):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"An earlier Postgres, process {pid}, still uses {self.path} "
                    "and does not stop.\nEnd that process, then start again."
                )
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGINT)
            time.sleep(0.1)
        return pid

    def start(self, socket_dir: Path, stale: int | None) -> subprocess.Popen[bytes]:
        """Start Postgres and wait until it takes connections.

        `stale` is what ``see_predecessor_off`` returned. Raises EmbeddedPostgresError with the
        end of the log.
        """
        deadline = time.monotonic() + 10
        while True:
            if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
                self.log.unlink()
            with os.fdopen(_private(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as log:
                begin = log.tell()
                process = self._launch(socket_dir, stale, log)
            self.launcher.own(self.log)
            if self._ready(process):
                return process
            said = self.log.read_bytes()[begin:].decode(errors="replace")
            # Killed with kill -9, Postgres leaves sessions that notice it a moment later.
            if "still in use" not in said or time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Postgres did not start. The end of its log, {self.log}:\n{_tail(said)}"
                )
            time.sleep(0.2)

    def _launch(
        self, socket_dir: Path, stale: int | None, log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {
            "unix_socket_directories": str(socket_dir),
            "fsync": "on" if self.fsync else "off",
            "max_connections": str(self.connections),
        }
        environment = _environment()
        if stale is not None:
            # Postgres takes a process id in its lock file for stale if it is its starter's.
            # Without this word the id may by now be another process's, and it would not start.
            environment["PG_GRANDPARENT_PID"] = str(stale)
        return subprocess.Popen(  # noqa: S603
            self.launcher.command(
                str(self.programs / "postgres"),
                "-D",
                str(self.path),
                *(f"--{name}={value}" for name, value in settings.items()),
                death_signal=signal.SIGINT,
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            # Not of our terminal: on Ctrl-C it is stopped by us, after its last user.
            start_new_session=True,
            preexec_fn=signal_at_death_of(os.getpid(), signal.SIGINT),
            **self.launcher.popen,
        )

    def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for as long as Postgres lives: recovery after a crash may take minutes."""
        try:
            while process.poll() is None:
                status = postmaster_status(self.path)
                # The file may still be that of the Postgres before.
                if len(status) >= 8 and status[0] == str(process.pid) and status[7] == "ready":
                    return True
                time.sleep(0.02)
        except BaseException:  # Ctrl-C, or a signal's handler
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        return False

    def _run(self, program: str, *arguments: str, said: str | None = None) -> str:
        """Run one of the programs to its end; returns what it printed."""
        done = subprocess.run(  # noqa: S603
            self.launcher.command(str(self.programs / program), *arguments),
            input=said,
            stdin=subprocess.DEVNULL if said is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env=_environment(),
            preexec_fn=signal_at_death_of(os.getpid(), signal.SIGKILL),
            **self.launcher.popen,
        )
        printed: str = done.stdout
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed:\n{_tail(printed)}")
        return printed


def signal_at_death_of(parent: int, how: signal.Signals) -> Callable[[], None]:
    """Make what a child calls right after the fork; the library is loaded before it."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:  # it died before the arrangement was made
            os._exit(1)

    return arrange


def _environment() -> dict[str, str]:
    """What Postgres gets of our environment: no secret, no PG* variable, no language."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def postmaster_status(cluster: Path) -> list[str]:
    """The lines of postmaster.pid (1 the process id, 5 the socket's folder, 8 the state)."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    status = [line.strip() for line in lines.splitlines()]
    return status if status and re.fullmatch(r"-?\d{1,9}", status[0]) else []


def is_postgres(pid: int, cluster: Path) -> bool:
    """Whether process `pid` is a Postgres that works on `cluster`."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        of = Path(os.fsdecode(command[command.index(b"-D") + 1]))
        return Path(os.fsdecode(command[0])).name == "postgres" and of.samefile(cluster)
    except (OSError, ValueError, IndexError):
        return False


def _private(path: Path, flags: int) -> int:
    """Open a file that only its owner reads; never through a link, as the folder is not ours."""
    return os.open(path, flags | os.O_NOFOLLOW, mode=0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])
