"""Frames to stored values: against pydicom on real files, and by hand for each way to store."""

import contextlib
import struct
import warnings
import zlib
from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.pixels import get_decoder

from dicomweb_server.dicom.codestream import (
    bare_jpeg2000,
    jpeg2000_header,
    jpeg_header,
    jpeg_xl_header,
)
from dicomweb_server.dicom.pixels import CODECS, DECODABLE, Decoded, decode_frame, image_pixel
from dicomweb_server.errors import UndecodablePixels
from tests.dicom.still_images import BUNDLED, read_still_image, still_images

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED_FRAME, RLE = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.5"
ARC = "1.2.840.10008.1.2.4."


def attributes(array=None, *, rows=0, columns=0, samples=1, allocated=16, stored=0, **more):
    """Image Pixel attributes as DICOM JSON, of an array or of what is told."""
    if array is not None:
        rows, columns = array.shape[:2]
        samples = array.shape[2] if array.ndim == 3 else 1
        allocated = 8 * array.dtype.itemsize
        more.setdefault("00280103", int(array.dtype.kind == "i"))
    values = {
        "00280002": samples,
        "00280004": "RGB" if samples == 3 else "MONOCHROME2",
        "00280010": rows,
        "00280011": columns,
        "00280100": allocated,
        "00280101": stored or allocated,
        "00280102": (stored or allocated) - 1,
    } | {tag if tag[0] == "0" else TAGS[tag]: value for tag, value in more.items()}
    return {tag: {"vr": "US", "Value": [value]} for tag, value in values.items()}


TAGS = {
    "photometric": "00280004",
    "planar": "00280006",
    "high_bit": "00280102",
    "signed": "00280103",
}


def decode(data, syntax=EXPLICIT, array=None, **told) -> Decoded:
    return decode_frame(data, image_pixel(attributes(array, **told)), syntax)


# --- the attributes ---------------------------------------------------------------------------


def test_what_is_missing_has_its_ordinary_value():
    image = image_pixel({tag: {"Value": [8]} for tag in ("00280010", "00280011", "00280100")})

    assert (image.samples_per_pixel, image.number_of_frames, image.planar_configuration) == (
        1,
        1,
        0,
    )
    assert (image.bits_stored, image.high_bit, image.pixel_representation) == (8, 7, 0)
    assert (image.photometric_interpretation, image.kind) == ("MONOCHROME2", "integer")


def test_numbers_may_be_text_as_is_values_often_are():
    image = image_pixel(attributes(rows="4", columns=" 5 ", allocated=16.0, **{"00280008": "7"}))

    assert (image.rows, image.columns, image.number_of_frames) == (4, 5, 7)


def test_float_pixel_data_needs_no_bits():
    sizes = {"00280010": {"Value": [1]}, "00280011": {"Value": [1]}}

    assert image_pixel(sizes | {"7FE00008": {"vr": "OF"}}).dtype == np.float32
    assert image_pixel(sizes | {"7FE00009": {"vr": "OD"}}).dtype == np.float64


@pytest.mark.parametrize("stated", [-1, 0, "1A", 2**40, None, ""])
def test_a_nonsense_number_of_frames_hides_no_frame(stated):
    assert image_pixel(attributes(rows=4, columns=4, **{"00280008": stated})).number_of_frames == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        {"rows": 0},
        {"rows": -1},
        {"rows": 65536},
        {"rows": "NaN"},
        {"rows": 1.5},
        {"columns": None},
        {"columns": [1]},
        {"samples": 2},
        {"samples": 5},
        {"allocated": 12},
        {"allocated": 24},
        {"allocated": 33},
        {"allocated": 1, "samples": 3},
        {"allocated": 8, "stored": 12},
        {"signed": 2},
        {"planar": 2},
        {"rows": 65535, "columns": 65535},
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(UndecodablePixels):
        image_pixel(attributes(**{"rows": 4, "columns": 4} | nonsense))


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.dictionaries(st.sampled_from(sorted(attributes())), anything | st.lists(anything)))
def test_any_attributes_are_an_image_or_refused(values):
    with contextlib.suppress(UndecodablePixels):
        image = image_pixel({tag: {"vr": "US", "Value": value} for tag, value in values.items()})
        assert image.rows * image.columns * image.samples_per_pixel * image.bits_allocated > 0


