"""Segmentations of CT slices made here, by highdicom."""

from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from tests.make.files import uid

RED = hd.color.CIELabColor(l_star=54.29, a_star=80.81, b_star=69.89)  # of sRGB, as D50 has it


def segmentation(
    images: list[Dataset], segments: Any, kind: str = "BINARY", *, seed: object = 0, **more: Any
) -> Dataset:
    """A segmentation of `images`, slices of one series, as a data set with File Meta.

    `segments` (images, rows, columns, segments), or without the last axis for labels or one
    segment. The first has a colour, red; others tell none.
    """
    segments = np.asarray(segments)
    labels = kind == "LABELMAP" and segments.ndim == 3
    count = int(segments.max()) if labels else segments.shape[3] if segments.ndim == 4 else 1
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Segment {number}",
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="MANUAL",
            display_color=RED if number == 1 else None,
        )
        for number in range(1, count + 1)
    ]
    made = hd.seg.Segmentation(
        source_images=images,
        pixel_array=segments,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid("segmentation series", seed),
        series_number=900,
        sop_instance_uid=uid("segmentation", seed),
        instance_number=1,
        manufacturer="Test",
        manufacturer_model_name="Test",
        software_versions="1",
        device_serial_number="1",
        **more,
    )
    made.file_meta.ImplementationClassUID = uid("tests.make")
    return made


def file_of(dataset: Dataset) -> bytes:
    """A data set with File Meta as a PS3.10 file."""
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
