"""Where each frame of Pixel Data lies in its file, and how to cut one out of it.

The table is made once, at store time (``build_frame_table``); a read takes the byte range of
one frame (``frame_range``) and makes of its bytes what PS3.18 sends (``cut_frame``).
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import FrameTable, JsonDataset
from dicomweb_server.dicom.fragments import (
    Bytes,
    Fragments,
    Integers,
    drop_pad,
    frame_edges,
    join_fragments,
    list_fragments,
    skip_encapsulated,
)
from dicomweb_server.dicom.transfer_syntaxes import (
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_VR_BIG_ENDIAN,
    is_encapsulated,
    is_video,
    media_type_of,
)
from dicomweb_server.errors import NotFound, NotPart10

__all__ = [
    "RECORD",
    "PixelElement",
    "build_frame_table",
    "cut_frame",
    "empty_pixel_data",
    "fragments_of",
    "frame_range",
    "is_encapsulated",
    "is_video",
    "media_type_of",
    "skip_encapsulated",
]

# One frame of encapsulated data, as FrameTable.ranges describes it.
RECORD = struct.Struct("<QQI")
_RECORD = np.dtype([("offset", "<u8"), ("length", "<u8"), ("fragments", "<u4")])

MAX_FRAMES = 2**31 - 1  # the greatest IS (PS3.5 §6.2)

_INTEGER = re.compile(" *([+-]?[0-9]{1,11}) *")  # an IS (PS3.5 §6.2)

_FLOAT_PIXEL_DATA = 0x7FE00008
_DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
_PIXEL_KEYS = frozenset({"7FE00008", "7FE00009", "7FE00010"})


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Top-level (Float, Double Float) Pixel Data, as the walk over the file finds it.

    `offset` is that of the first byte of the value field, from the beginning of the file;
    `length` is in bytes, through the sequence delimitation item if encapsulated. The extended
    tables are the values of (7FE0,0001) and (7FE0,0002), None where absent.
    """

    tag: int
    vr: str
    offset: int
    length: int
    encapsulated: bool
    extended_offsets: tuple[int, ...] | None = None
    extended_lengths: tuple[int, ...] | None = None


# ----------------------------------------------------------------------------------- the table


def build_frame_table(
    buffer: Bytes, pixel: PixelElement, dataset: JsonDataset, transfer_syntax_uid: str
) -> tuple[FrameTable | None, list[str]]:
    """Find the frames of `pixel` (WADO-04 to WADO-06).

    `dataset` holds the Image Pixel attributes of the instance. Returns the table, or None if
    there is no whole frame to be had, and what is wrong in plain words. Nothing that the
    attributes say makes it fail, and memory follows the items that are there, not what is
    stated. Raises NotPart10 for an encapsulated value that `skip_encapsulated` refuses.
    """
    if pixel.encapsulated != is_encapsulated(transfer_syntax_uid):
        form = "encapsulated" if pixel.encapsulated else "native"
        return None, [f"{form} pixel data in a transfer syntax that does not have it"]
    problems: list[str] = []
    stated = _stated_frames(dataset, problems)
    if pixel.encapsulated:
        table = _encapsulated(buffer, pixel, dataset, transfer_syntax_uid, stated, problems)
    else:
        table = _native(pixel, dataset, transfer_syntax_uid, stated, problems)
    return table, problems


def empty_pixel_data(dataset: JsonDataset) -> list[str]:
    """What is wrong, in plain words, with an instance of which no pixels were found (STOW-19).

    `dataset` is its metadata. One that states the size of an image and has (Float, Double Float)
    Pixel Data of zero length lacks all of its frames. One without the attribute may be right:
    the pixels may be somewhere else (PS3.3 C.7.6.3).
    """
    sized = all(_integer(dataset, key) for key in ("00280010", "00280011"))
    if not sized or dataset.keys().isdisjoint(_PIXEL_KEYS):
        return []
    problems: list[str] = []
    stated = _stated_frames(dataset, problems)
    held = f"0 of the {stated} frames stated" if stated else "no frame"
    return [*problems, f"pixel data holds {held}"]


def _first(dataset: JsonDataset, key: str) -> Any:
    values = dataset.get(key, {}).get("Value")
    return values[0] if isinstance(values, list) and values else None


