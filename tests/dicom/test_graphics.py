"""Graphics and text of presentation states (PS3.3 C.10.5, C.10.7)."""

import time

import numpy as np
import pytest

from tests.dicom.shown import BLUE, bright, drawn, image_of, middle, shown, square
from tests.make.states import (
    annotation,
    area,
    graphic,
    item,
    layer,
    reference,
    text,
)

# --- graphics ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "centre", "bounds"),
    [
        (graphic("POINT", 50, 80), (50, 80), None),
        (graphic("POLYLINE", 20, 30, 120, 30), (70, 30), (20, 30, 120, 30)),
        (graphic("CIRCLE", 60, 70, 90, 70), (60, 70), (30, 40, 90, 100)),
        (graphic("ELLIPSE", 20, 70, 120, 70, 70, 50, 70, 90), (70, 70), (20, 50, 120, 90)),
        (graphic("INTERPOLATED", 20, 50, 60, 50, 100, 50), (60, 50), (20, 50, 100, 50)),
        (graphic("POLYLINE", 0.1, 0.5, 0.3, 0.5, units="DISPLAY"), (40, 100), (20, 100, 60, 100)),
        (graphic("CIRCLE", 0.5, 0.5, 0.5, 0.75, units="DISPLAY"), (100, 100), (50, 50, 150, 150)),
    ],
)
def test_graphics_lie_where_they_are_told(made, centre, bounds):
    """PIXEL: (0, 0) is the corner of the image's first pixel (PS3.3 C.10.5)."""
    picture = drawn(made)

    assert middle(picture) == pytest.approx(centre, abs=0.2)
    if bounds:
        rows, columns = np.nonzero(picture > 100)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert found == pytest.approx(bounds, abs=2)


def test_a_curve_goes_through_its_points():
    data = [20, 20, 60, 100, 100, 40, 150, 150]
    picture = drawn(graphic("INTERPOLATED", *data))

    for x, y in zip(data[::2], data[1::2], strict=True):
        assert picture[y - 1 : y + 1, x - 1 : x + 1].max() > 200


def test_closed_graphics_are_filled_if_they_say_so():
    corners = [50, 50, 150, 50, 150, 150, 50, 150, 50, 50]
    inside = np.s_[60:140, 60:140]

    assert (drawn(graphic("POLYLINE", *corners, GraphicFilled="Y"))[inside] == 255).all()
    assert not drawn(graphic("POLYLINE", *corners, GraphicFilled="N"))[inside].any()
    assert not drawn(graphic("POLYLINE", *corners[:8], GraphicFilled="Y"))[inside].any()
    assert (drawn(graphic("CIRCLE", 100, 100, 190, 100, GraphicFilled="Y"))[inside] == 255).all()


def test_graphics_turn_with_the_image_those_of_the_display_do_not():
    turned = {"ImageRotation": 90, "ImageHorizontalFlip": "Y"}

    assert middle(drawn(graphic("POINT", 50, 80), **turned)) == pytest.approx((80, 50), abs=0.2)
    displayed = drawn(graphic("POINT", 0.25, 0.4, units="DISPLAY"), **turned)
    assert middle(displayed) == pytest.approx((50, 80), abs=0.2)


def test_a_circle_is_round_where_pixels_are_not_square():
    tall = [area(1, 1, 200, 200, PresentationPixelAspectRatio=[2, 1])]
    picture = drawn(graphic("CIRCLE", 100, 100, 150, 100), DisplayedAreaSelectionSequence=tall)

    rows, columns = np.nonzero(picture > 100)
    assert picture.shape == (400, 200)
    assert np.ptp(rows) == pytest.approx(100, abs=3)
    assert np.ptp(columns) == pytest.approx(100, abs=3)


def test_layers_have_their_order_and_colour():
    corners = [50, 50, 150, 50, 150, 150, 50, 150, 50, 50]
    filled = graphic("POLYLINE", *corners, GraphicFilled="Y")
    annotations = [annotation(filled, name="TOP"), annotation(filled, name="LOW")]
    for order, level in ((9, 128), (1, 64)):
        layers = [
            layer("TOP", order, GraphicLayerRecommendedDisplayGrayscaleValue=0x8080),
            layer("LOW", 5, GraphicLayerRecommendedDisplayGrayscaleValue=0x4040),
        ]
        state = {"GraphicLayerSequence": layers, "GraphicAnnotationSequence": annotations}
        picture = shown(square(200), state)
        assert picture.ndim == 2
        assert picture[100, 100] == level

    coloured = [layer("TOP", 1, GraphicLayerRecommendedDisplayCIELabValue=BLUE)]
    state = {"GraphicLayerSequence": coloured, "GraphicAnnotationSequence": annotations[:1]}
    assert shown(square(200), state)[100, 100].tolist() == pytest.approx([0, 0, 255], abs=8)


def test_styles_of_lines_and_areas():
    corners = [50, 50, 150, 50, 150, 150, 50, 150, 50, 50]
    line = [item(PatternOnColorCIELabValue=BLUE, LineThickness=4.0, LineDashingStyle="DASHED")]
    half = [item(PatternOnColorCIELabValue=[65535, 0x8080, 0x8080], PatternOnOpacity=0.5)]
    made = graphic(
        "POLYLINE", *corners, GraphicFilled="Y", LineStyleSequence=line, FillStyleSequence=half
    )
    picture = drawn(made)

    assert picture[100, 100].tolist() == pytest.approx([128] * 3, abs=2)
    along = picture[50, 60:140, 2].astype(int)
    assert (along > 200).any() and (along < 150).any()  # dashes, and what is between them


