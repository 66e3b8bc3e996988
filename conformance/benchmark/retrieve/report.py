"""A run as Markdown tables to read and as JSON to keep."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.benchmark.goals import OURS, S3, Goal
from conformance.benchmark.load import Sample
from conformance.benchmark.report import figure, on_this_machine, summary, table
from conformance.benchmark.retrieve.hosts import LATENCY_MS, Host
from conformance.benchmark.retrieve.run import Result
from conformance.benchmark.run import cpu_ms, p50_ms, peak_rss_mb, reached

NO_NGINX = (
    "**nginx is not installed** (`apt-get install nginx-light`): no goal beside it is judged."
)
NO_ORTHANC = (
    "**Orthanc is not installed** (`apt-get install orthanc orthanc-dicomweb orthanc-postgresql`): "
    "no goal beside it is judged."
)

LEGEND = """\
Rates are medians of the rounds, latencies are of all rounds. “÷” is the median of the quotients
of rates within each round, with the least and the greatest: how far they lie apart is how noisy
the run was. CPU is the processor time of all processes of a server (and of its Postgres, in
brackets) for one unit; RSS the highest resident set of any one process but Postgres'. Servers
and load generator share the processors, and what is read lies in the page cache: each is asked
for a second before it is measured. “First after a
start”: of a server that has just said that it is ready. “Just stored”: small slices with the
header of large ones, asked for when the last store request was answered; Orthanc does that and
a start in the first round only. “Newest Orthanc”: what
1.13 with DICOMweb 1.24 took on another day and machine; Debian's is older, and far from it with
metadata and multi-frames.

Orthanc checks an MD5 of a file on every read; we check in the background (`verify`), and not
when we read. nginx sends files that hold what our server answered, byte for byte; it knows
nothing of DICOM."""

ON_S3 = f"""\
“{S3}” is our server on the same files as objects of a bucket {LATENCY_MS} ms away: each
answer of the bucket begins that late. For 1,000 frames eight connections wait {LATENCY_MS / 8:g} s
each, unless frames are read before they are asked for, or there are copies on the local disk: for
“first after a start” those are removed before."""


def as_data(
    results: Sequence[Result], hosts: Sequence[Host], here: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole run, fit for JSON. `here` is the machine; the first of `hosts` is ours."""
    named = {result.item.name: result for result in results}
    others = [host.label for host in hosts[1:]]
    items = [
        {
            "key": result.item.key,
            "item": result.item.name,
            "unit": result.item.unit,
            "newest_orthanc": result.item.newest,
            "goals": [
                {
                    "goal": goal.text(result.item.unit),
                    "measured": (value := reached(goal, result, named)),
                    "verdict": goal.verdict(value),
                }
                for goal in result.item.goals
            ],
            "servers": {
                label: summary(each)
                | {"peak_rss_mb": peak_rss_mb(each), "best_p50_ms": _best(each)}
                for label, each in result.samples.items()
            },
            "ratios": {label: result.ratios(OURS, label) for label in others},
            "errors": result.errors,
        }
        for result in results
    ]
    about = {host.label: host.target.about for host in hosts if host.target is not None}
    return {"machine": here, "servers": about, "items": items}


def as_markdown(
    results: Sequence[Result],
    hosts: Sequence[Host],
    here: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> str:
    """The tables, with lines on the machine and the servers. The first of `hosts` is ours."""
    lines = [on_this_machine(here)]
    lines += [f"{host.label}: {host.target.about}." for host in hosts if host.target is not None]
    lines += [*notes, "", *_rates(results, hosts), ""]
    lines += ["Latency in ms, p50 / p95 of all rounds, p50 of the best; MB/s in brackets:", ""]
    lines += [*_each(results, hosts, _latency), ""]
    lines += ["CPU in ms a unit (of it Postgres); RSS in MB:", ""]
    lines += [*_each(results, hosts, _cost), "", LEGEND]
    if any(host.label == S3 for host in hosts):
        lines.append(ON_S3)
    return "\n".join([*lines, *_client(results)])


def _rates(results: Sequence[Result], hosts: Sequence[Host]) -> list[str]:
    labels = [host.label for host in hosts]
    peers = [label for label in labels[1:] if label != S3]
    named = {result.item.name: result for result in results}
    head = ["item", "", *labels, *(f"{OURS} ÷ {peer}" for peer in peers)]
    head += ["newest Orthanc", "goals"]
    rows = []
    for result in results:
        cells = [result.item.key, result.item.name]
        cells += [_rate(result, label) for label in labels]
        cells += [_ratio(result.ratios(OURS, peer)) for peer in peers]
        cells.append(result.item.newest or "-")
        goals = [_goal(goal, result, named) for goal in result.item.goals if goal.label in labels]
        rows.append([*cells, "; ".join(goals) or "-"])
    return table(head, rows)


def _each(
    results: Sequence[Result], hosts: Sequence[Host], cell: Callable[[Sequence[Sample]], str]
) -> list[str]:
    labels = [host.label for host in hosts]
    rows = [
        [result.item.key, *(cell(result.samples.get(label, [])) for label in labels)]
        for result in results
    ]
    return table(["item", *labels], rows)


def _rate(result: Result, label: str) -> str:
    if label in result.errors:
        return "error: " + result.errors[label].replace("|", "/").replace("\n", " ")[:80]
    samples = result.samples.get(label, [])
    if not samples:
        return "-"
    return f"{figure(statistics.median(each.rate for each in samples))} {result.item.unit}/s"


def _ratio(ratios: Sequence[float]) -> str:
    if not ratios:
        return "-"
    least, middle, greatest = min(ratios), statistics.median(ratios), max(ratios)
    return f"{figure(middle)}× ({figure(least)}–{figure(greatest)})"


def _goal(goal: Goal, result: Result, named: Mapping[str, Result]) -> str:
    value = reached(goal, result, named)
    measured = "" if value is None else f"{figure(value)}, "
    return f"{goal.text(result.item.unit)}: {measured}{goal.verdict(value)}"


def _latency(samples: Sequence[Sample]) -> str:
    if not samples:
        return "-"
    values = summary(samples)
    p50, p95, rate = (figure(values[name]) for name in ("p50_ms", "p95_ms", "mb_per_second"))
    return f"{p50} / {p95}, {figure(_best(samples))} ({rate})"


def _best(samples: Sequence[Sample]) -> float:
    """The median latency of the round in which it was least, in ms."""
    return min(p50_ms([sample]) for sample in samples)


def _cost(samples: Sequence[Sample]) -> str:
    total, database = cpu_ms(samples), cpu_ms(samples, database=True)
    if total is None or database is None:
        return "-"
    return f"{figure(total)} ({figure(database)}); {peak_rss_mb(samples) or 0:.0f}"


def _client(results: Sequence[Result]) -> list[str]:
    """What the load generator took, which shares the processors with the servers."""
    samples = [each for result in results for some in result.samples.values() for each in some]
    if not samples:
        return []
    most = max(sample.client_cpu_seconds / sample.seconds for sample in samples)
    return [f"The load generator took at most {100 * most:.0f} % of one core."]
