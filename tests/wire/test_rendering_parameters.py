"""The query of rendered resources and thumbnails (PS3.18 §8.3.5)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.viewing import Viewport, Window
from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.rendering import (
    RenderedQuery,
    parse_quality,
    parse_rendered_query,
    parse_thumbnail_query,
    parse_viewport,
    parse_window,
)


def test_a_query_without_parameters_asks_for_nothing():
    assert parse_rendered_query([]) == RenderedQuery(None, None, None, ())


def test_parameters_of_other_transactions_and_unknown_ones_are_ignored():
    params = [("accept", "image/png"), ("charset", "utf-8"), ("Window", "1"), ("x", "")]

    assert parse_rendered_query(params) == RenderedQuery()
    assert parse_thumbnail_query([*params, ("window", "?"), ("quality", "0")]) is None


def test_all_parameters_at_once():
    params = [("quality", "75"), ("window", "40,400,linear"), ("viewport", "512,256")]

    asked = parse_rendered_query(params)

    assert asked == RenderedQuery(Window(40, 400, "linear"), Viewport(512, 256), 75)


@pytest.mark.parametrize("name", ["quality", "window", "viewport", "annotation", "iccprofile"])
def test_a_parameter_is_given_once(name):
    value = {"quality": "5", "window": "1,2,linear", "viewport": "1,1", "iccprofile": "no"}
    param = (name, value.get(name, "patient"))

    parse_rendered_query([param])
    with pytest.raises(InvalidParameter):
        parse_rendered_query([param, param])


@pytest.mark.parametrize("text", ["1", "50", "100", "007"])
def test_quality_is_from_1_to_100(text):
    assert parse_quality(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "0", "101", "-1", "1.0", "1e1", "high", " 5", "+5", "٣", "1000000000", "5\n"]
)
def test_other_qualities_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse_rendered_query([("quality", text)])


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", Window(40, 400, "linear")),
        ("-600,1500,linear", Window(-600, 1500, "linear")),
        ("0.5,1,linear-exact", Window(0.5, 1, "linear-exact")),
        ("1e2,1.5E-3,sigmoid", Window(100, 0.0015, "sigmoid")),
        ("+3,1,linear", Window(3, 1, "linear")),
        ("0,0.1,linear-exact", Window(0, 0.1, "linear-exact")),
    ],
)
def test_windows(text, window):
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    [
        "",
        "40",
        "40,400",
        "40,400,",
        ",400,linear",
        "40,,linear",
        "40,400,linear,",
        "40,400,LINEAR",
        "40,400,linear_exact",
        "40,0.9,linear",
        "40,0,linear-exact",
        "40,0,sigmoid",
        "40,-400,sigmoid",
        "nan,400,linear",
        "40,inf,linear",
        "1e999,400,linear",
        "40,1e999,linear",
        "40 ,400,linear",
        ".5,400,linear",
        "5.,400,linear",
        "٣,400,linear",
        "40,400,linear\n",
        "40,0x10,linear",
        "40,1_000,linear",
        "12345678901234567,400,linear",
    ],
)
def test_other_windows_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse_rendered_query([("window", text)])


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("512,256", Viewport(512, 256)),
        ("10000,1", Viewport(10000, 1)),
        ("512,512,,,512,512", Viewport(512, 512, 0, 0, 512, 512)),
        ("512,512,10,20", Viewport(512, 512, 10, 20)),
        ("512,512,10", Viewport(512, 512, 10)),
        ("512,512,,20,,40.5", Viewport(512, 512, 0, 20, None, 40.5)),
        ("512,512,-10,-20.5,30,40", Viewport(512, 512, 10, 20.5, 30, 40)),
        ("8,8,0,0,-30,40", Viewport(8, 8, 0, 0, 30, 40, flip_horizontally=True)),
        ("8,8,,,,-40", Viewport(8, 8, 0, 0, None, 40, flip_vertically=True)),
        ("8,8,1e1,0,-1,-1", Viewport(8, 8, 10, 0, 1, 1, True, True)),
    ],
)
def test_viewports(text, viewport):
    assert parse_viewport(text) == viewport


@pytest.mark.parametrize(
    "text",
    [
        "",
        "512",
        "512,",
        ",512",
        ",,1,1",
        "512,512,",
        "512,512,,",
        "512,512,,,,",
        "512,512,1,1,1,1,1",
        "0,512",
        "512,0",
        "-512,512",
        "512.0,512",
        "10001,10",
        "1000000000,1000000000",
        "512,512,a",
        "512,512,nan",
        "512,512,1e999",
        "512,512,0,0,0,10",
        "512,512,0,0,10,-0",
        "512, 512",
        "512;512",
        "٣,٣",
    ],
)
def test_other_viewports_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse_rendered_query([("viewport", text)])


def test_a_thumbnail_has_a_size_and_no_region():
    assert parse_thumbnail_query([("viewport", "64,32")]) == Viewport(64, 32)
    for text in ("64,32,0,0", "64", "64,32,", "0,1", ""):
        with pytest.raises(InvalidParameter):
            parse_thumbnail_query([("viewport", text)])


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("patient", ("patient",), ""),
        ("technique,patient", ("patient", "technique"), ""),
        ("patient,patient", ("patient",), ""),
        ("foo,patient,bar-1", ("patient",), "foo,bar-1"),
        ("Patient", (), "Patient"),  # keywords are case-sensitive
    ],
)
def test_annotations_that_are_not_known_give_a_warning(text, known, unknown):
    asked = parse_rendered_query([("annotation", text)])

    told = f"The following annotation values are not supported: {unknown}"
    assert asked.annotations == known
    assert asked.warnings == ((told,) if unknown else ())


@pytest.mark.parametrize(
    "text", ["", ",", "patient,", "a b", "é", "x" * 40, "a\r\nX: y", "1", "a," * 30]
)
def test_annotations_that_are_no_keywords_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse_rendered_query([("annotation", text)])


@pytest.mark.parametrize("text", ["no", "yes", "srgb", "adobergb", "rommrgb"])
def test_profiles_are_read(text):
    assert parse_rendered_query([("iccprofile", text)]).icc_profile == text


@pytest.mark.parametrize("text", ["", "NO", "sRGB", "cmyk", "no,yes"])
def test_other_profiles_are_refused(text):
    with pytest.raises(InvalidParameter):
        parse_rendered_query([("iccprofile", text)])


names = st.sampled_from(["quality", "window", "viewport", "annotation", "iccprofile", "other"])
texts = st.text(max_size=20) | st.text("0123456789,.-+eE", max_size=20)


@given(st.lists(st.tuples(names, texts), max_size=4))
def test_any_query_is_read_or_refused(params):
    for parse in (parse_rendered_query, parse_thumbnail_query):
        with contextlib.suppress(InvalidParameter):
            parse(params)
