"""RLE Lossless to the bytes of its samples (PS3.5 Annex G), its memory bounded by the frame's."""

from typing import Any

import numpy as np

from dicomweb_server.errors import UndecodablePixels

_HEADER = 64  # bytes
_RATIO = 64  # two bytes make up to 128
_SPARE = 1024  # bytes that a segment may have beyond the frame


def decode_rle(data: bytes, samples: int, size: int, length: int) -> np.ndarray[Any, Any]:
    """The planes of a frame: (samples, length, size) uint8, least significant byte first.

    There is a segment a sample's byte, most significant first; `size` bytes are in a sample,
    and `length` bytes in what each segment unpacks to. Raises UndecodablePixels, before memory is
    taken for what the segments cannot hold.
    """
    segments = _segments(data, samples * size)
    if any(len(segment) * _RATIO < length for segment in segments):
        raise UndecodablePixels("an RLE segment is shorter than the image's size asks for")
    planes = np.empty((samples, length, size), np.uint8)
    for ordinal, segment in enumerate(segments):
        sample, byte = divmod(ordinal, size)
        planes[sample, :, size - 1 - byte] = _unpacked(segment, length)
    return planes


def _segments(data: bytes, count: int) -> list[bytes]:
    stated = int.from_bytes(data[:4], "little")
    if stated != count or len(data) < _HEADER:
        raise UndecodablePixels(f"the RLE frame has not the {count} segments it should")
    offsets = [int.from_bytes(data[4 * n : 4 * n + 4], "little") for n in range(1, count + 1)]
    ends = [*offsets[1:], len(data)]
    for begin, end in zip(offsets, ends, strict=True):
        if not _HEADER <= begin <= end <= len(data):
            raise UndecodablePixels("an RLE segment lies outside the frame")
    return [data[begin:end] for begin, end in zip(offsets, ends, strict=True)]


def _unpacked(segment: bytes, length: int) -> np.ndarray[Any, Any]:
    import imagecodecs

    try:
        unpacked = imagecodecs.packbits_decode(segment, out=length + _SPARE)
    except Exception as error:  # also where it unpacks to much more than there are pixels
        raise UndecodablePixels("an RLE segment is damaged") from error
    if len(unpacked) < length:
        raise UndecodablePixels("an RLE segment is shorter than the image's size asks for")
    return np.frombuffer(unpacked, np.uint8, length)
