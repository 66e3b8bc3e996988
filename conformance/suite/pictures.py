"""Images that show whether pixels are read, sent and rendered as PS3.3 and PS3.5 say."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG4HP41,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGBaseline8Bit,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    VideoPhotographicImageStorage,
)

from conformance.suite.making import add_image, dataset_of, gradient

ROWS, COLUMNS = 16, 24
BARS = ((230, 30, 30), (30, 200, 40), (40, 40, 220), (220, 210, 40))  # red, green, blue, yellow
VIDEO = Path(__file__).with_name("moving.mp4").read_bytes()  # H.264 High 4.1, ten pictures


def colour_bars() -> np.ndarray:
    """Four upright bars: (16, 24, 3), uint8."""
    across = np.repeat(np.array(BARS, dtype=np.uint8), COLUMNS // 4, axis=0)
    return np.broadcast_to(across, (ROWS, COLUMNS, 3)).copy()


def ramp() -> np.ndarray:
    """Grey levels that rise from pixel to pixel: (16, 24), uint8, 0 to 191."""
    return (np.arange(ROWS * COLUMNS) // 2).reshape(ROWS, COLUMNS).astype(np.uint8)


def _secondary(token: str, **more: object) -> Dataset:
    more = {"PatientID": f"{token}-5", **more}
    return dataset_of(token, SecondaryCaptureImageStorage, "OT", **more)


# --- grey ----------------------------------------------------------------------------------------


def signed() -> np.ndarray:
    """Values of twelve bits with a sign: (16, 24), int16."""
    return (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * 10 - 2000).astype(np.int16)


def _signed(token: str) -> list[Dataset]:
    """Twelve bits with a sign, below four that mean nothing."""
    cells = (signed().view(np.uint16) & 0x0FFF) | 0xA000
    dataset = add_image(_secondary(token), cells)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 1
    return [dataset]


LUT_FIRST = 10
LUT_VALUES = (100, 300, 350, 900, 1000, 1100, 1200, 1900)


def _lut(token: str) -> list[Dataset]:
    """A Modality LUT of eight entries, from stored value 10 on."""
    dataset = add_image(_secondary(token), (ramp() // 8).astype(np.uint8))
    item = Dataset()
    item.add_new(0x00283002, "US", [len(LUT_VALUES), LUT_FIRST, 16])
    item.ModalityLUTType = "US"
    item.add_new(0x00283006, "US", list(LUT_VALUES))
    dataset.ModalityLUTSequence = Sequence([item])
    return [dataset]


def _voi(token: str) -> list[Dataset]:
    """A VOI LUT that turns the grey levels round, and no window."""
    dataset = add_image(_secondary(token), ramp())
    item = Dataset()
    item.add_new(0x00283002, "US", [256, 0, 8])
    item.add_new(0x00283006, "US", list(range(255, -1, -1)))
    dataset.VOILUTSequence = Sequence([item])
    return [dataset]


def _inverted(token: str) -> list[Dataset]:
    """MONOCHROME1: the least value is white."""
    return [add_image(_secondary(token), ramp(), "MONOCHROME1")]


def _overlay(token: str) -> list[Dataset]:
    """An overlay without rows, far outside the image."""
    dataset = add_image(_secondary(token), ramp())
    dataset.add_new(0x60000010, "US", 0)
    dataset.add_new(0x60000011, "US", 24)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [900, -900])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    return [dataset]


ENHANCED = ((1000.0, 2.0, 1100.0, 600.0), (-50.0, 0.5, 0.0, 80.0))  # intercept, slope, window


def _enhanced(token: str) -> list[Dataset]:
    """Two frames, each with a rescale and a window of its own in its functional groups."""
    dataset = dataset_of(token, EnhancedCTImageStorage, "CT", PatientID=f"{token}-5")
    add_image(dataset, np.stack([gradient(16, 24, n, np.uint8) for n in range(2)]))
    dataset.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    frames = []
    for intercept, slope, center, width in ENHANCED:
        group, values, window = Dataset(), Dataset(), Dataset()
        values.RescaleIntercept, values.RescaleSlope, values.RescaleType = intercept, slope, "HU"
        window.WindowCenter, window.WindowWidth = center, width
        group.PixelValueTransformationSequence = Sequence([values])
        group.FrameVOILUTSequence = Sequence([window])
        frames.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return [dataset]


def _real(token: str) -> list[Dataset]:
    """Pixels that are 32-bit floats, from -1 to 1."""
    dataset = dataset_of(token, ParametricMapStorage, "OT", PatientID=f"{token}-5")
    add_image(dataset, ramp()[None])
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = (ramp().astype("<f4") / 95.5 - 1).tobytes()
    return [dataset]


def _state(token: str) -> list[Dataset]:
    """An image, and a presentation state that shows its negative, in a window of its own."""
    image = add_image(_secondary(token), ramp())
    state = dataset_of(
        token,
        GrayscaleSoftcopyPresentationStateStorage,
        "PR",
        PatientID=f"{token}-5",
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesNumber=2,
    )
    state.ContentLabel, state.ContentDescription = "NEGATIVE", "of the suite"
    state.PresentationCreationDate, state.PresentationCreationTime = "20240131", "120000"
    state.ContentCreatorName = "Conformance^Suite"
    reference, series = Dataset(), Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedImageSequence = Sequence([reference])
    state.ReferencedSeriesSequence = Sequence([series])
    area, window = Dataset(), Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [COLUMNS, ROWS]
    area.PresentationSizeMode = "SCALE TO FIT"
    area.PresentationPixelAspectRatio = [1, 1]
    state.DisplayedAreaSelectionSequence = Sequence([area])
    window.WindowCenter, window.WindowWidth = "96", "192"
    state.SoftcopyVOILUTSequence = Sequence([window])
    state.PresentationLUTShape = "INVERSE"
    return [image, state]


# --- colour --------------------------------------------------------------------------------------


def _palette(token: str) -> list[Dataset]:
    """Palette colour: indices 0 to 3 are the bars; tables of 256 entries of 16 bits."""
    index = np.repeat(np.arange(4, dtype=np.uint8), COLUMNS // 4)
    array = np.broadcast_to(index, (ROWS, COLUMNS))
    dataset = add_image(_secondary(token), array, "PALETTE COLOR")
    for channel, name in enumerate(("Red", "Green", "Blue")):
        table = np.zeros(256, dtype="<u2")
        table[:4] = [bar[channel] * 257 for bar in BARS]
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{name}PaletteColorLookupTableData", table.tobytes())
    return [dataset]


def _planes(token: str) -> list[Dataset]:
    """RGB, a plane after the other."""
    dataset = add_image(_secondary(token), colour_bars(), "RGB")
    dataset.PlanarConfiguration = 1
    dataset.PixelData = colour_bars().transpose(2, 0, 1).tobytes()
    return [dataset]


def _ycc() -> np.ndarray:
    return np.asarray(Image.fromarray(colour_bars()).convert("YCbCr"))


def _full(token: str) -> list[Dataset]:
    """YBR_FULL, native."""
    return [add_image(_secondary(token), _ycc(), "YBR_FULL")]


def _halved(token: str) -> list[Dataset]:
    """YBR_FULL_422, native: two pixels in four bytes, Y Y Cb Cr."""
    ycc = _ycc()
    dataset = add_image(_secondary(token), ycc, "YBR_FULL_422")
    pairs = np.stack([ycc[:, ::2, 0], ycc[:, 1::2, 0], ycc[:, ::2, 1], ycc[:, ::2, 2]], axis=-1)
    dataset.PixelData = pairs.tobytes()
    return [dataset]


def _photo(token: str) -> list[Dataset]:
    """JPEG Baseline of the bars, as cameras make it."""
    return [_encapsulated(_secondary(token), [jpeg(colour_bars())])]


def jpeg(array: np.ndarray) -> bytes:
    target = BytesIO()
    Image.fromarray(array).save(target, "JPEG", quality=95, subsampling=1)
    return target.getvalue()


def _encapsulated(dataset: Dataset, frames: list[bytes]) -> Dataset:
    size = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    add_image(dataset, np.stack([size] * len(frames)) if len(frames) > 1 else size, "YBR_FULL_422")
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = "5", "ISO_10918_1"
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


# --- frames and streams --------------------------------------------------------------------------

FRAME_COLOURS = ((250, 20, 20), (20, 240, 20), (20, 20, 250))


def _fragments(token: str) -> list[Dataset]:
    """Three frames of JPEG, their places told in four ways: a fragment each and no table, a Basic
    Offset Table, an Extended one, and a table with two fragments a frame."""
    frames = [jpeg(np.full((ROWS, COLUMNS, 3), colour, np.uint8)) for colour in FRAME_COLOURS]
    frames = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    found = []
    for number in range(1, 5):
        dataset = dataset_of(
            token,
            MultiFrameTrueColorSecondaryCaptureImageStorage,
            "OT",
            PatientID=f"{token}-5",
            InstanceNumber=number,
        )
        found.append(_encapsulated(dataset, frames))
    for dataset in found[1:]:
        dataset.StudyInstanceUID = found[0].StudyInstanceUID
        dataset.SeriesInstanceUID = found[0].SeriesInstanceUID
    found[0].PixelData = encapsulate(frames, has_bot=False)
    found[1].PixelData = encapsulate(frames, has_bot=True)
    pixels, offsets, lengths = encapsulate_extended(frames)
    found[2].PixelData = pixels
    found[2].ExtendedOffsetTable, found[2].ExtendedOffsetTableLengths = offsets, lengths
    found[3].PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=True)
    return found


def bits() -> np.ndarray:
    """Three frames of single bits: (3, 5, 5), uint8 of 0 and 1."""
    return ((np.arange(75) * 7 % 5) < 2).astype(np.uint8).reshape(3, 5, 5)


def _bits(token: str) -> list[Dataset]:
    """Frames that do not end where a byte does."""
    sop_class = MultiFrameSingleBitSecondaryCaptureImageStorage
    dataset = add_image(dataset_of(token, sop_class, "OT", PatientID=f"{token}-5"), bits())
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    data = np.packbits(bits().ravel(), bitorder="little").tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return [dataset]


def _video(token: str) -> list[Dataset]:
    """Ten pictures in H.264, in an MP4 file, as one fragment."""
    dataset = dataset_of(token, VideoPhotographicImageStorage, "XC", PatientID=f"{token}-5")
    add_image(dataset, np.zeros((1, 64, 64, 3), np.uint8), "YBR_PARTIAL_420")
    dataset.NumberOfFrames, dataset.CineRate, dataset.FrameTime = 10, 25, "40"
    dataset.FrameIncrementPointer = 0x00181063
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = "60", "ISO_14496_10"
    dataset.PixelData = encapsulate([VIDEO])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    return [dataset]


def _swapped(token: str) -> list[Dataset]:
    """Sixteen bits in Explicit VR Big Endian, which is retired, and which archives hold."""
    dataset = add_image(_secondary(token), gradient(ROWS, COLUMNS, 7))
    dataset.PixelData = gradient(ROWS, COLUMNS, 7).astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    return [dataset]


PICTURES: dict[str, Callable[[str], list[Dataset]]] = {
    "signed": _signed,
    "lut": _lut,
    "voi": _voi,
    "inverted": _inverted,
    "overlay": _overlay,
    "enhanced": _enhanced,
    "real": _real,
    "state": _state,
    "palette": _palette,
    "planes": _planes,
    "full": _full,
    "halved": _halved,
    "photo": _photo,
    "fragments": _fragments,
    "bits": _bits,
    "video": _video,
    "swapped": _swapped,
}
