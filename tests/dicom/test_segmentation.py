"""Which frames of a segmentation lie on each other, on which image, and in which colours
(PS3.3 C.8.20)."""

import base64
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.segmentation import (
    OPACITY,
    Place,
    SourceImage,
    Tile,
    distinct,
    frame_at,
    overlaid,
    representative,
    slice_of,
)
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels


def element(*values: Any) -> dict[str, Any]:
    return {"vr": "??", "Value": list(values)}


def group(segment: int | None, position: tuple[float, ...] | None, *sources: Any) -> Any:
    """The functional groups of a frame."""
    made = {}
    if segment is not None:
        made["0062000A"] = element({"0062000B": element(segment)})
    if position is not None:
        made["00209113"] = element({"00200032": element(*position)})
    if sources:
        made["00089124"] = element({"00082112": element(*sources)})
    return made


def source(uid: str, frame: int | None = None, preserved: str = "") -> Any:
    made = {"00081155": element(uid)}
    if frame is not None:
        made["00081160"] = element(frame)
    if preserved:
        made["0028135A"] = element(preserved)
    return made


def dataset_of(*groups: Any, kind: str = "BINARY", **more: Any) -> dict[str, Any]:
    return {
        "00280010": element(4),
        "00280011": element(6),
        "00280100": element(8),
        "0020000D": element("1.1"),
        "00620001": element(kind),
        "00200052": element("1.9"),
        "52009229": element({"00209116": element({"00200037": element(1, 0, 0, 0, 1, 0)})}),
        "52009230": element(*groups),
    } | more


SERIES = element({"0020000E": element("1.2"), "0008114A": element(source("1.3"), source("1.4"))})


def test_frames_at_one_position_are_one_slice():
    groups = [
        group(2, (0, 0, 1)),
        group(1, (0, 0, 1.004)),
        group(1, (0, 0, 2)),
        group(3, (0, 0, 2)),
    ]
    dataset = dataset_of(*groups)

    assert slice_of(dataset, 1, 4, alone=False).frames == ((2, 1), (1, 2))
    assert slice_of(dataset, 4, 4, alone=False).frames == ((3, 1), (4, 3))
    assert slice_of(dataset, 4, 4, alone=True).frames == ((4, 3),)


def test_without_positions_frames_of_one_image_are_one_slice():
    groups = [group(1, None, source("1.3", 1)), group(2, None, source("1.3", 2)),
              group(2, None, source("1.3", 1))]  # fmt: skip

    found = slice_of(dataset_of(*groups), 1, 3, alone=False)

    assert found.frames == ((1, 1), (3, 2))


def test_tiles_without_groups_come_segment_after_segment():
    slide = {"00480006": element(12), "00480007": element(8), "00209311": element("TILED_FULL")}
    segments = element(*({"00620004": element(number)} for number in (1, 2, 5)))
    dataset = dataset_of(**slide, **{"00620002": segments})
    dataset.pop("52009230")

    found = slice_of(dataset, 6, 12, alone=False)

    assert found.frames == ((2, 1), (6, 2), (10, 5))
    assert found.place == Tile((8, 12, 4, 6), 2)
    assert frame_at(dataset, found.place, 4) == 2
    assert frame_at(dataset | {"00480006": element(13)}, found.place, 12) is None
    assert representative(dataset, 12) == 2


def test_the_slice_in_the_middle_stands_for_all():
    groups = [group(1, (0, 0, z)) for z in (5, 1, 3)]

    assert representative(dataset_of(*groups), 3) == 3
    assert representative(dataset_of(*groups, **{"00286010": element(2)}), 3) == 2
    assert representative(dataset_of(*groups, **{"00286010": element(9)}), 3) == 3


def test_the_images_that_a_frame_was_made_from():
    groups = [group(1, (0, 0, 1), source("1.4", 7), source("1.5", preserved="NO"), source("1.8"))]

    found = slice_of(dataset_of(*groups, **{"00081115": SERIES}), 1, 1, alone=True)

    assert found.sources == (
        SourceImage("1.1", "1.2", "1.4", 7),
        SourceImage("", "", "1.8"),
    )
    assert found.series == (("1.1", "1.2"),)
    assert found.place == Place("1.9", (0, 0, 1), (1, 0, 0, 0, 1, 0), (4, 6))


