"""wsidicom 0.36, which reads whole slide images over DICOMweb, against the running server.

Two faults of its own are stepped around: uncompressed tiles have to be bytes, and come as
bytearray from dicomweb-client 0.61; and a transfer syntax that the server does not name as
available is tried only where the server names none.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from wsidicom import WsiDicom, WsiDicomWebClient

from tests.make.slides import slide_of, slide_pixels
from tests.running import RunningServer
from tests.web.asking import new_uid, store

LEVELS = 3
STORED = (ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit)
LARGEST = slide_pixels()

Slides = dict[str, tuple[str, str]]  # study and series by transfer syntax


class Client(WsiDicomWebClient):
    def get_frames(self, *args: Any, **more: Any) -> Iterator[bytes]:
        return map(bytes, super().get_frames(*args, **more))


class TryingClient(Client):
    def get_wsi_instances(self, *args: Any) -> Iterator[tuple[UID, UID, None]]:
        for series, instance, _ in super().get_wsi_instances(*args):
            yield series, instance, None


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    return Client(DICOMwebClient(server.base))


@pytest.fixture(scope="module")
def slides(http: httpx.Client) -> Slides:
    found = {}
    for syntax in STORED:
        uids = {"StudyInstanceUID": new_uid(), "SeriesInstanceUID": new_uid()}
        store(http, *slide_of(LEVELS, transfer_syntax=syntax, **uids))
        found[syntax] = uids["StudyInstanceUID"], uids["SeriesInstanceUID"]
    return found


def pixels_of(picture: Any) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("syntax", STORED)
def test_every_level_of_a_slide(client: Client, slides: Slides, syntax: str) -> None:
    exact = syntax != JPEGBaseline8Bit
    with WsiDicom.open_web(client, *slides[syntax]) as slide:
        assert [level.level for level in slide.levels] == list(range(LEVELS))
        for number in range(LEVELS):
            expected = slide_pixels(level=number).astype(int)
            rows, columns, _ = expected.shape
            assert (slide.levels[number].size.width, slide.levels[number].size.height) == (
                columns,
                rows,
            )
            whole = pixels_of(slide.read_region((0, 0), number, (columns, rows)))
            assert np.abs(whole - expected).mean() <= (0 if exact else 8)
        # A region across four tiles, and a tile at the edge.
        some = pixels_of(slide.read_region((50, 40), 0, (40, 50)))
        expected = LARGEST[40:90, 50:90].astype(int)
        assert np.abs(some - expected).mean() <= (0 if exact else 8)
        tile = pixels_of(slide.read_tile(0, (4, 3)))
        assert np.abs(tile[:8, :44] - LARGEST[192:200, 256:300]).mean() <= (0 if exact else 8)


@pytest.mark.parametrize("asked", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("stored", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_tiles_are_encoded_as_they_are_asked_for(
    server: RunningServer, slides: Slides, stored: str, asked: str
) -> None:
    client = TryingClient(DICOMwebClient(server.base))
    with WsiDicom.open_web(client, *slides[stored], requested_transfer_syntax=asked) as slide:
        assert slide.levels[0].default_instance.image_data.transfer_syntax == asked
        whole = pixels_of(slide.read_region((0, 0), 0, (300, 200)))
        assert np.array_equal(whole, LARGEST)


def test_levels_in_several_series(client: Client, http: httpx.Client) -> None:
    """It asks for 0020000E=…&0020000E=…, each series by itself."""
    study, series = new_uid(), [new_uid(), new_uid()]
    for uid, file in zip(series, slide_of(2), strict=True):
        level = dcmread(BytesIO(file))
        level.StudyInstanceUID, level.SeriesInstanceUID = study, uid
        level.SOPInstanceUID = level.file_meta.MediaStorageSOPInstanceUID = new_uid()
        out = BytesIO()
        level.save_as(out)
        store(http, out.getvalue())
    with WsiDicom.open_web(client, study, series) as slide:
        assert len(slide.levels) == 2
        assert np.array_equal(pixels_of(slide.read_region((0, 0), 0, (300, 200))), LARGEST)
