"""The Postgres that the server brings along: it keeps what it holds, and outlives nobody."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from dicomweb_server.index import cluster as cluster_module
from dicomweb_server.index import embedded
from dicomweb_server.index.embedded import (
    EmbeddedPostgresError,
    FolderInUseError,
    FolderLock,
    running_url,
    start_postgres,
)

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder with a database in it, stopped; the tests that use it leave it like that."""
    folder = tmp_path_factory.mktemp("pg")
    start_postgres(folder, fsync=False).stop()
    return folder


@pytest.fixture
def child():
    """Runs a piece of Python in a process of its own and gives the process; killed at the end."""
    started = []

    def run(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


PREAMBLE = """
import os, signal, sys
from pathlib import Path
from dicomweb_server.index import cluster, embedded, unprivileged
"""

HOLD = """
with embedded.start_postgres(Path(sys.argv[1]), fsync=False) as postgres:
    print(postgres.pid, flush=True)
    sys.stdin.read()
"""


async def ask(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_what_was_stored_is_there_after_a_restart(data_dir):
    with start_postgres(data_dir, fsync=False) as postgres:
        await ask(postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        pid = postgres.pid
    assert not alive(pid)
    with start_postgres(data_dir, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT answer FROM kept") == 42


async def test_it_is_durable_and_no_network_reaches_it(data_dir):
    with start_postgres(data_dir) as postgres:
        for setting, value in {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "timezone": "UTC",
        }.items():
            assert await ask(postgres.url, f"SHOW {setting}") == value
        assert await ask(postgres.url, "SELECT 'é' > 'z' AND lower('ÉΣ') = 'éσ'")


async def test_only_the_password_opens_it_and_only_its_owner_reads_the_password(data_dir):
    with start_postgres(data_dir, fsync=False) as postgres:
        wrong = re.sub(r":[^:@]+@", ":wrong@", postgres.url)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(wrong, "SELECT 1")
    for path in (data_dir / "postgres", data_dir / "postgres" / "password"):
        assert path.stat().st_mode & 0o077 == 0


async def test_kill_9_of_the_starter_shuts_it_down_and_the_next_start_works(data_dir, child):
    server = child(HOLD, data_dir)
    pid = int(server.stdout.readline())
    assert alive(pid)
    server.kill()
    wait_until(lambda: not alive(pid))
    log = (data_dir / "postgres" / "server.log").read_text()
    assert log.rstrip().endswith("database system is shut down")
    with start_postgres(data_dir, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1


async def test_a_start_right_after_kill_9_does_not_meet_its_predecessor(data_dir, child):
    server = child(HOLD, data_dir)
    assert server.stdout.readline()
    server.kill()
    server.wait()
    with start_postgres(data_dir, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1


async def test_a_process_id_that_went_to_another_process_does_not_hinder_the_start(data_dir, child):
    server = child(HOLD, data_dir)
    pid = int(server.stdout.readline())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    server.kill()
    server.wait()
    # Of the account that Postgres runs as: one that it could send a signal to.
    owner = (data_dir / "postgres").stat().st_uid
    other = subprocess.Popen(["sleep", "1000"], **({"user": owner} if os.geteuid() == 0 else {}))
    try:
        for name in ("cluster/postmaster.pid", ".s.PGSQL.5432.lock"):
            path = data_dir / "postgres" / name
            _, _, rest = path.read_text().partition("\n")
            path.write_text(f"{other.pid}\n{rest}")
        with start_postgres(data_dir, fsync=False) as postgres:
            assert await ask(postgres.url, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_a_postgres_left_behind_is_stopped_before_the_next_starts(data_dir, child):
    server = child(
        """
cluster.signal_at_death_of = lambda parent, how: lambda: None
command = unprivileged.Launcher.command
unprivileged.Launcher.command = lambda self, *words, **_: command(
    self, *words, death_signal=signal.SIGCONT
)
print(embedded.start_postgres(Path(sys.argv[1]), fsync=False).pid, flush=True)
os._exit(0)
""",
        data_dir,
    )
    left_behind = int(server.stdout.readline())
    server.wait()
    assert alive(left_behind)
    with start_postgres(data_dir, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1
        assert not alive(left_behind)


def test_a_second_server_is_told_who_has_the_folder(data_dir, child):
    server = child(HOLD, data_dir)
    assert server.stdout.readline()
    with pytest.raises(FolderInUseError, match=f"in use by process {server.pid}"):
        start_postgres(data_dir)
    with pytest.raises(FolderInUseError, match=re.escape(str(data_dir))):
        FolderLock(data_dir)


async def test_another_process_can_find_the_running_database(data_dir, child):
    wait_until(lambda: running_url(data_dir) is None)  # one killed by another test may linger
    server = child(HOLD, data_dir)
    assert server.stdout.readline()
    assert await ask(running_url(data_dir), "SELECT 1") == 1
    server.stdin.close()
    assert server.wait() == 0
    assert running_url(data_dir) is None


async def test_an_interrupted_creation_is_begun_anew(tmp_path):
    unfinished = tmp_path / "postgres" / "unfinished-1"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with start_postgres(tmp_path, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT current_database()") == "dicomweb"
    assert not unfinished.exists()


async def test_a_folder_of_any_name_and_length_will_do(tmp_path):
    folder = tmp_path / ("archive, of 50% & 'ünïcode' " + "x" * 90)
    with start_postgres(folder, fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1
        socket_dir = Path(await ask(postgres.url, "SHOW unix_socket_directories"))
        assert socket_dir.stat().st_mode & 0o077 == 0
    assert not socket_dir.exists()


async def test_it_runs_where_only_its_user_may_enter(tmp_path, monkeypatch):
    """As root, Postgres is another user, for whom programs and data lie behind a closed door."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = embedded._programs().parent.parent
    for part in (package, package.with_suffix(".libs")):
        shutil.copytree(part, closed / part.name, dirs_exist_ok=True)
    programs = closed / package.name / "pginstall" / "bin"
    monkeypatch.setattr(embedded, "_programs", lambda: programs)
    with start_postgres(closed / "data", fsync=False) as postgres:
        assert await ask(postgres.url, "SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700


def test_files_of_another_major_version_are_left_alone(data_dir):
    version = data_dir / "postgres" / "cluster" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("14\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match="made by Postgres 14, and this is"):
            start_postgres(data_dir)
    finally:
        version.write_text(ours)


async def test_what_postgres_says_about_a_failed_start_is_shown(data_dir):
    configuration = data_dir / "postgres" / "cluster" / "postgresql.auto.conf"
    before = configuration.read_text()
    configuration.write_text("no_such_setting = 1\n")
    try:
        with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
            start_postgres(data_dir)
    finally:
        configuration.write_text(before)
    with start_postgres(data_dir, fsync=False) as postgres:  # the failure let go of the folder
        assert await ask(postgres.url, "SELECT 1") == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"file/data cannot be used: Not a directory"):
        start_postgres(tmp_path / "file" / "data")


def test_something_else_in_the_place_of_postgres_is_named(tmp_path):
    (tmp_path / "postgres").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot use .*/postgres: "):
        start_postgres(tmp_path)
    FolderLock(tmp_path).release()


def test_a_log_that_has_grown_large_is_begun_anew(data_dir, monkeypatch):
    log = data_dir / "postgres" / "server.log"
    monkeypatch.setattr(cluster_module, "LOG_LIMIT", 100)
    log.write_text("old line\n" * 100)
    start_postgres(data_dir, fsync=False).stop()
    assert "old line" not in log.read_text()


async def test_statements_that_fail_leave_no_values_in_the_log(data_dir):
    with start_postgres(data_dir, fsync=False) as postgres:
        await ask(postgres.url, "CREATE TABLE names (name text PRIMARY KEY)")
        await ask(postgres.url, "INSERT INTO names VALUES ('Doe^Jane')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await ask(postgres.url, "INSERT INTO names VALUES ('Doe^Jane')")
    log = (data_dir / "postgres" / "server.log").read_text()
    assert "duplicate key" in log
    assert "Doe" not in log


async def test_a_copy_of_the_folder_runs_beside_the_original(data_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    owner = (data_dir / "postgres").stat()
    for path in [copy / "postgres", *(copy / "postgres").rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    with start_postgres(data_dir, fsync=False) as one, start_postgres(copy, fsync=False) as other:
        await ask(one.url, "CREATE TABLE only_here (id int)")
        assert await ask(other.url, "SELECT to_regclass('only_here')") is None


async def test_it_takes_as_many_connections_as_it_is_told(data_dir):
    with start_postgres(data_dir, fsync=False, connections=321) as postgres:
        assert await ask(postgres.url, "SHOW max_connections") == "321"
