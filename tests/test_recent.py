"""What is kept is bounded by bytes, and what is used stays longer."""

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.recent import RecentBytes

LIMIT, LARGEST = 1 << 20, 1 << 14
keys = st.integers(0, 400)


@given(st.lists(st.tuples(keys, st.integers(0, 2 * LARGEST)), max_size=300))
def test_what_is_there_is_what_was_put_last_and_is_bounded(puts: list[tuple[int, int]]) -> None:
    recent = RecentBytes(LIMIT, LARGEST)
    held: dict[int, bytes] = {}
    for key, length in puts:
        made = b"x" * length
        recent.put(key, made, beside=100)
        if length + 100 <= LARGEST:
            held[key] = made
            assert recent.get(key) == made
        assert recent.size <= LIMIT
    found = {key: kept for key in held if (kept := recent.get(key)) is not None}
    assert found == {key: held[key] for key in found}
    assert len(found) == len(recent)
    assert recent.size == sum(len(kept) + 100 for kept in found.values())


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    recent = RecentBytes(LIMIT, LARGEST)
    recent.put("used", b"x")
    recent.put("unused", b"x")
    for number in range(2000):
        recent.put(number, b"x" * 1000)
        assert recent.get("used") == b"x"
    assert recent.get("unused") is None
    assert recent.get(1999) is not None


def test_one_that_takes_the_room_of_many_is_not_kept() -> None:
    recent = RecentBytes(LIMIT, LARGEST)
    recent.put("long", b"x" * (LARGEST + 1))
    recent.put("with a long key", b"x", beside=LARGEST)
    assert len(recent) == 0
