"""A run as Markdown tables to read and as JSON to keep."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.benchmark.goals import ORTHANC, OURS
from conformance.benchmark.load import Sample
from conformance.benchmark.render.items import CODECS_GOAL, ORTHANC_GOAL
from conformance.benchmark.render.run import Result
from conformance.benchmark.report import figure, on_this_machine, summary, table
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.run import cpu_ms, percentile

CODECS = "codecs alone"

LEGEND = f"""\
Rates are medians of the rounds, latencies are of all rounds. “÷” is the median of the quotients of
rates within each round, with the least and the greatest: how far they lie apart is how noisy the
run was. Every pass over the images has another window, so that nothing is answered from a cache
but in “asked for again”. “{CODECS}” decodes, looks up in a table and encodes the same images in
one process, one after the other, and has them in memory; the bare server does that behind HTTP, as
many processes as ours, with the pixels in files. Both have one table for all pictures. CPU is the
processor time of all processes of a server (of it Postgres in brackets) for one picture. Servers
and load generator share the processors. Debian's Orthanc has no decoder for HTJ2K, and for JPEG
2000 only with its GDCM plugin."""


def verdicts(result: Result) -> list[dict[str, Any]]:
    """What was measured of the goals of an item, if it has any."""
    if not result.item.goals:
        return []
    beside = result.ratios(OURS, ORTHANC)
    alone = [1 / ratio for ratio in result.ratios(OURS)]
    return [
        _verdict(f"≥ {ORTHANC_GOAL:g}× {ORTHANC}", beside, lambda value: value >= ORTHANC_GOAL),
        _verdict(f"≤ {CODECS_GOAL:g}× time of {CODECS}", alone, lambda value: value <= CODECS_GOAL),
    ]


def _verdict(goal: str, ratios: Sequence[float], met: Callable[[float], bool]) -> dict[str, Any]:
    if not ratios:
        return {"goal": goal, "measured": None, "verdict": "not measured"}
    value = statistics.median(ratios)
    return {"goal": goal, "measured": value, "verdict": "met" if met(value) else "missed"}


def as_data(
    results: Sequence[Result], hosts: Sequence[Host], here: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole run, fit for JSON. `here` is the machine; the first of `hosts` is ours."""
    items = [
        {
            "key": result.item.key,
            "item": result.item.name,
            "goals": verdicts(result),
            "servers": {label: _summary(each) for label, each in result.samples.items()},
            "codecs": _summary(result.codecs),
            "ratios": {host.label: result.ratios(OURS, host.label) for host in hosts[1:]},
            "ratios_to_codecs": result.ratios(OURS),
            "errors": result.errors,
        }
        for result in results
    ]
    about = {host.label: host.target.about for host in hosts if host.target is not None}
    return {"machine": here, "servers": about, "items": items}


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    latencies = [latency for sample in samples for latency in sample.latencies]
    return summary(samples) | {"p99_ms": percentile(latencies, 99)}


def as_markdown(
    results: Sequence[Result],
    hosts: Sequence[Host],
    here: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> str:
    """The tables, with lines on the machine and the servers. The first of `hosts` is ours."""
    lines = [on_this_machine(here)]
    lines += [f"{host.label}: {host.target.about}." for host in hosts if host.target is not None]
    labels = [host.label for host in hosts]
    lines += [*notes, "", *_rates(results, labels), ""]
    lines += ["Latency in ms, p50 / p99; CPU in ms a picture (of it Postgres):", ""]
    lines += [*_costs(results, labels), "", LEGEND]
    return "\n".join(lines)


def _rates(results: Sequence[Result], labels: Sequence[str]) -> list[str]:
    head = ["item", "", *labels, CODECS, *(f"{OURS} ÷ {peer}" for peer in labels[1:])]
    head += [f"{OURS} ÷ {CODECS}", "goals"]
    rows = []
    for result in results:
        cells = [result.item.key, result.item.name]
        cells += [_rate(result.samples.get(one, []), result.errors.get(one, "")) for one in labels]
        cells.append(_rate(result.codecs, ""))
        cells += [_ratio(result.ratios(OURS, peer)) for peer in labels[1:]]
        cells.append(_ratio(result.ratios(OURS)))
        goals = (
            f"{one['goal']}: {_measured(one['measured'])}{one['verdict']}"
            for one in verdicts(result)
        )
        rows.append([*cells, "; ".join(goals) or "-"])
    return table(head, rows)


def _costs(results: Sequence[Result], labels: Sequence[str]) -> list[str]:
    rows = []
    for result in results:
        cells = [_cost(result.samples.get(label, [])) for label in labels]
        rows.append([result.item.key, *cells, _cost(result.codecs)])
    return table(["item", *labels, CODECS], rows)


def _measured(value: float | None) -> str:
    return "" if value is None else f"{figure(value)}, "


def _rate(samples: Sequence[Sample], error: str) -> str:
    if error:
        return "error: " + error.replace("|", "/").replace("\n", " ")[:70]
    return f"{figure(statistics.median(one.rate for one in samples))}/s" if samples else "-"


def _ratio(ratios: Sequence[float]) -> str:
    if not ratios:
        return "-"
    least, middle, greatest = min(ratios), statistics.median(ratios), max(ratios)
    return f"{figure(middle)}× ({figure(least)}–{figure(greatest)})"


def _cost(samples: Sequence[Sample]) -> str:
    if not samples:
        return "-"
    latencies = [latency for sample in samples for latency in sample.latencies]
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    total, database = cpu_ms(samples), cpu_ms(samples, database=True)
    cost = "" if total is None or database is None else f"; {figure(total)} ({figure(database)})"
    return f"{figure(p50)} / {figure(p99)}{cost}"
