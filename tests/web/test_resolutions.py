"""HTJ2K in RPCL order: the beginning of a frame is the picture in a lower resolution (PS3.5
§10.18), and a viewer that asks for it with Range reads no more."""

from collections.abc import Iterator
from io import BytesIO
from itertools import accumulate

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLosslessRPCL, JPEG2000Lossless

from tests.make import small_image
from tests.web.asking import DICOM, new_uid, path_of, store
from tests.web.test_transcoded import ask, uids

RPCL = f"image/jphc; transfer-syntax={HTJ2KLosslessRPCL}"
FIRST = 200  # bytes, which hold the main header
SHAPES = {
    "grey": {"bits": 12, "rows": 700, "columns": 500},
    "colour": {"photometric": "RGB", "bits": 8, "rows": 300, "columns": 200},
}


@pytest.fixture(scope="module", params=["stored", "native", "of JPEG 2000"])
def kind(request: pytest.FixtureRequest) -> str:
    named: str = request.param
    return named


@pytest.fixture(scope="module", params=SHAPES)
def image(http: httpx.Client, kind: str, request: pytest.FixtureRequest) -> Iterator[Dataset]:
    """An image that is stored in RPCL order, or is encoded in it as it is asked for."""
    syntax = JPEG2000Lossless if kind == "of JPEG 2000" else ExplicitVRLittleEndian
    [dataset] = store(http, small_image(**SHAPES[request.param], transfer_syntax=syntax, **uids()))
    if kind == "stored":
        answer = ask(http, path_of(dataset), f"{DICOM}; transfer-syntax={HTJ2KLosslessRPCL}")
        coded = dcmread(BytesIO(answer.content))
        coded.SOPInstanceUID = coded.file_meta.MediaStorageSOPInstanceUID = new_uid()
        out = BytesIO()
        coded.save_as(out)
        [dataset] = store(http, out.getvalue())
    yield dataset


def resolution_ends(beginning: bytes) -> list[int]:
    """Where each resolution ends, lowest first, by the TLM segment of the main header (ISO/IEC
    15444-1 A.7.1), as a client reads it."""
    at = beginning.index(b"\xff\x55")
    length, sizes = int.from_bytes(beginning[at + 2 : at + 4]), beginning[at + 5]
    index, size = sizes >> 4 & 3, 4 if sizes >> 6 & 1 else 2
    entries = beginning[at + 6 : at + 2 + length]
    lengths = [
        int.from_bytes(entries[place + index : place + index + size])
        for place in range(0, len(entries), index + size)
    ]
    return list(accumulate(lengths, initial=beginning.index(b"\xff\x90")))[1:]


def test_each_resolution_is_a_prefix(http: httpx.Client, image: Dataset) -> None:
    path = f"{path_of(image)}/frames/1"
    begun = ask(http, path, RPCL, Range=f"bytes=0-{FIRST - 1}")
    assert begun.status_code == 206
    assert begun.headers["content-type"] == RPCL
    total = int(begun.headers["content-range"].rpartition("/")[2])
    ends = resolution_ends(begun.content)
    levels = len(ends) - 1
    assert -(-max(image.Rows, image.Columns) >> levels) <= 64
    assert ends[-1] in (total, total - 2)  # before the end of codestream

    whole = ask(http, path, RPCL).content
    assert len(whole) == total
    code = begun.content
    for resolution, end in enumerate(ends):
        if end > len(code):
            more = {"Range": f"bytes={len(code)}-{end - 1}", "If-Range": begun.headers["etag"]}
            answer = ask(http, path, RPCL, **more)
            assert answer.status_code == 206
            code += answer.content
        skipped = levels - resolution
        found = imagecodecs.htj2k_decode(code[:end] + b"\xff\xd9", skipres=skipped)
        assert found.shape[:2] == (-(-image.Rows >> skipped), -(-image.Columns >> skipped))
        assert np.array_equal(found, imagecodecs.htj2k_decode(whole, skipres=skipped))
    assert code + b"\xff\xd9" == whole or code == whole
    assert ends[0] < total // 20
