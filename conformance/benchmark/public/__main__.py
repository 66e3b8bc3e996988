"""``python -m conformance.benchmark.public``: all in one run; in minutes with ``--quick``."""

import argparse
import asyncio
import json
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conformance.benchmark.__main__ import say
from conformance.benchmark.ending import run_to_the_end
from conformance.benchmark.public.machine import machine
from conformance.benchmark.public.plan import PARTS, Plan
from conformance.benchmark.public.plots import as_svg
from conformance.benchmark.public.report import as_markdown
from conformance.benchmark.public.run import Run, archive_of
from conformance.benchmark.public.size import QUICK, WHOLE
from conformance.benchmark.search.fill import fill_cluster
from conformance.benchmark.search.population import Population

DEFAULT_SEED = 1


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark.public")
    add = parser.add_argument
    add("--quick", action="store_true", help="less data, shorter rounds, no large archive")
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    add("--no-orthanc", action="store_true", help="without Orthanc")
    add("--seed", type=int, default=DEFAULT_SEED, help="all bytes that are stored follow from it")
    add("--scratch", type=Path, help="folder to work in, on the disk in question")
    add(
        "--out", type=Path, default=Path("build/bench"), help="folder for benchmark.json, .md, .svg"
    )
    return parser.parse_args(given)


def fill_archive(folder: Path, plan: Plan) -> None:
    """Fill the large archive with made studies, as long as no event loop runs."""
    data = archive_of(folder) / "ours"
    data.mkdir(parents=True)
    size = plan.size
    say(f"filling an archive with {size.archived:,} made studies")
    population = Population(size.archived, seed=plan.seed, real=size.whole)
    fill_cluster(data, population, lambda what, share: None)


async def benchmark(
    options: argparse.Namespace, plan: Plan, folder: Path, here: dict[str, Any], began: float
) -> int:
    """Run it all, print it and write it down. Returns 1 if an answer of ours was wrong, else 0."""
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGHUP):  # the servers are ended all the same
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    with ExitStack() as stack:
        run = Run(plan, stack, folder, say)
        try:
            await run.measure()
        except asyncio.CancelledError:  # what was measured is not to be lost
            run.notes.append("The run was ended before all was measured.")
            write(as_data(run, here, options, time.monotonic() - began), options.out)
            raise
    data = as_data(run, here, options, time.monotonic() - began)
    write(data, options.out)
    print(as_markdown(data))
    return int(run.failed)


def as_data(
    run: Run, here: dict[str, Any], options: argparse.Namespace, took: float
) -> dict[str, Any]:
    """The whole run, fit for JSON."""
    size = run.plan.size
    return {
        "machine": here,
        "servers": run.about,
        "notes": run.notes,
        "seed": run.plan.seed,
        "quick": options.quick,
        "rounds": size.rounds,
        "archived": size.archived,
        "took_seconds": took,
        "sections": {},
    } | run.data


def write(data: dict[str, Any], folder: Path) -> None:
    """Write the run down in three forms."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    (folder / "benchmark.md").write_text(as_markdown(data) + "\n")
    (folder / "benchmark.svg").write_text(as_svg(data))
    say(f"written to {folder}")


def main() -> None:
    """Run, and say in one line what is wrong if no server can be measured."""
    options, began = arguments(), time.monotonic()
    plan = Plan(
        QUICK if options.quick else WHOLE, options.seed, options.only, not options.no_orthanc
    )
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.scratch) as name:
        folder = Path(name)
        here = machine(folder)
        if "archive" in plan.parts and plan.size.archived:
            fill_archive(folder, plan)
        run_to_the_end(benchmark(options, plan, folder, here, began))


if __name__ == "__main__":
    main()
