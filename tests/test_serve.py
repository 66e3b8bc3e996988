"""The life of the server's processes: how they begin, and that none outlives the others."""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dicomweb_server.__main__ import read_settings
from dicomweb_server.commands import serving
from dicomweb_server.commands.serving import (
    CannotServeError,
    check_bucket,
    make_folders,
    prepare_database,
    reserve_port,
)
from dicomweb_server.config import Settings
from dicomweb_server.index.embedded import FolderLock, running_url, start_postgres
from tests.index import earlier
from tests.s3 import s3_settings

ROOT = Path(__file__).parent.parent

# An application that tells which process it is, can be slow, and can be made to crash.
STAND_IN = """
import asyncio, multiprocessing, os, sys, time
import granian.server.mp
from dicomweb_server.__main__ import plain_failures, read_settings
from dicomweb_server.commands.serving import run

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/crash":
        os._exit(3)
    if scope["path"] == "/slow":
        print("slow begins", flush=True)
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

def load():
    if "BROKEN" in os.environ:
        raise RuntimeError("no application today")
    return app

configure_logging = granian.server.mp.configure_logging  # a worker's first step

def late(*arguments):
    if "LATE" in os.environ and multiprocessing.current_process().name == "granian-worker":
        print("late begins", flush=True)
        time.sleep(2)
    configure_logging(*arguments)

granian.server.mp.configure_logging = late

try:
    with plain_failures():
        run(read_settings(), load)
except Exception as failure:
    sys.exit(failure.exit_code)
"""


class Running:
    """A server in processes of its own, in its own process group, as a shell starts it."""

    def __init__(self, data_dir, **variables):
        environment = {name: v for name, v in os.environ.items() if name.lower() not in FIELDS}
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-c", STAND_IN],
            env=environment | {"DATA_DIR": str(data_dir), "PORT": "0"} | variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.said = ""
        self.seen = set()

    def read_to(self, phrase):
        """Read what the server prints until a line with `phrase`."""
        while phrase not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def ready(self):
        self.read_to("To stop")
        self.port = int(self.said.partition("http://127.0.0.1:")[2].partition("/")[0])
        self.get("/")
        return self

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path):
        connection = self.connect()
        try:
            connection.request("GET", path)
            worker = int(connection.getresponse().read())
        finally:
            connection.close()
        self.seen.add(worker)
        return worker

    def postgres(self):
        return int((self.data_dir / "postgres/cluster/postmaster.pid").read_text().split()[0])

    def end(self):
        """Wait for the end; returns the exit status."""
        rest, _ = self.process.communicate(timeout=30)
        self.said += rest
        return self.process.returncode


FIELDS = set(Settings.model_fields)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    start_postgres(folder, fsync=False).stop()
    return folder


