"""Images shown through presentation states, step by step (PS3.4 N.2, digest 3.3.1 and RND-02)."""

import base64
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.pixels import Decoded, image_pixel
from dicomweb_server.dicom.presentation_state import (
    COLOR,
    GRAYSCALE,
    PSEUDO_COLOR,
    VARIABLE_MODALITY_LUT,
    MaskRule,
    Reference,
    mask_rule,
    present,
    references,
)
from dicomweb_server.dicom.rendering import RenderOptions
from dicomweb_server.dicom.viewing import Viewport
from tests.make.files import ABSENT, dataset_with, part10
from tests.make.states import (
    annotation,
    area,
    graphic,
    item,
    layer,
    overlay,
    reference,
    state_attributes,
    text,
)

BLUE = [21166, 53250, 0]  # CIELab of DICOM of about (0, 0, 255)


def json_of(dataset: Dataset) -> JsonDataset:
    found: JsonDataset = orjson.loads(describe(part10(dataset)).metadata.replace(BULK_BASE, b""))
    return found


def image_of(array: np.ndarray[Any, Any], **keywords: Any) -> Dataset:
    """The attributes of an image of these stored values."""
    values = {
        "Rows": array.shape[0],
        "Columns": array.shape[1],
        "SamplesPerPixel": array.shape[2] if array.ndim == 3 else 1,
        "PhotometricInterpretation": "RGB" if array.ndim == 3 else "MONOCHROME2",
        "BitsAllocated": 8 * array.itemsize,
        "BitsStored": 8 * array.itemsize,
        "HighBit": 8 * array.itemsize - 1,
        "PixelRepresentation": int(array.dtype.kind == "i"),
    }
    return dataset_with(**(values | keywords))


def shown(
    array: Any,
    state: dict[str, Any] | None = None,
    *,
    image: dict[str, Any] | None = None,
    edit: Any = None,
    frame: int = 1,
    box: tuple[int, int] | None = None,
    masks: Any = (),
    **options: Any,
) -> np.ndarray[Any, Any]:
    """The picture of stored values through a state of these attributes; `edit` changes the data
    sets of the state and the image."""
    array = np.asarray(array)
    dataset = image_of(array, **(image or {}))
    attributes = state_attributes(dataset, **(state or {}))
    if edit:
        edit(attributes, dataset)
    found = json_of(dataset)
    pixel = image_pixel(found)
    decoded = Decoded(array, pixel.photometric_interpretation)
    viewport = Viewport(*box) if box else None
    state_found = json_of(attributes)
    wanted = RenderOptions(None, viewport)
    return present(decoded, pixel, found, frame, state_found, wanted, masks, **options)


def levels(*args: Any, **keywords: Any) -> Any:
    return shown(*args, **keywords).tolist()


ROW = np.array([[0, 100, 200, 255]], np.uint8)
WINDOW = {"SoftcopyVOILUTSequence": [item(WindowCenter="150.5", WindowWidth="101")]}


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    return item(
        LUTDescriptor=[len(entries), first, bits], LUTData=np.array(entries, "<u2").tobytes()
    )


def square(size: int = 40, level: int = 0) -> np.ndarray[Any, Any]:
    return np.full((size, size), level, np.uint8)


# --- grayscale --------------------------------------------------------------------------------


def test_rnd_02_a_step_that_the_state_lacks_is_none():
    """Not that of the image, and no window of its own: all of Bits Stored is shown."""
    own = {"WindowCenter": "10", "WindowWidth": "1", "RescaleSlope": "-1", "RescaleIntercept": "9"}

    assert levels(ROW, image=own) == ROW.tolist()
    assert levels(ROW, image=own | {"PhotometricInterpretation": "MONOCHROME1"}) == ROW.tolist()
    assert levels(ROW.astype(np.int16) - 128) == [[127, 127, 128, 128]]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (WINDOW, [0, 0, 255, 255]),
        (WINDOW | {"RescaleSlope": "1", "RescaleIntercept": "60"}, [0, 153, 255, 255]),
        ({"RescaleSlope": "-1", "RescaleIntercept": "0"}, [255, 155, 55, 0]),
        ({"PresentationLUTShape": "INVERSE"}, [255, 155, 55, 0]),
        (WINDOW | {"PresentationLUTShape": "INVERSE"}, [255, 255, 0, 0]),
        ({"PresentationLUTShape": "NONE SUCH"}, [0, 100, 200, 255]),
        ({"SoftcopyVOILUTSequence": [item(WindowCenter="1", WindowWidth="0")]}, ROW.tolist()[0]),
    ],
)
def test_the_steps_are_those_of_the_state(state, expected):
    assert levels(ROW, state) == [expected]


