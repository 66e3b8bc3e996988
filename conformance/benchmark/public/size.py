"""How much is measured: in about a quarter of an hour, or in some minutes."""

from dataclasses import dataclass, field

from conformance.benchmark.items import STUDIES_LISTED
from conformance.benchmark.mixed.run import Crowd
from conformance.benchmark.stores import EIGHT_STUDIES, FRAMES


@dataclass(frozen=True, slots=True)
class Size:
    """One choice. Keys are what those of items begin with; none choose all."""

    rounds: int = 3
    seconds: float = 0.6
    stores: tuple[str, ...] = ()
    store_times: int = 1  # how long a round of storing is
    slices: int = 1000  # of the long series
    retrieves: tuple[str, ...] = (
        "metadata-100",
        "stored-1000",
        "frame-1",
        "frame-8",
        "instance-8",
        "series-4",
        "multiframe-8",
        "first-image",
        "open",
    )
    searched: int = 1000  # studies, and instances of a series, that are searched on every server
    archived: int = 100_000  # studies of a large archive, which only ours can be filled with
    whole: int = 10_000  # of those, all that lies below them too
    renders: tuple[str, ...] = ()
    rendered: int = 100  # slices of the CT
    wards: tuple[int, int] = (16, 60)  # studies that viewers open, and slices of each
    listed: int = STUDIES_LISTED  # on the page that they choose from
    crowd: Crowd = field(default_factory=lambda: Crowd(seconds=15.0))
    crowds: int = 2  # rounds of them
    upload: int = 10**9  # bytes of the one large part
    parts: int = 1000


WHOLE = Size()
QUICK = Size(
    rounds=2,
    seconds=0.4,
    stores=(
        "STOW CT, 4 clients × 10",
        "STOW CT, one at a time",
        EIGHT_STUDIES,
        "STOW CT, 8 clients × 10 into one study",
        f"STOW multi-frame of {FRAMES}",
        "rows",
    ),
    store_times=1,
    slices=200,
    retrieves=(
        "metadata-1000",
        "stored-1000",
        "frame-8",
        "instance-8",
        "multiframe-8",
        "first-image",
        "open",
    ),
    searched=300,
    archived=0,
    renders=("ct-", "cached-8", "viewport-8", "us-8", "j2k-8", "thumbnail-8"),
    rendered=40,
    wards=(8, 40),
    crowd=Crowd(seconds=8.0),
    crowds=1,
    upload=2 * 10**8,
    parts=500,
)
TINY = Size(
    rounds=1,
    seconds=0.02,
    stores=("STOW CT, one at a time", "rows in Postgres, 1 "),
    store_times=1,
    slices=4,
    retrieves=("frame-8",),
    searched=4,
    archived=0,
    renders=("ct-1",),
    rendered=2,
    wards=(2, 4),
    listed=4,
    crowd=Crowd(viewers=3, seconds=0.5, interval=0.2),
    crowds=1,
    upload=10**6,
    parts=5,
)
"""To see that all of it works, as a test does."""
