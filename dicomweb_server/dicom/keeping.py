"""What is kept of each value: in the metadata, as bulk data, or for what it says of others.

Filled element by element by the walk; some values can only be read once all others are known.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

from dicomweb_server.dicom.description import BULK_BASE, BulkValue, JsonDataset
from dicomweb_server.dicom.elements import (
    AMBIGUOUS,
    BINARY,
    BULKABLE,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    LUT_DATA,
    LUT_DESCRIPTORS,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    SPECIFIC_CHARACTER_SET,
    US_OR_OW,
    US_OR_SS,
    is_private_creator,
)
from dicomweb_server.dicom.encoding import Encoding
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.frames import PixelElement
from dicomweb_server.dicom.text import CharacterSet, character_set
from dicomweb_server.errors import NotPart10

# Values up to these lengths in bytes stand in the metadata, larger ones behind a URI (JSN-13).
BINARY_INLINE = 8 << 10
TEXT_INLINE = 0xFFFF  # text and numbers: what a 16-bit length can say
RENDERING_INLINE = 256 << 10
# What rendering needs must be in the metadata: palettes, LUT Data, ICC Profile.
RENDERING = frozenset(
    {LUT_DATA, 0x00282000}
    | {0x00281201, 0x00281202, 0x00281203}
    | {0x00281221, 0x00281222, 0x00281223}
)

# Past INLINE_TOTAL bytes of values every one that may go behind a URI does; a file with twice
# as much that may not is refused.
INLINE_TOTAL = 16 << 20
PATHS_TOTAL = 16 << 20  # bytes of the paths of bulk data, which depth makes long
MAX_PROBLEMS = 100
_INLINE_WHEN_FULL = 64
_MAX_OFFSET_TABLE = 32 << 20


@dataclass(slots=True, eq=False)
class Level:
    """A data set that is being read: the file's, or that of an item."""

    attributes: JsonDataset
    start: int
    end: int  # that of what holds it, if its own length is undefined
    delimited: bool  # undefined length: ends with an Item Delimitation Item
    encoding: Encoding
    charset: CharacterSet
    sequence: "Sequence | None" = None
    number: int = 0  # of the item, from 1
    pos: int = 0
    last: int = -1  # the tag before
    ordered: bool = True
    ended: bool = False
    pixel_representation: int | None = None
    creators: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Sequence:
    """A sequence of items that is being read."""

    owner: Level
    tag: int
    attribute: dict[str, Any]
    end: int  # that of its owner, if its own length is undefined
    delimited: bool
    encoding: Encoding
    pos: int
    depth: int
    items: list[JsonDataset] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """A value whose VR depends on attributes that may come later."""

    level: Level
    tag: int
    vr: str
    offset: int
    length: int
    attribute: dict[str, Any]


# VRs of text in the Specific Character Set (PS3.5 §6.1.2.3)
_IN_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})


