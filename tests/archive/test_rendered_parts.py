"""Pictures of many frames: made as they are taken, and no longer than they are."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.content import ScratchFile
from dicomweb_server.archive.read_ahead import MOST_FRAMES
from dicomweb_server.archive.render import Frame, Picture, bytes_of, find_shown, rendered
from dicomweb_server.archive.rendered_parts import animation, pictures_of
from dicomweb_server.dicom.viewing import RenderOptions, Viewport
from dicomweb_server.errors import ContentTooLarge
from tests.archive.opened import TESTER, opened, store
from tests.make import small_image, uid

UIDS = uid("parts"), uid("parts", 1), uid("parts", 2)


async def filled(archive: Archive, frames: int) -> None:
    uids = zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), UIDS, strict=True)
    await store(archive, [small_image(rows=6, columns=7, frames=frames, **dict(uids))])


def gif() -> Picture:
    return Picture(RenderOptions(), "image/gif")


async def test_who_leaves_ends_the_work(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as archive:
        await filled(archive, 30)
        parts = pictures_of(archive, TESTER, *UIDS[:2], gif())
        numbers = [(await anext(parts)).number for _ in range(3)]
        await parts.aclose()
        assert numbers == [1, 2, 3]
        assert len(archive.pictures) <= 3 + MOST_FRAMES


async def test_all_frames_come_in_their_order(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url, cpu_workers=4) as archive:
        await filled(archive, 130)
        parts = [part async for part in pictures_of(archive, TESTER, *UIDS[:1], None, gif())]
        assert [part.number for part in parts] == list(range(1, 131))
        assert len({part.content.data for part in parts}) > 100


async def test_what_is_too_large_to_be_kept_is_a_file(tmp_path: Path, database_url: str) -> None:
    """A client that reads slowly holds no more memory for it."""
    png = Picture(RenderOptions(), "image/png")
    uids = zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), UIDS, strict=True)
    file = small_image(rows=1300, columns=1300, bits=8, frames=2, **dict(uids))
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [file])
        shown = await find_shown(archive, TESTER, *UIDS, 1)
        kept = await rendered(archive, shown, png)
        archive.pictures.largest = 1
        other = replace(png, quality=7)  # of which a PNG makes nothing

        made = await rendered(archive, shown, other)

        assert kept.data is not None and len(kept.data) == made.length
        assert made.data is None
        assert await bytes_of(made) == kept.data
        assert isinstance(made.scratch, ScratchFile) and made.scratch.number == -1
        parts = pictures_of(archive, TESTER, *UIDS[:2], other)
        assert [await bytes_of(part.content) async for part in parts][:1] == [kept.data]


async def test_large_pictures_leave_workers_to_others(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as archive:
        await filled(archive, 1)
        shown = await find_shown(archive, TESTER, *UIDS, None)
        large, small = (Picture(RenderOptions(viewport=Viewport(n, n)), "image/jpeg")
                        for n in (5000, 50))  # fmt: skip
        async with AsyncExitStack() as turns:
            for _ in range(max(1, archive.workers.size // 2)):
                await turns.enter_async_context(archive.workers.turn())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(rendered(archive, shown, large), 0.2)
            assert (await rendered(archive, shown, small)).length
        assert (await rendered(archive, shown, large)).length


async def test_an_animation_has_its_bounds(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url, max_rendered_frames=5) as archive:
        await filled(archive, 6)
        shown = await find_shown(archive, TESTER, *UIDS, None)
        assert isinstance(shown, Frame)
        with pytest.raises(ContentTooLarge, match="6 frames"):
            await anext(animation(archive, TESTER, shown, gif()))
    async with opened(tmp_path, database_url, pixel_limit_bytes=6 * 6 * 7 - 1) as archive:
        with pytest.raises(ContentTooLarge, match="pixels"):
            await anext(animation(archive, TESTER, shown, gif()))
