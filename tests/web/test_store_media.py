"""Bulk data that is a compressed image, RLE or a picture: what is stored of it, and shown."""

import struct
import zlib
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import convert_color_space
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from tests.make.coded import CODED, GREY8, GREY16, RGB, Coded
from tests.make.posted import Bulk, Part
from tests.web.asking import OTHER, parts_of, reasons
from tests.web.posting import (
    OCTETS,
    part,
    post_posted,
    posted_image,
    problems,
    retrieved,
    stored_paths,
)

ARC = "1.2.840.10008.1.2.4."
DECODED_BY_PYDICOM = {"50", "70", "57", "80", "81", "90", "91", "201", "203"}


def described(array: NDArray[Any], bits: int, photometric: str) -> dict[str, Any]:
    """The Image Pixel attributes of an array: (rows, columns) or (rows, columns, 3)."""
    colour = array.ndim == 3
    return {
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": photometric,
        **({"PlanarConfiguration": 0} if colour else {}),
        "Rows": array.shape[0],
        "Columns": array.shape[1],
        "BitsAllocated": 8 * array.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(array.dtype.kind == "i"),
    }


def frame_parts(media_type: str, streams: list[bytes]) -> list[Part]:
    return [part(media_type, stream, Content_Location="pixels") for stream in streams]


def decoded(http: httpx.Client, path: str, number: int, like: NDArray[Any]) -> NDArray[Any]:
    """A frame as the server decodes it."""
    [(_, content)] = parts_of(http.get(f"{path}/frames/{number}"))
    return np.frombuffer(content, like.dtype, like.size).reshape(like.shape)


def check_picture(http: httpx.Client, path: str, like: NDArray[Any]) -> None:
    rendered = http.get(f"{path}/rendered")
    assert rendered.status_code == 200, rendered.text
    assert Image.open(BytesIO(rendered.content)).size == like.shape[1::-1]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", CODED)
def test_stow_14_16_a_compressed_image_is_kept_as_it_is(
    http: httpx.Client, name: str, given: bool, frames: int
) -> None:
    coded = CODED[name]
    syntax = ARC + coded.arc
    expected = described(coded.array, coded.bits, coded.photometric)
    stated = expected | ({"NumberOfFrames": frames} if frames > 1 else {}) if given else {}
    made = posted_image(PixelData=Bulk("pixels", "OB"), **stated)
    kind = f"{coded.media_type}; transfer-syntax={syntax}" if coded.claim else coded.media_type
    answer = post_posted(http, [made], frame_parts(kind, [coded.stream] * frames), xml=given)

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert {keyword: dataset[keyword].value for keyword in expected} == expected
    assert dataset.get("NumberOfFrames") == (frames if frames > 1 else None)
    check_lossy(dataset, coded)
    stored = list(generate_frames(dataset.PixelData, number_of_frames=frames))
    assert len(stored) == frames
    assert all(stream.rstrip(b"\0") in coded.stream for stream in stored)
    [path] = stored_paths(answer)
    if coded.arc == "92":  # nobody here decodes Part 2
        assert http.get(f"{path}/rendered").status_code == 406
        return
    frame = decoded(http, path, frames, coded.array)
    if coded.photometric == "YBR_FULL":  # as it is coded, so are the frames
        frame = convert_color_space(frame, "YBR_FULL", "RGB")
    check_pixels(frame, coded)
    check_picture(http, path, coded.array)
    if coded.arc in DECODED_BY_PYDICOM:
        pixels = dataset.pixel_array
        check_pixels(pixels[-1] if frames > 1 else pixels, coded)


def check_lossy(dataset: Dataset, coded: Coded) -> None:
    assert dataset.get("LossyImageCompression") == ("01" if coded.lossy else None)
    assert bool(dataset.get("LossyImageCompressionMethod")) is coded.lossy


def check_pixels(found: NDArray[Any], coded: Coded) -> None:
    if not coded.lossy:
        assert np.array_equal(found, coded.array)
        return
    difference = np.abs(found.astype(int) - coded.array.astype(int)).mean()
    assert difference < 2**coded.bits / 32


