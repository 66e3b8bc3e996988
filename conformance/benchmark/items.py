"""What is measured, on which data, and what each answer must be."""

import json
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from conformance.benchmark.client import Address, Answer, AnswerError, Request, ask_once
from conformance.benchmark.goals import Goal
from conformance.benchmark.load import Ask, load
from tests.make import Instance, multipart_body, study_of

DICOM_JSON = "application/dicom+json"
FRAMES = 'multipart/related; type="application/octet-stream"'
INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'

PART_OVERHEAD = 2048
"""Bytes that delimiters and headers may add to the one part of an answer, at most."""

STUDIES_LISTED = 101
SERIES_LENGTH = 100


class Stored(Protocol):
    """An instance that can be stored: its UIDs, and its file, made when asked for."""

    @property
    def study_uid(self) -> str: ...
    @property
    def series_uid(self) -> str: ...
    @property
    def sop_uid(self) -> str: ...
    def file(self) -> bytes:
        """The PS3.10 file."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the table. `asks` makes the requests of a round, endless or so many.

    `limit` names what is measured beside it: "writes" of `example` so many times, "files" or
    "bytes" of the same length from the static server, "jpeg" coding, or "rows" in Postgres.
    Without `asks` the limit is all that is measured.
    """

    name: str
    connections: int
    asks: Callable[[], Iterable[Ask]] | None
    limit: str
    goals: tuple[Goal, ...] = ()
    unit: str = "req"
    finite: bool = False
    verify: Callable[[Address], Awaitable[None]] | None = None
    """Run after each round: that what was reported is so. Raises AnswerError."""
    example: Callable[[], bytes] = bytes
    """One file of those that the item stores."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What has been stored to be read: one study of CT series, and many small studies."""

    slices: Sequence[Instance]
    small: Sequence[Instance]

    @classmethod
    def plan(cls, *, seed: int, n_series: int) -> "Corpus":
        """Instances that no other run with another `seed` has. Nothing is stored yet."""
        small = (
            study_of(1, 1, seed=seed + 1 + number, rows=8, columns=8)[0]
            for number in range(STUDIES_LISTED + 19)
        )
        return cls(study_of(n_series, SERIES_LENGTH, seed=seed), tuple(small))

    async def store(self, server: Address) -> None:
        """Store it all, and see that it can be had again unchanged. Raises AnswerError."""
        await load(server, 4, store_asks(self.slices, batch=10))
        await load(server, 4, store_asks(self.small, batch=20))
        for instance in random.Random(0).sample(self.slices, 4):
            for ask in (frame_ask(instance, keep=True), instance_ask(instance, keep=True)):
                answer = await ask_once(server, ask.request)
                ask.check(answer)
                if instance.pixels() not in answer.body:
                    raise AnswerError(f"{ask.request.path}: not the pixels that were stored")
        await self._check_lists(server)

    async def _check_lists(self, server: Address) -> None:
        ask = metadata_ask(self.slices[:SERIES_LENGTH])
        answer = await ask_once(server, ask.request)
        ask.check(answer)
        stored = {instance.sop_uid for instance in self.slices[:SERIES_LENGTH]}
        if {each["00080018"]["Value"][0] for each in json.loads(answer.body)} != stored:
            raise AnswerError("series metadata: not the instances that were stored")
        ask = studies_ask()
        answer = await ask_once(server, ask.request)
        ask.check(answer)
        if len(json.loads(answer.body)) != STUDIES_LISTED:
            raise AnswerError(f"search for studies: not {STUDIES_LISTED} results")


def store_asks(instances: Sequence[Stored], *, batch: int) -> list[Ask]:
    """Store requests of `batch` instances each, whose answer must report all of them stored."""
    asks = []
    for start in range(0, len(instances), batch):
        group = instances[start : start + batch]
        body, content_type = multipart_body(instance.file() for instance in group)
        request = Request("/studies", DICOM_JSON, "POST", content_type, body, keep=True)
        uids = frozenset(instance.sop_uid for instance in group)
        asks.append(Ask(request, all_stored(uids), units=len(group)))
    return asks


def all_stored(sop_uids: frozenset[str]) -> Callable[[Answer], None]:
    """A check that the Referenced SOP Sequence has all these SOP Instance UIDs (PS3.18 I.2).

    The status may be 202 for a warning about an instance that was stored all the same.
    """

    def check(answer: Answer) -> None:
        if answer.status not in (200, 202):
            raise AnswerError(f"store: status {answer.status}: {bytes(answer.body[:300])!r}")
        stored = json.loads(answer.body).get("00081199", {}).get("Value", ())
        missing = sop_uids - {each["00081155"]["Value"][0] for each in stored}
        if missing:
            raise AnswerError(f"store: {len(missing)} of {len(sop_uids)} not stored")

    return check


