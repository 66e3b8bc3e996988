"""Overlay Planes (PS3.3 C.9.2 and C.9.3) as masks of the size of the image they lie on."""

import base64
import binascii
from typing import Any

import numpy as np

from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.image_pixel import ImagePixel
from dicomweb_server.dicom.json_values import first_number, first_text, number, values

Plane = np.ndarray[Any, np.dtype[np.uint8]]

GROUPS = range(0x6000, 0x6020, 2)
_MAX_SIDE = 65535


def overlay_group(value: Any) -> int | None:
    """A value as the group of an overlay, 0x6000 to 0x601E; None if it is not one."""
    found = number(value)
    return int(found) if found is not None and found in GROUPS else None


def overlay_data_tags() -> list[str]:
    """The tags of Overlay Data, all groups."""
    return [f"{group:04X}3000" for group in GROUPS]


def activation_layers(state: JsonDataset) -> dict[int, str]:
    """By group, the graphic layer in which an overlay is shown (PS3.3 C.11.7).

    Those without one are not shown.
    """
    layers = {group: first_text(state, f"{group:04X}1001") for group in GROUPS}
    return {group: layer for group, layer in layers.items() if layer}


def overlay_plane(
    dataset: JsonDataset, group: int, rows: int, columns: int, frame: int
) -> Plane | None:
    """The overlay of `group` as it lies on frame `frame`, counted from 1, of an image.

    (rows, columns) of 0 or 255. None if there is none for the frame, it makes no sense (GRY-11),
    or its bits are among those of the pixels (retired).
    """
    prefix = f"{group:04X}"
    height, width = (_side(dataset, prefix + element) for element in ("0010", "0011"))
    allocated = first_number(dataset, prefix + "0100")
    raw = _bytes(dataset, prefix + "3000")
    if not height or not width or raw is None or allocated not in (None, 1):
        return None
    index = _frame_of_overlay(dataset, prefix, frame)
    if index is None:
        return None
    begin = index * height * width
    end = begin + height * width
    if len(raw) * 8 < end:
        return None
    octets = np.frombuffer(raw, np.uint8)[begin // 8 : (end + 7) // 8]
    bits = np.unpackbits(octets, bitorder="little")[begin % 8 :][: height * width]
    return _on_image(bits.reshape(height, width), _origin(dataset, prefix), rows, columns)


def embedded_overlays(dataset: JsonDataset, data: bytes, image: ImagePixel) -> JsonDataset:
    """Overlays in unused bits of the cells of a native frame `data` (retired, PS3.3-2004 C.9.2),
    as attributes of Overlay Planes of their own that are for this frame alone."""
    found: JsonDataset = {}
    for group in GROUPS:
        prefix = f"{group:04X}"
        position = first_number(dataset, prefix + "0102")
        if prefix + "3000" in dataset or position is None or not _is_unused(int(position), image):
            continue
        cells = np.frombuffer(data, f"<u{image.bits_allocated // 8}")
        if len(cells) < image.rows * image.columns:
            continue
        bits = (cells[: image.rows * image.columns] >> int(position)) & 1
        packed = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
        found[prefix + "0010"] = {"vr": "US", "Value": [image.rows]}
        found[prefix + "0011"] = {"vr": "US", "Value": [image.columns]}
        found[prefix + "0100"] = {"vr": "US", "Value": [1]}
        found[prefix + "3000"] = {"vr": "OW", "InlineBinary": base64.b64encode(packed).decode()}
        for element in ("0015", "0050", "0051"):  # frames and origin
            found[prefix + element] = {"vr": "IS"}
    return found


def _is_unused(position: int, image: ImagePixel) -> bool:
    """Whether a bit of each cell is none of the pixel's."""
    if image.bits_allocated not in (8, 16, 32) or image.samples_per_pixel != 1:
        return False
    lowest = image.high_bit - image.bits_stored + 1
    return 0 <= position < image.bits_allocated and not lowest <= position <= image.high_bit


def _on_image(bits: Plane, origin: tuple[int, int], rows: int, columns: int) -> Plane | None:
    """`bits` with their upper left pixel at `origin`, row and column counted from 1."""
    top, left = origin[0] - 1, origin[1] - 1
    part = bits[max(0, -top) : max(0, rows - top), max(0, -left) : max(0, columns - left)]
    if not part.size:
        return None
    plane = np.zeros((rows, columns), np.uint8)
    top, left = max(0, top), max(0, left)
    plane[top : top + part.shape[0], left : left + part.shape[1]] = part * 255
    return plane


def _frame_of_overlay(dataset: JsonDataset, prefix: str, frame: int) -> int | None:
    """Which frame of the overlay, from 0, lies on that of the image; None for none (C.9.3)."""
    count = int(first_number(dataset, prefix + "0015") or 1)
    if count == 1 and not values(dataset, prefix + "0051"):
        return 0  # one for all
    first = int(first_number(dataset, prefix + "0051") or 1)
    index = frame - first
    return index if 0 <= index < count else None


def _origin(dataset: JsonDataset, prefix: str) -> tuple[int, int]:
    found = [number(value) for value in values(dataset, prefix + "0050")[:2]]
    if len(found) < 2 or None in found:
        return 1, 1
    return int(found[0] or 0), int(found[1] or 0)


def _side(dataset: JsonDataset, tag: str) -> int:
    found = first_number(dataset, tag)
    return int(found) if found is not None and 1 <= found <= _MAX_SIDE else 0


def _bytes(dataset: JsonDataset, tag: str) -> bytes | None:
    element = dataset.get(tag)
    inline = element.get("InlineBinary") if isinstance(element, dict) else None
    if not isinstance(inline, str):
        return None
    try:
        return base64.b64decode(inline)
    except (binascii.Error, ValueError):
        return None
