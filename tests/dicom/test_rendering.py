"""Rendering: each rule of the digest's 3.3 on arrays made here; real files against pydicom."""

import base64

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels import apply_color_lut, apply_voi_lut, convert_color_space

from dicomweb_server.dicom.grayscale import windowed
from dicomweb_server.dicom.lookup_tables import lookup_table
from dicomweb_server.dicom.pixels import Decoded, decode_frame, image_pixel
from dicomweb_server.dicom.rendering import RenderOptions, Viewport, Window, render
from dicomweb_server.errors import InvalidParameter
from tests.dicom.still_images import BUNDLED, read_still_image, still_images

TAGS = {
    "photometric": "00280004",
    "aspect": "00280034",
    "spacing": "00280030",
    "signed": "00280103",
    "padding": "00280120",
    "padding_limit": "00280121",
    "float_padding": "00280122",
    "center": "00281050",
    "width": "00281051",
    "function": "00281056",
    "intercept": "00281052",
    "slope": "00281053",
    "modality_lut": "00283000",
    "voi_lut": "00283010",
    "shape": "20500020",
    "transformation": "00289145",
    "frame_voi": "00289132",
    "measures": "00289110",
    "shared": "52009229",
    "per_frame": "52009230",
}


def element(value):
    return {"vr": "??", "Value": value if isinstance(value, list) else [value]}


def attributes(**values):
    return {TAGS.get(name, name): element(value) for name, value in values.items()}


def shown(array, *, stored=0, number=1, window=None, viewport=None, **values):
    """The rendering of stored values, as an instance that has the attributes `values`."""
    array = np.asarray(array)
    allocated = 8 * array.dtype.itemsize
    dataset = {
        "00280010": element(array.shape[0]),
        "00280011": element(array.shape[1]),
        "00280100": element(allocated),
        "00280101": element(stored or allocated),
        "00280102": element((stored or allocated) - 1),
    } | attributes(
        **{
            "00280002": array.shape[2] if array.ndim == 3 else 1,
            "signed": int(array.dtype.kind == "i"),
        }
        | values
    )
    if array.dtype.kind == "f":
        dataset["7FE00008" if array.dtype.itemsize == 4 else "7FE00009"] = {"vr": "OF"}
    image = image_pixel(dataset)
    decoded = Decoded(array, image.photometric_interpretation)
    return render(decoded, image, dataset, number, RenderOptions(window, viewport))


def levels(array, **values):
    return shown(array, **values).tolist()


ROW = np.array([[0, 100, 200, 300]], np.uint16)


# --- window -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "center", "width", "value", "level"),
    [
        ("linear", 2048, 4096, 0, 0),
        ("linear", 2048, 4096, 2047.5, 127.5),
        ("linear", 2048, 4096, 4095, 255),
        ("linear", 2048, 4096, 4096, 255),
        ("linear", 0, 100, -50, 0),
        ("linear", 0, 100, 49, 255),
        ("linear", 0, 100, 50, 255),
        ("linear", 10, 1, 9.5, 0),
        ("linear", 10, 1, 9.6, 255),
        ("linear-exact", 0.5, 1, 0, 0),
        ("linear-exact", 0.5, 1, 0.5, 127.5),
        ("linear-exact", 0.5, 1, 1, 255),
        ("sigmoid", 40, 400, 40, 127.5),
        ("sigmoid", 40, 400, 240, 224.6),
        ("sigmoid", 40, 400, -160, 30.4),
        ("sigmoid", 0, 1e-300, 1e300, 255),
        ("sigmoid", 0, 1e-300, -1e300, 0),
    ],
)
def test_window_functions_have_the_values_of_the_standard(function, center, width, value, level):
    with np.errstate(all="ignore"):
        [windowed_value] = windowed(Window(center, width, function))(np.array([float(value)]))

    assert windowed_value == pytest.approx(level, abs=0.05)


def test_the_window_of_the_request_goes_before_that_of_the_file():
    asked = Window(150.5, 101, "linear")

    assert levels(ROW, center=1000, width=1, window=asked) == [[0, 0, 255, 255]]


def test_the_first_window_of_the_file_is_used():
    assert levels(ROW, center=["150.5", 0], width=["101", 1]) == [[0, 0, 255, 255]]


@pytest.mark.parametrize(
    ("function", "level"), [("LINEAR", 128), ("LINEAR_EXACT", 128), ("SIGMOID", 128), ("?", 128)]
)
def test_the_function_of_the_file_is_used(function, level):
    grey = shown(ROW, center=200, width=200, function=function)[0]

    assert abs(int(grey[2]) - level) <= 1
    assert grey[0] == (5 if function == "SIGMOID" else 0)  # 255 / (1 + e^4) = 4.6


