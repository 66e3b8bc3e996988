"""What is measured, and what is to be reached."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from conformance.benchmark.goals import NGINX, ORTHANC, OURS, S3, Goal
from conformance.benchmark.items import STUDIES_LISTED
from conformance.benchmark.retrieve.measure import (
    FirstSteps,
    JustStored,
    Started,
    Steady,
    Steps,
    StepsAfterStore,
    Way,
)
from conformance.benchmark.retrieve.shelf import Part, Shelf
from conformance.benchmark.retrieve.wanted import (
    Wanted,
    frame_of,
    frames_of,
    instance_of,
    metadata_of,
    middle_out,
    series_of,
    series_search,
    study_search,
    worklist,
)
from tests.make import Instance

RSS = Goal("rss_mb", 250)
# As much as is read at random; Debian's Orthanc takes half a second for one frame of 200.
INSTANCES, FRAMES, LISTS = 300, 40, 15


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the table. `key` is what ``--only`` chooses it by, `needs` what it reads.

    `on_s3`: it is measured on our server with a far bucket too.
    """

    key: str
    name: str
    way: Way
    needs: Collection[Part]
    goals: tuple[Goal, ...] = ()
    unit: str = "req"
    on_s3: bool = False
    newest: str = ""
    """What the newest Orthanc took on another day and another machine, to be seen beside."""


def chosen(items: Sequence[Item], keys: Sequence[str]) -> list[Item]:
    """The items whose keys begin with one of `keys`; all if there are none.

    Raises ValueError for a key that chooses none.
    """
    for key in keys:
        if not any(item.key.startswith(key) for item in items):
            known = ", ".join(item.key for item in items)
            raise ValueError(f"no item {key}: choose of {known}")
    return [item for item in items if not keys or item.key.startswith(tuple(keys))]


def metadata_items(shelf: Shelf) -> list[Item]:
    """Metadata of a series: warm, right after the series was stored."""
    short, long = (metadata_of(series) for series in (shelf.short, shelf.long))
    packed = metadata_of(shelf.long, coding="gzip")
    many, soon = shelf.long_length, Goal("p50_ms", 10)

    def just_stored(length: int, coding: str = "") -> JustStored:
        return JustStored(shelf, length, coding)

    return [
        Item(
            "metadata-100",
            "metadata of 100, warm",
            Steady([short], 1),
            {"short"},
            newest="9.0 ms",
        ),
        Item(
            "metadata-1000",
            f"metadata of {many:,}, warm",
            Steady([long], 1),
            {"long"},
            (soon, RSS),
            newest="41 ms",
        ),
        Item(
            "metadata-1000-gzip",
            f"metadata of {many:,}, warm, gzip",
            Steady([packed], 1),
            {"long"},
            (soon, RSS),
        ),
        Item(
            "stored-100",
            "metadata of 100, just stored",
            just_stored(100),
            (),
            newest="167 ms",
        ),
        Item(
            "stored-1000",
            f"metadata of {many:,}, just stored",
            just_stored(many),
            (),
            (soon,),
            newest="3,900 ms",
        ),
        Item(
            "stored-1000-gzip",
            f"metadata of {many:,}, just stored, gzip",
            just_stored(many, "gzip"),
            (),
            (soon,),
        ),
    ]


def start_items(shelf: Shelf) -> list[Item]:
    """What a server has to do first."""
    short, long = metadata_of(shelf.short), metadata_of(shelf.long)
    many = shelf.long_length
    return [
        Item(
            "started-100",
            "metadata of 100, first after a start",
            Started([short]),
            {"short"},
        ),
        Item(
            "started-1000",
            f"metadata of {many:,}, first after a start",
            Started([long]),
            {"long"},
            (RSS,),
        ),
    ]


