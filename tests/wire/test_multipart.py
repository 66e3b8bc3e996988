"""multipart/related: parsing and encoding (MP-01 to MP-10, traps 13 to 19, hostile input 40)."""

import contextlib
from collections.abc import Iterable
from email.parser import BytesParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import ContentTooLarge, MalformedMultipart, Refusal
from dicomweb_server.wire.multipart import (
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    closing,
    encoded_by,
    new_boundary,
    part_header,
)

BOUNDARY = "b-1"
Part = tuple[dict[str, str], bytes]


def parse(chunks: Iterable[bytes], boundary: str = BOUNDARY, **limits: int) -> list[Part]:
    parser = MultipartParser(boundary, **limits)
    parts: list[Part] = []
    open_part: Part | None = None
    for chunk in chunks:
        for event in parser.feed(chunk):
            match event:
                case PartBegin(headers):
                    assert open_part is None
                    open_part = (headers, b"")
                case PartData(data):
                    assert open_part is not None
                    assert len(data) > 0
                    open_part = (open_part[0], open_part[1] + data)
                case PartEnd():
                    assert open_part is not None
                    parts.append(open_part)
                    open_part = None
    parser.finish()
    assert open_part is None
    return parts


def encode(parts: Iterable[Part], boundary: str = BOUNDARY) -> bytes:
    body = b"".join(
        part_header(boundary, headers, first=index == 0) + content
        for index, (headers, content) in enumerate(parts)
    )
    return body + closing(boundary)


# Content full of what looks like the beginning of a delimiter.
near_delimiters = st.lists(
    st.sampled_from(
        [b"\r\n--b-1x", b"\r\n--b-", b"\r\n--", b"\r\n", b"\r", b"\n--b-1", b"\n", b"-", b" ", b"x"]
    )
    | st.binary(max_size=5),
    max_size=12,
).map(b"".join)
contents = near_delimiters.filter(
    lambda content: all(
        line[len("--b-1") :].strip(b" \t\r")[:2] not in (b"", b"--")
        for line in (content + b"\n").split(b"\n")[:-1]
        if line.startswith(b"--b-1")
    )
)
fields = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Location", "X-Other"]),
    st.text('ab/=;: "', max_size=12).map(str.strip),
    max_size=3,
)
parts_strategy = st.lists(st.tuples(fields, contents), min_size=1, max_size=4)


def lowered(parts: Iterable[Part]) -> list[Part]:
    return [({name.lower(): v for name, v in headers.items()}, c) for headers, c in parts]


@given(parts=parts_strategy, cuts=st.lists(st.integers(0, 400)))
def test_parts_do_not_depend_on_how_the_body_is_cut(parts: list[Part], cuts: list[int]) -> None:
    body = encode(parts)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})

    assert parse(body[start:end] for start, end in pairwise(edges)) == lowered(parts)


def test_a_body_may_come_byte_by_byte() -> None:
    parts = [({"Content-Type": "application/dicom"}, b"\r\n--b-1x\r\n\r\n--b-"), ({}, b"")]
    body = b"\r\npreamble\r\n" + encode(parts) + b"epilogue"

    assert parse(body[at : at + 1] for at in range(len(body))) == lowered(parts)


@given(st.lists(st.binary() | near_delimiters | st.sampled_from([b"--b-1\r\n", b"\r\n--b-1--"])))
def test_any_bytes_are_parts_or_refused(chunks: list[bytes]) -> None:
    with contextlib.suppress(MalformedMultipart):  # and no other exception
        parse(chunks)


@given(
    body=st.lists(
        st.sampled_from([b"--b-1", b"--", b"\r\n", b"\n", b" ", b"A: b", b"x", b"\r"]), max_size=30
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 120)),
)
def test_any_cutting_of_any_body_gives_the_same(body: bytes, cuts: list[int]) -> None:
    def outcome(chunks: Iterable[bytes]) -> list[Part] | str:
        try:
            return parse(chunks)
        except MalformedMultipart as refusal:
            return str(refusal)

    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    assert outcome(body[start:end] for start, end in pairwise(edges)) == outcome([body])


def told(chunks: Iterable[bytes], **limits: int) -> tuple[list[object], str]:
    """The events of a body, pieces of content joined, and the error they end in, if any."""
    parser = MultipartParser(BOUNDARY, **limits)
    events: list[object] = []
    try:
        for chunk in chunks:
            for event in parser.feed(chunk):
                data = bytes(event.data) if isinstance(event, PartData) else None
                if data is not None and events and isinstance(events[-1], bytes):
                    events[-1] += data
                else:
                    events.append(event if data is None else data)
        parser.finish()
    except Refusal as refusal:
        return events, str(refusal)
    return events, ""


