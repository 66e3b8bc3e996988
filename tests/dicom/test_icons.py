"""Icons of what has no picture (THB-03, THB-05)."""

import numpy as np
import pytest
from pydicom import uid

from dicomweb_server.dicom.icons import KINDS, icon, kind_of


@pytest.mark.parametrize("size", [16, 100, 256])
def test_every_kind_has_an_icon_of_its_own(size: int) -> None:
    drawn = [icon(kind, size) for kind in KINDS]
    for one in drawn:
        assert one.shape == (size, size, 3)
        assert one.dtype == np.uint8
    assert len({one.tobytes() for one in drawn}) == len(KINDS)
    assert np.array_equal(icon("something else", size), icon("data", size))


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (uid.ComprehensiveSRStorage, "report"),
        (uid.EnhancedXRayRadiationDoseSRStorage, "report"),
        (uid.KeyObjectSelectionDocumentStorage, "key objects"),
        (uid.EncapsulatedPDFStorage, "document"),
        (uid.EncapsulatedCDAStorage, "report"),
        (uid.EncapsulatedSTLStorage, "model"),
        (uid.TwelveLeadECGWaveformStorage, "waveform"),
        (uid.HemodynamicWaveformStorage, "waveform"),
        (uid.BasicVoiceAudioWaveformStorage, "sound"),
        (uid.VideoEndoscopicImageStorage, "video"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "presentation"),
        (uid.RTPlanStorage, "plan"),
        (uid.RTImageStorage, "image"),
        (uid.CTImageStorage, "image"),
        (uid.ComputedRadiographyImageStorage, "image"),
        (uid.SegmentationStorage, "image"),
        (uid.RawDataStorage, "data"),
        ("1.2.3", "data"),
        ("", "data"),
    ],
)
def test_kinds(sop_class: str, kind: str) -> None:
    assert kind_of(sop_class) == kind
    assert kind_of(sop_class, uid.MPEG4HP41) == "video"