def test_stow_10_the_stream_decides_on_the_syntax_whatever_is_claimed(http: httpx.Client) -> None:
    coded = CODED["baseline"]
    kind = f"image/jpeg; transfer-syntax={ARC}90"
    made = posted_image(PixelData=Bulk("pixels", "OB"))
    answer = post_posted(http, [made], frame_parts(kind, [coded.stream]))
    assert retrieved(http, answer).file_meta.TransferSyntaxUID == f"{ARC}50"


def test_what_metadata_and_stream_disagree_on_is_told(http: httpx.Client) -> None:
    coded = CODED["jpeg-ls"]
    stated = described(coded.array, 16, "MONOCHROME1") | {"Rows": 25, "NumberOfFrames": 2}
    made = posted_image(PixelData=Bulk("pixels", "OB"), **stated)
    answer = post_posted(http, [made], frame_parts("image/jls", [coded.stream]))

    assert answer.status_code == 202
    told = " ".join(problems(answer))
    assert "(0028,0010)" in told
    assert "(0028,0008)" in told
    assert "(0028,0004)" not in told  # no stream tells an inverted image from another


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("array", [GREY8, GREY16, RGB], ids=["8", "16", "colour"])
def test_rle_is_what_the_metadata_say(http: httpx.Client, array: NDArray[Any], given: bool) -> None:
    bits = 8 * array.itemsize
    stated = described(array, bits, "RGB" if array.ndim == 3 else "MONOCHROME2")
    stream = rle(array, stated)
    made = posted_image(PixelData=Bulk("pixels", "OB"), **(stated if given else {}))
    answer = post_posted(http, [made], frame_parts("image/dicom-rle", [stream]))

    if not given:
        assert answer.status_code == 202, answer.text
        assert any("(0028,0010) is missing" in problem for problem in problems(answer))
        return
    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.file_meta.TransferSyntaxUID == RLELossless
    assert np.array_equal(dataset.pixel_array, array)
    [path] = stored_paths(answer)
    assert np.array_equal(decoded(http, path, 1, array), array)
    check_picture(http, path, array)


def test_image_attributes_that_nothing_tells_are_missed(http: httpx.Client) -> None:
    stated = described(GREY8, 8, "MONOCHROME2")
    for keyword in stated:
        some = {name: value for name, value in stated.items() if name != keyword}
        made = posted_image(PixelData=Bulk("pixels", "OB"), **some)
        answer = post_posted(http, [made], frame_parts(OCTETS, [GREY8.tobytes()]))
        assert answer.status_code == 202, answer.text
        assert any("missing" in problem for problem in problems(answer))


def rle(array: NDArray[Any], stated: dict[str, Any]) -> bytes:
    return get_encoder(RLELossless).encode(
        array,
        rows=array.shape[0],
        columns=array.shape[1],
        number_of_frames=1,
        samples_per_pixel=stated["SamplesPerPixel"],
        bits_allocated=stated["BitsAllocated"],
        bits_stored=stated["BitsStored"],
        pixel_representation=0,
        photometric_interpretation=stated["PhotometricInterpretation"],
        planar_configuration=0,
    )


# --- pictures that become native pixels -------------------------------------------------------


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


