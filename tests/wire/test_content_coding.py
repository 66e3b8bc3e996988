"""Content-Encoding of requests: what is packed comes out, in bounds, however it comes in."""

import gzip
import time
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import ContentTooLarge, MalformedContent, Refusal, UnsupportedContent
from dicomweb_server.wire.content_coding import PIECE, Gunzip, is_gzip


def unpacked(chunks: Iterable[bytes], limit: int = 1 << 30) -> bytes:
    content = Gunzip(limit)
    found = b""
    for chunk in chunks:
        content.feed(chunk)
        while piece := content.next():
            assert len(piece) <= PIECE
            found += piece
    content.finish()
    return found


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    return [body[start:end] for start, end in pairwise(edges)]


cuttings = st.lists(st.integers(0, 400))


@given(
    members=st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 9), st.integers(0, 3))),
    cuts=cuttings,
)
def test_any_members_in_any_cutting_give_their_content(
    members: list[tuple[bytes, int, int]], cuts: list[int]
) -> None:
    body = b"".join(gzip.compress(content, level) + bytes(pad) for content, level, pad in members)
    assert unpacked(cut(body, cuts)) == b"".join(content for content, _, _ in members)


MEMBER = gzip.compress(b"content", mtime=0)


@given(st.lists(st.binary() | st.just(MEMBER)))
def test_any_bytes_are_content_or_refused(chunks: list[bytes]) -> None:
    try:
        found = unpacked(chunks)
    except MalformedContent:
        return
    assert found == b"content" * b"".join(chunks).count(MEMBER)


@given(content=st.binary(min_size=1, max_size=200), at=st.integers(0, 400), cuts=cuttings)
def test_what_is_cut_short_is_refused(content: bytes, at: int, cuts: list[int]) -> None:
    body = gzip.compress(content)
    body = body[: 1 + at % (len(body) - 1)]
    with pytest.raises(MalformedContent):
        unpacked(cut(body, cuts))


@given(content=st.binary(min_size=1), at=st.integers(0), change=st.integers(1, 255))
def test_a_changed_checksum_is_noticed(content: bytes, at: int, change: int) -> None:
    body = bytearray(gzip.compress(content))
    body[-1 - at % 8] ^= change
    with pytest.raises(MalformedContent):
        unpacked([bytes(body)])


def test_no_bytes_are_no_content() -> None:
    assert unpacked([]) == unpacked([b"", b""]) == b""


@pytest.mark.parametrize("limit", [0, 1, PIECE - 1, PIECE, 3 * PIECE + 5])
def test_a_bomb_gives_no_more_than_the_limit_and_a_piece(limit: int) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(64 * PIECE)) + packer.flush()
    content, given = Gunzip(limit), 0
    content.feed(bomb)
    with pytest.raises(ContentTooLarge):
        while piece := content.next():
            given += len(piece)
            assert len(piece) <= PIECE
    assert given <= limit
    assert unpacked([bomb]) == bytes(64 * PIECE)


def test_content_of_just_the_limit_is_taken() -> None:
    assert unpacked([gzip.compress(bytes(1000))], 1000) == bytes(1000)
    with pytest.raises(ContentTooLarge):
        unpacked([gzip.compress(bytes(1001))], 1000)


@pytest.mark.parametrize(
    "member", [gzip.compress(text, 1, mtime=0) for text in (b"", b"a")] + [b"\0"]
)
def test_many_small_members_take_linear_time(member: bytes) -> None:
    first = gzip.compress(b"")

    def seconds(members: int) -> float:
        started = time.process_time()
        unpacked([first + member * members])
        return time.process_time() - started

    seconds(1000)
    assert seconds(80_000) < 20 * seconds(10_000) + 0.5


@pytest.mark.parametrize("header", [None, "", "identity", " Identity ", "identity, identity"])
def test_what_is_not_coded(header: str | None) -> None:
    assert not is_gzip(header)


@pytest.mark.parametrize("header", ["gzip", "x-gzip", " GZIP\t", "identity, gzip", "gzip,"])
def test_what_is_gzip(header: str) -> None:
    assert is_gzip(header)


@pytest.mark.parametrize(
    "header", ["br", "gzip, gzip", "gzip, br", "identity, br", "gzip;q=1", "é"]
)
def test_other_codings_are_refused(header: str) -> None:
    with pytest.raises(UnsupportedContent):
        is_gzip(header)


@given(st.text())
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        assert is_gzip(header) in (True, False)
    except Refusal as refusal:
        assert isinstance(refusal, UnsupportedContent)
