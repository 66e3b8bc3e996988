"""Files being received: how much there may be of them."""

import errno
import shutil
from pathlib import Path

import pytest

from dicomweb_server.archive import staging
from dicomweb_server.archive.staging import Staging


async def test_the_floor_of_free_space_holds_for_small_files_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is far below what one file may write unwatched; together they are not."""
    monkeypatch.setattr(staging, "CHECK_ROOM", 1 << 20)
    floor = shutil.disk_usage(tmp_path).free + (1 << 40)
    written = 0
    with pytest.raises(OSError, match="MIN_FREE_BYTES") as refused:
        for number in range(100):
            file = Staging(tmp_path / str(number), 1 << 30, floor)
            await file.write(bytes(100 << 10))
            await file.finish()
            written += 1

    assert refused.value.errno == errno.ENOSPC
    assert written <= 11
    with pytest.raises(OSError, match="MIN_FREE_BYTES"):  # and so it stays, byte by byte
        await Staging(tmp_path / "next", 1 << 30, floor).finish()
    roomy = Staging(tmp_path / "roomy", 1 << 30, 0)
    await roomy.write(b"x")
    assert (await roomy.finish()).size == 1
