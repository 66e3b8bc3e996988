"""PNG and GIF to native pixels, with Pillow as the one that writes them."""

import contextlib
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dicomweb_server.dicom.native_pictures import NATIVE_TYPES, Cells, decode_to_native
from dicomweb_server.errors import ContentTooLarge, MalformedMedia, Refusal, UnsupportedMedia

LIMIT = 1 << 20

random = np.random.default_rng(2)
GREY = random.integers(0, 256, (9, 7), dtype=np.uint8)
GREY16 = random.integers(0, 65536, (9, 7), dtype=np.uint16)
RGB = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)


def saved(image, kind, **options):
    file = BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def png(image, **options):
    return saved(image, "PNG", **options)


def flat(colour):
    return Image.new("RGB", (7, 9), colour)


def decode(data, media_type="image/png", limit=LIMIT):
    """The picture, and an array of its frames: (frames, rows, columns[, 3])."""
    native = decode_to_native(media_type, data if isinstance(data, list) else [data], limit)
    frames = [
        np.frombuffer(frame, f"<u{native.bits_allocated // 8}").reshape(native.rows, -1)
        for frame in native.frames
    ]
    assert len(frames) == native.number_of_frames
    shape = (len(frames), native.rows, native.columns)
    array = np.stack(frames)
    return native, array.reshape((*shape, 3) if native.samples_per_pixel == 3 else shape)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(RGB), RGB),
        (png(np.dstack((RGB, GREY))), RGB),
        (png(GREY), GREY),
        (png(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)])), GREY),
        (png(GREY16), GREY16),
        (png(Image.fromarray(GREY > 128)), (GREY > 128) * np.uint8(255)),
        (png(GREY, transparency=int(GREY[0, 0])), GREY),
    ],
)
def test_png_keeps_its_values_and_loses_its_alpha(data, expected):
    native, frames = decode(data)

    assert np.array_equal(frames, [expected])
    colour, bits = expected.ndim == 3, 8 * expected.itemsize
    assert (native.rows, native.columns) == (9, 7)
    assert native.samples_per_pixel == (3 if colour else 1)
    assert native.photometric_interpretation == ("RGB" if colour else "MONOCHROME2")
    assert native.planar_configuration == (0 if colour else None)
    assert (native.bits_allocated, native.bits_stored, native.high_bit) == (bits, bits, bits - 1)
    assert (native.pixel_representation, list(native.frame_times)) == (0, [])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("transparency", [None, 0])
def test_palettes_become_rgb_and_what_is_transparent_its_colour(kind, transparency):
    indexed = Image.fromarray(RGB).quantize(16)
    options = {} if transparency is None else {"transparency": transparency}
    _, frames = decode(saved(indexed, kind, **options), f"image/{kind.lower()}")

    assert np.array_equal(frames[0], np.asarray(indexed.convert("RGB")))


@pytest.mark.parametrize(
    ("files", "media_type", "palette", "rescaled"),
    [
        ([png(GREY)], "image/png", False, False),
        ([png(GREY16)], "image/png", False, False),
        ([png(RGB)], "image/png", False, False),
        ([png(Image.fromarray(GREY > 128))], "image/png", False, True),
        ([png(GREY), png(Image.fromarray(GREY > 128))], "image/png", False, True),
        ([png(Image.fromarray(RGB).quantize(4))], "image/png", True, False),
        ([png(Image.fromarray(RGB).quantize(4))] * 2, "image/png", True, False),
        ([png(Image.fromarray(RGB).quantize(4)), png(RGB)], "image/png", False, False),
        ([saved(RGB, "GIF")], "image/gif", True, False),
    ],
)
def test_a_picture_tells_whether_its_values_are_those_of_the_file(
    files, media_type, palette, rescaled
):
    native, _ = decode(files, media_type)
    assert (native.palette, native.rescaled) == (palette, rescaled)


