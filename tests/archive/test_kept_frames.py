"""Frames that were made are not kept when their study goes meanwhile: nobody would take them away
before a week has passed."""

import asyncio
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from dicomweb_server.archive.bulk_data import Frames
from dicomweb_server.archive.encodings import encodings_of
from dicomweb_server.archive.retrieve import locate
from dicomweb_server.archive.sources import open_source
from tests.archive.opened import TESTER, opened, store
from tests.archive.test_preparing import files
from tests.make import small_image, uid

UIDS = uid("going"), uid("going", 1), uid("going", 2)


@pytest.mark.parametrize("stored", [ExplicitVRLittleEndian, JPEG2000Lossless])
async def test_a_frame_whose_rows_were_read_before_its_study_went_is_not_kept(
    tmp_path: Path, database_url: str, stored: str
) -> None:
    names = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
    image = small_image(transfer_syntax=stored, **dict(zip(names, UIDS, strict=True)))
    for goes in (False, True):
        async with opened(tmp_path / str(goes), database_url) as archive:
            await store(archive, [image])
            [location] = (await locate(archive, TESTER, *UIDS)).items
            encodings = await encodings_of(archive, TESTER, location)
            source = await open_source(archive, location)
            frames = await Frames.of(archive, TESTER, source, location)
            if goes:
                archive.derived.forget(UIDS[0])
                await asyncio.sleep(0.02)
            await anext(aiter(frames.encoded(JPEGLSLossless, encodings)))
            kept = [path for path in files(archive) if not path.name.endswith(".forgotten")]
            assert len(kept) == (0 if goes else 1)
