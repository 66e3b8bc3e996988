"""multipart/related as PS3.18 8.6.1.2.1 and RFC 2387 have it: read strictly, written plainly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from conformance.suite.http import Answer, MediaType, media_type
from conformance.suite.model import Deviation

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its header fields, in their order, and its bytes."""

    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header field; empty if there is none."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else ""

    @property
    def content_type(self) -> MediaType:
        """Raises Deviation if there is none (MP-03)."""
        value = self.header("Content-Type")
        if not value:
            raise Deviation("a Content-Type in each part (PS3.18 8.6.1.2.1)", "none")
        return media_type(value)


def parts_of(answer: Answer, root: str | None = None) -> list[Part]:
    """The parts of a multipart/related answer, `root` being the media type of the first.

    Raises Deviation where the message breaks the grammar: MP-01 to MP-07.
    """
    whole = answer.content_type
    if whole.name != "multipart/related":
        raise Deviation("Content-Type: multipart/related", str(whole))
    if "type" not in whole.parameters:
        raise Deviation("the type parameter of multipart/related (RFC 2387)", str(whole))
    boundary = whole.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise Deviation("a boundary of 1 to 70 characters of RFC 2046", repr(boundary))
    if not answer.whole:
        raise Deviation("the whole of the body", "a body that breaks off")
    parts = split(answer.decoded, boundary.encode())
    if root is not None:
        if not parts:
            raise Deviation(f"a part of type {root}", "no parts")
        named = media_type(whole.parameters["type"]).name
        first = parts[0].content_type.name
        if named != root or first != root:
            raise Deviation(f"type and first part {root}", f"{named} and {first}")
    return parts


def split(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a body (RFC 2046, 5.1.1). Raises Deviation."""
    delimiter = b"--" + boundary
    if not body.startswith(delimiter) and b"\r\n" + delimiter not in body:
        raise Deviation("a body that begins with the delimiter of the boundary", repr(body[:80]))
    at = 0 if body.startswith(delimiter) else body.index(b"\r\n" + delimiter) + 2
    parts: list[Part] = []
    while True:
        at += len(delimiter)
        if body.startswith(b"--", at):
            return parts
        end_of_line = body.find(b"\r\n", at)
        if end_of_line < 0 or body[at:end_of_line].strip(b" \t"):
            raise Deviation("CRLF after a delimiter", repr(body[at : at + 20]))
        end = body.find(b"\r\n" + delimiter, end_of_line)
        if end < 0:
            raise Deviation("a closing delimiter at the end of the body", repr(body[-80:]))
        parts.append(_part(body[end_of_line + 2 : end], body[end_of_line : end_of_line + 4]))
        at = end + 2


def _part(data: bytes, begin: bytes) -> Part:
    if begin == b"\r\n\r\n":  # no header at all
        return Part([], data[2:])
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        raise Deviation("a header block and an empty line in each part", repr(data[:80]))
    headers = []
    for line in head.split(b"\r\n"):
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Deviation("header fields in each part", repr(line[:80]))
        headers.append((field[1].decode(), field[2].decode("latin-1")))
    return Part(headers, body)


def joined(
    parts: Sequence[tuple[str, bytes] | tuple[str, bytes, Sequence[tuple[str, str]]]],
    root: str,
    boundary: str | None = None,
) -> tuple[str, bytes]:
    """The Content-Type and the body of a multipart/related message.

    Each part is its type, its bytes, and further headers of its own.
    """
    boundary = boundary or uuid4().hex
    pieces = []
    for kind, data, *more in parts:
        fields = [("Content-Type", kind), *(more[0] if more else ())]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        pieces.append(f"--{boundary}\r\n{head}\r\n".encode() + data + b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return f'multipart/related; type="{root}"; boundary={boundary}', b"".join(pieces)
