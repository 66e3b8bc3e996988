"""Content codings (RFC 9110 §8.4.1): gzip of requests (CCH-05), never more than is asked for, and
gzip, zstd and Brotli of answers (CCH-04), where they are accepted."""

import re
import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli
from zlib_ng import zlib_ng

from dicomweb_server.errors import ContentTooLarge, MalformedContent, UnsupportedCoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 20  # bytes that one step of unpacking gives at the most

ZSTD = "zstd"
GZIP = "gzip"
BROTLI = "br"
IDENTITY = "identity"
CODINGS = (ZSTD, GZIP, BROTLI, IDENTITY)  # of answers

_ALIASES = {"x-gzip": GZIP}  # RFC 9110 §8.4.1.3
_CODING = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*"
    r"(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
_UNASKED = 0.0001  # below every weight that can be stated

_STEP = 1 << 14  # bytes of input
_GZIP = 31  # zlib's window bits for a gzip member

_PACK_STEP = 1 << 16  # bytes; a tenth of a millisecond's work, as gzip
_ZSTD_STEP = 1 << 18
# Of zlib-ng. 4 MB of search results: 5 ms for 213 kB; level 1 gives 313 kB, level 6 takes 8 ms.
_FAST = 2
# 1 ms for 31 kB of the same; 10 MB of CT metadata: 2 ms for 44 kB, and 9 ms for 564 kB as gzip.
# The window of this level is half a megabyte, of the 8 that RFC 9659 allows.
_ZSTD: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
# As fast as zlib-ng's, and smaller; a window of half a megabyte, as that of zstd.
_BROTLI_QUALITY, _BROTLI_WINDOW = 2, 19


def accepted_codings(header: str | None) -> tuple[str, ...]:
    """Those of CODINGS that an Accept-Encoding accepts, the one to send first (RFC 9110 §12.5.3).

    Without the header gzip would be acceptable too, but who does not ask may not unpack; ``*``
    asks for gzip and for no other. Identity is accepted unless it is barred by name or by
    ``*;q=0``, and comes last unless it is named. Of equal weights zstd goes first, which is both
    smaller and cheaper, then gzip, in which metadata lie ready. A weight that cannot be read takes
    its element along (HDR-03); the lowest of several counts, so that what is barred stays barred.
    """
    if header is None:
        return (IDENTITY,)
    weights: dict[str, float] = {}
    for element in header.split(","):
        match = _CODING.fullmatch(element)
        if match is not None:
            name = match[1].lower()
            name = _ALIASES.get(name, name)
            weights[name] = min(weights.get(name, 1.0), float(match[2] or 1))
    found = {
        ZSTD: weights.get(ZSTD, 0.0),
        GZIP: weights.get(GZIP, weights.get("*", 0.0)),
        BROTLI: weights.get(BROTLI, 0.0),
        IDENTITY: weights.get(IDENTITY, weights.get("*", _UNASKED)),
    }
    ranked = sorted(CODINGS, key=lambda coding: -found[coding])
    return tuple(coding for coding in ranked if found[coding] > 0)


class Packer(Protocol):
    """Content in, the same in a content coding out, in steps that are short however much comes in
    at a time."""

    def steps(self, content: bytes) -> Iterator[bytes]:
        """Pack `content`. What a step gives may be empty: it waits for more."""

    def finish(self) -> bytes:
        """The rest, with an end: without it nobody takes it for whole."""


def packer(coding: str) -> Packer:
    """What packs in one of CODINGS that is not identity."""
    if coding == ZSTD:
        return Zstd()
    return Brotli() if coding == BROTLI else Gzip()


class Gzip:
    """One member of gzip (RFC 1952)."""

    def __init__(self) -> None:
        self._member = zlib_ng.compressobj(_FAST, zlib_ng.DEFLATED, _GZIP)

    def steps(self, content: bytes) -> Iterator[bytes]:
        view = memoryview(content)
        for at in range(0, len(view), _PACK_STEP):
            yield self._member.compress(view[at : at + _PACK_STEP])

    def finish(self) -> bytes:
        return self._member.flush()


class Zstd:
    """One frame of Zstandard (RFC 8878)."""

    def __init__(self) -> None:
        self._frame = zstd.ZstdCompressor(options=_ZSTD)

    def steps(self, content: bytes) -> Iterator[bytes]:
        view = memoryview(content)
        for at in range(0, len(view), _ZSTD_STEP):
            yield self._frame.compress(view[at : at + _ZSTD_STEP])

    def finish(self) -> bytes:
        return self._frame.flush()


class Brotli:
    """A stream of Brotli (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_BROTLI_WINDOW)

    def steps(self, content: bytes) -> Iterator[bytes]:
        view = memoryview(content)
        for at in range(0, len(view), _PACK_STEP):
            yield self._stream.process(view[at : at + _PACK_STEP])

    def finish(self) -> bytes:
        rest: bytes = self._stream.finish()
        return rest


def is_gzip(header: str | None) -> bool:
    """Whether a body is gzip; not if it is as it is. Raises UnsupportedCoding for other codings,
    and for several."""
    codings = [coding.strip().lower() for coding in (header or "").split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or not {"gzip", "x-gzip"}.issuperset(codings):
        raise UnsupportedCoding("the only Content-Encoding of requests is gzip")
    return bool(codings)


class Gunzip:
    """Members of gzip (RFC 1952) in, their content out: in pieces, so that one byte that stands
    for a thousand never becomes more than PIECE at a time.

    ``feed`` a chunk, then call ``next`` until it gives nothing; ``finish`` at the end. Zeros may
    stand between members and after them. Time is linear in what comes in and goes out.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of content above which ContentTooLarge is raised."""
        self._limit = limit
        self._total = 0
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False  # whether a byte of the member has come
        self._padded = False  # whether zeros may stand here: after the first member
        self._input = b""
        self._at = 0  # what stands before is dealt with

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        rest = self._input[self._at :]
        self._input, self._at = rest + chunk if rest else chunk, 0

    def next(self) -> bytes:
        """The next piece, empty when there is none without more input.

        Raises MalformedContent, ContentTooLarge.
        """
        pieces: list[bytes] = []
        left = PIECE
        while left and (data := self._following()):
            try:
                piece = self._member.decompress(data, left)
            except zlib.error:
                raise MalformedContent("the gzip coding of the request is damaged") from None
            pieces.append(piece)
            left -= len(piece)
            self._total += len(piece)
            if self._total > self._limit:
                raise ContentTooLarge(f"the request unpacks to more than {self._limit} bytes")
            # One of the two is empty. zlib copies them: a step takes little input.
            self._at -= len(self._member.unconsumed_tail) + len(self._member.unused_data)
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
                self._begun, self._padded = False, True
        return b"".join(pieces)

    def finish(self) -> None:
        """The body ends here. Raises MalformedContent in the middle of a member."""
        if self._begun:
            raise MalformedContent("the gzip coding of the request is cut short")

    def _following(self) -> bytes:
        """The input of one step, empty when there is none."""
        while data := self._input[self._at : self._at + _STEP]:
            if self._padded and not self._begun:
                begun = data.lstrip(b"\0")
                self._at += len(data) - len(begun)
                if not begun:
                    continue
                data = begun
            self._at += len(data)
            self._begun = True
            break
        return data
