"""ZIP files of stored entries whose layout is known before their bytes are (APPNOTE.TXT 6.3).

Nothing is compressed, so that all lengths follow from the names and sizes. Checksums are not known
beforehand: they stand behind each entry, in its data descriptor, and in the central directory.
"""

import struct
from collections.abc import Sequence

_SIZE_LIMIT = 0xFFFFFFFF  # what is as large stands in a ZIP64 field
_COUNT_LIMIT = 0xFFFF

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_DESCRIPTOR = struct.Struct("<4sI2I")
_DESCRIPTOR_64 = struct.Struct("<4sI2Q")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")

_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_DESCRIBED = 1 << 3  # general purpose flag: sizes and checksum follow the entry
_STORED = 0
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 0:00: the same entries are the same bytes at any time
_PLAIN_FILE = 0o100644 << 16


def local_header(name: bytes, size: int) -> bytes:
    """What stands before an entry of `size` bytes."""
    large = size >= _SIZE_LIMIT
    # §4.4.4: zeros here with a descriptor; a ZIP64 field says that it has 8 bytes a size.
    extra = struct.pack("<2H2Q", 1, 16, 0, 0) if large else b""
    told = _SIZE_LIMIT if large else 0
    version = _VERSION_64 if large else _VERSION
    fields = (version, _DESCRIBED, _STORED, _TIME, _DATE, 0, told, told, len(name), len(extra))
    return _LOCAL.pack(b"PK\3\4", *fields) + name + extra


def descriptor(size: int, crc: int) -> bytes:
    """What stands behind it; `crc`: the CRC-32 of its bytes."""
    kind = _DESCRIPTOR_64 if size >= _SIZE_LIMIT else _DESCRIPTOR
    return kind.pack(b"PK\7\10", crc, size, size)


def central_header(name: bytes, size: int, crc: int, offset: int) -> bytes:
    """Its entry in the central directory; `offset`: of its local header, in bytes."""
    large = [value for value in (size, size, offset) if value >= _SIZE_LIMIT]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = _VERSION_64 if large else _VERSION
    told = min(size, _SIZE_LIMIT)
    fields = (_UNIX | version, version, _DESCRIBED, _STORED, _TIME, _DATE, crc, told, told)
    more = (len(name), len(extra), 0, 0, 0, _PLAIN_FILE, min(offset, _SIZE_LIMIT))
    return _CENTRAL.pack(b"PK\1\2", *fields, *more) + name + extra


def end_of_archive(count: int, size: int, offset: int) -> bytes:
    """What stands last: of a central directory of `count` entries and `size` bytes at `offset`."""
    end = b""
    if count >= _COUNT_LIMIT or size >= _SIZE_LIMIT or offset >= _SIZE_LIMIT:
        end += _END_64.pack(
            b"PK\6\6",
            _END_64.size - 12,
            _UNIX | _VERSION_64,
            _VERSION_64,
            0,
            0,
            count,
            count,
            size,
            offset,
        )
        end += _LOCATOR_64.pack(b"PK\6\7", 0, offset + size, 1)
    counts = min(count, _COUNT_LIMIT)
    told = min(size, _SIZE_LIMIT), min(offset, _SIZE_LIMIT)
    return end + _END.pack(b"PK\5\6", 0, 0, counts, counts, *told, 0)


def entry_length(name: bytes, size: int) -> int:
    """Bytes of an entry with what stands around it."""
    return len(local_header(name, size)) + size + len(descriptor(size, 0))


def cut(data: bytes, at: int, first: int, end: int) -> bytes:
    """The part of `data`, which stands at the offset `at`, that lies from `first` before `end`."""
    if first <= at and at + len(data) <= end:
        return data
    return data[max(0, first - at) : max(0, end - at)]


def member_name(file_id: Sequence[str]) -> bytes:
    """The name of an entry for a File ID (PS3.10 §8.2)."""
    return "/".join(file_id).encode("ascii")
