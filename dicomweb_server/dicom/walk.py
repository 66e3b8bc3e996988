"""The walk over an encoded data set: once, front to back, to the DICOM JSON Model.

Reads element headers and small values only, so the buffer may be a mapped file larger than
memory. Each element takes one of two ways: `_Walk._elements` is a short loop for what nearly
every element is, and whatever is unusual goes through `_Walk._element`, with all the care. Nesting
is a stack of levels in memory, not of calls. Time and memory are linear in the bytes walked.
"""

from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom import values
from dicomweb_server.dicom.description import BulkValue, JsonDataset
from dicomweb_server.dicom.elements import (
    AMBIGUOUS,
    BINARY,
    ITEM,
    ITEM_END,
    LONG_FORM,
    PIXEL_DATA,
    PLAIN_KEYS,
    PLAIN_VRS,
    SEQUENCE_END,
    private_vr,
    public_vr,
)
from dicomweb_server.dicom.encoding import (
    ENCODINGS,
    UNDEFINED,
    Header,
    found_encoding,
    holds_items,
    items_encoding,
    read_header,
    tag_name,
)
from dicomweb_server.dicom.fragments import Bytes, skip_encapsulated
from dicomweb_server.dicom.frames import PixelElement
from dicomweb_server.dicom.keeping import BINARY_INLINE, INLINE_TOTAL, Keeping, Level, Sequence
from dicomweb_server.dicom.text import DEFAULT
from dicomweb_server.errors import NotPart10

# No file that means well comes near these.
MAX_DEPTH = 64
MAX_ELEMENTS = 1_000_000  # with items

_ANY_LENGTH = LONG_FORM | AMBIGUOUS
_ZEROS = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class Walked:
    """A data set in the DICOM JSON Model, its top-level attributes in ascending order.

    Each BulkDataURI is BULK_BASE + "/" + a key of `bulk`, whose offsets are in bytes from the
    beginning of the buffer. `pixel` is the top-level Pixel Data unless it is empty.
    """

    attributes: JsonDataset
    bulk: dict[str, BulkValue]
    pixel: PixelElement | None
    problems: list[str]


def walk(buffer: Bytes, start: int, *, implicit_vr: bool, little_endian: bool) -> Walked:
    """Walk the data set that reaches from `start` to the end of `buffer`.

    Raises NotPart10 where an element runs past the end of what holds it, or is none.
    """
    first = Keeping(buffer, {})
    walked = _Walk(first).run(start, implicit_vr, little_endian)
    if first.late_charsets:
        # Text before an out-of-order Specific Character Set is in that set all the same.
        again = Keeping(buffer, first.late_charsets)
        walked = _Walk(again).run(start, implicit_vr, little_endian)
    return walked


