"""Hostile pixel data, tables and documents (items 25 to 38): shown, or refused; never a fault."""

import json
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from dicomweb_server.dicom.colour_profiles import standard_profile
from tests.dicom.golden_pictures import lut
from tests.hostile.conftest import Trap
from tests.hostile.judging import MIB, PIXELS, Judge
from tests.hostile.made import (
    SEQUENCE_END,
    Made,
    changed,
    encapsulated,
    fragments,
    identity,
    image,
    item,
    raw_value,
    with_syntax,
)
from tests.make import ABSENT, encapsulated_pdf
from tests.make.posted import JSON, Bulk, related
from tests.make.video import H264_HIGH_41, avc_entry, box, mp4, track
from tests.web.posting import part, posted_image

TAKEN, REFUSED = (200, 202), (409,)
ARC = "1.2.840.10008.1.2.4."
SHOWN = (200, 404, 406)


class Case(NamedTuple):
    """An image that is stored, and what showing it may come to."""

    make: Callable[[], Made]
    rendered: Collection[int] = SHOWN
    stored: Collection[int] = TAKEN


def frame_of(made: Made) -> bytes:
    dataset = dcmread(BytesIO(made.content))
    return next(generate_frames(dataset.PixelData, number_of_frames=1))


def coded(syntax: str, stream: bytes | Callable[[bytes], bytes], **keywords: Any) -> Made:
    """An image of one code stream: these bytes, or those of a good one, spoilt."""
    made = image(transfer_syntax=syntax, **keywords)
    data = stream if isinstance(stream, bytes) else stream(frame_of(made))
    return encapsulated(made, fragments(data + b"\0" * (len(data) % 2)))