class Keeping:
    """Everything kept so far of the data set in `buffer`.

    `charsets` are the character sets of data sets, by where they start, that are known before
    the walk comes to them.
    """

    def __init__(self, buffer: Bytes, charsets: dict[int, CharacterSet]) -> None:
        self.buffer = buffer
        self.charsets = charsets
        self.late_charsets: dict[int, CharacterSet] = {}  # those found after text they are for
        self.bulk: dict[str, BulkValue] = {}
        self.pending: list[_Pending] = []
        self.pixels: dict[int, PixelElement] = {}
        self.offset_tables: dict[int, tuple[int, ...]] = {}
        self.problems: dict[tuple[int | None, str], None] = {}  # a set that keeps its order
        self.inline = 0  # bytes of values in the metadata
        self.paths = 0  # bytes of the paths in `bulk`
        self.stale = False  # whether `bulk` may hold values of attributes that are not kept

    def keep(
        self, level: Level, tag: int, vr: str, offset: int, length: int, encapsulated: bool
    ) -> None:
        """Put one value into the attributes of `level`, and act on what it says."""
        if tag == SPECIFIC_CHARACTER_SET:
            self._character_set(level, offset, length)
            return
        key = f"{tag:08X}"
        if vr in AMBIGUOUS:
            attribute: dict[str, Any] = {"vr": vr}
            level.attributes[key] = attribute
            self.pending.append(_Pending(level, tag, vr, offset, length, attribute))
            return
        if tag in PIXEL_DATA or encapsulated:
            attribute = self.refer(level, tag, vr, offset, length) if length else {"vr": vr}
            if level.sequence is None and tag in PIXEL_DATA:
                self.pixels[tag] = PixelElement(tag, vr, offset, length, encapsulated)
        else:
            attribute = self._value(level, tag, vr, offset, length)
        level.attributes[key] = attribute
        if tag == PIXEL_REPRESENTATION:
            stated = attribute.get("Value", [None])[0]
            level.pixel_representation = stated if isinstance(stated, int) else None
        elif tag >> 16 & 1 and is_private_creator(tag):
            creator = attribute.get("Value", [None])[0]
            if isinstance(creator, str):
                level.creators[tag] = creator
        elif tag in (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS):
            self._offset_table(level, tag, offset, length)

    def _character_set(self, level: Level, offset: int, length: int) -> None:
        """Read Specific Character Set. Of items it is not kept, for JSON is one UTF-8 (JSN-31)."""
        raw = bytes(self.buffer[offset : offset + min(length, 1024)])
        charset, known = character_set(raw.rstrip(b" \0"))
        if not known:
            self.problem(SPECIFIC_CHARACTER_SET, "an unknown character set")
        before = {attribute["vr"] for attribute in level.attributes.values()}
        if not level.ordered or not _IN_CHARACTER_SET.isdisjoint(before):
            self.late_charsets[level.start] = charset
        if level.start not in self.charsets:
            level.charset = charset
        if level.sequence is None:
            stated = {"Value": ["ISO_IR 192"]} if raw.strip(b" \0") else {}
            level.attributes[f"{SPECIFIC_CHARACTER_SET:08X}"] = {"vr": "CS", **stated}

    def _offset_table(self, level: Level, tag: int, offset: int, length: int) -> None:
        if level.sequence is not None or not length:
            return
        if length % 8 or length > _MAX_OFFSET_TABLE:
            self.problem(tag, "a length that it cannot have")
            return
        raw = bytes(self.buffer[offset : offset + length])
        order = "<" if level.encoding.little else ">"
        self.offset_tables[tag] = struct.unpack(f"{order}{length // 8}Q", raw)

    def _value(self, level: Level, tag: int, vr: str, offset: int, length: int) -> dict[str, Any]:
        """The attribute object of a value, inline or as bulk data."""
        if not length:
            return {"vr": vr}
        if length > self._inline_limit(tag, vr):
            # A VR without BulkDataURI is also one that no longer fits its 16-bit length, and
            # for such PS3.5 §6.2.2 has UN.
            return self.refer(level, tag, vr if vr in BULKABLE else "UN", offset, length)
        self.inline += length
        if self.inline > 2 * INLINE_TOTAL:
            raise NotPart10(f"more than {2 * INLINE_TOTAL} bytes of short values")
        notes: list[str] = []
        raw = bytes(self.buffer[offset : offset + length])
        attribute = level.encoding.converters[vr](raw, level.charset, notes)
        self.note(tag, notes)
        if attribute is None:
            return self.refer(level, tag, vr, offset, length)
        if tag in LUT_DESCRIPTORS and vr == "SS" and attribute.get("Value", [0])[0] < 0:
            attribute["Value"][0] += 1 << 16
        return attribute

    def _inline_limit(self, tag: int, vr: str) -> int:
        if tag in RENDERING:
            return RENDERING_INLINE
        if self.inline >= INLINE_TOTAL and vr in BULKABLE:
            return _INLINE_WHEN_FULL
        return BINARY_INLINE if vr in BINARY else TEXT_INLINE

    def refer(self, level: Level, tag: int, vr: str, offset: int, length: int) -> dict[str, Any]:
        """Keep a value as bulk data; returns its attribute object, a path for URI (BLK-04)."""
        path = f"{tag:08X}"
        at = level
        while at.sequence is not None:
            path = f"{at.sequence.tag:08X}/{at.number}/{path}"
            at = at.sequence.owner
        self.paths += len(path)
        if self.paths > PATHS_TOTAL:
            raise NotPart10("too many large values")
        self.bulk[path] = BulkValue(offset, length, vr)
        return {"vr": vr, "BulkDataURI": f"{BULK_BASE.decode()}/{path}"}

    # ------------------------------------------------------------- what the end decides

    def resolve(self) -> None:
        """Give the values of ambiguous VR the one that the other attributes call for."""
        # LUT Data depends on a descriptor that may itself be ambiguous.
        for value in sorted(self.pending, key=lambda pending: pending.vr != US_OR_SS):
            level, tag = value.level, value.tag
            if level.attributes.get(f"{tag:08X}") is not value.attribute:
                continue  # repeated later
            vr = _resolved_vr(value)
            if tag in PIXEL_DATA and value.length:
                resolved = self.refer(level, tag, vr, value.offset, value.length)
                if level.sequence is None:
                    self.pixels[tag] = PixelElement(tag, vr, value.offset, value.length, False)
            else:
                resolved = self._value(level, tag, vr, value.offset, value.length)
            value.attribute.update(resolved)

    def pixel(self) -> PixelElement | None:
        """The top-level Pixel Data, with the extended offset tables that belong to it."""
        pixels = [pixel for pixel in self.pixels.values() if pixel.length]
        if not pixels:
            return None
        pixel = max(pixels, key=lambda pixel: pixel.tag)
        if len(pixels) > 1:
            self.problem(pixel.tag, "is not the only pixel data")
        return PixelElement(
            pixel.tag,
            pixel.vr,
            pixel.offset,
            pixel.length,
            pixel.encapsulated,
            self.offset_tables.get(EXTENDED_OFFSET_TABLE),
            self.offset_tables.get(EXTENDED_OFFSET_TABLE_LENGTHS),
        )

    def drop_stale_bulk(self, attributes: JsonDataset) -> None:
        """Forget bulk data of attributes that a repetition has replaced."""
        prefix = len(BULK_BASE) + 1
        kept = set()
        stack = [attributes]
        while stack:
            for attribute in stack.pop().values():
                if attribute["vr"] == "SQ":
                    stack.extend(attribute.get("Value", ()))
                elif "BulkDataURI" in attribute:
                    kept.add(attribute["BulkDataURI"][prefix:])
        self.bulk = {path: value for path, value in self.bulk.items() if path in kept}

    def note(self, tag: int, notes: list[str]) -> None:
        """Note what a converter found wrong with the value of `tag`."""
        for note in notes:
            self.problem(tag, note)
        notes.clear()

    def problem(self, tag: int | None, what: str) -> None:
        """Note what is wrong but can be kept: plain words, never a value."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems[tag, what] = None


def _resolved_vr(value: _Pending) -> str:
    """The VR of an ambiguous attribute (PS3.5 §8, PS3.3 §C.7.6.3, §C.11.1.1.1)."""
    if value.vr == US_OR_SS:
        level: Level | None = value.level
        while level is not None and level.pixel_representation is None:
            level = level.sequence.owner if level.sequence else None
        return "SS" if level is not None and level.pixel_representation else "US"
    if value.vr == US_OR_OW:
        descriptor = value.level.attributes.get("00283002", {}).get("Value")
        return "US" if descriptor and descriptor[0] == 1 else "OW"
    # Implicit VR has 16-bit words here (§A.1), and so has UN, which came from Implicit VR.
    return "OW"
