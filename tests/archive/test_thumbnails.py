"""Thumbnails that are kept as files, made while nothing is stored, and icons (THB-03 to THB-05)."""

import asyncio
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from dicomweb_server.access.policy import Action, Scope
from dicomweb_server.app import create_app
from dicomweb_server.archive import thumbnails
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.new_series import NewSeries
from dicomweb_server.archive.thumbnailing import thumbnailing
from dicomweb_server.archive.thumbnails import plain_thumbnail, thumbnail
from dicomweb_server.archive.workers import WorkerFailed
from dicomweb_server.config import Settings
from dicomweb_server.dicom.viewing import Viewport
from dicomweb_server.errors import NotFound
from tests.archive.opened import TESTER, opened, remove, store
from tests.archive.test_preparing import files, until
from tests.make import encapsulated_pdf, small_image, uid

SCOPE = Scope((1,))


def image(name: str, **more: object) -> bytes:
    uids = {"StudyInstanceUID": uid(name), "SeriesInstanceUID": uid(name, 1)}
    return small_image(
        **{"rows": 20, "columns": 30, "SOPInstanceUID": uid(name, 2), **uids, **more}
    )


async def made(
    archive: Archive, *uids: str, viewport: Viewport | None = None, number: int | None = None
) -> Image.Image:
    study, series, instance = (*uids, None, None)[:3]
    assert study is not None
    wanted = plain_thumbnail("image/png", viewport)
    of = study, series, instance, number
    data = await thumbnail(archive, TESTER, *of, wanted)
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture


async def test_a_series_has_its_thumbnail_soon_after_it_was_stored(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path, database_url) as archive:
        archive.new_series._quiet = 0.1
        async with thumbnailing(archive):
            await store(archive, [image("soon")])
            assert files(archive) == []
            await until(lambda: files(archive))
            [kept] = files(archive)
            before = kept.stat().st_mtime_ns
            for level in ((), (uid("soon", 1),), (uid("soon", 1), uid("soon", 2))):
                data = await thumbnail(
                    archive,
                    TESTER,
                    *(uid("soon"), *level, None, None)[:3],
                    None,
                    plain_thumbnail("image/jpeg"),
                )
                assert kept.read_bytes().endswith(data)
            assert (files(archive), kept.stat().st_mtime_ns) == ([kept], before)


async def test_a_serving_process_makes_them(tmp_path: Path, database_url: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database_url, cpu_workers=1)
    app = create_app(settings.model_copy(update={"min_free_bytes": 0}))
    async with app.router.lifespan_context(app):
        archive = app.state.archive
        archive.new_series._quiet = 0.05
        await store(archive, [image("served")])
        await until(lambda: files(archive))


async def test_one_that_is_gone_or_broken_is_in_nobodys_way(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path, database_url) as archive:
        archive.new_series._quiet = 0.05
        async with thumbnailing(archive):
            archive.new_series.note(archive.scope(TESTER, Action.STORE), "1.2", "1.3")
            await store(archive, [encapsulated_pdf(StudyInstanceUID=uid("no picture"))])
            await store(archive, [image("after them")])
            await until(lambda: files(archive))


async def test_without_a_cache_nothing_is_made(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url, cache_limit_bytes=0) as archive:
        async with thumbnailing(archive):
            await store(archive, [image("uncached")])
            assert not archive.new_series._waiting
        assert (await made(archive, uid("uncached"))).size == (30, 20)


async def test_a_thumbnail_goes_with_its_study(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [image("going")])
        await made(archive, uid("going"))
        assert files(archive)
        await remove(archive, uid("going"))
        assert [path for path in files(archive) if not path.name.endswith(".forgotten")] == []
        with pytest.raises(NotFound):
            await made(archive, uid("going"))


async def test_a_thumbnail_that_is_made_while_its_study_goes_is_not_kept(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows were read before the study went, and its file after."""
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [image("gone")])
        find = thumbnails._find

        async def found_before_it_went(*args: Any) -> Any:
            shown = await find(*args)
            archive.derived.forget(uid("gone"))
            await asyncio.sleep(0.05)
            return shown

        monkeypatch.setattr(thumbnails, "_find", found_before_it_went)
        await made(archive, uid("gone"))

        assert [path for path in files(archive) if not path.name.endswith(".forgotten")] == []


async def test_thb_04_the_middle_frame_or_the_one_that_is_named_stands_for_all(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(
            archive,
            [image("middle", frames=5), image("named", frames=5, RepresentativeFrameNumber=2)],
        )
        for name, number in (("middle", 3), ("named", 2)):
            uids = uid(name), uid(name, 1), uid(name, 2)
            frame = np.asarray(await made(archive, *uids, number=number))
            other = np.asarray(await made(archive, *uids, number=5))
            assert not np.array_equal(frame, other)
            for level in (1, 2, 3):
                np.testing.assert_array_equal(np.asarray(await made(archive, *uids[:level])), frame)


async def test_a_broken_image_is_decoded_once(tmp_path: Path, database_url: str) -> None:
    dataset = dcmread(BytesIO(image("broken")))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"\xff\xd8 no picture at all"])
    file = BytesIO()
    dataset.save_as(file)
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [file.getvalue()])
        first = np.asarray(await made(archive, uid("broken")))
        await archive.workers.close()  # nothing can be made any more
        np.testing.assert_array_equal(np.asarray(await made(archive, uid("broken"))), first)
        assert files(archive) == []


async def test_an_icon_fits_the_viewport(tmp_path: Path, database_url: str) -> None:
    study = uid("icon")
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [encapsulated_pdf(StudyInstanceUID=study)])
        assert (await made(archive, study)).size == (thumbnails.THUMBNAIL,) * 2
        assert (await made(archive, study, viewport=Viewport(90, 40))).size == (40, 40)
        assert (await made(archive, study, viewport=Viewport(5, 3))).size == (3, 3)
        assert (await made(archive, study, viewport=Viewport(9999, 9999))).size == (1024, 1024)


async def test_series_wait_until_nobody_stores() -> None:
    new = NewSeries(quiet=0.15)
    new.listen()
    new.note(SCOPE, "1", "1.1")
    new.note(SCOPE, "1", "1.2")
    new.note(SCOPE, "1", "1.1")
    waiting = asyncio.create_task(new.next())
    begun = time.monotonic()
    for _ in range(4):
        await asyncio.sleep(0.05)
        new.note(SCOPE, "2", "2.1")
        assert not waiting.done()
    assert await waiting == (SCOPE, "1", "1.1")
    assert time.monotonic() - begun >= 0.3
    assert [(await new.next())[2] for _ in range(2)] == ["1.2", "2.1"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(new.next(), 0.05)


def test_series_that_wait_are_bounded() -> None:
    new = NewSeries()
    new.note(SCOPE, "1", "1")
    assert not new._waiting  # nobody listens
    new.listen()
    for number in range(3000):
        new.note(SCOPE, "1", str(number))
    assert len(new._waiting) == 2000


async def test_what_a_worker_ended_of_is_tried_again(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been killed for what others took; but not at once, for it may take long."""
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [image("transient")])

        async def ended(*_: Any) -> bytes:
            raise WorkerFailed("it took too long")

        with monkeypatch.context() as patched:
            patched.setattr(thumbnails, "_kept", ended)
            assert (await made(archive, uid("transient"))).size == (256, 256)  # an icon
        assert (await made(archive, uid("transient"))).size == (256, 256)
        monkeypatch.setattr(thumbnails, "_FAILED_FOR", 0.001)
        assert (await made(archive, uid("transient"))).size == (30, 20)
