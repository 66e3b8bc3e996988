"""Images of one bit a pixel, of a size that fills no byte, in every syntax that holds them.

Frames begin at bit 0 of a byte (WADO-05); in one value they follow each other without a gap
(PS3.5 §8.1.1), which is where slicing at bytes goes wrong (trap 35).
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import httpx
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tests.make import small_image, small_pixels
from tests.web.asking import DICOM, new_uid, parts_of, path_of, store

FRAMES, ROWS, COLUMNS = 3, 7, 9
PIXELS = small_pixels(bits=1, frames=FRAMES, rows=ROWS, columns=COLUMNS)
PACKED = [np.packbits(frame, bitorder="little").tobytes() for frame in PIXELS]
WHOLE = np.packbits(PIXELS, bitorder="little").tobytes()
OCTETS = "application/octet-stream"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"


def rle(packed: bytes) -> bytes:
    """One segment (PS3.5 Annex G)."""
    code = imagecodecs.packbits_encode(packed)
    return struct.pack("<16I", 1, 64, *[0] * 14) + code + b"\0" * (len(code) % 2)


def deflated(packed: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(packed) + deflate.flush()


def jpeg2000(frame: np.ndarray) -> bytes:
    options = {"level": 0, "codecformat": "j2k", "reversible": True}
    return bytes(imagecodecs.jpeg2k_encode(frame, bitspersample=1, **options))


def htj2k(frame: np.ndarray) -> bytes:
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True))


OF_PACKED: dict[str, Callable[[bytes], bytes]] = {
    RLELossless: rle,
    DEFLATED_IMAGE_FRAME: deflated,
}
OF_PIXELS: dict[str, Callable[[np.ndarray], bytes]] = {
    JPEG2000Lossless: jpeg2000,
    HTJ2KLossless: htj2k,
}
NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
STORED = [*NATIVE, *OF_PACKED, *OF_PIXELS]


def file_in(syntax: str) -> bytes:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    shape = {"bits": 1, "frames": FRAMES, "rows": ROWS, "columns": COLUMNS}
    uids = {name: new_uid() for name in names}
    if syntax in NATIVE:
        return small_image(**shape, transfer_syntax=syntax, **uids)
    dataset = dcmread(BytesIO(small_image(**shape, **uids)))
    if syntax in OF_PACKED:
        coded = [OF_PACKED[syntax](packed) for packed in PACKED]
    else:
        coded = [OF_PIXELS[syntax](frame) for frame in PIXELS]
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    known = RLELossless if syntax == DEFLATED_IMAGE_FRAME else syntax
    dataset.file_meta.TransferSyntaxUID = known
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue() if known == syntax else _renamed(out.getvalue(), known, syntax)


def _renamed(file: bytes, known: str, syntax: str) -> bytes:
    """The file in a transfer syntax that pydicom does not write."""
    former, later = (
        b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid) + len(uid) % 2) + uid.encode() + b"\0"
        for uid in (known, syntax)
    )
    [group_length] = struct.unpack_from("<I", file, 140)
    length = struct.pack("<I", group_length + len(later) - len(former))
    return (file[:140] + length + file[144:]).replace(former, later)


@pytest.fixture(scope="module")
def images(http: httpx.Client) -> dict[str, Dataset]:
    return dict(zip(STORED, store(http, *map(file_in, STORED)), strict=True))


each_syntax = pytest.mark.parametrize("syntax", STORED)


@each_syntax
def test_frames(http: httpx.Client, images: dict[str, Dataset], syntax: str) -> None:
    path = f"{path_of(images[syntax])}/frames"
    accept = {"Accept": f'multipart/related; type="{OCTETS}"'}
    parts = parts_of(http.get(f"{path}/3,1,2", headers=accept))
    assert [data for _, data in parts] == [PACKED[2], PACKED[0], PACKED[1]]
    one = http.get(f"{path}/2", headers={"Accept": OCTETS})
    assert one.content == PACKED[1]


@each_syntax
def test_the_whole_value(http: httpx.Client, images: dict[str, Dataset], syntax: str) -> None:
    for below in ("bulkdata/7FE00010", "pixeldata"):
        answer = http.get(f"{path_of(images[syntax])}/{below}", headers={"Accept": OCTETS})
        assert answer.content[: len(WHOLE)] == WHOLE
        assert answer.content[len(WHOLE) :] in (b"", b"\0")  # as it is padded in a file


@each_syntax
def test_the_file(http: httpx.Client, images: dict[str, Dataset], syntax: str) -> None:
    accept = {"Accept": f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"}
    made = dcmread(BytesIO(http.get(path_of(images[syntax]), headers=accept).content))
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert made.BitsAllocated == 1
    assert made.PixelData == WHOLE + b"\0" * (len(WHOLE) % 2)


@each_syntax
def test_the_picture(http: httpx.Client, images: dict[str, Dataset], syntax: str) -> None:
    accept = {"Accept": "image/png"}
    for number, frame in enumerate(PIXELS, 1):
        answer = http.get(f"{path_of(images[syntax])}/frames/{number}/rendered", headers=accept)
        assert np.array_equal(np.asarray(Image.open(BytesIO(answer.content))), frame * 255)
