"""What posted metadata leave out is filled in; what they say is left as it is."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.completion import (
    SERIES,
    SOP_INSTANCE,
    STUDY,
    belonging_of,
    complete_document,
    complete_image,
    complete_uids,
    describe_decoded,
    missing_of_image,
    value_of,
)
from dicomweb_server.dicom.media_description import Media
from dicomweb_server.dicom.native_pictures import Cells, NativePixels

GENERATED = {tag: UUID(int=tag) for tag in (SOP_INSTANCE, STUDY, SERIES)}
TOLD = Media(
    "1.2.840.10008.1.2.4.50",
    0,
    1,
    rows=4,
    columns=5,
    samples_per_pixel=3,
    photometric_interpretation="YBR_FULL",
    planar_configuration=0,
    bits_allocated=8,
    bits_stored=8,
    high_bit=7,
    pixel_representation=0,
    lossy=True,
    lossy_method="ISO_10918_1",
)
IMAGE = ["00280002", "00280004", "00280006", "00280010", "00280011", "00280100", "00280101"]
IMAGE += ["00280102", "00280103"]

uids = st.sampled_from(["1.2", "1.3", "no uid", 5, {}, [[]]])
maybe = st.none() | uids.map(lambda value: {"vr": "UI", "Value": [value]})
empty = st.sampled_from([{"vr": "UI"}, {"vr": "UI", "Value": []}, {"vr": "UI", "Value": [None]}])


def test_a_uid_of_nothing_but_padding_is_none() -> None:
    for value in ([], [None], [""], [" "], ["\0"]):
        attributes = {"00080018": {"vr": "UI", "Value": value}}
        assert SOP_INSTANCE in complete_uids(attributes, None, GENERATED)
        assert value_of(attributes, SOP_INSTANCE) == f"2.25.{SOP_INSTANCE}"


@given(
    given_uids=st.dictionaries(
        st.sampled_from([f"{tag:08X}" for tag in GENERATED] + [f"{STUDY:08x}"]), maybe | empty
    ),
    study=st.none() | st.just("1.9"),
)
def test_uids_that_are_there_stay_and_the_others_are_generated(
    given_uids: dict[str, Any], study: str | None
) -> None:
    attributes = {key: value for key, value in given_uids.items() if value is not None}
    before = {tag: value_of(attributes, tag) for tag in GENERATED}
    missing = complete_uids(attributes, study, GENERATED)

    for tag, value in before.items():
        if tag not in missing:
            assert value_of(attributes, tag) == value
        elif tag == STUDY and study:
            assert value_of(attributes, tag) == study
        else:
            assert value_of(attributes, tag) == f"2.25.{tag}"
    assert complete_uids(attributes, study, GENERATED) == []


@given(st.dictionaries(st.sampled_from(IMAGE), st.sampled_from([0, 3, 4, 5, "RGB", 16, None, []])))
def test_what_metadata_say_of_an_image_stays(stated: dict[str, Any]) -> None:
    attributes: dict[str, Any] = {key: {"vr": "US", "Value": [v]} for key, v in stated.items()}
    problems = complete_image(attributes, TOLD, 3, 9)

    said = {key: value for key, value in stated.items() if value is not None}
    assert {key: attributes[key]["Value"][0] for key in said} == said
    assert set(IMAGE) <= attributes.keys()
    assert missing_of_image(attributes) == []
    told = {"00280002": 3, "00280004": "YBR_FULL", "00280006": 0, "00280010": 4, "00280011": 5}
    told["00280100"] = 8
    wrong = [key for key, value in told.items() if key in said and said[key] != value]
    few = "00280101" in said and said["00280101"] != 16
    assert len(problems) == len(wrong) + few
    assert attributes["00280008"]["Value"] == [3]
    assert attributes["00282110"]["Value"] == ["01"]


GREY = replace(TOLD, samples_per_pixel=1, photometric_interpretation="MONOCHROME2")
LOSSLESS_JPEG = replace(
    TOLD, transfer_syntax_uid="1.2.840.10008.1.2.4.70", bits_allocated=16, bits_stored=12
)
JPEG_2000 = replace(
    TOLD, transfer_syntax_uid="1.2.840.10008.1.2.4.90", photometric_interpretation="YBR_RCT"
)
UNTOLD = replace(TOLD, photometric_interpretation="RGB", colours_told=False)


@pytest.mark.parametrize(
    ("media", "key", "right", "wrong"),
    [
        (TOLD, "00280100", [8], [1, 16, "8"]),
        (LOSSLESS_JPEG, "00280100", [12, 16, 32], [8, "16"]),
        (LOSSLESS_JPEG, "00280101", [12, 16], [10, 8]),
        (LOSSLESS_JPEG, "00280102", [7, 11, 15], []),
        (LOSSLESS_JPEG, "00280103", [0, 1], []),
        (JPEG_2000, "00280103", [0], [1]),
        (replace(JPEG_2000, pixel_representation=1), "00280103", [1], [0]),
        (TOLD, "00280006", [0], [1]),
        (TOLD, "00280002", [3], [1, 4]),
        (TOLD, "00280004", ["YBR_FULL", "YBR_FULL_422 "], ["RGB", "YBR_ICT", "MONOCHROME2", 1]),
        (
            replace(TOLD, photometric_interpretation="RGB"),
            "00280004",
            ["RGB"],
            ["YBR_FULL", "YBR_FULL_422", "PALETTE COLOR"],
        ),
        (UNTOLD, "00280004", ["RGB", "YBR_FULL", "YBR_FULL_422"], ["YBR_RCT", "MONOCHROME2"]),
        (JPEG_2000, "00280004", ["YBR_RCT"], ["RGB", "YBR_ICT", "YBR_FULL"]),
        (GREY, "00280004", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"], ["RGB", ""]),
    ],
)
def test_what_cannot_be_true_of_a_code_stream_is_told(
    media: Media, key: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right + wrong:
        problems = complete_image({key: {"vr": "CS", "Value": [value]}}, media, 1, 9)
        expected = value in wrong
        assert [f"({key[:4]},{key[4:]})" in problem for problem in problems] == [True] * expected


def test_a_loss_is_told_whatever_the_metadata_say() -> None:
    attributes: dict[str, Any] = {"00282110": {"vr": "CS", "Value": ["00"]}}
    complete_image(attributes, TOLD, 1, 9)
    assert attributes["00282110"]["Value"] == ["01"]
    assert "00280008" not in attributes


@pytest.mark.parametrize(
    ("media", "frames", "size", "ratio"),
    [
        (TOLD, 1, 9, 6.7),  # 60 bytes uncompressed
        (TOLD, 3, 9, 20.0),
        (TOLD, 1, 10_000, None),
        (replace(TOLD, number_of_frames=30), 1, 100, 18.0),
        (replace(TOLD, number_of_frames=None), 1, 100, None),
        (replace(TOLD, lossy=False), 1, 9, None),
    ],
)
def test_how_far_an_image_is_compressed_is_told_of_its_size(
    media: Media, frames: int, size: int, ratio: float | None
) -> None:
    attributes: dict[str, Any] = {}
    complete_image(attributes, media, frames, size)
    assert value_of(attributes, 0x00282112) == ratio
    stated: dict[str, Any] = {"00282112": {"vr": "DS", "Value": [5]}}
    complete_image(stated, media, frames, size)
    assert value_of(stated, 0x00282112) == 5


VIDEO = replace(TOLD, number_of_frames=30, frame_time=40.0)


@pytest.mark.parametrize(
    ("stated", "media", "pointer"),
    [
        ({}, VIDEO, "00181063"),
        ({}, replace(VIDEO, number_of_frames=None), "00181063"),
        ({}, replace(VIDEO, number_of_frames=1), None),
        ({}, replace(VIDEO, frame_time=None), None),
        ({"00181063": 33}, VIDEO, None),
        ({"00181065": 33}, VIDEO, None),
        ({"00280009": "00540080"}, VIDEO, "00540080"),
    ],
)
def test_frames_that_follow_in_time_say_so(
    stated: dict[str, Any], media: Media, pointer: str | None
) -> None:
    attributes: dict[str, Any] = {key: {"vr": "AT", "Value": [v]} for key, v in stated.items()}
    complete_image(attributes, media, 1, 9)
    assert value_of(attributes, 0x00280009) == pointer


PICTURE = NativePixels(
    rows=4,
    columns=5,
    samples_per_pixel=3,
    photometric_interpretation="RGB",
    planar_configuration=0,
    bits_allocated=8,
    bits_stored=8,
    high_bit=7,
    pixel_representation=0,
    palette=False,
    rescaled=False,
    number_of_frames=4,
    frame_times=(100.0, 200.0, 300.0, 400.0),
    frames=iter(()),
)
TIMING = ("00181063", "00181065", "00280009")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((), (None, None, None)),
        ((40.0,) * 4, ([40], None, ["00181063"])),
        ((1000 / 30,) * 4, ([33.333333], None, ["00181063"])),
        ((100.0, 200.0, 300.0, 400.0), (None, [0, 100, 200, 300], ["00181065"])),
        ((100.0, 1000 / 30, 0.0, 0.0), (None, [0, 100, 33.333333, 0], ["00181065"])),
        # An element of DS is of 65534 bytes at the most (PS3.5 §7.1.2).
        ((10.0, *[1.0] * 32766), (None, [0, 10, *[1] * 32765], ["00181065"])),
        ((10.0, 10.0, *[1.0] * 32765), ([1.000549], None, ["00181063"])),
        ((10.0, *[1.0] * 32767), ([1.000275], None, ["00181063"])),
    ],
)
def test_frames_of_a_picture_that_are_shown_for_different_times_have_a_vector(
    times: tuple[float, ...], expected: tuple[Any, ...]
) -> None:
    """PS3.3 C.7.6.5: from one frame to the next, 0 for the first."""
    attributes: dict[str, Any] = {}
    picture = replace(PICTURE, frame_times=times, number_of_frames=len(times))
    describe_decoded(attributes, picture, Cells(8))
    assert tuple(attributes.get(key, {}).get("Value") for key in TIMING) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"00181063": [33]}, ([33], None, None)),
        ({"00181065": [0, 1, 2, 3]}, (None, [0, 1, 2, 3], None)),
        ({"00280009": ["00181065"]}, (None, [0, 100, 200, 300], ["00181065"])),
        ({"00280009": ["00181063"]}, ([250], None, ["00181063"])),
        ({"00280009": ["00540080"]}, ([250], None, ["00540080"])),
    ],
)
def test_what_metadata_say_of_times_stays(
    stated: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    attributes: dict[str, Any] = {key: {"vr": "AT", "Value": v} for key, v in stated.items()}
    describe_decoded(attributes, PICTURE, Cells(8))
    assert tuple(attributes.get(key, {}).get("Value") for key in TIMING) == expected


STILL = replace(PICTURE, number_of_frames=1, frame_times=())
GREY_PICTURE = replace(
    STILL, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", planar_configuration=None
)
DEEP = replace(GREY_PICTURE, bits_allocated=16, bits_stored=16, high_bit=15)
BITS = ("00280101", "00280102", "00280103")  # Bits Stored, High Bit, Pixel Representation


def said(stated: dict[str, Any]) -> dict[str, Any]:
    return {key: {"vr": "US", "Value": [value]} for key, value in stated.items()}


def cells_of(picture: NativePixels, *values: int) -> Cells:
    size = picture.bits_allocated // 8
    cells = Cells(picture.bits_allocated)
    cells.add(b"".join(value.to_bytes(size, "little") for value in values))
    return cells


@pytest.mark.parametrize(
    ("picture", "key", "right", "wrong"),
    [
        (GREY_PICTURE, "00280004", ["MONOCHROME1", "MONOCHROME2 "], ["RGB", "PALETTE COLOR", 1]),
        (STILL, "00280004", ["RGB"], ["YBR_FULL", "YBR_FULL_422", "MONOCHROME1", "PALETTE COLOR"]),
        (GREY_PICTURE, "00280002", [1], [3, "1"]),
        (STILL, "00280002", [3], [1]),
        (GREY_PICTURE, "00280010", [4], [512]),
        (GREY_PICTURE, "00280011", [5], [4, {}]),
        (GREY_PICTURE, "00280006", [0, 1], []),  # says nothing of one sample
        (STILL, "00280006", [0], [1]),
        (GREY_PICTURE, "00280100", [8], [1, 16]),
        (DEEP, "00280100", [16], [8, 32]),
        (GREY_PICTURE, "00280103", [0, 1], [2, "1"]),
        (STILL, "00280103", [0], [1]),
        (replace(GREY_PICTURE, rescaled=True), "00280103", [0], [1]),
        (GREY_PICTURE, "00280008", [1, "1"], [3, "3"]),
        (replace(STILL, number_of_frames=3), "00280008", [3, "3"], [1, "4"]),
    ],
)
def test_metadata_of_a_picture_stand_where_they_can_be_true(
    picture: NativePixels, key: str, right: list[Any], wrong: list[Any]
) -> None:
    bare: dict[str, Any] = {}
    assert describe_decoded(bare, picture, cells_of(picture, 255)) == []
    for value in right + wrong:
        attributes = said({key: value})
        problems = describe_decoded(attributes, picture, cells_of(picture, 255))
        told = [f"({key[:4]},{key[4:]})" in problem for problem in problems]
        assert told == [True] * (value in wrong)
        after = picture.number_of_frames if key == "00280008" else value_of(bare, int(key, 16))
        assert value_of(attributes, int(key, 16)) == (after if value in wrong else value)


@pytest.mark.parametrize(
    ("picture", "values", "stated", "expected"),
    [
        (DEEP, [0, 4095], (12, 11, 1), (12, 11, 1)),
        (DEEP, [0xF800, 2047], (12, 11, 1), (12, 11, 1)),
        (DEEP, [0xF800, 2047], (12, 11, 0), (16, 15, 0)),
        (DEEP, [0xF7FF], (12, 11, 1), (16, 15, 1)),
        (DEEP, [0, 4096], (12, 11, 0), (16, 15, 0)),
        (DEEP, [0xABC0], (12, 15, 0), (12, 15, 0)),
        (DEEP, [0x0ABC], (12, 15, 0), (12, 11, 0)),
        (DEEP, [0x0ABC], (12, None, None), (12, 11, 0)),
        (DEEP, [0x0ABC], (None, 11, None), (16, 15, 0)),
        (DEEP, [1], (17, 16, 0), (16, 15, 0)),
        (DEEP, [1], (0, -1, 0), (16, 15, 0)),
        (DEEP, [1], ("12", 11, 0), (16, 15, 0)),
        (GREY_PICTURE, [63], (6, 5, 0), (6, 5, 0)),
        (GREY_PICTURE, [64], (6, 5, 0), (8, 7, 0)),
        (GREY_PICTURE, [64], (12, 11, 0), (8, 7, 0)),
    ],
)
def test_bits_that_hold_every_value_of_a_picture_stand(
    picture: NativePixels,
    values: list[int],
    stated: tuple[Any, ...],
    expected: tuple[int, ...],
) -> None:
    attributes = said({key: v for key, v in zip(BITS, stated, strict=True) if v is not None})
    problems = describe_decoded(attributes, picture, cells_of(picture, *values))

    assert tuple(value_of(attributes, int(key, 16)) for key in BITS) == expected
    changed = [
        f"({key[:4]},{key[4:]})"
        for key, before, after in zip(BITS, stated, expected, strict=True)
        if before not in (None, after)
    ]
    assert [problem[:11] for problem in problems] == changed


LUT = {
    **{f"0028110{n}": {"vr": "US", "Value": [256, 0, 8]} for n in (1, 2, 3)},
    **{f"0028120{n}": {"vr": "OW", "BulkDataURI": f"lut{n}"} for n in (1, 2, 3)},
}


@pytest.mark.parametrize(
    ("picture", "palette", "stands"),
    [
        (GREY_PICTURE, LUT, True),
        (DEEP, LUT, True),
        (GREY_PICTURE, {key.replace("0028120", "0028122"): v for key, v in LUT.items()}, True),
        (GREY_PICTURE, {key.lower(): v for key, v in LUT.items()}, True),
        (GREY_PICTURE, {key: v for key, v in LUT.items() if key != "00281102"}, False),
        (GREY_PICTURE, {key: v for key, v in LUT.items() if key != "00281203"}, False),
        (GREY_PICTURE, LUT | {"00281201": {"vr": "OW"}}, False),
        (replace(GREY_PICTURE, rescaled=True), LUT, False),  # what it indexes is not kept
        (STILL, LUT, False),
    ],
)
def test_grey_values_may_index_the_palette_of_the_metadata(
    picture: NativePixels, palette: dict[str, Any], stands: bool
) -> None:
    attributes = said({"00280004": "PALETTE COLOR"}) | palette
    problems = describe_decoded(attributes, picture, cells_of(picture, 1))

    ordinary = picture.photometric_interpretation
    assert value_of(attributes, 0x00280004) == ("PALETTE COLOR" if stands else ordinary)
    assert bool(problems) is not stands
    assert {key: attributes[key] for key in palette} == palette


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"00280004": "PALETTE COLOR", "00280002": 1}, 0),
        ({"00280004": "PALETTE COLOR "}, 0),
        ({"00280004": "PALETTE COLOR", "00280002": 4}, 1),
        ({"00280004": "MONOCHROME2", "00280002": 1}, 2),
    ],
)
def test_a_palette_that_became_rgb_contradicts_nobody_who_stated_one(
    stated: dict[str, Any], told: int
) -> None:
    attributes = said(stated)
    problems = describe_decoded(attributes, replace(STILL, palette=True), Cells(8))

    assert len(problems) == told
    assert (value_of(attributes, 0x00280002), value_of(attributes, 0x00280004)) == (3, "RGB")


def test_what_nobody_tells_is_missing() -> None:
    attributes: dict[str, Any] = {"00280010": {"vr": "US", "Value": [4]}}
    complete_image(attributes, Media("1.2.840.10008.1.2.5", 0, 1), 1, 1)
    missing = missing_of_image(attributes)
    assert len(missing) == 7
    assert not any("(0028,0010)" in problem for problem in missing)
    assert all(len(problem) <= 64 for problem in missing)


@pytest.mark.parametrize(
    ("stated", "length", "expected", "wrong"),
    [
        (None, 7, 7, False),
        (0, 7, 7, False),
        (7, 7, 7, False),
        (7, 8, 7, False),
        (6, 7, 6, True),
        (5, 7, 5, True),
        ("7", 7, "7", True),
    ],
)
def test_the_length_of_a_document_is_that_of_the_part_unless_it_is_stated(
    stated: Any, length: int, expected: Any, wrong: bool
) -> None:
    attributes: dict[str, Any] = {}
    if stated is not None:
        attributes["00420015"] = {"vr": "UL", "Value": [stated]}
    problems = complete_document(attributes, "application/pdf", length)
    assert ["(0042,0015)" in problem for problem in problems] == [True] * wrong
    assert attributes["00420015"]["Value"] == [expected]


# --- which data sets belong together ----------------------------------------------------------

TAGS = ["0020000D", "00100020", "00100021", "00080060", "00200011"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def of(**values: object) -> dict[str, Any]:
    tags = {"study": TAGS[0], "patient": TAGS[1], "issuer": TAGS[2], "modality": TAGS[3]}
    return {tags[name]: {"vr": "LO", "Value": [value]} for name, value in values.items()}


@given(
    st.dictionaries(st.sampled_from(TAGS), anything | st.fixed_dictionaries({"Value": anything}))
)
def test_any_data_set_belongs_somewhere_in_few_bytes(attributes: dict[str, Any]) -> None:
    found = belonging_of(attributes)
    assert found == belonging_of(attributes)
    assert len(found.series) == 32
    assert all(digest is None or len(digest) == 32 for digest in (found.study, found.patient))


def test_a_patient_is_told_by_id_and_issuer() -> None:
    one = belonging_of(of(patient="1", issuer="A")).patient
    assert one is not None
    assert one == belonging_of(of(patient="1 ", issuer=" A")).patient
    others = [
        of(patient="1"),
        of(patient="2", issuer="A"),
        of(patient="1A"),
        of(patient="1", issuer="B"),
    ]
    assert one not in [belonging_of(other).patient for other in others]
    for nobody in (
        {},
        of(issuer="A"),
        of(patient=""),
        of(patient=" ", issuer="A"),
        of(patient=None),
    ):
        assert belonging_of(nobody).patient is None


def test_values_of_any_length_are_told_apart() -> None:
    assert belonging_of(of(patient="x" * 9999)) != belonging_of(of(patient="x" * 9998 + "y"))
    assert belonging_of(of(modality="CT")).series != belonging_of(of(modality="SR")).series
    assert belonging_of(of(study="1.2")).study == belonging_of(of(study="1.2\0")).study is not None
