"""What parts of compressed images are in DICOM: against real files and against encoders."""

import contextlib
import struct
from io import BytesIO
from mmap import ACCESS_READ, mmap

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import UID

from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.media import (
    DOCUMENT_TYPES,
    ENCAPSULATED_TYPES,
    Media,
    one_image,
    read_media,
)
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.dicom.transfer_syntaxes import OCTET_STREAM, media_type_of
from dicomweb_server.errors import MalformedContent, MalformedMedia, Refusal, UnsupportedMedia
from tests.dicom.still_images import still_images

ARC = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"

random = np.random.default_rng(1)
GREY8 = random.integers(0, 256, (24, 40), dtype=np.uint8)
GREY12 = random.integers(0, 4096, (24, 40), dtype=np.uint16)
SIGNED16 = random.integers(-(2**15), 2**15, (24, 40), dtype=np.int16)
RGB = random.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def read(media_type, data, claimed=None):
    """The Media of `data`, whose arc is all that is left of its transfer syntax."""
    uid = ARC + claimed if claimed else None
    media = read_media(media_type, bytes(data), uid)
    assert 0 <= media.start < media.end <= len(data)
    return media


def arc(media):
    return media.transfer_syntax_uid.removeprefix(ARC)


def pixels_of(media):
    return (
        media.rows,
        media.columns,
        media.samples_per_pixel,
        media.bits_allocated,
        media.bits_stored,
        media.high_bit,
        media.pixel_representation,
    )


# --- real files -------------------------------------------------------------------------------

ATTRIBUTES = (
    "rows",
    "columns",
    "samples_per_pixel",
    "photometric_interpretation",
    "bits_allocated",
    "bits_stored",
    "high_bit",
    "pixel_representation",
)

# Where the attributes of a file say other than its code stream, and why the stream is right.
FAULTS = {
    # Bits Stored is 14 in one and 16 in the other, the streams have 16 and 14: exchanged
    "693_J2KI.dcm": {"bits_stored": 16, "high_bit": 15},
    "693_J2KR.dcm": {"bits_stored": 14, "high_bit": 13},
    # Made to have the wrong sign
    "J2K_pixelrep_mismatch.dcm": {"pixel_representation": 0},
    # Coded as RGB without a word of it: any decoder that is not told shows false colours
    "SC_jpeg_no_color_transform.dcm": {"photometric_interpretation": "YBR_FULL"},
    # Says RGB, as decoders give it; the stream is marked JFIF
    "SC_rgb_jpeg.dcm": {"photometric_interpretation": "YBR_FULL"},
    # Chroma is shared, which YBR_FULL denies, or it is not, which YBR_FULL_422 claims
    "SC_rgb_dcmtk_+eb+cy+n1.dcm": {"photometric_interpretation": "YBR_FULL_422"},
    "SC_rgb_dcmtk_+eb+cy+n2.dcm": {"photometric_interpretation": "YBR_FULL_422"},
    "SC_rgb_jpeg_lossy_gdcm.dcm": {"photometric_interpretation": "YBR_FULL_422"},
    "image1.dcm": {"photometric_interpretation": "YBR_FULL"},
    # Values of 12 bits coded as 16
    "emri_small_jpeg_2k_lossless.dcm": {"bits_stored": 16, "high_bit": 15},
    "emri_small_jpeg_ls_lossless.dcm": {"bits_stored": 16, "high_bit": 15},
    # One bit: in cells of one bit in a segmentation, of 8 for all that this module knows
    "liver_j2k.dcm": {"bits_allocated": 8},
    "liver_nonbyte_aligned_j2k.dcm": {"bits_allocated": 8},
}
# A header overwritten with a sequence delimiter, which makes the image 4 billion pixels wide
FORGED = {"JPEG2000-embedded-sequence-delimiter.dcm"}
# Bytes after the End Of Image that are no padding to an even length
PADDING = {"jpeg_baseline_8bit.dcm": 5}
# A JP2 file where a bare stream should be
WRAPPED = {"GDCMJ2K_TextGBR.dcm"}


def compressed_images():
    for image in still_images():
        media_type = media_type_of(image.transfer_syntax_uid)
        if media_type != OCTET_STREAM:
            yield image, media_type


