"""The figures of searches as Markdown tables: nothing left out, goals beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.benchmark.report import figure, table
from conformance.benchmark.run import percentile
from conformance.benchmark.search.cases import CASES, Case
from conformance.benchmark.search.fill import Took
from conformance.benchmark.search.measure import Figure, Size, Unindexed
from conformance.benchmark.search.requests import Measured

GROWTH = 2.0
"""How many times longer a walk or a look-up may take in the largest database."""
_FLOOR = 0.25  # ms; below it growth is noise

LEGEND = """\
Milliseconds, p50 / p95, of one statement and the fetch of its 101 rows, on a warm connection,
after each had been run once; “page” is the whole page with the number of matches after it.
Growth is p50 in the largest database by p50 in the smallest. Goals are for the largest."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured of a database of so many studies."""

    studies: int
    took: Took | None  # to fill it; None if it was there
    figures: Sequence[Figure]
    unindexed: Sequence[Unindexed]
    sizes: Sequence[Size]


def as_markdown(
    runs: Sequence[Run], requests: Sequence[Measured], here: Mapping[str, object]
) -> str:
    """All tables."""
    lines = [
        f"{here['date']}: {here['cpus']} × {here['cpu']}, {here['system']}, "
        f"load average before the run {here['load_average']:.1f} (of everyone on the machine).",
        "",
    ]
    if runs:
        lines += [*searches(runs), "", LEGEND, "", *unindexed(runs), "", *filling(runs)]
        lines += ["", *sizes(runs[-1])]
    if requests:
        lines += ["", *whole_requests(requests)]
    return "\n".join(lines)


def searches(runs: Sequence[Run]) -> list[str]:
    """Every case under every restriction, a row each."""
    head = ["search", "restricted to"]
    for run in runs:
        head += [f"{run.studies:,}", f"page, {run.studies:,}"]
    head += ["rows", "growth", "goal", ""]
    found = [{(f.case, f.restriction): f for f in run.figures} for run in runs]
    rows = []
    for case in CASES:
        for restriction in case.restrictions:
            figures = [each.get((case.name, restriction)) for each in found]
            cells = [case.name, restriction]
            for each in figures:
                cells += [_times(each), _times(each, counted=True)]
            last = figures[-1]
            cells.append(
                "-" if last is None or last.failed else f"{last.rows / len(last.times):.0f}"
            )
            rows.append([*cells, *_verdict(case, restriction, figures)])
    return table(head, rows)


def _times(measured: Figure | None, *, counted: bool = False) -> str:
    if measured is None:
        return "-"
    if measured.failed:
        return measured.failed[:60].replace("|", "/")
    times = measured.counted if counted else measured.times
    return f"{figure(percentile(times, 50))} / {figure(percentile(times, 95))}"


def _verdict(case: Case, restriction: str, figures: Sequence[Figure | None]) -> list[str]:
    """Growth, goal, and whether both are met."""
    first, last = figures[0], figures[-1]
    goal = case.goals.get(restriction)
    if first is None or last is None or first.failed or last.failed:
        return ["-", "-" if goal is None else f"{goal.p50:g} / {goal.p95:g}", "MISSED"]
    growth = last.p50 / max(first.p50, _FLOOR)
    missed = []
    if not case.grows and growth > GROWTH:
        missed.append("growth")
    if goal is not None and last.p50 > goal.p50:
        missed.append("p50")
    if goal is not None and last.p95 > goal.p95:
        missed.append("p95")
    bound = f" (≤ {GROWTH:g})" if not case.grows else ""
    judged = goal is not None or not case.grows
    return [
        f"{growth:.1f}×{bound}",
        "-" if goal is None else f"{goal.p50:g} / {goal.p95:g}",
        f"MISSED: {', '.join(missed)}" if missed else "met" if judged else "-",
    ]


def unindexed(runs: Sequence[Run]) -> list[str]:
    """Searches for what no index has."""
    rows = [
        [f"{run.studies:,}", each.name, f"{each.seconds:.2f} s", each.outcome]
        for run in runs
        for each in run.unindexed
    ]
    return table(["studies", "unindexed attribute", "took", "outcome"], rows)


def filling(runs: Iterable[Run]) -> list[str]:
    """How long it took to make the databases."""
    rows = []
    for run in runs:
        cells = ["was there", "", ""]
        if run.took is not None:
            cells = [f"{s:.0f} s" for s in (run.took.rows, run.took.indexes, run.took.analyze)]
        total = sum(each.bytes for each in run.sizes)
        rows.append([f"{run.studies:,}", *cells, f"{total / 1e9:.2f} GB"])
    return table(["studies", "rows", "indexes", "vacuum and analyze", "tables and indexes"], rows)


def sizes(run: Run) -> list[str]:
    """Bytes a row of each table and index."""
    rows = [
        [
            each.table if each.name == each.table else f"· {each.name}",
            f"{each.rows:,}",
            f"{each.bytes / 1e6:,.0f} MB",
            figure(each.bytes / max(each.rows, 1)),
        ]
        for each in run.sizes
    ]
    return table([f"at {run.studies:,} studies", "rows", "size", "bytes a row"], rows)


def whole_requests(requests: Sequence[Measured]) -> list[str]:
    """Whole HTTP requests, beside what the newest Orthanc takes for them."""
    rows = [
        [
            each.name,
            f"{figure(percentile(each.times, 50))} / {figure(percentile(each.times, 95))}",
            f"p50 ≤ {each.goal:g}",
            "met" if percentile(each.times, 50) <= each.goal else "MISSED",
            figure(each.orthanc),
        ]
        for each in requests
    ]
    return table(["GET", "ms, p50 / p95", "goal", "", "newest Orthanc, p50 (reference)"], rows)
