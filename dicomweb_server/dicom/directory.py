"""A DICOMDIR, record by record (PS3.3 Annex F, PS3.10 §8.6); the file itself is held by others.

Records stand one behind the other, each before those below it. What a record says of a later one
is filled in when that one comes: a `Patch` of what has been written.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.directory_types import ALONE, KEYS, record_type
from dicomweb_server.dicom.elements import public_vr
from dicomweb_server.dicom.encode import encode_dataset
from dicomweb_server.dicom.file_meta import file_meta
from dicomweb_server.dicom.json_values import first_text, values
from dicomweb_server.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb_server.errors import ContentTooLarge, MalformedContent

DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage

PATIENT, STUDY, SERIES, LEAF = range(4)  # levels of records
BESIDE = -1  # the level of what belongs to no patient

Patch = tuple[int, bytes]  # where in the file, and what stands there from now on
Record = tuple[int, bytes]  # its level, and the item that it is

_ITEM_HEADER = struct.Struct("<HHI")
_OFFSET = struct.Struct("<I")  # bytes from the beginning of the file (PS3.3 §F.2.2.2)
_LONGEST = (1 << 32) - 1  # bytes of a file that offsets can refer to
# Where values stand in a record, which begins with an item header and two elements.
_NEXT, _LOWER = 8 + 8, 8 + 12 + 10 + 8
_IN_USE = 0xFFFF

_CONTENT_SEQUENCE, _RELATIONSHIP = "0040A730", "0040A010"
_NUMBERS = ("00200011", "00200013")  # Series and Instance Number

Numbers = tuple[int, int]  # what an instance without them gets for its series, and for itself


@dataclass(frozen=True, slots=True)
class Reference:
    """The file that a record stands for."""

    file_id: tuple[str, ...]  # the components of its name (PS3.10 §8.2)
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def records_of(
    attributes: JsonDataset, reference: Reference, numbers: Numbers, above: Sequence[int]
) -> list[Record]:
    """The records of one instance: those of the levels `above` it that are not there yet, and
    its own, in their order.

    `attributes`: its metadata in the DICOM JSON Model. Keys that it lacks are empty, and numbers
    that it lacks are those of `numbers`. What belongs to no patient has nothing above it.
    """
    kind = _kind_of(reference.sop_class_uid)
    if belongs_to_no_patient(reference.sop_class_uid):
        return [(BESIDE, _record(kind, attributes, reference, numbers))]
    names = ((PATIENT, "PATIENT"), (STUDY, "STUDY"), (SERIES, "SERIES"))
    return [
        *((level, _record(n, attributes, None, numbers)) for level, n in names if level in above),
        (LEAF, _record(kind, attributes, reference, numbers)),
    ]


def belongs_to_no_patient(sop_class_uid: str) -> bool:
    """Whether the record of an instance stands at the root, beside the patients."""
    return _kind_of(sop_class_uid) in ALONE


def _kind_of(sop_class_uid: str) -> str:
    return record_type({"00080016": {"vr": "UI", "Value": [sop_class_uid]}})


def _record(
    kind: str, attributes: JsonDataset, reference: Reference | None, numbers: Numbers
) -> bytes:
    link: dict[str, Any] = {
        "00041400": {"vr": "UL", "Value": [0]},
        "00041410": {"vr": "US", "Value": [_IN_USE]},
        "00041420": {"vr": "UL", "Value": [0]},
        "00041430": {"vr": "CS", "Value": [kind]},
    }
    if reference is not None:
        link |= {
            "00041500": {"vr": "CS", "Value": list(reference.file_id)},
            "00041510": {"vr": "UI", "Value": [reference.sop_class_uid]},
            "00041511": {"vr": "UI", "Value": [reference.sop_instance_uid]},
            "00041512": {"vr": "UI", "Value": [reference.transfer_syntax_uid]},
        }
    content = _encoded({**link, **_keys(kind, attributes, numbers)})
    return _ITEM_HEADER.pack(0xFFFE, 0xE000, len(content)) + content


def _keys(kind: str, attributes: JsonDataset, numbers: Numbers) -> dict[str, Any]:
    always, if_there = KEYS[kind]
    keys: dict[str, Any] = {}
    for tag in always:
        found = _told(attributes, tag)
        keys[tag] = found or {"vr": public_vr(int(tag, 16)) or "UN"}
        if tag in _NUMBERS and not found:
            keys[tag]["Value"] = [str(numbers[_NUMBERS.index(tag)])]
    keys |= {tag: found for tag in if_there if (found := _told(attributes, tag))}
    return keys


def _told(attributes: JsonDataset, tag: str) -> dict[str, Any] | None:
    """An attribute with its values, None if it has none; of the content of a document, what
    modifies its title (PS3.3 §F.5.21)."""
    found = values(attributes, tag)
    if tag == _CONTENT_SEQUENCE:
        found = [
            each
            for each in found
            if isinstance(each, dict) and first_text(each, _RELATIONSHIP) == "HAS CONCEPT MOD"
        ]
    return {"vr": attributes[tag].get("vr"), "Value": _without_bulk(found)} if found else None


def _without_bulk(found: Sequence[Any]) -> list[Any]:
    """Values without what stands elsewhere: no record needs it."""
    return [
        {
            key: {**each, "Value": _without_bulk(each["Value"])} if "Value" in each else each
            for key, each in one.items()
            if not isinstance(each, Mapping) or "BulkDataURI" not in each
        }
        if isinstance(one, Mapping) and all(isinstance(each, Mapping) for each in one.values())
        else one
        for one in found
    ]


def _encoded(attributes: dict[str, Any]) -> bytes:
    """Explicit VR LE; an attribute whose values cannot be written goes without them."""
    try:
        return _bytes(attributes)
    except MalformedContent:
        return _bytes({tag: _written(tag, each) for tag, each in attributes.items()})


def _written(tag: str, attribute: dict[str, Any]) -> dict[str, Any]:
    try:
        _bytes({tag: attribute})
    except MalformedContent:
        return {"vr": public_vr(int(tag, 16)) or "UN"}
    return attribute


def _bytes(attributes: dict[str, Any]) -> bytes:
    return b"".join(encode_dataset(attributes, {}).pieces)  # of bytes, for there is no bulk data


class Directory:
    """The file, as it grows: `head` first, then what `add` and `finish` give."""

    def __init__(self, sop_instance_uid: str) -> None:
        """`sop_instance_uid`: the File-set UID. Raises MalformedContent if it is none."""
        meta = file_meta(DIRECTORY, sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        # File-set ID, first and last record of the root, File-set Consistency Flag.
        front = _bytes(
            {
                "00041130": {"vr": "CS"},
                "00041200": {"vr": "UL", "Value": [0]},
                "00041202": {"vr": "UL", "Value": [0]},
                "00041212": {"vr": "US", "Value": [0]},
            }
        )
        self._first = len(meta) + 8 + 8
        self._root_last = self._first + 12
        sequence = struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, 0xFFFFFFFF)
        self.head = meta + front + sequence
        self.length = len(self.head)  # bytes so far
        self._last: list[int | None] = [None] * 4  # where the last record of a level begins
        self._last_of_root: int | None = None

    def add(self, record: Record) -> tuple[bytes, list[Patch]]:
        """What is to be appended, and what changes before it. Raises ContentTooLarge where no
        offset can tell where it stands."""
        level, item = record
        at = self.length
        if at + len(item) > _LONGEST:
            raise ContentTooLarge("there are more instances than a DICOMDIR can name")
        self.length += len(item)
        told = _OFFSET.pack(at)
        if level in (PATIENT, BESIDE):
            before, self._last_of_root = self._last_of_root, at
            patches = [(self._root_last, told)]
            patches.append((self._first if before is None else before + _NEXT, told))
        else:
            before, parent = self._last[level], self._last[level - 1]
            assert parent is not None
            patches = [(parent + _LOWER if before is None else before + _NEXT, told)]
        if level != BESIDE:
            self._last[level:] = [at] + [None] * (LEAF - level)
        return item, patches

    def finish(self) -> bytes:
        """The end of the file."""
        end = _ITEM_HEADER.pack(0xFFFE, 0xE0DD, 0)
        self.length += len(end)
        return end
