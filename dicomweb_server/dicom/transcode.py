"""A stored PS3.10 file rewritten in another transfer syntax: uncompressed, or compressed anew.

The source is mapped, and pixel data decoded, encoded and written frame by frame: memory follows
one frame. Runs in a worker process, for decoders of untrusted data may crash.

Without loss the instance stays the same one, and no UID changes. With JPEG Baseline it is another
image, derived from a DICOM image, which has to have a SOP Instance UID of its own and tells of the
loss in Image Type, Lossy Image Compression and its ratio and method (PS3.3 C.7.6.1.1.5).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.frames import PixelElement, is_encapsulated, is_video, word_of
from dicomweb_server.dicom.pixels import NATIVE, Decoded
from dicomweb_server.dicom.reencode import write_header, write_swapped
from dicomweb_server.dicom.rewriting import (
    Change,
    NewPixels,
    SourceFile,
    open_source,
    write_file,
)
from dicomweb_server.dicom.transcode_frames import refuse_to_lose_overlays
from dicomweb_server.dicom.transcode_pixels import (
    LONGEST_VALUE,
    EncodedPixels,
    SourceFrames,
    changed_attributes,
)
from dicomweb_server.dicom.transfer_syntaxes import (
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_VR_LITTLE_ENDIAN,
)
from dicomweb_server.errors import UndecodablePixels


def transcode(
    source: Path,
    target: Path,
    transfer_syntax_uid: str,
    *,
    inflate_limit: int,
    pixel_limit: int,
    quality: int | None = None,
    derived_uid: str | None = None,
) -> None:
    """Write the PS3.10 file at `source` to `target` in another transfer syntax.

    Values stay byte for byte but for byte order (CHR-02); a value too long for its VR becomes
    UN (TS-07). Of the attributes only those change that describe how the pixels are encoded:
    Photometric Interpretation, Planar Configuration, High Bit. Pixel Data within sequences
    (icons) and overlays stay as they are. Compressed frames lie in one fragment each, with a
    Basic Offset Table, or an Extended one where the offsets might not fit.

    The limits are in bytes: of the inflated file, and of all decoded frames together. `quality`,
    1 to 100, is for JPEG Baseline, which is refused without (TS-06), and so is `derived_uid`, the
    SOP Instance UID of what loses something.

    Raises NotPart10 for what cannot be walked, ContentTooLarge beyond a limit or where a
    decoded value would not fit its length, UndecodablePixels for damaged frames, video, syntaxes
    without a decoder, and images that the target does not hold (PS3.5 §8.2). A file begun at
    `target` is removed then.
    """
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        to_explicit_little_endian(
            source, target, inflate_limit=inflate_limit, pixel_limit=pixel_limit
        )
        return
    file = open_source(source, target.parent, inflate_limit)
    if file.transfer_syntax_uid == transfer_syntax_uid:
        shutil.copyfile(source, target)
        return
    attributes, pixel = _walked(file)
    if pixel is None:
        raise UndecodablePixels("no pixel data, for which alone there are compressed syntaxes")
    refuse_to_lose_overlays(attributes, file.transfer_syntax_uid, transfer_syntax_uid)
    frames = SourceFrames.of(file, pixel, attributes, pixel_limit, transfer_syntax_uid)
    new = EncodedPixels.of(frames, attributes, transfer_syntax_uid, quality, derived_uid)
    if new.loses:
        attributes = {**attributes, "00080018": {"vr": "UI", "Value": [derived_uid]}}
    write_file(target, file, attributes, pixel, new, transfer_syntax_uid)


def to_explicit_little_endian(
    source: Path, target: Path, *, inflate_limit: int, pixel_limit: int
) -> None:
    """`transcode` to Explicit VR Little Endian (PS3.5 A.2, TS-02).

    Compressed pixels are decoded, with Photometric Interpretation, Planar Configuration and High
    Bit to match, and the attributes of lossy compression as they are (TS-05).
    """
    file = open_source(source, target.parent, inflate_limit)
    attributes, pixel = _walked(file)
    new: NewPixels | None = None
    if pixel is not None and pixel.encapsulated:
        limit = min(pixel_limit, LONGEST_VALUE)
        frames = SourceFrames.of(file, pixel, attributes, limit, EXPLICIT_VR_LITTLE_ENDIAN)
        new = _DecodedPixels(frames, attributes)
    elif pixel is not None:
        new = _NativePixels(file, attributes, pixel)
    write_file(target, file, attributes, pixel, new, EXPLICIT_VR_LITTLE_ENDIAN)


def _walked(file: SourceFile) -> tuple[JsonDataset, PixelElement | None]:
    """Raises UndecodablePixels for pixel data that no decoder of still images could read."""
    uid = file.transfer_syntax_uid
    if is_video(uid):
        raise UndecodablePixels("video is only to be had as stored")
    if not is_encapsulated(uid) and uid not in NATIVE - {ENCAPSULATED_UNCOMPRESSED}:
        raise UndecodablePixels(f"no decoder for the transfer syntax {uid!r}")
    walked = file.walk()
    pixel = walked.pixel
    if pixel is not None and pixel.encapsulated != is_encapsulated(uid):
        raise UndecodablePixels("the pixel data is not as the transfer syntax says")
    return walked.attributes, pixel


@dataclass(frozen=True, slots=True, eq=False)
class _NativePixels:
    """Native pixel data that stays, little endian and of even length."""

    source: SourceFile
    attributes: JsonDataset
    pixel: PixelElement
    replaces_fragments: bool = False

    @property
    def changes(self) -> list[Change]:
        return []

    def write(self, out: BinaryIO) -> None:
        pixel = self.pixel
        write_header(out, pixel.tag, pixel.vr, pixel.length + pixel.length % 2)
        value = self.source.buffer[pixel.offset : pixel.offset + pixel.length]
        word = 1 if self.source.encoding.little else word_of(pixel, self.attributes)
        write_swapped(out, value, word)
        out.write(b"\0" * (pixel.length % 2))

    def finish(self, out: BinaryIO, places: dict[int, int]) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class _DecodedPixels:
    """Native pixel data, decoded one frame after the other."""

    frames: SourceFrames
    attributes: JsonDataset
    replaces_fragments: bool = True

    @property
    def changes(self) -> list[Change]:
        colours = self.frames.first.photometric_interpretation
        return changed_attributes(self.frames, self.attributes, colours, EXPLICIT_VR_LITTLE_ENDIAN)

    def write(self, out: BinaryIO) -> None:
        image = self.frames.image
        length = self.frames.decoded_length
        vr = {"float": "OF", "double": "OD"}.get(image.kind)
        vr = vr or ("OW" if image.bits_allocated > 8 else "OB")
        write_header(out, self.frames.pixel.tag, vr, length + length % 2)
        if image.bits_allocated == 1:
            _write_bits(out, self.frames)
        else:
            for frame in self.frames:
                little = frame.array.astype(frame.array.dtype.newbyteorder("<"), copy=False)
                out.write(np.ascontiguousarray(little).data)
        out.write(b"\0" * (length % 2))

    def finish(self, out: BinaryIO, places: dict[int, int]) -> None:
        pass


def _write_bits(out: BinaryIO, frames: SourceFrames) -> None:
    """Write frames of zeros and ones, eight pixels a byte from bit 0 on (PS3.5 §8.1.1)."""
    rest = np.empty(0, np.uint8)
    frame: Decoded
    for frame in frames:
        bits = np.concatenate([rest, frame.array.reshape(-1) != 0])
        whole = len(bits) // 8 * 8
        out.write(np.packbits(bits[:whole], bitorder="little").data)
        rest = bits[whole:]
    out.write(np.packbits(rest, bitorder="little").data)
