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

from conformance.benchmark import memory, orthanc, servers
from conformance.benchmark.client import Address
from conformance.benchmark.ending import run_to_the_end
from conformance.benchmark.goals import OURS
from conformance.benchmark.items import Corpus, Item, read_items
from conformance.benchmark.processes import processes_of
from conformance.benchmark.report import as_data, as_markdown, machine
from conformance.benchmark.run import Bench, Target
from conformance.benchmark.stores import row_items, store_items

NO_ORTHANC = (
    "Orthanc is not here to be compared with: "
    "apt-get install orthanc orthanc-dicomweb orthanc-postgresql"
)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark", description=__doc__)
    add = parser.add_argument
    add("url", nargs="?", help="http URL that /studies follows")
    add("--start", action="store_true", help="start our own server in a new folder")
    add("--one-worker", action="store_true", help="with --start: one more, with WORKERS=1")
    add("--orthanc", action="store_true", help="start Orthanc too, if Debian's is installed")
    add("--beside", metavar="URL", help="another server, measured in turn")
    add("--pid", type=int, action="append", default=[], help="process of the server at the URL")
    add("--memory", action="store_true", help="with --start: memory of large uploads, only that")
    add("--quick", action="store_true", help="less data, shorter rounds")
    add("--rounds", type=int, default=3, help="how often each item is measured")
    add("--seconds", type=float, help="how long a reading item is measured")
    add("--scratch", type=Path, help="folder to work in, on the disk in question")
    add("--json", type=Path, help="file for the figures")
    add("--seed", type=int, default=int(time.time()), help="of the UIDs stored")
    options = parser.parse_args(given)
    if bool(options.url) == options.start:
        parser.error("either a URL or --start")
    if (options.memory or options.one_worker) and not options.start:
        parser.error("--memory and --one-worker are for our own server, with --start")
    options.seconds = options.seconds or (1.0 if options.quick else 2.0)
    return options


def say(text: str) -> None:
    """Progress, beside the table and not in it."""
    print(text, file=sys.stderr, flush=True)


def plan(options: argparse.Namespace) -> tuple[Corpus, list[Item]]:
    """The data to be read, and the items."""
    seeds = count(options.seed * 1000)
    corpus = Corpus.plan(seed=next(seeds), n_series=2 if options.quick else 5)
    later = count(options.seed * 1000 + 500)
    stores = store_items(later, times=1 if options.quick else 2)
    return corpus, stores + row_items() + read_items(corpus)


async def start_targets(
    stack: ExitStack, folder: Path, options: argparse.Namespace
) -> list[Target]:
    """The servers that the options name, started where that is asked for. The first is ours."""
    if options.start:
        targets = [await servers.start_ours(stack, folder)]
    else:
        pids = tuple(options.pid)
        family = (lambda: processes_of(pids)) if pids else set[int]
        targets = [Target(OURS, Address.of(options.url), family)]
    if options.one_worker:
        targets.append(await servers.start_ours(stack, folder, one_worker=True))
    if options.orthanc:
        program = orthanc.find_program()
        if program is None:
            say(NO_ORTHANC)
        else:
            targets.append(await servers.start_orthanc(stack, folder, program))
    if options.start:
        targets.append(await servers.start_receiver(stack, folder))
    if options.beside:
        targets.append(Target("beside", Address.of(options.beside), peer=True))
    return targets


async def benchmark(options: argparse.Namespace) -> int:
    """Run it all and print the tables. Returns 1 if an answer of ours was wrong, else 0."""
    # Ended from outside, it must still end the servers that it has started.
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    here = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        if options.memory:
            return await measure_memory(stack, folder, options)
        files = folder / "files"
        files.mkdir()
        static = await servers.start_static(stack, files)
        database_url = servers.start_database(stack, folder)
        targets = await start_targets(stack, folder, options)
        corpus, items = plan(options)
        bench = Bench(targets, corpus, static, files, folder, database_url, options.seconds, say)
        bench.write_files()
        results = await bench.run(items, rounds=options.rounds)
    print(as_markdown(results, targets, here))
    keep(options.json, as_data(results, targets, here))
    peers = {target.label for target in targets if target.peer}
    return int(any(result.errors.keys() - peers for result in results))


async def measure_memory(stack: ExitStack, folder: Path, options: argparse.Namespace) -> int:
    """Measure the memory of large uploads and print that. Returns 1 if one failed, else 0."""
    target = await servers.start_ours(stack, folder)
    peaks = await memory.measure(target, folder, seed=options.seed * 1000, progress=say)
    print(memory.as_markdown(peaks))
    keep(options.json, memory.as_data(peaks))
    return int(any(peak.error for peak in peaks))


def keep(path: Path | None, data: object) -> None:
    """Write the figures down, if that is asked for."""
    if path is not None:
        path.write_text(json.dumps(data, indent=1) + "\n")


def main() -> None:
    """Run, and say in one line what is wrong if no server can be measured."""
    run_to_the_end(benchmark(arguments()))


if __name__ == "__main__":
    main()
