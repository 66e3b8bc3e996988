"""Waveforms as a picture: electrocardiograms on their paper, other signals as strips.

Twelve leads of ten seconds stand as they are printed: three rows of four leads, 2.5 s each, and
lead II throughout, at 25 mm/s and 10 mm/mV, each row with a pulse of 1 mV and 0.2 s before it.
Other channels are a strip each, with their unit and the time below. Whatever scale is used stands
beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor, isfinite, log10
from typing import Any

import numpy as np

from dicomweb_server.dicom.drawing import Drawing, Line, Paper, Words
from dicomweb_server.dicom.waveforms import Annotation, Channel, Group, extent, samples_of, trace

_INK, _DIM = "#111111", "#5a5a5a"
_WIDTH = 280.0  # mm of the page: ten seconds at 25 mm/s, the pulse, and margins
_LEFT, _PULSE = 8.0, 10.0
_TRACE = 250.0
_SPEED = 25.0  # mm/s
_ROW = 27.5  # mm of a row of an electrocardiogram
_LINE, _THIN = 0.3, 0.2
_MOST_LINES = 40  # of what was found in a waveform
_COLUMNS_A_MM, _COLUMNS_OF_STRIPS = 8, 4  # that a trace is reduced to

_ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
_TWELVE = frozenset(lead for row in _ROWS for lead in row)
_RHYTHM = ("II", "V1", "V5", "I")  # liked best first

_Samples = np.ndarray[Any, Any]


def is_electrocardiogram(sop_class_uid: str) -> bool:
    """Whether a SOP class is of electrocardiograms (PS3.4 §B.5: 12-lead, general, ambulatory)."""
    return sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.9.1.")


def waveform_drawing(
    sop_class_uid: str,
    groups: Sequence[tuple[Group, Any]],
    annotations: Sequence[Annotation],
    lines: Sequence[str] = (),
) -> Drawing:
    """All groups below each other, and what was found in them.

    `groups` come with the bytes of their Waveform Data. `lines`: what is written above all, such
    as whose recording it is.
    """
    page = _Page(list(lines))
    for group, data in groups:
        samples = samples_of(group, data)
        if not len(samples):
            page.note(f"{group.label or 'Group'}: no samples")
            continue
        page.group(group, samples, paper=is_electrocardiogram(sop_class_uid))
    page.annotations(annotations)
    return Drawing(_WIDTH, page.y + 6, "Waveform", page.shapes)


class _Page:
    def __init__(self, lines: list[str]) -> None:
        self.shapes: list[Line | Paper | Words] = []
        self.y = 4.0
        for line in filter(None, lines):
            self.y += 5
            self.shapes.append(Words(_LEFT, self.y, line, 3.6, bold=True))

    def note(self, text: str, size: float = 3.0) -> None:
        self.y += 5
        self.shapes.append(Words(_LEFT, self.y, text, size, _DIM))

    def group(self, group: Group, samples: _Samples, *, paper: bool) -> None:
        leads = {channel.lead: channel for channel in group.channels if channel.lead}
        volts = all(channel.millivolts is not None for channel in leads.values())
        twelve = volts and leads.keys() >= _TWELVE
        seconds = len(samples) / group.frequency
        if twelve:
            self._twelve(group, samples, leads)
            others = [one for one in group.channels if leads.get(one.lead) is not one]
            if seconds > _TRACE / _SPEED + 0.5:
                others = list(group.channels)  # what comes after the first ten seconds
            if others:
                self._strips(group, samples, others, paper=False)
            return
        self._strips(group, samples, list(group.channels), paper=paper and volts and bool(leads))

    # ------------------------------------------------------------- twelve leads

    def _twelve(self, group: Group, samples: _Samples, leads: Mapping[str, Channel]) -> None:
        """Three rows of four leads, each a quarter of the time; of a beat, all of it."""
        whole = len(samples) / group.frequency
        seconds = min(whole, _TRACE / _SPEED)
        beat = whole < 4
        cell = seconds if beat and seconds * 4 <= _TRACE / _SPEED else seconds / 4
        drawn = [leads[lead] for row in _ROWS for lead in row]
        gain = _gain(group, samples, drawn, seconds)
        rhythm = None if beat else next((leads[one] for one in _RHYTHM if one in leads), None)
        rows = 3 if rhythm is None else 4
        shown = f"first {seconds:g} s of {_duration(whole)}" if whole > seconds + 0.5 else ""
        self._heading(group, drawn, f"{_SPEED:g} mm/s, {gain:g} mm/mV", shown)
        width = ceil((_PULSE + 4 * cell * _SPEED) / 5) * 5.0
        first, last = [leads[lead] for lead in _ROWS[0]], [rhythm or leads["III"]]
        top = self._paper(group, samples, first, last, width, rows, gain)
        for place, row in enumerate(_ROWS):
            middle = top + (place + 0.5) * _ROW
            self._pulse(middle, gain)
            for column, lead in enumerate(row):
                x = _LEFT + _PULSE + column * cell * _SPEED
                start = 0.0 if beat and cell == seconds else column * cell
                self._lead(group, samples, leads[lead], x, middle, start, cell, gain)
                if column:
                    self._separator(x, middle)
        if rhythm is not None:
            middle = top + 3.5 * _ROW
            self._pulse(middle, gain)
            x = _LEFT + _PULSE
            self._lead(group, samples, rhythm, x, middle, 0.0, seconds, gain)

    def _paper(
        self,
        group: Group,
        samples: _Samples,
        first: Sequence[Channel],
        last: Sequence[Channel],
        width: float,
        rows: int,
        gain: float,
    ) -> float:
        """Paper for rows of traces, with room above the first and below the last for what leaves
        them. Returns where the first row begins."""
        seconds = _TRACE / _SPEED
        above, below = 0.0, 0.0
        for channels, factor in ((first, 1.0), (last, -1.0)):
            for channel in channels:
                reach = factor * (channel.millivolts or 1.0) * gain
                limits = _extent(group, samples, channel, seconds)
                room = max(value * reach for value in limits) - _ROW / 2
                above = max(above, room) if factor > 0 else above
                below = max(below, room) if factor < 0 else below
        above = min(ceil(max(above, 0.0) / 5) * 5.0, 2 * _ROW)
        height = ceil((above + rows * _ROW + min(max(below, 0.0), 2 * _ROW)) / 5) * 5.0
        self.shapes.append(Paper(_LEFT, self.y, width, height))
        top, self.y = self.y + above, self.y + height
        return top

    def _lead(
        self,
        group: Group,
        samples: _Samples,
        channel: Channel,
        x: float,
        middle: float,
        start: float,
        seconds: float,
        gain: float,
    ) -> None:
        """A lead from second `start` on, in millivolts, its name above its beginning."""
        self._trace(
            group, samples, channel, x, start, seconds, _SPEED,
            lambda volts: middle - volts * (channel.millivolts or 1.0) * gain,
            (middle - 2 * _ROW, middle + 2 * _ROW),
        )  # fmt: skip
        name = channel.lead or channel.label
        self.shapes.append(Words(x + 1, middle - _ROW / 2 + 4, name, 3.4, _INK, bold=True))

    def _pulse(self, middle: float, gain: float) -> None:
        """One millivolt for 0.2 s."""
        x, high = _LEFT + 1, middle - gain
        steps = [(0, middle), (1.5, middle), (1.5, high), (6.5, high), (6.5, middle), (8, middle)]
        points = np.array([(x + step, y) for step, y in steps], np.float64)
        self.shapes.append(Line(points, _LINE, _INK))

    def _separator(self, x: float, middle: float) -> None:
        points = np.array([(x, middle - 3), (x, middle + 3)], np.float64)
        self.shapes.append(Line(points, 0.25, _DIM))

    # ------------------------------------------------------------- strips

    def _strips(
        self, group: Group, samples: _Samples, channels: Sequence[Channel], *, paper: bool
    ) -> None:
        """A strip a channel: to scale on paper if they fit, else as wide as the page."""
        seconds = len(samples) / group.frequency
        to_scale = paper and seconds <= _TRACE / _SPEED + 0.5
        speed = _SPEED if to_scale else _TRACE / seconds
        gain = _gain(group, samples, channels, seconds) if to_scale else 0.0
        scales = f"{_SPEED:g} mm/s, {gain:g} mm/mV" if to_scale else _speed(speed)
        left_out = group.count - len(group.channels)
        more = f"{left_out} more channels are not drawn" if left_out > 0 else ""
        self._heading(group, channels, scales, more)
        height = _ROW if to_scale else min(_ROW, max(9.0, 240.0 / len(channels)))
        top, bottom = self.y, self.y + len(channels) * height
        if to_scale:
            width = ceil((_PULSE + seconds * speed) / 5) * 5.0
            ends = channels[:1], channels[-1:]
            top = self._paper(group, samples, *ends, width, len(channels), gain)
            bottom = self.y
        ranges = {} if to_scale else _ranges(group, samples, channels)
        for place, channel in enumerate(channels):
            middle = top + (place + 0.5) * height
            if to_scale:
                self._pulse(middle, gain)
                x = _LEFT + _PULSE
                self._lead(group, samples, channel, x, middle, 0.0, seconds, gain)
            else:
                self._strip(group, samples, channel, middle, height, speed, ranges[channel.place])
        self.y = bottom
        self._time_axis(seconds, speed)

    def _strip(
        self,
        group: Group,
        samples: _Samples,
        channel: Channel,
        middle: float,
        height: float,
        speed: float,
        limits: tuple[float, float],
    ) -> None:
        low, high = limits
        x = _LEFT + _PULSE + 6
        top, bottom = middle - height / 2 + 3.2, middle + height / 2 - 0.8
        frame = np.array([(x, top), (x, bottom), (x + _TRACE, bottom)], np.float64)
        self.shapes.append(Line(frame, 0.15, "#b5b5b5"))

        def y_of(value: Any) -> Any:
            return bottom - (value - low) / (high - low) * (bottom - top)

        if low < 0 < high:
            zero = np.array([(x, y_of(0.0)), (x + _TRACE, y_of(0.0))], np.float64)
            self.shapes.append(Line(zero, 0.12, "#d0d0d0"))
        seconds = len(samples) / group.frequency
        self._trace(group, samples, channel, x, 0.0, seconds, speed, y_of, (top - 2, bottom + 2))
        unit = channel.unit or "stored values"
        name = f"{channel.lead or channel.label}"
        self.shapes.append(Words(x, top - 0.8, name, 2.8, _INK, bold=True))
        self.shapes.append(Words(x + _TRACE, top - 0.8, unit, 2.4, _DIM, "end"))
        self.shapes.append(Words(x - 1, top + 1.8, f"{high:.4g}", 2.2, _DIM, "end"))
        self.shapes.append(Words(x - 1, bottom, f"{low:.4g}", 2.2, _DIM, "end"))

    def _time_axis(self, seconds: float, speed: float) -> None:
        offset = _LEFT + _PULSE + (0 if speed == _SPEED else 6)
        step = _step(seconds / 10)
        for number in range(floor(seconds / step + 1e-6) + 1):
            x = offset + number * step * speed
            tick = np.array([(x, self.y), (x, self.y + 1.2)], np.float64)
            self.shapes.append(Line(tick, 0.2, _DIM))
            label = _duration(number * step)
            self.shapes.append(Words(x, self.y + 4, label, 2.4, _DIM, "middle"))
        self.y += 5

    # ------------------------------------------------------------- both

    def _trace(
        self,
        group: Group,
        samples: _Samples,
        channel: Channel,
        x: float,
        start: float,
        seconds: float,
        speed: float,
        y_of: Any,
        limits: tuple[float, float],
    ) -> None:
        """`limits`: what is above or below, in mm, is cut off."""
        first = max(0, round((start - channel.skew) * group.frequency))
        last = max(0, round((start + seconds - channel.skew) * group.frequency)) + 1
        on_paper = speed == _SPEED
        columns = ceil(seconds * speed * (_COLUMNS_A_MM if on_paper else _COLUMNS_OF_STRIPS))
        places, heights = trace(group, channel, samples, first, last, columns)
        xs = x + (places / group.frequency + channel.skew - start) * speed
        ys = np.clip(y_of(heights), *limits)
        line = Line(np.column_stack([xs, ys]), _LINE if on_paper else _THIN, _INK)
        self.shapes.append(line)

    def _heading(
        self, group: Group, channels: Iterable[Channel], scales: str, more: str = ""
    ) -> None:
        filters = {_filters(channel) for channel in channels}
        name = group.label or ("Derived" if group.derived else "")
        words = [name, scales, filters.pop() if len(filters) == 1 else "filters differ"]
        words += [f"{group.frequency:g} samples/s", more]
        self.y += 6
        self.shapes.append(Words(_LEFT, self.y, ", ".join(filter(None, words)), 3.2, _INK))
        self.y += 2.5

    def annotations(self, found: Sequence[Annotation]) -> None:
        """Texts over the whole width, measurements in three columns that are read down, then
        where else something was found."""
        for one in [one for one in found if not one.name][:_MOST_LINES]:
            self.note(_cut(one.text, 130), 3.6)
        measured = [one for one in found if one.name and one.text]
        self.y += 3
        rows = ceil(len(measured[: 3 * _MOST_LINES]) / 3)
        for place, one in enumerate(measured[: 3 * _MOST_LINES]):
            x = _LEFT + (place // rows) * 90
            y = self.y + (place % rows + 1) * 4.6
            text = f"{one.text} at {one.at}" if one.at else one.text
            self.shapes.append(Words(x, y, _cut(one.name, 26), 3.0, _DIM))
            self.shapes.append(Words(x + 44, y, _cut(text, 26), 3.0, _INK))
        self.y += rows * 4.6
        points: dict[str, list[str]] = {}
        for one in found:
            if one.name and not one.text and one.at:
                points.setdefault(one.name, []).append(one.at)
        for name, places in list(points.items())[:_MOST_LINES]:
            self.note(_cut(f"{name} at {', '.join(places)}", 180), 2.6)
        if len(measured) > 3 * _MOST_LINES or len(points) > _MOST_LINES:
            self.note("more was found than is shown here")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _filters(channel: Channel) -> str:
    low, high = (f"{value:g}" if value else "" for value in (channel.low, channel.high))
    band = f"{low or '?'}-{high or '?'} Hz" if low or high else ""
    return ", ".join(filter(None, (band, f"notch {channel.notch:g} Hz" if channel.notch else "")))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.4g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _speed(speed: float) -> str:
    """Millimetres a second, or what else is a number that says something."""
    units = ("s", 1.0), ("min", 60.0), ("h", 3600.0)
    unit, seconds = next((one for one in units if speed * one[1] >= 1), units[-1])
    return f"{speed * seconds:.3g} mm/{unit}"


def _step(least: float) -> float:
    """A round number of seconds, not below `least`."""
    rounds = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
    if least > 30:
        return float(next((one for one in rounds if one >= least), ceil(least / 86_400) * 86_400))
    power = 10.0 ** floor(log10(max(least, 1e-9)))
    return next(power * part for part in (1, 2, 5, 10) if power * part >= least * 0.999)


def _extent(
    group: Group, samples: _Samples, channel: Channel, seconds: float
) -> tuple[float, float]:
    return extent(group, channel, samples, round(seconds * group.frequency))


def _gain(group: Group, samples: _Samples, channels: Iterable[Channel], seconds: float) -> float:
    """Millimetres a millivolt: 10, unless that drives a trace through two rows."""
    swing = 0.0
    for channel in channels:
        low, high = _extent(group, samples, channel, seconds)
        swing = max(swing, max(-low, high) * (channel.millivolts or 1.0))
    for gain in (10.0, 5.0, 2.5):
        if swing * gain <= 1.2 * _ROW:
            return gain
    return 1.25


def _ranges(
    group: Group, samples: _Samples, channels: Sequence[Channel]
) -> dict[int, tuple[float, float]]:
    """What each strip reaches from and to; one range for many of the same unit, as of an EEG,
    whose amplitudes are compared."""
    seconds = len(samples) / group.frequency
    found = {one.place: _extent(group, samples, one, seconds) for one in channels}
    if len(channels) >= 8 and len({one.unit for one in channels}) == 1:
        half = max(high - low for low, high in found.values()) / 2
        middles = {place: (low + high) / 2 for place, (low, high) in found.items()}
        found = {place: (middle - half, middle + half) for place, middle in middles.items()}
    return {place: _widened(*limits) for place, limits in found.items()}


def _widened(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.05
    if not room or not isfinite(room):
        room = abs(high) * 0.5 or 1.0
    return low - room, high + room
