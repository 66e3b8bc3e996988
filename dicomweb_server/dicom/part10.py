"""PS3.10 files: File Meta Information, identity, and everything known of an instance at once.

``describe`` is called once, at store time, and gives what every read needs. It touches headers
and small values only, so that the file may be mapped and larger than memory.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import orjson

from dicomweb_server.dicom.attributes import KEPT
from dicomweb_server.dicom.description import (
    BULK_BASE,
    BulkValue,
    Description,
    FrameTable,
    JsonDataset,
)
from dicomweb_server.dicom.dictionary import UIDS
from dicomweb_server.dicom.elements import LONG_FORM, SPECIFIC_CHARACTER_SET
from dicomweb_server.dicom.encoding import tag_name
from dicomweb_server.dicom.fragments import Bytes
from dicomweb_server.dicom.frames import build_frame_table, empty_pixel_data
from dicomweb_server.dicom.keeping import MAX_PROBLEMS
from dicomweb_server.dicom.query import Level
from dicomweb_server.dicom.requirements import missing_attributes
from dicomweb_server.dicom.values import LITTLE_ENDIAN
from dicomweb_server.dicom.walk import Walked, walk
from dicomweb_server.errors import ContentTooLarge, NotPart10


class UnknownTransferSyntax(NotPart10):
    """The transfer syntax is none that DICOM has, so the data set cannot be read."""


class InvalidIdentity(NotPart10):
    """The instance cannot be addressed: a UID is missing or malformed (STOW-18).

    `sop_class_uid` and `sop_instance_uid` are there as far as they are known and well-formed.
    """

    def __init__(
        self,
        message: str,
        reason: Literal["missing", "syntax"],
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> None:
        self.reason = reason
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        super().__init__(message)


# ------------------------------------------------------------------------------ file meta

_PREAMBLE = 132  # bytes, with the prefix
_MAX_META_ELEMENTS = 1000
_MAX_META = 1 << 20  # bytes
_META_UIDS = {0x00020002, 0x00020003, 0x00020010}
_VRS = frozenset(LITTLE_ENDIAN) | {"SQ"}
_META_HEADER = struct.Struct("<HH2sH")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What is needed of the File Meta Information (PS3.10 §7.1)."""

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str | None
    media_storage_sop_instance_uid: str | None
    dataset_offset: int  # bytes from the beginning of the file to the data set


def read_file_meta(buffer: Bytes) -> FileMeta:
    """Read preamble, prefix and group 0002 of a file.

    Explicit VR Little Endian (PS3.10 §7.1); the group length is not relied on, for writers get
    it wrong. Raises NotPart10 if there is none, or no Transfer Syntax UID in it, or no end.
    """
    if bytes(buffer[128:_PREAMBLE]) != b"DICM":
        raise NotPart10("not a DICOM file: DICM is not at byte 128")
    found: dict[int, str] = {}
    stated_end, pos = None, _PREAMBLE
    for _ in range(_MAX_META_ELEMENTS):
        if pos == stated_end and is_deflated(found.get(0x00020010, "")):
            break  # what follows may look like anything
        if bytes(buffer[pos : pos + 2]) != b"\x02\x00":
            break
        tag, offset, length = _meta_element(buffer, pos)
        pos = offset + length
        if pos - _PREAMBLE > _MAX_META:
            raise NotPart10(f"File Meta Information of more than {_MAX_META} bytes")
        if tag == 0x00020000 and length == 4:
            stated_end = pos + struct.unpack_from("<I", buffer, offset)[0]
        elif tag in _META_UIDS:
            found[tag] = bytes(buffer[offset : offset + min(length, 66)]).decode("latin_1")
            found[tag] = found[tag].rstrip(" \0")
    else:
        raise NotPart10("File Meta Information without an end")
    transfer_syntax_uid = found.get(0x00020010)
    if not transfer_syntax_uid:
        raise NotPart10("no Transfer Syntax UID in the File Meta Information")
    return FileMeta(
        transfer_syntax_uid, found.get(0x00020002) or None, found.get(0x00020003) or None, pos
    )


def _meta_element(buffer: Bytes, pos: int) -> tuple[int, int, int]:
    """Tag, offset and length of the value of the element at `pos`."""
    try:
        group, element, code, length = _META_HEADER.unpack_from(buffer, pos)
        offset, vr = pos + 8, code.decode("latin_1")
        if vr in LONG_FORM:
            length = struct.unpack_from("<I", buffer, offset)[0]
            offset += 4
    except struct.error:
        raise NotPart10("the File Meta Information is cut short") from None
    tag = group << 16 | element
    if vr not in _VRS:
        raise NotPart10(f"{tag_name(tag)} in the File Meta Information has no VR that exists")
    if length > len(buffer) - offset:
        raise NotPart10("the File Meta Information is cut short")
    return tag, offset, length


