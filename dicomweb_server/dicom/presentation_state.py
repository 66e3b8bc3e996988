"""Softcopy presentation states: what they refer to, and an image shown through one (PS3.4 N.2).

The order is that of PS3.4 N.2: Modality LUT, mask, VOI LUT, Presentation LUT (or palette),
shutter, spatial transformation and displayed area, then overlays and graphics, layer by layer,
in the picture. What makes no sense in a state is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dicomweb_server.dicom.blending import BLENDING, Superimposed, blended
from dicomweb_server.dicom.canvas import Canvas
from dicomweb_server.dicom.cielab import WHITE, Colour, colour_of, grey_of
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.displayed_area import Geometry, geometry
from dicomweb_server.dicom.graphic_text import draw_texts
from dicomweb_server.dicom.graphics import Budget, draw_graphics
from dicomweb_server.dicom.json_values import first_item, first_number, first_text, number, values
from dicomweb_server.dicom.overlays import activation_layers, overlay_plane
from dicomweb_server.dicom.pixels import Array, Decoded, ImagePixel
from dicomweb_server.dicom.rendering import pixel_height, show
from dicomweb_server.dicom.shutters import Truth, shutter, shutter_colour, shutter_group
from dicomweb_server.dicom.softcopy import Mask, applies_to, softcopy
from dicomweb_server.dicom.viewing import RenderOptions

Picture = np.ndarray[Any, np.dtype[np.uint8]]

GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOR = "1.2.840.10008.5.1.4.1.1.11.3"
XA_XRF_GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.5"
VARIABLE_MODALITY_LUT = "1.2.840.10008.5.1.4.1.1.11.12"

# SOP Classes of states that are shown: those of one image, and of one that lies on another.
PRESENTATION_STATES: frozenset[str] = frozenset(
    {GRAYSCALE, COLOR, PSEUDO_COLOR, XA_XRF_GRAYSCALE, VARIABLE_MODALITY_LUT, BLENDING}
)

MAX_REFERENCES = 10_000  # images or frames
MAX_MASK_FRAMES = 16
_MAX_ITEMS = 2000  # of the Graphic Annotation Sequence


class Reference(NamedTuple):
    """An image that a state is for. `frames`: those of it, counted from 1; none given means all."""

    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()


def references(state: JsonDataset) -> list[Reference]:
    """The images of the Presentation State Relationship Module (PS3.3 C.11.11), in their order."""
    found: list[Reference] = []
    left = MAX_REFERENCES
    for series in values(state, "00081115"):
        if not isinstance(series, dict):
            continue
        uid = first_text(series, "0020000E")
        for image in values(series, "00081140"):
            instance = first_text(image, "00081155") if isinstance(image, dict) else ""
            if uid and instance:
                numbers = [number(value) for value in values(image, "00081160")]
                frames = tuple(int(n) for n in numbers if n is not None and 1 <= n < 2**31)
                found.append(Reference(uid, instance, frames[:MAX_REFERENCES]))
                left -= max(1, len(frames))
            if left <= 0:
                return found
    return found


@dataclass(frozen=True, slots=True)
class MaskRule:
    """Which frames of the same image are the mask of a frame (PS3.3 C.11.13)."""

    frames: tuple[int, ...] = ()  # AVG_SUB: these, counted from 1
    offset: int | None = None  # TID: the one this far before
    averaged: int = 1  # frames, from that which is shown on, whose mean it is subtracted from

    def frames_of(self, frame: int) -> tuple[int, ...]:
        """Those whose mean is subtracted from `frame`; some may not exist."""
        if self.offset is not None:
            return (frame - self.offset,) if self.offset else ()
        return self.frames

    def averaged_with(self, frame: int) -> tuple[int, ...]:
        """The frames after `frame` that it is averaged with before; some may not exist."""
        return tuple(range(frame + 1, frame + self.averaged)) if self.frames_of(frame) else ()


def mask_rule(state: JsonDataset) -> MaskRule:
    """The Presentation State Mask Module, MAX_MASK_FRAMES of each kind at the most."""
    mask = first_item(state, "00286100") or {}
    operation = first_text(mask, "00286101")
    contrast = first_number(mask, "00286112")  # Contrast Frame Averaging
    averaged = int(min(max(contrast or 1, 1), MAX_MASK_FRAMES))
    if operation == "AVG_SUB":
        numbers = [number(value) for value in values(mask, "00286110")[:MAX_MASK_FRAMES]]
        frames = tuple(int(n) for n in numbers if n is not None and 1 <= n < 2**31)
        return MaskRule(frames, averaged=averaged)
    if operation == "TID":
        offset = first_number(mask, "00286120")
        told = 1 if offset is None or abs(offset) >= 2**31 else int(offset)
        return MaskRule(offset=told, averaged=averaged)
    return MaskRule()


def present(
    decoded: Decoded,
    image: ImagePixel,
    dataset: JsonDataset,
    frame: int,
    state: JsonDataset,
    options: RenderOptions,
    masks: Sequence[Array] = (),
    averaged: Sequence[Array] = (),
    *,
    over: Superimposed | None = None,
    longest: int | None = None,
    texts: bool = True,
) -> Picture:
    """Frame `frame` of an image, counted from 1, shown through `state`: uint8, (rows, columns) or
    (rows, columns, 3).

    `dataset` and `state` are DICOM JSON objects whose binary values are all inline. `masks` are
    the stored values of the frames of its `mask_rule`, `averaged` those of the frames that are
    averaged with this one; `over` is the frame that a blending state lays on it. Of `options`
    only the viewport's width and height count (VP-09). `longest` is the most pixels a side of a
    thumbnail may have; without `texts` neither text objects nor overlays are drawn, which may hold
    names (THB-03). Raises UndecodablePixels for what cannot be blended.
    """
    uid = first_text(dataset, "00080018")
    mask = Mask(masks, _shift(state), averaged) if masks else None
    if first_text(state, "00080016") == BLENDING:
        picture = blended(decoded, image, dataset, frame, state, over)
    else:
        picture = _levels(decoded, image, dataset, frame, state, uid, mask)
    rows, columns = picture.shape[:2]
    covered = shutter(state, dataset, rows, columns, frame, pixel_height(dataset, frame))
    if covered is not None:
        picture = _covered(picture, covered, shutter_colour(state))
    viewport = options.viewport
    box = (viewport.width, viewport.height) if viewport else None
    area = _applying(state, "0070005A", uid, frame)
    way = geometry(rows, columns, area, state, box, longest)
    canvas = Canvas(way.of_plane(picture))
    _draw_layers(canvas, way, state, dataset, uid, frame, (rows, columns), texts)
    return canvas.picture


def _covered(picture: Picture, covered: Truth, colour: Colour) -> Picture:
    if picture.ndim == 2 and max(colour) == min(colour):
        return np.where(covered, np.uint8(colour[0]), picture)
    rgb = np.repeat(picture[:, :, np.newaxis], 3, axis=2) if picture.ndim == 2 else picture
    return np.where(covered[:, :, np.newaxis], np.array(colour, np.uint8), rgb)


def _levels(
    decoded: Decoded,
    image: ImagePixel,
    dataset: JsonDataset,
    frame: int,
    state: JsonDataset,
    uid: str,
    mask: Mask | None,
) -> Picture:
    sop_class = first_text(state, "00080016")
    palette = decoded.photometric_interpretation == "PALETTE COLOR"
    if decoded.array.ndim == 3 or palette or sop_class == COLOR:
        return show(decoded, image, dataset, frame, None)  # no grayscale step is for colour
    return softcopy(
        decoded.array,
        image,
        dataset,
        state if sop_class == PSEUDO_COLOR else _without_palette(state),
        _applying(state, "00283110", uid, frame),
        frame,
        mask,
        modality_of_image=sop_class == VARIABLE_MODALITY_LUT,
    )


def _without_palette(state: JsonDataset) -> JsonDataset:
    return {tag: value for tag, value in state.items() if not tag.startswith("002811")}


def _shift(state: JsonDataset) -> tuple[float, float]:
    mask = first_item(state, "00286100") or {}
    shift = [number(value) for value in values(mask, "00286114")[:2]]
    if len(shift) < 2 or None in shift:
        return 0.0, 0.0
    return float(shift[0] or 0), float(shift[1] or 0)


def _applying(state: JsonDataset, sequence: str, uid: str, frame: int) -> JsonDataset | None:
    """The first item of a sequence of `state` that is for the frame, None if none is."""
    for found in values(state, sequence):
        if isinstance(found, dict) and applies_to(found, uid, frame):
            return found
    return None


def _draw_layers(
    canvas: Canvas,
    way: Geometry,
    state: JsonDataset,
    dataset: JsonDataset,
    uid: str,
    frame: int,
    matrix: tuple[int, int],
    texts: bool,
) -> None:
    """Draw the graphic layers in their order, each with its overlays and graphics (C.10.7)."""
    colours = _layers(state)
    annotations = [
        item
        for item in values(state, "00700001")[:_MAX_ITEMS]
        if isinstance(item, dict) and applies_to(item, uid, frame)
    ]
    overlays = activation_layers(state) if texts else {}
    overlays.pop(shutter_group(state) or 0, None)
    named = [*overlays.values(), *(first_text(item, "00700002") for item in annotations)]
    budget = Budget()
    for name in dict.fromkeys([*colours, *named]):
        colour = colours.get(name, WHITE)
        for group in (group for group, layer in overlays.items() if layer == name):
            own = f"{group:04X}3000" in state  # or else that of the image is shown
            plane = overlay_plane(state if own else dataset, group, *matrix, frame)
            if plane is not None:
                canvas.paint(way.of_plane(plane), colour)
        for item in (item for item in annotations if first_text(item, "00700002") == name):
            draw_graphics(canvas, item, way, colour, budget)
            if texts:
                draw_texts(canvas, item, way, colour, budget)


def _layers(state: JsonDataset) -> dict[str, Colour]:
    """The colours of the graphic layers, the lowest first."""
    found = []
    for item in values(state, "00700060")[:_MAX_ITEMS]:
        if not isinstance(item, dict):
            continue
        order = first_number(item, "00700062")
        colour = colour_of(item, "00700401") or grey_of(item, "00700066") or WHITE
        found.append(
            (float("inf") if order is None else order, first_text(item, "00700002"), colour)
        )
    found.sort(key=lambda layer: layer[0])
    return {name: colour for _, name, colour in found}
