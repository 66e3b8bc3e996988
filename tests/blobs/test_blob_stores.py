"""The contract that every blob store keeps."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomweb_server.blobs.store import MAX_CHUNK, BlobDamaged, BlobMissing, BlobStore
from tests.blobs.made import KEY, keys_of, staged

MIB = 1 << 20

per_store = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8
)


async def test_what_was_put_is_read_back(store: BlobStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10
    source = staged(tmp_path, data)

    assert await store.put_many([(source, KEY)]) == [None]

    assert not source.exists()
    assert await store.read(KEY, 0, len(data)) == data
    assert await store.read(KEY, 250, 10) == data[250:260]
    assert await store.read(KEY, len(data) - 1, 1) == data[-1:]
    async with store.local(KEY) as path:
        assert path.read_bytes() == data
    assert await keys_of(store) == [KEY]


@pytest.mark.parametrize("size", [0, 1, 16 * MIB - 1, 16 * MIB, 35 * MIB + 1])
async def test_blobs_of_every_size(store: BlobStore, tmp_path: Path, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    assert await store.put_many([(staged(tmp_path, data), KEY)]) == [None]

    assert b"".join([chunk async for chunk in store.stream(KEY, 0, size)]) == data
    async with store.local(KEY) as path:
        assert path.read_bytes() == data
    [blob] = [blob async for blob in store.list()]
    assert blob.size == size


async def test_a_stream_gives_a_range_in_chunks(store: BlobStore, tmp_path: Path) -> None:
    data = b"".join(n.to_bytes(4, "big") for n in range(MIB + MIB // 2))
    await store.put_many([(staged(tmp_path, data), KEY)])

    chunks = [chunk async for chunk in store.stream(KEY, 10, len(data) - 30)]

    assert b"".join(chunks) == data[10:-20]
    assert max(map(len, chunks)) <= MAX_CHUNK
    assert await store.read(KEY, 10, len(data) - 30) == data[10:-20]


async def test_a_stream_that_nobody_reads_to_its_end_can_be_closed(
    store: BlobStore, tmp_path: Path
) -> None:
    await store.put_many([(staged(tmp_path, bytes(8 * MIB)), KEY)])

    stream = store.stream(KEY, 0, 8 * MIB)
    assert await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    reading = asyncio.ensure_future(anext(store.stream(KEY, 0, 8 * MIB)))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await store.read(KEY, 0, 1) == b"\0"


async def test_a_blob_that_is_not_there_is_missing(store: BlobStore) -> None:
    for length in (0, 1):
        with pytest.raises(BlobMissing):
            await store.read(KEY, 0, length)
        with pytest.raises(BlobMissing):
            await anext(store.stream(KEY, 0, length))
    with pytest.raises(BlobMissing):
        async with store.local(KEY):
            pass


@pytest.mark.parametrize(("offset", "length"), [(3, 3), (5, 1), (9, 2), (0, 6), (0, 3 * MIB)])
async def test_a_range_past_the_end_is_damage_not_a_short_answer(
    store: BlobStore, tmp_path: Path, offset: int, length: int
) -> None:
    await store.put_many([(staged(tmp_path, b"12345"), KEY)])

    with pytest.raises(BlobDamaged):
        await store.read(KEY, offset, length)
    with pytest.raises(BlobDamaged):
        [chunk async for chunk in store.stream(KEY, offset, length)]


async def test_deleted_blobs_are_gone(store: BlobStore, tmp_path: Path) -> None:
    other = KEY.replace("~a", "~b")
    await store.put_many([(staged(tmp_path, b"a", "a"), KEY), (staged(tmp_path, b"b", "b"), other)])

    await store.delete([KEY, "default/9/9/not-there.dcm"])
    assert await keys_of(store) == [other]

    await store.delete([other])
    await store.delete([])
    assert await keys_of(store) == []


async def test_more_can_be_deleted_than_one_request_holds(store: BlobStore, tmp_path: Path) -> None:
    await store.put_many([(staged(tmp_path, b"a"), KEY)])

    await store.delete([f"default/9/9/{number}.dcm" for number in range(1001)] + [KEY])

    assert await keys_of(store) == []


async def test_one_that_cannot_be_put_does_not_harm_the_others(
    store: BlobStore, tmp_path: Path
) -> None:
    good = staged(tmp_path, b"good")

    first, second = await store.put_many([(tmp_path / "missing", "default/1/1/x.dcm"), (good, KEY)])

    assert isinstance(first, OSError)
    assert second is None
    assert await keys_of(store) == [KEY]


async def test_a_local_file_is_there_until_the_context_ends(
    store: BlobStore, tmp_path: Path
) -> None:
    await store.put_many([(staged(tmp_path, bytes(3 * MIB)), KEY)])

    with pytest.raises(RuntimeError, match="in the middle"):
        async with store.local(KEY) as first, store.local(KEY) as second:
            assert first.stat().st_size == second.stat().st_size == 3 * MIB
            raise RuntimeError("in the middle")

    assert await keys_of(store) == [KEY]
    itself = Path(KEY).name  # else it is a download, which goes
    assert [path.exists() for path in (first, second)] == [first.name == itself] * 2
    async with store.local(KEY) as path:
        assert path.stat().st_size == 3 * MIB


async def test_storing_and_deleting_in_one_folder_at_a_time(
    store: BlobStore, tmp_path: Path
) -> None:
    async def one(number: int) -> None:
        key = f"default/1/1/{number}.dcm"
        source = staged(tmp_path, b"x", str(number))
        assert await store.put_many([(source, key)]) == [None]
        assert await store.read(key, 0, 1) == b"x"
        await store.delete([key])

    for _ in range(5):
        await asyncio.gather(*(one(number) for number in range(16)))
    assert await keys_of(store) == []


async def test_a_listing_tells_size_and_time(store: BlobStore, tmp_path: Path) -> None:
    await store.put_many([(staged(tmp_path, b"12345"), KEY)])

    [blob] = [blob async for blob in store.list()]

    assert (blob.key, blob.size) == (KEY, 5)
    assert blob.modified.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - blob.modified) < timedelta(minutes=1)


async def test_a_listing_goes_on_over_its_pages(store: BlobStore, tmp_path: Path) -> None:
    keys = [f"default/1.2/{n // 100}/{n:04}.dcm" for n in range(1040)]
    assert set(
        await store.put_many([(staged(tmp_path, b"", f"s{n}"), key) for n, key in enumerate(keys)])
    ) == {None}

    assert await keys_of(store) == sorted(keys)
    assert await keys_of(store, after=keys[17]) == sorted(key for key in keys if key > keys[17])
    assert await keys_of(store, "default/1.2/3/") == keys[300:400]
    assert await keys_of(store, "default/1.2/3/", keys[397]) == keys[398:400]


names = st.text("0123.~-+ü/".replace("/", ""), min_size=1, max_size=3).filter(
    lambda name: set(name) != {"."}
)
trees = st.recursive(
    st.none(), lambda below: st.dictionaries(names, below, min_size=1, max_size=4), max_leaves=12
).filter(lambda tree: tree is not None)


def keys_in(tree: dict[str, object], above: str = "") -> list[str]:
    found = []
    for name, below in tree.items():
        if isinstance(below, dict):
            found += keys_in(below, f"{above}{name}/")
        else:
            found.append(above + name)
    return found


@per_store
@given(tree=trees, data=st.data())
async def test_any_listing_is_in_the_order_of_keys(
    new_store: Callable[[], BlobStore],
    tmp_path: Path,
    tree: dict[str, object],
    data: st.DataObject,
) -> None:
    store = new_store()
    keys = sorted(keys_in(tree), key=str.encode)
    somewhere = st.sampled_from(keys).flatmap(
        lambda key: st.integers(0, len(key)).map(lambda cut: key[:cut])
    )
    prefix = data.draw(somewhere)
    after = data.draw(somewhere)

    errors = await store.put_many(
        [(staged(tmp_path, b"", f"s{n}"), key) for n, key in enumerate(keys)]
    )

    assert errors == [None] * len(keys)
    assert await keys_of(store, prefix, after) == [
        key for key in keys if key.startswith(prefix) and key.encode() > after.encode()
    ]


@per_store
@given(size=st.integers(1, 3 * MIB), cut=st.tuples(st.floats(0, 1), st.floats(0, 1)))
async def test_any_range_of_any_blob(
    new_store: Callable[[], BlobStore], tmp_path: Path, size: int, cut: tuple[float, float]
) -> None:
    store = new_store()
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    await store.put_many([(staged(tmp_path, data), KEY)])
    begin, end = sorted(int(part * size) for part in cut)

    streamed = b"".join([chunk async for chunk in store.stream(KEY, begin, end - begin)])

    assert streamed == data[begin:end]
    assert await store.read(KEY, begin, end - begin) == data[begin:end]


async def test_a_store_that_works_passes_its_check(store: BlobStore) -> None:
    await store.check()
