"""The same over HTTP/2 (cleartext, by prior knowledge): streams that end are whole, and those that
are given up cost nothing more."""

import asyncio
import socket
import time
from collections.abc import Iterator
from io import BytesIO

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from h2.errors import ErrorCodes
from pydicom import Dataset, dcmread

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import DICOM, new_uid, parts_of, path_of, store
from tests.web.test_damage import blob_of

FILES = 24  # of 2 MB: more than buffers on the way hold
STORED = {"Accept": f"{DICOM}; transfer-syntax=*"}
MULTI = f'multipart/related; type="{DICOM}"'


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TEST_SERVER", raising=False)  # uvicorn has no HTTP/2
        with RunningServer(tmp_path_factory.mktemp("two") / "data") as running:
            yield running


@pytest.fixture(scope="module")
def client(two: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=two.base, timeout=60, http1=False, http2=True) as http:
        yield http


@pytest.fixture(scope="module")
def study(two: RunningServer) -> tuple[list[bytes], list[Dataset]]:
    uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
    files = [
        small_image(rows=1500, columns=1500, SOPInstanceUID=new_uid(), seed=number, **uids)
        for number in range(FILES)
    ]
    with httpx.Client(base_url=two.base, timeout=60) as http:
        return files, store(http, *files)


Stored = tuple[list[bytes], list[Dataset]]


def test_answers_are_those_of_http_1(
    two: RunningServer, client: httpx.Client, study: Stored
) -> None:
    files, [first, *_] = study
    with httpx.Client(base_url=two.base, timeout=60) as http_1:
        for path, headers in (
            (path_of(first), STORED),
            (path_of(first, 2), {}),
            (path_of(first, 1), {"Accept": "application/zip"}),
            (f"{path_of(first)}/frames/1", {}),
            (f"{path_of(first, 1)}/metadata", {"Accept-Encoding": "gzip"}),
        ):
            answer, other = client.get(path, headers=headers), http_1.get(path, headers=headers)
            assert answer.http_version == "HTTP/2"
            assert other.http_version == "HTTP/1.1"
            assert answer.status_code == other.status_code == 200
            for name in ("etag", "content-length", "content-type", "vary", "content-encoding"):
                if "etag" in answer.headers:  # without, boundaries differ
                    assert answer.headers.get(name) == other.headers.get(name)
            if "etag" in answer.headers:
                assert answer.content == other.content
    parts = parts_of(client.get(path_of(first, 2)))
    assert sorted(data for _, data in parts) == sorted(files)


def test_ranges_conditions_and_head(client: httpx.Client, study: Stored) -> None:
    files, [first, *_] = study
    whole = client.get(path_of(first), headers=STORED)
    assert whole.content == files[0]
    part = client.get(path_of(first), headers={**STORED, "Range": "bytes=100-2000099"})
    assert part.status_code == 206
    assert part.content == files[0][100:2000100]
    known = {**STORED, "If-None-Match": whole.headers["etag"]}
    assert client.get(path_of(first), headers=known).status_code == 304
    head = client.head(path_of(first), headers=STORED)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(files[0])))
    assert client.get("studies/none").status_code == 400


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_res_06_head_has_no_content_whatever_is_answered(
    two: RunningServer, client: httpx.Client, study: Stored, method: str
) -> None:
    """A stream with content after HEAD is a protocol error to clients (RFC 9110 §9.3.2)."""
    _, [first, *_] = study
    for path, accept, status in (
        ("studies?limit=1", "*/*", 200),
        ("studies", "*/*", 200),
        ("studies?StudyInstanceUID=1.9.9", "*/*", 204),
        (f"{path_of(first)}/metadata", "*/*", 200),
        (f"{path_of(first)}/frames/1", "*/*", 200),
        (f"{path_of(first)}/frames/9", "*/*", 404),
        (f"{path_of(first)}/rendered", "image/jpeg", 200),
        (path_of(first), "text/plain", 406),
        ("studies/none", "*/*", 400),
        (f"{two.url}/healthz", "*/*", 200),
        (f"{two.url}/openapi.json", "*/*", 200),
        (f"{two.url}/", "*/*", 200),
    ):
        answer = client.request(method, path, headers={"Accept": accept})
        assert (answer.http_version, answer.status_code) == ("HTTP/2", status), path
        assert bool(answer.content) == (method == "GET" and status != 204), path


