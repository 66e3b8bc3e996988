"""Hostile uploads: each is refused plainly, in bounded time, and the server goes on."""

import socket
import struct
import time
import zlib
from io import BytesIO

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from tests.make import instance_with, multipart_body, small_image
from tests.running import RunningServer
from tests.web.asking import FAILED, OTHER, REFERENCED, new_uid, path_of, post, store


def with_uids(file: bytes) -> bytes:
    dataset = dcmread(BytesIO(file))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = new_uid(), new_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = new_uid()
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
        return head + b"\0\0" + struct.pack("<I", size) + value
    return head + struct.pack("<H", size) + value


def appended(extra: bytes) -> bytes:
    """A file whose last element is one of ours."""
    return with_uids(instance_with()) + extra


HOSTILE = {
    "truncated": with_uids(small_image())[:-40],
    "length past the end": appended(element(0x7FE00010, b"OW", b"", 0xFFFFFFF0)),
    "undefined length of a value": appended(element(0x7FDF0010, b"OB", b"", 0xFFFFFFFF)),
    "unknown VR": appended(struct.pack("<HH", 0x7FDF, 0x11) + b"??" + b"\xff\xff"),
    "10,000 levels": appended(
        b"".join(
            element(0x00081140, b"SQ", b"", 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            for _ in range(10_000)
        )
    ),
    "polyglot": b"MZ" + bytes(126) + with_uids(instance_with())[128:],
    "html": b"<html><script>alert(1)</script></html>" * 20,
    "only a preamble": bytes(128) + b"DICM",
    "empty": b"",
    "pixels forged": with_uids(small_image()).replace(
        element(0x00280010, b"US", b"\x08\x00"), element(0x00280010, b"US", b"\xff\xff")
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(http: httpx.Client, name: str) -> None:
    response = post(http, [HOSTILE[name]])
    assert response.status_code in (200, 202, 409), response.text
    module = response.json()
    if REFERENCED in module:
        dataset = dcmread(BytesIO(HOSTILE[name]))
        for path in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail"):
            assert http.get(path_of(dataset) + path).status_code < 500
    else:
        assert FAILED in module or OTHER in module
    assert post(http, [with_uids(instance_with())]).status_code == 200


def test_a_million_empty_items_end_quickly(http: httpx.Client) -> None:
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_000_000
    file = appended(element(0x7FDF1140, b"SQ", items))
    response = post(http, [file])
    assert response.status_code in (200, 202, 409)


def test_a_deflate_bomb_is_refused(http: httpx.Client) -> None:
    file = instance_with(transfer_syntax="1.2.840.10008.1.2.1.99")
    head = file[: dcmread(BytesIO(file)).file_meta.FileMetaInformationGroupLength + 144]
    bomb = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = b"".join(bomb.compress(bytes(1 << 24)) for _ in range(10)) + bomb.flush()
    response = post(http, [head + packed])
    assert response.status_code == 409


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_client_that_leaves_leaves_nothing_behind(
    server: RunningServer, http: httpx.Client, share: float
) -> None:
    file = with_uids(small_image(rows=512, columns=512))
    body, content_type = multipart_body([file])
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[: int(len(body) * share)]
        )
        time.sleep(0.3)
    assert server.scratch_left() == []
    assert http.get(path_of(dcmread(BytesIO(file)))).status_code == 404
    store(http, file)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=300), boundary=st.sampled_from(["b", "--", "x y", "'"]))
def test_any_body_gets_an_answer(http: httpx.Client, body: bytes, boundary: str) -> None:
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    response = http.post("studies", content=body, headers={"Content-Type": kind})
    assert response.status_code in (200, 202, 400, 409, 415)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80),
    path=st.sampled_from(["", "/metadata", "/frames/1", "/rendered", "/thumbnail"]),
)
def test_any_accept_gets_an_answer(http: httpx.Client, accept: str, path: str) -> None:
    dataset = _an_image(http)
    response = http.get(path_of(dataset) + path, headers={"Accept": accept.strip()})
    assert response.status_code in (200, 400, 406)


_images: dict[int, object] = {}


def _an_image(http: httpx.Client):
    if id(http) not in _images:
        [_images[id(http)]] = store(http, with_uids(small_image()))
    return _images[id(http)]


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /dicomweb/studies/%2e%2e/%2e%2e/etc HTTP/1.1",
        "GET //dicomweb//studies HTTP/1.1",
        "GET /dicomweb/studies;x=1 HTTP/1.1",
        "GET /dicomweb/studies?limit=999999999999999999999999 HTTP/1.1",
        "GET /dicomweb/studies?offset=1000000000000 HTTP/1.1",
        "GET /dicomweb/studies/1.2/series/1.2/instances/1.2/frames/" + "1," * 3000 + "1 HTTP/1.1",
    ],
    ids=lambda line: line[:50],
)
def test_odd_requests(server: RunningServer, request_line: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(10)
        connection.sendall(f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = int(connection.makefile("rb").readline().split()[1])
    assert status in (200, 204, 400, 404, 414)
