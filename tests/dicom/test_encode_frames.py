"""Code streams of our encoders, decoded by ours and by decoders that share no code with them."""

from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from dicomweb_server.dicom.codestream import jpeg2000_header, jpeg_header
from dicomweb_server.dicom.encodable import (
    LOSSLESS_TARGETS,
    can_encode,
    encoded_interpretation,
    why_not,
)
from dicomweb_server.dicom.encode_frames import encode_frame
from dicomweb_server.dicom.image_pixel import ImagePixel, image_pixel
from dicomweb_server.dicom.pixels import Decoded, decode_frame
from dicomweb_server.errors import UndecodablePixels
from tests.dicom.test_pixels import attributes

ARC = "1.2.840.10008.1.2.4."
RLE, BASELINE = "1.2.840.10008.1.2.5", ARC + "50"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_2000 = (ARC + "90", ARC + "201", ARC + "202")
# pydicom's plugins that decode with other code than what encodes here.
INDEPENDENT = {
    RLE: ("pydicom",),
    ARC + "70": ("gdcm",),  # IJG's libjpeg; ours is libjpeg-turbo
    ARC + "80": ("gdcm",),
    ARC + "90": ("gdcm",),
    ARC + "201": ("pylibjpeg",),  # OpenJPEG; ours is OpenJPH
    ARC + "202": ("pylibjpeg",),
}


def image_of(array: np.ndarray, bits: int = 0, photometric: str = "", **more: Any) -> ImagePixel:
    told = attributes(array, stored=bits, **more)
    if photometric:
        told["00280004"]["Value"] = [photometric]
    return image_pixel(told)


def encoded(array: np.ndarray, target: str, photometric: str = "", bits: int = 0, **more: Any):
    """The code stream, and the image that it belongs to."""
    image = image_of(array, bits, photometric)
    colours = image.photometric_interpretation
    code = encode_frame(Decoded(array, colours), image, target, **more)
    stored = image_of(array, bits, encoded_interpretation(colours, target))
    return code, stored


def other_decoders(code: bytes, image: ImagePixel, target: str) -> list[np.ndarray]:
    options = {
        "rows": image.rows,
        "columns": image.columns,
        "number_of_frames": 1,
        "samples_per_pixel": image.samples_per_pixel,
        "photometric_interpretation": image.photometric_interpretation,
        "bits_allocated": image.bits_allocated,
        "bits_stored": image.bits_stored,
        "pixel_representation": image.pixel_representation,
        "planar_configuration": 0,
        "pixel_keyword": "PixelData",
    }
    decoder = get_decoder(target)
    value = encapsulate([code])
    arrays = [
        decoder.as_array(value, raw=True, decoding_plugin=plugin, **options)[0]
        for plugin in INDEPENDENT[target]
        if plugin != "gdcm" or image.bits_stored >= 8  # it crashes, or refuses
    ]
    if target == ARC + "70":
        array = imagecodecs.jpegsof3_decode(code)  # shares nothing with libjpeg-turbo
        if image.pixel_representation:
            size = image.dtype.itemsize
            unused = 8 * size - image.bits_stored
            array = (array.astype(f"u{size}").view(f"i{size}") << unused) >> unused
        arrays.append(array)
    return arrays


def assert_lossless(array: np.ndarray, target: str, photometric: str = "", bits: int = 0) -> None:
    code, image = encoded(array, target, photometric, bits)
    decoded = decode_frame(code, image, target)
    assert decoded.array.dtype == array.dtype
    np.testing.assert_array_equal(decoded.array, array)
    assert decoded.photometric_interpretation == (photometric or decoded.photometric_interpretation)
    for other in other_decoders(code, image, target):
        np.testing.assert_array_equal(other.reshape(array.shape), array)


def random_pixels(shape: tuple[int, ...], bits: int, signed: bool, seed: int) -> np.ndarray:
    least = -(1 << bits - 1) if signed else 0
    values = np.random.default_rng(seed).integers(least, least + (1 << bits), shape)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


