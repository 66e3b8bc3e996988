"""The servers that are measured, each of which can be ended and started again in its place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from conformance.benchmark import servers
from conformance.benchmark.client import Address, Request, ask_once
from conformance.benchmark.goals import NGINX, ORTHANC, ORTHANC_SQLITE, OURS, S3
from conformance.benchmark.orthanc import STORING
from conformance.benchmark.processes import free_port, processes_of, running, wait_until_ready
from conformance.benchmark.retrieve.wanted import Wanted
from conformance.benchmark.run import Target

STATIC = "bare server"
LATENCY_MS = 20

NGINX_CONF = """\
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


@dataclass(slots=True)
class Host:
    """One server. `begin` starts it within a stack, whose end is its end.

    `static`: it serves copies of answers, kept in the folder `files`.
    """

    label: str
    begin: Callable[[ExitStack], Awaitable[Target]]
    files: Path | None = None
    copies: Path | None = None
    """Where it keeps copies of what is far away."""
    target: Target | None = None
    known: dict[Request, int] = field(default_factory=dict)
    """The lengths of the bodies of answers that have been looked into."""
    _running: ExitStack | None = None

    @property
    def static(self) -> bool:
        """Whether it serves nothing but files."""
        return self.files is not None

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self.target is not None
        return self.target.address

    async def start(self) -> None:
        """Start it. Raises AnswerError if it does not come up."""
        self._running = ExitStack()
        self.target = await self.begin(self._running)

    def forget(self) -> None:
        """Remove its copies, while it does not run."""
        if self.copies is not None:
            shutil.rmtree(self.copies, ignore_errors=True)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._running is not None:
            self._running.close()
            self._running = None


def file_of(wanted: Wanted) -> str:
    """The name of the file in which a static server has the answer."""
    return sha256(repr(wanted.request).encode()).hexdigest()[:32]


def ours(folder: Path) -> Host:
    """Our own server as it comes, on the file system; on what lies in the folder, or will."""
    data, port = folder / "ours", free_port()
    data.mkdir(exist_ok=True)
    return Host(OURS, lambda stack: servers.begin_ours(stack, data, port, S3_BUCKET=""))


def ours_on_s3(folder: Path) -> Host:
    """Our own server on the same files, which it reads as objects of a far bucket.

    What `ours` has stored has to be `copied` before it is started.
    """
    data, port, s3_port = folder / "ours-s3", free_port(), free_port()
    settings = {
        "S3_BUCKET": "far",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": "secret",
        "S3_PATH_STYLE": "true",
    }
    blobs = str(folder / "ours" / "blobs")
    command = [sys.executable, "-m", "conformance.benchmark.retrieve.bucket"]
    command += [str(s3_port), blobs, str(LATENCY_MS)]

    async def begin(stack: ExitStack) -> Target:
        log = folder / "bucket.log"
        pid = stack.enter_context(running(command, log=log))
        await wait_until_ready(Address("127.0.0.1", s3_port, ""), "/far", pid=pid, log=log)
        return await servers.begin_ours(stack, data, port, label=S3, **settings)

    return Host(S3, begin, copies=data / "cache" / "blobs")


def copy_index(folder: Path) -> None:
    """Give the server on S3 the index of `ours`, while neither runs."""
    data = folder / "ours-s3"
    data.mkdir()
    # With the owners, who are not ours to lose: Postgres starts on nobody else's files.
    subprocess.run(["cp", "-a", folder / "ours" / "postgres", data], check=True)


def debian_orthanc(folder: Path, program: Path, *, connections: int = STORING) -> Host:
    """Orthanc with its DICOMweb plugin and its index in a Postgres like ours, to which it has so
    many `connections`; on what lies in the folder, or will.
    """
    home, port = folder / "orthanc", free_port()
    home.mkdir(exist_ok=True)

    async def begin(stack: ExitStack) -> Target:
        return await servers.begin_orthanc(stack, home, port, program, connections=connections)

    return Host(ORTHANC, begin)


def debian_orthanc_sqlite(folder: Path, program: Path) -> Host:
    """The same with its index in SQLite."""
    home, port = folder / "orthanc-sqlite", free_port()
    home.mkdir()
    return Host(
        ORTHANC_SQLITE, lambda stack: servers.begin_orthanc_sqlite(stack, home, port, program)
    )


def find_nginx() -> str | None:
    """The program, if it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def static(folder: Path) -> list[Host]:
    """Servers of nothing but files, which have our answers as such: nginx, if it is installed, and
    the least that can be done in Python."""
    files = folder / "files"
    files.mkdir()
    hosts = [Host(STATIC, lambda stack: _static_server(stack, files), files)]
    program = find_nginx()
    if program is not None:
        port = free_port()
        nginx = Host(NGINX, lambda stack: _nginx(stack, files, Path(program), port), files)
        hosts.insert(0, nginx)
    return hosts


async def _static_server(stack: ExitStack, files: Path) -> Target:
    address, pid = await servers.begin_static(stack, files)
    about = (
        "granian with as many processes as ours; reads files and sends them, or pictures of them, "
        "and that is all"
    )
    where = Address(address.host, address.port, "/files")
    return Target(STATIC, where, lambda: processes_of([pid]), peer=True, about=about)


async def _nginx(stack: ExitStack, files: Path, program: Path, port: int) -> Target:
    """Start nginx with one worker and Debian's settings, below a folder of its own."""
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = files.parent / "nginx.conf"
    configuration.write_text(NGINX_CONF.format(user=user, folder=files, port=port))
    (files / "ready").write_bytes(b"ready")
    log = files.parent / "nginx.log"
    command = [program, "-p", str(files), "-c", str(configuration), "-e", "stderr"]
    pid = stack.enter_context(running(command, log=log))
    address = Address("127.0.0.1", port, "")
    await wait_until_ready(address, "/ready", pid=pid, log=log)
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    about = f"{said.partition(':')[2].strip()}, one worker, sendfile, the answers of ours as files"
    return Target(NGINX, address, lambda: processes_of([pid]), peer=True, about=about)


async def look(host: Host, wanted: Wanted) -> bytes:
    """Ask for `wanted`, look into the answer, and keep its length in mind; gives the body.

    Raises AnswerError if it is not right.
    """
    if host.files is not None:
        host.known[wanted.request] = (host.files / file_of(wanted)).stat().st_size
        return b""
    answer = await ask_once(host.address, wanted.kept)
    wanted.check(answer)
    host.known[wanted.request] = answer.length
    return bytes(answer.body)
