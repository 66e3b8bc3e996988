"""What the benchmark plans and reports: requests, checks, goals, tables, the large upload."""

import json
import os
import subprocess
import sys
import time
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from conformance.benchmark import memory, orthanc, settling
from conformance.benchmark.__main__ import arguments, plan
from conformance.benchmark.client import Address, Answer, AnswerError, Stream
from conformance.benchmark.goals import ORTHANC, OURS, Goal
from conformance.benchmark.items import Item, all_stored
from conformance.benchmark.load import Ask, Sample
from conformance.benchmark.memory import LargeFile, Peak, store_ask, streamed
from conformance.benchmark.processes import CpuTime, cpu_time
from conformance.benchmark.report import as_data, as_markdown
from conformance.benchmark.run import Result, Target, reached
from conformance.benchmark.stores import EIGHT_STUDIES, MultiFrame, one_study, store_items
from tests.make import small_pixels

HERE = {"date": "today", "cpus": 2, "cpu": "CPU", "system": "Linux", "python": "3"}
HERE |= {"load_average": 0.5}
OUR_SERVER = Target(OURS, Address("127.0.0.1", 80, ""))
PEER = Target(ORTHANC, Address("127.0.0.1", 81, ""), peer=True, about="Orthanc 1")


def sample(rate: float, *, cpu: CpuTime | None = None) -> Sample:
    """Of one second, in which each unit took its share."""
    return Sample(int(rate), 1.0, int(rate) * 1000, (1 / rate,) * int(rate), cpu, 0.1)


def result(
    name: str, ours: list[Sample], peers: list[Sample] | None = None, *goals: Goal
) -> Result:
    item = Item(name, 1, list, "writes", goals, unit="inst", finite=True)
    samples = {OURS: ours} | ({ORTHANC: peers} if peers else {})
    return Result(item, samples, [sample(1000)] * len(ours))


def answer(status: int, *sop_uids: str) -> Answer:
    stored = {"00081199": {"vr": "SQ", "Value": [{"00081155": {"Value": [u]}} for u in sop_uids]}}
    return Answer(status, {}, body=bytearray(json.dumps(stored).encode()))


def requests_of(name: str) -> list[Ask]:
    item = next(item for item in store_items(count(1), times=1) if item.name == name)
    assert item.asks is not None
    return list(item.asks())


# What is stored, and when it counts.


@pytest.mark.parametrize("status", [200, 202])
def test_a_store_is_right_if_all_instances_are_reported_as_stored(status: int) -> None:
    all_stored(frozenset({"1.2", "1.3"}))(answer(status, "1.3", "1.2"))


@pytest.mark.parametrize("said", [answer(202, "1.2"), answer(200, "1.2", "1.4"), answer(409)])
def test_a_store_is_wrong_if_an_instance_is_not_reported_as_stored(said: Answer) -> None:
    with pytest.raises(AnswerError):
        all_stored(frozenset({"1.2", "1.3"}))(said)


def test_every_round_stores_instances_that_are_new() -> None:
    item = store_items(count(1), times=1)[0]
    assert item.asks is not None
    first, second = ({ask.request.body for ask in item.asks()} for _ in range(2))

    assert len(first) == len(second) == 24
    assert not first & second


def test_senders_of_one_study_share_out_one_series() -> None:
    shares = one_study(8, 3, count(1))
    everything = [instance for share in shares for instance in share]

    assert [len(share) for share in shares] == [3] * 8
    assert len({instance.sop_uid for instance in everything}) == 24
    assert len({(instance.study_uid, instance.series_uid) for instance in everything}) == 1


def test_one_study_and_eight_get_as_many_instances_in_as_many_requests() -> None:
    eight, one = (requests_of(EIGHT_STUDIES), requests_of("STOW CT, 8 clients × 10 into one study"))

    assert [ask.units for ask in eight] == [ask.units for ask in one] == [10] * 24


def test_a_multi_frame_instance_is_what_its_uids_say() -> None:
    made = MultiFrame(7, frames=2)
    read = dcmread(BytesIO(made.file()))

    assert (read.StudyInstanceUID, read.SeriesInstanceUID) == (made.study_uid, made.series_uid)
    assert read.SOPInstanceUID == made.sop_uid != MultiFrame(8).sop_uid
    assert len(read.PixelData) == 2 * 512 * 512 * 2


def test_every_goal_is_beside_an_item_that_exists() -> None:
    _, items = plan(arguments(["--start", "--quick", "--seed", "1"]))
    names = [item.name for item in items]

    assert len(set(names)) == len(names)
    for goal in (goal for item in items for goal in item.goals):
        assert goal.beside in {"", ORTHANC, *names}


