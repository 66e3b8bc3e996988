"""Results that are kept are bounded by bytes, and what is used stays longer."""

from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.wire.written_results import WrittenResults

LIMIT = 1 << 20
keys = st.integers(0, 400)


@given(st.lists(st.tuples(keys, st.integers(0, 20_000)), max_size=300))
def test_what_is_there_is_what_was_put_and_is_bounded(puts: list[tuple[int, int]]) -> None:
    results = WrittenResults(LIMIT)
    newest: dict[int, bytes] = {}
    for key, length in puts:
        kept = results.get(key)
        assert kept is None or kept == newest[key]
        if kept is None:
            newest[key] = b"x" * length
            results.put(key, newest[key], documents=100)
        assert results.size <= LIMIT


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    results = WrittenResults(LIMIT)
    results.put("used", b"x", documents=0)
    results.put("unused", b"x", documents=0)
    for number in range(2000):
        results.put(number, b"x" * 1000, documents=0)
        assert results.get("used") == b"x"
    assert results.get("unused") is None
    assert results.get(1999) is not None


def test_one_that_takes_the_room_of_many_is_not_kept() -> None:
    results = WrittenResults(LIMIT)
    results.put("long", b"x" * 20_000, documents=0)
    assert results.get("long") is None