def test_look_up_tables_of_each_step():
    values = np.array([[0, 1, 2, 3]], np.uint8)
    modality = {"ModalityLUTSequence": [lut(0, 8, [0, 50, 100, 255])]}
    voi = {"SoftcopyVOILUTSequence": [item(VOILUTSequence=[lut(50, 8, [9, *[20] * 49, 30])])]}
    # Its 4 entries span what comes in, whatever the bits of that are
    presentation = {"PresentationLUTSequence": [lut(0, 16, [65535, 0, 0, 32768])]}
    presentation["PresentationLUTShape"] = ABSENT

    assert levels(values, modality) == [[0, 50, 100, 255]]
    assert levels(values, modality | voi) == [[9, 9, 30, 30]]
    assert levels(ROW, presentation) == [[255, 0, 0, 128]]


def test_the_voi_lut_is_that_of_the_frame():
    image = image_of(ROW)
    for frame, expected in ((1, [0, 0, 255, 255]), (2, [0, 100, 200, 255]), (3, [255] * 4)):
        items = [
            item(ReferencedImageSequence=[reference(image, 1)], **vars_of(WINDOW)),
            item(ReferencedImageSequence=[reference(image, 3)], WindowCenter="-9", WindowWidth="1"),
        ]
        uid = {"SOPInstanceUID": image.SOPInstanceUID}
        state = {"SoftcopyVOILUTSequence": items}
        assert levels(ROW, state, image=uid, frame=frame) == [expected]


def vars_of(state: dict[str, Any]) -> dict[str, Any]:
    [window] = state["SoftcopyVOILUTSequence"]
    return {"WindowCenter": window.WindowCenter, "WindowWidth": window.WindowWidth}


def test_padding_stays_black_whatever_the_presentation_lut():
    inverse = {"PresentationLUTShape": "INVERSE"}

    assert levels(ROW, inverse, image={"PixelPaddingValue": 0}) == [[0, 155, 55, 0]]


def test_a_variable_modality_lut_is_that_of_the_image():
    own = {"RescaleSlope": "1", "RescaleIntercept": "-100"}
    state = {"SOPClassUID": VARIABLE_MODALITY_LUT, **WINDOW}

    assert levels(ROW, state, image=own) == [[0, 0, 0, 140]]


def test_a_mask_is_subtracted_after_the_modality_lut():
    contrast = np.array([[100, 100, 50, 200]], np.uint8)
    masks = [np.array([[100, 0, 100, 200]], np.uint8), np.array([[100, 0, 100, 100]], np.uint8)]
    window = {"SoftcopyVOILUTSequence": [item(WindowCenter="0.5", WindowWidth="101")]}

    assert levels(contrast, masks=masks) == [[128, 178, 103, 153]]  # of -255 to 255
    assert levels(contrast, window, masks=masks) == [[128, 255, 0, 255]]


def test_a_mask_is_moved_by_fractions_of_a_pixel():
    still = np.array([[0, 100, 0, 0]], np.uint8)
    state = {
        "MaskSubtractionSequence": [item(MaskOperation="AVG_SUB", MaskSubPixelShift=[0.0, 0.5])],
        "SoftcopyVOILUTSequence": [item(WindowCenter="0", WindowWidth="255")],
    }

    assert levels(still, state, masks=[still]) == [[128, 178, 78, 128]]


def test_which_frames_are_the_mask():
    def rule(**mask: Any) -> MaskRule:
        return mask_rule(
            json_of(state_attributes(image_of(ROW), MaskSubtractionSequence=[item(**mask)]))
        )

    assert rule(MaskOperation="AVG_SUB", MaskFrameNumbers=[2, 3]).frames_of(9) == (2, 3)
    assert rule(MaskOperation="TID", TIDOffset=2).frames_of(9) == (7,)
    assert rule(MaskOperation="TID").frames_of(9) == (8,)
    assert rule(MaskOperation="NONE").frames_of(9) == ()
    assert mask_rule({}).frames_of(1) == ()


