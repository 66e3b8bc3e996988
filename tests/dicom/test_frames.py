"""The frame table against pydicom, and against encapsulations made here in every lawful way."""

import contextlib
import os
import struct
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from dicomweb_server.dicom.description import FrameTable
from dicomweb_server.dicom.frames import (
    RECORD,
    PixelElement,
    build_frame_table,
    cut_frame,
    fragments_of,
    frame_range,
    is_encapsulated,
    is_video,
    media_type_of,
    skip_encapsulated,
)
from dicomweb_server.errors import NotFound, NotPart10, Refusal

JPEG = "1.2.840.10008.1.2.4.50"
J2K = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
H264 = "1.2.840.10008.1.2.4.102"
ELE = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
PIXEL_DATA = 0x7FE00010

ITEM = b"\xfe\xff\x00\xe0"
END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
PREFIX = b"whatever comes before the value"

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
CORPUS = Path(os.environ["DICOM_CORPUS"]) if "DICOM_CORPUS" in os.environ else None


def item(data: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(data)) + data


def padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def encapsulate(table: bytes, fragments: list[bytes]) -> bytes:
    return item(table) + b"".join(map(item, fragments)) + END


def image(**values: Any) -> dict[str, dict[str, Any]]:
    """Image Pixel attributes in the DICOM JSON Model; None leaves one out."""
    stated = {"00280008": 1, "00280010": 1, "00280011": 1, "00280002": 1, "00280100": 8}
    names = {
        "frames": "00280008",
        "rows": "00280010",
        "columns": "00280011",
        "samples": "00280002",
        "bits": "00280100",
        "photometric": "00280004",
    }
    stated |= {names[name]: value for name, value in values.items()}
    return {key: {"vr": "US", "Value": [v]} for key, v in stated.items() if v is not None}


def encapsulated(value: bytes, dataset: dict[str, Any], syntax: str = JPEG, **tables: Any):
    """Table and problems of an encapsulated value that stands after PREFIX, and the file."""
    file = PREFIX + value + b"what comes after"
    end = skip_encapsulated(file, len(PREFIX), len(file))
    assert end == len(PREFIX) + len(value)
    pixel = PixelElement(PIXEL_DATA, "OB", len(PREFIX), len(value), True, **tables)
    return *build_frame_table(file, pixel, dataset, syntax), file


def native(
    value: bytes, dataset: dict[str, Any], syntax: str = ELE, vr: str = "OW", tag=PIXEL_DATA
):
    file = PREFIX + value
    pixel = PixelElement(tag, vr, len(PREFIX), len(value), False)
    return *build_frame_table(file, pixel, dataset, syntax), file


def all_frames(table: FrameTable, file: bytes) -> list[bytes]:
    """Every frame, cut with nothing but its own record, as a read does it."""
    frames = []
    for number in range(1, table.count + 1):
        record = table.ranges[(number - 1) * RECORD.size :][: RECORD.size] or None
        offset, length = frame_range(table, number, record)
        raw = file[offset : offset + length]
        frames.append(cut_frame(table, number, raw, fragments_of(table, number, record)))
    return frames


# ------------------------------------------------------------------------------ against pydicom


def files_with_pixels() -> list[Path]:
    paths = sorted(BUNDLED.glob("*.dcm"))
    if CORPUS is not None:
        paths += sorted(CORPUS.glob("[!p]*/**/*.dcm")) + sorted(CORPUS.glob("pydicom-data/*.dcm"))
    return [path for path in paths if has_pixels(path)]


def has_pixels(path: Path) -> bool:
    try:
        dataset = pydicom.dcmread(path, defer_size=1024, specific_tags=["PixelData", "Rows"])
        syntax = dataset.file_meta.TransferSyntaxUID
    except (AttributeError, pydicom.errors.InvalidDicomError, EOFError):
        return False
    # The values of a deflated file are not where pydicom says they are in the file on disk;
    # of the others, these have less Pixel Data than stated, or nested tags pydicom takes for it.
    odd = ("MR_truncated.dcm", "badVR.dcm", "nested_priv_SQ.dcm")
    deflated = syntax == "1.2.840.10008.1.2.1.99"
    return "PixelData" in dataset and "Rows" in dataset and not deflated and path.name not in odd


