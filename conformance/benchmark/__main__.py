"""``python -m conformance.benchmark URL``, or ``--start`` for our own server."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import uvloop

from conformance.benchmark.client import Address, AnswerError
from conformance.benchmark.items import Corpus, Item, read_items, store_item
from conformance.benchmark.processes import free_port, processes_of, running, wait_until_ready
from conformance.benchmark.report import as_data, as_markdown
from conformance.benchmark.run import Bench, Target


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark", description=__doc__)
    parser.add_argument("url", nargs="?", help="http URL that /studies follows")
    parser.add_argument("--start", action="store_true", help="start our own server in a new folder")
    parser.add_argument("--beside", metavar="URL", help="another server, measured in turn")
    parser.add_argument("--pid", type=int, action="append", default=[], help="server's process")
    parser.add_argument("--quick", action="store_true", help="less data, two short rounds")
    parser.add_argument("--clients", type=int, default=4, help="senders that store at once")
    parser.add_argument("--rounds", type=int, help="how often each item is measured")
    parser.add_argument("--seconds", type=float, help="how long a reading item is measured")
    parser.add_argument("--scratch", type=Path, help="folder to work in, on the disk in question")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the UIDs stored")
    options = parser.parse_args(given)
    if bool(options.url) == options.start:
        parser.error("either a URL or --start")
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.quick else 2.0)
    return options


def say(text: str) -> None:
    """Progress, beside the table and not in it."""
    print(text, file=sys.stderr, flush=True)


async def start_ours(stack: ExitStack, folder: Path) -> Target:
    """Start our own server as a user would; it ends with `stack`."""
    port = free_port()
    data, log = folder / "server", folder / "server.log"
    data.mkdir()
    command = ("dicomweb_server", "serve", "--port", str(port), "--data-dir", str(data))
    pid = stack.enter_context(running(command, log=log))
    address = Address("127.0.0.1", port, "/dicomweb")
    await wait_until_ready(address, "/studies?limit=1", pid=pid, log=log)
    return Target("ours", address, lambda: processes_of([pid], naming=str(data)))


async def start_static(stack: ExitStack, folder: Path) -> Address:
    """Start the static server on `folder`; it ends with `stack`."""
    address = Address("127.0.0.1", free_port(), "")
    log = folder.parent / "static.log"
    command = ("granian", "--interface", "asginl", "--port", str(address.port), "--no-ws")
    program = "conformance.benchmark.static:app"
    pid = stack.enter_context(
        running((*command, program), log=log, BENCHMARK_FILES=str(folder.resolve()))
    )
    await wait_until_ready(address, "/bytes/1", pid=pid, log=log)
    return address


def plan(options: argparse.Namespace) -> tuple[Corpus, list[Item]]:
    """The data to be read, and the items."""
    seeds = count(options.seed * 1000)
    corpus = Corpus.plan(seed=next(seeds), n_series=2 if options.quick else 5)
    later = count(options.seed * 1000 + 500)
    instances = 120 if options.quick else 240
    stores = [store_item(options.clients, batch, instances, later) for batch in (10, 1)]
    return corpus, stores + read_items(corpus)


async def benchmark(options: argparse.Namespace) -> int:
    """Run it all and print the table. Returns 1 if an answer was wrong, else 0."""
    # Ended from outside, it must still end the servers that it has started.
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        files = folder / "files"
        files.mkdir()
        static = await start_static(stack, files)
        if options.start:
            targets = [await start_ours(stack, folder)]
        else:
            pids = tuple(options.pid)
            family = (lambda: processes_of(pids)) if pids else set[int]
            targets = [Target("ours", Address.of(options.url), family)]
        if options.beside:
            targets.append(Target("beside", Address.of(options.beside)))
        corpus, items = plan(options)
        bench = Bench(targets, corpus, static, files, folder, options.seconds, say)
        bench.write_files()
        results = await bench.run(items, rounds=options.rounds)
    labels = [target.label for target in targets]
    print(as_markdown(results, labels))
    if options.json:
        options.json.write_text(json.dumps(as_data(results, labels), indent=1) + "\n")
    return int(any(result.errors for result in results))


def main() -> None:
    """Run, and say in one line what is wrong if no server can be measured."""
    try:
        sys.exit(uvloop.run(benchmark(arguments())))
    except (AnswerError, OSError) as error:
        sys.exit(f"benchmark: {error}")
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