def test_a_pseudo_colour_state_has_a_palette():
    values = np.array([[0, 85, 170, 255]], np.uint8)
    palette = {
        f"{colour}PaletteColorLookupTable{kind}": value
        for n, colour in enumerate(("Red", "Green", "Blue"))
        for kind, value in (
            ("Descriptor", [4, 0, 16]),
            ("Data", np.roll(np.array([0xFF00, 0, 0, 0x8000], "<u2"), n).tobytes()),
        )
    }
    pseudo = {"SOPClassUID": PSEUDO_COLOR, "PresentationLUTShape": ABSENT, **palette}

    expected = [[[255, 128, 0], [0, 255, 128], [0, 0, 255], [128, 0, 0]]]
    assert levels(values, pseudo) == expected
    assert levels(values, pseudo | {"SOPClassUID": GRAYSCALE})[0] == [0, 85, 170, 255]


def test_a_colour_state_shows_colours_as_they_are():
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    state = {"SOPClassUID": COLOR, "PresentationLUTShape": ABSENT}

    assert levels(array, state) == array.tolist()
    turned = levels(array, state | {"ImageRotation": 90, "ImageHorizontalFlip": "N"})
    assert turned == np.rot90(array, -1).tolist()


# --- shutters ---------------------------------------------------------------------------------


def test_a_rectangular_shutter_shows_its_edges():
    shutter = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": "3",
        "ShutterRightVerticalEdge": "5",
        "ShutterUpperHorizontalEdge": "2",
        "ShutterLowerHorizontalEdge": "9",
        "ShutterPresentationValue": 0x8080,
    }

    picture = shown(square(10, 255), shutter)

    assert (picture[1:9, 2:5] == 255).all()
    assert (picture == 128).sum() == 100 - 24


def test_a_circular_shutter_is_round_where_pixels_are_not_square():
    shutter = {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": [21, 41],
        "RadiusOfCircularShutter": "20",
    }
    picture = shown(np.full((41, 81), 255, np.uint8), shutter, image={"PixelAspectRatio": [2, 1]})

    rows, columns = np.nonzero(picture)
    assert (columns.min(), columns.max()) == (20, 60)
    assert (rows.min(), rows.max()) == (10, 30)


def test_polygons_and_several_shutters():
    polygon = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 1, 40, 40, 1]}
    both = polygon | {"ShutterShape": ["POLYGONAL", "RECTANGULAR"], "ShutterLeftVerticalEdge": "9"}

    triangle = shown(square(40, 255), polygon) > 0
    assert triangle[0].all() and triangle[:, 0].all() and not triangle[30:, 30:].any()
    assert np.array_equal(shown(square(40, 255), both) > 0, triangle & (np.arange(40) >= 8))


def test_a_bitmap_shutter_is_an_overlay_that_covers():
    bits = np.eye(40)
    state = {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6002}
    state["ShutterPresentationColorCIELabValue"] = BLUE

    def edit(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, bits, 0x6002)

    picture = shown(square(40, 255), state, edit=edit)
    assert picture[0, 0].tolist() == pytest.approx([0, 0, 255], abs=8)
    assert picture[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"ShutterShape": "ROUND"},
        {"ShutterShape": "CIRCULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [1, 1]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 2, 2]},
        {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x7000},
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": "9",
         "ShutterRightVerticalEdge": "3"},
    ],
)  # fmt: skip
def test_a_shutter_that_makes_no_sense_covers_nothing(nonsense):
    assert (shown(square(40, 255), nonsense) == 255).all()


