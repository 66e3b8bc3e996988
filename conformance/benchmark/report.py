"""A run as a Markdown table to read and as JSON to keep."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.benchmark.items import Goal
from conformance.benchmark.load import Sample
from conformance.benchmark.run import Result

LIMITS = {
    "writes": "write, fsync, rename",
    "files": "static files",
    "bytes": "static bytes",
    "jpeg": "window and JPEG alone",
}


def percentile(latencies: Sequence[float], percent: int) -> float:
    """The latency, in ms, that `percent` of the requests did not exceed."""
    ordered = sorted(latencies)
    return 1000 * ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Rates as medians of the rounds, latencies over all rounds, CPU time per unit in ms."""
    latencies = [latency for sample in samples for latency in sample.latencies]
    cpu = [sample.cpu_seconds for sample in samples]
    known = [seconds for seconds in cpu if seconds is not None]
    units = sum(sample.units for sample in samples)
    return {
        "units": units,
        "rounds": len(samples),
        "per_second": statistics.median(sample.rate for sample in samples),
        "mb_per_second": statistics.median(
            sample.payload / sample.seconds / 1e6 for sample in samples
        ),
        "p50_ms": percentile(latencies, 50),
        "p95_ms": percentile(latencies, 95),
        "cpu_ms": 1000 * sum(known) / units if len(known) == len(cpu) else None,
    }


def figure(value: float) -> str:
    """Three digits that count: 1,234 and 12.3 and 0.123."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def machine() -> dict[str, Any]:
    """What the figures were made on."""
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


def as_data(results: Sequence[Result], labels: Sequence[str]) -> dict[str, Any]:
    """The whole run, fit for JSON. The first of `labels` is the server in question."""
    items = []
    for result in results:
        ours, *others = labels
        items.append(
            {
                "item": result.item.name,
                "unit": result.item.unit,
                "goal": {"per_second": result.item.goal.rate, "p50_ms": result.item.goal.p50_ms},
                "servers": {label: summary(each) for label, each in result.samples.items()},
                "limit": summary(result.limit) if result.limit else None,
                "limit_kind": LIMITS[result.item.limit],
                "ratio_to_limit": result.ratio(ours),
                "ratios": {label: result.ratio(ours, label) for label in others},
                "errors": result.errors,
            }
        )
    return {"machine": machine(), "items": items}


def as_markdown(results: Sequence[Result], labels: Sequence[str]) -> str:
    """The table, with a line on the machine above it. The first of `labels` is ours."""
    here = machine()
    ours, *others = labels
    columns = ["item", ours, "goal", *others, *(f"{ours} ÷ {other}" for other in others)]
    columns += ["limit of the machine", f"{ours} ÷ limit", f"{ours}: CPU ms each"]
    lines = [
        f"{here['date']}: {here['cpus']} × {here['cpu']}, {here['system']}, "
        f"Python {here['python']}, load average {here['load_average']:.1f}.",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]
    lines += ["| " + " | ".join(_cells(result, ours, others)) + " |" for result in results]
    return "\n".join(lines)


def _cells(result: Result, ours: str, others: Sequence[str]) -> list[str]:
    cells = [result.item.name, _server_cell(result, ours), _goal_cell(result, ours)]
    cells += [_server_cell(result, label) for label in others]
    cells += [_ratio_cell(result.ratio(ours, label)) for label in others]
    kind = LIMITS[result.item.limit]
    cells.append(f"{_line(result.limit, result.item.unit)} ({kind})" if result.limit else "-")
    cells.append(_ratio_cell(result.ratio(ours)))
    cpu = summary(result.samples[ours])["cpu_ms"] if ours in result.samples else None
    cells.append("-" if cpu is None else figure(cpu))
    return cells


def _server_cell(result: Result, label: str) -> str:
    if label in result.errors:
        return "error: " + result.errors[label].replace("|", "/").replace("\n", " ")[:200]
    return _line(result.samples[label], result.item.unit)


def _line(samples: Sequence[Sample], unit: str) -> str:
    values = {name: figure(value) for name, value in summary(samples).items() if value is not None}
    return (
        f"{values['per_second']} {unit}/s, {values['mb_per_second']} MB/s, "
        f"p50 {values['p50_ms']} p95 {values['p95_ms']} ms"
    )


def _goal_cell(result: Result, ours: str) -> str:
    goal = result.item.goal
    if goal == Goal():
        return "-"
    text = f"≥ {figure(goal.rate)} {result.item.unit}/s" if goal.rate is not None else ""
    text += f"p50 ≤ {figure(goal.p50_ms)} ms" if goal.p50_ms is not None else ""
    if ours not in result.samples or ours in result.errors:
        return text
    values = summary(result.samples[ours])
    met = (goal.rate is None or values["per_second"] >= goal.rate) and (
        goal.p50_ms is None or values["p50_ms"] <= goal.p50_ms
    )
    return f"{text}: {'met' if met else 'missed'}"


def _ratio_cell(ratio: float | None) -> str:
    return "-" if ratio is None else f"{figure(ratio)}×"
