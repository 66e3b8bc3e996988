"""Lookup tables as DICOM stores them: descriptor, entries of 8 or 16 bits, segments.

For the Modality LUT (PS3.3 C.11.1), the VOI LUT (C.11.2) and palettes (C.7.6.3.1.5, C.7.9.2).
A table that makes no sense is None, and treated as absent.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import number, values

Array = np.ndarray[Any, np.dtype[Any]]

MAX_ENTRIES = 65536

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2  # opcodes of segments


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`entries`: (n,) uint16, of `bits` significant bits; entry 0 belongs to input `first`."""

    first: int
    bits: int
    entries: Array

    def apply(self, inputs: Array) -> Array:
        """Look up integer or float `inputs`: same shape, uint16. Beyond the ends, the ends."""
        if inputs.dtype.kind == "f":
            inputs = np.floor(np.nan_to_num(inputs) + 0.5)
        last = self.first + len(self.entries) - 1
        index = np.clip(inputs, self.first, last, dtype=np.float64).astype(np.int64)
        taken: Array = np.take(self.entries, index - self.first)
        return taken


def by_value(
    array: Array, function: Callable[[Array], Array], key: Hashable | None = None
) -> Array:
    """`function` of every element of `array`, which is (rows, columns), integer or float.

    `function` takes a flat array of values and gives one element, or one row, for each. Where
    fewer values can occur than there are elements it is asked once a value: a 512 x 512 CT has
    262,144 pixels of at most 4,096 values. With a `key`, equal for functions that are, what it
    gave is kept for the next array: slices of a series are shown alike.
    """
    if array.dtype.kind not in "iu" or array.size == 0:
        return _reshaped(function(array.reshape(-1)), array)
    limits = np.iinfo(array.dtype)
    kept, uses = (None, 0) if key is None else _kept.get((key, array.dtype))
    if kept is not None and (kept.low, kept.high) == (limits.min, limits.max):
        return _taken(array, kept)
    low, high = int(array.min()), int(array.max())
    often = uses >= _OFTEN and array.itemsize <= 2
    if kept is not None and kept.low <= low and high <= kept.high and not often:
        return _taken(array, kept)
    if often:  # nobody has to look for the ends any more
        low, high = limits.min, limits.max
    elif high - low >= array.size:
        return _reshaped(function(array.reshape(-1)), array)
    elif key is not None:  # the next slice has some other values
        low, high = max(low & ~_ROUNDED, limits.min), min(high | _ROUNDED, limits.max)
    # In the array's own numbers, which may wrap around: of 64 bits there are none larger
    every = np.arange(high - low + 1).astype(array.dtype) + np.array(low, array.dtype)
    made = _outputs_of(low, high, function(every), array.dtype)
    if key is not None:
        _kept.put((key, array.dtype), made)
    return _taken(array, made)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What a function gives for each value from `low` to `high`.

    `by_word`: the outputs stand where the values do if they are taken for unsigned, of 16 bits;
    else the first is that of `low`.
    """

    low: int
    high: int
    outputs: Array
    by_word: bool


_WORDS = 1 << 16


def _outputs_of(low: int, high: int, outputs: Array, dtype: np.dtype[Any]) -> _Outputs:
    if dtype.itemsize != 2 or not dtype.isnative or outputs.shape[1:] or outputs.itemsize > 1:
        return _Outputs(low, high, outputs, by_word=False)
    every = np.zeros(_WORDS, outputs.dtype)
    begin = low % _WORDS
    upper = outputs[: _WORDS - begin]
    every[begin : begin + len(upper)] = upper
    every[: len(outputs) - len(upper)] = outputs[len(upper) :]  # from 0 on, after negative ones
    return _Outputs(low, high, every, by_word=True)


_KEPT, _MAX_KEPT = 16, 1 << 18  # tables, bytes of one
_OFTEN = 8  # arrays for which a table of few values was used, from which one of all is worth it
_NEVER = -(1 << 62)
_ROUNDED = 0xFF


class _Kept:
    """The tables used last, by any thread."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Hashable, tuple[_Outputs, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> tuple[_Outputs | None, int]:
        """A table, and for how many arrays it was asked for before."""
        with self._lock:
            found, uses = self._tables.pop(key, (None, 0))
            if found is not None:
                self._tables[key] = found, uses + 1
            return found, uses

    def put(self, key: Hashable, made: _Outputs) -> None:
        """Keep a table, unless there is one that has all of it, or it is too large: then none of
        all values is made for that key any more."""
        with self._lock:
            before, uses = self._tables.get(key, (None, 0))
            if made.outputs.nbytes > _MAX_KEPT:
                if before is not None:
                    self._tables[key] = before, _NEVER
                return
            if before is not None and before.low <= made.low and made.high <= before.high:
                return
            self._tables[key] = made, uses
            self._tables.move_to_end(key)
            while len(self._tables) > _KEPT:
                self._tables.popitem(last=False)


_kept = _Kept()

_AT_ONCE = 1 << 14  # indices, of 8 bytes each, that stay in the processor's cache


