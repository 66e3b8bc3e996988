"""Files made of posted metadata and bulk data (PS3.18 §10.5.2), for ``workers``: functions of
local paths, one step for the metadata, one for each instance.

Bulk data is copied from part to file in pieces; what is held is the metadata of one request
part, or of one instance.
"""

import errno
import hashlib
import marshal
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from dicomweb_server.dicom import completion
from dicomweb_server.dicom.completion import Belonging
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.encode import Encapsulated, bulk_references, encode_dataset
from dicomweb_server.dicom.file_meta import file_meta
from dicomweb_server.dicom.json_model import MAX_TEXT, parse_json_datasets
from dicomweb_server.dicom.media import ENCAPSULATED_TYPES, Media, essence, one_image, read_media
from dicomweb_server.dicom.native_pictures import Cells, decode_to_native
from dicomweb_server.dicom.native_xml import from_xml
from dicomweb_server.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    is_video,
)
from dicomweb_server.errors import ContentTooLarge, MalformedContent, UnsupportedMedia
from dicomweb_server.wire.bulk_parts import MAX_URI

OCTETS = "application/octet-stream"
PICTURES = frozenset({"image/png", "image/gif"})
MAX_INSTANCES = 10_000  # data sets of one request
MAX_URIS = 100_000  # of one data set, each once
MAX_URIS_TOTAL = 1_000_000  # of one part of metadata, and of one request

