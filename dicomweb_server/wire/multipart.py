"""multipart/related bodies: an incremental parser and the encoding of parts (PS3.18 §8.6.1.2,
RFC 2046 §5.1, RFC 2387).

Bytes in, events out, no I/O. A parser takes the body in pieces of any size and gives the same
parts however it is cut:

    parser = MultipartParser(boundary)
    for chunk in body:
        for event in parser.feed(chunk): ...    # PartBegin, PartData…, PartEnd, PartBegin, …
    parser.finish()                             # raises if the closing delimiter is missing

Time is linear in the body. Memory is one chunk and at most `max_header_bytes`. The payload is
handed on as slices of the chunks that came in; a chunk is copied only where a delimiter may lie
across its beginning.

Delimiters are matched exactly (CRLF "--" boundary, white space, CRLF), so that text that merely
begins like one stays payload. Beyond the grammar we take a bare LF after a delimiter and in the
header block of a part (MP-06), and longer boundaries.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dicomweb_server.errors import ContentTooLarge, MalformedMultipart, Refusal

# RFC 2046 has 70 characters at the most, and fewer kinds; Orthanc sends 73.
_BOUNDARY = re.compile(r"[ -~]{0,255}[!-~]")
_PADDING = 256  # bytes of white space looked at after a delimiter
_DELIMITER_END = re.compile(rb"--|[ \t]{0,%d}\r?\n" % _PADDING)
_DELIMITER_END_BEGUN = re.compile(rb"-?|[ \t]{0,%d}\r?" % _PADDING)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([^\x00-\x08\x0a-\x1f\x7f]*)")

_entropy = bytearray()
os.register_at_fork(after_in_child=_entropy.clear)  # no two processes have the same

# What leaves content as it stands (RFC 2045 §6.2), and what HTTP once called so.
_AS_IT_STANDS = frozenset({"", "7bit", "8bit", "binary", "identity"})

MAX_EMITTED_HEADER = 1000  # bytes; the JavaScript dicomweb-client looks no further (MP-07)


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The header block of a part. Names in lower case; repeated fields joined with a comma."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of the part's content, never empty. It stays valid, and keeps its chunk alive."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY_BEGIN = auto()
    BODY = auto()
    EPILOGUE = auto()


def check_boundary(boundary: str) -> str:
    """Return the `boundary` of a sender if parts can be told by it: up to 256 characters of ASCII,
    more than RFC 2046 §5.1.1 allows (MP-02 [D]); raises MalformedMultipart."""
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedMultipart("the boundary must be 1 to 256 characters of ASCII")
    return boundary


class MultipartParser:
    """Parse one multipart body. Raises MalformedMultipart for what does not follow the grammar,
    ContentTooLarge for more than `max_parts` parts; in any case after the events of what stands
    before, however the body is cut."""

    def __init__(
        self, boundary: str, *, max_header_bytes: int = 16_384, max_parts: int = 100_000
    ) -> None:
        self._dashes = b"--" + check_boundary(boundary).encode("ascii")
        self._max_header_bytes = max_header_bytes
        self._max_parts = max_parts
        self._parts = 0
        # A line end before the body lets its first line be a delimiter like any other.
        self._data = b"\n"
        self._at = 0  # what stands before is dealt with
        self._state = _State.PREAMBLE
        self._refusal: Refusal | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Take the next piece of the body; return what it brought, in order.

        An error that comes after events is raised by the next call, of `feed` or `finish`.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._state is _State.EPILOGUE:
            return []
        rest = self._data[self._at :]
        self._data = rest + data if rest else bytes(data)
        self._at = 0
        events: list[Event] = []
        try:
            while self._step(events):
                pass
        except Refusal as refusal:
            self._refusal = refusal
            if not events:
                raise
        return events

    def finish(self) -> None:
        """The body ends here. Raises MalformedMultipart if it is not complete (ERR-03)."""
        if self._refusal is not None:
            raise self._refusal
        if self._state is not _State.EPILOGUE:
            raise MalformedMultipart("the body ends before the closing delimiter")

    def _step(self, events: list[Event]) -> bool:
        """Go one state on; False if that takes more data."""
        match self._state:
            case _State.PREAMBLE:
                return self._search(b"\n" + self._dashes, None)
            case _State.HEADERS:
                return self._headers(events)
            case _State.BODY_BEGIN:
                return self._body_begin(events)
            case _State.BODY:
                return self._search(b"\r\n" + self._dashes, events)
            case _State.EPILOGUE:
                self._data, self._at = b"", 0
                return False

    def _search(self, delimiter: bytes, events: list[Event] | None) -> bool:
        """Pass over content up to the next delimiter, giving it to `events` if there are any."""
        data, begin = self._data, self._at
        found = data.find(delimiter, begin)
        while found >= 0:
            after = self._delimiter_end(found + len(delimiter))
            if after is None:  # the chunk ends within the delimiter line
                self._emit(begin, found, events)
                return False
            if after:
                self._emit(begin, found, events)
                self._delimiter(after, events)
                return True
            found = data.find(delimiter, found + 1)
        self._emit(begin, self._perhaps_delimiter(delimiter), events)
        return False

    def _perhaps_delimiter(self, delimiter: bytes) -> int:
        """Where the beginning of a delimiter stands at the end of the data, or the data's end.

        The first byte of a delimiter occurs nowhere else in it, so only its last one counts.
        """
        data = self._data
        last = data.rfind(delimiter[:1], max(self._at, len(data) - len(delimiter) + 1))
        return last if last >= 0 and delimiter.startswith(data[last:]) else len(data)

    def _emit(self, begin: int, end: int, events: list[Event] | None) -> None:
        if events is not None and end > begin:
            events.append(PartData(memoryview(self._data)[begin:end]))
        self._at = end

    def _delimiter_end(self, at: int) -> int | None:
        """Where the delimiter line ends whose boundary ended `at`; 0 if it is none after all,
        None if that cannot be told yet."""
        match = _DELIMITER_END.match(self._data, at)
        if match is not None:
            return match.end()
        return None if _DELIMITER_END_BEGUN.fullmatch(self._data, at) else 0

    def _delimiter(self, after: int, events: list[Event] | None) -> None:
        if events is not None:
            events.append(PartEnd())
        self._at = after
        if self._data.endswith(b"-", after - 1, after):
            self._state = _State.EPILOGUE
            return
        self._parts += 1
        if self._parts > self._max_parts:
            raise ContentTooLarge(f"the body has more than {self._max_parts} parts")
        self._state = _State.HEADERS

    def _headers(self, events: list[Event]) -> bool:
        # Searched from the start at each call: a header block is small, and rarely cut.
        data, begin = self._data, self._at
        end = begin + self._max_header_bytes
        if data.startswith((b"\r\n", b"\n"), begin):
            block, after = b"", data.index(b"\n", begin) + 1
        elif match := _BLANK_LINE.search(data, begin, end):
            block, after = data[begin : match.start()], match.end()
        elif len(data) >= end:
            raise MalformedMultipart(f"a part's header is longer than {end - begin} bytes")
        else:
            return False
        events.append(PartBegin(_fields(block)))
        self._at = after
        self._state = _State.BODY_BEGIN
        return True

    def _body_begin(self, events: list[Event]) -> bool:
        """A part without content may end in the blank line that ends its header."""
        dashes = self._dashes
        head = self._data[self._at : self._at + len(dashes)]
        if head == dashes:
            after = self._delimiter_end(self._at + len(dashes))
            if after is None:
                return False
            if after:
                self._delimiter(after, events)
                return True
        elif dashes.startswith(head):
            return False
        self._state = _State.BODY
        return True


def _fields(block: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    unfolded = re.sub(rb"\r?\n[ \t]+", b" ", block)
    for line in unfolded.split(b"\n") if unfolded else ():
        match = _FIELD.fullmatch(line.removesuffix(b"\r"))
        if match is None:
            raise MalformedMultipart("a part has a header line that is no field")
        name = match[1].decode("ascii").lower()
        value = match[2].strip(b" \t").decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def encoded_by(headers: Mapping[str, str]) -> str | None:
    """The field by which a part, which is a MIME entity (RFC 2045 §6, RFC 2046 §5.1), says that
    its content is encoded; None if it stands as it is. `headers` as in `PartBegin`."""
    for name in ("Content-Transfer-Encoding", "Content-Encoding"):
        codings = headers.get(name.lower(), "").lower().split(",")
        if not _AS_IT_STANDS.issuperset(coding.strip() for coding in codings):
            return name
    return None


def new_boundary() -> str:
    """A boundary that occurs in no payload: 128 random bits, without dashes or quotes (MP-02)."""
    if len(_entropy) < 16:
        _entropy.extend(secrets.token_bytes(4096))  # asking the kernel each time is slow
    boundary = _entropy[-16:].hex()
    del _entropy[-16:]
    return boundary


def part_header(boundary: str, headers: Mapping[str, str], *, first: bool) -> bytes:
    """Delimiter and header block that go before a part's content (MP-07).

    `headers` in canonical case (``Content-Type``: one viewer looks for just that). The first
    part of a body begins with its delimiter at once. ValueError for fields that are no ASCII
    text of one line, or more than 1000 bytes of them.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a part's header field holds a line break")
    if len(lines) > MAX_EMITTED_HEADER:
        raise ValueError(f"a part's header is longer than {MAX_EMITTED_HEADER} bytes")
    line_end = "" if first else "\r\n"  # belongs to the delimiter, not to the content before
    return f"{line_end}--{boundary}\r\n{lines}\r\n".encode("ascii")


def closing(boundary: str) -> bytes:
    """What ends a body after the content of its last part."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
