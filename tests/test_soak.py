"""What a soak judges by: the ledger, the windows of faults, flatness, the schedule, the curves.

And that a client notes what it must: answers that are wrong, 500s, hangs, and what is excused.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from math import sin
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from conformance.benchmark.client import Address, Request
from conformance.soak import traffic as traffic_module
from conformance.soak.__main__ import arguments
from conformance.soak.database import OwnDatabase
from conformance.soak.faults import (
    ALWAYS,
    DISK_FLOOR,
    EARLY,
    OF_DISK,
    POSTGRES_AWAY,
    SERVER_KILLED,
    SERVING_KILLED,
    Injector,
    schedule,
)
from conformance.soak.final import Outcome
from conformance.soak.flatness import BYTES_FLOOR, judge, long_enough, settled
from conformance.soak.ledger import Kept, Ledger
from conformance.soak.material import KINDS, make_study
from conformance.soak.plot import Line, Mark, chart
from conformance.soak.report import as_data, as_html, as_markdown
from conformance.soak.report import judge as judge_run
from conformance.soak.run import Plan, Run
from conformance.soak.sampling import Around, Held, by_process
from conformance.soak.traffic import Client, Pace, Traffic
from conformance.soak.viewers import Viewer
from conformance.soak.windows import PIXELS, SEARCH, STORE, Windows
from tests.running import RunningServer

HERE = {"date": "today", "cpus": 2, "cpu": "CPU", "system": "Linux", "python": "3"}
HERE |= {"load_average": 0.5}

# --------------------------------------------------------------------------- the ledger


def kept(number: int) -> Kept:
    return Kept("1.2.1", f"1.2.1.{number}", "ct", f"file {number}", f"file {number}")


def test_the_ledger_knows_what_has_to_be_there() -> None:
    ledger = Ledger()
    study = ledger.study("1.2", "P1")
    assert ledger.study("1.2", "P1") is study
    with ledger.changing(study):
        ledger.acknowledged(study, kept(1))
        ledger.acknowledged(study, kept(2))
        ledger.acknowledged(study, kept(2))  # a retry
        assert ledger.present() == []
    assert ledger.present() == [study]
    assert (ledger.instances(), ledger.totals.acknowledged) == (2, 2)

    with ledger.changing(study):
        ledger.deleted(study, {"1.2.1.1"})
    assert study.kept.keys() == {"1.2.1.2"}
    assert study.deleted == {"1.2.1.1"}
    with ledger.changing(study):
        ledger.deleted(study, {"1.2.1.2"})
    assert ledger.present() == []
    assert (ledger.instances(), ledger.totals.deleted, ledger.totals.studies) == (0, 2, 1)

    with ledger.changing(study):
        ledger.acknowledged(study, kept(1))  # it comes again
    assert study.deleted == {"1.2.1.2"}
    assert ledger.present() == [study]


def test_a_reader_is_held_to_nothing_that_changed_meanwhile() -> None:
    ledger = Ledger()
    study = ledger.study("1.2", "P1")
    mark = study.changes
    assert study.settled_as(mark)
    with ledger.changing(study):
        assert not study.settled_as(mark)
    assert not study.settled_as(mark)
    assert study.settled_as(study.changes)


def test_picking_finds_all_that_is_there_and_nothing_else() -> None:
    ledger = Ledger()
    assert ledger.pick(random.Random(1)) is None
    for number in range(60):
        study = ledger.study(f"1.{number}", "P")
        if number % 2:
            ledger.acknowledged(study, kept(number))
    order = random.Random(1)
    picked = Counter(found.uid for _ in range(2000) if (found := ledger.pick(order)))
    assert picked.keys() == {f"1.{number}" for number in range(1, 60, 2)}


# --------------------------------------------------------------------------- windows


def test_only_what_a_fault_affects_is_excused_and_while_it_lasts() -> None:
    windows = Windows()
    window = windows.open(DISK_FLOOR, 10.0)

    def excused(group: str, began: float, now: float) -> bool:
        return windows.excuse(group, began, now, refused=True, unheard=False)

    assert not excused(STORE, 1.0, 9.0)
    assert excused(STORE, 9.0, 11.0)
    assert not excused(SEARCH, 9.0, 11.0)
    window.ended, window.recovered, window.closed = 18.0, 19.0, 24.0
    assert excused(STORE, 20.0, 21.0)
    assert window.recovery == 3.0  # until the last refusal
    assert not excused(STORE, 24.5, 25.0)
    assert (window.refusals, window.broken) == (2, 0)
    assert windows.during(23.0, 30.0)
    assert not windows.during(24.5, 30.0)


def test_nobody_listening_is_excused_by_a_server_that_is_gone_alone() -> None:
    for kind, gone in ((POSTGRES_AWAY, False), (SERVER_KILLED, True)):
        windows = Windows()
        windows.open(kind, 0.0)
        assert windows.excuse(PIXELS, 1.0, 2.0, refused=False, unheard=True) == gone
        assert windows.excuse(PIXELS, 1.0, 2.0, refused=False, unheard=False)


# --------------------------------------------------------------------------- flatness


def over(seconds: int, value: Callable[[float], float]) -> list[tuple[float, float]]:
    return [(float(t), value(t)) for t in range(0, seconds, 5)]


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (lambda t: 100e6, True),
        (lambda t: 100e6 + 3e6 * sin(t / 40), True),
        (lambda t: 60e6 + min(40e6, 200e3 * t), True),  # a warm-up of 200 seconds
        (lambda t: 100e6 + (80e6 if t % 300 < 6 else 0), True),  # peaks
        (lambda t: 100e6 - 20e3 * t, True),
        (lambda t: 100e6 + 20e3 * t, False),  # 72 MB an hour
        (lambda t: 100e6 + 30e6 * (t // 600), False),  # in steps
    ],
)
def test_memory_is_flat_or_grows(value: Callable[[float], float], flat: bool) -> None:
    verdict = judge("a process", over(3600, value), "bytes")
    assert verdict.flat == flat
    assert verdict.limit >= BYTES_FLOOR


def test_a_descriptor_a_minute_is_a_leak() -> None:
    assert not judge("a process", over(3600, lambda t: 40 + t // 60), "descriptors").flat
    assert judge("a process", over(3600, lambda t: 40 + (t // 60) % 7), "descriptors").flat


def test_growth_is_what_the_line_rises() -> None:
    verdict = judge("a process", over(3600, lambda t: 1e6 + 100 * t), "bytes")
    assert verdict.growth == pytest.approx(100 * verdict.seconds)
    assert verdict.first == pytest.approx(1e6 + 100 * 0.4 * 3600, rel=0.01)


def test_short_lives_are_not_judged() -> None:
    assert not long_enough(over(590, lambda t: 1.0))
    assert long_enough(over(700, lambda t: 1.0))
    assert not long_enough([])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200))
def test_medians_lie_within_the_values(values: list[float]) -> None:
    points = [(float(number), value) for number, value in enumerate(values)]
    found = settled(points)
    assert 1 <= len(found) <= 24
    assert all(min(values) <= value <= max(values) for _, value in found)
    assert [t for t, _ in found] == sorted(t for t, _ in found)


def test_a_process_id_that_is_used_again_is_another_life() -> None:
    def held(t: float, started: int) -> Held:
        return Held(t, 7, started, "worker", 1, 1, 4, 2, 1)

    lives = by_process([held(0, 1), held(5, 1), held(10, 2)])
    assert [len(life) for life in lives.values()] == [2, 1]


# --------------------------------------------------------------------------- the schedule


@given(st.integers(0, 1000))
def test_faults_follow_from_the_seed_and_end_before_the_run(seed: int) -> None:
    kinds = (*ALWAYS, *OF_DISK)

    def plan() -> list[tuple[float, str]]:
        found = schedule(kinds, random.Random(seed), length=3600, every=50)
        return [(due, kind.name) for due, kind in found]

    assert plan() == plan()
    moments = [due for due, _ in plan()]
    assert moments == sorted(moments)
    assert moments[0] > 0 and moments[-1] < 3240
    assert all(25 <= after - before <= 75 for before, after in pairwise(moments))
    assert {name for _, name in plan()} == {kind.name for kind in kinds}
    late = {name for due, name in plan() if due > EARLY * 3600}
    assert not late & {SERVING_KILLED.name, SERVER_KILLED.name}


def test_the_command_line_has_its_defaults() -> None:
    options = arguments([])
    assert (options.hours, options.every, options.s3) == (1.0, 50.0, False)
    assert arguments(["--hours", "0.05"]).every == pytest.approx(15)


# --------------------------------------------------------------------------- the material


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_study_of_files_that_are_dicom(kind: str) -> None:
    patient, made = make_study(3, kind, 1, 2)
    assert (patient, made) == make_study(3, kind, 1, 2)
    assert len({each.sop_uid for each in made}) == 2
    for each in made:
        dataset = dcmread(BytesIO(each.file), stop_before_pixels=True)
        assert dataset.SOPInstanceUID == each.sop_uid
        assert (dataset.StudyInstanceUID, dataset.PatientID) == (each.study_uid, patient)
    assert all(bool(each.frame) == bool(each.frames) for each in made)


# --------------------------------------------------------------------------- the curves


def test_a_chart_is_well_formed_and_shows_all_lines() -> None:
    lines = [Line("a <b>", [(0.0, 1.0), (60.0, 50.0)]), Line("c", [(0.0, 3.0), (60.0, 0.2)])]
    for log in (False, True):
        text = chart("Title & more", "MB", lines, [Mark("a fault", 10.0, 20.0)], log=log)
        root = ElementTree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        assert len(root.findall(f"{space}polyline")) == 2
        assert "a <b>" in [each.text for each in root.iter(f"{space}text")]
        assert [each.text for each in root.iter(f"{space}title")] == ["a fault"]


def test_a_chart_without_points_is_one_too() -> None:
    ElementTree.fromstring(chart("Nothing", "MB", []))
    ElementTree.fromstring(chart("Nothing", "MB", [Line("zero", [(0.0, 0.0)])], log=True))


# --------------------------------------------------------------------------- the report


def a_run(tmp_path: Path, rss: Callable[[float], float]) -> Run:
    """One of an hour, without a server."""
    server = RunningServer(tmp_path / "data")
    injector = Injector(server, OwnDatabase(server), random.Random(1))
    windows = Windows()
    traffic = Traffic(Address("127.0.0.1", 1, ""), Pace(1, random.Random(1)), windows)
    window = windows.open(POSTGRES_AWAY, 100.0)
    window.ended, window.recovered, window.closed, window.refusals = 110.0, 111.5, 116.5, 7
    traffic.counts["frame", "200"] = 3
    traffic.latencies["frame"] = [(1.0, 0.010, False), (2.0, 0.030, False), (105.0, 9.0, True)]
    run = Run(Plan(3600, 50, 25, 100, 1), server, injector, traffic, lambda text: None)
    moments = [float(t) for t in range(0, 3600, 5)]
    run.held = [Held(t, 7, 1, "serving", int(rss(t)), 1, 40, 9, 12) for t in moments]
    run.around = [Around(t, 10**8, 9, 10**9, 0, t / 4) for t in moments]
    run.at_rest = [[run.held[0]], [run.held[-1]]]
    run.outcome = Outcome(instances=5, expected=5, verify_status=0)
    return run


def test_a_run_without_fault_of_ours_passes(tmp_path: Path) -> None:
    run = a_run(tmp_path, lambda t: 100e6)
    judged = judge_run(run)
    assert judged.reasons == []
    text = as_markdown(run, judged, HERE, "ours")
    assert "**Passed.**" in text
    assert "| frame | 3 | 200: 3 | 10.0 | 30.0 | 30.0 |" in text  # not those amid a fault
    assert "| Postgres stopped for 10 s | 1 | 1.5 | 1.5 | 7 | 0 |" in text
    assert json.loads(json.dumps(as_data(run, judged, HERE, "ours")))["passed"] is True
    page = as_html(run, text)
    assert page.count("<svg") == 9
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_growth_loss_and_wrong_answers_fail_a_run(tmp_path: Path) -> None:
    run = a_run(tmp_path, lambda t: 100e6 + 20e3 * t)
    assert run.outcome is not None
    run.outcome.problems.append("2 acknowledged instances lost")
    run.traffic.fail("500", kind="frame")
    judged = judge_run(run)
    assert [reason.split(":")[0] for reason in judged.reasons] == [
        "1 answers that may not be",
        "serving 7",
        "2 acknowledged instances lost",
    ]
    text = as_markdown(run, judged, HERE, "ours")
    assert "**Failed:**" in text and "**grows**" in text and "'what': '500'" in text
    run.outcome = None
    assert "the run did not come to its end" in judge_run(run).reasons


def test_sockets_are_judged_at_rest_and_files_under_load(tmp_path: Path) -> None:
    run = a_run(tmp_path, lambda t: 100e6)
    run.held = [
        replace(each, fds=40 + number % 700, sockets=12 + number % 700)
        for number, each in enumerate(run.held)
    ]
    assert judge_run(run).reasons == []
    run.held = [replace(each, fds=each.fds + number // 70) for number, each in enumerate(run.held)]
    assert ["descriptors but sockets grew" in reason for reason in judge_run(run).reasons] == [True]
    run = a_run(tmp_path, lambda t: 100e6)
    run.at_rest[-1] = [replace(run.held[-1], sockets=36)]
    assert judge_run(run).reasons == []
    run.at_rest[-1] = [replace(run.held[-1], sockets=37)]
    assert judge_run(run).reasons == ["serving 7 has 37 sockets at rest (12 before)"]


# --------------------------------------------------------------------------- clients

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answered(text: bytes, *, after: float = 0) -> AsyncIterator[Traffic]:
    """Traffic to a server that says `text` to every request, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(after)
        writer.write(text)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        pace = Pace(1000.0, random.Random(1))
        yield Traffic(Address("127.0.0.1", port, ""), pace, Windows())


