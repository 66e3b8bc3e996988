"""Pages of other origins can read answers and refusals, and their headers (digest §7.2)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import new_uid, path_of, store

VIEWER, STRANGER = "https://viewer.example", "https://stranger.example"
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("cors")
    settings = {"CORS_ORIGINS": f"{VIEWER},https://other.example", "ALLOW_DELETE": "true"}
    with RunningServer(folder / "data", settings) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=60, headers={"Origin": VIEWER}) as client:
        yield client


def image() -> bytes:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return small_image(frames=2, **{name: new_uid() for name in names})


@pytest.fixture(scope="module")
def stored(http: httpx.Client) -> Dataset:
    [dataset] = store(http, image())
    return dataset


@pytest.fixture(scope="module")
def damaged(http: httpx.Client, server: RunningServer) -> Dataset:
    """An instance whose file is gone."""
    [dataset] = store(http, image())
    blobs = [
        path
        for path in Path(server.data_dir / "blobs").rglob("*")
        if path.is_file() and dataset.SOPInstanceUID in str(path)
    ]
    assert blobs
    for blob in blobs:
        blob.unlink()
    return dataset


# Status, what is asked for below the instance, and with which headers.
ANSWERS = {
    200: ("/frames/1", {"Accept": OCTETS}),
    206: ("/frames/1", {"Accept": OCTETS, "Range": "bytes=0-9"}),
    304: ("/metadata", {"If-None-Match": "*"}),
    400: ("/frames/0", {}),
    404: ("/frames/9", {}),
    406: ("/frames/1", {"Accept": "text/html"}),
    412: ("/metadata", {"If-Match": '"x"'}),
    416: ("/frames/1", {"Accept": OCTETS, "Range": "bytes=99999-"}),
}


def check(response: httpx.Response) -> None:
    assert response.headers["access-control-allow-origin"] == VIEWER  # echoed, never *
    varies = [name.strip() for name in response.headers["vary"].split(",")]
    assert varies[-1] == "Origin" and "Accept" in varies  # CCH-02
    exposed = {
        name.strip() for name in response.headers["access-control-expose-headers"].split(",")
    }
    assert exposed >= {
        *("Content-Location", "Location", "ETag", "Warning", "Content-Range", "Accept-Ranges"),
        *("Content-Length", "Content-Encoding", "Content-Disposition", "Retry-After", "Allow"),
        *("WWW-Authenticate", "Link", "X-Total-Count"),
    }


@pytest.mark.parametrize("status", ANSWERS)
def test_trap_54_answers_and_refusals_can_be_read(
    http: httpx.Client, stored: Dataset, status: int
) -> None:
    place, headers = ANSWERS[status]
    for method in ("GET", "HEAD"):
        response = http.request(method, path_of(stored) + place, headers=headers)
        if method == "GET":
            assert response.status_code == status
        check(response)


def test_trap_54_faults_of_the_server_too(http: httpx.Client, damaged: Dataset) -> None:
    response = http.get(f"{path_of(damaged)}/frames/1")
    assert response.status_code == 500
    check(response)


def test_trap_54_unknown_resources_and_methods_too(http: httpx.Client, stored: Dataset) -> None:
    unknown, refused = http.get("nothing"), http.put(path_of(stored))
    assert (unknown.status_code, refused.status_code) == (404, 405)
    check(unknown)
    check(refused)


def test_searches_too(http: httpx.Client, stored: Dataset) -> None:
    response = http.get("studies", params={"limit": "1"})
    assert response.status_code == 200
    check(response)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_viewer_may_ask_with_the_headers_it_has(http: httpx.Client, method: str) -> None:
    asked = (
        "accept,authorization,content-encoding,content-type,"
        "if-match,if-none-match,if-range,range,traceparent"
    )
    headers = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked}
    response = http.options("studies", headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == VIEWER
    assert 600 <= int(response.headers["access-control-max-age"]) <= 86400
    assert method in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(allowed) >= set(asked.split(","))


def test_strangers_are_told_nothing(http: httpx.Client, stored: Dataset) -> None:
    for path in (f"{path_of(stored)}/metadata", "nothing"):
        response = http.get(path, headers={"Origin": STRANGER})
        assert "access-control-allow-origin" not in response.headers
    refused = http.options(
        "studies", headers={"Origin": STRANGER, "Access-Control-Request-Method": "GET"}
    )
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
