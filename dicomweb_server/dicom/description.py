"""What is known of a stored instance: made once at store time, used by every read."""

from dataclasses import dataclass, field
from typing import Any

# Stands in stored metadata where the URL of the instance's bulk data belongs. A raw control
# character cannot occur in JSON text otherwise, so replacing it is exact and needs no parsing.
BULK_BASE = b"\x01"

# A DICOM JSON Model attribute object ({"vr": ..., "Value": [...]}) by eight-digit tag.
JsonDataset = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BulkValue:
    """One value that metadata refers to by BulkDataURI.

    `offset` and `length` are in bytes from the beginning of the file (of the inflated file
    for a deflated transfer syntax: preamble and File Meta, then the inflated data set). For
    encapsulated Pixel Data they span the whole value field, items and delimiters included.
    """

    offset: int
    length: int
    vr: str


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Where each frame of top-level (Float, Double Float) Pixel Data lies in the file.

    Native: the value begins at `offset`, has `length` bytes, and frame n (1-based) occupies
    the bits [(n-1)*frame_bits, n*frame_bits) of it. Encapsulated: `ranges` holds a
    little-endian record "<QQI" a frame: offset of the frame's first fragment's data, number
    of bytes to the end of its last fragment's data, number of fragments. Where there is more
    than one, the 8-byte item headers between them lie inside the range and must be cut out.
    """

    count: int
    encapsulated: bool
    offset: int
    length: int
    frame_bits: int = 0
    ranges: bytes = b""
    word: int = 1  # bytes of one word to swap in big endian data; 1 = never


@dataclass(frozen=True, slots=True)
class Description:
    """One PS3.10 file, walked once.

    `metadata` is one DICOM JSON Model object in UTF-8 (PS3.18 Annex F), attributes in
    ascending order, without group 0002 and group lengths; each BulkDataURI is BULK_BASE + "/" +
    path, where path is a key of `bulk`: a tag, or for a value inside a sequence
    tag/item/tag with items counted from 1 (BLK-04).

    `study`, `series` and `instance` are the attributes of `metadata` that belong to the
    search results of that level (patient attributes with the study), as the same JSON objects.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    dataset_offset: int  # bytes from the beginning of the file to the data set
    metadata: bytes
    study: JsonDataset
    series: JsonDataset
    instance: JsonDataset
    bulk: dict[str, BulkValue] = field(default_factory=dict)
    frames: FrameTable | None = None
    problems: tuple[str, ...] = ()  # what is wrong but storable: Warning Reason B007
