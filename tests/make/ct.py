"""CT slices with a header as a scanner writes it: 150 attributes, private ones, nested sequences.

The header is written by pydicom once; an instance is that header with a few elements put in
anew and a window of a longer run of pixels, so that a thousand of them cost less than a second.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from tests.make.ct_header import CT_HEADER
from tests.make.files import dataset_with, part10, uid

ROW_STEP = 3
"""Rows by which the phantom is shifted from one instance number to the next."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of `study_of`. The file is made when asked for, and not kept."""

    study_uid: str
    series_uid: str
    sop_uid: str
    number: int
    rows: int
    columns: int
    seed: int
    keywords: tuple[tuple[str, Any], ...]

    def file(self) -> bytes:
        """The PS3.10 file."""
        return ct_instance(
            study_uid=self.study_uid,
            series_uid=self.series_uid,
            sop_uid=self.sop_uid,
            number=self.number,
            rows=self.rows,
            columns=self.columns,
            seed=self.seed,
            **dict(self.keywords),
        )

    def pixels(self) -> bytes:
        """The one frame, as it stands in the file."""
        return ct_pixels(number=self.number, rows=self.rows, columns=self.columns, seed=self.seed)


def study_of(
    n_series: int,
    n_instances: int,
    *,
    seed: int = 0,
    rows: int = 512,
    columns: int = 512,
    **keywords: Any,
) -> list[Instance]:
    """One study of `n_series` CT series with `n_instances` slices each, in order.

    `keywords` (values that can be hashed) go into every instance; without them the patient,
    the accession number and the study date follow from `seed`.
    """
    study_uid = uid("ct study", seed)
    about = _about(seed) | keywords
    return [
        Instance(
            study_uid=study_uid,
            series_uid=uid("ct series", seed, series),
            sop_uid=uid("ct instance", seed, series, number),
            number=number,
            rows=rows,
            columns=columns,
            seed=seed,
            keywords=tuple((about | {"SeriesNumber": series}).items()),
        )
        for series in range(1, n_series + 1)
        for number in range(1, n_instances + 1)
    ]


def _about(seed: int) -> dict[str, Any]:
    given = ("Anna", "Boris", "Chloé", "Dmitri", "Emine")[seed % 5]
    return {
        "PatientID": f"CT{seed:06}",
        "PatientName": f"Scan{seed:06}^{given}",
        "AccessionNumber": f"A{seed:08}",
        "StudyID": str(seed),
        "StudyDate": f"{2015 + seed % 10}{1 + seed % 12:02}{1 + seed % 28:02}",
    }


def ct_instance(
    *,
    study_uid: str,
    series_uid: str,
    sop_uid: str,
    number: int = 1,
    rows: int = 512,
    columns: int = 512,
    seed: int = 0,
    **keywords: Any,
) -> bytes:
    """A CT slice of 16 bits as a PS3.10 file in Explicit VR Little Endian.

    Slices that differ in nothing but the UIDs and `number` share one header and cost about
    0.2 ms of 512 × 512 pixels. `keywords` (values that can be hashed) overrule the header.
    """
    body = _header(rows, columns, seed, tuple(sorted(keywords.items())))
    position = -200.0 + 1.25 * number
    for keyword, value in (
        ("SOPInstanceUID", sop_uid),
        ("StudyInstanceUID", study_uid),
        ("SeriesInstanceUID", series_uid),
        ("InstanceNumber", str(number)),
        ("ImagePositionPatient", f"-180.5\\-182.25\\{position}"),
        ("SliceLocation", str(position)),
    ):
        body = body.replace(_element(keyword, PLACEHOLDERS[keyword]), _element(keyword, value), 1)
    pixels = _run_of_pixels(rows, columns, seed)
    start = _start(number, rows, columns)
    return b"".join((_file_meta(sop_uid), body, pixels[start : start + 2 * rows * columns]))


def ct_pixels(*, number: int = 1, rows: int = 512, columns: int = 512, seed: int = 0) -> bytes:
    """The Pixel Data of `ct_instance`: rows × columns words, little endian, signed."""
    start = _start(number, rows, columns)
    return bytes(_run_of_pixels(rows, columns, seed)[start : start + 2 * rows * columns])


def _start(number: int, rows: int, columns: int) -> int:
    return (number * ROW_STEP % rows) * columns * 2


# Values in the shared header that every instance overwrites; found as whole elements.
PLACEHOLDERS = {
    "SOPInstanceUID": "1.2.1",
    "StudyInstanceUID": "1.2.2",
    "SeriesInstanceUID": "1.2.3",
    "InstanceNumber": "1",
    "ImagePositionPatient": "1\\1\\1",
    "SliceLocation": "1",
}