@pytest.mark.parametrize(
    "given", [[], ["http://127.0.0.1", "--start"], ["http://127.0.0.1", "--memory"]]
)
def test_options_that_do_not_go_together_are_refused(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(given)


# Orthanc.


def test_orthanc_is_told_how_to_reach_its_postgres(tmp_path: Path) -> None:
    url = "postgresql://user:p%2Fw@/name?host=%2Frun%2Fit&port=5432"

    told = orthanc.configuration(81, tmp_path, url)

    expected = {"Host": "/run/it", "Port": 5432, "Database": "name", "Username": "user"}
    assert told["PostgreSQL"].items() >= (expected | {"Password": "p/w"}).items()
    assert told["HttpPort"] == 81
    assert not told["RemoteAccessAllowed"]


def test_orthanc_without_a_postgres_has_its_index_in_sqlite(tmp_path: Path) -> None:
    told = orthanc.configuration(81, tmp_path, None)

    assert told["Plugins"] == [str(orthanc.DICOMWEB)]
    assert "PostgreSQL" not in told


def test_orthanc_without_its_plugins_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, plugin = tmp_path / "Orthanc", tmp_path / "plugin.so"
    program.touch(0o755)
    plugin.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(orthanc, "DICOMWEB", plugin)
    monkeypatch.setattr(orthanc, "POSTGRESQL", plugin)
    assert orthanc.find_program() == program

    monkeypatch.setattr(orthanc, "DICOMWEB", tmp_path / "missing.so")
    assert orthanc.find_program() is None


# Processor time.


def test_processor_time_of_a_process_is_counted_finely() -> None:
    before, began = cpu_time({os.getpid()}), time.process_time()
    sum(range(200_000))
    ended, after = time.process_time(), cpu_time({os.getpid()})

    assert (after - before).database == 0
    assert (after - before).total >= ended - began > 0


def test_a_process_that_is_gone_takes_no_time() -> None:
    assert cpu_time({2**22 + 1}) == CpuTime()


async def test_a_server_that_works_for_itself_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "SECONDS", 0.2)
    monkeypatch.setattr(settling, "LOOKS", 100)
    program = "print(flush=True); sum(range(3_000_000)); print('idle', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        before = cpu_time({process.pid})
        await settling.settled(lambda: {process.pid})
        during = cpu_time({process.pid}) - before
        assert process.stdout.readline() == "idle\n"
        left = cpu_time({process.pid}) - before
        process.stdin.close()

    assert left.total - during.total < 0.01 < during.total


# Goals.


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (Goal("rate", 100), 100, "met"),
        (Goal("rate", 100), 99.9, "missed"),
        (Goal("cpu_ms", 2), 2, "met"),
        (Goal("cpu_ms", 2), 2.1, "missed"),
        (Goal("p50_ms", 2), 2.1, "missed"),
        (Goal("times_peer", 3, beside=ORTHANC), 3.1, "met"),
        (Goal("times_item", 1, beside="another"), 0.99, "missed"),
        (Goal("rss_mb", 250), 251, "missed"),
        (Goal("p50_times_item", 2, beside="another"), 2, "met"),
        (Goal("p50_times_item", 2, beside="another"), 2.1, "missed"),
        (Goal("rate", 100), None, "not measured"),
    ],
)
def test_goals_are_met_or_missed(goal: Goal, value: float | None, verdict: str) -> None:
    assert goal.verdict(value) == verdict


def test_what_is_reached_is_the_median_of_rounds() -> None:
    cpu = CpuTime(server=0.3, database=0.1)
    ours = [sample(rate, cpu=cpu) for rate in (100, 200, 400)]
    peers = [sample(rate) for rate in (100, 100, 100)]
    other = result("other", [sample(rate) for rate in (100, 100, 400)])
    measured = result("item", ours, peers)
    named = {"item": measured, "other": other}

    def value(*goal: object, **beside: str) -> float | None:
        return reached(Goal(*goal, **beside), measured, named)  # type: ignore[arg-type]

    assert value("rate", 1) == 200
    assert value("cpu_ms", 1) == pytest.approx(1000 * 1.2 / 700)
    assert value("p50_ms", 1) == pytest.approx(2.5)
    assert value("times_peer", 1, beside=ORTHANC) == 2
    assert value("times_item", 1, beside="other") == 1
    assert value("p50_times_item", 2, beside="other") == pytest.approx(1)
    assert value("p50_times_item", 2, beside="nowhere") is None
    assert value("rss_mb", 250) is None


def test_nothing_is_reached_where_nothing_was_measured() -> None:
    measured = result("item", [sample(100)])
    failed = result("failed", [sample(100)])
    failed.errors[OURS] = "store: status 500"

    assert reached(Goal("cpu_ms", 2), measured, {}) is None
    assert reached(Goal("times_peer", 2, beside=ORTHANC), measured, {}) is None
    assert reached(Goal("times_item", 1, beside="other"), measured, {}) is None
    assert reached(Goal("rate", 1), failed, {}) is None


# The report.


