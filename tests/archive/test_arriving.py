"""Small files, described from their head where they are written, and at rest before their row."""

import os
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from dicomweb_server.archive import arriving, commit
from dicomweb_server.archive.archive import Archive
from dicomweb_server.archive.arriving import HEAD, arrive, describe_head
from dicomweb_server.archive.staging import StagedFile, Staging, new_staging
from dicomweb_server.archive.store import Intake
from dicomweb_server.archive.work import describe_file
from dicomweb_server.errors import Refusal, Unavailable
from dicomweb_server.index.rows import Entry
from dicomweb_server.wire.store_report import Failed, Result, Stored
from tests.archive.opened import TESTER, keys, opened, rows
from tests.make import instance_with, small_image, sr_document, study_of

CT = study_of(1, 1)[0].file()
IDS = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}


def by_worker(path: Path, data: bytes) -> Entry | None:
    path.write_bytes(data)
    try:
        return describe_file(path, 1 << 30)
    except Refusal:
        return None


def image(**keywords: Any) -> bytes:
    return small_image(rows=200, columns=200, **keywords)


@pytest.mark.parametrize(
    "data",
    [CT, image(), image(transfer_syntax=ImplicitVRLittleEndian), instance_with(), sr_document()],
    ids=["CT", "explicit", "implicit", "no pixels", "SR"],
)
def test_a_head_tells_what_a_worker_would(tmp_path: Path, data: bytes) -> None:
    entry = describe_head([data], len(data))

    assert entry is not None
    assert entry == by_worker(tmp_path / "file", data)


def real_files() -> list[Path]:
    bundled = Path(pydicom.__file__).parent / "data"
    found = [*bundled.glob("test_files/**/*.dcm"), *bundled.glob("charset_files/*.dcm")]
    if corpus := os.environ.get("DICOM_CORPUS"):
        found += Path(corpus).glob("**/*")
    return [path for path in found if path.is_file() and path.stat().st_size <= 1 << 20]


def test_a_real_file_is_described_as_by_a_worker_or_left_to_it(tmp_path: Path) -> None:
    told = 0
    for path in real_files():
        data = path.read_bytes()
        entry = describe_head([data], len(data))
        if entry is not None:
            assert entry == by_worker(tmp_path / "file", data), path.name
            told += 1

    assert told > 20


@given(st.lists(st.integers(0, len(CT)), max_size=8))
def test_it_does_not_matter_how_a_file_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CT)]
    pieces = [memoryview(CT)[begin:end] for begin, end in pairwise(edges)]

    assert describe_head(pieces, len(CT)) == describe_head([CT], len(CT))


def long_head() -> bytes:
    return image(ImageComments="x" * (HEAD - 200))


@pytest.mark.parametrize(
    "data",
    [
        CT + b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0",  # Data Set Trailing Padding
        CT[:-2],
        long_head(),
        image(transfer_syntax=DeflatedExplicitVRLittleEndian),
        image(transfer_syntax=RLELossless),
        b"",
        bytes(500),
        instance_with(SOPInstanceUID="1..2"),
    ],
    ids=["more behind", "cut", "long head", "deflated", "coded", "empty", "no DICOM", "no UID"],
)
def test_what_a_head_does_not_tell_is_left_to_a_worker(data: bytes) -> None:
    assert describe_head([data], len(data)) is None


