"""Data sets whose text, VRs or encoding a server may get wrong."""

from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from conformance.suite.making import add_image, dataset_of, gradient

# Terms of Specific Character Set, and a text in each (PS3.3 C.12.1.1.2, PS3.18 Annex D).
CHARACTER_SETS: dict[str, str] = {
    "ISO_IR 6": "Plain",
    "ISO_IR 100": "Genève, Åse",
    "ISO_IR 101": "Łukasz Dvořák",
    "ISO_IR 109": "Ĝerĝino Ħal",
    "ISO_IR 110": "Āboliņš",
    "ISO_IR 144": "Люксембург",
    "ISO_IR 127": "قباني لنزار",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 138": "שרון דבורה",
    "ISO_IR 148": "Çavuşoğlu",
    "ISO_IR 166": "นามสกุล",
    "ISO_IR 13": "ﾔﾏﾀﾞ",
    "\\ISO 2022 IR 87": "山田太郎",
    "\\ISO 2022 IR 149": "김희중",
    "GB18030": "王小东",
    "GBK": "王小东",
    "ISO_IR 192": "Ünïcödé 山田",
}


def _charsets(token: str) -> list[Dataset]:
    """The same attribute in every character set, in one series."""
    found: list[Dataset] = []
    for number, (terms, text) in enumerate(CHARACTER_SETS.items(), 1):
        dataset = dataset_of(
            token,
            SecondaryCaptureImageStorage,
            "OT",
            PatientID=f"{token}-6",
            PatientName=f"{token}^Charsets",
            SpecificCharacterSet=terms.split("\\"),
            ImageComments=text,
            InstanceNumber=number,
        )
        if found:
            dataset.StudyInstanceUID = found[0].StudyInstanceUID
            dataset.SeriesInstanceUID = found[0].SeriesInstanceUID
        found.append(add_image(dataset, gradient(4, 4)))
    return found


LONG = [f"{number}.125" for number in range(9000)]  # more than 64 KiB as DS


def _implicit(token: str) -> list[Dataset]:
    """Implicit VR Little Endian: of private attributes and overlays the VR is not told, and of DS
    a value can be longer than Explicit VR has room for."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-6")
    add_image(dataset, gradient(8, 8))
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60000011, "US", 8)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", b"\x55" * 8)
    dataset.private_block(0x0011, "SUITE OF CONFORMANCE", create=True).add_new(1, "LO", "private")
    item = Dataset()
    item.ContourData = LONG
    contour = Dataset()
    contour.ContourSequence = Sequence([item])
    dataset.ROIContourSequence = Sequence([contour])
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return [dataset]


def _deflated(token: str) -> list[Dataset]:
    """Deflated Explicit VR Little Endian."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-6")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return [add_image(dataset, gradient(8, 8, 6))]


def _nested(token: str) -> list[Dataset]:
    """An icon within a sequence, too large to be inline, and a binary attribute without value."""
    dataset = dataset_of(token, SecondaryCaptureImageStorage, "OT", PatientID=f"{token}-6")
    dataset.add_new(0x04000120, "OB", b"")
    icon = Dataset()
    add_image(icon, gradient(256, 256, 2))
    dataset.IconImageSequence = Sequence([icon])
    return [add_image(dataset, gradient(8, 8, 2))]


TEXTS: dict[str, Callable[[str], list[Dataset]]] = {
    "charsets": _charsets,
    "implicit": _implicit,
    "deflated": _deflated,
    "nested": _nested,
}
