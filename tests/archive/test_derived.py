"""The derived-data cache gives what was put there, or nothing, whatever becomes of its files."""

import multiprocessing
import os
import shutil
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.derived import DerivedCache, Key, key_of

MIB = 1 << 20
KEY = key_of("1.2", "frame", 1)


@pytest.fixture
def cache(tmp_path: Path) -> DerivedCache:
    return DerivedCache(tmp_path / "cache", 64 * MIB)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in files(folder))


def keys(count: int) -> list[Key]:
    return [key_of(f"1.{n % 7}", "frame", n) for n in range(count)]


def test_what_was_put_is_there_and_nothing_else_is(cache: DerivedCache, tmp_path: Path) -> None:
    assert cache.get(KEY) is None
    for data in (b"", b"one", bytes(MIB)):
        cache.put(KEY, data)
        assert cache.get(KEY) == data
    others = [key_of("1.2", "frame", 2), key_of("1.2", "thumbnail", 1), key_of("1.3", "frame", 1)]
    assert cache.get_many([KEY, *others]) == [bytes(MIB), None, None, None]
    assert [path.stat().st_mode & 0o777 for path in files(tmp_path)] == [0o600]


def test_what_is_large_is_found_as_a_file(cache: DerivedCache, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB + 5)
    assert cache.find(KEY, MIB) is None
    cache.put(KEY, data)
    assert cache.find(KEY, len(data)) == data
    found = cache.find(KEY, MIB)
    assert isinstance(found, ScratchFile)
    assert found.size == len(data)
    shutil.rmtree(tmp_path / "cache")  # what was found stays what it is
    assert os.pread(found.number, found.size, found.start) == data


@pytest.mark.parametrize("place", [0, 10, 40, MIB, 2 * MIB + 20, None])
def test_a_damaged_large_file_is_as_good_as_none(
    cache: DerivedCache, tmp_path: Path, place: int | None
) -> None:
    cache.put(KEY, os.urandom(2 * MIB))
    [path] = files(tmp_path)
    damaged = bytearray(path.read_bytes())
    if place is None:
        damaged.pop()
    else:
        damaged[place] ^= 1
    path.write_bytes(damaged)
    assert cache.find(KEY, MIB) is None


def test_no_two_seeds_make_one_key() -> None:
    seeds: list[tuple[str | int, ...]] = [("ab", "c"), ("a", "bc"), ("abc",), (1, 2), (12,), ()]
    assert len({key_of("1.2", "frame", *seed) for seed in seeds}) == len(seeds)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 150), how=st.sampled_from(["cut", "flip", "longer", "empty"]))
def test_a_damaged_file_is_as_good_as_none(
    cache: DerivedCache, tmp_path: Path, place: int, how: str
) -> None:
    cache.put(KEY, bytes(range(120)))
    [path] = files(tmp_path)
    data = bytearray(path.read_bytes())
    place %= len(data)
    if how == "cut":
        del data[place:]
    elif how == "flip":
        data[place] ^= 1
    elif how == "longer":
        data += b"x"
    else:
        data.clear()
    path.write_bytes(data)
    assert cache.get(KEY) is None
    cache.put(KEY, b"again")
    assert cache.get(KEY) == b"again"


def test_a_file_does_not_answer_for_another(cache: DerivedCache, tmp_path: Path) -> None:
    cache.put(KEY, b"one")
    [path] = files(tmp_path)
    other = key_of("1.2", "frame", 2)
    shutil.copy(path, path.with_name(str(other)))
    assert cache.get(other) is None


def test_the_folder_may_go_at_any_time(cache: DerivedCache, tmp_path: Path) -> None:
    cache.put(KEY, b"one")
    shutil.rmtree(tmp_path / "cache")
    assert cache.get(KEY) is None
    cache.put(KEY, b"two")
    assert cache.get(KEY) == b"two"
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    cache.put(KEY, b"three")  # fails nobody
    assert cache.get(KEY) is None
    cache.forget("1.2")
    cache.sweep()


def test_the_limit_is_held_and_what_was_used_goes_last(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, MIB)
    used, *others = keys(300)
    cache.put(used, b"used")
    for number, key in enumerate(others):
        for path in files(tmp_path):  # a minute passes
            about = path.stat()
            os.utime(path, (about.st_atime, about.st_mtime - 61))
        cache.put(key, bytes(10_000))
        assert on_disk(tmp_path) <= MIB + 20_000, number
        assert cache.get(used) == b"used"
    assert cache.get(others[0]) is None
    assert cache.get(others[-1]) == bytes(10_000)
    assert on_disk(tmp_path) > MIB / 2