def test_annotations_are_for_the_frames_that_they_name():
    image = image_of(square(200))
    dot = annotation(graphic("POINT", 50, 50), ReferencedImageSequence=[reference(image, 2)])
    state = {"GraphicAnnotationSequence": [dot]}
    uid = {"SOPInstanceUID": image.SOPInstanceUID}

    assert not shown(square(200), state, image=uid).any()
    assert shown(square(200), state, image=uid, frame=2).any()
    other = {"SOPInstanceUID": "1.2.3"}
    assert not shown(square(200), state, image=other, frame=2).any()


# --- text -------------------------------------------------------------------------------------


def test_text_stands_in_its_box():
    left, top, right, bottom = bright(drawn(text("WORDS", (20, 40, 120, 70)), size=300))

    assert 20 <= left <= 26 and top >= 40 and right <= 122 and bottom <= 76
    assert right - left > 40


def test_text_runs_from_corner_to_corner_when_the_image_is_turned():
    """PS3.3 C.10.5.1.1: downward where the image is turned by 90 degrees."""
    turned = {"ImageRotation": 90, "ImageHorizontalFlip": "N"}
    box = text("WORDS", (20, 40, 120, 60))

    left, top, right, bottom = bright(drawn(box, size=300, **turned))

    assert bottom - top > right - left
    assert left >= 240 - 5 and right <= 262 and 20 <= top <= 26


def test_lines_of_text_and_justification():
    one = bright(drawn(text("A", (20, 40, 280, 140)), size=300))
    two = bright(drawn(text("A\r\nA", (20, 40, 280, 140)), size=300))
    right = text("A", (20, 40, 280, 140))
    right.BoundingBoxTextHorizontalJustification = "RIGHT"

    assert two[3] - two[1] > one[3] - one[1]
    assert bright(drawn(right, size=300))[2] >= 270


def test_text_at_an_anchor_and_the_line_to_it():
    left, _, _, _ = bright(drawn(text("WORDS", anchor=(150, 150)), size=300))
    assert left >= 150

    with_line = drawn(text("WORDS", (20, 40, 120, 70), anchor=(250, 250)), size=300)
    assert with_line[245:255, 245:255].max() == 255


def test_text_is_seen_if_its_box_or_anchor_is():
    part = {"DisplayedAreaSelectionSequence": [area(100, 100, 200, 200)]}

    assert not drawn(text("WORDS", (20, 40, 60, 70)), size=300, **part).any()
    assert drawn(text("WORDS", (90, 90, 140, 120)), size=300, **part).any()
    assert drawn(text("WORDS", (20, 40, 60, 70), anchor=(150, 150)), size=300, **part).any()


def test_thb_03_thumbnails_have_no_text():
    state = {"GraphicAnnotationSequence": [annotation(text("WORDS", (20, 40, 120, 70)))]}

    assert shown(square(200), state).any()
    assert not shown(square(200), state, texts=False, longest=128).any()


# --- what makes no sense ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        graphic("POLYLINE", 10, 10),
        graphic("POLYLINE", 10, 10, 20),
        graphic("CIRCLE", 10, 10),
        graphic("ELLIPSE", 10, 10, 20, 20),
        graphic("SPIRAL", 10, 10, 20, 20),
        graphic("POLYLINE", float("nan"), 10, 20, 20),
        graphic("POLYLINE", 1e30, 1e30, 2e30, 2e30),
        text("", (1, 1, 50, 50)),
        text("WORDS"),
        text("\r\n \r\n", (1, 1, 50, 50)),
    ],
)
def test_objects_that_make_no_sense_are_left_out(made):
    picture = drawn(made, graphic("POINT", 150, 150))

    assert not picture[:100, :100].any()
    assert picture[150, 150]


def test_lines_longer_than_the_picture_are_broken():
    words = text(" ".join(["WORDS"] * 40), (10, 10, 290, 30))
    words.BoundingBoxTextHorizontalJustification = "CENTER"

    left, top, right, bottom = bright(drawn(words, size=300))

    assert right - left <= 300
    assert bottom - top > 45


MANY = np.random.default_rng(0).uniform(0, 512, (100, 400)).tolist()
TEETH = [(n / 40, n % 2 * 512) for n in range(20_000)]
TEETH = [float(each) for point in [*TEETH, TEETH[0]] for each in point]
OUTSIDE = [(n % 2 * 5000 - 2500, 99) for n in range(10_000)]


@pytest.mark.parametrize(
    "made",
    [
        [graphic("CIRCLE", 256, 256, 256, n % 400, LineStyleSequence=[
            item(PatternOnColorCIELabValue=[65535, n, n])]) for n in range(300)],
        [text("\n".join(["M" * 25] * 40), (0, 0, 512, 512)) for _ in range(300)],
        [graphic("POLYLINE", *range(4000), LineStyleSequence=[
            item(PatternOnColorCIELabValue=BLUE, LineDashingStyle="DASHED")])] * 50,
        [text("".join(chr(0x4E00 + (n * 97 + c) % 9999) for c in range(1000)), (0, 0, 512, 99))
         for n in range(1000)],
        [graphic("POLYLINE", *points) for points in MANY],
        [graphic("POLYLINE", *TEETH, GraphicFilled="Y", FillStyleSequence=[
            item(FillMode="SOLID")])] * 8,
        [graphic("POLYLINE", *(each for point in OUTSIDE for each in point), LineStyleSequence=[
            item(LineDashingStyle="DASHED")])] * 3,
    ],
)  # fmt: skip
def test_what_is_drawn_is_bounded(made):
    """However much a state asks for, and how large: seconds, not minutes."""
    state = {"GraphicLayerSequence": [layer()], "GraphicAnnotationSequence": [annotation(*made)]}
    began = time.process_time()

    assert shown(square(512), state, box=(2000, 2000)).shape[:2] == (2000, 2000)

    assert time.process_time() - began < 15
