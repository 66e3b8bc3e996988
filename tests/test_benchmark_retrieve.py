"""The benchmark of retrieving: its requests, when an answer is right, its runs and reports."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from conformance.benchmark import settling
from conformance.benchmark.client import Address, Answer, AnswerError, Request, ask_once
from conformance.benchmark.goals import NGINX, ORTHANC, ORTHANC_SQLITE, OURS, S3, Goal
from conformance.benchmark.load import Sample
from conformance.benchmark.processes import CpuTime
from conformance.benchmark.retrieve import hosts
from conformance.benchmark.retrieve.__main__ import arguments, start
from conformance.benchmark.retrieve.bucket import Bucket
from conformance.benchmark.retrieve.hosts import STATIC, Host, file_of
from conformance.benchmark.retrieve.items import Item, all_items, chosen
from conformance.benchmark.retrieve.measure import (
    FirstSteps,
    JustStored,
    Started,
    Steady,
    Steps,
    StepsAfterStore,
    ask_of,
    joined,
    near,
)
from conformance.benchmark.retrieve.report import NO_NGINX, as_data, as_markdown
from conformance.benchmark.retrieve.run import Bench, Result, needed, serves
from conformance.benchmark.retrieve.shelf import Shelf
from conformance.benchmark.retrieve.wanted import (
    Wanted,
    frame_of,
    frames_of,
    instance_of,
    metadata_of,
    middle_out,
    series_of,
    worklist,
)
from conformance.benchmark.run import Target
from conformance.benchmark.stores import MultiFrame
from tests.make import Instance, study_of
from tests.running import free_port

HERE = {"date": "today", "cpus": 2, "cpu": "CPU", "system": "Linux", "python": "3"}
HERE |= {"load_average": 0.5}
SERIES = study_of(1, 4, seed=9, rows=16, columns=16)


def answer(body: bytes, *, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, len(body), bytearray(body))


def described(*uids: str) -> bytes:
    return json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def nowhere(label: str, files: Path | None = None) -> Host:
    """A host that does not run."""

    async def begin(stack: ExitStack) -> Target:
        raise AssertionError(label)

    peer = label not in (OURS, S3)
    target = Target(label, Address("127.0.0.1", 1, ""), peer=peer, about=f"about {label}")
    return Host(label, begin, files, target)


# What is asked for, and when the answer is right.


def test_the_middle_comes_first_and_everything_once() -> None:
    assert middle_out(5) == [2, 1, 3, 0, 4]
    assert sorted(middle_out(1000)) == list(range(1000))
    assert middle_out(0) == []


def test_metadata_is_right_if_it_is_of_all_instances_and_no_others() -> None:
    wanted, uids = metadata_of(SERIES), [instance.sop_uid for instance in SERIES]
    wanted.check(answer(described(*reversed(uids))))
    wanted.check(answer(gzip.compress(described(*uids)), content_encoding="gzip"))

    for wrong in (
        answer(described(*uids[1:])),
        answer(described(*uids, "1.2")),
        answer(described(*uids), status=500),
        answer(described(*uids), content_encoding="br"),
    ):
        with pytest.raises(AnswerError):
            wanted.check(wrong)


def test_frames_instances_and_series_are_right_if_they_hold_the_pixels() -> None:
    pixels = [instance.pixels() for instance in SERIES]
    multi_frame = MultiFrame(3, frames=3)
    whole = multi_frame.file()
    frames = [
        whole[start:][: 1 << 19] for start in range(len(whole) - 3 * (1 << 19), len(whole), 1 << 19)
    ]
    for wanted, right, wrong in (
        (frame_of(SERIES[1]), pixels[1], pixels[2]),
        (instance_of(SERIES[1]), b"head" + pixels[1], pixels[1][:-1]),
        (series_of(SERIES), b"--".join(pixels), b"--".join(pixels[:-1])),
        (frames_of(multi_frame, [3, 1]), frames[2] + frames[0], frames[2] + frames[1]),
    ):
        wanted.check(answer(right))
        with pytest.raises(AnswerError):
            wanted.check(answer(wrong))


def test_a_worklist_is_right_if_it_has_as_many_studies() -> None:
    def listed(*uids: str) -> Answer:
        return answer(json.dumps([{"0020000D": {"Value": [uid]}} for uid in uids]).encode())

    worklist(2).check(listed("1.2", "1.3"))
    with pytest.raises(AnswerError, match="1 results of 2"):
        worklist(2).check(listed("1.2", "1.2"))


def test_later_answers_are_held_to_the_length_of_the_one_looked_into() -> None:
    host, wanted = nowhere(OURS), frame_of(SERIES[0])
    host.known[wanted.request] = 1000
    ask = ask_of(host, wanted)

    ask.check(Answer(200, {}, 1020))
    for wrong in (Answer(200, {}, 1021), Answer(200, {}, 979), Answer(206, {}, 1000)):
        with pytest.raises(AnswerError):
            ask.check(wrong)
    assert near(0, 0)
    assert not near(1, 0)


def test_requests_that_differ_have_files_that_differ(tmp_path: Path) -> None:
    wanted = [metadata_of(SERIES), metadata_of(SERIES, coding="gzip"), frame_of(SERIES[0])]
    host = nowhere(NGINX, tmp_path)
    host.known = {each.request: 5 for each in wanted}

    assert len({file_of(each) for each in wanted}) == 3
    assert file_of(metadata_of(SERIES)) == file_of(wanted[0])
    assert ask_of(host, wanted[0]).request == Request(f"/{file_of(wanted[0])}")


# The items.


def test_every_goal_is_beside_a_server_or_an_item_that_exists() -> None:
    items = all_items(Shelf(1, 10))
    names = [item.name for item in items]

    assert len({item.key for item in items}) == len(names) == len(set(names))
    for goal in (goal for item in items for goal in item.goals):
        assert goal.label in {OURS, S3}
        assert goal.beside in {"", OURS, ORTHANC, NGINX, *names}
        assert (goal.label == S3) <= any(item.on_s3 for item in items if goal in item.goals)


def test_items_are_chosen_by_what_their_keys_begin_with() -> None:
    items = all_items(Shelf(1, 10))

    assert chosen(items, []) == items
    assert [item.key for item in chosen(items, ["frame-8", "series"])] == [
        "frame-8",
        "series-1",
        "series-4",
    ]
    with pytest.raises(ValueError, match="no item frames: choose of metadata-100"):
        chosen(items, ["frames"])


def test_only_what_the_items_read_is_stored() -> None:
    items = all_items(Shelf(1, 10))

    assert needed(chosen(items, ["frame-8"])) == {"long"}
    assert needed(chosen(items, ["stored"])) == set()
    assert needed(items) == {"short", "long", "multi-frame", "worklist"}


def test_a_static_server_is_asked_only_for_what_is_read(tmp_path: Path) -> None:
    items = {item.key: item for item in all_items(Shelf(1, 10))}

    static, far = nowhere(NGINX, tmp_path), nowhere(S3)
    assert [serves(static, items[key]) for key in ("frame-8", "stored-100", "started-100")] == [
        True,
        False,
        False,
    ]
    assert [serves(far, items[key]) for key in ("frame-8", "open")] == [False, True]


# The bucket.


@asynccontextmanager
async def bucket(folder: Path, delay: float = 0.0) -> AsyncIterator[Address]:
    port = free_port()
    server = await asyncio.start_server(Bucket(folder, delay).serve, "127.0.0.1", port)
    async with server:
        yield Address("127.0.0.1", port, "/name")


async def ask_raw(address: Address, head: str) -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(head.encode() + b"\r\n\r\n")
    answered = await reader.readuntil(b"\r\n\r\n")
    length = int(answered.lower().partition(b"content-length: ")[2].split()[0])
    body = b"" if head.startswith("HEAD") else await reader.readexactly(length)
    writer.close()
    return answered, body


async def test_a_bucket_gives_objects_and_ranges_of_them(tmp_path: Path) -> None:
    (tmp_path / "bucket" / "a").mkdir(parents=True)
    (tmp_path / "bucket" / "a" / "b c").write_bytes(b"0123456789")
    (tmp_path / "outside").write_bytes(b"secret")
    async with bucket(tmp_path / "bucket") as address:
        assert (
            bytes((await ask_once(address, Request("/a/b%20c", keep=True))).body) == b"0123456789"
        )
        for asked, status, where, body in (
            ("bytes=2-4", b"206", b"bytes 2-4/10", b"234"),
            ("bytes=8-99", b"206", b"bytes 8-9/10", b"89"),
            ("bytes=10-11", b"416", b"", b""),
        ):
            head, sent = await ask_raw(address, f"GET /name/a/b%20c HTTP/1.1\r\nRange: {asked}")
            assert head.split()[1] == status
            assert where in head
            assert sent == body
        head, _ = await ask_raw(address, "HEAD /name/a/b%20c HTTP/1.1")
        assert b"Content-Length: 10\r\n" in head
        assert (await ask_once(address, Request("/../outside"))).status == 404
        assert (await ask_once(address, Request("/missing"))).status == 404


@pytest.mark.parametrize("expects", [True, False])
async def test_a_bucket_takes_objects(tmp_path: Path, expects: bool) -> None:
    async with bucket(tmp_path) as address:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        more = "Expect: 100-continue\r\n" if expects else ""
        writer.write(f"PUT /name/a/b%2Bc HTTP/1.1\r\nContent-Length: 5\r\n{more}\r\n".encode())
        if expects:
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"100"
        writer.write(b"value")
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"200"
        writer.close()
        assert bytes((await ask_once(address, Request("/a/b%2Bc", keep=True))).body) == b"value"
    assert (tmp_path / "a" / "b+c").read_bytes() == b"value"


async def test_every_answer_of_a_bucket_is_late(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"value")
    async with bucket(tmp_path, 0.05) as address:
        began = time.monotonic()
        await ask_once(address, Request("/key"))
        assert time.monotonic() - began >= 0.05


# Whole runs.


async def test_all_ways_of_measuring_run_on_our_server_a_static_one_and_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LOOKS", 0)
    shelf = Shelf(1, 4)
    frames = [frame_of(instance) for instance in shelf.long]
    metadata = metadata_of(shelf.long, coding="gzip")

    def steps_of(series: Sequence[Instance]) -> list[list[Wanted]]:
        return [[metadata_of(series)], [frame_of(instance) for instance in series]]

    items = [
        Item("steady", "steady", Steady(frames, 2), {"long"}),
        Item("steps", "steps", Steps([[metadata], frames], 3), {"long"}, on_s3=True),
        Item("stored", "stored", JustStored(shelf, 3, "gzip"), ()),
        Item("started", "started", Started([metadata]), {"long"}),
        Item("first", "first", FirstSteps([[metadata], frames], 3), {"long"}, on_s3=True),
        Item("after", "after", StepsAfterStore(shelf, 3, steps_of), (), on_s3=True),
    ]
    said: list[str] = []
    with ExitStack() as stack:
        options = arguments(["--no-orthanc", "--s3"])
        started = await start(stack, tmp_path, options, items, shelf)
        results = await Bench(started, 0.1, said.append).run(items, rounds=1)
        mirrored = (tmp_path / "files" / file_of(frames[0])).read_bytes()
    steady, steps, stored, first, *opened = results
    static = {host.label for host in started if host.static}

    assert [result.errors for result in results] == [{}] * 6
    assert STATIC in static <= {NGINX, STATIC}
    assert set(steady.samples) == {OURS, *static}
    assert set(steps.samples) == {OURS, *static, S3}
    assert set(stored.samples) == set(first.samples) == {OURS}
    assert shelf.long[0].pixels() in mirrored
    assert [stored.samples[OURS][0].units, first.samples[OURS][0].units] == [3, 1]
    [ours], [copied], [far] = (steps.samples[label] for label in (OURS, STATIC, S3))
    size = sum(len(instance.pixels()) for instance in shelf.long)
    for sample in (ours, copied, far):
        assert sample.units == len(sample.latencies) >= 1
        assert sample.payload > size * sample.units
    assert ours.cpu is not None and ours.cpu.server > 0
    assert 10e6 < ours.peak_rss < 1e9
    for result in opened:
        assert set(result.samples) == {OURS, S3}
        assert all(sample.payload > size for [sample] in result.samples.values())
    # Four frames over three connections are two after each other, each one answer late.
    assert min(opened[0].samples[S3][0].latencies) >= 2 * hosts.LATENCY_MS / 1000


async def test_an_answer_that_is_not_right_voids_the_item(tmp_path: Path) -> None:
    (tmp_path / "right").write_bytes(b"right")
    async with bucket(tmp_path) as address:
        host = nowhere(OURS)
        host.target = Target(OURS, address)

        def look(body: bytes) -> None:
            if body != b"right":
                raise AnswerError("wrong")

        right, missing = Wanted(Request("/right"), look), Wanted(Request("/missing"), look)
        item = Item("steps", "steps", Steps([[right, right]], 2), ())
        [result] = await Bench([host], 0.01, lambda text: None).run([item], rounds=1)
        assert result.samples[OURS][0].payload == 10 * result.samples[OURS][0].units

        (tmp_path / "right").write_bytes(b"more than that")
        [result] = await Bench([host], 0.01, lambda text: None).run([item], rounds=1)
        assert "14 bytes, not 5" in result.errors[OURS]
        bad = Item("steady", "steady", Steady([missing], 1), ())
        with pytest.raises(AnswerError, match="status 404"):
            await Bench([host], 0.01, lambda text: None).run([bad], rounds=1)


async def test_what_takes_minutes_is_measured_once_of_orthanc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def measured(way: JustStored, host: Host, seconds: float) -> Sample:
        return sample(10)

    monkeypatch.setattr(JustStored, "measure", measured)
    item = Item("stored", "stored", JustStored(Shelf(1), 1000), ())
    hosts = [nowhere(label) for label in (OURS, ORTHANC, ORTHANC_SQLITE)]
    [result] = await Bench(hosts, 0.1, lambda text: None).run([item], rounds=3)

    assert [len(result.samples[host.label]) for host in hosts] == [3, 1, 1]
    assert result.ratios(OURS, ORTHANC) == [1.0]


# Figures.


def sample(rate: int, *, rss: int = 0, cpu: CpuTime | None = None) -> Sample:
    """Of one second, in which each unit took its share."""
    return Sample(rate, 1.0, rate * 1000, (1 / rate,) * rate, cpu, 0.1, rss)


def test_measurements_of_one_kind_become_one() -> None:
    whole = joined([sample(10, rss=5, cpu=CpuTime(1, 2)), sample(20, rss=3, cpu=CpuTime(3, 4))])

    assert (whole.units, whole.seconds, whole.payload) == (30, 2.0, 30_000)
    assert (whole.cpu, whole.peak_rss, len(whole.latencies)) == (CpuTime(4, 6), 5, 30)
    assert joined([sample(10, cpu=CpuTime(1, 2)), sample(20)]).cpu is None


def test_the_report_holds_every_server_against_the_goals(tmp_path: Path) -> None:
    item = Item(
        "frame-8",
        "frames",
        Steady([], 8),
        (),
        (
            Goal("times_peer", 6, beside=ORTHANC),
            Goal("times_peer", 0.4, beside=NGINX),
            Goal("rss_mb", 250),
            Goal("times_peer", 0.5, label=S3, beside=OURS),
        ),
        newest="573 req/s",
    )
    samples = {
        OURS: [sample(1000, rss=251_000_000, cpu=CpuTime(0.4, 0.1))] * 2,
        ORTHANC: [sample(100), sample(200)],
        NGINX: [sample(4000), sample(1000)],
        S3: [sample(400)] * 2,
    }
    listed = Item("list", "lists", Steady([], 1), (), (Goal("p50_times_item", 2, beside="frames"),))
    results = [
        Result(item, samples),
        Result(listed, {OURS: [sample(400)]}, errors={NGINX: "status 500 | no"}),
    ]
    known = [nowhere(OURS), nowhere(ORTHANC), nowhere(NGINX, tmp_path), nowhere(S3)]

    text = as_markdown(results, known, HERE, [NO_NGINX])
    head, _, row, other = text[text.index("| item") :].splitlines()[:4]
    cells = dict(
        zip(*([cell.strip() for cell in line.split("|")] for line in (head, row)), strict=True)
    )

    assert cells["ours ÷ orthanc"] == "7.50× (5.00–10.0)"
    assert cells["ours ÷ nginx"] == "0.625× (0.250–1.00)"
    assert cells["newest Orthanc"] == "573 req/s"
    assert cells["goals"] == (
        "≥ 6× orthanc: 7.50, met; ≥ 0.4× nginx: 0.625, met; RSS ≤ 250 MB: 251, missed; "
        "ours on S3 ≥ 0.5× ours: 0.400, missed"
    )
    assert "p50 ≤ 2× “frames”: 2.50, missed" in other
    assert "error: status 500 / no" in other
    assert "0.500 (0.100); 251" in text
    assert "0.250 / 1.00, 0.250 (2.50)" in text
    assert "Orthanc checks an MD5 of a file on every read; we check in the background" in text
    assert NO_NGINX in text
    assert "The load generator took at most 10 % of one core." in text

    kept = json.loads(json.dumps(as_data(results, known, HERE)))
    assert kept["items"][0]["servers"][OURS]["peak_rss_mb"] == 251
    assert kept["items"][0]["ratios"][NGINX] == [0.25, 1.0]
    assert kept["items"][1]["goals"][0]["verdict"] == "missed"


def test_goals_of_a_server_that_was_not_started_are_not_told() -> None:
    far = Goal("times_peer", 0.5, label=S3, beside=OURS)
    result = Result(Item("open", "opening", Steps([], 8), (), (far,)), {OURS: [sample(10)]})

    assert "S3" not in as_markdown([result], [nowhere(OURS)], HERE)
