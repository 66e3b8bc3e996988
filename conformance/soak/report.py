"""A run as Markdown to read, as JSON to keep, and as one HTML page with its curves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

from conformance.benchmark.report import on_this_machine
from conformance.benchmark.run import percentile
from conformance.soak import flatness
from conformance.soak.flatness import Verdict
from conformance.soak.plot import Line, Mark, chart
from conformance.soak.run import Run
from conformance.soak.sampling import as_rows, by_process
from conformance.soak.windows import Window

MB = 1e6
BIN_SECONDS = 30.0
CURVES = ("store single", "store batch", "search by patient", "frame", "rendered", "study", "zip")

SOCKETS = 24
"""A full pool of connections to Postgres for searches, another for all else, and a few."""
RULE = f"""\
Flat means: of each process that lived {flatness.LEAST_SECONDS / 60:.0f} minutes or more the \
first {flatness.WARM_UP:.0%} are left out as warm-up; a least-squares line \
through medians of the rest may rise by {flatness.BYTES_SHARE:.0%} of its begin or \
{flatness.BYTES_FLOOR / MB:.0f} MB for memory, whichever is more, and by \
{flatness.COUNT_LIMIT:.0f} for threads and for descriptors but sockets. Of sockets there are as \
many as callers just then, and connections to Postgres as they came to need; so they are counted \
at rest, where a process may have {SOCKETS} more than one had before the load."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run came to. `reasons`: why it failed; none if it did not."""

    verdicts: list[Verdict]
    reasons: list[str]


def judge(run: Run) -> Judged:
    """Hold a run to its four promises."""
    verdicts = list(_verdicts(run))
    reasons = []
    if run.traffic.n_failures:
        reasons.append(f"{run.traffic.n_failures} answers that may not be")
    if not verdicts and run.plan.seconds > 3 * flatness.LEAST_SECONDS:
        reasons.append("no process lived long enough to be judged")
    reasons += [f"{each.name} grew: {_range(each)}" for each in verdicts if not each.flat]
    reasons += _left_open(run)
    if run.outcome is None:
        reasons.append("the run did not come to its end")
    else:
        reasons += run.outcome.problems
    return Judged(verdicts, reasons)


def _verdicts(run: Run) -> Iterable[Verdict]:
    for (role, pid, _), life in by_process(run.held).items():
        series = (
            ("rss", [float(each.rss) for each in life], "bytes"),
            ("descriptors but sockets", [float(each.fds - each.sockets) for each in life], "files"),
            ("threads", [float(each.threads) for each in life], "threads"),
        )
        for what, values, unit in series:
            points = list(zip((each.t for each in life), values, strict=True))
            if flatness.long_enough(points):
                yield flatness.judge(f"{role} {pid}: {what}", points, unit)


def _left_open(run: Run) -> list[str]:
    """The processes that have more sockets at rest, after the load, than they may."""
    if len(run.at_rest) < 2:
        return []
    most: dict[str, int] = {}
    for each in run.at_rest[0]:
        most[each.role] = max(each.sockets, most.get(each.role, 0))
    return [
        f"{each.role} {each.pid} has {each.sockets} sockets at rest ({most[each.role]} before)"
        for each in run.at_rest[-1]
        if each.role in most and each.sockets > most[each.role] + SOCKETS
    ]


def _range(verdict: Verdict) -> str:
    scale, unit = (MB, " MB") if verdict.unit == "bytes" else (1.0, "")
    return (
        f"{verdict.first / scale:.1f} → {verdict.last / scale:.1f}{unit} in "
        f"{verdict.seconds / 60:.0f} min (limit +{verdict.limit / scale:.1f})"
    )


# Markdown


