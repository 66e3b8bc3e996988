"""``python -m conformance.benchmark.search``: fill databases with studies, measure searches."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from conformance.benchmark.report import machine
from conformance.benchmark.search.fill import Progress as Say
from conformance.benchmark.search.fill import Took, fill_cluster
from conformance.benchmark.search.measure import measure, measure_unindexed, sizes
from conformance.benchmark.search.population import Population
from conformance.benchmark.search.report import Run, as_markdown
from conformance.benchmark.search.requests import measure_requests
from conformance.benchmark.search.rows import COLUMNS
from dicomweb_server.index.embedded import EmbeddedPostgresError, start_postgres

STEPS = (100_000, 1_000_000, 10_000_000)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark.search")
    add = parser.add_argument
    add("--up-to", type=int, default=1_000_000, help="studies of the largest database; smaller "
        "ones of 100,000 and 1,000,000 are measured before it")  # fmt: skip
    add("--sizes", help="studies of each database instead, as in 100000,1000000")
    add("--series", type=int, default=2, help="series a study")
    add("--instances", type=int, default=1, help="instances a series")
    add("--seed", type=int, default=1)
    add("--keep", type=Path, help="folder where the databases stay, and are found again")
    add("--no-unindexed", action="store_true", help="without searches that run into the timeout")
    add("--no-requests", action="store_true", help="without whole requests to our server")
    options = parser.parse_args(given)
    steps = [step for step in STEPS if step < options.up_to] + [options.up_to]
    if options.sizes is not None:
        steps = sorted(int(each) for each in options.sizes.split(",") if each)
    options.sizes = steps
    return options


def run(population: Population, folder: Path, options: argparse.Namespace, say: Say) -> Run:
    """Measure one database in `folder`, which is filled if it is not there."""
    done = folder / "filled"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        done.write_text(json.dumps(asdict(fill_cluster(folder, population, say))))
    took = Took(**json.loads(done.read_text()))
    with start_postgres(folder) as postgres:
        figures = uvloop.run(measure(postgres.url, population.studies, say, seed=options.seed))
        say("unindexed attributes", 1.0)
        unindexed = [] if options.no_unindexed else uvloop.run(measure_unindexed(postgres.url))
        return Run(
            population.studies, took, figures, unindexed, asyncio.run(sizes(postgres.url, COLUMNS))
        )


def benchmark(options: argparse.Namespace) -> str:
    """Run it all; returns the tables."""
    here = machine()
    # Not in the table: it is the only thing that goes to the standard output.
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
        console=Console(stderr=True),
    )  # fmt: skip
    with ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack.enter_context(bar)
        runs = []
        for studies in options.sizes:
            task = bar.add_task(f"{studies:,}", total=1.0)

            def say(what: str, share: float, task=task, studies: int = studies) -> None:
                bar.update(task, description=f"{studies:,}: {what}", completed=share)

            population = Population(
                studies, seed=options.seed, series=options.series, instances=options.instances
            )
            name = f"{studies}-{options.series}-{options.instances}-{options.seed}"
            runs.append(run(population, folder / name, options, say))
        requests = []
        if not options.no_requests:
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                requests = uvloop.run(measure_requests(Path(scratch), seed=options.seed))
    return as_markdown(runs, requests, here)


def main() -> None:
    """Run, and say in one line what is wrong if no database can be had."""
    try:
        print(benchmark(arguments()))
    except (EmbeddedPostgresError, OSError) as error:
        sys.exit(f"benchmark: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
