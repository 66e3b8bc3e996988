"""Grayscale presentation states as DCMTK's dcmp2pgm shows them: within one grey level. It knows
neither shutters, graphics nor displayed areas."""

import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicomweb_server.dicom.pixels import decode_frame, image_pixel
from dicomweb_server.dicom.presentation_state import present
from dicomweb_server.dicom.rendering import RenderOptions
from tests.dicom.shown import json_of
from tests.dicom.test_dcm2json import DICTIONARY
from tests.dicom.test_presentation_state import lut
from tests.make import small_image
from tests.make.files import ABSENT, part10
from tests.make.states import item, state_attributes

if shutil.which("dcmp2pgm") is None:
    pytest.skip("dcmp2pgm is not installed: apt-get install dcmtk", allow_module_level=True)

NUMBERED = {"InstanceNumber": "1", "SeriesNumber": "1", "StudyID": "1"}
WINDOW = {"SoftcopyVOILUTSequence": [item(WindowCenter="1000", WindowWidth="1500")]}
HU = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU"}


@pytest.mark.parametrize(
    ("bits", "signed", "state"),
    [
        (12, False, {}),
        (8, False, {}),
        (12, False, WINDOW),
        (12, False, HU | WINDOW),
        (16, True, HU | WINDOW | {"PresentationLUTShape": "INVERSE"}),
        (12, True, {"PresentationLUTShape": "INVERSE"}),
        (12, False, {"SoftcopyVOILUTSequence": [
            item(VOILUTSequence=[lut(100, 12, list(range(0, 3000, 3)))])
        ]}),
        (8, False, {"ModalityLUTSequence": [lut(0, 12, list(range(0, 4096, 16)))]}),
        (12, False, {"PresentationLUTShape": ABSENT, "PresentationLUTSequence": [
            lut(0, 12, [n * n // 4096 for n in range(4096)])
        ]}),
        (8, False, {"ImageRotation": 90, "ImageHorizontalFlip": "N"}),
        (8, False, {"ImageRotation": 270, "ImageHorizontalFlip": "Y"}),
    ],
)  # fmt: skip
def test_dcmp2pgm_shows_the_same(
    tmp_path: Path, bits: int, signed: bool, state: dict[str, Any]
) -> None:
    image = small_image(bits=bits, signed=signed, rows=60, columns=50, **NUMBERED)
    dataset = dcmread(BytesIO(image))
    attributes = state_attributes(dataset, **(NUMBERED | state))
    files = [tmp_path / name for name in ("state.dcm", "image.dcm", "picture.pgm")]
    files[0].write_bytes(part10(attributes))
    files[1].write_bytes(image)
    subprocess.run(["dcmp2pgm", "-p", *map(str, files)], env=os.environ | DICTIONARY, check=True)
    theirs = np.asarray(Image.open(files[2])).astype(int)

    found = json_of(dataset)
    pixel = image_pixel(found)
    decoded = decode_frame(dataset.PixelData, pixel, dataset.file_meta.TransferSyntaxUID)
    ours = present(decoded, pixel, found, 1, json_of(attributes), RenderOptions())

    assert ours.shape == theirs.shape
    assert abs(ours - theirs).max() <= 1
