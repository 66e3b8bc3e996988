"""Frames that promise more than they hold are refused, and memory stays where it was.

Each is decoded in a process of its own whose address space may grow by 200 MiB: a decoder that
took memory for what is promised would fail in another way than it should.
"""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest

from dicomweb_server.dicom.pixels import decode_frame, image_pixel
from dicomweb_server.errors import UndecodablePixels
from tests.dicom.test_pixels import attributes

RLE, DEFLATED_FRAME = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
ARC = "1.2.840.10008.1.2.4."
GREY = (np.arange(40 * 30).reshape(40, 30) % 251).astype(np.uint8)

SIDE = 30_000  # 900 MB in bytes of 8 bits: within what a frame may have
HUGE = 60_000  # 3.6 GB


def sof_of(marker: int) -> Callable[[bytes, int], bytes]:
    """Forges rows and columns in a JPEG frame header."""

    def forge(frame: bytes, side: int) -> bytes:
        at = frame.index(bytes([0xFF, marker])) + 5
        return frame[:at] + struct.pack(">HH", side, side) + frame[at + 4 :]

    return forge


def siz(frame: bytes, side: int) -> bytes:
    """Forges the picture and tile sizes of a JPEG 2000 header."""
    head = struct.pack(">8I", side, side, 0, 0, side, side, 0, 0)
    return frame[:8] + head + frame[40:]


def size_header(frame: bytes, side: int) -> bytes:
    """A JPEG XL stream that begins with this size."""
    bits, length = 0, 0
    for value, count in ((0, 1), (2, 2), (side - 1, 18), (1, 3)):
        bits |= value << length
        length += count
    return b"\xff\x0a" + (bits | 1 << length).to_bytes(4, "little") + frame[6:]


FORGED: dict[str, tuple[bytes, Callable[[bytes, int], bytes]]] = {
    "50": (bytes(imagecodecs.jpeg8_encode(GREY)), sof_of(0xC0)),
    "51": (
        bytes(imagecodecs.jpeg8_encode(GREY.astype(np.uint16), bitspersample=12)),
        sof_of(0xC1),
    ),
    "57": (bytes(imagecodecs.ljpeg_encode(GREY)), sof_of(0xC3)),
    "70": (bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1)), sof_of(0xC3)),
    "80": (bytes(imagecodecs.jpegls_encode(GREY)), sof_of(0xF7)),
    "81": (bytes(imagecodecs.jpegls_encode(GREY, level=2)), sof_of(0xF7)),
    "90": (bytes(imagecodecs.jpeg2k_encode(GREY, codecformat="J2K")), siz),
    "91": (bytes(imagecodecs.jpeg2k_encode(GREY, 80, codecformat="J2K")), siz),
    "110": (bytes(imagecodecs.jpegxl_encode(GREY, lossless=True)), size_header),
    "201": (bytes(imagecodecs.htj2k_encode(GREY)), siz),
    "202": (bytes(imagecodecs.htj2k_encode(GREY, tlm=True)), siz),
    "203": (bytes(imagecodecs.htj2k_encode(GREY, level=0.01, reversible=False)), siz),
}

DECODE = """
import resource, sys
import imagecodecs, numpy, openjpeg.utils
from dicomweb_server.dicom.pixels import decode_frame, image_pixel
from dicomweb_server.errors import UndecodablePixels
for codec in ("jpeg8", "jpegls", "jpeg2k", "jpegxl", "htj2k", "packbits"):
    getattr(imagecodecs, codec + "_decode")
syntax, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
values = {"00280010": rows, "00280011": columns, "00280100": 16 if syntax.endswith(".51") else 8}
image = image_pixel({tag: {"Value": [value]} for tag, value in values.items()})
frame = sys.stdin.buffer.read()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    decode_frame(frame, image, syntax)
except UndecodablePixels as refusal:
    print(refusal)
"""


