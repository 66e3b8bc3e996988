"""The items of encapsulated Pixel Data, and which of them make up a frame (PS3.5 A.4, WADO-06).

Only item headers and a few bytes at the ends of fragments are looked at, so that the file may
be mapped and larger than memory.
"""

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate
from mmap import MADV_DONTNEED, mmap
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from dicomweb_server.errors import NotPart10

Bytes: TypeAlias = bytes | bytearray | memoryview | mmap
Integers: TypeAlias = npt.NDArray[Any]

# More fragments than any real slide has (one a tile): beyond it the bytes are hostile.
MAX_FRAGMENTS = 1 << 22

_MAPPED = 32 << 20  # bytes of a file that may stay mapped

_ITEM = 0xE000FFFE  # (FFFE,E000) as a little-endian 32-bit word
_SEQUENCE_END = 0xE0DDFFFE
_UNDEFINED = 0xFFFFFFFF
_HEADER = struct.Struct("<II")

# Start and end of a codestream: JPEG and JPEG-LS (SOI, EOI), JPEG 2000 and HTJ2K (SOC SIZ, EOC).
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
_CODESTREAM_END = b"\xff\xd9"


class Fragments(NamedTuple):
    """The items after the basic offset table: where their data lies, uint64 in bytes."""

    table: bytes  # the value of the basic offset table
    base: int  # offset of the first item tag after it, which offset tables count from
    offsets: Integers
    lengths: Integers


class OffsetTables(NamedTuple):
    """The values of the tables that lead to frames of one fragment each; empty = not there."""

    basic: bytes
    offsets: bytes  # Extended Offset Table
    lengths: bytes  # Extended Offset Table Lengths


def offset_tables(lengths: Sequence[int]) -> OffsetTables:
    """The Basic Offset Table if it can hold the offsets, else the Extended one (PS3.5 §A.4).

    `lengths` are those of the frames in bytes, before they are made even.
    """
    ends = accumulate(8 + length + length % 2 for length in lengths)
    offsets = [0, *ends][: len(lengths)]
    if not offsets or offsets[-1] < 1 << 32:
        return OffsetTables(struct.pack(f"<{len(offsets)}I", *offsets), b"", b"")
    count = f"<{len(offsets)}Q"
    return OffsetTables(b"", struct.pack(count, *offsets), struct.pack(count, *lengths))


def skip_encapsulated(buffer: Bytes, offset: int, end: int) -> int:
    """Find the end of a sequence of fragments, reading item headers only.

    `offset` is that of the first item tag (the basic offset table), `end` that of the first
    byte past the file. Returns the offset just after the sequence delimitation item. Raises
    NotPart10 if an item runs past `end`, has no defined length, or if the sequence never ends.
    """
    end, pages = min(end, len(buffer)), _Pages(buffer, offset)
    for _ in range(MAX_FRAGMENTS + 2):
        length = _item_length(buffer, offset, end)
        if length is None:
            return offset + 8
        offset += 8 + length
        pages.passed(offset)
    raise NotPart10("encapsulated pixel data in too many fragments")


class _Pages:
    """Gives back the pages of a mapped file that were passed.

    The kernel maps what lies around each header that is read, in the end the whole file.
    """

    def __init__(self, buffer: Bytes, offset: int) -> None:
        self._buffer = buffer if isinstance(buffer, mmap) else None
        self._next = offset + _MAPPED

    def passed(self, offset: int) -> None:
        if offset >= self._next and self._buffer is not None:
            self._buffer.madvise(MADV_DONTNEED)  # they are read again where they are needed
            self._next = offset + _MAPPED


def _item_length(buffer: Bytes, offset: int, end: int) -> int | None:
    """Bytes in the item at `offset`, None for the sequence delimitation item."""
    if offset < 0 or offset + 8 > end:
        raise NotPart10("encapsulated pixel data without an end")
    tag, length = _HEADER.unpack_from(buffer, offset)
    if tag == _SEQUENCE_END:
        return None
    if tag != _ITEM or length == _UNDEFINED:
        raise NotPart10("encapsulated pixel data with something other than items")
    return int(length)


def list_fragments(buffer: Bytes, offset: int, end: int) -> Fragments:
    """List the fragments of the sequence that begins at `offset`; as `skip_encapsulated`."""
    end, pages = min(end, len(buffer)), _Pages(buffer, offset)
    offsets, lengths = array("Q"), array("Q")
    while (length := _item_length(buffer, offset, end)) is not None:
        if len(offsets) > MAX_FRAGMENTS:
            raise NotPart10("encapsulated pixel data in too many fragments")
        offsets.append(offset + 8)
        lengths.append(length)
        offset += 8 + length
        pages.passed(offset)
    if not offsets:
        return Fragments(b"", offset, np.array([], np.uint64), np.array([], np.uint64))
    start, length = offsets.pop(0), lengths.pop(0)
    table = bytes(buffer[start : start + min(length, 4 * MAX_FRAGMENTS)])
    arrays = [np.frombuffer(values, np.uint64) for values in (offsets, lengths)]
    return Fragments(table, start + length, *arrays)