@pytest.mark.parametrize("target", sorted(LOSSLESS_TARGETS))
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 70),
    columns=st.integers(1, 70),
    bits=st.integers(2, 16),
    kind=st.sampled_from(["unsigned", "signed", "RGB", "YBR_FULL", "PALETTE COLOR", "MONOCHROME1"]),
    wide=st.booleans(),
    seed=st.integers(0, 9),
)
def test_every_pixel_comes_back_from_every_decoder(
    target: str, rows: int, columns: int, bits: int, kind: str, wide: bool, seed: int
) -> None:
    photometric = "MONOCHROME2" if kind in ("signed", "unsigned") else kind
    if kind == "YBR_FULL":
        bits = min(bits, 8)
    shape = (rows, columns, 3) if kind in ("RGB", "YBR_FULL") else (rows, columns)
    array = random_pixels(shape, bits, kind == "signed", seed)
    if wide and kind != "YBR_FULL":
        array = array.astype(f"{array.dtype.kind}2")  # few bits in large cells

    assert_lossless(array, target, photometric, bits)


@pytest.mark.parametrize("target", sorted(LOSSLESS_TARGETS))
@pytest.mark.parametrize("value", ["least", "greatest"])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, True), (12, False), (16, True)])
def test_blank_frames_of_extreme_values(target: str, value: str, bits: int, signed: bool) -> None:
    least = -(1 << bits - 1) if signed else 0
    fill = least if value == "least" else least + (1 << bits) - 1
    dtype = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"

    assert_lossless(np.full((40, 30), fill, dtype), target, bits=bits)


@pytest.mark.parametrize("target", sorted(LOSSLESS_TARGETS))
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_even_areas_of_colour(target: str, photometric: str) -> None:
    """libjpeg-turbo codes those of YBR with the wrong Huffman table if left to itself."""
    bars = np.repeat(np.array([[76, 85, 255], [143, 192, 115], [0, 128, 128]], np.uint8), 20, 0)
    array = np.broadcast_to(bars[:, None], (60, 40, 3)).copy()

    assert_lossless(array, target, photometric)


# ------------------------------------------------------------------------------- the headers