def expected_of(image):
    pixels = image_pixel(image.dataset)
    expected = {name: getattr(pixels, name) for name in ATTRIBUTES}
    if pixels.samples_per_pixel == 1:
        # No stream tells an inverted or a pseudo-coloured image from another
        expected["photometric_interpretation"] = "MONOCHROME2"
    if media_type_of(image.transfer_syntax_uid) in ("image/jpeg", "image/jls"):
        expected["pixel_representation"] = 0  # these streams know no sign
    return expected | FAULTS.get(image.path.name, {})


def test_frames_of_real_files_are_of_their_transfer_syntax_and_attributes():
    seen = 0
    for image, media_type in compressed_images():
        frame = image.frame(1)
        if image.path.name in FORGED:
            with pytest.raises(UnsupportedMedia):
                read_media(media_type, frame)
            continue
        media = read_media(media_type, frame, image.transfer_syntax_uid)

        assert media.transfer_syntax_uid == image.transfer_syntax_uid, image.path
        assert (media.start == 0) is (image.path.name not in WRAPPED)
        assert len(frame) - media.end <= PADDING.get(image.path.name, 1), image.path
        if media_type == "image/dicom-rle":
            assert media.rows is None
        else:
            found = {name: getattr(media, name) for name in ATTRIBUTES}
            assert found == expected_of(image), image.path
        seen += 1
    assert seen > 30


def test_only_lossless_streams_are_taken_as_lossless():
    """By the transfer syntax that the file has; two name a lossy one and lose nothing."""
    lossless_by_stream = {"693_J2KI.dcm", "SC_rgb_gdcm_KY.dcm"}
    lossless_arcs = {"57", "70", "80", "90", "92", "110", "201", "202"}
    for image, media_type in compressed_images():
        if image.path.name in FORGED:
            continue
        media = read_media(media_type, image.frame(1))
        lossless = media.transfer_syntax_uid == RLE or arc(media) in lossless_arcs
        assert media.lossy is not lossless, image.path
        assert (media.lossy_method is None) is lossless
        same = media.transfer_syntax_uid == image.transfer_syntax_uid
        assert same is (image.path.name not in lossless_by_stream), image.path


# --- JPEG -------------------------------------------------------------------------------------


def jpeg(subsampling="444", space="YCBCR"):
    return imagecodecs.jpeg8_encode(
        RGB, level=90, colorspace="RGB", outcolorspace=space, subsampling=subsampling
    )


def pillow_jpeg(image=RGB, **options):
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def pillow_cmyk():
    file = BytesIO()
    Image.fromarray(RGB).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "syntax", "photometric"),
    [
        (jpeg("444"), "50", "YBR_FULL"),
        (jpeg("422"), "50", "YBR_FULL_422"),
        (jpeg("420"), "50", "YBR_FULL_422"),
        (jpeg("444", "RGB"), "50", "RGB"),
        (pillow_jpeg(subsampling="4:4:4"), "50", "YBR_FULL"),
        (pillow_jpeg(subsampling="4:2:0"), "50", "YBR_FULL_422"),
        (pillow_jpeg(keep_rgb=True), "50", "RGB"),
    ],
)
def test_colour_jpeg_says_how_its_colours_are_coded(data, syntax, photometric):
    media = read("image/jpeg", data)

    assert (arc(media), media.photometric_interpretation) == (syntax, photometric)
    assert pixels_of(media) == (24, 40, 3, 8, 8, 7, 0)
    assert media.planar_configuration == 0
    assert (media.lossy, media.lossy_method) == (True, "ISO_10918_1")
    assert (media.start, media.end) == (0, len(data))


def without_segments(data, *markers):
    """A JPEG stream without the segments of some markers before its frame."""
    out, offset = data[:2], 2
    while data[offset + 1] != 0xDA:
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4])
        out += b"" if data[offset + 1] in markers else data[offset:end]
        offset = end
    return out + data[offset:]


def with_segment(data, marker, content):
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    return data[:2] + segment + data[2:]


def adobe(transform):
    return b"Adobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


def test_an_adobe_marker_tells_the_colours_where_nothing_else_does():
    bare = without_segments(jpeg("444"), 0xE0, 0xEE)

    assert read("image/jpeg", bare).photometric_interpretation == "YBR_FULL"
    for transform, expected in ((0, "RGB"), (1, "YBR_FULL")):
        marked = with_segment(bare, 0xEE, adobe(transform))
        assert read("image/jpeg", marked).photometric_interpretation == expected


