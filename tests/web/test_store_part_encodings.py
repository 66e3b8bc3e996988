"""STOW-RS: a part is a MIME entity, whose content may be said to be encoded (RFC 2045 §6)."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.policy import HTTP

import httpx
import pytest

from tests.make import instance_with
from tests.make.posted import JSON, XML, Bulk, Part, native_xml, related
from tests.web.asking import DICOM, FAILED, OTHER, assert_problem, new_uid, reasons
from tests.web.posting import octets, post_posted, posted_instance, problems, retrieved

DOCUMENT = b"%PDF-1.7 of a test"

ENCODED: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("Content-Transfer-Encoding", "base64", b64encode),
    ("content-transfer-encoding", "Quoted-Printable", bytes),
    ("Content-Transfer-Encoding", "x-of-our-own", bytes),
    ("Content-Encoding", "gzip", gzip.compress),
    ("Content-Encoding", "identity, gzip", gzip.compress),
]
encoded = pytest.mark.parametrize(("name", "coding", "encode"), ENCODED)


def told(name: str) -> str:
    return f"the part has a {name.title()}; send it as binary"


def one() -> bytes:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return instance_with(**{name: new_uid() for name in uids})


@encoded
def test_rfc_2045_encoded_bulk_data_is_never_stored_as_the_value(
    http: httpx.Client, name: str, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    made = posted_instance(EncapsulatedDocument=Bulk("d", "OB"))
    bulk = octets(encode(DOCUMENT), Content_Location="d", **{name: coding})
    answer = post_posted(http, [made, posted_instance()], [bulk])

    assert answer.status_code == 202, answer.text
    assert reasons(answer) == [0xC000]
    assert problems(answer, FAILED) == [told(name)]


@encoded
def test_rfc_2045_an_encoded_file_is_refused_for_that(
    http: httpx.Client, name: str, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    parts: list[Part] = [
        ({"Content-Type": DICOM, name: coding}, encode(one())),
        ({"Content-Type": DICOM}, one()),
    ]
    body, content_type = related(parts, DICOM)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 202, answer.text
    assert reasons(answer, OTHER) == [0xC000]
    assert problems(answer, OTHER) == [told(name)]


def test_rfc_2045_what_python_makes_of_a_file_is_refused_for_its_base64(http: httpx.Client) -> None:
    message = MIMEMultipart("related", type=DICOM, policy=HTTP)
    message.attach(MIMEApplication(one(), "dicom"))
    content = message.as_bytes().partition(b"\r\n\r\n")[2]
    content_type = f'multipart/related; type="{DICOM}"; boundary="{message.get_boundary()}"'
    answer = http.post("studies", content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 409, answer.text
    assert problems(answer, OTHER) == [told("Content-Transfer-Encoding")]


@encoded
@pytest.mark.parametrize("root", [JSON, XML])
def test_rfc_2045_encoded_metadata_are_refused_for_that(
    http: httpx.Client, root: str, name: str, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    content = native_xml(posted_instance()) if root == XML else json.dumps([posted_instance()])
    content = content if isinstance(content, bytes) else content.encode()
    wrong: Part = ({"Content-Type": root, name: coding}, encode(content))
    body, content_type = related([wrong], root)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})
    assert_problem(answer, 400)
    assert told(name) in answer.text

    right: Part = ({"Content-Type": JSON}, json.dumps([posted_instance()]).encode())
    body, content_type = related([wrong, right], root)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202, answer.text
    assert problems(answer, OTHER) == [told(name)]


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Transfer-Encoding": "binary"},
        {"Content-Transfer-Encoding": "7bit"},
        {"content-transfer-encoding": "8BIT"},
        {"Content-Transfer-Encoding": "identity"},
        {"Content-Transfer-Encoding": ""},
        {"Content-Encoding": "Identity"},
        {"Content-Encoding": "identity", "Content-Transfer-Encoding": " binary "},
    ],
    ids=str,
)
def test_rfc_2045_content_as_it_stands_is_taken_whatever_it_is_called(
    http: httpx.Client, fields: dict[str, str]
) -> None:
    made = posted_instance(EncapsulatedDocument=Bulk("d", "OB"))
    parts: list[Part] = [
        ({"Content-Type": JSON, **fields}, json.dumps([made]).encode()),
        octets(DOCUMENT, Content_Location="d", **fields),
    ]
    body, content_type = related(parts)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})
    assert retrieved(http, answer).EncapsulatedDocument == DOCUMENT

    body, content_type = related([({"Content-Type": DICOM, **fields}, one())], DICOM)
    answer = http.post("studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
