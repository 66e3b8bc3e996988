"""``python -m conformance.soak --hours 1``: our server under load and faults, in build/soak."""

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conformance.benchmark.client import Address
from conformance.benchmark.ending import run_to_the_end
from conformance.benchmark.report import machine
from conformance.soak.database import CommandedDatabase, OwnDatabase
from conformance.soak.disk import Disk, in_a_mount_namespace_of_our_own
from conformance.soak.faults import FLOOR, Injector
from conformance.soak.report import as_data, as_html, as_markdown, judge
from conformance.soak.run import Plan, Run
from conformance.soak.traffic import Pace, Traffic
from conformance.soak.windows import Windows
from dicomweb_server import __version__
from tests.faulty import FaultyProxy
from tests.running import RunningServer
from tests.s3 import s3_server

CACHE_BYTES = 128 << 20
S3_TIMEOUT_SECONDS = 3


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.soak", description=__doc__)
    add = parser.add_argument
    add("--hours", type=float, default=1.0, help="of load (0.05: three minutes)")
    add("--rate", type=float, default=25.0, help="requests a second, at most")
    add("--every", type=float, help="seconds from fault to fault, on average")
    add("--workers", type=int, default=2, help="WORKERS of the server")
    add("--population", type=int, default=1000, help="studies that are kept; more are deleted")
    add("--disk-mib", type=int, default=3072, help="size of the disk that is filled")
    add("--s3", action="store_true", help="blobs on S3 (moto, or TEST_S3_*), whose faults come too")
    add("--own-postgres", action="store_true", help="the server's own, on the disk that is filled")
    add("--seed", type=int, default=int(time.time()) % 100_000, help="of data and moments")
    add("--scratch", type=Path, help="folder to work in")
    add("--out", type=Path, default=Path("build/soak"), help="folder for the reports")
    options = parser.parse_args(given)
    options.every = options.every or min(50.0, 3600 * options.hours / 12)
    return options


def say(text: str) -> None:
    """Progress, beside the report and not in it."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def soak(options: argparse.Namespace) -> int:
    """Run it and write the reports. Returns 1 if something failed, else 0."""
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    here = machine()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="soak-", dir=options.scratch))
        folder.chmod(0o711)  # the account of Postgres passes through
        say(f"in {folder}, which stays if the run fails")
        run, about = begin(stack, folder, options)
        try:
            await run.execute()
        finally:
            judged = judge(run)
            write(run, as_markdown(run, judged, here, about), options.out)
            data = as_data(run, judged, here, about)
            (options.out / "soak.json").write_text(json.dumps(data) + "\n")
            log = run.server.log.read_bytes() if run.server.log.exists() else b""
            (options.out / "server.log").write_bytes(log)
    if not judged.reasons:
        shutil.rmtree(folder)
    say("passed" if not judged.reasons else f"failed: {'; '.join(judged.reasons)}")
    return int(bool(judged.reasons))


def begin(stack: ExitStack, folder: Path, options: argparse.Namespace) -> tuple[Run, str]:
    """Start the database, the disk, S3 and the server; each ends with the stack."""
    disk: Disk | None = None
    try:
        disk = Disk(folder / "disk", options.disk_mib << 20)
        stack.callback(disk.close)
    except OSError as error:
        say(f"no faults of the disk: {error}")
    settings = {
        "DATABASE_URL": "",
        "WORKERS": str(options.workers),
        "CPU_WORKERS": "1",
        "ALLOW_DELETE": "true",
        "MIN_FREE_BYTES": str(FLOOR if disk else 0),
        "CACHE_LIMIT_BYTES": str(CACHE_BYTES),
        "S3_TIMEOUT_SECONDS": str(S3_TIMEOUT_SECONDS),
    }
    if not options.own_postgres:
        commanded = CommandedDatabase(folder)
        stack.callback(commanded.close)
        settings["DATABASE_URL"] = commanded.url
    proxy = None
    if options.s3:
        bucket = stack.enter_context(s3_server(folder))
        proxy = stack.enter_context(FaultyProxy(bucket["S3_ENDPOINT_URL"]))
        settings |= bucket | {"S3_ENDPOINT_URL": proxy.url}
    data = (disk.folder if disk else folder) / "data"
    server = RunningServer(data, settings)
    # Its log on the large disk: what it says of a full one is wanted too.
    server.log = folder / "server.log"
    stack.callback(server.stop)
    server.start()
    windows = Windows()
    address = Address("127.0.0.1", server.port, "/dicomweb")
    pace = Pace(options.rate, random.Random(options.seed + 1))
    traffic = Traffic(address, pace, windows, say=say)
    database = OwnDatabase(server) if options.own_postgres else commanded
    injector = Injector(server, database, random.Random(options.seed + 2), disk, proxy)
    plan = Plan(
        seconds=3600 * options.hours,
        every=options.every,
        rate=options.rate,
        population=options.population,
        seed=options.seed,
        processes=options.workers,
    )
    store = "S3 through a proxy that fails" if options.s3 else "files"
    postgres = "its own Postgres beside them" if options.own_postgres else "DATABASE_URL"
    where = disk.about if disk else "the machine's disk"
    about = (
        f"dicomweb-server {__version__}, WORKERS={options.workers}, blobs: {store}, on {where}, "
        f"{postgres}"
    )
    return Run(plan, server, injector, traffic, say), about


def write(run: Run, markdown: str, out: Path) -> None:
    """Write the reports to be read."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.md").write_text(markdown)
    (out / "soak.html").write_text(as_html(run, markdown))
    print(markdown)


def main() -> None:
    """Run, where mounts of ours go away with us."""
    options = arguments()
    in_a_mount_namespace_of_our_own(sys.argv[1:])
    run_to_the_end(soak(options))


if __name__ == "__main__":
    main()