def test_streams_that_do_not_tell_their_colours_are_known():
    bare = without_segments(jpeg(), 0xE0, 0xEE)
    assert read("image/jpeg", jpeg()).colours_told
    assert read("image/jpeg", with_segment(bare, 0xEE, adobe(0))).colours_told
    assert not read("image/jpeg", bare).colours_told
    assert not read("image/jls", imagecodecs.jpegls_encode(RGB)).colours_told
    for options, told in (({"mct": True}, True), ({"mct": False}, False)):
        data = jpeg2000(level=0, reversible=True, **options)
        assert read("image/jp2", data).colours_told == told


def test_grey_jpeg_is_monochrome2():
    media = read("image/jpeg", pillow_jpeg(GREY8))

    assert (arc(media), media.photometric_interpretation) == ("50", "MONOCHROME2")
    assert pixels_of(media) == (24, 40, 1, 8, 8, 7, 0)
    assert media.planar_configuration is None


def test_jpeg_of_12_bits_is_extended():
    media = read("image/jpeg", imagecodecs.jpeg8_encode(GREY12, level=90, bitspersample=12))

    assert arc(media) == "51"
    assert pixels_of(media) == (24, 40, 1, 16, 12, 11, 0)


def lossless(predictor):
    return imagecodecs.jpeg8_encode(
        GREY12, level=100, lossless=True, predictor=predictor, bitspersample=12
    )


@pytest.mark.parametrize("predictor", [1, 4])
def test_lossless_jpeg_is_of_the_selection_value_of_its_scans(predictor):
    media = read("image/jpeg", lossless(predictor))

    assert arc(media) == ("70" if predictor == 1 else "57")
    assert pixels_of(media) == (24, 40, 1, 16, 12, 11, 0)
    assert (media.lossy, media.lossy_method) == (False, None)


def test_selection_value_1_may_be_claimed_as_any_lossless_but_not_the_reverse():
    assert arc(read("image/jpeg", lossless(1), "57")) == "57"
    assert arc(read("image/jpeg", lossless(4), "70")) == "57"


def test_one_scan_of_another_selection_value_is_enough():
    data = bytes(lossless(1))
    scan = data[data.index(b"\xff\xda") : -2]
    other = bytearray(scan)
    other[5 + 2 * scan[4]] = 6

    assert arc(read("image/jpeg", data[:-2] + scan + b"\xff\xd9")) == "70"
    assert arc(read("image/jpeg", data[:-2] + other + b"\xff\xd9")) == "57"


def test_a_claim_that_the_stream_denies_counts_for_nothing():
    assert arc(read("image/jpeg", jpeg(), "90")) == "50"


def test_progressive_jpeg_is_of_no_transfer_syntax():
    with pytest.raises(UnsupportedMedia):
        read("image/jpeg", pillow_jpeg(progressive=True))


@pytest.mark.parametrize("marker", [0xC2, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF])
def test_other_processes_of_jpeg_are_of_no_transfer_syntax(marker):
    data = pillow_jpeg(GREY8)
    frame = data.index(b"\xff\xc0")
    with pytest.raises(UnsupportedMedia):
        read("image/jpeg", data[: frame + 1] + bytes([marker]) + data[frame + 2 :])


def test_four_colours_are_refused():
    with pytest.raises(UnsupportedMedia):
        read("image/jpeg", pillow_cmyk())


def test_the_stream_ends_with_its_image():
    data = jpeg()

    assert read("image/jpeg", data + b"\x00").end == len(data)
    assert read("image/jpeg", data + jpeg("420")).end == len(data)


def test_a_thumbnail_within_a_segment_is_not_the_image():
    thumbnail = pillow_jpeg(GREY8[:8, :8])

    assert read("image/jpeg", with_segment(jpeg(), 0xE1, b"Exif\0\0" + thumbnail)).rows == 24


