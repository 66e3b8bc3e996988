"""Whole slide images: a pyramid of tiled levels, one instance each (PS3.3 A.32.8)."""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.make.files import EMPTY, dataset_with, part10, uid

TILE = 64  # pixels of a side
_SPACING = 0.001  # mm of a pixel of the largest level


def slide_pixels(*, rows: int = 200, columns: int = 300, level: int = 0) -> NDArray[np.uint8]:
    """A level of the slide: (rows, columns, 3) >> `level`, smooth, with no two tiles alike."""
    down, across = np.mgrid[0 : rows >> level, 0 : columns >> level] << level
    disc = 100 * (np.hypot(down - rows / 2, across - columns / 2) < min(rows, columns) / 3)
    planes = [255 * down // rows, 255 * across // columns, disc + (down + across) // 8 % 100]
    return np.stack(planes, axis=-1).astype(np.uint8)


def slide_of(
    levels: int,
    *,
    transfer_syntax: str = uids.JPEG2000Lossless,
    rows: int = 200,
    columns: int = 300,
    **keywords: Any,
) -> list[bytes]:
    """The levels of one slide as PS3.10 files, the largest first; TILED_FULL, RGB of 8 bits.

    Tiles at the right and lower edges are filled up with black. JPEG Baseline is lossy; Explicit
    VR Little Endian and JPEG 2000 (as RGB) hold the pixels of `slide_pixels` exactly.
    """
    return [
        _level(
            slide_pixels(rows=rows, columns=columns, level=level), level, transfer_syntax, keywords
        )
        for level in range(levels)
    ]


def _level(
    pixels: NDArray[np.uint8], level: int, transfer_syntax: str, keywords: dict[str, Any]
) -> bytes:
    rows, columns, _ = pixels.shape
    tiles = _tiles(pixels)
    lossy = transfer_syntax == uids.JPEGBaseline8Bit
    dataset = dataset_with(
        **{
            "SOPClassUID": uids.VLWholeSlideMicroscopyImageStorage,
            "SOPInstanceUID": uid("slide", level, transfer_syntax, sorted(keywords.items())),
            "StudyInstanceUID": uid("slide study"),
            "SeriesInstanceUID": uid("slide series"),
            **EMPTY,
            "Modality": "SM",
            "SeriesNumber": 1,
            "InstanceNumber": level + 1,
            "ImageType": ["ORIGINAL" if level == 0 else "DERIVED", "PRIMARY", "VOLUME", "NONE"],
            "ContentDate": "20240102",
            "ContentTime": "101500",
            "AcquisitionDateTime": "20240102101500",
            "Manufacturer": "Tests",
            "ManufacturerModelName": "Tests",
            "DeviceSerialNumber": "1",
            "SoftwareVersions": "1",
            "FrameOfReferenceUID": uid("slide frame of reference"),
            "PositionReferenceIndicator": "SLIDE_CORNER",
            "ContainerIdentifier": "S1",
            "IssuerOfTheContainerIdentifierSequence": [],
            "ContainerTypeCodeSequence": [_code("433466003", "SCT", "Microscope slide")],
            "SpecimenDescriptionSequence": [_specimen()],
            "AcquisitionContextSequence": [],
            "DimensionOrganizationSequence": [_item(DimensionOrganizationUID=uid("slide tiles"))],
            "DimensionOrganizationType": "TILED_FULL",
            "ImagedVolumeWidth": 10.0,
            "ImagedVolumeHeight": 10.0,
            "ImagedVolumeDepth": 1.0,
            "TotalPixelMatrixColumns": columns,
            "TotalPixelMatrixRows": rows,
            "TotalPixelMatrixFocalPlanes": 1,
            "TotalPixelMatrixOriginSequence": [
                _item(XOffsetInSlideCoordinateSystem=20, YOffsetInSlideCoordinateSystem=40)
            ],
            "ImageOrientationSlide": [0, -1, 0, -1, 0, 0],
            "SpecimenLabelInImage": "NO",
            "FocusMethod": "AUTO",
            "ExtendedDepthOfField": "NO",
            "BurnedInAnnotation": "NO",
            "VolumetricProperties": "VOLUME",
            "NumberOfOpticalPaths": 1,
            "OpticalPathSequence": [_optical_path()],
            "SharedFunctionalGroupsSequence": [_shared(level)],
            "SamplesPerPixel": 3,
            "PhotometricInterpretation": "YBR_FULL_422" if lossy else "RGB",
            "PlanarConfiguration": 0,
            "NumberOfFrames": len(tiles),
            "Rows": TILE,
            "Columns": TILE,
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "LossyImageCompression": "01" if lossy else "00",
        }
        | (
            {"LossyImageCompressionRatio": 10, "LossyImageCompressionMethod": "ISO_10918_1"}
            if lossy
            else {}
        )
        | keywords
    )
    coded = [_encode(tile, transfer_syntax) for tile in tiles]
    if uids.UID(transfer_syntax).is_encapsulated:
        dataset.PixelData = encapsulate(coded)
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.PixelData = b"".join(coded)
    dataset["PixelData"].VR = "OB"
    return part10(dataset, transfer_syntax)


def _tiles(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    rows, columns, _ = pixels.shape
    whole = np.pad(pixels, ((0, -rows % TILE), (0, -columns % TILE), (0, 0)))
    return [
        whole[down : down + TILE, across : across + TILE]
        for down in range(0, rows, TILE)
        for across in range(0, columns, TILE)
    ]


def _encode(tile: NDArray[np.uint8], transfer_syntax: str) -> bytes:
    if transfer_syntax == uids.JPEGBaseline8Bit:
        return bytes(imagecodecs.jpeg8_encode(tile, level=95, subsampling="422"))
    if transfer_syntax == uids.JPEG2000Lossless:
        options = {"level": 0, "codecformat": "j2k", "reversible": True, "mct": False}
        return bytes(imagecodecs.jpeg2k_encode(tile, **options))
    return tile.tobytes()


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _specimen() -> Dataset:
    return _item(
        SpecimenIdentifier="S1",
        SpecimenUID=uid("slide specimen"),
        IssuerOfTheSpecimenIdentifierSequence=[],
        SpecimenPreparationSequence=[],
    )


def _optical_path() -> Dataset:
    return _item(
        OpticalPathIdentifier="1",
        IlluminationTypeCodeSequence=[_code("111744", "DCM", "Brightfield illumination")],
        IlluminationColorCodeSequence=[_code("414298005", "SCT", "Full Spectrum")],
        ICCProfile=_profile(),
    )


def _profile() -> bytes:
    """sRGB, without the time when it was made (bytes 24 to 35 of an ICC profile)."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = made[:24] + bytes(12) + made[36:]
    return profile + b"\0" * (len(profile) % 2)


def _shared(level: int) -> Dataset:
    size = _SPACING * 2**level
    measures = _item(PixelSpacing=[size, size], SliceThickness=0.001)
    frame = _item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    return _item(
        PixelMeasuresSequence=[measures],
        WholeSlideMicroscopyImageFrameTypeSequence=[frame],
        OpticalPathIdentificationSequence=[_item(OpticalPathIdentifier="1")],
    )
