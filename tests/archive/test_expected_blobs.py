"""What is read ahead is what would be read, within its bounds, and never in the way."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dicomweb_server.archive.expected_blobs import AT_A_TIME, ExpectedBlobs
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import MAX_CHUNK, BlobMissing, BlobsUnavailable
from tests.blobs.made import staged

SIZE = 1000  # bytes of most blobs
BLOBS = {f"1/2/{number}": random.Random(number).randbytes(SIZE) for number in range(30)}
LARGE = "1/2/large"


class Noting(FilesystemBlobs):
    """Tells what was read of it. Whole blobs come when the way is free."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[tuple[str, int, int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def read(self, key: str, offset: int, length: int) -> bytes:
        self.reads.append((key, offset, length))
        if (offset, length) == (0, SIZE):
            await self.free.wait()
        return await super().read(key, offset, length)


@pytest.fixture
async def behind(tmp_path: Path) -> Noting:
    store = Noting(tmp_path / "blobs")
    blobs = {**BLOBS, LARGE: bytes(3 * SIZE)}
    for key, data in blobs.items():
        assert await store.put_many([(staged(tmp_path, data), key)]) == [None]
    return store


@pytest.fixture
async def ahead(behind: Noting) -> AsyncIterator[ExpectedBlobs]:
    store = ExpectedBlobs(behind, kept=10 * SIZE, largest=2 * SIZE)
    yield store
    await store.close()


def expected(*numbers: int) -> list[tuple[str, int]]:
    return [(f"1/2/{number}", SIZE) for number in numbers]


async def test_what_was_expected_is_read_once(ahead: ExpectedBlobs, behind: Noting) -> None:
    ahead.expect(expected(1, 2))
    ahead.expect(expected(2, 1))
    for key in ("1/2/1", "1/2/2"):
        assert await ahead.read(key, 0, SIZE) == BLOBS[key]
        assert await ahead.read(key, 10, 20) == BLOBS[key][10:30]
        assert b"".join([piece async for piece in ahead.stream(key, 5, 995)]) == BLOBS[key][5:]
    assert sorted(behind.reads) == [("1/2/1", 0, SIZE), ("1/2/2", 0, SIZE)]


async def test_what_is_large_comes_in_chunks_here_too(behind: Noting, tmp_path: Path) -> None:
    data = random.Random(99).randbytes(2 * MAX_CHUNK + 5)
    assert await behind.put_many([(staged(tmp_path, data), "1/2/two")]) == [None]
    ahead = ExpectedBlobs(behind)
    ahead.expect([("1/2/two", len(data))])
    chunks = [chunk async for chunk in ahead.stream("1/2/two", 1, len(data) - 1)]
    await ahead.close()
    assert b"".join(chunks) == data[1:]
    assert [len(chunk) for chunk in chunks] == [MAX_CHUNK, MAX_CHUNK, 4]
    assert behind.reads == [("1/2/two", 0, len(data))]


async def test_what_was_not_is_read_as_it_is_asked_for(
    ahead: ExpectedBlobs, behind: Noting
) -> None:
    assert await ahead.read("1/2/3", 7, 9) == BLOBS["1/2/3"][7:16]
    assert behind.reads == [("1/2/3", 7, 9)]


async def test_neither_much_nor_what_is_large_is_read(ahead: ExpectedBlobs, behind: Noting) -> None:
    ahead.expect([(LARGE, 3 * SIZE), ("1/2/empty", 0)])
    ahead.expect(expected(*range(30)))  # half of what may be kept, at a time
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert {key for key, _, _ in behind.reads} == {f"1/2/{number}" for number in range(5)}


async def test_no_more_is_kept_than_there_is_room_for(ahead: ExpectedBlobs, behind: Noting) -> None:
    for first in range(0, 25, 5):  # who moves on has more ahead each time than may be read
        ahead.expect(expected(*range(first, min(30, first + 8))))
        for number in range(first, first + 5):
            await ahead.read(f"1/2/{number}", 0, SIZE)
    for number in range(25):
        await ahead.read(f"1/2/{number}", 0, SIZE)
    kept = [key for key, _, _ in behind.reads if behind.reads.count((key, 0, SIZE)) == 1]
    assert len(kept) <= 10


async def test_what_is_wanted_least_goes_first(ahead: ExpectedBlobs, behind: Noting) -> None:
    for first in range(0, 30, 5):
        ahead.expect(expected(*range(first, first + 5)))
        await ahead.read("1/2/0", 0, SIZE)
    for number in range(25, 30):
        await ahead.read(f"1/2/{number}", 0, SIZE)
    assert len(behind.reads) == len(set(behind.reads))  # the first, and the last, stayed
    await ahead.read("1/2/6", 0, SIZE)
    assert behind.reads.count(("1/2/6", 0, SIZE)) == 2


