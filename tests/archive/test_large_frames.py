"""Frames of many megabytes go to workers and back without holding the event loop up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.bulk_data import Frames
from dicomweb_server.archive.content import CHUNK, Content
from dicomweb_server.archive.encodings import encoded_frame, encodings_of
from dicomweb_server.archive.large_frames import PASSED
from dicomweb_server.archive.retrieve import frame_content, locate_frames
from dicomweb_server.archive.sources import open_source
from dicomweb_server.archive.work import transcoded_frame
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobDamaged
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.wire.offers import ELE
from tests.archive.opened import TESTER, keys, opened, store
from tests.dicom.still_images import read_still_image
from tests.make import small_image

UIDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
PLACE = ("1.2", "1.3", "1.4")
LARGE = {"rows": 3000, "columns": 4000}  # 24 MB
MEDIUM = {"rows": 1000, "columns": 1024}  # 2 MB


class Watch:
    """The longest time that the event loop's thread worked without giving others their turn.

    Processor time, so that others on the machine do not count.
    """

    def __init__(self) -> None:
        self.longest = 0.0  # seconds

    async def _look(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            looking.cancel()


async def whole(content: Content) -> bytes:
    data = b"".join([piece async for piece in content.read()])
    await content.close()
    return data


async def encoded(archive: Archive, target: str) -> Content:
    found = await locate_frames(archive, TESTER, *PLACE, [1])
    encodings = await encodings_of(archive, TESTER, found.location)
    source = await open_source(archive, found.location)
    return await encoded_frame(archive, source, found, 0, 1, target, encodings, time.time())


async def decoded(archive: Archive) -> Content:
    found = await locate_frames(archive, TESTER, *PLACE, [1])
    encodings = await encodings_of(archive, TESTER, found.location)
    source = await open_source(archive, found.location)
    return await frame_content(archive, source, found, 0, 1, ELE, encodings.packed, time.time())


async def test_the_loop_is_free_while_a_large_frame_is_encoded(
    tmp_path: Path, database_url: str
) -> None:
    file = small_image(**LARGE, **UIDS)
    async with opened(
        tmp_path, database_url, worker_timeout_seconds=120, cache_limit_bytes=0
    ) as archive:
        await store(archive, [file])
        await encoded(archive, RLELossless)  # the worker has imported what it needs
        watch = Watch()
        async with watch.watching():
            content = await encoded(archive, RLELossless)
        assert content.length > PASSED
        assert content.scratch is not None
        assert watch.longest < 0.010
        await content.close()
        assert not list(archive.settings.tmp_dir.iterdir())

        # Passed in a message it is otherwise: the watch would see it.
        data = dcmread(BytesIO(file)).PixelData
        found = await locate_frames(archive, TESTER, *PLACE, [1])
        encodings = await encodings_of(archive, TESTER, found.location)
        held = Watch()
        async with held.watching():
            await archive.workers.run(transcoded_frame, encodings.packed, data, ELE, RLELossless)
        assert held.longest > watch.longest


@pytest.mark.parametrize("has_files", [True, False])
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless],
)
async def test_what_is_made_is_the_same(
    syntax: str,
    has_files: bool,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a file at hand, and of one that has to be fetched; also of what is decoded."""
    monkeypatch.setattr(FilesystemBlobs, "has_files", has_files)
    path = tmp_path / "file.dcm"
    path.write_bytes(small_image(**MEDIUM, bits=12, transfer_syntax=syntax, **UIDS))
    still = read_still_image(path)
    assert still is not None
    pixels = decode_frame(still.frame(1), image_pixel(still.dataset), syntax).array
    async with opened(tmp_path / "data", database_url) as archive:
        await store(archive, [path.read_bytes()])
        code = await whole(await encoded(archive, JPEGLSLossless))
        image = image_pixel(still.dataset)
        assert np.array_equal(decode_frame(code, image, JPEGLSLossless).array, pixels)
        assert await whole(await decoded(archive)) == pixels.astype("<u2").tobytes()
        if syntax == RLELossless:
            found = await locate_frames(archive, TESTER, *PLACE, [1])
            source = await open_source(archive, found.location)
            frames = await Frames.of(archive, TESTER, source, found.location)
            [content] = [each async for each in frames.contents(ELE)]
            assert await whole(content) == pixels.astype("<u2").tobytes()
        assert not list(archive.settings.tmp_dir.iterdir())


async def test_a_file_that_ends_before_its_frame_is_damage(
    tmp_path: Path, database_url: str
) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [small_image(**MEDIUM, **UIDS)])
        [key] = await keys(archive)
        blob = archive.settings.blobs_dir / key
        blob.write_bytes(blob.read_bytes()[:-1000])
        with pytest.raises(BlobDamaged):
            await encoded(archive, RLELossless)
        assert not list(archive.settings.tmp_dir.iterdir())


async def test_without_room_for_a_file_the_result_is_passed_all_the_same(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, database_url, cache_limit_bytes=0) as archive:
        await store(archive, [small_image(**MEDIUM, **UIDS)])
        expected = await whole(await encoded(archive, RLELossless))
        assert len(expected) > PASSED
        monkeypatch.setattr(
            type(archive), "scratch_file", lambda self, suffix: tmp_path / "nowhere" / suffix
        )
        content = await encoded(archive, RLELossless)
        assert content.scratch is None
        assert await whole(content) == expected


async def test_a_large_frame_is_kept_and_sent_in_pieces(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [small_image(**MEDIUM, **UIDS)])
        made = await encoded(archive, RLELossless)
        assert made.scratch is not None
        code = await whole(made)
        kept = await encoded(archive, RLELossless)
        assert kept.data is None  # it is read as it is sent
        pieces = [piece async for piece in kept.read()]
        assert b"".join(pieces) == code
        assert max(map(len, pieces)) <= CHUNK < len(code)
        part = [piece async for piece in kept.read_range(5, CHUNK + 7)]
        assert b"".join(part) == code[5 : CHUNK + 12]
        await kept.close()


async def test_who_leaves_leaves_no_file(tmp_path: Path, database_url: str) -> None:
    async with opened(tmp_path, database_url, cache_limit_bytes=0) as archive:
        await store(archive, [small_image(**MEDIUM, **UIDS)])
        for delay in (0, 0.005, 0.02, 0.05):
            leaving = asyncio.create_task(encoded(archive, RLELossless))
            await asyncio.sleep(delay)
            leaving.cancel()
            await asyncio.wait([leaving])
        assert not list(archive.settings.tmp_dir.iterdir())
