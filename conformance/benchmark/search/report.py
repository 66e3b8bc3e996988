"""The figures of searches as Markdown tables: nothing left out, goals beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.benchmark.report import figure, table
from conformance.benchmark.run import percentile
from conformance.benchmark.search.cases import CASES, Case, Goal
from conformance.benchmark.search.fill import Took
from conformance.benchmark.search.measure import Figure, Size, Unindexed
from conformance.benchmark.search.requests import Measured

GROWTH = 2.0
"""How many times longer a walk or a look-up may take in the largest database."""
_FLOOR = 0.25  # ms; below it growth is noise

LEGEND = """\
Milliseconds, p50 / p95, of one statement and the fetch of its 101 rows, on a warm connection,
after each had been run once, and in brackets the same of the best of three runs of each search,
which others on the machine disturb less; “page” is the whole page with the number of matches
after it. Growth is the p50 of the best in the largest database by that in the smallest (by 0.25
ms at least). Goals are for the largest, of all runs."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured of a database of so many studies."""

    studies: int
    took: Took  # to fill it, then or earlier
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
            per = "-" if last is None or last.failed else f"{last.rows / len(last.best):.0f}"
            rows.append([*cells, per, *_verdict(case, restriction, figures)])
    return table(head, rows)


def _pair(times: Sequence[float]) -> str:
    return f"{figure(percentile(times, 50))} / {figure(percentile(times, 95))}"


def _times(measured: Figure | None, *, counted: bool = False) -> str:
    if measured is None:
        return "-"
    if measured.failed:
        return measured.failed[:60].replace("|", "/")
    if counted:
        return _pair(measured.counted)
    return f"{_pair(measured.times)} ({_pair(measured.best)})"


def _verdict(case: Case, restriction: str, figures: Sequence[Figure | None]) -> list[str]:
    """Growth, goal, and whether both are met."""
    first, last = figures[0], figures[-1]
    goal = case.goals.get(restriction)
    wanted = "-" if goal is None else f"{goal.p50:g} / {goal.p95:g}"
    if first is None or last is None or first.failed or last.failed:
        return ["-", wanted, "MISSED"]
    growth = percentile(last.best, 50) / max(percentile(first.best, 50), _FLOOR)
    missed = ["growth"] if not case.grows and growth > GROWTH else []
    said = ""
    if goal is not None and (over := _beyond(goal, last.times)):
        missed += over
        said = "" if _beyond(goal, last.best) else f" (best: {', '.join(over)} met)"
    bound = "" if case.grows else f" (≤ {GROWTH:g})"
    verdict = f"MISSED: {', '.join(missed)}{said}" if missed else "met"
    return [f"{growth:.1f}×{bound}", wanted, "-" if goal is None and case.grows else verdict]


def _beyond(goal: Goal, times: Sequence[float]) -> list[str]:
    bounds = {"p50": (50, goal.p50), "p95": (95, goal.p95)}
    return [name for name, (percent, most) in bounds.items() if percentile(times, percent) > most]


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
            _pair(each.times),
            f"p50 ≤ {each.goal:g}",
            "met" if percentile(each.times, 50) <= each.goal else "MISSED",
            figure(each.orthanc),
        ]
        for each in requests
    ]
    return table(["GET", "ms, p50 / p95", "goal", "", "newest Orthanc, p50 (reference)"], rows)
