"""``dicomweb-server serve``: the main process.

It owns the data folder, the port and the embedded Postgres, and answers no request itself:
granian's workers do. Stopped by Ctrl-C or a signal, its status is 0.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from dicomweb_server import __version__
from dicomweb_server.commands.refusals import CannotServeError as CannotServeError
from dicomweb_server.commands.refusals import unwritable
from dicomweb_server.commands.whereabouts import Whereabouts
from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import (
    EmbeddedPostgres,
    FolderLock,
    die_with_parent,
    start_postgres,
)
from dicomweb_server.index.migrate import migrate

OLDEST_POSTGRES = 15
MOST_WORKERS = 4  # unless the operator says so
GRACE_SECONDS = 10  # that requests under way are given when the server stops
CONNECT_SECONDS = 10.0
POOLS = 2  # of each process, see archive.opening
SPARE_CONNECTIONS = 20  # for operators, and Postgres' own 3 for its superuser
LOOPBACK = ("127.", "::1")
M_ARENA_MAX = -8  # of malloc.h

Load = Callable[[], Any]  # makes the ASGI application, in a worker


def load_app() -> Any:
    """Make the application in a worker, of what was imported ahead."""
    from dicomweb_server.app import create

    return create()


def _import_ahead() -> None:
    """Import what the workers need while Postgres starts: they are forks of this process, so each
    of them, also one that takes another's place, is there at once, and they share the memory."""
    import dicomweb_server.app  # noqa: F401


def run(settings: Settings, load: Load = load_app) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; then stop everything that was started.

    Raises CannotServeError, EmbeddedPostgresError or SchemaMismatchError.
    """
    if not settings.workers:
        settings = settings.model_copy(update={"workers": default_workers()})
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        _stop_on_signals()
        importing = threading.Thread(target=_import_ahead, daemon=True)
        importing.start()
        reserved = stack.enter_context(reserve_port(settings.listen_host, settings.port))
        address, port = reserved.getsockname()[:2]
        settings = settings.model_copy(update={"port": port})
        stack.callback(FolderLock(settings.data_dir).release)
        here = Whereabouts.of(settings)
        here.check(settings.data_dir)
        make_folders(settings)
        asyncio.run(check_bucket(settings))
        if not settings.database_url:
            postgres = stack.enter_context(own_postgres(settings))
            postgres.keep_running(_tell)
            settings = settings.model_copy(update={"database_url": postgres.url})
            database = f"its own, in {settings.postgres_dir}"
        else:
            database = f"{_without_password(settings.database_url)} (DATABASE_URL)"
        asyncio.run(prepare_database(settings.database_url))
        here.note(settings.data_dir)
        _allow_many_files()
        os.environ.update(settings.environment())  # from which the workers read them
        announcement = threading.Thread(
            target=_announce, args=(settings, address, database), daemon=True
        )
        importing.join()  # if it failed the workers will say so
        _answer_requests(settings, address, load, announcement.start)


def default_workers() -> int:
    """How many processes answer requests if nobody says so. One does not get more than a core;
    each holds 110 MB, and beyond four the disk and the database have the most to do."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


@contextlib.contextmanager
def reserve_port(host: str, port: int) -> Iterator[socket.socket]:
    """Hold a port, or any free one for 0, against other servers, for the workers to listen on.

    Raises CannotServeError if it is taken or forbidden. Granian shares its port with every
    other process of this user that does the same, so that a second server would start, and
    get half of the requests.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)  # a port in use may be bound with SO_REUSEADDR, not listened on
            address = probe.getsockname()
        reserved = socket.socket(family, kind, protocol)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
        # Taken back: another server's probe may bind beside it now, but not listen.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        raise CannotServeError(
            f"The server cannot listen on {host}, port {port}: {error.strerror}.\n"
            f"Choose another port with PORT, as in: PORT={_another(port)} make run"
        ) from None
    with reserved:
        yield reserved


def own_postgres(settings: Settings) -> EmbeddedPostgres:
    """Start the Postgres of the data folder, with as many connections as our processes may want.

    Raises FolderInUseError, EmbeddedPostgresError.
    """
    processes = settings.workers + 1  # an import may run beside
    wanted = processes * POOLS * settings.database_pool + SPARE_CONNECTIONS
    return start_postgres(settings.data_dir, connections=max(100, wanted))


def make_folders(settings: Settings) -> None:
    """Make what the data folder consists of, and try that it can be written.

    Raises CannotServeError.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        for folder in (settings.blobs_dir, settings.tmp_dir, settings.cache_dir):
            folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise unwritable(settings.data_dir, error) from None


async def check_bucket(settings: Settings) -> None:
    """Try that the bucket of the settings, if they name one, can be used.

    Raises CannotServeError.
    """
    if not settings.s3_bucket:
        return
    from dicomweb_server.blobs.s3 import S3Blobs  # boto3 would slow down every start
    from dicomweb_server.blobs.store import BlobsUnavailable

    try:
        blobs = S3Blobs(settings)
        try:
            await blobs.check()
        finally:
            await blobs.close()
    except BlobsUnavailable as error:
        raise CannotServeError(
            f"The bucket {_bucket(settings)} cannot be used: {error.reason}.\n"
            "Check S3_BUCKET, S3_ENDPOINT_URL, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY."
        ) from None


