"""``python -m conformance.benchmark.public.publish``: the last run into the README.

Nothing that is published was typed by hand: the section between two marks of README.md, the
picture that it shows and the whole report are made from the JSON of one run.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.benchmark.goals import OURS
from conformance.benchmark.public.plots import LIMITS, as_svg, headlines
from conformance.benchmark.public.report import (
    ORDER,
    PEERS,
    about,
    as_markdown,
    crowd_title,
    crowd_totals,
    missed_goals,
    name_of,
    rate,
    tally,
)
from conformance.benchmark.report import figure, table

BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
RUN, README = Path("build/bench/benchmark.json"), Path("README.md")
SVG, REPORT = Path("conformance/benchmark.svg"), Path("conformance/BENCHMARK.md")

Data = Mapping[str, Any]


def section(data: Data) -> str:
    """What stands in the README between the marks."""
    lines = [*about(data), "", f"![How fast it is, beside Orthanc]({SVG})", ""]
    lines += [*glance(data), ""]
    if "mixed" in data:
        lines += [f"{crowd_title(data['mixed'])}:", "", *crowd_totals(data["mixed"]), ""]
    missed = missed_goals(data)
    lines += [tally(data), *(["", *missed] if missed else [])]
    return "\n".join([*lines, "", f"Latencies, processor time and memory: [all of it]({REPORT})."])


def glance(data: Data) -> list[str]:
    """One table of what stands for all."""
    rows = list(headlines(data))
    labels = [label for label in ORDER if any(label in row["servers"] for row in rows)]
    head = ["", *map(name_of, labels), *(f"{OURS} ÷ {name_of(each)}" for each in PEERS)]
    head.append("what the machine allows")
    lines = []
    for row in rows:
        limit = next((name for name in LIMITS if name in row["limits"]), None)
        cells = [row["item"], *(rate(row, row["servers"], label) for label in labels)]
        beside = (row["ratios"].get(peer) for peer in PEERS)
        cells += [f"{figure(statistics.median(each))}×" if each else "-" for each in beside]
        allowed = "-" if limit is None else f"{rate(row, row['limits'], limit)} ({limit})"
        lines.append([*cells, allowed])
    return table(head, lines)


def inserted(text: str, found: str) -> str:
    """`text` with `found` between its marks. Raises ValueError if they are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"no {BEGIN} … {END}")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{found}\n{END}{rest.partition(END)[2]}"


def publish(data: Data, folder: Path) -> None:
    """Write the section, the picture and the report below `folder`, the checkout."""
    readme = folder / README
    readme.write_text(inserted(readme.read_text(), section(data)))
    (folder / SVG).write_text(as_svg(data))
    (folder / REPORT).write_text(as_markdown(data) + "\n")


def main(given: Sequence[str] | None = None) -> None:
    """Publish a run, or say in one line why not."""
    parser = argparse.ArgumentParser(prog="python -m conformance.benchmark.public.publish")
    parser.add_argument("run", nargs="?", type=Path, default=RUN, help=f"the JSON of a run ({RUN})")
    options = parser.parse_args(given)
    try:
        publish(json.loads(options.run.read_text()), Path())
    except (OSError, ValueError) as error:
        sys.exit(f"benchmark: {error}")


if __name__ == "__main__":
    main()