def as_markdown(run: Run, judged: Judged, here: Mapping[str, Any], about: str) -> str:
    """The report to read."""
    plan, ledger = run.plan, run.ledger
    parts = [
        "# Soak",
        "",
        "**Passed.**" if not judged.reasons else "**Failed:**",
        *(f"- {reason}" for reason in judged.reasons),
        "",
        on_this_machine(here),
        f"{about}. {plan.seconds / 60:.0f} minutes of load at {plan.rate:g} requests a second "
        f"(at most), seed {plan.seed}; the server took "
        f"{run.around[-1].cpu_seconds / run.traffic.now():.0%} of one core.",
        "",
        *_lost(run),
        f"Acknowledged {ledger.totals.acknowledged:,} instances in {ledger.totals.studies:,} "
        f"studies, deleted {ledger.totals.deleted:,}, refused {ledger.totals.refused:,} damaged "
        "ones.",
        "",
        "## Requests",
        "",
        "Latencies are those of good answers when nothing failed.",
        "",
        *_table(["kind", "requests", "answers", "p50 ms", "p95 ms", "most ms"], _kinds(run)),
        "",
        "## Faults",
        "",
        "Recovery is from the end of the cause to the first pass of all probes, or the last "
        "refusal after it.",
        "",
        *_table(
            ["fault", "times", "recovery s, median", "most", "refused", "broken"], _faults(run)
        ),
        "",
        "## Memory, descriptors, threads",
        "",
        RULE,
        "",
        *_table(["process", "judged min", "begin", "end", "limit", ""], _flat(judged.verdicts)),
        "",
        *_rest(run),
    ]
    if run.traffic.failures:
        parts += ["", "## What may not be", ""]
        parts += [f"- {failure}" for failure in run.traffic.failures[:50]]
    return "\n".join(parts) + "\n"


