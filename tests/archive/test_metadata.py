"""Metadata of an instance that was located before."""

from dataclasses import replace
from pathlib import Path

import pytest

from dicomweb_server.archive.metadata import instance_metadata
from dicomweb_server.archive.retrieve import locate
from dicomweb_server.errors import Unavailable
from tests.archive.opened import TESTER, opened, store
from tests.make.ct import ct_instance


async def test_metadata_are_those_of_the_file_that_was_located(
    tmp_path: Path, database_url: str
) -> None:
    """Frames of one file are never decoded by the attributes of another."""
    async with opened(tmp_path, database_url) as archive:
        file = ct_instance(study_uid="1.2", series_uid="1.3", sop_uid="1.4", rows=8, columns=8)
        await store(archive, [file])
        [location] = (await locate(archive, TESTER, "1.2", "1.3", "1.4")).items
        row = await instance_metadata(archive, TESTER, location)
        assert row.sha256 == location.sha256
        before = replace(location, sha256=bytes(32))  # of what was replaced meanwhile
        with pytest.raises(Unavailable):
            await instance_metadata(archive, TESTER, before)
