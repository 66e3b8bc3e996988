"""Every target with its seeds and with changes of them: a short run of what ``make fuzz`` does."""

from random import Random

import pytest

from tests.fuzz.changes import changed, changed_bytes
from tests.fuzz.seeds import KEPT, seeds_of
from tests.fuzz.targets import TARGETS, run

LONGEST_KEPT = 4096  # bytes
CHANGED = 60  # inputs of each target


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_kept_are_read_or_refused(name):
    seeds = seeds_of(name)
    assert seeds
    for data in [b"", b"\0", *seeds]:
        run(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_of_seeds_is_read_or_refused(name):
    seeds, random = seeds_of(name), Random(name)
    for _ in range(CHANGED):
        seed = random.choice(seeds)
        run(name, changed_bytes(seed, seeds, random))
        run(name, changed(name, seed, random) or b"")


def test_what_is_kept_is_small_and_of_a_target():
    for path in KEPT.glob("*/*"):
        assert path.parent.name in TARGETS
        assert path.stat().st_size < LONGEST_KEPT, path
