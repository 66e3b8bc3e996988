"""What videos are in DICOM: headers of real encoders in each container, and files of the corpus."""

import contextlib
import os
import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from dicomweb_server.dicom import video_streams
from dicomweb_server.dicom.media import read_media
from dicomweb_server.dicom.transfer_syntaxes import media_type_of
from dicomweb_server.dicom.video_parameters import BitReader, h264_parameters
from dicomweb_server.errors import MalformedMedia, Refusal, UnsupportedMedia
from tests.make.video import (
    H264_HIGH_41,
    H264_HIGH_42,
    H264_INTERLACED,
    HEVC_422_10,
    HEVC_MAIN,
    HEVC_MAIN_10,
    MPEG2_422,
    MPEG2_MAIN,
    annex_b,
    avc_entry,
    bits,
    box,
    extends,
    fragment,
    h264_pictures,
    hevc_entry,
    hevc_pictures,
    mp4,
    mpeg2,
    program,
    track,
    transport,
)

ARC = "1.2.840.10008.1.2.4."


def read(data, claimed=None, media_type="video/mp4"):
    media = read_media(media_type, data, ARC + claimed if claimed else None)
    assert (media.start, media.end) == (0, len(data))
    assert media.lossy
    assert media.photometric_interpretation == "YBR_PARTIAL_420"
    assert (media.samples_per_pixel, media.planar_configuration) == (3, 0)
    return media


def arc(media):
    return media.transfer_syntax_uid.removeprefix(ARC)


def with_level(parameter_set, level):
    return parameter_set[:3] + bytes([level]) + parameter_set[4:]


def with_profile(parameter_set, profile):
    return parameter_set[:1] + bytes([profile]) + parameter_set[2:]


# --- real files -------------------------------------------------------------------------------


def real_videos():
    """Those of the folder DICOM_CORPUS; none come with pydicom."""
    corpus = os.environ.get("DICOM_CORPUS")
    for path in sorted(Path(corpus).glob("**/video-*.dcm")) if corpus else ():
        file = pydicom.dcmread(path)
        yield file, b"".join(generate_frames(file.PixelData, number_of_frames=1))


def test_videos_of_real_files_are_of_their_transfer_syntax_and_attributes():
    for file, stream in real_videos():
        syntax = file.file_meta.TransferSyntaxUID
        media = read(stream, media_type=media_type_of(syntax))

        assert media.transfer_syntax_uid == syntax
        assert (media.rows, media.columns) == (file.Rows, file.Columns)
        assert media.bits_allocated == file.BitsAllocated
        assert (media.bits_stored, media.high_bit) == (file.BitsStored, file.HighBit)
        assert media.number_of_frames == file.NumberOfFrames
        assert media.frame_time == pytest.approx(float(file.FrameTime))
        assert media.cine_rate == file.CineRate


def test_real_videos_that_are_cut_are_media_or_refused():
    for _, stream in real_videos():
        for length in range(0, len(stream), 97):
            with contextlib.suppress(Refusal):  # and no other exception
                read(stream[:length])


# --- streams and their containers -------------------------------------------------------------

