"""Blending presentation states of two series made here (PS3.3 A.33.5)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import BlendingSoftcopyPresentationStateStorage

from tests.make.files import ABSENT, part10
from tests.make.states import item, reference, state_attributes


def blending_state(
    below: Sequence[Dataset], over: Sequence[Dataset], opacity: float = 0.25, **keywords: Any
) -> bytes:
    """A state that lays the images of one series, in a palette from black to red, on those of
    another, both in a window of all 8 bits."""
    window = item(WindowCenter="128", WindowWidth="256")
    sets = [
        item(
            BlendingPosition=position,
            StudyInstanceUID=images[0].StudyInstanceUID,
            ReferencedSeriesSequence=[
                item(
                    SeriesInstanceUID=images[0].SeriesInstanceUID,
                    ReferencedImageSequence=[reference(image) for image in images],
                )
            ],
            SoftcopyVOILUTSequence=[window],
        )
        for position, images in (("SUPERIMPOSED", over), ("UNDERLYING", below))
    ]
    ramp = np.arange(256, dtype=np.uint8)
    palette = {"Red": ramp, "Green": ramp * 0, "Blue": ramp * 0}
    for name, entries in palette.items():
        keywords[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        keywords[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    made = state_attributes(
        *below,
        SOPClassUID=BlendingSoftcopyPresentationStateStorage,
        ReferencedSeriesSequence=ABSENT,
        PresentationLUTShape=ABSENT,
        BlendingSequence=sets,
        RelativeOpacity=opacity,
        **keywords,
    )
    return part10(made)