# --- JPEG-LS ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY8, (24, 40, 1, 8, 8, 7, 0)),
        (GREY12, (24, 40, 1, 16, 16, 15, 0)),
        (RGB, (24, 40, 3, 8, 8, 7, 0)),
    ],
)
def test_jpeg_ls_without_an_error_bound_is_lossless(array, expected):
    data = imagecodecs.jpegls_encode(array)
    media = read("image/jls", data)

    assert arc(media) == "80"
    assert pixels_of(media) == expected
    assert media.photometric_interpretation == ("RGB" if array is RGB else "MONOCHROME2")
    assert (media.lossy, media.end) == (False, len(data))
    assert arc(read("image/jls", data, "81")) == "81"


def test_near_lossless_jpeg_ls_is_lossy():
    media = read("image/jls", imagecodecs.jpegls_encode(GREY8, level=3), "80")

    assert arc(media) == "81"
    assert (media.lossy, media.lossy_method) == (True, "ISO_14495_1")


def test_one_scan_with_an_error_bound_makes_jpeg_ls_lossy():
    data = bytearray(imagecodecs.jpegls_encode(RGB))
    scans = [n for n in range(len(data)) if data[n : n + 2] == b"\xff\xda"]
    assert len(scans) == 1 or len(scans) == 3
    last = scans[-1]
    data[last + 5 + 2 * data[last + 4]] = 2

    assert arc(read("image/jls", data)) == "81"


def test_a_colour_transform_outside_of_the_standard_is_refused():
    data = imagecodecs.jpegls_encode(RGB)

    assert arc(read("image/jls", with_segment(data, 0xE8, b"mrfx\x00"))) == "80"
    with pytest.raises(UnsupportedMedia):
        read("image/jls", with_segment(data, 0xE8, b"mrfx\x01"))


# --- JPEG 2000 and HTJ2K ----------------------------------------------------------------------


def jpeg2000(array=RGB, codecformat="j2k", **options):
    return imagecodecs.jpeg2k_encode(array, codecformat=codecformat, **options)


@pytest.mark.parametrize("media_type", ["image/jp2", "image/jpx"])
@pytest.mark.parametrize(
    ("options", "lossy", "photometric"),
    [
        ({"level": 0, "reversible": True, "mct": True}, False, "YBR_RCT"),
        ({"level": 0, "reversible": True, "mct": False}, False, "RGB"),
        ({"level": 40, "reversible": False, "mct": True}, True, "YBR_ICT"),
        ({"level": 40, "reversible": False, "mct": False}, True, "RGB"),
    ],
)
def test_jpeg_2000_is_lossless_by_its_wavelet(media_type, options, lossy, photometric):
    media = read(media_type, jpeg2000(**options))

    part_1 = media_type == "image/jp2"
    assert arc(media) == {True: ("90", "91"), False: ("92", "93")}[part_1][lossy]
    assert media.photometric_interpretation == photometric
    assert pixels_of(media) == (24, 40, 3, 8, 8, 7, 0)
    assert (media.lossy, media.lossy_method) == (lossy, "ISO_15444_1" if lossy else None)


@pytest.mark.parametrize(
    ("array", "expected"),
    [(GREY12, (24, 40, 1, 16, 12, 11, 0)), (SIGNED16, (24, 40, 1, 16, 16, 15, 1))],
)
def test_jpeg_2000_tells_depth_and_sign(array, expected):
    data = jpeg2000(array, level=0, reversible=True, bitspersample=expected[4])

    assert pixels_of(read("image/jp2", data)) == expected
    assert arc(read("image/jp2", data, "91")) == "91"


def test_the_file_around_a_jpeg_2000_stream_is_taken_off():
    bare = jpeg2000(level=0, reversible=True)
    file = jpeg2000(codecformat="jp2", level=0, reversible=True)
    media = read("image/jp2", file)

    assert file[media.start : media.start + 4] == b"\xff\x4f\xff\x51"
    assert file[media.end - 2 : media.end] == b"\xff\xd9"
    assert media.end - media.start == len(bare)


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2(stream, *headers):
    inner = box(b"jp2h", b"".join(headers))
    return box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 ") + inner + box(b"jp2c", stream)


def test_the_colour_space_of_a_jp2_file_goes_with_its_stream():
    stream = jpeg2000(level=0, reversible=True, mct=False)
    sycc = box(b"colr", b"\x01\x00\x00" + struct.pack(">I", 18))

    assert read("image/jp2", jp2(stream, sycc)).photometric_interpretation == "YBR_FULL"
    assert read("image/jp2", jp2(stream)).photometric_interpretation == "RGB"