def _integer(dataset: JsonDataset, key: str) -> int | None:
    """The first value of an attribute as a whole number, None if it is not one."""
    value = _first(dataset, key)
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        match = _INTEGER.fullmatch(value)
        return int(match[1]) if match else None
    return value if isinstance(value, int) else None


def _stated_frames(dataset: JsonDataset, problems: list[str]) -> int | None:
    """Number of Frames, 1 if absent or empty; None with a problem if it is nonsense."""
    if _first(dataset, "00280008") is None:
        return 1
    stated = _integer(dataset, "00280008")
    if stated is not None and 0 < stated <= MAX_FRAMES:
        return stated
    problems.append("Number of Frames is not a positive number")
    return None


def _frame_bits(pixel: PixelElement, dataset: JsonDataset, frames: int) -> int:
    """Bits of one uncompressed frame; 0 where the attributes do not tell."""
    float_bits = {_FLOAT_PIXEL_DATA: 32, _DOUBLE_FLOAT_PIXEL_DATA: 64}.get(pixel.tag)
    rows = _integer(dataset, "00280010") or 0
    columns = _integer(dataset, "00280011") or 0
    samples = 1 if "00280002" not in dataset else _integer(dataset, "00280002") or 0
    allocated = float_bits or _integer(dataset, "00280100") or 0
    sizes_are_us = all(0 < size <= 0xFFFF for size in (rows, columns, samples))
    if not sizes_are_us or not 0 < allocated <= 64:
        return 0
    bits = rows * columns * samples * allocated
    if samples == 3 and _first(dataset, "00280004") in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        # Two pixels share a pair of chrominance samples (PS3.3 C.7.6.3.1.2), unless the
        # writer upsampled and kept the name, which only the length shows (trap 37).
        upsampled = pixel.encapsulated or pixel.length * 8 >= bits * frames
        return bits if upsampled else bits // 3 * 2
    return bits


