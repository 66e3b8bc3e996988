"""``python -m conformance.benchmark.render``: our server, Orthanc, the codecs alone, in turns."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from conformance.benchmark import orthanc
from conformance.benchmark.__main__ import say
from conformance.benchmark.ending import run_to_the_end
from conformance.benchmark.goals import OURS
from conformance.benchmark.items import store_asks
from conformance.benchmark.load import Ask, load
from conformance.benchmark.render.images import Kind, all_kinds
from conformance.benchmark.render.items import Item, all_items, chosen
from conformance.benchmark.render.report import as_data, as_markdown
from conformance.benchmark.render.run import Bench
from conformance.benchmark.report import machine
from conformance.benchmark.retrieve import hosts as started
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.retrieve.report import NO_ORTHANC


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark.render")
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="how often each item is measured")
    add("--seconds", type=float, default=1.0, help="how long an item is measured")
    add("--quick", action="store_true", help="two rounds of half a second")
    add("--only", nargs="+", default=[], metavar="ITEM", help="what keys of items begin with")
    add("--list", action="store_true", help="list the items, and no more")
    add("--no-orthanc", action="store_true", help="without Orthanc")
    add("--slices", type=int, default=200, help="length of the CT series")
    add("--scratch", type=Path, help="folder to work in, on the disk in question")
    add("--json", type=Path, help="file for the figures")
    add("--seed", type=int, default=int(time.time()), help="of the UIDs stored")
    options = parser.parse_args(given)
    if options.quick:
        options.rounds, options.seconds = 2, 0.5
    return options


async def benchmark(options: argparse.Namespace, items: Sequence[Item]) -> int:
    """Run it all and print the tables. Returns 1 if an answer of ours was wrong, else 0."""
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # the servers are ended all the same
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    here = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        hosts = await start(stack, folder, options, items)
        bare = started.static(folder)[-1]
        stack.callback(bare.stop)
        await bare.start()
        bench = Bench(hosts, options.seconds, say, bare)
        results = await bench.run(items, rounds=options.rounds)
        hosts.append(bare)
        missing = orthanc.find_program() is None and not options.no_orthanc
        print(as_markdown(results, hosts, here, [NO_ORTHANC] if missing else []))
        if options.json is not None:
            options.json.write_text(json.dumps(as_data(results, hosts, here), indent=1) + "\n")
    return int(any(OURS in result.errors for result in results))


async def start(
    stack: ExitStack, folder: Path, options: argparse.Namespace, items: Sequence[Item]
) -> list[Host]:
    """Start the servers, and store what the items read. The first is ours."""
    hosts = [started.ours(folder)]
    program = None if options.no_orthanc else orthanc.find_program()
    if program is not None:
        hosts.append(started.debian_orthanc(folder, program))
    kinds = {item.kind.name: item.kind for item in items}
    for host in hosts:
        stack.callback(host.stop)
        await host.start()
        say(f"storing on {host.label}")
        for kind in kinds.values():
            for ask in stores(kind):  # over a connection of its own: making one takes a while
                await load(host.address, 1, [ask])
    return hosts


def stores(kind: Kind) -> Iterator[Ask]:
    """Requests of a few instances, each made when it is its turn."""
    batch = 10 if kind.rows * kind.columns <= 1 << 20 else 1
    for first in range(0, len(kind.pictures), batch):
        yield from store_asks(kind.pictures[first : first + batch], batch=batch)


def main() -> None:
    """Run, and say in one line what is wrong if no server can be measured."""
    options = arguments()
    try:
        items = chosen(all_items(all_kinds(options.seed * 1000, options.slices)), options.only)
    except ValueError as error:
        sys.exit(f"benchmark: {error}")
    if options.list:
        print("\n".join(f"{item.key:12} {item.name}" for item in items))
        return
    run_to_the_end(benchmark(options, items))


if __name__ == "__main__":
    main()