def test_a_jp2_file_with_a_palette_is_refused():
    with pytest.raises(UnsupportedMedia):
        read("image/jp2", jp2(jpeg2000(GREY8, level=0), box(b"pclr", b"\x01\x00\x03\x07\x07\x07")))


def test_one_irreversible_tile_makes_jpeg_2000_lossy():
    file = BytesIO()
    Image.fromarray(GREY8).save(file, "JPEG2000", no_jp2=True, tile_size=(16, 16))
    data = file.getvalue()
    assert data.count(b"\xff\x90\x00\x0a") == 6  # tiles
    assert arc(read("image/jp2", data)) == "90"

    coding = data[data.index(b"\xff\x52") : data.index(b"\xff\x52") + 14]
    assert coding[13] == 1  # the 5-3 wavelet
    tile = data.rindex(b"\xff\x90")
    length = int.from_bytes(data[tile + 6 : tile + 10]) + len(coding)
    lossy = data[: tile + 6] + struct.pack(">I", length) + data[tile + 10 : tile + 12]
    lossy += coding[:13] + b"\x00" + data[tile + 12 :]
    assert arc(read("image/jp2", lossy)) == "91"


def test_alpha_and_unequal_components_are_refused():
    four = np.dstack((RGB, GREY8))
    with pytest.raises(UnsupportedMedia):
        read("image/jp2", jpeg2000(four, level=0))
    data = bytearray(jpeg2000(level=0))
    data[43:45] = b"\x02\x02"
    with pytest.raises(UnsupportedMedia):
        read("image/jp2", data)


@pytest.mark.parametrize("media_type", ["image/jphc", "image/jph"])
def test_htj2k_is_told_by_its_code_blocks(media_type):
    media = read(media_type, imagecodecs.htj2k_encode(RGB, reversible=True))
    assert arc(media) == "201"
    assert (media.photometric_interpretation, media.lossy) == ("YBR_RCT", False)

    media = read(media_type, imagecodecs.htj2k_encode(RGB, reversible=False))
    assert arc(media) == "203"
    assert media.photometric_interpretation == "YBR_ICT"
    assert (media.lossy, media.lossy_method) == (True, "ISO_15444_15")


def test_the_file_around_an_htj2k_stream_is_taken_off():
    stream = bytes(imagecodecs.htj2k_encode(RGB, reversible=True))
    file = jp2(stream).replace(b"ftypjp2 ", b"ftypjph ")
    media = read("image/jph", file)

    assert (arc(media), file[media.start : media.end]) == ("201", stream)


def test_rpcl_is_taken_where_it_is_claimed_and_true():
    unlisted = bytes(imagecodecs.htj2k_encode(GREY8, reversible=True))
    coding = unlisted.index(b"\xff\x52")
    assert unlisted[coding + 5] == 2  # RPCL, which OpenJPH prefers
    lengths = b"\xff\x55\x00\x08\x00\x40" + struct.pack(">I", 100)
    ordered = unlisted[:coding] + lengths + unlisted[coding:]
    plain = ordered.replace(unlisted[coding : coding + 6], unlisted[coding : coding + 5] + b"\x00")

    assert arc(read("image/jphc", ordered)) == "201"
    assert arc(read("image/jphc", ordered, "202")) == "202"
    assert arc(read("image/jphc", ordered, "203")) == "203"
    assert arc(read("image/jphc", plain, "202")) == "201"
    assert arc(read("image/jphc", unlisted, "202")) == "201"


# --- JPEG XL ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "options", "expected"),
    [
        (GREY8, {}, (24, 40, 1, 8, 8, 7, 0)),
        (GREY12, {"bitspersample": 12}, (24, 40, 1, 16, 12, 11, 0)),
        (GREY12, {}, (24, 40, 1, 16, 16, 15, 0)),
        (RGB, {}, (24, 40, 3, 8, 8, 7, 0)),
    ],
)
def test_jpeg_xl_is_lossless_if_claimed_and_not_denied(array, options, expected):
    data = imagecodecs.jpegxl_encode(array, lossless=True, **options)

    media = read("image/jxl", data, "110")
    assert arc(media) == "110"
    assert pixels_of(media) == expected
    assert media.photometric_interpretation == ("RGB" if array is RGB else "MONOCHROME2")
    assert not media.lossy
    assert arc(read("image/jxl", data)) == "112"


