"""One running server for the tests of the HTTP face; they know it by its URL alone."""

from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningServer
from tests.web.shelf import Shelf

# Deleting lets tests clean up; the small limits keep a deflate bomb and a long film cheap to make.
SETTINGS = {
    "ALLOW_DELETE": "true",
    "INFLATE_LIMIT_BYTES": "100MiB",
    "MAX_RENDERED_FRAMES": "40",
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    with RunningServer(folder / "data", SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """A client of the DICOMweb services; paths are relative to their base URI."""
    with httpx.Client(base_url=server.base, timeout=60) as client:
        yield client


@pytest.fixture
def shelf(http: httpx.Client) -> Iterator[Shelf]:
    """A shelf for one test."""
    one = Shelf(http)
    yield one
    one.clear()
