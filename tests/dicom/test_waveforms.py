"""Waveforms: the values of their samples, and the pictures that are drawn of them."""

from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicomweb_server.dicom.description import BULK_BASE
from dicomweb_server.dicom.drawing import Drawing, Line, Paper, Words, to_pixels, to_svg
from dicomweb_server.dicom.part10 import describe
from dicomweb_server.dicom.waveform_page import waveform_drawing
from dicomweb_server.dicom.waveforms import (
    MAX_CHANNELS,
    annotations_of,
    groups_of,
    physical,
    samples_of,
    trace,
)
from tests.make.reports import code, item
from tests.make.waveforms import LEADS, beats, channel, group, lead, waveform

ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
PRESSURE = "1.2.840.10008.5.1.4.1.1.9.2.1"
EVIL = "<script>alert(1)</script>\"'"


def opened(file: bytes) -> tuple[Any, list[tuple[Any, bytes]]]:
    """The stored DICOM JSON of a file, and its groups with their data."""
    dataset = pydicom.dcmread(BytesIO(file))
    attributes = orjson.loads(describe(file).metadata.replace(BULK_BASE, b""))
    data = [one.WaveformData for one in dataset.WaveformSequence]
    return attributes, [(one, data[one.item - 1]) for one in groups_of(attributes)]


def twelve(seconds: float = 10, **more: Any) -> Any:
    return group([lead(name) for name in LEADS], beats(seconds), **more)


def drawing_of(file: bytes, sop_class_uid: str = ECG) -> Drawing:
    attributes, groups = opened(file)
    return waveform_drawing(sop_class_uid, groups, annotations_of(attributes))


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Words)]


def traces(drawing: Drawing, least: int = 50) -> list[Any]:
    found = [shape.points for shape in drawing.shapes if isinstance(shape, Line)]
    return [points for points in found if len(points) >= least]


def shipped() -> bytes:
    path = get_testdata_file("waveform_ecg.dcm")
    assert isinstance(path, str)
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int8", "uint8", "int32"])
def test_values_are_those_that_pydicom_reads(dtype: str) -> None:
    """Sensitivity, correction factor, baseline (PS3.3 §C.10.9.1.4)."""
    samples = np.arange(60, dtype=dtype).reshape(20, 3)
    channels = [
        channel("a"),
        channel("b", ChannelSensitivityCorrectionFactor="0.5", ChannelBaseline="-7"),
        channel("c", ChannelSensitivity=None, ChannelSensitivityUnitsSequence=None),
    ]
    file = waveform(group(channels, samples))
    expected = pydicom.dcmread(BytesIO(file)).waveform_array(0)
    _, [(found, data)] = opened(file)
    stored = samples_of(found, data)
    for place, one in enumerate(found.channels):
        np.testing.assert_allclose(physical(found, one, stored[:, place]), expected[:, place])
    assert [one.unit for one in found.channels] == ["µV", "µV", ""]


def test_values_of_a_recorded_electrocardiogram() -> None:
    file = shipped()
    dataset = pydicom.dcmread(BytesIO(file))
    _, groups = opened(file)
    for number, (found, data) in enumerate(groups):
        expected = dataset.waveform_array(number)
        stored = samples_of(found, data)
        for one in found.channels:
            values = physical(found, one, stored[:, one.place])
            np.testing.assert_allclose(values, expected[:, one.place])
    assert [one.lead for one in groups[0][0].channels] == list(LEADS)


@pytest.mark.parametrize(
    ("interpretation", "stored", "expected"),
    [
        ("MB", [0xFF, 0x80, 0x00, 0x7F], [0, 32124, -32124, 0]),
        ("AB", [0xD5, 0xAA, 0x2A, 0x55], [8, 32256, -32256, -8]),
    ],
)
def test_samples_of_telephony(interpretation: str, stored: list[int], expected: list[int]) -> None:
    """MB and AB are the laws of ITU-T G.711."""
    sound = channel("voice", ChannelSensitivity="1")
    made = group(
        [sound], np.array([stored], np.uint8).T, WaveformSampleInterpretation=interpretation
    )
    _, [(found, data)] = opened(waveform(made))
    values = physical(found, found.channels[0], samples_of(found, data)[:, 0])
    assert values.tolist() == expected


@given(
    spikes=st.sets(st.integers(0, 19_999), min_size=1, max_size=5),
    columns=st.integers(3, 400),
    first=st.integers(0, 5000),
)
def test_no_spike_is_lost_in_a_long_recording(spikes: set[int], columns: int, first: int) -> None:
    samples = np.zeros((20_000, 1), np.int16)
    for place in spikes:
        samples[place] = 1000 + place % 7
    _, [(found, data)] = opened(waveform(group([channel("a")], samples)))
    stored = samples_of(found, data)
    places, values = trace(found, found.channels[0], stored, first, 20_000, columns)
    assert values.max() == samples[first:].max() * 2.5
    assert values.min() == samples[first:].min() * 2.5
    assert len(values) <= 4 * columns
    assert (np.diff(places) >= 0).all()