def join_fragments(raw: bytes, fragments: int) -> bytes:
    """Join the data of `fragments` items that follow each other from the beginning of `raw`.

    Raises NotPart10 if they are not there.
    """
    parts, offset = [], 0
    for _ in range(fragments):
        length = _item_length(raw, offset, len(raw))
        if length is None or offset + 8 + length > len(raw):
            raise NotPart10("a frame has other fragments than when it was stored")
        parts.append(raw[offset + 8 : offset + 8 + length])
        offset += 8 + length
    return b"".join(parts)


def drop_pad(data: bytes) -> bytes:
    """Drop the byte that makes a codestream's length even, where an end marker precedes it."""
    if data.startswith(_CODESTREAM_STARTS) and data.endswith(_CODESTREAM_END + b"\x00"):
        return data[:-1]
    return data


def frame_edges(
    buffer: Bytes,
    fragments: Fragments,
    extended_offsets: Sequence[int] | None,
    stated: int | None,
    problems: list[str],
) -> Integers | None:
    """Which fragments make up which frame: frame n (from 0) is fragments [edge n, edge n+1).

    By the Extended Offset Table, else the Basic Offset Table, else one fragment a frame, else
    the markers that codestreams begin and end with. `stated` is the Number of Frames, None if
    that is nonsense. Fewer frames than stated are given with a problem; more are not given, for
    no attribute describes them. None, with a problem, where the frames cannot be told apart:
    rather no frame than a wrong one.
    """
    count = len(fragments.offsets)
    edges = _by_tables(fragments, extended_offsets, stated, problems)
    if edges is not None:
        return edges
    if stated == count:
        return np.arange(count + 1)
    if stated == 1:
        return np.array([0, count])
    edges = _by_markers(buffer, fragments)
    if edges is None and (stated is None or count < stated):
        edges = np.arange(count + 1)
    if edges is None:
        problems.append("the fragments cannot be told apart into frames")
    elif stated is not None and len(edges) - 1 != stated:
        problems.append(f"pixel data holds {len(edges) - 1} frames where {stated} are stated")
        edges = edges[: stated + 1]
    return edges


def _by_tables(
    fragments: Fragments,
    extended_offsets: Sequence[int] | None,
    stated: int | None,
    problems: list[str],
) -> Integers | None:
    basic = fragments.table[: len(fragments.table) // 4 * 4]
    tables = {
        "Extended Offset Table": np.array(extended_offsets or (), np.uint64),
        "Basic Offset Table": np.frombuffer(basic, "<u4").astype(np.uint64),
    }
    for name, table in tables.items():
        if not len(table):
            continue
        edges = _follow(table, fragments)
        if edges is None:
            problems.append(f"the {name} does not lead to fragments")
        elif stated is None or len(table) == stated:
            return edges
        else:
            problems.append(f"the {name} has {len(table)} entries for {stated} frames")
            if len(table) > stated:
                return edges[: stated + 1]
    return None


def _follow(table: Integers, fragments: Fragments) -> Integers | None:
    """The edges that an offset table tells; None unless it rises from the first fragment."""
    # uint64 wraps around for a forged offset, to below the first fragment: never onto one.
    targets = table + np.uint64(fragments.base + 8)
    starts = np.searchsorted(fragments.offsets, targets)
    count = len(fragments.offsets)
    if starts[0] != 0 or starts.max() >= count or np.any(np.diff(starts) <= 0):
        return None
    if np.any(fragments.offsets[starts] != targets):
        return None
    return np.append(starts, count)


def _by_markers(buffer: Bytes, fragments: Fragments) -> Integers | None:
    """The edges that start and end markers tell; None if they are not there.

    Entropy-coded data never holds an end marker, but an application segment may, at the end of
    a fragment too: a frame begins only where a start marker follows an end marker.
    """
    starts: list[int] = []
    ended = True
    pages = _Pages(buffer, 0)
    pairs = zip(fragments.offsets.tolist(), fragments.lengths.tolist(), strict=True)
    for index, (offset, length) in enumerate(pairs):
        if not length:
            continue
        head = bytes(buffer[offset : offset + min(length, 4)])
        if ended and head.startswith(_CODESTREAM_STARTS):
            starts.append(index)
        elif not starts:
            return None
        tail = bytes(buffer[offset + max(length - 3, 0) : offset + length])
        ended = tail.endswith((_CODESTREAM_END, _CODESTREAM_END + b"\x00"))
        pages.passed(offset)
    if not starts:
        return None
    starts[0] = 0  # empty fragments before the first
    return np.array([*starts, len(fragments.offsets)])