def test_images_of_other_studies():
    other = element({"0020000D": element("2.1"), "00081115": SERIES})

    found = slice_of(dataset_of(group(1, None), **{"00081200": other}), 1, 1, alone=True)

    assert found.series == (("2.1", "1.2"),)
    assert found.sources == ()  # two are named, and nothing says which it is


def test_an_image_lies_at_a_place_within_what_is_rounded():
    place = Place("1.9", (0, 0, 1), (1, 0, 0, 0, 1, 0), (4, 6))

    def lies(**changed: Any) -> bool:
        plain = {
            "00280010": element(4),
            "00280011": element(6),
            "00200052": element("1.9"),
            "00200032": element("0", "0.001", "0.9999"),
            "00200037": element(1, 0, 0, 0, 1, 0),
        }
        return frame_at(plain | changed, place, 1) == 1

    assert lies()
    assert not lies(**{"00200032": element(0, 0, 1.2)})
    assert not lies(**{"00200037": element(0, 1, 0, 1, 0, 0)})
    assert not lies(**{"00200052": element("1.8")})
    assert not lies(**{"00280010": element(5)})
    assert not lies(**{"00200032": element(0, 0)})
    assert frame_at(dataset_of(group(1, (0, 0, 3)), group(1, (0, 0, 1))), place, 2) == 2


# --- the picture ------------------------------------------------------------------------------

GREY = np.full((4, 6), 100, np.uint8)
LAB_RED = element({"00620004": element(1), "0062000D": element(35578, 53664, 50858)})


def drawn(
    array: Any, segment: int | None, background: Any = GREY, **dataset: Any
) -> np.ndarray[Any, Any]:
    found = dataset_of(**{"00620002": LAB_RED} | dataset)
    frames = [(np.asarray(array), segment)]
    return overlaid(background, frames, image_pixel(found), found).astype(int)


def left_half() -> np.ndarray[Any, Any]:
    return np.repeat([[1, 1, 1, 0, 0, 0]], 4, axis=0).astype(np.uint8)


def test_a_segment_is_half_transparent_over_its_image():
    picture = drawn(left_half(), 1)

    assert OPACITY == 0.5
    assert picture[0, 0].tolist() == pytest.approx([178, 50, 50], abs=2)
    assert (picture[:, 3:] == 100).all()


