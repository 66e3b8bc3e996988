"""``python -m conformance.benchmark.retrieve``: our server, Orthanc and nginx, in turns."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from conformance.benchmark import orthanc
from conformance.benchmark.__main__ import say
from conformance.benchmark.ending import run_to_the_end
from conformance.benchmark.goals import NGINX, OURS
from conformance.benchmark.report import machine
from conformance.benchmark.retrieve import hosts as started
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.retrieve.items import Item, all_items, chosen
from conformance.benchmark.retrieve.report import NO_NGINX, NO_ORTHANC, as_data, as_markdown
from conformance.benchmark.retrieve.run import Bench, needed
from conformance.benchmark.retrieve.shelf import Shelf


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark.retrieve")
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="how often each item is measured")
    add("--seconds", type=float, default=0.8, help="how long an item is measured, where it can be")
    add("--only", nargs="+", default=[], metavar="ITEM", help="what keys of items begin with")
    add("--list", action="store_true", help="list the items, and no more")
    add("--no-orthanc", action="store_true", help="without Orthanc")
    add("--no-nginx", action="store_true", help="without nginx")
    add("--s3", action="store_true", help="our server on a bucket 20 ms away, too")
    add("--instances", type=int, default=1000, help="length of the long series")
    add("--scratch", type=Path, help="folder to work in, on the disk in question")
    add("--json", type=Path, help="file for the figures")
    add("--seed", type=int, default=int(time.time()), help="of the UIDs stored")
    return parser.parse_args(given)


async def benchmark(options: argparse.Namespace, items: Sequence[Item], shelf: Shelf) -> int:
    """Run it all and print the tables. Returns 1 if an answer of ours was wrong, else 0."""
    # Ended from outside, it must still end the servers that it has started.
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    here = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        hosts = await start(stack, folder, options, items, shelf)
        results = await Bench(hosts, options.seconds, say).run(items, rounds=options.rounds)
        missing = not options.no_nginx and all(host.label != NGINX for host in hosts)
        notes = [NO_NGINX] if missing else []
        if orthanc.find_program() is None and not options.no_orthanc:
            notes.append(NO_ORTHANC)
        print(as_markdown(results, hosts, here, notes))
        if options.json is not None:
            options.json.write_text(json.dumps(as_data(results, hosts, here), indent=1) + "\n")
    return int(any(label.startswith(OURS) for result in results for label in result.errors))


async def start(
    stack: ExitStack,
    folder: Path,
    options: argparse.Namespace,
    items: Sequence[Item],
    shelf: Shelf,
) -> list[Host]:
    """Start the servers that the options name, and store what the items read. The first is ours."""
    hosts = [started.ours(folder)]
    program = None if options.no_orthanc else orthanc.find_program()
    if program is not None:
        hosts.append(started.debian_orthanc(folder, program))
    for host in hosts:
        stack.callback(host.stop)
        await host.start()
        say(f"storing on {host.label}")
        await shelf.store(host.address, needed(items))
    if not options.no_nginx:
        hosts += started.static(folder)
    if options.s3 and any(item.on_s3 for item in items):
        hosts[0].stop()
        started.copy_index(folder)
        await hosts[0].start()
        hosts.append(started.ours_on_s3(folder))
    for host in hosts:
        if host.target is None:
            stack.callback(host.stop)
            await host.start()
    return hosts


def main() -> None:
    """Run, and say in one line what is wrong if no server can be measured."""
    options = arguments()
    shelf = Shelf(options.seed * 1000, options.instances)
    try:
        items = chosen(all_items(shelf), options.only)
    except ValueError as error:
        sys.exit(f"benchmark: {error}")
    if options.list:
        print("\n".join(f"{item.key:20} {item.name}" for item in items))
        return
    run_to_the_end(benchmark(options, items, shelf))


if __name__ == "__main__":
    main()