@pytest.fixture
def start(data_dir):
    started = []

    def begin(folder=data_dir, **variables):
        started.append(Running(folder, **variables))
        return started[-1]

    yield begin
    for server in started:
        server.process.kill()
        server.process.communicate()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(*pids):
    """Wait until none of the processes is there any more."""
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def command(*arguments, **variables):
    environment = {name: v for name, v in os.environ.items() if name.lower() not in FIELDS}
    return subprocess.run(
        [sys.executable, "-m", "dicomweb_server", *arguments],
        env=environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_says_where_everything_is_and_a_signal_stops_everything(start, data_dir):
    server = start().ready()
    for place in (
        f"http://127.0.0.1:{server.port}/\n",
        f"http://127.0.0.1:{server.port}/dicomweb\n",
        f"{data_dir}\n",
        f"Ctrl-C, or: kill {server.process.pid}\n",
    ):
        assert place in server.said
    processes = [server.get("/"), server.postgres()]
    idle = server.connect()
    idle.request("GET", "/")
    idle.getresponse().read()  # and stays open, which holds up nothing
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    idle.close()
    assert not any(alive(pid) for pid in processes)
    assert "rror" not in server.said
    assert "Killing" not in server.said


def test_processes_stop_that_have_hardly_begun(start):
    server = start(LATE="1")
    server.read_to("late begins")
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert "Killing" not in server.said


def test_ctrl_c_reaches_every_process_of_the_terminal_and_lets_requests_finish(start):
    server = start().ready()
    processes = [server.get("/"), server.postgres()]
    connection = server.connect()
    connection.request("GET", "/slow")
    server.read_to("slow begins")
    os.killpg(server.process.pid, signal.SIGINT)
    assert connection.getresponse().status == 200
    connection.close()
    assert server.end() == 0
    assert not any(alive(pid) for pid in processes)
    assert "rror" not in server.said


def test_stopped_while_it_starts_it_leaves_nothing_behind(start, tmp_path):
    server = start(tmp_path / "new")
    while not (tmp_path / "new/postgres").exists():
        assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert "Traceback" not in server.said
    assert running_url(tmp_path / "new") is None
    start(tmp_path / "new").ready()


def test_kill_9_of_the_server_takes_its_workers_and_its_database_along(start):
    server = start(WORKERS="2").ready()
    for _ in range(50):
        server.get("/")
    processes = [*server.seen, server.postgres()]
    assert all(alive(pid) for pid in processes)
    server.process.kill()
    gone(*processes)
    start(PORT=str(server.port)).ready()


def test_as_many_processes_answer_as_there_are_cores_four_at_the_most(start):
    server = start().ready()
    for _ in range(200):
        server.get("/")
    assert len(server.seen) == min(len(os.sched_getaffinity(0)), 4)


def test_a_worker_that_dies_is_replaced_and_a_closed_terminal_ends_all(start):
    server = start(WORKERS="1").ready()
    worker = server.get("/")
    with pytest.raises(ConnectionError):
        server.get("/crash")
    deadline = time.monotonic() + 20
    while True:
        try:
            assert (replacement := server.get("/")) != worker
            break
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    server.process.send_signal(signal.SIGHUP)
    assert server.end() == 0
    assert not alive(replacement)


def test_an_application_that_cannot_start_ends_the_server(start):
    server = start(BROKEN="1")
    assert server.end() == 1
    assert "no application today" in server.said
    assert "fail again and again" in server.said
    assert running_url(server.data_dir) is None


def test_two_servers_run_side_by_side(start, data_dir, tmp_path):
    one = start().ready()
    other = start(tmp_path / "other").ready()
    assert one.port != other.port
    assert one.get("/") != other.get("/")


def test_a_second_server_is_told_what_the_first_one_holds(start, data_dir, tmp_path):
    server = start().ready()
    second = command("serve", DATA_DIR=str(data_dir), PORT="0")
    assert second.returncode == 1
    assert f"{data_dir} is in use by process {server.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    with pytest.raises(CannotServeError, match="Address already in use"):
        reserve(server.port)
    assert server.get("/")


def reserve(port):
    with reserve_port("127.0.0.1", port) as reserved:
        return reserved.getsockname()[1]


def test_a_port_in_use_is_named_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CannotServeError, match=rf"127\.0\.0\.1, port {port}: Address already in use"
        ) as refused:
            reserve(port)
    assert f"PORT={port + 1} make run" in str(refused.value)
    assert reserve(port) == port


def test_a_host_that_is_not_ours_is_named():
    refused = pytest.raises(CannotServeError, match=r"cannot listen on 192\.0\.2\.1, port 8080")
    with refused, reserve_port("192.0.2.1", 8080):
        pass


def test_a_port_is_held_before_anything_listens_on_it():
    with reserve_port("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
        with pytest.raises(CannotServeError):
            reserve(port)
    assert reserve(port) == port


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "blobs").touch()
    with pytest.raises(CannotServeError, match=f"The data folder {tmp_path} cannot be written: "):
        make_folders(Settings(data_dir=tmp_path))


def test_nobody_else_reads_what_is_stored(tmp_path):
    settings = Settings(data_dir=tmp_path)
    make_folders(settings)
    make_folders(settings)
    for folder in (settings.blobs_dir, settings.tmp_dir, settings.cache_dir):
        assert folder.stat().st_mode & 0o077 == 0


async def test_a_bucket_that_cannot_be_used_is_named_with_the_reason(tmp_path, s3):
    settings = s3_settings(s3, tmp_path)
    settings.tmp_dir.mkdir()
    await check_bucket(settings)

    url = s3["S3_ENDPOINT_URL"]
    absent = settings.model_copy(update={"s3_bucket": "not-made", "s3_prefix": "a/"})
    with pytest.raises(
        CannotServeError, match=rf"The bucket not-made/a/ at {url} cannot be used: there is no such"
    ):
        await check_bucket(absent)

    with reserve_port("127.0.0.1", 0) as silent:
        nobody = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CannotServeError, match="the server cannot be reached"):
            await check_bucket(settings.model_copy(update={"s3_endpoint_url": nobody}))