@pytest.mark.parametrize("background", [None, np.full((4, 7), 100, np.uint8)])
def test_on_black_where_there_is_no_image_of_its_size(background):
    picture = drawn(left_half(), 1, background)

    assert picture[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert not picture[:, 3:].any()


def test_colour_images_keep_their_colour():
    colour = np.dstack([GREY, GREY // 2, GREY // 4])

    assert (drawn(left_half(), 1, colour)[:, 3:] == [100, 50, 25]).all()


def test_fractions_are_as_opaque_as_they_are_large():
    values = np.repeat([[0, 50, 100, 200, 255, 0]], 4, axis=0).astype(np.uint8)
    fractional = {"kind": "FRACTIONAL", "0062000E": element(100)}

    picture = drawn(values, 2, None, **fractional)

    assert (picture[0, 2:5] == distinct(2)).all()
    assert picture[0, 1].tolist() == pytest.approx(np.array(distinct(2)) / 2, abs=2)
    assert not picture[0, 0].any()


def test_labels_have_the_colours_of_their_segments():
    labels = np.repeat([[0, 1, 2, 5, 5, 0]], 4, axis=0).astype(np.uint8)

    picture = drawn(labels, None, None, kind="LABELMAP", **{"00280120": element(5)})

    assert picture[0, 1].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert picture[0, 2].tolist() == list(distinct(2))
    assert not picture[0, [0, 3, 4, 5]].any()


def test_labels_may_have_a_palette():
    data = [np.array([0, 0, value << 8], "<u2").tobytes() for value in (10, 20, 30)]
    palette = {
        f"{tag:08X}": value
        for n in range(3)
        for tag, value in (
            (0x00281101 + n, element(3, 0, 16)),
            (
                0x00281201 + n,
                {"vr": "OW", "InlineBinary": base64.b64encode(data[n]).decode()},
            ),
        )
    }
    more = {"kind": "LABELMAP", "00280004": element("PALETTE COLOR"), **palette}
    picture = drawn(np.full((4, 6), 2, np.uint8), None, None, **more)

    assert picture[0, 0].tolist() == [10, 20, 30]


def test_colours_are_told_apart():
    colours = [np.array(distinct(number)) for number in range(1, 9)]

    assert all(colour.max() == 255 and colour.min() == 0 for colour in colours)
    assert min(
        abs(one - other).sum() for n, one in enumerate(colours) for other in colours[:n]
    ) > 60  # fmt: skip


# --- what makes no sense ----------------------------------------------------------------------

TAGS = [
    *("00200032", "00200037", "00200052", "00209113", "00209116", "00286010", "00480006"),
    *("00480007", "0048021A", "0048021E", "00620001", "00620002", "00620004", "0062000A"),
    *("0062000B", "0062000D", "0062000E", "00081115", "0008114A", "00081155", "00081160"),
    *("00081200", "00082112", "00089124", "00209311", "00480303", "52009229", "52009230"),
]
VALUES = st.recursive(
    st.none() | st.floats() | st.integers() | st.sampled_from(["LABELMAP", "TILED_FULL", "x"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=6,
)


def datasets(depth: int) -> st.SearchStrategy[Any]:
    inner = VALUES if depth == 0 else VALUES | st.lists(datasets(depth - 1), max_size=2)
    element_of = inner.map(lambda value: {"vr": "??", "Value": value})
    return st.dictionaries(st.sampled_from(TAGS), element_of, max_size=6)


@pytest.mark.parametrize("z", [None, 1e307, -1e307])
def test_positions_that_are_none(z):
    dataset = dataset_of(group(1, (0, 0, z)), group(1, (0, 0, 1)))
    place = Place("", (0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (4, 6))

    assert slice_of(dataset, 2, 2, alone=False).frames == ((2, 1),)
    assert representative(dataset, 2) in (1, 2)
    assert frame_at(dataset, place, 2) is None
    slide = {"00480006": element(1e308), "00480007": element(1e308), "00480303": element(1e308)}
    dataset = dataset_of(**slide) | {"52009230": element()}
    assert len(slice_of(dataset, 1, 9, alone=False).frames) == 1


def test_millions_of_frames_are_not_all_looked_at():
    """A file of 10 MB has 80 million of one bit."""
    began = time.process_time()
    dataset = dataset_of(group(1, (0, 0, 1)))

    frame = representative(dataset, 80_000_000)
    for each in (70_000_000, frame):
        with pytest.raises(ContentTooLarge):
            slice_of(dataset, each, 80_000_000, alone=False)
        assert slice_of(dataset, each, 80_000_000, alone=True).frames
    dataset = dataset_of(**{"00620002": element(*({"00620004": element(n)} for n in range(4000)))})
    dataset["52009230"] = element()
    with pytest.raises(ContentTooLarge):
        slice_of(dataset, 1, 80_000_000, alone=False)

    assert time.process_time() - began < 10


def test_no_more_labels_than_there_may_be_segments():
    labels = np.arange(300 * 300, dtype=np.uint32).reshape(300, 300)
    dataset = dataset_of(kind="LABELMAP", **{"00280010": element(300), "00280011": element(300)})
    with pytest.raises(UndecodablePixels):
        overlaid(None, [(labels, None)], image_pixel(dataset), dataset)
    none = np.full((300, 300), np.nan)
    assert not overlaid(None, [(none, None)], image_pixel(dataset), dataset).any()


@settings(max_examples=60, deadline=None)
@given(datasets(3), st.booleans())
def test_no_attributes_make_a_segmentation_fail(attributes, alone):
    array = left_half()
    dataset = attributes | {"00280010": element(4), "00280011": element(6)}
    dataset |= {"00280100": element(8)}
    frame = representative(dataset, 5)
    found = slice_of(dataset, frame, 5, alone=alone)
    if found.place is not None:
        frame_at(dataset, found.place, 5)

    frames = [(array, segment) for _, segment in found.frames]

    assert overlaid(GREY, frames, image_pixel(dataset), dataset).shape == (4, 6, 3)