def frame_items(shelf: Shelf) -> list[Item]:
    """Frames, instances, a series, and a large multi-frame instance."""
    order = random.Random(1)
    slices = order.sample(shelf.long, len(shelf.long))
    frames = [frame_of(each) for each in slices]
    instances = [instance_of(each) for each in slices[:INSTANCES]]
    beside = (Goal("times_peer", 6, beside=ORTHANC), Goal("times_peer", 0.4, beside=NGINX))
    whole = (Goal("times_peer", 2, beside=ORTHANC), Goal("times_peer", 0.4, beside=NGINX), RSS)
    series = [series_of(shelf.short)]
    numbers = range(1, shelf.multi_frame.frames + 1)
    singles = [frames_of(shelf.multi_frame, [number]) for number in order.sample(numbers, FRAMES)]
    lists = [frames_of(shelf.multi_frame, order.sample(numbers, 10)) for _ in range(LISTS)]
    one = "one frame of 200, 1 connection"
    return [
        Item(
            "frame-1",
            "frame 0.5 MB, 1 connection",
            Steady(frames, 1),
            {"long"},
            newest="270 req/s",
        ),
        Item(
            "frame-8",
            "frame 0.5 MB, 8 connections",
            Steady(frames, 8),
            {"long"},
            (*beside, Goal("cpu_ms", 0.45), RSS),
            newest="573 req/s, CPU 2.7 ms",
        ),
        Item(
            "frame-32",
            "frame 0.5 MB, 32 connections",
            Steady(frames, 32),
            {"long"},
            (RSS,),
            newest="541 req/s",
        ),
        Item(
            "instance-8",
            "instance 0.5 MB, 8 connections",
            Steady(instances, 8),
            {"long"},
            (RSS,),
            newest="423 req/s",
        ),
        Item(
            "series-1",
            "series of 100, 1 connection",
            Steady(series, 1),
            {"short"},
            whole,
            newest="425 MB/s",
        ),
        Item(
            "series-4",
            "series of 100, 4 connections",
            Steady(series, 4),
            {"short"},
            whole,
            newest="824 MB/s",
        ),
        Item(
            "multiframe-1",
            one,
            Steady(singles, 1),
            {"multi-frame"},
            newest="443 req/s",
        ),
        Item(
            "multiframe-8",
            "one frame of 200, 8 connections",
            Steady(singles, 8),
            {"multi-frame"},
            (RSS,),
            newest="1,030 req/s",
        ),
        Item(
            "multiframe-list",
            "ten frames of 200, 1 connection",
            Steady(lists, 1),
            {"multi-frame"},
            (Goal("p50_times_item", 2, beside=one), RSS),
            newest="245 ms",
        ),
    ]


def viewer_items(shelf: Shelf) -> list[Item]:
    """What a viewer does, step by step."""
    short, long = shelf.short, shelf.long
    first: list[list[Wanted]] = [[metadata_of(short)], [frame_of(short[0])]]

    def opening_of(series: Sequence[Instance]) -> list[list[Wanted]]:
        asked = [study_search(series[0]), series_search(series[0]), metadata_of(series)]
        frames = [frame_of(series[number]) for number in middle_out(len(series))]
        return [*([each] for each in asked), frames]

    opening = opening_of(long)
    on_s3 = Goal("times_peer", 0.5, label=S3, beside=OURS), Goal("rss_mb", 250, label=S3)
    listed: list[list[Wanted]] = [[worklist(STUDIES_LISTED)], [series_search(short[0])]]
    return [
        Item(
            "first-frame",
            "first frame: metadata of 100, frame",
            Steps(first, 1),
            {"short"},
            unit="times",
            newest="23 ms",
        ),
        Item(
            "first-image",
            "first image: worklist, series, metadata of 100, frame",
            Steps([*listed, *first], 1),
            {"short", "worklist"},
            (Goal("p50_ms", 15),),
            unit="times",
            newest="74 ms",
        ),
        Item(
            "open",
            f"opening a CT of {len(long):,} slices, 8 connections",
            Steps(opening, 8),
            {"long"},
            (Goal("p50_ms", 900), RSS, *on_s3),
            unit="times",
            on_s3=True,
            newest="3,500 ms",
        ),
        Item(
            "open-first",
            f"opening a CT of {len(long):,} slices, first after a start",
            FirstSteps(opening, 8),
            {"long"},
            on_s3,
            unit="times",
            on_s3=True,
        ),
        Item(
            "open-stored",
            f"opening a CT of {len(long):,} slices, just stored",
            StepsAfterStore(shelf, 8, opening_of),
            (),
            on_s3,
            unit="times",
            on_s3=True,
        ),
    ]


def all_items(shelf: Shelf) -> list[Item]:
    """All of them, in the order of the table."""
    return [
        *metadata_items(shelf),
        *frame_items(shelf),
        *viewer_items(shelf),
        *start_items(shelf),
    ]
