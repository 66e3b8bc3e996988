"""Copies of far blobs: read like files, never counted as stored, and never too many."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from dicomweb_server.archive import near_blobs, near_copies
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.expected_blobs import ExpectedBlobs
from dicomweb_server.archive.near_blobs import NearBlobs
from dicomweb_server.archive.near_copies import Copy, name_of
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged, BlobMissing, BlobsUnavailable
from tests.blobs.made import staged
from tests.faulty import Fault, FaultyProxy
from tests.s3 import new_s3_blobs

SIZE = 4000
DATA = bytes(range(250)) * (SIZE // 250)


def key_of(number: int, study: int = 1) -> str:
    return f"default/1.{study}/1.{study}.1/{number}~a.dcm"


class Place:
    """Folders of a far store, and of copies of what is there."""

    def __init__(self, folder: Path, limit: int = 16 << 20) -> None:
        self.far, self.copies, self.tmp = folder / "far", folder / "copies", folder / "tmp"
        self.tmp.mkdir()
        self.limit, self.min_free = limit, 0
        self.made: list[NearBlobs] = []

    def open(self) -> NearBlobs:
        """As another process does."""
        folder = BoundedFolder(self.copies, self.limit, self.min_free)
        far = ExpectedBlobs(FilesystemBlobs(self.far))
        self.made.append(NearBlobs(far, folder, self.tmp))
        return self.made[-1]

    def put_far(self, *keys: str, data: bytes = DATA) -> None:
        """As another server does."""
        for key in keys:
            (self.far / key).parent.mkdir(parents=True, exist_ok=True)
            (self.far / key).write_bytes(data)

    def lose_far(self) -> None:
        shutil.rmtree(self.far)
        self.far.mkdir()

    def copy(self, key: str) -> Path:
        name = name_of(key)
        return self.copies / name[:2] / name

    def cut(self, key: str, size: int) -> None:
        self.copy(key).unlink()  # the far file has the same bytes, here
        self.copy(key).write_bytes(DATA[:size])

    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.copies.glob("*/*"))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    for blobs in made.made:
        await blobs.close()


async def until_there(place: Place, *keys: str) -> None:
    async with asyncio.timeout(10):
        while not all(place.copy(key).exists() for key in keys):
            await asyncio.sleep(0.005)


async def put(blobs: NearBlobs, place: Place, *keys: str, data: bytes = DATA) -> None:
    files = [(staged(place.tmp, data, f"staged-{number}"), key) for number, key in enumerate(keys)]
    assert await blobs.put_many(files) == [None] * len(keys)


async def test_what_was_stored_is_read_here_and_not_counted_as_stored(place: Place) -> None:
    blobs, key = place.open(), key_of(1)
    await put(blobs, place, key)
    place.lose_far()

    for each in (blobs, place.open()):
        assert await each.read(key, 10, 100) == DATA[10:110]
        assert b"".join([chunk async for chunk in each.stream(key, 0, SIZE)]) == DATA
        async with each.local(key) as path:
            place.copy(key).rename(place.tmp / "kept")  # as when it is swept meanwhile
            assert path.read_bytes() == DATA
            (place.tmp / "kept").rename(place.copy(key))
        with pytest.raises(BlobMissing):
            await each.at_rest.read(key, 0, 1)
        assert [blob.key async for blob in each.list()] == []
    assert os.listdir(place.tmp) == []


async def test_what_could_not_be_stored_is_not_here_either(place: Place) -> None:
    blobs = place.open()
    blocked = place.far / "default"
    blocked.write_bytes(b"a file where a folder is needed")
    source = staged(place.tmp, DATA)

    [error] = await blobs.put_many([(source, key_of(1))])

    assert error is not None
    assert source.read_bytes() == DATA
    assert list(place.copies.glob("*/*")) == []
    blocked.unlink()
    assert await blobs.put_many([(source, key_of(1))]) == [None]


async def test_what_is_read_ahead_stays_here(place: Place) -> None:
    keys = [key_of(number) for number in range(30)]
    place.put_far(*keys)
    blobs = place.open()
    blobs.expect([(key, SIZE) for key in keys])
    await until_there(place, *keys)
    place.lose_far()

    another = place.open()
    another.expect([(key, SIZE) for key in keys])
    for key in keys:
        assert await another.read(key, 5, 20) == DATA[5:25]
    assert another._far._coming == {}  # nothing had to come


async def test_copies_of_another_process_are_noticed_after_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put_far(key_of(1))
    blobs, another = place.open(), place.open()
    blobs.follow([(key_of(1), SIZE)])
    while blobs._looking is not None:
        await asyncio.sleep(0.005)
    await another._far.read_whole(key_of(1), SIZE)
    await until_there(place, key_of(1))
    monkeypatch.setattr(near_copies, "ABSENT_SECONDS", 0)
    blobs.expect([(key_of(1), SIZE)])
    while blobs._looking is not None:
        await asyncio.sleep(0.005)
    assert blobs._far._coming == {}
    place.lose_far()
    assert await blobs.read(key_of(1), 0, SIZE) == DATA


async def test_of_a_long_series_the_nearest_are_looked_for_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And on their way before the others have been looked for."""
    monkeypatch.setattr(near_blobs, "_LOOKED_FOR", 10)
    looked: list[list[str]] = []
    coming: list[list[str]] = []
    sizes = NearBlobs._sizes

    def noting(blobs: NearBlobs, copies: Sequence[Copy]) -> list[int | None]:
        looked.append([copy.key for copy in copies])
        coming.append(list(blobs._far._coming))
        return sizes(blobs, copies)

    monkeypatch.setattr(NearBlobs, "_sizes", noting)
    blobs, keys = place.open(), [key_of(number) for number in range(50)]
    place.put_far(*keys)
    blobs.follow([(key, SIZE) for key in keys])
    blobs.expect([(key, SIZE) for key in keys[30:34]])
    while blobs._looking is not None:
        await asyncio.sleep(0.001)
    assert looked[0] == [*keys[30:34], *keys[:6]]
    assert [len(each) for each in looked] == [10] * 5
    assert coming[:2] == [[], keys[30:34]]
    assert blobs._windows == []