@pytest.mark.parametrize("array", [GREY8, RGB])
def test_lossy_jpeg_xl_is_not_taken_as_lossless(array):
    media = read("image/jxl", imagecodecs.jpegxl_encode(array, level=80, lossless=False), "110")

    assert arc(media) == "112"
    assert media.photometric_interpretation == ("XYB" if array is RGB else "MONOCHROME2")
    assert (media.lossy, media.lossy_method) == (True, "ISO_18181_1")


@pytest.mark.parametrize(
    ("original", "photometric"),
    [
        (jpeg("444"), "YBR_FULL_422"),
        (jpeg("420"), "YBR_FULL_422"),
        (jpeg("444", "RGB"), "RGB"),
        (pillow_jpeg(GREY8), "MONOCHROME2"),
    ],
)
def test_a_recompressed_jpeg_keeps_the_container_that_it_is_remade_from(original, photometric):
    data = imagecodecs.jpegxl_encode_jpeg(original, usecontainer=True)
    media = read("image/jxl", data)

    assert arc(media) == "111"
    assert (media.start, media.end) == (0, len(data))
    assert media.photometric_interpretation == photometric
    assert (media.lossy, media.lossy_method) == (True, "ISO_10918_1")
    assert imagecodecs.jpegxl_decode_jpeg(data) == bytes(original)


def test_the_container_of_another_jpeg_xl_stream_is_taken_off():
    data = imagecodecs.jpegxl_encode(RGB, lossless=True, usecontainer=True)
    media = read("image/jxl", data, "110")

    assert data[media.start : media.start + 2] == b"\xff\x0a"
    assert np.array_equal(imagecodecs.jpegxl_decode(data[media.start : media.end]), RGB)


def test_jpeg_xl_in_pieces_keeps_its_container():
    stream = imagecodecs.jpegxl_encode(RGB, lossless=True)
    head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \x00\x00\x00\x00jxl ")
    pieces = box(b"jxlp", bytes(4) + stream[:3])
    pieces += box(b"jxlp", b"\x80\x00\x00\x01" + stream[3:])
    media = read("image/jxl", head + pieces, "110")

    assert np.array_equal(imagecodecs.jpegxl_decode(head + pieces), RGB)
    assert (arc(media), media.start, media.rows) == ("110", 0, 24)


@pytest.mark.parametrize(
    "array", [np.dstack((RGB, GREY8)), GREY8.astype(np.float32) / 256, np.stack([RGB, RGB])]
)
def test_alpha_floats_and_animations_of_jpeg_xl_are_refused(array):
    with pytest.raises(UnsupportedMedia):
        read("image/jxl", imagecodecs.jpegxl_encode(array, lossless=True))


# --- what was told decodes -------------------------------------------------------------------


def image_of(media):
    """The Image Pixel Module that an instance gets by `media`."""
    return ImagePixel(
        rows=media.rows,
        columns=media.columns,
        samples_per_pixel=media.samples_per_pixel,
        bits_allocated=media.bits_allocated,
        bits_stored=media.bits_stored,
        high_bit=media.high_bit,
        pixel_representation=media.pixel_representation,
        photometric_interpretation=media.photometric_interpretation,
        planar_configuration=media.planar_configuration or 0,
        number_of_frames=1,
        kind="integer",
    )


