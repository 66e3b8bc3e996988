"""A stored PS3.10 file of any transfer syntax rewritten as Explicit VR Little Endian (TS-02).

The source is mapped, Pixel Data decoded and written frame by frame: memory follows one frame.
Runs in a worker process, for decoders of untrusted data may crash.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dicomweb_server.dicom.description import FrameTable, JsonDataset
from dicomweb_server.dicom.elements import PIXEL_DATA
from dicomweb_server.dicom.encoding import ENCODINGS, UNDEFINED, Encoding, found_encoding
from dicomweb_server.dicom.file_meta import meta_group
from dicomweb_server.dicom.frames import (
    PixelElement,
    build_frame_table,
    cut_frame,
    fragments_of,
    frame_range,
    is_encapsulated,
    is_video,
    word_of,
)
from dicomweb_server.dicom.part10 import FileMeta, inflate, is_deflated, read_file_meta
from dicomweb_server.dicom.pixels import Decoded, ImagePixel, decode_frame, image_pixel
from dicomweb_server.dicom.reencode import (
    Copier,
    Level,
    header_at,
    write_header,
    write_swapped,
)
from dicomweb_server.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
)
from dicomweb_server.dicom.walk import walk
from dicomweb_server.errors import ContentTooLarge, NotPart10, UndecodablePixels

_PHOTOMETRIC_INTERPRETATION = 0x00280004
_PLANAR_CONFIGURATION = 0x00280006
# Extended Offset Table and its Lengths, Encapsulated Pixel Data Value Total Length: of no
# meaning without fragments.
_OF_ENCAPSULATION = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})

_LONGEST_VALUE = 2**32 - 2  # bytes (TS-04)

_ENCODINGS = {
    IMPLICIT_VR_LITTLE_ENDIAN: ENCODINGS[True, True],
    EXPLICIT_VR_BIG_ENDIAN: ENCODINGS[False, False],
}
# Their frames are cells as native data has them: no bit is lost that Bits Stored leaves out.
_WHOLE_CELLS = frozenset({RLE_LOSSLESS, ENCAPSULATED_UNCOMPRESSED, DEFLATED_IMAGE_FRAME})


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A file in memory's reach; `buffer` from its preamble on, inflated if it was deflated."""

    buffer: memoryview
    meta: FileMeta
    encoding: Encoding  # as the first element shows it

    @property
    def transfer_syntax_uid(self) -> str:
        return self.meta.transfer_syntax_uid


def to_explicit_little_endian(
    source: Path, target: Path, *, inflate_limit: int, pixel_limit: int
) -> None:
    """Write the PS3.10 file at `source` to `target` as Explicit VR Little Endian (PS3.5 A.2).

    Values stay byte for byte but for byte order (CHR-02); compressed pixels are decoded, with
    Photometric Interpretation and Planar Configuration to match and the attributes of lossy
    compression as they are (TS-05); a value too long for its VR becomes UN (TS-07). The limits
    are in bytes: of the inflated file, and of all decoded frames together.

    Raises NotPart10 for what cannot be walked, ContentTooLarge beyond a limit or where a
    decoded value would not fit its length, UndecodablePixels for damaged frames, video and
    syntaxes without a decoder. A file begun at `target` is removed then.
    """
    file = _open(source, target.parent, inflate_limit)
    uid = file.transfer_syntax_uid
    if is_video(uid):
        raise UndecodablePixels("video is only to be had as stored")
    if not is_encapsulated(uid) and uid not in _NATIVE:
        raise UndecodablePixels(f"no decoder for the transfer syntax {uid!r}")
    walked = walk(
        file.buffer,
        file.meta.dataset_offset,
        implicit_vr=file.encoding.implicit,
        little_endian=file.encoding.little,
    )
    attributes, pixel = walked.attributes, walked.pixel
    compressed = None
    if pixel is not None:
        if pixel.encapsulated != is_encapsulated(uid):
            raise UndecodablePixels("the pixel data is not as the transfer syntax says")
        if pixel.encapsulated:
            compressed = _Compressed.of(file, pixel, attributes, pixel_limit)
    try:
        with target.open("wb") as out:
            out.write(file.buffer[:128])
            out.write(_file_meta(file.meta, attributes))
            _write_data_set(out, file, attributes, pixel, compressed)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


_NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)


# -------------------------------------------------------------------------------- the source


def _open(path: Path, scratch: Path, inflate_limit: int) -> _Source:
    """Map a file, and inflate it first into a nameless one in `scratch` if it is deflated."""
    with path.open("rb") as file:
        buffer = _mapped(file)
    meta = read_file_meta(buffer)
    uid, start = meta.transfer_syntax_uid, meta.dataset_offset
    if is_deflated(uid):
        with tempfile.TemporaryFile(dir=scratch) as file:
            file.write(buffer[:start])
            for piece in inflate(buffer[start:], inflate_limit):
                file.write(piece)
            buffer = _mapped(file)
    stated = _ENCODINGS.get(uid, ENCODINGS[False, True])
    return _Source(buffer, meta, found_encoding(buffer, start, len(buffer), stated))


def _mapped(file: BinaryIO) -> memoryview:
    """The bytes of a file. They are unmapped with their last view: a close would fail on those
    that the traceback of an exception keeps."""
    file.flush()
    if not file.seek(0, SEEK_END):
        raise NotPart10("an empty file")
    return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


# -------------------------------------------------------------------------------- the target


def _file_meta(meta: FileMeta, attributes: JsonDataset) -> bytes:
    """The File Meta Information of the new file (WADO-02), from its prefix on."""
    # The data set's UID is the one that the instance goes by; the old meta may lack it.
    return meta_group(
        _uid(attributes, "00080016", meta.media_storage_sop_class_uid),
        _uid(attributes, "00080018", meta.media_storage_sop_instance_uid),
        EXPLICIT_VR_LITTLE_ENDIAN,
    )


def _uid(attributes: JsonDataset, key: str, former: str | None) -> str:
    uid = attributes.get(key, {}).get("Value", [former])[0] or ""
    return str(uid)[:64].encode("ascii", "replace").decode()


def _write_data_set(
    out: BinaryIO,
    source: _Source,
    attributes: JsonDataset,
    pixel: PixelElement | None,
    compressed: "_Compressed | None",
) -> None:
    """Copy every element in its place, pixel data and what describes it changed as needed."""
    buffer, end = source.buffer, len(source.buffer)
    copier = Copier(buffer, out)
    stated = attributes.get("00280103", {}).get("Value", [0])[0]
    top = Level(end, source.encoding, pixel_representation=int(stated == 1))
    changed = compressed.changed_attributes() if compressed else []
    pos, looked = source.meta.dataset_offset, False
    while end - pos >= 8:
        header = header_at(buffer, pos, end, source.encoding)
        if header.tag == 0 and not looked:
            looked = True  # once: or else a file of such beginnings takes n² time
            if _only_zeros(buffer, pos):
                break  # padding after the data set
        while changed and changed[0][0] < header.tag:
            _write_text_or_number(out, *changed.pop(0))
        if changed and changed[0][0] == header.tag:
            _write_text_or_number(out, *changed.pop(0))
            pos = header.offset + header.length
        elif compressed and header.tag in _OF_ENCAPSULATION and header.length != UNDEFINED:
            pos = header.offset + header.length
        elif pixel is None or header.offset != pixel.offset:
            if compressed and header.tag in PIXEL_DATA and header.length:
                raise UndecodablePixels("there is more than one Pixel Data")
            pos = copier.copy(pos, top)
        else:
            if compressed:
                compressed.write(out)
            else:
                _write_native(out, source, attributes, pixel)
            pos = pixel.offset + pixel.length


def _only_zeros(buffer: memoryview, pos: int) -> bool:
    """Whether nothing but zeros follows."""
    zeros = bytes(1 << 16)
    return all(
        buffer[start : start + len(zeros)] == zeros[: len(buffer) - start]
        for start in range(pos, len(buffer), len(zeros))
    )


def _write_text_or_number(out: BinaryIO, tag: int, vr: str, value: bytes) -> None:
    write_header(out, tag, vr, len(value))
    out.write(value)


def _write_native(
    out: BinaryIO, source: _Source, attributes: JsonDataset, pixel: PixelElement
) -> None:
    """Copy native pixel data, little endian and of even length."""
    write_header(out, pixel.tag, pixel.vr, pixel.length + pixel.length % 2)
    value = source.buffer[pixel.offset : pixel.offset + pixel.length]
    word = 1 if source.encoding.little else word_of(pixel, attributes)
    write_swapped(out, value, word)
    out.write(b"\0" * (pixel.length % 2))