# ------------------------------------------------------------------------- transfer syntax

_IMPLICIT_VR = {"1.2.840.10008.1.2", "1.2.840.10008.1.20"}  # the second is Papyrus 3, retired
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# PS3.5 §A.5; both JPIP Referenced Deflate (§A.7, §A.13) deflate their data set likewise.
_DEFLATED = {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
_TRANSFER_SYNTAXES = {uid for uid, entry in UIDS.items() if entry[1] == "Transfer Syntax"}
_DICOM_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[0-9]+)+")

_INFLATE_CHUNK = 1 << 20  # bytes


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Whether everything after the File Meta Information is one deflated stream (PS3.5 §A.5)."""
    return transfer_syntax_uid in _DEFLATED


def inflate(deflated: Bytes | Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Inflate a deflated data set (RFC 1951), given whole or in chunks; in pieces of up to 1 MiB.

    What follows the end of the stream, such as a byte that makes its length even, is ignored.
    Raises ContentTooLarge before there are more than `limit` bytes, and NotPart10 if the stream
    is damaged or has no end.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    try:
        for chunk in _chunks(deflated):
            data = chunk
            while data and not stream.eof:
                piece = stream.decompress(data, _INFLATE_CHUNK)
                data = stream.unconsumed_tail
                total += len(piece)
                if total > limit:
                    raise ContentTooLarge(f"the data set inflates to more than {limit} bytes")
                if piece:
                    yield piece
        while not stream.eof and (piece := stream.decompress(b"", _INFLATE_CHUNK)):
            total += len(piece)
            if total > limit:
                raise ContentTooLarge(f"the data set inflates to more than {limit} bytes")
            yield piece
    except zlib.error:
        raise NotPart10("the deflated data set is damaged") from None
    if not stream.eof:
        raise NotPart10("the deflated data set is cut short")


def _chunks(deflated: Bytes | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(deflated, Bytes):
        # Copies, for a view of a mapped file that an exception keeps alive could not be closed.
        for start in range(0, len(deflated), _INFLATE_CHUNK):
            yield bytes(deflated[start : start + _INFLATE_CHUNK])
    else:
        yield from deflated


# ---------------------------------------------------------------------------- description


def describe(buffer: Bytes, inflated: Bytes | None = None) -> Description:
    """Walk a PS3.10 file once, for all that is kept of it.

    `buffer` is the whole file. For a deflated transfer syntax `inflated` is the preamble and
    File Meta as they are with the inflated data set after them, and offsets are into it.

    Raises NotPart10 for what is no DICOM file or ends in the middle, UnknownTransferSyntax,
    InvalidIdentity, and ContentTooLarge for metadata beyond all measure. What is wrong but can
    be stored is in the problems (STOW-19).
    """
    meta = read_file_meta(buffer)
    syntax = meta.transfer_syntax_uid
    if syntax not in _TRANSFER_SYNTAXES and not (
        len(syntax) <= 64 and _DICOM_SYNTAX.fullmatch(syntax)
    ):
        raise UnknownTransferSyntax("the transfer syntax is none that DICOM has")
    if is_deflated(syntax):
        if inflated is None:
            raise NotPart10("the data set is deflated and was not inflated")
        buffer = inflated
    walked = walk(
        buffer,
        meta.dataset_offset,
        implicit_vr=syntax in _IMPLICIT_VR,
        little_endian=syntax != _BIG_ENDIAN,
    )
    problems = list(walked.problems)
    identity = _identity(meta, walked.attributes, problems)
    frames: FrameTable | None = None
    if walked.pixel is not None:
        frames, found = build_frame_table(buffer, walked.pixel, walked.attributes, syntax)
        problems += found
    else:
        problems += empty_pixel_data(walked.attributes)
    problems += missing_attributes(identity["sop_class_uid"], walked.attributes)
    attributes, metadata = _metadata(walked, syntax)
    levels = _levels(attributes, walked.bulk)
    return Description(
        **identity,
        transfer_syntax_uid=syntax,
        dataset_offset=meta.dataset_offset,
        metadata=metadata,
        study=levels[Level.STUDY],
        series=levels[Level.SERIES],
        instance=levels[Level.INSTANCE],
        bulk=walked.bulk,
        frames=frames,
        problems=tuple(problems[:MAX_PROBLEMS]),
    )


_CHARACTER_SET = f"{SPECIFIC_CHARACTER_SET:08X}"
_AVAILABLE_TRANSFER_SYNTAX = "00083002"
_MAX_METADATA = 64 << 20  # bytes of JSON; a reader of metadata holds several at a time
_ESCAPED_BASE = orjson.dumps(BULK_BASE.decode() + "/")[:-1]


def _metadata(walked: Walked, transfer_syntax_uid: str) -> tuple[JsonDataset, bytes]:
    """The attributes in ascending order, and their JSON text. Raises ContentTooLarge."""
    attributes = dict(walked.attributes)
    # Clients read from it which decoder they need, as group 0002 is not here (JSN-40).
    attributes[_AVAILABLE_TRANSFER_SYNTAX] = {"vr": "UI", "Value": [transfer_syntax_uid]}
    attributes = dict(sorted(attributes.items()))
    metadata = orjson.dumps(attributes)
    if len(metadata) > _MAX_METADATA:
        raise ContentTooLarge(f"the metadata have more than {_MAX_METADATA} bytes")
    if not metadata.isascii() and "Value" not in attributes.get(_CHARACTER_SET, {}):
        attributes[_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}  # JSN-31
        attributes = dict(sorted(attributes.items()))
        metadata = orjson.dumps(attributes)
    # Decoded text has no U+0001 (``text.decode``), so the escape stands for nothing else; and
    # with the quotation mark before it, it cannot be the end of an escaped backslash.
    return attributes, metadata.replace(_ESCAPED_BASE, b'"' + BULK_BASE + b"/")


def _levels(attributes: JsonDataset, bulk: dict[str, BulkValue]) -> dict[Level, JsonDataset]:
    """The attributes that are search results at each level, but for those with bulk data."""
    with_bulk = {path[:8] for path in bulk}
    return {
        level: {key: attributes[key] for key in sorted(kept & attributes.keys() - with_bulk)}
        for level, kept in KEPT.items()
    }


# -------------------------------------------------------------------------------- identity

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_IDENTIFIERS = {
    "sop_class_uid": ("00080016", "SOP Class UID"),
    "sop_instance_uid": ("00080018", "SOP Instance UID"),
    "study_instance_uid": ("0020000D", "Study Instance UID"),
    "series_instance_uid": ("0020000E", "Series Instance UID"),
}
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


def _is_uid(value: object) -> bool:
    """Digits in components separated by single dots, 64 characters at most (PS3.5 §9.1, RES-05).

    Leading zeros in components are wrong but common, and harmless in paths.
    """
    return isinstance(value, str) and len(value) <= 64 and _UID.fullmatch(value) is not None


def _identity(meta: FileMeta, attributes: JsonDataset, problems: list[str]) -> dict[str, str]:
    """The four identifiers by their field in Description. Raises InvalidIdentity."""
    values = {
        name: attributes.get(key, {}).get("Value", ()) for name, (key, _) in _IDENTIFIERS.items()
    }
    known = {
        name: value[0] if len(value) == 1 and _is_uid(value[0]) else None
        for name, value in values.items()
    }
    sops = (known["sop_class_uid"], known["sop_instance_uid"])
    directory = meta.media_storage_sop_class_uid == _MEDIA_STORAGE_DIRECTORY
    if directory or "00041220" in attributes:  # Directory Record Sequence
        raise InvalidIdentity("a DICOMDIR is a media directory, not an instance", "missing", *sops)
    missing = [title for name, (_, title) in _IDENTIFIERS.items() if not any(values[name])]
    if missing:
        raise InvalidIdentity(f"{', '.join(missing)} missing or empty", "missing", *sops)
    malformed = [title for name, (_, title) in _IDENTIFIERS.items() if known[name] is None]
    if malformed:
        raise InvalidIdentity(f"not a UID: {', '.join(malformed)}", "syntax", *sops)
    # Tools that give new UIDs often forget the File Meta; the data set says what it is.
    if meta.media_storage_sop_instance_uid not in (None, known["sop_instance_uid"]):
        problems.insert(0, "the SOP Instance UID is not the one in the File Meta Information")
    if meta.media_storage_sop_class_uid not in (None, known["sop_class_uid"]):
        problems.insert(0, "the SOP Class UID is not the one in the File Meta Information")
    return {name: value for name, value in known.items() if value is not None}
