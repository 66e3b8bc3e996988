"""What was measured as plain data, the same for every kind of item, fit for JSON."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.benchmark import run as storing
from conformance.benchmark.goals import BARE, NGINX, OURS
from conformance.benchmark.load import Sample
from conformance.benchmark.memory import GOAL_MB, Peak
from conformance.benchmark.mixed.people import REQUESTS, STEPS
from conformance.benchmark.mixed.run import Crowd, cpu_of
from conformance.benchmark.mixed.run import Result as Mixed
from conformance.benchmark.public.reasons import why
from conformance.benchmark.public.searching import POSTGRES_ALONE
from conformance.benchmark.render.report import CODECS, verdicts
from conformance.benchmark.render.run import Result as Rendered
from conformance.benchmark.report import LIMITS, summary
from conformance.benchmark.retrieve.hosts import STATIC
from conformance.benchmark.retrieve.run import Result as Retrieved
from conformance.benchmark.run import peak_rss_mb, percentile, quotients, reached

Data = dict[str, Any]

PHYSICAL = (BARE, NGINX, STATIC)
"""Servers that do less than the work: what they reach is what the machine allows."""

MIXED_GOALS = {"times_peer": 3.0, "stored": 0.95, "p95_ms": 250.0}
"""Reads of fifty viewers beside Orthanc's, at least; what is stored of what is sent, at least;
19 of 20 frames, at most."""


def figures(samples: Sequence[Sample]) -> Data:
    """Rates as medians of the rounds; latencies of all rounds; what a unit cost."""
    latencies = [latency for sample in samples for latency in sample.latencies]
    more = {"p99_ms": percentile(latencies, 99)} if latencies else {}
    return summary(samples) | more | {"peak_rss_mb": peak_rss_mb(samples)}


def row(
    key: str,
    result: storing.Result | Retrieved | Rendered,
    goals: Sequence[Data],
    alone: Mapping[str, Sequence[Sample]],
) -> Data:
    """One item; `alone` has what was measured of the machine, by what it is."""
    ours = result.samples.get(OURS, [])
    limits = {name: samples for name, samples in alone.items() if samples}
    limits |= {name: each for name, each in result.samples.items() if name in PHYSICAL}
    servers = {name: each for name, each in result.samples.items() if name not in PHYSICAL}
    found = {
        "key": key,
        "item": result.item.name,
        "unit": getattr(result.item, "unit", "req"),
        "servers": {name: figures(samples) for name, samples in servers.items()},
        "limits": {name: figures(samples) for name, samples in limits.items()},
        "ratios": {name: quotients(ours, each) for name, each in servers.items() if name != OURS},
        "ratios_to_limits": {name: quotients(ours, each) for name, each in limits.items()},
        "errors": dict(result.errors),
    }
    return found | {"goals": [goal | {"why": why(key, goal, found)} for goal in goals]}


def _goals(result: storing.Result | Retrieved, named: Mapping[str, storing.Result]) -> list[Data]:
    return [
        {
            "goal": goal.text(result.item.unit),
            "measured": (value := reached(goal, result, named)),
            "verdict": goal.verdict(value),
        }
        for goal in result.item.goals
    ]


def stored_rows(results: Sequence[storing.Result]) -> list[Data]:
    """Of storing: beside the bare receiver and what the machine allows."""
    named = {result.item.name: result for result in results}
    return [
        row(
            result.item.name,
            result,
            _goals(result, named),
            {LIMITS[result.item.limit]: result.limit},
        )
        for result in results
    ]


def retrieved_rows(results: Sequence[Retrieved]) -> list[Data]:
    """Of retrieving and searching: beside nginx, and the statements alone."""
    named = {result.item.name: result for result in results}
    return [
        row(result.item.key, result, _goals(result, named), {POSTGRES_ALONE: result.limit})
        for result in results
    ]


def rendered_rows(results: Sequence[Rendered]) -> list[Data]:
    """Of rendering: beside the codecs alone."""
    return [
        row(result.item.key, result, verdicts(result), {CODECS: result.codecs})
        for result in results
    ]


def mixed_data(results: Mapping[str, Mixed], crowd: Crowd) -> Data:
    """Of many at once."""
    servers = {name: _mixed(result) for name, result in results.items() if result.samples}
    ours = servers.get(OURS)
    ratios = {
        name: [
            mine / theirs if theirs else None
            for mine, theirs in zip(results[OURS].rates(), results[name].rates(), strict=False)
        ]
        for name in servers
        if ours is not None and name != OURS
    }
    return {
        "crowd": {
            "viewers": crowd.viewers,
            "storers": crowd.storers,
            "seconds": crowd.seconds,
            "offered_per_second": crowd.offered,
        },
        "servers": servers,
        "ratios": ratios,
        "goals": _mixed_goals(ours, ratios, crowd),
        "errors": {name: result.broken for name, result in results.items() if result.broken},
    }


def _mixed(result: Mixed) -> Data:
    cpu = cpu_of(result.samples)
    kinds = {}
    for kind in (*REQUESTS, *STEPS):
        latencies = result.latencies(kind)
        if latencies:
            found = {f"p{each}_ms": percentile(latencies, each) for each in (50, 95, 99)}
            kinds[kind] = {"count": len(latencies)} | found
    wrong = [
        {"request": kind, "said": said, "count": count}
        for (kind, said), count in sorted(result.errors.items())
    ]
    return {
        "seconds": result.seconds,
        "rounds": len(result.samples),
        "reads_per_second": statistics.median(result.rates()),
        "mb_per_second": sum(each.payload for each in result.samples) / result.seconds / 1e6,
        "stored_per_second": result.stored_rate(),
        "kinds": kinds,
        "errors": wrong,
        "error_count": result.errors.total(),
        "cpu_seconds": None if cpu is None else cpu.total,
        "database_cpu_seconds": None if cpu is None else cpu.database,
        "client_cpu_seconds": sum(each.client_cpu_seconds for each in result.samples),
        "peak_rss_mb": peak_rss_mb(result.samples),
    }


def _mixed_goals(
    ours: Data | None, ratios: Mapping[str, Sequence[float | None]], crowd: Crowd
) -> list[Data]:
    def goal(text: str, value: float | None, met: bool) -> Data:
        verdict = "not measured" if value is None else "met" if met else "missed"
        found = {"goal": text, "measured": value, "verdict": verdict}
        return found | {"why": why("mixed", found, {})}

    if ours is None:
        return [goal("all", None, met=False)]
    share = ours["stored_per_second"] / crowd.offered
    frames = ours["kinds"].get("frame", {}).get("p95_ms")
    goals = [
        goal("no error", ours["error_count"], ours["error_count"] == 0),
        goal(
            f"frame p95 ≤ {MIXED_GOALS['p95_ms']:g} ms",
            frames,
            frames is not None and frames <= MIXED_GOALS["p95_ms"],
        ),
        goal(
            f"stored ≥ {MIXED_GOALS['stored']:.0%} of what is sent",
            share,
            share >= MIXED_GOALS["stored"],
        ),
    ]
    for name, each in ratios.items():
        known = [ratio for ratio in each if ratio is not None]
        value = statistics.median(known) if known else None
        least = MIXED_GOALS["times_peer"]
        goals.append(
            goal(f"reads ≥ {least:g}× {name}", value, value is not None and value >= least)
        )
    return goals


def upload_data(peaks: Mapping[str, Sequence[Peak]]) -> list[Data]:
    """Memory of uploads: each upload with what it took on every server."""
    rows = []
    for number, first in enumerate(peaks[OURS]):
        goal = {"goal": f"≤ {GOAL_MB} MB above idle", "measured": first.total_mb}
        met = first.total_mb is not None and first.total_mb <= GOAL_MB and not first.error
        goal["verdict"] = "not measured" if first.total_mb is None else "met" if met else "missed"
        rows.append(
            {
                "key": "memory",
                "item": f"{first.name}, {first.size / 1e6:,.0f} MB",
                "servers": {
                    name: {
                        "above_idle_mb": each[number].total_mb,
                        "seconds": each[number].seconds,
                        "postgres_mb": each[number].database_mb,
                    }
                    for name, each in peaks.items()
                    if number < len(each) and not each[number].error
                },
                "goals": [goal | {"why": why("memory", goal, {})}],
                "errors": {
                    name: each[number].error
                    for name, each in peaks.items()
                    if number < len(each) and each[number].error
                },
            }
        )
    return rows
