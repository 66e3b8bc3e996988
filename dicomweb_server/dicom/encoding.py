"""How elements are encoded: Implicit or Explicit VR, little or big endian (PS3.5 §7.1)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dicomweb_server.dicom import values
from dicomweb_server.dicom.elements import LONG_FORM
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.errors import NotPart10

UNDEFINED = 0xFFFFFFFF  # the length of what ends with a delimiter

_ITEM_LITTLE, _ITEM_BIG = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
_VRS = frozenset(values.LITTLE_ENDIAN) | {"SQ"}


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One of the four ways, with what the walk needs to read it."""

    implicit: bool
    little: bool
    header: struct.Struct  # group, element, [VR,] length
    tag_length: struct.Struct  # group, element, 32-bit length
    long_length: struct.Struct
    # By the bytes of a VR in the file: its name, its converter, whether it is of LONG_FORM.
    # Without SQ and UN, which take more than a converter.
    readers: Mapping[bytes, tuple[str, values.Converter, bool]]
    converters: Mapping[str, values.Converter]


def _encoding(implicit: bool, little: bool) -> Encoding:
    order = "<" if little else ">"
    converters = values.LITTLE_ENDIAN if little else values.BIG_ENDIAN
    return Encoding(
        implicit,
        little,
        struct.Struct(f"{order}HHI" if implicit else f"{order}HH2sH"),
        struct.Struct(f"{order}HHI"),
        struct.Struct(f"{order}I"),
        {
            vr.encode(): (vr, converter, vr in LONG_FORM)
            for vr, converter in converters.items()
            if vr != "UN"
        },
        converters,
    )


ENCODINGS: dict[tuple[bool, bool], Encoding] = {
    (implicit, little): _encoding(implicit, little)
    for implicit in (True, False)
    for little in (True, False)
}


class Header(NamedTuple):
    """What stands before a value. `offset` is in bytes from the beginning of the buffer."""

    tag: int
    vr: str | None  # None if the file does not say
    offset: int  # of the value
    length: int  # of the value in bytes, or UNDEFINED
    note: str | None = None  # what is wrong with it


def tag_name(tag: int) -> str:
    """``(gggg,eeee)``, for messages."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read_header(buffer: Bytes, pos: int, end: int, encoding: Encoding) -> Header:
    """Read the element header at `pos`, in a data set that ends at `end` (PS3.5 §7.1).

    Raises NotPart10 if it does not fit, or has no VR where there must be one. The value itself
    may still reach past `end`.
    """
    room = end - pos
    if room < 8:
        raise NotPart10(f"the data set is cut short at byte {pos}")
    group, element, length = encoding.tag_length.unpack_from(buffer, pos)
    tag = group << 16 | element
    if encoding.implicit or group == 0xFFFE:
        return Header(tag, None, pos + 8, length)
    vr = bytes(buffer[pos + 4 : pos + 6]).decode("latin_1")
    if vr not in _VRS:
        return _unknown_vr(buffer, pos, room, tag, encoding)
    if vr not in LONG_FORM:
        return Header(tag, vr, pos + 8, encoding.header.unpack_from(buffer, pos)[3])
    if room < 12:
        raise NotPart10(f"the data set is cut short at byte {pos}")
    return Header(tag, vr, pos + 12, encoding.long_length.unpack_from(buffer, pos + 8)[0])


def _unknown_vr(buffer: Bytes, pos: int, room: int, tag: int, encoding: Encoding) -> Header:
    """A VR that does not exist, read as those to come will be, or as a length without a VR."""
    if _is_printable(buffer, pos + 4):
        # New VRs have two reserved bytes and a 32-bit length (PS3.5 §6.2.2).
        if room >= 12 and bytes(buffer[pos + 6 : pos + 8]) == b"\0\0":
            length: int = encoding.long_length.unpack_from(buffer, pos + 8)[0]
            if length <= room - 12:
                return Header(tag, "UN", pos + 12, length, "an unknown VR")
    else:
        # Some writers fall back to Implicit VR for single elements.
        length = encoding.long_length.unpack_from(buffer, pos + 4)[0]
        if length <= room - 8:
            return Header(tag, None, pos + 8, length, "no VR where there should be one")
    raise NotPart10(f"{tag_name(tag)} at byte {pos} has no VR that exists")


def found_encoding(buffer: Bytes, pos: int, end: int, stated: Encoding) -> Encoding:
    """The encoding of the data set at `pos`, judged by its first element.

    Items in Explicit VR may be in Implicit VR, as those of UN are (PS3.5 §6.2.2), and whole
    files are found in the other than their transfer syntax says.
    """
    if end - pos < 8 or stated.tag_length.unpack_from(buffer, pos)[0] == 0xFFFE:
        return stated
    if stated.implicit:
        # As a length, the letters of a VR would make the first value over 16 kB.
        implicit = bytes(buffer[pos + 4 : pos + 6]).decode("latin_1") not in _VRS
    else:
        implicit = not _is_printable(buffer, pos + 4)
    return ENCODINGS[implicit, stated.little]


def _is_printable(buffer: Bytes, pos: int) -> bool:
    """Whether two bytes could be meant as a VR, and are not the low end of a length."""
    return all(0x20 <= byte <= 0x7E for byte in bytes(buffer[pos : pos + 2]))


def holds_items(buffer: Bytes, offset: int) -> bool:
    """Whether a value begins as a sequence of items does, in either byte order."""
    return bytes(buffer[offset : offset + 4]) in (_ITEM_LITTLE, _ITEM_BIG)


def items_encoding(buffer: Bytes, offset: int, around: Encoding) -> Encoding:
    """The encoding of the items at `offset`, in a data set encoded as `around`.

    UN holds Implicit VR Little Endian, in big endian files too (PS3.5 §6.2.2).
    """
    if not around.little and bytes(buffer[offset : offset + 4]) == _ITEM_LITTLE:
        return ENCODINGS[True, True]
    return around
