"""Which parts of a store request a BulkDataURI of its metadata means (PS3.18 §10.5.2, digest 5.2).

Nothing is ever fetched: a URI that no part answers to stays unanswered (STOW-12).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from urllib.parse import unquote, urljoin

from dicomweb_server.errors import MalformedContent, UnsupportedContent
from dicomweb_server.wire.media_types import ALIASES, parse_content_type

OCTETS = "application/octet-stream"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
METADATA = frozenset({JSON, XML})

MAX_URI = 4096  # characters that are looked at


@dataclass(frozen=True, slots=True)
class PartType:
    """What the header block of a part says of its content.

    `transfer_syntax`: what the sender says; the content decides (STOW-01). `location` and
    `content_id`: by which metadata may name it, as written.
    """

    media_type: str  # lower case, today's name
    transfer_syntax: str | None = None
    location: str | None = None
    content_id: str | None = None


def read_part_type(
    headers: Mapping[str, str], default: str, start: str = "", *, first: bool = False
) -> PartType:
    """Read the header block of a part; `default` is the ``type`` of the message (STOW-03), which
    is that of its root: the part of the Content-ID `start` if the message names one, else the
    `first` (MP-04, RFC 2387 §3.2).

    Another part that says where it belongs and not what it is, is bulk data. Raises
    UnsupportedContent for a Content-Type that cannot be read.
    """
    location, content_id = _text(headers, "content-location"), _text(headers, "content-id")
    text = headers.get("content-type")
    if text is None:
        named = location is not None or content_id is not None
        is_root = first
        if start:
            is_root = content_id is not None and _bare_id(content_id) == _bare_id(start)
        return PartType(OCTETS if named and not is_root else default, None, location, content_id)
    try:
        content = parse_content_type(text)
    except MalformedContent:
        raise UnsupportedContent("the Content-Type of a part cannot be read") from None
    media_type = ALIASES.get(content.media_type, content.media_type)
    syntax = content.parameters.get("transfer-syntax")
    return PartType(media_type, syntax, location, content_id)


def _text(headers: Mapping[str, str], name: str) -> str | None:
    """A field's value. Some senders write URIs as they stand in the metadata, in UTF-8."""
    value = headers.get(name)
    if value is None or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


class BulkParts:
    """The parts with bulk data by what they may be called; each by its number."""

    def __init__(self, request_url: str) -> None:
        """`request_url`: what relative URIs are resolved against (STOW-11)."""
        self._base = request_url
        self._written: defaultdict[str, list[int]] = defaultdict(list)
        self._ids: defaultdict[str, list[int]] = defaultdict(list)
        self._resolved: dict[str, list[int]] | None = None  # once it is needed: it takes a while
        self._used: dict[int, list[int]] = {}  # lists of the above, by their identity

    def add(self, number: int, part: PartType) -> None:
        """Take in one more part. Parts of one location are the frames of one value, in order."""
        self._resolved = None
        if part.location:
            self._written[part.location.strip()[:MAX_URI]].append(number)
        if part.content_id:
            self._ids[_bare_id(part.content_id)].append(number)

    def find(self, uri: str, *, resolve: bool = True) -> Sequence[int]:
        """The numbers of the parts that `uri` means, in the order of the request; none if no
        part is called so: by Content-Location as written, then by Content-ID, then, if to
        `resolve`, by Content-Location as resolved. The same sequence for the same parts."""
        uri = uri.strip()
        if len(uri) > MAX_URI:
            return ()
        found = self._written.get(uri)
        if found is None and uri[:4].lower() == "cid:":
            found = self._ids.get(unquote(uri[4:]))
        if found is None and resolve:
            found = self._by_address().get(self._absolute(uri))
        if found is None:
            return ()
        self._used[id(found)] = found
        return found

    def unused(self, numbers: Iterable[int]) -> list[int]:
        """Those of `numbers` that no URI has meant so far."""
        used = {number for found in self._used.values() for number in found}
        return [number for number in numbers if number not in used]

    def _by_address(self) -> dict[str, list[int]]:
        if self._resolved is None:
            addresses: defaultdict[str, list[list[int]]] = defaultdict(list)
            for location, numbers in self._written.items():
                addresses[self._absolute(location)].append(numbers)
            self._resolved = {
                address: some[0] if len(some) == 1 else sorted(chain.from_iterable(some))
                for address, some in addresses.items()
            }
        return self._resolved

    def _absolute(self, uri: str) -> str:
        try:
            return urljoin(self._base, uri)
        except ValueError:  # a bracket where an address of IPv6 should be
            return uri


def _bare_id(content_id: str) -> str:
    """A Content-ID without its angle brackets (RFC 2392, MP-04)."""
    return content_id.strip().removeprefix("<").removesuffix(">")[:MAX_URI]
