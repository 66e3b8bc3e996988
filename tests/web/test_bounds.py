"""What would be too much is answered otherwise, and what is given up leaves nothing behind."""

import socket
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import (
    DICOM,
    OTHER,
    assert_problem,
    new_uid,
    parts_of,
    path_of,
    post,
    reasons,
    store,
)

SETTINGS = {
    "PIXEL_LIMIT_BYTES": "1MiB",
    "MAX_INSTANCE_BYTES": "40MiB",
    "MAX_REQUEST_PARTS": "3",
    "MAX_CONCURRENT_UPLOADS": "2",
}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("tight") / "data", SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def client(tight: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tight.base, timeout=60) as http:
        yield http


def uids() -> dict[str, str]:
    return {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "SOPInstanceUID": new_uid(),
    }


def test_ts_04_what_is_too_large_decoded_goes_as_stored(client: httpx.Client) -> None:
    file = small_image(rows=512, columns=512, frames=3, transfer_syntax=JPEG2000Lossless, **uids())
    [dataset] = store(client, file)
    for level in (1, 3):
        [(fields, data)] = parts_of(client.get(path_of(dataset, level)))
        assert fields["Content-Type"] == f"{DICOM}; transfer-syntax={JPEG2000Lossless}"
        assert data == file
    frame = client.get(f"{path_of(dataset)}/frames/3")  # one by one they are small enough
    assert parts_of(frame)[0][1] == dataset.pixel_array[2].tobytes()


def test_an_instance_above_the_limit_fails_alone(
    tight: RunningServer, client: httpx.Client
) -> None:
    large = small_image(rows=5000, columns=5000, **uids())
    small = small_image(**uids())
    body = b"".join(
        b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n"
        for file in (large, small)
    )
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    answer = client.post("studies", content=body + b"--b--", headers={"Content-Type": kind})
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == 1
    assert answer.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xA700]
    assert tight.scratch_left() == []


def test_stow_42_parts_beyond_the_limit_do_not_undo_those_before(client: httpx.Client) -> None:
    answer = post(client, [small_image(**uids()) for _ in range(5)])
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == 3
    assert reasons(answer, OTHER) == [0xC000]


def test_a_client_that_leaves_while_its_file_is_made_leaves_no_file(
    tight: RunningServer, client: httpx.Client
) -> None:
    noise = np.random.default_rng(1).integers(0, 9, (2000, 2000), np.uint16)
    file = small_image(
        rows=2000,
        columns=2000,
        transfer_syntax=DeflatedExplicitVRLittleEndian,
        PixelData=noise.tobytes(),
        **uids(),
    )
    [dataset] = store(client, file)
    for delay in (0.0, 0.02, 0.1):
        with socket.create_connection(("127.0.0.1", tight.port)) as connection:
            path = f"/dicomweb/{path_of(dataset)}/bulkdata/7FE00010"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(delay)
    assert tight.scratch_left() == []
    assert_problem(client.get(f"studies/{new_uid()}"), 404)  # and the server goes on


def begin_upload(server: RunningServer, length: int) -> socket.socket:
    """A store request whose body does not come."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {DICOM}\r\n"
    connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
    return connection


def test_more_uploads_than_allowed_are_refused_before_a_byte_of_them_is_read(
    tight: RunningServer, client: httpx.Client
) -> None:
    under_way = [begin_upload(tight, 1000) for _ in range(2)]
    time.sleep(0.5)
    third = begin_upload(tight, 1 << 40)
    answer = third.recv(65536).decode()

    assert answer.startswith("HTTP/1.1 503 ")
    assert "\r\nretry-after: " in answer.lower()
    assert client.get("studies").status_code in (200, 204)  # only uploads are held back
    for connection in (*under_way, third):
        connection.close()
    file = small_image(**uids())
    deadline = time.monotonic() + 30
    while (status := post(client, [file]).status_code) == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200  # the places of those that left are free again


def write_then_read(server: RunningServer, size: int) -> bytes:
    """The answer to a refused upload, for who writes all of it first, as proxies do."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        try:
            connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode() + bytes(size))
        except OSError:
            return b""
        return connection.recv(65536)


def test_a_refused_upload_is_read_on_for_a_while(tight: RunningServer) -> None:
    """Where the connection breaks while it is being written to, nginx answers 502 (RFC 9112 §9.6).
    Granian now and then closes it all the same."""
    answers = [write_then_read(tight, 16 << 20).startswith(b"HTTP/1.1 415 ") for _ in range(12)]
    assert sum(answers) >= 3  # none were


def test_who_waits_for_a_word_is_told_that_nothing_more_comes(tight: RunningServer) -> None:
    """RFC 9110 §10.1.1: the client may never send what it announced."""
    with socket.create_connection(("127.0.0.1", tight.port), timeout=30) as connection:
        head = "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        connection.sendall(f"{head}Content-Length: 9\r\nExpect: 100-continue\r\n\r\n".encode())
        started = time.monotonic()
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert time.monotonic() - started < 4
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_an_upload_to_a_full_disk_is_refused_before_a_byte_of_it_is_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {"MIN_FREE_BYTES": str(1 << 60)}
    with RunningServer(tmp_path_factory.mktemp("full") / "data", settings) as server:
        with begin_upload(server, 1 << 40) as connection:
            answer = connection.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 503 ")
        assert "\r\nretry-after: " in answer.lower()
        assert httpx.get(f"{server.base}/studies").status_code == 204