# --- native -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4"])
def test_native_cells_of_whole_bytes(dtype):
    limits = np.iinfo(dtype)
    array = np.array([[limits.min, 0, 1], [2, 3, limits.max]], dtype)

    decoded = decode(array.tobytes(), array=array)

    assert decoded.array.dtype == array.dtype
    np.testing.assert_array_equal(decoded.array, array)


def test_bits_above_bits_stored_are_not_part_of_a_value():
    """Retired overlays are kept there (GRY-01); a sign is extended over them."""
    cells = np.array([[0xF123, 0x0FFF]], "<u2")

    unsigned = decode(cells.tobytes(), rows=1, columns=2, stored=12)
    signed = decode(cells.tobytes(), rows=1, columns=2, stored=12, signed=1)

    assert unsigned.array.tolist() == [[0x123, 0xFFF]]
    assert signed.array.tolist() == [[0x123, -1]]


def test_values_are_found_below_the_high_bit():
    cells = np.array([[0x1237, 0xFFF7]], "<u2")

    told = {"rows": 1, "columns": 2, "stored": 12, "high_bit": 15}
    assert decode(cells.tobytes(), **told).array.tolist() == [[0x123, 0xFFF]]
    assert decode(cells.tobytes(), **told, signed=1).array.tolist() == [[0x123, -1]]


def test_single_bits_begin_at_the_least_significant():
    decoded = decode(bytes([0b10001101, 0b00000001]), rows=3, columns=3, allocated=1)

    assert decoded.array.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 1]]
    assert decoded.array.dtype == np.uint8


@pytest.mark.parametrize(("tag", "dtype"), [("7FE00008", "<f4"), ("7FE00009", "<f8")])
def test_floating_point_pixels(tag, dtype):
    array = np.array([[0.5, -1e30], [np.inf, 3]], dtype)
    image = image_pixel(attributes(rows=2, columns=2) | {tag: {"vr": "OF"}})

    np.testing.assert_array_equal(decode_frame(array.tobytes(), image, EXPLICIT).array, array)


def test_colour_by_plane_and_by_pixel_are_the_same_picture():
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

    by_pixel = decode(array.tobytes(), array=array)
    by_plane = decode(array.transpose(2, 0, 1).tobytes(), array=array, planar=1)

    np.testing.assert_array_equal(by_pixel.array, array)
    np.testing.assert_array_equal(by_plane.array, array)


def test_pairs_of_pixels_share_their_chroma_in_ybr_full_422():
    told = {"rows": 1, "columns": 4, "samples": 3, "allocated": 8, "photometric": "YBR_FULL_422"}

    decoded = decode(bytes([1, 2, 50, 60, 3, 4, 70, 80]), **told)

    assert decoded.array.tolist() == [[[1, 50, 60], [2, 50, 60], [3, 70, 80], [4, 70, 80]]]
    assert decoded.photometric_interpretation == "YBR_FULL"


def test_ybr_full_422_of_full_length_is_not_subsampled():
    told = {"rows": 1, "columns": 2, "samples": 3, "allocated": 8, "photometric": "YBR_FULL_422"}

    assert decode(bytes(range(6)), **told).array.tolist() == [[[0, 1, 2], [3, 4, 5]]]


@pytest.mark.parametrize(
    "told",
    [
        {"rows": 2, "columns": 2},
        {"rows": 100, "columns": 1, "allocated": 1},
        {"rows": 1, "columns": 3, "samples": 3, "allocated": 8, "photometric": "YBR_FULL_422"},
        {"rows": 2, "columns": 2, "samples": 3, "allocated": 8},
    ],
)
def test_a_short_native_frame_is_refused(told):
    with pytest.raises(UndecodablePixels):
        decode(bytes(7), **told)


@given(
    data=st.binary(max_size=600),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    samples=st.sampled_from([1, 3]),
    allocated=st.sampled_from([1, 8, 16, 32, 64]),
    photometric=st.sampled_from(["MONOCHROME2", "RGB", "YBR_FULL_422", "YBR_PARTIAL_422", "?"]),
    more=st.fixed_dictionaries({"signed": st.integers(0, 1), "planar": st.integers(0, 1)}),
    syntax=st.sampled_from([EXPLICIT, RLE, DEFLATED_FRAME]),
)
def test_any_bytes_are_a_frame_of_the_right_shape_or_refused(
    data, rows, columns, samples, allocated, photometric, more, syntax
):
    told = attributes(
        rows=rows,
        columns=columns,
        samples=samples,
        allocated=allocated,
        photometric=photometric,
        **more,
    )
    with contextlib.suppress(UndecodablePixels):
        image = image_pixel(told)
        array = decode_frame(data, image, syntax).array
        assert array.shape == ((rows, columns) if samples == 1 else (rows, columns, samples))
        assert array.dtype == image.dtype