def _lost(run: Run) -> list[str]:
    found = run.outcome
    if found is None:
        return []
    blobs = found.blobs_without_row
    return [
        f"Lost: **{found.lost}** of {found.expected:,} acknowledged instances, each retrieved and "
        f"compared byte for byte, {found.frames_compared:,} frames pixel for pixel; damaged: "
        f"{found.damaged}; `verify`: {'clean' if not found.verify_status else 'NOT clean'}; "
        f"files left in the folder of uploads: {found.left_in_tmp}; blobs without a row (of "
        f"kills; `sweep` takes them): {'not counted' if blobs is None else blobs}.",
        "",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def _kinds(run: Run) -> Iterable[list[object]]:
    kinds: dict[str, dict[str, int]] = defaultdict(dict)
    for (kind, outcome), count in sorted(run.traffic.counts.items()):
        kinds[kind][outcome] = count
    for kind, outcomes in kinds.items():
        quiet = [took for _, took, amid in run.traffic.latencies.get(kind, ()) if not amid]
        told = ", ".join(f"{outcome}: {count:,}" for outcome, count in outcomes.items())
        figures = (
            [f"{percentile(quiet, each):.1f}" for each in (50, 95, 100)] if quiet else [""] * 3
        )
        yield [kind, f"{sum(outcomes.values()):,}", told, *figures]


def _by_kind(windows: Sequence[Window]) -> dict[str, list[Window]]:
    found: dict[str, list[Window]] = defaultdict(list)
    for window in windows:
        found[window.kind.name].append(window)
    return dict(sorted(found.items()))


def _faults(run: Run) -> Iterable[list[object]]:
    for name, windows in _by_kind(run.traffic.windows.all).items():
        times = [window.recovery for window in windows]
        yield [
            name,
            len(windows),
            f"{median(times):.1f}",
            f"{max(times):.1f}",
            sum(window.refusals for window in windows),
            sum(window.broken for window in windows),
        ]


def _flat(verdicts: Sequence[Verdict]) -> Iterable[list[object]]:
    for each in verdicts:
        scale, unit = (MB, " MB") if each.unit == "bytes" else (1.0, "")
        figures = [f"{value / scale:.1f}{unit}" for value in (each.first, each.last, each.limit)]
        flat = "flat" if each.flat else "**grows**"
        yield [
            each.name,
            f"{each.seconds / 60:.0f}",
            figures[0],
            figures[1],
            "+" + figures[2],
            flat,
        ]


def _rest(run: Run) -> list[str]:
    """What each process held at rest, before the load and after it."""
    if len(run.at_rest) < 2:
        return []
    rows = []
    for when, held in zip(("before", "after"), (run.at_rest[0], run.at_rest[-1]), strict=True):
        for each in sorted(held, key=lambda one: one.role):
            rss, own = each.rss / MB, each.anonymous / MB
            row = [when, f"{each.role} {each.pid}", f"{rss:.1f}", f"{own:.1f}"]
            rows.append([*row, each.fds, each.sockets, each.threads])
    head = ["at rest", "process", "RSS MB", "of it its own", "descriptors", "sockets", "threads"]
    first, last = run.around[0], run.around[-1]
    return [
        *_table(head, rows),
        "",
        f"Postgres: {first.postgres_bytes / MB:.0f} → {last.postgres_bytes / MB:.0f} MB (each "
        f"page once), {first.postgres_connections} → {last.postgres_connections} connections. "
        f"Disk of the data: {first.disk_bytes / MB:.0f} → {last.disk_bytes / MB:.0f} MB.",
    ]


# JSON and HTML


def as_data(run: Run, judged: Judged, here: Mapping[str, Any], about: str) -> dict[str, Any]:
    """The whole run, fit for JSON."""
    return {
        "machine": here,
        "server": about,
        "passed": not judged.reasons,
        "reasons": judged.reasons,
        "seconds": run.plan.seconds,
        "rate": run.plan.rate,
        "seed": run.plan.seed,
        "outcome": run.outcome.as_data() if run.outcome else None,
        "requests": [
            {"kind": kind, "outcome": outcome, "count": count}
            for (kind, outcome), count in sorted(run.traffic.counts.items())
        ],
        "faults": [
            {
                "kind": window.kind.name,
                "about": window.about,
                "began": round(window.began, 2),
                "ended": round(window.ended, 2),
                "recovery": round(window.recovery, 2),
                "refused": window.refusals,
                "broken": window.broken,
            }
            for window in run.traffic.windows.all
        ],
        "flatness": [
            {
                "name": each.name,
                "seconds": each.seconds,
                "first": each.first,
                "last": each.last,
                "limit": each.limit,
                "flat": each.flat,
            }
            for each in judged.verdicts
        ],
        "failures": run.traffic.failures,
        "processes": as_rows(run.held),
        "around": as_rows(run.around),
    }


def as_html(run: Run, markdown: str) -> str:
    """One page without anything from elsewhere: the curves, and the report below."""
    curves = "\n".join(charts(run))
    return (
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>Soak</title>\n"
        "<style>body{font:14px system-ui,sans-serif;margin:24px;max-width:1000px}"
        "pre{white-space:pre-wrap;font-size:12px}svg{max-width:100%;height:auto}</style>\n"
        f"<h1>Soak</h1>\n<p>Red bands are faults, until service was back.</p>\n{curves}\n"
        f"<pre>{escape(markdown)}</pre>\n</html>\n"
    )


def charts(run: Run) -> list[str]:
    """The curves as SVG."""
    windows = run.traffic.windows.all
    marks = [Mark(each.kind.name, each.began, each.closed) for each in windows]
    lives = by_process(run.held)

    def of(what: str, scale: float = 1.0) -> list[Line]:
        return [
            Line(role, [(each.t, getattr(each, what) / scale) for each in life])
            for (role, _, _), life in sorted(lives.items())
        ]

    around = run.around
    postgres = [(each.t, each.postgres_bytes / MB) for each in around]
    connections = [(each.t, float(each.postgres_connections)) for each in around]
    tmp = [(each.t, float(each.tmp_files)) for each in around]
    disk = [(each.t, each.disk_bytes / MB) for each in around]
    return [
        chart("Resident memory of each process", "MB", of("rss", MB), marks),
        chart("Of it its own (anonymous)", "MB", of("anonymous", MB), marks),
        chart("Open descriptors of each process", "count", of("fds"), marks),
        chart("Threads of each process", "count", of("threads"), marks),
        chart("Memory of Postgres", "MB", [Line("Postgres", postgres)], marks),
        chart(
            "Connections, files of uploads", "count",
            [Line("connections", connections), Line("files in tmp", tmp)], marks,
        ),
        chart("Disk of the data", "MB", [Line("used", disk)], marks),
        chart("p50 of good answers", "ms", _latencies(run, 50), marks, log=True),
        chart("p95 of good answers", "ms", _latencies(run, 95), marks, log=True),
    ]  # fmt: skip


def _latencies(run: Run, percent: int) -> list[Line]:
    lines = []
    for kind in CURVES:
        bins: dict[int, list[float]] = defaultdict(list)
        for t, took, _ in run.traffic.latencies.get(kind, ()):
            bins[int(t // BIN_SECONDS)].append(took)
        points = [
            ((number + 0.5) * BIN_SECONDS, percentile(each, percent))
            for number, each in sorted(bins.items())
        ]
        if points:
            lines.append(Line(kind, points))
    return lines
