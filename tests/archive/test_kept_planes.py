"""Planes that are kept in memory: never more than a few, and as the series is now."""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread

from dicomweb_server.archive.kept_planes import KeptPlanes, PlaneOf
from dicomweb_server.archive.presentation import find_state
from dicomweb_server.dicom.blending import Plane
from tests.archive.opened import TESTER, opened, remove, store
from tests.make import small_image
from tests.make.blending import blending_state


def planes(count: int) -> tuple[PlaneOf, ...]:
    plane = Plane("1.1", (0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1), 1)
    return tuple(PlaneOf(("1.2", "1.3", "1.4"), number, plane) for number in range(count))


def key(name: str) -> tuple[bytes, str, str, bytes]:
    return b"state", "1.2", "1.3", name.encode()


def test_the_oldest_go() -> None:
    kept = KeptPlanes(most=10)
    for name in "abc":
        kept.put(key(name), planes(2))
    assert kept.get(key("a")) == planes(2)  # now used after the others
    kept.put(key("d"), planes(2))
    assert [name for name in "abcd" if kept.get(key(name)) is not None] == ["a", "c", "d"]


def test_nothing_is_kept_that_is_larger_than_all_or_counted_twice() -> None:
    kept = KeptPlanes(most=10)
    kept.put(key("large"), planes(10))
    assert kept.get(key("large")) is None
    for _ in range(5):
        kept.put(key("same"), planes(4))
    kept.put(key("none"), ())
    kept.put(key("other"), planes(3))
    assert [len(kept.get(key(name)) or "") for name in ("same", "none", "other")] == [4, 0, 3]
    assert kept.get(key("none")) == ()


def axial(series: str, height: int) -> bytes:
    return small_image(
        bits=8,
        rows=4,
        columns=4,
        StudyInstanceUID="1.2",
        SeriesInstanceUID=series,
        SOPInstanceUID=f"{series}.{height}",
        FrameOfReferenceUID="1.3",
        PixelSpacing=[1, 1],
        ImagePositionPatient=[0, 0, height],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )


async def test_a_series_is_looked_through_again_once_it_changes(
    tmp_path: Path, new_database: Any, template: str
) -> None:
    over = [axial("1.2.2", height) for height in (1, 2, 3)]
    below, *above = [dcmread(BytesIO(file)) for file in (axial("1.2.1", 1), *over)]
    uids = {"SeriesInstanceUID": "1.2.9", "SOPInstanceUID": "1.2.9.1"}
    state = blending_state([below], above, **uids)
    async with new_database(template) as url, opened(tmp_path / "data", url) as archive:
        await store(archive, [*over[:2], state])

        async def found() -> tuple[PlaneOf, ...]:
            read = await find_state(archive, TESTER, "1.2", "1.2.9", "1.2.9.1")
            assert read is not None
            return read.planes

        first = await found()
        assert sorted(each.uids[2] for each in first) == ["1.2.2.1", "1.2.2.2"]
        again = await found()
        assert all(one is other for one, other in zip(first, again, strict=True))
        await store(archive, over[2:])
        assert sorted(each.uids[2] for each in await found()) == ["1.2.2.1", "1.2.2.2", "1.2.2.3"]
        await remove(archive, "1.2", "1.2.2", "1.2.2.1")
        assert sorted(each.uids[2] for each in await found()) == ["1.2.2.2", "1.2.2.3"]