# --- geometry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rotation", "flip", "expected"),
    [
        (0, "N", [[1, 2, 3], [4, 5, 6]]),
        (90, "N", [[4, 1], [5, 2], [6, 3]]),
        (180, "N", [[6, 5, 4], [3, 2, 1]]),
        (270, "N", [[3, 6], [2, 5], [1, 4]]),
        (0, "Y", [[3, 2, 1], [6, 5, 4]]),
        (90, "Y", [[1, 4], [2, 5], [3, 6]]),
        (45, "N", [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_an_image_is_turned_clockwise_then_mirrored(rotation, flip, expected):
    array = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)

    assert levels(array, {"ImageRotation": rotation, "ImageHorizontalFlip": flip}) == expected


def test_the_displayed_area_may_reach_beyond_the_image():
    array = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)

    def displayed(*corners: int) -> Any:
        return levels(array, {"DisplayedAreaSelectionSequence": [area(*corners)]})

    assert displayed(2, 1, 3, 2) == [[2, 3], [5, 6]]
    assert displayed(3, 2, 2, 1) == [[2, 3], [5, 6]]  # as after a rotation of 180 degrees
    assert displayed(0, 2, 2, 3) == [[0, 4, 5], [0, 0, 0]]
    assert displayed(9, 9, 12, 12) == array.tolist()
    assert displayed(-(2**31), 1, 2**31 - 1, 2) == array.tolist()


@pytest.mark.parametrize(
    ("mode", "more", "box", "size"),
    [
        ("SCALE TO FIT", {}, None, (20, 10)),
        ("SCALE TO FIT", {}, (100, 100), (100, 50)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [2, 1]}, None, (20, 20)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [1, 2]}, None, (40, 10)),
        ("SCALE TO FIT", {"PresentationPixelSpacing": [0.2, 0.1]}, (50, 100), (50, 50)),
        ("TRUE SIZE", {"PresentationPixelSpacing": [0.1, 0.1]}, (100, 100), (100, 50)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3.0}, None, (60, 30)),
        ("MAGNIFY", {"PresentationPixelMagnificationRatio": 3.0}, (50, 50), (50, 30)),
        ("MAGNIFY", {}, (100, 100), (100, 50)),
        ("SCALE TO FIT", {"PresentationPixelAspectRatio": [0, 0]}, None, (20, 10)),
    ],
)
def test_presentation_size_modes(mode, more, box, size):
    state = {"DisplayedAreaSelectionSequence": [area(1, 1, 20, 10, mode, **more)]}

    assert shown(np.zeros((10, 20), np.uint8), state, box=box).shape == size[::-1]


def test_magnified_images_are_cut_about_their_middle():
    array = square(20)
    array[8:12, 8:12] = 255
    mode = {"PresentationPixelMagnificationRatio": 10.0}
    state = {"DisplayedAreaSelectionSequence": [area(1, 1, 20, 20, "MAGNIFY", **mode)]}

    picture = shown(array, state, box=(40, 40))

    assert picture.shape == (40, 40)
    assert (picture[5:-5, 5:-5] == 255).all()


def test_a_forged_size_makes_no_forged_picture():
    mode = {"PresentationPixelMagnificationRatio": 1000.0}
    state = {"DisplayedAreaSelectionSequence": [area(-900, -900, 900, 900, "MAGNIFY", **mode)]}

    assert max(shown(square(20), state).shape) == 8192
    assert max(shown(square(20), state, box=(300, 200)).shape) == 300
    assert max(shown(square(20), state, longest=64).shape) == 64


# --- overlays ---------------------------------------------------------------------------------


def test_overlays_are_shown_if_the_state_says_so():
    bits = np.eye(40)
    layers = {"GraphicLayerSequence": [layer(GraphicLayerRecommendedDisplayGrayscaleValue=0xFFFF)]}

    def own(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, bits, layer="ONE")

    def of_image(attributes: Dataset, image: Dataset) -> None:
        overlay(image, bits)
        attributes.add_new(0x60001001, "CS", "ONE")

    def not_active(attributes: Dataset, image: Dataset) -> None:
        overlay(image, bits)
        overlay(attributes, bits, 0x6002)

    assert np.array_equal(shown(square(), layers, edit=own), bits * 255)
    assert np.array_equal(shown(square(), layers, edit=of_image), bits * 255)
    assert not shown(square(), layers, edit=not_active).any()
    assert not shown(square(), layers, edit=own, texts=False).any()  # THB-03


def test_overlays_lie_at_their_origin_and_turn_with_the_image():
    state = {"GraphicLayerSequence": [layer()], "ImageRotation": 90, "ImageHorizontalFlip": "N"}
    for origin, where in (([2, 3], np.s_[1:4, 2:5]), ([-1, 40], np.s_[0:1, 39:40])):

        def edit(attributes: Dataset, image: Dataset, origin: Any = origin) -> None:
            elements = {0x0050: ("SS", origin)}
            overlay(attributes, np.ones((3, 3)), layer="ONE", elements=elements)

        expected = square()
        expected[where] = 255
        assert np.array_equal(shown(square(), state, edit=edit), np.rot90(expected, -1))