# --- encapsulated, without a code stream ------------------------------------------------------


def rle(*segments):
    """An RLE frame (PS3.5 G.5) of literal runs."""
    coded = [
        b"".join(
            bytes([len(run) - 1]) + run
            for run in (segment[at : at + 128] for at in range(0, len(segment), 128))
        )
        for segment in segments
    ]
    offsets = [64 + sum(map(len, coded[:n])) for n in range(len(coded))]
    return struct.pack("<16I", len(coded), *offsets, *[0] * (15 - len(coded))) + b"".join(coded)


def test_rle_segments_are_the_bytes_of_a_sample_highest_first():
    array = np.array([[0x0102, -2], [3, 0x7FFF]], "<i2")
    high, low = array.astype(">i2").view(np.uint8).reshape(-1, 2).T

    np.testing.assert_array_equal(decode(rle(bytes(high), bytes(low)), RLE, array).array, array)


def test_rle_of_colours_is_by_plane_whatever_the_planar_configuration():
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    frame = rle(*(array[..., n].tobytes() for n in range(3)))

    for planar in (0, 1):
        np.testing.assert_array_equal(decode(frame, RLE, array, planar=planar).array, array)


def test_rle_of_single_bits_holds_them_packed():
    decoded = decode(rle(bytes([0b101, 0b1])), RLE, rows=3, columns=3, allocated=1)

    assert decoded.array.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        rle(bytes(4), bytes(4)),
        rle(bytes(3)),
        struct.pack("<16I", 1, 9999, *[0] * 14),
        struct.pack("<16I", 1, 0, *[0] * 14) + bytes(9),
    ],
)
def test_a_damaged_rle_frame_is_refused(frame):
    with pytest.raises(UndecodablePixels):
        decode(frame, RLE, rows=2, columns=2, allocated=8)


def deflated(data):
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def test_a_deflated_frame_is_a_native_one():
    array = np.arange(12, dtype="<u2").reshape(3, 4)

    decoded = decode(deflated(array.tobytes()), DEFLATED_FRAME, array)

    np.testing.assert_array_equal(decoded.array, array)


def test_a_deflated_frame_is_not_inflated_beyond_its_size():
    frame = deflated(bytes(50_000_000))

    assert decode(frame, DEFLATED_FRAME, rows=2, columns=2).array.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("frame", [b"", b"\xff\xff", deflated(bytes(7))])
def test_a_damaged_deflated_frame_is_refused(frame):
    with pytest.raises(UndecodablePixels):
        decode(frame, DEFLATED_FRAME, rows=2, columns=2)


# --- code streams -----------------------------------------------------------------------------

RAMP = np.arange(40 * 30).reshape(40, 30)
GREY8 = (RAMP % 251).astype(np.uint8)
GREY12 = (RAMP * 3).astype(np.uint16)
GREY16 = (RAMP * 50).astype(np.uint16)
SIGNED16 = (RAMP * 50 - 20000).astype(np.int16)
RGB8 = np.stack([GREY8, GREY8[::-1], GREY8[:, ::-1]], axis=2)

LOSSLESS = [
    ("57", imagecodecs.ljpeg_encode, (GREY8, GREY16)),
    ("70", imagecodecs.ljpeg_encode, (GREY16,)),
    ("80", imagecodecs.jpegls_encode, (GREY8, GREY12, GREY16, RGB8)),
    (
        "90",
        lambda a: imagecodecs.jpeg2k_encode(a, codecformat="J2K"),
        (GREY8, GREY16, SIGNED16, RGB8),
    ),
    ("201", imagecodecs.htj2k_encode, (GREY8, GREY12, GREY16, SIGNED16, RGB8)),
    ("201", lambda a: imagecodecs.htj2k_encode(a, rgb=False), (RGB8,)),
    ("202", lambda a: imagecodecs.htj2k_encode(a, tlm=True), (GREY12, SIGNED16, RGB8)),
    ("110", lambda a: imagecodecs.jpegxl_encode(a, lossless=True), (GREY8, GREY12, GREY16, RGB8)),
]


