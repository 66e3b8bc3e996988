"""Content-Encoding of requests (RFC 9110 §8.4.1, CCH-05): gzip, never more than is asked for."""

import zlib

from dicomweb_server.errors import ContentTooLarge, MalformedContent, UnsupportedContent

PIECE = 1 << 20  # bytes that one step gives at the most

_STEP = 1 << 14  # bytes of input
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
