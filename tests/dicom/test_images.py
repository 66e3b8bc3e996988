"""Pictures as files, thumbnails, icons, and the whole way from a stored frame to a picture."""

import time
from io import BytesIO

import imagecodecs
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dicomweb_server.dicom.boxes import boxes
from dicomweb_server.dicom.images import RENDERED_TYPES, encode, picture, thumbnail
from dicomweb_server.dicom.viewing import RenderOptions, Viewport, Window
from dicomweb_server.errors import NotAcceptable, UndecodablePixels
from tests.dicom.still_images import BUNDLED, read_still_image, still_images

GREY = np.add.outer(np.arange(60), np.arange(90)).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)


def opened(file):
    image = Image.open(BytesIO(file))
    image.load()
    return image


@pytest.mark.parametrize(
    ("media_type", "format_name", "near"),
    [
        ("image/jpeg", "JPEG", 4),
        ("image/png", "PNG", 0),
        ("image/gif", "GIF", 0),
        ("image/jp2", "JPEG2000", 8),
    ],
)
def test_grey_pictures(media_type, format_name, near):
    image = opened(encode(GREY, media_type))

    assert (image.format, image.size) == (format_name, (90, 60))
    assert len(image.getbands()) == 1
    assert np.abs(np.asarray(image.convert("L")).astype(int) - GREY).max() <= near


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif", "image/jp2"])
def test_colour_pictures(media_type):
    image = opened(encode(COLOUR, media_type)).convert("RGB")

    near = 0 if media_type == "image/png" else 12
    assert np.abs(np.asarray(image).astype(int) - COLOUR).mean() <= near


@pytest.mark.parametrize("quality", [1, 50, 90, 100])
def test_a_jpeg_is_baseline_and_huffman_coded(quality):
    """The default media type has to be what every browser and PS3.18 Table 8.7.4-1 means."""
    for array in (GREY, COLOUR):
        file = encode(array, "image/jpeg", quality)
        markers = {file[n + 1] for n in range(len(file) - 1) if file[n] == 0xFF}
        assert 0xC0 in markers  # baseline
        assert not markers & {0xC1, 0xC2, 0xC3, 0xC9, 0xCA}