def word_of(pixel: PixelElement, dataset: JsonDataset) -> int:
    """Bytes of the words that big endian data is made of (PS3.5 §7.3, §8.1.1)."""
    cell = {32: 4, 64: 8}.get(_integer(dataset, "00280100") or 0, 2)
    return {"OW": cell, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(pixel.vr, 1)


def _native(
    pixel: PixelElement,
    dataset: JsonDataset,
    transfer_syntax_uid: str,
    stated: int | None,
    problems: list[str],
) -> FrameTable | None:
    bits = _frame_bits(pixel, dataset, stated or 1)
    if not bits:
        problems.append("the attributes do not tell the size of a frame")
        return None
    whole = min(pixel.length * 8 // bits, MAX_FRAMES)
    count = whole if stated is None else min(whole, stated)
    if stated is not None and whole < stated:
        problems.append(f"pixel data holds {whole} of the {stated} frames stated")
    elif pixel.length - (bits * count + 7) // 8 > 1:
        problems.append("pixel data is longer than its frames")
    if not count:
        return None
    word = word_of(pixel, dataset) if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else 1
    return FrameTable(count, False, pixel.offset, pixel.length, frame_bits=bits, word=word)


def _encapsulated(
    buffer: Bytes,
    pixel: PixelElement,
    dataset: JsonDataset,
    transfer_syntax_uid: str,
    stated: int | None,
    problems: list[str],
) -> FrameTable | None:
    fragments = list_fragments(buffer, pixel.offset, pixel.offset + pixel.length)
    if not np.any(fragments.lengths):
        problems.append("pixel data without a fragment that holds anything")
        return None
    edges: Integers | None
    if is_video(transfer_syntax_uid):
        edges = np.array([0, len(fragments.offsets)])  # one stream, however many frames it shows
    else:
        edges = frame_edges(buffer, fragments, pixel.extended_offsets, stated, problems)
    if edges is None:
        return None
    bits = 0
    if transfer_syntax_uid == ENCAPSULATED_UNCOMPRESSED:
        bits = _frame_bits(pixel, dataset, 1)  # to know the pad byte by, in `cut_frame`
    ranges = _ranges(fragments, edges, pixel.extended_lengths)
    count = len(edges) - 1
    return FrameTable(count, True, pixel.offset, pixel.length, frame_bits=bits, ranges=ranges)


def _ranges(fragments: Fragments, edges: Integers, lengths: Sequence[int] | None) -> bytes:
    """FrameTable.ranges of the frames between `edges`.

    `lengths` are those of the Extended Offset Table: where one is less by one than that of the
    fragment, the last byte is known to be padding.
    """
    records = np.empty(len(edges) - 1, _RECORD)
    first, last = edges[:-1], edges[1:] - 1
    records["offset"] = fragments.offsets[first]
    records["length"] = fragments.offsets[last] + fragments.lengths[last] - records["offset"]
    records["fragments"] = last - first + 1
    if lengths is not None and len(lengths) == len(records) and np.all(first == last):
        pads = records["length"] - np.array(lengths, np.uint64)
        if np.all(pads <= 1):
            records["length"] -= pads
    return records.tobytes()


# --------------------------------------------------------------------------------- one frame


def _record(table: FrameTable, number: int, record: bytes | None) -> tuple[int, int, int]:
    if record is None:
        record = table.ranges[(number - 1) * RECORD.size : number * RECORD.size]
    offset, length, fragments = RECORD.unpack(record)
    return offset, length, fragments


def _check(table: FrameTable, number: int) -> None:
    if not 1 <= number <= table.count:
        raise NotFound(f"no frame {number}; the instance has {table.count}")


def fragments_of(table: FrameTable, number: int, record: bytes | None = None) -> int:
    """How many fragments frame `number` is in, 0 if native; `record` as for `frame_range`."""
    _check(table, number)
    return _record(table, number, record)[2] if table.encapsulated else 0


def frame_range(table: FrameTable, number: int, record: bytes | None = None) -> tuple[int, int]:
    """Offset and length in bytes of what to read from the file for frame `number`, from 1.

    `record` is the frame's own part of `table.ranges`, for a table read without them. A frame
    in more than one fragment is to be read with its first item header, as its others are. The
    range of a native frame covers every byte (in big endian data: word) that holds a bit of
    it. Raises NotFound for a number that the table does not have (WADO-07).
    """
    _check(table, number)
    if table.encapsulated:
        offset, length, fragments = _record(table, number, record)
        return (offset, length) if fragments == 1 else (offset - 8, length + 8)
    first, end = _native_bytes(table, number)
    return table.offset + first, end - first


def _native_bytes(table: FrameTable, number: int) -> tuple[int, int]:
    """First byte and end, within the value, of the whole words that hold frame `number`."""
    word_bits = 8 * table.word
    first = (number - 1) * table.frame_bits // word_bits * table.word
    end = -(-number * table.frame_bits // word_bits) * table.word
    return first, min(end, table.length)


def cut_frame(table: FrameTable, number: int, raw: bytes, fragments: int) -> bytes:
    """Make frame `number` from `raw`, the bytes at its `frame_range`.

    Native: little endian, its first bit in bit 0 of the first byte, and zeros after its last
    bit (WADO-04, WADO-05). Encapsulated in `fragments` items: the bare codestream, without
    item headers, and without the pad byte where an end marker proves that it is one (WADO-06).
    Raises NotFound as `frame_range` does, and NotPart10 if the bytes are not those of the table.
    """
    _check(table, number)
    if table.encapsulated:
        data = raw if fragments == 1 else join_fragments(raw, fragments)
        return data[: (table.frame_bits + 7) // 8] if table.frame_bits else drop_pad(data)
    first, end = _native_bytes(table, number)
    if len(raw) != end - first:
        raise NotPart10("the file is shorter than when it was stored")
    data = swap_words(raw, table.word)
    bit = (number - 1) * table.frame_bits - first * 8
    if table.frame_bits % 8 == 0 and bit % 8 == 0:
        return data[bit // 8 : (bit + table.frame_bits) // 8]
    return _bits(data, bit, table.frame_bits)


def swap_words(data: bytes, word: int) -> bytes:
    """`data` with the bytes of each whole word in reverse order; `word` in bytes."""
    if word == 1:
        return data
    whole = len(data) // word * word
    return np.frombuffer(data[:whole], f">u{word}").byteswap().tobytes() + data[whole:]


def _bits(data: bytes, first: int, count: int) -> bytes:
    """`count` bits of `data` from bit `first`, bit 0 being the least significant of a byte."""
    number = int.from_bytes(data, "little") >> first
    return (number & ((1 << count) - 1)).to_bytes((count + 7) // 8, "little")
