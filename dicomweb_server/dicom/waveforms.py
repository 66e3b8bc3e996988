"""Waveforms: their multiplex groups, channels and samples (PS3.3 §C.10.9, §C.10.10).

Samples are taken in real-world units, as ``pydicom.waveforms`` does, and reduced to what a
picture can show: the least and greatest value of each column of it.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import first_item, first_number, first_text, item, values
from dicomweb_server.dicom.report_values import code_of, moment, plain, text_of, unit_of

WAVEFORM_SEQUENCE, WAVEFORM_DATA = "54000100", "54001010"
MAX_GROUPS, MAX_CHANNELS = 16, 128  # of one recording, that are drawn
MAX_ANNOTATIONS = 2000
_LONGEST_SKEW = 1e9  # seconds
_BLOCK = 1 << 20  # samples of a channel that are looked at together
_LONGEST = 80  # characters of a label or unit; nobody reads more

_Floats = np.ndarray[Any, np.dtype[np.float64]]

# Waveform Sample Interpretation (PS3.3 §C.10.9.1.5): how a sample is stored.
_TYPES = {
    **{"SB": "i1", "UB": "u1", "MB": "u1", "AB": "u1", "SS": "<i2", "US": "<u2"},
    **{"SL": "<i4", "UL": "<u4", "SV": "<i8", "UV": "<u8"},
}
_BY_BITS = {8: "i1", 16: "<i2", 32: "<i4", 64: "<i8"}

# Volts as millivolts: what electrocardiograms are drawn in.
_MILLIVOLTS = {"uV": 1e-3, "mV": 1.0, "V": 1e3, "nV": 1e-6}

# The last number of a lead's code, in MDC (2:61) and in SCPECG (5.6.3-9-61), PS3.16 CID 3001.
_LEADS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}
_LEADS.update({number + 2: f"V{number}" for number in range(1, 7)})
_LEAD_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,3})", re.ASCII)
_LEAD_NAME = re.compile(r"(?:lead )?(I{1,3}|aV[RLF]|V[1-6])(?: \(.*\))?", re.ASCII | re.IGNORECASE)
_LEAD_NAMES = {name.lower(): name for name in _LEADS.values()}


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. A stored value times `scale`, plus `baseline`, is one in `unit`; without a
    sensitivity it has no unit. `skew`: seconds from the beginning of its group. `lead`: the name
    of a lead of an electrocardiogram, empty for what is none. Filters in Hz, 0 if unknown."""

    place: int  # in the group, from 0
    label: str
    lead: str
    unit: str
    scale: float
    baseline: float
    skew: float
    low: float
    high: float
    notch: float

    @property
    def millivolts(self) -> float | None:
        """What one of its unit is in millivolts; None if it is no voltage."""
        return _MILLIVOLTS.get(self.unit.replace("µ", "u"))


@dataclass(frozen=True, slots=True)
class Group:
    """A multiplex group: channels that were sampled together. `item` counts from 1."""

    item: int
    label: str
    derived: bool
    samples: int
    frequency: float  # Hz
    interpretation: str
    bits: int
    padding: bytes
    channels: tuple[Channel, ...]
    count: int  # of channels in the data, of which those above are drawn
    big_endian: bool = False  # the data; padding is little endian

    @property
    def seconds(self) -> float:
        return self.samples / self.frequency

    @property
    def dtype(self) -> Any:
        """Of the samples in the data."""
        return self.sample.newbyteorder(">") if self.big_endian else self.sample

    @property
    def sample(self) -> Any:
        """Of a sample, little endian."""
        return np.dtype(_TYPES.get(self.interpretation) or _BY_BITS.get(self.bits, "<i2"))


@dataclass(frozen=True, slots=True)
class Annotation:
    """What was found in a waveform: a measurement, a code or a text, and where, in words."""

    name: str
    text: str
    at: str


def is_waveform(dataset: JsonDataset) -> bool:
    """Whether it has a Waveform Sequence."""
    return first_item(dataset, WAVEFORM_SEQUENCE) is not None


def groups_of(dataset: JsonDataset) -> list[Group]:
    """The multiplex groups that have channels and samples, MAX_GROUPS and MAX_CHANNELS at most."""
    found: list[Group] = []
    left = MAX_CHANNELS
    for number, one in enumerate(values(dataset, WAVEFORM_SEQUENCE)[:MAX_GROUPS], 1):
        group = _group(one, number, left) if isinstance(one, dict) else None
        if group is not None:
            found.append(group)
            left -= len(group.channels)
    return found


