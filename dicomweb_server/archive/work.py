"""What workers do with stored files. Plain functions of local paths: run through ``workers``."""

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dicomweb_server.archive.large_frames import Frame, read_frame
from dicomweb_server.dicom import icons
from dicomweb_server.dicom.animation import frame_times
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.directory import Numbers, Record, Reference, records_of
from dicomweb_server.dicom.encodable import can_encode
from dicomweb_server.dicom.fragments import drop_pad, join_fragments, list_fragments
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.images import encode, picture_of, thumbnail
from dicomweb_server.dicom.json_values import first_number, first_text
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.dicom.part10 import describe, inflate, is_deflated, read_file_meta
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.transcode_frames import transcode_frame
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.errors import NotPart10, Refusal
from dicomweb_server.index.attribute_values import NO_ATTRIBUTES, Attributes
from dicomweb_server.index.rows import Entry, entry_of

_CHUNK = 1 << 20  # bytes


def describe_files(
    paths: Sequence[Path], inflate_limit: int, attributes: Attributes = NO_ATTRIBUTES
) -> list[Entry | Refusal]:
    """The entries of several files, or why a file has none. `attributes`: those indexed."""
    results: list[Entry | Refusal] = []
    for path in paths:
        try:
            results.append(describe_file(path, inflate_limit, attributes))
        except Refusal as refusal:
            results.append(refusal)
    return results


