"""A run as Markdown tables to read and as JSON to keep."""

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.benchmark.goals import Goal
from conformance.benchmark.load import Sample
from conformance.benchmark.run import Result, Target, cpu_ms, percentile, reached

LIMITS = {
    "writes": "write, fsync, rename",
    "files": "static files",
    "bytes": "static bytes",
    "jpeg": "window and JPEG alone",
    "rows": "Postgres alone",
}

LEGEND = """\
Rates are medians of the rounds. “÷” is the median of the quotients within each round, with the
least and the greatest: how far they lie apart is how noisy the run was. CPU is the processor
time of all processes of a server (and of its Postgres, shown in brackets) for one unit. The bare
receiver is the same HTTP server program with the least that makes what it takes durable: no
DICOM, no index; its processor time is what no Python server can go below. The
limit is the least work that does the same, by the same number of clients or threads at a time:
the same files written, flushed and renamed; the same bytes from a static server on the same
HTTP server program; the window and JPEG coding alone; rows in Postgres, durably, with 4 kB of
metadata each, 10 a transaction."""


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Rates as medians of the rounds, latencies over all rounds, CPU time per unit in ms."""
    latencies = [latency for sample in samples for latency in sample.latencies]
    return {
        "units": sum(sample.units for sample in samples),
        "rounds": len(samples),
        "per_second": statistics.median(sample.rate for sample in samples),
        "mb_per_second": statistics.median(
            sample.payload / sample.seconds / 1e6 for sample in samples
        ),
        "p50_ms": percentile(latencies, 50),
        "p95_ms": percentile(latencies, 95),
        "cpu_ms": cpu_ms(samples),
        "database_cpu_ms": cpu_ms(samples, database=True),
        "client_cpu_ms": client_cpu_ms(samples),
    }


def client_cpu_ms(samples: Sequence[Sample]) -> float:
    """Processor time of the load generator a unit, in ms."""
    units = sum(sample.units for sample in samples)
    return 1000 * sum(sample.client_cpu_seconds for sample in samples) / units


def figure(value: float) -> str:
    """Three digits that count: 1,234 and 12.3 and 0.123."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def machine() -> dict[str, Any]:
    """What the figures are made on, and how busy it is now."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[0],
    }


def as_data(
    results: Sequence[Result], targets: Sequence[Target], here: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole run, fit for JSON. `here` is the `machine`; the first of `targets` is ours."""
    ours, *others = (target.label for target in targets)
    named = {result.item.name: result for result in results}
    items = [
        {
            "item": result.item.name,
            "unit": result.item.unit,
            "goals": [_goal_data(goal, result, named) for goal in result.item.goals],
            "servers": {label: summary(each) for label, each in result.samples.items()},
            "limit": summary(result.limit) if result.limit else None,
            "limit_kind": LIMITS[result.item.limit],
            "ratios_to_limit": result.ratios(ours),
            "ratios": {label: result.ratios(ours, label) for label in others},
            "errors": result.errors,
        }
        for result in results
    ]
    about = {target.label: target.about for target in targets}
    return {"machine": here, "servers": about, "items": items}


def _goal_data(goal: Goal, result: Result, named: Mapping[str, Result]) -> dict[str, Any]:
    value = reached(goal, result, named)
    text = goal.text(result.item.unit)
    return {"goal": text, "measured": value, "verdict": goal.verdict(value)}


def on_this_machine(here: Mapping[str, Any]) -> str:
    """The first line of a report: when and where it was measured."""
    return (
        f"{here['date']}: {here['cpus']} × {here['cpu']}, {here['system']}, "
        f"Python {here['python']}, load average before the run {here['load_average']:.1f}."
    )


def as_markdown(
    results: Sequence[Result], targets: Sequence[Target], here: Mapping[str, Any]
) -> str:
    """The tables, with lines on the machine and the servers. The first of `targets` is ours."""
    lines = [on_this_machine(here)]
    lines += [f"{target.label}: {target.about}." for target in targets if target.about]
    named = {result.item.name: result for result in results}
    lines += ["", *_rates(results, targets, named), ""]
    lines += ["MB/s; latency of a request in ms, p50 / p95:", ""]
    lines += [*_latencies(results, targets), "", LEGEND, *_client(results)]
    return "\n".join(lines)


