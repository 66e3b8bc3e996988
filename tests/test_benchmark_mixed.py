"""The benchmark of many at once: what viewers ask for, what is noted, a run on our server."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.benchmark import settling
from conformance.benchmark.client import Address, Answer, AnswerError, Request
from conformance.benchmark.goals import OURS
from conformance.benchmark.load import Ask, Sample
from conformance.benchmark.mixed import people
from conformance.benchmark.mixed.people import (
    FIRST_IMAGE,
    FRAME,
    METADATA,
    REQUESTS,
    STEPS,
    STORE,
    Client,
    GaveUp,
    Notes,
)
from conformance.benchmark.mixed.run import Bench, Crowd, Result, cpu_of
from conformance.benchmark.mixed.ward import Ward, picture_of
from conformance.benchmark.processes import CpuTime, free_port
from conformance.benchmark.retrieve import hosts
from conformance.benchmark.retrieve.hosts import Host
from conformance.benchmark.run import Target


def nobody() -> Host:
    """A host at whose address nobody listens."""

    async def begin(stack: ExitStack) -> Target:
        raise AssertionError

    return Host(OURS, begin, target=Target(OURS, Address("127.0.0.1", free_port(), "")))


def test_the_same_seed_makes_the_same_studies() -> None:
    first, second, other = (Ward(seed, 2, 5, 3, listed=4) for seed in (70, 70, 80))

    def requests(ward: Ward) -> Sequence[str]:
        return [wanted.request.path for wanted in ward.wanted]

    assert requests(first) == requests(second)
    assert not set(requests(first)[1:]) & set(requests(other))
    assert first.charts[0].slices[0].file() == second.charts[0].slices[0].file()
    assert len(requests(first)) == 1 + 2 * (2 + 1 + 3)


def test_what_is_stored_meanwhile_is_new_and_at_the_end_of_the_list() -> None:
    ward = Ward(7, 2, 5, listed=4)
    studies = [ward.new_study(2) for _ in range(3)]
    uids = {instance.study_uid for study in studies for instance in study}

    assert len(uids) == 3
    assert not uids & {chart.slices[0].study_uid for chart in ward.charts}
    assert {dict(study[0].keywords)["StudyDate"] for study in studies} == {"19990101"}


def test_no_picture_is_asked_for_twice() -> None:
    instance = Ward(7, 1, 1).charts[0].slices[0]

    assert len({picture_of(instance).request.path for _ in range(5)}) == 5


@pytest.mark.parametrize("answer", [Answer(200, {}, 2, bytearray(b"ok")), Answer(500, {})])
def test_a_picture_is_a_jpeg(answer: Answer) -> None:
    with pytest.raises(AnswerError):
        picture_of(Ward(7, 1, 1).charts[0].slices[0]).check(answer)


async def test_what_goes_wrong_is_counted_and_told() -> None:
    notes = Notes()
    client = Client(nobody(), notes, time.perf_counter() + 1)
    ask = Ask(Request("/frames"), lambda answer: None)
    for _ in range(2):
        with pytest.raises(GaveUp):
            await client.ask(FRAME, ask)

    [(kind, said)] = notes.errors
    assert kind == FRAME
    assert "connect" in said.lower()
    assert notes.errors.total() == 2
    assert not notes.latencies[FRAME]


def test_rates_are_of_each_round_and_stores_are_no_reads() -> None:
    notes = [Notes(), Notes()]
    for each, count in zip(notes, (4, 8), strict=True):
        each.latencies[FRAME] += [0.1] * count
        each.latencies[STORE] += [1.0] * 5
    samples = [Sample(9, 2.0, 0, cpu=CpuTime(1, 2)), Sample(13, 2.0, 0, cpu=CpuTime(3, 4))]
    result = Result(samples, notes)

    assert result.rates() == [2.0, 4.0]
    assert result.latencies(FRAME) == [0.1] * 12
    assert result.seconds == 4.0
    assert cpu_of(samples) == CpuTime(4, 6)
    assert cpu_of([Sample(1, 1.0, 0)]) is None


def test_what_is_offered_is_as_much_on_every_server() -> None:
    crowd = Crowd(storers=2, seconds=10, interval=0.5)

    assert crowd.offered == 40
    assert crowd.requests == 21


async def test_a_crowd_reads_while_others_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LOOKS", 0)
    monkeypatch.setattr(people, "CHOOSING", 0.02)
    monkeypatch.setattr(people, "STUDIES_A_LIST", 1)
    monkeypatch.setattr(people, "READING", 0.02)
    ward = Ward(7, studies=2, length=6, looked_at=4, listed=3, rows=32)
    crowd = Crowd(viewers=3, storers=2, seconds=1.5, interval=0.2)
    host = hosts.ours(tmp_path)
    with ExitStack() as stack:
        stack.callback(host.stop)
        await host.start()
        await ward.store(host.address)
        [result] = (await Bench([host], ward, crowd, lambda text: None).run(rounds=1)).values()

    assert not result.broken and not result.errors
    assert all(result.latencies(kind) for kind in (*REQUESTS, *STEPS))
    # Who has begun to wait for an image waits for it, even when the time is over.
    assert len(result.latencies(FIRST_IMAGE)) == len(result.latencies(METADATA))
    assert result.stored_rate() > 0
    [sample] = result.samples
    assert sample.cpu is not None and sample.cpu.server > 0
    assert sample.peak_rss > 10e6
    assert sample.units == sum(len(result.latencies(kind)) for kind in REQUESTS)
