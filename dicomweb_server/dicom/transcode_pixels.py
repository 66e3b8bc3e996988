"""The frames of a stored file one after the other, and Pixel Data of their code streams."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from dicomweb_server.dicom.description import FrameTable, JsonDataset
from dicomweb_server.dicom.elements import ITEM, SEQUENCE_END
from dicomweb_server.dicom.encodable import LOSSY_TARGETS, encoded_interpretation
from dicomweb_server.dicom.encode_frames import encode_frame
from dicomweb_server.dicom.encoding import UNDEFINED
from dicomweb_server.dicom.frames import (
    PixelElement,
    build_frame_table,
    cut_frame,
    fragments_of,
    frame_range,
)
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.loss import LOSSY_RATIO, RATIO_LENGTH, text_change, told_loss
from dicomweb_server.dicom.pixels import Decoded, decode_frame
from dicomweb_server.dicom.reencode import write_header
from dicomweb_server.dicom.rewriting import Change, SourceFile
from dicomweb_server.dicom.transcode_frames import has_values_right_aligned, image_to_decode
from dicomweb_server.dicom.transfer_syntaxes import RLE_LOSSLESS
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels

LONGEST_VALUE = 2**32 - 2  # bytes (TS-04)
BASIC_LIMIT = 1 << 32  # what a Basic Offset Table can refer to, in bytes

_PHOTOMETRIC_INTERPRETATION = 0x00280004
_PLANAR_CONFIGURATION = 0x00280006
_HIGH_BIT = 0x00280102
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002  # of the Extended Offset Table


@dataclass(frozen=True, slots=True, eq=False)
class SourceFrames:
    """Pixel data that can be decoded, as its first frame shows. Iterating decodes the frames."""

    source: SourceFile
    pixel: PixelElement
    table: FrameTable
    stated: ImagePixel  # as the attributes tell
    image: ImagePixel  # as the frames are to be decoded
    first: Decoded

    @classmethod
    def of(
        cls,
        source: SourceFile,
        pixel: PixelElement,
        attributes: JsonDataset,
        pixel_limit: int,
        target: str,
    ) -> "SourceFrames":
        """Check the sizes that are stated, then decode the first frame.

        Raises ContentTooLarge for more than `pixel_limit` bytes decoded, UndecodablePixels.
        """
        # The tag of the pixel data tells the kind of its cells.
        stated = image_pixel(attributes | {f"{pixel.tag:08X}": {"vr": pixel.vr}})
        if _decoded_length(stated) > pixel_limit:
            raise ContentTooLarge("the decoded pixels would exceed the limit")
        uid = source.transfer_syntax_uid
        image = image_to_decode(stated, uid, target)
        table, _ = build_frame_table(source.buffer, pixel, attributes, uid)
        if table is None or table.count != stated.number_of_frames:
            found = table.count if table else 0
            raise UndecodablePixels(
                f"{stated.number_of_frames} frames are stated, {found} can be found"
            )
        first = _decoded(source, table, image, 1)
        return cls(source, pixel, table, stated, image, first)

    def __iter__(self) -> Iterator[Decoded]:
        yield self.first
        for number in range(2, self.table.count + 1):
            frame = _decoded(self.source, self.table, self.image, number)
            if frame.photometric_interpretation != self.first.photometric_interpretation:
                raise UndecodablePixels("the frames are not of one colour space")
            yield frame

    @property
    def decoded_length(self) -> int:
        """Bytes of all frames, decoded."""
        return _decoded_length(self.image)


def _decoded_length(image: ImagePixel) -> int:
    """Bytes of all frames, decoded; frames of single bits follow each other without a gap."""
    bits = image.rows * image.columns * image.samples_per_pixel * image.bits_allocated
    return (bits * image.number_of_frames + 7) // 8


def _decoded(source: SourceFile, table: FrameTable, image: ImagePixel, number: int) -> Decoded:
    offset, length = frame_range(table, number)
    raw = bytes(source.buffer[offset : offset + length])
    data = cut_frame(table, number, raw, fragments_of(table, number))
    frame = decode_frame(data, image, source.transfer_syntax_uid)
    shape: tuple[int, ...] = (image.rows, image.columns)
    if image.samples_per_pixel > 1:
        shape = (*shape, image.samples_per_pixel)
    if frame.array.shape != shape or frame.array.dtype.itemsize != image.dtype.itemsize:
        raise UndecodablePixels("a frame decodes to another size than the image's")
    return frame


def changed_attributes(
    frames: SourceFrames, attributes: JsonDataset, interpretation: str, target: str
) -> list[Change]:
    """The attributes that describe the pixels' encoding and are not as they are to be, in order.

    `interpretation` is the new Photometric Interpretation.
    """
    changes: list[Change] = []
    if interpretation != frames.stated.photometric_interpretation:
        changes.append(text_change(_PHOTOMETRIC_INTERPRETATION, "CS", interpretation))
    planar = attributes.get("00280006", {}).get("Value")
    # RLE is by plane whatever is told, so that both are right (PS3.5 Table 8.2.2-1).
    right = ([0], [1]) if target == RLE_LOSSLESS else ([0],)
    if frames.stated.samples_per_pixel > 1 and planar not in right:
        changes.append((_PLANAR_CONFIGURATION, "US", b"\0\0"))
    uid, high = frames.source.transfer_syntax_uid, frames.stated.bits_stored - 1
    told = attributes.get("00280102", {}).get("Value")
    if has_values_right_aligned(uid, target) and told not in (None, [high]):
        changes.append((_HIGH_BIT, "US", struct.pack("<H", high)))
    return changes


# ---------------------------------------------------------------------- encapsulated anew


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPixels:
    """Encapsulated pixel data, encoded one frame after the other."""

    frames: SourceFrames
    changes: list[Change]
    target: str
    quality: int | None
    extended: bool  # whether there is an Extended Offset Table instead of the Basic one
    lengths: "array[int]" = field(default_factory=lambda: array("Q"))  # bytes of each stream
    replaces_fragments: bool = True

    @classmethod
    def of(
        cls,
        frames: SourceFrames,
        attributes: JsonDataset,
        target: str,
        quality: int | None,
        derived_uid: str | None = None,
    ) -> "EncodedPixels":
        """What is written in the syntax `target`; `quality` as for encode_frame, `derived_uid` as
        for transcode. Raises UndecodablePixels for a loss without it."""
        told = frames.first.photometric_interpretation
        changes = changed_attributes(
            frames, attributes, encoded_interpretation(told, target), target
        )
        if target in LOSSY_TARGETS:
            if derived_uid is None:
                raise UndecodablePixels("a lossy image needs a SOP Instance UID of its own")
            changes += told_loss(attributes, derived_uid)
        # No encoder here makes anything much longer than it was.
        longest = 2 * frames.decoded_length + 4096 * frames.table.count
        return cls(frames, sorted(changes), target, quality, longest >= BASIC_LIMIT)

    @property
    def loses(self) -> bool:
        """Whether it is another image than the source."""
        return self.target in LOSSY_TARGETS

    def write(self, out: BinaryIO) -> None:
        count = self.frames.table.count
        tables = 0
        if self.extended:
            write_header(out, _OFFSETS, "OV", 8 * count)
            tables = out.tell()
            _write_zeros(out, 8 * count)
            write_header(out, _LENGTHS, "OV", 8 * count)
            _write_zeros(out, 8 * count)
        write_header(out, self.frames.pixel.tag, "OB", UNDEFINED)
        _write_item(out, 0 if self.extended else 4 * count)
        if not self.extended:
            tables = out.tell()
            _write_zeros(out, 4 * count)
        for frame in self.frames:
            code = encode_frame(frame, self.frames.image, self.target, quality=self.quality)
            self.lengths.append(len(code))
            _write_item(out, len(code) + len(code) % 2)
            out.write(code)
            out.write(b"\0" * (len(code) % 2))
        out.write(struct.pack("<HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0))
        self._fill_tables(out, tables)

    def _fill_tables(self, out: BinaryIO, place: int) -> None:
        """Write the offset table in its place, now that the lengths are known (PS3.5 A.4)."""
        end = out.tell()
        lengths = np.frombuffer(self.lengths, np.uint64)
        ends = np.cumsum(lengths + lengths % 2 + 8)
        offsets = np.concatenate([np.zeros(1, np.uint64), ends[:-1]])
        out.seek(place)
        if self.extended:
            out.write(offsets.astype("<u8").tobytes())
            out.seek(12, 1)  # the header of the next element
            out.write(lengths.astype("<u8").tobytes())
        elif offsets[-1] >= 1 << 32:
            raise UndecodablePixels("the frames grew too long for their offset table")
        else:
            out.write(offsets.astype("<u4").tobytes())
        out.seek(end)

    def finish(self, out: BinaryIO, places: dict[int, int]) -> None:
        if LOSSY_RATIO not in places:
            return
        [former] = [value for tag, _, value in self.changes if tag == LOSSY_RATIO]
        ratio = self.frames.decoded_length / max(1, sum(self.lengths))
        out.seek(places[LOSSY_RATIO] + len(former) - RATIO_LENGTH)
        out.write(f"{ratio:.3f}"[:RATIO_LENGTH].ljust(RATIO_LENGTH).encode())


def _write_item(out: BinaryIO, length: int) -> None:
    out.write(struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, length))


def _write_zeros(out: BinaryIO, length: int) -> None:
    out.write(bytes(length))