@pytest.mark.parametrize(
    "nonsense",
    [
        {"center": 100, "width": 0},
        {"center": 100, "width": 0.5},
        {"center": 100, "width": -10},
        {"center": 100, "width": 0, "function": "SIGMOID"},
        {"center": 100, "width": "NaN"},
        {"center": "1e999", "width": 10},
        {"center": 100},
        {"width": 100},
        {"center": [], "width": []},
        {"center": [None], "width": [None]},
        {"center": {"a": 1}, "width": "@"},
    ],
)
def test_a_window_that_makes_no_sense_is_absent(nonsense):
    assert levels(ROW, **nonsense) == [[0, 85, 170, 255]]


def test_a_frame_has_its_own_window_or_the_shared_one():
    def group(center):
        return {"00289132": element(attributes(center=center, width=101))}

    enhanced = {
        "center": 1000,
        "width": 1,
        "shared": group(250.5),
        "per_frame": [group(50.5), {"other": element(1)}],
    }

    assert levels(ROW, number=1, **enhanced) == [[0, 255, 255, 255]]
    assert levels(ROW, number=2, **enhanced) == [[0, 0, 0, 255]]
    assert levels(ROW, number=9, **enhanced) == [[0, 0, 0, 255]]


def test_without_a_window_the_lowest_is_black_and_the_highest_white():
    assert levels(ROW + np.uint16(1000)) == [[0, 85, 170, 255]]


def test_a_flat_frame_is_shown_in_the_range_of_bits_stored():
    assert levels(np.full((1, 2), 1024, np.uint16), stored=11) == [[128, 128]]
    assert levels(np.full((1, 2), 0, np.int16)) == [[128, 128]]


@pytest.mark.parametrize("frame", [[[0, 1]], [[0, 0]], [[1, 1]]])
def test_a_binary_segmentation_is_black_and_white(frame):
    grey = shown(np.array(frame, np.uint8), stored=1)

    assert grey.tolist() == (255 * np.array(frame)).tolist()


def test_a_fractional_segmentation_is_shown_in_its_declared_range():
    array = np.array([[0, 50, 100]], np.uint8)

    assert levels(array, **{"00620001": "FRACTIONAL", "0062000E": 200}) == [[0, 64, 128]]
    assert levels(array, **{"00620001": "FRACTIONAL"}) == [[0, 50, 100]]


# --- modality ---------------------------------------------------------------------------------


def test_windows_are_in_the_units_after_rescaling():
    """Unsigned pixels become negative: CT stored with an offset of 1024 (GRY-02)."""
    array = np.array([[0, 1024, 1064, 2048]], np.uint16)

    grey = levels(array, slope=1, intercept=-1024, center=40.5, width=81)

    assert grey == [[0, 0, 128, 255]]


def test_a_negative_slope_turns_the_picture():
    assert levels(ROW, slope=-1, intercept=0) == [[255, 170, 85, 0]]


@pytest.mark.parametrize("slope", [0, "NaN", "x", "1e999"])
def test_a_rescale_slope_that_makes_no_sense_is_absent(slope):
    assert levels(ROW, slope=slope, center=150.5, width=101) == [[0, 0, 255, 255]]


def test_a_frame_has_its_own_rescaling():
    def group(intercept):
        return {"00289145": element(attributes(slope=1, intercept=intercept))}

    enhanced = {
        "intercept": 5000,
        "per_frame": [group(0), group(200)],
        "center": 250.5,
        "width": 101,
    }

    assert levels(ROW, number=1, **enhanced) == [[0, 0, 0, 255]]
    assert levels(ROW, number=2, **enhanced) == [[0, 255, 255, 255]]


def lut(count, first, bits, data):
    return {
        "00283002": element([count, first, bits]),
        "00283006": {"vr": "OW", "InlineBinary": base64.b64encode(data).decode()},
    }


def words(*values):
    return np.array(values, "<u2").tobytes()


def test_a_modality_lut_goes_before_rescaling_and_ends_in_its_ends():
    array = np.array([[0, 10, 11, 12, 99]], np.uint16)
    table = lut(3, 10, 16, words(100, 400, 200))

    assert levels(array, modality_lut=table, slope=0.001) == [[0, 0, 255, 85, 85]]


