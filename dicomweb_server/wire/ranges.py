"""Byte ranges (RFC 9110 §14): which bytes a Range header asks for, and how they are sent.

Positions count from 0; a `Span` is what lies from `first` up to `last`, both included, as the
header field writes it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicomweb_server.errors import RangeNotSatisfiable

MAX_RANGES = 16  # of one answer; who asks for more gets the whole
_MAX_ASKED = 200  # of one header, before those that overlap are joined

_UNIT = re.compile(r"[ \t]*bytes[ \t]*=(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a representation, from `first` up to `last`."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    def content_range(self, total: int) -> str:
        """As Content-Range states it (RFC 9110 §14.4)."""
        return f"bytes {self.first}-{self.last}/{total}"


def parse_range(header: str | None, total: int) -> list[Span] | None:
    """The bytes to send of a representation of `total` bytes; None for all of it.

    Spans that overlap or touch are joined; they stand in the order in which they are asked for.
    None also for what is no list of byte ranges, and for more than MAX_RANGES: a Range may be
    ignored (§14.2). Raises RangeNotSatisfiable if no byte asked for exists.
    """
    unit = _UNIT.fullmatch(header or "")
    if unit is None:
        return None
    asked = [element for element in unit[1].split(",") if element.strip(" \t")]
    if not 0 < len(asked) <= _MAX_ASKED:
        return None
    spans: list[Span] = []
    for element in asked:
        match = _RANGE.fullmatch(element)
        if match is None:
            return None
        first, last, suffix = (None if text is None else int(text) for text in match.groups())
        if suffix is not None:
            first = max(0, total - suffix) if suffix else total
        assert first is not None
        if last is not None and last < first:
            return None  # invalid, and so is the whole header (§14.1.1)
        if first < total:
            spans.append(Span(first, total - 1 if last is None else min(last, total - 1)))
    if not spans:
        raise RangeNotSatisfiable(total)
    joined = _joined(spans)
    return joined if len(joined) <= MAX_RANGES else None


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Those that overlap or touch as one, at the place of the first of them."""
    found: list[tuple[int, Span]] = []
    for place, span in sorted(enumerate(spans), key=lambda each: each[1].first):
        if found and span.first <= found[-1][1].last + 1:
            before, joined = found[-1]
            found[-1] = min(before, place), Span(joined.first, max(joined.last, span.last))
        else:
            found.append((place, span))
    return [span for _, span in sorted(found, key=lambda each: each[0])]


def part_fields(content_type: str, span: Span, total: int) -> Mapping[str, str]:
    """The header fields of a part of multipart/byteranges (§14.6)."""
    return {"Content-Type": content_type, "Content-Range": span.content_range(total)}