# --------------------------------------------------------------------------- decoded pixels


@dataclass(frozen=True, slots=True, eq=False)
class _Compressed:
    """Encapsulated pixel data that can be decoded, as its first frame shows."""

    source: _Source
    pixel: PixelElement
    table: FrameTable
    image: ImagePixel
    planar: bool  # whether Planar Configuration is other than 0, or lacking
    first: Decoded

    @classmethod
    def of(
        cls, source: _Source, pixel: PixelElement, attributes: JsonDataset, pixel_limit: int
    ) -> "_Compressed":
        """Check the sizes that are stated, then decode the first frame."""
        # The tag of the pixel data tells the kind of its cells.
        image = image_pixel(attributes | {f"{pixel.tag:08X}": {"vr": pixel.vr}})
        if _decoded_length(image) > min(pixel_limit, _LONGEST_VALUE):
            raise ContentTooLarge("the decoded pixels would exceed the limit")
        uid = source.transfer_syntax_uid
        if uid in _WHOLE_CELLS:
            image = replace(
                image, bits_stored=image.bits_allocated, high_bit=image.bits_allocated - 1
            )
        table, _ = build_frame_table(source.buffer, pixel, attributes, uid)
        if table is None or table.count != image.number_of_frames:
            found = table.count if table else 0
            raise UndecodablePixels(
                f"{image.number_of_frames} frames are stated, {found} can be found"
            )
        first = _decoded(source, table, image, 1)
        if image.samples_per_pixel == 1:
            planar = False
        else:
            planar = attributes.get("00280006", {}).get("Value") != [0]
        return cls(source, pixel, table, image, planar, first)

    def changed_attributes(self) -> list[tuple[int, str, bytes]]:
        """Tag, VR and value of the attributes that decoding changes, in ascending order."""
        changed = []
        interpretation = self.first.photometric_interpretation
        if interpretation != self.image.photometric_interpretation:
            value = interpretation.encode()
            changed.append((_PHOTOMETRIC_INTERPRETATION, "CS", value + b" " * (len(value) % 2)))
        if self.planar:
            changed.append((_PLANAR_CONFIGURATION, "US", b"\0\0"))
        return changed

    def write(self, out: BinaryIO) -> None:
        """Write the pixel data element, decoding one frame after the other."""
        length = _decoded_length(self.image)
        vr = {"float": "OF", "double": "OD"}.get(self.image.kind)
        vr = vr or ("OW" if self.image.bits_allocated > 8 else "OB")
        write_header(out, self.pixel.tag, vr, length + length % 2)
        frames = self._frames()
        if self.image.bits_allocated == 1:
            _write_bits(out, frames)
        else:
            for frame in frames:
                little = frame.array.astype(frame.array.dtype.newbyteorder("<"), copy=False)
                out.write(np.ascontiguousarray(little).data)
        out.write(b"\0" * (length % 2))

    def _frames(self) -> Iterator[Decoded]:
        yield self.first
        for number in range(2, self.table.count + 1):
            frame = _decoded(self.source, self.table, self.image, number)
            if frame.photometric_interpretation != self.first.photometric_interpretation:
                raise UndecodablePixels("the frames are not of one colour space")
            yield frame


def _decoded_length(image: ImagePixel) -> int:
    """Bytes of all frames, decoded; frames of single bits follow each other without a gap."""
    bits = image.rows * image.columns * image.samples_per_pixel * image.bits_allocated
    return (bits * image.number_of_frames + 7) // 8


def _decoded(source: _Source, table: FrameTable, image: ImagePixel, number: int) -> Decoded:
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


def _write_bits(out: BinaryIO, frames: Iterator[Decoded]) -> None:
    """Write frames of zeros and ones, eight pixels a byte from bit 0 on (PS3.5 §8.1.1)."""
    rest = np.empty(0, np.uint8)
    for frame in frames:
        bits = np.concatenate([rest, frame.array.reshape(-1) != 0])
        whole = len(bits) // 8 * 8
        out.write(np.packbits(bits[:whole], bitorder="little").data)
        rest = bits[whole:]
    out.write(np.packbits(rest, bitorder="little").data)