@given(
    parts=parts_strategy,
    error=st.sampled_from(
        [b"\r\n--b-1\r\nno field\r\n\r\nx", b"\r\n--b-1\r\n\r\n" * 5, b"\r\n--b-1\r\nA: "]
    ),
    cuts=st.lists(st.integers(0, 400)),
)
def test_what_stands_before_an_error_does_not_depend_on_how_the_body_is_cut(
    parts: list[Part], error: bytes, cuts: list[int]
) -> None:
    body = encode(parts).removesuffix(closing(BOUNDARY)) + error + b"b" * 100
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(edges)]

    events, refusal = told(pieces, max_parts=5, max_header_bytes=90)

    assert refusal
    assert events.count(PartEnd()) >= len(parts)
    assert told([body], max_parts=5, max_header_bytes=90) == (events, refusal)


def test_an_error_is_raised_again_and_again() -> None:
    parser = MultipartParser(BOUNDARY)
    assert parser.feed(b"--b-1\r\n\r\nx\r\n--b-1\r\nno field\r\n\r\n")[-1] == PartEnd()

    for _ in range(2):
        with pytest.raises(MalformedMultipart, match="no field"):
            parser.feed(b"\r\n--b-1--")
    with pytest.raises(MalformedMultipart, match="no field"):
        parser.finish()


@given(parts_strategy)
def test_what_we_emit_is_read_by_another_parser(parts: list[Part]) -> None:
    boundary = new_boundary()
    head = f"Content-Type: multipart/related; boundary={boundary}\r\n\r\n".encode()

    message = BytesParser().parsebytes(head + encode(parts, boundary))

    assert message.is_multipart()
    assert len(message.get_payload()) == len(parts)
    assert parse([encode(parts, boundary)], boundary) == lowered(parts)


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n--b-1\r\nA: b\r\n\r\nx\r\n--b-1--\r\n",  # both dicomweb-clients begin with CRLF
        b"This is a preamble\r\nof --b-1 lines\r\n--b-1\r\nA: b\r\n\r\nx\r\n--b-1--",
        b"preamble\n--b-1\r\nA: b\r\n\r\nx\r\n--b-1--",
        b"--b-1 \t \r\nA: b\r\n\r\nx\r\n--b-1--",
        b"--b-1\r\nA: b\r\n\r\nx\r\n--b-1--\r\nepilogue\r\n--b-1\r\nC: d\r\n\r\ny",
        b"--b-1\r\nA: b\r\n\r\nx\r\n--b-1--",  # final CRLF missing
        b"--b-1\nA: b\n\nx\r\n--b-1--\r\n",  # bare LF in the header block
        b"--b-1\r\nA:\r\n b\r\n\r\nx\r\n--b-1--\r\n",  # folded
    ],
)
def test_mp_06_tolerated_forms(body: bytes) -> None:
    assert parse([body]) == [({"a": "b"}, b"x")]


def test_mp_06_trap_16_a_delimiter_is_matched_exactly() -> None:
    content = b"\r\n--b-10\r\n\n--b-1\r\n --b-1\r\n\r\n--b-1 x\r\n--b-1-x"

    assert parse([b"--b-1\r\n\r\n" + content + b"\r\n--b-1--"]) == [({}, content)]


def test_a_nested_multipart_is_content() -> None:
    inner = encode([({"Content-Type": "text/plain"}, b"x")], "b-1-inner")

    assert parse([encode([({}, inner)])]) == [({}, inner)]


def test_a_part_without_content_may_end_in_its_blank_line() -> None:
    assert parse([b"--b-1\r\nA: b\r\n\r\n--b-1\r\n\r\n--b-1--"]) == [({"a": "b"}, b""), ({}, b"")]


def test_mp_08_zero_parts_are_legal() -> None:
    assert parse([b"--b-1--"]) == []