@pytest.mark.parametrize(
    ("media_type", "claimed", "data", "array"),
    [
        ("image/jpeg", None, lossless(1), GREY12),
        ("image/jpeg", None, lossless(5), GREY12),
        ("image/jls", None, imagecodecs.jpegls_encode(RGB), RGB),
        ("image/jls", None, imagecodecs.jpegls_encode(GREY12), GREY12),
        ("image/jp2", None, jpeg2000(codecformat="jp2", level=0, reversible=True), RGB),
        ("image/jp2", None, jpeg2000(SIGNED16, level=0, reversible=True), SIGNED16),
        ("image/jphc", None, imagecodecs.htj2k_encode(RGB, reversible=True), RGB),
        ("image/jxl", "110", imagecodecs.jpegxl_encode(RGB, lossless=True), RGB),
        ("image/jxl", None, imagecodecs.jpegxl_encode(GREY12, lossless=True), GREY12),
    ],
)
def test_a_lossless_part_decodes_by_what_it_was_said_to_be(media_type, claimed, data, array):
    media = read(media_type, data, claimed)
    stream = bytes(data)[media.start : media.end]
    decoded = decode_frame(stream, image_of(media), media.transfer_syntax_uid)

    assert np.array_equal(decoded.array, array)
    assert decoded.array.dtype == array.dtype


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/jpeg", jpeg("444")),
        ("image/jpeg", jpeg("420")),
        ("image/jpeg", jpeg("444", "RGB")),
        ("image/jxl", imagecodecs.jpegxl_encode(RGB, level=95, lossless=False)),
        ("image/jxl", imagecodecs.jpegxl_encode_jpeg(jpeg("420"), usecontainer=True)),
        ("image/jp2", jpeg2000(level=40, reversible=False, mct=True)),
    ],
)
def test_the_colours_of_a_lossy_part_are_told_as_they_decode(media_type, data):
    media = read(media_type, data)
    decoded = decode_frame(bytes(data), image_of(media), media.transfer_syntax_uid)
    if media_type == "image/jpeg":
        told = media.photometric_interpretation.removesuffix("_422")
        assert decoded.photometric_interpretation == told
    else:
        assert media.photometric_interpretation in ("YBR_ICT", "XYB", "YBR_FULL_422")
        assert decoded.photometric_interpretation == "RGB"  # these codecs undo the transform


# --- the frames of one image ------------------------------------------------------------------


def test_frames_with_and_without_a_loss_are_an_image_with_one():
    whole = read("image/jp2", jpeg2000(level=0, reversible=True))
    lossy = read("image/jp2", jpeg2000(level=40, reversible=False))

    for frames in ([whole, lossy], [lossy, whole], [whole, whole, lossy]):
        together = one_image(frames)
        assert arc(together) == "91"
        assert (together.lossy, together.lossy_method) == (True, "ISO_15444_1")
    assert arc(one_image([whole, whole])) == "90"
    assert not one_image([whole, whole]).lossy


FAMILIES = [
    ("57", {"70", "57"}),
    ("81", {"80", "81"}),
    ("91", {"90", "91"}),
    ("93", {"92", "93"}),
    ("201", {"201", "202"}),
    ("203", {"201", "202", "203"}),
    ("112", {"110", "111", "112"}),
]
ARCS = ["50", "51", *sorted(set().union(*(members for _, members in FAMILIES)))]


@given(st.lists(st.sampled_from(ARCS), min_size=1, max_size=4))
def test_frames_of_one_family_are_of_its_general_syntax_and_others_are_refused(arcs):
    frames = [Media(ARC + each, 0, 1) for each in arcs]
    fitting = [general for general, members in FAMILIES if set(arcs) <= members]
    if len(set(arcs)) == 1:
        assert arc(one_image(frames)) == arcs[0]
    elif fitting:
        assert arc(one_image(frames)) == fitting[0]
    else:
        with pytest.raises(MalformedContent):
            one_image(frames)


@pytest.mark.parametrize("other", [GREY8[:23], GREY8[:, :39], RGB, GREY12])
def test_frames_that_differ_in_size_samples_or_bits_are_no_image(other):
    frames = [read("image/jp2", jpeg2000(array, level=0)) for array in (GREY8, GREY8, other)]

    with pytest.raises(MalformedContent):
        one_image(frames)


# --- RLE, and what is none of these -----------------------------------------------------------


def test_rle_tells_nothing_of_its_image():
    data = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x00\x07"
    media = read_media("image/dicom-rle", data)

    assert media.transfer_syntax_uid == RLE
    assert (media.start, media.end, media.rows, media.lossy) == (0, len(data), None, False)


@pytest.mark.parametrize("header", [(0,), (16,), (1, 60), (2, 64, 63), (1, 64, 65), (1, 66)])
def test_rle_segments_lie_one_after_the_other(header):
    with pytest.raises(MalformedMedia):
        read_media(
            "image/dicom-rle", struct.pack("<16I", *header, *[0] * (16 - len(header))) + b"\0"
        )


def test_old_names_and_parameters_of_media_types_are_known():
    data = imagecodecs.jpegls_encode(GREY8)

    assert arc(read("image/x-jls", data)) == "80"
    assert arc(read(f'IMAGE/JLS; transfer-syntax="{ARC}80"', data)) == "80"