def _answer_of(least: int, most: int, what: str) -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        if answer.status != 200 or not least <= answer.length <= most:
            raise AnswerError(f"{what}: status {answer.status}, {answer.length} bytes")

    return check


def _list_of(expected: int, tag: bytes, what: str) -> Callable[[Answer], None]:
    key = b'"' + tag + b'"'

    def check(answer: Answer) -> None:
        # Counting a tag that each result has once costs a hundredth of parsing the JSON.
        if answer.status != 200 or answer.body.count(key) != expected:
            found = answer.body.count(key)
            raise AnswerError(f"{what}: status {answer.status}, {found} results of {expected}")

    return check


def _path(instance: Instance) -> str:
    series = f"/studies/{instance.study_uid}/series/{instance.series_uid}"
    return f"{series}/instances/{instance.sop_uid}"


def frame_ask(instance: Instance, *, keep: bool = False) -> Ask:
    """The one frame, uncompressed."""
    size = 2 * instance.rows * instance.columns
    request = Request(f"{_path(instance)}/frames/1", FRAMES, keep=keep)
    return Ask(request, _answer_of(size, size + PART_OVERHEAD, "frame"))


def instance_ask(instance: Instance, *, keep: bool = False) -> Ask:
    """The instance as it was stored."""
    size = 2 * instance.rows * instance.columns
    # A server may write the header anew, so that its length is not known to the byte.
    check = _answer_of(size + 2048, size + (64 << 10), "instance")
    return Ask(Request(_path(instance), INSTANCES, keep=keep), check)


def rendered_ask(instance: Instance, window: str = "") -> Ask:
    """The instance as a JPEG, in its own window or in `window`."""
    query = f"?window={window}" if window else ""
    request = Request(f"{_path(instance)}/rendered{query}", "image/jpeg")
    return Ask(request, _answer_of(2048, 1 << 20, "rendered"))


def metadata_ask(series: Sequence[Instance]) -> Ask:
    """The metadata of all instances of one series."""
    path = f"/studies/{series[0].study_uid}/series/{series[0].series_uid}/metadata"
    check = _list_of(len(series), b"00080018", "series metadata")
    return Ask(Request(path, DICOM_JSON, keep=True), check)


def studies_ask() -> Ask:
    """The first page of all studies, as a worklist asks for it."""
    check = _list_of(STUDIES_LISTED, b"0020000D", "search for studies")
    return Ask(Request(f"/studies?limit={STUDIES_LISTED}", DICOM_JSON, keep=True), check)


def instances_ask(series: Sequence[Stored]) -> Ask:
    """All instances of one series, as a search lists them."""
    path = f"/studies/{series[0].study_uid}/series/{series[0].series_uid}/instances"
    check = _list_of(len(series), b"00080018", "search for what was stored")
    return Ask(Request(f"{path}?limit={len(series) + 1}", DICOM_JSON, keep=True), check)


def _random_order(corpus: Corpus, ask: Callable[[Instance], Ask]) -> Callable[[], Iterator[Ask]]:
    def asks() -> Iterator[Ask]:
        order = random.Random(1)
        while True:
            for instance in order.sample(corpus.slices, len(corpus.slices)):
                yield ask(instance)

    return asks


def _again(ask: Ask) -> Callable[[], Iterator[Ask]]:
    def asks() -> Iterator[Ask]:
        while True:
            yield ask

    return asks


def read_items(corpus: Corpus) -> list[Item]:
    """The items that read what `Corpus.store` has stored."""
    windows = iter(range(1, 1 << 30))

    def new_window(instance: Instance) -> Ask:
        return rendered_ask(instance, f"{40 + next(windows) / 1000:.3f},400,linear")

    frames = _random_order(corpus, frame_ask)
    return [
        Item(
            f"metadata of a series of {SERIES_LENGTH}, warm",
            1,
            _again(metadata_ask(corpus.slices[:SERIES_LENGTH])),
            "bytes",
            (Goal("p50_ms", 10),),
        ),
        Item("frame 0.5 MB, 1 connection", 1, frames, "files"),
        Item("frame 0.5 MB, 8 connections", 8, frames, "files", (Goal("rate", 1000),)),
        Item("instance 0.5 MB, 8 connections", 8, _random_order(corpus, instance_ask), "files"),
        Item(f"QIDO studies, limit {STUDIES_LISTED}", 1, _again(studies_ask()), "bytes"),
        Item("rendered JPEG, 8 connections", 8, _random_order(corpus, rendered_ask), "jpeg"),
        Item("the same, each in a new window", 8, _random_order(corpus, new_window), "jpeg"),
    ]
