"""File Meta Information of the files that we write (PS3.10 §7.1)."""

import struct

from dicomweb_server.errors import MalformedContent

IMPLEMENTATION_CLASS_UID = "2.25.190276540364398129284716018442817605114"
IMPLEMENTATION_VERSION_NAME = "DICOMWEB_SERVER"

_PREAMBLE = bytes(128)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """What a file begins with: a preamble of zeros, the prefix, and group 0002.

    Raises MalformedContent if one of the UIDs is no ASCII text of up to 64 characters.
    """
    return _PREAMBLE + meta_group(sop_class_uid, sop_instance_uid, transfer_syntax_uid)


def meta_group(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """`file_meta` without the preamble, for a file that keeps one of its own."""
    uids = (sop_class_uid, sop_instance_uid, transfer_syntax_uid)
    if not all(uid.isascii() and len(uid) <= 64 for uid in uids):
        raise MalformedContent("a UID for the File Meta Information that is none")
    group = struct.pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\x00\x01")
    for element, vr, text in (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ):
        value = text.encode("ascii")
        value += (b" " if vr == b"SH" else b"\0") * (len(value) % 2)
        group += struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value
    return b"DICM" + struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(group)) + group