async def test_what_cannot_be_read_ahead_is_told_when_it_is_asked_for(
    ahead: ExpectedBlobs, tmp_path: Path
) -> None:
    for _ in range(2):
        ahead.expect([("1/2/missing", SIZE)])
        with pytest.raises(BlobMissing):
            await ahead.read("1/2/missing", 0, SIZE)
    data = bytes(SIZE)
    assert await ahead.put_many([(staged(tmp_path, data), "1/2/missing")]) == [None]
    assert await ahead.read("1/2/missing", 0, SIZE) == data


async def test_who_waits_for_what_is_given_up_gets_it_all_the_same(ahead: ExpectedBlobs) -> None:
    ahead.expect(expected(1))
    waiting = asyncio.create_task(ahead.read("1/2/1", 0, SIZE))
    await asyncio.sleep(0)
    for first in range(2, 30, 5):
        ahead.expect(expected(*range(first, first + 5)))
    assert await waiting == BLOBS["1/2/1"]


async def test_what_is_wanted_waits_for_nothing_that_is_only_expected(behind: Noting) -> None:
    behind.free.clear()
    ahead = ExpectedBlobs(behind)
    ahead.expect(expected(*range(AT_A_TIME + 2)))
    await asyncio.sleep(0.01)
    last = f"1/2/{AT_A_TIME}"
    async with asyncio.timeout(10):
        assert await ahead.read(last, 1, SIZE - 1) == BLOBS[last][1:]
    behind.free.set()
    await ahead.read(f"1/2/{AT_A_TIME + 1}", 0, SIZE)
    await ahead.close()
    assert (last, 0, SIZE) not in behind.reads


async def test_who_leaves_takes_nothing_from_others(ahead: ExpectedBlobs, behind: Noting) -> None:
    ahead.expect(expected(1))
    first, second = (asyncio.create_task(ahead.read("1/2/1", 0, SIZE)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == BLOBS["1/2/1"]
    assert len(behind.reads) == 1


async def test_any_order_gives_the_same_bytes(ahead: ExpectedBlobs) -> None:
    dice = random.Random(1)

    async def viewer() -> None:
        for _ in range(100):
            place = dice.randrange(30)
            ahead.expect(expected(*range(place, min(30, place + dice.randrange(8)))))
            key = f"1/2/{dice.randrange(30)}"
            offset = dice.randrange(SIZE)
            length = dice.randrange(SIZE - offset)
            assert await ahead.read(key, offset, length) == BLOBS[key][offset : offset + length]

    await asyncio.gather(*(viewer() for _ in range(5)))


async def test_what_was_just_read_is_not_expected_again(
    ahead: ExpectedBlobs, behind: Noting
) -> None:
    await ahead.read("1/2/1", 0, SIZE)
    await ahead.read("1/2/2", 0, 10)  # of which most is still to be read
    assert b"".join([piece async for piece in ahead.stream("1/2/3", 0, SIZE)]) == BLOBS["1/2/3"]
    ahead.expect(expected(1, 2, 3))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert behind.reads[2:] == [("1/2/2", 0, SIZE)]


async def test_nothing_is_read_ahead_of_several_who_wait(
    ahead: ExpectedBlobs, behind: Noting
) -> None:
    behind.free.clear()
    waiting = [asyncio.create_task(ahead.read(f"1/2/{number}", 0, SIZE)) for number in range(4)]
    await asyncio.sleep(0)
    ahead.expect(expected(7))
    behind.free.set()
    await asyncio.gather(*waiting)
    assert "1/2/7" not in {key for key, _, _ in behind.reads}
    ahead.expect(expected(8))
    await ahead.read("1/2/8", 0, SIZE)
    assert behind.reads.count(("1/2/8", 0, SIZE)) == 1


class Away(Noting):
    """Whose blobs cannot be read for a while, nor are said so at once."""

    away = True

    async def read(self, key: str, offset: int, length: int) -> bytes:
        await asyncio.sleep(0.001)
        if self.away:
            raise BlobsUnavailable("away")
        return await super().read(key, offset, length)


async def test_while_the_store_is_away_nothing_is_counted_that_is_not_kept(
    behind: Noting, tmp_path: Path
) -> None:
    """Also where several wait for a blob that does not come, and all ask for it again."""
    away = Away(tmp_path / "blobs")
    ahead, arrived = ExpectedBlobs(away, kept=10 * SIZE, largest=2 * SIZE), list[str]()
    ahead.arrived = lambda key, since: arrived.append(key)
    for _ in range(3):
        ahead.expect(expected(*range(5)))
        await asyncio.sleep(0)
        reads = [ahead.read_whole(f"1/2/{number}", SIZE) for number in range(12) for _ in range(3)]
        errors = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(error) for error in errors} == {BlobsUnavailable}
    assert (ahead._bytes, len(ahead._coming)) == (0, 0)

    away.away = False
    ahead.expect(expected(20, 21))
    both = [ahead.read_whole("1/2/20", SIZE) for _ in range(3)]
    assert await asyncio.gather(*both) == [BLOBS["1/2/20"]] * 3
    assert await ahead.read("1/2/21", 0, SIZE) == BLOBS["1/2/21"]
    assert len(away.reads) == 2
    assert sorted(arrived) == ["1/2/20", "1/2/21"]
    await ahead.close()