@pytest.mark.parametrize("media_type", ["audio/mpeg", "image/webp", "application/pdf", "", "x"])
def test_other_media_types_are_not_pixel_data(media_type):
    with pytest.raises(UnsupportedMedia):
        read_media(media_type, jpeg())


def test_a_mapped_file_is_read_as_its_bytes_are(tmp_path):
    path = tmp_path / "part"
    for media_type, samples in SAMPLES.items():
        for data in samples:
            path.write_bytes(data)
            with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
                assert read_media(media_type, mapped) == read_media(media_type, bytes(data))
            assert read_media(media_type, memoryview(data)) == read_media(media_type, bytes(data))


def test_documents_are_of_the_sop_class_of_their_media_type():
    names = {kind: [UID(uid).name for uid in uids] for kind, uids in DOCUMENT_TYPES.items()}

    assert names == {
        "application/pdf": ["Encapsulated PDF Storage"],
        "text/xml": ["Encapsulated CDA Storage"],
        "model/stl": ["Encapsulated STL Storage"],
        "model/obj": ["Encapsulated OBJ Storage"],
        "model/mtl": ["Encapsulated MTL Storage"],
    }


# --- hostile bytes ----------------------------------------------------------------------------

SAMPLES = {
    "image/jpeg": [jpeg("420"), lossless(1)],
    "image/jls": [imagecodecs.jpegls_encode(RGB)],
    "image/jp2": [jpeg2000(level=0), jpeg2000(codecformat="jp2", level=0)],
    "image/jphc": [imagecodecs.htj2k_encode(GREY8)],
    "image/jxl": [
        imagecodecs.jpegxl_encode(RGB, lossless=True, usecontainer=True),
        imagecodecs.jpegxl_encode_jpeg(jpeg(), usecontainer=True),
    ],
    "image/dicom-rle": [struct.pack("<16I", 2, 64, 66, *[0] * 13) + bytes(4)],
}


@given(st.sampled_from(sorted(ENCAPSULATED_TYPES)), st.binary(max_size=200))
def test_any_bytes_are_media_or_refused(media_type, data):
    with contextlib.suppress(Refusal):  # and no other exception
        media = read_media(media_type, data)
        assert 0 <= media.start < media.end <= len(data)


@pytest.mark.parametrize("media_type", sorted(SAMPLES))
@settings(max_examples=200)
@given(data=st.data())
def test_changed_streams_are_media_or_refused(media_type, data):
    stream = bytearray(data.draw(st.sampled_from(SAMPLES[media_type])))
    changes = st.lists(st.tuples(st.integers(0, min(300, len(stream) - 1)), st.integers(0, 255)))
    for place, value in data.draw(changes):
        stream[place] = value
    with contextlib.suppress(Refusal):
        media = read_media(media_type, bytes(stream))
        assert 0 <= media.start < media.end <= len(stream)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/jls", "image/jp2", "image/jphc"])
@given(data=st.data())
def test_cut_streams_are_refused(media_type, data):
    """But not those of JPEG XL and RLE, which have no end that shows."""
    stream = bytes(data.draw(st.sampled_from(SAMPLES[media_type])))
    length = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(MalformedMedia):
        read_media(media_type, stream[:length])


@pytest.mark.parametrize("media_type", ["image/jxl", "image/dicom-rle"])
@given(data=st.data())
def test_streams_cut_in_their_header_are_refused(media_type, data):
    stream = bytes(SAMPLES[media_type][0])
    length = data.draw(st.integers(0, 45))
    with pytest.raises(MalformedMedia):
        read_media(media_type, stream[:length])


@pytest.mark.parametrize(
    "filler", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\x01", b"\xff\xe0\x00\x02", b"\x00"]
)
def test_long_hostile_streams_take_linear_time(filler):
    """A quadratic search would take hours for these."""
    frame = b"\xff\xc0" + struct.pack(">HBHHBBBB", 11, 8, 8, 8, 1, 1, 0x11, 0)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 63, 0)
    many = filler * ((1 << 24) // len(filler))
    for data in (b"\xff\xd8" + frame + scan + many, b"\xff\xd8" + many):
        with pytest.raises(MalformedMedia):
            read_media("image/jpeg", data)