_CHUNK = 1 << 20  # bytes
_CHECK_ROOM = 1 << 26  # bytes written between looks at the free space
# orjson writes 254 levels; and integers of 64 bits, where XML may have any.
_TOO_MANY_URIS = "too many BulkDataURIs"
_NO_TEXT = "nested too deep, or with a number too large"
_WORD = {8: "OB", 16: "OW"}
_OF_OTHER_TYPES = frozenset(
    f"{tag:08X}" for tag in (completion.PIXEL_DATA, completion.ENCAPSULATED_DOCUMENT)
)
# Whose native pixels are as they are written here.
_NATIVE = frozenset(
    {
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)


@dataclass(frozen=True, slots=True)
class Posted:
    """One data set of the metadata, in a scratch file of its own.

    `refusal`: why no file can be made of it; then there is no scratch file either.
    """

    path: Path
    uris: tuple[str, ...]  # of its bulk data, each once
    sop_class_uid: str | None
    sop_instance_uid: str | None
    belonging: Belonging | None = None  # None if refused
    refusal: str = ""


def split_metadata(path: Path, xml: bool, prefix: str) -> list[Posted]:
    """Write each data set of a metadata part to a file, named `prefix` and a number.

    A JSON part holds an array of data sets, an XML part one (Native DICOM Model). Raises
    MalformedContent, ContentTooLarge, OSError when the disk is full; then no file is left.
    """
    datasets = [_read_xml(path)] if xml else parse_json_datasets(path.read_bytes(), MAX_TEXT)
    if len(datasets) > MAX_INSTANCES:
        raise ContentTooLarge(f"more than {MAX_INSTANCES} data sets")
    posted: list[Posted] = []
    targets: list[Path] = []
    uris = 0
    try:
        for number, dataset in enumerate(datasets):
            targets.append(path.with_name(f"{prefix}-{number}.metadata"))
            posted.append(_split_off(dataset, targets[-1], MAX_URIS_TOTAL - uris))
            uris += len(posted[-1].uris)
    except BaseException:
        for target in targets:
            target.unlink(missing_ok=True)
        raise
    return posted


def _read_xml(path: Path) -> JsonDataset:
    with path.open("rb") as file:
        return from_xml(iter(lambda: file.read(_CHUNK), b""))


def _split_off(dataset: JsonDataset, target: Path, uris_left: int) -> Posted:
    sop_class, sop_instance = (
        value if isinstance(value, str) and len(value) <= 64 else None
        for value in (
            completion.value_of(dataset, completion.SOP_CLASS),
            completion.value_of(dataset, completion.SOP_INSTANCE),
        )
    )
    try:
        text = orjson.dumps(dataset)
    except TypeError:
        return Posted(target, (), sop_class, sop_instance, refusal=_NO_TEXT)
    try:
        uris = _uris_of(dataset, min(MAX_URIS, uris_left))
    except MalformedContent as refusal:
        return Posted(target, (), sop_class, sop_instance, refusal=str(refusal))
    target.write_bytes(text)
    return Posted(target, uris, sop_class, sop_instance, completion.belonging_of(dataset))


def _uris_of(dataset: JsonDataset, most: int) -> tuple[str, ...]:
    """Each BulkDataURI once. Raises MalformedContent for too many, or one that is too long."""
    uris: dict[str, None] = {}  # a set that keeps its order
    for _, uri in bulk_references(dataset):
        if len(uri) > MAX_URI:
            raise MalformedContent(f"a BulkDataURI of more than {MAX_URI} characters")
        uris[uri] = None
        if len(uris) > most:
            raise MalformedContent(_TOO_MANY_URIS)
    return tuple(uris)


# ------------------------------------------------------------------------------- one instance


@dataclass(frozen=True, slots=True)
class Part:
    """Bulk data of one part, in the scratch folder."""

    path: Path
    size: int  # bytes
    media_type: str
    transfer_syntax: str | None  # as the sender says


class Parts(tuple[Part, ...]):
    """The parts of one location. Many plans name the same: it is packed for workers only once."""

    _packed: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._packed is None:
            rows = [(str(p.path), p.size, p.media_type, p.transfer_syntax) for p in self]
            self._packed = marshal.dumps(rows)
        return _unpack, (self._packed,)


def _unpack(packed: bytes) -> Parts:
    rows = marshal.loads(packed)  # noqa: S302  from our own process
    return Parts(Part(Path(path), *others) for path, *others in rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one file is made of. `parts` by BulkDataURI, several for the frames of one value."""

    metadata: Path
    target: Path
    parts: Mapping[str, Sequence[Part]]
    study_instance_uid: str | None  # of the request's URL
    generated: Mapping[int, UUID]  # for UIDs that are missing (STOW-17), by their tags
    pixel_limit: int  # bytes of a decoded picture
    size_limit: int  # bytes of the file: one part may be referred to over and over
    floor: int  # bytes that stay free on the disk


@dataclass(frozen=True, slots=True)
class Assembled:
    """The file that was made, flushed to the disk. `problems`: kept, and to be told."""

    size: int
    sha256: bytes
    problems: tuple[str, ...]


def assemble(plan: Plan) -> Assembled:
    """Write the PS3.10 file of one instance.

    Raises MalformedContent and its kinds, UnsupportedMedia, ContentTooLarge, and OSError where
    the disk fills up meanwhile; then nothing is left of it.
    """
    attributes: JsonDataset = orjson.loads(plan.metadata.read_bytes())
    try:
        return _Assembly(plan, attributes).run()
    except BaseException:
        plan.target.unlink(missing_ok=True)
        raise
    finally:
        _decoded_path(plan).unlink(missing_ok=True)


def _decoded_path(plan: Plan) -> Path:
    return plan.target.with_suffix(".pixels")


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Stretches of files, one after the other: a value that is copied when it is written."""

    ranges: tuple[tuple[Path, int, int], ...]  # path, offset, length
    length: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", sum(length for _, _, length in self.ranges))

    def read(self) -> Iterator[bytes]:
        for path, offset, length in self.ranges:
            with path.open("rb") as file:
                file.seek(offset)
                left = length
                while left and (chunk := file.read(min(left, _CHUNK))):
                    left -= len(chunk)
                    yield chunk


def _whole(parts: Sequence[Part]) -> _Ranges:
    return _Ranges(tuple((part.path, 0, part.size) for part in parts))


class _Assembly:
    def __init__(self, plan: Plan, attributes: JsonDataset) -> None:
        self.plan = plan
        self.attributes = attributes
        self.transfer_syntax_uid = EXPLICIT_VR_LITTLE_ENDIAN
        self.problems: list[str] = []

    def run(self) -> Assembled:
        self._check_types()
        completion.complete_uids(self.attributes, self.plan.study_instance_uid, self.plan.generated)
        bulk: dict[str, _Ranges | Encapsulated[_Ranges]] = {
            uri: _whole(parts) for uri, parts in self.plan.parts.items()
        }
        pixels = completion.bulk_uri_of(self.attributes, completion.PIXEL_DATA)
        if pixels is not None and pixels in self.plan.parts:
            bulk[pixels] = self._pixels(self.plan.parts[pixels])
            self.problems += completion.missing_of_image(self.attributes)
        document = completion.bulk_uri_of(self.attributes, completion.ENCAPSULATED_DOCUMENT)
        if document is not None and document in self.plan.parts:
            self._document(self.plan.parts[document])
        encoded = encode_dataset(self.attributes, bulk)
        self.problems += encoded.problems
        # One part may be named by many attributes: the request's size bounds nothing.
        if encoded.length > self.plan.size_limit:
            raise ContentTooLarge(f"an instance of more than {self.plan.size_limit} bytes")
        self._check_room(encoded.length)
        size, sha256 = self._write([self._meta(), *encoded.pieces])
        return Assembled(size, sha256, tuple(self.problems))

    def _check_types(self) -> None:
        """Raise MalformedContent unless all bulk data is of one part of plain bytes, but for
        Pixel Data and the Encapsulated Document, which have types of their own."""
        for path, uri in bulk_references(self.attributes):
            parts = self.plan.parts.get(uri, ())
            if path in _OF_OTHER_TYPES:
                continue
            if len(parts) > 1:
                raise MalformedContent(f"{path}: bulk data of several parts")
            if any(essence(part.media_type) != OCTETS for part in parts):
                raise MalformedContent(f"{path}: bulk data that is not {OCTETS}")

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.plan.target.parent).free
        if free - size < self.plan.floor:
            raise ContentTooLarge("the archive is out of space")

    def _meta(self) -> bytes:
        # Those that are missing or no UIDs are refused when the file is described.
        sop_class, sop_instance = (
            str(completion.value_of(self.attributes, tag) or "")[:64]
            for tag in (completion.SOP_CLASS, completion.SOP_INSTANCE)
        )
        return file_meta(sop_class, sop_instance, self.transfer_syntax_uid)

    # ------------------------------------------------------------------------ pixel data

    def _pixels(self, parts: Sequence[Part]) -> _Ranges | Encapsulated[_Ranges]:
        kinds = {essence(part.media_type) for part in parts}
        if len(kinds) > 1:
            raise MalformedContent("the frames of one instance are of several media types")
        [kind] = kinds
        if kind == OCTETS:
            if any(part.transfer_syntax not in (None, *_NATIVE) for part in parts):
                raise MalformedContent(
                    "pixels in octet-stream are uncompressed and little endian only"
                )
            self._say_vr()
            return _whole(parts)
        if kind in PICTURES:
            return self._decoded(parts)
        if kind not in ENCAPSULATED_TYPES:
            raise UnsupportedMedia("parts of this media type are not stored as pixel data")
        return self._encapsulated(parts)

    def _encapsulated(self, parts: Sequence[Part]) -> Encapsulated[_Ranges]:
        """One fragment a frame, unchanged (STOW-14)."""
        media = [_read(part) for part in parts]
        together = one_image(media)
        if len(parts) > 1 and is_video(together.transfer_syntax_uid):
            raise MalformedContent("a video of several parts")
        self.transfer_syntax_uid = together.transfer_syntax_uid
        frames = [
            _Ranges(((part.path, each.start, each.end - each.start),))
            for part, each in zip(parts, media, strict=True)
        ]
        self.problems += completion.complete_image(
            self.attributes, together, len(frames), sum(frame.length for frame in frames)
        )
        return Encapsulated(frames)

    def _decoded(self, parts: Sequence[Part]) -> _Ranges:
        """Pictures as native pixels: one part a frame (STOW-14), or one that is an animation."""
        picture = decode_to_native(
            essence(parts[0].media_type), [part.path for part in parts], self.plan.pixel_limit
        )
        target, size = _decoded_path(self.plan), 0
        pixels = picture.rows * picture.columns * picture.number_of_frames
        self._check_room(pixels * picture.samples_per_pixel * picture.bits_allocated // 8)
        cells = Cells(picture.bits_allocated)
        with target.open("wb") as file:
            for frame in self._watched(picture.frames):
                file.write(frame)
                cells.add(frame)
                size += len(frame)
        self.problems += completion.describe_decoded(self.attributes, picture, cells)
        self._say_vr(picture.bits_allocated)
        return _Ranges(((target, 0, size),))

    def _say_vr(self, bits: int | None = None) -> None:
        """Native Pixel Data is OW beyond 8 bits (PS3.5 §8.1.2); what a sender says may be of the
        compressed form."""
        key = f"{completion.PIXEL_DATA:08X}"
        attribute = self.attributes.get(key) or self.attributes[key.lower()]
        bits = bits or completion.value_of(self.attributes, 0x00280100)
        if isinstance(bits, int) and bits > 8:
            attribute["vr"] = "OW"
        elif attribute.get("vr") not in ("OB", "OW"):
            attribute["vr"] = _WORD.get(bits or 16, "OW")

    def _document(self, parts: Sequence[Part]) -> None:
        if len(parts) > 1:
            raise MalformedContent("a document of several parts")
        [part] = parts
        self.problems += completion.complete_document(
            self.attributes, essence(part.media_type), part.size
        )

    # --------------------------------------------------------------------------- writing

    def _write(self, pieces: Sequence[bytes | _Ranges]) -> tuple[int, bytes]:
        digest, size = hashlib.sha256(), 0
        with self.plan.target.open("wb") as file:
            for chunk in self._watched(_chunks(pieces)):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        return size, digest.digest()

    def _watched(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """`chunks`, with a look at the disk now and then: others write to it too.

        Raises OSError (ENOSPC) below the floor.
        """
        unchecked = 0  # bytes
        for chunk in chunks:
            yield chunk
            unchecked += len(chunk)
            if unchecked >= _CHECK_ROOM:
                unchecked = 0
                if shutil.disk_usage(self.plan.target.parent).free < self.plan.floor:
                    raise OSError(errno.ENOSPC, "below MIN_FREE_BYTES")


def _chunks(pieces: Sequence[bytes | _Ranges]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from piece.read()


def _read(part: Part) -> Media:
    view: mmap.mmap | bytes = b""
    with part.path.open("rb") as file, suppress(ValueError):  # nothing can be mapped of nothing
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return read_media(part.media_type, view, part.transfer_syntax)
