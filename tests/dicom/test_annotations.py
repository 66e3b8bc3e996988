"""Text burned into rendered pictures (PS3.18 §8.3.5.1.1, digest 3.3.5)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb_server.dicom.annotations import annotated, patient_lines, technique_lines
from dicomweb_server.dicom.viewing import Window

PATIENT = {
    "00100010": {"Value": [{"Alphabetic": "Rossi^Anna Maria^^Dr.^"}]},
    "00100020": {"Value": ["A 17"]},
    "00100030": {"Value": ["19590307"]},
    "00100040": {"Value": ["F"]},
}
TECHNIQUE = {
    "00080060": {"Value": ["CT"]},
    "00180015": {"Value": ["CHEST"]},
    "00080020": {"Value": ["20260102"]},
    "00080030": {"Value": ["093012.5"]},
    "00200011": {"Value": [3]},
    "00200013": {"Value": [42]},
    "00180060": {"Value": [120]},
    "00180050": {"Value": [1.25]},
    "00201041": {"Value": [-12.5]},
    "00281050": {"Value": [40]},
    "00281051": {"Value": [400]},
}
BOTH = ("patient", "technique")


def drawn(shape, dataset=PATIENT | TECHNIQUE, keywords=BOTH, level=128):
    return annotated(np.full(shape, level, np.uint8), keywords, dataset, 1, 1, None)


def test_the_lines_of_a_patient():
    assert list(patient_lines(PATIENT)) == ["Rossi, Dr. Anna Maria", "ID A 17", "* 1959-03-07  F"]
    assert list(patient_lines({})) == []


def test_names_in_other_letters_stand_beside_those_in_latin():
    names = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    dataset = {"00100010": {"Value": [names]}}
    assert list(patient_lines(dataset)) == ["Yamada, Tarou", "山田, 太郎"]


def test_the_lines_of_a_technique():
    lines = list(technique_lines(TECHNIQUE, 2, 9, None))
    assert lines == [
        "CT  CHEST",
        "2026-01-02  09:30",
        "Se 3  Im 42  Fr 2/9",
        "T 1.25 mm  L -12.5 mm",
        "120 kV",
        "C 40  W 400",
    ]
    assert list(technique_lines({}, 1, 1, None)) == []
    assert list(technique_lines(TECHNIQUE, 1, 1, Window(1, 2)))[-1] == "C 1  W 2"


@pytest.mark.parametrize("shape", [(512, 512), (512, 512, 3), (300, 1000)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_text_is_white_with_a_black_outline_in_the_corners(shape, level):
    picture = drawn(shape, level=level)
    assert picture.shape == shape
    changed = picture != level
    rows, columns = shape[:2]
    for corner in (changed[: rows // 3], changed[-(rows // 2) :]):
        assert corner[:, : columns // 2].any()
    assert not changed[:, -(columns // 4) :].any()
    assert picture.max() > 240
    assert picture.min() < 16


def test_each_keyword_has_its_own_place():
    patient, technique = (drawn((400, 400), keywords=(each,)) for each in BOTH)
    assert not (patient[200:] != 128).any()
    assert not (technique[:200] != 128).any()
    np.testing.assert_array_equal(drawn((400, 400), {}), np.full((400, 400), 128))


def test_letters_grow_with_the_picture():
    heights = []
    for size in (512, 1024, 2048):
        marked = np.flatnonzero((drawn((size, size), keywords=("patient",)) != 128).any(axis=1))
        heights.append(int(np.ptp(marked)))
    assert heights == sorted(set(heights))
    assert heights[2] > 2.5 * heights[0]


@pytest.mark.parametrize(
    "name", ["Жуков^Пётр", "Müller^Jürgen", "山田^太郎", "สมชาย", "\U0001f600"]
)
def test_names_of_any_letters_are_seen(name):
    dataset = {"00100010": {"Value": [{"Alphabetic": name}]}}
    assert (drawn((200, 200), dataset) != 128).any()


@settings(deadline=None)  # the first call loads codecs and fonts
@given(
    st.integers(1, 120),
    st.integers(1, 120),
    st.text(max_size=200),
    st.dictionaries(
        st.sampled_from([*PATIENT, *TECHNIQUE]),
        st.builds(lambda value: {"Value": [value]}, st.text() | st.floats() | st.none()),
    ),
)
def test_any_text_fits_any_picture(rows, columns, name, more):
    dataset = {"00100010": {"Value": [{"Alphabetic": name}]}, **more}
    assert drawn((rows, columns), dataset).shape == (rows, columns)