async def test_what_is_read_nearly_whole_stays_here_if_its_size_is_known(place: Place) -> None:
    place.put_far(key_of(1), key_of(2), key_of(3))
    blobs = place.open()
    for number, length in ((1, SIZE - 100), (2, 100)):
        blobs._known.of(key_of(number), SIZE)
        assert await blobs.read(key_of(number), 50, length) == DATA[50 : 50 + length]
    assert await blobs.read(key_of(3), 0, SIZE) == DATA
    await until_there(place, key_of(1))
    assert not place.copy(key_of(2)).exists()
    assert not place.copy(key_of(3)).exists()


async def test_no_more_is_kept_than_there_is_room_for(tmp_path: Path) -> None:
    """And what was used last stays."""
    place = Place(tmp_path, limit := 1 << 19)
    blobs, keys = place.open(), [key_of(number) for number in range(250)]
    place.put_far(*keys)
    for start in range(0, 250, 50):
        await put(blobs, place, *(key_of(n, study=2) for n in range(start, start + 50)))
        if start == 0:
            for number in range(50):  # they are old by now
                os.utime(place.copy(key_of(number, study=2)), (0, 0))
        blobs.expect([(key, SIZE) for key in keys[start : start + 50]])
        async with asyncio.timeout(10):
            while blobs._looking or any(key not in blobs._known for key in blobs._far._coming):
                await asyncio.sleep(0.005)
            while blobs._writing or place.bytes() > limit + limit // 16:
                await asyncio.sleep(0.005)
    assert place.bytes() > limit // 2
    assert not any(place.copy(key_of(number, study=2)).exists() for number in range(50))
    assert await blobs.read(key_of(0, study=2), 0, 10) == DATA[:10]  # from afar
    await blobs.close()


