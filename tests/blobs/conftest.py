"""The stores that the contract is tried on, each empty and for one test alone."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dicomweb_server.archive.bounded_folder import BoundedFolder
from dicomweb_server.archive.expected_blobs import ExpectedBlobs
from dicomweb_server.archive.near_blobs import NearBlobs
from dicomweb_server.blobs.filesystem import FilesystemBlobs
from dicomweb_server.blobs.store import BlobStore
from tests.s3 import new_s3_blobs


@pytest.fixture(params=["filesystem", "s3", "expecting", "near", "near s3"])
async def new_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[], BlobStore]]:
    """Makes empty stores of one kind, which are closed after the test."""
    made: list[BlobStore] = []

    def make() -> BlobStore:
        folder = tmp_path_factory.mktemp("store")
        if request.param == "filesystem":
            made.append(FilesystemBlobs(folder / "blobs"))
        elif request.param == "expecting":
            made.append(ExpectedBlobs(FilesystemBlobs(folder / "blobs")))
        elif request.param == "near":
            made.append(near(FilesystemBlobs(folder / "blobs"), folder))
        else:
            far = new_s3_blobs(request.getfixturevalue("s3"), folder)
            made.append(far if request.param == "s3" else near(far, folder))
        return made[-1]

    def near(far: BlobStore, folder: Path) -> NearBlobs:
        (folder / "scratch").mkdir()
        copies = BoundedFolder(folder / "copies", 64 << 20)
        return NearBlobs(ExpectedBlobs(far), copies, folder / "scratch")

    yield make
    for store in made:
        await store.close()


@pytest.fixture
async def store(new_store: Callable[[], BlobStore]) -> BlobStore:
    return new_store()