def test_header_names_ignore_case_and_repeated_fields_are_joined() -> None:
    [(headers, _)] = parse([b"--b-1\r\nX-a : 1\r\nX-A: 2\r\n\r\n\r\n--b-1--"])

    assert headers == {"x-a": "1, 2"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no delimiter at all",
        b"--b-1",
        b"--b-1\r\n",
        b"--b-1\r\nA: b\r\n\r\nx",
        b"--b-1\r\nA: b\r\n\r\nx\r\n--b-1",
        b"--b-1\r\nA: b\r\n\r\nx\r\n--b-1-",
        b"--b-1\nA: b\n\nx\n--b-1--\n",  # LF only: no delimiter ends the content
        b"--b-1\r\nno field\r\n\r\nx\r\n--b-1--",
        b"--b-1\r\n: b\r\n\r\nx\r\n--b-1--",
        b"--b-1\r\nA: b\0\r\n\r\nx\r\n--b-1--",
        b"--b-1\r\n A: b\r\n\r\nx\r\n--b-1--",
    ],
)
def test_err_03_malformed_or_cut_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedMultipart):
        parse([body])


def test_a_header_block_has_a_limit_however_it_comes() -> None:
    body = b"--b-1\r\nA: " + b"b" * 200 + b"\r\n\r\nx\r\n--b-1--"

    assert len(parse([body], max_header_bytes=300)) == 1
    with pytest.raises(MalformedMultipart):
        parse([body], max_header_bytes=100)
    with pytest.raises(MalformedMultipart):
        parse((body[at : at + 1] for at in range(len(body))), max_header_bytes=100)


def test_the_number_of_parts_has_a_limit() -> None:
    body = encode([({}, b"")] * 3)

    assert len(parse([body], max_parts=3)) == 3
    with pytest.raises(ContentTooLarge):
        parse([body], max_parts=2)


def test_a_large_payload_is_handed_on_without_copies() -> None:
    parser = MultipartParser(BOUNDARY)
    parser.feed(b"--b-1\r\n\r\n")
    chunk = bytes(1_000_000)

    [event] = parser.feed(chunk)

    assert isinstance(event, PartData)
    assert event.data.obj is chunk
    assert len(event.data) == len(chunk)


def test_padding_without_end_is_content() -> None:
    content = b"\r\n--b-1" + b" " * 100_000

    assert parse([b"--b-1\r\n\r\n", content, b"\r\n--b-1--"]) == [({}, content)]


@pytest.mark.parametrize("boundary", ["x", "x" * 70, "a b", "'()+_,-./:=?", "--x--", ".+"])
def test_mp_02_boundaries_of_the_grammar(boundary: str) -> None:
    assert parse([encode([({}, b"x")], boundary)], boundary) == [({}, b"x")]


# Of Orthanc's DICOMweb plugin: two UUIDs
ORTHANC = "e262d04a-dda0-4a52-9d3d-c11ae995fc31-e262d04a-dda0-4a52-9d3d-c11ae995fc31"


@pytest.mark.parametrize("boundary", [ORTHANC, "x" * 256, 'a"b', "[a]", "{a}*"])
def test_mp_02_boundaries_beyond_the_grammar_that_senders_have(boundary: str) -> None:
    assert parse([encode([({}, b"x")], boundary)], boundary) == [({}, b"x")]


@pytest.mark.parametrize("boundary", ["", "x" * 257, "a ", " ", "a\r\nb", "a\tb", "é", "x\n"])
def test_mp_02_boundaries_that_tell_no_parts_are_refused(boundary: str) -> None:
    with pytest.raises(MalformedMultipart):
        MultipartParser(boundary)


def test_mp_07_emitted_form() -> None:
    boundary = new_boundary()
    header = {"Content-Type": "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"}

    assert len(boundary) >= 32
    assert boundary.isalnum()
    assert boundary != new_boundary()
    assert part_header(boundary, header, first=True).startswith(b"--" + boundary.encode())
    assert part_header(boundary, header, first=False).startswith(b"\r\n--")
    assert b"\r\nContent-Type: image/jls;" in part_header(boundary, header, first=True)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\r", "x" * 1000])
def test_mp_07_a_header_that_would_break_a_client_is_a_bug(value: str) -> None:
    with pytest.raises(ValueError, match="part's header"):
        part_header(BOUNDARY, {"Content-Type": value}, first=True)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, None),
        ({"content-transfer-encoding": ""}, None),
        ({"content-transfer-encoding": "BINARY", "content-encoding": "identity"}, None),
        ({"content-transfer-encoding": "7bit, 8bit"}, None),
        ({"content-transfer-encoding": "base64"}, "Content-Transfer-Encoding"),
        ({"content-transfer-encoding": "binary, base64"}, "Content-Transfer-Encoding"),
        ({"content-encoding": "identity, gzip"}, "Content-Encoding"),
        ({"content-encoding": "br"}, "Content-Encoding"),
    ],
)
def test_rfc_2045_the_field_that_says_content_is_encoded(
    headers: dict[str, str], name: str | None
) -> None:
    assert encoded_by(headers) == name