async def test_one_larger_than_a_sixteenth_is_not_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, 1 << 20)
    blobs, large = place.open(), bytes(100_000)
    await put(blobs, place, key_of(1), data=large)
    blobs.expect([(key_of(1), len(large))])
    assert await blobs.read(key_of(1), 0, 99_999) == large[:-1]
    await blobs.close()
    assert place.bytes() == 0


async def test_use_keeps_a_copy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_blobs, "_NOTING_SECONDS", 0.01)
    blobs, key = place.open(), key_of(1)
    await put(blobs, place, key)
    before = time.time() - 3600
    os.utime(place.copy(key), (before, before))
    another = place.open()
    await another.read(key, 0, 1)
    async with asyncio.timeout(10):
        while place.copy(key).stat().st_mtime < before + 3000:
            await asyncio.sleep(0.005)


async def test_many_read_while_copies_come_and_go(place: Place) -> None:
    keys = [key_of(number) for number in range(40)]
    place.put_far(*keys)
    readers, done = [place.open(), place.open()], False

    async def look(blobs: NearBlobs, first: int) -> None:
        for number in range(first, first + 80):
            at = number % 40
            blobs.expect([(key, SIZE) for key in keys[at : at + 8]])
            assert await blobs.read(keys[at], 7, SIZE - 20) == DATA[7:-13]
            assert b"".join([c async for c in blobs.stream(keys[at], 1, 900)]) == DATA[1:901]
            async with blobs.local(keys[at]) as path:
                assert path.read_bytes() == DATA

    async def sweep() -> None:
        while not done:
            for path in place.copies.glob("*/*"):
                path.unlink(missing_ok=True)
            await asyncio.sleep(0.002)

    sweeping = asyncio.create_task(sweep())
    await asyncio.gather(*(look(readers[n % 2], 7 * n) for n in range(6)))
    done = True
    await sweeping
    assert os.listdir(place.tmp) == []


async def test_processes_share_copies(place: Place) -> None:
    keys = [key_of(number) for number in range(60)]
    place.put_far(*keys)
    program = f"""
import asyncio
from pathlib import Path
from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.expected_blobs import ExpectedBlobs
from dicomweb_server.archive.near_blobs import NearBlobs
from dicomweb_server.blobs.filesystem import FilesystemBlobs
async def main():
    far = ExpectedBlobs(FilesystemBlobs(Path({str(place.far)!r})))
    folder = BoundedFolder(Path({str(place.copies)!r}), {place.limit})
    blobs, keys, data = NearBlobs(far, folder, Path({str(place.tmp)!r})), {keys!r}, {DATA!r}
    for at in range(0, 60, 4):
        blobs.expect([(key, {SIZE}) for key in keys[at:at + 20]])
        for key in keys[at:at + 4]:
            assert await blobs.read(key, 3, {SIZE} - 5) == data[3:-2]
    while blobs._writing:
        await asyncio.sleep(0.01)
    await blobs.close()
asyncio.run(main())
"""
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [await asyncio.to_thread(process.wait, 60) for process in running] == [0, 0]

    names = {path.name for path in place.copies.glob("*/*")}
    assert names == {name_of(key) for key in keys}
    place.lose_far()
    blobs = place.open()
    for key in keys:
        assert await blobs.read(key, 0, SIZE) == DATA