def test_an_upload(client: httpx.Client) -> None:
    file = small_image(
        rows=2000, columns=2000, SOPInstanceUID=new_uid(), StudyInstanceUID=new_uid()
    )
    answer = client.post("studies", content=file, headers={"Content-Type": DICOM})
    assert answer.status_code in (200, 202)
    assert client.get(path_of(dcmread(BytesIO(file))), headers=STORED).content == file


async def test_many_streams_of_one_connection(two: RunningServer, study: Stored) -> None:
    files, datasets = study
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        base_url=two.base, timeout=60, http1=False, http2=True, limits=limits
    ) as http:
        answers = await asyncio.gather(
            *(http.get(path_of(each), headers=STORED) for each in datasets * 3)
        )
    assert [answer.content for answer in answers] == files * 3


@pytest.mark.parametrize("level", [1, 3])
@pytest.mark.parametrize("accept", [None, f"{DICOM}; transfer-syntax=*", "application/zip"])
def test_err_03_a_fault_resets_the_stream_and_no_other(
    two: RunningServer, client: httpx.Client, study: Stored, level: int, accept: str | None
) -> None:
    _, datasets = study
    if accept and "dicom" in accept and level == 1:
        accept = f"{MULTI}; transfer-syntax=*"
    blob = blob_of(two, datasets[3].SOPInstanceUID)
    before = blob.read_bytes()
    try:
        blob.write_bytes(before[: 3 << 19])
        headers = {"Accept": accept} if accept else {}
        with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
            client.get(path_of(datasets[3], level), headers=headers)
        answer = client.get(path_of(datasets[0]), headers=STORED)  # on the same connection
        assert answer.status_code == 200
    finally:
        blob.write_bytes(before)


class Stream:
    """One request on a connection of its own, whose answer is read as one likes."""

    def __init__(self, server: RunningServer, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.http.initiate_connection()
        names = {":method": "GET", ":scheme": "http", ":authority": "x", ":path": path}
        self.http.send_headers(1, [*names.items(), ("accept", MULTI)], end_stream=True)
        self.send()
        self.received = 0

    def send(self) -> None:
        self.socket.sendall(self.http.data_to_send())

    def read(self, least: int) -> None:
        """Take as much of the body, without giving room for more than a window beyond it."""
        while self.received < least:
            for event in self.http.receive_data(self.socket.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    self.received += len(event.data)
                    length = event.flow_controlled_length or 0
                    self.http.acknowledge_received_data(length, 1)
            self.send()


def logged(server: RunningServer, path: str, count: int) -> dict[str, object]:
    """What the log says of the latest of `count` requests for `path`, once they have ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [each for each in server.logged() if each.get("path") == path]
        ended = [each for each in found if each["event"] == "request"]
        if len(ended) >= count:
            return ended[-1]
        time.sleep(0.05)
    raise AssertionError("the request goes on")


@pytest.mark.parametrize("kind", ["reset", "connection"])
def test_a_stream_that_is_given_up_ends_the_work(
    two: RunningServer, study: Stored, kind: str
) -> None:
    files, datasets = study
    path = f"/dicomweb/{path_of(datasets[0], 2)}"
    before = two.log.read_text().count(f'"path":"{path}"')
    stream = Stream(two, path)
    stream.read(3_000_000)
    if kind == "reset":
        stream.http.reset_stream(1, ErrorCodes.CANCEL)
        stream.send()
    else:
        stream.socket.close()
    entry = logged(two, path, before + 1)
    assert isinstance(entry["bytes"], int)
    assert 3_000_000 <= entry["bytes"] < sum(map(len, files)) // 2
    stream.socket.close()


def test_who_takes_nothing_is_sent_little(two: RunningServer, study: Stored) -> None:
    """Flow control holds the server back, which reads no more from the disk."""
    files, datasets = study
    path = f"/dicomweb/{path_of(datasets[0], 2)}"
    before = two.log.read_text().count(f'"path":"{path}"')
    stream = Stream(two, path)
    time.sleep(1.5)
    stream.http.reset_stream(1, ErrorCodes.CANCEL)
    stream.send()
    entry = logged(two, path, before + 1)
    assert isinstance(entry["bytes"], int)
    assert entry["bytes"] < sum(map(len, files)) // 2
    stream.socket.close()