def us(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


ROWS, COLUMNS = 0x00280010, 0x00280011

SHAPES: dict[str, Case] = {  # items 25 to 28
    "25 Rows as UL": Case(
        lambda: raw_value(
            raw_value(image(), ROWS, b"UL", struct.pack("<I", 0x10010)),
            *(COLUMNS, b"UL", struct.pack("<I", 0x10000)),
        ),
        (404, 406),
    ),
    "25 Rows 0": Case(lambda: changed(image(), Rows=0), (404, 406)),
    "25 no Rows": Case(lambda: changed(image(), Rows=ABSENT), (404, 406)),
    "25 65535 x 65535 of a byte": Case(
        lambda: changed(image(), Rows=65535, Columns=65535, PixelData=b"\0\0"), (404, 406)
    ),
    "25 Rows of several values": Case(lambda: raw_value(image(), ROWS, b"US", us(16, 65535))),
    "25 Rows as text": Case(lambda: raw_value(image(), ROWS, b"LO", b"16"), (200, 404, 406)),
    "26 no frames": Case(lambda: changed(image(), NumberOfFrames="0")),
    "26 -1 frames": Case(lambda: changed(image(), NumberOfFrames="-1")),
    "26 2^31 frames": Case(lambda: changed(image(), NumberOfFrames="2147483648")),
    "26 1_0 frames": Case(lambda: raw_value(image(), 0x00280008, b"IS", b"1_0 ")),
    "26 more than fragments": Case(
        lambda: changed(image(transfer_syntax=uids.RLELossless), NumberOfFrames="1000")
    ),
    "26 fewer than fragments": Case(
        lambda: changed(image(frames=3, transfer_syntax=uids.RLELossless), NumberOfFrames="2")
    ),
    **{
        f"27 Bits Allocated {bits}": Case(
            lambda bits=bits: changed(image(), BitsAllocated=bits), SHOWN
        )
        for bits in (0, 1, 12, 24, 33, 64, 65535)
    },
    "27 more bits stored than allocated": Case(lambda: changed(image(), BitsStored=17)),
    "27 no bits stored": Case(lambda: changed(image(), BitsStored=0)),
    "27 High Bit beyond": Case(lambda: changed(image(), HighBit=255)),
    "27 High Bit below": Case(lambda: changed(image(bits=12), HighBit=3)),
    "27 Pixel Representation 7": Case(lambda: changed(image(), PixelRepresentation=7)),
    **{
        f"28 {samples} samples": Case(
            lambda samples=samples: changed(image(), SamplesPerPixel=samples)
        )
        for samples in (0, 2, 3, 5, 65535)
    },
    "28 RGB of one sample": Case(lambda: changed(image(), PhotometricInterpretation="RGB")),
    "28 Planar Configuration 5": Case(
        lambda: changed(image(photometric="RGB", bits=8), PlanarConfiguration=5)
    ),
    "28 no Planar Configuration": Case(
        lambda: changed(image(photometric="RGB", bits=8), PlanarConfiguration=ABSENT)
    ),
    "28 planes of a JPEG": Case(
        lambda: changed(
            image(photometric="RGB", bits=8, transfer_syntax=uids.JPEGLSLossless),
            PlanarConfiguration=1,
        )
    ),
    "28 unknown colours": Case(lambda: changed(image(), PhotometricInterpretation="<script>")),
}


def palette(entries: int, first: int, bits: int, data: bytes, **more: Any) -> Made:
    attributes: dict[str, Any] = dict(more)
    for colour in ("Red", "Green", "Blue"):
        attributes[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        attributes[f"{colour}PaletteColorLookupTableData"] = data
    return changed(image(photometric="PALETTE COLOR", bits=8), **attributes)


def table_of(*offsets: int, count: int = 2) -> Made:
    """An RLE image of some frames, with a Basic Offset Table that is told."""
    made = image(frames=count, transfer_syntax=uids.RLELossless, offsets="none")
    frames = list(generate_frames(dcmread(BytesIO(made.content)).PixelData, number_of_frames=count))
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    return encapsulated(made, fragments(*frames, table=table))


def extended(offsets: list[int], lengths: list[int]) -> Made:
    made = image(frames=2, transfer_syntax=uids.RLELossless, offsets="extended")
    return changed(
        made,
        ExtendedOffsetTable=struct.pack(f"<{len(offsets)}Q", *offsets),
        ExtendedOffsetTableLengths=struct.pack(f"<{len(lengths)}Q", *lengths),
    )


def rle(data: bytes) -> Made:
    return coded(uids.RLELossless, data, bits=8)


def header(*offsets: int, count: int | None = None) -> bytes:
    numbers = [len(offsets) if count is None else count, *offsets]
    return struct.pack(f"<{len(numbers)}I", *numbers).ljust(64, b"\0")


TABLES: dict[str, Case] = {  # items 29 to 31, 33
    "29 a palette of no entries": Case(lambda: palette(0, 0, 16, b"")),
    "29 an empty palette of 256": Case(lambda: palette(256, 0, 16, b"")),
    "29 indices below the first": Case(lambda: palette(4, 250, 16, bytes(8))),
    "29 indices beyond the last": Case(lambda: palette(4, 0, 16, bytes(8))),
    "29 16 bits told, 8 bits of data": Case(lambda: palette(256, 0, 16, bytes(256))),
    "29 8 bits told, 16 bits of data": Case(lambda: palette(256, 0, 8, bytes(512))),
    "29 bits of 65535": Case(lambda: palette(256, 0, 65535, bytes(512))),
    "29 a palette that is missing": Case(
        lambda: changed(
            image(photometric="PALETTE COLOR", bits=8), RedPaletteColorLookupTableData=ABSENT
        )
    ),
    "30 an offset beyond the end": Case(lambda: table_of(0, 0x7FFFFFF0)),
    "30 offsets that decrease": Case(lambda: table_of(200, 0)),
    "30 offsets all the same": Case(lambda: table_of(0, 0)),
    "30 an odd offset": Case(lambda: table_of(0, 13)),
    "30 more offsets than frames": Case(lambda: table_of(*range(0, 8000, 8))),
    "30 extended, huge lengths": Case(lambda: extended([0, 300], [1 << 62, 1 << 63])),
    "30 extended, huge offsets": Case(lambda: extended([0, (1 << 64) - 8], [64, 64])),
    "30 extended, no lengths": Case(lambda: extended([0, 300], [])),
    "31 fragments of no length": Case(
        lambda: encapsulated(image(transfer_syntax=uids.RLELossless), fragments(b"", b""))
    ),
    "31 no sequence delimiter": Case(
        lambda: encapsulated(
            m := image(transfer_syntax=uids.RLELossless), fragments(frame_of(m), end=False)
        ),
        stored=REFUSED,
    ),
    "31 a fragment beyond the end": Case(
        lambda: encapsulated(
            image(transfer_syntax=uids.RLELossless), item() + item(b"ab", 0x7FFFFFFF)
        ),
        stored=REFUSED,
    ),
    "31 a fragment of undefined length": Case(
        lambda: encapsulated(
            image(transfer_syntax=uids.RLELossless), item() + item(b"ab", 0xFFFFFFFF)
        ),
        stored=REFUSED,
    ),
    "31 100,000 empty fragments": Case(
        lambda: encapsulated(image(transfer_syntax=uids.RLELossless), fragments(*[b""] * 100_000))
    ),
    "31 no items at all": Case(
        lambda: encapsulated(image(transfer_syntax=uids.RLELossless), item(tag=SEQUENCE_END))
    ),
    "33 segments that begin at themselves": Case(lambda: rle(header(0) + bytes(8)), (406,)),
    "33 segments in a circle": Case(
        lambda: coded(uids.RLELossless, header(64, 64), bits=16), (406,)
    ),
    "33 15 segments of one": Case(lambda: rle(header(64, count=15) + bytes(64)), (406,)),
    "33 4 billion segments": Case(lambda: rle(header(64, count=0xFFFFFFFF) + bytes(8)), (406,)),
    "33 runs without end": Case(lambda: rle(header(64) + b"\x81\x00" * 100_000)),
    "33 a run that is cut off": Case(lambda: rle(header(64) + b"\x7f\x01"), (406,)),
    "33 nothing but no-ops": Case(lambda: rle(header(64) + b"\x80" * 100_000), (406,)),
    "34 window width 0": Case(lambda: changed(image(), WindowCenter="40", WindowWidth="0"), (200,)),
    "34 window width -1": Case(
        lambda: changed(image(), WindowCenter="40", WindowWidth="-1"), (200,)
    ),
    "34 window width NaN": Case(
        lambda: raw_value(
            raw_value(image(), 0x00281050, b"DS", b"NaN "), 0x00281051, b"DS", b"NaN "
        ),
        (200,),
    ),
    "34 window 1_000": Case(
        lambda: raw_value(
            raw_value(image(), 0x00281050, b"DS", b"1_0 "), 0x00281051, b"DS", b"1_000 "
        ),
        (200,),
    ),
    "34 rescale slope 0": Case(
        lambda: changed(image(), RescaleSlope="0", RescaleIntercept="0"), (200,)
    ),
    "34 rescale slope 1e308": Case(
        lambda: changed(image(), RescaleSlope="1e308", RescaleIntercept="-1e308"), (200,)
    ),
    **{
        f"34 {name} of a {sequence}": Case(
            lambda sequence=sequence, table=table: changed(image(), **{sequence: [table]}), (200,)
        )
        for sequence in ("ModalityLUTSequence", "VOILUTSequence")
        for name, table in {
            "shorter table": lut([4096, 0, 12], bytes(100)),
            "longer table": lut([10, 0, 16], bytes(8192)),
            "table of no bits": lut([4096, 0, 0], bytes(8192)),
            "table without a descriptor": Dataset(),
        }.items()
    },
}


# --- item 32: code streams ----------------------------------------------------------------------

STREAMS = {
    "JPEG": (ARC + "50", 8),
    "JPEG lossless": (ARC + "70", 12),
    "JPEG-LS": (ARC + "80", 12),
    "JPEG 2000": (ARC + "90", 12),
    "HTJ2K": (ARC + "201", 12),
    "JPEG XL": (ARC + "110", 8),
}


def stream_of(syntax: str, bits: int, rows: int = 16, columns: int = 12) -> bytes:
    """A good stream of an image of that size."""
    pixels = (np.arange(rows * columns).reshape(rows, columns) * 7 % (1 << bits)).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    encoders: dict[str, Callable[[], bytes]] = {
        "50": lambda: imagecodecs.jpeg8_encode(pixels),
        "70": lambda: imagecodecs.jpeg8_encode(
            pixels, lossless=True, predictor=1, bitspersample=12
        ),
        "80": lambda: imagecodecs.jpegls_encode(pixels),
        "90": lambda: imagecodecs.jpeg2k_encode(
            pixels, codecformat="j2k", reversible=True, bitspersample=12
        ),
        "201": lambda: imagecodecs.htj2k_encode(pixels, reversible=True),
        "110": lambda: imagecodecs.jpegxl_encode(pixels, lossless=True),
    }
    return bytes(encoders[syntax.rpartition(".")[2]]())


def shown_as(syntax: str, bits: int, stream: bytes, **attributes: Any) -> Made:
    """An image of 16 x 12, or what `attributes` say, whose frame is `stream`."""
    made = image(bits=bits, transfer_syntax=uids.RLELossless)
    told = encapsulated(made, fragments(stream + b"\0" * (len(stream) % 2)))
    content = with_syntax(told, syntax.encode()).content
    for tag, value in attributes.items():
        where = struct.pack("<HH2sH", 0x28, int(tag[-4:], 16), b"US", 2)
        at = content.index(where) + 8
        content = content[:at] + us(value) + content[at + 2 :]
    return told.with_bytes(content)


def with_size(codec: str, stream: bytes, side: int) -> bytes:
    """The size that the header of a stream tells, forged."""
    data = bytearray(stream)
    if codec.startswith("JPEG") and codec not in ("JPEG 2000", "JPEG XL"):
        at = next(
            n for n in range(2, len(data)) if data[n] == 0xFF and data[n + 1] in (0xC0, 0xC3, 0xF7)
        )
        data[at + 5 : at + 9] = struct.pack(">HH", min(side, 65535), min(side, 65535))
    elif codec == "JPEG XL":
        # Not small; 2 selects 18 bits for the height, and the width is the same (SizeHeader)
        value = 2 << 1 | (min(side, 1 << 18) - 1) << 3 | 1 << 21
        data[2:5] = value.to_bytes(3, "little")
    else:
        data[8:16] = struct.pack(">II", side, side)
        data[24:32] = struct.pack(">II", side, side)
    return bytes(data)


SPOILS: dict[str, Callable[[str, bytes], bytes]] = {
    "forged to 65535 a side": lambda codec, stream: with_size(codec, stream, 65535),
    "forged to 2^31 a side": lambda codec, stream: with_size(codec, stream, (1 << 31) - 1),
    "its header alone": lambda codec, stream: stream[: len(stream) // 4],
    "cut in the middle": lambda codec, stream: stream[: len(stream) // 2],
    "without its last 20 bytes": lambda codec, stream: stream[:-20],
    "without its end": lambda codec, stream: stream[:-2],
    "two bytes": lambda codec, stream: stream[:2],
    "followed by as much": lambda codec, stream: stream + stream,
    "of noise": lambda codec, stream: bytes(np.random.default_rng(1).bytes(2000)),
    "noise behind the header": lambda codec, stream: (
        stream[:60] + bytes(np.random.default_rng(2).bytes(len(stream)))
    ),
}


@pytest.mark.parametrize("codec", STREAMS)
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_hostile_code_stream(judge: Judge, codec: str, spoil: str) -> None:
    """Item 32. What is cut or forged is refused; the icon stands for it (THB-05)."""
    syntax, bits = STREAMS[codec]
    stream = SPOILS[spoil](codec, stream_of(syntax, bits))
    forged = {"00280010": 65535, "00280011": 65535} if spoil == "forged to 65535 a side" else {}
    made = shown_as(syntax, bits, stream, **forged)
    judge.store([made.content], TAKEN)
    harmless = ("followed by as much", "noise behind the header")
    allowed = (200, 406) if spoil in harmless else (404, 406)
    native = {"Accept": 'multipart/related; type="application/octet-stream"'}
    judge.ask("GET", f"{made.path}/frames/1", allowed, headers=native)
    judge.look(made, PIXELS, rendered=allowed, thumbnail=(200,))


@pytest.mark.parametrize("codec", STREAMS)
@pytest.mark.parametrize("told", [{"00280002": 3}, {"00280100": 8, "00280101": 8, "00280102": 7}])
def test_a_code_stream_with_other_components(
    judge: Judge, codec: str, told: dict[str, int]
) -> None:
    """Item 32: the file tells other samples, or other bits, than the stream has."""
    syntax, bits = STREAMS[codec]
    made = shown_as(syntax, bits, stream_of(syntax, bits), **told)
    judge.store([made.content], TAKEN)
    judge.look(made, rendered=(404, 406) if "00280002" in told else (200, 406))


def tile_parts(stream: bytes, edit: Callable[[bytearray, int], None]) -> bytes:
    data = bytearray(stream)
    edit(data, data.index(b"\xff\x90"))
    return bytes(data)


def _set(at: int, value: bytes) -> Callable[[bytearray, int], None]:
    def edit(data: bytearray, sot: int) -> None:
        data[sot + at : sot + at + len(value)] = value

    return edit


TILE_PARTS: dict[str, Callable[[bytes], bytes]] = {
    "of no length": lambda s: tile_parts(s, _set(6, bytes(4))),
    "of 12 bytes": lambda s: tile_parts(s, _set(6, struct.pack(">I", 12))),
    "of 1 byte": lambda s: tile_parts(s, _set(6, struct.pack(">I", 1))),
    "of 4 GB": lambda s: tile_parts(s, _set(6, b"\xff\xff\xff\xff")),
    "255 of 255": lambda s: tile_parts(s, _set(10, b"\xfe\xff")),
    "of tile 65535": lambda s: tile_parts(s, _set(4, b"\xff\xff")),
    "without end": lambda s: (
        s[: s.index(b"\xff\x90")]
        + (b"\xff\x90\0\x0a\0\0" + struct.pack(">I", 14) + b"\0\0\xff\x93") * 100_000
    ),
    "tiles of one pixel": lambda s: s[:24] + struct.pack(">II", 1, 1) + s[32:],
    "tiles that begin behind the image": lambda s: s[:32] + b"\xff\xff\xff\xff" * 2 + s[40:],
    "tiles that end before the image": lambda s: (
        s[:8] + struct.pack(">8I", 112, 116, 100, 100, 50, 50, 0, 0) + s[40:]
    ),
    "4 billion components": lambda s: s[:40] + b"\xff\xff" + s[42:],
    "no components": lambda s: s[:40] + b"\0\0" + s[42:],
    "33 levels of wavelets": lambda s: tile_parts(
        s, lambda data, _: data.__setitem__(data.index(b"\xff\x52") + 9, 33)
    ),
}


@pytest.mark.parametrize("codec", ["JPEG 2000", "HTJ2K"])
@pytest.mark.parametrize("name", TILE_PARTS)
def test_a_hostile_jpeg_2000_stream(judge: Judge, codec: str, name: str) -> None:
    """Item 32: tile-parts without end, components that are none."""
    syntax, bits = STREAMS[codec]
    made = shown_as(syntax, bits, TILE_PARTS[name](stream_of(syntax, bits)))
    judge.store([made.content], TAKEN)
    judge.look(made, PIXELS)


@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_image(judge: Judge, name: str) -> None:
    _stored_and_looked_at(judge, SHAPES[name])


@pytest.mark.parametrize("name", TABLES)
def test_hostile_tables(judge: Judge, name: str) -> None:
    _stored_and_looked_at(judge, TABLES[name])


def _stored_and_looked_at(judge: Judge, case: Case) -> None:
    made = case.make()
    answer = judge.store([made.content], case.stored)
    if answer.status == 409:
        return
    judge.look(made, rendered=case.rendered, thumbnail=(200,))
    for syntax in (uids.ExplicitVRLittleEndian, uids.JPEGLSLossless):
        accept = {"Accept": f"application/dicom; transfer-syntax={syntax}"}
        judge.ask("GET", made.path, (200, 406, 413), headers=accept)
    judge.ask("GET", f"{made.path}/frames/2", (200, 404, 406))


# --- item 35: parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        *("viewport=1000000000,1000000000", "viewport=-5,100", "viewport=1.5,1.5", "viewport=0,0"),
        *("viewport=1e3,1e3", "viewport=1_0,1_0", "viewport=%D9%A1%D9%A0,10", "viewport=+5,5"),
        *("viewport=10,10,0,0,0,0", "viewport=10,10,1e308,1e308,1e308,1e309", "viewport=,"),
        *("quality=1000000000", "quality=-1", "quality=1.5", "quality=0", "quality=%D9%A1"),
        *("window=1e999,1,linear", "window=1,-1,linear", "window=NaN,1,linear", "window=1_0,5"),
        *("window=1_0,5,linear", "iccprofile=../../etc/passwd", "annotation=%00"),
        "viewport=" + ",".join(["9" * 100] * 2),
    ],
)
def test_hostile_parameters_of_rendering(judge: Judge, query: str) -> None:
    judge.ask("GET", f"{judge.control.path}/rendered?{query}", (400,))


def test_the_largest_viewport(judge: Judge) -> None:
    answer = judge.ask(
        *("GET", f"{judge.control.path}/rendered?viewport=9999,9999&quality=1", (200,)),
        memory=700 * MIB,
    )
    with Image.open(BytesIO(answer.content)) as picture:
        assert max(picture.size) == 9999


# --- item 36: colour profiles -------------------------------------------------------------------


def forged_profile(at: int, value: bytes) -> bytes:
    data = bytearray(standard_profile("srgb"))
    data[at : at + len(value)] = value
    return bytes(data)


PROFILES: dict[str, Callable[[], bytes]] = {
    "4 GB told": lambda: forged_profile(0, b"\xff\xff\xff\xff"),
    "4 billion tags": lambda: forged_profile(128, b"\xff\xff\xff\xff"),
    "tags beyond the end": lambda: forged_profile(136, b"\xff\xff\xff\x00\xff\xff\xff\x00"),
    "a curve of 4 billion entries": lambda: standard_profile("srgb").replace(
        b"curv\0\0\0\0", b"curv\0\0\0\0\xff\xff\xff\xff", 1
    ),
    "parametric curves of no kind": lambda: standard_profile("srgb").replace(
        b"para\0\0\0\0", b"para\xff\xff\xff\xff"
    ),
    "of grey": lambda: forged_profile(16, b"GRAY"),
    "cut": lambda: standard_profile("srgb")[:200],
    "noise": lambda: bytes(np.random.default_rng(3).bytes(4000)),
    "8 MB": lambda: standard_profile("srgb") + bytes(8 * MIB),
    "a bomb": lambda: zlib.compress(bytes(10 * MIB)),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_hostile_colour_profile(judge: Judge, name: str) -> None:
    made = changed(image(photometric="RGB", bits=8), ICCProfile=_even(PROFILES[name]()))
    judge.store([made.content], TAKEN)
    for wanted in ("yes", "srgb", "rommrgb", "no"):
        judge.ask("GET", f"{made.path}/rendered?iccprofile={wanted}", (200, 406))
    judge.look(made)


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


# --- item 37: documents and videos --------------------------------------------------------------


def documents(url: str, secret: Path) -> Iterator[tuple[str, bytes]]:
    actions = f"/OpenAction<</S/JavaScript/JS(app.launchURL('{url}'))>>/AA<</O<</URI({url})>>>>"
    yield (
        "application/pdf",
        b"%PDF-1.7\n1 0 obj<</Type/Catalog"
        + actions.encode()
        + b">>endobj\ntrailer<</Root 1 0 R>>",
    )
    yield (
        "text/XML",
        f"""<!DOCTYPE c [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY y SYSTEM "{url}">]>
        <?xml-stylesheet href="{url}"?><ClinicalDocument xmlns="urn:hl7-org:v3">
        <title>&x;&y;</title><component><nonXMLBody><text><reference value="{url}"/></text>
        </nonXMLBody></component></ClinicalDocument>""".encode(),
    )
    yield (
        "text/XML",
        f"""<ClinicalDocument xmlns="urn:hl7-org:v3"><title>a</title><component><structuredBody>
        <component><section><title>&lt;script&gt;alert(1)&lt;/script&gt;</title><text>
        <paragraph><content><linkHtml href="javascript:alert(1)">x</linkHtml></content></paragraph>
        <renderMultiMedia referencedObject="m"/><br/></text></section></component></structuredBody>
        </component><img src="{url}"/></ClinicalDocument>""".encode(),
    )


def test_a_document_with_scripts_and_references(judge: Judge, trap: Trap, secret: Path) -> None:
    """It is handed out as it is, as a PDF or a text, and nothing in it is carried out."""
    for mime, document in documents(trap.url, secret):
        given = identity()
        cda = mime == "text/XML"
        sop_class = uids.EncapsulatedCDAStorage if cda else uids.EncapsulatedPDFStorage
        content = encapsulated_pdf(
            **given, SOPClassUID=sop_class, MIMETypeOfEncapsulatedDocument=mime
        )
        made = changed(
            Made(content, *(given[name] for name in _UIDS)), EncapsulatedDocument=_even(document)
        )
        judge.store([made.content], TAKEN)
        for accept in ("*/*", "text/html", "text/plain", "application/pdf", "image/jpeg"):
            got = judge.ask("GET", f"{made.path}/rendered", SHOWN, headers={"Accept": accept})
            assert b"SECRET-OF-THE-MACHINE" not in got.content
            kind = got.headers["content-type"]
            if kind.startswith("text/html"):
                assert "<script" not in got.text
                assert "javascript:" not in got.text
                assert trap.url not in got.text
                assert "content-security-policy" in got.headers
        judge.look(made)


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@pytest.mark.parametrize("claimed", ["image/png", "image/jp2", "video/mp4", "application/pdf"])
def test_a_video_with_references(judge: Judge, trap: Trap, claimed: str) -> None:
    """An MP4 whose data lie elsewhere, as its Data Reference says, is taken for what it holds."""
    url = trap.url.encode() + b"\0"
    reference = box(
        b"dinf", box(b"dref", bytes(4), struct.pack(">I", 1), box(b"url ", bytes(4), url))
    )
    video = mp4(track(avc_entry(H264_HIGH_41)), after=reference + box(b"uuid", b"<script>" * 9))

    sop_class = uids.VideoPhotographicImageStorage
    metadata = posted_image(**identity(), SOPClassUID=sop_class, PixelData=Bulk("v", "OB"))
    body, kind = related(
        [part(JSON, json.dumps([metadata]).encode()), part(claimed, video, Content_Location="v")],
        JSON,
    )
    judge.post(body, kind, TAKEN if claimed == "video/mp4" else (409, 415))


# --- item 38: overlays and curves ---------------------------------------------------------------


@pytest.mark.parametrize(
    "overlay",
    [
        {"0010": us(65535), "0011": us(65535), "0050": us(1, 1)},
        {"0010": us(16), "0011": us(12), "0050": struct.pack("<hh", -32768, 32767)},
        {"0010": us(0), "0011": us(0), "0050": us(1, 1)},
        {"0010": us(16), "0011": us(12), "0050": us(1, 1), "0015": b"2147483647"},
        {"0010": us(16), "0011": us(12), "0050": us(1, 1), "0102": us(3), "0100": us(16)},
        {"0010": us(16), "0011": us(12), "0050": us(1, 1), "0102": us(65535)},
    ],
)
def test_hostile_overlays(judge: Judge, overlay: dict[str, bytes]) -> None:
    """In all groups, and on top of each other."""
    vrs = {"0015": b"IS", "0050": b"SS"}
    made = image()
    for group in range(0x6000, 0x6020, 2):
        for number, value in sorted(overlay.items()):
            vr = vrs.get(number, b"US")
            made = raw_value(made, group << 16 | int(number, 16), vr, value)
        made = raw_value(made, group << 16 | 0x3000, b"OW", b"\xff" * 24)
    judge.store([made.content], TAKEN)
    judge.look(made, rendered=(200, 406))


def test_curves_that_overlap(judge: Judge) -> None:
    made = image()
    for group in range(0x5000, 0x5020, 2):
        made = raw_value(made, group << 16 | 0x0005, b"US", us(65535))
        made = raw_value(made, group << 16 | 0x3000, b"OW", b"\xff\x7f" * 20)
    judge.store([made.content], TAKEN)
    judge.look(made, rendered=(200,))
