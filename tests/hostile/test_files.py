"""Hostile P10 files (items 1 to 16): stored as they are and harmless, or refused plainly."""

import struct
import zlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import pytest
from pydicom import uid as uids

from tests.hostile.conftest import Trap
from tests.hostile.judging import MIB, WHOLE, Judge
from tests.hostile.made import (
    DELIMITER,
    SEQUENCE_END,
    UNDEFINED,
    Made,
    element,
    elements_at,
    image,
    item,
    plain,
    with_syntax,
)
from tests.make.files import uid

TAKEN, REFUSED, EITHER = (200, 202), (409,), (200, 202, 409)
PRIVATE = 0x7FDF1001  # behind all that has a meaning


class Case(NamedTuple):
    """A file, made when it is needed, and what storing it may come to."""

    make: Callable[[], Made]
    allowed: Collection[int]
    seconds: float = 4.0


def with_prefix(prefix: bytes, made: Made | None = None) -> Made:
    made = made or image()
    return made.with_bytes(prefix.ljust(128, b"\0")[:128] + made.content[128:])


def with_group_length(length: int) -> Made:
    made = image()
    return made.with_bytes(
        made.content[:140] + struct.pack("<I", length & 0xFFFFFFFF) + made.content[144:]
    )


def with_meta(extra: bytes) -> Made:
    """More elements behind those of the File Meta Information, and a length that counts them."""
    made = image()
    at = elements_at(made.content)
    length = struct.pack("<I", at - 144 + len(extra))
    content = made.content[:140] + length + made.content[144:at] + extra + made.content[at:]
    return made.with_bytes(content)


def nested(depth: int, closed: bool) -> bytes:
    begin = element(0x00081140, b"SQ", length=UNDEFINED) + item(length=UNDEFINED)
    end = item(tag=DELIMITER) + item(tag=SEQUENCE_END)
    return begin * depth + (end * depth if closed else b"")


def many_private(count: int) -> bytes:
    """As many private elements as that, without a creator."""
    found = bytearray()
    for number in range(count):
        group, at = divmod(number, 0xE000)
        found += struct.pack("<HH2sH", 0x7FE1 + 2 * group, 0x1000 + at, b"LO", 0)
    return bytes(found)


def deflated(data: bytes) -> Made:
    made = plain(transfer_syntax=uids.DeflatedExplicitVRLittleEndian)
    return made.with_bytes(made.content[: elements_at(made.content)] + data)


