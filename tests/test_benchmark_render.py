"""The benchmark of rendering: its requests, when an answer is right, its runs and reports."""

from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from conformance.benchmark.client import Answer, AnswerError
from conformance.benchmark.goals import ORTHANC, OURS
from conformance.benchmark.load import Sample
from conformance.benchmark.render.__main__ import arguments, start
from conformance.benchmark.render.codecs import codecs_alone
from conformance.benchmark.render.images import all_kinds, ct
from conformance.benchmark.render.items import Item, all_items, chosen, look_at
from conformance.benchmark.render.report import as_data, as_markdown, verdicts
from conformance.benchmark.render.run import Bench, Result, lay_pixels
from conformance.benchmark.retrieve.hosts import STATIC, static

HERE = {"date": "today", "cpus": 2, "cpu": "CPU", "system": "Linux", "python": "3"}
HERE |= {"load_average": 0.5}
KINDS = all_kinds(5000, 3)
ITEMS = {item.key: item for item in all_items(KINDS)}


def picture(size: tuple[int, int], form: str = "JPEG") -> Answer:
    file = BytesIO()
    Image.fromarray(np.zeros((size[1], size[0]), np.uint8)).save(file, form)
    return Answer(200, {}, len(file.getvalue()), bytearray(file.getvalue()))


def windows(item: Item, count: int) -> list[str]:
    asks = islice(item.asks(), count)
    return [parse_qs(urlsplit(ask.request.path).query)["window"][0] for ask in asks]


def test_each_pass_over_the_images_has_a_window_of_its_own() -> None:
    first, second = windows(ITEMS["ct-1"], 3), windows(ITEMS["ct-8"], 6)

    assert len(set(first)) == 1
    assert len({*first, *second}) == 3
    assert len(set(windows(ITEMS["cached-1"], 9))) == 1


def test_items_are_chosen_by_their_keys() -> None:
    assert [item.key for item in chosen(list(ITEMS.values()), ["ct", "mg"])] == [
        "ct-1",
        "ct-8",
        "mg-2",
    ]
    with pytest.raises(ValueError, match="no item x"):
        chosen(list(ITEMS.values()), ["x"])


def test_an_answer_is_a_picture_of_the_type_and_size() -> None:
    item = ITEMS["ct-1"]
    look_at(picture((512, 512)), item, item.pixels)
    for wrong in (
        picture((511, 512)),
        picture((512, 512), "PNG"),
        Answer(200, {}, 3, bytearray(b"abc")),
        Answer(404, {}, 0, bytearray()),
    ):
        with pytest.raises(AnswerError):
            look_at(wrong, item, item.pixels)


@pytest.mark.parametrize("key", ["ct-1", "viewport-8", "png-8", "us-8", "htj2k-8", "thumbnail-8"])
def test_the_codecs_make_every_kind_of_picture(key: str) -> None:
    item = ITEMS[key]
    few = replace(item, kind=replace(item.kind, pictures=item.kind.pictures[:2]))

    sample = codecs_alone(few, 0.001)

    assert sample.units >= 1
    assert sample.payload > 1000


def test_the_goals_are_a_rate_beside_orthanc_and_a_time_beside_the_codecs() -> None:
    def rate(each: int) -> list[Sample]:
        return [Sample(each, 1.0, 0, (0.01,) * each)] * 2

    result = Result(ITEMS["ct-1"], {OURS: rate(30), ORTHANC: rate(10)}, rate(50))

    assert [(one["measured"], one["verdict"]) for one in verdicts(result)] == [
        (3.0, "met"),
        (pytest.approx(5 / 3), "missed"),
    ]
    assert [one["verdict"] for one in verdicts(Result(ITEMS["ct-1"]))] == ["not measured"] * 2
    assert verdicts(Result(ITEMS["png-8"])) == []


async def test_our_server_and_a_bare_one_are_measured_and_reported(tmp_path: Path) -> None:
    kind = ct(6000, 3)
    items = [replace(ITEMS[key], kind=kind) for key in ("ct-8", "cached-1", "png-8", "thumbnail-8")]
    options = arguments(["--no-orthanc"])
    with ExitStack() as stack:
        hosts = await start(stack, tmp_path, options, items)
        bare = static(tmp_path)[-1]
        stack.callback(bare.stop)
        await bare.start()
        results = await Bench(hosts, 0.02, lambda _: None, bare).run(items, rounds=1)
        again = lay_pixels(bare, items[0])
        assert bare.files is not None
        files = [bare.files / name for name in again]

    assert [file.stat().st_size for file in files] == [512 * 512 * 2] * 3
    # Only of items with goals is there something to hold beside it
    assert [list(result.samples) for result in results] == [[OURS, STATIC]] + [[OURS]] * 3
    assert results[0].samples[STATIC][0].payload > 1000 * results[0].samples[STATIC][0].units
    assert not any(result.errors for result in results)
    text = as_markdown(results, hosts, HERE, ["a note"])
    assert "a note" in text
    assert "CT, PNG" in text
    data = as_data(results, hosts, HERE)
    assert all(item["servers"][OURS]["p99_ms"] > 0 for item in data["items"])
    assert data["items"][0]["goals"][0]["verdict"] == "not measured"


def test_quick_is_two_rounds_of_half_a_second() -> None:
    options = arguments(["--quick"])

    assert (options.rounds, options.seconds) == (2, 0.5)
