"""What one run measures, and the data that it makes for that from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from conformance.benchmark.goals import S3
from conformance.benchmark.items import Item as StoreItem
from conformance.benchmark.mixed.ward import Ward
from conformance.benchmark.public.searching import Register
from conformance.benchmark.public.size import Size
from conformance.benchmark.render.images import Kind, all_kinds
from conformance.benchmark.render.items import Item as RenderItem
from conformance.benchmark.render.items import all_items as all_render_items
from conformance.benchmark.render.items import chosen as chosen_renders
from conformance.benchmark.retrieve.items import Item as RetrieveItem
from conformance.benchmark.retrieve.items import all_items as all_retrieve_items
from conformance.benchmark.retrieve.items import chosen as chosen_retrieves
from conformance.benchmark.retrieve.shelf import Shelf
from conformance.benchmark.stores import row_items, store_items

PARTS = ("store", "retrieve", "search", "archive", "rendered", "mixed", "memory")
SEEDS = 100_000  # from one run's first to the next one's
LONG = 1000  # slices of the series that the goals for a long one are for


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, on which data. All bytes follow from the `seed`."""

    size: Size
    seed: int
    parts: Sequence[str] = PARTS
    orthanc: bool = True

    def seeds(self, offset: int) -> int:
        """Where the seeds of one part begin."""
        return self.seed * SEEDS + offset

    def shelf(self) -> Shelf:
        """What is retrieved."""
        return Shelf(self.seeds(0), self.size.slices)

    def kinds(self) -> dict[str, Kind]:
        """What is rendered."""
        return all_kinds(self.seeds(10_000), self.size.rendered)

    def register(self) -> Register:
        """What is searched."""
        return Register(self.seeds(20_000), self.size.searched)

    def ward(self) -> Ward:
        """What viewers open."""
        studies, length = self.size.wards
        return Ward(self.seeds(30_000), studies, length, listed=self.size.listed)

    def store_items(self) -> list[StoreItem]:
        """The items of storing."""
        items = store_items(count(self.seeds(40_000)), times=self.size.store_times) + row_items()
        keys = self.size.stores
        return [item for item in items if not keys or item.name.startswith(keys)]

    def retrieve_items(self, shelf: Shelf) -> list[RetrieveItem]:
        """The items of retrieving; of a short long series without the goals for a long one."""
        items = chosen_retrieves(all_retrieve_items(shelf), self.size.retrieves)
        return [_judged(item, long=self.size.slices == LONG) for item in items]

    def render_items(self, kinds: dict[str, Kind]) -> list[RenderItem]:
        """The items of rendering."""
        return chosen_renders(all_render_items(kinds), self.size.renders)


def _judged(item: RetrieveItem, *, long: bool) -> RetrieveItem:
    """The item with the goals that can be judged: none of a far bucket, which is not measured
    here, and if the series is not `long`, no latency of one.
    """
    goals = [goal for goal in item.goals if goal.label != S3]
    if not long and (item.needs == {"long"} or item.key.startswith("stored-1000")):
        goals = [goal for goal in goals if goal.measure != "p50_ms"]
    return replace(item, goals=tuple(goals))
