"""Instances whose files cannot be made for want of storage: told as such, and sent again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from dicomweb_server.archive.assembly import Plan, Posted
from dicomweb_server.archive.posted import PostedIntake
from dicomweb_server.archive.staging import StagedFile
from dicomweb_server.archive.workers import WorkerPool
from dicomweb_server.dicom.completion import SERIES, SOP_INSTANCE, Belonging
from dicomweb_server.errors import Unavailable
from dicomweb_server.wire.bulk_parts import JSON, PartType
from dicomweb_server.wire.store_report import Failed


async def test_storage_that_fails_is_no_fault_of_the_instance(tmp_path: Path) -> None:
    workers = WorkerPool(1, timeout=20, memory=0)
    workers.start()
    intake = SimpleNamespace(archive=SimpleNamespace(workers=workers))
    posted_intake = PostedIntake(cast(Any, intake), "")
    metadata = tmp_path / "1.metadata"
    metadata.write_text("{}")
    nowhere = tmp_path / "gone" / "1.part"  # as if the disk had been taken away
    plan = Plan(
        metadata,
        nowhere,
        {},
        "1.2",
        dict.fromkeys((SOP_INSTANCE, SERIES), UUID(int=1)),
        1,
        1 << 20,
        0,
    )
    posted = Posted(metadata, (), None, "1.2.3", Belonging(None, None, b""))
    try:
        made = await posted_intake._assemble(posted, plan)
        posted_intake.accept(PartType(JSON), StagedFile(tmp_path / "gone" / "1.bulk", 2, b""))
        with pytest.raises(Unavailable, match="storage failed"):
            await posted_intake.finish()
    finally:
        await workers.close()

    assert isinstance(made, Failed)
    assert (made.reason, made.sop_instance_uid) == (0xA700, "1.2.3")
    assert made.comment == "the archive's storage failed"
