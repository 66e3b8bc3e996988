"""A stored PS3.10 file written anew as Explicit VR Little Endian, its pixel data as one likes.

The elements are copied by ``reencode``; File Meta Information is our own (WADO-02).
"""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, Protocol

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.elements import PIXEL_DATA
from dicomweb_server.dicom.encoding import ENCODINGS, UNDEFINED, Encoding, found_encoding
from dicomweb_server.dicom.file_meta import meta_group
from dicomweb_server.dicom.frames import PixelElement
from dicomweb_server.dicom.part10 import FileMeta, inflate, is_deflated, read_file_meta
from dicomweb_server.dicom.reencode import Copier, Level, header_at, write_header
from dicomweb_server.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from dicomweb_server.dicom.walk import Walked, walk
from dicomweb_server.errors import NotPart10, UndecodablePixels

# Extended Offset Table and its Lengths, Encapsulated Pixel Data Value Total Length: they are of
# the old fragments.
_OF_ENCAPSULATION = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})

_ENCODINGS = {
    IMPLICIT_VR_LITTLE_ENDIAN: ENCODINGS[True, True],
    EXPLICIT_VR_BIG_ENDIAN: ENCODINGS[False, False],
}

Change = tuple[int, str, bytes]  # tag, VR, and value of even length


@dataclass(frozen=True, slots=True, eq=False)
class SourceFile:
    """A file in memory's reach; `buffer` from its preamble on, inflated if it was deflated."""

    buffer: memoryview
    meta: FileMeta
    encoding: Encoding  # as the first element shows it

    @property
    def transfer_syntax_uid(self) -> str:
        return self.meta.transfer_syntax_uid

    def walk(self) -> Walked:
        """Its attributes, and where its pixel data lies. Raises NotPart10."""
        return walk(
            self.buffer,
            self.meta.dataset_offset,
            implicit_vr=self.encoding.implicit,
            little_endian=self.encoding.little,
        )


class NewPixels(Protocol):
    """The pixel data of the new file, and the attributes that change with it."""

    @property
    def changes(self) -> list[Change]:
        """New attributes, and new values of those that are there; in ascending order."""

    @property
    def replaces_fragments(self) -> bool:
        """Whether the tables of the old pixel data's fragments are of no meaning any more."""

    def write(self, out: BinaryIO) -> None:
        """Write the pixel data element, and what belongs right before it."""

    def finish(self, out: BinaryIO, places: dict[int, int]) -> None:
        """Set right what was not known when it was written; `places`: offsets of the values of
        `changes` in the file, by tag."""


def open_source(path: Path, scratch: Path, inflate_limit: int) -> SourceFile:
    """Map a file, and inflate it first into a nameless one in `scratch` if it is deflated.

    Raises NotPart10, and ContentTooLarge beyond the limit, in bytes.
    """
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
    return SourceFile(buffer, meta, found_encoding(buffer, start, len(buffer), stated))


def _mapped(file: BinaryIO) -> memoryview:
    """The bytes of a file. They are unmapped with their last view: a close would fail on those
    that the traceback of an exception keeps."""
    file.flush()
    if not file.seek(0, SEEK_END):
        raise NotPart10("an empty file")
    return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


def write_file(
    target: Path,
    source: SourceFile,
    attributes: JsonDataset,
    pixel: PixelElement | None,
    new: NewPixels | None,
    transfer_syntax_uid: str,
) -> None:
    """Write the new file. What was begun is removed if that fails."""
    try:
        with target.open("wb") as out:
            out.write(source.buffer[:128])
            out.write(_file_meta(source.meta, attributes, transfer_syntax_uid))
            places = _write_data_set(out, source, attributes, pixel, new)
            if new is not None:
                new.finish(out, places)
    except BaseException:
        with suppress(OSError):  # one in memory has no name
            target.unlink()
        raise


def _file_meta(meta: FileMeta, attributes: JsonDataset, transfer_syntax_uid: str) -> bytes:
    """The File Meta Information of the new file (WADO-02), from its prefix on."""
    # The data set's UID is the one that the instance goes by; the old meta may lack it.
    return meta_group(
        _uid(attributes, "00080016", meta.media_storage_sop_class_uid),
        _uid(attributes, "00080018", meta.media_storage_sop_instance_uid),
        transfer_syntax_uid,
    )


def _uid(attributes: JsonDataset, key: str, former: str | None) -> str:
    uid = attributes.get(key, {}).get("Value", [former])[0] or ""
    return str(uid)[:64].encode("ascii", "replace").decode()


def _write_data_set(
    out: BinaryIO,
    source: SourceFile,
    attributes: JsonDataset,
    pixel: PixelElement | None,
    new: NewPixels | None,
) -> dict[int, int]:
    """Copy every element in its place, pixel data and what describes it changed as needed."""
    buffer, end = source.buffer, len(source.buffer)
    copier = Copier(buffer, out)
    stated = attributes.get("00280103", {}).get("Value", [0])[0]
    top = Level(end, source.encoding, pixel_representation=int(stated == 1))
    changes = list(new.changes) if new else []
    places: dict[int, int] = {}
    dropped = _OF_ENCAPSULATION if new and new.replaces_fragments else frozenset()
    pos, looked = source.meta.dataset_offset, False
    while end - pos >= 8:
        header = header_at(buffer, pos, end, source.encoding)
        if header.tag == 0 and not looked:
            looked = True  # once: or else a file of such beginnings takes n² time
            if _only_zeros(buffer, pos):
                break  # padding after the data set
        while changes and changes[0][0] < header.tag:
            _write_change(out, *changes.pop(0), places)
        if changes and changes[0][0] == header.tag and header.length != UNDEFINED:
            _write_change(out, *changes.pop(0), places)
            pos = header.offset + header.length
        elif header.tag in dropped and header.length != UNDEFINED:
            pos = header.offset + header.length
        elif new is None or pixel is None or header.offset != pixel.offset:
            if dropped and header.tag in PIXEL_DATA and header.length:
                raise UndecodablePixels("there is more than one Pixel Data")
            pos = copier.copy(pos, top)
        else:
            new.write(out)
            pos = pixel.offset + pixel.length
    return places


def _only_zeros(buffer: memoryview, pos: int) -> bool:
    """Whether nothing but zeros follows."""
    zeros = bytes(1 << 16)
    return all(
        buffer[start : start + len(zeros)] == zeros[: len(buffer) - start]
        for start in range(pos, len(buffer), len(zeros))
    )


def _write_change(out: BinaryIO, tag: int, vr: str, value: bytes, places: dict[int, int]) -> None:
    write_header(out, tag, vr, len(value))
    places[tag] = out.tell()
    out.write(value)