async def test_who_is_cancelled_while_a_file_gets_another_name_leaves_none(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = place.open()
    await put(blobs, place, key_of(1))
    linking, free, hardlink_to = threading.Event(), threading.Event(), Path.hardlink_to

    def slowly(path: Path, target: Path) -> None:
        linking.set()
        free.wait(10)
        hardlink_to(path, target)

    async def use(key: str) -> None:
        async with blobs.local(key):
            pass

    monkeypatch.setattr(Path, "hardlink_to", slowly)
    source = staged(place.tmp, DATA)
    for work in (use(key_of(1)), blobs.put_many([(source, key_of(2))])):
        linking.clear()
        free.clear()
        task = asyncio.ensure_future(work)
        await asyncio.to_thread(linking.wait, 10)
        task.cancel()
        await asyncio.sleep(0.001)
        free.set()
        await asyncio.wait([task])
        assert task.cancelled()
    await blobs.close()
    assert os.listdir(place.tmp) == [source.name]
    assert list(place.copies.glob("*/*")) == [place.copy(key_of(1))]


async def test_deleted_blobs_are_gone_here_too(place: Place) -> None:
    blobs, another = place.open(), place.open()
    await put(blobs, place, key_of(1), key_of(2), key_of(3))
    assert await another.read(key_of(1), 0, 1) == DATA[:1]

    await blobs.delete([key_of(1), key_of(2)])

    for each in (blobs, another):
        with pytest.raises(BlobMissing):
            await each.read(key_of(1), 0, 1)
        with pytest.raises(BlobMissing):
            async with each.local(key_of(2)):
                pass
        assert await each.read(key_of(3), 0, 1) == DATA[:1]


async def test_what_was_coming_of_a_deleted_blob_does_not_stay(place: Place) -> None:
    """Also where it is another process that deletes, between the reading and the writing."""
    blobs, another = place.open(), place.open()
    keep, blobs._far.arrived = blobs._far.arrived, None
    assert keep is not None
    for number in (1, 2, 3):
        place.put_far(key_of(number, study=number))
        assert await blobs._far.read_whole(key_of(number, study=number), SIZE) == DATA
    await another.delete([key_of(1)])
    keep(key_of(1), since := time.time() - 10)
    keep(key_of(2, study=2), since)
    await until_there(place, key_of(2, study=2))
    assert not place.copy(key_of(1)).exists()

    keep(key_of(3, study=3), since)
    await blobs.delete([key_of(3, study=3)])
    while blobs._writing is not None:
        await asyncio.sleep(0.005)
    assert not place.copy(key_of(3, study=3)).exists()


@pytest.mark.parametrize("left", [0, 1, SIZE - 1])
async def test_a_copy_that_was_cut_is_not_served(place: Place, left: int) -> None:
    blobs = place.open()
    await put(blobs, place, key_of(1))
    place.cut(key_of(1), left)
    for each in (blobs, place.open()):
        assert await each.read(key_of(1), 0, SIZE) == DATA
        copy = place.copy(key_of(1))  # gone, or there again
        assert not copy.exists() or copy.read_bytes() == DATA

    await put(blobs, place, key_of(2))
    place.cut(key_of(2), left)
    assert b"".join([chunk async for chunk in blobs.stream(key_of(2), 0, SIZE)]) == DATA
    assert not place.copy(key_of(2)).exists()

    await put(blobs, place, key_of(3))
    place.cut(key_of(3), left)
    async with blobs.local(key_of(3)) as path:
        assert path.read_bytes() == DATA


async def test_a_part_of_a_copy_is_none(place: Place) -> None:
    """Of a process that was killed while it wrote; it goes with a sweep, an hour later."""
    blobs, key = place.open(), key_of(1)
    place.put_far(key)
    place.copy(key).parent.mkdir(parents=True)
    part = place.copy(key).with_name(f"{name_of(key)}-abc.part")
    part.write_bytes(DATA[:10])
    assert await blobs.read(key, 0, SIZE) == DATA
    blobs._folder.sweep()
    assert part.exists()
    os.utime(part, (1, 1))
    blobs._folder.sweep()
    assert not part.exists()


async def test_on_a_full_disk_nothing_is_kept_and_all_is_read(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.min_free = 1 << 60
    blobs = place.open()
    await put(blobs, place, key_of(1))
    place.put_far(key_of(2))
    blobs.expect([(key_of(2), SIZE)])
    for number in (1, 2):
        assert await blobs.read(key_of(number), 0, SIZE) == DATA
    await blobs.close()
    assert place.bytes() == 0


async def test_little_memory_is_held_by_what_is_being_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is, what comes takes the place of it in memory."""
    monkeypatch.setattr(near_blobs, "_MOST_BYTES", 3 * SIZE)
    sizes, came = [], BoundedFolder.came
    monkeypatch.setattr(
        BoundedFolder, "came", lambda folder, size: (sizes.append(size), came(folder, size))
    )
    blobs, keys = place.open(), [key_of(number) for number in range(10)]
    place.put_far(*keys)
    place.put_far(key_of(10), data=DATA * 4)
    blobs.expect([*((key, SIZE) for key in keys), (key_of(10), 4 * SIZE)])
    await until_there(place, *keys, key_of(10))
    await blobs.close()
    assert sum(sizes) == 14 * SIZE
    assert sorted(sizes)[-1] == 4 * SIZE  # one alone may be larger
    assert sorted(sizes)[-2] <= 3 * SIZE


@pytest.mark.parametrize("failing", ["write", "link"])
async def test_a_disk_that_fails_is_left_alone_for_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    asked = []

    def fail(*args: object, **_: object) -> None:
        asked.append(args)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(BoundedFolder, failing, fail)
    blobs, keys = place.open(), [key_of(number) for number in range(6)]
    await put(blobs, place, *keys[:2])
    place.put_far(*keys[2:])
    for key in keys[2:]:
        blobs.expect([(key, SIZE)])
        assert await blobs.read(key, 0, SIZE) == DATA
        await asyncio.sleep(0.01)
    assert len(asked) == 1
    assert await blobs.read(keys[0], 0, SIZE) == DATA


async def test_copies_make_room_where_the_disk_needs_it(place: Place) -> None:
    blobs = place.open()
    await put(blobs, place, *(key_of(number) for number in range(20)))
    place.made[0]._folder._min_free = shutil.disk_usage(place.copies).free + (1 << 30)
    assert blobs._folder.lacks_room()
    blobs._folder.sweep()
    assert place.bytes() == 0
    assert await blobs.read(key_of(1), 0, SIZE) == DATA


def test_a_folder_that_is_not_there_yet_is_asked_for_room_by_its_disk(tmp_path: Path) -> None:
    """As that of copies where blobs are files: what else can be had again goes by it."""
    for folder in (tmp_path / "none", tmp_path / "none" / "below"):
        assert BoundedFolder(folder, 0, 1 << 60).lacks_room()
        assert not BoundedFolder(folder, 0, 1).lacks_room()
        BoundedFolder(folder, 0, 1 << 60).sweep()
    assert os.listdir(tmp_path) == []


async def test_copies_go_when_there_are_to_be_none(place: Place) -> None:
    await put(place.open(), place, key_of(1))
    BoundedFolder(place.copies, 0).sweep()
    assert place.bytes() == 0


async def test_a_range_past_the_end_is_damage(place: Place) -> None:
    blobs = place.open()
    await put(blobs, place, key_of(1))
    with pytest.raises(BlobDamaged):
        await blobs.read(key_of(1), SIZE - 1, 2)


@pytest.fixture(scope="module")
def proxy(s3: dict[str, str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3["S3_ENDPOINT_URL"]) as between:
        yield between


async def test_while_s3_is_away_copies_are_read(
    s3: dict[str, str], proxy: FaultyProxy, tmp_path: Path
) -> None:
    """And what has come before it failed is kept."""
    behind = new_s3_blobs({**s3, "S3_ENDPOINT_URL": proxy.url}, tmp_path / "data")
    place = Place(tmp_path)
    folder = BoundedFolder(place.copies, place.limit)
    blobs = NearBlobs(ExpectedBlobs(behind), folder, place.tmp)
    await put(blobs, place, key_of(1), key_of(2))
    place.copy(key_of(2)).unlink()
    proxy.refuse()
    try:
        assert await blobs.read(key_of(1), 0, SIZE) == DATA
        async with blobs.local(key_of(1)) as path:
            assert path.read_bytes() == DATA
        for failing in (blobs.read(key_of(2), 0, 1), blobs.check()):
            with pytest.raises(BlobsUnavailable):
                await failing
        blobs.expect([(key_of(2), SIZE)])
    finally:
        proxy.accept()
    proxy.fault = Fault("^GET", cut_body=100, times=1)
    assert await blobs.read(key_of(2), 0, SIZE - 1) == DATA[:-1]
    proxy.fault = None
    await until_there(place, key_of(2))
    assert place.copy(key_of(2)).read_bytes() == DATA
    await blobs.close()
