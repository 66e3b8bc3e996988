"""What workers do for segmentations. Plain functions: run through ``workers``."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from dicomweb_server.archive.large_frames import Frame, read_frame
from dicomweb_server.dicom.description import BULK_BASE, JsonDataset
from dicomweb_server.dicom.image_pixel import image_pixel
from dicomweb_server.dicom.images import Picture, finished, thumbnail
from dicomweb_server.dicom.json_values import first_number
from dicomweb_server.dicom.packing import unpack_metadata
from dicomweb_server.dicom.pixels import decode_frame
from dicomweb_server.dicom.rendering import fit, pixel_height, show
from dicomweb_server.dicom.segmentation import (
    Place,
    Slice,
    Tile,
    frame_at,
    overlaid,
    representative,
    slice_of,
)
from dicomweb_server.dicom.viewing import RenderOptions, Window
from dicomweb_server.errors import UndecodablePixels


@dataclass(frozen=True, slots=True)
class Background:
    """A frame of the image that segments lie on, `number` counted from 1."""

    packed: bytes  # metadata
    frame: Frame
    transfer_syntax_uid: str
    number: int


def segmentation_plan(packed: bytes, frame: int | None, count: int) -> tuple[int, Slice]:
    """What has to be read for frame `frame` of a segmentation of `count`, by itself; for None for
    all of the slice that stands for it. Returns the frame too."""
    dataset = _dataset(packed)
    if frame is None:
        frame = representative(dataset, count)
        return frame, slice_of(dataset, frame, count, alone=False)
    return frame, slice_of(dataset, frame, count, alone=True)


def image_at(packed_metadata: Sequence[bytes], place: Place | Tile) -> tuple[int, int] | None:
    """Which of several images lies at `place`, from 0, and which frame of it, from 1; None for
    none of them."""
    for index, packed in enumerate(packed_metadata):
        dataset = _dataset(packed)
        count = int(first_number(dataset, "00280008") or 1)
        frame = frame_at(dataset, place, min(count, 100_000))
        if frame is not None and "7FE00010" in dataset:
            return index, frame
    return None


def segmented_frame(
    packed_metadata: bytes,
    frame: Frame,
    transfer_syntax_uid: str,
    segments: Sequence[int | None],
    others: Sequence[Frame],
    number: int,
    background: Background | None,
    options: RenderOptions,
    media_type: str,
    quality: int,
    longest: int | None,
) -> bytes:
    """Frames of a segmentation over the image that they were made from, encoded; ``overlaid``.

    `segments` are those of `frame` and of the `others`; `number` is that of the frame.
    One is held at a time. Raises UndecodablePixels, InvalidParameter for a viewport that does not
    fit.
    """
    dataset = _dataset(packed_metadata)
    image = image_pixel(dataset)
    if image.samples_per_pixel != 1:
        raise UndecodablePixels("a segmentation whose pixels have several samples")
    arrays = (
        decode_frame(read_frame(each), image, transfer_syntax_uid).array
        for each in (frame, *others)
    )
    tall = pixel_height(dataset, number)
    picture = None
    if background is not None:
        picture = _shown(background, (image.rows, image.columns), options.window)
    made = overlaid(picture, zip(arrays, segments, strict=True), image, dataset)
    if options.viewport is not None:
        made = fit(made, options.viewport, tall)
    if longest is not None:
        made = thumbnail(made, longest, tall)
    return finished(made, dataset, number, options, media_type, quality)


def _shown(
    background: Background, matrix: tuple[int, int], window: Window | None
) -> Picture | None:
    """The picture that segments lie on; None if it is of another size, or cannot be decoded."""
    dataset = _dataset(background.packed)
    try:
        image = image_pixel(dataset)
        if (image.rows, image.columns) != matrix:
            return None
        data = read_frame(background.frame)
        decoded = decode_frame(data, image, background.transfer_syntax_uid)
    except UndecodablePixels:
        return None
    return show(decoded, image, dataset, background.number, window)


def _dataset(packed: bytes) -> JsonDataset:
    dataset: JsonDataset = orjson.loads(unpack_metadata(packed).replace(BULK_BASE, b""))
    return dataset