CONTAINERS = {
    "none": bytes,
    "transport": transport,
    "transport of discs": lambda stream: transport(stream, lead=bytes(4)),
    "program": program,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_mpeg_2_is_found_in_each_container(container):
    media = read(CONTAINERS[container](mpeg2(frames=7)), media_type="video/mpeg")

    assert (arc(media), media.lossy_method) == ("100", "ISO_13818_2")
    assert (media.rows, media.columns, media.bits_stored) == (240, 352, 8)
    assert (media.number_of_frames, media.frame_time, media.cine_rate) == (7, 40, 25)


@pytest.mark.parametrize("container", CONTAINERS)
def test_h264_is_found_in_each_container(container):
    stream = annex_b(H264_HIGH_41, *h264_pictures(30))
    media = read(CONTAINERS[container](stream), media_type="video/mpeg")

    assert (arc(media), media.lossy_method) == ("102", "ISO_14496_10")
    assert (media.rows, media.columns, media.bits_stored) == (242, 350, 8)
    assert (media.number_of_frames, media.cine_rate) == (30, 30)
    assert media.frame_time == pytest.approx(1001 / 30)


@pytest.mark.parametrize("container", CONTAINERS)
def test_hevc_is_found_in_each_container(container):
    stream = annex_b(HEVC_MAIN, *hevc_pictures(12))
    media = read(CONTAINERS[container](stream), media_type="video/H265")

    assert (arc(media), media.lossy_method) == ("107", "ISO_23008_2")
    assert (media.rows, media.columns) == (242, 350)
    assert (media.number_of_frames, media.frame_time, media.cine_rate) == (12, None, None)


def test_mp4_tells_frames_and_their_time():
    media = read(mp4(track(avc_entry(H264_HIGH_41), 4)))

    assert (arc(media), media.rows, media.columns) == ("102", 242, 350)
    assert (media.number_of_frames, media.frame_time, media.cine_rate) == (4, 40, 25)
    assert arc(read(mp4(track(hevc_entry(HEVC_MAIN))))) == "107"


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_pictures_are_counted_however_the_stream_is_cut(size):
    stream = annex_b(H264_HIGH_41, *h264_pictures(50))
    parameters = h264_parameters(H264_HIGH_41)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert video_streams.count_frames(parameters, pieces) == 50


def test_two_fields_are_one_frame():
    assert read(mpeg2(frames=2, fields=6)).number_of_frames == 5


def interlaced_slice(field, first=True):
    """A slice of H264_INTERLACED, whose frame_num is of 4 bits."""
    header = [("ue", 0 if first else 60), ("ue", 7), ("ue", 0), (3, 4), "1" if field else "0"]
    return b"\x65" + bits(*header, *["10"] * field, "1011")


def test_two_fields_of_h264_are_one_frame():
    frames = [interlaced_slice(False), interlaced_slice(False, first=False)] * 3
    fields = [interlaced_slice(True)] * 4
    media = read(annex_b(H264_INTERLACED, *frames, *fields))

    assert (media.rows, media.columns, media.number_of_frames) == (1080, 1920, 5)


# --- profiles and levels ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile_and_level", "expected"),
    [(0x48, "100"), (0x4A, "100"), (0x58, "100"), (0x46, "101"), (0x44, "101")],
)
def test_mpeg_2_is_of_its_profile_and_level(profile_and_level, expected):
    header = bytearray(MPEG2_MAIN)
    header[16] = 0x10 | profile_and_level >> 4
    header[17] = (profile_and_level & 0xF) << 4 | header[17] & 0xF

    assert arc(read(mpeg2(bytes(header)))) == expected


@pytest.mark.parametrize(
    ("parameter_set", "expected"),
    [
        (H264_HIGH_41, "102"),
        (with_level(H264_HIGH_41, 9), "102"),
        (with_level(H264_HIGH_41, 30), "102"),
        (H264_HIGH_42, "104"),
        (HEVC_MAIN, "107"),
        (HEVC_MAIN_10, "108"),
    ],
)
def test_h264_and_hevc_are_of_their_profile_and_level(parameter_set, expected):
    assert arc(read(annex_b(parameter_set, *h264_pictures(2), *hevc_pictures(2)))) == expected


def test_main_10_has_10_bits():
    media = read(mp4(track(hevc_entry(HEVC_MAIN_10))))

    assert (media.bits_allocated, media.bits_stored, media.high_bit) == (16, 10, 9)


@pytest.mark.parametrize(
    "parameter_set",
    [
        with_profile(H264_HIGH_41, 66),
        with_profile(H264_HIGH_41, 77),
        with_profile(H264_HIGH_41, 110),
        with_profile(H264_HIGH_41, 122),
        with_level(H264_HIGH_41, 50),
        with_level(H264_HIGH_41, 51),
        HEVC_422_10,
        HEVC_MAIN.replace(b"\x03\x00\x3c\xa0", b"\x03\x00\xb4\xa0"),  # level 6
    ],
)
def test_other_profiles_and_levels_are_of_no_transfer_syntax(parameter_set):
    with pytest.raises(UnsupportedMedia):
        read(annex_b(parameter_set, *h264_pictures(2), *hevc_pictures(2)))


def h264_set(profile=100, chroma=1, depth=0, lists="0", order=(("ue", 2),), crop="0"):
    return b"\x67" + bits(
        (profile, 8), (0, 8), (40, 8), ("ue", 0), ("ue", chroma), *["0"] * (chroma == 3),
        ("ue", depth), ("ue", depth), "0", lists, ("ue", 0), *order, ("ue", 4), "0",
        ("ue", 21), ("ue", 17), "1", "1", crop, "0",
    )  # fmt: skip