def test_the_first_value_mapped_is_signed_if_the_pixels_are():
    array = np.array([[-3, -2, -1, 0]], np.int16)

    for first in (-2, 65534):
        grey = levels(array, voi_lut=lut(2, first, 8, words(10, 20)), stored=16)
        assert grey == [[10, 10, 20, 20]]


def test_a_voi_lut_is_looked_up_in_modality_units_and_goes_before_a_window():
    table = lut(3, 65535, 8, words(0, 128, 255))  # first value: -1, since the units are signed

    grey = levels(np.array([[0, 1, 2]], np.uint16), intercept=-1, voi_lut=table, center=9, width=9)

    assert grey == [[0, 128, 255]]


def test_a_voi_lut_is_stretched_to_the_full_range():
    array = np.array([[0, 1, 2]], np.uint16)

    assert levels(array, voi_lut=lut(3, 0, 10, words(0, 511, 1023))) == [[0, 127, 255]]


@pytest.mark.parametrize(
    "data", [bytes([0, 128, 255]), bytes([0, 128, 255, 0]), words(0, 128, 255)]
)
def test_entries_of_8_bits_may_be_stored_in_bytes_or_words(data):
    array = np.array([[0, 1, 2]], np.uint16)

    assert levels(array, voi_lut=lut(3, 0, 8, data)) == [[0, 128, 255]]


def test_entries_may_be_numbers():
    table = lut(3, 0, 8, b"") | {"00283006": {"vr": "US", "Value": [0, 128, 255]}}

    assert levels(np.array([[0, 1, 2]], np.uint16), voi_lut=table) == [[0, 128, 255]]


def test_0_entries_are_65536():
    table = lut(0, 0, 16, np.arange(65536, dtype="<u2")[::-1].tobytes())

    assert levels(np.array([[0, 65535]], np.uint16), voi_lut=table) == [[255, 0]]


@pytest.mark.parametrize(
    "table",
    [
        lut(3, 0, 16, bytes(2)),
        lut(3, 0, 16, b""),
        lut(4, 0, 16, bytes(7)),
        {"00283002": element([3, 0]), "00283006": element([0, 1, 2])},
        {"00283002": element(["a", 0, 16]), "00283006": element([0, 1, 2])},
        {"00283002": element([3, 0, 16]), "00283006": {"InlineBinary": "!"}},
        {"00283002": element([3, 0, 16]), "00283006": element(["x", {}, []])},
        {"00283002": element([3, 0, 16])},
        {},
    ],
)
def test_a_lut_that_makes_no_sense_is_absent(table):
    assert levels(ROW, voi_lut=table, modality_lut=table) == [[0, 85, 170, 255]]


# --- polarity and padding ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "?", True),
    ],
)
def test_polarity_is_applied_once(photometric, shape, inverted):
    values = {"photometric": photometric} | ({"shape": shape} if shape else {})

    assert levels(ROW, **values) == [[255, 170, 85, 0] if inverted else [0, 85, 170, 255]]


def test_monochrome1_inverts_after_the_window():
    window = Window(100.5, 101, "linear")

    assert levels(ROW, photometric="MONOCHROME1", window=window) == [[255, 127, 0, 0]]


def test_padding_is_black_and_does_not_widen_the_window():
    array = np.array([[-2000, 0, 100, 300]], np.int16)

    assert levels(array, padding=-2000) == [[0, 0, 85, 255]]
    assert levels(array, padding=63536) == [[0, 0, 85, 255]]  # told as unsigned
    assert levels(array, padding=-2000, photometric="MONOCHROME1") == [[0, 255, 170, 0]]


@pytest.mark.parametrize(("value", "limit"), [(50, 150), (150, 50)])
def test_padding_may_be_a_range_which_is_of_stored_values(value, limit):
    grey = levels(ROW, padding=value, padding_limit=limit, intercept=1000, center=1100, width=1000)

    assert grey[0][1] == 0
    assert grey[0][0] > 0


def test_padding_that_no_pixel_can_have_is_absent():
    assert levels(ROW, stored=12, padding=5000) == [[0, 85, 170, 255]]