def test_what_came_within_one_minute_does_not_go_all_at_once(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path, MIB)
    for number, key in enumerate(keys(300)):
        cache.put(key, bytes(10_000))
        assert on_disk(tmp_path) <= MIB + 20_000, number
    assert on_disk(tmp_path) > MIB / 2


def test_what_nobody_uses_goes_after_a_week(tmp_path: Path) -> None:
    old, recent = keys(2)
    cache = DerivedCache(tmp_path, 64 * MIB)
    for key, days in ((old, 8), (recent, 6)):
        cache.put(key, b"one")
        [path] = tmp_path.rglob(str(key))
        os.utime(path, (0, time.time() - days * 86_400))
    part = path.with_name(f"{path.name}-0.part")
    part.write_bytes(b"of a process that was killed")
    os.utime(part, (0, time.time() - 2 * 3600))
    DerivedCache(tmp_path, 64 * MIB).put(KEY, b"the first of a process")
    assert cache.get_many([old, recent]) == [None, b"one"]
    assert not part.exists()


def test_what_is_too_large_or_has_no_room_is_not_kept(tmp_path: Path) -> None:
    for cache in (
        DerivedCache(tmp_path, 0),
        DerivedCache(tmp_path, MIB),
        DerivedCache(tmp_path, 64 * MIB, min_free=1 << 60),
    ):
        cache.put(KEY, bytes(MIB))
        assert cache.get(KEY) is None
    assert files(tmp_path) == []


def test_a_study_is_forgotten_whole(cache: DerivedCache) -> None:
    made = keys(70)
    for key in made:
        cache.put(key, b"one")
    cache.forget("1.3")
    assert [cache.get(key) is None for key in made] == [n % 7 == 3 for n in range(70)]


def test_what_is_still_being_made_of_a_forgotten_study_is_not_kept(tmp_path: Path) -> None:
    here, elsewhere = (DerivedCache(tmp_path, 64 * MIB) for _ in range(2))
    asked = key_of("1.2", "frame", 1)
    elsewhere.forget("1.2")
    here.put(asked, b"of what was deleted meanwhile")
    assert here.get(asked) is None
    assert not list(tmp_path.rglob(str(asked)))
    time.sleep(0.01)
    here.put(key_of("1.2", "frame", 1), b"of what was stored again")
    assert elsewhere.get(asked) == b"of what was stored again"


def test_a_limit_of_0_leaves_nothing(cache: DerivedCache, tmp_path: Path) -> None:
    cache.put(KEY, b"one")
    none = DerivedCache(tmp_path / "cache", 0)
    assert none.get(KEY) is None
    none.sweep()
    assert files(tmp_path) == []


@pytest.mark.parametrize("size", [5 * MIB, 1 << 40])
def test_a_file_that_is_too_large_to_be_an_entry_is_not_read(
    cache: DerivedCache, tmp_path: Path, size: int
) -> None:
    cache.put(KEY, b"one")
    [path] = files(tmp_path)
    os.truncate(path, size)
    tracemalloc.start()
    assert cache.get(KEY) is None
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def work(folder: Path, seed: int) -> None:
    """Put, get and forget beside others who do the same."""
    cache = DerivedCache(folder, MIB)
    for turn in range(400):
        number = (turn * 7 + seed) % 50
        key = key_of(f"1.{number % 3}", "frame", number)
        expected = bytes([number]) * (3000 * number)
        assert cache.get(key) in (None, expected)
        cache.put(key, expected)
        if turn % 40 == seed:
            cache.forget(f"1.{seed}")


def test_several_processes_use_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(tmp_path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert not list(tmp_path.rglob("*.part"))
    assert on_disk(tmp_path) <= MIB * (1 + 3 / 16) + 3 * 160_000


def test_on_a_full_disk_nothing_is_kept_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the study is forgotten meanwhile: what was not written need not be removed."""
    came: list[int] = []
    monkeypatch.setattr(BoundedFolder, "came", lambda _, size: came.append(size))
    full = DerivedCache(tmp_path / "full", 64 * MIB, min_free=1 << 60)
    with capture_logs() as logs:
        full.put(KEY, b"one")
        full.forget("1.2")
        full.put(KEY, b"one")
    assert (full.get(KEY), came, logs) == (None, [], [])
