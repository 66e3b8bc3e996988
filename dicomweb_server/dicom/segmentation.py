"""Segmentations (PS3.3 C.8.20): which frames lie on one slice, on which image, in which colours.

Segments are drawn over the image that they were made from, half transparent; where that is not to
be had, on black.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from dicomweb_server.dicom.canvas import Canvas
from dicomweb_server.dicom.cielab import Colour, colour_of
from dicomweb_server.dicom.colour import palette, through_palette
from dicomweb_server.dicom.description import JsonDataset
from dicomweb_server.dicom.json_values import (
    PER_FRAME_FUNCTIONAL_GROUPS,
    first_number,
    first_text,
    functional_group,
    number,
    values,
)
from dicomweb_server.dicom.lookup_tables import LookupTable
from dicomweb_server.dicom.pixels import Array, ImagePixel
from dicomweb_server.errors import ContentTooLarge, UndecodablePixels

Picture = np.ndarray[Any, np.dtype[np.uint8]]

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
SEGMENTATIONS: frozenset[str] = frozenset({SEGMENTATION, LABEL_MAP_SEGMENTATION})

OPACITY = 0.5  # of segments over an image
MAX_FRAMES = 256  # that are drawn over each other
MAX_LOOKED_AT = 100_000  # frames; a file with a bit for each may have millions
MAX_SOURCES = 8  # images that are looked for
MAX_SEGMENTS = 65535
_FARTHEST = 1e9  # mm or another unit; what is beyond is a mistake
_NEAR = 1e-2  # mm, within which positions are the same

Key = tuple[Any, ...]  # of a slice


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image that a frame was made from; UIDs that are not told are empty, `frame` 0."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """Frames of a segmentation that lie on each other, counted from 1, with the segment of each
    (None where its values tell), and the images they may lie on, the likeliest first.

    `place` is where in space they lie, None if that is not told. `series` are those to look
    through for an image that lies there, as (study, series).
    """

    frames: tuple[tuple[int, int | None], ...]
    sources: tuple[SourceImage, ...]
    series: tuple[tuple[str, str], ...]
    place: "Place | Tile | None"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies: Frame of Reference, position (mm), orientation, rows and columns."""

    frame_of_reference_uid: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    matrix: tuple[int, int]

    def is_of(self, other: "Place") -> bool:
        """Whether both are the same, within what writers round."""
        return (
            self.frame_of_reference_uid == other.frame_of_reference_uid
            and self.matrix == other.matrix
            and bool(np.allclose(self.position, other.position, rtol=0, atol=_NEAR))
            and bool(np.allclose(self.orientation, other.orientation, rtol=0, atol=1e-3))
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a slide whose frames are all of its tiles, one after the other (TILED_FULL): rows
    and columns of the whole, of a tile, and which it is, from 1."""

    matrix: tuple[float | None, ...]
    number: int


def slice_of(dataset: JsonDataset, frame: int, count: int, *, alone: bool) -> Slice:
    """The slice of frame `frame` of a segmentation of `count` frames; with no other frame if
    `alone`.

    Raises ContentTooLarge for one of more frames than are drawn over each other, or looked at.
    """
    grouped = count == 1 or bool(values(dataset, PER_FRAME_FUNCTIONAL_GROUPS))
    if alone:
        chosen = [frame]
    elif grouped:
        if count > MAX_LOOKED_AT:
            raise ContentTooLarge(f"more than {MAX_LOOKED_AT} frames: they can be had one by one")
        key = _key(dataset, frame)
        others = [n for n in range(1, count + 1) if n != frame and _key(dataset, n) == key]
        chosen = sorted([frame, *others])
    else:
        chosen = _tiled(dataset, frame, count)
    if len(chosen) > MAX_FRAMES:  # without some of them the picture would be wrong
        raise ContentTooLarge(
            f"{len(chosen)} frames lie on each other, and at most {MAX_FRAMES} are drawn: they can "
            "be had one by one"
        )
    if grouped:
        told = [(n, _segment(dataset, n)) for n in chosen]
    else:
        told = _tiled_segments(dataset, chosen)
    told.sort(key=lambda pair: pair[1] or 0)
    series, known = _referenced_series(dataset)
    sources = _sources(dataset, frame, known)
    place = place_of(dataset, frame) or _tile_of(dataset, frame)
    return Slice(tuple(told), sources, series, place)


def representative(dataset: JsonDataset, count: int) -> int:
    """The frame whose slice stands for a segmentation: the one it names, else one of the slice in
    the middle."""
    told = first_number(dataset, "00286010")
    if told is not None and 1 <= told <= count:
        return int(told)
    if not values(dataset, PER_FRAME_FUNCTIONAL_GROUPS):
        return (min(count, _tiles(dataset)) + 1) // 2
    slices: dict[Key, int] = {}
    for frame in range(1, min(count, MAX_LOOKED_AT) + 1):
        slices.setdefault(_key(dataset, frame), frame)
    keys = list(slices)
    if all(isinstance(value, int) for key in keys for value in key):
        keys.sort()  # positions; others are in the order of their frames
    return slices[keys[len(keys) // 2]]


def place_of(dataset: JsonDataset, frame: int) -> Place | None:
    """Where a frame of an image lies, by its functional groups or by the Image Plane Module."""
    position = functional_group(dataset, frame, "00209113") or dataset
    orientation = functional_group(dataset, frame, "00209116") or dataset
    where = _numbers(position, "00200032", 3)
    how = _numbers(orientation, "00200037", 6)
    rows, columns = first_number(dataset, "00280010"), first_number(dataset, "00280011")
    if where is None or how is None or rows is None or columns is None:
        return None
    reference = first_text(dataset, "00200052")
    return Place(reference, where, how, (int(rows), int(columns)))


def frame_at(dataset: JsonDataset, place: Place | Tile, count: int) -> int | None:
    """The frame of an image of `count` that lies at `place`; None if none does."""
    if isinstance(place, Tile):
        alike = _tile_of(dataset, place.number)
        return place.number if alike == place and place.number <= count else None
    for frame in range(1, count + 1):
        here = place_of(dataset, frame)
        if here is not None and here.is_of(place):
            return frame
    return None


def _numbers(dataset: JsonDataset, tag: str, count: int) -> tuple[float, ...] | None:
    found = [number(value) for value in values(dataset, tag)]
    known = tuple(v for v in found if v is not None and abs(v) < _FARTHEST)
    return known if len(known) == len(found) == count else None


# --- which frames -----------------------------------------------------------------------------


def _segment(dataset: JsonDataset, frame: int) -> int | None:
    found = first_number(functional_group(dataset, frame, "0062000A") or {}, "0062000B")
    return None if found is None else int(found)


def _key(dataset: JsonDataset, frame: int) -> Key:
    """What frames on one slice have in common: position, or place on a slide, or their source."""
    position = _numbers(functional_group(dataset, frame, "00209113") or {}, "00200032", 3)
    if position is not None:
        return tuple(round(value / _NEAR) for value in position)
    slide = functional_group(dataset, frame, "0048021A")
    if slide:
        tags = ("0048021E", "0048021F", "0040074A")  # column, row, Z offset
        return ("slide", *(first_number(slide, tag) for tag in tags))
    return tuple(
        (source.sop_instance_uid, source.frame) for source in _derived_from(dataset, frame, {})
    )


def _tiles(dataset: JsonDataset) -> int:
    """Tiles of one plane of a segmentation whose frames tell nothing of themselves (TILED_FULL)."""
    sides = []
    for total, side in (("00480007", "00280010"), ("00480006", "00280011")):
        whole, part = first_number(dataset, total), first_number(dataset, side)
        sides.append(ceil(whole / part) if whole and part and whole > 0 and part >= 1 else 1)
    planes = first_number(dataset, "00480303") or 1  # Total Pixel Matrix Focal Planes
    return max(1, sides[0] * sides[1] * int(max(1, planes)))


def _tile_of(dataset: JsonDataset, frame: int) -> Tile | None:
    if first_text(dataset, "00209311") != "TILED_FULL":
        return None
    tags = ("00480007", "00480006", "00280010", "00280011")
    matrix = tuple(first_number(dataset, tag) for tag in tags)
    return Tile(matrix, (frame - 1) % _tiles(dataset) + 1)


def _tiled(dataset: JsonDataset, frame: int, count: int) -> list[int]:
    """Of TILED_FULL: the same tile of each segment, which come one after the other (C.7.6.17.3)."""
    tiles = _tiles(dataset)
    return list(range((frame - 1) % tiles + 1, count + 1, tiles)[:MAX_LOOKED_AT])  # if ever so many


def _tiled_segments(dataset: JsonDataset, frames: Sequence[int]) -> list[tuple[int, int | None]]:
    """Of TILED_FULL: each of `frames` with its segment."""
    if first_text(dataset, "00620001") == "LABELMAP":
        return [(frame, None) for frame in frames]
    numbers, tiles = _segment_numbers(dataset), _tiles(dataset)
    places = ((frame, (frame - 1) // tiles) for frame in frames)
    return [(n, numbers[place] if place < len(numbers) else None) for n, place in places]


def _segment_numbers(dataset: JsonDataset) -> list[int]:
    found = (
        first_number(item, "00620004") if isinstance(item, dict) else None
        for item in values(dataset, "00620002")[:MAX_SEGMENTS]
    )
    return [int(value) for value in found if value is not None]


# --- on which image ---------------------------------------------------------------------------


def _sources(
    dataset: JsonDataset, frame: int, known: dict[str, tuple[str, str]]
) -> tuple[SourceImage, ...]:
    """The images that a frame was made from; of those that are told for all frames only one that
    is the only one, for of several each has its own slice."""
    derived = _derived_from(dataset, frame, known)
    if derived:
        return derived
    for_all = _images(dataset, known)
    if len(for_all) == 1:
        return for_all
    uids = [uid for uid in known if uid]
    return (SourceImage(*known[uids[0]], uids[0]),) if len(uids) == 1 else ()


def _derived_from(
    dataset: JsonDataset, frame: int, known: dict[str, tuple[str, str]]
) -> tuple[SourceImage, ...]:
    return _images(functional_group(dataset, frame, "00089124") or {}, known)


def _images(holder: JsonDataset, known: dict[str, tuple[str, str]]) -> tuple[SourceImage, ...]:
    """A Source Image Sequence, without those whose pixels lie elsewhere."""
    found = []
    for image in values(holder, "00082112"):
        if not isinstance(image, dict):
            continue
        uid = first_text(image, "00081155")
        if uid and first_text(image, "0028135A") in ("", "YES"):  # Spatial Locations Preserved
            told = first_number(image, "00081160")
            frame = int(told) if told is not None and 1 <= told < 2**31 else 0
            found.append(SourceImage(*known.get(uid, ("", "")), uid, frame))
        if len(found) == MAX_SOURCES:
            break
    return tuple(found)


def _referenced_series(
    dataset: JsonDataset,
) -> tuple[tuple[tuple[str, str], ...], dict[str, tuple[str, str]]]:
    """The series that are referred to, as (study, series), and of which each instance is one."""
    series: dict[tuple[str, str], None] = {}
    known: dict[str, tuple[str, str]] = {}
    studies = [dataset, *values(dataset, "00081200")]  # Studies Containing Other … Instances
    for study in studies:
        if not isinstance(study, dict):
            continue
        study_uid = first_text(study, "0020000D")
        for item in values(study, "00081115"):
            if not isinstance(item, dict):
                continue
            uids = study_uid, first_text(item, "0020000E")
            if all(uids):
                series[uids] = None
            for instance in [*values(item, "0008114A"), *values(item, "00081140")]:
                if isinstance(instance, dict):
                    known[first_text(instance, "00081155")] = uids
    return tuple(series)[:MAX_SOURCES], known


# --- the picture ------------------------------------------------------------------------------


def overlaid(
    background: Picture | None,
    frames: Iterable[tuple[Array, int | None]],
    image: ImagePixel,
    dataset: JsonDataset,
) -> Picture:
    """Segments over a picture: (rows, columns, 3) uint8. Raises UndecodablePixels for more labels
    than there may be segments.

    `frames` are stored values, (rows, columns) each, and the segment of each, None where the
    values are segment numbers. `background` is a picture of the same size, None for black.
    """
    rows, columns = image.rows, image.columns
    if background is None or background.shape[:2] != (rows, columns):
        canvas, opacity = Canvas(np.zeros((rows, columns, 3), np.uint8)), 1.0
    else:
        canvas, opacity = Canvas(background), OPACITY
    colours = _colours(dataset)
    for array, segment in frames:
        if first_text(dataset, "00620001") == "LABELMAP" or segment is None:
            _paint_labels(canvas, array, colours, image, dataset, opacity)
        else:
            mask = _mask(array, dataset)
            canvas.paint(mask, colours.get(segment) or distinct(segment), opacity)
    picture = canvas.picture
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)


def _mask(array: Array, dataset: JsonDataset) -> Picture:
    """How much of each pixel is of the segment, 0 to 255."""
    if first_text(dataset, "00620001") == "FRACTIONAL":
        most = first_number(dataset, "0062000E") or 255.0
        share = np.clip(array.astype(np.float32) * (255 / most if most > 0 else 1), 0, 255)
        rounded: Picture = (share + 0.5).astype(np.uint8)
        return rounded
    mask: Picture = np.where(array != 0, 255, 0).astype(np.uint8)
    return mask


def _paint_labels(
    canvas: Canvas,
    array: Array,
    colours: dict[int, Colour],
    image: ImagePixel,
    dataset: JsonDataset,
    opacity: float,
) -> None:
    of_palette = image.photometric_interpretation == "PALETTE COLOR"
    tables = palette(dataset, image) if of_palette else None
    padding = first_number(dataset, "00280120")
    labels, places = np.unique(np.nan_to_num(array), return_inverse=True)
    if len(labels) > MAX_SEGMENTS + 1:
        raise UndecodablePixels(f"a segmentation of more than {MAX_SEGMENTS} segments")
    shown = np.empty((len(labels), 3), np.uint8)
    for n, label in enumerate(labels.tolist()):
        shown[n] = colours.get(int(label)) or _of_palette(tables, label) or distinct(int(label))
    seen = (labels != 0) & (labels != (0 if padding is None else padding))
    places = places.reshape(array.shape)
    canvas.blend(shown[places], np.where(seen, opacity, 0.0)[places])


def _of_palette(tables: tuple[LookupTable, ...] | None, label: float) -> Colour | None:
    if tables is None:
        return None
    red, green, blue = through_palette(np.array([[label]]), tables)[0, 0].tolist()
    return red, green, blue


def _colours(dataset: JsonDataset) -> dict[int, Colour]:
    """The Recommended Display CIELab Value of each segment that has one."""
    colours: dict[int, Colour] = {}
    for item in values(dataset, "00620002")[:MAX_SEGMENTS]:
        if not isinstance(item, dict):
            continue
        segment, colour = first_number(item, "00620004"), colour_of(item, "0062000D")
        if segment is not None and colour is not None:
            colours[int(segment)] = colour
    return colours


def distinct(segment: int) -> Colour:
    """A colour for a segment that tells none: bright, and unlike those of its neighbours."""
    hue = (segment * 0.618033988749895) % 1 * 6  # the golden angle
    rising = round(255 * (hue % 1))
    falling = 255 - rising
    red, green, blue = (
        (255, rising, 0),
        (falling, 255, 0),
        (0, 255, rising),
        (0, falling, 255),
        (rising, 0, 255),
        (255, 0, falling),
    )[int(hue)]
    return red, green, blue