def test_a_frame_of_nothing_but_padding_is_black():
    assert levels(np.full((1, 2), 7, np.uint16), padding=7) == [[0, 0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_pixels_go_the_same_way(dtype):
    array = np.array([[0, 0.25, 0.5, np.nan, np.inf]], dtype)

    assert levels(array) == [[0, 128, 255, 0, 0]]
    assert levels(array, center=0.5, width=1, function="LINEAR_EXACT") == [[0, 64, 128, 0, 0]]


def test_padding_of_floating_point_pixels():
    assert levels(np.array([[-1e9, 0, 1]], np.float32), float_padding=-1e9) == [[0, 0, 255]]


# --- colour -----------------------------------------------------------------------------------

# Y, Cb, Cr and R, G, B of ITU-R BT.601 in full range, worked out by hand
YBR_AND_RGB = [
    ((76, 85, 255), (254, 0, 0)),
    ((150, 44, 21), (0, 255, 1)),
    ((29, 255, 107), (0, 0, 254)),
    ((128, 128, 128), (128, 128, 128)),
    ((100, 110, 150), (131, 90, 68)),
    ((255, 128, 128), (255, 255, 255)),
    ((16, 128, 128), (16, 16, 16)),
]


@pytest.mark.parametrize(("ybr", "rgb"), YBR_AND_RGB)
def test_ybr_full_is_converted(ybr, rgb):
    picture = shown(np.array([[ybr]], np.uint8), photometric="YBR_FULL")

    assert picture[0, 0].tolist() == list(rgb)


@pytest.mark.parametrize(
    ("ybr", "rgb"),
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((126, 128, 240), (255, 37, 128)),
    ],
)
def test_ybr_partial_has_black_at_16_and_white_at_235(ybr, rgb):
    picture = shown(np.array([[ybr]], np.uint8), photometric="YBR_PARTIAL_420")

    assert picture[0, 0].tolist() == list(rgb)


def test_rgb_is_shown_as_it_is_whatever_the_window():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    narrow = Window(1, 1, "linear")

    assert levels(array, photometric="RGB", window=narrow, center=3, width=2) == array.tolist()


def test_rgb_of_more_bits_is_scaled():
    array = np.array([[[0, 0x8000, 0xFFFF]]], np.uint16)

    assert levels(array, photometric="RGB") == [[[0, 128, 255]]]
    assert levels(array >> np.uint16(4), photometric="RGB", stored=12) == [[[0, 128, 255]]]


def palette(red, green, blue, first=0, bits=16, segmented=False):
    base = 0x00281221 if segmented else 0x00281201
    size = "<u2" if bits > 8 else "u1"
    tables = {}
    for n, entries in enumerate((red, green, blue)):
        data = base64.b64encode(np.array(entries, size).tobytes()).decode()
        tables[f"{base + n:08X}"] = {"vr": "OW", "InlineBinary": data}
    return tables, {f"{0x00281101 + n:08X}": [4, first, bits] for n in range(3)}


def through_palette(array, tables, descriptors, **more):
    array = np.array(array)
    values = {"photometric": "PALETTE COLOR"} | descriptors | more
    dataset = {
        "00280010": element(array.shape[0]),
        "00280011": element(array.shape[1]),
        "00280100": element(8 * array.dtype.itemsize),
    } | attributes(signed=int(array.dtype.kind == "i"), **values)
    dataset |= tables
    image = image_pixel(dataset)
    decoded = Decoded(array, image.photometric_interpretation)
    return render(decoded, image, dataset, 1, RenderOptions()).tolist()


def test_a_palette_of_16_bits_gives_its_high_bytes():
    made = palette([0, 0x1234, 0xFF00, 0xFFFF], [0, 0, 0x8000, 0], [1, 2, 3, 0xABFF])

    picture = through_palette(np.array([[0, 1, 2, 3, 9]], np.uint8), *made)

    assert picture == [[[0, 0, 0], [0x12, 0, 0], [255, 128, 0], [255, 0, 0xAB], [255, 0, 0xAB]]]


def test_a_palette_of_bytes_begins_at_its_first_value():
    made = palette([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], first=10, bits=8)

    picture = through_palette(np.array([[0, 10, 11, 13, 200]], np.uint16), *made)

    assert picture == [[[1, 5, 9], [1, 5, 9], [2, 6, 10], [4, 8, 12], [4, 8, 12]]]


def test_a_palette_that_says_16_bits_of_8_bit_entries_is_not_black():
    made = palette([0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255])

    picture = through_palette(np.array([[1, 2, 3]], np.uint8), *made)

    assert picture == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


def test_a_segmented_palette_is_expanded():
    """PS3.3 C.7.9.2: two entries as they are, then two on a line to the end point."""
    slope = [0, 2, 0x1000, 0x2000, 1, 2, 0x4000]
    made = palette(slope, slope, slope, segmented=True)

    picture = through_palette(np.array([[0, 1, 2, 3]], np.uint8), *made)

    assert picture == [[[0x10] * 3, [0x20] * 3, [0x30] * 3, [0x40] * 3]]


def test_a_segment_may_refer_to_another():
    # one discrete segment of 2 entries at byte 0, then "1 segment at byte 0 again"
    again = [0, 2, 0x1000, 0x2000, 2, 1, 0, 0]
    made = palette(again, again, again, segmented=True)

    picture = through_palette(np.array([[0, 1, 2, 3]], np.uint8), *made)

    assert picture == [[[0x10] * 3, [0x20] * 3, [0x10] * 3, [0x20] * 3]]


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [0, 0, 0, 0],
        [0, 9, 1],
        [1, 4, 5],
        [2, 1, 0, 0],
        [2, 65535, 0, 0],
        [0, 2, 1, 2, 2, 5, 8, 0],
        [7, 4, 1, 2, 3, 4],
        [0, 2, 1, 2],
    ],
)
def test_without_a_whole_palette_the_picture_is_grey(segments):
    made = palette(segments, segments, segments, segmented=True)

    assert through_palette(np.array([[0, 1, 2, 3]], np.uint8), *made) == [[0, 85, 170, 255]]