def test_parameter_sets_are_read_past_their_lists_and_tables():
    lists = "1" + "1" + "1" * 16 + "0" * 7  # the first of 8: 16 steps of 0
    explicit = h264_set(lists=lists)
    ordered = h264_set(order=(("ue", 1), "0", ("se", -3), ("se", 2), ("ue", 2), "1", ("se", 5)))
    for parameter_set in (h264_set(), explicit, ordered):
        parameters = h264_parameters(parameter_set)
        assert (parameters.rows, parameters.columns) == (288, 352)


@pytest.mark.parametrize("wrong", [{"chroma": 0}, {"chroma": 2}, {"chroma": 3}, {"depth": 2}])
def test_high_profile_has_8_bits_and_4_2_0(wrong):
    with pytest.raises(UnsupportedMedia):
        read(annex_b(h264_set(**wrong), *h264_pictures(1)))


@pytest.mark.parametrize(
    "data", [mpeg2(MPEG2_422), mpeg2(MPEG2_MAIN[:12]), MPEG2_MAIN[:12] + b"\x00\x00\x01\xb8"]
)
def test_4_2_2_and_mpeg_1_are_of_no_transfer_syntax(data):
    with pytest.raises(UnsupportedMedia):
        read(data)


@pytest.mark.parametrize(
    ("parameter_set", "claims"),
    [
        (H264_HIGH_41, ["102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1"]),
        (H264_HIGH_42, ["104", "104.1", "105", "105.1"]),
    ],
)
def test_a_claim_chooses_among_what_the_stream_is(parameter_set, claims):
    data = mp4(track(avc_entry(parameter_set)))

    for claim in claims:
        assert arc(read(data, claim)) == claim
    for claim in {"100", "102", "103", "106", "107"} - set(claims):
        assert arc(read(data, claim)) == claims[0]


def test_a_second_view_is_stereo_high():
    beside = mp4(track(avc_entry(H264_HIGH_41, extra=box(b"mvcC", bytes(8)))))
    within = annex_b(H264_HIGH_41, b"\x6f\x80\x00\x29\xac", *h264_pictures(2))

    assert arc(read(beside)) == "106"
    assert arc(read(within)) == "106"
    assert arc(read(within, "106.1")) == "106.1"


# --- MP4 --------------------------------------------------------------------------------------


def test_parameter_sets_may_be_among_the_frames():
    media = read(mp4(track(avc_entry(kind=b"avc3"))))
    assert (arc(media), media.rows, media.columns) == ("102", 240, 352)

    media = read(mp4(track(hevc_entry(kind=b"hev1"))))
    assert (arc(media), media.rows, media.bits_stored) == ("108", 240, 10)


def test_sizes_may_be_alike_or_in_few_bits():
    for sizes in (
        box(b"stsz", bytes(4), struct.pack(">II", 8, 6)),
        box(b"stz2", bytes(7), b"\x04", struct.pack(">I", 6), bytes(3)),
    ):
        media = read(mp4(track(avc_entry(H264_HIGH_41), duration=240, sizes=sizes)))
        assert (media.number_of_frames, media.frame_time) == (6, 40)


def test_fragments_are_counted():
    empty = track(avc_entry(H264_HIGH_41), 0, duration=0, number=2)
    after = fragment(2, [40, 40, 50]) + fragment(1, [1, 1]) + fragment(2, [], default=30, count=2)
    after += fragment(2, [], count=3)
    media = read(mp4(empty, extends=extends(2, 20), after=after))

    assert media.number_of_frames == 3 + 2 + 3
    assert media.frame_time == pytest.approx((130 + 60 + 60) / 8)


def test_sound_is_passed_over():
    sound = track(box(b"mp4a", bytes(28)), 9, handler=b"soun", number=2)

    assert read(mp4(sound, track(avc_entry(H264_HIGH_41)))).number_of_frames == 4


def test_an_unknown_duration_is_not_told():
    for duration in (0, 2**32 - 1):
        data = mp4(track(avc_entry(H264_HIGH_41), duration=duration))
        assert read(data).frame_time is None


