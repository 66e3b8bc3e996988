"""Elements of any encoding copied as Explicit VR Little Endian, their values byte for byte.

Text is never decoded (CHR-02), numbers are swapped where they were big endian, and nothing else
changes but the headers: the dictionary gives the VR that Implicit VR leaves out, and lengths of
sequences and items become undefined where their content grows. What `walk` is lenient about is
copied too. Nesting is a list in memory, not of calls; time is linear in the bytes.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from dicomweb_server.dicom.elements import (
    AMBIGUOUS,
    ITEM,
    ITEM_END,
    LONG_FORM,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    SEQUENCE_END,
    US_OR_OW,
    US_OR_SS,
    is_private_creator,
    private_vr,
    public_vr,
)
from dicomweb_server.dicom.encoding import (
    ENCODINGS,
    UNDEFINED,
    Encoding,
    Header,
    found_encoding,
    holds_items,
    items_encoding,
    read_header,
    tag_name,
)
from dicomweb_server.dicom.fragments import skip_encapsulated
from dicomweb_server.dicom.frames import swap_words
from dicomweb_server.errors import NotPart10

MAX_DEPTH = 64  # as the walk at store time
CHUNK = 1 << 20  # bytes swapped at once; a multiple of every word

_LONGEST_SHORT = 65534  # the greatest even length of 16 bits (PS3.5 §6.2.2, TS-07)

# Bytes of one word of a VR (PS3.5 Table 6.2-1, §7.3).
WORDS = {
    **dict.fromkeys(("OW", "US", "SS", "AT"), 2),
    **dict.fromkeys(("OL", "OF", "UL", "SL", "FL"), 4),
    **dict.fromkeys(("OV", "OD", "UV", "SV", "FD"), 8),
}

EXPLICIT_LITTLE = ENCODINGS[False, True]


@dataclass(slots=True, eq=False)
class Level:
    """A data set or a sequence that is being copied. If delimited, its end is that around it."""

    end: int
    encoding: Encoding
    delimited: bool = False
    is_sequence: bool = False
    pixel_representation: int = 0
    creators: dict[int, str] = field(default_factory=dict)


def header_at(buffer: memoryview, pos: int, end: int, encoding: Encoding) -> Header:
    """Read the element header at `pos`. Raises NotPart10 unless it and its value end by `end`."""
    header = read_header(buffer, pos, end, encoding)
    if header.length != UNDEFINED and header.length > end - header.offset:
        name = tag_name(header.tag)
        raise NotPart10(f"{name} at byte {pos} runs past the end of what holds it")
    return header


def write_header(out: BinaryIO, tag: int, vr: str, length: int) -> None:
    """Write an element header; with VR UN where a 16-bit length cannot hold `length` (TS-07)."""
    if vr not in LONG_FORM and length > _LONGEST_SHORT:
        vr = "UN"
    group, element = tag >> 16, tag & 0xFFFF
    if vr in LONG_FORM:
        out.write(struct.pack("<HH2sHI", group, element, vr.encode(), 0, length))
    else:
        out.write(struct.pack("<HH2sH", group, element, vr.encode(), length))


def write_swapped(out: BinaryIO, value: memoryview, word: int) -> None:
    """Write `value` with its words of `word` bytes turned around; 1 = as it is."""
    if word == 1:
        out.write(value)
        return
    for start in range(0, len(value), CHUNK):
        out.write(swap_words(bytes(value[start : start + CHUNK]), word))


class Copier:
    """Copies the elements of one data set, one by one, to `out`."""

    def __init__(self, buffer: memoryview, out: BinaryIO) -> None:
        self.buffer = buffer
        self.out: BinaryIO | None = out
        self.stack: list[Level] = []

    def copy(self, pos: int, top: Level) -> int:
        """Copy the element at `pos` of the data set `top`, with all it holds.

        Returns the offset of what follows. Raises NotPart10 for what cannot be walked. Group
        lengths, which would no longer be right, and delimiters out of place are left out.
        """
        if top.encoding is not EXPLICIT_LITTLE:
            return self._copied(pos, top)
        header = header_at(self.buffer, pos, top.end, top.encoding)
        if header.length != UNDEFINED:
            return self._copied(pos, top)
        # Nothing in here changes: find its end, and take the bytes as they are.
        out, self.out = self.out, None
        after = self._copied(pos, top)
        self.out = out
        self._write(self.buffer[pos:after])
        return after

    def _copied(self, pos: int, top: Level) -> int:
        self.stack = [top]
        pos = self._element(top, pos)
        while len(self.stack) > 1:
            level = self.stack[-1]
            if not level.delimited and pos >= level.end:
                pos = level.end
                self._close(level)
            elif level.is_sequence:
                pos = self._item(level, pos)
            else:
                pos = self._element(level, pos)
        return pos

    def _write(self, data: bytes | memoryview) -> None:
        if self.out is not None:
            self.out.write(data)

    def _open(self, level: Level) -> None:
        if len(self.stack) > 2 * MAX_DEPTH:
            raise NotPart10(f"sequences nested deeper than {MAX_DEPTH}")
        self.stack.append(level)

    def _close(self, level: Level) -> None:
        self.stack.pop()
        tag = SEQUENCE_END if level.is_sequence else ITEM_END
        self._write(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 0))

    def _item(self, sequence: Level, pos: int) -> int:
        """Begin the item at `pos`, or end the sequence there."""
        header = header_at(self.buffer, pos, sequence.end, sequence.encoding)
        tag, length, value = header.tag, header.length, header.offset
        if tag == SEQUENCE_END:
            self._close(sequence)
            return value if sequence.delimited else sequence.end
        if tag == ITEM_END and not length:
            return value
        if tag != ITEM:
            raise NotPart10(f"something other than an item at byte {pos}")
        delimited = length == UNDEFINED
        end = sequence.end if delimited else value + length
        self._write(struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED))
        encoding = found_encoding(self.buffer, value, end, sequence.encoding)
        around = sequence.pixel_representation
        self._open(Level(end, encoding, delimited, pixel_representation=around))
        return value

    def _element(self, level: Level, pos: int) -> int:
        header = header_at(self.buffer, pos, level.end, level.encoding)
        tag, value, length = header.tag, header.offset, header.length
        if tag >> 16 == 0xFFFE:
            return self._delimiter(level, header, pos)
        vr = header.vr or self._dictionary_vr(level, tag, length)
        if length == UNDEFINED:
            return self._undefined_length(level, tag, vr, value)
        if tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002):
            return value + length
        if vr == "SQ" and length and not holds_items(self.buffer, value):
            vr = "UN"
        if vr == "SQ" and length and level.encoding is not EXPLICIT_LITTLE:
            return self._sequence(level, tag, value, value + length, delimited=False)
        self._note(level, tag, value, length)
        if self.out is not None:
            write_header(self.out, tag, vr, length)
            word = 1 if level.encoding.little else WORDS.get(vr, 1)
            write_swapped(self.out, self.buffer[value : value + length], word)
        return value + length

    def _delimiter(self, level: Level, header: Header, pos: int) -> int:
        if header.tag == ITEM or header.length:
            raise NotPart10(f"a delimiter out of place at byte {pos}")
        if header.tag == ITEM_END and level.delimited:
            self._close(level)
        elif header.tag == SEQUENCE_END and level.delimited:
            self._close(level)  # the item lacks its end, but its sequence has one: read it again
            return pos
        return header.offset

    def _undefined_length(self, level: Level, tag: int, vr: str, value: int) -> int:
        if tag in PIXEL_DATA or vr in ("OB", "OW"):
            end = skip_encapsulated(self.buffer, value, level.end)
            if self.out is not None:
                write_header(self.out, tag, "OB", UNDEFINED)
                self.out.write(self.buffer[value:end])
            return end
        if vr not in ("SQ", "UN") and not holds_items(self.buffer, value):
            raise NotPart10(f"a value without a length at byte {value}")
        return self._sequence(level, tag, value, level.end, delimited=True)

    def _sequence(self, level: Level, tag: int, value: int, end: int, *, delimited: bool) -> int:
        encoding = items_encoding(self.buffer, value, level.encoding)
        if self.out is not None:
            write_header(self.out, tag, "SQ", UNDEFINED)
        around = level.pixel_representation
        self._open(Level(end, encoding, delimited, True, around))
        return value

    def _note(self, level: Level, tag: int, value: int, length: int) -> None:
        """Keep what later elements of the same data set need to find their VR."""
        if tag == PIXEL_REPRESENTATION and length == 2:
            order: Literal["little", "big"] = "little" if level.encoding.little else "big"
            level.pixel_representation = int.from_bytes(self.buffer[value : value + 2], order)
        elif tag >> 16 & 1 and is_private_creator(tag) and length <= 64:
            creator = bytes(self.buffer[value : value + length]).decode("latin_1")
            level.creators[tag] = creator.strip(" \0")

    def _dictionary_vr(self, level: Level, tag: int, length: int) -> str:
        """The VR of an element whose header has none."""
        if tag >> 16 & 1:
            creator = level.creators.get(tag >> 16 << 16 | (tag & 0xFFFF) >> 8)
            vr = private_vr(tag, creator)
        else:
            vr = public_vr(tag) or "UN"
        if vr not in AMBIGUOUS:
            return vr
        if length == UNDEFINED:
            return "OB" if tag in PIXEL_DATA else "SQ"
        if vr == US_OR_SS:
            return "SS" if level.pixel_representation else "US"
        if vr == US_OR_OW and length == 2:  # LUT Data of one entry (PS3.3 §C.11.1.1.1)
            return "US"
        return "OW"  # the words of Implicit VR (PS3.5 §A.1)