@pytest.mark.parametrize("array", [GREY, COLOUR, GREY[:1, :1], COLOUR[:3, :1]])
@pytest.mark.parametrize("media_type", ["image/jp2", "image/jxl", "image/jph"])
def test_at_quality_100_nothing_is_lost(media_type, array):
    """Read by another decoder than wrote it, where there is one."""
    file = encode(array, media_type, 100)

    if media_type == "image/jxl":
        decoded = imagecodecs.jpegxl_decode(file)
    else:
        decoded = np.asarray(opened(file))
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("media_type", ["image/jp2", "image/jxl"])
def test_quality_tells_in_other_lossy_types(media_type):
    sizes = [len(encode(COLOUR, media_type, quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("quality", [1, 50, 90, 99])
def test_a_small_finding_in_an_empty_picture_stays_in_a_jp2(quality):
    """Its noise, measured over the whole picture, would be small without it."""
    array = np.zeros((512, 512), np.uint8)
    array[200, 300] = 255
    array[100:103, 100:200] = 40
    decoded = np.asarray(opened(encode(array, "image/jp2", quality))).astype(int)
    assert np.abs(decoded - array).max() <= 104 - quality
    assert decoded[200, 300] >= 151


@pytest.mark.parametrize("grey", [0, 77, 255])
@pytest.mark.parametrize("quality", [1, 90])
def test_an_even_picture_is_of_its_own_grey_in_a_jp2(grey, quality):
    for shape in ((23, 38), (32, 32), (48, 48)):
        decoded = np.asarray(opened(encode(np.full(shape, grey, np.uint8), "image/jp2", quality)))
        assert np.abs(decoded.astype(int) - grey).max() <= 1


@pytest.mark.parametrize(("media_type", "brand"), [("image/jp2", b"jp2 "), ("image/jph", b"jph ")])
def test_trap_10_jpeg_2000_comes_in_its_boxes(media_type, brand):
    file = encode(COLOUR, media_type)
    kinds = [box.kind for box in boxes(file, 0, len(file))]
    assert kinds == [b"jP  ", b"ftyp", b"jp2h", b"jp2c"]
    assert file[20:24] == brand


def test_quality_makes_a_jpeg_larger_and_nothing_else():
    assert len(encode(COLOUR, "image/jpeg", 10)) < len(encode(COLOUR, "image/jpeg", 95))
    assert encode(COLOUR, "image/png", 10) == encode(COLOUR, "image/png", 95)


@pytest.mark.parametrize("media_type", ["image/webp", "text/html", "", "image/*"])
def test_other_media_types_are_refused(media_type):
    assert media_type not in RENDERED_TYPES
    with pytest.raises(NotAcceptable):
        encode(GREY, media_type)


def test_a_picture_that_the_format_cannot_hold_is_refused():
    with pytest.raises(UndecodablePixels):
        encode(np.zeros((1, 70_000), np.uint8), "image/jpeg")


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300))
def test_a_thumbnail_is_small_and_keeps_its_shape(rows, columns, longest):
    small = thumbnail(np.zeros((rows, columns), np.uint8), longest)

    assert max(small.shape) == min(longest, max(rows, columns))
    assert min(small.shape) >= 1
    assert abs(small.shape[0] * columns - small.shape[1] * rows) <= max(rows, columns)


def test_a_thumbnail_is_not_made_larger():
    np.testing.assert_array_equal(thumbnail(COLOUR), COLOUR)


@pytest.mark.parametrize(
    ("tall", "shape"), [(2.0, (256, 128)), (0.25, (64, 256)), (1.0, (256, 256)), (100, (256, 3))]
)
def test_thb_04_a_thumbnail_has_square_pixels(tall, shape):
    assert thumbnail(np.zeros((512, 512), np.uint8), 256, tall).shape == shape


def test_thb_04_a_small_one_too():
    assert thumbnail(np.zeros((20, 30, 3), np.uint8), 256, 2).shape == (40, 30, 3)


def render_first(still, media_type="image/png", **more):
    return picture(
        still.description.metadata,
        still.frame(1),
        still.transfer_syntax_uid,
        1,
        more.pop("options", RenderOptions()),
        media_type,
        **more,
    )


def test_a_stored_frame_becomes_a_picture():
    still = read_still_image(BUNDLED / "CT_small.dcm")
    assert still is not None

    assert opened(render_first(still)).size == (128, 128)
    assert opened(render_first(still, longest=64)).size == (64, 64)
    assert opened(render_first(still, "image/jpeg", quality=50)).format == "JPEG"
    fitted = RenderOptions(Window(40, 400), Viewport(50, 20))
    assert opened(render_first(still, options=fitted)).size == (20, 20)


def test_the_marker_of_bulk_data_in_metadata_is_no_hindrance():
    still = read_still_image(BUNDLED / "CT_small.dcm")
    assert still is not None
    assert b"\x01" in still.description.metadata

    with_url = still.description.metadata.replace(b"\x01", b"https://example.org")
    assert render_first(still) == picture(
        with_url, still.frame(1), still.transfer_syntax_uid, 1, RenderOptions(), "image/png"
    )


def test_an_instance_without_image_attributes_is_refused():
    metadata = orjson.dumps({"00080060": {"vr": "CS", "Value": ["SR"]}})

    with pytest.raises(UndecodablePixels):
        picture(metadata, b"", "1.2.840.10008.1.2.1", 1, RenderOptions(), "image/jpeg")


def test_every_real_still_image_is_a_thumbnail_or_refused():
    made, refused = 0, []
    for still in still_images():
        try:
            image = opened(render_first(still, "image/jpeg", longest=64))
        except UndecodablePixels:
            refused.append(still.path.name)
            continue
        made += 1
        assert max(image.size) <= 64
    assert made > 60
    # No code streams in the first; a header that tells 3,722,445,056 columns in the second
    assert all(
        name.startswith("generated_encapsulated") or "embedded-sequence-delimiter" in name
        for name in refused
    ), refused


def test_a_large_gif_takes_a_moment_and_keeps_what_is_small() -> None:
    """Its colours are chosen of some of its pixels, and one of each kind."""
    rng = np.random.default_rng(0)
    array = np.repeat(rng.integers(0, 200, (1500, 1500, 1), dtype=np.uint8), 3, axis=2)
    array += rng.integers(0, 20, (1500, 1500, 3), dtype=np.uint8)
    array[701:704, 901:904] = 255, 0, 0
    began = time.process_time()

    made = np.asarray(Image.open(BytesIO(encode(array, "image/gif"))).convert("RGB"))

    assert time.process_time() - began < 2
    assert np.abs(made.astype(int) - array).mean() < 8
    assert np.abs(made[702, 902] - np.array([255, 0, 0])).max() < 9
