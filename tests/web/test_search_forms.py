"""The forms in which answers of searches and metadata come: media types, parts, gzip."""

import gzip
import re
from collections.abc import Iterator

import brotli
import httpx
import pytest
from pydicom import Dataset

from dicomweb_server.wire.content_coding import zstd
from tests.make import instance_with
from tests.web.asking import assert_problem, found_in, new_uid, parts_of, path_of, store

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
FORMS = [JSON, XML]
VARY = "Accept, Accept-Encoding"


@pytest.fixture(scope="module")
def stored(http: httpx.Client) -> Iterator[list[Dataset]]:
    """A series of 40 instances, too long to be sent as it is."""
    study = new_uid()
    files = [
        instance_with(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1",
            SOPInstanceUID=f"{study}.1.{number}",
            InstanceNumber=str(number),
            ImageComments="Of one instance, too, there is more to tell. " * 10,
        )
        for number in range(1, 41)
    ]
    datasets = store(http, *files)
    yield datasets
    assert http.delete(path_of(datasets[0], 1)).status_code == 204


@pytest.fixture(scope="module")
def find(http: httpx.Client, stored: list[Dataset]):
    def ask(accept: str, /, **parameters: str) -> httpx.Response:
        return http.get(
            f"{path_of(stored[0], 2)}/instances", params=parameters, headers={"Accept": accept}
        )

    return ask


# --------------------------------------------------------------------------------- negotiation


@pytest.mark.parametrize(
    ("accept", "parameter", "kind"),
    [
        (JSON, None, JSON),
        ("application/json", None, JSON),  # trap 12
        ("*/*", None, JSON),  # NEG-04, trap 11
        ("application/*", None, JSON),
        (XML, None, XML),
        ("multipart/related; type=application/dicom+xml", None, XML),  # NEG-06
        ('Multipart/Related; boundary=x; TYPE="application/dicom+xml"', None, XML),
        ("multipart/related", None, XML),  # NEG-05: of several parts it is the only type
        (f"{JSON};q=0.5, {XML}", None, XML),
        (f"{JSON}, {XML};q=0.5", None, JSON),
        (f"{XML}, */*;q=0.1", None, XML),
        (f"{JSON};q=0, {XML};q=0.1", None, XML),  # NEG-08
        (f"application/dicom+xml, {JSON};q=0.1", None, JSON),  # NEG-03
        (f"{JSON}, multipart/related; type=application/octet-stream", None, JSON),  # NEG-09
        ("*/*", XML, XML),
        ("*/*", "multipart/related; type=application/dicom xml", XML),  # ACC-04
        (JSON, XML, JSON),  # ACC-02
        (XML, JSON, XML),
        ("*/*", "application/dicom+xml", JSON),  # ACC-03: not to be had so
    ],
)
def test_neg_what_is_asked_for_is_what_comes(
    find, accept: str, parameter: str | None, kind: str
) -> None:
    response = find(accept, **({"accept": parameter} if parameter else {}))

    assert response.status_code == 200
    content_type = response.headers["content-type"]
    assert content_type == JSON if kind == JSON else content_type.startswith(f"{XML}; boundary=")


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+xml",  # NEG-03: results are many, as a single part it is not offered
        'multipart/related; type="application/dicom+json"',  # digest 1.4: never multipart
        "text/html",
        "*/*;q=0",
    ],
)
@pytest.mark.parametrize("query", [{}, {"PatientID": "nobody"}], ids=["found", "nothing"])
def test_neg_11_a_406_names_what_can_be_had(find, accept: str, query: dict[str, str]) -> None:
    refusal = assert_problem(find(accept, **query), 406)

    assert refusal["available"] == [JSON, XML]


# ----------------------------------------------------------------------------------- multipart


def test_mp_01_to_mp_10_one_document_a_part(find) -> None:
    response = find(XML)
    content_type, body = response.headers["content-type"], response.content

    boundary = re.fullmatch(re.escape(XML) + r"; boundary=([0-9A-Za-z]{32,70})", content_type)
    assert boundary is not None  # MP-02
    assert body.startswith(f"--{boundary[1]}\r\nContent-Type: ".encode())  # MP-07
    assert body.endswith(f"\r\n--{boundary[1]}--\r\n".encode())  # MP-06
    parts = parts_of(response)
    assert len(parts) == 40
    for headers, document in parts:  # MP-03, MP-10
        assert headers["Content-Type"] == "application/dicom+xml"  # MP-01
        assert headers["Content-Length"] == str(len(document))
        assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert boundary[1] not in find(XML).headers["content-type"]


# ---------------------------------------------------------------------------------------- gzip


@pytest.fixture(scope="module")
def resources(stored: list[Dataset]) -> dict[str, tuple[str, str]]:
    """Path and Accept of what may be coded."""
    instances = f"{path_of(stored[0], 2)}/instances"
    return {
        "json": (instances, JSON),
        "xml": (instances, XML),
        "metadata": (f"{path_of(stored[0], 2)}/metadata", JSON),
        "metadata of one": (f"{path_of(stored[0])}/metadata", JSON),
    }


KINDS = ["json", "xml", "metadata", "metadata of one"]