def bomb(mebibytes: int) -> bytes:
    """Deflated zeros, of which each thousandth part is there: the blocks are the same again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return element(0x00080005, b"CS")[:0] + block * (mebibytes // 16)


def swapped(made: Made) -> Made:
    """Two elements in the wrong order."""
    at = elements_at(made.content)
    first = 8 + int.from_bytes(made.content[at + 6 : at + 8], "little")
    head, rest = made.content[at : at + first], made.content[at + first :]
    return made.with_bytes(made.content[:at] + rest + head)


PDF_HEAD = b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction 2 0 R>>endobj\n"
SCRIPT = b"<html><script>alert(document.domain)</script><!--"

CASES: dict[str, Case] = {
    "1 no preamble": Case(lambda: (m := image()).with_bytes(m.content[128:]), REFUSED),
    "1 no preamble and no prefix": Case(
        lambda: (m := image()).with_bytes(m.content[132:]), REFUSED
    ),
    "1 no meta": Case(
        lambda: (m := image()).with_bytes(m.content[:132] + m.content[elements_at(m.content) :]),
        REFUSED,
    ),
    "1 empty": Case(lambda: image().with_bytes(b""), REFUSED),
    "1 a preamble alone": Case(lambda: image().with_bytes(bytes(128) + b"DICM"), REFUSED),
    "1 text": Case(lambda: image().with_bytes(b"hello " * 1000), REFUSED),
    "2 Windows program": Case(lambda: with_prefix(b"MZ" + bytes(58) + b"\x80\0\0\0PE\0\0"), TAKEN),
    "2 ELF program": Case(lambda: with_prefix(b"\x7fELF\x02\x01\x01"), TAKEN),
    "2 web page": Case(lambda: with_prefix(SCRIPT), TAKEN),
    "2 PDF": Case(lambda: with_prefix(PDF_HEAD), TAKEN),
    "2 ZIP file": Case(lambda: with_prefix(b"PK\x03\x04" + bytes(26)), TAKEN),
    "2 shell script": Case(lambda: with_prefix(b"#!/bin/sh\nid\n"), TAKEN),
    "4 group length 0": Case(lambda: with_group_length(0), TAKEN),
    "4 group length of 4 GB": Case(lambda: with_group_length(0xFFFFFFFE), TAKEN),
    "4 group length -1": Case(lambda: with_group_length(-1), TAKEN),
    "4 group length too long by one": Case(lambda: with_group_length(191), TAKEN),
    "5 VR ZZ in the meta": Case(
        lambda: with_meta(struct.pack("<HH2sHI", 2, 0x103, b"ZZ", 0, 0)), (200, 202, 409)
    ),
    "5 VR ZZ of 4 GB in the meta": Case(
        lambda: with_meta(struct.pack("<HH2sHI", 2, 0x103, b"ZZ", 0, 0xFFFFFFF0)), REFUSED
    ),
    "5 sequence in the meta": Case(
        lambda: with_meta(element(0x00020103, b"SQ", length=UNDEFINED)), REFUSED
    ),
    "5 private of 4 GB in the meta": Case(
        lambda: with_meta(element(0x00020102, b"OB", b"", 0xFFFFFFFE)), REFUSED
    ),
    "6 VR ??": Case(lambda: image(struct.pack("<II2sH", 0x1001FFDF, 0, b"??", 4)), REFUSED),
    "6 VR ?? without length": Case(
        lambda: image(struct.pack("<HH2sH", 0x7FDF, 0x1001, b"??", 0xFFFF)), REFUSED
    ),
    "6 a VR to come": Case(
        lambda: plain(struct.pack("<HH2sHI", 0x7FDF, 0x1001, b"QQ", 0, 4) + b"abcd"), TAKEN
    ),
    "7 length 0xFFFFFFFE": Case(lambda: plain(element(PRIVATE, b"OB", b"", 0xFFFFFFFE)), REFUSED),
    "7 longer than the file": Case(lambda: plain(element(PRIVATE, b"OB", b"ab", 1000)), REFUSED),
    "7 longer by one": Case(lambda: plain(element(PRIVATE, b"LO", b"ab", 3)), REFUSED),
    "7 an item longer than its sequence": Case(
        lambda: plain(element(0x7FDF1001, b"SQ", item(b"", 0x7FFFFFFF))), REFUSED
    ),
    "8 undefined length of OB": Case(
        lambda: plain(element(PRIVATE, b"OB", b"", UNDEFINED)), REFUSED
    ),
    "8 undefined length of UT": Case(
        lambda: plain(element(PRIVATE, b"UT", b"text", UNDEFINED)), REFUSED
    ),
    "8 undefined length of UN": Case(
        lambda: plain(element(PRIVATE, b"UN", item(tag=SEQUENCE_END), UNDEFINED)), TAKEN
    ),
    "8 undefined length of LO": Case(
        lambda: plain(element(PRIVATE, b"LO", b"ab", 0xFFFF)), REFUSED
    ),
    "9 10,000 levels": Case(lambda: plain(nested(10_000, closed=True)), REFUSED),
    "9 10,000 levels without end": Case(lambda: plain(nested(10_000, closed=False)), REFUSED),
    "9 100,000 levels of UN": Case(
        lambda: plain(
            (element(PRIVATE, b"UN", length=UNDEFINED) + item(length=UNDEFINED)) * 100_000
        ),
        REFUSED,
    ),
    "10 a million empty items": Case(
        lambda: plain(element(PRIVATE, b"SQ", item() * 1_000_000)), REFUSED
    ),
    "10 a million empty items without lengths": Case(
        lambda: plain(
            element(PRIVATE, b"SQ", length=UNDEFINED)
            + (item(length=UNDEFINED) + item(tag=DELIMITER)) * 1_000_000
            + item(tag=SEQUENCE_END)
        ),
        REFUSED,
    ),
    "11 a million private attributes": Case(lambda: plain(many_private(1_000_000)), REFUSED),
    "12 twice the same": Case(
        lambda: plain(element(PRIVATE, b"LO", b"a ") + element(PRIVATE, b"LO", b"b ")), TAKEN
    ),
    "12 Patient ID again at the end": Case(
        lambda: plain(element(0x00100020, b"LO", b"another ")), TAKEN
    ),
    "12 a UID again, another": Case(
        lambda: plain(element(0x0020000D, b"UI", b"1.2.3\0"))._replace(study="1.2.3"), TAKEN
    ),
    "12 out of order": Case(lambda: swapped(plain()), TAKEN),
    "13 JPEG, and native": Case(lambda: with_syntax(image(), b"1.2.840.10008.1.2.4.50"), TAKEN),
    "13 native, and RLE": Case(
        lambda: with_syntax(image(transfer_syntax=uids.RLELossless), b"1.2.840.10008.1.2.1"), TAKEN
    ),
    "13 JPEG, and RLE": Case(
        lambda: with_syntax(image(transfer_syntax=uids.RLELossless), b"1.2.840.10008.1.2.4.50"),
        TAKEN,
    ),
    "13 implicit, and explicit": Case(lambda: with_syntax(image(), b"1.2.840.10008.1.2"), TAKEN),
    "13 big endian, and little": Case(
        lambda: with_syntax(image(), b"1.2.840.10008.1.2.2"), (200, 202, 409)
    ),
    "13 deflated, and not": Case(lambda: with_syntax(image(), b"1.2.840.10008.1.2.1.99"), REFUSED),
    "14 no transfer syntax": Case(lambda: with_syntax(image(), b""), REFUSED),
    "14 unknown": Case(lambda: with_syntax(image(), b"1.2.3.4.5"), REFUSED),
    "14 no UID": Case(lambda: with_syntax(image(), b"../../etc/passwd"), REFUSED),
    "14 a SOP class": Case(lambda: with_syntax(image(), b"1.2.840.10008.5.1.4.1.1.7"), REFUSED),
    "14 retired": Case(lambda: with_syntax(image(), b"1.2.840.10008.1.2.4.52"), TAKEN),
    "14 big endian": Case(lambda: image(transfer_syntax=uids.ExplicitVRBigEndian), TAKEN),
    "14 Papyrus": Case(lambda: with_syntax(image(), b"1.2.840.10008.1.20"), (200, 202, 409)),
    "14 MPEG that is none": Case(
        lambda: with_syntax(image(transfer_syntax=uids.RLELossless), b"1.2.840.10008.1.2.4.100"),
        TAKEN,
    ),
    "15 a bomb of 10 GB": Case(lambda: deflated(bomb(10_240)), REFUSED),
    "15 a bomb within an element": Case(
        lambda: deflated(
            zlib.compressobj(9, zlib.DEFLATED, -15).compress(b"")
            + _stored(element(PRIVATE, b"OB", b"", 0x7FFFFFF0))
            + bomb(2048)
        ),
        REFUSED,
    ),
    "15 cut off": Case(lambda: deflated(bomb(16)[:-100]), REFUSED),
    "15 not deflated at all": Case(lambda: deflated(b"\xff" * 100), REFUSED),
    "16 values of odd length": Case(
        lambda: plain(element(PRIVATE, b"LO", b"odd") + element(0x7FDF1003, b"LO", b"abc")), TAKEN
    ),
    "16 UIDs with NUL": Case(
        lambda: (m := plain()).with_bytes(
            m.content.replace(
                element(0x00080018, b"UI", m.instance.encode() + b"\0"),
                element(0x00080018, b"UI", m.instance.encode() + b"\0\0\0"),
            )
        ),
        TAKEN,
    ),
    "16 a UID of odd length": Case(
        lambda: (m := plain()).with_bytes(
            m.content.replace(
                element(0x00080018, b"UI", m.instance.encode() + b"\0"),
                element(0x00080018, b"UI", m.instance.encode()),
            )
        ),
        TAKEN,
    ),
}


def _stored(data: bytes) -> bytes:
    """A deflate block that is not compressed, and not the last."""
    return b"\0" + struct.pack("<HH", len(data), 0xFFFF ^ len(data)) + data


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file(judge: Judge, name: str) -> None:
    case = CASES[name]
    made = case.make()
    answer = judge.store([made.content], case.allowed, seconds=case.seconds)
    if answer.status != 409:
        judge.look(made, WHOLE)


def test_a_polyglot_is_never_served_as_what_else_it_is(judge: Judge) -> None:
    """Item 2: neither with the type of a page or a program, nor within a page."""
    made = with_prefix(SCRIPT)
    judge.store([made.content], TAKEN)
    for accept in ("application/dicom", "*/*", "text/html, */*;q=0.1"):
        got = judge.ask("GET", made.path, (200, 406), headers={"Accept": accept})
        kind = got.headers["content-type"]
        assert kind.startswith(("application/", "multipart/related"))
        assert got.headers["x-content-type-options"] == "nosniff"
        if got.status == 200 and kind.startswith("application/dicom"):
            assert got.headers["content-disposition"].startswith("attachment")


# --- item 3: truncated at every boundary --------------------------------------------------------


def _pieces() -> list[bytes]:
    """A file in pieces: each element, within a sequence too, begins one."""
    made = plain()
    first = made.content[: elements_at(made.content)]
    inner = [item(length=UNDEFINED), element(0x00080100, b"SH", b"C1"), item(tag=DELIMITER)]
    return [
        first,
        *(
            element(tag, b"UI", value)
            for tag, value in ((0x00080016, b"1.2.840.10008.5.1.4.1.1.66"),)
        ),
        element(0x00080018, b"UI", made.instance.encode() + b"\0"),
        element(0x00100010, b"PN", b"Canaria^Zebedeus"),
        element(0x0020000D, b"UI", made.study.encode() + b"\0"),
        element(0x0020000E, b"UI", made.series.encode() + b"\0"),
        element(0x00281052, b"DS", b"0 "),
        element(0x0040A043, b"SQ", length=UNDEFINED),
        *inner,
        item(tag=SEQUENCE_END),
        element(0x0040A160, b"UT", b"text"),
        element(PRIVATE, b"OW", bytes(8)),
    ]


def test_a_file_that_is_cut_at_any_element_or_beside_one(judge: Judge) -> None:
    """Item 3: at a boundary it is a whole file, if it has its UIDs by then; beside it, none."""
    pieces = _pieces()
    whole = b"".join(pieces)
    instance = whole[whole.index(b"\x08\x00\x18\x00UI") + 8 :][:43]
    boundaries = [sum(map(len, pieces[:n])) for n in range(1, len(pieces))]
    within = range(8, 12)  # in the sequence, whose end is missing then
    files, expected = [], []
    for number, boundary in enumerate(boundaries, 1):
        for at in (boundary - 1, boundary, boundary + 1):
            name = uid("hostile cut", at).encode()
            assert len(name) == len(instance)
            files.append(whole[:at].replace(instance, name))
            expected.append(at == boundary and number >= 6 and number not in within)
    answer = judge.store(files, (202,))
    module = answer.json()
    stored = {each["00081155"]["Value"][0] for each in module["00081199"]["Value"]}
    wanted = [_name_in(file) for file, taken in zip(files, expected, strict=True) if taken]
    assert stored == set(wanted)
    failures = [
        each["00081197"]["Value"][0]
        for key in ("00081198", "0008119A")
        for each in module.get(key, {}).get("Value", [])
    ]
    assert len(failures) == len(files) - len(stored)
    assert set(failures) <= {0xC000, 0x0117}


def _name_in(file: bytes) -> str:
    return file[file.index(b"\x08\x00\x18\x00UI") + 8 :][:43].decode()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_compressed_image_that_is_cut(judge: Judge, share: float) -> None:
    """Item 3, within fragments."""
    made = image(transfer_syntax=uids.RLELossless, rows=64, columns=64)
    at = made.content.rindex(b"\xe0\x7f\x10\x00O")
    cut = made.content[: at + int((len(made.content) - at) * share)]
    answer = judge.store([cut], (200, 202) if share == 0 else REFUSED)
    if answer.status != 409:
        judge.look(made.with_bytes(cut))


def test_what_a_file_refers_to_is_not_fetched(judge: Judge, trap: Trap) -> None:
    """Item 14, JPIP Referenced: a Pixel Data Provider URL leads nowhere."""
    made = with_syntax(plain(PixelDataProviderURL=trap.url), b"1.2.840.10008.1.2.4.94")
    judge.store([made.content], TAKEN)
    judge.look(made)