class _Walk:
    def __init__(self, kept: Keeping) -> None:
        self.buffer = kept.buffer
        self.kept = kept
        self.count = 0  # elements and items
        self.padding_checked = False

    def run(self, start: int, implicit_vr: bool, little_endian: bool) -> Walked:
        """Read the whole data set, going down into sequences and up again."""
        end = len(self.buffer)
        stated = ENCODINGS[implicit_vr, little_endian]
        encoding = found_encoding(self.buffer, start, end, stated)
        if encoding is not stated:
            self.kept.problem(None, "elements not encoded as the transfer syntax says")
        charset = self.kept.charsets.get(start, DEFAULT)
        top = Level({}, start, end, False, encoding, charset, pos=start)
        level = top
        while True:
            sequence = self._elements(level)
            if sequence is None:
                self._finish(level)
                if level.sequence is None:
                    break
                sequence = level.sequence
                sequence.pos = level.pos
            level = self._next_item(sequence) or sequence.owner
        kept = self.kept
        kept.resolve()
        if kept.stale:
            kept.drop_stale_bulk(top.attributes)
        pixel = kept.pixel()
        problems = [
            what if tag is None else f"{tag_name(tag)} {what}" for tag, what in kept.problems
        ]
        return Walked(top.attributes, kept.bulk, pixel, problems)

    # ------------------------------------------------------------------------- elements

    def _elements(self, level: Level) -> Sequence | None:
        """Read elements from `level.pos` on, until a sequence begins or the data set ends.

        What is in this loop is the time of the whole walk: nothing happens here that few
        elements need.
        """
        buffer, kept, end, attributes = self.buffer, self.kept, level.end, level.attributes
        encoding = level.encoding
        implicit, readers, converters = encoding.implicit, encoding.readers, encoding.converters
        unpack, unpack_long = encoding.header.unpack_from, encoding.long_length.unpack_from
        pos, last, charset = level.pos, level.last, level.charset
        count, inline = self.count, kept.inline
        known = values.known_values(encoding.little, charset)
        notes: list[str] = []
        while end - pos >= 12:
            count += 1
            reader: tuple[str, values.Converter, bool] | None
            offset = pos + 8
            if implicit:
                group, element, length = unpack(buffer, pos)
                tag = group << 16 | element
                vr = PLAIN_VRS.get(tag)
                reader = (vr, converters[vr], False) if vr and vr != "SQ" else None
            else:
                group, element, code, length = unpack(buffer, pos)
                tag = group << 16 | element
                reader = readers.get(code)
                if reader is not None and reader[2]:
                    length = unpack_long(buffer, offset)[0]
                    offset += 4
            key = PLAIN_KEYS.get(tag)
            if key is None and group & 1 and element > 0xFF:
                key = f"{tag:08X}"
            stop = offset + length
            if (
                reader is not None
                and key is not None
                and last < tag
                and length <= BINARY_INLINE
                and stop <= end
                and inline < INLINE_TOTAL
                and count < MAX_ELEMENTS
            ):
                vr, convert, _ = reader
                if length:
                    inline += length
                    raw = bytes(buffer[offset:stop])
                    attribute = known[vr].get(raw)
                    if attribute is None:
                        converted = convert(raw, charset, notes)
                        attribute = converted or kept.refer(level, tag, vr, offset, length)
                        if notes:
                            kept.note(tag, notes)
                        elif converted and length <= values.LONGEST_KNOWN:
                            values.remember(known[vr], raw, converted)
                else:
                    attribute = {"vr": vr}
                attributes[key] = attribute
                last, pos = tag, stop
                continue
            level.pos, level.last, self.count, kept.inline = pos, last, count, inline
            sequence = self._element(level)
            if sequence is not None or level.ended:
                return sequence
            pos, last, inline = level.pos, level.last, kept.inline
            if charset is not level.charset:
                charset = level.charset
                known = values.known_values(encoding.little, charset)
        level.pos, level.last, self.count, kept.inline = pos, last, count, inline
        return self._tail(level)

    def _tail(self, level: Level) -> Sequence | None:
        """The last elements of a data set, where a long header might not fit."""
        while level.pos < level.end and not level.ended:
            self.count += 1
            sequence = self._element(level)
            if sequence is not None:
                return sequence
        if level.delimited and not level.ended:
            raise NotPart10(f"an item without an end at byte {level.pos}")
        return None

    def _element(self, level: Level) -> Sequence | None:
        """Read one element of any kind at `level.pos`, or the end of the data set.

        Returns the sequence that begins with it, if one does.
        """
        if self.count >= MAX_ELEMENTS:
            raise NotPart10(f"more than {MAX_ELEMENTS} elements")
        if self._is_padding(level):
            level.pos, level.ended = level.end, True
            return None
        header = read_header(self.buffer, level.pos, level.end, level.encoding)
        tag, _, offset, length, note = header
        if note:
            self.kept.problem(tag, note)
        if tag >> 16 == 0xFFFE:
            self._delimiter(level, header)
            return None
        vr = self._vr(level, header)
        undefined = length == UNDEFINED
        if undefined:
            vr, length = self._undefined_length(level, tag, vr, offset)
        elif length > level.end - offset:
            raise NotPart10(
                f"{tag_name(tag)} at byte {level.pos} runs past the end of what holds it"
            )
        level.pos = offset + length
        if not tag & 0xFFFF or tag >> 16 in (0x0000, 0x0002):
            # Group lengths, and groups that have no place in a data set (JSN-03).
            if vr != "SQ" or not undefined:
                return None
            # It must be read to find its end, and then is forgotten.
            self.kept.stale = True
            return self._sequence(level, tag, offset, length, undefined, {})
        if tag <= level.last:
            self._out_of_order(level, tag)
        level.last = max(level.last, tag)
        if vr == "SQ":
            return self._sequence(level, tag, offset, length, undefined, level.attributes)
        self.kept.keep(level, tag, vr, offset, length, undefined)
        return None

    def _vr(self, level: Level, header: Header) -> str:
        """The VR to read a value by: that of the dictionary where the file does not say."""
        tag, vr, offset, length, _ = header
        if vr is not None and vr != "UN":
            return vr
        if not tag & 0xFFFF:
            return "UL"  # group length
        if tag >> 16 & 1:
            block = tag >> 16 << 16 | (tag & 0xFFFF) >> 8
            known = private_vr(tag, level.creators.get(block))
        else:
            known = public_vr(tag) or "UN"
        if known == "SQ" and length and length != UNDEFINED:
            if holds_items(self.buffer, offset):
                return "SQ"
            self.kept.problem(tag, "no items where the dictionary says there are")
            return "UN"
        # A value that is too long for the VR it should have can be given as UN only (§6.2.2).
        fits = length <= 0xFFFF or length == UNDEFINED or known in _ANY_LENGTH
        return known if vr is None or fits else "UN"

    def _undefined_length(self, level: Level, tag: int, vr: str, offset: int) -> tuple[str, int]:
        """VR and length of a value that ends with a delimiter: 0 for a sequence, not yet known."""
        if tag in PIXEL_DATA or (vr in BINARY and vr != "UN"):
            if not level.encoding.little:
                raise NotPart10(f"{tag_name(tag)} is encapsulated in big endian")
            length = skip_encapsulated(self.buffer, offset, level.end) - offset
            return (vr if vr in BINARY and vr != "UN" else "OB"), length
        if vr in ("SQ", "UN"):
            return "SQ", 0
        if level.encoding.implicit and holds_items(self.buffer, offset):
            self.kept.problem(tag, "items where the dictionary says there are none")
            return "SQ", 0
        raise NotPart10(f"{tag_name(tag)} at byte {level.pos} has no length")

    def _delimiter(self, level: Level, header: Header) -> None:
        """Act on a delimiter where an element could be."""
        tag, _, offset, length, _ = header
        if tag == ITEM_END and level.delimited:
            level.pos, level.ended = offset, True
            return
        if tag == ITEM or length:
            raise NotPart10(f"{tag_name(tag)} at byte {level.pos} outside a sequence")
        if tag == SEQUENCE_END and level.delimited:
            # The item lacks its end, but its sequence has one, to be read once more.
            level.ended = True
        else:
            level.pos = offset
        self.kept.problem(tag, "a delimiter out of place")

    def _is_padding(self, level: Level) -> bool:
        """Whether nothing but zeros follows, to the end of the file."""
        if level.sequence is not None or self.padding_checked:
            return False
        buffer, pos, end = self.buffer, level.pos, level.end
        if any(buffer[pos : min(pos + 8, end)]):
            return False
        self.padding_checked = True  # once: or else a file of such beginnings takes n² time
        while pos < end:
            piece = bytes(buffer[pos : min(pos + len(_ZEROS), end)])
            if piece != _ZEROS[: len(piece)]:
                return False
            pos += len(piece)
        self.kept.problem(None, "zeros after the data set")
        return True

    def _out_of_order(self, level: Level, tag: int) -> None:
        level.ordered = False
        if f"{tag:08X}" in level.attributes:
            self.kept.stale = True
            self.kept.problem(tag, "is there more than once; the last is kept")
        else:
            self.kept.problem(tag, "out of order")

    # ------------------------------------------------------------------------ sequences

    def _sequence(
        self,
        level: Level,
        tag: int,
        offset: int,
        length: int,
        undefined: bool,
        attributes: JsonDataset,
    ) -> Sequence:
        """Begin a sequence whose items start at `offset`, to be one of `attributes`."""
        depth = level.sequence.depth + 1 if level.sequence else 1
        if depth > MAX_DEPTH:
            raise NotPart10(f"sequences nested deeper than {MAX_DEPTH}")
        encoding = items_encoding(self.buffer, offset, level.encoding)
        attribute: dict[str, Any] = {"vr": "SQ"}
        attributes[f"{tag:08X}"] = attribute
        end = level.end if undefined else offset + length
        return Sequence(level, tag, attribute, end, undefined, encoding, offset, depth)

    def _next_item(self, sequence: Sequence) -> Level | None:
        """Begin the next item; None with `sequence.owner` moved past it if there is none."""
        end, unpack = sequence.end, sequence.encoding.tag_length.unpack_from
        pos = sequence.pos
        while sequence.delimited or pos < end:
            if end - pos < 8:
                raise NotPart10(f"the sequence {tag_name(sequence.tag)} is cut short at byte {pos}")
            group, element, length = unpack(self.buffer, pos)
            tag = group << 16 | element
            self.count += 1
            if self.count > MAX_ELEMENTS:
                raise NotPart10(f"more than {MAX_ELEMENTS} elements")
            pos += 8
            if tag == ITEM and length:
                return self._item(sequence, pos, length)
            if tag == ITEM:
                sequence.items.append({})
            elif tag == SEQUENCE_END:
                break
            elif tag == ITEM_END and not length:
                self.kept.problem(sequence.tag, "a delimiter out of place")
            else:
                raise NotPart10(f"{tag_name(tag)} at byte {pos - 8} where an item should be")
        if not sequence.delimited and pos != end:
            self.kept.problem(sequence.tag, "ends before its length does")
        if sequence.items:
            sequence.attribute["Value"] = sequence.items
        sequence.owner.pos = pos if sequence.delimited else end
        return None

    def _item(self, sequence: Sequence, pos: int, length: int) -> Level:
        delimited = length == UNDEFINED
        end = sequence.end if delimited else pos + length
        if end > sequence.end:
            name = tag_name(sequence.tag)
            raise NotPart10(
                f"an item of {name} at byte {pos - 8} runs past the end of its sequence"
            )
        attributes: JsonDataset = {}
        sequence.items.append(attributes)
        encoding = sequence.encoding
        if not encoding.implicit:  # nobody writes Explicit VR within Implicit VR
            encoding = found_encoding(self.buffer, pos, end, encoding)
        charset = self.kept.charsets.get(pos, sequence.owner.charset)
        number = len(sequence.items)
        return Level(attributes, pos, end, delimited, encoding, charset, sequence, number, pos=pos)

    def _finish(self, level: Level) -> None:
        """Bring the attributes of a data set that was read to its end into ascending order."""
        if not level.ordered:
            ordered = sorted(level.attributes.items())
            level.attributes.clear()
            level.attributes.update(ordered)