# --- viewport ---------------------------------------------------------------------------------

CROSS = np.zeros((40, 80), np.uint8)
CROSS[:20, 40:] = 255  # the upper right quarter


def fitted(array=CROSS, aspect=None, **viewport):
    values = {"aspect": aspect} if aspect else {}
    return shown(array, viewport=Viewport(**viewport), center=128, width=256, **values)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (40, 40, (20, 40)),
        (160, 160, (80, 160)),
        (500, 20, (20, 40)),
        (1, 1, (1, 1)),
        (80, 40, (40, 80)),
    ],
)
def test_a_viewport_is_filled_in_one_direction_and_the_aspect_kept(width, height, shape):
    assert fitted(width=width, height=height).shape == shape


def test_a_region_is_cut_out_before_scaling():
    picture = fitted(width=80, height=80, x=40, y=0, region_width=40, region_height=20)

    assert picture.shape == (40, 80)
    assert picture.min() == 255


def test_a_region_without_a_size_reaches_to_the_edge():
    assert fitted(width=40, height=40, x=40, y=20).shape == (20, 40)
    assert fitted(width=40, height=40, x=40, y=20).max() == 0


def test_a_region_that_passes_the_edge_ends_there():
    assert fitted(width=40, height=40, x=70, y=0, region_width=100).shape == (40, 10)


@pytest.mark.parametrize(
    ("flips", "quarter"),
    [
        ({"flip_horizontally": True}, (slice(0, 20), slice(0, 40))),
        ({"flip_vertically": True}, (slice(20, 40), slice(40, 80))),
        ({"flip_horizontally": True, "flip_vertically": True}, (slice(20, 40), slice(0, 40))),
    ],
)
def test_a_region_may_be_flipped(flips, quarter):
    picture = fitted(width=80, height=40, **flips)

    assert picture[quarter].min() == 255
    assert int(picture.astype(int).sum()) == 255 * 20 * 40


@pytest.mark.parametrize(
    "region",
    [
        {"x": 80},
        {"y": 40},
        {"x": 1e300},
        {"x": -1},
        {"region_width": 0},
        {"region_height": -3},
    ],
)
def test_a_region_outside_the_image_is_refused(region):
    with pytest.raises(InvalidParameter):
        fitted(width=40, height=40, **region)


def test_pixels_that_are_not_square_are_corrected_in_a_viewport_alone():
    """Pixel Aspect Ratio is vertical\\horizontal (VP-10)."""
    assert fitted(width=80, height=80, aspect=["2", "1"]).shape == (80, 80)
    assert shown(CROSS, aspect=["2", "1"]).shape == (40, 80)
    assert fitted(width=80, height=80, aspect=["0", "1"]).shape == (40, 80)
    assert fitted(width=80, height=80, aspect=[1, 1e9]).shape == (40, 80)


def test_pixel_spacing_tells_the_shape_of_pixels_too():
    viewport = Viewport(80, 80)
    measures = {"00289110": element(attributes(spacing=[1.0, 0.5]))}

    assert shown(CROSS, viewport=viewport, spacing=["1.0", "0.5"]).shape == (80, 80)
    assert shown(CROSS, viewport=viewport, shared=measures).shape == (80, 80)


def test_colours_are_scaled_as_well():
    assert shown(np.zeros((4, 8, 3), np.uint8), viewport=Viewport(4, 4)).shape == (2, 4, 3)


