"""Hostile requests that store (items 39 to 47): refused plainly, and nothing is half stored."""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from itertools import chain, repeat
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest

from tests.hostile.conftest import Trap
from tests.hostile.judging import MIB, Judge
from tests.hostile.made import NAME, Made, identity, image, new_uid, plain
from tests.make import multipart_body
from tests.make.posted import JSON, XML, Bulk, Part, native_xml, related
from tests.web.posting import octets, part, posted_instance

TAKEN, REFUSED = (200, 202), (409,)
DICOM = "application/dicom"
RELATED = f'multipart/related; type="{DICOM}"; boundary='


def head(*fields: str, path: str = "/dicomweb/studies", kind: str = DICOM) -> bytes:
    """The head of a store request."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def absent(judge: Judge, *all_made: Made) -> None:
    for made in all_made:
        judge.ask("GET", f"studies/{made.study}", (404,))


# --- item 39: how the body is framed ------------------------------------------------------------

# What arrives too slowly is given up after the two seconds of this server's setting.
SLOW = 5.0


@pytest.mark.parametrize("length", [1 << 32, (1 << 63) - 1])
def test_a_length_without_a_body(judge: Judge, length: int) -> None:
    """Nothing is taken for what is only claimed; who is silent is given up."""
    judge.raw(head(f"Content-Length: {length}"), (408, 413), seconds=SLOW, memory=32 * MIB)


@pytest.mark.parametrize(
    "length", ["-1", "0x10", "1e3", "1_0", "+5", "99999999999999999999999999", "5, 6", "\u0665"]
)
def test_a_length_that_is_none(judge: Judge, length: str) -> None:
    judge.raw(head(f"Content-Length: {length}") + b"abcde", (0, 400), seconds=SLOW)


def test_two_lengths(judge: Judge) -> None:
    judge.raw(head("Content-Length: 5", "Content-Length: 6") + b"abcdef", (0, 400), seconds=SLOW)


def test_a_length_and_chunks(judge: Judge) -> None:
    """What may be smuggled behind (RFC 9112 §6.1): the length does not count, or both are out."""
    smuggled = b"0\r\n\r\nGET /dicomweb/studies HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    fields = ("Content-Length: 60", "Transfer-Encoding: chunked")
    answer = judge.raw(head(*fields) + smuggled, (0, 400, 409), seconds=SLOW)
    assert answer.content.count(b"HTTP/1.1") == 0  # and no second answer


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "xchunked", "chunked, x"])
def test_other_transfer_codings(judge: Judge, coding: str) -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n"
    judge.raw(head(f"Transfer-Encoding: {coding}") + body, (0, 400, 409, 501), seconds=SLOW)


CHUNKS: dict[str, bytes] = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "negative": b"-1\r\nabc\r\n0\r\n\r\n",
    "4 billion": b"FFFFFFFFFFFFFFFFFF\r\nabc",
    "underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "shorter than told": b"2\r\nabc\r\n0\r\n\r\n",
    "an extension of a megabyte": b"3;" + b"x" * MIB + b"\r\nabc\r\n0\r\n\r\n",
    "ten thousand extensions": (b"1;a=b\r\nx\r\n" * 10_000) + b"0\r\n\r\n",
    "trailers of a megabyte": b"3\r\nabc\r\n0\r\nX: " + b"y" * MIB + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_hostile_chunks(judge: Judge, name: str) -> None:
    body = head("Transfer-Encoding: chunked") + CHUNKS[name]
    judge.raw(body, (0, 400, 408, 409), seconds=SLOW)


def test_a_slow_loris(judge: Judge) -> None:
    """A byte now and then is not a body that arrives."""

    def trickle() -> Iterator[bytes]:
        yield head("Transfer-Encoding: chunked")
        for _ in range(80):
            time.sleep(0.1)
            yield b"1\r\nx\r\n"

    judge.raw(trickle(), (0, 408), seconds=5)


def test_headers_without_end(judge: Judge) -> None:
    def fields() -> Iterator[bytes]:
        yield b"GET /dicomweb/studies HTTP/1.1\r\nHost: x\r\n"
        yield from repeat(b"X-A: " + b"a" * 8000 + b"\r\n", 2000)

    judge.raw(fields(), (0, 400, 431), seconds=SLOW)


# --- item 40: multipart bodies ------------------------------------------------------------------


def body_of(boundary: bytes, *files: bytes, fields: bytes = b"", end: bool = True) -> bytes:
    kind = b"Content-Type: application/dicom\r\n"
    parts = [b"--" + boundary + b"\r\n" + kind + fields + b"\r\n" + each for each in files]
    return b"\r\n".join(parts) + (b"\r\n--" + boundary + b"--\r\n" if end else b"")


MULTIPARTS: dict[str, tuple[str, Callable[[bytes], bytes], Collection[int]]] = {
    "no boundary": (f'multipart/related; type="{DICOM}"', lambda f: body_of(b"b", f), (400,)),
    "an empty boundary": (f'{RELATED}""', lambda f: body_of(b"", f), (400,)),
    "a boundary of 71 characters": (RELATED + "b" * 71, lambda f: body_of(b"b" * 71, f), (200,)),
    "a boundary of 300 characters": (RELATED + "b" * 300, lambda f: body_of(b"b" * 300, f), (400,)),
    "a boundary of 60,000": (RELATED + "b" * 60_000, lambda f: body_of(b"b", f), (400, 431)),
    "quotes in the boundary": (f'{RELATED}"a\\"b"', lambda f: body_of(b'a"b', f), (200,)),
    "a regular expression": (f'{RELATED}"(.*)+?"', lambda f: body_of(b"(.*)+?", f), (200, 400)),
    "a boundary with spaces at its end": (f'{RELATED}"a "', lambda f: body_of(b"a ", f), (400,)),
    "another boundary": (f"{RELATED}c", lambda f: body_of(b"b", f), (400,)),
    "no closing delimiter": (f"{RELATED}b", lambda f: body_of(b"b", f, end=False), (400,)),
    "line feeds alone": (
        f"{RELATED}b",
        lambda f: body_of(b"b", f).replace(b"\r\n--b", b"\n--b").replace(b"\r\n\r\n", b"\n\n", 1),
        (400, 409),
    ),
    "no header": (f"{RELATED}b", lambda f: b"--b\r\n\r\n" + f + b"\r\n--b--", TAKEN),
    "no blank line": (f"{RELATED}b", lambda f: b"--b\r\n" + f + b"\r\n--b--", (400, 409)),
    "nested multipart": (
        f"{RELATED}b",
        lambda f: (
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
            + body_of(b"c", f)
            + b"\r\n--b--"
        ),
        REFUSED,
    ),
    "nested a thousand deep": (
        f"{RELATED}b",
        lambda f: b"".join(
            b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
            for n in range(1000)
        ),
        (400,),
    ),
    "part headers of 10 MB": (
        f"{RELATED}b",
        lambda f: body_of(b"b", f, fields=b"X: " + b"y" * (10 * MIB) + b"\r\n"),
        (400,),
    ),
    "100,000 part headers": (
        f"{RELATED}b",
        lambda f: body_of(b"b", f, fields=b"X: y\r\n" * 100_000),
        (400,),
    ),
    "a header without a colon": (
        f"{RELATED}b",
        lambda f: body_of(b"b", f, fields=b"nonsense\r\n"),
        (200, 400),
    ),
    "an empty body": (f"{RELATED}b", lambda f: b"", (400,)),
    "a preamble of 10 MB": (
        f"{RELATED}b",
        lambda f: b"x" * (10 * MIB) + b"\r\n" + body_of(b"b", f),
        TAKEN,
    ),
    "no type": ("multipart/related; boundary=b", lambda f: body_of(b"b", f), TAKEN),
    "a form": ("multipart/form-data; boundary=b", lambda f: body_of(b"b", f), (415,)),
    "no Content-Type at all": ("", lambda f: f, (415,)),
    "Content-Type of 60,000 characters": ("a/" + "b" * 60_000, lambda f: f, (415, 431)),
    "Content-Type of quotes": (f'{RELATED}"b', lambda f: body_of(b"b", f), (400, 415)),
}


@pytest.mark.parametrize("name", MULTIPARTS)
def test_a_hostile_multipart_body(judge: Judge, name: str) -> None:
    kind, make, allowed = MULTIPARTS[name]
    made = plain()
    answer = judge.post(make(made.content), kind, allowed)
    if answer.status in TAKEN:
        judge.look(made)
    else:
        absent(judge, made)


def test_a_boundary_within_pixel_data(judge: Judge) -> None:
    """Item 40: only after a line break, and followed by one, is it one (RFC 2046 §5.1.1)."""
    pixels = b"--b--b\r\n-b\r\r\n--\r\n--bb\r\n" * 16
    made = image(PixelData=pixels[: 16 * 12 * 2])
    judge.post(body_of(b"b-", made.content), f"{RELATED}b-", TAKEN)
    judge.look(made)


def test_a_million_tiny_parts(judge: Judge) -> None:
    """No more than are allowed; the rest is not read."""
    piece = b"--b\r\n\r\n\r\n" * 1000
    answer = judge.post(chain(repeat(piece, 1000), [b"--b--"]), f"{RELATED}b", (409, 413, 400))
    assert len(answer.content) < 20 * MIB


# --- item 41: codings ---------------------------------------------------------------------------


def gzip_bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * (mebibytes // 16)


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes], Collection[int]]] = {
    "gzip bomb of 10 GB": ("gzip", lambda f: gzip_bomb(10_240), (413, 409)),
    "gzip twice": ("gzip, gzip", lambda f: gzip.compress(gzip.compress(f)), (415,)),
    "gzip in gzip": ("gzip", lambda f: gzip.compress(gzip.compress(f)), REFUSED),
    "gzip that is none": ("gzip", lambda f: f, (400,)),
    "gzip that is cut": ("gzip", lambda f: gzip.compress(f)[:-9], (400,)),
    "gzip with a false checksum": ("gzip", lambda f: gzip.compress(f)[:-8] + bytes(8), (400,)),
    "100,000 empty members": (
        "gzip",
        lambda f: gzip.compress(b"") * 100_000 + gzip.compress(f),
        (200, 400),
    ),
    "gzip followed by noise": ("gzip", lambda f: gzip.compress(f) + b"noise" * 99, (200, 400)),
    "deflate": ("deflate", zlib.compress, (415,)),
    "unknown": ("../../etc/passwd", lambda f: f, (415,)),
}


@pytest.mark.parametrize("name", CODINGS)
def test_a_hostile_coding(judge: Judge, name: str) -> None:
    coding, make, allowed = CODINGS[name]
    made = plain()
    headers = {"Content-Encoding": coding}
    answer = judge.post(make(made.content), DICOM, allowed, headers=headers, seconds=SLOW)
    if answer.status in TAKEN:
        judge.look(made)
    else:
        absent(judge, made)


@pytest.mark.parametrize("kind", ["application/zip", "application/x-tar", "text/html"])
def test_other_bodies_are_not_unpacked(judge: Judge, kind: str) -> None:
    """Item 42: there is no upload of ZIP files; the command `import` takes them."""
    judge.post(b"PK\x03\x04" + bytes(100), kind, (415,))


# --- items 43 to 45: metadata and bulk data -----------------------------------------------------


def posted(**keywords: Any) -> dict[str, Any]:
    return posted_instance(**identity(), **keywords)


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize(
    "uri",
    [
        *("trap", "file", "http://169.254.169.254/latest/meta-data", "ftp://127.0.0.1/x"),
        *("//127.0.0.1/x", "gopher://127.0.0.1", "data:;base64,AAAA", "../../../etc/passwd"),
        *("cid:missing", "\\\\host\\share", "javascript:alert(1)", "", " ", "u" * 10_000),
    ],
)
def test_bulk_data_from_elsewhere_are_not_fetched(
    judge: Judge, trap: Trap, secret: Path, uri: str, xml: bool
) -> None:
    """Item 43: a BulkDataURI is the name of a part, and of nothing else."""
    uri = {"trap": trap.url, "file": secret.as_uri()}.get(uri, uri)
    made = posted(EncapsulatedDocument=Bulk(uri, "OB"))
    if xml:
        body, kind = related([part(XML, native_xml(made))], XML)
    else:
        body, kind = related([part(JSON, json.dumps([made]).encode())], JSON)
    answer = judge.post(body, kind, (*REFUSED, 400), echo=uri or "\0")
    assert "SECRET-OF-THE-MACHINE" not in answer.text


def test_parts_that_refer_to_each_other(judge: Judge) -> None:
    """Item 43: Content-Location in a circle."""
    made = posted(EncapsulatedDocument=Bulk("a", "OB"))
    parts: list[Part] = [
        part(JSON, json.dumps([made]).encode(), Content_Location="b"),
        octets(b"cid:b", Content_Location="a", Content_ID="<a>"),
        octets(b"cid:a", Content_Location="b", Content_ID="<b>"),
    ]
    body, kind = related(parts, JSON)
    judge.post(body, kind, (*TAKEN, *REFUSED))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
VALUE = '<DicomAttribute tag="00100020" vr="LO"><Value number="1">{}</Value></DicomAttribute>'


def model(content: str, before: str = "") -> str:
    return f"{before}<NativeDicomModel>{content}</NativeDicomModel>"


XMLS: dict[str, str] = {
    "external entity": model(VALUE.format("&x;"), '<!DOCTYPE n [<!ENTITY x SYSTEM "{file}">]>'),
    "external entity by HTTP": model(
        VALUE.format("&x;"), '<!DOCTYPE n [<!ENTITY x SYSTEM "{trap}">]>'
    ),
    "external DTD": model("", '<!DOCTYPE n SYSTEM "{trap}">'),
    "parameter entity": model("", '<!DOCTYPE n [<!ENTITY % x SYSTEM "{trap}"> %x;]>'),
    "a billion laughs": model(VALUE.format("&l9;"), f'<!DOCTYPE n [<!ENTITY l0 "ha">{LAUGHS}]>'),
    "quadratic": model(
        VALUE.format("&l0;" * 10_000), f'<!DOCTYPE n [<!ENTITY l0 "{"ha" * 10_000}">]>'
    ),
    "XInclude": model('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{file}"/>'),
    "a style sheet": model("", '<?xml-stylesheet href="{trap}"?>') + "<x/>",
    "a schema elsewhere": model("<x/>").replace(
        "<Nat", '<x xsi:schemaLocation="a {trap}" xmlns:xsi="http://www.w3.org/x"/><Nat', 1
    ),
    "100,000 deep": "<NativeDicomModel>" + "<a>" * 100_000,
    "UTF-7": '<?xml version="1.0" encoding="UTF-7"?>' + model(VALUE.format("+ADw-a")) + "<",
    "an integer of 20 digits": model(
        '<DicomAttribute tag="00280010" vr="US"><Value number="1">99999999999999999999</Value>'
        "</DicomAttribute>"
    ),
    "unknown encoding": '<?xml version="1.0" encoding="EBCDIC-X"?>' + model(""),
    "100,000 attributes": "<NativeDicomModel "
    + " ".join(f'a{n}="b"' for n in range(100_000))
    + "><x/>",
}


@pytest.mark.parametrize("name", XMLS)
def test_hostile_xml(judge: Judge, trap: Trap, secret: Path, name: str) -> None:
    """Item 44."""
    text = XMLS[name].replace("{trap}", trap.url).replace("{file}", secret.as_uri())
    answer = judge.post(text.encode(), XML, (400, 409, 413), echo=trap.url, seconds=SLOW)
    assert "SECRET-OF-THE-MACHINE" not in answer.text
    assert "haha" not in answer.text


def with_member(text: str) -> bytes:
    made = json.dumps(posted())
    return f"[{made[:-1]},{text}}}]".encode()


JSONS: dict[str, tuple[Callable[[], bytes], Collection[int]]] = {
    "100,000 deep": (lambda: b"[" * 100_000 + b"]" * 100_000, (400,)),
    "100,000 sequences deep": (lambda: b'{"00081140":{"vr":"SQ","Value":[' * 100_000, (400,)),
    "duplicate keys": (
        lambda: with_member('"00100020":{"vr":"LO","Value":["A"]}'),
        (*TAKEN, *REFUSED),
    ),
    "1e400": (lambda: with_member('"00189087":{"vr":"FD","Value":[1e400]}'), (400, 409)),
    "a number of 100,000 digits": (
        lambda: with_member(f'"00189087":{{"vr":"FD","Value":[{"9" * 100_000}]}}'),
        (400, 409),
    ),
    "NaN": (lambda: with_member('"00189087":{"vr":"FD","Value":[NaN]}'), (400,)),
    "1_000": (lambda: with_member('"00189087":{"vr":"FD","Value":[1_000]}'), (400,)),
    "InlineBinary that is no base64": (
        lambda: with_member('"00420011":{"vr":"OB","InlineBinary":"@@@@"}'),
        (409,),
    ),
    "InlineBinary that is cut": (
        lambda: with_member('"00420011":{"vr":"OB","InlineBinary":"AAAAA"}'),
        (409,),
    ),
    "half a surrogate pair": (
        lambda: with_member(r'"00104000":{"vr":"LT","Value":["\ud800"]}'),
        (400,),
    ),
    "a million empty objects": (lambda: b"[" + b",".join([b"{}"] * 1_000_000) + b"]", (413, 400)),
    "an attribute of 1000 names": (
        lambda: with_member(",".join(f'"{n:08X}":{{"vr":"XX"}}' for n in range(1000))),
        (*TAKEN, *REFUSED),
    ),
}


@pytest.mark.parametrize("name", JSONS)
def test_hostile_json(judge: Judge, name: str) -> None:
    """Item 45."""
    make, allowed = JSONS[name]
    judge.post(make(), JSON, allowed, seconds=SLOW)


def test_inline_binary_of_a_gigabyte(judge: Judge) -> None:
    """Item 45: the body is read no further than its limit."""
    begin = b'[{"00420011":{"vr":"OB","InlineBinary":"'
    answer = judge.post(
        chain([begin], repeat(b"A" * MIB, 1024)), JSON, (413,), seconds=8, memory=200 * MIB
    )
    assert NAME not in answer.text


# --- items 46 and 47: another study; who leaves -------------------------------------------------


def test_instances_of_another_study(judge: Judge) -> None:
    """Item 46: each fails by itself, in every form."""
    made, right = plain(), new_uid()
    own = plain(StudyInstanceUID=right)
    judge.store([made.content], REFUSED, study=right)
    judge.store([made.content, own.content], (202,), study=right)
    absent(judge, made)
    judge.look(own)
    body, kind = related([part(JSON, json.dumps([posted()]).encode())], JSON)
    judge.post(body, kind, REFUSED, study=right)
    for path in ("..%2f", "%00", "abc"):
        judge.store([made.content], (400, 404, 405), study=path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_who_leaves_and_comes_again(judge: Judge, share: float) -> None:
    """Item 47: no half of an instance; what came whole may stay, and a retry is as good as new."""
    study = new_uid()
    made = [image(StudyInstanceUID=study, rows=128, columns=128) for _ in range(4)]
    body, kind = multipart_body(each.content for each in made)
    with create_connection(("127.0.0.1", judge.server.port)) as connection:
        begin = head(f"Content-Length: {len(body)}", kind=kind)
        connection.sendall(begin + body[: int(len(body) * share)])
    judge.settle()
    judge.ask("GET", f"studies/{study}/metadata", (200, 404))
    judge.store([each.content for each in made], TAKEN)
    for each in made:
        judge.look(each, ("metadata",))
    assert len(judge.ask("GET", f"studies/{study}/metadata", (200,)).json()) == 4