def test_frames_of_an_overlay_belong_to_frames_of_the_image():
    bits = np.stack([np.full((40, 40), n == 1) for n in range(3)])

    def edit(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, bits, layer="ONE", elements={0x0051: ("US", 2)})

    assert [shown(square(), edit=edit, frame=n).any() for n in (1, 2, 3, 4, 5)] == [
        False, False, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "elements",
    [
        {0x0010: ("US", 0)},
        {0x0010: ("US", 65535)},
        {0x0050: ("SS", [300, 300])},
        {0x0050: ("SS", [-300, 1])},
        {0x0100: ("US", 16)},
        {0x0015: ("IS", 5), 0x0051: ("US", 3)},
    ],
)
def test_gry_11_an_overlay_that_makes_no_sense_is_left_out(elements):
    def edit(attributes: Dataset, image: Dataset) -> None:
        overlay(attributes, np.ones((40, 40)), layer="ONE", elements=elements)

    assert not shown(square(), edit=edit).any()


# --- graphics ---------------------------------------------------------------------------------


def drawn(*objects: Dataset, size: int = 200, **keywords: Any) -> np.ndarray[Any, Any]:
    state = {
        "GraphicLayerSequence": [layer()],
        "GraphicAnnotationSequence": [annotation(*objects)],
        **keywords,
    }
    return shown(square(size), state)


def middle(picture: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Centre of what is bright: x and y, the corner of the picture being (0, 0)."""
    places = np.arange(len(picture)) + 0.5
    weights = picture / picture.sum()
    return float(weights.sum(axis=0) @ places), float(weights.sum(axis=1) @ places)


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


def bright(picture: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(picture > 100)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


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


def test_references_are_in_order_and_those_without_uids_left_out():
    image = image_of(ROW)
    state = json_of(state_attributes(image))
    found = [Reference(image.SeriesInstanceUID, image.SOPInstanceUID)]
    assert references(state) == found

    state["00081115"]["Value"] += [{}, "x", {"0020000E": {"Value": ["1.2"]}, "00081140": 5}]
    assert references(state) == found
    assert references({}) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
    | st.sampled_from(["Y", "DISPLAY", "PIXEL", "POLYLINE", "CIRCLE", "ELLIPSE", "INTERPOLATED"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=8,
)  # fmt: skip
TAGS = [
    *("00181600", "00181602", "00181610", "00181612", "00181620", "00181622", "00181623"),
    *("00281052", "00281053", "00283000", "00283002", "00283006", "00283110", "00286100"),
    *("00286101", "00286110", "00286114", "00286120", "00281101", "00281201", "20500010"),
    *("20500020", "60000010", "60000011", "60000015", "60000050", "60001001", "60003000"),
    *("00700001", "00700002", "00700003", "00700005", "00700006", "00700008", "00700009"),
    *("00700010", "00700011", "00700014", "00700015", "00700022", "00700023", "00700024"),
    *("00700041", "00700042", "00700052", "00700053", "0070005A", "00700060", "00700066"),
    *("00700100", "00700101", "00700102", "00700103", "00700232", "00700233", "00700253"),
    *("00700401", "00700251", "00700284", "00081140", "00081155", "00081160"),
]


def datasets(depth: int) -> st.SearchStrategy[Any]:
    inner = VALUES if depth == 0 else VALUES | st.lists(datasets(depth - 1), max_size=2)
    binary = st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())
    element = st.one_of(
        inner.map(lambda value: {"vr": "??", "Value": value}),
        binary.map(lambda raw: {"vr": "OW", "InlineBinary": raw}),
    )
    return st.dictionaries(st.sampled_from(TAGS), element, max_size=8)


@settings(max_examples=60, deadline=None)
@given(datasets(2))
def test_no_state_makes_showing_an_image_fail(state):
    array = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = json_of(image_of(array))
    pixel = image_pixel(image)
    wanted = RenderOptions(None, Viewport(20, 20))
    mask_rule(state)
    references(state)

    picture = present(Decoded(array, "MONOCHROME2"), pixel, image, 1, state, wanted)

    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) <= 20
