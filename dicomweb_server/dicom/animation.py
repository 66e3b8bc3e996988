"""Animated GIF, put together of single pictures as they come, and how long each is shown."""

from itertools import accumulate, pairwise

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_number, number, values
from dicomweb_server.errors import UndecodablePixels

_DEFAULT = 100.0  # milliseconds
_LEAST, _MOST = 20.0, 60_000.0  # browsers show what is shorter for 100 ms

_HEADER, _SCREEN = 6, 7  # bytes
_TRAILER = b"\x3b"


def frame_times(dataset: JsonDataset, count: int) -> list[int]:
    """How long each of `count` frames is shown, in hundredths of a second.

    By Frame Time, or Frame Time Vector where Frame Increment Pointer names it; else Recommended
    Display Frame Rate, or Cine Rate (PS3.3 C.7.6.5, C.7.6.6). Rounded so that the whole takes
    what it should.
    """
    durations = _vector(dataset, count) or [_time(dataset)] * count
    ends = accumulate(min(max(each, _LEAST), _MOST) / 10 for each in durations)
    return [later - earlier for earlier, later in pairwise([0, *map(round, ends)])]


def _time(dataset: JsonDataset) -> float:
    """Milliseconds of a frame where all have the same."""
    told = first_number(dataset, "00181063")  # Frame Time
    if told is not None and told > 0:
        return told
    for tag in ("00082144", "00180040"):  # Recommended Display Frame Rate, Cine Rate
        rate = first_number(dataset, tag)
        if rate is not None and rate > 0:
            return 1000 / rate
    return _DEFAULT


def _vector(dataset: JsonDataset, count: int) -> list[float] | None:
    """Frame Time Vector: the milliseconds between each frame and the one before, 0 for the first.
    The last is shown as long as the one before it."""
    pointed = values(dataset, "00280009")[:1]
    if first_number(dataset, "00181063") and pointed != ["00181065"]:
        return None
    steps = [number(value) or 0.0 for value in values(dataset, "00181065")]
    if count < 2 or len(steps) != count or any(step < 0 for step in steps):
        return None
    return [*steps[1:], steps[-1]]


def gif_size(picture: bytes) -> tuple[int, int]:
    """Columns and rows of a GIF. Raises UndecodablePixels for what is none."""
    if picture[:3] != b"GIF" or len(picture) < _HEADER + _SCREEN:
        raise UndecodablePixels("the picture is no GIF")
    return int.from_bytes(picture[6:8], "little"), int.from_bytes(picture[8:10], "little")


def animation_begin(picture: bytes) -> bytes:
    """What goes before the frames of an animation whose first is `picture`: it is repeated for
    ever."""
    columns, rows = gif_size(picture)
    screen = columns.to_bytes(2, "little") + rows.to_bytes(2, "little") + bytes([0x70, 0, 0])
    return b"GIF89a" + screen + b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def animation_frame(picture: bytes, time: int) -> bytes:
    """The GIF `picture`, of one frame, as one of an animation, shown for `time` hundredths of a
    second: its palette becomes the frame's own. Raises UndecodablePixels for what is no GIF."""
    gif_size(picture)
    flags = picture[10]
    at = _HEADER + _SCREEN
    palette = b""
    if flags & 0x80:
        size = 3 << (flags & 7) + 1
        palette = picture[at : at + size]
        at += size
    while picture[at : at + 1] == b"\x21":  # extensions: nothing that is needed
        at = _after_blocks(picture, at + 2)
    descriptor = bytearray(picture[at : at + 10])
    if descriptor[:1] != b"\x2c" or len(descriptor) < 10:
        raise UndecodablePixels("the GIF has no picture")
    at += 10
    if not descriptor[9] & 0x80:
        descriptor[9] = descriptor[9] & 0x40 | 0x80 | flags & 7
    else:
        size = 3 << (descriptor[9] & 7) + 1
        palette = picture[at : at + size]
        at += size
    end = _after_blocks(picture, at + 1)
    control = b"\x21\xf9\x04\x04" + time.to_bytes(2, "little") + b"\x00\x00"
    return control + bytes(descriptor) + palette + picture[at:end]


def animation_end() -> bytes:
    """What ends an animation."""
    return _TRAILER


def _after_blocks(data: bytes, at: int) -> int:
    """Where the data sub-blocks end that begin at `at`."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    if at >= len(data):
        raise UndecodablePixels("the GIF is cut off")
    return at + 1
