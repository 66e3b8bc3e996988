"""Every target with its seeds and with changes of them: a short run of what ``make fuzz`` does."""

from random import Random

import pytest

from tests.fuzz.seeds import KEPT, seeds_of
from tests.fuzz.targets import TARGETS, run

LONGEST_KEPT = 4096  # bytes
CHANGED = 20  # inputs of each target


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
        run(name, changed(random.choice(seeds), seeds, random))


def test_what_is_kept_is_small_and_of_a_target():
    for path in KEPT.glob("*/*"):
        assert path.parent.name in TARGETS
        assert path.stat().st_size < LONGEST_KEPT, path


def changed(data: bytes, seeds: list[bytes], random: Random) -> bytes:
    """`data` with some bytes set, cut out, doubled, or taken from another seed."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(made) + 1)
        match random.randrange(5):
            case 0:
                made[at : at + 1] = random.randbytes(1)
            case 1:
                made[at : at + random.choice((1, 2, 4))] = random.choice(INTERESTING)
            case 2:
                del made[at : at + random.randint(1, 8)]
            case 3:
                made[at:at] = made[at : at + random.randint(1, 40)]
            case 4:
                other = random.choice(seeds)
                start = random.randrange(len(other) + 1)
                made[at:at] = other[start : start + random.randint(1, 40)]
    return bytes(made)


INTERESTING = [
    b"\0",
    b"\xff",
    b"\x7f\xff",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"9",
    b"-",
]