def _group(group: JsonDataset, number: int, most: int) -> Group | None:
    definitions = [one for one in values(group, "003A0200") if isinstance(one, dict)]
    count = int(first_number(group, "003A0005") or 0)
    samples = int(first_number(group, "003A0010") or 0)
    frequency = first_number(group, "003A001A") or 0.0
    if not (0 < count < 2**16 and 0 < samples < 2**40 and 1e-9 < frequency < 1e9 and most > 0):
        return None
    definitions += [{}] * max(0, min(count, most) - len(definitions))
    shown = definitions[: min(count, most)]
    padding = group.get("5400100A")
    inline = padding.get("InlineBinary") if isinstance(padding, dict) else None
    return Group(
        item=number,
        label=first_text(group, "003A0020")[:_LONGEST],
        derived=first_text(group, "003A0004") == "DERIVED",
        samples=samples,
        frequency=frequency,
        interpretation=first_text(group, "54001006"),
        bits=int(first_number(group, "54001004") or 16),
        padding=_base64(inline),
        channels=tuple(_channel(one, place, frequency) for place, one in enumerate(shown)),
        count=count,
    )


def _base64(text: Any) -> bytes:
    try:
        return binascii.a2b_base64(text) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _channel(channel: JsonDataset, place: int, frequency: float) -> Channel:
    source = code_of(channel, "003A0208")
    sensitivity = first_number(channel, "003A0210")
    correction = first_number(channel, "003A0212")
    skew = first_number(channel, "003A0214")
    if skew is None:
        skew = (first_number(channel, "003A0215") or 0.0) / frequency
    skew += first_number(channel, "003A0218") or 0.0
    label = (first_text(channel, "003A0203") or str(source))[:_LONGEST]
    scale = (1.0 if sensitivity is None else sensitivity) * (
        1.0 if correction is None else correction
    )
    return Channel(
        place=place,
        label=label or f"Channel {place + 1}",
        lead=_lead(source.value, source.meaning or label),
        unit="" if sensitivity is None else unit_of(code_of(channel, "003A0211"))[:_LONGEST],
        scale=scale,
        baseline=first_number(channel, "003A0213") or 0.0,
        skew=skew if abs(skew) < _LONGEST_SKEW else 0.0,
        low=first_number(channel, "003A0220") or 0.0,
        high=first_number(channel, "003A0221") or 0.0,
        notch=first_number(channel, "003A0222") or 0.0,
    )


def _lead(code: str, name: str) -> str:
    match = _LEAD_CODE.fullmatch(code)
    if match is not None:
        return _LEADS.get(int(match[1]), "")
    match = _LEAD_NAME.fullmatch(name)
    return _LEAD_NAMES.get(match[1].lower(), "") if match is not None else ""


def annotations_of(dataset: JsonDataset) -> list[Annotation]:
    """Measurements, codes and texts of the waveform (PS3.3 §C.10.10), MAX_ANNOTATIONS at most."""
    groups = {group.item: group for group in groups_of(dataset)}
    found = (
        _annotation(item, groups) for item in values(dataset, "0040B020") if isinstance(item, dict)
    )
    shown = [one for one in found if one is not None]
    return shown[:MAX_ANNOTATIONS]


def _annotation(found: JsonDataset, groups: dict[int, Group]) -> Annotation | None:
    name = str(code_of(found, "0040A043"))
    amount = text_of(found, "0040A30A")
    parts = [
        text_of(found, "00700006"),
        str(code_of(found, "0040A168")),
        f"{amount} {unit_of(code_of(found, '004008EA'))}".strip() if amount else "",
    ]
    text = " ".join(" ".join(filter(None, parts)).split())
    return Annotation(name, text, _when(found, groups)) if name or text else None


def _when(found: JsonDataset, groups: dict[int, Group]) -> str:
    """Where in the recording: in seconds, or at a time."""
    channels = values(found, "0040A0B0")
    group = groups.get(channels[0]) if channels and isinstance(channels[0], int) else None
    positions = [place for place in values(found, "0040A132") if type(place) is int]
    if group is not None and positions:
        return ", ".join(f"{(p - 1) / group.frequency:.3f}" for p in positions[:4]) + " s"
    offsets = [plain(value) for value in values(found, "0040A138")[:4]]
    if offsets:
        return f"{', '.join(offsets)} s"
    return ", ".join(moment(plain(value)) for value in values(found, "0040A13A")[:4])