def test_the_table_has_both_servers_and_their_quotient() -> None:
    ours = [sample(rate, cpu=CpuTime(0.3, 0.1)) for rate in (200, 400)]
    goal = Goal("times_peer", 3, beside=ORTHANC)
    results = [result("item", ours, [sample(100), sample(100)], goal)]

    text = as_markdown(results, [OUR_SERVER, PEER], HERE)

    head, _, row = (line for line in text.splitlines()[3:6])
    cells = dict(
        zip(*([cell.strip() for cell in line.split("|")] for line in (head, row)), strict=True)
    )
    assert cells["ours"] == "300 inst/s"
    assert cells["orthanc"] == "100 inst/s"
    assert cells["ours ÷ orthanc"] == "3.00× (2.00–4.00)"
    assert cells["CPU ms, ours"] == "1.33 (0.333)"
    assert cells["CPU ms, orthanc"] == "-"
    assert cells["goals"] == "≥ 3× orthanc: 3.00, met"
    assert "orthanc: Orthanc 1." in text
    assert "at most 10 % of one core, and 0.500 ms of CPU an instance in “item”" in text


def test_a_missed_goal_and_an_error_are_printed_as_such() -> None:
    results = [result("slow", [sample(10)], None, Goal("rate", 100))]
    failed = result("failed", [], None, Goal("rate", 100))
    failed.errors[OURS] = "status 500 | of\nsome kind"

    text = as_markdown([*results, failed], [OUR_SERVER], HERE)

    assert "≥ 100 inst/s: 10.0, missed" in text
    assert "error: status 500 / of some kind" in text
    assert "≥ 100 inst/s: not measured" in text


def test_a_limit_alone_is_a_line_too() -> None:
    alone = Result(Item("rows", 4, None, "rows", unit="rows"), limit=[sample(5000)])

    text = as_markdown([alone], [OUR_SERVER], HERE)

    assert "5,000 rows/s (Postgres alone)" in text


def test_the_figures_to_keep_are_json() -> None:
    results = [result("item", [sample(200)], [sample(100)], Goal("rate", 100))]

    kept = json.loads(json.dumps(as_data(results, [OUR_SERVER, PEER], HERE)))

    [item] = kept["items"]
    assert item["ratios"] == {ORTHANC: [2.0]}
    assert item["goals"] == [{"goal": "≥ 100 inst/s", "measured": 200.0, "verdict": "met"}]
    assert kept["servers"][ORTHANC] == "Orthanc 1"


# Large uploads.


@pytest.mark.parametrize("size", [1, 2_000_000])
def test_a_large_file_is_legal_and_has_the_length_it_says(size: int) -> None:
    large = LargeFile.plan(size, seed=3)
    whole = b"".join(large.pieces())
    read = dcmread(BytesIO(whole))

    assert len(whole) == len(large) <= max(size, len(large.head) + 600_000)
    assert read.NumberOfFrames == large.frames == max(1, size // 600_000)
    offsets = np.frombuffer(read.ExtendedOffsetTable, "<u8")
    assert offsets.tolist() == [n * len(large.fragment) for n in range(large.frames)]
    pixels = pixel_array(BytesIO(whole), index=large.frames - 1)
    assert np.array_equal(pixels, small_pixels(frames=2, rows=512, columns=512)[0])


@given(
    files=st.lists(st.lists(st.binary(max_size=20), max_size=4), min_size=1, max_size=5),
)
def test_a_streamed_body_has_the_length_it_says(files: list[list[bytes]]) -> None:
    body = streamed(lambda: files, [sum(map(len, file)) for file in files])

    sent = [b"".join(body.pieces()) for _ in range(2)]

    assert sent[0] == sent[1]
    assert len(sent[0]) == len(body)
    parts = sent[0].split(b"--benchmark-memory")
    assert len(parts) == len(files) + 2


def test_a_store_request_counts_its_instances() -> None:
    ask = store_ask(Stream(4, lambda: iter([b"body"])), frozenset({"1.2", "1.3"}))

    assert ask.units == 2
    assert "multipart/related" in ask.request.content_type


def test_the_memory_of_all_processes_is_held_against_the_goal() -> None:
    small = Peak("one part", 10**10, 20.0, {1: (60.0, 50.0), 2: (30.0, 30.0)}, 12.0)
    large = Peak("10 parts", 10**6, 2.0, {1: (90.0, 50.0), 2: (61.0, 30.0)}, 12.0)
    failed = Peak("none", 1, error="no answer")

    lines = memory.as_markdown([small, large, failed]).splitlines()[-3:]

    assert lines[0] == ("| one part, 10,000 MB | 20 s | 60, 30 | 90 | 80 | 12 | sum ≤ 150: met |")
    assert lines[1].endswith("| 151 | 80 | 12 | sum ≤ 150: missed |")
    assert "error: no answer" in lines[2]
    assert json.loads(json.dumps(memory.as_data([small])))["one part"]["total_mb"] == 90


def test_the_memory_of_a_process_is_known() -> None:
    size = 64 << 20
    program = f"input(); held = bytearray(b'x') * {size}; print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        memory.set_back(process.pid)
        before = memory.memory_of(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        after = memory.memory_of(process.pid)
        process.stdin.close()

    assert before is not None and after is not None
    assert after.highest - before.resident >= 0.9 * size
    assert after.anonymous - before.anonymous >= 0.9 * size
    assert memory.memory_of(2**22 + 1) is None
