"""Presentation states for images made here (PS3.3 A.33)."""

from typing import Any

from pydicom import uid as uids
from pydicom.dataset import Dataset

from tests.make.files import EMPTY, dataset_with, part10


def item(**keywords: Any) -> Dataset:
    """An item of a sequence with these attributes."""
    made = Dataset()
    for name, value in keywords.items():
        setattr(made, name, value)
    return made


def reference(image: Dataset, *frames: int) -> Dataset:
    """An item of a Referenced Image Sequence."""
    made = item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )
    if frames:
        made.ReferencedFrameNumber = list(frames)
    return made


def graphic(kind: str, *data: float, units: str = "PIXEL", **keywords: Any) -> Dataset:
    """An item of a Graphic Object Sequence."""
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(data) // 2,
        GraphicData=[float(value) for value in data],
        GraphicType=kind,
        **keywords,
    )


def text(
    value: str,
    box: tuple[float, float, float, float] | None = None,
    anchor: tuple[float, float] | None = None,
    units: str = "PIXEL",
    **keywords: Any,
) -> Dataset:
    """An item of a Text Object Sequence; `box` is left, top, right, bottom."""
    made = item(UnformattedTextValue=value, **keywords)
    if box:
        made.BoundingBoxAnnotationUnits = units
        made.BoundingBoxTopLeftHandCorner = list(box[:2])
        made.BoundingBoxBottomRightHandCorner = list(box[2:])
        made.BoundingBoxTextHorizontalJustification = "LEFT"
    if anchor:
        made.AnchorPointAnnotationUnits = units
        made.AnchorPoint = list(anchor)
        made.AnchorPointVisibility = "Y"
    return made


def state_attributes(*images: Dataset, **keywords: Any) -> Dataset:
    """The data set of a Grayscale Softcopy Presentation State for `images`, all of one series: no
    step but an identity Presentation LUT, unless `keywords` say more. None leaves out one."""
    first = images[0]
    values = {
        **EMPTY,
        "SOPClassUID": uids.GrayscaleSoftcopyPresentationStateStorage,
        "StudyInstanceUID": first.StudyInstanceUID,
        "Modality": "PR",
        "ContentLabel": "STATE",
        "ContentDescription": "",
        "PresentationCreationDate": "20240102",
        "PresentationCreationTime": "101500",
        "ContentCreatorName": "Test^Reader",
        "PresentationLUTShape": "IDENTITY",
        "DisplayedAreaSelectionSequence": [area(1, 1, first.Columns, first.Rows)],
        "ReferencedSeriesSequence": [
            item(
                SeriesInstanceUID=first.SeriesInstanceUID,
                ReferencedImageSequence=[reference(image) for image in images],
            )
        ],
    } | keywords
    return dataset_with(**values)


def presentation_state(*images: Dataset, **keywords: Any) -> bytes:
    """`state_attributes` as a PS3.10 file."""
    return part10(state_attributes(*images, **keywords))


def area(
    left: int, top: int, right: int, bottom: int, mode: str = "SCALE TO FIT", **keywords: Any
) -> Dataset:
    """An item of the Displayed Area Selection Sequence; columns and rows count from 1."""
    values = {"PresentationPixelAspectRatio": [1, 1]} | keywords
    return item(
        DisplayedAreaTopLeftHandCorner=[left, top],
        DisplayedAreaBottomRightHandCorner=[right, bottom],
        PresentationSizeMode=mode,
        **values,
    )


def layer(name: str = "ONE", order: int = 1, **keywords: Any) -> Dataset:
    """An item of the Graphic Layer Sequence."""
    return item(GraphicLayer=name, GraphicLayerOrder=order, **keywords)


def annotation(*objects: Dataset, name: str = "ONE", **keywords: Any) -> Dataset:
    """An item of the Graphic Annotation Sequence with graphics and texts."""
    graphics = [each for each in objects if "GraphicType" in each]
    texts = [each for each in objects if "UnformattedTextValue" in each]
    made = item(GraphicLayer=name, **keywords)
    if graphics:
        made.GraphicObjectSequence = graphics
    if texts:
        made.TextObjectSequence = texts
    return made


def overlay(dataset: Dataset, bits: Any, group: int = 0x6000, layer: str = "", **more: Any) -> None:
    """Put an overlay of `bits`, (rows, columns) or (frames, rows, columns), into a data set."""
    import numpy as np

    rows, columns = bits.shape[-2:]
    stream = np.packbits(bits.ravel() != 0, bitorder="little").tobytes()
    values = {
        0x0010: ("US", rows),
        0x0011: ("US", columns),
        0x0040: ("CS", "G"),
        0x0050: ("SS", [1, 1]),
        0x0100: ("US", 1),
        0x0102: ("US", 0),
        0x3000: ("OW", stream + b"\0" * (len(stream) % 2)),
    }
    if bits.ndim == 3:
        values[0x0015] = ("IS", len(bits))
        values[0x0051] = ("US", 1)
    if layer:
        values[0x1001] = ("CS", layer)
    values |= more.get("elements", {})
    for element, (vr, value) in sorted(values.items()):
        dataset.add_new(group << 16 | element, vr, value)