@given(
    bits=st.sampled_from([8, 16]),
    values=st.lists(st.integers(0, 0xFFFF), max_size=4),
    top=st.sampled_from([0, 4, 8]),
    stored=st.integers(-1, 18),
    high=st.integers(-1, 18),
    signed=st.booleans(),
)
def test_values_fit_into_bits_that_give_them_back(bits, values, top, stored, high, signed):
    """PS3.5 §8.1.1: of a cell those from High Bit down, Bits Stored of them, are the value."""
    values = [value >> top & (1 << bits) - 1 for value in values]
    cells = Cells(bits)
    for value in values:
        cells.add(value.to_bytes(bits // 8, "little"))

    def cell(value, extended):
        value = value >> low & (1 << stored) - 1
        negative = extended and value >> stored - 1
        return (value - (1 << stored) if negative else value) << low & (1 << bits) - 1

    low = high + 1 - stored
    possible = 1 <= stored <= high + 1 <= bits
    expected = possible and any(
        all(cell(value, extended) == value for value in values) for extended in {False, signed}
    )
    assert cells.fit(stored, high, signed) == expected


def test_an_animated_gif_is_full_frames():
    pictures = [flat("red"), flat("red"), flat("lime")]
    pictures[1].putpixel((3, 4), (0, 0, 255))  # of which the file holds one pixel
    data = saved(
        pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=[50, 100, 30]
    )
    native, frames = decode(data, "image/gif")

    assert np.array_equal(frames, [np.asarray(picture) for picture in pictures])
    assert (native.number_of_frames, list(native.frame_times)) == (3, [50, 100, 30])


def test_an_animated_png_is_full_frames():
    pictures = [flat("red"), flat("red"), flat("blue")]
    pictures[1].putpixel((3, 4), (0, 255, 0))
    data = png(pictures[0], save_all=True, append_images=pictures[1:], duration=[10, 20, 60])
    native, frames = decode(data)

    assert np.array_equal(frames, [np.asarray(picture) for picture in pictures])
    assert (native.number_of_frames, list(native.frame_times)) == (3, [10, 20, 60])


@pytest.mark.parametrize(
    ("controls", "times"),
    [
        ([[5], [], [7]], [50, 0, 70]),
        ([[5, 6], [7], [8]], [60, 70, 80]),  # the last goes for the picture
        ([[], [], [0]], []),
    ],
)
def test_a_frame_of_a_gif_is_shown_as_long_as_the_extension_before_it_says(controls, times):
    whole = saved(flat("red"), "GIF")
    picture = whole[whole.index(b",\0\0\0\0") : -1]
    begin = whole[: 13 + (3 << (whole[10] & 7) + 1)]
    told = [b"".join(b"!\xf9\4\0" + struct.pack("<H", t) + b"\0\0" for t in c) for c in controls]
    data = begin + b"".join(control + picture for control in told) + b";"
    native, frames = decode(data, "image/gif")

    assert list(native.frame_times) == times
    assert np.array_equal(frames, [np.asarray(flat("red"))] * 3)


def test_a_picture_that_stands_in_for_an_animation_is_none_of_its_frames():
    data = png(
        flat("white"), save_all=True, append_images=[flat("red"), flat("blue")], default_image=True
    )
    native, frames = decode(data)

    assert native.number_of_frames == 2
    assert [tuple(frame[0, 0]) for frame in frames] == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_stow_14_several_files_are_a_frame_each_in_their_order(kind, tmp_path):
    pictures = [flat(colour) for colour in ("red", "blue", "lime")]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(saved(picture, kind))
    native, frames = decode(paths, f"image/{kind.lower()}")

    assert np.array_equal(frames, [np.asarray(picture) for picture in pictures])
    assert (native.number_of_frames, list(native.frame_times)) == (3, [])


def test_files_of_16_bits_keep_them_as_frames():
    native, frames = decode([png(GREY16), png(GREY16[::-1])])

    assert np.array_equal(frames, [GREY16, GREY16[::-1]])
    assert (native.bits_allocated, native.number_of_frames) == (16, 2)


@pytest.mark.parametrize(
    "other",
    [
        png(GREY[:8]),
        png(GREY[:, :6]),
        png(RGB),
        png(GREY16),
        png(Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        png(GREY)[:-20],
        saved(GREY, "GIF"),
    ],
    ids=["rows", "columns", "samples", "bits", "animation", "cut off", "type"],
)
def test_files_that_are_no_frames_of_one_image_are_refused(other):
    assert decode([png(GREY), png(GREY)])
    for files in ([png(GREY), other], [other, png(GREY)], [png(GREY), png(GREY), other]):
        with pytest.raises(MalformedMedia):
            decode_to_native("image/png", files, LIMIT)


def test_all_files_count_for_the_limit():
    assert decode([png(RGB)] * 3, limit=3 * 189)
    with pytest.raises(ContentTooLarge):
        decode_to_native("image/png", [png(RGB)] * 3, 3 * 189 - 1)


@pytest.mark.parametrize("media_type", NATIVE_TYPES)
def test_a_path_is_read_as_its_bytes_are(media_type, tmp_path):
    data = saved(RGB, media_type.removeprefix("image/"))
    path = tmp_path / "picture"
    path.write_bytes(data)

    assert np.array_equal(decode(path, media_type)[1], decode(memoryview(data), media_type)[1])
    path.write_bytes(b"")
    with pytest.raises(MalformedMedia):
        decode(path, media_type)


def test_frames_are_decoded_when_they_are_asked_for():
    data = bytearray(png(flat("red"), save_all=True, append_images=[flat("blue"), flat("lime")]))
    data[data.rindex(b"fdAT") + 8] ^= 0xFF  # of the last frame
    frames = decode_to_native("image/png", [bytes(data)], LIMIT).frames

    assert next(frames) == np.asarray(flat("red")).tobytes()
    assert next(frames) == np.asarray(flat("blue")).tobytes()
    with pytest.raises(MalformedMedia):
        next(frames)


# --- what is refused --------------------------------------------------------------------------


def chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", check)


def bare_png(columns, rows, depth, colour_type, content=b"", *chunks):
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour_type, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(content))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("colour_type", [2, 4, 6])
def test_16_bits_of_several_samples_are_not_halved_but_refused(colour_type):
    with pytest.raises(UnsupportedMedia):
        decode(bare_png(2, 2, 16, colour_type, bytes(100)))


def test_a_picture_beyond_the_limit_is_refused_before_it_is_decoded():
    exact = 9 * 7 * 3
    assert decode(png(RGB), limit=exact)
    with pytest.raises(ContentTooLarge):
        decode_to_native("image/png", [png(RGB)], exact - 1)
    with pytest.raises(ContentTooLarge):
        decode_to_native("image/png", [bare_png(65535, 65535, 8, 2)], 1 << 32)


def test_all_frames_count_for_the_limit():
    data = saved(flat("red"), "GIF", save_all=True, append_images=[flat("blue"), flat("lime")])

    assert decode(data, "image/gif", limit=3 * 189)
    with pytest.raises(ContentTooLarge):
        decode_to_native("image/gif", [data], 3 * 189 - 1)


def test_a_picture_larger_than_pillow_takes_by_itself_is_decoded_if_the_limit_allows():
    """Its own limit is 89 million pixels."""
    rows, columns = 12000, 16000
    data = bare_png(columns, rows, 1, 0, bytes(rows * (columns // 8 + 1)))

    native = decode_to_native("image/png", [data], rows * columns)
    assert len(next(native.frames)) == rows * columns


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (65536, 1), (1, 2**31 - 1)])
def test_sides_that_dicom_cannot_hold_are_refused(sides):
    with pytest.raises(UnsupportedMedia):
        decode(bare_png(*sides, 8, 0))


def test_a_number_of_frames_that_is_made_up_is_refused():
    control = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    with pytest.raises(MalformedMedia):
        decode(bare_png(1, 1, 8, 0, bytes(2), control))


def test_an_animation_of_16_bits_is_refused():
    animation = chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0)
    frames = [chunk(b"fcTL", frame), chunk(b"fcTL", frame)]
    with pytest.raises(UnsupportedMedia):
        decode(bare_png(1, 1, 16, 0, bytes(3), animation, *frames))


def test_a_frame_beyond_the_screen_of_a_gif_is_refused():
    data = bytearray(saved(RGB, "GIF"))
    data[6:10] = struct.pack("<HH", 3, 3)
    with pytest.raises(MalformedMedia):
        decode(bytes(data), "image/gif")


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/bmp", "image/tiff", ""])
def test_other_types_are_refused(media_type):
    with pytest.raises(UnsupportedMedia):
        decode(png(RGB), media_type)


@pytest.mark.parametrize("media_type", NATIVE_TYPES)
def test_one_type_is_not_taken_for_the_other(media_type):
    data = {"image/png": saved(RGB, "GIF"), "image/gif": png(RGB)}[media_type]
    with pytest.raises(MalformedMedia):
        decode(data, media_type)


SAMPLES = {
    "image/png": [
        png(RGB),
        png(Image.fromarray(RGB).quantize(4)),
        png(flat("red"), save_all=True, append_images=[flat("blue")]),
    ],
    "image/gif": [saved(flat("red"), "GIF", save_all=True, append_images=[flat("blue")])],
}


@pytest.mark.parametrize("media_type", NATIVE_TYPES)
@settings(max_examples=200)
@given(data=st.data())
def test_changed_and_cut_files_are_decoded_or_refused(media_type, data):
    file = bytearray(data.draw(st.sampled_from(SAMPLES[media_type])))
    changes = st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 255)))
    for place, value in data.draw(changes):
        file[place] = value
    length = data.draw(st.integers(0, len(file)) | st.just(len(file)))
    with contextlib.suppress(Refusal):  # and no other exception
        decode(bytes(file[:length]), media_type)


@pytest.mark.parametrize("media_type", NATIVE_TYPES)
@given(data=st.data())
def test_cut_files_are_refused(media_type, data):
    file = data.draw(st.sampled_from(SAMPLES[media_type]))
    with pytest.raises(MalformedMedia):
        decode(file[: data.draw(st.integers(0, len(file) - 1))], media_type)


@pytest.mark.parametrize("media_type", NATIVE_TYPES)
@given(data=st.binary(max_size=100))
def test_any_bytes_are_decoded_or_refused(media_type, data):
    begin = {"image/png": b"\x89PNG\r\n\x1a\n", "image/gif": b"GIF89a"}[media_type]
    with contextlib.suppress(Refusal):
        decode(begin + data, media_type)


def test_the_limit_of_a_small_picture_is_not_that_of_the_next():
    before = Image.MAX_IMAGE_PIXELS
    decode(png(GREY))
    with contextlib.suppress(Refusal):
        decode(png(RGB)[:-40])

    assert before == Image.MAX_IMAGE_PIXELS
    assert np.array(Image.open(BytesIO(png(np.zeros((512, 512), np.uint8))))).shape == (512, 512)