def raw(
    http: httpx.Client, path: str, accept: str, encoding: str | None, method: str = "GET"
) -> tuple[httpx.Headers, bytes]:
    """An answer as it comes over the wire."""
    request = http.build_request(method, path, headers={"Accept": accept})
    del request.headers["accept-encoding"]
    if encoding is not None:
        request.headers["accept-encoding"] = encoding
    response = http.send(request, stream=True)
    try:
        assert response.status_code == 200
        return response.headers, b"".join(response.iter_raw())
    finally:
        response.close()


def content(headers: httpx.Headers, body: bytes) -> bytes:
    """What a body holds but for the boundary, which is another each time."""
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    elif headers.get("content-encoding") == "zstd":
        body = zstd.decompress(body)
    elif headers.get("content-encoding") == "br":
        body = brotli.decompress(body)
    boundary = headers["content-type"].partition("boundary=")[2]
    return body.replace(boundary.encode(), b"BOUNDARY") if boundary else body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("encoding", "coding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("br", "br"),
    ],
)
def test_cch_04_a_coding_where_it_is_asked_for(
    http: httpx.Client,
    resources: dict[str, tuple[str, str]],
    kind: str,
    encoding: str,
    coding: str,
) -> None:
    plain_headers, plain = raw(http, *resources[kind], None)
    headers, packed = raw(http, *resources[kind], encoding)

    assert headers["content-encoding"] == coding
    assert "content-encoding" not in plain_headers
    assert headers["content-type"].startswith(resources[kind][1])
    assert headers.get("content-length", str(len(packed))) == str(len(packed))
    assert headers["vary"] == plain_headers["vary"] == VARY  # CCH-02
    assert headers["cache-control"] == plain_headers["cache-control"]
    assert content(headers, packed) == content(plain_headers, plain)
    assert len(packed) < len(plain) * (0.8 if kind == "metadata of one" else 0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "encoding", ["", "identity", "deflate", "gzip;q=0", "*;q=0, identity", "gzip;q=0.5, identity"]
)
def test_cch_04_no_coding_where_it_is_not(
    http: httpx.Client, resources: dict[str, tuple[str, str]], kind: str, encoding: str
) -> None:
    headers, body = raw(http, *resources[kind], encoding)

    assert "content-encoding" not in headers
    assert headers["vary"] == VARY
    assert body.startswith((b"[{", b"--"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", [None, "gzip", "zstd", "identity"])
def test_res_06_head_has_the_headers_of_get(
    http: httpx.Client,
    resources: dict[str, tuple[str, str]],
    kind: str,
    encoding: str | None,
) -> None:
    headers, _ = raw(http, *resources[kind], encoding)
    of_head, nothing = raw(http, *resources[kind], encoding, "HEAD")

    assert nothing == b""
    for name in ("content-encoding", "vary", "cache-control"):
        assert of_head.get(name) == headers.get(name)
    bare = [each["content-type"].partition("boundary=")[0] for each in (of_head, headers)]
    assert bare[0] == bare[1]


def test_small_answers_are_not_packed_unless_they_have_to_be(
    http: httpx.Client, stored: list[Dataset]
) -> None:
    one = f"{path_of(stored[0], 2)}/instances?InstanceNumber=7"
    plain_headers, plain = raw(http, one, JSON, "gzip")
    headers, packed = raw(http, one, JSON, "gzip, identity;q=0")

    assert len(plain) < 1000
    assert "content-encoding" not in plain_headers
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain
    assert headers["vary"] == plain_headers["vary"] == VARY
    for encoding in ("gzip", "gzip, identity;q=0"):
        of_head, _ = raw(http, one, JSON, encoding, "HEAD")
        assert ("content-encoding" in of_head) is ("identity" in encoding)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["identity;q=0", "*;q=0", "deflate, identity;q=0"])
def test_who_bars_every_coding_gets_406(
    http: httpx.Client, resources: dict[str, tuple[str, str]], kind: str, encoding: str
) -> None:
    path, accept = resources[kind]
    answer = http.get(path, headers={"Accept": accept, "Accept-Encoding": encoding})

    assert assert_problem(answer, 406)["available"] == ["zstd", "gzip", "br", "identity"]
    assert answer.headers["vary"] == VARY


def test_cch_02_refusals_and_nothing_vary_too(http: httpx.Client, stored: list[Dataset]) -> None:
    series = path_of(stored[0], 2)
    for path, status in (
        (f"{series}/instances?InstanceNumber=99", 204),
        ("studies?limit=x", 400),
        (f"studies/{new_uid()}/series", 404),
        (f"studies/{new_uid()}/metadata", 404),
    ):
        answer = http.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == status
        assert answer.headers["vary"] == VARY
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("form", FORMS)
def test_warnings_stay_beside_gzip(http: httpx.Client, stored: list[Dataset], form: str) -> None:
    path = f"{path_of(stored[0], 2)}/instances?limit=30&PixelData=1"
    answer = http.get(path, headers={"Accept": form, "Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.headers.get_list("warning")) == 2
    assert len(found_in(answer)) == 30


def test_files_and_frames_are_not_packed(http: httpx.Client, stored: list[Dataset]) -> None:
    answer = http.get(path_of(stored[0]), headers={"Accept-Encoding": "gzip"})

    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
