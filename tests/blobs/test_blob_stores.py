"""The contract that every blob store keeps."""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb_server.blobs import filesystem
from dicomweb_server.blobs.filesystem import CHUNK, FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged, BlobMissing, BlobStore

KEY = "default/1.2.3/1.2.3.4/1.2.3.4.5~a.dcm"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[BlobStore]:
    blobs = FilesystemBlobs(tmp_path / "blobs")
    yield blobs
    blobs.close()


def staged(tmp_path: Path, data: bytes, name: str = "staged") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


async def test_what_was_put_is_read_back(store: BlobStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10
    source = staged(tmp_path, data)

    assert await store.put_many([(source, KEY)]) == [None]

    assert not source.exists()
    assert await store.read(KEY, 0, len(data)) == data
    assert await store.read(KEY, 250, 10) == data[250:260]
    assert (await store.local(KEY)).read_bytes() == data
    assert await store.keys() == [KEY]


async def test_a_stream_gives_a_range_in_chunks(store: BlobStore, tmp_path: Path) -> None:
    data = b"".join(n.to_bytes(4, "big") for n in range(CHUNK))
    await store.put_many([(staged(tmp_path, data), KEY)])

    chunks = [chunk async for chunk in store.stream(KEY, 10, len(data) - 30)]

    assert b"".join(chunks) == data[10:-20]
    assert max(map(len, chunks)) <= CHUNK


async def test_a_blob_that_is_not_there_is_missing(store: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await store.read(KEY, 0, 1)
    with pytest.raises(BlobMissing):
        await store.local(KEY)
    with pytest.raises(BlobMissing):
        await anext(store.stream(KEY, 0, 1))


async def test_a_range_past_the_end_is_damage_not_a_short_answer(
    store: BlobStore, tmp_path: Path
) -> None:
    await store.put_many([(staged(tmp_path, b"12345"), KEY)])

    with pytest.raises(BlobDamaged):
        await store.read(KEY, 3, 3)
    with pytest.raises(BlobDamaged):
        [chunk async for chunk in store.stream(KEY, 3, 3)]


async def test_deleted_blobs_are_gone(store: FilesystemBlobs, tmp_path: Path) -> None:
    other = KEY.replace("~a", "~b")
    await store.put_many([(staged(tmp_path, b"a", "a"), KEY), (staged(tmp_path, b"b", "b"), other)])

    await store.delete([KEY, "default/9/9/not-there.dcm"])
    assert await store.keys() == [other]

    await store.delete([other])
    assert await store.keys() == []


async def test_one_that_cannot_be_put_does_not_harm_the_others(
    store: BlobStore, tmp_path: Path
) -> None:
    good = staged(tmp_path, b"good")

    first, second = await store.put_many([(tmp_path / "missing", "default/1/1/x.dcm"), (good, KEY)])

    assert first is not None
    assert second is None
    assert await store.keys() == [KEY]


async def test_a_blob_whose_folder_cannot_be_flushed_is_not_stored(
    store: FilesystemBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = staged(tmp_path, b"data")

    def full(path: Path) -> None:
        raise OSError(errno.EIO, "flush failed")

    monkeypatch.setattr(filesystem, "_flush_folder", full)
    [error] = await store.put_many([(source, KEY)])

    assert error is not None
    assert source.read_bytes() == b"data"
    assert await store.keys() == []


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were flushed, in order."""
    folders: list[Path] = []
    flush = filesystem._flush_folder

    def note(path: Path) -> None:
        flush(path)
        folders.append(path)

    monkeypatch.setattr(filesystem, "_flush_folder", note)
    return folders


CHAIN = ["default/1.2.3/1.2.3.4", "default/1.2.3", "default", "."]


async def test_every_new_folder_is_flushed_once(
    store: FilesystemBlobs, tmp_path: Path, flushed: list[Path]
) -> None:
    await store.put_many([(staged(tmp_path, b"x", n), f"{CHAIN[0]}/{n}.dcm") for n in "ab"])
    assert sorted(flushed) == sorted(store.root / folder for folder in CHAIN)

    flushed.clear()
    await store.put_many([(staged(tmp_path, b"x"), f"{CHAIN[0]}/c.dcm")])
    assert flushed == [store.root / CHAIN[0]]


async def test_a_folder_made_by_another_thread_is_durable_only_once_it_is_flushed(
    store: FilesystemBlobs, tmp_path: Path, flushed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_flushes, go_on = threading.Event(), threading.Event()
    flush = filesystem._flush_folder
    first = [True]

    def slow(path: Path) -> None:
        if first:
            first.clear()
            first_flushes.set()
            assert go_on.wait(10)
        flush(path)

    monkeypatch.setattr(filesystem, "_flush_folder", slow)
    slow_put = asyncio.create_task(store.put_many([(staged(tmp_path, b"x", "a"), KEY)]))
    await asyncio.to_thread(first_flushes.wait, 10)

    await store.put_many([(staged(tmp_path, b"x", "b"), KEY.replace("~a", "~b"))])

    assert sorted(flushed) == sorted(store.root / folder for folder in CHAIN)
    go_on.set()
    assert await slow_put == [None]


async def test_folders_that_somebody_removed_are_flushed_again(
    store: FilesystemBlobs, tmp_path: Path, flushed: list[Path]
) -> None:
    await store.put_many([(staged(tmp_path, b"x"), KEY)])
    shutil.rmtree(store.root / "default")
    flushed.clear()

    assert await store.put_many([(staged(tmp_path, b"y"), KEY)]) == [None]

    assert sorted(flushed) == sorted(store.root / folder for folder in CHAIN)


async def test_a_file_being_opened_for_one_who_left_is_closed(
    store: FilesystemBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put_many([(staged(tmp_path, b"x"), KEY)])
    begun, go_on = threading.Event(), threading.Event()
    opened: list[int] = []
    open_file = filesystem._open

    def slow(path: str) -> int:
        begun.set()
        assert go_on.wait(10)
        opened.append(open_file(path))
        return opened[0]

    monkeypatch.setattr(filesystem, "_open", slow)
    chunk = asyncio.ensure_future(anext(store.stream(KEY, 0, 1)))
    await asyncio.to_thread(begun.wait, 10)
    chunk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chunk
    go_on.set()
    store.close()  # waits for the thread

    with pytest.raises(OSError, match="descriptor"):
        os.fstat(opened[0])


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
    assert await store.keys() == []


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(1, 3 * CHUNK),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
async def test_any_range_of_any_blob(
    tmp_path_factory: pytest.TempPathFactory, size: int, cut: tuple[float, float]
) -> None:
    folder = tmp_path_factory.mktemp("range")
    blobs = FilesystemBlobs(folder / "blobs")
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    await blobs.put_many([(staged(folder, data), KEY)])
    begin, end = sorted(int(part * size) for part in cut)

    streamed = b"".join([chunk async for chunk in blobs.stream(KEY, begin, end - begin)])

    assert streamed == data[begin:end]
    await blobs.delete([KEY])
    blobs.close()