@pytest.mark.parametrize(
    "impossible", [{"s3_bucket": "not a bucket"}, {"s3_endpoint_url": "http://[half"}]
)
async def test_a_bucket_that_cannot_be_anywhere_is_told_in_a_sentence(tmp_path, s3, impossible):
    settings = s3_settings(s3, tmp_path).model_copy(update=impossible)
    with pytest.raises(CannotServeError, match="cannot be used"):
        await check_bucket(settings)


def test_the_server_says_which_bucket_the_files_are_in(start, tmp_path, s3):
    server = start(tmp_path, **s3).ready()
    assert f"Files in S3  {s3['S3_BUCKET']}/ at {s3['S3_ENDPOINT_URL']}" in server.said


def test_boto3_is_loaded_only_for_a_bucket():
    program = "import sys, dicomweb_server.app; sys.exit('boto3' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_impossible_settings_are_all_named(monkeypatch):
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(CannotServeError, match=r"^PORT: .*\nWORKERS: .*$"):
        read_settings(workers=-1, listen_host=None)


def test_an_option_goes_before_its_variable(monkeypatch):
    monkeypatch.setenv("PORT", "8081")
    assert read_settings(port=8082).port == 8082
    assert read_settings(port=None).port == 8081


def test_an_existing_postgres_is_used_if_one_is_named(start, data_dir, tmp_path):
    with start_postgres(data_dir, fsync=False) as postgres:
        server = start(tmp_path, DATABASE_URL=postgres.url).ready()
        assert not (tmp_path / "postgres").exists()
        assert "dicomweb at this machine (DATABASE_URL)" in server.said

        async def migrated():
            connection = await asyncpg.connect(postgres.url)
            try:
                return await connection.fetchval("SELECT count(*) FROM schema_migrations")
            finally:
                await connection.close()

        with asyncio.Runner() as runner:
            assert runner.run(migrated()) > 0
        with pytest.raises(RuntimeError, match="in use by process"):
            FolderLock(tmp_path)
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
        assert alive(postgres.pid)


def test_an_earlier_database_is_upgraded_before_it_is_served(start, data_dir, tmp_path):
    async def made_before(url):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE DATABASE earlier")
        await connection.close()
        connection = await asyncpg.connect(url, database="earlier")
        try:
            await earlier.bring_to(connection, 2)
            for file in earlier.made_files():
                await earlier.store(connection, earlier.file_of(file), 2)
        finally:
            await connection.close()

    with start_postgres(data_dir, fsync=False) as postgres:
        asyncio.run(made_before(postgres.url))
        url = urlunsplit(urlsplit(postgres.url)._replace(path="/earlier"))
        server = start(tmp_path, DATABASE_URL=url).ready()
        said = [line for line in server.said.splitlines() if "pgrad" in line or "Docum" in line]
        assert said[0] == "Upgrading the database: 0003_search_columns.sql"
        assert any("9 instances done" in line for line in said)
        assert said[-1] == "The database is upgraded"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/images", "The database images at 127.0.0.1 cannot be"),
        ("postgresql://u:hunter2@[bad/images", "not an address of a Postgres"),
        ("postgresql://u:hunter2@host:port/images", "not an address of a Postgres"),
    ],
)
async def test_a_database_that_cannot_be_used_is_named_without_its_password(url, complaint):
    with pytest.raises(CannotServeError, match=complaint) as refused:
        await prepare_database(url)
    assert "hunter2" not in str(refused.value)


def test_the_commands_are_listed_to_one_who_names_none():
    assert "serve" in command().stdout


@pytest.mark.parametrize(
    ("workers", "pool", "expected"), [(1, 1, 100), (1, 8, 100), (8, 8, 164), (16, 90, 3080)]
)
def test_its_database_takes_the_connections_of_all_its_processes(
    tmp_path, monkeypatch, workers, pool, expected
):
    asked = []
    monkeypatch.setattr(serving, "start_postgres", lambda folder, **given: asked.append(given))

    serving.own_postgres(Settings(data_dir=tmp_path, workers=workers, database_pool=pool))

    assert asked == [{"connections": expected}]