def _element(keyword: str, value: str) -> bytes:
    """One element of a short VR of text, Explicit VR Little Endian (PS3.5 7.1.2)."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = dictionary_VR(tag).encode()
    text = value.encode("ascii")
    text += (b"\0" if vr == b"UI" else b" ") * (len(text) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(text)) + text


@lru_cache(maxsize=64)
def _header(rows: int, columns: int, seed: int, keywords: tuple[tuple[str, Any], ...]) -> bytes:
    """The data set up to and with the length of Pixel Data, which is its last element."""
    dataset = ct_dataset(seed=seed)
    for keyword, value in (*PLACEHOLDERS.items(), *keywords):
        setattr(dataset, keyword, list(value) if isinstance(value, tuple) else value)
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = bytes(2 * rows * columns)
    dataset["PixelData"].VR = "OW"
    whole = part10(dataset)
    (meta_length,) = struct.unpack_from("<I", whole, 140)
    header = whole[144 + meta_length : -2 * rows * columns]
    missing = [k for k, v in PLACEHOLDERS.items() if header.count(_element(k, v)) != 1]
    assert not missing, f"not to be found, or not once, in the header: {missing}"
    return header


@lru_cache(maxsize=256)
def _meta_head(sop_uid_length: int) -> tuple[bytes, bytes]:
    """File Meta Information before and after Media Storage SOP Instance UID."""
    stand_in = "1" * sop_uid_length
    dataset = dataset_with(SOPClassUID=uids.CTImageStorage, SOPInstanceUID=stand_in)
    whole = part10(dataset)
    (meta_length,) = struct.unpack_from("<I", whole, 140)
    before, after = whole[: 144 + meta_length].split(stand_in.encode(), 1)
    return before, after


def _file_meta(sop_uid: str) -> bytes:
    before, after = _meta_head(len(sop_uid))
    return before + sop_uid.encode("ascii") + after


@lru_cache(maxsize=16)
def _run_of_pixels(rows: int, columns: int, seed: int) -> memoryview:
    """Twice the pixels of one phantom, so that any shift by whole rows is one slice of it."""
    return memoryview(2 * phantom(rows, columns, seed).astype("<i2").tobytes())


def phantom(rows: int, columns: int, seed: int) -> NDArray[np.int16]:
    """A body of soft tissue with bone and lung in air, and noise: (rows, columns), in HU."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    hounsfield = np.full((rows, columns), -1000.0)
    hounsfield[(x / 0.85) ** 2 + (y / 0.6) ** 2 < 1] = 40
    for centre in (-0.4, 0.4):
        hounsfield[((x - centre) / 0.28) ** 2 + (y / 0.4) ** 2 < 1] = -850
    hounsfield[(x / 0.1) ** 2 + ((y - 0.45) / 0.1) ** 2 < 1] = 700
    noise = np.random.default_rng(seed).normal(0, 12, hounsfield.shape)
    return np.clip(hounsfield + noise, -1024, 3071).astype(np.int16)


def ct_dataset(*, seed: int = 0) -> Dataset:
    """The header of `ct_instance` as a data set, without UIDs of its own and without pixels."""
    dataset = Dataset()
    for line in CT_HEADER.strip().splitlines():
        keyword, _, text = line.partition(" ")
        setattr(dataset, keyword, _value(keyword, text))
    dataset.SOPClassUID = uids.CTImageStorage
    dataset.FrameOfReferenceUID = uid("ct frame of reference", seed)
    _add_sequences(dataset, seed)
    _add_private(dataset, seed)
    return dataset


def _value(keyword: str, text: str) -> Any:
    vr = dictionary_VR(keyword)
    values = text.split("\\") if text else []
    if vr == "US":
        return [int(value) for value in values] if len(values) > 1 else int(text)
    if vr in ("FD", "FL"):
        return [float(value) for value in values] if len(values) > 1 else float(text)
    return values if len(values) > 1 else text


def _add_sequences(dataset: Dataset, seed: int) -> None:
    def item(**values: Any) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    def code(value: str, scheme: str, meaning: str) -> Dataset:
        return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)

    def reference(number: int) -> Dataset:
        return item(
            ReferencedSOPClassUID=uids.CTImageStorage,
            ReferencedSOPInstanceUID=uid("ct localizer", seed, number),
            PurposeOfReferenceCodeSequence=[code("121311", "DCM", "Localizer")],
        )

    dataset.ProcedureCodeSequence = [code("24627-2", "LN", "CT Chest")]
    dataset.ReferencedStudySequence = [
        item(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
            ReferencedSOPInstanceUID=uid("ct procedure", seed),
        )
    ]
    dataset.ReferencedImageSequence = [reference(1), reference(2)]
    dataset.RequestAttributesSequence = [
        item(
            RequestedProcedureID="RP1",
            ScheduledProcedureStepID="SPS1",
            ScheduledProcedureStepDescription="Chest routine",
            ScheduledProtocolCodeSequence=[code("CTCHEST", "99LOCAL", "Chest routine")],
        )
    ]
    dataset.AnatomicRegionSequence = [code("51185008", "SCT", "Chest")]


def _add_private(dataset: Dataset, seed: int) -> None:
    """Two private blocks of 13 elements each (and so 28 with their creators), one a sequence."""
    random = np.random.default_rng(seed)
    for group, creator in ((0x0019, "MAKER ACQU 01"), (0x0043, "MAKER PARM 01")):
        block = dataset.private_block(group, creator, create=True)
        for offset in range(4):
            block.add_new(0x10 + offset, "LO", f"SETTING {random.integers(1_000_000):06}")
        for offset in range(4):
            block.add_new(0x20 + offset, "DS", [f"{value:.4f}" for value in random.random(3)])
        block.add_new(0x30, "SS", int(random.integers(-100, 100)))
        block.add_new(0x31, "UL", int(random.integers(2**31)))
        block.add_new(0x32, "FD", [float(value) for value in random.random(4)])
        block.add_new(0x33, "OB", random.bytes(640))
        item = Dataset()
        item.private_block(group, creator, create=True).add_new(0x50, "SH", "STEP")
        block.add_new(0x40, "SQ", [item])