def test_nothing_behind_the_head_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is there costs no time, as it would to walk over a megabyte of elements."""
    seen = []
    describe = arriving.describe

    def note(view: memoryview) -> Any:
        seen.append(bytes(view))
        return describe(view)

    monkeypatch.setattr(arriving, "describe", note)
    elements = instance_with(PatientComments="y" * (HEAD + 500))

    assert describe_head([elements], len(elements)) is None
    assert seen == [elements[:HEAD] + bytes(len(elements) - HEAD)]


@pytest.fixture
async def archive(tmp_path: Path, new_database: Any, template: str) -> AsyncIterator[Archive]:
    async with (
        new_database(template) as url,
        opened(tmp_path / "data", url) as archive,
    ):
        yield archive


async def received(archive: Archive, files: Sequence[bytes]) -> list[Staging]:
    stagings = [new_staging(archive) for _ in files]
    for staging, data in zip(stagings, files, strict=True):
        await staging.write(data)
    return stagings


async def test_what_is_wanted_is_at_rest_and_the_rest_is_staged(archive: Archive) -> None:
    stagings = await received(archive, [CT, instance_with(**IDS), b"no DICOM"])

    first, second, third = arrive(
        stagings, archive.blobs.place, lambda entry: entry.study_instance_uid != "1.2"
    )

    assert isinstance(first, StagedFile)
    assert isinstance(second, StagedFile)
    assert isinstance(third, StagedFile)
    assert [first.blob_key] == await keys(archive)
    assert await archive.blobs.read(first.blob_key or "", 0, first.size) == CT
    assert second.entry is not None
    assert (second.blob_key, third.entry, third.blob_key) == (None, None, None)
    left = {path.read_bytes() for path in archive.settings.tmp_dir.iterdir()}
    assert left == {instance_with(**IDS), b"no DICOM"}
    assert [staging.is_unflushed for staging in stagings] == [False, False, True]
    stagings[2].flush()


async def test_what_cannot_be_put_at_rest_stays_staged(archive: Archive) -> None:
    full = OSError(28, "full")
    stagings = await received(archive, [CT])

    [file] = arrive(stagings, lambda blobs: [full for _ in blobs], lambda _: True)

    assert isinstance(file, StagedFile)
    assert file.entry is not None
    assert file.blob_key is None
    assert file.path.read_bytes() == CT


async def store(archive: Archive, files: Sequence[bytes], study: str | None = None) -> list[Result]:
    intake = Intake(archive, TESTER, study)
    for staging in await received(archive, files):
        await intake.accept(staging)
    return await intake.results()


async def test_few_and_many_are_stored_alike(archive: Archive) -> None:
    for number, count in enumerate((1, 4, 9)):
        files = [instance_with(SOPInstanceUID=f"1.2.{number}.{n}") for n in range(count)]
        results = await store(archive, files)
        assert [isinstance(result, Stored) and result.new for result in results] == [True] * count

    stored = await rows(archive, "SELECT blob_key FROM instances ORDER BY 1")
    assert [row["blob_key"] for row in stored] == sorted(await keys(archive))
    assert len(stored) == 14
    assert not list(archive.settings.tmp_dir.iterdir())


async def test_what_comes_again_or_belongs_elsewhere_leaves_no_blob(archive: Archive) -> None:
    first, other = instance_with(**IDS), instance_with(**IDS, PatientComments="another")
    [stored] = await store(archive, [first])
    before = await keys(archive)

    [again] = await store(archive, [first])
    [another] = await store(archive, [other])
    [elsewhere] = await store(archive, [CT], study="1.2")

    assert isinstance(stored, Stored)
    assert isinstance(again, Stored)
    assert not again.new
    assert isinstance(another, Failed)
    assert another.reason == 0x0111
    assert isinstance(elsewhere, Failed)
    assert await keys(archive) == before
    assert await archive.blobs.read(before[0], 0, len(first)) == first
    assert not list(archive.settings.tmp_dir.iterdir())


@pytest.mark.parametrize("asked", [False, True])
async def test_a_blob_stays_only_where_the_index_may_name_it(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """The database goes away before it is asked, or while it is."""

    def away(*_: Any) -> Any:
        raise Unavailable("the database cannot answer now")

    monkeypatch.setattr(commit, "insert_instances" if asked else "acquire", away)
    with pytest.raises(Unavailable):
        await store(archive, [CT])

    assert len(await keys(archive)) == asked
    assert not list(archive.settings.tmp_dir.iterdir())
