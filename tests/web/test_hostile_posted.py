"""Hostile metadata and bulk data: refused plainly, in bounds of time and memory, nothing left."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.make import multipart_body, small_image
from tests.make.posted import JSON, XML, Bulk, Part, native_xml, related
from tests.running import RunningServer
from tests.web.asking import OTHER, assert_problem, new_uid, post, reasons
from tests.web.posting import octets, part, post_posted, posted_instance, stored_paths

IDENTIFIED = ',"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.7"]}'


@pytest.fixture(autouse=True)
def nothing_is_left(server: RunningServer, http: httpx.Client) -> Iterator[None]:
    yield
    assert server.scratch_left() == []
    assert post_posted(http, [posted_instance()]).status_code == 200  # and the server goes on


def memory_of(server: RunningServer) -> int:
    """Bytes that all processes of the server have held at the most, the largest of them."""
    largest = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            environment = (status.parent / "environ").read_bytes()
        except OSError:
            continue
        if f"DATA_DIR={server.data_dir}".encode() in environment and "VmHWM:" in text:
            largest = max(largest, int(text.split("VmHWM:")[1].split()[0]) << 10)
    return largest


def post_text(http: httpx.Client, content: bytes | str, kind: str) -> httpx.Response:
    return http.post("studies", content=content, headers={"Content-Type": kind})


NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "white space": b"  ",
    "cut off": b'[{"00080018":{"vr":"UI"',
    "text": b'"text"',
    "number": b"5",
    "null": b"null",
    "array of numbers": b"[1,2]",
    "array of arrays": b"[[{}]]",
    "two documents": b"{}{}",
    "single quotes": b"{'a':1}",
    "no utf-8": b'[{"00080018":{"vr":"UI","Value":["\xff"]}}]',
    "lone surrogate": rb'[{"00100010":{"vr":"PN","Value":["\ud800"]}}]',
    "NUL": b"\0",
    "10^5 deep": b"[" * 100_000 + b"]" * 100_000,
    "10^5 objects deep": b'{"00081140":{"vr":"SQ","Value":[' * 100_000,
    "1e400": b'[{"00189087":{"vr":"FD","Value":[1e400]}}]',
    "html": b"<html></html>",
}


@pytest.mark.parametrize("multipart", [False, True])
@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_no_json_is_a_bad_request(http: httpx.Client, name: str, multipart: bool) -> None:
    content, kind = NOT_JSON[name], JSON
    if multipart:
        content, kind = related([({"Content-Type": JSON}, content)])
    assert_problem(post_text(http, content, kind), 400)


def test_no_data_sets_at_all_are_a_bad_request(http: httpx.Client) -> None:
    assert_problem(post_text(http, b"[]", JSON), 400)
    body, kind = related([])
    assert_problem(post_text(http, body, kind), 400)
    body, kind = related([octets(b"x", Content_Location="x")])
    assert_problem(post_text(http, body, kind), 400)


LAUGHS = "".join(f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">' for number in range(1, 10))
ATTRIBUTE = '<DicomAttribute tag="00100020" vr="LO"><Value number="1">{}</Value></DicomAttribute>'


def model(content: str, before: str = "") -> bytes:
    return f"{before}<NativeDicomModel>{content}</NativeDicomModel>".encode()


NOT_XML: dict[str, bytes] = {
    "empty": b"",
    "cut off": model("")[:-5],
    "another root": b"<html/>",
    "two roots": model("") * 2,
    "not well-formed": model("<DicomAttribute>"),
    "doctype": model("", "<!DOCTYPE NativeDicomModel>"),
    "external entity": model(
        ATTRIBUTE.format("&x;"), '<!DOCTYPE n [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    ),
    "external dtd": model("", '<!DOCTYPE n SYSTEM "http://169.254.169.254/x.dtd">'),
    "parameter entity": model("", '<!DOCTYPE n [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>'),
    "billion laughs": model(ATTRIBUTE.format("&l9;"), f'<!DOCTYPE n [<!ENTITY l0 "ha">{LAUGHS}]>'),
    "unknown entity": model(ATTRIBUTE.format("&nbsp;")),
    "10^5 deep": model("<a>" * 100_000),
    "10^5 items deep": b"<NativeDicomModel>"
    + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 100_000,
    "a tag without end": b"<NativeDicomModel " + b"a='b' " * 500_000,
    "twice the same": model(ATTRIBUTE.format("a") * 2),
    "no tag": model('<DicomAttribute vr="LO"/>'),
    "a number far ahead": model(ATTRIBUTE.format("a").replace('number="1"', 'number="9999999"')),
    "other element": model("<script>alert(1)</script>"),
    "json": b"[{}]",
}


@pytest.mark.parametrize("name", NOT_XML)
def test_what_is_no_native_dicom_model_is_a_bad_request(http: httpx.Client, name: str) -> None:
    started = time.monotonic()
    answer = post_text(http, NOT_XML[name], XML)
    assert_problem(answer, 400)
    assert "root:" not in answer.text
    assert time.monotonic() - started < 20


def test_one_bad_part_of_metadata_fails_alone(http: httpx.Client) -> None:
    made = posted_instance()
    for bad, kind in ((b"{", JSON), (b"<a/>", XML)):
        parts: list[Part] = [
            part(kind, bad),
            part(JSON, json.dumps([made]).encode()),
        ]
        body, content_type = related(parts)
        answer = post_text(http, body, content_type)
        assert answer.status_code == 202, answer.text
        assert reasons(answer, OTHER) == [0xC000]
        assert len(stored_paths(answer)) == 1


WRONG: dict[str, str] = {
    "no tag": '{"x":{"vr":"LO"}%s}',
    "no object": '{"00100010":5%s}',
    "upper and lower case": '{"0010001A":{"vr":"LO"},"0010001a":{"vr":"LO"}%s}',
    "two kinds of value": '{"00420011":{"vr":"OB","InlineBinary":"","BulkDataURI":"x"}%s}',
    "uri that is no text": '{"00420011":{"vr":"OB","BulkDataURI":5}%s}',
    "sequence from a part": '{"00081140":{"vr":"SQ","BulkDataURI":"x"}%s}',
    "no base64": '{"00420011":{"vr":"OB","InlineBinary":"@@@@"}%s}',
    "base64 cut": '{"00420011":{"vr":"OB","InlineBinary":"AAA"}%s}',
    "300 deep": '{"00081140":{"vr":"SQ","Value":[' * 300 + "{}" + "]}}" * 299 + "]}%s}",
    "item that is none": '{"00081140":{"vr":"SQ","Value":[5]}%s}',
    "delimiter": '{"00080016":5,"FFFEE000":{"vr":"OB"}}',
}


@pytest.mark.parametrize("name", WRONG)
def test_a_data_set_that_cannot_be_encoded_fails_alone(http: httpx.Client, name: str) -> None:
    wrong = WRONG[name] % IDENTIFIED if "%s" in WRONG[name] else WRONG[name]
    answer = post_text(http, f"[{wrong},{json.dumps(posted_instance())}]", JSON)
    assert answer.status_code == 202, answer.text
    assert len(stored_paths(answer)) == 1
    assert [*reasons(answer), *reasons(answer, OTHER)] == [0xC000]


def test_of_a_name_that_is_there_twice_the_last_counts(http: httpx.Client) -> None:
    study = new_uid()
    made = json.dumps(posted_instance(StudyInstanceUID=study))
    twice = f'{{"0020000D":{{"vr":"UI","Value":["1.2.3"]}},{made[1:]}'
    [path] = stored_paths(post_text(http, twice, JSON))
    assert f"/studies/{study}/" in path


@pytest.mark.parametrize("multipart", [False, True])
@pytest.mark.parametrize("xml", [False, True])
def test_metadata_beyond_its_limit_are_too_large(
    server: RunningServer, http: httpx.Client, xml: bool, multipart: bool
) -> None:
    megabyte = b"A" * (1 << 20)
    kind = XML if xml else JSON
    begin = b'[{"00420011":{"vr":"OB","InlineBinary":"'
    if xml:
        begin = b'<NativeDicomModel><DicomAttribute tag="00420011" vr="OB"><InlineBinary>'
    if multipart:
        head, kind = related([({"Content-Type": kind}, b"")], kind)
        begin = head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + begin

    def content() -> Iterator[bytes]:
        yield begin
        for _ in range(70):
            yield megabyte
        if multipart:
            yield b"\r\n--posted-boundary--"

    answer = http.post("studies", content=content(), headers={"Content-Type": kind})
    assert_problem(answer, 413)
    assert 0 < memory_of(server) < 2 << 30


def test_a_claim_of_a_gigabyte_costs_nothing(server: RunningServer) -> None:
    head = (
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n"
        "Content-Length: 1073741824\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b'[{"00420011":{"vr":"OB","InlineBinary":"')
        time.sleep(0.5)
        used = sum(path.stat().st_size for path in (server.data_dir / "tmp").iterdir())
        assert used < 1 << 20


def test_ten_thousand_data_sets_are_stored_or_refused_one_by_one(
    server: RunningServer, http: httpx.Client
) -> None:
    made = [{"00420011": {"vr": "OB", "BulkDataURI": "none"}}] * 10_000
    answer = post_posted(http, made)
    assert answer.status_code == 409
    assert len(reasons(answer)) + len(reasons(answer, OTHER)) == 10_000
    assert_problem(post_posted(http, [*made, {}]), 413)
    assert_problem(post_posted(http, [*made[:100]] * 101, xml=True), 413)
    assert 0 < memory_of(server) < 2 << 30


def test_ten_thousand_parts(http: httpx.Client) -> None:
    frames = [octets(b"ab", Content_Location="frames") for _ in range(5000)]
    others = [octets(b"", Content_Location=f"{number}") for number in range(5000)]
    made = posted_instance(EncapsulatedDocument=Bulk("other", "OB"), PixelData=Bulk("frames", "OB"))
    answer = post_posted(http, [made], [*frames, *others])
    assert answer.status_code == 409
    assert 0 < len(reasons(answer, OTHER)) <= 100


def test_many_parts_of_many_data_sets_are_not_multiplied(
    server: RunningServer, http: httpx.Client
) -> None:
    """3000 parts of each of 300 data sets: of 900000 references 3000 parts are held."""
    frames = [octets(b"", Content_Location="frames") for _ in range(3000)]
    made = [{"00420011": {"vr": "OB", "BulkDataURI": "frames"}}] * 300
    answer = post_posted(http, made, frames)
    assert answer.status_code == 409
    assert reasons(answer, OTHER) == [0xC000] * 300
    assert 0 < memory_of(server) < 2 << 30


def test_many_spellings_of_one_location_are_not_multiplied(
    server: RunningServer, http: httpx.Client
) -> None:
    frames = [octets(b"", Content_Location="frames") for _ in range(200)]
    items = [{"00420011": {"vr": "OB", "BulkDataURI": f"x{n}/../frames"}} for n in range(50_000)]
    made = posted_instance() | {"00081140": {"vr": "SQ", "Value": items}}
    answer = post_posted(http, [made], frames)
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000]
    assert "too many parts" in answer.text
    assert 0 < memory_of(server) < 2 << 30


@pytest.mark.parametrize("xml", [False, True])
def test_a_uri_that_is_too_long_fails_alone(http: httpx.Client, xml: bool) -> None:
    made = [posted_instance(EncapsulatedDocument=Bulk("u" * 4097, "OB")), posted_instance()]
    answer = post_posted(http, made, xml=xml)
    assert answer.status_code == 202
    assert reasons(answer) == [0xC000]
    assert len(stored_paths(answer)) == 1


def test_the_server_answers_others_while_it_looks_for_many_uris(
    server: RunningServer, http: httpx.Client
) -> None:
    items = [
        [{"00420011": {"vr": "OB", "BulkDataURI": f"{set_}/../{n}/../x"}} for n in range(50_000)]
        for set_ in range(2)
    ]
    made = [posted_instance() | {"00081140": {"vr": "SQ", "Value": each}} for each in items]
    longest = 0.0
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(post_posted, http, made, [octets(b"", Content_Location="x")])
        with httpx.Client(base_url=server.base, timeout=60) as other:
            while not upload.done():
                started = time.monotonic()
                assert other.get("studies?limit=1").status_code in (200, 204)
                longest = max(longest, time.monotonic() - started)
    assert upload.result().status_code in (200, 202, 409)
    assert 0 < longest < 3


def test_locations_that_refer_to_each_other_are_only_names(http: httpx.Client) -> None:
    made = posted_instance(EncapsulatedDocument=Bulk("a", "OB"))
    bulk = [octets(b"b", Content_Location="a"), octets(b"a", Content_Location="b")]
    answer = post_posted(http, [made], bulk)
    assert answer.status_code == 202
    assert reasons(answer, OTHER) == [0xC000]


def test_many_attributes_of_one_large_part_do_not_multiply_it(
    server: RunningServer, http: httpx.Client
) -> None:
    values = {f"0009{number:04X}": {"vr": "OB", "BulkDataURI": "a"} for number in range(4096, 4196)}
    made = posted_instance() | {"00090010": {"vr": "LO", "Value": ["A"]}} | values
    answer = post_posted(http, [made], [octets(bytes(1 << 20), Content_Location="a")])
    assert answer.status_code in (200, 202, 409)
    assert 0 < memory_of(server) < 2 << 30


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_body_that_breaks_off_stores_nothing(http: httpx.Client, xml: bool, share: float) -> None:
    study = new_uid()
    made = [posted_instance(StudyInstanceUID=study) for _ in range(3)]
    kind = XML if xml else JSON
    metadata: list[Part] = (
        [part(XML, native_xml(each)) for each in made]
        if xml
        else [part(JSON, json.dumps(made).encode())]
    )
    body, content_type = related([*metadata, octets(bytes(10_000))], kind)
    assert_problem(post_text(http, body[: int(len(body) * share)], content_type), 400)
    assert http.get(f"studies/{study}").status_code == 404


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
def test_a_client_that_leaves_leaves_no_file(
    server: RunningServer, http: httpx.Client, delay: float
) -> None:
    made = [posted_instance(PixelData=Bulk("p", "OB")) for _ in range(20)]
    body, kind = related(
        [part(JSON, json.dumps(made).encode()), octets(bytes(1 << 22), Content_Location="p")]
    )
    for cut in (len(body) // 2, len(body)):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(
                f"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body[:cut]
            )
            time.sleep(delay)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "x"])
            | st.from_regex(r"[0-9A-Fa-f]{8}", fullmatch=True),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    attributes=st.dictionaries(
        st.sampled_from(["00080005", "00080018", "00100010", "7FE00010", "00091001", "00081140"]),
        st.fixed_dictionaries(
            {"vr": st.sampled_from(["UI", "LO", "PN", "SQ", "OB", "OW", "FD", "UN", "", "XX"])},
            optional={"Value": json_values, "BulkDataURI": json_values, "InlineBinary": st.text()},
        )
        | json_values,
    )
)
def test_any_json_gets_an_answer(http: httpx.Client, attributes: dict[str, Any]) -> None:
    made = posted_instance() | attributes
    answer = post_posted(http, [made], [octets(b"x", Content_Location="x")])
    assert answer.status_code in (200, 202, 400, 409), answer.text


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damaged_request_gets_an_answer(http: httpx.Client, data: st.DataObject) -> None:
    xml = data.draw(st.booleans())
    made = posted_instance(PixelData=Bulk("p", "OB"))
    metadata = part(XML, native_xml(made)) if xml else part(JSON, json.dumps([made]).encode())
    body, kind = related([metadata, octets(b"abc", Content_Location="p")], XML if xml else JSON)
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    answer = post_text(http, bytes(damaged), kind)
    assert answer.status_code in (200, 202, 400, 409), answer.text


def test_dicom_files_are_not_taken_for_metadata_nor_the_reverse(http: httpx.Client) -> None:
    file = small_image(SOPInstanceUID=new_uid(), StudyInstanceUID=new_uid())
    body, kind = multipart_body([file])
    assert_problem(post_text(http, body, kind.replace("application/dicom", JSON)), 400)
    body, kind = related(
        [part(JSON, json.dumps([posted_instance()]).encode())], "application/dicom"
    )
    answer = post_text(http, body, kind)
    assert answer.status_code == 409
    assert reasons(answer, OTHER) == [0xC000]
    assert post(http, [file]).status_code == 200