@pytest.mark.parametrize("path", files_with_pixels(), ids=lambda path: path.name)
def test_frames_are_those_of_pydicom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    dataset = pydicom.dcmread(path)
    element = dataset.get_item(PIXEL_DATA)
    file = path.read_bytes()
    undefined = element.length == 0xFFFFFFFF
    end = element.value_tell + element.length
    if undefined:
        end = skip_encapsulated(file, element.value_tell, len(file))
    pixel = PixelElement(
        PIXEL_DATA, element.VR or "OW", element.value_tell, end - element.value_tell, undefined
    )
    attributes = dataset.group_dataset(0x0028).to_json_dict()

    table, _ = build_frame_table(file, pixel, attributes, dataset.file_meta.TransferSyntaxUID)

    assert table is not None
    frames = all_frames(table, file)
    count = int(dataset.get("NumberOfFrames") or 1)
    if undefined:
        expected = list(generate_frames(element.value, number_of_frames=count))
        assert frames == [
            theirs[: len(ours)] for ours, theirs in zip(frames, expected, strict=True)
        ]
        assert all(
            theirs[len(ours) :] in (b"", b"\0")
            for ours, theirs in zip(frames, expected, strict=True)
        )
    else:
        assert len(frames) == count
        assert b"".join(frames) == uncompressed(dataset)