def said(status: str, body: bytes = b"") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


async def asked(traffic: Traffic) -> bool:
    client = Client(traffic, random.Random(1))
    found = await client.ask("frame", PIXELS, Request("/x"))
    client.close()
    return found is not None


async def test_a_good_answer_is_counted_and_timed() -> None:
    async with answered(said("200 OK")) as traffic:
        assert await asked(traffic)
    assert traffic.counts == {("frame", "200"): 1}
    assert [amid for _, _, amid in traffic.latencies["frame"]] == [False]
    assert traffic.n_failures == 0


@pytest.mark.parametrize(
    "text", [said("503 Away"), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]
)
async def test_refusals_and_breaks_are_failures_but_amid_a_fault(text: bytes) -> None:
    async with answered(text) as traffic:
        assert not await asked(traffic)
        assert traffic.n_failures == 1
        window = traffic.windows.open(POSTGRES_AWAY, traffic.now())
        assert not await asked(traffic)
        assert traffic.n_failures == 1
        assert window.refusals + window.broken == 1


async def test_a_500_is_a_failure_whatever_happens() -> None:
    async with answered(said("500 Bug", b'{"detail": "x"}')) as traffic:
        traffic.windows.open(SERVER_KILLED, 0.0)
        assert not await asked(traffic)
    assert [failure["what"] for failure in traffic.failures] == ["500"]


async def test_a_hang_is_a_failure_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic_module, "HANG_SECONDS", 0.05)
    async with answered(said("200 OK"), after=0.5) as traffic:
        traffic.windows.open(SERVER_KILLED, 0.0)
        assert not await asked(traffic)
    assert [failure["what"] for failure in traffic.failures] == ["hang"]


async def test_a_viewer_notes_what_is_wrong_about_a_study_that_rests() -> None:
    ledger = Ledger()
    study = ledger.study("1.2", "P1")
    ledger.acknowledged(study, kept(1))
    async with answered(said("200 OK", b'[{"0020000E": {"Value": ["1.2.1"]}}]')) as traffic:
        viewer = Viewer(traffic, random.Random(1), ledger)
        await viewer._lists(study)  # a series that is right, and instances that are not
        assert [failure["kind"] for failure in traffic.failures] == ["search instances"]
        study.in_flux = True
        await viewer._lists(study)
        assert traffic.n_failures == 1
        viewer.close()
