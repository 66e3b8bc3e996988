"""The PyPI dicomweb-client asking for compressed, encoded and rendered media, and bulk data."""

from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import (
    MPEG2MPML,
    MPEG4HP41,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.make import ct_instance, encapsulated_pdf, pdf, small_image, small_pixels
from tests.running import RunningServer
from tests.web.asking import new_uid, store

FRAMES = 3
SHAPE: dict[str, Any] = {"bits": 12, "frames": FRAMES, "rows": 9, "columns": 7}
NATIVE = ("application/octet-stream", str(ExplicitVRLittleEndian))
# What the client knows to ask for frames in; its names for JPEG-LS and RLE are those of old, too.
ENCODED = [
    ("image/jls", JPEGLSLossless),
    ("image/x-jls", JPEGLSLossless),
    ("image/jp2", JPEG2000Lossless),
    ("image/jpeg", JPEGLosslessSV1),
    ("image/dicom-rle", RLELossless),
    ("image/x-dicom-rle", RLELossless),
]


def fresh() -> dict[str, str]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {name: new_uid() for name in names}


def uids(dataset: Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


@pytest.fixture(scope="module")
def client(server: RunningServer) -> DICOMwebClient:
    return DICOMwebClient(server.base)


@pytest.fixture(scope="module")
def images(http: httpx.Client) -> dict[str, Dataset]:
    """The same frames, stored in two ways."""
    syntaxes = (ImplicitVRLittleEndian, JPEGLSLossless)
    files = [small_image(**SHAPE, transfer_syntax=syntax, **fresh()) for syntax in syntaxes]
    return dict(zip(syntaxes, store(http, *files), strict=True))


@pytest.mark.parametrize("stored", [ImplicitVRLittleEndian, JPEGLSLossless])
@pytest.mark.parametrize(("media_type", "syntax"), ENCODED)
def test_frames_in_every_type_that_it_knows(
    client: DICOMwebClient, images: dict[str, Dataset], stored: str, media_type: str, syntax: str
) -> None:
    image, numbers = images[stored], [3, 1]
    asked = ((media_type, syntax),)
    found = client.retrieve_instance_frames(*uids(image), numbers, media_types=asked)
    assert found == list(client.iter_instance_frames(*uids(image), numbers, media_types=asked))
    alone = dcmread(BytesIO(small_image(**{**SHAPE, "frames": 2})))
    alone.file_meta.TransferSyntaxUID = syntax
    alone.PixelData = encapsulate([bytes(frame) for frame in found])
    assert np.array_equal(pixel_array(alone, raw=True), small_pixels(**SHAPE)[[2, 0]])


@pytest.mark.parametrize("stored", [ImplicitVRLittleEndian, JPEGLSLossless])
@pytest.mark.parametrize("asked", [None, (NATIVE,), ("application/octet-stream",)])
def test_frames_decoded(
    client: DICOMwebClient, images: dict[str, Dataset], stored: str, asked: Any
) -> None:
    found = client.retrieve_instance_frames(*uids(images[stored]), [2, 3], media_types=asked)
    assert found == [frame.tobytes() for frame in small_pixels(**SHAPE)[1:]]


@pytest.mark.parametrize("asked", [JPEGLSLossless, JPEG2000Lossless, RLELossless, "*"])
def test_instances_in_every_syntax(
    client: DICOMwebClient, images: dict[str, Dataset], asked: str
) -> None:
    types = (("application/dicom", asked),)
    for stored, image in images.items():
        for found in (
            client.retrieve_instance(*uids(image), media_types=types),
            *client.retrieve_series(*uids(image)[:2], media_types=types),
            *client.iter_study(uids(image)[0], media_types=types),
        ):
            as_stored = JPEGLSLossless if stored == JPEGLSLossless else ExplicitVRLittleEndian
            expected = as_stored if asked == "*" else asked
            assert found.file_meta.TransferSyntaxUID == expected
            assert np.array_equal(pixel_array(found, raw=True), small_pixels(**SHAPE))


def test_bulk_data_of_compressed_pixels(client: DICOMwebClient, images: dict[str, Dataset]) -> None:
    image = images[JPEGLSLossless]
    metadata = client.retrieve_instance_metadata(*uids(image))
    url = metadata["7FE00010"]["BulkDataURI"]
    streams = list(generate_frames(image.PixelData, number_of_frames=FRAMES))
    types = (("image/jls", str(JPEGLSLossless)),)
    for found in (
        client.retrieve_bulkdata(url, media_types=types),
        list(client.iter_bulkdata(url, media_types=types)),
    ):
        assert [part.rstrip(b"\0") for part in found] == [part.rstrip(b"\0") for part in streams]
    whole = small_pixels(**SHAPE).tobytes()
    assert client.retrieve_bulkdata(url) == [whole]
    assert client.retrieve_bulkdata(url, media_types=(NATIVE,)) == [whole]
    # Parts are not cut (CCH-06): a range of a multipart answer is not honoured.
    assert client.retrieve_bulkdata(url, byte_range=(2, 9)) == [whole]


def test_all_that_metadata_refer_to(client: DICOMwebClient, http: httpx.Client) -> None:
    """Metadata and bulk data are the whole instance again, read as pydicom's users do."""
    [stored] = store(http, ct_instance(**ct_uids(), rows=32, columns=32))
    metadata = client.retrieve_instance_metadata(*uids(stored))

    def value(tag: str, vr: str, uri: str) -> bytes:
        return bytes(client.retrieve_bulkdata(uri)[0])

    found = Dataset.from_json(metadata, bulk_data_uri_handler=value)
    del found.AvailableTransferSyntaxUID  # JSON-40: told, not stored
    assert found.PixelData == stored.PixelData
    keep = [element for element in stored if element.tag.group != 2]
    assert [element.tag for element in found] == [element.tag for element in keep]
    for element in keep:
        if element.VR not in ("SQ", "DS", "FL", "FD") and element.keyword != "SpecificCharacterSet":
            assert found[element.tag].value == element.value or not element.value, element


def ct_uids() -> dict[str, str]:
    return {"study_uid": new_uid(), "series_uid": new_uid(), "sop_uid": new_uid()}


@pytest.mark.parametrize(
    ("asked", "kind"),
    [(("image/jpeg",), "JPEG"), (("image/png",), "PNG"), (("image/gif",), "GIF"), (None, "JPEG")],
)
def test_pictures(
    client: DICOMwebClient, images: dict[str, Dataset], asked: Any, kind: str
) -> None:
    image = images[JPEGLSLossless]
    params = {"viewport": "14,18", "window": "2048,4096,linear"}
    for picture in (
        client.retrieve_instance_rendered(*uids(image), media_types=asked, params=params),
        client.retrieve_instance_frames_rendered(
            *uids(image), [2], media_types=asked, params=params
        ),
        client.retrieve_series_rendered(*uids(image)[:2], media_types=asked, params=params),
    ):
        made = Image.open(BytesIO(picture))
        assert (made.format, made.size) == (kind, (14, 18))


def video_of(syntax: str) -> bytes:
    dataset = dcmread(BytesIO(small_image(**fresh())))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([bytes(range(250)) * 4])
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("syntax", "media_type", "rendered"),
    [
        (MPEG4HP41, "video/mp4", "video/mp4"),
        (MPEG2MPML, "video/mpeg2", "video/mpeg"),  # the client's name for it in parts
    ],
)
def test_videos(
    client: DICOMwebClient, http: httpx.Client, syntax: str, media_type: str, rendered: str
) -> None:
    [stored] = store(http, video_of(syntax))
    stream = bytes(range(250)) * 4
    url = client.retrieve_instance_metadata(*uids(stored))["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(url, media_types=((media_type, syntax),)) == [stream]
    assert client.retrieve_instance_rendered(*uids(stored), media_types=(rendered,)) == stream


def test_documents(client: DICOMwebClient, http: httpx.Client) -> None:
    [stored] = store(http, encapsulated_pdf(**fresh()))
    asked = ("application/pdf",)
    assert client.retrieve_instance_rendered(*uids(stored), media_types=asked) == pdf()


def test_a_series_and_a_study_are_deleted(client: DICOMwebClient, http: httpx.Client) -> None:
    study = new_uid()
    files = [small_image(**fresh() | {"StudyInstanceUID": study}) for _ in range(3)]
    first, *_ = store(http, *files)
    client.delete_series(*uids(first)[:2])
    assert len(client.search_for_series(study)) == 2
    client.delete_study(study)
    assert client.search_for_series(search_filters={"StudyInstanceUID": study}) == []


def test_baseline_as_stored(client: DICOMwebClient, http: httpx.Client) -> None:
    shape = {"photometric": "YBR_FULL_422", "bits": 8, "columns": 8}
    [stored] = store(http, small_image(**shape, transfer_syntax=JPEGBaseline8Bit, **fresh()))
    asked = (("image/jpeg", str(JPEGBaseline8Bit)),)
    [frame] = client.retrieve_instance_frames(*uids(stored), [1], media_types=asked)
    assert frame.startswith(b"\xff\xd8")
    assert frame == next(generate_frames(stored.PixelData, number_of_frames=1)).rstrip(b"\0")
