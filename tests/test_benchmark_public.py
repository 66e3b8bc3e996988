"""The public benchmark: its plan, its rows, its report, picture and README section, a short run."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from conformance.benchmark import settling
from conformance.benchmark.client import AnswerError
from conformance.benchmark.goals import BARE, NGINX, ORTHANC, ORTHANC_SQLITE, OURS, S3, Goal
from conformance.benchmark.items import Item as StoreItem
from conformance.benchmark.load import Sample
from conformance.benchmark.memory import Peak
from conformance.benchmark.mixed.people import FRAME, STORE, Notes
from conformance.benchmark.mixed.run import Crowd
from conformance.benchmark.mixed.run import Result as Mixed
from conformance.benchmark.processes import CpuTime
from conformance.benchmark.public import publish, run
from conformance.benchmark.public.__main__ import arguments, as_data, write
from conformance.benchmark.public.bars import Chart, drawn, place, ticks
from conformance.benchmark.public.machine import disk_of, in_words, machine
from conformance.benchmark.public.plan import PARTS, Plan
from conformance.benchmark.public.plots import HEADLINES, LIMITS, as_svg, headlines
from conformance.benchmark.public.reasons import UNKNOWN, why
from conformance.benchmark.public.report import as_markdown, missed_goals, tally
from conformance.benchmark.public.rows import mixed_data, stored_rows, upload_data
from conformance.benchmark.public.run import Run
from conformance.benchmark.public.searching import POSTGRES_ALONE, asked, patient_search
from conformance.benchmark.public.size import QUICK, TINY, WHOLE
from conformance.benchmark.render.items import CODECS_GOAL, ORTHANC_GOAL
from conformance.benchmark.render.report import CODECS
from conformance.benchmark.retrieve.hosts import STATIC
from conformance.benchmark.run import Result
from dicomweb_server.dicom.query import Level, Returned

ROOT = Path(__file__).parent.parent
HERE = {"date": "2026-01-02T03:04:05+00:00", "cpus": 2, "cpu": "CPU", "system": "Linux 6"}
HERE |= {"python": "3.13", "load_average": 0.5, "memory_gb": 8.0, "disk": "ext4, solid state"}
HERE |= {"packages": {"granian": "2"}}


def sample(rate: float, cpu: CpuTime | None = None) -> Sample:
    """Of one second, in which each unit took its share."""
    return Sample(int(rate), 1.0, int(rate) * 1000, (1 / rate,) * int(rate), cpu, 0.1, 50_000_000)


def stored(name: str, rates: dict[str, list[float]], *goals: Goal) -> Result:
    item = StoreItem(name, 1, list, "writes", goals, unit="inst", finite=True)
    samples = {
        label: [sample(rate, CpuTime(0.3, 0.1)) for rate in each] for label, each in rates.items()
    }
    return Result(item, samples, [sample(1000)] * len(rates[OURS]))


def crowd_of(frames: list[float], stores: int = 0) -> Mixed:
    notes = Notes()
    notes.latencies[FRAME] += frames
    notes.latencies[STORE] += [0.2] * stores
    return Mixed([Sample(len(frames), 2.0, 10**6, cpu=CpuTime(1.0, 0.5))], [notes])


def run_of(**changes: Any) -> dict[str, Any]:
    """A run with something of everything."""
    missed = Goal("times_peer", 3, beside=ORTHANC)
    rates = {OURS: [200.0, 400.0], ORTHANC: [100.0, 200.0], ORTHANC_SQLITE: [400.0, 400.0]}
    rates[BARE] = [500.0, 500.0]
    rows = stored_rows([stored("STOW CT, 4 clients × 10", rates, missed, Goal("rate", 100))])
    rows[0]["errors"]["elsewhere"] = "status 500 |\nof a kind"
    crowd = Crowd(viewers=50, storers=2, seconds=2.0)
    mixed = {OURS: crowd_of([0.01] * 400), ORTHANC: crowd_of([0.5] * 4, 1)}
    return {
        "machine": HERE,
        "servers": {OURS: "dicomweb-server 1", ORTHANC: "Orthanc 1"},
        "notes": [],
        "seed": 7,
        "quick": True,
        "rounds": 2,
        "archived": 0,
        "took_seconds": 120.0,
        "sections": {"store": rows},
        "mixed": mixed_data(mixed, crowd),
        "memory": upload_data({OURS: [Peak("one part", 10**9, 2.0, {1: (60.0, 50.0)}, 5.0)]}),
    } | changes


def table_of(text: str, heading: str) -> tuple[list[str], list[list[str]]]:
    """The first table below a heading: its head and its rows."""
    lines = text[text.index(heading) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[0], rows[2:]


# The plan.


def goals_of(plan: Plan) -> Iterator[tuple[str, Goal]]:
    """All goals of a plan, with the keys that their rows have."""
    yield from ((item.name, goal) for item in plan.store_items() for goal in item.goals)
    shelf = plan.shelf()
    for item in (*plan.retrieve_items(shelf), *plan.register().items()):
        yield from ((item.key, goal) for goal in item.goals)


def test_the_same_seed_makes_the_same_bytes() -> None:
    first, second, other = (Plan(QUICK, seed) for seed in (3, 3, 4))

    def files(plan: Plan) -> set[bytes]:
        [asks] = [item.asks for item in plan.store_items() if "one at a time" in item.name]
        assert asks is not None
        kept = {bytes(ask.request.body) for ask in asks()}  # type: ignore[arg-type]
        return kept | {plan.register().small[0].file(), plan.ward().charts[0].slices[0].file()}

    assert files(first) == files(second)
    assert not files(first) & files(other)


def test_parts_of_a_plan_have_no_study_in_common() -> None:
    plan = Plan(QUICK, 1)
    studies = [
        {one.study_uid for one in (*plan.shelf().short, *plan.shelf().long)},
        {one.study_uid for one in plan.kinds()["ct"].pictures},
        {one.study_uid for one in (*plan.register().small, *plan.register().large)},
        {chart.slices[0].study_uid for chart in plan.ward().charts},
    ]

    assert len(set.union(*studies)) == sum(map(len, studies))


@pytest.mark.parametrize("size", [WHOLE, QUICK, TINY])
def test_goals_are_of_what_is_measured(size: Any) -> None:
    plan = Plan(size, 1)
    names = {item.name for item in plan.store_items()}
    names |= {item.name for item in plan.retrieve_items(plan.shelf())}

    for _, goal in goals_of(plan):
        assert goal.label != S3
        assert goal.beside in {"", ORTHANC, NGINX, *names}


def test_a_short_series_is_not_held_to_the_goals_for_a_long_one() -> None:
    def latencies(size: Any) -> set[str]:
        return {key for key, goal in goals_of(Plan(size, 1)) if goal.measure == "p50_ms"}

    assert {"open", "metadata-1000", "stored-1000"} <= latencies(WHOLE)
    assert {"open", "metadata-1000", "stored-1000"}.isdisjoint(latencies(QUICK))


def test_what_is_known_of_a_missed_goal_is_told_of_each() -> None:
    texts = [(key, goal.text("req")) for key, goal in goals_of(Plan(WHOLE, 1))]
    texts += [("ct-1", f"≥ {ORTHANC_GOAL:g}× {ORTHANC}")]
    texts += [("ct-8", f"≤ {CODECS_GOAL:g}× time of codecs alone")]
    texts += [("memory", "≤ 150 MB above idle")]
    unexplained = [
        (key, text)
        for key, text in texts
        if why(key, {"goal": text, "verdict": "missed"}, {}).startswith(UNKNOWN)
    ]

    # What has always been kept far from has no reason yet.
    assert {text for _, text in unexplained} <= {
        "RSS ≤ 250 MB",
        "p50 ≤ 2× “one frame of 200, 1 connection”",
    }
    assert why("open", {"goal": "p50 ≤ 900 ms", "verdict": "met"}, {}) == ""


def test_what_the_codecs_take_behind_http_is_told_of_a_missed_goal() -> None:
    goal = {"goal": f"≤ {CODECS_GOAL:g}× time of {CODECS}", "verdict": "missed"}
    limits = {CODECS: {"per_second": 900.0}, STATIC: {"per_second": 450.0}}

    assert why("ct-1", goal, {"limits": limits}).endswith("; the bare server itself takes 2.00×")


def test_what_stands_for_all_is_measured() -> None:
    plan = Plan(WHOLE, 1)
    keys = [item.name for item in plan.store_items()]
    keys += [item.key for item in plan.retrieve_items(plan.shelf())]
    keys += [item.key for item in plan.register().items()]
    keys += [item.key for item in plan.render_items(plan.kinds())]

    for headline in HEADLINES:
        assert any(key.startswith(headline) for key in keys)


def test_options_choose_parts() -> None:
    assert arguments([]).only == list(PARTS)
    assert arguments(["--only", "mixed"]).only == ["mixed"]
    with pytest.raises(SystemExit):
        arguments(["--only", "none"])


def test_what_our_server_understands_is_asked_of_postgres() -> None:
    query, returned = asked(patient_search("CT1", 1))
    assert query.level is Level.STUDY
    assert set(query.conditions) == {(0x00100020,)}
    assert returned == Returned(frozenset({Level.STUDY}))
    series = Plan(TINY, 1).register().items()[-1]
    query, _ = asked(series.way.wanted[0])  # type: ignore[union-attr]
    assert query.level is Level.INSTANCE
    assert query.study_instance_uid and query.series_instance_uid


# Rows.


def test_a_peer_is_beside_us_and_a_limit_apart() -> None:
    [row] = run_of()["sections"]["store"]

    assert set(row["servers"]) == {OURS, ORTHANC, ORTHANC_SQLITE}
    assert set(row["limits"]) == {BARE, "write, fsync, rename"}
    assert row["ratios"][ORTHANC] == [2.0, 2.0]
    assert row["ratios_to_limits"][BARE] == [0.4, 0.8]
    assert row["servers"][OURS]["p99_ms"] == pytest.approx(5.0)


def test_a_missed_goal_says_why_with_what_the_run_shows() -> None:
    [missed, met] = run_of()["sections"]["store"][0]["goals"]

    assert (missed["verdict"], missed["measured"]) == ("missed", 2.0)
    assert "the bare receiver itself is at 3.33×" in missed["why"]
    assert (met["verdict"], met["why"]) == ("met", "")


def test_a_crowd_is_held_to_its_goals() -> None:
    crowd = Crowd(storers=2, seconds=2.0, interval=0.5)
    ours, theirs = crowd_of([0.3] * 100), crowd_of([0.01] * 50)
    ours.notes[0].errors[FRAME, "status 500"] += 2

    data = mixed_data({OURS: ours, ORTHANC: theirs}, crowd)

    verdicts = {goal["goal"]: (goal["measured"], goal["verdict"]) for goal in data["goals"]}
    assert verdicts["no error"] == (2, "missed")
    assert verdicts["frame p95 ≤ 250 ms"] == (300.0, "missed")
    assert verdicts["stored ≥ 95% of what is sent"] == (0.0, "missed")
    assert verdicts[f"reads ≥ 3× {ORTHANC}"] == (2.0, "missed")
    assert data["servers"][OURS]["errors"] == [{"request": FRAME, "said": "status 500", "count": 2}]
    assert json.loads(json.dumps(data)) == data


def test_a_server_that_could_not_be_measured_is_told_and_no_more() -> None:
    data = mixed_data({OURS: crowd_of([0.1]), ORTHANC: Mixed(broken="no answer")}, Crowd())

    assert set(data["servers"]) == {OURS}
    assert data["errors"] == {ORTHANC: "no answer"}


# The report.


def test_the_report_has_everything() -> None:
    text = as_markdown(run_of())

    head, [cells] = table_of(text, "## Storing")
    row = dict(zip(head, cells, strict=True))
    assert row["ours"] == "300 inst/s"
    assert row["Orthanc, PostgreSQL"] == "150 inst/s"
    assert row["ours ÷ Orthanc, SQLite"] == "0.750× (0.500–1.00)"
    assert "bare receiver: 500 inst/s" in row["what the machine allows"]
    assert "≥ 3× Orthanc, PostgreSQL: 2.00, missed; ≥ 100 inst/s: 300, met" in row["goals"]
    assert "- STOW CT, 4 clients × 10, elsewhere: status 500 | of a kind" in text
    assert "2 cores of CPU, 8 GB of memory, ext4, solid state, Linux 6, Python 3.13" in text
    assert "a quick run of 2 minutes, 2 rounds, seed 7" in text
    assert "60.0 MB, 2.00 s" in text


def test_the_crowd_is_a_table_of_every_server() -> None:
    text = as_markdown(run_of())

    head, rows = table_of(text, "## 50 viewers while 2 clients store")
    sums = {cells[0]: dict(zip(head, cells, strict=True)) for cells in rows}
    assert sums["answers read a second"]["ours"] == "200"
    assert sums["answers read a second"]["Orthanc, PostgreSQL"] == "2.00"
    assert sums["answers read ÷ Orthanc, PostgreSQL"]["ours"] == "100× (100–100)"
    assert "| frame       | 10.0 / 10.0 / 10.0 (400) | 500 / 500 / 500 (4)" in text


def test_goals_are_counted_and_the_missed_ones_listed() -> None:
    data = run_of()

    # Of the crowd: nothing was stored of ours.
    assert tally(data) == "5 of 7 goals were met."
    assert [line.split("|")[1].strip() for line in missed_goals(data)[2:]] == [
        "STOW CT, 4 clients × 10",
        "50 viewers while 2 clients store",
    ]


@pytest.mark.parametrize("note", [run.NO_ORTHANC, run.NO_NGINX])
def test_what_is_missing_is_said(note: str) -> None:
    assert note in as_markdown(run_of(notes=[note]))


def test_nothing_names_the_machine(tmp_path: Path) -> None:
    here = machine(tmp_path)
    said = in_words(here)

    assert str(tmp_path) not in json.dumps(here)
    assert socket.gethostname() not in said
    assert re.search(r"\d+ GB of memory", said)
    assert disk_of(tmp_path)


# The picture.


def test_the_picture_is_well_formed_and_names_everyone() -> None:
    picture = ElementTree.fromstring(as_svg(run_of()))
    texts = {each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")}

    assert {"Orthanc, PostgreSQL", "Orthanc, SQLite", "ours", BARE} <= texts
    assert "2.0×" in texts  # beside Orthanc
    assert "60 %" in texts  # of the bare receiver
    assert "none was answered" in texts
    assert "500 ms (4 in all)" in texts


@given(
    st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8),
    st.booleans(),
)
def test_bars_and_grid_lie_on_the_axis(values: list[float], log: bool) -> None:
    groups = [(f"<{number}&", {"one": value}) for number, value in enumerate(values)]
    chart = Chart("a < b", "c & d", {"one": "#000"}, groups, log=log, line=(1.0, "one"))
    places = [place(chart, value) for value in (*values, *ticks(chart))]

    assert all(330 <= each <= 830.001 for each in places)
    assert sorted(places[: len(values)]) == [place(chart, value) for value in sorted(values)]
    assert len(ticks(chart)) <= 12
    picture = ElementTree.fromstring(drawn([chart], "all"))
    height = float(picture.attrib["height"])
    assert all(float(each.attrib.get("y", 0)) <= height for each in picture.iter())


def test_a_picture_of_nothing_is_one_too() -> None:
    ElementTree.fromstring(as_svg(run_of(sections={}, mixed=mixed_data({OURS: Mixed()}, Crowd()))))
    assert Chart("", "", {}, []).bounds == (0.0, 1.0)


def test_what_stands_for_all_is_in_order() -> None:
    data = run_of()
    data["sections"]["retrieve"] = [{"key": "open", "item": "o"}, {"key": "frame-8", "item": "f"}]

    assert [row["key"] for row in headlines(data)] == [
        "STOW CT, 4 clients × 10",
        "frame-8",
        "open",
    ]
    assert LIMITS.index(POSTGRES_ALONE) < LIMITS.index(NGINX)


# The README.


def test_the_section_is_written_between_its_marks_and_again() -> None:
    text = f"# A\n\n{publish.BEGIN}\nold\n{publish.END}\n\nB\n"
    once = publish.inserted(text, publish.section(run_of()))

    assert once.startswith("# A\n") and once.endswith(f"{publish.END}\n\nB\n")
    assert "old" not in once
    assert "| STOW CT, 4 clients × 10 | 300 inst/s | 150 inst/s" in once
    assert "(conformance/benchmark.svg)" in once
    assert publish.inserted(once, "new") == f"# A\n\n{publish.BEGIN}\nnew\n{publish.END}\n\nB\n"


@pytest.mark.parametrize(
    "text",
    ["none", publish.BEGIN, f"{publish.END}{publish.BEGIN}", 2 * (publish.BEGIN + publish.END)],
)
def test_a_page_without_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="benchmark"):
        publish.inserted(text, "new")


def test_a_run_is_published_from_its_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text(f"{publish.BEGIN}\n{publish.END}\n")
    (tmp_path / "conformance").mkdir()
    write(run_of(), tmp_path / "build" / "bench")

    publish.main([])

    assert "2 cores of CPU" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "conformance" / "benchmark.svg").read_text() == as_svg(run_of())
    assert (tmp_path / "conformance" / "BENCHMARK.md").read_text().startswith("# Benchmark\n")
    with pytest.raises(SystemExit, match="benchmark: "):
        publish.main(["missing.json"])


def test_the_readme_has_its_marks() -> None:
    text = (ROOT / "README.md").read_text()

    assert publish.inserted(text, "new").count("new") >= 1


# A run.


async def test_a_part_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(one: Run) -> None:
        pass

    async def failing(one: Run) -> None:
        raise AnswerError("no answer")

    async def kept(one: Run) -> None:
        one.data["memory"] = []

    for name, step in (("_start", nothing), ("_ready_for_readers", nothing)):
        monkeypatch.setattr(Run, name, step)
    monkeypatch.setattr(Run, "_mixed", failing)
    monkeypatch.setattr(Run, "_memory", kept)
    with ExitStack() as stack:
        one = Run(Plan(TINY, 1, ["mixed", "memory"]), stack, tmp_path, lambda text: None)
        await one.measure()

    assert one.failed
    assert one.notes == ["The part “mixed” could not be measured: no answer"]
    assert one.data == {"memory": []}


async def test_what_reads_runs_on_our_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but storing, which would have three more servers started; where no peer is installed."""
    monkeypatch.setattr("conformance.benchmark.orthanc.find_program", lambda: None)
    monkeypatch.setattr("conformance.benchmark.retrieve.hosts.find_nginx", lambda: None)
    monkeypatch.setattr(settling, "LOOKS", 0)
    monkeypatch.setattr("conformance.benchmark.memory.IDLE_SECONDS", 0)
    for name in ("CHOOSING", "READING"):
        monkeypatch.setattr(f"conformance.benchmark.mixed.people.{name}", 0.02)
    plan = Plan(TINY, 1, [part for part in PARTS if part != "store"])
    said: list[str] = []
    with ExitStack() as stack:
        one = Run(plan, stack, tmp_path, said.append)
        await one.measure()
    data = as_data(one, machine(tmp_path), arguments(["--quick"]), 1.0)

    assert not one.failed
    assert one.notes == [run.NO_ORTHANC, run.NO_NGINX]
    assert set(data["sections"]) == {"retrieve", "search", "rendered"}
    rows = [row for part in data["sections"].values() for row in part]
    assert not any(row["errors"] for row in rows)
    assert all(row["servers"][OURS]["per_second"] > 0 for row in rows)
    assert all(POSTGRES_ALONE in row["limits"] for row in data["sections"]["search"])
    assert data["mixed"]["servers"][OURS]["error_count"] == 0
    assert all(row["servers"][OURS]["above_idle_mb"] is not None for row in data["memory"])
    assert data == json.loads(json.dumps(data))
    assert str(tmp_path) not in as_markdown(data) + as_svg(data)
