"""Files for hostile requests, each in a study of its own, of the patient who must not be named."""

import itertools
import struct
from io import BytesIO
from typing import Any, NamedTuple

from pydicom import dcmread

from tests.make import ABSENT, instance_with, part10, small_image, uid

NAME, ID = "Canaria^Zebedeus", "CANARY-4711-0815"

ITEM, DELIMITER, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_numbers = itertools.count()


class Made(NamedTuple):
    """A file, and the UIDs that are in it."""

    content: bytes
    study: str
    series: str
    instance: str

    @property
    def path(self) -> str:
        return f"studies/{self.study}/series/{self.series}/instances/{self.instance}"

    def with_bytes(self, content: bytes) -> "Made":
        return self._replace(content=content)


def new_uid() -> str:
    """A UID that nothing else of this run has."""
    return uid("hostile", next(_numbers))


def identity() -> dict[str, Any]:
    return {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "SOPInstanceUID": new_uid(),
        "PatientName": NAME,
        "PatientID": ID,
    }


def _made(content: bytes, given: dict[str, Any]) -> Made:
    return Made(
        content, given["StudyInstanceUID"], given["SeriesInstanceUID"], given["SOPInstanceUID"]
    )


def plain(extra: bytes = b"", **attributes: Any) -> Made:
    """An instance without pixels; `extra` are the bytes of more elements behind all others."""
    given = identity() | attributes
    return _made(instance_with(**given) + extra, given)


def image(extra: bytes = b"", **attributes: Any) -> Made:
    """A small image."""
    given = identity() | {"rows": 16, "columns": 12} | attributes
    return _made(small_image(**given) + extra, given)


def changed(made: Made, **attributes: Any) -> Made:
    """A file with other attributes, whatever they break; ABSENT takes one away."""
    dataset = dcmread(BytesIO(made.content))
    for name, value in attributes.items():
        if value is ABSENT:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return made.with_bytes(part10(dataset, dataset.file_meta.TransferSyntaxUID))


def raw_value(made: Made, tag: int, vr: bytes, value: bytes) -> Made:
    """A file with the bytes of an element in the place of what it has, or where it belongs.

    Of Explicit VR Little Endian without sequences before it.
    """
    offset = elements_at(made.content)
    found, end = 0, offset
    while offset < len(made.content):
        found, end = element_at(made.content, offset)
        if found >= tag:
            break
        offset = end
    after = end if found == tag else offset
    return made.with_bytes(made.content[:offset] + element(tag, vr, value) + made.content[after:])


def with_syntax(made: Made, syntax: bytes) -> Made:
    """The Transfer Syntax UID alone is another."""
    value = syntax + b"\0" * (len(syntax) % 2)
    content = made.content
    at = content.index(b"\x02\x00\x10\x00UI")
    size = int.from_bytes(content[at + 6 : at + 8], "little")
    new = content[:at] + element(0x00020010, b"UI", value) + content[at + 8 + size :]
    length = int.from_bytes(content[140:144], "little") + len(value) - size
    return made.with_bytes(new[:140] + struct.pack("<I", length) + new[144:])


def elements_at(content: bytes) -> int:
    """Where the data set begins."""
    return 144 + int.from_bytes(content[140:144], "little")


def element_at(content: bytes, offset: int) -> tuple[int, int]:
    """The tag of an element in Explicit VR Little Endian, and where the next one begins."""
    group, number = struct.unpack_from("<HH", content, offset)
    vr = content[offset + 4 : offset + 6]
    if vr in _LONG:
        length = int.from_bytes(content[offset + 8 : offset + 12], "little")
        begin = offset + 12
    else:
        length = int.from_bytes(content[offset + 6 : offset + 8], "little")
        begin = offset + 8
    assert length != UNDEFINED
    return group << 16 | number, begin + length


def element(tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in Explicit VR Little Endian; `length` is what it says instead of its own."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    size = len(value) if length is None else length
    if vr in _LONG:
        return head + b"\0\0" + struct.pack("<I", size) + value
    return head + struct.pack("<H", size & 0xFFFF) + value


def item(value: bytes = b"", length: int | None = None, tag: int = ITEM) -> bytes:
    """An item, or a delimiter."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def fragments(*values: bytes, table: bytes = b"", end: bool = True) -> bytes:
    """The value of encapsulated Pixel Data (PS3.5 A.4)."""
    items = b"".join(item(value) for value in (table, *values))
    return items + (item(tag=SEQUENCE_END) if end else b"")


def encapsulated(made: Made, value: bytes) -> Made:
    """A file with another value of its encapsulated Pixel Data."""
    at = made.content.rindex(b"\xe0\x7f\x10\x00O")
    pixels = element(0x7FE00010, b"OB", value, UNDEFINED)
    return made.with_bytes(made.content[:at] + pixels)