def test_where_there_is_padding_there_is_no_line() -> None:
    samples = np.ones((100, 1), np.int16)
    samples[40:60] = -32768
    made = group([channel("a")], samples, WaveformPaddingValue=b"\0\x80")
    _, [(found, data)] = opened(waveform(made))
    _, values = trace(found, found.channels[0], samples_of(found, data), 0, 100, 100)
    assert np.isnan(values[40:60]).all()
    assert (values[:40] == 2.5).all()
    path = to_svg(Drawing(9, 9, "", [Line(np.column_stack([values, values]), 1, "#000000")]))
    assert path.count("M2.50 2.50") == 2


def test_twelve_leads_stand_as_they_are_printed() -> None:
    drawing = drawing_of(waveform(twelve()))
    [paper] = [shape for shape in drawing.shapes if isinstance(shape, Paper)]
    assert paper.width == 260  # ten seconds at 25 mm/s, and the pulse
    shown = words(drawing)
    assert shown[0] == "RHYTHM, 25 mm/s, 10 mm/mV, 500 samples/s"
    assert shown[1:14] == [
        *("I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II")
    ]
    *cells, rhythm = traces(drawing)
    assert len(cells) == 12
    for number, points in enumerate(cells):  # 2.5 s each, one after the other
        x = 18 + (number % 4) * 62.5
        assert points[0, 0] == pytest.approx(x, abs=0.06)
        assert points[-1, 0] == pytest.approx(x + 62.5, abs=0.06)
        height = np.ptp(points[:, 1])
        name = shown[1 + number]
        assert height == pytest.approx((list(LEADS).index(name) + 1) * 0.1 * 10, abs=0.01)  # mm
    assert np.ptp(rhythm[:, 0]) == pytest.approx(250, abs=0.1)


def test_the_pulse_is_a_millivolt_for_a_fifth_of_a_second() -> None:
    drawing = drawing_of(waveform(twelve()))
    pulses = [points for points in traces(drawing, 6) if len(points) == 6]
    assert len(pulses) == 4
    for pulse in pulses:
        assert np.ptp(pulse[:, 1]) == 10
        assert pulse[3, 0] - pulse[2, 0] == 5


def test_a_large_signal_is_drawn_smaller_and_says_so() -> None:
    samples = beats() * 4
    drawing = drawing_of(waveform(group([lead(name) for name in LEADS], samples)))
    assert "5 mm/mV" in words(drawing)[0]
    tallest = max(np.ptp(points[:, 1]) for points in traces(drawing))
    assert tallest == pytest.approx(12 * 0.4 * 5, abs=0.01)


def test_a_long_recording_is_shown_whole() -> None:
    shown = words(drawing_of(waveform(twelve(seconds=90))))
    assert "first 10 s of 1:30" in shown[0]
    assert shown.count("V6") == 2
    assert any("2.78 mm/s" in text for text in shown)
    assert "1:20" in shown  # of the axis


def test_a_beat_alone() -> None:
    drawing = drawing_of(waveform(twelve(seconds=1.2)))
    assert len(traces(drawing)) == 12  # no lead throughout
    assert all(np.ptp(points[:, 0]) == pytest.approx(30, abs=0.1) for points in traces(drawing))


def test_other_signals_are_strips_with_their_unit() -> None:
    samples = np.array([[80, 0], [120, 10]] * 500, np.int16)
    channels = [
        channel("ART", unit="mm[Hg]", ChannelSensitivity="1"),
        channel("raw", ChannelSensitivity=None, ChannelSensitivityUnitsSequence=None),
    ]
    file = waveform(group(channels, samples, frequency=10), SOPClassUID=PRESSURE)
    drawing = drawing_of(file, PRESSURE)
    shown = words(drawing)
    for text in ("ART", "mmHg", "raw", "stored values", "122", "78", "0 s", "1:40"):
        assert text in shown, text
    assert not any(isinstance(shape, Paper) for shape in drawing.shapes)


def test_an_electrocardiogram_without_sensitivity_claims_no_millivolts() -> None:
    plain = {"ChannelSensitivity": None, "ChannelSensitivityUnitsSequence": None}
    drawing = drawing_of(waveform(group([lead(name, **plain) for name in LEADS], beats())))
    assert not any("mV" in text for text in words(drawing))
    assert "stored values" in words(drawing)


def test_skew_moves_a_channel() -> None:
    channels = [lead("I"), lead("II", ChannelTimeSkew="0.2", ChannelOffset="0.2")]
    drawing = drawing_of(waveform(group(channels, beats()[:, :2])))
    first, second = traces(drawing)
    assert second[0, 0] - first[0, 0] == pytest.approx(10, abs=0.1)  # 0.4 s