def uncompressed(dataset: pydicom.Dataset) -> bytes:
    """All frames as PS3.18 wants them, by pydicom's decoder of native data."""
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        return dataset.PixelData
    pixels = pixel_array(dataset, raw=True)
    pixels = pixels.reshape(-1, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    if dataset.get("PlanarConfiguration") == 1:
        pixels = pixels.transpose(0, 3, 1, 2)
    if dataset.BitsAllocated == 1:
        frames = pixels.reshape(len(pixels), -1)
        return b"".join(np.packbits(frame, bitorder="little").tobytes() for frame in frames)
    if dataset.BitsStored < dataset.BitsAllocated:  # pydicom clears the bits beyond them
        pixels = np.frombuffer(
            dataset.PixelData, pixels.dtype.newbyteorder("<>"[is_big(dataset)]), pixels.size
        )
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


def is_big(dataset: pydicom.Dataset) -> bool:
    return dataset.file_meta.TransferSyntaxUID == BIG


# ------------------------------------------------------------------------ encapsulations in code

# Codestreams as markers see them: JPEG and JPEG 2000, with no marker in what lies between.
_inside = st.binary(max_size=40).map(lambda data: data.replace(b"\xff", b"\xfe"))
jpegs = _inside.map(lambda data: b"\xff\xd8\xff\xe0" + data + b"\xff\xd9")
j2ks = _inside.map(lambda data: b"\xff\x4f\xff\x51" + data + b"\xff\xd9")
codestreams = st.lists(jpegs, min_size=1, max_size=6) | st.lists(j2ks, min_size=1, max_size=6)


@st.composite
def cut_codestreams(draw: st.DrawFn) -> tuple[list[bytes], list[list[bytes]]]:
    """Frames, and each as its fragments: all of even length, a pad byte after the last."""
    frames = draw(codestreams)
    cut = []
    for frame in frames:
        whole = padded(frame)
        # A fragment that begins a frame shows its four byte marker, so no cut before that.
        places = draw(st.sets(st.integers(2, max(2, len(whole) // 2 - 2)), max_size=3))
        edges = [0, *sorted(2 * place for place in places if 2 * place < len(whole)), len(whole)]
        cut.append([whole[start:end] for start, end in pairwise(edges)])
    return frames, cut


def offsets_of(cut: list[list[bytes]]) -> list[int]:
    """What an offset table says of these: from the first fragment's item tag, in bytes."""
    sizes = [sum(8 + len(fragment) for fragment in fragments) for fragments in cut]
    return [sum(sizes[:number]) for number in range(len(sizes))]


@given(cut_codestreams())
def test_a_basic_offset_table_gives_the_frames_however_they_are_cut(made: Any) -> None:
    frames, cut = made
    table = struct.pack(f"<{len(cut)}I", *offsets_of(cut))
    value = encapsulate(table, list(chain.from_iterable(cut)))

    found, problems, file = encapsulated(value, image(frames=len(frames)))

    assert problems == []
    assert all_frames(found, file) == frames


@given(cut_codestreams())
def test_markers_give_the_frames_where_there_is_no_table(made: Any) -> None:
    frames, cut = made

    found, problems, file = encapsulated(
        encapsulate(b"", list(chain.from_iterable(cut))), image(frames=len(frames)), J2K
    )

    assert problems == []
    assert all_frames(found, file) == frames


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.booleans())
def test_an_extended_offset_table_gives_the_frames_and_their_exact_lengths(
    frames: list[bytes], exact: bool
) -> None:
    fragments = [padded(frame) for frame in frames]
    offsets = offsets_of([[fragment] for fragment in fragments])

    found, problems, file = encapsulated(
        encapsulate(b"", fragments),
        image(frames=len(frames)),
        RLE,
        extended_offsets=tuple(offsets),
        extended_lengths=tuple(map(len, frames if exact else fragments)),
    )

    assert problems == []
    assert all_frames(found, file) == (frames if exact else fragments)


@given(st.lists(st.binary(min_size=2, max_size=40).map(padded), min_size=1, max_size=8))
def test_one_fragment_a_frame_needs_neither_table_nor_markers(fragments: list[bytes]) -> None:
    found, problems, file = encapsulated(
        encapsulate(b"", fragments), image(frames=str(len(fragments))), RLE
    )

    assert problems == []
    assert all_frames(found, file) == [
        fragment[:-1]
        if fragment.endswith(b"\xff\xd9\x00") and fragment.startswith(b"\xff\xd8\xff")
        else fragment
        for fragment in fragments
    ]


def test_all_fragments_belong_to_the_only_frame() -> None:
    value = encapsulate(b"", [b"ab", b"", b"cd"])

    for stated in (1, None, ""):
        found, problems, file = encapsulated(value, image(frames=stated or None), RLE)
        assert (problems, all_frames(found, file)) == ([], [b"abcd"])


def test_a_video_is_one_stream_however_many_frames_it_shows() -> None:
    found, problems, file = encapsulated(
        encapsulate(b"", [b"ftyp", b"mdat"]), image(frames=250), H264
    )

    assert is_video(H264)
    assert (problems, all_frames(found, file)) == ([], [b"ftypmdat"])


def test_the_pad_byte_goes_only_after_an_end_marker() -> None:
    kept = [b"\x01\x00\xff\xd9\x00\x00", b"\xff\xd8\xff\xe0\x01\x00"]
    found, _, file = encapsulated(
        encapsulate(b"", [*kept, b"\xff\xd8\xff\xd9\x01\xff\xd9\x00"]), image(frames=3)
    )

    assert all_frames(found, file) == [*kept, b"\xff\xd8\xff\xd9\x01\xff\xd9"]


def test_frames_of_encapsulated_uncompressed_data_lose_their_pad_byte() -> None:
    found, problems, file = encapsulated(
        encapsulate(b"", [b"abc\0", b"def\0"]),
        image(frames=2, columns=3),
        "1.2.840.10008.1.2.1.98",
    )

    assert (problems, all_frames(found, file)) == ([], [b"abc", b"def"])


JPEGS = [b"\xff\xd8\xff\x01", b"\x01\x02\x03\x04\xff\xd9", b"\xff\xd8\xff\x05\xff\xd9"]


@pytest.mark.parametrize(
    "offsets",
    [(0, 1000), (14, 0), (0, 0), (4, 26), (0, 27), (0, 12), (2**32 - 8, 0), (0,)],
    ids=str,
)
def test_a_false_offset_table_is_a_problem_and_the_markers_decide(offsets: tuple[int, ...]) -> None:
    frames = [JPEGS[0] + JPEGS[1], JPEGS[2]]
    basic = struct.pack(f"<{len(offsets)}I", *offsets)
    tables: list[tuple[bytes, dict[str, Any]]] = [
        (basic, {}),
        (b"", {"extended_offsets": offsets, "extended_lengths": (2**64 - 1, 0)}),
    ]
    for table, extended in tables:
        found, problems, file = encapsulated(
            encapsulate(table, JPEGS), image(frames=2), JPEG, **extended
        )

        if offsets == (0, 12):  # a lawful cut, though not the one the markers show
            frames = [JPEGS[0], JPEGS[1] + JPEGS[2]]
        assert bool(problems) == (offsets != (0, 12))
        assert all_frames(found, file) == frames


def test_offsets_that_wrap_around_lead_nowhere() -> None:
    found, problems, file = encapsulated(
        encapsulate(b"", [b"ab", b"cd"]),
        image(frames=2),
        RLE,
        extended_offsets=(2**64 - 10, 2**64 - 1),
    )

    assert problems == ["the Extended Offset Table does not lead to fragments"]
    assert all_frames(found, file) == [b"ab", b"cd"]


def test_fragments_that_cannot_be_told_apart_make_no_frames() -> None:
    found, problems, _ = encapsulated(encapsulate(b"", [b"ab"] * 5), image(frames=3), RLE)

    assert found is None
    assert problems == ["the fragments cannot be told apart into frames"]


@pytest.mark.parametrize("stated", [0, -1, 2**31, "nonsense", "1_0", "\uff13", 1e300, True])
def test_nonsense_for_number_of_frames_is_a_problem_and_the_data_decides(stated: Any) -> None:
    found, problems, file = encapsulated(encapsulate(b"", JPEGS), image(frames=stated))
    assert problems == ["Number of Frames is not a positive number"]
    assert all_frames(found, file) == [JPEGS[0] + JPEGS[1], JPEGS[2]]

    found, problems, file = native(b"abcd", image(frames=stated, columns=2))
    assert problems == ["Number of Frames is not a positive number"]
    assert all_frames(found, file) == [b"ab", b"cd"]


def test_fewer_frames_than_stated_are_had_with_a_problem() -> None:
    found, problems, file = encapsulated(encapsulate(b"", [b"ab", b"cd"]), image(frames=3), RLE)
    assert problems == ["pixel data holds 2 frames where 3 are stated"]
    assert all_frames(found, file) == [b"ab", b"cd"]

    found, problems, file = native(b"abcde", image(frames=3, columns=2))
    assert problems == ["pixel data holds 2 of the 3 frames stated"]
    assert all_frames(found, file) == [b"ab", b"cd"]


@pytest.mark.parametrize("value", [encapsulate(b"", []), END, encapsulate(b"", [b"", b""])])
def test_nothing_in_the_fragments_makes_no_frames(value: bytes) -> None:
    found, problems, _ = encapsulated(value, image())

    assert found is None
    assert problems == ["pixel data without a fragment that holds anything"]


@pytest.mark.parametrize(("syntax", "inside"), [(ELE, True), (JPEG, False), ("1.2.3", True)])
def test_data_of_another_form_than_the_transfer_syntax_makes_no_frames(
    syntax: str, inside: bool
) -> None:
    make = encapsulated if inside else native
    found, [problem], _ = make(encapsulate(b"", [b"ab"]), image(), syntax)

    assert found is None
    assert problem.endswith("pixel data in a transfer syntax that does not have it")


# ------------------------------------------------------------------------------------- native


@given(frames=st.integers(1, 9), rows=st.integers(1, 7), columns=st.integers(1, 7), data=st.data())
def test_one_bit_frames_begin_at_bit_0_and_end_with_zeros(
    frames: int, rows: int, columns: int, data: st.DataObject
) -> None:
    bits = rows * columns
    length = (frames * bits + 7) // 8
    value = data.draw(st.binary(min_size=length, max_size=length))
    every = np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")
    expected = [
        np.packbits(every[n * bits : (n + 1) * bits], bitorder="little").tobytes()
        for n in range(frames)
    ]
    attributes = image(frames=frames, rows=rows, columns=columns, bits=1)

    table, problems, file = native(value, attributes, vr="OB")
    assert (problems, all_frames(table, file)) == ([], expected)

    swapped = bytearray(padded(value))
    swapped[::2], swapped[1::2] = swapped[1::2], swapped[::2]
    table, problems, file = native(bytes(swapped), attributes, BIG)
    assert (problems, all_frames(table, file)) == ([], expected)


@pytest.mark.parametrize(
    ("vr", "bits", "value", "frame"),
    [
        ("OW", 16, b"\x01\x02\x03\x04", b"\x02\x01\x04\x03"),
        ("OW", 32, b"\x01\x02\x03\x04", b"\x04\x03\x02\x01"),
        ("OW", 64, b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        ("OW", 8, b"\1\2\3\4", b"\2\1\4\3"),
        ("OB", 8, b"\1\2\3\4", b"\1\2\3\4"),
    ],
)
def test_big_endian_words_are_swapped(vr: str, bits: int, value: bytes, frame: bytes) -> None:
    attributes = image(bits=bits, columns=len(value) * 8 // bits)

    assert all_frames(*native(value, attributes, BIG, vr)[::2]) == [frame]
    assert all_frames(*native(value, attributes, ELE, vr)[::2]) == [value]


def test_a_big_endian_word_may_hold_the_end_of_one_frame_and_the_beginning_of_the_next() -> None:
    found, problems, file = native(b"bacdfe", image(frames=2, columns=3), BIG)

    assert (problems, all_frames(found, file)) == ([], [b"abd", b"cef"])


@pytest.mark.parametrize(("tag", "vr", "size"), [(0x7FE00008, "OF", 4), (0x7FE00009, "OD", 8)])
def test_float_frames_follow_from_their_tag(tag: int, vr: str, size: int) -> None:
    value = bytes(range(4 * size))
    attributes = image(frames=2, columns=2, bits=None)

    found, problems, file = native(value, attributes, vr=vr, tag=tag)
    assert (problems, all_frames(found, file)) == ([], [value[: 2 * size], value[2 * size :]])

    found, problems, file = native(value, attributes, BIG, vr, tag)
    assert [np.frombuffer(frame, f"<u{size}").tolist() for frame in all_frames(found, file)] == (
        np.frombuffer(value, f">u{size}").reshape(2, 2).tolist()
    )


@pytest.mark.parametrize("frames", [1, 3])
def test_ybr_full_422_has_two_samples_a_pixel_unless_the_length_says_three(frames: int) -> None:
    attributes = image(frames=frames, rows=2, columns=4, samples=3, photometric="YBR_FULL_422")

    for samples in (2, 3):
        value = bytes(range(8 * samples)) * frames
        found, problems, file = native(value, attributes, vr="OB")
        assert (problems, all_frames(found, file)) == ([], [bytes(range(8 * samples))] * frames)


def test_a_pad_byte_is_no_problem_and_more_is_one() -> None:
    assert native(b"abc\0", image(columns=3))[1] == []
    found, problems, file = native(b"abc\0\0", image(columns=3))
    assert (problems, all_frames(found, file)) == (
        ["pixel data is longer than its frames"],
        [b"abc"],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 65535, "columns": 65535},
        {"rows": 0},
        {"columns": None},
        {"rows": -1},
        {"rows": 2**32},
        {"bits": 0},
        {"bits": 65},
        {"bits": None},
        {"samples": 0},
        {"samples": "x"},
        {"frames": 2**31 - 1, "columns": 9},
    ],
    ids=str,
)
def test_forged_dimensions_make_no_frames(wrong: dict[str, Any]) -> None:
    found, [problem], _ = native(b"a", image(**wrong))

    assert found is None
    assert problem in ("the attributes do not tell the size of a frame",) or "0 of the" in problem


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "value",
    [
        b"",
        item(b""),
        item(b"")[:-1],
        item(b"") + END[:7],
        item(b"") + ITEM + struct.pack("<I", 9) + b"ab",
        item(b"") + ITEM + b"\xff\xff\xff\xff" + END,
        item(b"") + b"\xe0\x7f\x10\x00\x00\x00\x00\x00" + END,
    ],
)
def test_a_sequence_of_fragments_that_does_not_end_is_refused(value: bytes) -> None:
    with pytest.raises(NotPart10):
        skip_encapsulated(value, 0, len(value))


def test_fragments_do_not_run_past_the_end_given() -> None:
    value = encapsulate(b"", [b"ab"])

    assert skip_encapsulated(value, 0, len(value)) == len(value)
    with pytest.raises(NotPart10):
        skip_encapsulated(value, 0, len(value) - 1)


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_number_without_a_frame_is_not_found(number: int) -> None:
    table, _, _ = native(b"ab", image(frames=2))

    for ask in (frame_range, fragments_of):
        with pytest.raises(NotFound, match=f"no frame {number}; the instance has 2"):
            ask(table, number)
    with pytest.raises(NotFound):
        cut_frame(table, number, b"a", 0)


def test_bytes_that_are_not_those_of_the_table_are_refused() -> None:
    table, _, _ = native(b"ab", image(frames=2))
    with pytest.raises(NotPart10):
        cut_frame(table, 1, b"", 0)

    table, _, file = encapsulated(encapsulate(b"", [b"ab", b"cd"]), image(), RLE)
    offset, length = frame_range(table, 1)
    for raw in (file[offset : offset + length - 1], file[offset + 1 : offset + length], b""):
        with pytest.raises(NotPart10):
            cut_frame(table, 1, raw, 2)


_pieces = st.sampled_from(
    [ITEM, END, b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x02\x00\x00\x00ab", item(b"\xff\xd9")]
)
_bytes = st.binary(max_size=60) | st.lists(_pieces | st.binary(max_size=4), max_size=30).map(
    b"".join
)
_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=13)


@given(
    value=_bytes,
    offset=st.integers(0, 8),
    length=st.integers(0, 2**32),
    inside=st.booleans(),
    dataset=st.fixed_dictionaries(
        {},
        optional={
            key: st.fixed_dictionaries({}, optional={"Value": st.lists(_values, max_size=2)})
            | st.builds(lambda n: {"Value": [n]}, st.integers(-1, 9))
            for key in ("00280002", "00280004", "00280008", "00280010", "00280011", "00280100")
        },
    ),
    syntax=st.sampled_from([JPEG, RLE, H264, ELE, BIG, "1.2.840.10008.1.2.1.98", "", "1.2"]),
    extended=st.none() | st.lists(st.integers(0, 2**64 - 1), max_size=4).map(tuple),
    vr=st.sampled_from(["OB", "OW", "UN", "OF"]),
)
def test_any_bytes_and_attributes_make_a_table_or_a_refusal(
    value: bytes,
    offset: int,
    length: int,
    inside: bool,
    dataset: Any,
    syntax: str,
    extended: tuple[int, ...] | None,
    vr: str,
) -> None:
    with contextlib.suppress(Refusal):  # and no other exception
        skip_encapsulated(value, offset, offset + length)
    with contextlib.suppress(Refusal):
        if not inside:
            length = min(length, len(value) - min(offset, len(value)))
        pixel = PixelElement(PIXEL_DATA, vr, offset, length, inside, extended, extended)
        table, _ = build_frame_table(value, pixel, dataset, syntax)
        if table is not None:
            assert 0 < table.count <= max(8 * len(value), 1)
            assert sum(map(len, all_frames(table, value))) <= table.count + 8 * len(value)


# ----------------------------------------------------------------------------- transfer syntaxes


@pytest.mark.parametrize(
    ("arc", "media_type"),
    [
        ("1", "application/octet-stream"),
        ("2", "application/octet-stream"),
        ("1.98", "application/octet-stream"),
        ("1.99", "application/octet-stream"),
        ("8.1", "application/octet-stream"),
        ("5", "image/dicom-rle"),
        ("4.50", "image/jpeg"),
        ("4.51", "image/jpeg"),
        ("4.57", "image/jpeg"),
        ("4.70", "image/jpeg"),
        ("4.80", "image/jls"),
        ("4.81", "image/jls"),
        ("4.90", "image/jp2"),
        ("4.91", "image/jp2"),
        ("4.92", "image/jpx"),
        ("4.93", "image/jpx"),
        ("4.201", "image/jphc"),
        ("4.202", "image/jphc"),
        ("4.203", "image/jphc"),
        ("4.110", "image/jxl"),
        ("4.112", "image/jxl"),
        ("4.100", "video/mpeg"),
        ("4.101.1", "video/mpeg"),
        ("4.102", "video/mp4"),
        ("4.106.1", "video/mp4"),
        ("4.107", "video/H265"),
        ("4.108", "video/H265"),
    ],
)
def test_every_transfer_syntax_has_its_media_type(arc: str, media_type: str) -> None:
    uid = f"1.2.840.10008.1.2.{arc}"

    assert media_type_of(uid) == media_type
    assert is_video(uid) == media_type.startswith("video/")
    assert is_encapsulated(uid) == (arc not in ("1", "2", "1.99"))


def test_every_compressed_syntax_of_pydicom_is_known_to_be_encapsulated() -> None:
    for uid in pydicom.uid.AllTransferSyntaxes:
        referenced = "JPIP" in uid.name or "SMPTE" in uid.name  # their Pixel Data is elsewhere
        retired_wraps = uid.name in ("RFC 2557 MIME encapsulation", "XML Encoding")
        if not (referenced or retired_wraps):
            assert is_encapsulated(uid) == uid.is_encapsulated, uid.name