@pytest.mark.parametrize(
    ("syntax", "encode", "array"),
    [(syntax, encode, array) for syntax, encode, arrays in LOSSLESS for array in arrays],
)
def test_a_lossless_code_stream_gives_back_what_was_encoded(syntax, encode, array):
    decoded = decode(bytes(encode(array)), ARC + syntax, array)

    assert decoded.array.dtype == array.dtype
    np.testing.assert_array_equal(decoded.array, array)
    assert decoded.photometric_interpretation == ("RGB" if array.ndim == 3 else "MONOCHROME2")


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        ("57", imagecodecs.ljpeg_encode),
        ("80", imagecodecs.jpegls_encode),
        ("90", lambda a: imagecodecs.jpeg2k_encode(a, codecformat="J2K")),
        ("201", imagecodecs.htj2k_encode),
    ],
)
def test_signed_values_may_be_encoded_as_unsigned(syntax, encode):
    """JPEG and JPEG-LS know no sign, and JPEG 2000 encoders may leave it out."""
    decoded = decode(bytes(encode(SIGNED16.view(np.uint16))), ARC + syntax, SIGNED16)

    np.testing.assert_array_equal(decoded.array, SIGNED16)


SLOPE8 = (RAMP // 5).astype(np.uint8)
SLOPE12 = (RAMP * 3).astype(np.uint16)
SLOPES = np.stack([SLOPE8, SLOPE8[::-1], SLOPE8[:, ::-1]], axis=2)


def recompressed(array):
    """A JPEG made smaller by JPEG XL without touching its coefficients."""
    return imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(array, level=98))


def progressive(array):
    """A progressive JPEG: the retired processes 6, 8, 10 and 12."""
    stream = BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=98, progressive=True)
    assert b"\xff\xc2" in stream.getvalue()
    return stream.getvalue()


LOSSY = [
    ("53", progressive, (SLOPE8,)),
    ("55", progressive, (SLOPE8,)),
    ("50", lambda a: imagecodecs.jpeg8_encode(a, level=98), (SLOPE8,)),
    ("51", lambda a: imagecodecs.jpeg8_encode(a, level=98, bitspersample=12), (SLOPE12,)),
    ("81", lambda a: imagecodecs.jpegls_encode(a, level=2), (SLOPE8, SLOPE12, SLOPES)),
    (
        "91",
        lambda a: imagecodecs.jpeg2k_encode(a, 90, codecformat="J2K", reversible=False),
        (SLOPE8, SLOPE12, SLOPES),
    ),
    (
        "203",
        lambda a: imagecodecs.htj2k_encode(a, level=0.001, reversible=False),
        (SLOPE8, SLOPE12, SLOPES),
    ),
    ("111", recompressed, (SLOPE8, SLOPES)),
    ("112", lambda a: imagecodecs.jpegxl_encode(a, distance=0.3), (SLOPE8, SLOPES)),
]


@pytest.mark.parametrize(
    ("syntax", "encode", "array"),
    [(syntax, encode, array) for syntax, encode, arrays in LOSSY for array in arrays],
)
def test_a_lossy_code_stream_gives_back_something_near(syntax, encode, array):
    decoded = decode(bytes(encode(array)), ARC + syntax, array, stored=8 * array.itemsize)

    assert decoded.array.dtype == array.dtype
    assert np.abs(decoded.array.astype(int) - array).mean() <= array.max() / 100
    assert decoded.photometric_interpretation == ("RGB" if array.ndim == 3 else "MONOCHROME2")


RED = np.broadcast_to(np.array([255, 0, 0], np.uint8), (16, 16, 3)).copy()


def jpeg_of_red(outcolorspace, subsampling="444"):
    return bytes(
        imagecodecs.jpeg8_encode(
            RED, level=100, colorspace="RGB", outcolorspace=outcolorspace, subsampling=subsampling
        )
    )