def test_measurements_are_listed() -> None:
    rate = item(
        None,
        "Heart rate",
        NumericValue="69",
        MeasurementUnitsCodeSequence=[code("", "/min", "UCUM")],
    )
    text = item(None, UnformattedTextValue="Sinus rhythm")
    onset = item(
        None, "P onset", ReferencedWaveformChannels=[1, 0], ReferencedSamplePositions=[501]
    )
    shown = words(drawing_of(waveform(twelve(), WaveformAnnotationSequence=[rate, text, onset])))
    assert "Sinus rhythm" in shown
    assert shown[shown.index("Heart rate") + 1] == "69 /min"
    assert "P onset at 1.000 s" in shown


def test_an_svg_holds_nothing_but_shapes_and_words() -> None:
    channels = [channel(EVIL, unit=EVIL)]
    made = group(channels, np.ones((99, 1), np.int16), MultiplexGroupLabel=EVIL[:16])
    text = item(None, EVIL, UnformattedTextValue=EVIL)
    svg = to_svg(drawing_of(waveform(made, WaveformAnnotationSequence=[text])))
    document = fromstring(svg)
    found = {
        element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in document.iter()
    }
    assert found <= {"svg", "title", "defs", "pattern", "path", "rect", "g", "text"}
    assert not any(
        name.startswith("on") or "href" in name or name == "style"
        for element in document.iter()
        for name in element.attrib
    )


def test_labels_of_any_length_and_letters_are_drawn() -> None:
    """What XML cannot hold is left out (XML 1.0 §2.2); what nobody reads is cut off."""
    sound = {"003A0005": {"Value": [1]}, "003A0010": {"Value": [2]}, "003A001A": {"Value": [1]}}
    for label in ("a\uffff\ufffe\ud800\x0b", "x" * 1_100_000):
        sensitivity = {"003A0210": {"Value": [1]}, "003A0211": _codes(label)}
        one = {"003A0203": {"Value": [label]}, **sensitivity}
        found = {**sound, "003A0020": {"Value": [label]}, "003A0200": {"Value": [one]}}
        dataset = {"54000100": {"Value": [found]}}
        drawing = waveform_drawing(ECG, [(one, bytes(4)) for one in groups_of(dataset)], [])
        fromstring(to_svg(drawing).encode(errors="replace"))
        assert max(map(len, words(drawing))) < 300
        assert to_pixels(drawing, 1).shape[2] == 3


def _codes(value: str) -> Any:
    return {"Value": [{"00080100": {"Value": [value]}}]}


def test_pixels_are_where_the_shapes_are() -> None:
    drawing = drawing_of(waveform(twelve()))
    pixels = to_pixels(drawing, 4)
    assert pixels.shape == (round(drawing.height * 4), 1120, 3)
    for points in traces(drawing)[:12]:
        x, y = points[np.argmin(points[:, 1])] * 4
        around = pixels[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        assert around.min() < 100
    assert (pixels[0, 0] == 255).all()


def test_a_picture_has_a_bound() -> None:
    pixels = to_pixels(Drawing(280, 5000, "", []), 100)
    assert pixels.size <= 3 * 24_000_000


def test_more_channels_than_anybody_looks_at() -> None:
    channels = [channel(f"c{number}") for number in range(MAX_CHANNELS + 72)]
    samples = np.zeros((600, len(channels)), np.int16)
    drawing = drawing_of(waveform(group(channels, samples), SOPClassUID=PRESSURE), PRESSURE)
    assert "72 more channels are not drawn" in words(drawing)[0]


NUMBER = st.sampled_from([None, -1, 0, 1, 2, 300, 1e308, 1e-310, "x", "1e400", 2**70, [], {}])
TAGS = (
    "003A0005 003A0010 003A001A 003A0200 003A0202 003A0203 003A0208 003A0210 003A0211 003A0212 "
    "003A0213 003A0214 003A0215 003A0218 003A0220 00181068 54001004 54001006 5400100A 54001010 "
    "0040A0B0 0040A132 0040A138 0040A13A 00700006 0040A043 0040A30A"
)
ITEMS = st.dictionaries(
    st.sampled_from(TAGS.split()),
    st.lists(NUMBER, max_size=2).map(lambda v: {"Value": v}),
    max_size=12,
)


@given(
    group=ITEMS,
    channels=st.lists(ITEMS, max_size=3),
    found=ITEMS,
    data=st.binary(max_size=64),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 500, 1e-3])),
    kind=st.sampled_from(["SS", "UB", "MB", "AB", "SL", "UV", "", "ZZ"]),
)
def test_whatever_a_waveform_says_it_is_drawn(
    group: Any, channels: Any, found: Any, data: bytes, sizes: Any, kind: str
) -> None:
    plain = dict(zip(("003A0005", "003A0010", "003A001A", "54001006"), (*sizes, kind), strict=True))
    sound = {tag: {"Value": [value]} for tag, value in plain.items()}
    dataset = {
        "54000100": {"Value": [{**sound, **group, "003A0200": {"Value": channels}}, sound]},
        "0040B020": {"Value": [found]},
    }
    groups = [(one, data) for one in groups_of(dataset)]
    fromstring(to_svg(waveform_drawing(ECG, groups, annotations_of(dataset))))