def recording_lines(dataset: JsonDataset) -> Iterator[str]:
    """When, where and with what it was recorded, as far as that is known."""
    recorded = first_text(dataset, "0008002A") or first_text(dataset, "00080023")
    found = (
        moment(recorded or first_text(dataset, "00080020")),
        text_of(dataset, "00080080"),
        text_of(dataset, "00080070"),
        text_of(dataset, "00081090"),
    )
    yield from (" ".join(text.split())[:64] for text in found if text)


def inline_samples(dataset: JsonDataset, group: Group) -> bytes:
    """The Waveform Data of a group that is short enough to stand in the metadata."""
    found = item(dataset, WAVEFORM_SEQUENCE, group.item) or {}
    element = found.get(WAVEFORM_DATA)
    return _base64(element.get("InlineBinary") if isinstance(element, dict) else None)


def samples_of(group: Group, data: Any) -> np.ndarray[Any, Any]:
    """The stored samples, (samples, channels) and not copied, of the bytes of Waveform Data. There
    may be fewer than the group says."""
    width = group.dtype.itemsize * group.count
    rows = min(group.samples, len(data) // width)
    flat = np.frombuffer(data, group.dtype, count=rows * group.count)
    return flat.reshape(rows, group.count)


def physical(group: Group, channel: Channel, stored: np.ndarray[Any, Any]) -> _Floats:
    """Stored samples of a channel in its unit; not a number where there is padding."""
    with np.errstate(over="ignore"):  # a hostile sensitivity; what is drawn is cut anyway
        numbers = _expanded(group.interpretation, stored) * channel.scale + channel.baseline
    if len(group.padding) >= group.sample.itemsize:
        padding = np.frombuffer(group.padding, group.sample, count=1)[0]
        numbers[stored == padding] = np.nan
    return numbers


def _expanded(interpretation: str, stored: np.ndarray[Any, Any]) -> _Floats:
    """Samples as numbers; those of telephony expanded (ITU-T G.711)."""
    if interpretation == "MB":
        expanded: _Floats = _mu_law()[stored]
    elif interpretation == "AB":
        expanded = _a_law()[stored]
    else:
        expanded = stored.astype(np.float64)
    return expanded


def _mu_law() -> _Floats:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int64)
    size = (((mantissa << 3) + 132) << exponent.astype(np.int64)) - 132
    return np.where(code & 128, -size, size).astype(np.float64)


def _a_law() -> _Floats:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int64), (code & 15).astype(np.int64)
    size = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 128, size, -size).astype(np.float64)


def trace(
    group: Group,
    channel: Channel,
    samples: np.ndarray[Any, Any],
    first: int,
    last: int,
    columns: int,
) -> tuple[_Floats, _Floats]:
    """The samples `first` to `last` (not included) of a channel, as numbers of samples from the
    beginning of the group and values.

    What has more than four samples a column is reduced to the least and the greatest of each
    column: no spike is lost, however long the recording is.
    """
    last = min(last, len(samples))
    count = last - first
    if count <= 0:
        return np.empty(0), np.empty(0)
    if count <= 4 * columns:
        stored = samples[first:last, channel.place]
        return np.arange(first, last, dtype=np.float64), physical(group, channel, stored)
    bounds = np.linspace(first, last, columns + 1).astype(np.int64)
    together = max(1, _BLOCK * columns // count)  # columns that are looked at together
    extremes = np.empty((columns, 2))
    for start in range(0, columns, together):
        some = bounds[start : start + together + 1]
        numbers = physical(group, channel, samples[some[0] : some[-1], channel.place])
        places = some[:-1] - some[0]
        extremes[start : start + together, 0] = np.fmin.reduceat(numbers, places)
        extremes[start : start + together, 1] = np.fmax.reduceat(numbers, places)
    return np.repeat((bounds[:-1] + bounds[1:]) / 2, 2), extremes.ravel()


def extent(
    group: Group, channel: Channel, samples: np.ndarray[Any, Any], last: int
) -> tuple[float, float]:
    """The least and the greatest value of a channel before sample `last`; 0 and 0 of none."""
    blocks = max(1, min(last, len(samples)) // _BLOCK)
    _, found = trace(group, channel, samples, 0, last, blocks)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)
