"""Cursors: where a page of a search ended, for the next to go on from (an extension).

A cursor is opaque to callers. It holds nothing that its result did not show; what it may lead to
is decided anew by whoever presents it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from urllib.parse import quote, unquote_to_bytes

import orjson

from dicomweb_server.errors import InvalidParameter

_EXPECTED = "what a Link header of the same search had"
_LONGEST = 1 << 15  # characters of a cursor without its order: eight long keys of any script
_LONGEST_CHARACTER = 8  # characters of a cursor for one of its order, such as \u0001
_BIGGEST = 2**63

Place = tuple[int | str | None, ...]


def make_cursor(place: Place, orderby: str) -> str:
    """The cursor that leads to what comes after `place`, for the same ``orderby``."""
    return urlsafe_b64encode(orjson.dumps([orderby, *place])).decode().rstrip("=")


def read_cursor(text: str, orderby: str) -> Place:
    """The place. Raises InvalidParameter for what is no cursor of this order."""
    try:
        if len(text) > _LONGEST + _LONGEST_CHARACTER * len(orderby):
            raise ValueError(text)
        padded = text + "=" * (-len(text) % 4)
        values = orjson.loads(urlsafe_b64decode(padded.encode("ascii")))
    except (Error, ValueError):
        raise InvalidParameter("cursor", "", _EXPECTED) from None
    if not isinstance(values, list) or values[:1] != [orderby] or not all(map(_is_fit, values)):
        raise InvalidParameter("cursor", "", _EXPECTED)
    return tuple(values[1:])


def _is_fit(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -_BIGGEST <= value < _BIGGEST
    return value is None or (isinstance(value, str) and "\0" not in value)


def next_query(query_string: bytes, place: Place, orderby: str) -> str:
    """The query string of the next page: as it was, but for where to begin."""
    pieces = [
        piece
        for piece in query_string.split(b"&")
        if piece and unquote_to_bytes(piece.partition(b"=")[0]) not in (b"offset", b"cursor")
    ]
    kept = [quote(piece, safe="%+=,*?.:/\\~!$'()@-_;") for piece in pieces]
    return "&".join([*kept, f"cursor={make_cursor(place, orderby)}"])