@pytest.mark.parametrize(
    "data",
    [
        mp4(track(avc_entry(H264_HIGH_41)), brand=b"qt  "),
        mp4(),
        mp4(track(box(b"mp4a", bytes(28)), handler=b"soun")),
        mp4(track(avc_entry(H264_HIGH_41)), track(avc_entry(H264_HIGH_41))),
        mp4(track(box(b"mp4v", bytes(78)))),
        mp4(track(box(b"av01", bytes(78)))),
    ],
)
def test_mp4_files_of_no_transfer_syntax_are_refused(data):
    with pytest.raises(UnsupportedMedia):
        read(data)


def countless(size):
    """A table of 4 billion frames, each of `size` bytes, or of its own if that is 0."""
    return box(b"stsz", struct.pack(">III", 0, size, 2**32 - 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x01",
        b"RIFF" + bytes(40),
        box(b"ftyp", b"isom"),
        mp4(track(avc_entry(H264_HIGH_41), 0)),
        mp4(track(avc_entry(H264_HIGH_41)))[:-1],
        mp4(track(avc_entry(H264_HIGH_41), sizes=countless(0))),
        mp4(track(avc_entry(H264_HIGH_41), sizes=countless(1))),
        mp4(track(avc_entry(H264_HIGH_41)), after=fragment(1, [], count=2**32 - 1)),
        annex_b(H264_HIGH_41),
        annex_b(H264_HIGH_41[:6], *h264_pictures(3)),
        transport(mpeg2())[: 188 * 3] + bytes(188),
        program(mpeg2())[:-50],
    ],
)
def test_damaged_videos_are_refused(data):
    with pytest.raises(MalformedMedia):
        read(data)


# --- hostile bytes ----------------------------------------------------------------------------

SAMPLES = [
    mp4(track(avc_entry(H264_HIGH_41)), after=fragment(1, [3, 4]), extends=extends(1, 2)),
    mp4(track(hevc_entry(HEVC_MAIN_10))),
    annex_b(H264_INTERLACED, *h264_pictures(2)),
    annex_b(HEVC_MAIN, *hevc_pictures(2)),
    mpeg2(),
    transport(annex_b(H264_HIGH_42, *h264_pictures(90))),
    program(mpeg2(fields=3)),
]


def test_a_mapped_video_is_read_as_its_bytes_are(tmp_path):
    path = tmp_path / "part"
    for data in SAMPLES:
        path.write_bytes(data)
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            assert read(mapped) == read(data)
        assert read(memoryview(data)) == read(data)


@settings(max_examples=500)
@given(data=st.data())
def test_changed_and_cut_videos_are_media_or_refused(data):
    stream = bytearray(data.draw(st.sampled_from(SAMPLES)))
    places = st.tuples(st.integers(0, len(stream) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places)):
        stream[place] = value
    length = data.draw(st.integers(0, len(stream)) | st.just(len(stream)))
    with contextlib.suppress(Refusal):  # and no other exception
        read(bytes(stream[:length]))


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x00\x00\x00\x08ftyp", b"\x00\x00\x01\xb3"])
)
def test_any_bytes_are_a_video_or_refused(data, begin):
    with contextlib.suppress(Refusal):
        read(begin + data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_parameter_set_or_refused(data):
    with contextlib.suppress(Refusal):
        h264_parameters(b"\x67\x64" + data)
    with contextlib.suppress(Refusal):
        read(annex_b(b"\x42\x01" + data, *hevc_pictures(1)))


@given(st.lists(st.integers(0, 2**32 - 2)), st.lists(st.integers(-(2**31) + 1, 2**31 - 1)))
def test_exp_golomb_numbers_are_read_as_written(unsigned, signed):
    written = bits(*(("ue", n) for n in unsigned), *(("se", n) for n in signed))
    reader = BitReader(written)

    assert [reader.ue() for _ in unsigned] == unsigned
    assert [reader.se() for _ in signed] == signed


@pytest.mark.parametrize(
    "filler",
    [
        bytes(8),
        b"\x00\x00\x01",
        b"\x00\x00\x01\xe0\x00\x00",
        b"\x47\x01\x00\x10" + bytes(184),
        b"\x00\x00\x00\x08free",
        b"\x00\x00\x01\xba\x44" + bytes(9),
    ],
)
def test_long_hostile_videos_take_linear_time(filler):
    for begin in (b"", b"\x00\x00\x01\xba\x44" + bytes(9), box(b"ftyp", b"isom")):
        with pytest.raises(Refusal):
            read(begin + filler * ((1 << 23) // len(filler)))