GREY, COLOUR = Image.fromarray(GREY8), Image.fromarray(RGB)
PALETTE = COLOUR.quantize(16)
WITH_ALPHA = Image.fromarray(np.dstack((RGB, GREY8)))
PICTURES = {
    "png grey": ("image/png", saved(GREY, "PNG"), GREY8),
    "png 16": ("image/png", saved(Image.fromarray(GREY16), "PNG"), GREY16),
    "png rgb": ("image/png", saved(COLOUR, "PNG"), RGB),
    "png rgba": ("image/png", saved(WITH_ALPHA, "PNG"), RGB),
    "png palette": ("image/png", saved(PALETTE, "PNG"), np.array(PALETTE.convert("RGB"))),
    "png bits": (
        "image/png",
        saved(Image.fromarray(GREY8 > 99), "PNG"),
        (GREY8 > 99).astype(np.uint8) * 255,
    ),
    "gif": ("image/gif", saved(PALETTE, "GIF"), np.array(PALETTE.convert("RGB"))),
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_stow_16_a_picture_becomes_native_pixels(
    http: httpx.Client, name: str, given: bool
) -> None:
    media_type, file, array = PICTURES[name]
    # What the sender says may be of its file, palette and all: then it is right.
    stated = described(array[..., 0], 8, "PALETTE COLOR") if array.ndim == 3 and given else {}
    made = posted_image(PixelData=Bulk("pixels", "OB"), **stated)
    answer = post_posted(http, [made], [part(media_type, file, Content_Location="pixels")])

    wrong = stated and "palette" not in name and name != "gif"
    assert answer.status_code == (202 if wrong else 200), answer.text
    assert bool(wrong) == ("(0028,0004)" in " ".join(problems(answer)))
    dataset = retrieved(http, answer)
    expected = described(array, 8 * array.itemsize, "RGB" if array.ndim == 3 else "MONOCHROME2")
    assert {keyword: dataset[keyword].value for keyword in expected} == expected
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert ("OW" if array.itemsize > 1 else "OB") == dataset["PixelData"].VR
    assert np.array_equal(dataset.pixel_array, array)
    [path] = stored_paths(answer)
    check_picture(http, path, array)


SIGNED = (GREY16 >> 4).astype(np.int16) - 2048
LUT = np.roll(np.arange(256, dtype=np.uint8), 100)
PALETTES = {
    f"{colour}PaletteColorLookupTable{part}": value
    for colour in ("Red", "Green", "Blue")
    for part, value in (("Descriptor", [256, 0, 8]), ("Data", LUT.tobytes()))
}


@pytest.mark.parametrize(
    ("array", "stated"),
    [
        (GREY8, described(GREY8, 8, "MONOCHROME1")),
        (GREY16 >> 4, described(GREY16, 12, "MONOCHROME1")),
        (SIGNED, described(SIGNED, 12, "MONOCHROME2")),
        (GREY8, described(GREY8, 8, "PALETTE COLOR") | PALETTES),
    ],
    ids=["inverted", "12 bits", "signed", "palette"],
)
def test_stow_16_what_the_sender_says_of_grey_values_stands(
    http: httpx.Client, array: NDArray[Any], stated: dict[str, Any]
) -> None:
    file = saved(Image.fromarray(array.view(f"u{array.itemsize}")), "PNG")
    made = posted_image(PixelData=Bulk("pixels", "OB"), **stated)
    answer = post_posted(http, [made], frame_parts("image/png", [file]))

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert {keyword: dataset[keyword].value for keyword in stated} == stated
    assert np.array_equal(dataset.pixel_array, array)
    [path] = stored_paths(answer)
    shown = Image.open(BytesIO(http.get(f"{path}/rendered?accept=image/png").content))
    values = np.asarray(shown.convert("L")).astype(int)
    ends = {
        "MONOCHROME1": (array.max(), array.min()),
        "MONOCHROME2": (array.min(), array.max()),
        "PALETTE COLOR": (100, 99),
    }
    dark, bright = ends[stated["PhotometricInterpretation"]]
    assert (values[array == dark] == values.min()).all()
    assert (values[array == bright] == values.max()).all()


def test_stow_16_what_a_picture_contradicts_is_told_and_becomes_what_it_says(
    http: httpx.Client,
) -> None:
    stated = described(GREY8, 8, "RGB") | {"Rows": 512, "BitsAllocated": 16, "BitsStored": 12}
    made = posted_image(PixelData=Bulk("pixels", "OB"), **stated, NumberOfFrames=2)
    answer = post_posted(http, [made], frame_parts("image/png", [saved(GREY, "PNG")]))

    assert answer.status_code == 202, answer.text
    told = [problem for problem in problems(answer) if "image itself" in problem]
    tags = ["0028,0004", "0028,0010", "0028,0100", "0028,0101", "0028,0008"]
    assert [problem[1:10] for problem in told] == tags
    dataset = retrieved(http, answer)
    expected = described(GREY8, 8, "MONOCHROME2") | {"NumberOfFrames": 1}
    assert {keyword: dataset[keyword].value for keyword in expected} == expected
    assert np.array_equal(dataset.pixel_array, GREY8)


def test_stow_16_an_animated_gif_is_full_frames(http: httpx.Client) -> None:
    frames = [Image.new("RGB", (40, 24), colour) for colour in ("red", "green", "blue")]
    file = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)
    made = posted_image(PixelData=Bulk("pixels", "OB"))
    answer = post_posted(http, [made], [part("image/gif", file, Content_Location="pixels")])

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.NumberOfFrames == 3
    assert float(dataset.FrameTime) == 40
    assert np.array_equal(dataset.pixel_array, np.stack([np.array(frame) for frame in frames]))
    [path] = stored_paths(answer)
    check_picture(http, path, dataset.pixel_array[0])