def _taken(array: Array, made: _Outputs) -> Array:
    """Look up every element. ``numpy.take`` makes 64-bit indices of the whole array first, which
    takes as long as all the rest: so part by part, in one place."""
    flat, outputs = array.reshape(-1), made.outputs
    low = np.array(made.low, array.dtype).astype(np.intp)
    if made.by_word:
        flat = flat.view(np.uint16)
    taken = np.empty((flat.size, *outputs.shape[1:]), outputs.dtype)
    index = np.empty(min(flat.size, _AT_ONCE), np.intp)
    for begin in range(0, flat.size, _AT_ONCE):
        part = flat[begin : begin + _AT_ONCE]
        at = index[: part.size]
        at[...] = part  # of 64 bits they may wrap around, and back with the next line
        if not made.by_word:
            at -= low
        # All are in range: "wrap" only says that nothing has to be checked before it is written
        outputs.take(at, axis=0, out=taken[begin : begin + part.size], mode="wrap")
    return _reshaped(taken, array)


def _reshaped(flat: Array, like: Array) -> Array:
    return flat.reshape(*like.shape, *flat.shape[1:])


def lookup_table(
    dataset: JsonDataset, descriptor: str, data: str, *, signed: bool, segmented: bool = False
) -> LookupTable | None:
    """The table of which `descriptor` and `data` are the tags, None if absent or nonsense.

    `signed` tells whether the values that go in may be negative, since the descriptor's own
    VR is ambiguous (GRY-03). `segmented` is for Segmented Palette Color Lookup Table Data.
    """
    described = _descriptor(dataset, descriptor, signed)
    raw = _bytes(dataset, data)
    if described is None or raw is None:
        return None
    count, first, bits = described
    if not segmented and len(raw) < 2 * count:
        bits = min(bits, 8)  # one byte an entry, whatever the descriptor tells (GRY-04)
    entries = _segments(raw, count, bits) if segmented else _words_or_bytes(raw, count)
    if entries is None:
        return None
    # Where the entries do not fit in the bits that the descriptor tells, they are right
    return LookupTable(first, max(bits, int(entries.max()).bit_length()), entries)


def _descriptor(dataset: JsonDataset, tag: str, signed: bool) -> tuple[int, int, int] | None:
    """Number of entries, first input mapped, bits of an entry."""
    found = [number(value) for value in values(dataset, tag)[:3]]
    if len(found) < 3 or None in found:
        return None
    # The first and third are unsigned whatever the VR says; 0 entries means 65536
    count, first, bits = (int(value or 0) & 0xFFFF for value in found)
    if signed and first > 0x7FFF:
        first -= 0x10000
    return count or MAX_ENTRIES, first, bits if 1 <= bits <= 16 else 16


def _bytes(dataset: JsonDataset, tag: str) -> bytes | None:
    """The value as bytes; as little endian words where the VR is one of numbers."""
    element = dataset.get(tag)
    inline = element.get("InlineBinary") if isinstance(element, dict) else None
    try:
        if isinstance(inline, str):
            return base64.b64decode(inline)
        words = np.array(values(dataset, tag), np.int64)
    except (binascii.Error, TypeError, ValueError, OverflowError):
        return None
    return (words & 0xFFFF).astype("<u2").tobytes() if words.ndim == 1 and words.size else None


def _words_or_bytes(raw: bytes, count: int) -> Array | None:
    """`count` entries of `raw`: words if it is long enough, else bytes (GRY-04)."""
    if len(raw) >= 2 * count:
        return np.frombuffer(raw, "<u2", count)
    if count <= len(raw) <= count + 1:
        return np.frombuffer(raw, "u1", count).astype("<u2")
    return None


def _segments(raw: bytes, count: int, bits: int) -> Array | None:
    """Expand segments (PS3.3 C.7.9.2) to `count` entries, None if they do not give as many."""
    size = 2 if bits > 8 else 1
    words: list[int] = np.frombuffer(raw, f"<u{size}", len(raw) // size).tolist()
    entries: list[int] = []
    at = 0
    try:
        while len(entries) < count:
            if words[at] != _INDIRECT:
                at = _expand(words, at, entries)
                continue
            segments = words[at + 1]
            offset = np.array(words[at + 2 : at + 2 + 4 // size], f"<u{size}").tobytes()
            at += 2 + 4 // size
            source = int.from_bytes(offset, "little") // size
            for _ in range(segments):
                source = _expand(words, source, entries)
                if len(entries) >= count:
                    break
    except (IndexError, ValueError):
        return None
    return np.array(entries[:count], "<u2")


def _expand(words: list[int], at: int, entries: list[int]) -> int:
    """Append the entries of one segment, of which there is at least one; returns its end.

    Raises ValueError or IndexError for anything but a whole discrete or linear segment, so
    that an indirect one cannot refer to another.
    """
    opcode, length = words[at], words[at + 1]
    if length == 0:
        raise ValueError("a segment without entries")
    if opcode == _DISCRETE:
        found = words[at + 2 : at + 2 + length]
        if len(found) < length:
            raise ValueError("a segment that is cut off")
        entries.extend(found)
        return at + 2 + length
    if opcode != _LINEAR:
        raise ValueError("no such segment")
    begin, end = entries[-1], words[at + 2]
    entries.extend(begin + round((end - begin) * n / length) for n in range(1, length + 1))
    return at + 3
