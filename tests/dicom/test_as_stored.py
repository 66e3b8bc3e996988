"""Stored baseline JPEG that is a rendering as it is (PS3.18 §8.3.5.1.2, digest 3.3.5)."""

from io import BytesIO

import numpy as np
import orjson
import pytest
from PIL import Image

from dicomweb_server.dicom.images import picture
from dicomweb_server.dicom.viewing import RenderOptions
from tests.dicom.still_images import still_images

BASELINE = "1.2.840.10008.1.2.4.50"
GREY = np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)
IDENTITY = {"00281050": [127.5], "00281051": [255], "00281056": ["LINEAR_EXACT"]}


def jpeg(array, **how):
    file = BytesIO()
    Image.fromarray(array).save(file, "JPEG", **how)
    return file.getvalue()


def metadata(array, interpretation, **more):
    found = {
        "00280002": [1 if array.ndim == 2 else 3],
        "00280004": [interpretation],
        "00280006": [0],
        "00280010": [array.shape[0]],
        "00280011": [array.shape[1]],
        "00280100": [8],
        "00280101": [8],
        "00280102": [7],
        "00280103": [0],
        **more,
    }
    return orjson.dumps({tag: {"vr": "UN", "Value": value} for tag, value in found.items()})


def made(stream, array, interpretation, *, as_stored=True, **more):
    return picture(
        metadata(array, interpretation, **more),
        stream,
        BASELINE,
        1,
        RenderOptions(),
        "image/jpeg",
        as_stored=as_stored,
    )


@pytest.mark.parametrize("interpretation", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_colours_that_the_stream_tells_go_as_they_are(interpretation):
    stream = jpeg(COLOUR)
    assert made(stream, COLOUR, interpretation) == stream
    assert made(stream, COLOUR, interpretation, as_stored=False) != stream


def test_rgb_that_says_so_goes_as_it_is():
    stream = jpeg(COLOUR, keep_rgb=True)
    assert made(stream, COLOUR, "RGB") == stream


def test_rgb_that_browsers_take_for_ycbcr_does_not():
    """Trap 37: an RGB stream without JFIF or Adobe marker, and with the components of YCbCr."""
    stream = bytearray(jpeg(COLOUR, subsampling="4:4:4"))
    at = stream.index(b"\xff\xe0")
    del stream[at : at + 2 + int.from_bytes(stream[at + 2 : at + 4])]
    assert made(bytes(stream), COLOUR, "RGB") != stream
    assert made(bytes(stream), COLOUR, "YBR_FULL") == stream


def test_grey_values_that_are_shown_as_themselves_go_as_they_are():
    stream = jpeg(GREY)
    assert made(stream, GREY, "MONOCHROME2", **IDENTITY) == stream


@pytest.mark.parametrize(
    ("interpretation", "more"),
    [
        ("MONOCHROME2", {}),  # shown from the least to the greatest value of the frame
        ("MONOCHROME1", IDENTITY),
        ("MONOCHROME2", IDENTITY | {"20500020": ["INVERSE"]}),
        ("MONOCHROME2", IDENTITY | {"00281053": [2]}),
        ("MONOCHROME2", IDENTITY | {"00281051": [100]}),
        ("MONOCHROME2", IDENTITY | {"00280120": [3]}),
        ("MONOCHROME2", IDENTITY | {"00280101": [7], "00280102": [6]}),
        ("PALETTE COLOR", IDENTITY),
    ],
)
def test_grey_values_that_are_changed_do_not(interpretation, more):
    stream = jpeg(GREY)
    assert made(stream, GREY, interpretation, **more) != stream


def test_browsers_turn_what_exif_says_is_turned():
    """DICOM has the pixels as they are (PS3.5 §8.2.1), whatever Orientation Exif tells."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    Image.fromarray(COLOUR).save(file, "JPEG", exif=exif)

    sent = made(file.getvalue(), COLOUR, "YBR_FULL_422")

    assert sent != file.getvalue()
    assert not Image.open(BytesIO(sent)).getexif()


def test_a_progressive_stream_is_made_baseline():
    stream = jpeg(COLOUR, progressive=True)
    sent = made(stream, COLOUR, "YBR_FULL_422")
    assert b"\xff\xc2" in stream
    assert b"\xff\xc2" not in sent


def test_real_streams_that_go_as_they_are_look_as_if_they_were_rendered():
    """By another decoder, which knows nothing of DICOM: a browser sees what it is to see."""
    seen = 0
    for still in still_images():
        if still.transfer_syntax_uid != BASELINE:
            continue
        of = still.description.metadata, still.frame(1), BASELINE, 1, RenderOptions()
        sent = picture(*of, "image/jpeg", as_stored=True)
        if sent != still.frame(1):
            continue
        seen += 1
        browser, ours = (
            np.asarray(Image.open(BytesIO(file)).convert("RGB")).astype(int)
            for file in (sent, picture(*of, "image/png"))
        )
        assert np.abs(browser - ours).max() <= 1, still.path.name
    assert seen > 8