@pytest.mark.parametrize("stated", [{}, {"NumberOfFrames": 3}])
def test_stow_14_several_pictures_are_the_frames_of_one_image(
    http: httpx.Client, stated: dict[str, Any]
) -> None:
    arrays = [GREY16, GREY16[::-1], GREY16[:, ::-1]]
    files = [saved(Image.fromarray(array), "PNG") for array in arrays]
    made = posted_image(PixelData=Bulk("pixels", "OW"), **stated)
    answer = post_posted(http, [made], frame_parts("image/png", files))

    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.NumberOfFrames == 3
    assert np.array_equal(dataset.pixel_array, np.stack(arrays))
    [path] = stored_paths(answer)
    assert np.array_equal(decoded(http, path, 3, GREY16), arrays[2])


# --- what is no image that can be kept ----------------------------------------------------------


def forged_size(stream: bytes) -> bytes:
    """A JPEG 2000 stream that says it is 4 billion pixels wide."""
    return stream[:8] + b"\xff\xff\xff\xff" + stream[12:]


def png_header(columns: int, rows: int, depth: int, colour_type: int) -> bytes:
    """A PNG file that says what it is, and holds nothing of it."""
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


J2K = CODED["jpeg 2000"].stream
REFUSED = {
    "damaged": ("image/jpeg", b"\xff\xd8\xff\xe0 no picture", 0xC000),
    "cut off": ("image/jp2", J2K[:-100], 0xC000),
    "empty": ("image/jpeg", b"", 0xC000),
    "of another type": ("image/jpeg", J2K, 0xC000),
    "forged size": ("image/jp2", forged_size(J2K), 0xC122),
    "png of 48 bits": ("image/png", png_header(40, 24, 16, 2), 0xC122),
    "png bomb": ("image/png", png_header(65535, 65535, 8, 2), 0xA700),
    "no png": ("image/png", b"GIF89a", 0xC000),
    "bmp": ("image/bmp", b"BM", 0xC122),
    "svg": ("image/svg+xml", b"<svg/>", 0xC122),
    "html": ("text/html", b"<html>", 0xC122),
    "no video": ("video/mp4", b"\0\0\0\x18ftypisom", 0xC000),
    "other video": ("video/webm", b"\x1aE\xdf\xa3", 0xC122),
    "rle": ("image/dicom-rle", bytes(64), 0xC000),
    "type that is none": (";;;", J2K, 0xC000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_stow_41_what_cannot_be_kept_fails_alone(http: httpx.Client, name: str) -> None:
    media_type, content, reason = REFUSED[name]
    whole = posted_image()
    made = posted_image(PixelData=Bulk("pixels", "OB"))
    answer = post_posted(
        http, [made, whole], [part(media_type, content, Content_Location="pixels")]
    )

    assert answer.status_code == 202, answer.text
    assert len(stored_paths(answer)) == 1
    assert reasons(answer) == [reason]


def test_frames_of_one_image_are_of_one_kind(http: httpx.Client) -> None:
    base, lossless, ls = (CODED[name] for name in ("baseline", "lossless as 57", "jpeg-ls"))
    for first, second in ((base, lossless), (base, ls)):
        made = posted_image(PixelData=Bulk("pixels", "OB"))
        bulk = [
            part(each.media_type, each.stream, Content_Location="pixels")
            for each in (first, second)
        ]
        answer = post_posted(http, [made], bulk)
        assert answer.status_code == 409
        assert reasons(answer) == [0xC000]
        assert not reasons(answer, OTHER)


def test_octets_in_several_parts_are_one_value(http: httpx.Client) -> None:
    made = posted_image(
        PixelData=Bulk("pixels", "OB"), **described(GREY16, 16, "MONOCHROME2"), NumberOfFrames=2
    )
    content = GREY16.tobytes()
    answer = post_posted(http, [made], frame_parts(OCTETS, [content, content[::-1]]))
    assert answer.status_code == 200, answer.text
    dataset = retrieved(http, answer)
    assert dataset.PixelData == content + content[::-1]
    assert dataset["PixelData"].VR == "OW"
