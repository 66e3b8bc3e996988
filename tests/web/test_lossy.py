"""JPEG Baseline where the operator allows it: for who names it, and told in every way (TS-06)."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)

from tests.make import small_image
from tests.running import RunningServer
from tests.web.asking import DICOM, assert_problem, parts_of, path_of, store
from tests.web.test_transcoded import ask, multi, uids

GREY: dict[str, Any] = {"bits": 8, "rows": 32, "columns": 32}
ASKED = f"{DICOM}; transfer-syntax={JPEGBaseline8Bit}"
JPEG = f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = {"LOSSY_QUALITY": "80"}
    with (
        RunningServer(tmp_path_factory.mktemp("lossy") / "data", settings) as running,
        httpx.Client(base_url=running.base, timeout=60) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def grey(lossy: httpx.Client) -> Dataset:
    [dataset] = store(lossy, small_image(**GREY, ImageType=["ORIGINAL", "PRIMARY"], **uids()))
    return dataset


def test_an_instance_is_another_one_and_says_so(lossy: httpx.Client, grey: Dataset) -> None:
    answer = ask(lossy, path_of(grey), ASKED)
    assert answer.headers["content-type"] == ASKED
    made = dcmread(BytesIO(answer.content))
    assert made.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID
    assert made.SOPInstanceUID != grey.SOPInstanceUID
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == grey.SOPInstanceUID
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == "ISO_10918_1"
    assert made.LossyImageCompressionRatio > 1
    assert list(made.ImageType) == ["DERIVED", "PRIMARY"]
    difference = np.abs(pixel_array(made).astype(int) - pixel_array(grey))
    assert 0 < difference.mean() < 15  # of noise
    again = ask(lossy, path_of(grey), ASKED)
    assert (again.content, again.headers["etag"]) == (answer.content, answer.headers["etag"])


def test_frames_and_pixel_data(lossy: httpx.Client) -> None:
    [dataset] = store(
        lossy,
        small_image(photometric="RGB", bits=8, rows=32, columns=32, frames=2, **uids(),
                    transfer_syntax=JPEG2000Lossless),
    )  # fmt: skip
    path = path_of(dataset)
    code = ask(lossy, f"{path}/frames/2", JPEG)
    assert code.headers["content-type"] == JPEG
    assert Image.open(BytesIO(code.content)).size == (32, 32)
    parts = parts_of(ask(lossy, f"{path}/pixeldata", multi("image/jpeg", JPEGBaseline8Bit)))
    assert [fields["Content-Type"] for fields, _ in parts] == [JPEG] * 2
    assert parts[1][1] == code.content


def test_nothing_is_lost_for_who_does_not_name_it(lossy: httpx.Client, grey: Dataset) -> None:
    path = path_of(grey)
    for accept, syntax in (
        (DICOM, ExplicitVRLittleEndian),
        (f"{DICOM}; transfer-syntax=*", ExplicitVRLittleEndian),
        (f"{ASKED};q=0.5, {DICOM}", ExplicitVRLittleEndian),
    ):
        assert syntax in ask(lossy, path, accept).headers["content-type"]
    frame = ask(lossy, f"{path}/frames/1", "image/jpeg")
    assert frame.headers["content-type"] == f"image/jpeg; transfer-syntax={JPEGLosslessSV1}"
    problem = assert_problem(ask(lossy, f"{path}/frames/1", "image/*"), 406)
    assert JPEG in problem["available"]


@pytest.mark.parametrize("other", [{"bits": 12}, {"bits": 8, "signed": True}, {"bits": 1}])
def test_what_it_does_not_hold_is_406(lossy: httpx.Client, other: dict[str, Any]) -> None:
    [dataset] = store(lossy, small_image(**other, **uids()))
    problem = assert_problem(ask(lossy, path_of(dataset), ASKED), 406)
    assert JPEGBaseline8Bit not in str(problem["available"])
    assert_problem(ask(lossy, f"{path_of(dataset)}/frames/1", JPEG), 406)


def test_a_series_goes_in_it_as_far_as_it_can(lossy: httpx.Client) -> None:
    same = {name: value for name, value in uids().items() if name != "SOPInstanceUID"}
    files = [
        small_image(**shape, **{**uids(), **same})
        for shape in (GREY, {"bits": 12, "rows": 9, "columns": 9})
    ]
    [dataset, _] = store(lossy, *files)
    accept = f"{multi(DICOM, JPEGBaseline8Bit)}, {multi(DICOM)};q=0.5"
    parts = parts_of(ask(lossy, path_of(dataset, 2), accept))
    kinds = {fields["Content-Type"].partition("transfer-syntax=")[2] for fields, _ in parts}
    assert kinds == {JPEGBaseline8Bit, ExplicitVRLittleEndian}