async def prepare_database(url: str) -> None:
    """Bring the database at `url` to the schema of this program.

    Raises CannotServeError if it cannot be used, SchemaMismatchError if it is not ours.
    """
    name = _without_password(url)
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    except (asyncpg.PostgresError, OSError) as error:
        raise CannotServeError(
            f"The database {name} cannot be used: {error or type(error).__name__}.\n"
            "Check DATABASE_URL."
        ) from None
    except (asyncpg.InterfaceError, ValueError):  # whose text may quote the password
        raise CannotServeError(
            "DATABASE_URL is not an address of a Postgres.\n"
            "It should look like postgresql://user:password@host:5432/database"
        ) from None
    try:
        version = connection.get_server_version()
        if version.major < OLDEST_POSTGRES:
            raise CannotServeError(
                f"The database {name} is Postgres {version.major}; "
                f"{OLDEST_POSTGRES} or newer is needed."
            )
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != "UTF8":  # names of patients would fail in any other, or match wrongly
            raise CannotServeError(
                f"The database {name} is encoded in {encoding}; UTF8 is needed.\n"
                "Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )
        await migrate(connection, _tell)
        await _warn_of_loss(connection)
    except (asyncpg.PostgresError, OSError) as error:
        raise CannotServeError(f"The database {name} cannot be prepared: {error}.") from error
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


async def _warn_of_loss(connection: Any) -> None:
    """Say so if the database does not keep what it has acknowledged: neither can we, then."""
    for setting in ("fsync", "synchronous_commit"):
        if await connection.fetchval("SELECT current_setting($1)", setting) == "off":
            print(
                f"The database runs with {setting} off: what was stored last is lost with its "
                "power.",
                file=sys.stderr,
            )


def _answer_requests(
    settings: Settings, address: str, load: Load, started: Callable[[], None]
) -> None:
    server = Server(
        "dicomweb_server.app:create",
        address=address,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_SECONDS,
        log_level=LogLevels.warning,
    )

    @server.on_startup
    def when_signals_are_set() -> None:
        # Granian reloads on SIGHUP; a closed terminal is meant to end what ran in it.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, server.signal_handler_interrupt)
        started()

    _let_forks_be_stopped()
    gc.collect()
    gc.freeze()  # a collection would write to, and so copy, what the workers share
    try:
        server.serve(target_loader=_in_worker(load), wrap_loader=False)
    except SystemExit:
        # The status is also 1 if a worker was a little ahead of us in hearing the signal.
        if not server.interrupt_signal:
            raise CannotServeError(
                "The server's processes fail again and again; what they said stands above."
            ) from None


def _in_worker(load: Load) -> Load:
    def loader() -> Any:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _share_heaps()
        os.setpgid(0, 0)  # Ctrl-C is for the main process, which lets requests finish
        die_with_parent()
        app = load()
        _collect_seldom()
        return app

    return loader


def _let_forks_be_stopped() -> None:
    """Let SIGTERM end a worker from its first moment until granian handles it there: what the main
    process does with the signal is inherited, and would make the worker go on until it is killed.
    """
    held: list[set[int]] = []

    def hold() -> None:
        held.append(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held.pop())

    def release_with_default() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=release_with_default)


def _collect_seldom() -> None:
    """Let the collector of cyclic garbage pass over what has been loaded, and come after 10,000
    objects that stay, not 700: it took a twentieth of the time of a frame, and finds little."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _share_heaps() -> None:
    """Let all threads of this process take memory from two heaps (glibc), not from one each.

    The interpreter lets one of them run at a time, and what each left free in a heap of its own
    came to 20 MB.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def _stop_on_signals() -> None:
    """Until granian handles them, signals unwind the stack, so that Postgres is stopped."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)


def _announce(settings: Settings, address: str, database: str) -> None:
    """Say where everything is, as soon as it is there."""
    while True:
        try:
            socket.create_connection((address, settings.port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    lines = [
        f"dicomweb-server {__version__} is running",
        "",
        f"  Web page     {settings.base_url}/",
        f"  DICOMweb     {settings.dicomweb_url}",
        f"  Data folder  {settings.data_dir}",
        *([f"  Files in S3  {_bucket(settings)}"] if settings.s3_bucket else []),
        f"  Database     {database}",
        f"  To stop      Ctrl-C, or: kill {os.getpid()}",
    ]
    if not address.startswith(LOOPBACK):
        lines += ["", f"  Everyone who reaches {address} can read, store and change everything:"]
        lines += ["  there is no login. Put it behind a proxy that has one."]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def _tell(what: str) -> None:
    """Say to the operator what happens without their doing, if it can be said."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{what}\n")
        sys.stderr.flush()


def _allow_many_files() -> None:
    """Take as many open files, and so connections, as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _bucket(settings: Settings) -> str:
    where = f" at {settings.s3_endpoint_url}" if settings.s3_endpoint_url else ""
    return f"{settings.s3_bucket}/{settings.s3_prefix}{where}"


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.path.strip('/')} at {parts.hostname or 'this machine'}"
    except ValueError:
        return "of DATABASE_URL"


def _another(port: int) -> int:
    return port + 1 if 1024 <= port < 65535 else 8081
