"""Images shown through presentation states, step by step (PS3.4 N.2, digest 3.3.1 and RND-02)."""

import base64
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dicomweb_server.dicom.description import JsonDataset
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
from tests.dicom.shown import BLUE, image_of, json_of, levels, shown, square
from tests.make.files import ABSENT
from tests.make.states import (
    annotation,
    graphic,
    item,
    layer,
    overlay,
    reference,
    state_attributes,
    text,
)

ROW = np.array([[0, 100, 200, 255]], np.uint8)
WINDOW = {"SoftcopyVOILUTSequence": [item(WindowCenter="150.5", WindowWidth="101")]}


def lut(first: int, bits: int, entries: list[int]) -> Dataset:
    return item(
        LUTDescriptor=[len(entries), first, bits], LUTData=np.array(entries, "<u2").tobytes()
    )


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


def test_frames_are_averaged_before_the_mask_is_subtracted():
    first, second = np.array([[100, 0]], np.uint8), np.array([[0, 0]], np.uint8)

    assert levels(first, masks=[second], averaged=[second, second]) == [[144, 128]]


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
    averaged = rule(MaskOperation="AVG_SUB", MaskFrameNumbers=[2], ContrastFrameAveraging=3)
    assert averaged.averaged_with(9) == (10, 11)
    assert rule(MaskOperation="NONE", ContrastFrameAveraging=3).averaged_with(9) == ()
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


# --- what makes no sense ----------------------------------------------------------------------


def test_references_are_in_order_and_those_without_uids_left_out():
    image = image_of(ROW)
    state = json_of(state_attributes(image))
    found = [Reference(image.SeriesInstanceUID, image.SOPInstanceUID)]
    assert references(state) == found

    state["00081115"]["Value"] += [{}, "x", {"0020000E": {"Value": ["1.2"]}, "00081140": 5}]
    assert references(state) == found
    assert references({}) == []


WORDS = [
    *("Y", "DISPLAY", "PIXEL", "POINT", "POLYLINE", "CIRCLE", "ELLIPSE", "INTERPOLATED"),
    *("RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP", "MAGNIFY", "INVERSE", "DASHED"),
    *("AVG_SUB", "TID", PSEUDO_COLOR),
]
NUMBERS = st.floats() | st.integers() | st.integers(-9, 20) | st.sampled_from([0x6000, 1e300])
VALUES = (
    st.lists(NUMBERS, max_size=8)
    | st.lists(st.sampled_from(WORDS), max_size=3)
    | st.recursive(
        st.none() | st.booleans() | NUMBERS | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=6),
        max_leaves=8,
    )
)
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


def whole_state() -> JsonDataset:
    """A state that has something of everything."""
    image = image_of(square(8))
    corners = [1.0, 1.0, 6.0, 1.0, 6.0, 6.0, 1.0, 1.0]
    objects = [
        graphic("POLYLINE", *corners, GraphicFilled="Y"),
        graphic("CIRCLE", 4, 4, 6, 4),
        graphic("ELLIPSE", 1, 4, 7, 4, 4, 2, 4, 6),
        graphic("INTERPOLATED", *corners),
        graphic("POINT", 4, 4, LineStyleSequence=[item(LineDashingStyle="DASHED")]),
        text("WORDS", (1, 1, 7, 7), anchor=(2, 2)),
    ]
    attributes = state_attributes(
        image,
        ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL", "BITMAP"],
        ShutterLeftVerticalEdge="2",
        CenterOfCircularShutter=[4, 4],
        RadiusOfCircularShutter="3",
        VerticesOfThePolygonalShutter=[1, 1, 1, 8, 8, 8],
        ShutterOverlayGroup=0x6002,
        MaskSubtractionSequence=[item(MaskOperation="AVG_SUB", MaskFrameNumbers=[1])],
        ModalityLUTSequence=[lut(0, 8, [0, 9, 99, 200])],
        GraphicLayerSequence=[layer(), layer("TWO")],
        GraphicAnnotationSequence=[annotation(*objects)],
        ImageRotation=90,
        ImageHorizontalFlip="Y",
        **WINDOW,
    )
    overlay(attributes, np.eye(8), layer="TWO")
    overlay(attributes, np.eye(8), 0x6002)
    return json_of(attributes)


WHOLE = whole_state()


def places(dataset: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all attributes, those within sequences too."""
    found = []
    for tag, attribute in dataset.items():
        found.append((*path, tag))
        if attribute["vr"] == "SQ":
            for n, inner in enumerate(attribute["Value"]):
                found += places(inner, (*path, tag, n))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places(WHOLE)), VALUES), max_size=3), st.booleans())
def test_no_value_of_a_state_makes_showing_an_image_fail(changes, masked):
    state = orjson.loads(orjson.dumps(WHOLE))
    for (*steps, tag), value in changes:
        holder = state
        for sequence, number in zip(steps[::2], steps[1::2], strict=True):
            inner = holder.get(sequence, {}).get("Value")
            holder = inner[number] if isinstance(inner, list) and number < len(inner) else {}
            holder = holder if isinstance(holder, dict) else {}
        holder[tag] = {"vr": "??", "Value": value}
    array = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = json_of(image_of(array))
    wanted = RenderOptions(None, Viewport(20, 20))
    mask_rule(state).frames_of(1)
    references(state)

    picture = present(
        Decoded(array, "MONOCHROME2"), image_pixel(image), image, 1, state, wanted,
        [array] if masked else [],
    )  # fmt: skip

    assert picture.dtype == np.uint8
    assert max(picture.shape[:2]) <= 20


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
