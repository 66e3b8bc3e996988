"""Waveforms: electrocardiograms and other signals (PS3.3 §A.34)."""

from typing import Any

import numpy as np
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.make.files import EMPTY, dataset_with, part10, uid
from tests.make.reports import code

LEADS = {
    **{"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64},
    **{f"V{number}": number + 2 for number in range(1, 7)},
}


def channel(label: str, *, source: Dataset | None = None, unit: str = "uV", **more: Any) -> Dataset:
    """A channel of 2.5 of its unit a step, unless `more` says otherwise."""
    made = Dataset()
    made.ChannelLabel = label
    made.ChannelSourceSequence = [source or code(label)]
    made.WaveformBitsStored = 16
    values = {
        "ChannelSensitivity": "2.5",
        "ChannelSensitivityUnitsSequence": [code(unit, unit, "UCUM")],
        "ChannelSensitivityCorrectionFactor": "1",
        "ChannelBaseline": "0",
        "ChannelTimeSkew": "0",
        **more,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def lead(name: str, **more: Any) -> Dataset:
    """A lead of an electrocardiogram (PS3.16 CID 3001)."""
    source = code(f"Lead {name}", f"2:{LEADS[name]}", "MDC")
    return channel("", source=source, **more)


def group(channels: list[Dataset], samples: Any, *, frequency: float = 500, **more: Any) -> Dataset:
    """A multiplex group; `samples` (samples, channels), of the type that they are stored in."""
    samples = np.asarray(samples)
    kinds = {"int16": "SS", "uint16": "US", "int8": "SB", "uint8": "UB", "int32": "SL"}
    made = Dataset()
    made.MultiplexGroupLabel = "RHYTHM"
    made.WaveformOriginality = "ORIGINAL"
    made.NumberOfWaveformChannels = len(channels)
    made.NumberOfWaveformSamples = len(samples)
    made.SamplingFrequency = str(frequency)
    made.ChannelDefinitionSequence = channels
    made.WaveformBitsAllocated = samples.dtype.itemsize * 8
    made.WaveformSampleInterpretation = kinds[samples.dtype.name]
    data = samples.tobytes()
    made.add_new("WaveformData", "OW" if samples.dtype.itemsize > 1 else "OB", data)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def beats(seconds: float = 10, frequency: float = 500) -> Any:
    """Twelve leads with a beat a second: of lead number n its height is n times 100 µV."""
    samples = np.zeros((round(seconds * frequency), 12), np.int16)
    for start in range(round(0.4 * frequency), len(samples), round(frequency)):
        samples[start : start + 10] = np.arange(1, 13) * 40
    return samples


def waveform(
    *groups: Dataset,
    seed: int = 0,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **keywords: Any,
) -> bytes:
    """A file with these groups; a 12-lead ECG unless `keywords` say otherwise."""
    values = {
        "SOPClassUID": uids.TwelveLeadECGWaveformStorage,
        "SOPInstanceUID": uid("waveform", seed),
        "StudyInstanceUID": uid("waveform study", seed),
        "SeriesInstanceUID": uid("waveform series", seed),
        **EMPTY,
        "Modality": "ECG",
        "ContentDate": "20240102",
        "ContentTime": "101500",
        "AcquisitionDateTime": "20240102101500",
        "AcquisitionContextSequence": [],
        "WaveformSequence": list(groups),
    }
    return part10(dataset_with(**(values | keywords)), transfer_syntax)