def refusal_in_little_memory(frame: bytes, syntax: str, rows: int, columns: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", DECODE, syntax, str(rows), str(columns)],
        input=frame,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("arc", FORGED)
def test_a_forged_header_beside_forged_attributes(arc: str) -> None:
    """Both promise 900 million pixels, which is allowed; a few hundred bytes cannot hold them."""
    frame, forge = FORGED[arc]
    side = SIDE // 2 if arc == "51" else SIDE  # two bytes a pixel

    refusal = refusal_in_little_memory(forge(frame, side), ARC + arc, side, side)

    assert f"bytes do not hold {side} x {side} pixels" in refusal


@pytest.mark.parametrize("arc", FORGED)
def test_a_forged_header_alone(arc: str) -> None:
    frame, forge = FORGED[arc]
    told = attributes(rows=40, columns=30, allocated=16 if arc == "51" else 8)

    with pytest.raises(UndecodablePixels, match=f"holds {HUGE} x {HUGE} pixels, the image has 40"):
        decode_frame(forge(frame, HUGE), image_pixel(told), ARC + arc)


def test_forged_attributes_alone() -> None:
    """60,000 x 60,000 pixels are more than a frame may have, whatever its code stream says."""
    with pytest.raises(UndecodablePixels, match="larger than 1 GiB"):
        image_pixel(attributes(rows=HUGE, columns=HUGE, allocated=8))


def rle_of(*segments: bytes) -> bytes:
    offsets = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    header = [len(segments), *offsets, *[0] * (15 - len(segments))]
    return struct.pack("<16I", *header) + b"".join(segments)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rle_that_promises_too_much() -> None:
    refusal = refusal_in_little_memory(rle_of(b"\x81\x07" * 100), RLE, SIDE, SIDE)

    assert "shorter than the image's size asks for" in refusal


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rle_that_holds_too_much() -> None:
    """10 MB that would unpack to 640 MB, for a frame of 1,200 pixels."""
    refusal = refusal_in_little_memory(rle_of(b"\x81\x07" * 5_000_000), RLE, 40, 30)

    assert "damaged" in refusal


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_deflated_frame_that_promises_too_much() -> None:
    stream = zlib.compressobj(wbits=-15)
    frame = stream.compress(bytes(1200)) + stream.flush()

    refusal = refusal_in_little_memory(frame, DEFLATED_FRAME, SIDE, SIDE)

    assert "do not inflate" in refusal


def test_more_tiles_than_an_image_has() -> None:
    """A decoder takes kilobytes for each: 1,200 of one pixel here, 65,535 elsewhere."""
    frame = bytearray(FORGED["90"][0])
    frame[24:32] = struct.pack(">II", 1, 1)

    with pytest.raises(UndecodablePixels, match="1200 tiles"):
        decode_frame(bytes(frame), image_pixel(attributes(GREY)), ARC + "90")
    frame[24:32] = bytes(8)
    with pytest.raises(UndecodablePixels, match="without a size"):
        decode_frame(bytes(frame), image_pixel(attributes(GREY)), ARC + "90")


@pytest.mark.parametrize(
    ("at", "values"),
    [
        (32, (0xFFFFFFFF, 0)),  # a decoder was busy for a quarter of a minute with such tiles
        (32, (0, 1)),
        (8, (130, 140, 100, 100, 50, 50, 0, 0)),
    ],
)
def test_tiles_that_do_not_begin_at_the_image(at: int, values: tuple[int, ...]) -> None:
    """The first tile holds the image's first pixel (ISO/IEC 15444-1 B.3)."""
    frame = bytearray(FORGED["90"][0])
    frame[at : at + 4 * len(values)] = struct.pack(f">{len(values)}I", *values)

    with pytest.raises(UndecodablePixels, match="outside the image"):
        decode_frame(bytes(frame), image_pixel(attributes(GREY)), ARC + "90")


def test_components_that_are_not_alike() -> None:
    colour = bytearray(
        imagecodecs.jpeg2k_encode(np.zeros((40, 30, 3), np.uint8), codecformat="J2K")
    )
    image = image_pixel(attributes(np.zeros((40, 30, 3), np.uint8)))
    for at, value in ((45, 37), (46, 2), (50, 2)):
        forged = colour.copy()
        forged[at] = value
        with pytest.raises(UndecodablePixels, match="several depths or sizes"):
            decode_frame(bytes(forged), image, ARC + "90")


@pytest.mark.parametrize("shape", [(3, 40, 30), (40, 30, 4)])
def test_jpeg_xl_of_more_than_one_picture(shape: tuple[int, ...]) -> None:
    """Animations and further channels: an image has neither."""
    frame = bytes(imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True))

    with pytest.raises(UndecodablePixels, match="more than one picture"):
        decode_frame(frame, image_pixel(attributes(GREY)), ARC + "110")


def test_large_frames_that_are_nearly_blank_are_decoded() -> None:
    """The bounds are far from what encoders make of 16 million pixels of one value."""
    blank = np.zeros((4096, 4096), np.uint8)
    image = image_pixel(attributes(blank))
    for arc, encode in (
        ("50", imagecodecs.jpeg8_encode),
        ("80", imagecodecs.jpegls_encode),
        ("201", imagecodecs.htj2k_encode),
    ):
        frame = bytes(encode(blank))
        assert len(frame) < 200_000
        assert np.array_equal(decode_frame(frame, image, ARC + arc).array, blank)
