"""Answers to store requests, and bodies with a Content-Encoding or too slow to wait for."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as Xml

import httpx
import pytest

from tests.make import instance_with, multipart_body
from tests.make.posted import JSON, NAMESPACE, XML, Bulk, native_xml, related
from tests.running import RunningServer
from tests.web.asking import DICOM, assert_problem, new_uid, post, reasons
from tests.web.posting import octets, part, post_posted, posted_instance, stored_paths


def uids() -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names}


def forms() -> dict[str, tuple[bytes, str]]:
    """A body and its Content-Type, of one new instance each, in every form there is."""
    made = [posted_instance(EncapsulatedDocument=Bulk("d", "OB")) for _ in range(2)]
    bulk = octets(bytes(100_000), Content_Location="d")
    return {
        "dicom": (instance_with(**uids()), DICOM),
        "multipart dicom": multipart_body([instance_with(**uids())]),
        "json": (json.dumps([posted_instance()]).encode(), JSON),
        "xml": (native_xml(posted_instance()), XML),
        "multipart json": related([part(JSON, json.dumps(made[:1]).encode()), bulk]),
        "multipart xml": related([part(XML, native_xml(made[1])), bulk], XML),
    }


FORMS = list(forms())


def send(http: httpx.Client, body: bytes | Iterator[bytes], kind: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post("studies", content=body, headers={"Content-Type": kind, **named})


# --- Content-Encoding -------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip", "identity"])
def test_cch_05_any_form_may_be_gzip(http: httpx.Client, form: str, coding: str) -> None:
    body, kind = forms()[form]
    packed = body if coding == "identity" else gzip.compress(body)
    answer = send(http, packed, kind, Content_Encoding=coding)
    assert answer.status_code == 200, answer.text
    assert len(stored_paths(answer)) == 1


def test_cch_05_members_of_gzip_follow_each_other(http: httpx.Client) -> None:
    body, kind = forms()["multipart json"]
    packed = b"".join(gzip.compress(body[at : at + 999]) for at in range(0, len(body), 999))
    padded = gzip.compress(b"") * 50 + packed + bytes(10)
    pieces = [padded[at : at + 7] for at in range(0, len(padded), 7)]
    answer = send(http, iter(pieces), kind, Content_Encoding="gzip")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("form", FORMS)
def test_cch_05_what_is_no_gzip_or_cut_off_is_a_bad_request(http: httpx.Client, form: str) -> None:
    body, kind = forms()[form]
    packed = gzip.compress(body)
    flipped = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
    for damaged in (body, packed[: len(packed) // 2], packed[:-1], packed + b"x", flipped):
        answer = send(http, damaged, kind, Content_Encoding="gzip")
        # Whole PS3.10 parts before the damage count (STOW-42).
        expected = 202 if form == "multipart dicom" and answer.status_code == 202 else 400
        assert answer.status_code == expected, answer.text


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "br", "zstd", "deflate", "compress", "gzip;q=1", "gzip gzip"]
)
def test_cch_05_other_codings_are_not_supported(http: httpx.Client, coding: str) -> None:
    body, kind = forms()["json"]
    packed = gzip.compress(gzip.compress(body))
    answer = send(http, packed, kind, Content_Encoding=coding)
    assert_problem(answer, 415)
    assert answer.headers["accept-encoding"] == "gzip, identity"  # RFC 9110 §15.5.16


def test_cch_05_several_lines_are_one_list(http: httpx.Client) -> None:
    body, kind = forms()["json"]
    for codings, content, status in (
        (("identity", "gzip"), gzip.compress(body), 200),
        (("gzip", "gzip"), gzip.compress(gzip.compress(body)), 415),
        (("identity", "br"), body, 415),
    ):
        headers = [("Content-Type", kind), *(("Content-Encoding", each) for each in codings)]
        answer = http.post("studies", content=content, headers=headers)
        assert answer.status_code == status, (codings, answer.text)


@pytest.mark.parametrize("form", FORMS)
def test_cch_05_a_bomb_is_too_large(server: RunningServer, http: httpx.Client, form: str) -> None:
    """INFLATE_LIMIT_BYTES is 100 MiB here."""
    body, kind = forms()[form]
    end = b"\r\n--" if "multipart" in form else b""
    packer = zlib.compressobj(9, wbits=31)
    head = body.rpartition(end)[0] if end else body
    packed = packer.compress(head) + packer.compress(bytes(150 << 20)) + packer.flush()
    answer = send(http, packed, kind, Content_Encoding="gzip")
    assert_problem(answer, 413)
    assert server.scratch_left() == []


def test_cch_05_a_hundred_thousand_empty_members_take_linear_time(http: httpx.Client) -> None:
    started = time.monotonic()
    packed = gzip.compress(b"", 1) * 100_000
    assert_problem(send(http, packed, JSON, Content_Encoding="gzip"), 400)
    assert time.monotonic() - started < 10


# --- the answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/dicom+json", JSON),
        ('multipart/related; type="application/dicom+json"', JSON),
        ("application/dicom+xml", XML),
        ('multipart/related; type="application/dicom+xml"', XML),
        ("application/dicom+json;q=0.5, application/dicom+xml", XML),
    ],
)
def test_stow_05_the_answer_is_one_object_or_one_document(
    http: httpx.Client, form: str, accept: str, kind: str
) -> None:
    body, content_type = forms()[form]
    answer = send(http, body, content_type, Accept=accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind  # trap 24
    assert "accept" in answer.headers["vary"].lower()
    if kind == JSON:
        assert isinstance(answer.json(), dict)  # trap 25
        [path] = stored_paths(answer)
    else:
        root = Xml.fromstring(answer.content)
        assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
        urls = root.findall(f".//{{{NAMESPACE}}}DicomAttribute[@tag='00081190']")
        study, path = ("".join(each.itertext()) for each in urls)
        assert answer.headers["location"] == study
    assert path.startswith(answer.headers["location"] + "/series/")
    assert http.get(f"{path}/metadata").status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/dicom", "image/jpeg"])
def test_stow_05_no_other_answer_is_to_be_had(http: httpx.Client, accept: str) -> None:
    made = posted_instance()
    assert_problem(post_posted(http, [made], Accept=accept), 406)
    study = made["0020000D"]["Value"][0]
    assert http.get(f"studies/{study}").status_code == 404


def test_failures_are_told_in_xml_too(http: httpx.Client) -> None:
    made = posted_instance(EncapsulatedDocument=Bulk("missing", "OB"))
    answer = post_posted(http, [made], Accept=XML)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == XML
    [reason] = Xml.fromstring(answer.content).findall(
        f".//{{{NAMESPACE}}}DicomAttribute[@tag='00081197']"
    )
    assert "".join(reason.itertext()) == str(0xC000)
    assert "location" not in answer.headers


def test_location_is_the_study_if_there_is_one(http: httpx.Client) -> None:
    study = new_uid()
    both = [posted_instance(StudyInstanceUID=study) for _ in range(2)]
    assert post_posted(http, both).headers["location"].endswith(f"/studies/{study}")
    two = post_posted(http, [posted_instance(), posted_instance()])
    assert "location" not in two.headers
    assert two.json()["00081190"] == {"vr": "UR"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (f'multipart/related; type="{JSON}"', 400),
        (f'multipart/related; type="{XML}"; boundary=""', 400),
        ('multipart/related; type="application/json"; boundary=posted-boundary', 200),
        ('multipart/related; type="text/xml"; boundary=posted-boundary', 415),
        ("text/xml", 415),
        ("application/xml", 415),
        ("application/zip", 415),
        (f'multipart/mixed; type="{JSON}"; boundary=posted-boundary', 415),
    ],
)
def test_the_type_of_the_request(http: httpx.Client, kind: str, status: int) -> None:
    body, _ = related([part(JSON, json.dumps([posted_instance()]).encode())])
    answer = send(http, body, kind)
    assert answer.status_code == status, answer.text


# --- bounds of a server of its own ------------------------------------------------------------

TIGHT = {
    "BODY_TIMEOUT_SECONDS": "1",
    "LEAST_UPLOAD_RATE": "1000",
    "MAX_INSTANCE_BYTES": "1MiB",
    "MAX_REQUEST_PARTS": "3",
}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("slow") / "data", TIGHT) as running:
        yield running


@pytest.fixture(scope="module")
def client(tight: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tight.base, timeout=60) as client:
        yield client


def status_of_slow(server: RunningServer, form: str, pause: float, size: int) -> int:
    """The status that a body gets of which `size` bytes come each `pause` seconds."""
    body, kind = forms()[form]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(pause)
        connection.sendall(
            f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        for at in range(0, len(body), size):
            connection.sendall(body[at : at + size])
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                continue
            return int(answer.split()[1])
        connection.settimeout(20)
        return int(connection.recv(4096).split()[1])


@pytest.mark.parametrize("form", FORMS)
def test_a_body_that_falls_silent_or_trickles_is_given_up(tight: RunningServer, form: str) -> None:
    started = time.monotonic()
    assert status_of_slow(tight, form, 0.2, 10) == 408  # 50 bytes a second
    assert status_of_slow(tight, form, 5, 100) == 408
    assert time.monotonic() - started < 20
    assert tight.scratch_left() == []
    assert status_of_slow(tight, form, 0.05, 50_000) == 200


@pytest.mark.parametrize("xml", [False, True])
def test_stow_04_bulk_data_beyond_the_limit_fails_its_instance_alone(
    client: httpx.Client, xml: bool
) -> None:
    large = posted_instance(EncapsulatedDocument=Bulk("large", "OB"))
    bulk = [octets(bytes(2 << 20), Content_Location="large")]
    answer = post_posted(client, [large], bulk, xml=xml)
    assert answer.status_code == 409
    assert reasons(answer) == [0xA700]
    if not xml:
        answer = post_posted(client, [large, posted_instance()], bulk)
        assert answer.status_code == 202
        assert reasons(answer) == [0xA700]


@pytest.mark.parametrize("first", [False, True])
def test_a_part_of_metadata_beyond_its_limit_is_too_large_beside_another(
    http: httpx.Client, first: bool
) -> None:
    """10001 data sets, in fewer bytes than metadata may have."""
    made = posted_instance()
    parts = [
        part(JSON, json.dumps([{}] * 10_001).encode()),
        part(JSON, json.dumps([made]).encode()),
    ]
    body, kind = related(parts if first else parts[::-1])
    assert_problem(send(http, body, kind), 413)
    study = made["0020000D"]["Value"][0]
    assert http.get(f"studies/{study}").status_code == 404


def test_stow_04_many_names_of_one_part_do_not_make_a_file_beyond_the_limit(
    client: httpx.Client,
) -> None:
    values = {f"000910{number:02X}": {"vr": "OB", "BulkDataURI": "a"} for number in range(64)}
    made = posted_instance() | {"00090010": {"vr": "LO", "Value": ["A"]}} | values
    bulk = [octets(bytes(1 << 15), Content_Location="a")]
    answer = post_posted(client, [made, posted_instance()], bulk)
    assert answer.status_code == 202
    assert reasons(answer) == [0xA700]


def test_more_parts_than_allowed_are_too_large(client: httpx.Client) -> None:
    bulk = [octets(b"x", Content_Location=str(number)) for number in range(3)]
    assert_problem(post_posted(client, [posted_instance()], bulk), 413)
    assert post(client, [instance_with(**uids()) for _ in range(5)]).status_code == 202