def _rates(
    results: Sequence[Result], targets: Sequence[Target], named: Mapping[str, Result]
) -> list[str]:
    labels = [target.label for target in targets]
    ours, peers = labels[0], [target.label for target in targets if target.peer]
    head = ["item", *labels, *(f"{ours} ÷ {peer}" for peer in peers)]
    head += [f"CPU ms, {label}" for label in labels]
    head += ["limit of the machine", f"{ours} ÷ limit", "goals"]
    rows = []
    for result in results:
        unit = result.item.unit
        cells = [result.item.name, *(_rate_cell(result, label) for label in labels)]
        cells += [_ratio_cell(result.ratios(ours, peer)) for peer in peers]
        cells += [_cpu_cell(result.samples.get(label, [])) for label in labels]
        limit = f"{_rate(result.limit)} {unit}/s ({LIMITS[result.item.limit]})"
        cells += [limit if result.limit else "-", _ratio_cell(result.ratios(ours))]
        goals = (_goal_cell(goal, result, named) for goal in result.item.goals)
        rows.append([*cells, "; ".join(goals) or "-"])
    return table(head, rows)


def _latencies(results: Iterable[Result], targets: Sequence[Target]) -> list[str]:
    labels = [target.label for target in targets]
    rows = [
        [result.item.name]
        + [_latency_cell(result.samples.get(label, [])) for label in labels]
        + [_latency_cell(result.limit)]
        for result in results
    ]
    return table(["item", *labels, "limit of the machine"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns stand below each other in a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]


def _rate(samples: Sequence[Sample]) -> str:
    return figure(statistics.median(sample.rate for sample in samples)) if samples else "-"


def _rate_cell(result: Result, label: str) -> str:
    if label in result.errors:
        return "error: " + result.errors[label].replace("|", "/").replace("\n", " ")[:80]
    samples = result.samples.get(label, [])
    return f"{_rate(samples)} {result.item.unit}/s" if samples else "-"


def _cpu_cell(samples: Sequence[Sample]) -> str:
    total, database = cpu_ms(samples), cpu_ms(samples, database=True)
    if total is None or database is None:
        return "-"
    return f"{figure(total)} ({figure(database)})"


def _latency_cell(samples: Sequence[Sample]) -> str:
    if not samples:
        return "-"
    values = summary(samples)
    rate, p50, p95 = (figure(values[name]) for name in ("mb_per_second", "p50_ms", "p95_ms"))
    return f"{rate}; {p50} / {p95}"


def _ratio_cell(ratios: Sequence[float]) -> str:
    if not ratios:
        return "-"
    least, middle, greatest = min(ratios), statistics.median(ratios), max(ratios)
    return f"{figure(middle)}× ({figure(least)}–{figure(greatest)})"


def _goal_cell(goal: Goal, result: Result, named: Mapping[str, Result]) -> str:
    value = reached(goal, result, named)
    measured = "" if value is None else f"{figure(value)}, "
    return f"{goal.text(result.item.unit)}: {measured}{goal.verdict(value)}"


def _client(results: Sequence[Result]) -> list[str]:
    """What the load generator took, which shares the processors with the servers."""
    samples = [sample for result in results for each in result.samples.values() for sample in each]
    if not samples:
        return []
    most = max(sample.client_cpu_seconds / sample.seconds for sample in samples)
    said = f"The load generator took at most {100 * most:.0f} % of one core"
    stores = [result for result in results if result.item.finite and result.samples]
    if stores:
        first = stores[0]
        took = client_cpu_ms([sample for each in first.samples.values() for sample in each])
        said += f", and {figure(took)} ms of CPU an instance in “{first.item.name}”"
    return [said + "."]
