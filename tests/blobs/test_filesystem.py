"""Blobs as plain files: what is durable when, and what threads leave behind."""

import asyncio
import ctypes
import errno
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dicomweb_server.blobs import filesystem
from dicomweb_server.blobs.cached_open import is_local, open_cached
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged, BlobMissing, BlobsUnavailable
from tests.blobs.made import KEY, keys_of, staged


def cannot_tell(path: str) -> None:
    """As ``open_cached``, on a system that has no such thing."""


def can_tell(path: Path) -> bool:
    """Whether this system has what ``open_cached`` needs: openat2, which a container may not be
    allowed, of Linux 5.12."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if sys.platform != "linux" or release is None or (*map(int, release.groups()),) < (5, 12):
        return False
    how = struct.pack("QQQ", os.O_RDONLY, 0, 0)
    descriptor = ctypes.CDLL(None).syscall(437, -100, os.fsencode(path), how, len(how))
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemBlobs]:
    blobs = FilesystemBlobs(tmp_path / "blobs")
    yield blobs
    await blobs.close()


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
    assert await keys_of(store) == []


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
    monkeypatch.setattr(filesystem, "open_cached", cannot_tell)
    chunk = asyncio.ensure_future(anext(store.stream(KEY, 0, 1)))
    await asyncio.to_thread(begun.wait, 10)
    chunk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await chunk
    go_on.set()
    await store.close()  # waits for the thread

    with pytest.raises(OSError, match="descriptor"):
        os.fstat(opened[0])


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_can_be_opened_at_once_or_only_in_a_thread_is_read_alike(
    at_once: bool, store: FilesystemBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older system, or a disk of the network, cannot tell whether it would wait."""
    if not at_once:
        monkeypatch.setattr(filesystem, "open_cached", cannot_tell)
    await store.put_many([(staged(tmp_path, b"abcdef"), KEY)])
    before = open_descriptors()

    assert await store.read(KEY, 2, 3) == b"cde"
    assert b"".join([chunk async for chunk in store.stream(KEY, 1, 5)]) == b"bcdef"
    async with store.local(KEY) as path:
        assert path.read_bytes() == b"abcdef"
    with pytest.raises(BlobMissing):
        await store.read("a/nothing.dcm", 0, 1)
    with pytest.raises(BlobMissing):
        await anext(store.stream("a/nothing.dcm", 0, 1))
    with pytest.raises(BlobMissing):
        async with store.local("a/nothing.dcm"):
            pass
    with pytest.raises(BlobDamaged):
        await store.read(KEY, 4, 3)
    assert open_descriptors() <= before


def test_a_disk_of_this_machine_is_known_as_that(tmp_path: Path) -> None:
    assert not is_local(Path("/proc/self"))  # as any that is not known to open files by itself
    if sys.platform == "linux":
        kind = subprocess.run(
            ["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True
        ).stdout
        known = kind.startswith(("ext", "tmpfs", "xfs", "btrfs", "overlay", "zfs"))
        assert is_local(tmp_path) == known


def test_what_would_be_waited_for_is_not_opened_at_once(tmp_path: Path) -> None:
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_bytes(b"x")
    os.mkfifo(pipe)

    opened = []
    for path in (file, pipe) * 10:  # the kernel may say now and then that it cannot, and is right
        descriptor = open_cached(str(path))
        if descriptor is not None:
            assert not os.get_inheritable(descriptor)
            os.close(descriptor)
            opened.append(path)
    assert (file in opened) == can_tell(file)
    assert open_cached(str(tmp_path / "nothing")) is None


async def test_a_folder_is_listed_in_as_many_looks_as_it_takes(
    store: FilesystemBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = sorted(f"d/{n % 5}/{n}.dcm" for n in range(40)) + [f"e{n}" for n in range(3, 9)]
    await store.put_many([(staged(tmp_path, b"x", f"s{n}"), key) for n, key in enumerate(keys)])
    monkeypatch.setattr(filesystem, "_MOST_NAMES", 3)
    monkeypatch.setattr(filesystem, "_PAGE", 7)

    assert await keys_of(store) == keys


async def test_links_to_folders_are_not_followed(store: FilesystemBlobs, tmp_path: Path) -> None:
    await store.put_many([(staged(tmp_path, b"x"), "a/b.dcm")])
    (store.root / "a" / "circle").symlink_to(store.root)
    (store.root / "a" / "nowhere").symlink_to(tmp_path / "nowhere")
    (store.root / "a" / "file").symlink_to(store.root / "a" / "b.dcm")

    assert await keys_of(store) == ["a/b.dcm", "a/file"]


async def test_a_blob_that_cannot_be_removed_does_not_keep_the_others(
    store: FilesystemBlobs, tmp_path: Path
) -> None:
    await store.put_many([(staged(tmp_path, b"x"), KEY)])
    (store.root / "folder").mkdir()

    with pytest.raises(OSError, match=r"directory|Directory|permitted"):
        await store.delete(["folder", KEY])
    assert await keys_of(store) == []


async def test_a_folder_that_is_gone_cannot_be_used(store: FilesystemBlobs) -> None:
    await store.check()
    shutil.rmtree(store.root)

    with pytest.raises(BlobsUnavailable):
        await store.check()
