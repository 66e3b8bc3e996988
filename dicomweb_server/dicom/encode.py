"""A data set in the DICOM JSON Model encoded in Explicit VR Little Endian: the inverse of ``walk``.

What comes in is what a client posted, so nothing about it is taken for granted. Bulk data is
never held: it goes through as the sources that the caller gave, in their places among the bytes.
Sequences and items have undefined length, so that nothing has to be measured. Time and memory
are linear in the attributes.
"""

import struct
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import (
    AMBIGUOUS,
    BINARY,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    LONG_FORM,
    LUT_DESCRIPTORS,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    is_private_creator,
    public_vr,
)
from dicomweb_server.dicom.encode_values import (
    ENCODERS,
    IN_CHARACTER_SET,
    TEXT,
    WrongValue,
    decode_base64,
)
from dicomweb_server.dicom.encoding import UNDEFINED, tag_name
from dicomweb_server.dicom.fragments import MAX_FRAGMENTS, offset_tables
from dicomweb_server.dicom.keeping import MAX_PROBLEMS, PATHS_TOTAL
from dicomweb_server.dicom.walk import MAX_DEPTH, MAX_ELEMENTS
from dicomweb_server.errors import ContentTooLarge, MalformedContent

# Attributes that are answers to a search and no part of an instance (JSN-40). Within sequences
# some have a meaning: a reference tells where it can be retrieved from.
QUERY_ONLY = frozenset(
    {0x00080054, 0x00080056, 0x00080061, 0x00080062, 0x00081190, 0x00083002}
    | set(range(0x00201200, 0x00201210))
)

_PIXEL_DATA = 0x7FE00010
_LONGEST_SHORT = 65534  # bytes: the greatest even length of 16 bits (TS-07)
_LONGEST = 2**32 - 2  # bytes (TS-04)
_BYTES_A_PIECE = 1 << 16

_VRS = frozenset(ENCODERS) | BINARY | {"SQ"}
_HEX = frozenset("0123456789ABCDEFabcdef")

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHI")
_TAG_LENGTH = struct.Struct("<HHI")
_ITEM = _TAG_LENGTH.pack(0xFFFE, 0xE000, UNDEFINED)
_EMPTY_ITEM = _TAG_LENGTH.pack(0xFFFE, 0xE000, 0)
_ITEM_END = _TAG_LENGTH.pack(0xFFFE, 0xE00D, 0)
_SEQUENCE_END = _TAG_LENGTH.pack(0xFFFE, 0xE0DD, 0)


class BulkSource(Protocol):
    """A value field that lies elsewhere: in a part of the request, in a file."""

    @property
    def length(self) -> int:
        """Bytes, before padding."""


S = TypeVar("S", bound=BulkSource)


@dataclass(frozen=True, slots=True)
class Encapsulated(Generic[S]):
    """Compressed Pixel Data: one source a frame, in their order; one for a whole video."""

    frames: Sequence[S]


@dataclass(frozen=True, slots=True)
class Encoded(Generic[S]):
    """An encoded data set: bytes to be written as they are, and sources to be copied.

    A source comes as often as there are references to it: hold `length` against a limit before
    anything is written. `problems` are what is wrong but was kept, besides what a walk over the
    file will find.
    """

    pieces: list[bytes | S]
    length: int  # bytes of all pieces
    problems: tuple[str, ...]


def encode_dataset(attributes: JsonDataset, bulk: Mapping[str, S | Encapsulated[S]]) -> Encoded[S]:
    """Encode a data set in Explicit VR Little Endian (PS3.5 §7.1, PS3.18 §F.2).

    `bulk` has the value of every BulkDataURI, by the URI as it stands in `attributes`; an
    Encapsulated only for Pixel Data. Attributes may be in any order, their names in lower case,
    and their VR absent where the dictionary knows it. Group 0002, group lengths, delimiters and
    QUERY_ONLY are left out. Text is written in UTF-8, which Specific Character Set then says.

    Raises MalformedContent with the path of the attribute (BLK-04), never its value, and
    ContentTooLarge for bulk data that no length can express.
    """
    return _Encoder(bulk).run(attributes)


def bulk_references(attributes: JsonDataset) -> Iterator[tuple[str, str]]:
    """Path (BLK-04) and BulkDataURI of all that `encode_dataset` will look for in `bulk`.

    Passes over what is not as it should be, which `encode_dataset` refuses. Raises
    MalformedContent where the paths alone would fill the memory.
    """
    total = 0
    for path, uri in _references(attributes, []):
        total += len(path)
        if total > PATHS_TOTAL:
            raise MalformedContent("too many BulkDataURIs")
        yield path, uri


