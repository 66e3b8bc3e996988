"""Boxes of ISO base media files (ISO/IEC 14496-12 §4.2): JP2, JPH, JPEG XL and MP4."""

from collections.abc import Iterator
from typing import NamedTuple

from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.media_description import integer, take
from dicomweb_server.errors import MalformedMedia

MAX_BOXES = 1 << 18  # in one box: more than the fragments of a day of video


class Box(NamedTuple):
    """One box: its type, and where its content lies, in bytes from the beginning of the data."""

    kind: bytes
    start: int
    end: int


def boxes(data: Bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that fill `data` from `start` to `end`, those within them not looked at.

    What is left at the end and shorter than the header of a box is padding, as a file taken out
    of a DICOM file has. Raises MalformedMedia for a box that reaches past `end` or that is
    shorter than its header, and for more than MAX_BOXES of them.
    """
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        length, content = integer(data, start, 4, end), start + 8
        kind = take(data, start + 4, 4, end)
        if length == 1:
            length, content = integer(data, content, 8, end), content + 8
        after = start + length if length else end  # 0: to the end of what holds it
        if not content <= after <= end:
            raise MalformedMedia("a box of the file is longer than what holds it")
        yield Box(kind, content, after)
        start = after
    raise MalformedMedia("the file has too many boxes")


def first_box(data: Bytes, within: Box, *path: bytes) -> Box | None:
    """The first box at `path` below `within`, None if there is none. Raises as `boxes`."""
    for kind in path:
        found = next(
            (box for box in boxes(data, within.start, within.end) if box.kind == kind), None
        )
        if found is None:
            return None
        within = found
    return within
