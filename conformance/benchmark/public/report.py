"""The run as Markdown: made from its JSON alone, so that it can be made again."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from conformance.benchmark.goals import ONE_WORKER, ORTHANC, ORTHANC_SQLITE, OURS
from conformance.benchmark.mixed.people import CONNECTIONS, PICTURES, READING
from conformance.benchmark.public.machine import in_words
from conformance.benchmark.report import figure, table

Data = Mapping[str, Any]

NAMES = {ORTHANC: "Orthanc, PostgreSQL", ORTHANC_SQLITE: "Orthanc, SQLite"}
PEERS = (ORTHANC, ORTHANC_SQLITE)
ORDER = (OURS, ONE_WORKER, *PEERS)

TITLES = {
    "store": "Storing (STOW-RS)",
    "retrieve": "Retrieving (WADO-RS)",
    "search": "Searching (QIDO-RS)",
    "archive": "Searching a large archive",
    "rendered": "Rendering",
}

LEGEND = """\
Rates are medians of the rounds, latencies are of all rounds, in milliseconds. “÷” is the median of
the quotients within each round, with the least and the greatest: how far they lie apart is how
noisy the run was. The servers of a round are measured one right after the other, each round begins
with another; each is asked for a second before. What the machine allows: for stores a bare
receiver, which is the same HTTP server program and makes durable what it is sent, with no DICOM and
no index, and the same files written and flushed by nobody's server; for what is retrieved nginx,
which has our answers as files, and a bare server, which is the same HTTP server program and reads
and sends these files; for searches the same statements in our Postgres, asked over the same number
of connections, with nothing done to the rows; for pictures one process that decodes,
windows and encodes the same images from memory, and does nothing else, and the bare server, which
does that behind HTTP; both have one table for all pictures, while the servers are asked for another
window with each pass. CPU is the processor time of
all processes of a server for one unit, of it its database's in brackets. RSS is the highest
resident set of any one process but Postgres'. Servers and load generator share the processors, and
what is read lies in the page cache. Orthanc flushes files as we do; its SQLite does not flush its
log with each commit. With PostgreSQL it has one connection for stores and eight for all else, which
is the best for each."""


def name_of(label: str) -> str:
    """A server as it is called in tables."""
    return NAMES.get(label, label)


def as_markdown(data: Data) -> str:
    """The whole run."""
    lines = ["# Benchmark", "", *about(data), ""]
    missed = missed_goals(data)
    lines += ["## Goals", "", tally(data), "", *missed, *([""] if missed else [])]
    for part, rows in data["sections"].items():
        lines += [f"## {title(part, data)}", "", *section(rows), ""]
    if "mixed" in data:
        lines += [f"## {crowd_title(data['mixed'])}", "", *crowd(data["mixed"]), ""]
    if "memory" in data:
        lines += ["## Memory of uploads", "", *uploads(data["memory"]), ""]
    wrong = errors(data)
    if wrong:
        lines += ["## Errors", "", *wrong, ""]
    return "\n".join([*lines, LEGEND])


def title(part: str, data: Data) -> str:
    """The heading of a part."""
    size = (
        f": {data['archived']:,} studies, one institution of a hundred" if part == "archive" else ""
    )
    return TITLES[part] + size


def about(data: Data) -> list[str]:
    """When and where it was measured, what is beside what, and what was missing."""
    here = data["machine"]
    kind = "quick run" if data["quick"] else "whole run"
    lines = [
        f"{here['date'][:10]}, a {kind} of {data['took_seconds'] / 60:.0f} minutes, "
        f"{data['rounds']} rounds, seed {data['seed']}; load average before it "
        f"{here['load_average']:.1f}.",
        "",
        f"Machine: {in_words(here)}.",
        "",
    ]
    lines += [f"- {name_of(label)}: {said}" for label, said in data["servers"].items()]
    if data["notes"]:
        lines += ["", *(f"**{note}**" for note in data["notes"])]
    return lines


# Goals.


def all_goals(data: Data) -> Iterator[tuple[str, Data]]:
    """Every goal with the item that it is for."""
    for rows in data["sections"].values():
        for row in rows:
            yield from ((row["item"], goal) for goal in row["goals"])
    for goal in data.get("mixed", {}).get("goals", ()):
        yield crowd_title(data["mixed"]), goal
    for row in data.get("memory", ()):
        yield from ((row["item"], goal) for goal in row["goals"])


def tally(data: Data) -> str:
    """How many goals were met, in one sentence."""
    verdicts = [goal["verdict"] for _, goal in all_goals(data)]
    met, missed = verdicts.count("met"), verdicts.count("missed")
    said = f"{met} of {met + missed} goals were met."
    if others := len(verdicts) - met - missed:
        said += f" {others} could not be judged."
    return said


def missed_goals(data: Data) -> list[str]:
    """Each goal that was missed: what was reached, and why."""
    rows = [
        [item, goal_of(goal), measured(goal), goal["why"]]
        for item, goal in all_goals(data)
        if goal["verdict"] == "missed"
    ]
    return table(["missed", "goal", "reached", "why"], rows) if rows else []


def goal_of(goal: Data) -> str:
    """The goal in words, with servers as they are called in tables."""
    said: str = goal["goal"]
    for label in reversed(PEERS):  # the longer one first
        if said.endswith(f"× {label}"):
            return said.removesuffix(label) + name_of(label)
    return said


def measured(goal: Data) -> str:
    """What was reached, as the goal is put."""
    value = goal["measured"]
    if value is None:
        return "-"
    return f"{value:.0%}" if "%" in goal["goal"] else figure(value)


def goals_cell(goals: Sequence[Data]) -> str:
    """All goals of an item with verdicts."""
    said = (f"{goal_of(each)}: {measured(each)}, {each['verdict']}" for each in goals)
    return "; ".join(said) or "-"


# Items.


def section(rows: Sequence[Data]) -> list[str]:
    """The tables of one part."""
    labels = [label for label in ORDER if any(label in row["servers"] for row in rows)]
    limits = list(dict.fromkeys(name for row in rows for name in row["limits"]))
    lines = [*rates(rows, labels, limits), "", "Latency, p50 / p95 / p99:", ""]
    lines += each_server(rows, labels, limits, latency)
    lines += ["", "CPU ms a unit (of it the database); RSS in MB where it was taken:", ""]
    return lines + each_server(rows, labels, [], cost)


def rates(rows: Sequence[Data], labels: Sequence[str], limits: Sequence[str]) -> list[str]:
    """What each server does in a second, and how that compares."""
    peers = [label for label in labels if label in PEERS]
    head = ["", *map(name_of, labels), *(f"{OURS} ÷ {name_of(each)}" for each in peers)]
    head += ["what the machine allows", f"{OURS} ÷ that", "goals"]
    lines = []
    for row in rows:
        allowed = [name for name in limits if name in row["limits"]]
        cells = [row["item"]]
        cells += [rate(row, row["servers"], label) for label in labels]
        cells += [ratio(row["ratios"].get(peer, ())) for peer in peers]
        said = (f"{name}: {rate(row, row['limits'], name)}" for name in allowed)
        cells.append("; ".join(said) or "-")
        cells.append("; ".join(ratio(row["ratios_to_limits"][name]) for name in allowed) or "-")
        lines.append([*cells, goals_cell(row["goals"])])
    return table(head, lines)


def each_server(
    rows: Sequence[Data],
    labels: Sequence[str],
    limits: Sequence[str],
    cell: Callable[[Data], str],
) -> list[str]:
    """A table of one kind of figure."""
    lines = [
        [row["item"]]
        + [cell(row["servers"][each]) if each in row["servers"] else "-" for each in labels]
        + [cell(row["limits"][each]) if each in row["limits"] else "-" for each in limits]
        for row in rows
    ]
    return table(["", *map(name_of, labels), *limits], lines)


def rate(row: Data, among: Mapping[str, Data], label: str) -> str:
    """Units in a second, or what went wrong."""
    if label in row["errors"]:
        return "error"
    return f"{figure(among[label]['per_second'])} {row['unit']}/s" if label in among else "-"


def ratio(values: Sequence[float]) -> str:
    """The median, the least and the greatest."""
    if not values:
        return "-"
    return f"{figure(statistics.median(values))}× ({figure(min(values))}–{figure(max(values))})"


def latency(found: Data) -> str:
    """Three percentiles."""
    return " / ".join(figure(found[name]) for name in ("p50_ms", "p95_ms", "p99_ms"))


def cost(found: Data) -> str:
    """Processor time and memory."""
    if found["cpu_ms"] is None:
        return "-"
    said = f"{figure(found['cpu_ms'])} ({figure(found['database_cpu_ms'])})"
    return said + (f"; {found['peak_rss_mb']:.0f}" if found["peak_rss_mb"] else "")


# Many at once.


def crowd_title(mixed: Data) -> str:
    """Who is there."""
    who = mixed["crowd"]
    return f"{who['viewers']} viewers while {who['storers']} clients store"


def crowd(mixed: Data) -> list[str]:
    """Sums, then latencies by kind of request."""
    who, servers = mixed["crowd"], mixed["servers"]
    labels = [label for label in ORDER if label in servers]
    lines = [
        f"Each viewer lists studies and opens four of them one after the other: searches for the "
        f"series, loads metadata, then images from the middle out over {CONNECTIONS} connections, "
        f"{PICTURES} of them as JPEG too, and looks at them for {READING:g} s on average. The "
        f"clients send {who['offered_per_second']:g} CT slices a second, if the server keeps up.",
        "",
    ]
    lines += [*crowd_totals(mixed), "", "Latency, p50 / p95 / p99 (and how many):", ""]
    kinds = list(dict.fromkeys(kind for each in servers.values() for kind in each["kinds"]))
    each_kind = [
        [kind, *(_kind(servers[label]["kinds"].get(kind)) for label in labels)] for kind in kinds
    ]
    lines += [*table(["", *map(name_of, labels)], each_kind), ""]
    return [*lines, f"Goals: {goals_cell(mixed['goals'])}."]


def crowd_totals(mixed: Data) -> list[str]:
    """What each server did in all."""
    servers = mixed["servers"]
    labels = [label for label in ORDER if label in servers]
    sums: list[tuple[str, Callable[[Data], str]]] = [
        ("answers read a second", lambda each: figure(each["reads_per_second"])),
        ("MB a second", lambda each: figure(each["mb_per_second"])),
        ("slices stored a second", lambda each: figure(each["stored_per_second"])),
        ("errors", lambda each: str(each["error_count"])),
        ("CPU seconds a second", cpu_share),
        ("CPU ms an answer", cpu_of_answer),
        ("CPU seconds a second of the load generator", client_share),
        ("highest RSS of a process, MB", lambda each: figure(each["peak_rss_mb"] or 0)),
    ]
    rows = [[what, *(cell(servers[label]) for label in labels)] for what, cell in sums]
    for peer in labels:
        if peer in mixed["ratios"]:
            known = [each for each in mixed["ratios"][peer] if each is not None]
            beside = [ratio(known) if label == OURS else "" for label in labels]
            rows.append([f"answers read ÷ {name_of(peer)}", *beside])
    return table(["", *map(name_of, labels)], rows)


def _kind(found: Data | None) -> str:
    return "none" if found is None else f"{latency(found)} ({found['count']:,})"


def cpu_share(found: Data) -> str:
    """Processors that the server, with its database, kept busy."""
    if found["cpu_seconds"] is None:
        return "-"
    total, database = (
        found[name] / found["seconds"] for name in ("cpu_seconds", "database_cpu_seconds")
    )
    return f"{figure(total)} ({figure(database)})"


def client_share(found: Data) -> str:
    """Processors that the load generator kept busy."""
    return figure(found["client_cpu_seconds"] / found["seconds"])


def cpu_of_answer(found: Data) -> str:
    """Processor time for everything, by the answers read."""
    answers = found["reads_per_second"] * found["seconds"]
    if found["cpu_seconds"] is None or not answers:
        return "-"
    return figure(1000 * found["cpu_seconds"] / answers)


# Memory, errors.


def uploads(rows: Sequence[Data]) -> list[str]:
    """What uploads took."""
    labels = [label for label in ORDER if any(label in row["servers"] for row in rows)]
    lines = []
    for row in rows:
        cells = [row["item"]]
        for label in labels:
            found = row["servers"].get(label)
            cells.append(
                "error"
                if found is None
                else f"{figure(found['above_idle_mb'])} MB, {figure(found['seconds'])} s"
            )
        lines.append([*cells, goals_cell(row["goals"])])
    said = "The highest resident sets of all processes but Postgres' above idle, and the time:"
    return [said, "", *table(["", *map(name_of, labels), "goals"], lines)]


def errors(data: Data) -> list[str]:
    """Everything that went wrong, on every server."""
    found = [
        (row["item"], label, said)
        for rows in (*data["sections"].values(), data.get("memory", ()))
        for row in rows
        for label, said in row["errors"].items()
    ]
    mixed = data.get("mixed", {"errors": {}, "servers": {}})
    found += [("viewers", label, said) for label, said in mixed["errors"].items()]
    found += [
        (f"viewers: {each['request']}, {each['count']}×", label, each["said"])
        for label, server in mixed["servers"].items()
        for each in server["errors"]
    ]
    return [
        f"- {item}, {name_of(label)}: " + said.replace("\n", " ")[:200]
        for item, label, said in found
    ]