def _references(dataset: JsonDataset, steps: list[str]) -> Iterator[tuple[str, str]]:
    """Those of a data set at `steps`; recursion ends at MAX_DEPTH."""
    for key, attribute in dataset.items():
        if not isinstance(attribute, dict) or len(key) != 8:
            continue
        uri, values = attribute.get("BulkDataURI"), attribute.get("Value")
        if isinstance(uri, str):
            yield "/".join([*steps, key]).upper(), uri
        elif isinstance(values, list) and len(steps) < MAX_DEPTH:
            for number, item in enumerate(values, 1):
                # A name is an object too, and holds none.
                if isinstance(item, dict):
                    yield from _references(item, [*steps, f"{key}/{number}"])


class _Encoder(Generic[S]):
    def __init__(self, bulk: Mapping[str, S | Encapsulated[S]]) -> None:
        self.bulk = bulk
        self.pieces: list[bytes | S] = []
        self.buffer = bytearray()  # what goes to `pieces` next
        self.length = 0  # bytes in `pieces`
        self.path: list[str] = []  # of the data set that is being encoded
        self.count = 0  # elements and items
        self.frames = 0
        self.in_utf8 = False  # whether there is text that ISO_IR 6 does not have
        self.problems: dict[str, None] = {}  # a set that keeps its order

    def run(self, attributes: Any) -> Encoded[S]:
        """Encode the whole data set."""
        pairs = self._with_offset_tables(self._sorted(attributes))
        pairs = [(tag, attribute) for tag, attribute in pairs if tag not in QUERY_ONLY]
        stated = next((a for tag, a in pairs if tag == SPECIFIC_CHARACTER_SET), None)
        self._elements(pair for pair in pairs if pair[0] < SPECIFIC_CHARACTER_SET)
        self._flush()
        before = len(self.pieces)
        self._elements(pair for pair in pairs if pair[0] > SPECIFIC_CHARACTER_SET)
        self._flush()
        if character_set := self._character_set(stated):
            self.pieces.insert(before, character_set)
            self.length += len(character_set)
        return Encoded(self.pieces, self.length, tuple(self.problems))

    # ------------------------------------------------------------------------- data sets

    def _sorted(self, attributes: Any) -> list[tuple[int, dict[str, Any]]]:
        """The attributes of one data set by ascending tag, without those that have no place."""
        if not isinstance(attributes, dict):
            raise self._refusal(None, "a data set that is no object")
        pairs: dict[int, dict[str, Any]] = {}
        for key, attribute in attributes.items():
            if not isinstance(key, str) or len(key) != 8 or not _HEX.issuperset(key):
                raise self._refusal(None, "a name that is no tag")
            tag = int(key, 16)
            if tag in pairs:
                raise self._refusal(tag, "is there in upper case and in lower")
            if not isinstance(attribute, dict):
                raise self._refusal(tag, "an attribute that is no object")
            pairs[tag] = attribute
        # Groups 0000 and 0002 are no part of a data set, nor are delimiters (JSN-03).
        return [
            (tag, pairs[tag])
            for tag in sorted(pairs)
            if tag & 0xFFFF and tag >> 16 not in (0x0000, 0x0002, 0xFFFE)
        ]

    def _elements(self, pairs: Iterable[tuple[int, dict[str, Any]]]) -> None:
        for tag, attribute in pairs:
            self._element(tag, attribute)
            if len(self.buffer) >= _BYTES_A_PIECE:
                self._flush()

    def _element(self, tag: int, attribute: dict[str, Any]) -> None:
        self._count(tag)
        values, inline = attribute.get("Value"), attribute.get("InlineBinary")
        uri = attribute.get("BulkDataURI")
        if (values is not None) + (inline is not None) + (uri is not None) > 1:
            raise self._refusal(tag, "has more than one of Value, InlineBinary and BulkDataURI")
        vr = attribute.get("vr")
        if not isinstance(vr, str) or vr not in _VRS:
            vr = self._vr(tag, vr, attribute)
        if values is not None and not isinstance(values, list):
            raise self._refusal(tag, "a Value that is no array")
        if vr == "SQ":
            if tag in PIXEL_DATA:  # whose items would be read as fragments
                raise self._refusal(tag, "is no sequence")
            if inline is not None or uri is not None:
                raise self._refusal(tag, "a sequence without items")
            self._sequence(tag, values or [])
        elif uri is not None:
            self._bulk(tag, vr, uri)
        else:
            self._value(tag, vr, values, inline)

    def _value(self, tag: int, vr: str, values: list[Any] | None, inline: Any) -> None:
        notes: list[str] = []
        try:
            if inline is not None:
                if vr not in BINARY:
                    raise WrongValue("an InlineBinary in a VR that has none")
                value = decode_base64(inline)
            elif not values or values == [None]:
                value = b""
            elif vr in BINARY:
                raise WrongValue("a Value in a VR that has none")
            else:
                if tag in LUT_DESCRIPTORS and vr == "SS":
                    values = _signed_first(values)
                value = ENCODERS[vr](values, notes)
        except WrongValue as wrong:
            raise self._refusal(tag, str(wrong)) from None
        for note in notes:
            self._problem(tag, note)
        if vr in TEXT:
            # An escape sequence means something in ISO_IR 6, and nothing in UTF-8.
            self.in_utf8 |= not value.isascii() or b"\x1b" in value
        self._header(tag, vr, len(value))
        self.buffer += value
        self.buffer += _padding(vr, len(value))

    def _vr(self, tag: int, vr: Any, attribute: dict[str, Any]) -> str:
        """The VR of an attribute that has none, or more than one (as pydicom writes them)."""
        if vr is None:
            vr = "LO" if tag >> 16 & 1 and is_private_creator(tag) else public_vr(tag)
            if vr is None:
                raise self._refusal(tag, "has no VR, and none in the dictionary")
        if not isinstance(vr, str) or (vr not in _VRS and vr not in AMBIGUOUS):
            raise self._refusal(tag, "has a VR that does not exist")
        if vr in _VRS:
            return vr
        values = attribute.get("Value")
        if "US" not in vr or not isinstance(values, list):
            return "OW" if "OW" in vr else "US"
        negative = any(type(value) is int and value < 0 for value in values)
        return "SS" if negative and "SS" in vr else "US"

    def _character_set(self, stated: dict[str, Any] | None) -> bytes:
        """Specific Character Set: UTF-8 where it must be, or where there was any (JSN-32)."""
        if stated is None and not self.in_utf8:
            return b""
        value = b""
        if self.in_utf8 or (stated is not None and stated.get("Value") not in (None, [], [None])):
            value = b"ISO_IR 192"
        return _SHORT.pack(0x0008, 0x0005, b"CS", len(value)) + value

    # ------------------------------------------------------------------------- sequences

    def _sequence(self, tag: int, items: list[Any]) -> None:
        if len(self.path) >= MAX_DEPTH:
            raise self._refusal(tag, f"sequences nested deeper than {MAX_DEPTH}")
        if not items:
            self._header(tag, "SQ", 0)
            return
        self._header(tag, "SQ", UNDEFINED)
        for number, item in enumerate(items, 1):
            self._count(tag)
            if item is None or item == {}:
                self.buffer += _EMPTY_ITEM
                continue
            self.path.append(f"{tag:08X}/{number}")
            self.buffer += _ITEM
            # The character set of the data set around it holds here too.
            pairs = self._sorted(item)
            self._elements(pair for pair in pairs if pair[0] != SPECIFIC_CHARACTER_SET)
            self.buffer += _ITEM_END
            self.path.pop()
        self.buffer += _SEQUENCE_END

    # ------------------------------------------------------------------------- bulk data

    def _bulk(self, tag: int, vr: str, uri: Any) -> None:
        source = self._source(tag, uri)
        if isinstance(source, Encapsulated):
            self._encapsulated(tag, source.frames)
            return
        length = source.length
        if length > _LONGEST:
            raise ContentTooLarge(f"{self._at(tag)}: a value of more than {_LONGEST} bytes")
        # What it holds is not looked at; of ASCII, UTF-8 says the same.
        self.in_utf8 |= vr in IN_CHARACTER_SET and length > 0
        self._header(tag, vr, length)
        self._append(source)
        self.buffer += _padding(vr, length)

    def _source(self, tag: int, uri: Any) -> S | Encapsulated[S]:
        if not isinstance(uri, str):
            raise self._refusal(tag, "a BulkDataURI that is no text")
        source = self.bulk.get(uri)
        if source is None:
            raise self._refusal(tag, "a BulkDataURI without bulk data")
        return source

    def _encapsulated(self, tag: int, frames: Sequence[S]) -> None:
        """Frames as a sequence of fragments, one a frame (PS3.5 §A.4)."""
        if tag != _PIXEL_DATA:
            raise self._refusal(tag, "frames where there is no Pixel Data")
        self.frames += len(frames)
        if self.frames > MAX_FRAGMENTS:
            raise self._refusal(tag, f"more than {MAX_FRAGMENTS} frames")
        if any(frame.length > _LONGEST for frame in frames):
            raise ContentTooLarge(f"{self._at(tag)}: a frame of more than {_LONGEST} bytes")
        self._header(tag, "OB", UNDEFINED)
        table = offset_tables([frame.length for frame in frames]).basic
        self.buffer += _TAG_LENGTH.pack(0xFFFE, 0xE000, len(table)) + table
        for frame in frames:
            length = frame.length
            self.buffer += _TAG_LENGTH.pack(0xFFFE, 0xE000, length + length % 2)
            self._append(frame)
            self.buffer += bytes(length % 2)
        self.buffer += _SEQUENCE_END

    def _with_offset_tables(
        self, pairs: list[tuple[int, dict[str, Any]]]
    ) -> list[tuple[int, dict[str, Any]]]:
        """`pairs` with the Extended Offset Table that belongs to the frames they come with.

        The one they may have is of other fragments; and beside a Basic Offset Table, which is
        written where it can hold the offsets, there is none (PS3.3 §C.7.6.3.1.8).
        """
        uri = next((a.get("BulkDataURI") for tag, a in pairs if tag == _PIXEL_DATA), None)
        source = self.bulk.get(uri) if isinstance(uri, str) else None
        if not isinstance(source, Encapsulated):
            return pairs
        tables = offset_tables([frame.length for frame in source.frames])
        found = {
            EXTENDED_OFFSET_TABLE: tables.offsets,
            EXTENDED_OFFSET_TABLE_LENGTHS: tables.lengths,
        }
        kept = [pair for pair in pairs if pair[0] not in found]
        for tag, table in found.items():
            if table:
                inline = b2a_base64(table, newline=False).decode()
                kept.append((tag, {"vr": "OV", "InlineBinary": inline}))
        return sorted(kept, key=lambda pair: pair[0])

    # ---------------------------------------------------------------------------- pieces

    def _header(self, tag: int, vr: str, length: int) -> None:
        """Write an element header, with the length that the value has with its padding."""
        if length != UNDEFINED:
            length += length % 2
        if vr not in LONG_FORM and length > _LONGEST_SHORT:
            vr = "UN"  # PS3.5 §6.2.2
        group, element = tag >> 16, tag & 0xFFFF
        if vr in LONG_FORM:
            self.buffer += _LONG.pack(group, element, vr.encode(), 0, length)
        else:
            self.buffer += _SHORT.pack(group, element, vr.encode(), length)

    def _append(self, source: S) -> None:
        self._flush()
        self.pieces.append(source)
        self.length += source.length

    def _flush(self) -> None:
        if self.buffer:
            self.pieces.append(bytes(self.buffer))
            self.length += len(self.buffer)
            self.buffer.clear()

    # --------------------------------------------------------------------------- refusing

    def _count(self, tag: int) -> None:
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise self._refusal(tag, f"more than {MAX_ELEMENTS} elements")

    def _at(self, tag: int | None) -> str:
        steps = self.path if tag is None else [*self.path, f"{tag:08X}"]
        return "/".join(steps) or "the data set"

    def _refusal(self, tag: int | None, what: str) -> MalformedContent:
        return MalformedContent(f"{self._at(tag)}: {what}")

    def _problem(self, tag: int, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems[f"{tag_name(tag)} {what}"] = None


def _padding(vr: str, length: int) -> bytes:
    """What makes a value of `length` bytes even (PS3.5 §6.2)."""
    if length % 2 == 0:
        return b""
    return b" " if vr in TEXT and vr != "UI" else b"\0"


def _signed_first(values: list[Any]) -> list[Any]:
    """The first value of an SS LUT Descriptor as its 16 bits have it: JSON has it unsigned."""
    first = values[0]
    if type(first) is int and 0x8000 <= first <= 0xFFFF:
        return [first - 0x10000, *values[1:]]
    return values
