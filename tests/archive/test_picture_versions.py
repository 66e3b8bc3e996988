"""What pictures are recognized by changes with all that they are made of (RFC 9110 §8.8.3): the
files, and the rows that say what is in them, which may be made anew from the same files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.render import find_shown
from tests.archive.opened import TESTER, opened, rows, store
from tests.make import small_image, study_of, uid
from tests.make.segmentations import file_of, segmentation
from tests.make.states import presentation_state

ANEW = """
UPDATE instances SET metadata = metadata || '\\x00' WHERE sop_instance_uid = $1 RETURNING id
"""
MOVED = "UPDATE instances SET pixel_offset = pixel_offset + 2 WHERE sop_instance_uid = $1"


async def version(archive: Archive, dataset: Dataset, number: int | None = 1) -> bytes:
    uids = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    return (await find_shown(archive, TESTER, *uids, number)).version


@pytest.mark.parametrize("kind", ["image", "state", "segmentation"])
async def test_a_version_changes_with_the_rows_of_all_that_is_shown(
    tmp_path: Path, database_url: str, kind: str
) -> None:
    async with opened(tmp_path, database_url) as archive:
        file = small_image(rows=8, columns=9, StudyInstanceUID=uid("v"))
        image = shown = dcmread(BytesIO(file))
        files = [file]
        if kind == "state":
            files.append(presentation_state(image))
        if kind == "segmentation":
            files = [each.file() for each in study_of(1, 2, seed=5, rows=8, columns=9)]
            images = [dcmread(BytesIO(each)) for each in files]
            made = segmentation(images, np.ones((2, 8, 9), np.uint8))
            [group, _] = made.PerFrameFunctionalGroupsSequence
            source = group.DerivationImageSequence[0].SourceImageSequence[0]
            [image] = [i for i in images if i.SOPInstanceUID == source.ReferencedSOPInstanceUID]
            files.append(file_of(made))
        await store(archive, files)
        if len(files) > 1:
            shown = dcmread(BytesIO(files[-1]))
        versions = [await version(archive, shown)]
        assert await version(archive, shown) == versions[0]
        for each in {image.SOPInstanceUID, shown.SOPInstanceUID}:
            for statement in (ANEW, MOVED):
                if statement == MOVED and (kind, each) == ("state", shown.SOPInstanceUID):
                    continue  # it has no pixels
                await rows(archive, statement, each)
                versions.append(await version(archive, shown))
        assert len(set(versions)) == len(versions) > 2