def describe_file(path: Path, inflate_limit: int, attributes: Attributes = NO_ATTRIBUTES) -> Entry:
    """Walk the PS3.10 file at `path` once. Raises NotPart10 and its kinds, ContentTooLarge."""
    if path.stat().st_size == 0:
        raise NotPart10("the content is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        meta = read_file_meta(view)
        if not is_deflated(meta.transfer_syntax_uid):
            return entry_of(describe(view), attributes)
        inflated = path.with_suffix(".inflated")
        try:
            inflate_file(path, inflated, inflate_limit)
            with (
                inflated.open("rb") as whole,
                mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                return entry_of(describe(view, data), attributes)
        finally:
            inflated.unlink(missing_ok=True)


def inflate_file(source: Path, target: Path, limit: int) -> None:
    """Write `source` to `target` with its data set inflated: preamble, File Meta, data set.

    Raises ContentTooLarge past `limit` bytes (PS3.5 A.5).
    """
    with (
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
        target.open("wb") as out,
    ):
        meta = read_file_meta(view)
        out.write(view[: meta.dataset_offset])
        with memoryview(view) as whole, whole[meta.dataset_offset :] as deflated:
            for chunk in inflate(deflated, limit):
                out.write(chunk)


def dataset_digest(path: Path) -> bytes:
    """SHA-256 of the data set without the File Meta, which the transport may rewrite (STOW-20)."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            start = read_file_meta(view).dataset_offset
        file.seek(start)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def uncompressed_frame(packed_metadata: bytes, frame: Frame, transfer_syntax_uid: str) -> bytes:
    """One compressed frame decoded to native little-endian bytes (WADO-04, WADO-05).

    Raises UndecodablePixels.
    """
    return transcoded_frame(packed_metadata, frame, transfer_syntax_uid, EXPLICIT_VR_LITTLE_ENDIAN)


def transcoded_frame(
    packed_metadata: bytes, frame: Frame, stored: str, target: str, quality: int | None = None
) -> bytes:
    """One frame, as it was cut from its file, in another transfer syntax; ``transcode_frame``.

    Raises UndecodablePixels.
    """
    data = read_frame(frame)
    return transcode_frame(data, _dataset(packed_metadata), stored, target, quality=quality)


def what_can_be_encoded(
    packed_metadata: Sequence[bytes], targets: Sequence[str]
) -> list[tuple[tuple[str, ...], int, int]]:
    """Of several instances: those of `targets` that each can be encoded in and is not in, the
    bytes of a decoded frame, and how many frames are stated. Lossy ones are only among `targets`
    where they are allowed (TS-06)."""
    found = []
    for packed in packed_metadata:
        attributes = _dataset(packed)
        stored = first_text(attributes, "00083002")  # Available Transfer Syntax UID
        can = tuple(
            uid
            for uid in targets
            if uid != stored and can_encode(attributes, stored, uid, lossy_allowed=True)
        )
        size = frames = 0
        if can:
            image = image_pixel(attributes)
            cells = image.rows * image.columns * image.samples_per_pixel
            size, frames = cells * image.bits_allocated // 8, image.number_of_frames
        found.append((can, size, frames))
    return found


def directory_records(
    files: Sequence[tuple[bytes, Reference, Numbers, Sequence[int]]],
) -> list[list[Record]]:
    """The records of a DICOMDIR for each of several files; ``dicom.directory.records_of``, with
    packed metadata."""
    return [
        records_of(_dataset(packed), reference, numbers, above)
        for packed, reference, numbers, above in files
    ]


def nested_code_stream(value: bytes) -> bytes | None:
    """The code stream of encapsulated Pixel Data inside a sequence; None if it is no such value.

    `value`: the whole value field, from the item of the Basic Offset Table to the delimiter.
    """
    try:
        offsets = list_fragments(value, 0, len(value)).offsets
    except NotPart10:
        return None
    if not len(offsets):
        return None
    return drop_pad(join_fragments(value[int(offsets[0]) - 8 :], len(offsets)))


def uncompressed_value(data: bytes, word: int) -> bytes:
    """A big endian value of words of `word` bytes as little endian (trap 36)."""
    if word == 1 or len(data) % word:
        return data
    return np.frombuffer(data, f">u{word}").astype(f"<u{word}").tobytes()


# Bytes of one word of a VR (PS3.5 Table 6.2-1).
WORDS = {
    **dict.fromkeys(("OW", "US", "SS", "AT"), 2),
    **dict.fromkeys(("OL", "OF", "UL", "SL", "FL"), 4),
    **dict.fromkeys(("OV", "OD", "UV", "SV", "FD"), 8),
}


def rendered_frame(
    packed_metadata: bytes,
    frame: Frame,
    transfer_syntax_uid: str,
    number: int,
    options: RenderOptions,
    media_type: str,
    quality: int,
    longest: int | None,
    as_stored: bool,
) -> bytes:
    """One frame as a picture (PS3.18 §10.4.1.1.3): decoded, displayed, encoded."""
    return picture_of(
        _kept_dataset(packed_metadata),
        read_frame(frame),
        transfer_syntax_uid,
        number,
        options,
        media_type,
        quality,
        longest,
        as_stored=as_stored,
    )


_SMALL_METADATA, _SMALL_MATRIX = 1 << 18, 1 << 19  # bytes of JSON, pixels
# Modality LUT, palettes: a step for each pixel more, or for each segment
_SLOW_STEPS = {"00283000", "00281101", "00281221"}


def small_picture(packed_metadata: bytes, frame: bytes, *args: Any) -> bytes | None:
    """As `rendered_frame`, in a few milliseconds; None if it may take more: all but grey integers
    of 16 bits, of a matrix and with metadata that are not large."""
    dataset = _small_dataset(packed_metadata)
    if dataset is None:
        return None
    image = image_pixel(dataset)
    plain = image.kind == "integer" and image.samples_per_pixel == 1 and image.bits_allocated <= 16
    if not plain or image.rows * image.columns > _SMALL_MATRIX or _SLOW_STEPS & dataset.keys():
        return None
    return picture_of(dataset, frame, *args, image=image)


def representative_frame(packed_metadata: bytes, count: int) -> int:
    """The frame that stands for all `count`: as the instance tells, else the middle (THB-04)."""
    told = first_number(_kept_dataset(packed_metadata), "00286010")  # Representative Frame Number
    return int(told) if told is not None and 1 <= told <= count else (count + 1) // 2


def frame_times_of(packed_metadata: bytes, count: int) -> list[int]:
    """How long each frame is shown in an animation; ``animation.frame_times``."""
    return frame_times(_dataset(packed_metadata), count)


def icon(kind: str, media_type: str, longest: int) -> bytes:
    """The picture of what has none: the icon of its kind (THB-03, THB-05)."""
    return encode(thumbnail(icons.icon(kind, longest), longest), media_type)


def warm_up() -> None:
    """Load what the first picture would otherwise wait for."""
    icon("", "image/jpeg", 8)


def _dataset(packed_metadata: bytes) -> JsonDataset:
    text = unpack_metadata(packed_metadata).replace(BULK_BASE, b"")
    dataset: JsonDataset = orjson.loads(text)
    return dataset


_KEPT, _LARGEST_KEPT = 2, 8 << 20  # data sets; bytes of JSON of one, which takes 10 times as much
_kept: tuple[tuple[bytes, JsonDataset], ...] = ()  # put anew as a whole: threads share it


def _kept_dataset(packed_metadata: bytes) -> JsonDataset:
    """The data set, for reading alone: the next frame of the same instance will ask for it too.

    Of 1,000 frames it takes longer to parse than to render one of them.
    """
    return _known(packed_metadata) or _parsed(packed_metadata, unpack_metadata(packed_metadata))


def _small_dataset(packed_metadata: bytes) -> JsonDataset | None:
    """The same; None if its JSON is large."""
    if known := _known(packed_metadata):
        return known
    text = unpack_metadata(packed_metadata, _SMALL_METADATA + 1)
    return _parsed(packed_metadata, text) if len(text) <= _SMALL_METADATA else None


def _known(packed_metadata: bytes) -> JsonDataset | None:
    return next((dataset for packed, dataset in _kept if packed == packed_metadata), None)


def _parsed(packed_metadata: bytes, text: bytes) -> JsonDataset:
    global _kept
    parsed: JsonDataset = orjson.loads(text.replace(BULK_BASE, b""))
    if len(text) <= _LARGEST_KEPT:
        _kept = ((packed_metadata, parsed), *_kept[: _KEPT - 1])
    return parsed
