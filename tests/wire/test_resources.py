"""Path segments and URLs (RES-01, RES-05, WADO-07, BLK-04, hostile input 17 and 51)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.errors import InvalidParameter
from dicomweb_server.wire.resources import (
    bulk_url,
    frame_url,
    instance_url,
    parse_bulk_path,
    parse_frame_list,
    parse_uid,
    series_url,
    study_url,
)

BASE = "http://h:8080/dicomweb"


@pytest.mark.parametrize("text", ["1", "1.2.840", "1.02.3", "0", "1..2", "1.2.", "9" * 64])
def test_res_05_uids_of_the_path(text: str) -> None:
    assert parse_uid("study", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "...", "9" * 65, "1.2/3", "1.2\\3", "../1", "%2e%2e", "1.2\0", "1.2\n",
        "1.a", " 1", "1 ", "١.٢", "¹", "-1",
    ],
)  # fmt: skip
def test_res_05_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_uid("study", text)


def test_res_01_frame_lists_keep_the_order_of_the_request() -> None:
    assert parse_frame_list("1") == (1,)
    assert parse_frame_list("3,1,12") == (3, 1, 12)
    assert len(parse_frame_list(",".join(map(str, range(1, 10_001))))) == 10_000


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1,", ",1", "1,,2", "1,1", "01", "1,01", "a", "1;2", "1 ,2", "1.5", "٣", "1\n",
     "9" * 100, ",".join(map(str, range(1, 10_002))), "1," * 1_000_000 + "1"],
)  # fmt: skip
def test_wado_07_frame_lists_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        parse_frame_list(text)

    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("7FE00010", "7FE00010"),
        ("7fe00010", "7FE00010"),
        ("00420011", "00420011"),
        ("54000100/1/54001010", "54000100/1/54001010"),
        ("00081199/12/00091001/1/00091002", "00081199/12/00091001/1/00091002"),
    ],
)
def test_blk_04_paths_of_bulk_data(text: str, path: str) -> None:
    assert parse_bulk_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", "7FE0001", "7FE000100", "7FE00010/", "54000100/1", "54000100/0/54001010", "../7FE00010",
     "54000100/01/54001010", "PixelData", "7FE00010\n", "7FE000\ufb00",
     "54000100" + "/1/54000100" * 500],
)  # fmt: skip
def test_blk_04_other_paths_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_bulk_path(text)


@given(st.text() | st.text(alphabet="0123456789.,/AF"))
def test_any_segment_is_read_or_refused(text: str) -> None:
    for parse in (lambda t: parse_uid("study", t), parse_frame_list, parse_bulk_path):
        with contextlib.suppress(InvalidParameter):
            parse(text)


def test_urls_nest() -> None:
    instance = instance_url(BASE, "1.2", "1.3", "1.4")

    assert study_url(BASE, "1.2") == "http://h:8080/dicomweb/studies/1.2"
    assert series_url(BASE, "1.2", "1.3") == study_url(BASE, "1.2") + "/series/1.3"
    assert instance == series_url(BASE, "1.2", "1.3") + "/instances/1.4"
    assert frame_url(BASE, "1.2", "1.3", "1.4", 7) == instance + "/frames/7"
    assert bulk_url(BASE, "1.2", "1.3", "1.4", "7FE00010") == instance + "/bulkdata/7FE00010"
