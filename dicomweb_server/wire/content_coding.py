"""Content-Encoding of requests (RFC 9110 §8.4.1, CCH-05): gzip, never more than is asked for."""

import zlib

from dicomweb_server.errors import ContentTooLarge, MalformedContent, UnsupportedContent

PIECE = 1 << 20  # bytes that one step gives at the most

_GZIP = 31  # zlib's window bits for a gzip member


def is_gzip(header: str | None) -> bool:
    """Whether a body is gzip; not if it is as it is. Raises UnsupportedContent for other codings,
    and for several."""
    coding = (header or "identity").strip().lower()
    if coding in ("gzip", "x-gzip"):
        return True
    if coding != "identity":
        raise UnsupportedContent("the only Content-Encoding of requests is gzip")
    return False


class Gunzip:
    """Members of gzip (RFC 1952) in, their content out: in pieces, so that one byte that stands
    for a thousand never becomes more than PIECE at a time.

    ``feed`` a chunk, then call ``next`` until it gives nothing; ``finish`` at the end.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of content above which ContentTooLarge is raised."""
        self._limit = limit
        self._total = 0
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False
        self._input = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._input = self._input + chunk if self._input else chunk

    def next(self) -> bytes:
        """The next piece, empty when there is none without more input.

        Raises MalformedContent, ContentTooLarge.
        """
        while True:
            if self._member.eof:
                self._input = self._member.unused_data.lstrip(b"\0")  # padding between members
                self._member = zlib.decompressobj(_GZIP)
                self._begun = False
            if not self._input and not self._begun:
                return b""
            self._begun = True
            try:
                piece = self._member.decompress(self._input, PIECE)
            except zlib.error:
                raise MalformedContent("the gzip coding of the request is damaged") from None
            self._input = self._member.unconsumed_tail
            self._total += len(piece)
            if self._total > self._limit:
                raise ContentTooLarge(f"the request unpacks to more than {self._limit} bytes")
            if piece or not self._member.eof:
                return piece

    def finish(self) -> None:
        """The body ends here. Raises MalformedContent in the middle of a member."""
        if self._begun and not self._member.eof:
            raise MalformedContent("the gzip coding of the request is cut short")
