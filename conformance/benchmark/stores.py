"""What is measured of storing (STOW-RS): new instances, from one sender or many at once.

Every round sends instances that nobody has sent before, and all servers of a round get the
same. The requests are made before the clock starts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from conformance.benchmark.client import Address, ask_once
from conformance.benchmark.goals import ORTHANC, Goal
from conformance.benchmark.items import Item, Stored, instances_ask, store_asks
from conformance.benchmark.load import Ask
from tests.make import small_image, study_of, uid

FRAMES = 200
"""Of 512 × 512 pixels of 16 bits in the large instance: 105 MB."""

EIGHT_STUDIES = "STOW CT, 8 clients × 10 into eight studies"

Senders = Sequence[Sequence[Stored]]
"""The instances of each sender, in the order in which it sends them."""


@dataclass(frozen=True, slots=True)
class MultiFrame:
    """A native multi-frame instance of random pixels, in a study of its own."""

    seed: int
    frames: int = FRAMES

    @property
    def study_uid(self) -> str:
        return uid("multi-frame study", self.seed)

    @property
    def series_uid(self) -> str:
        return uid("multi-frame series", self.seed)

    @property
    def sop_uid(self) -> str:
        return uid("multi-frame", self.seed)

    def file(self) -> bytes:
        """The PS3.10 file."""
        return small_image(
            frames=self.frames,
            rows=512,
            columns=512,
            seed=self.seed,
            StudyInstanceUID=self.study_uid,
            SeriesInstanceUID=self.series_uid,
            SOPInstanceUID=self.sop_uid,
        )


def own_studies(
    clients: int, share: int, seeds: Iterator[int], *, size: int = 512
) -> list[list[Stored]]:
    """A study of `share` CT slices of `size` × `size` pixels for each sender."""
    return [
        list[Stored](study_of(1, share, seed=next(seeds), rows=size, columns=size))
        for _ in range(clients)
    ]


def one_study(clients: int, share: int, seeds: Iterator[int]) -> list[list[Stored]]:
    """One study with one series, of which each sender has `share` slices."""
    study = study_of(1, clients * share, seed=next(seeds))
    return [list[Stored](study[first::clients]) for first in range(clients)]


def store_item(
    name: str,
    batch: int,
    senders: Callable[[], Senders],
    example: Callable[[], bytes],
    *goals: Goal,
    clients: int,
) -> Item:
    """Store what `senders` gives, `batch` instances a request; see that a search finds them."""
    sent: list[Stored] = []

    def asks() -> list[Ask]:
        shares = senders()
        sent[:] = [instance for share in shares for instance in share]
        lists = [store_asks(share, batch=batch) for share in shares]
        return [ask for at_once in zip(*lists, strict=True) for ask in at_once]

    async def verify(server: Address) -> None:
        series: dict[str, list[Stored]] = {}
        for instance in sent:
            series.setdefault(instance.series_uid, []).append(instance)
        for each in series.values():
            ask = instances_ask(each)
            ask.check(await ask_once(server, ask.request))

    return Item(
        name,
        clients,
        asks,
        "writes",
        goals,
        unit="inst",
        finite=True,
        verify=verify,
        example=example,
    )


def store_items(seeds: Iterator[int], *, times: int) -> list[Item]:
    """All items of storing; `times` makes a round longer. `seeds` gives one to each study."""

    def slice_of(size: int) -> Callable[[], bytes]:
        return lambda: study_of(1, 1, rows=size, columns=size)[0].file()

    ct = slice_of(512)
    return [
        store_item(
            "STOW CT, 4 clients × 10",
            10,
            lambda: own_studies(4, 60 * times, seeds),
            ct,
            Goal("cpu_ms", 2),
            Goal("times_peer", 3, beside=ORTHANC),
            Goal("rate", 800),
            clients=4,
        ),
        store_item(
            "STOW CT, 4 clients × 1", 1, lambda: own_studies(4, 30 * times, seeds), ct, clients=4
        ),
        store_item(
            "STOW CT, one at a time",
            1,
            lambda: own_studies(1, 60 * times, seeds),
            ct,
            Goal("times_peer", 1.5, beside=ORTHANC),
            clients=1,
        ),
        store_item(EIGHT_STUDIES, 10, lambda: own_studies(8, 30 * times, seeds), ct, clients=8),
        store_item(
            "STOW CT, 8 clients × 10 into one study",
            10,
            lambda: one_study(8, 30 * times, seeds),
            ct,
            Goal("times_item", 1, beside=EIGHT_STUDIES),
            clients=8,
        ),
        store_item(
            f"STOW multi-frame of {FRAMES} frames, 105 MB",
            1,
            lambda: [[MultiFrame(next(seeds)) for _ in range(2 * times)]],
            MultiFrame(0).file,
            Goal("times_peer", 2, beside=ORTHANC),
            clients=1,
        ),
        store_item(
            "STOW tiny, 4 clients × 50",
            50,
            lambda: own_studies(4, 100 * times, seeds, size=8),
            slice_of(8),
            clients=4,
        ),
    ]


def row_items() -> list[Item]:
    """What Postgres alone allows: no server is asked."""
    return [
        Item(f"rows in Postgres, {clients} × 10 a commit", clients, None, "rows", unit="rows")
        for clients in (1, 4)
    ]