@pytest.mark.parametrize("told", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_the_colours_of_a_jpeg_are_told_by_its_own_header(told):
    ybr = decode(jpeg_of_red("YCBCR"), ARC + "50", RED, photometric=told)
    rgb = decode(jpeg_of_red("RGB"), ARC + "50", RED, photometric=told)

    assert (ybr.photometric_interpretation, ybr.array[8, 8].tolist()) == ("YBR_FULL", [76, 85, 255])
    assert rgb.photometric_interpretation == "RGB"
    assert np.abs(rgb.array[8, 8].astype(int) - [255, 0, 0]).max() <= 1


def without_segment(frame, marker):
    at = frame.index(bytes([0xFF, marker]))
    return frame[:at] + frame[at + 2 + int.from_bytes(frame[at + 2 : at + 4]) :]


@pytest.mark.parametrize("told", ["RGB", "YBR_FULL"])
def test_a_jpeg_that_does_not_tell_has_the_colours_of_the_data_set(told):
    frame = without_segment(jpeg_of_red("YCBCR"), 0xE0)

    assert jpeg_header(frame).colours == ""
    assert decode(frame, ARC + "50", RED, photometric=told).photometric_interpretation == told


def test_a_jpeg_with_halved_chroma_cannot_be_rgb():
    frame = without_segment(jpeg_of_red("YCBCR", "422"), 0xE0)

    decoded = decode(frame, ARC + "50", RED, photometric="RGB")

    assert decoded.photometric_interpretation == "YBR_FULL"


def test_a_jpeg_2000_file_around_the_code_stream_is_taken_off():
    boxed = bytes(imagecodecs.jpeg2k_encode(GREY8, codecformat="JP2"))
    assert boxed.startswith(b"\x00\x00\x00\x0cjP  ")

    np.testing.assert_array_equal(decode(boxed, ARC + "90", GREY8).array, GREY8)


ONE_OF_EACH = [
    ("50", bytes(imagecodecs.jpeg8_encode(GREY8)), GREY8),
    ("57", bytes(imagecodecs.ljpeg_encode(GREY8)), GREY8),
    ("80", bytes(imagecodecs.jpegls_encode(GREY8)), GREY8),
    ("90", bytes(imagecodecs.jpeg2k_encode(GREY8, codecformat="J2K")), GREY8),
    ("201", bytes(imagecodecs.htj2k_encode(GREY8)), GREY8),
    ("110", bytes(imagecodecs.jpegxl_encode(GREY8, lossless=True)), GREY8),
]


def test_an_htj2k_stream_that_lacks_code_blocks_is_refused():
    frame = bytes(imagecodecs.htj2k_encode(GREY16))

    with pytest.raises(UndecodablePixels, match="damaged"):  # and not shown in black
        decode(frame[:-100], ARC + "201", GREY16)


@pytest.mark.parametrize("missing", [1, 2, 3, 20, 1000])
@pytest.mark.parametrize(("syntax", "frame", "array"), ONE_OF_EACH)
def test_a_code_stream_without_its_end_is_refused(syntax, frame, array, missing):
    """OpenJPH makes up what is missing of a stream, and says nothing."""
    with pytest.raises(UndecodablePixels):
        decode(frame[:-missing], ARC + syntax, array)


@pytest.mark.parametrize(("syntax", "frame", "array"), ONE_OF_EACH)
@pytest.mark.parametrize("told", [{"rows": 39}, {"columns": 60000}, {"rows": 30, "columns": 40}])
def test_a_code_stream_of_another_size_is_refused(syntax, frame, array, told):
    rows, columns = array.shape
    with pytest.raises(UndecodablePixels, match="code stream holds 40 x 30 pixels"):
        decode(frame, ARC + syntax, **{"rows": rows, "columns": columns, "allocated": 8} | told)


@pytest.mark.parametrize(("syntax", "frame", "array"), ONE_OF_EACH)
def test_a_code_stream_with_other_samples_is_refused(syntax, frame, array):
    with pytest.raises(UndecodablePixels):
        decode(frame, ARC + syntax, rows=40, columns=30, allocated=8, samples=3)


@pytest.mark.parametrize(("syntax", "frame", "array"), ONE_OF_EACH)
def test_a_code_stream_that_is_cut_off_is_refused(syntax, frame, array):
    for length in (0, 3, 20):
        with pytest.raises(UndecodablePixels):
            decode(frame[:length], ARC + syntax, array)


@pytest.mark.parametrize("syntax", ["50", "57", "80"])
def test_a_jpeg_without_its_end_is_refused_rather_than_filled_with_grey(syntax):
    frame = next(frame for arc, frame, _ in ONE_OF_EACH if arc == syntax)

    with pytest.raises(UndecodablePixels):
        decode(frame[: len(frame) * 2 // 3], ARC + syntax, GREY8)


def test_a_forged_size_does_not_reach_the_codec():
    """65,535 x 65,535 pixels in a stream of a hundred bytes (hostile input 32)."""
    frame = bytearray(ONE_OF_EACH[0][1])
    at = frame.index(b"\xff\xc0") + 5
    frame[at : at + 4] = b"\xff\xff\xff\xff"

    with pytest.raises(UndecodablePixels, match="65535 x 65535"):
        decode(bytes(frame), ARC + "50", GREY8)


def test_more_bits_than_are_allocated_are_refused():
    with pytest.raises(UndecodablePixels, match="more bits"):
        decode(
            bytes(imagecodecs.jpegls_encode(GREY16)), ARC + "80", rows=40, columns=30, allocated=8
        )


@pytest.mark.parametrize(
    "syntax",
    [ARC + "100", ARC + "102", ARC + "107", ARC + "94", "1.2.840.113619.5.2", "", "nonsense"],
)
def test_video_and_unknown_transfer_syntaxes_are_refused(syntax):
    assert syntax not in DECODABLE
    with pytest.raises(UndecodablePixels, match="no decoder"):
        decode(bytes(100), syntax, GREY8)


# --- headers ----------------------------------------------------------------------------------


@given(st.integers(1, 700), st.integers(1, 700))
def test_the_size_in_a_jpeg_xl_stream(rows, columns):
    """The codec writes sizes in several forms: small multiples of 8, ratios, of 9 or 13 bits."""
    frame = bytes(imagecodecs.jpegxl_encode(np.zeros((rows, columns), np.uint8), effort=1))

    stream = jpeg_xl_header(frame, 1)

    assert (stream.rows, stream.columns) == (rows, columns)


streams = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda prefix, rest: prefix + rest,
        st.sampled_from(
            [
                b"\xff\xd8",
                b"\xff\xd8\xff\xc0",
                b"\xff\x4f\xff\x51",
                b"\xff\x0a",
                b"\x00\x00\x00\x0cjP  ",
                b"\x00\x00\x00\x0cJXL ",
            ]
        ),
        st.binary(max_size=300),
    ),
)


@given(streams)
def test_any_bytes_have_a_header_or_are_refused(data):
    for read in (jpeg_header, jpeg2000_header, bare_jpeg2000, lambda d: jpeg_xl_header(d, 1)):
        with contextlib.suppress(UndecodablePixels):
            read(data)


@pytest.mark.parametrize("length", [0, 1, 7, 8])
def test_boxes_of_odd_lengths_come_to_an_end(length):
    """A box of length 0 reaches to the end of the file; it is not read again and again."""
    box = length.to_bytes(4) + b"free" + bytes(8)

    with pytest.raises(UndecodablePixels):
        bare_jpeg2000(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + box * 3)


# --- real files -------------------------------------------------------------------------------


def pydicom_frame(path, transfer_syntax_uid, index):
    """pydicom's stored values and colour space; None for what it has no decoder for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            decoder = get_decoder(transfer_syntax_uid)
            array, told = decoder.as_array(pydicom.dcmread(path), index=index, raw=True)
        except (NotImplementedError, RuntimeError, ValueError):  # ValueError: frames "1A"
            return None
    return array, str(told["photometric_interpretation"])


def test_stored_values_of_real_files_are_those_of_pydicom():
    compared, different = 0, []
    for still in still_images():
        image = image_pixel(still.dataset)
        for number in {1, still.count}:
            oracle = pydicom_frame(still.path, still.transfer_syntax_uid, number - 1)
            try:
                decoded = decode_frame(still.frame(number), image, still.transfer_syntax_uid)
            except UndecodablePixels:
                if oracle is not None:
                    different.append((still.path.name, number, "refused"))
                continue
            if oracle is None:  # 12-bit JPEG, and deflated frames
                continue
            compared += 1
            array, colours = oracle
            same = np.array_equal(decoded.array, array, equal_nan=array.dtype.kind == "f")
            if not same or decoded.array.dtype.newbyteorder("=") != array.dtype.newbyteorder("="):
                different.append((still.path.name, number, "values"))
            # pydicom keeps the name that tells of subsampling, of samples that have none
            if decoded.photometric_interpretation != colours.removesuffix("_422"):
                different.append((still.path.name, number, colours))
    assert different == []
    assert compared > 60


def test_12_bit_jpeg_is_decoded():
    still = read_still_image(BUNDLED / "JPGExtended.dcm")
    assert still is not None

    decoded = decode_frame(still.frame(1), image_pixel(still.dataset), still.transfer_syntax_uid)

    assert decoded.array.shape == (1024, 256)
    assert decoded.array.dtype == np.uint16


def test_every_transfer_syntax_with_a_codec_is_tried_here():
    lossless = {syntax for syntax, _, _ in LOSSLESS}
    lossy = {syntax for syntax, _, _ in LOSSY}

    assert set(CODECS) == {ARC + syntax for syntax in lossless | lossy}
