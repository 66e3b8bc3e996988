"""Segmentations of many large frames: what does not fit in a message lies in files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomweb_server.archive import segmentation as archive_segmentation
from dicomweb_server.archive.render import Picture, find_shown, picture_bytes
from dicomweb_server.dicom.viewing import RenderOptions
from tests.archive.opened import TESTER, opened, store
from tests.make import study_of
from tests.make.segmentations import file_of, segmentation


async def test_no_segment_is_left_out_for_its_size(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [each.file() for each in study_of(1, 1, seed=6, rows=40, columns=30)]
    values = np.zeros((1, 40, 30, 9), np.uint8)
    for number in range(9):
        values[0, number * 4 : number * 4 + 3, :, number] = 1
    made = segmentation([dcmread(BytesIO(file)) for file in files], values)
    uids = made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID
    async with opened(tmp_path, database_url) as archive:
        await store(archive, [*files, file_of(made)])
        pictures = []
        for most in (archive_segmentation._MOST_PASSED, 310, 0):  # a frame has 150 bytes
            monkeypatch.setattr(archive_segmentation, "_MOST_PASSED", most)
            shown = await find_shown(archive, TESTER, *uids, None)
            wanted = Picture(RenderOptions(), "image/png", quality=most % 97 + 1)  # none is cached
            pictures.append(await picture_bytes(archive, shown, wanted))
        assert len(shown.frames) == 9
        assert len(set(pictures)) == 1