# --- whatever comes ---------------------------------------------------------------------------

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*TAGS.values(), "00283002", "00283006"]),
            st.fixed_dictionaries({"Value": inner}) | inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    values=st.dictionaries(
        st.sampled_from(sorted(set(TAGS) - {"photometric", "signed"})), junk, max_size=6
    ),
    dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.uint32, np.float32, np.float64]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "YBR_FULL", "?"]),
    viewport=st.none() | st.builds(Viewport, st.integers(1, 50), st.integers(1, 50)),
)
def test_no_attributes_make_rendering_fail(values, dtype, photometric, viewport):
    array = np.array([[0, 1], [2, 200]], dtype)

    picture = shown(array, viewport=viewport, photometric=photometric, **values)

    assert picture.dtype == np.uint8


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=60), st.sampled_from([8, 16]))
def test_any_segments_are_a_table_or_none(segments, bits):
    data = base64.b64encode(np.array(segments, "<u2").tobytes()).decode()
    dataset = {"00281101": element([0, 0, bits]), "00281221": {"InlineBinary": data}}

    table = lookup_table(dataset, "00281101", "00281221", signed=False, segmented=True)

    assert table is None or len(table.entries) == 65536


def test_what_is_kept_of_one_transform_is_not_used_for_another():
    ramp = np.arange(-2000, 4000, dtype=np.int16).reshape(60, 100)
    transforms = [
        (slope, center, padding, photometric)
        for slope in (1, 2)
        for center in (40, 41)
        for padding in (-2000, 7)
        for photometric in ("MONOCHROME1", "MONOCHROME2")
    ]
    for part in (ramp[10:20], ramp, ramp[::-1, ::2], ramp[:5] + 9000):
        for slope, center, padding, photometric in transforms:
            picture = shown(
                part,
                slope=slope,
                center=center,
                width=400,
                padding=padding,
                photometric=photometric,
            )

            grey = ((slope * part.astype(float) - (center - 0.5)) / 399 + 0.5) * 255
            grey = np.floor(np.clip(grey, 0, 255) + 0.5)
            if photometric == "MONOCHROME1":
                grey = 255 - grey
            np.testing.assert_array_equal(picture, np.where(part == padding, 0, grey))


# --- real files -------------------------------------------------------------------------------


def decoded_first(still):
    image = image_pixel(still.dataset)
    return decode_frame(still.frame(1), image, still.transfer_syntax_uid), image


def test_palettes_of_real_files_are_those_of_pydicom():
    seen = 0
    for still in still_images():
        image = image_pixel(still.dataset)
        if image.photometric_interpretation != "PALETTE COLOR":
            continue
        decoded, _ = decoded_first(still)
        dataset = pydicom.dcmread(still.path)
        if "SegmentedRedPaletteColorLookupTableData" in dataset and not dataset.get(
            "RedPaletteColorLookupTableData"
        ):
            continue
        expected = apply_color_lut(decoded.array, dataset)
        if expected.dtype == np.uint16:
            expected = expected >> 8 if expected.max() > 255 else expected
        picture = render(decoded, image, still.dataset, 1, RenderOptions())
        np.testing.assert_array_equal(picture, expected, str(still.path))
        seen += 1
    assert seen >= 1


@given(
    st.integers(-300, 300),
    st.sampled_from([10, 12, 16]),  # pydicom's index of entries of 8 bits wraps at 256
    st.lists(st.integers(0, 1023), min_size=2, max_size=40),
)
def test_a_voi_lut_is_applied_as_pydicom_applies_it(first, bits, entries):
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    dataset = pydicom.Dataset()
    dataset.VOILUTSequence = [item]
    array = np.arange(-400, 400, dtype=np.int16).reshape(20, 40)

    picture = shown(array, voi_lut=lut(len(entries), first, bits, words(*entries)))

    expected = apply_voi_lut(array, dataset) / (2**bits - 1) * 255
    assert np.abs(picture - expected).max() <= 0.5


def test_ybr_of_a_real_file_is_what_pydicom_converts_it_to():
    still = read_still_image(BUNDLED / "SC_ybr_full_422_uncompressed.dcm")
    assert still is not None
    decoded, image = decoded_first(still)

    picture = render(decoded, image, still.dataset, 1, RenderOptions())

    expected = convert_color_space(decoded.array, "YBR_FULL", "RGB")
    assert np.abs(picture.astype(int) - expected).max() <= 1
    assert picture[5, 50].tolist() == [254, 0, 0]