@pytest.mark.parametrize("target", JPEG_2000)
@pytest.mark.parametrize("bits", [2, 8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_tells_depth_and_sign(target: str, bits: int, signed: bool) -> None:
    code, _ = encoded(random_pixels((30, 20), bits, signed, 0), target, bits=bits)

    header = jpeg2000_header(code)

    assert (header.precision, header.signed, header.samples) == (bits, signed, 1)
    assert code.startswith(b"\xff\x4f\xff\x51")  # bare, without a JP2 box


@pytest.mark.parametrize(
    ("target", "marker"), [(ARC + "70", b"\xff\xc3"), (ARC + "80", b"\xff\xf7")]
)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_tells_the_depth(target: str, marker: bytes, bits: int) -> None:
    code, _ = encoded(random_pixels((30, 20), bits, False, 0), target, bits=bits)

    assert jpeg_header(code).precision == bits
    assert marker in code
    assert code.endswith(b"\xff\xd9")
    assert b"JFIF" not in code  # PS3.5 8.2.1: recommended to be absent


def test_jpeg_lossless_is_of_selection_value_1() -> None:
    code, _ = encoded(random_pixels((30, 20), 12, False, 0), ARC + "70", bits=12)

    scan = code.index(b"\xff\xda")
    assert code[scan + 4] == 1  # components
    assert code[scan + 7] == 1  # the predictor


def coding_style(code: bytes) -> tuple[int, int, int]:
    """Progression order, multiple component transformation, decomposition levels (COD)."""
    at = code.index(b"\xff\x52")
    return code[at + 5], code[at + 8], code[at + 9]


@pytest.mark.parametrize("side", [1, 64, 65, 100, 2048, 2049, 5000])
def test_rpcl_has_a_thumbnail_and_tells_where_each_resolution_begins(side: int) -> None:
    """PS3.5 10.18: progression RPCL, a base resolution of 64 at most, TLM."""
    code, _ = encoded(np.zeros((side, 3), np.uint8), ARC + "202")

    progression, _, levels = coding_style(code)
    assert progression == 2
    assert -(-side // 2**levels) <= 64
    header = code[: code.index(b"\xff\x90")]
    tlm = header.index(b"\xff\x55")
    lengths = int.from_bytes(header[tlm + 2 : tlm + 4]) - 4
    assert lengths % (levels + 1) == 0  # one entry a tile part, one part a resolution
    assert code.count(b"\xff\x90\x00\x0a") == levels + 1


@pytest.mark.parametrize("target", JPEG_2000)
def test_the_reversible_transform_is_for_rgb_alone(target: str) -> None:
    array = random_pixels((30, 20, 3), 8, False, 0)

    assert coding_style(encoded(array, target, "RGB")[0])[1] == 1
    assert coding_style(encoded(array, target, "YBR_FULL")[0])[1] == 0
    assert encoded_interpretation("RGB", target) == "YBR_RCT"
    assert encoded_interpretation("YBR_FULL", target) == "YBR_FULL"


@pytest.mark.parametrize("target", [RLE, ARC + "70", ARC + "80"])
def test_no_other_syntax_transforms_colours(target: str) -> None:
    for photometric in ("RGB", "YBR_FULL", "MONOCHROME1", "PALETTE COLOR"):
        assert encoded_interpretation(photometric, target) == photometric


# ------------------------------------------------------------------------- values too great


@pytest.mark.parametrize("target", [ARC + "80", *JPEG_2000])
@pytest.mark.parametrize("values", [[[0, 4096]], [[0, -3000]]])
def test_values_beyond_bits_stored_are_kept(target: str, values: list[list[int]]) -> None:
    array = np.array(values, np.int16 if values[0][1] < 0 else np.uint16)

    code, image = encoded(array, target, bits=12)

    np.testing.assert_array_equal(decode_frame(code, image, target).array, array)


def test_values_beyond_bits_stored_are_refused_where_they_would_be_cut() -> None:
    with pytest.raises(UndecodablePixels, match="beyond Bits Stored"):
        encoded(np.array([[0, 4096]], np.uint16), ARC + "70", bits=12)


# --------------------------------------------------------------------------------- lossy


def test_jpeg_baseline_is_made_only_where_a_quality_is_given() -> None:
    array = random_pixels((16, 16), 8, False, 0)

    with pytest.raises(UndecodablePixels, match="only where a quality is given"):
        encoded(array, BASELINE)
    for quality in (0, 101, -1):
        with pytest.raises(UndecodablePixels, match="from 1 to 100"):
            encoded(array, BASELINE, quality=quality)
    assert len(encoded(array, BASELINE, quality=50)[0]) < len(
        encoded(array, BASELINE, quality=95)[0]
    )


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL"])
def test_jpeg_baseline_is_near(photometric: str) -> None:
    ramp = np.arange(32 * 32).reshape(32, 32) // 6
    grey = ramp.astype(np.uint8)
    array = np.stack([grey, grey.T, grey[::-1]], 2) if photometric[0] in "RY" else grey

    code, image = encoded(array, BASELINE, photometric, quality=98)

    assert jpeg_header(code).precision == 8
    assert b"\xff\xc0" in code  # baseline
    decoded = decode_frame(code, image, BASELINE)
    if array.ndim == 2:
        assert decoded.photometric_interpretation == photometric
    else:
        assert image.photometric_interpretation == "YBR_FULL_422"
        assert decoded.photometric_interpretation == "YBR_FULL"
    if photometric != "RGB":
        assert np.abs(decoded.array.astype(int) - array).mean() < 4


# --------------------------------------------------------------------------------- refused

FLOATS = {"7FE00008": {"vr": "OF"}}
BARRED = [
    ({"allocated": 1}, {}, "cells of 1 bits"),
    ({"allocated": 32}, {}, "cells of 32 bits"),
    ({"allocated": 64}, {}, "cells of 64 bits"),
    ({}, FLOATS, "floating point"),
    ({"photometric": "YBR_PARTIAL_422", "samples": 3}, {}, "YBR_PARTIAL_422"),
    ({"photometric": "HSV", "samples": 3}, {}, "HSV"),
    ({"samples": 3, "signed": 1}, {}, "signed"),
    ({"photometric": "PALETTE COLOR", "signed": 1}, {}, "signed"),
    ({"photometric": "RGB", "samples": 1}, {}, "1 samples"),
    ({"photometric": "MONOCHROME2", "samples": 3}, {}, "3 samples"),
]


@pytest.mark.parametrize("target", sorted({*LOSSLESS_TARGETS, BASELINE}))
@pytest.mark.parametrize(("told", "more", "match"), BARRED)
def test_what_the_tables_bar_is_refused_and_foretold(
    target: str, told: dict[str, Any], more: dict[str, Any], match: str
) -> None:
    stated = attributes(rows=4, columns=4, **told) | {"7FE00010": {"vr": "OW"}} | more
    image = image_pixel(stated)
    shape = (4, 4, 3) if image.samples_per_pixel == 3 else (4, 4)
    frame = Decoded(np.zeros(shape, image.dtype), image.photometric_interpretation)

    assert not can_encode(stated, EXPLICIT, target, lossy_allowed=True)
    with pytest.raises(UndecodablePixels, match=None if target == BASELINE else match):
        encode_frame(frame, image, target, quality=90)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (RLE, {"photometric": "YBR_FULL", "samples": 3, "allocated": 16}),
        (ARC + "80", {"photometric": "YBR_FULL", "samples": 3, "allocated": 16}),
        (ARC + "80", {"allocated": 8, "stored": 1}),
        (BASELINE, {"allocated": 16}),
        (BASELINE, {"allocated": 8, "stored": 7}),
        (BASELINE, {"allocated": 8, "signed": 1}),
        (BASELINE, {"allocated": 8, "photometric": "PALETTE COLOR"}),
    ],
)
def test_what_one_table_bars(target: str, told: dict[str, Any]) -> None:
    image = image_pixel(attributes(rows=4, columns=4, **told))

    assert why_not(image, image.photometric_interpretation, target) is not None


@pytest.mark.parametrize("target", [ARC + "57", ARC + "91", ARC + "102", "1.2.3", ""])
def test_there_are_no_other_encoders(target: str) -> None:
    array = np.zeros((4, 4), np.uint8)

    assert not can_encode(attributes(array) | {"7FE00010": {"vr": "OW"}}, EXPLICIT, target)
    with pytest.raises(UndecodablePixels, match="no encoder"):
        encoded(array, target)


def test_what_can_be_sent_is_known_before_anything_is_decoded() -> None:
    stated = attributes(rows=512, columns=512, stored=12) | {"7FE00010": {"vr": "OW"}}

    assert all(can_encode(stated, EXPLICIT, target) for target in LOSSLESS_TARGETS)
    assert all(can_encode(stated, ARC + "91", target) for target in LOSSLESS_TARGETS)
    assert can_encode(stated, ARC + "91", EXPLICIT)
    assert can_encode(stated, "1.2.3", "1.2.3")  # as stored
    assert not can_encode(stated, ARC + "102", EXPLICIT)  # video
    assert not can_encode(stated, ARC + "102", ARC + "80")
    assert not can_encode(stated, "1.2.3", ARC + "80")
    assert not can_encode({}, EXPLICIT, ARC + "80")
    assert not can_encode(attributes(rows=512, columns=512), EXPLICIT, ARC + "80")  # no pixels


def test_lossy_is_never_offered_unasked() -> None:
    stated = attributes(rows=4, columns=4, allocated=8) | {"7FE00010": {"vr": "OW"}}

    assert not can_encode(stated, EXPLICIT, BASELINE)
    assert can_encode(stated, EXPLICIT, BASELINE, lossy_allowed=True)


def test_an_overlay_in_the_cells_leaves_rle_alone() -> None:
    stated = attributes(rows=4, columns=4, stored=12) | {"7FE00010": {"vr": "OW"}}
    stated["60020102"] = {"vr": "US", "Value": [15]}

    assert [t for t in sorted(LOSSLESS_TARGETS) if can_encode(stated, EXPLICIT, t)] == [RLE]
    stated["60023000"] = {"vr": "OW"}
    assert can_encode(stated, EXPLICIT, ARC + "80")
